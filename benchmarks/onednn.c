/* onednn.c: see onednn.h. */
#include "benchmarks/onednn.h"

#include <dnnl.h>
#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>

struct bpb_onednn {
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t a, b, c;
};

static bool describe(dnnl_memory_desc_t *desc, dnnl_data_type_t type, int64_t rows, int64_t cols,
                     const int64_t strides[2])
{
    dnnl_dims_t dims = {rows, cols}, steps = {strides[0], strides[1]};
    return dnnl_memory_desc_init_by_strides(desc, 2, dims, type, steps) == dnnl_success;
}

static bool build(bpb_onednn *product, const dnnl_memory_desc_t desc[3], void *a, void *b, float *c)
{
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_desc_t plan = NULL;
    bool ok = dnnl_engine_create(&product->engine, dnnl_cpu, 0) == dnnl_success &&
              dnnl_stream_create(&product->stream, product->engine, dnnl_stream_default_flags) == dnnl_success &&
              dnnl_matmul_desc_init(&matmul, &desc[0], &desc[1], NULL, &desc[2]) == dnnl_success &&
              dnnl_primitive_desc_create(&plan, &matmul, NULL, product->engine, NULL) == dnnl_success &&
              dnnl_primitive_create(&product->primitive, plan) == dnnl_success &&
              dnnl_memory_create(&product->a, &desc[0], product->engine, a) == dnnl_success &&
              dnnl_memory_create(&product->b, &desc[1], product->engine, b) == dnnl_success &&
              dnnl_memory_create(&product->c, &desc[2], product->engine, c) == dnnl_success;
    if (plan)
        dnnl_primitive_desc_destroy(plan);
    return ok;
}

static bpb_onednn *create(dnnl_data_type_t type, int threads, int64_t m, int64_t n, int64_t k,
                          const int64_t a_strides[2], const int64_t b_strides[2], int64_t ld_c, void *a, void *b,
                          float *c)
{
    bpb_onednn *product = calloc(1, sizeof *product);
    dnnl_memory_desc_t desc[3];
    const int64_t c_strides[2] = {ld_c, 1};
    if (!product)
        return NULL;
    product->threads = threads;
    omp_set_num_threads(threads);
    if (describe(&desc[0], type, m, k, a_strides) && describe(&desc[1], type, k, n, b_strides) &&
        describe(&desc[2], dnnl_f32, m, n, c_strides) && build(product, desc, a, b, c))
        return product;
    bpb_onednn_destroy(product);
    return NULL;
}

bpb_onednn *bpb_onednn_create(int threads, int64_t m, int64_t n, int64_t k, const int64_t a_strides[2],
                              const int64_t b_strides[2], int64_t ld_c, float *a, float *b, float *c)
{
    return create(dnnl_f32, threads, m, n, k, a_strides, b_strides, ld_c, a, b, c);
}

bpb_onednn *bpb_onednn_create_bf16(int threads, int64_t m, int64_t n, int64_t k, const int64_t a_strides[2],
                                   const int64_t b_strides[2], int64_t ld_c, uint16_t *a, uint16_t *b, float *c)
{
    return create(dnnl_bf16, threads, m, n, k, a_strides, b_strides, ld_c, a, b, c);
}

int bpb_onednn_run(const bpb_onednn *product)
{
    dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, product->a}, {DNNL_ARG_WEIGHTS, product->b}, {DNNL_ARG_DST, product->c}};
    omp_set_num_threads(product->threads);
    if (dnnl_primitive_execute(product->primitive, product->stream, 3, arguments) != dnnl_success)
        return 1;
    return dnnl_stream_wait(product->stream) != dnnl_success;
}

void bpb_onednn_destroy(bpb_onednn *product)
{
    if (!product)
        return;
    dnnl_memory_t memory[] = {product->a, product->b, product->c};
    for (int i = 0; i < 3; ++i)
        if (memory[i])
            dnnl_memory_destroy(memory[i]);
    if (product->primitive)
        dnnl_primitive_destroy(product->primitive);
    if (product->stream)
        dnnl_stream_destroy(product->stream);
    if (product->engine)
        dnnl_engine_destroy(product->engine);
    free(product);
}
