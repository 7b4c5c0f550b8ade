/* run.h: small networks and seeded data for the tests of the library as its users see it. */
#ifndef BPT_RUN_H
#define BPT_RUN_H

#include "backprop/backprop.h"

/* Fails the test with the context's words where a call did not return OK. */
void bpt_ok(bp_context *context, bp_status status, const char *what);
#define BPT_OK(context, call) bpt_ok((context), (call), #call)

/* A context on a backend; fails the test where it can't be made. */
bp_context *bpt_context(const char *backend, int threads);

/* A classification problem that can be learned: x uniform in [-1,1), the class of a sample is the arg max of a fixed
 * random linear map of it. */
bp_data *bpt_classes(bp_context *context, int64_t rows, int64_t inputs, int64_t classes, uint64_t seed);

/* All parameters of a model, in file order, dense; free() it. */
double *bpt_model_parameters(bp_context *context, const bp_model *model, int64_t *count);

#endif
