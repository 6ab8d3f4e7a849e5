#include "words.h"

#include <stdlib.h>
#include <string.h>

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

size_t first_word(bh_text block) {
    size_t at = 0;
    while (at < block.len && !is_space(block.at[at])) at++;
    return at;
}

size_t whole_words(bh_text block, uint64_t limit, bool last) {
    size_t end = block.len;
    if (!last) {
        while (end > 0 && !is_space(block.at[end - 1])) end--;
    }
    if (limit < end) {
        // The word that goes on beyond the limit is the last.
        for (end = limit; end < block.len && !is_space(block.at[end - 1]); end++) {
        }
    }
    return end;
}

// FNV-1a.
static size_t hash(bh_text word) {
    uint32_t hash = 2166136261u;
    for (size_t at = 0; at < word.len; at++) hash = (hash ^ (unsigned char)word.at[at]) * 16777619u;
    return hash;
}

static entry *place(const counts *counts, bh_text word) {
    size_t at = hash(word) & (counts->room - 1);
    while (counts->entries[at].times) {
        bh_text found = counts->entries[at].word;
        if (found.len == word.len && !memcmp(found.at, word.at, word.len)) break;
        at = (at + 1) & (counts->room - 1);
    }
    return &counts->entries[at];
}

void count_word(counts *counts, bh_text word, uint64_t times) {
    if (counts->distinct * 2 >= counts->room) {
        entry *old = counts->entries;
        size_t room = counts->room;
        counts->room = room ? 2 * room : 1024;
        counts->entries = bh_alloc(counts->room * sizeof(entry));
        for (size_t at = 0; at < room; at++) {
            if (old[at].times) *place(counts, old[at].word) = old[at];
        }
        free(old);
    }
    entry *found = place(counts, word);
    if (!found->times) {
        char *copy = bh_alloc(word.len);
        memcpy(copy, word.at, word.len);
        found->word = (bh_text){copy, word.len};
        counts->distinct++;
    }
    found->times += times;
    counts->total += times;
}

void count_words(counts *counts, bh_text block) {
    char *text = (char *)block.at;
    for (size_t at = 0; at < block.len;) {
        while (at < block.len && is_space(text[at])) at++;
        size_t start = at;
        for (; at < block.len && !is_space(text[at]); at++) {
            if (text[at] >= 'A' && text[at] <= 'Z') text[at] += 'a' - 'A';
        }
        if (at > start) count_word(counts, (bh_text){text + start, at - start}, 1);
    }
}

static int compare(const void *one, const void *other) {
    const entry *left = one, *right = other;
    if (left->times != right->times) return left->times > right->times ? -1 : 1;
    size_t len = left->word.len < right->word.len ? left->word.len : right->word.len;
    int order = len ? memcmp(left->word.at, right->word.at, len) : 0;
    return order ? order : left->word.len < right->word.len ? -1 : left->word.len > right->word.len;
}

void sort_counts(counts *counts) {
    if (counts->room) qsort(counts->entries, counts->room, sizeof(entry), compare);
}
