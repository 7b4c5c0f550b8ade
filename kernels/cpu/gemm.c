/* gemm.c: all calls of oneDNN (2.6; the matmul primitive). Nothing else in the library includes its header. Products
 * of bf16 in f32 are made of those of f32 (widened.c).
 *
 * oneDNN's own threading is not used: its split of a sum over threads makes the bits depend on their number. Products
 * run in one thread each; tasks are spread over threads by parallel.c. oneDNN takes one thread where it is called from
 * a parallel region, and where the calling thread's number of threads is 1, which run() sets for the time of the call.
 *
 * Its kernels for f32 pack operands into memory that they take from malloc in every call; that is not
 * in our hands, and not in the allocator's count. */
#include "kernels/cpu/widened.h"

#include <assert.h>
#include <omp.h>
#include <string.h>

#include <dnnl.h>

struct bpi_cpu_gemm_engine {
    dnnl_engine_t engine;
    dnnl_stream_t stream; /* of a CPU engine: without state, so one serves all threads */
    bp_allocator allocator;
    bpi_error *error;
    bpi_cpu_expand expand;
    int threads;
};

/* The operands of one thread: oneDNN wants the address inside of an object. */
typedef struct operands {
    dnnl_memory_t a, b, c, scratchpad;
} operands;

struct bpi_cpu_gemm {
    bpi_cpu_gemm_engine *engine;
    bpi_cpu_widened *widened; /* or NULL, and */
    dnnl_primitive_t primitive;
    operands per_thread[];
};

static const char *status_words(int code)
{
    switch (code) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not implemented for this shape or machine";
    case dnnl_runtime_error:
        return "failed at run time";
    case dnnl_not_required:
        return "not required";
    default:
        return "unknown status";
    }
}

bp_status bpi_cpu_gemm_fail(bpi_error *error, const char *what, int code)
{
    return bpi_fail(error, code == dnnl_out_of_memory ? BP_STATUS_OUT_OF_MEMORY : BP_STATUS_INTERNAL,
                    "backend cpu: oneDNN, %s: %s (status %d)", what, status_words(code), code);
}

void bpi_cpu_gemm_version(char *text, size_t bytes)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, bytes, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

/* oneDNN's answer holds DNNL_MAX_CPU_ISA in account, and that the operating system saves the registers. A higher set
 * has the bits of all below it. */
bpi_cpu_gemm_bf16 bpi_cpu_gemm_bf16_of_machine(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    unsigned amx = (unsigned)dnnl_cpu_isa_avx512_core_amx, avx512 = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
    return (isa & amx) == amx         ? BPI_CPU_GEMM_AMX_BF16
           : (isa & avx512) == avx512 ? BPI_CPU_GEMM_AVX512_BF16
                                      : BPI_CPU_GEMM_NO_BF16;
}

bool bpi_cpu_gemm_has_avx512(void)
{
    unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(), avx512 = (unsigned)dnnl_cpu_isa_avx512_core;
    return (isa & avx512) == avx512;
}

bp_status bpi_cpu_gemm_engine_create(const bp_allocator *allocator, int threads, bpi_cpu_expand expand,
                                     bpi_error *error, bpi_cpu_gemm_engine **result)
{
    bpi_cpu_gemm_engine *engine = allocator->allocate(allocator->user, sizeof *engine, 64);
    *result = NULL;
    if (!engine)
        return bpi_fail(error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes", sizeof *engine);
    memset(engine, 0, sizeof *engine);
    engine->allocator = *allocator;
    engine->error = error;
    engine->expand = expand;
    engine->threads = threads;
    dnnl_status_t code = dnnl_engine_create(&engine->engine, dnnl_cpu, 0);
    if (code == dnnl_success)
        code = dnnl_stream_create(&engine->stream, engine->engine, dnnl_stream_default_flags);
    if (code != dnnl_success) {
        bpi_cpu_gemm_engine_destroy(engine);
        return bpi_cpu_gemm_fail(error, "making an engine", (int)code);
    }
    *result = engine;
    return BP_STATUS_OK;
}

void bpi_cpu_gemm_engine_destroy(bpi_cpu_gemm_engine *engine)
{
    if (!engine)
        return;
    bp_allocator allocator = engine->allocator;
    if (engine->stream)
        dnnl_stream_destroy(engine->stream);
    if (engine->engine)
        dnnl_engine_destroy(engine->engine);
    allocator.release(allocator.user, engine, sizeof *engine);
}

static dnnl_status_t describe(dnnl_memory_desc_t *desc, dnnl_data_type_t type, int64_t rows, int64_t cols,
                              int64_t row_stride, int64_t col_stride)
{
    dnnl_dims_t dims = {rows, cols}, strides = {row_stride, col_stride};
    return dnnl_memory_desc_init_by_strides(desc, 2, dims, type, strides);
}

/* Memory for the kernel's temporaries is ours; with accumulate, c is added to what was there. */
static dnnl_status_t make_attributes(bool accumulate, dnnl_primitive_attr_t *attributes)
{
    dnnl_status_t code = dnnl_primitive_attr_create(attributes);
    if (code == dnnl_success)
        code = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (code != dnnl_success || !accumulate)
        return code;
    dnnl_post_ops_t post_ops = NULL;
    code = dnnl_post_ops_create(&post_ops);
    if (code == dnnl_success)
        code = dnnl_post_ops_append_sum(post_ops, 1.0f);
    if (code == dnnl_success)
        code = dnnl_primitive_attr_set_post_ops(*attributes, post_ops);
    if (post_ops)
        dnnl_post_ops_destroy(post_ops);
    return code;
}

typedef struct descriptors {
    dnnl_memory_desc_t a, b, c;
    dnnl_primitive_desc_t primitive;
} descriptors;

/* oneDNN plans for the number of threads that it sees here: one. */
static dnnl_status_t make_descriptors(const bpi_cpu_gemm_shape *shape, dnnl_engine_t engine, descriptors *d)
{
    dnnl_matmul_desc_t product;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_data_type_t type = shape->type == BPI_CPU_GEMM_BF16 ? dnnl_bf16 : dnnl_f32;
    dnnl_status_t code = describe(&d->a, type, shape->m, shape->k, shape->a_row_stride, shape->a_col_stride);
    if (code == dnnl_success)
        code = describe(&d->b, type, shape->k, shape->n, shape->b_row_stride, shape->b_col_stride);
    if (code == dnnl_success)
        code = describe(&d->c, dnnl_f32, shape->m, shape->n, shape->ld_c, 1);
    if (code == dnnl_success)
        code = dnnl_matmul_desc_init(&product, &d->a, &d->b, NULL, &d->c);
    if (code == dnnl_success)
        code = make_attributes(shape->accumulate, &attributes);
    if (code == dnnl_success)
        code = dnnl_primitive_desc_create(&d->primitive, &product, attributes, engine, NULL);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return code;
}

static size_t scratchpad_bytes(const_dnnl_primitive_desc_t primitive)
{
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(primitive, dnnl_query_scratchpad_md, 0);
    return ((scratchpad ? dnnl_memory_desc_get_size(scratchpad) : 0) + 63) / 64 * 64;
}

static dnnl_status_t make_operands(bpi_cpu_gemm *gemm, const descriptors *d)
{
    dnnl_engine_t engine = gemm->engine->engine;
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(d->primitive, dnnl_query_scratchpad_md, 0);
    dnnl_status_t code = dnnl_success;
    for (int t = 0; t < gemm->engine->threads && code == dnnl_success; ++t) {
        operands *own = &gemm->per_thread[t];
        code = dnnl_memory_create(&own->a, &d->a, engine, DNNL_MEMORY_NONE);
        if (code == dnnl_success)
            code = dnnl_memory_create(&own->b, &d->b, engine, DNNL_MEMORY_NONE);
        if (code == dnnl_success)
            code = dnnl_memory_create(&own->c, &d->c, engine, DNNL_MEMORY_NONE);
        if (code == dnnl_success && scratchpad_bytes(d->primitive))
            code = dnnl_memory_create(&own->scratchpad, scratchpad, engine, DNNL_MEMORY_NONE);
    }
    return code;
}

static size_t held_bytes(const bpi_cpu_gemm_engine *engine)
{
    return sizeof(bpi_cpu_gemm) + (size_t)engine->threads * sizeof(operands);
}

static bp_status build(bpi_cpu_gemm *gemm, const descriptors *d)
{
    bpi_cpu_gemm_engine *engine = gemm->engine;
    dnnl_status_t code = dnnl_primitive_create(&gemm->primitive, d->primitive);
    if (code == dnnl_success)
        code = make_operands(gemm, d);
    return code == dnnl_success ? BP_STATUS_OK : bpi_cpu_gemm_fail(engine->error, "making a matrix product", (int)code);
}

size_t bpi_cpu_gemm_scratchpad(bpi_cpu_gemm_engine *engine, const bpi_cpu_gemm_shape *shape)
{
    if (shape->type == BPI_CPU_GEMM_WIDENED)
        return bpi_cpu_widened_scratchpad(engine, shape);
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    descriptors d;
    memset(&d, 0, sizeof d);
    size_t bytes = make_descriptors(shape, engine->engine, &d) == dnnl_success ? scratchpad_bytes(d.primitive) : 0;
    if (d.primitive)
        dnnl_primitive_desc_destroy(d.primitive);
    omp_set_num_threads(threads);
    return bytes;
}

static bp_status describe_and_build(const bpi_cpu_gemm_shape *shape, bpi_cpu_gemm *gemm)
{
    bpi_cpu_gemm_engine *engine = gemm->engine;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    descriptors d;
    memset(&d, 0, sizeof d);
    dnnl_status_t code = make_descriptors(shape, engine->engine, &d);
    bp_status status = code == dnnl_success
                           ? build(gemm, &d)
                           : bpi_cpu_gemm_fail(engine->error, "describing a matrix product", (int)code);
    if (d.primitive)
        dnnl_primitive_desc_destroy(d.primitive);
    omp_set_num_threads(threads);
    return status;
}

bp_status bpi_cpu_gemm_create(bpi_cpu_gemm_engine *engine, const bpi_cpu_gemm_shape *shape, bpi_cpu_gemm **result)
{
    *result = NULL;
    bpi_cpu_gemm *gemm = engine->allocator.allocate(engine->allocator.user, held_bytes(engine), 64);
    if (!gemm)
        return bpi_fail(engine->error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes",
                        held_bytes(engine));
    memset(gemm, 0, held_bytes(engine));
    gemm->engine = engine;
    bp_status status = shape->type == BPI_CPU_GEMM_WIDENED
                           ? bpi_cpu_widened_create(engine, &engine->allocator, shape, engine->error, &gemm->widened)
                           : describe_and_build(shape, gemm);
    if (status != BP_STATUS_OK) {
        bpi_cpu_gemm_destroy(gemm);
        return status;
    }
    *result = gemm;
    return BP_STATUS_OK;
}

void bpi_cpu_gemm_destroy(bpi_cpu_gemm *gemm)
{
    if (!gemm)
        return;
    bpi_cpu_gemm_engine *engine = gemm->engine;
    for (int t = 0; t < engine->threads; ++t) {
        dnnl_memory_t all[] = {gemm->per_thread[t].a, gemm->per_thread[t].b, gemm->per_thread[t].c,
                               gemm->per_thread[t].scratchpad};
        for (int i = 0; i < 4; ++i)
            if (all[i])
                dnnl_memory_destroy(all[i]);
    }
    if (gemm->primitive)
        dnnl_primitive_destroy(gemm->primitive);
    bpi_cpu_widened_destroy(&engine->allocator, gemm->widened);
    engine->allocator.release(engine->allocator.user, gemm, held_bytes(engine));
}

/* oneDNN's handles are not const, also of what it only reads. */
static void *handle(const void *data)
{
    union {
        const void *from;
        void *to;
    } pointer = {data};
    return pointer.to;
}

int bpi_cpu_gemm_run(const bpi_cpu_gemm *gemm, int thread, void *scratchpad, const void *a, const void *b, float *c)
{
    assert(thread >= 0 && thread < gemm->engine->threads);
    if (gemm->widened)
        return bpi_cpu_widened_run(gemm->widened, gemm->engine->expand, thread, scratchpad, a, b, c);
    const operands *own = &gemm->per_thread[thread];
    assert(!own->scratchpad || scratchpad);
    dnnl_status_t code = dnnl_memory_set_data_handle(own->a, handle(a));
    if (code == dnnl_success)
        code = dnnl_memory_set_data_handle(own->b, handle(b));
    if (code == dnnl_success)
        code = dnnl_memory_set_data_handle(own->c, c);
    if (code == dnnl_success && own->scratchpad)
        code = dnnl_memory_set_data_handle(own->scratchpad, scratchpad);
    if (code != dnnl_success)
        return (int)code;
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, own->a},
                                   {DNNL_ARG_WEIGHTS, own->b},
                                   {DNNL_ARG_DST, own->c},
                                   {DNNL_ARG_SCRATCHPAD, own->scratchpad}};
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    code = dnnl_primitive_execute(gemm->primitive, gemm->engine->stream, own->scratchpad ? 4 : 3, arguments);
    omp_set_num_threads(threads);
    return (int)code;
}
