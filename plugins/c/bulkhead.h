// Bulkhead plugins in C: the contract by hand, as wit/0.1.0/abi.md lays it out.
//
// Define the three functions at the end of this file, compile them together with bulkhead.c and json.c, and export nothing else.
// Memory is never freed: the host calls one function of an instance and lets the instance go.
#ifndef BULKHEAD_H
#define BULKHEAD_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Text in UTF-8, or bytes; without a zero at its end.
typedef struct {
    const char *at;
    size_t len;
} bh_text;

#define BH(literal) ((bh_text){(literal), sizeof(literal) - 1})

// The step that a call works for. `config` and `parameters` are JSON objects.
typedef struct {
    bh_text run, name;
    uint32_t attempt;
    bh_text config, parameters;
} bh_step;

// One task; `input` is JSON.
typedef struct {
    bh_text id, key, input;
} bh_task;

typedef struct {
    const char *name, *version, *summary, *schema;
} bh_description;

// What `plan` and `run` return.
typedef struct {
    bool failed, retryable;
    // The output, JSON; or what went wrong.
    bh_text text;
} bh_result;

bh_result bh_ok(bh_text json);
// A final failure.
bh_result bh_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// A failure that another attempt may not have.
bh_result bh_fail_for_now(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Ends the task with the cause `panic`, this place and this message.
#define bh_panic(...) bh_panic_at(__FILE_NAME__, __LINE__, __VA_ARGS__)
_Noreturn void bh_panic_at(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Memory, zeroed; a panic where there is none.
void *bh_alloc(size_t size);

// ---- the log and the task's state

typedef enum { BH_DEBUG, BH_INFO, BH_WARN, BH_ERROR } bh_level;

// Writes a line. `fields` is a JSON object in the manner of printf, or NULL.
void bh_log(bh_level level, const char *message, const char *fields, ...) __attribute__((format(printf, 3, 4)));
void bh_progress(uint64_t done, uint64_t total);
bool bh_cancelled(void);

// ---- what the host refuses

typedef enum {
    BH_FINE,
    BH_NOT_FOUND,
    BH_NOT_A_DEPENDENCY,
    BH_INVALID,
    BH_TOO_LARGE,
    BH_QUOTA,
    BH_CANCELLED,
    BH_UNAVAILABLE,
} bh_refusal;

// The failure that a refusal means for the task, with what the host said of the last one.
bh_result bh_refused(const char *call, bh_refusal refusal);

// ---- tasks, checkpoints, files

typedef struct {
    bh_text key, input;
} bh_spec;

bh_refusal bh_spawn(const bh_spec *specs, size_t count);
bh_refusal bh_save_checkpoint(bh_text data);
// `data` has no address if nothing was kept.
bh_refusal bh_load_checkpoint(bh_text *data);
// The size of a file that the run was started with.
bh_refusal bh_file_size(bh_text name, uint64_t *size);
// At most `most` bytes of it from an offset on, up to 1 MiB; fewer only at the end. The next call overwrites them.
bh_refusal bh_read_file(bh_text name, uint64_t offset, uint32_t most, bh_text *data);

// ---- JSON

// A growing text.
typedef struct {
    char *at;
    size_t len, room;
} bh_buffer;

void bh_add(bh_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void bh_add_all(bh_buffer *buffer, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));
// Bytes as they are.
void bh_add_text(bh_buffer *buffer, bh_text text);
// A JSON string. What is no UTF-8 in it becomes U+FFFD.
void bh_add_string(bh_buffer *buffer, bh_text text);
bh_text bh_text_of(const bh_buffer *buffer);

// The text with U+FFFD for what is no UTF-8 in it; the text itself where all of it is.
bh_text bh_utf8(bh_text text);
// A member of a JSON object as it is written; without an address if there is none.
bh_text bh_member(bh_text object, const char *name);
// Takes the next item of a JSON array from it, as it is written; false at the end.
bool bh_next(bh_text *array, bh_text *item);
// A whole number from 0 to 2^64 - 1, or a default where the text is none.
uint64_t bh_number(bh_text json, uint64_t otherwise);
// What a JSON string stands for, or a default where the text is none.
bh_text bh_string(bh_text json, bh_text otherwise);

// ---- what a plugin defines

bh_description bh_describe(void);
bh_result bh_plan(const bh_step *step);
bh_result bh_run(const bh_step *step, const bh_task *task);

#endif
