/* subject.h: one network with samples on the cpu backend, its step, and its products alone: what bench_step and
 * bench_peer time. */
#ifndef BPB_SUBJECT_H
#define BPB_SUBJECT_H

#include "backprop/backprop.h"
#include "benchmarks/core/harness.h"
#include "benchmarks/products.h"

typedef struct bpb_setup {
    int64_t inputs, batch;
    const char *layers;
    bp_loss loss;
    bp_optimizer optimizer; /* sgd with momentum 0.9, or what it is; the learning rate is 1e-3, the norm clipped at 1 */
    const char *x, *y, *weights; /* files; NULL: random numbers */
    bool products;               /* made too: on the cpu backend in f32 */
} bpb_setup;

typedef struct bpb_step_subject {
    bpb_setup setup;
    bp_context *context;
    int layers;
    int64_t widths[BPB_MOST_LAYERS + 1];
    float *x, *targets;
    int64_t *classes;
    bp_data *data; /* where setup.x is given */
    bp_model *model;
    bp_trainer *trainer;
    bp_memory_plan plan;
    int64_t
        peak_bytes; /* what the process grew by at most in making the trainer and in its first steps; 0: not known */
    bpb_products products;
} bpb_step_subject;

/* false: says on stderr what failed; destroy takes what was made so far. */
bool bpb_step_create(bp_context *context, const bpb_setup *setup, bpb_step_subject *subject);
void bpb_step_destroy(bpb_step_subject *subject);

/* For bpb_alternate: a whole step; its products in the backend; its products in oneDNN alone. user: the subject. */
bool bpb_step_run(void *user, int64_t repeats);
bool bpb_step_run_products(void *user, int64_t repeats);
bool bpb_step_run_onednn(void *user, int64_t repeats);

#endif
