/* source.h: DATA: which samples, and loading them. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <backprop/backprop.h>

#include "options.h"

enum { SOURCE_COUNT = 7, SOURCE_TEST_COUNT = 4 };

extern const option_spec source_specs[SOURCE_COUNT];
extern const option_spec source_test_specs[SOURCE_TEST_COUNT];

#define SOURCE_GROUP                                                                                                   \
    {                                                                                                                  \
        "Data (one of --data, --x and --y, --csv and --target, --idx)", source_specs, SOURCE_COUNT                     \
    }
#define SOURCE_TEST_GROUP                                                                                              \
    {                                                                                                                  \
        "Test data (fashion-mnist brings its own)", source_test_specs, SOURCE_TEST_COUNT                               \
    }

/* Exactly one source, whole, and a test set of the same kind or none. */
int source_check(const option_set *options);

/* Where options name a source, clears the one that `base` has: a source is replaced as a whole. */
void source_replace(option_set *base, const option_set *options);

/* --data's part, or the training samples of the other sources. */
int source_load(const option_set *options, bp_context *context, const char *part, bp_data **data);

/* The test set; *data is NULL where there is none. */
int source_load_test(const option_set *options, bp_context *context, bp_data **data);

/* "fashion-mnist", "images.csv": what to call the source in words. */
const char *source_name(const option_set *options);

#endif
