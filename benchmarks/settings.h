/* settings.h: what the programs that time whole steps are told in the same words. */
#ifndef BPB_SETTINGS_H
#define BPB_SETTINGS_H

#include <stdbool.h>

#include "backprop/train.h"

typedef struct bpb_settings {
    int threads;
    double seconds; /* for each network */
    bp_optimizer optimizer;
    const char *only; /* networks whose layers hold this; NULL: all */
} bpb_settings;

/* Takes words[*i], and its value, where it is --threads N, --seconds S, --optimizer sgd|adamw or the first WORD, and
 * leaves *i at the last of them; false: it is none of these. */
bool bpb_settings_take(bpb_settings *settings, int count, char **words, int *i);

/* Whether they make sense together. */
bool bpb_settings_valid(const bpb_settings *settings);

/* "SGD with momentum" */
const char *bpb_optimizer_words(bp_optimizer optimizer);

#endif
