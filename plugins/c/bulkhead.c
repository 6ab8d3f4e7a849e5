#include "bulkhead.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMPORT(interface, function) \
    __attribute__((import_module("bulkhead:plugin/" interface "@0.1.0"), import_name(function)))
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

void *bh_alloc(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) bh_panic("out of memory: %zu bytes", size);
    return memory;
}

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

// ---- texts

static void add_all(bh_buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    if (len < 0) bh_panic("a text can't be made: %s", format);
    if (buffer->len + len + 1 > buffer->room) {
        buffer->room = 2 * buffer->room + len + 64;
        buffer->at = realloc(buffer->at, buffer->room);
        if (!buffer->at) bh_panic("out of memory: %zu bytes", buffer->room);
    }
    vsnprintf(buffer->at + buffer->len, len + 1, format, again);
    va_end(again);
    buffer->len += len;
}

void bh_add(bh_buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_all(buffer, format, arguments);
    va_end(arguments);
}

bh_text bh_text_of(const bh_buffer *buffer) { return (bh_text){buffer->at ? buffer->at : "", buffer->len}; }

static bool between(const unsigned char *at, const unsigned char *end, int least, int most) {
    return at < end && *at >= least && *at <= most;
}

// The length of the UTF-8 character at a place, or of the bytes that could have begun one, as a negative number.
static int character(const unsigned char *at, const unsigned char *end) {
    int first = *at;
    int rest = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
    if (first < 0x80) return 1;
    if (!rest) return -1;
    int least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80, most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (int got = 1; got <= rest; got++) {
        if (!between(at + got, end, least, most)) return -got;
        least = 0x80, most = 0xbf;
    }
    return rest + 1;
}

void bh_add_string(bh_buffer *buffer, bh_text text) {
    bh_add(buffer, "\"");
    const unsigned char *at = (const unsigned char *)text.at, *end = at + text.len;
    while (at < end) {
        int len = character(at, end);
        if (len < 0) {
            bh_add(buffer, "\xef\xbf\xbd");
            len = -len;
        } else if (*at == '"' || *at == '\\') {
            bh_add(buffer, "\\%c", *at);
        } else if (*at < 0x20) {
            bh_add(buffer, "\\u%04x", *at);
        } else {
            bh_add(buffer, "%.*s", len, (const char *)at);
        }
        at += len;
    }
    bh_add(buffer, "\"");
}

// ---- reading JSON, which the host has checked

static const char *space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    return at;
}

// The end of the value at a place.
static const char *skip(const char *at, const char *end) {
    int depth = 0;
    do {
        at = space(at, end);
        if (at == end) return end;
        if (*at == '"') {
            for (at++; at < end && *at != '"'; at++) at += *at == '\\';
            at++;
        } else if (*at == '{' || *at == '[') {
            depth++, at++;
        } else if (*at == '}' || *at == ']') {
            depth--, at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else {
            while (at < end && !strchr(",:]} \n\r\t", *at)) at++;
        }
    } while (depth > 0);
    return at;
}

bh_text bh_member(bh_text object, const char *name) {
    const char *end = object.at + object.len, *at = space(object.at, end);
    if (at == end || *at++ != '{') return (bh_text){0};
    while ((at = space(at, end)) < end && *at == '"') {
        const char *key = at + 1;
        at = skip(at, end);
        bool found = (size_t)(at - 1 - key) == strlen(name) && !memcmp(key, name, strlen(name));
        const char *value = space(space(at, end) + 1, end);
        at = skip(value, end);
        if (found) return (bh_text){value, at - value};
        at = space(at, end);
        if (at < end && *at == ',') at++;
    }
    return (bh_text){0};
}

uint64_t bh_number(bh_text json, uint64_t otherwise) { return json.at ? strtoull(json.at, NULL, 10) : otherwise; }

bh_text bh_string(bh_text json, bh_text otherwise) {
    if (json.len < 2 || *json.at != '"') return otherwise;
    return (bh_text){json.at + 1, json.len - 2};
}

// ---- results

bh_result bh_ok(bh_text json) { return (bh_result){.text = json}; }

bh_result bh_fail(const char *format, ...) {
    bh_buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    add_all(&text, format, arguments);
    va_end(arguments);
    return (bh_result){.failed = true, .text = bh_text_of(&text)};
}

bh_result bh_fail_for_now(const char *format, ...) {
    bh_buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    add_all(&text, format, arguments);
    va_end(arguments);
    return (bh_result){.failed = true, .retryable = true, .text = bh_text_of(&text)};
}

_Noreturn void bh_panic_at(const char *file, int line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "panicked at %s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    fflush(stderr);
    __builtin_trap();
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
static const bh_refusal artifact_kinds[] = {BH_NOT_FOUND,  BH_NOT_A_DEPENDENCY, BH_INVALID,
                                            BH_TOO_LARGE, BH_CANCELLED,        BH_UNAVAILABLE};

bh_result bh_refused(const char *call, bh_refusal refusal) {
    static const char *names[] = {"fine",      "not-found", "not-a-dependency", "invalid",
                                  "too-large", "quota",     "cancelled",        "unavailable"};
    bh_buffer text = {0};
    bh_add(&text, "%s: %s", call, names[refusal]);
    if (last_detail.at) bh_add(&text, ": %.*s", (int)last_detail.len, last_detail.at);
    return (bh_result){.failed = true, .retryable = refusal == BH_UNAVAILABLE, .text = bh_text_of(&text)};
}

void bh_log(bh_level level, const char *message, const char *fields, ...) {
    bh_buffer json = {0};
    if (fields) {
        va_list arguments;
        va_start(arguments, fields);
        add_all(&json, fields, arguments);
        va_end(arguments);
    }
    host_log(level, message, strlen(message), json.at, json.len);
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
    put(1, result.text);
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
