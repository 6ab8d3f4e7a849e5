// The parts of the SDK that know of no host: memory, panics, growing texts, and JSON.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead.h"

void *bh_alloc(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) bh_panic("out of memory: %zu bytes", size);
    return memory;
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

// ---- growing texts

// Makes room for so many more bytes and a zero.
static char *grow(bh_buffer *buffer, size_t len) {
    if (buffer->len + len + 1 > buffer->room) {
        size_t room = 2 * buffer->room + len + 64;
        char *at = realloc(buffer->at, room);
        if (!at) bh_panic("out of memory: %zu bytes", room);
        buffer->at = at;
        buffer->room = room;
    }
    return buffer->at + buffer->len;
}

void bh_add_all(bh_buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    if (len < 0) bh_panic("a text can't be made: %s", format);
    vsnprintf(grow(buffer, len), len + 1, format, again);
    va_end(again);
    buffer->len += len;
}

void bh_add(bh_buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bh_add_all(buffer, format, arguments);
    va_end(arguments);
}

void bh_add_text(bh_buffer *buffer, bh_text text) {
    char *at = grow(buffer, text.len);
    if (text.len) memcpy(at, text.at, text.len);
    at[text.len] = 0;
    buffer->len += text.len;
}

bh_text bh_text_of(const bh_buffer *buffer) { return (bh_text){buffer->at ? buffer->at : "", buffer->len}; }

// ---- UTF-8

static bool between(const unsigned char *at, const unsigned char *end, int least, int most) {
    return at < end && *at >= least && *at <= most;
}

// The length of the UTF-8 character at a place, or of the bytes that could have begun one, as a negative number.
static int character(const unsigned char *at, const unsigned char *end) {
    int first = *at;
    int rest = first < 0xc2 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 0;
    if (first < 0x80) return 1;
    if (!rest) return -1;
    // Neither overlong forms nor surrogates.
    int least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80, most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (int got = 1; got <= rest; got++) {
        if (!between(at + got, end, least, most)) return -got;
        least = 0x80, most = 0xbf;
    }
    return rest + 1;
}

// Adds a text with U+FFFD for what is no UTF-8; for JSON, with escapes. Only what differs is added by itself.
static void add_utf8(bh_buffer *buffer, bh_text text, bool json) {
    if (!text.len) return;
    const unsigned char *at = (const unsigned char *)text.at, *end = at + text.len, *plain = at;
    while (at < end) {
        int len = character(at, end);
        bool escaped = json && (*at == '"' || *at == '\\' || *at < 0x20);
        if (len > 0 && !escaped) {
            at += len;
            continue;
        }
        bh_add_text(buffer, (bh_text){(const char *)plain, at - plain});
        if (len < 0) {
            bh_add_text(buffer, BH("\xef\xbf\xbd"));
        } else if (*at < 0x20) {
            bh_add(buffer, "\\u%04x", *at);
        } else {
            bh_add(buffer, "\\%c", *at);
        }
        plain = at += len < 0 ? -len : len;
    }
    bh_add_text(buffer, (bh_text){(const char *)plain, end - plain});
}

bh_text bh_utf8(bh_text text) {
    if (!text.len) return text;
    const unsigned char *at = (const unsigned char *)text.at, *end = at + text.len;
    while (at < end) {
        int len = character(at, end);
        if (len < 0) {
            bh_buffer valid = {0};
            add_utf8(&valid, text, false);
            return bh_text_of(&valid);
        }
        at += len;
    }
    return text;
}

void bh_add_string(bh_buffer *buffer, bh_text text) {
    bh_add_text(buffer, BH("\""));
    add_utf8(buffer, text, true);
    bh_add_text(buffer, BH("\""));
}

// ---- reading JSON. The host has checked what it hands over; of other texts nothing is read beyond their end.

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static const char *space(const char *at, const char *end) {
    while (at < end && is_space(*at)) at++;
    return at;
}

// What follows the string that begins at a place.
static const char *skip_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end) at++;
    }
    return at < end ? at + 1 : end;
}

// What follows the value at a place; the place itself where there is none.
static const char *skip(const char *at, const char *end) {
    size_t depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++, at++;
        } else if (*at == ',' || *at == ':' || *at == '}' || *at == ']' || is_space(*at)) {
            if (!depth) return at;
            depth -= *at == '}' || *at == ']';
            at++;
        } else {
            while (at < end && !is_space(*at) && *at != ',' && *at != ':' && *at != '}' && *at != ']') at++;
        }
        if (!depth) return at;
    }
    return end;
}

bool bh_next(bh_text *array, bh_text *item) {
    if (!array->len) return false;
    const char *end = array->at + array->len, *at = space(array->at, end);
    if (at < end && (*at == '[' || *at == ',')) at = space(at + 1, end);
    const char *rest = skip(at, end);
    *item = (bh_text){at, rest - at};
    *array = (bh_text){rest, end - rest};
    return item->len > 0;
}

bh_text bh_member(bh_text object, const char *name) {
    if (!object.len) return (bh_text){0};
    const char *end = object.at + object.len, *at = space(object.at, end);
    if (at == end || *at++ != '{') return (bh_text){0};
    while ((at = space(at, end)) < end && *at == '"') {
        const char *after = skip_string(at, end);
        bh_text key = bh_string((bh_text){at, after - at}, (bh_text){0});
        at = space(after, end);
        if (at == end || *at != ':') break;
        const char *value = space(at + 1, end);
        at = skip(value, end);
        if (key.at && key.len == strlen(name) && !memcmp(key.at, name, key.len)) return (bh_text){value, at - value};
        at = space(at, end);
        if (at < end && *at == ',') at++;
    }
    return (bh_text){0};
}

uint64_t bh_number(bh_text json, uint64_t otherwise) {
    uint64_t number = 0;
    for (size_t at = 0; at < json.len; at++) {
        unsigned digit = (unsigned char)json.at[at] - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10) return otherwise;
        number = 10 * number + digit;
    }
    return json.len ? number : otherwise;
}

// The number of four hexadecimal digits; -1 where they are none.
static long hexadecimal(const char *at, const char *end) {
    long code = 0;
    if (end - at < 4) return -1;
    for (const char *stop = at + 4; at < stop; at++) {
        bool decimal = *at >= '0' && *at <= '9', upper = *at >= 'A' && *at <= 'F', lower = *at >= 'a' && *at <= 'f';
        if (!decimal && !upper && !lower) return -1;
        code = 16 * code + (decimal ? *at - '0' : (upper ? *at - 'A' : *at - 'a') + 10);
    }
    return code;
}

static void add_character(bh_buffer *buffer, long code) {
    if (code < 0x80) {
        bh_add(buffer, "%c", (int)code);
    } else if (code < 0x800) {
        bh_add(buffer, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        bh_add(buffer, "%c%c%c", (int)(0xe0 | code >> 12), (int)(0x80 | (code >> 6 & 0x3f)), (int)(0x80 | (code & 0x3f)));
    } else {
        bh_add(buffer, "%c%c%c%c", (int)(0xf0 | code >> 18), (int)(0x80 | (code >> 12 & 0x3f)), (int)(0x80 | (code >> 6 & 0x3f)),
               (int)(0x80 | (code & 0x3f)));
    }
}

// Adds what the escape at a place stands for, and returns what follows it. One that is none stands for its letter.
static const char *add_escaped(bh_buffer *buffer, const char *at, const char *end) {
    switch (at[1]) {
    case 'b':
        bh_add(buffer, "\b");
        return at + 2;
    case 'f':
        bh_add(buffer, "\f");
        return at + 2;
    case 'n':
        bh_add(buffer, "\n");
        return at + 2;
    case 'r':
        bh_add(buffer, "\r");
        return at + 2;
    case 't':
        bh_add(buffer, "\t");
        return at + 2;
    default:
        break;
    }
    long code = at[1] == 'u' ? hexadecimal(at + 2, end) : -1;
    if (code < 0) {
        bh_add_text(buffer, (bh_text){at + 1, 1});
        return at + 2;
    }
    at += 6;
    if (code >= 0xd800 && code < 0xe000) {
        // Half of a character: with the other half a whole one.
        bool paired = code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u';
        long low = paired ? hexadecimal(at + 2, end) : -1;
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
            at += 6;
        } else {
            code = 0xfffd;
        }
    }
    add_character(buffer, code);
    return at;
}

bh_text bh_string(bh_text json, bh_text otherwise) {
    if (json.len < 2 || *json.at != '"' || json.at[json.len - 1] != '"') return otherwise;
    const char *at = json.at + 1, *end = at + json.len - 2;
    const char *escape = memchr(at, '\\', end - at);
    if (!escape) return (bh_text){at, end - at};
    bh_buffer text = {0};
    while (escape && escape + 1 < end) {
        bh_add_text(&text, (bh_text){at, escape - at});
        at = add_escaped(&text, escape, end);
        escape = memchr(at, '\\', end - at);
    }
    bh_add_text(&text, (bh_text){at, end - at});
    return bh_text_of(&text);
}
