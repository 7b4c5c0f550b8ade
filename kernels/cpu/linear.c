/* linear.c: plans of linear layers, the forward product, and the error with respect to the input.
 *
 * Products run over tiles of rows. What follows element by element (bias and activation, or derivative and bias
 * gradient) is done on each tile while it is in the cache. oneDNN could do bias and ReLU itself, but its ReLU loses
 * NaN, and its kernels for machines without AVX-512 do them in a pass of their own as well. */
#include "kernels/cpu/linear.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

static bp_status plan_tiled(bpi_cpu *cpu, bpi_cpu_rows cut, bpi_cpu_gemm_shape shape, bpi_cpu_tiled *tiled)
{
    tiled->cut = cut;
    shape.m = cut.tile;
    BPI_TRY(bpi_cpu_gemm_create(cpu->engine, &shape, &tiled->whole));
    shape.m = cut.rows % cut.tile;
    if (shape.m)
        BPI_TRY(bpi_cpu_gemm_create(cpu->engine, &shape, &tiled->rest));
    return BP_STATUS_OK;
}

static bp_status plan_products(bpi_cpu *cpu, bpi_linear_plan *plan)
{
    const bpi_linear_spec *spec = &plan->spec;
    bpi_cpu_gemm_shape forward = {.n = spec->outputs,
                                  .k = spec->inputs,
                                  .a_row_stride = spec->ld_x,
                                  .a_col_stride = 1,
                                  .b_row_stride = 1,
                                  .b_col_stride = spec->ld_w,
                                  .ld_c = spec->ld_a};
    BPI_TRY(plan_tiled(cpu, bpi_cpu_rows_of_forward(spec), forward, &plan->forward));
    if (spec->gradients && spec->input_grad) {
        bpi_cpu_gemm_shape input_grad = {.n = spec->inputs,
                                         .k = spec->outputs,
                                         .a_row_stride = spec->ld_a,
                                         .a_col_stride = 1,
                                         .b_row_stride = spec->ld_w,
                                         .b_col_stride = 1,
                                         .ld_c = spec->ld_x};
        BPI_TRY(plan_tiled(cpu, bpi_cpu_rows_of_input_grad(spec), input_grad, &plan->input_grad));
    }
    return spec->gradients ? bpi_cpu_weight_grad_plan(cpu, plan) : BP_STATUS_OK;
}

bp_status bpi_cpu_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **result)
{
    assert(spec->rows >= 1 && spec->inputs >= 1 && spec->outputs >= 1);
    assert(spec->ld_x >= spec->inputs && spec->ld_w >= spec->inputs && spec->ld_a >= spec->outputs);
    bpi_cpu *cpu = bpi_cpu_of(backend);
    *result = NULL;
    bpi_linear_plan *plan = cpu->allocator.allocate(cpu->allocator.user, sizeof *plan, 64);
    if (!plan)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes", sizeof *plan);
    memset(plan, 0, sizeof *plan);
    plan->spec = *spec;
    bp_status status = plan_products(cpu, plan);
    if (status != BP_STATUS_OK) {
        bpi_cpu_linear_unplan(backend, plan);
        return status;
    }
    *result = plan;
    return BP_STATUS_OK;
}

void bpi_cpu_linear_unplan(bpi_backend *backend, bpi_linear_plan *plan)
{
    if (!plan)
        return;
    bpi_cpu_gemm_destroy(plan->forward.whole);
    bpi_cpu_gemm_destroy(plan->forward.rest);
    bpi_cpu_gemm_destroy(plan->input_grad.whole);
    bpi_cpu_gemm_destroy(plan->input_grad.rest);
    bpi_cpu_weight_grad_unplan(plan);
    bpi_cpu *cpu = bpi_cpu_of(backend);
    cpu->allocator.release(cpu->allocator.user, plan, sizeof *plan);
}

/* ---- running over tiles ---- */

typedef struct product {
    bpi_cpu *cpu;
    const bpi_cpu_tiled *tiled;
    const float *left, *right; /* [rows,k] and the weights */
    int64_t ld_left;
    float *out;
    int64_t ld_out, cols;
    /* forward: */
    const bpi_linear_spec *spec;
    const float *bias;
    float *a;
    /* hidden delta: */
    const bpi_activation_args *below;
    float *column_sums; /* [groups, sums_stride] */
    int64_t sums_stride;
    atomic_int code; /* of oneDNN, the first that is not 0 */
} product;

static void multiply(product *work, int64_t first, int64_t rows, int thread)
{
    const bpi_cpu_tiled *tiled = work->tiled;
    const bpi_cpu_gemm *gemm = rows == tiled->cut.tile ? tiled->whole : tiled->rest;
    int code = bpi_cpu_gemm_run(gemm, thread, work->left + first * work->ld_left, work->right,
                                work->out + first * work->ld_out);
    int none = 0;
    if (code)
        atomic_compare_exchange_strong(&work->code, &none, code);
}

static int64_t rows_of_tile(const bpi_cpu_rows *cut, int64_t first)
{
    return cut->rows - first < cut->tile ? cut->rows - first : cut->tile;
}

static int64_t end_of_group(const bpi_cpu_rows *cut, int64_t group)
{
    int64_t end = (group + 1) * cut->group_rows;
    return end < cut->rows ? end : cut->rows;
}

static void forward_group(void *context, int64_t group, int thread)
{
    product *work = context;
    const bpi_cpu_rows *cut = &work->tiled->cut;
    const bpi_linear_spec *spec = work->spec;
    for (int64_t first = group * cut->group_rows; first < end_of_group(cut, group); first += cut->tile) {
        int64_t rows = rows_of_tile(cut, first);
        multiply(work, first, rows, thread);
        bpi_cpu_tile z = {work->out + first * work->ld_out, work->ld_out};
        bpi_cpu_tile a = {work->a + first * work->ld_out, work->ld_out};
        work->cpu->loops->forward(spec->activation, spec->slope, rows, work->cols, z, work->bias, a);
    }
}

static void input_grad_group(void *context, int64_t group, int thread)
{
    product *work = context;
    const bpi_cpu_rows *cut = &work->tiled->cut;
    for (int64_t first = group * cut->group_rows; first < end_of_group(cut, group); first += cut->tile)
        multiply(work, first, rows_of_tile(cut, first), thread);
}

static void hidden_delta_group(void *context, int64_t group, int thread)
{
    product *work = context;
    const bpi_cpu_rows *cut = &work->tiled->cut;
    const bpi_activation_args *below = work->below;
    float *sums = work->column_sums ? work->column_sums + group * work->sums_stride : NULL;
    if (sums)
        memset(sums, 0, (size_t)work->cols * sizeof *sums);
    for (int64_t first = group * cut->group_rows; first < end_of_group(cut, group); first += cut->tile) {
        int64_t rows = rows_of_tile(cut, first);
        multiply(work, first, rows, thread);
        bpi_cpu_tile saved = {bpi_cpu_row(below->saved, first), below->saved.ld};
        bpi_cpu_tile delta = {work->out + first * work->ld_out, work->ld_out};
        work->cpu->loops->backward(below->activation, below->slope, rows, work->cols, saved, delta, delta, sums);
    }
}

static bp_status run(product *work, bpi_cpu_task task)
{
    const bpi_linear_spec *spec = work->spec;
    double multiplications = (double)spec->rows * (double)spec->inputs * (double)spec->outputs;
    int threads = bpi_cpu_threads_for_product(work->cpu->threads, multiplications);
    bpi_cpu_run(work->cpu->pool, threads, work->tiled->cut.groups, task, work);
    int code = atomic_load(&work->code);
    return code ? bpi_cpu_gemm_fail(work->cpu->backend.error, "running a matrix product", code) : BP_STATUS_OK;
}

bp_status bpi_cpu_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                 const void *bias, void *z, void *a)
{
    assert(!bias == !plan->spec.bias);
    product work = {.cpu = bpi_cpu_of(backend),
                    .tiled = &plan->forward,
                    .left = x,
                    .right = w,
                    .ld_left = plan->spec.ld_x,
                    .out = z ? z : a,
                    .ld_out = plan->spec.ld_a,
                    .cols = plan->spec.outputs,
                    .spec = &plan->spec,
                    .bias = bias,
                    .a = a};
    return run(&work, forward_group);
}

static product product_of_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                     const void *w, void *d_x)
{
    assert(plan->input_grad.whole);
    product work = {.cpu = bpi_cpu_of(backend),
                    .tiled = &plan->input_grad,
                    .left = delta,
                    .right = w,
                    .ld_left = plan->spec.ld_a,
                    .out = d_x,
                    .ld_out = plan->spec.ld_x,
                    .cols = plan->spec.inputs,
                    .spec = &plan->spec};
    return work;
}

bp_status bpi_cpu_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta, const void *w,
                                    void *d_x)
{
    product work = product_of_input_grad(backend, plan, delta, w, d_x);
    return run(&work, input_grad_group);
}

bp_status bpi_cpu_linear_hidden_delta(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                      const void *w, const bpi_activation_args *args)
{
    assert(args->delta.cols == plan->spec.inputs && args->delta.ld == plan->spec.ld_x);
    product work = product_of_input_grad(backend, plan, delta, w, args->delta.data);
    work.below = args;
    work.sums_stride = bpi_cpu_round_up(work.cols, BPI_CPU_LINE_FLOATS);
    work.column_sums = args->d_b ? work.cpu->workspace : NULL;
    BPI_TRY(run(&work, hidden_delta_group));
    if (args->d_b)
        work.cpu->loops->add_parts(work.cols, work.column_sums, work.sums_stride, work.tiled->cut.groups,
                                   args->accumulate, args->d_b);
    return BP_STATUS_OK;
}
