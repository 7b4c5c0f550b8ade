/* weight_grad.c: d_w[O,I] = delta^T x, in pieces of the outputs, or in parts of the sum over the batch that are added
 * up in their order afterwards (partition.h decides which). */
#include "kernels/cpu/linear.h"

#include <assert.h>
#include <stdatomic.h>

static int64_t last(int64_t whole, int64_t each, int64_t count)
{
    return whole - each * (count - 1);
}

static bp_status plan_kind(bpi_linear_plan *plan, int last_piece, int last_part, bool accumulate,
                           bpi_cpu_product_visit visit, void *context)
{
    const bpi_linear_spec *spec = &plan->spec;
    const bpi_cpu_weight_split *split = &plan->split;
    bpi_cpu_gemm_shape shape = {
        .type = plan->type,
        .m = last_piece ? last(spec->outputs, split->piece, split->pieces) : split->piece,
        .n = spec->inputs,
        .k = last_part ? last(spec->rows, split->part, split->parts) : split->part,
        .a_row_stride = 1,
        .a_col_stride = spec->ld_delta,
        .b_row_stride = spec->ld_x,
        .b_col_stride = 1,
        .ld_c = spec->ld_w,
        .accumulate = accumulate,
    };
    return visit(context, &shape, &plan->weight_grad[last_piece][last_part][accumulate]);
}

bp_status bpi_cpu_weight_grad_plan(bpi_linear_plan *plan, bpi_cpu_product_visit visit, void *context)
{
    plan->split = bpi_cpu_split_weight_grad(&plan->spec);
    const bpi_cpu_weight_split *split = &plan->split;
    for (int piece = split->pieces > 1 ? 0 : 1; piece < 2; ++piece)
        for (int part = split->parts > 1 ? 0 : 1; part < 2; ++part)
            for (int accumulate = 0; accumulate < (split->parts > 1 ? 1 : 2); ++accumulate)
                BPI_TRY(plan_kind(plan, piece, part, accumulate, visit, context));
    return BP_STATUS_OK;
}

void bpi_cpu_weight_grad_unplan(bpi_linear_plan *plan)
{
    for (int i = 0; i < 8; ++i)
        bpi_cpu_gemm_destroy(plan->weight_grad[i >> 2][i >> 1 & 1][i & 1]);
}

typedef struct weight_grad {
    const bpi_linear_plan *plan;
    const void *delta, *x;
    float *d_w; /* or the partial results, one after another */
    bool accumulate;
    const bpi_cpu *cpu;
    bool accumulate_parts;
    float *sum;
    atomic_int code;
} weight_grad;

static void piece_of_part(void *context, int64_t task, int thread)
{
    weight_grad *work = context;
    const bpi_linear_spec *spec = &work->plan->spec;
    const bpi_cpu_weight_split *split = &work->plan->split;
    int64_t piece = task % split->pieces, part = task / split->pieces;
    const bpi_cpu_gemm *gemm =
        work->plan->weight_grad[piece == split->pieces - 1][part == split->parts - 1][work->accumulate];
    int64_t output = piece * split->piece, row = part * split->part;
    int code = bpi_cpu_gemm_run(gemm, thread, bpi_cpu_scratchpad(work->cpu, work->plan, thread),
                                bpi_cpu_factor(work->plan, work->delta, row * spec->ld_delta + output),
                                bpi_cpu_factor(work->plan, work->x, row * spec->ld_x),
                                work->d_w + (part * spec->outputs + output) * spec->ld_w);
    int none = 0;
    if (code)
        atomic_compare_exchange_strong(&work->code, &none, code);
}

/* One row of d_w: the padding between the rows is left alone. */
static void add_row(void *context, int64_t output, int thread)
{
    (void)thread;
    const weight_grad *work = context;
    const bpi_linear_spec *spec = &work->plan->spec;
    work->cpu->loops->add_parts(spec->inputs, work->d_w + output * spec->ld_w, spec->outputs * spec->ld_w,
                                work->plan->split.parts, work->accumulate_parts, work->sum + output * spec->ld_w);
}

bp_status bpi_cpu_linear_weight_grad(bpi_backend *backend, const bpi_linear_plan *plan, int lane, const void *delta,
                                     const void *x, bool accumulate, void *d_w)
{
    (void)lane;
    bpi_cpu *cpu = bpi_cpu_of(backend);
    const bpi_linear_spec *spec = &plan->spec;
    assert(spec->gradients);
    bpi_cpu_note_made(cpu, d_w, spec->outputs * spec->ld_w);
    bool in_parts = plan->split.parts > 1;
    weight_grad work = {.plan = plan,
                        .delta = delta,
                        .x = x,
                        .d_w = in_parts ? cpu->workspace : d_w,
                        .accumulate = accumulate && !in_parts,
                        .cpu = cpu,
                        .accumulate_parts = accumulate,
                        .sum = d_w};
    double multiplications = (double)spec->rows * (double)spec->inputs * (double)spec->outputs;
    bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_product(cpu->threads, multiplications),
                plan->split.pieces * plan->split.parts, piece_of_part, &work);
    int code = atomic_load(&work.code);
    if (code)
        return bpi_cpu_gemm_fail(backend->error, "running a matrix product", code);
    if (in_parts)
        bpi_cpu_run(cpu->pool, bpi_cpu_threads_for_loop(cpu->threads, plan->split.parts * spec->outputs * spec->inputs),
                    spec->outputs, add_row, &work);
    return BP_STATUS_OK;
}
