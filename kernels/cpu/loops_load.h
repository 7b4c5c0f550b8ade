/* loops_load.h: samples out of a source into a batch. Included by loops_table.h alone. */
#include "kernels/cpu/loops.h"

#include <string.h>

ALWAYS_INLINE void load_inputs(const bpi_load_args *args, int64_t from, float *restrict x)
{
    const bpi_source *source = args->source;
    int64_t inputs = source->inputs;
    if (source->x_type == BPI_TYPE_U8) {
        const uint8_t *bytes = (const uint8_t *)source->x + from * inputs;
        for (int64_t i = 0; i < inputs; ++i)
            x[i] = (float)bytes[i] / source->divisor;
    } else {
        memcpy(x, (const float *)source->x + from * inputs, (size_t)inputs * sizeof *x);
    }
    if (args->mean) {
        const float *restrict mean = args->mean, *restrict inv_std = args->inv_std;
        for (int64_t i = 0; i < inputs; ++i)
            x[i] = (x[i] - mean[i]) * inv_std[i];
    }
    for (int64_t i = inputs; i < args->x.ld; ++i)
        x[i] = 0.0f;
}

static void load(const bpi_load_args *args, int64_t first, int64_t rows)
{
    const bpi_source *source = args->source;
    for (int64_t b = first; b < first + rows; ++b) {
        int64_t from = args->index ? args->index[b] : args->first + b;
        if (args->x.data)
            load_inputs(args, from, (float *)args->x.data + b * args->x.ld);
        if (args->classes)
            args->classes[b] = source->classes[from];
        if (args->targets.data)
            memcpy((float *)args->targets.data + b * args->targets.ld, source->targets + from * source->target_cols,
                   (size_t)source->target_cols * sizeof(float));
    }
}
