/* golden.h: the JSON files that PyTorch made, tests/golden. */
#ifndef BPT_GOLDEN_H
#define BPT_GOLDEN_H

#include <jansson.h>
#include <stdint.h>

/* tests/golden/NAME; fails the test where it can't be read. To be given to json_decref. */
json_t *bpt_golden_load(const char *name);

/* All numbers of an array, nested ones in their order; fails the test where there are not `count`. Made by
 * bpt_doubles. */
double *bpt_golden_doubles(const json_t *array, int64_t count);

/* A number or a truth value of an object; `otherwise` where there is no such key. */
double bpt_golden_number(const json_t *object, const char *key, double otherwise);

#endif
