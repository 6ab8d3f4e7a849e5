// Counts the words of a file that the run was started with, a piece a task.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead.h"
#include "drill.h"
#include "words.h"

// What is read at once, in bytes; a longer word is cut there.
#define BLOCK (256 << 10)

static const char schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"file\":{\"type\":\"string\",\"default\":\"text\",\"description\":\"The run's file whose words are counted.\"},"
    "\"pieces\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":4,\"description\":\"The tasks that share it.\"},"
    "\"top\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":100,\"default\":10,\"description\":\"The words that are listed.\"},"
    "\"drill\":{\"enum\":[\"none\",\"panic\",\"error\",\"memory\",\"loop\",\"recursion\",\"sleep\",\"cancel\",\"retry\"],"
    "\"default\":\"none\",\"description\":\"What each task does wrong, to see what comes of it.\"}}}";

bh_description bh_describe(void) {
    return (bh_description){"c", "0.1.0", "Counts the words of a file, a piece a task; written in C.", schema};
}

static bh_text file_of(const bh_step *step) { return bh_string(bh_member(step->config, "file"), BH("text")); }

static bh_result no_file(bh_refusal refusal, bh_text name) {
    if (refusal != BH_NOT_FOUND) return bh_refused("artifacts", refusal);
    int len = (int)name.len;
    return bh_fail("the run has no file `%.*s`: start it with --file %.*s=PATH", len, name.at, len, name.at);
}

bh_result bh_plan(const bh_step *step) {
    bh_text name = file_of(step);
    uint64_t size;
    bh_refusal refusal = bh_file_size(name, &size);
    if (refusal) return no_file(refusal, name);
    uint64_t count = bh_number(bh_member(step->config, "pieces"), 4);
    if (count > size) count = size;
    bh_spec *specs = bh_alloc(count * sizeof(bh_spec));
    for (uint64_t number = 0; number < count; number++) {
        bh_buffer key = {0}, input = {0};
        bh_add(&key, "piece-%" PRIu64, number + 1);
        bh_add(&input, "{\"from\":%" PRIu64 ",\"to\":%" PRIu64 "}", size * number / count, size * (number + 1) / count);
        specs[number] = (bh_spec){bh_text_of(&key), bh_text_of(&input)};
    }
    refusal = bh_spawn(specs, count);
    if (refusal) return bh_refused("spawn", refusal);
    bh_log(BH_INFO, "planned", "{\"pieces\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", count, size);
    return bh_ok(BH(""));
}

// A checkpoint is the place in the file, then a line for each word: how often, and the word.
static bh_refusal save(uint64_t at, const counts *counts) {
    bh_buffer data = {0};
    bh_add(&data, "%" PRIu64 "\n", at);
    for (size_t number = 0; number < counts->room; number++) {
        entry entry = counts->entries[number];
        if (!entry.times) continue;
        bh_add(&data, "%" PRIu64 " ", entry.times);
        // A word holds no line break.
        bh_add_text(&data, entry.word);
        bh_add_text(&data, BH("\n"));
    }
    bh_refusal refusal = bh_save_checkpoint(bh_text_of(&data));
    free(data.at);
    return refusal;
}

static uint64_t restore(bh_text data, counts *counts) {
    const char *at = data.at, *end = at + data.len;
    uint64_t place = strtoull(at, NULL, 10);
    while ((at = memchr(at, '\n', end - at)) && ++at < end) {
        char *word;
        uint64_t times = strtoull(at, &word, 10);
        const char *stop = memchr(at, '\n', end - at);
        count_word(counts, (bh_text){word + 1, stop - word - 1}, times);
    }
    return place;
}

bh_result bh_run(const bh_step *step, const bh_task *task) {
    bh_text mode = bh_string(bh_member(step->config, "drill"), BH("none"));
    bh_text name = file_of(step), kept, block;
    uint64_t from = bh_number(bh_member(task->input, "from"), 0), to = bh_number(bh_member(task->input, "to"), 0), at = from,
             size;
    bh_progress(0, to - from);
    bh_result failure;
    if (drill(mode, &failure)) return failure;
    bh_refusal refusal = bh_file_size(name, &size);
    if (refusal) return no_file(refusal, name);
    counts counts = {0};
    if ((refusal = bh_load_checkpoint(&kept))) return bh_refused("checkpoint", refusal);
    if (kept.at) {
        at = restore(kept, &counts);
        bh_log(BH_INFO, "going on from a checkpoint", "{\"at\":%" PRIu64 "}", at);
    } else if (from > 0) {
        if ((refusal = bh_read_file(name, from - 1, BLOCK, &block))) return bh_refused("artifacts", refusal);
        at = from - 1 + first_word(block);
    }
    while (at < to) {
        if (bh_cancelled()) return bh_fail("cancelled at byte %" PRIu64, at);
        if ((refusal = bh_read_file(name, at, BLOCK, &block))) return bh_refused("artifacts", refusal);
        size_t whole = whole_words(block, to - at, at + block.len == size);
        if (!whole) {
            bh_log(BH_WARN, "a word is longer than a block", "{\"at\":%" PRIu64 ",\"block\":%d}", at, BLOCK);
            whole = block.len;
        }
        count_words(&counts, (bh_text){block.at, whole});
        at += whole;
        bh_progress((at < to ? at : to) - from, to - from);
        if ((refusal = save(at, &counts))) return bh_refused("checkpoint", refusal);
        bh_log(BH_DEBUG, "block counted", "{\"at\":%" PRIu64 ",\"words\":%" PRIu64 "}", at, counts.total);
        if (drill_retries(mode) && step->attempt == 1) return bh_fail_for_now("the drill: the first attempt fails");
    }
    // What is no UTF-8 is told apart when it is written.
    sort_counts(&counts);
    bh_buffer output = {0};
    uint64_t top = bh_number(bh_member(step->config, "top"), 10), replaced = 0;
    bh_add(&output, "{\"bytes\":%" PRIu64 ",\"words\":%" PRIu64 ",\"distinct\":%zu,\"top\":[", to - from, counts.total,
           counts.distinct);
    for (size_t number = 0; number < counts.distinct; number++) {
        bh_buffer word = {0};
        bh_add_string(&word, counts.entries[number].word);
        replaced += memmem(word.at, word.len, "\xef\xbf\xbd", 3) != NULL;
        if (number < top) bh_add(&output, "%s[%s,%" PRIu64 "]", number ? "," : "", word.at, counts.entries[number].times);
        free(word.at);
    }
    bh_add(&output, "]}");
    if (replaced) bh_log(BH_WARN, "not all of it is UTF-8", "{\"replaced\":%" PRIu64 "}", replaced);
    bh_log(BH_INFO, "counted", "{\"words\":%" PRIu64 ",\"distinct\":%zu}", counts.total, counts.distinct);
    return bh_ok(bh_text_of(&output));
}
