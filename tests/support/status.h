/* status.h: asserts that a call returned a status, and with the words that must be in bp_last_error. */
#ifndef BPT_STATUS_H
#define BPT_STATUS_H

#include <criterion/criterion.h>
#include <string.h>

#include "backprop/backprop.h"

#define BPT_OK(context, call)                                                                                          \
    do {                                                                                                               \
        bp_status bpt_status_ = (call);                                                                                \
        cr_assert(bpt_status_ == BP_STATUS_OK, "%s: %s", bp_status_name(bpt_status_), bp_last_error(context));         \
    } while (0)

/* The text must hold `word` and be one line. */
#define BPT_FAILS(context, call, wanted, word, label)                                                                  \
    do {                                                                                                               \
        bp_status bpt_status_ = (call);                                                                                \
        const char *bpt_text_ = bp_last_error(context);                                                                \
        cr_assert(bpt_status_ == (wanted), "%s: got %s (%s), wanted %s", (label), bp_status_name(bpt_status_),         \
                  bpt_text_, bp_status_name(wanted));                                                                  \
        cr_assert(strstr(bpt_text_, (word)), "%s: \"%s\" does not hold \"%s\"", (label), bpt_text_, (word));           \
        cr_assert(!strchr(bpt_text_, '\n'), "%s: more than one line: %s", (label), bpt_text_);                         \
    } while (0)

#endif
