// What can go wrong, on purpose: how Bulkhead tells each of them apart is the same in every language.
#include "drill.h"

#include <string.h>
#include <time.h>

static bool is(bh_text text, const char *word) { return text.len == strlen(word) && !memcmp(text.at, word, text.len); }

static void sleep_for(long milliseconds) {
    struct timespec pause = {0, milliseconds * 1000000};
    nanosleep(&pause, NULL);
}

// Calls itself without end.
#pragma clang diagnostic ignored "-Winfinite-recursion"
// NOLINTNEXTLINE(misc-no-recursion)
static int deeper(volatile int *above) {
    volatile int here[16] = {*above + 1};
    return deeper(here) + here[0];
}

bool drill(bh_text mode, bh_result *failure) {
    if (is(mode, "panic")) bh_panic("the drill: the boiler burst");
    if (is(mode, "error")) {
        *failure = bh_fail("the drill: there is no pump");
        return true;
    }
    if (is(mode, "memory")) {
        for (;;) memset(bh_alloc(1 << 20), 1, 1 << 20);
    }
    if (is(mode, "loop")) {
        for (volatile int spin = 0;; spin = !spin) {
        }
    }
    if (is(mode, "recursion")) {
        volatile int start = 0;
        deeper(&start);
    }
    if (is(mode, "sleep")) sleep_for(300);
    if (is(mode, "cancel")) {
        while (!bh_cancelled()) sleep_for(10);
        bh_log(BH_WARN, "cancelled: ending in order", NULL);
        *failure = bh_fail("it was cancelled");
        return true;
    }
    return false;
}

bool drill_retries(bh_text mode) { return is(mode, "retry"); }
