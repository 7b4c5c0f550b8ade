/* block.c: what a block does around its product: which kernels, over which grid. They are in block_statistics.cu,
 * block_forward.cu, block_backward.cu, layer_norm.cu and layer_norm_grad.cu; the definitions in kernels/ops.h,
 * bpi_block_spec.
 *
 *   no norm     forward: one pass                                    backward: one pass, and the finish of d_b
 *   batch norm  forward: statistics, their finish, one pass          backward: sums, their finish, one pass
 *   layer norm  forward: one pass over rows that stay in registers   backward: the same, and the finish of three sums
 *
 * A pass has everything in it that a block has: bias, norm, activation, dropout, skip. */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/kernels.h"

#include <assert.h>

/* Four elements at a time, of either type, where all of it starts on 16 bytes and rows are whole fours; absent arrays
 * do. */
static int width_of(const bpi_matrix *matrices, int matrix_count, const void *const *vectors, int vector_count)
{
    bool quads = true;
    for (int i = 0; i < matrix_count; ++i)
        quads = quads && (!matrices[i].data || bpi_cuda_in_quads(matrices[i].data, matrices[i].ld));
    for (int i = 0; i < vector_count; ++i)
        quads = quads && bpi_cuda_in_quads(vectors[i], 0);
    return quads ? 4 : 1;
}

static bp_status statistics(bpi_cuda *cuda, const bpi_block_args *args, int width)
{
    bpi_matrix u = args->u;
    assert(args->mean && args->inv_std && args->gamma && args->beta);
    if (!args->training) {
        assert(args->running_mean && args->running_var);
        BPI_CUDA_TRY(cuda->backend.error, bpi_cuda_run_running_statistics(cuda->lanes[0], args));
        return BP_STATUS_OK;
    }
    assert(u.rows >= 2 && bpi_cuda_block_bytes(u.rows, u.cols) <= cuda->workspace_bytes);
    bpi_type type = cuda->backend.traits.activation_type;
    bpi_cuda_pass pass = bpi_cuda_block_pass_of(u.rows, u.cols, width, bpi_cuda_slice_rows(bpi_type_bytes(type)));
    BPI_CUDA_TRY(cuda->backend.error,
                 bpi_cuda_run_batch_norm_statistics(cuda->lanes[0], pass, type, args, cuda->workspace));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_block_forward(bpi_backend *backend, const bpi_block_args *args)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    bpi_matrix u = args->u;
    bpi_type type = backend->traits.activation_type;
    const bpi_matrix matrices[] = {u, args->skip, args->a, args->out};
    const void *const vectors[] = {args->bias, args->gamma, args->beta, args->mean, args->inv_std};
    int width = width_of(matrices, 4, vectors, args->spec.norm == BP_NORM_BATCH ? 5 : 3);
    if (args->spec.norm == BP_NORM_LAYER) {
        assert(args->mean && args->inv_std && args->gamma && args->beta);
        bpi_cuda_teams teams = bpi_cuda_teams_of(u.rows, u.cols, width, bpi_cuda_team_rows(bpi_type_bytes(type)));
        BPI_CUDA_TRY(backend->error, bpi_cuda_run_layer_norm(cuda->lanes[0], teams, type, args));
        return BP_STATUS_OK;
    }
    if (args->spec.norm == BP_NORM_BATCH)
        BPI_TRY(statistics(cuda, args, width));
    bpi_cuda_pass pass = bpi_cuda_block_pass_of(u.rows, u.cols, width, bpi_cuda_slice_rows(bpi_type_bytes(type)));
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_block_forward(cuda->lanes[0], pass, type, args));
    return BP_STATUS_OK;
}

/* The workspace is a cudaMalloc of its own: it starts on 16 bytes, and so does every row of sums in it. */
bp_status bpi_cuda_block_backward(bpi_backend *backend, const bpi_block_grad_args *args)
{
    bpi_cuda *cuda = bpi_cuda_of(backend);
    bpi_matrix u = args->delta;
    bpi_type type = backend->traits.activation_type;
    const bpi_matrix matrices[] = {args->u, args->a, args->d_out, args->d_out_skip, args->d_skip, args->delta};
    const void *const vectors[] = {args->bias, args->gamma, args->beta, args->mean, args->inv_std};
    int width = width_of(matrices, 6, vectors, args->spec.norm == BP_NORM_BATCH ? 5 : 3);
    assert(args->spec.norm == BP_NORM_NONE || (args->d_gamma && args->d_beta));
    assert(bpi_cuda_block_bytes(u.rows, u.cols) <= cuda->workspace_bytes);
    if (args->spec.norm == BP_NORM_LAYER) {
        bpi_cuda_teams teams = bpi_cuda_teams_of(u.rows, u.cols, width, bpi_cuda_team_rows(bpi_type_bytes(type)));
        BPI_CUDA_TRY(backend->error, bpi_cuda_run_layer_norm_grad(cuda->lanes[0], teams, type, args, cuda->workspace));
        return BP_STATUS_OK;
    }
    bpi_cuda_pass pass = bpi_cuda_block_pass_of(u.rows, u.cols, width, bpi_cuda_slice_rows(bpi_type_bytes(type)));
    if (args->spec.norm == BP_NORM_BATCH) {
        BPI_CUDA_TRY(backend->error,
                     bpi_cuda_run_batch_norm_backward(cuda->lanes[0], pass, type, args, cuda->workspace));
        return BP_STATUS_OK;
    }
    BPI_CUDA_TRY(backend->error, bpi_cuda_run_block_backward(cuda->lanes[0], pass, type, args, cuda->workspace));
    return BP_STATUS_OK;
}
