/* nonfinite.h: the first value that is not finite, as JSON. */
#ifndef CLI_NONFINITE_H
#define CLI_NONFINITE_H

#include <backprop/backprop.h>
#include <jansson.h>

/* {block, what, tensor, row, column, value: "nan", "inf" or "-inf", sample, text}; sample -1: none is named. */
json_t *nonfinite_json(const bp_nonfinite *place, int64_t sample);

#endif
