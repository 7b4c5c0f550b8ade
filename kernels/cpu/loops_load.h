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

/* Values `first` .. first + count - 1 of a sample, in one pass over what they may be made of. */
ALWAYS_INLINE void load_values(const bpi_load_args *args, int64_t from, int64_t first, int64_t count, float *restrict x)
{
    const bpi_source *source = args->source;
    const float *restrict mean = args->mean ? args->mean + first : NULL;
    const float *restrict inv_std = args->mean ? args->inv_std + first : NULL;
    const uint8_t *restrict bytes = (const uint8_t *)source->x + from * source->inputs + first;
    const float *restrict values = (const float *)source->x + from * source->inputs + first;
    float divisor = source->divisor;
    if (source->x_type == BPI_TYPE_U8 && mean)
        for (int64_t i = 0; i < count; ++i)
            x[i] = ((float)bytes[i] / divisor - mean[i]) * inv_std[i];
    else if (source->x_type == BPI_TYPE_U8)
        for (int64_t i = 0; i < count; ++i)
            x[i] = (float)bytes[i] / divisor;
    else if (mean)
        for (int64_t i = 0; i < count; ++i)
            x[i] = (values[i] - mean[i]) * inv_std[i];
    else
        memcpy(x, values, (size_t)count * sizeof *x);
}

static void load_row(const bpi_load_args *args, int64_t from, float *x)
{
    int64_t inputs = args->source->inputs;
    load_values(args, from, 0, inputs, x);
    for (int64_t i = inputs; i < args->x.ld; ++i)
        x[i] = 0.0f;
}

static void load_short_row(const bpi_load_args *args, int64_t from, uint16_t *x)
{
    float piece[SHORT_PIECE];
    int64_t inputs = args->source->inputs;
    for (int64_t i = 0; i < inputs; i += SHORT_PIECE) {
        load_values(args, from, i, short_piece(inputs, i), piece);
        shorten(short_piece(inputs, i), piece, x + i);
    }
    for (int64_t i = inputs; i < args->x.ld; ++i)
        x[i] = 0;
}

static void load(const bpi_load_args *args, bool narrow, int64_t first, int64_t rows)
{
    const bpi_source *source = args->source;
    for (int64_t b = first; b < first + rows; ++b) {
        int64_t from = args->index ? args->index[b] : args->first + b;
        if (args->index && args->x.data && b + 1 < first + rows)
            fetch_ahead(source, args->index[b + 1]);
        if (args->x.data && narrow)
            load_short_row(args, from, (uint16_t *)args->x.data + b * args->x.ld);
        else if (args->x.data)
            load_row(args, from, (float *)args->x.data + b * args->x.ld);
        if (args->classes)
            args->classes[b] = source->classes[from];
        if (args->targets.data)
            memcpy((float *)args->targets.data + b * args->targets.ld, source->targets + from * source->target_cols,
                   (size_t)source->target_cols * sizeof(float));
    }
}
