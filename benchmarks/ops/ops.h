/* ops.h: the operations of kernels/ops.h as things to time: arrays of one shape on one backend, and what each operation
 * computes and moves. One file a family; bench_ops.c runs them. */
#ifndef BPB_OPS_H
#define BPB_OPS_H

#include "backprop/backprop.h"
#include "kernels/ops.h"

typedef struct bpb_shape {
    int64_t batch, inputs, outputs;
} bpb_shape;

/* An array in the backend's memory. */
typedef struct bpb_array {
    bpi_matrix at;
    bpi_type type;
} bpb_array;

enum { BPB_MOST_ARRAYS = 32 };

typedef struct bpb_arrays {
    bpi_backend *backend;
    const bpi_ops *ops;
    bpb_shape shape;
    bpb_array x, d_x;                                  /* [B,I] activations */
    bpb_array z, a, d_a, delta, out;                   /* [B,O] activations */
    bpb_array targets;                                 /* [B,O] parameters, in [0,1) */
    bpb_array w, d_w;                                  /* [O,I] parameters */
    bpb_array bias, d_b, gamma, beta, d_gamma, d_beta; /* [O] parameters */
    bpb_array running_mean, running_var;               /* [O] */
    bpb_array mean, inv_std;                           /* [max(B,I,O)] */
    bpb_array parameters, gradients, state1, state2;   /* [B,O] parameters */
    bpb_array weights;                                 /* [B,O] of the type that products read */
    bpi_observe_args observe;                          /* parameters as one tensor */
    int64_t *unit_counts;                              /* [O] */
    int64_t *classes;                                  /* [B] */
    bpi_step_state *state;
    bpi_source source; /* of x, in host memory */
    float *host_x;
    bpi_linear_plan *plan; /* with bias and relu */
    struct {
        void *memory;
        size_t bytes;
    } held[BPB_MOST_ARRAYS];
    int held_count;
} bpb_arrays;

/* All arrays with random numbers, the same on every backend but for rounding. false: *status and the backend's error
 * say what failed; free takes what there is. */
bp_status bpb_arrays_create(bpi_backend *backend, bpb_shape shape, bpb_arrays *arrays);
void bpb_arrays_destroy(bpb_arrays *arrays);

/* An operation, and its work in multiples: FLOPs of products in B I O; elements read and written in [B,I], [B,O], [O,I]
 * and parameters' [B,O]. The least that it must do: what lies in both is counted once. */
typedef struct bpb_op {
    const char *name; /* the entry in the table, then what is special */
    bp_status (*run)(bpb_arrays *arrays);
    bp_status (*prepare)(bpb_arrays *arrays);      /* once, before; NULL: nothing */
    bpb_array (*result)(const bpb_arrays *arrays); /* what the reference must agree with */
    bool (*available)(const bpi_ops *ops);         /* NULL: every backend has it */
    double products, inputs, outputs, weights, parameters;
} bpb_op;

/* Each ends with a NULL name. */
extern const bpb_op bpb_linear_ops[], bpb_elementwise_ops[], bpb_loss_ops[], bpb_update_ops[], bpb_block_ops[],
    bpb_observe_ops[];

/* update.c: what the update is timed with. */
bpi_hyper bpb_hyper_of(bp_optimizer optimizer);
bpi_update_args bpb_update_args_of(bpb_arrays *arrays, const bpi_hyper *hyper);

#endif
