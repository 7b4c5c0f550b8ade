/* block.h: what follows the product in a block, for the tests of block_forward and block_backward: a case, its inputs,
 * what a device makes of them, and what long double makes of them, with the bound of every element.
 *
 * Arrays are dense, [rows, cols], [cols] or, of a norm, one for each of its groups. */
#ifndef BPT_BLOCK_H
#define BPT_BLOCK_H

#include "kernels/bounds_block.h"
#include "support/matrix.h"
#include "support/shapes.h"

typedef struct bpt_block {
    bpi_block_spec spec;
    int64_t rows, cols;
    bool evaluation, skip;
    bool in_place;      /* whatever may be in place is */
    bool keeps_running; /* batch norm in training: the running statistics are not wanted */
    bool wide;          /* u, a and out are, as in the last layer */
    bool d_out_skip;    /* a later block's skip takes this one's output */
    bool d_skip_added;  /* d_skip holds something already */
    bool accumulate, no_bias;
    uint64_t seed, layer;
    int64_t step, first_row;
    int64_t extra;        /* of the leading dimensions */
    bool starts_anywhere; /* extra counts elements; else 16 bytes */
    bool in_sectors;      /* extra counts sectors of 32 bytes */
} bpt_block;

typedef struct bpt_block_inputs {
    double *u, *gamma, *beta, *running_mean, *running_var, *skip;
    double *bias; /* traits.block_bias: to be added to u; NULL: u has it */
    double *d_out, *d_out_skip;
    double *d_skip, *d_gamma, *d_beta, *d_b; /* what stands there before, for what accumulates */
} bpt_block_inputs;

/* Values, or the bounds of values. */
typedef struct bpt_block_forward {
    double *mean, *inv_std, *running_mean, *running_var, *a, *out;
} bpt_block_forward;

typedef struct bpt_block_backward {
    double *delta, *d_skip, *d_gamma, *d_beta, *d_b;
} bpt_block_backward;

/* NULL: a backend without blocks. Prints why the test goes on without it. */
bool bpt_has_blocks(const bpt_device *device, const char *test);

/* The i-th way to be combined of norm, dropout, skip, running statistics, aliasing and accumulation; the shape and the
 * activation are the caller's. */
enum { BPT_BLOCK_WAYS = 24 };
bpt_block bpt_block_way(int way, bpt_shape shape, bp_activation activation);
/* The same for the first three ways, one of each norm, of a shape at which a thread of cuda takes several rounds of
 * rows, the last of them in part: of single elements where rows start anywhere, and of rows in registers. */
bpt_block bpt_block_rounds(int way);

int64_t bpt_block_groups(const bpt_block *block);
const char *bpt_block_words(const bpt_block *block); /* for messages; a static buffer */

bpt_block_inputs bpt_block_random(const bpi_traits *traits, const bpt_block *block, uint64_t seed);

/* 1 / (1 - p) or 0: by kernels/math/philox.h, which test_math_random holds to the published answers. */
double bpt_block_factor(const bpt_block *block, int64_t b, int64_t o);

/* On a device; backward with the a, mean and inv_std of `saved`. */
bpt_block_forward bpt_block_run_forward(bpt_device *device, const bpt_block *block, const bpt_block_inputs *in);
bpt_block_backward bpt_block_run_backward(bpt_device *device, const bpt_block *block, const bpt_block_inputs *in,
                                          const bpt_block_forward *saved);

/* ---- block_exact.c, block_exact_backward.c: in long double ---- */

/* bound NULL: not wanted */
bpt_block_forward bpt_block_exact_forward(const bpi_roundoff *r, const bpt_block *block, const bpt_block_inputs *in,
                                          bpt_block_forward *bound);

/* The gradient of sum (d_out + d_out_skip) out, with f' from saved->a where the activation keeps it. saved->mean and
 * saved->inv_std are the exact ones rounded once to `type`. */
bpt_block_backward bpt_block_exact_backward(const bpi_roundoff *r, bpi_type type, const bpt_block *block,
                                            const bpt_block_inputs *in, const bpt_block_forward *saved,
                                            bpt_block_backward *bound);

/* sum (d_out + d_out_skip) out */
long double bpt_block_exact_objective(const bpt_block *block, const bpt_block_inputs *in);

#endif
