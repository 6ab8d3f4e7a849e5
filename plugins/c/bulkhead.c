#include "bulkhead.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(interface, function) __attribute__((import_module("bulkhead:plugin/" interface "@0.1.0"), import_name(function)))
#define EXPORT(function) __attribute__((export_name(function)))

IMPORT("log", "write") void host_log(uint32_t level, const char *message, size_t len, const char *fields, size_t fields_len);
IMPORT("status", "progress") void host_progress(uint64_t done, uint32_t has_total, uint64_t total);
IMPORT("status", "cancelled") uint32_t host_cancelled(void);
IMPORT("tasks", "spawn") void host_spawn(const bh_spec *specs, size_t count, void *ret);
IMPORT("checkpoint", "save") void host_save(const char *data, size_t len, void *ret);
IMPORT("checkpoint", "load") void host_load(void *ret);
IMPORT("artifacts", "find")
void host_find(uint32_t source, const char *step, size_t step_len, uint32_t task, const char *name, size_t len, void *ret);
IMPORT("artifacts", "read")
void host_read(uint32_t source, const char *step, size_t step_len, uint32_t task, const char *name, size_t len, uint64_t offset,
               uint32_t most, void *ret);

// ---- memory

static char *piece;
static size_t piece_room;

// What the host hands over. Large pieces go to one place again and again: a plugin that reads a file needs one.
EXPORT("cabi_realloc") void *reallocate(void *old, size_t old_size, size_t align, size_t size) {
    (void)align;
    if (old) {
        void *memory = realloc(old, size);
        if (!memory) bh_panic("out of memory: %zu bytes", size);
        return memory;
    }
    if (size < 4096 || old_size) return bh_alloc(size);
    if (size > piece_room) {
        piece = bh_alloc(size);
        piece_room = size;
    }
    return piece;
}

// ---- results

bh_result bh_ok(bh_text json) { return (bh_result){.text = json}; }

bh_result bh_fail(const char *format, ...) {
    bh_buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    bh_add_all(&text, format, arguments);
    va_end(arguments);
    return (bh_result){.failed = true, .text = bh_text_of(&text)};
}

bh_result bh_fail_for_now(const char *format, ...) {
    bh_buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    bh_add_all(&text, format, arguments);
    va_end(arguments);
    return (bh_result){.failed = true, .retryable = true, .text = bh_text_of(&text)};
}

// ---- the host's functions

// What a function of the host returns.
typedef union {
    uint8_t byte[40];
    uint32_t word[10];
    uint64_t wide[5];
} answer;

static bh_text last_detail;

static bh_refusal refusal(const answer *answer, int at, const bh_refusal *kinds) {
    int payload = at == 4 ? 8 : 16;
    bh_refusal kind = kinds[answer->byte[at]];
    last_detail = (bh_text){0};
    if (kind == BH_NOT_FOUND || kind == BH_NOT_A_DEPENDENCY || kind == BH_INVALID || kind == BH_UNAVAILABLE) {
        last_detail = (bh_text){(const char *)(uintptr_t)answer->word[payload / 4], answer->word[payload / 4 + 1]};
    }
    return kind;
}

static const bh_refusal spawn_kinds[] = {BH_QUOTA, BH_INVALID, BH_CANCELLED, BH_UNAVAILABLE};
static const bh_refusal checkpoint_kinds[] = {BH_TOO_LARGE, BH_CANCELLED, BH_UNAVAILABLE};
static const bh_refusal artifact_kinds[] = {BH_NOT_FOUND, BH_NOT_A_DEPENDENCY, BH_INVALID,
                                            BH_TOO_LARGE, BH_CANCELLED,        BH_UNAVAILABLE};

bh_result bh_refused(const char *call, bh_refusal refusal) {
    static const char *names[] = {"fine",      "not-found", "not-a-dependency", "invalid",
                                  "too-large", "quota",     "cancelled",        "unavailable"};
    bh_buffer text = {0};
    bh_add(&text, "%s: %s", call, names[refusal]);
    if (last_detail.at) {
        bh_add(&text, ": ");
        bh_add_text(&text, last_detail);
    }
    return (bh_result){.failed = true, .retryable = refusal == BH_UNAVAILABLE, .text = bh_text_of(&text)};
}

void bh_log(bh_level level, const char *message, const char *fields, ...) {
    bh_buffer json = {0};
    if (fields) {
        va_list arguments;
        va_start(arguments, fields);
        bh_add_all(&json, fields, arguments);
        va_end(arguments);
    }
    bh_text said = bh_utf8((bh_text){message, strlen(message)}), shown = bh_utf8(bh_text_of(&json));
    host_log(level, said.at, said.len, shown.at, shown.len);
    free(json.at);
}

void bh_progress(uint64_t done, uint64_t total) { host_progress(done, 1, total); }

bool bh_cancelled(void) { return host_cancelled(); }

bh_refusal bh_spawn(const bh_spec *specs, size_t count) {
    answer answer;
    host_spawn(specs, count, &answer);
    return answer.byte[0] ? refusal(&answer, 4, spawn_kinds) : BH_FINE;
}

bh_refusal bh_save_checkpoint(bh_text data) {
    answer answer;
    host_save(data.at, data.len, &answer);
    return answer.byte[0] ? refusal(&answer, 8, checkpoint_kinds) : BH_FINE;
}

bh_refusal bh_load_checkpoint(bh_text *data) {
    answer answer;
    host_load(&answer);
    if (answer.byte[0]) return refusal(&answer, 8, checkpoint_kinds);
    *data = answer.byte[8] ? (bh_text){(const char *)(uintptr_t)answer.word[3], answer.word[4]} : (bh_text){0};
    return BH_FINE;
}

bh_refusal bh_file_size(bh_text name, uint64_t *size) {
    answer answer;
    host_find(0, NULL, 0, 0, name.at, name.len, &answer);
    if (answer.byte[0]) return refusal(&answer, 8, artifact_kinds);
    *size = answer.wide[3];
    return BH_FINE;
}

bh_refusal bh_read_file(bh_text name, uint64_t offset, uint32_t most, bh_text *data) {
    answer answer;
    host_read(0, NULL, 0, 0, name.at, name.len, offset, most, &answer);
    if (answer.byte[0]) return refusal(&answer, 8, artifact_kinds);
    *data = (bh_text){(const char *)(uintptr_t)answer.word[2], answer.word[3]};
    return BH_FINE;
}

// ---- what the host calls

static uint32_t returned[8];

static void put(int word, bh_text text) {
    returned[word] = (uint32_t)(uintptr_t)text.at;
    returned[word + 1] = text.len;
}

static uint32_t *answer_with(bh_result result) {
    returned[0] = result.failed;
    put(1, bh_utf8(result.text));
    returned[3] = result.retryable;
    return returned;
}

EXPORT("describe") uint32_t *export_describe(void) {
    bh_description description = bh_describe();
    put(0, (bh_text){description.name, strlen(description.name)});
    put(2, (bh_text){description.version, strlen(description.version)});
    put(4, (bh_text){description.summary, strlen(description.summary)});
    put(6, (bh_text){description.schema, strlen(description.schema)});
    return returned;
}

EXPORT("plan")
uint32_t *export_plan(const char *run, size_t run_len, const char *name, size_t name_len, uint32_t attempt, const char *config,
                      size_t config_len, const char *parameters, size_t parameters_len) {
    bh_step step = {{run, run_len}, {name, name_len}, attempt, {config, config_len}, {parameters, parameters_len}};
    return answer_with(bh_plan(&step));
}

EXPORT("run")
uint32_t *export_run(const char *run, size_t run_len, const char *name, size_t name_len, uint32_t attempt, const char *config,
                     size_t config_len, const char *parameters, size_t parameters_len, const char *id, size_t id_len,
                     const char *key, size_t key_len, const char *input, size_t input_len) {
    bh_step step = {{run, run_len}, {name, name_len}, attempt, {config, config_len}, {parameters, parameters_len}};
    bh_task task = {{id, id_len}, {key, key_len}, {input, input_len}};
    return answer_with(bh_run(&step, &task));
}
