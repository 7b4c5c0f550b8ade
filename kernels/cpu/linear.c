/* linear.c: plans of linear layers, the forward product, and the error with respect to the input.
 *
 * Products run over tiles of rows. What follows element by element (bias and activation, or derivative and bias
 * gradient) is done on each tile while it is in the cache. oneDNN could do bias and ReLU itself, but its ReLU loses
 * NaN, and its kernels for machines without AVX-512 do them in a pass of their own as well. */
#include "kernels/cpu/linear.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

static int64_t length_at(int64_t whole, int64_t each, int64_t first)
{
    return whole - first < each ? whole - first : each;
}

static bp_status plan_tiled(bpi_cpu_cut cut, bpi_cpu_gemm_shape shape, bpi_cpu_tiled *tiled,
                            bpi_cpu_product_visit visit, void *context)
{
    int64_t tiles = (cut.rows.rows + cut.rows.tile - 1) / cut.rows.tile;
    tiled->cut = cut;
    for (int last_tile = tiles > 1 ? 0 : 1; last_tile < 2; ++last_tile)
        for (int last_piece = cut.pieces > 1 ? 0 : 1; last_piece < 2; ++last_piece) {
            shape.m = last_tile ? cut.rows.rows - (tiles - 1) * cut.rows.tile : cut.rows.tile;
            shape.n = last_piece ? cut.cols - (cut.pieces - 1) * cut.piece : cut.piece;
            BPI_TRY(visit(context, &shape, &tiled->gemm[last_tile][last_piece]));
        }
    return BP_STATUS_OK;
}

static void unplan_tiled(bpi_cpu_tiled *tiled)
{
    for (int i = 0; i < 4; ++i)
        bpi_cpu_gemm_destroy(tiled->gemm[i >> 1][i & 1]);
}

/* Cuts the products of plan->spec, and visits one of each shape. */
static bp_status plan_products(bpi_linear_plan *plan, bpi_cpu_product_visit visit, void *context)
{
    const bpi_linear_spec *spec = &plan->spec;
    bpi_cpu_gemm_shape forward = {.k = spec->inputs,
                                  .a_row_stride = spec->ld_x,
                                  .a_col_stride = 1,
                                  .b_row_stride = 1,
                                  .b_col_stride = spec->ld_w,
                                  .ld_c = spec->ld_a};
    BPI_TRY(plan_tiled(bpi_cpu_cut_of_forward(spec), forward, &plan->forward, visit, context));
    if (spec->gradients && spec->input_grad) {
        bpi_cpu_gemm_shape input_grad = {.k = spec->outputs,
                                         .a_row_stride = spec->ld_a,
                                         .a_col_stride = 1,
                                         .b_row_stride = spec->ld_w,
                                         .b_col_stride = 1,
                                         .ld_c = spec->ld_x};
        BPI_TRY(plan_tiled(bpi_cpu_cut_of_input_grad(spec), input_grad, &plan->input_grad, visit, context));
    }
    return spec->gradients ? bpi_cpu_weight_grad_plan(plan, visit, context) : BP_STATUS_OK;
}

static bp_status make_product(void *context, const bpi_cpu_gemm_shape *shape, bpi_cpu_gemm **gemm)
{
    bpi_cpu *cpu = context;
    return bpi_cpu_gemm_create(cpu->engine, shape, gemm);
}

typedef struct measure {
    bpi_cpu *cpu;
    size_t bytes;
} measure;

static bp_status measure_product(void *context, const bpi_cpu_gemm_shape *shape, bpi_cpu_gemm **gemm)
{
    (void)gemm;
    measure *largest = context;
    size_t bytes = bpi_cpu_gemm_scratchpad(largest->cpu->engine, shape);
    largest->bytes = bytes > largest->bytes ? bytes : largest->bytes;
    return BP_STATUS_OK;
}

/* Bytes of temporaries that the products of a layer need in each thread. */
static size_t scratch_bytes(bpi_cpu *cpu, const bpi_linear_spec *spec)
{
    bpi_linear_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.spec = *spec;
    measure largest = {cpu, 0};
    (void)plan_products(&plan, measure_product, &largest);
    return largest.bytes;
}

/* Bytes of partial results that the products of a layer leave in the workspace. */
static size_t partial_bytes(const bpi_linear_spec *spec)
{
    size_t bytes = bpi_cpu_sums_bytes(bpi_cpu_cut_of_input_grad(spec).rows, spec->inputs);
    bpi_cpu_weight_split split = bpi_cpu_split_weight_grad(spec);
    size_t parts = split.parts > 1 ? (size_t)(split.parts * spec->outputs * spec->ld_w) * sizeof(float) : 0;
    return ((bytes > parts ? bytes : parts) + 63) / 64 * 64;
}

size_t bpi_cpu_linear_workspace(bpi_cpu *cpu, const bpi_linear_spec *spec)
{
    return partial_bytes(spec) + (size_t)cpu->threads * scratch_bytes(cpu, spec);
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
    plan->scratch_at = partial_bytes(spec);
    plan->scratch_bytes = scratch_bytes(cpu, spec);
    bp_status status = plan_products(plan, make_product, cpu);
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
    unplan_tiled(&plan->forward);
    unplan_tiled(&plan->input_grad);
    bpi_cpu_weight_grad_unplan(plan);
    bpi_cpu *cpu = bpi_cpu_of(backend);
    cpu->allocator.release(cpu->allocator.user, plan, sizeof *plan);
}

/* ---- running over tiles ---- */

typedef struct product {
    bpi_cpu *cpu;
    const bpi_linear_plan *plan;
    const bpi_cpu_tiled *tiled;
    const float *left, *right;     /* [rows,k] and the weights */
    int64_t ld_left, right_stride; /* from one column of the product to the next, in the weights */
    float *out;
    int64_t ld_out;
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

/* A tile of a piece: the part [rows, cols] of the product that begins at (row, col). */
typedef struct block {
    int64_t row, rows, col, cols;
} block;

/* What is in the group and the piece of a task, tile by tile: begin() is the first, next() says whether another is. */
static block begin(const product *work, int64_t task)
{
    const bpi_cpu_cut *cut = &work->tiled->cut;
    int64_t row = task / cut->pieces * cut->rows.group_rows, col = task % cut->pieces * cut->piece;
    return (block){row, length_at(cut->rows.rows, cut->rows.tile, row), col, length_at(cut->cols, cut->piece, col)};
}

static bool next(const product *work, block *at)
{
    const bpi_cpu_rows *rows = &work->tiled->cut.rows;
    at->row += rows->tile;
    at->rows = length_at(rows->rows, rows->tile, at->row);
    return at->row % rows->group_rows != 0 && at->rows > 0;
}

static bpi_cpu_tile tile_of(float *matrix, int64_t ld, const block *at)
{
    bpi_cpu_tile tile = {matrix + at->row * ld + at->col, ld};
    return tile;
}

static void multiply(product *work, const block *at, int thread)
{
    const bpi_cpu_cut *cut = &work->tiled->cut;
    bool last_tile = at->row + at->rows == cut->rows.rows, last_piece = at->col + at->cols == cut->cols;
    int code = bpi_cpu_gemm_run(work->tiled->gemm[last_tile][last_piece], thread,
                                bpi_cpu_scratchpad(work->cpu, work->plan, thread), work->left + at->row * work->ld_left,
                                work->right + at->col * work->right_stride, tile_of(work->out, work->ld_out, at).data);
    int none = 0;
    if (code)
        atomic_compare_exchange_strong(&work->code, &none, code);
}

static void forward_task(void *context, int64_t task, int thread)
{
    product *work = context;
    const bpi_linear_spec *spec = work->spec;
    block at = begin(work, task);
    do {
        multiply(work, &at, thread);
        work->cpu->loops->forward(spec->activation, spec->slope, at.rows, at.cols,
                                  tile_of(work->out, work->ld_out, &at), work->bias ? work->bias + at.col : NULL,
                                  tile_of(work->a, work->ld_out, &at));
    } while (next(work, &at));
}

static void input_grad_task(void *context, int64_t task, int thread)
{
    product *work = context;
    block at = begin(work, task);
    do
        multiply(work, &at, thread);
    while (next(work, &at));
}

static void hidden_delta_task(void *context, int64_t task, int thread)
{
    product *work = context;
    const bpi_activation_args *below = work->below;
    block at = begin(work, task);
    int64_t group = task / work->tiled->cut.pieces;
    float *sums = work->column_sums ? work->column_sums + group * work->sums_stride + at.col : NULL;
    if (sums)
        memset(sums, 0, (size_t)at.cols * sizeof *sums);
    do {
        multiply(work, &at, thread);
        bpi_cpu_tile delta = tile_of(work->out, work->ld_out, &at);
        work->cpu->loops->backward(below->activation, below->slope, at.rows, at.cols,
                                   tile_of(below->saved.data, below->saved.ld, &at), delta, delta, sums);
    } while (next(work, &at));
}

static bp_status run(product *work, bpi_cpu_task task)
{
    const bpi_linear_spec *spec = work->spec;
    const bpi_cpu_cut *cut = &work->tiled->cut;
    double multiplications = (double)spec->rows * (double)spec->inputs * (double)spec->outputs;
    int threads = bpi_cpu_threads_for_product(work->cpu->threads, multiplications);
    bpi_cpu_run(work->cpu->pool, threads, cut->rows.groups * cut->pieces, task, work);
    int code = atomic_load(&work->code);
    return code ? bpi_cpu_gemm_fail(work->cpu->backend.error, "running a matrix product", code) : BP_STATUS_OK;
}

bp_status bpi_cpu_linear_forward(bpi_backend *backend, const bpi_linear_plan *plan, const void *x, const void *w,
                                 const void *bias, void *z, void *a)
{
    assert(!bias == !plan->spec.bias);
    product work = {.cpu = bpi_cpu_of(backend),
                    .plan = plan,
                    .tiled = &plan->forward,
                    .left = x,
                    .right = w,
                    .ld_left = plan->spec.ld_x,
                    .right_stride = plan->spec.ld_w,
                    .out = z ? z : a,
                    .ld_out = plan->spec.ld_a,
                    .spec = &plan->spec,
                    .bias = bias,
                    .a = a};
    return run(&work, forward_task);
}

static product product_of_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                     const void *w, void *d_x)
{
    assert(plan->spec.gradients && plan->spec.input_grad);
    product work = {.cpu = bpi_cpu_of(backend),
                    .plan = plan,
                    .tiled = &plan->input_grad,
                    .left = delta,
                    .right = w,
                    .ld_left = plan->spec.ld_a,
                    .right_stride = 1,
                    .out = d_x,
                    .ld_out = plan->spec.ld_x,
                    .spec = &plan->spec};
    return work;
}

bp_status bpi_cpu_linear_input_grad(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta, const void *w,
                                    void *d_x)
{
    product work = product_of_input_grad(backend, plan, delta, w, d_x);
    return run(&work, input_grad_task);
}

bp_status bpi_cpu_linear_hidden_delta(bpi_backend *backend, const bpi_linear_plan *plan, const void *delta,
                                      const void *w, const bpi_activation_args *args)
{
    assert(args->delta.cols == plan->spec.inputs && args->delta.ld == plan->spec.ld_x);
    product work = product_of_input_grad(backend, plan, delta, w, args->delta.data);
    work.below = args;
    work.sums_stride = bpi_cpu_round_up(plan->spec.inputs, BPI_CPU_LINE_FLOATS);
    work.column_sums = args->d_b ? work.cpu->workspace : NULL;
    BPI_TRY(run(&work, hidden_delta_task));
    if (args->d_b)
        work.cpu->loops->add_parts(plan->spec.inputs, work.column_sums, work.sums_stride, work.tiled->cut.rows.groups,
                                   args->accumulate, args->d_b);
    return BP_STATUS_OK;
}
