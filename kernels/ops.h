/* ops.h: the contract between host/ and the backends: one table of operations.
 *
 * Rules that hold for every entry
 *   memory     all arrays are the backend's memory (bpi_ops.allocate) unless the comment says host
 *   types      `activation` arrays (x, z, u, a, out, skips, delta, d_a, d_x) have traits.activation_type, `parameter`
 *              arrays (b, d_w, d_b, optimiser state, value targets) traits.parameter_type, and so has what is called
 *              wide: z, u, a and out of the last layer, which the loss reads; linear_* read w in traits.weight_type
 *   matrices   row-major with a leading dimension ld >= cols in elements; what lies between cols and ld is neither read
 *              nor written, except in parameter matrices, where it is zero and stays zero
 *   aliasing   outputs overlap no input unless the comment allows it
 *   order      an entry may return before the work is done; work of one lane is done in the order of the calls. Lane 0
 *              is the main one; only entries with a `lane` argument can run on lane 1, and lane_fork / lane_join order
 *              them
 *   repeat     the same bits on every run and for any number of threads; how a sum is split depends on shapes alone
 *   errors     a status, with the words in backend->error; shapes and pointers are the caller's duty (assert)
 *   NaN        NaN in an input reaches the outputs that depend on it
 *
 * The bounds in the comments are against exact arithmetic on the same inputs; u is the unit roundoff of the
 * accumulation (2^-24 for f32 and bf16 inputs, 2^-53 for f64), gamma(n) = n u / (1 - n u); docs/numerics.md derives
 * them, and kernels/bounds.h has them as functions. */
#ifndef BPI_OPS_H
#define BPI_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backprop/context.h"
#include "backprop/model.h"
#include "backprop/train.h"
#include "error.h"

#define BPI_OPS_VERSION 8

typedef enum bpi_type { BPI_TYPE_F64, BPI_TYPE_F32, BPI_TYPE_BF16, BPI_TYPE_U8 } bpi_type;

static inline size_t bpi_type_bytes(bpi_type type)
{
    return type == BPI_TYPE_F64 ? 8 : type == BPI_TYPE_F32 ? 4 : type == BPI_TYPE_BF16 ? 2 : 1;
}

/* Whether an activation's derivative is taken from z itself, or from a = f(z): BP_ACTIVATION_LIST. */
static inline bool bpi_activation_saves_z(bp_activation activation)
{
#define BPI_SAVES_Z(ENUM, name, saves_z) saves_z,
    static const bool saves[] = {BP_ACTIVATION_LIST(BPI_SAVES_Z)};
#undef BPI_SAVES_Z
    return saves[activation];
}

typedef struct bpi_matrix {
    void *data;
    int64_t rows, cols, ld;
} bpi_matrix;

/* What a backend is made with; all of it outlives the backend. */
typedef struct bpi_backend_options {
    bp_precision precision; /* never DEFAULT */
    int threads;            /* >= 1 */
    bp_allocator allocator; /* complete: never zeroed */
    bpi_error *error;
    bool emulate_bf16; /* see bp_context_options */
} bpi_backend_options;

typedef struct bpi_traits {
    bpi_type activation_type, parameter_type;
    bpi_type weight_type; /* parameter_type; or shorter, and then linear_* read the copy that convert_weights makes */
    int64_t alignment;    /* leading dimensions that the host chooses are multiples of this many elements (16 bytes) */
    bool host_memory;     /* the backend's memory is the host's: a source's rows may serve as x where they lie */
    bool block_bias;  /* block_forward and block_backward add the bias of the layer: linear_forward is not given it */
    bool timed;       /* linear_time's seconds are a device's own, and not an emulator's */
    char engine[128]; /* "oneDNN 2.6.3, AVX2, 2 threads" */
} bpi_traits;

typedef struct bpi_ops bpi_ops;

/* The head of every backend's own struct. */
typedef struct bpi_backend {
    const bpi_ops *ops;
    bpi_error *error;
    bpi_traits traits;
} bpi_backend;

/* ---------------------------------------------------------------- the step's scalars */

/* What a step does whose gradients hold NaN or infinity: changes nothing; or is made all the same; or changes nothing,
 * and neither does any step behind it until the host takes `nonfinite` back: so that a host that hears of it late finds
 * the parameters as they were. */
typedef enum bpi_nonfinite_rule { BPI_NONFINITE_SKIP, BPI_NONFINITE_APPLY, BPI_NONFINITE_HOLD } bpi_nonfinite_rule;

/* Constant for the life of a trainer; host memory, read during the call. All options resolved: no zero means a default.
 */
typedef struct bpi_hyper {
    bp_optimizer optimizer;
    double lr, momentum, beta1, beta2, epsilon, weight_decay;
    bool nesterov;
    double clip_norm, clip_value; /* 0: off */
    bp_schedule schedule;
    int64_t warmup_steps, total_steps, schedule_step;
    double schedule_gamma;
    double average_decay; /* of the moving averages, once they have warmed up: update */
    bpi_nonfinite_rule on_nonfinite;
} bpi_hyper;

/* Lives in the backend's memory, one a trainer; plain bytes for upload and download. */
typedef struct bpi_step_state {
    int64_t step;       /* steps done */
    double loss_sum;    /* sum of the loss over this step's samples so far, times the scale given to `loss` */
    int64_t correct;    /* right classes so far */
    int64_t passes;     /* forward passes of this step that move running values */
    double grad_norm;   /* written by update_prepare, as the rest below */
    double clip_factor; /* min(1, clip_norm / (grad_norm + 1e-6)), 1 where off */
    double lr;          /* of this step */
    double bias_correction1, bias_correction2; /* 1 - beta^step, for adam and adamw; 1 for sgd */
    int64_t nonfinite; /* 1: the gradients hold NaN or infinity; update then changes nothing and step stays */
    int64_t held;      /* steps since then that changed nothing either: BPI_NONFINITE_HOLD */
    int64_t batches;   /* forward passes that the running values have followed: of the steps that were made */
} bpi_step_state;

/* Batch norm's running values while a step moves them: block_forward works on a copy, which update takes over where the
 * step is made. Arrays in the backend's memory, parameter_type. */
typedef struct bpi_running {
    const void *kept; /* [count] as the last step that was made left them */
    void *moved;      /* [count] the copy */
    int64_t count;    /* a multiple of traits.alignment */
    int64_t passes;   /* forward passes of the step: its parts */
} bpi_running;

/* ---------------------------------------------------------------- arguments of the larger operations */

/* Ways to run the products of a layer besides the plain one (a product, and one pass over its result), where a backend
 * has several (bpi_ops.linear_way). A set of them is a mask of 1u << way.
 * FORWARD  linear_forward has bias and activation in the product
 * DELTA    linear_hidden_delta has the derivative and the bias gradient of the layer below in the product; for relu it
 *          reads the signs that linear_forward_mask of that layer left
 * BIAS     linear_weight_bias_grad makes the bias gradient with the weight gradient
 * SPLIT    linear_weight_grad is several products over parts of the rows at once, added up in order; not with BIAS
 * ONE_LANE the weight gradient does not leave lane 0 */
typedef enum bpi_way {
    BPI_WAY_FORWARD,
    BPI_WAY_DELTA,
    BPI_WAY_BIAS,
    BPI_WAY_SPLIT,
    BPI_WAY_ONE_LANE,
    BPI_WAYS
} bpi_way;

static inline bool bpi_goes(unsigned ways, bpi_way way)
{
    return (ways >> way & 1u) != 0;
}

/* A linear layer with its activation, for one number of rows. B rows, I inputs, O outputs. */
typedef struct bpi_linear_spec {
    int64_t rows, inputs, outputs;
    int64_t ld_x, ld_w, ld_a; /* of x; of w and d_w; of z and a */
    int64_t ld_d_x, ld_delta;
    bool bias;
    bp_activation activation;
    float slope;
    bool wide;       /* z and a are wide; delta never is */
    bool gradients;  /* false: forward alone will be called */
    bool input_grad; /* linear_input_grad will be called */
    unsigned ways;   /* that the host chose: 0 is the plain one */
    bool keeps_mask; /* linear_forward_mask will be called: the layer above goes BPI_WAY_DELTA */
    bool below_runs; /* linear_hidden_delta may be called, and the layer below is one of */
    bp_activation below;
    bool below_bias; /* args->d_b will be wanted of it */
} bpi_linear_spec;

/* The signs of z, a bit an element, as they stand in `mask`: row b begins at bit b * bpi_mask_ld, element o is bit o of
 * it, the lowest bit of a byte first; 1 where z > 0. */
static inline int64_t bpi_mask_ld(int64_t cols)
{
    return (cols + 127) / 128 * 128;
}

static inline size_t bpi_mask_bytes(int64_t rows, int64_t cols)
{
    return (size_t)(rows * (bpi_mask_ld(cols) / 8));
}

/* Scratch of a backend: what an operation on lane 0 works in; and what weight gradients do, which may run beside it. */
typedef struct bpi_workspace {
    size_t bytes, weight_bytes;
} bpi_workspace;

typedef struct bpi_linear_plan bpi_linear_plan; /* each backend defines its own */
typedef struct bpi_readback bpi_readback;       /* likewise */

typedef struct bpi_activation_args {
    bp_activation activation;
    float slope;
    bpi_matrix saved; /* [B,O] a = f(z), or z where BP_ACTIVATION_LIST says saves_z */
    bpi_matrix d_a;   /* [B,O] dL/da */
    bpi_matrix delta; /* [B,O] out: d_a * f'(z); may be d_a itself */
    void *d_b;        /* [O] out: column sums of delta; NULL: not wanted */
    bool accumulate;  /* d_b += instead of = */
    bool wide;        /* `saved` is */
    const void *mask; /* linear_hidden_delta on BPI_WAY_DELTA, relu: what linear_forward_mask left; else NULL */
} bpi_activation_args;

/* What a block does after its product where it does more than an activation:
 *   y = norm(u),  a = f(y),  out = dropout(a) + skip
 * Batch norm and layer norm as torch.nn.BatchNorm1d and LayerNorm define them: xhat = (u - mean) * inv_std over the B
 * rows of a column, or the O columns of a row; inv_std = 1 / sqrt(var + epsilon) with the biased variance; y = gamma
 * xhat + beta; running = (1 - momentum) running + momentum * (mean, unbiased variance B / (B - 1)). In evaluation batch
 * norm takes the running values, and nothing is dropped. Inverted dropout: out = keep ? a / (1 - p) : 0. Element (b, o)
 * is kept where word[o % 4] of the Philox4x32-10 block with key `seed`, counter (first_row + b) * ceil(O / 4) + o / 4
 * (low 64 bits) and (state->step << 16 | layer) (high 64 bits) is at least p 2^32, rounded down. The same in forward
 * and backward of a step, and on every backend. */
typedef struct bpi_block_spec {
    bp_activation activation;
    float slope;
    bp_norm norm;
    double norm_epsilon, norm_momentum;
    float dropout; /* p; 0: none */
} bpi_block_spec;

typedef struct bpi_dropout_key {
    uint64_t seed, layer; /* layer < 2^16 */
    const bpi_step_state *state;
    int64_t first_row; /* of this part in the step's batch */
} bpi_dropout_key;

typedef struct bpi_block_args {
    bpi_block_spec spec;
    bool training;
    bpi_matrix u;                     /* [B,O] x w^T + b */
    const void *bias;                 /* [O] parameter_type: u is without b, which is added wherever u is read, and u
                                         stays as it is; NULL unless traits.block_bias */
    const void *gamma, *beta;         /* [O] parameter_type; NULL without norm */
    void *running_mean, *running_var; /* [O] parameter_type, batch norm: moved in training (NULL: not wanted), used in
                                         evaluation */
    void *mean, *inv_std;             /* out: [O] batch norm, [B] layer norm; parameter_type; NULL without norm */
    bpi_dropout_key key;
    bpi_matrix skip; /* [B,O]; data NULL: none */
    bpi_matrix a;    /* out: may be u where there is no norm and the activation does not save z */
    bpi_matrix out;  /* out: may be a where there is neither dropout nor skip */
    bool wide;       /* u, a and out are; the skip is not */
} bpi_block_args;

typedef struct bpi_block_grad_args {
    bpi_block_spec spec;
    bpi_matrix u, a;  /* as forward left them, in training; u is not read where it may have been a */
    const void *bias; /* as in forward */
    const void *gamma, *beta, *mean, *inv_std;
    bpi_dropout_key key;
    bpi_matrix d_out;       /* [B,O] dL/d out */
    bpi_matrix d_out_skip;  /* [B,O] what later blocks' skips add to it; data NULL: nothing */
    bpi_matrix d_skip;      /* [B,O] out: dL/d out, for the block that this one's skip comes from; data NULL */
    bool d_skip_accumulate; /* += instead of = */
    bpi_matrix delta;       /* [B,O] out: dL/du; may be d_out itself */
    void *d_gamma, *d_beta; /* [O] out; NULL without norm */
    void *d_b;              /* [O] out: column sums of delta; NULL: not wanted */
    bool accumulate;        /* d_gamma, d_beta, d_b: += instead of = */
    bool wide;              /* u and a are; all else is not */
} bpi_block_grad_args;

typedef struct bpi_loss_args {
    bp_loss loss;
    float label_smoothing, huber_delta;
    bpi_matrix z;           /* [B,O] what the network puts out; wide */
    const int64_t *classes; /* [B], or NULL and */
    bpi_matrix targets;     /* [B,O] parameter_type */
    double scale;     /* 1/m, m the samples of the whole step; for the losses that are means over elements 1/(m O) */
    bpi_matrix delta; /* [B,O] out: scale * dl/dz; data NULL: not wanted; may be z itself where their types agree */
    void *d_b;        /* [O] out: column sums of delta; NULL: not wanted */
    bool accumulate;  /* d_b += instead of = */
    bpi_step_state *state; /* loss_sum += scale * sum of l; correct += rows whose largest z (the first of equals) is at
                              the class, or at the largest target; for bce with O = 1: (z > 0) == (t > 0.5) */
} bpi_loss_args;

/* Samples in host memory. */
typedef struct bpi_source {
    const void *x; /* [N, inputs] dense, x_type F32 or U8 */
    bpi_type x_type;
    float divisor; /* U8: the value is x / divisor */
    int64_t rows, inputs;
    const int64_t *classes; /* [N] or NULL */
    const float *targets;   /* [N, target_cols] or NULL */
    int64_t target_cols;
    void *resident; /* the backend's own copy, made by source_prepare; NULL otherwise */
} bpi_source;

typedef struct bpi_load_args {
    const bpi_source *source;
    const int64_t *index; /* host [rows]: which samples; NULL: first, first + 1, ... */
    int64_t first, rows;
    const float *mean, *inv_std; /* backend memory, f32 [inputs]; NULL: taken as they are */
    bpi_matrix x;                /* out [rows, inputs]: (value - mean) * inv_std; between cols and ld: zero */
    int64_t *classes;            /* out [rows], or NULL */
    bpi_matrix targets;          /* out [rows, target_cols], parameter_type, or data NULL */
} bpi_load_args;

/* Parameters as one array: count elements, padding included. */
typedef struct bpi_update_args {
    const bpi_hyper *hyper;
    bpi_step_state *state;
    int64_t count;
    int64_t decayed;  /* the first so many of them get weight decay: a multiple of traits.alignment */
    void *parameters; /* in and out */
    const void *gradients;
    void *state1;        /* momentum buffer, or first moment; NULL for sgd without momentum */
    void *state2;        /* second moment; NULL for sgd */
    int64_t whole;       /* elements of parameters, and of average, with the running values that lie behind the first
                            `count`: >= count; where it is more, count is a multiple of traits.alignment */
    const void *running; /* [whole - count] what becomes of the running values; NULL: they stay as they are */
    void *average;       /* [whole] moving averages of the parameters and of the running values; NULL: none wanted */
    void *weights;       /* out: as convert_weights would make it of the new parameters; NULL: not wanted */
} bpi_update_args;

/* ---------------------------------------------------------------- what an observed step is looked at for */

/* One tensor in the arrays of parameters, gradients and optimiser state: elements [offset, offset + count), padding
 * included. */
typedef struct bpi_observed_range {
    int64_t offset, count;
} bpi_observed_range;

/* What is summed over a tensor, padding (zeros) included. Figures of the gradient are those before any clipping, over
 * its finite elements. */
typedef struct bpi_tensor_sums {
    double square_sum, sum, largest; /* of g^2, of g; the largest |g| */
    int64_t zeros, nonfinite;        /* elements that are 0; that are NaN or infinite */
    double weight_square_sum;        /* of the parameters before the update */
    double move_square_sum;          /* of what the update added to them */
} bpi_tensor_sums;

/* All arrays in the backend's memory; they stay valid as long as a graph that was recorded with them. */
typedef struct bpi_observe_args {
    const bpi_observed_range *ranges; /* [tensors], one behind the other, from element 0 to the last; offsets and
                                         counts are multiples of traits.alignment */
    int64_t tensors;
    bpi_tensor_sums *sums; /* [tensors] out */
    void *scratch;         /* observe_scratch_bytes */
} bpi_observe_args;

/* Units that pass (nearly) no gradient on: relu where a = 0; sigmoid where a < 1/64 or a > 63/64, tanh where |a| >
 * 31/32: there the derivative is below 1/16 of its largest value. */
#define BPI_SATURATED_SIGMOID (1.0f / 64.0f)
#define BPI_SATURATED_TANH (31.0f / 32.0f)

/* ---------------------------------------------------------------- the table */

struct bpi_ops {
    uint32_t version; /* BPI_OPS_VERSION */
    size_t struct_size;
    const char *name;

    /* ---- life and memory ---- */

    /* errors    UNSUPPORTED (precision), OUT_OF_MEMORY, NOT_FOUND, DEVICE */
    bp_status (*create)(const bpi_backend_options *options, bpi_backend **backend);
    void (*destroy)(bpi_backend *backend);

    /* allocate: zeroed, aligned to 64 bytes. release accepts NULL. */
    bp_status (*allocate)(bpi_backend *backend, size_t bytes, void **memory);
    void (*release)(bpi_backend *backend, void *memory, size_t bytes);

    /* upload: host to backend, in the order of lane 0; `source` may be reused on return. download waits for all lanes.
     */
    bp_status (*upload)(bpi_backend *backend, const void *source, size_t bytes, void *destination);
    bp_status (*download)(bpi_backend *backend, const void *source, size_t bytes, void *destination);
    bp_status (*zero)(bpi_backend *backend, void *memory, size_t bytes);
    bp_status (*synchronize)(bpi_backend *backend);

    /* Orders lane 1 after all that lane 0 was given so far; and lane 0 after lane 1. */
    bp_status (*lane_fork)(bpi_backend *backend);
    bp_status (*lane_join)(bpi_backend *backend);

    /* workspace_bytes: what one call on these shapes, on any of spec->ways, needs; params counts the parameter array.
     * reserve makes the workspace at least that large (never smaller) and is called before any operation on these
     * shapes. Fewer rows may need more of it where memory is the host's; on a device they do not. */
    bpi_workspace (*workspace_bytes)(bpi_backend *backend, const bpi_linear_spec *spec, int64_t parameter_count);
    bp_status (*reserve)(bpi_backend *backend, bpi_workspace workspace);

    /* ---- samples ---- */

    /* source_prepare: may make a copy in the backend's memory, to be released by source_release. Optional: NULL. */
    bp_status (*source_prepare)(bpi_backend *backend, bpi_source *source);
    void (*source_release)(bpi_backend *backend, bpi_source *source);

    /* load: a batch out of a source; x.data NULL: its classes and targets alone. Same bits on cpu and cuda (one
     * subtraction, one product). */
    bp_status (*load)(bpi_backend *backend, const bpi_load_args *args);

    /* ---- linear layer ---- */

    /* A plan holds all that can be decided and allocated before the first step. linear_unplan accepts NULL. */
    bp_status (*linear_plan)(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **plan);
    void (*linear_unplan)(bpi_backend *backend, bpi_linear_plan *plan);

    /* convert_weights: the parameters in weight_type, rounded to nearest even; count elements, padding included. NULL
     * where weight_type is parameter_type. */
    bp_status (*convert_weights)(bpi_backend *backend, const void *parameters, int64_t count, void *weights);

    /* linear_forward: z[b,o] = sum_i x[b,i] w[o,i] + b[o];  a = f(z)
     * shapes    x [B,I], w [O,I], bias [O] or NULL, z [B,O] only where the activation saves z (else NULL), a [B,O]
     * order     |z err| <= gamma(I+1) (sum_i |x||w| + |b|), then the bound of the activation; a backend may round the
     *           product to the type of z before it adds b */
    bp_status (*linear_forward)(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                const void *bias, void *z, void *a);

    /* linear_input_grad: d_x[b,i] = sum_o delta[b,o] w[o,i]
     * order     |err| <= gamma(O) sum_o |delta||w| */
    bp_status (*linear_input_grad)(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta, const void *w,
                                   void *d_x);

    /* linear_weight_grad: d_w[o,i] = sum_b delta[b,o] x[b,i]; adds to d_w when accumulate. Runs on `lane`.
     * ensures   padding of d_w stays zero
     * order     |err| <= gamma(B) sum_b |delta||x|, gamma(B+1) and |d_w| in the sum when accumulate */
    bp_status (*linear_weight_grad)(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                    const void *x, bool accumulate, void *d_w);

    /* ---- element-wise ---- */

    /* activation_forward: a = f(z); a may be z. */
    bp_status (*activation_forward)(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix z,
                                    bpi_matrix a);

    /* activation_backward: delta = d_a * f'(z) and d_b[o] = sum_b delta[b,o], in one pass
     * order     |d_b err| <= gamma(B) sum_b |delta|, gamma(B+1) and |d_b| in the sum when accumulate */
    bp_status (*activation_backward)(bpi_backend *backend, const bpi_activation_args *args);

    /* The three parts of it on their own, for programs that link the operations.
     * activation_derivative: derivative = f'(z) from `saved`; may be saved itself
     * hadamard: product = left * right; may be either of them
     * bias_grad: d_b[o] = sum_b delta[b,o]; adds when accumulate */
    bp_status (*activation_derivative)(bpi_backend *backend, bp_activation activation, float slope, bpi_matrix saved,
                                       bpi_matrix derivative);
    bp_status (*hadamard)(bpi_backend *backend, bpi_matrix left, bpi_matrix right, bpi_matrix product);
    bp_status (*bias_grad)(bpi_backend *backend, bpi_matrix delta, bool accumulate, void *d_b);

    /* ---- loss ---- */

    /* step_begin: state->loss_sum = 0, state->correct = 0, state->passes = running->passes, moved = kept; running NULL:
     * nothing moves, passes = 0. */
    bp_status (*step_begin)(bpi_backend *backend, bpi_step_state *state, const bpi_running *running);

    /* loss: value and error in one pass, always from z, in the stable form. */
    bp_status (*loss)(bpi_backend *backend, const bpi_loss_args *args);

    /* ---- update ---- */

    /* update_prepare: grad_norm over all gradients (clamped to +-clip_value first where that is on), clip factor,
     * nonfinite, step + 1 and batches + passes (unless nonfinite), learning rate and bias corrections of this step,
     * into the state. With BPI_NONFINITE_APPLY nonfinite stays 0; with BPI_NONFINITE_HOLD, where it is 1 before, held
     * grows by 1 and nothing else changes.
     * order     partial sums in f64: relative error of the norm <= count * 2^-53 */
    bp_status (*update_prepare)(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                bpi_step_state *state);

    /* update: clamp, clip, decay and move all parameters, and their state, in one pass; and, in the same one, take over
     * the running values, and average = decay average + (1 - decay) parameters, running values included, with
     * decay = min(average_decay, (1 + step) / (10 + step)), and 0 in step 1. Nothing where state->nonfinite. */
    bp_status (*update)(bpi_backend *backend, const bpi_update_args *args);

    /* ---- observed steps ---- */

    /* observe_units: counts[o] = number of rows in which unit o is off (see BPI_SATURATED_SIGMOID); adds when
     * accumulate. activation is relu, sigmoid or tanh, a [B,O] its values, wide or not. NaN is not off. The comparisons
     * are exact. */
    bp_status (*observe_units)(bpi_backend *backend, bp_activation activation, bpi_matrix a, bool wide, bool accumulate,
                               int64_t *counts);

    /* What observe_gradients and observe_update want in args->scratch for arrays of `count` elements. */
    size_t (*observe_scratch_bytes)(bpi_backend *backend, int64_t count, int64_t tensors);

    /* observe_gradients: update_prepare, with the same bits in the state, and in the same pass over the gradients their
     * sums by tensor.
     * order     sums in f64: relative error of square_sum <= count * 2^-53, |err| of sum <= count * 2^-53 * sum |g| */
    bp_status (*observe_gradients)(bpi_backend *backend, const bpi_hyper *hyper, const void *gradients, int64_t count,
                                   bpi_step_state *state, const bpi_observe_args *args);

    /* observe_update: update, with the same bits in all arrays, and weight_square_sum and move_square_sum by tensor.
     * order     sums in f64, of the difference between the parameter after and before */
    bp_status (*observe_update)(bpi_backend *backend, const bpi_update_args *update, const bpi_observe_args *args);

    /* ---- optional: NULL where a backend has none ---- */

    /* Copies to the host that nobody waits for, where the backend runs behind the host; without them, download waits
     * for nothing. readback_copy brings bytes to `offset` in the order of lane 0, readback_seal ends the copies of one
     * use, and readback_poll has them: *data NULL while they are on their way, unless it should wait. */
    bp_status (*readback_create)(bpi_backend *backend, size_t bytes, bpi_readback **readback);
    void (*readback_destroy)(bpi_backend *backend, bpi_readback *readback); /* accepts NULL */
    bp_status (*readback_copy)(bpi_backend *backend, bpi_readback *readback, size_t offset, const void *source,
                               size_t bytes);
    bp_status (*readback_seal)(bpi_backend *backend, bpi_readback *readback);
    bp_status (*readback_poll)(bpi_backend *backend, bpi_readback *readback, bool wait, const void **data);

    /* block_forward, block_backward: see bpi_block_spec. Without them a backend runs no blocks with norm, dropout or
     * skip.
     * requires  batch norm in training: B >= 2
     * order     means and variances in two passes or by an equivalent that does not cancel; docs/numerics.md */
    bp_status (*block_forward)(bpi_backend *backend, const bpi_block_args *args);
    bp_status (*block_backward)(bpi_backend *backend, const bpi_block_grad_args *args);

    /* leading_dimension: the ld that suits a matrix of `cols` columns best, a multiple of traits.alignment; without it,
     * the smallest such multiple. Rows that lie a multiple of 512 bytes apart compete for the same lines of a cache.
     * of_errors  the matrix is a delta or d_x; else samples, activations or weights */
    int64_t (*leading_dimension)(const bpi_backend *backend, int64_t cols, bool of_errors);

    /* part_rows: in how large parts a step on `rows` rows should be walked, 1 <= the result <= rows, where a row of the
     * pass takes row_bytes in all arrays together: small enough for the activations of a part to stay in the cache
     * between two layers. Depends on its arguments alone. Without it: all rows at once. */
    int64_t (*part_rows)(const bpi_backend *backend, int64_t rows, size_t row_bytes);

    /* linear_hidden_delta: linear_input_grad and, on its result while it is in the cache, activation_backward of the
     * layer below: args->delta [B,I] = (delta w) * f'(args->saved), args->d_b as there. args->d_a is not looked at.
     * ensures   delta within the bounds of the two calls, and the same bits where the backend has one way alone; d_b
     *           within the bound of activation_backward. On BPI_WAY_DELTA a unit whose sign is off passes 0 on, also
     *           where dL/da is NaN, which then is in the gradients of the layer above. */
    bp_status (*linear_hidden_delta)(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                     const void *w, const bpi_activation_args *args);

    /* linear_way: whether the operations of `spec` can go this way; where not, `why` has the reason in words. It looks
     * at nothing but the spec, and not at spec->ways. Without it there is one way alone, and linear_hidden_delta, where
     * there is one, is always it; with it, linear_hidden_delta is called on BPI_WAY_DELTA alone.
     * requires  of the ways that join something: all arrays start on 16 bytes */
    bool (*linear_way)(bpi_backend *backend, const bpi_linear_spec *spec, bpi_way way, bpi_error *why);

    /* linear_time: the seconds that a layer of `spec`, on spec->ways, takes forward; or backward: the weight gradient
     * and, where spec->below_runs, the error term of the layer below with its derivative and bias gradient. On arrays
     * of its own, which are gone afterwards; waits for the device. Not while recording.
     * errors    UNSUPPORTED (the way loses NaN, or what linear_way says), OUT_OF_MEMORY, DEVICE */
    bp_status (*linear_time)(bpi_backend *backend, const bpi_linear_spec *spec, bool backward, double *seconds);

    /* linear_forward_mask: linear_forward of a relu on BPI_WAY_FORWARD, and the signs of z into `mask`
     * ensures   bits between cols and bpi_mask_ld are any; a as linear_forward on that way */
    bp_status (*linear_forward_mask)(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                     const void *bias, void *a, void *mask);

    /* linear_weight_bias_grad: linear_weight_grad, and d_b[o] = sum_b delta[b,o] with it; on BPI_WAY_BIAS
     * order     as linear_weight_grad and bias_grad */
    bp_status (*linear_weight_bias_grad)(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                         const void *x, bool accumulate, void *d_w, void *d_b);

    /* memory_free: bytes that allocate could still give, where it gives memory that is scarce. */
    bp_status (*memory_free)(bpi_backend *backend, size_t *bytes);

    /* What is called between begin and end is recorded, not run; launch runs it again with the same arguments. */
    bp_status (*capture_begin)(bpi_backend *backend);
    bp_status (*capture_end)(bpi_backend *backend, void **graph);
    bp_status (*graph_launch)(bpi_backend *backend, void *graph);
    void (*graph_release)(bpi_backend *backend, void *graph);
};

/* The leading dimension of a matrix of `cols` columns: see bpi_ops.leading_dimension. */
static inline int64_t bpi_ld_of(const bpi_backend *backend, int64_t cols, bool of_errors)
{
    int64_t alignment = backend->traits.alignment;
    if (backend->ops->leading_dimension)
        return backend->ops->leading_dimension(backend, cols, of_errors);
    return (cols + alignment - 1) / alignment * alignment;
}

/* The symbol that a plug-in exports, and the tables that are built in. */
#define BPI_PLUGIN_SYMBOL "bpi_plugin_ops"
typedef const bpi_ops *(*bpi_plugin_entry)(void);

const bpi_ops *bpi_reference_ops(void);
const bpi_ops *bpi_cpu_ops(void);

#endif
