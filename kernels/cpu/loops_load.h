/* loops_load.h: samples out of a source into a batch. Included by loops_table.h alone. */
#include "kernels/cpu/loops.h"

#include <string.h>

/* A sample that lies somewhere else than the one before: ask for it while that one is worked on. */
static void fetch_ahead(const bpi_source *source, int64_t from)
{
    size_t bytes = (size_t)source->inputs * (source->x_type == BPI_TYPE_U8 ? 1 : sizeof(float));
    const char *begin = (const char *)source->x + (size_t)from * bytes;
    for (size_t at = 0; at < bytes && at < 4096; at += 64)
        __builtin_prefetch(begin + at);
}

/* In one pass over what a row may be made of. */
ALWAYS_INLINE void load_inputs(const bpi_load_args *args, int64_t from, float *restrict x)
{
    const bpi_source *source = args->source;
    const float *restrict mean = args->mean, *restrict inv_std = args->inv_std;
    const uint8_t *restrict bytes = (const uint8_t *)source->x + from * source->inputs;
    const float *restrict values = (const float *)source->x + from * source->inputs;
    int64_t inputs = source->inputs;
    float divisor = source->divisor;
    if (source->x_type == BPI_TYPE_U8 && mean)
        for (int64_t i = 0; i < inputs; ++i)
            x[i] = ((float)bytes[i] / divisor - mean[i]) * inv_std[i];
    else if (source->x_type == BPI_TYPE_U8)
        for (int64_t i = 0; i < inputs; ++i)
            x[i] = (float)bytes[i] / divisor;
    else if (mean)
        for (int64_t i = 0; i < inputs; ++i)
            x[i] = (values[i] - mean[i]) * inv_std[i];
    else
        memcpy(x, values, (size_t)inputs * sizeof *x);
    for (int64_t i = inputs; i < args->x.ld; ++i)
        x[i] = 0.0f;
}

static void load(const bpi_load_args *args, int64_t first, int64_t rows)
{
    const bpi_source *source = args->source;
    for (int64_t b = first; b < first + rows; ++b) {
        int64_t from = args->index ? args->index[b] : args->first + b;
        if (args->index && args->x.data && b + 1 < first + rows)
            fetch_ahead(source, args->index[b + 1]);
        if (args->x.data)
            load_inputs(args, from, (float *)args->x.data + b * args->x.ld);
        if (args->classes)
            args->classes[b] = source->classes[from];
        if (args->targets.data)
            memcpy((float *)args->targets.data + b * args->targets.ld, source->targets + from * source->target_cols,
                   (size_t)source->target_cols * sizeof(float));
    }
}
