/* settings.c: see settings.h. */
#include "benchmarks/settings.h"

#include <stdlib.h>
#include <string.h>

bool bpb_settings_take(bpb_settings *settings, int count, char **words, int *i)
{
    const char *word = words[*i];
    bool value = *i + 1 < count;
    if (word[0] != '-' && !settings->only) {
        settings->only = word;
        return true;
    }
    if (strcmp(word, "--threads") == 0 && value)
        settings->threads = atoi(words[++*i]);
    else if (strcmp(word, "--seconds") == 0 && value)
        settings->seconds = atof(words[++*i]);
    else if (strcmp(word, "--optimizer") == 0 && value)
        settings->optimizer = strcmp(words[++*i], "adamw") == 0 ? BP_OPTIMIZER_ADAMW : BP_OPTIMIZER_SGD;
    else
        return false;
    return true;
}

bool bpb_settings_valid(const bpb_settings *settings)
{
    return settings->threads >= 1 && settings->seconds > 0.0;
}

const char *bpb_optimizer_words(bp_optimizer optimizer)
{
    return optimizer == BP_OPTIMIZER_SGD ? "SGD with momentum" : "AdamW";
}
