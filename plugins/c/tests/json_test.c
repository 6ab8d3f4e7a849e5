// Tests of json.c on this machine. Each text that is read lies before a page that nobody may touch, so that reading beyond its
// end is seen.
#include "../bulkhead.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int checks, failures;

static void check(bool holds, int line, const char *what) {
    checks++;
    if (holds) return;
    failures++;
    fprintf(stderr, "json_test.c:%d: %s\n", line, what);
}
#define CHECK(condition) check(condition, __LINE__, #condition)

static bool is(bh_text text, bh_text expected) {
    bool equal = text.len == expected.len && (!text.len || !memcmp(text.at, expected.at, text.len));
    if (!equal) fprintf(stderr, "found: %.*s\n", (int)text.len, text.at ? text.at : "");
    return equal;
}
#define IS(text, literal) check(is(text, BH(literal)), __LINE__, #text " is " #literal)

// A copy that ends where a page does.
static bh_text at_edge(bh_text text) {
    size_t page = sysconf(_SC_PAGESIZE), room = (text.len + page) / page * page;
    char *pages = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + room, page, PROT_NONE)) abort();
    memcpy(pages + room - text.len, text.at, text.len);
    return (bh_text){pages + room - text.len, text.len};
}
#define EDGE(literal) at_edge(BH(literal))

static bh_text quoted(bh_text text) {
    bh_buffer json = {0};
    bh_add_string(&json, text);
    return bh_text_of(&json);
}

static void texts_grow(void) {
    bh_buffer text = {0};
    IS(bh_text_of(&text), "");
    bh_add(&text, "%d %s", -7, "⚓");
    bh_add_text(&text, BH("\0|"));
    bh_add_text(&text, (bh_text){0});
    IS(bh_text_of(&text), "-7 ⚓\0|");
    for (int at = 0; at < 100000; at++) bh_add(&text, "%05d", at);
    CHECK(text.len == 500000 + 8 && !memcmp(text.at + text.len - 5, "99999", 5) && text.at[text.len] == 0);
}

static void strings_are_escaped(void) {
    IS(quoted((bh_text){0}), "\"\"");
    IS(quoted(EDGE("plain ⚓🚢")), "\"plain ⚓🚢\"");
    IS(quoted(EDGE("\" \\ \n \x1f \x7f /")), "\"\\\" \\\\ \\u000a \\u001f \x7f /\"");
    IS(quoted(EDGE("a\0b")), "\"a\\u0000b\"");
    IS(quoted(EDGE("\xff\xc0\x80\xed\xa0\x80|\xf4\x90\x80\x80")), "\"���"
                                                                  "���|����\"");
    IS(quoted(EDGE("cut \xe2\x9a")), "\"cut �\"");
    IS(quoted(EDGE("\xf0\x9f\x9a\x22")), "\"�\\\"\"");
    bh_buffer line = {0};
    for (int at = 0; at < 10000000; at++) bh_add_text(&line, at % 1000 ? BH("x") : BH("\n"));
    CHECK(quoted(bh_text_of(&line)).len == 10000000 + 5 * 10000 + 2);
}

static void texts_become_utf8(void) {
    bh_text sound = EDGE("⚓🚢 \u07ff\u0800\uffff");
    CHECK(bh_utf8(sound).at == sound.at);
    CHECK(bh_utf8((bh_text){0}).len == 0);
    IS(bh_utf8(EDGE("a\xff\"b\xe2\x9a")), "a�\"b�");
}

static void members_are_found(void) {
    bh_text object = EDGE(" {\"a\" : 1 , \"b\":{\"a\":[2,{\"}\":\"]\"}]},\"\\u0063\\\"\":\"x\\\"y\", \"d\":null,\"\":[] } ");
    IS(bh_member(object, "a"), "1");
    IS(bh_member(object, "b"), "{\"a\":[2,{\"}\":\"]\"}]}");
    IS(bh_member(bh_member(object, "b"), "a"), "[2,{\"}\":\"]\"}]");
    IS(bh_member(object, "c\""), "\"x\\\"y\"");
    IS(bh_member(object, "d"), "null");
    IS(bh_member(object, ""), "[]");
    CHECK(!bh_member(object, "e").at);
    CHECK(!bh_member(EDGE("{}"), "a").at && !bh_member(EDGE("[\"a\",1]"), "a").at && !bh_member((bh_text){0}, "a").at);
    IS(bh_member(EDGE("{\"a\":12"), "a"), "12");
}

static void items_come_one_by_one(void) {
    bh_text array = EDGE("[ 1, \"a,]\" ,[2,[3]],{\"b\":[]} ,null]"), item;
    CHECK(bh_next(&array, &item));
    IS(item, "1");
    CHECK(bh_next(&array, &item));
    IS(item, "\"a,]\"");
    CHECK(bh_next(&array, &item));
    IS(item, "[2,[3]]");
    CHECK(bh_next(&array, &item));
    IS(item, "{\"b\":[]}");
    CHECK(bh_next(&array, &item));
    IS(item, "null");
    CHECK(!bh_next(&array, &item) && !bh_next(&array, &item));
    bh_text none = EDGE("[ ]"), nothing = {0};
    CHECK(!bh_next(&none, &item) && !bh_next(&nothing, &item));
}

static void numbers_are_exact(void) {
    CHECK(bh_number(EDGE("0"), 9) == 0);
    CHECK(bh_number(EDGE("9007199254740993"), 9) == 9007199254740993);
    CHECK(bh_number(EDGE("18446744073709551615"), 9) == UINT64_MAX);
    CHECK(bh_number(EDGE("18446744073709551616"), 9) == 9);
    CHECK(bh_number(EDGE("99999999999999999999"), 9) == 9);
    CHECK(bh_number(EDGE("-1"), 9) == 9 && bh_number(EDGE("1.5"), 9) == 9 && bh_number(EDGE("1e3"), 9) == 9);
    CHECK(bh_number(EDGE("\"7\""), 9) == 9 && bh_number(EDGE("NaN"), 9) == 9 && bh_number((bh_text){0}, 9) == 9);
}

static void strings_are_decoded(void) {
    bh_text plain = EDGE("\"plain ⚓\"");
    CHECK(bh_string(plain, BH("")).at == plain.at + 1);
    IS(bh_string(plain, BH("")), "plain ⚓");
    IS(bh_string(EDGE("\"\""), BH("other")), "");
    IS(bh_string(EDGE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), BH("")), "\"\\/\b\f\n\r\t");
    IS(bh_string(EDGE("\"\\u0041\\u00e9\\u2693\\uD83D\\udea2\\u0000\""), BH("")), "Aé⚓🚢\0");
    IS(bh_string(EDGE("\"\\ud83d|\\udea2|\\ud83d\\u0041|\\ud83d\\n\""), BH("")), "�|�|�A|�\n");
    IS(bh_string(EDGE("\"\\u12\""), BH("")), "u12");
    IS(bh_string(EDGE("\"\\u\\u\\\""), BH("")), "uu\\");
    IS(bh_string(EDGE("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), BH("")), "\U00010000\U0010ffff");
    IS(bh_string(EDGE("7"), BH("other")), "other");
    IS(bh_string((bh_text){0}, BH("other")), "other");
    IS(bh_string(EDGE("\""), BH("other")), "other");
}

// Whatever is written is read again.
static void strings_survive_the_way(void) {
    for (int round = 0; round < 20000; round++) {
        char bytes[16];
        size_t len = rand() % (sizeof bytes + 1);
        for (size_t at = 0; at < len; at++) bytes[at] = (char)(rand() % 3 ? rand() % 128 : rand());
        bh_text text = {bytes, len}, valid = bh_utf8(text);
        CHECK(is(bh_string(quoted(text), BH("none")), valid));
    }
}

// No text, however wrong, is read beyond its end or for ever.
static void wrong_texts_end(void) {
    static const char sound[] = "{\"a\":[1,{\"b\":\"\\u2693\\\"\"}],\"c\":-1.5e3,\"\\u0064\":true}";
    for (int round = 0; round < 20000; round++) {
        char bytes[sizeof sound - 1];
        memcpy(bytes, sound, sizeof bytes);
        for (int change = rand() % 4; change >= 0; change--) bytes[rand() % sizeof bytes] = "{}[]\",:\\u \0a1\xff"[rand() % 14];
        bh_text text = at_edge((bh_text){bytes, rand() % (sizeof bytes + 1)}), item;
        const char *names[] = {"a", "c", "d", "e"};
        for (int name = 0; name < 4; name++) {
            bh_text member = bh_member(text, names[name]);
            CHECK(!member.at || (member.at >= text.at && member.at + member.len <= text.at + text.len));
            bh_string(member, BH(""));
            for (int most = 0; bh_next(&member, &item); most++) CHECK(most < (int)sizeof bytes);
        }
        // It is shorter than a page.
        size_t page = sysconf(_SC_PAGESIZE);
        munmap((char *)text.at + text.len - page, 2 * page);
    }
}

static void depth_has_no_limit(void) {
    bh_buffer deep = {0};
    bh_add(&deep, "{\"a\":");
    for (int level = 0; level < 1000000; level++) bh_add_text(&deep, BH("["));
    for (int level = 0; level < 1000000; level++) bh_add_text(&deep, BH("]"));
    bh_add(&deep, ",\"b\":7}");
    CHECK(bh_number(bh_member(bh_text_of(&deep), "b"), 0) == 7);
}

int main(void) {
    texts_grow();
    strings_are_escaped();
    texts_become_utf8();
    members_are_found();
    items_come_one_by_one();
    numbers_are_exact();
    strings_are_decoded();
    strings_survive_the_way();
    wrong_texts_end();
    depth_has_no_limit();
    printf("%d checks, %d failed\n", checks, failures);
    return failures > 0;
}
