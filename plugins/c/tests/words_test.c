// Tests of words.c on this machine: words are counted alike, however the file is cut.
#include "../words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checks, failures;

static void check(bool holds, int line, const char *what) {
    checks++;
    if (holds) return;
    failures++;
    fprintf(stderr, "words_test.c:%d: %s\n", line, what);
}
#define CHECK(condition) check(condition, __LINE__, #condition)

// A copy of at most so many bytes from a place on: counting changes what it counts.
static bh_text part(bh_text text, size_t from, size_t most) {
    size_t len = text.len - from < most ? text.len - from : most;
    char *copy = bh_alloc(len);
    memcpy(copy, text.at + from, len);
    return (bh_text){copy, len};
}

// Counts as the plugin does, with blocks of so many bytes.
static counts count_in_pieces(bh_text text, size_t pieces, size_t block) {
    counts counts = {0};
    if (pieces > text.len) pieces = text.len;
    for (size_t piece = 0; piece < pieces; piece++) {
        size_t from = text.len * piece / pieces, to = text.len * (piece + 1) / pieces, at = from;
        if (from > 0) at = from - 1 + first_word(part(text, from - 1, block));
        while (at < to) {
            bh_text data = part(text, at, block);
            size_t whole = whole_words(data, to - at, at + data.len == text.len);
            if (!whole) whole = data.len;
            count_words(&counts, (bh_text){data.at, whole});
            at += whole;
        }
    }
    sort_counts(&counts);
    return counts;
}

static bool same(const counts *one, const counts *other) {
    if (one->distinct != other->distinct || one->total != other->total) return false;
    for (size_t at = 0; at < one->distinct; at++) {
        entry left = one->entries[at], right = other->entries[at];
        if (left.times != right.times || left.word.len != right.word.len) return false;
        if (memcmp(left.word.at, right.word.at, left.word.len)) return false;
    }
    return true;
}

static void a_word_belongs_to_the_piece_that_it_begins_in(void) {
    for (int round = 0; round < 300; round++) {
        char bytes[80];
        size_t len = rand() % (sizeof bytes + 1);
        for (size_t at = 0; at < len; at++) bytes[at] = "abC \n\xc3\xa9"[rand() % 7];
        bh_text text = {bytes, len};
        counts whole = {0};
        count_words(&whole, part(text, 0, len));
        sort_counts(&whole);
        for (size_t pieces = 1; pieces < 6; pieces++) {
            counts found = count_in_pieces(text, pieces, 100);
            CHECK(same(&whole, &found));
        }
    }
}

static void a_word_that_fills_a_block_is_told_apart(void) {
    CHECK(whole_words(BH("abcdef"), 100, false) == 0);
    CHECK(whole_words(BH("abcdef"), 100, true) == 6);
    CHECK(whole_words(BH("abc def"), 100, false) == 4);
    CHECK(whole_words(BH("abc def gh"), 5, false) == 8);
}

static void many_words_are_sorted(void) {
    counts counts = {0};
    for (int number = 0; number < 5000; number++) {
        char word[8];
        int len = snprintf(word, sizeof word, "%04d", number);
        count_word(&counts, (bh_text){word, len}, number == 77 ? 3 : 1);
    }
    count_word(&counts, BH("\0"), 2);
    sort_counts(&counts);
    CHECK(counts.distinct == 5001 && counts.total == 5004);
    CHECK(!memcmp(counts.entries[0].word.at, "0077", 4) && counts.entries[1].word.len == 1);
    CHECK(!memcmp(counts.entries[2].word.at, "0000", 4) && !memcmp(counts.entries[5000].word.at, "4999", 4));
}

static void only_ascii_is_put_in_lower_case(void) {
    counts counts = {0};
    count_words(&counts, part(BH("Ab AB \xc3\x84 \xff\t"), 0, 100));
    sort_counts(&counts);
    CHECK(counts.total == 4 && counts.distinct == 3);
    CHECK(counts.entries[0].times == 2 && !memcmp(counts.entries[0].word.at, "ab", 2));
    CHECK(!memcmp(counts.entries[1].word.at, "\xc3\x84", 2));
}

int main(void) {
    a_word_belongs_to_the_piece_that_it_begins_in();
    a_word_that_fills_a_block_is_told_apart();
    many_words_are_sorted();
    only_ascii_is_put_in_lower_case();
    printf("%d checks, %d failed\n", checks, failures);
    return failures > 0;
}
