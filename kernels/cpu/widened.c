/* widened.c: see widened.h. The sum over k is taken in slabs, as equal as they can be; which they are follows from the
 * shape alone. */
#include "kernels/cpu/widened.h"

#include <assert.h>
#include <string.h>

#include "kernels/cpu/partition.h"

/* Of both sides of a slab together. */
#define SLAB_FLOATS ((int64_t)3 << 18)

struct bpi_cpu_widened {
    bpi_cpu_gemm_shape shape;
    int64_t slab;
    bpi_cpu_gemm *gemm[2][2]; /* [last slab][accumulate], each where it is needed */
};

static int64_t slab_of(const bpi_cpu_gemm_shape *shape)
{
    int64_t fitting = SLAB_FLOATS / (shape->m + shape->n);
    fitting = fitting < 64 ? 64 : fitting;
    int64_t slabs = (shape->k + fitting - 1) / fitting;
    return bpi_cpu_round_up((shape->k + slabs - 1) / slabs, 16);
}

static bool a_is_turned(const bpi_cpu_gemm_shape *shape)
{
    return shape->a_col_stride != 1;
}

static bool b_is_turned(const bpi_cpu_gemm_shape *shape)
{
    return shape->b_col_stride != 1;
}

/* Of f32, over k .. k + length of the sum; both sides lie by themselves. */
static bpi_cpu_gemm_shape shape_of_slab(const bpi_cpu_gemm_shape *whole, int64_t length, bool accumulate)
{
    int64_t slab = slab_of(whole);
    bpi_cpu_gemm_shape shape = *whole;
    shape.type = BPI_CPU_GEMM_F32;
    shape.k = length;
    shape.accumulate = accumulate;
    shape.a_row_stride = a_is_turned(whole) ? 1 : bpi_cpu_float_ld(slab);
    shape.a_col_stride = a_is_turned(whole) ? bpi_cpu_float_ld(whole->m) : 1;
    shape.b_row_stride = b_is_turned(whole) ? 1 : bpi_cpu_float_ld(whole->n);
    shape.b_col_stride = b_is_turned(whole) ? bpi_cpu_float_ld(slab) : 1;
    return shape;
}

static int64_t a_floats(const bpi_cpu_gemm_shape *shape)
{
    int64_t slab = slab_of(shape);
    return a_is_turned(shape) ? slab * bpi_cpu_float_ld(shape->m) : shape->m * bpi_cpu_float_ld(slab);
}

static int64_t b_floats(const bpi_cpu_gemm_shape *shape)
{
    int64_t slab = slab_of(shape);
    return b_is_turned(shape) ? shape->n * bpi_cpu_float_ld(slab) : slab * bpi_cpu_float_ld(shape->n);
}

/* Calls for each product that is needed: the first slab adds to c where the whole does, the others always. */
static bp_status visit(const bpi_cpu_gemm_shape *whole,
                       bp_status (*each)(void *context, const bpi_cpu_gemm_shape *shape, bool last, bool accumulate),
                       void *context)
{
    int64_t slab = slab_of(whole), slabs = (whole->k + slab - 1) / slab;
    for (int64_t s = 0; s < slabs; s += s == 0 && slabs > 3 ? slabs - 2 : 1) { /* the first, one more, the last */
        bool last = s == slabs - 1, accumulate = s > 0 || whole->accumulate;
        bpi_cpu_gemm_shape shape = shape_of_slab(whole, last ? whole->k - s * slab : slab, accumulate);
        bp_status status = each(context, &shape, last, accumulate);
        if (status != BP_STATUS_OK)
            return status;
    }
    return BP_STATUS_OK;
}

typedef struct largest {
    bpi_cpu_gemm_engine *engine;
    size_t bytes;
} largest;

static bp_status measure(void *context, const bpi_cpu_gemm_shape *shape, bool last, bool accumulate)
{
    (void)last, (void)accumulate;
    largest *work = context;
    size_t bytes = bpi_cpu_gemm_scratchpad(work->engine, shape);
    work->bytes = bytes > work->bytes ? bytes : work->bytes;
    return BP_STATUS_OK;
}

size_t bpi_cpu_widened_scratchpad(bpi_cpu_gemm_engine *engine, const bpi_cpu_gemm_shape *shape)
{
    largest work = {engine, 0};
    (void)visit(shape, measure, &work);
    return (size_t)(a_floats(shape) + b_floats(shape)) * sizeof(float) + work.bytes;
}

typedef struct making {
    bpi_cpu_gemm_engine *engine;
    bpi_cpu_widened *widened;
} making;

static bp_status make(void *context, const bpi_cpu_gemm_shape *shape, bool last, bool accumulate)
{
    making *work = context;
    bpi_cpu_gemm **gemm = &work->widened->gemm[last][accumulate];
    return *gemm ? BP_STATUS_OK : bpi_cpu_gemm_create(work->engine, shape, gemm);
}

bp_status bpi_cpu_widened_create(bpi_cpu_gemm_engine *engine, const bp_allocator *allocator,
                                 const bpi_cpu_gemm_shape *shape, bpi_error *error, bpi_cpu_widened **result)
{
    bpi_cpu_widened *widened = allocator->allocate(allocator->user, sizeof *widened, 64);
    *result = widened;
    if (!widened)
        return bpi_fail(error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes", sizeof *widened);
    memset(widened, 0, sizeof *widened);
    widened->shape = *shape;
    widened->slab = slab_of(shape);
    return visit(shape, make, &(making){engine, widened});
}

void bpi_cpu_widened_destroy(const bp_allocator *allocator, bpi_cpu_widened *widened)
{
    if (!widened)
        return;
    for (int i = 0; i < 4; ++i)
        bpi_cpu_gemm_destroy(widened->gemm[i >> 1][i & 1]);
    allocator->release(allocator->user, widened, sizeof *widened);
}

static void expand_rows(bpi_cpu_expand expand, int64_t rows, int64_t cols, const uint16_t *from, int64_t ld_from,
                        float *to, int64_t ld_to)
{
    for (int64_t r = 0; r < rows; ++r)
        expand(cols, from + r * ld_from, to + r * ld_to);
}

int bpi_cpu_widened_run(const bpi_cpu_widened *widened, bpi_cpu_expand expand, int thread, void *scratchpad,
                        const uint16_t *a, const uint16_t *b, float *c)
{
    const bpi_cpu_gemm_shape *s = &widened->shape;
    int64_t slab = widened->slab;
    float *wide_a = scratchpad, *wide_b = wide_a + a_floats(s);
    void *rest = wide_b + b_floats(s);
    assert(scratchpad);
    for (int64_t k = 0; k < s->k; k += slab) {
        int64_t length = s->k - k < slab ? s->k - k : slab;
        if (a_is_turned(s))
            expand_rows(expand, length, s->m, a + k * s->a_col_stride, s->a_col_stride, wide_a, bpi_cpu_float_ld(s->m));
        else
            expand_rows(expand, s->m, length, a + k, s->a_row_stride, wide_a, bpi_cpu_float_ld(slab));
        if (b_is_turned(s))
            expand_rows(expand, s->n, length, b + k, s->b_col_stride, wide_b, bpi_cpu_float_ld(slab));
        else
            expand_rows(expand, length, s->n, b + k * s->b_row_stride, s->b_row_stride, wide_b, bpi_cpu_float_ld(s->n));
        const bpi_cpu_gemm *gemm = widened->gemm[k + length == s->k][k > 0 || s->accumulate];
        int code = bpi_cpu_gemm_run(gemm, thread, rest, wide_a, wide_b, c);
        if (code)
            return code;
    }
    return 0;
}
