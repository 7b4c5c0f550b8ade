/* net.h: the option groups that describe a network, an optimiser and where both run, and what the library makes of
 * them. */
#ifndef CLI_NET_H
#define CLI_NET_H

#include <backprop/backprop.h>

#include "options.h"

enum { NET_COUNT = 7, NET_BRIEF_COUNT = 4, OPTIM_COUNT = 20, COMPUTE_COUNT = 4 };

extern const option_spec net_specs[NET_COUNT];             /* --layers is required */
extern const option_spec net_brief_specs[NET_BRIEF_COUNT]; /* for weights without metadata: nothing required */
extern const option_spec optim_specs[OPTIM_COUNT];
extern const option_spec compute_specs[COMPUTE_COUNT];

#define NET_GROUP                                                                                                      \
    {                                                                                                                  \
        "Network", net_specs, NET_COUNT                                                                                \
    }
#define OPTIM_GROUP                                                                                                    \
    {                                                                                                                  \
        "Optimiser", optim_specs, OPTIM_COUNT                                                                          \
    }
#define COMPUTE_GROUP                                                                                                  \
    {                                                                                                                  \
        "Where it runs", compute_specs, COMPUTE_COUNT                                                                  \
    }

/* Gives options whose default depends on another one their value, so that config.json holds it. */
void net_resolve(option_set *options);

/* Makes the context that --backend, --precision and --threads ask for. On failure *context is NULL. */
int net_context(const option_set *options, bp_context **context);

/* Makes the network of --layers for that many inputs. */
int net_model(const option_set *options, bp_context *context, int64_t inputs, bp_model **model);

/* The model of --model: by its own metadata, or by --layers and --loss where those are given. */
int net_load(const option_set *options, bp_context *context, int64_t inputs, bp_model **model);

/* Trainer options of OPTIM for steps_per_epoch steps an epoch. */
bp_trainer_options net_trainer_options(const option_set *options, int64_t steps_per_epoch);

#endif
