/* load.c: picks samples out of a source in host memory, standardises them, and lays them out as the network's input. */
#include "kernels/reference/reference.h"

#include <assert.h>

static double source_value(const bpi_source *source, int64_t row, int64_t i)
{
    int64_t at = row * source->inputs + i;
    if (source->x_type == BPI_TYPE_U8)
        return (double)((const uint8_t *)source->x)[at] / (double)source->divisor;
    assert(source->x_type == BPI_TYPE_F32);
    return (double)((const float *)source->x)[at];
}

static void load_inputs(const bpi_load_args *args, int64_t row, double *x)
{
    int64_t inputs = args->source->inputs;
    for (int64_t i = 0; i < inputs; ++i) {
        double value = source_value(args->source, row, i);
        x[i] = args->mean ? (value - (double)args->mean[i]) * (double)args->inv_std[i] : value;
    }
    for (int64_t i = inputs; i < args->x.ld; ++i)
        x[i] = 0.0;
}

bp_status bpi_reference_load(bpi_backend *backend, const bpi_load_args *args)
{
    (void)backend;
    const bpi_source *source = args->source;
    assert(!args->mean == !args->inv_std && args->x.cols == source->inputs);
    for (int64_t b = 0; b < args->rows; ++b) {
        int64_t row = args->index ? args->index[b] : args->first + b;
        assert(row >= 0 && row < source->rows);
        load_inputs(args, row, bpi_reference_row(args->x, b));
        if (args->classes)
            args->classes[b] = source->classes[row];
        if (args->targets.data)
            for (int64_t t = 0; t < source->target_cols; ++t)
                bpi_reference_row(args->targets, b)[t] = (double)source->targets[row * source->target_cols + t];
    }
    return BP_STATUS_OK;
}
