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
    bool bf16 = plan->type != BPI_CPU_GEMM_F32;
    bpi_cpu_cut rows = bpi_cpu_cut_of_forward(spec);
    bpi_cpu_gemm_shape forward = {.type = plan->type,
                                  .k = spec->inputs,
                                  .a_row_stride = spec->ld_x,
                                  .a_col_stride = 1,
                                  .b_row_stride = 1,
                                  .b_col_stride = spec->ld_w,
                                  .ld_c = bpi_cpu_narrow_forward(plan) ? bpi_cpu_float_ld(rows.piece) : spec->ld_a};
    BPI_TRY(plan_tiled(rows, forward, &plan->forward, visit, context));
    if (spec->gradients && spec->input_grad) {
        rows = bpi_cpu_cut_of_input_grad(spec, bf16);
        bpi_cpu_gemm_shape input_grad = {.type = plan->type,
                                         .k = spec->outputs,
                                         .a_row_stride = spec->ld_delta,
                                         .a_col_stride = 1,
                                         .b_row_stride = spec->ld_w,
                                         .b_col_stride = 1,
                                         .ld_c = bf16 ? bpi_cpu_float_ld(rows.piece) : spec->ld_d_x};
        BPI_TRY(plan_tiled(rows, input_grad, &plan->input_grad, visit, context));
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
    plan.type = cpu->products;
    measure largest = {cpu, 0};
    (void)plan_products(&plan, measure_product, &largest);
    return largest.bytes;
}

/* Bytes of the sums of a tile, where they become bf16. */
static size_t tile_bytes(bpi_cpu_cut cut)
{
    return (size_t)(cut.rows.tile * bpi_cpu_float_ld(cut.piece)) * sizeof(float);
}

static size_t sums_bytes(bpi_cpu_gemm_type type, const bpi_linear_spec *spec)
{
    if (type == BPI_CPU_GEMM_F32)
        return 0;
    size_t forward = spec->wide ? 0 : tile_bytes(bpi_cpu_cut_of_forward(spec));
    size_t input_grad = spec->gradients && spec->input_grad ? tile_bytes(bpi_cpu_cut_of_input_grad(spec, true)) : 0;
    return forward > input_grad ? forward : input_grad;
}

/* Bytes of partial results that the products of a layer leave in the workspace. */
static size_t partial_bytes(bpi_cpu_gemm_type type, const bpi_linear_spec *spec)
{
    bpi_cpu_rows rows = bpi_cpu_cut_of_input_grad(spec, type != BPI_CPU_GEMM_F32).rows;
    size_t bytes = bpi_cpu_sums_bytes(rows, spec->inputs);
    bpi_cpu_weight_split split = bpi_cpu_split_weight_grad(spec);
    size_t parts = split.parts > 1 ? (size_t)(split.parts * spec->outputs * spec->ld_w) * sizeof(float) : 0;
    return ((bytes > parts ? bytes : parts) + 63) / 64 * 64;
}

size_t bpi_cpu_linear_workspace(bpi_cpu *cpu, const bpi_linear_spec *spec)
{
    return partial_bytes(cpu->products, spec) +
           (size_t)cpu->threads * (scratch_bytes(cpu, spec) + sums_bytes(cpu->products, spec));
}

bp_status bpi_cpu_linear_plan(bpi_backend *backend, const bpi_linear_spec *spec, bpi_linear_plan **result)
{
    assert(spec->rows >= 1 && spec->inputs >= 1 && spec->outputs >= 1);
    assert(spec->ld_x >= spec->inputs && spec->ld_w >= spec->inputs && spec->ld_a >= spec->outputs);
    assert(!spec->gradients || (spec->ld_d_x >= spec->inputs && spec->ld_delta >= spec->outputs));
    bpi_cpu *cpu = bpi_cpu_of(backend);
    *result = NULL;
    bpi_linear_plan *plan = cpu->allocator.allocate(cpu->allocator.user, sizeof *plan, 64);
    if (!plan)
        return bpi_fail(backend->error, BP_STATUS_OUT_OF_MEMORY, "backend cpu: no memory for %zu bytes", sizeof *plan);
    memset(plan, 0, sizeof *plan);
    plan->spec = *spec;
    plan->scratch_at = partial_bytes(cpu->products, spec);
    plan->type = cpu->products;
    plan->sums_at = scratch_bytes(cpu, spec);
    plan->scratch_bytes = plan->sums_at + sums_bytes(plan->type, spec);
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
    const void *left, *right;      /* [rows,k] and the weights */
    int64_t ld_left, right_stride; /* from one column of the product to the next, in the weights */
    void *out;
    int64_t ld_out;
    bool narrow; /* out is bf16, and a: the sums of a tile stand in the workspace first */
    /* forward: */
    const bpi_linear_spec *spec;
    const float *bias;
    void *z, *a;
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

static bpi_cpu_tile tile_of(void *matrix, int64_t ld, const block *at)
{
    bpi_cpu_tile tile = {(float *)matrix + at->row * ld + at->col, ld};
    return tile;
}

static bpi_cpu_mixed short_tile_of(void *matrix, int64_t ld, const block *at)
{
    bpi_cpu_mixed tile = {matrix ? (uint16_t *)matrix + at->row * ld + at->col : NULL, ld, false};
    return tile;
}

static bpi_cpu_mixed wide_tile(bpi_cpu_tile tile)
{
    return (bpi_cpu_mixed){tile.data, tile.ld, true};
}

static bpi_cpu_tile sums_of(const product *work, const block *at, int thread)
{
    if (!work->narrow)
        return tile_of(work->out, work->ld_out, at);
    char *own = bpi_cpu_scratchpad(work->cpu, work->plan, thread);
    return (bpi_cpu_tile){(float *)(own + work->plan->sums_at), bpi_cpu_float_ld(work->tiled->cut.piece)};
}

/* Returns where the sums are. */
static bpi_cpu_tile multiply(product *work, const block *at, int thread)
{
    const bpi_cpu_cut *cut = &work->tiled->cut;
    const bpi_linear_plan *plan = work->plan;
    bool last_tile = at->row + at->rows == cut->rows.rows, last_piece = at->col + at->cols == cut->cols;
    bpi_cpu_tile sums = sums_of(work, at, thread);
    int code =
        bpi_cpu_gemm_run(work->tiled->gemm[last_tile][last_piece], thread, bpi_cpu_scratchpad(work->cpu, plan, thread),
                         bpi_cpu_factor(plan, work->left, at->row * work->ld_left),
                         bpi_cpu_factor(plan, work->right, at->col * work->right_stride), sums.data);
    int none = 0;
    if (code)
        atomic_compare_exchange_strong(&work->code, &none, code);
    return sums;
}

static void forward_task(void *context, int64_t task, int thread)
{
    product *work = context;
    const bpi_linear_spec *spec = work->spec;
    const bpi_cpu_loops *loops = work->cpu->loops;
    block at = begin(work, task);
    const float *bias = work->bias ? work->bias + at.col : NULL;
    do {
        bpi_cpu_tile sums = multiply(work, &at, thread);
        if (work->narrow)
            loops->short_forward(spec->activation, spec->slope, at.rows, at.cols, wide_tile(sums), bias,
                                 short_tile_of(work->z, work->ld_out, &at), short_tile_of(work->a, work->ld_out, &at));
        else
            loops->forward(spec->activation, spec->slope, at.rows, at.cols, sums, bias,
                           tile_of(work->a, work->ld_out, &at));
    } while (next(work, &at));
}

static void input_grad_task(void *context, int64_t task, int thread)
{
    product *work = context;
    block at = begin(work, task);
    do {
        bpi_cpu_tile sums = multiply(work, &at, thread);
        bpi_cpu_mixed out = short_tile_of(work->out, work->ld_out, &at);
        for (int64_t r = 0; work->narrow && r < at.rows; ++r)
            work->cpu->loops->shorten(at.cols, sums.data + r * sums.ld, (uint16_t *)out.data + r * out.ld);
    } while (next(work, &at));
}

static void hidden_delta_task(void *context, int64_t task, int thread)
{
    product *work = context;
    const bpi_activation_args *below = work->below;
    const bpi_cpu_loops *loops = work->cpu->loops;
    block at = begin(work, task);
    int64_t group = task / work->tiled->cut.pieces;
    float *sums = work->column_sums ? work->column_sums + group * work->sums_stride + at.col : NULL;
    if (sums)
        memset(sums, 0, (size_t)at.cols * sizeof *sums);
    do {
        bpi_cpu_tile d_a = multiply(work, &at, thread);
        if (work->narrow)
            loops->short_backward(below->activation, below->slope, at.rows, at.cols,
                                  short_tile_of(below->saved.data, below->saved.ld, &at), wide_tile(d_a),
                                  short_tile_of(work->out, work->ld_out, &at), sums);
        else
            loops->backward(below->activation, below->slope, at.rows, at.cols,
                            tile_of(below->saved.data, below->saved.ld, &at), d_a, d_a, sums);
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
                    .narrow = bpi_cpu_narrow_forward(plan),
                    .spec = &plan->spec,
                    .bias = bias,
                    .z = z,
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
                    .ld_left = plan->spec.ld_delta,
                    .right_stride = 1,
                    .out = d_x,
                    .ld_out = plan->spec.ld_d_x,
                    .narrow = plan->type != BPI_CPU_GEMM_F32,
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
    assert(args->delta.cols == plan->spec.inputs && args->delta.ld == plan->spec.ld_d_x);
    assert(!args->wide || plan->type == BPI_CPU_GEMM_F32); /* a layer that has one above it is not the last */
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
