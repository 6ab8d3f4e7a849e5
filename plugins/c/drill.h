#ifndef DRILL_H
#define DRILL_H

#include "bulkhead.h"

// Goes wrong as a mode says; whether the task is to end with `failure`. `none` and `retry` do nothing here.
bool drill(bh_text mode, bh_result *failure);
// Whether the first attempt is to fail after its first checkpoint.
bool drill_retries(bh_text mode);

#endif
