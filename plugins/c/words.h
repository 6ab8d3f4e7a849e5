// Words of a file, counted piece by piece. Nothing here knows of a host.
#ifndef WORDS_H
#define WORDS_H

#include "bulkhead.h"

typedef struct {
    bh_text word;
    uint64_t times;
} entry;

// How often words occur: a table with open addressing.
typedef struct {
    entry *entries;
    size_t room, distinct;
    uint64_t total;
} counts;

// Where the first word begins that does not begin before the block, whose first byte lies before the piece.
size_t first_word(bh_text block);
// How much of a block holds whole words that begin before `limit`; 0 where a single word fills it. The `last` block ends with the
// file.
size_t whole_words(bh_text block, uint64_t limit, bool last);
// Adds the words of a block, in lower case as far as ASCII goes.
void count_words(counts *counts, bh_text block);
// Adds a word so many times.
void count_word(counts *counts, bh_text word, uint64_t times);
// Sorts the entries: the words that occur most first, those that occur alike in the order of their bytes. Nothing can be added
// afterwards.
void sort_counts(counts *counts);

#endif
