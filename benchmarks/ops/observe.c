/* observe.c: what an observed step does beside others: norm and update with sums by tensor, units that are off; see
 * ops.h.
 */
#include "benchmarks/ops/ops.h"

#include <stdlib.h>

static bp_status units(bpb_arrays *b)
{
    return b->ops->observe_units(b->backend, BP_ACTIVATION_SIGMOID, b->z.at, false, false, b->unit_counts);
}

static bp_status gradients(bpb_arrays *b)
{
    bpi_hyper hyper = bpb_hyper_of(BP_OPTIMIZER_SGD);
    return b->ops->observe_gradients(b->backend, &hyper, b->gradients.at.data,
                                     b->gradients.at.rows * b->gradients.at.ld, b->state, &b->observe);
}

static bp_status update(bpb_arrays *b)
{
    bpi_hyper hyper = bpb_hyper_of(BP_OPTIMIZER_SGD);
    bpi_update_args args = bpb_update_args_of(b, &hyper);
    return b->ops->observe_update(b->backend, &args, &b->observe);
}

/* The counts as parameters, in the place of a vector. */
static bpb_array counts_of(const bpb_arrays *b)
{
    int64_t outputs = b->shape.outputs;
    size_t size = bpi_type_bytes(b->d_b.type);
    int64_t *counts = malloc((size_t)outputs * sizeof *counts);
    char *image = malloc((size_t)outputs * size);
    if (counts && image &&
        b->ops->download(b->backend, b->unit_counts, (size_t)outputs * sizeof *counts, counts) == BP_STATUS_OK) {
        for (int64_t o = 0; o < outputs; ++o) {
            if (size == sizeof(double))
                ((double *)(void *)image)[o] = (double)counts[o];
            else
                ((float *)(void *)image)[o] = (float)counts[o];
        }
        if (b->ops->upload(b->backend, image, (size_t)outputs * size, b->d_b.at.data) != BP_STATUS_OK)
            fprintf(stderr, "bench_ops: the counts can't be brought back\n");
    }
    free(counts);
    free(image);
    return b->d_b;
}

/* Numbers of the one tensor's sums. */
static bpb_array square_sum_of(const bpb_arrays *b)
{
    return (bpb_array){{&b->observe.sums->square_sum, 1, 1, 1}, BPI_TYPE_F64};
}

static bpb_array weight_square_sum_of(const bpb_arrays *b)
{
    return (bpb_array){{&b->observe.sums->weight_square_sum, 1, 1, 1}, BPI_TYPE_F64};
}

const bpb_op bpb_observe_ops[] = {
    {.name = "observe_units sigmoid", .run = units, .result = counts_of, .outputs = 1},
    {.name = "observe_gradients", .run = gradients, .result = square_sum_of, .parameters = 1},
    {.name = "observe_update sgd momentum",
     .run = update,
     .prepare = gradients,
     .result = weight_square_sum_of,
     .parameters = 5},
    {.name = NULL},
};
