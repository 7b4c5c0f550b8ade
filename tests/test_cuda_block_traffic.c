/* What the kernels of a block, of an observed step and of the copy of weights move, as test_cuda_traffic.c does for the
 * others, in f32 and in bf16. A block's kernels take four elements at a time in either: 16 bytes or 8.
 *
 * Each array [B,O] is moved once in each pass. Beside that a slice reads the row vectors of its columns (bias, mean,
 * inv_std, gamma, beta, ...) once, a warp the step for dropout, and of a layer norm the statistics of its rows. */
#include "kernels/cuda/launch.h"
#include "support/block.h"
#include "support/cuemu.h"
#include "support/observe.h"
#include "support/traffic.h"

#include <criterion/criterion.h>

TestSuite(cuda_block_traffic, .fini = bpt_clean);

enum { ROWS = 1024, COLS = 1024 };

static bpt_device *open_counted(void)
{
    return bpt_open_counted("cuda_test_cuda_block_traffic_lazy");
}

static size_t element_bytes(const bpt_device *device)
{
    return bpi_type_bytes(device->backend->traits.activation_type);
}

/* Accesses of four elements, or nearly all of them. */
static bpt_limits fours(const bpt_device *device)
{
    return (bpt_limits){1.03, 0.97, 3.0 * (double)element_bytes(device)};
}

/* A block with nothing but its product, norm and activation; and one with all that there is, dropout with p > 0. */
static bpt_block lean_block(bp_norm norm, bp_activation activation, int64_t rows, int64_t cols)
{
    bpt_block block = {.rows = rows, .cols = cols, .in_place = true, .in_sectors = true, .step = 1};
    block.spec = (bpi_block_spec){.activation = activation, .norm = norm, .norm_epsilon = 1e-5, .norm_momentum = 0.1};
    return block;
}

static bpt_block full_block(bp_norm norm, bp_activation activation, float dropout)
{
    bpt_block block = lean_block(norm, activation, ROWS, COLS);
    block.in_place = false;
    block.skip = block.d_out_skip = true;
    block.spec.dropout = dropout;
    return block;
}

static double moved_by(const char *kernel)
{
    return (double)(bpt_count(kernel, "global_read_bytes") + bpt_count(kernel, "global_write_bytes"));
}

/* Exactly `elements` arrays [ROWS, COLS], `floats` rows [COLS] of f32 in each slice, and other bytes. */
static void expect_elements(const bpt_device *device, const char *kernel, double elements, int64_t slices, int floats,
                            double other)
{
    double want = (double)element_bytes(device) * elements * ROWS * COLS + 4.0 * (double)slices * floats * COLS + other;
    cr_expect_eq(moved_by(kernel), want, "%s moves %g bytes, should move %g", kernel, moved_by(kernel), want);
}

static bpi_cuda_pass pass_over(const bpt_device *device, int64_t rows, int64_t cols)
{
    return bpi_cuda_block_pass_of(rows, cols, 4, bpi_cuda_slice_rows(element_bytes(device)));
}

static bpi_cuda_teams teams_over(const bpt_device *device, int64_t rows, int64_t cols)
{
    return bpi_cuda_teams_of(rows, cols, 4, bpi_cuda_team_rows(element_bytes(device)));
}

/* Each of the 8 warps of a block reads the step, once. */
static double step_bytes(int64_t blocks, float dropout)
{
    return dropout > 0.0f ? 8.0 * 8.0 * (double)blocks : 0.0;
}

/* A layer norm has whole rows in a block, between their statistics and what is made of them, and so all columns: a
 * block can't do without one reading of each row vector, and fewer blocks than BPI_CUDA_TEAM_GRID would leave
 * multiprocessors idle (an H100 has 132). What is needed of the vectors is one reading for each of so many blocks,
 * where cuemu counts one for all; more blocks than that have no claim to it. */
static void check_teams(const bpt_device *device, const char *kernel, const bpt_block *block, int vectors)
{
    int64_t blocks = teams_over(device, block->rows, block->cols).slices;
    int64_t needed = blocks < BPI_CUDA_TEAM_GRID ? blocks : BPI_CUDA_TEAM_GRID;
    bpt_check_traffic_besides(kernel, fours(device), 4.0 * vectors * (double)block->cols * (double)(needed - 1));
}

static void forward(bpt_device *device, bpt_block block)
{
    bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 301);
    in.bias = in.beta;
    bpt_reset_counts();
    bpt_block_run_forward(device, &block, &in);
    bpt_clean();
}

Test(cuda_block_traffic, of_forward_is_u_and_the_skip_once_and_a_and_out_once)
{
    bpt_device *device = open_counted();
    const bpi_cuda_pass pass = pass_over(device, ROWS, COLS);
    const int64_t teams = teams_over(device, ROWS, COLS).slices, blocks = pass.slices * pass.tiles;
    for (int drops = 0; drops < 2; ++drops) {
        float p = drops ? 0.25f : 0.0f;
        bp_activation activation = drops ? BP_ACTIVATION_GELU : BP_ACTIVATION_RELU;
        forward(device, full_block(BP_NORM_NONE, activation, p));
        bpt_check_traffic("block_forward", fours(device));
        expect_elements(device, "block_forward", 4.0, pass.slices, 1, step_bytes(blocks, p));
        bpt_block block = full_block(BP_NORM_BATCH, activation, p);
        forward(device, block);
        bpt_check_traffic("block_forward", fours(device));
        expect_elements(device, "block_forward", 4.0, pass.slices, 5, step_bytes(blocks, p));
        /* u; the bias and the first row of each slice; and two sums of 8 bytes a column */
        bpt_check_traffic("column_moments", fours(device));
        expect_elements(device, "column_moments", 1.0, pass.slices, 1 + 4,
                        (double)element_bytes(device) * (double)pass.slices * COLS);
        block = full_block(BP_NORM_LAYER, activation, p);
        forward(device, block);
        check_teams(device, "layer_norm", &block, 3);
        expect_elements(device, "layer_norm", 4.0, teams, 3, 8.0 * ROWS + step_bytes(teams, p));
    }
    bpt_close(device);
}

static void backward(bpt_device *device, bpt_block block)
{
    bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 302);
    bpt_block_forward saved = {.a = in.u, .mean = in.d_out, .inv_std = in.d_out};
    in.bias = in.beta;
    bpt_reset_counts();
    bpt_block_run_backward(device, &block, &in, &saved);
    bpt_clean();
}

/* Of each warp for each row; a team has 8 warps. */
static const double statistics_bytes = 8.0 * 8.0 * ROWS;

/* d_out, d_out_skip and one of u and a are read, delta and d_skip are written; with a norm u and, of a tanh, a. */
Test(cuda_block_traffic, of_backward_is_each_array_once_in_each_pass)
{
    bpt_device *device = open_counted();
    const bpi_cuda_pass pass = pass_over(device, ROWS, COLS);
    const int64_t teams = teams_over(device, ROWS, COLS).slices;
    for (int drops = 0; drops < 2; ++drops) {
        float p = drops ? 0.25f : 0.0f;
        double steps = step_bytes(pass.slices * pass.tiles, p);
        backward(device, full_block(BP_NORM_NONE, BP_ACTIVATION_GELU, p)); /* the bias, and a row of sums */
        bpt_check_traffic("block_backward", fours(device));
        expect_elements(device, "block_backward", 5.0, pass.slices, 2, steps);
        backward(device, full_block(BP_NORM_NONE, BP_ACTIVATION_TANH, p));
        bpt_check_traffic("block_backward", fours(device));
        expect_elements(device, "block_backward", 5.0, pass.slices, 2, steps);
        backward(device, full_block(BP_NORM_BATCH, BP_ACTIVATION_TANH, p)); /* 4 vectors, 2 rows of sums; 6 vectors */
        bpt_check_traffic("block_backward", fours(device));
        expect_elements(device, "block_backward", 4.0 + 6.0, pass.slices, 6 + 6, 2.0 * steps);
        backward(device, full_block(BP_NORM_BATCH, BP_ACTIVATION_RELU, p)); /* beta in place of a */
        bpt_check_traffic("block_backward", fours(device));
        expect_elements(device, "block_backward", 3.0 + 5.0, pass.slices, 7 + 7, 2.0 * steps);
        bpt_block block = full_block(BP_NORM_LAYER, BP_ACTIVATION_TANH, p);
        backward(device, block); /* gamma, bias, 3 rows of sums */
        check_teams(device, "layer_norm_grad", &block, 2);
        expect_elements(device, "layer_norm_grad", 6.0, teams, 5, statistics_bytes + step_bytes(teams, p));
        block = full_block(BP_NORM_LAYER, BP_ACTIVATION_GELU, p);
        backward(device, block); /* beta in place of a */
        check_teams(device, "layer_norm_grad", &block, 3);
        expect_elements(device, "layer_norm_grad", 5.0, teams, 6, statistics_bytes + step_bytes(teams, p));
    }
    bpt_close(device);
}

/* With the fewest arrays row vectors weigh the most: one is read and one written. Few columns, and few rows. */
Test(cuda_block_traffic, of_the_leanest_blocks_is_within_the_bounds_for_every_shape_of_2_20)
{
    static const int64_t shapes[][2] = {{1024, 1024}, {1 << 16, 16}, {32, 32768}, {200, 5248}};
    bpt_device *device = open_counted();
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s) {
        int64_t rows = shapes[s][0], cols = shapes[s][1]; /* rows are whole sectors */
        forward(device, lean_block(BP_NORM_NONE, BP_ACTIVATION_SILU, rows, cols));
        bpt_check_traffic("block_forward", fours(device));
        forward(device, lean_block(BP_NORM_BATCH, BP_ACTIVATION_RELU, rows, cols));
        bpt_check_traffic("block_forward", fours(device));
        bpt_check_traffic("column_moments", fours(device));
        backward(device, lean_block(BP_NORM_NONE, BP_ACTIVATION_RELU, rows, cols));
        bpt_check_traffic("block_backward", fours(device));
        backward(device, lean_block(BP_NORM_BATCH, BP_ACTIVATION_RELU, rows, cols));
        bpt_check_traffic("block_backward", fours(device));
    }
    bpt_close(device);
}

/* The last two have slices long enough that nothing is to be said for another reading of the vectors. */
Test(cuda_block_traffic, of_the_leanest_layer_norms_is_within_the_bounds_for_rows_of_16_to_4096)
{
    static const int64_t shapes[][2] = {{256, 4096}, {512, 2048}, {1024, 1024}, {32768, 32}, {1 << 16, 16}};
    bpt_device *device = open_counted();
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s) {
        bpt_block block = lean_block(BP_NORM_LAYER, BP_ACTIVATION_RELU, shapes[s][0], shapes[s][1]);
        int vectors = block.rows < 32768 ? 3 : 0;
        forward(device, block);
        check_teams(device, "layer_norm", &block, vectors);
        backward(device, block);
        check_teams(device, "layer_norm_grad", &block, vectors);
    }
    bpt_close(device);
}

Test(cuda_block_traffic, of_units_that_are_off_is_their_values_once)
{
    bpt_device *device = open_counted();
    bpt_random random = {303};
    bpt_matrix a = bpt_activations(device, ROWS, COLS, 0, bpt_uniform(&random, BPI_TYPE_BF16, 0.0, 1.0, ROWS * COLS));
    int64_t zeros[COLS] = {0};
    int64_t *counts = bpt_upload(device, zeros, sizeof zeros);
    bpt_reserve(device, ROWS, COLS, 1);
    bpt_reset_counts();
    BPT_RUN(device, observe_units, BP_ACTIVATION_SIGMOID, a.view, false, false, counts);
    cr_assert_eq(device->ops->synchronize(device->backend), BP_STATUS_OK);
    bpt_check_traffic("units_off", (bpt_limits){1.03, 0.97, 14.5});
    device->ops->release(device->backend, counts, sizeof zeros);
    bpt_release(&a);
    bpt_close(device);
}

/* Sums of gradients read them once; sums of moves the parameters before and after. Beside them a block reads each
 * tensor's range, and writes 40 bytes of sums of those that it meets. Of 2^20 to 2^22 elements, 4096 a block, the
 * ranges of 30 tensors are 3 %. */
Test(cuda_block_traffic, of_sums_by_tensor_is_4_and_8_bytes_a_parameter)
{
    enum { TENSORS = 16, COUNT = 1 << 20 };
    bpt_device *device = open_counted();
    bpi_observed_range ranges[TENSORS];
    for (int t = 0; t < TENSORS; ++t)
        ranges[t] = (bpi_observed_range){t * (COUNT / TENSORS), COUNT / TENSORS};
    bpt_random random = {304};
    bpt_matrix parameters = bpt_parameters(device, 1, COUNT, 0, bpt_uniform(&random, BPI_TYPE_F32, -1.0, 1.0, COUNT));
    bpt_matrix gradients = bpt_parameters(device, 1, COUNT, 0, bpt_uniform(&random, BPI_TYPE_F32, -1.0, 1.0, COUNT));
    bpi_step_state none = {0}, *state = bpt_upload(device, &none, sizeof none);
    bpi_tensor_sums unwritten[TENSORS] = {{0}};
    size_t scratch_bytes = device->ops->observe_scratch_bytes(device->backend, COUNT, TENSORS);
    bpi_observe_args args = {bpt_upload(device, ranges, sizeof ranges), TENSORS,
                             bpt_upload(device, unwritten, sizeof unwritten), NULL};
    cr_assert_eq(device->ops->allocate(device->backend, scratch_bytes, &args.scratch), BP_STATUS_OK);
    bpt_reserve(device, 1, 1, COUNT);
    const bpi_hyper *hyper = &bpt_optimizer_cases[0].hyper;
    bpi_update_args update = {.hyper = hyper,
                              .state = state,
                              .count = COUNT,
                              .decayed = COUNT,
                              .parameters = parameters.view.data,
                              .gradients = gradients.view.data};
    cr_assert_eq(bpt_states_of(hyper), 0);
    bpt_reset_counts();
    BPT_RUN(device, observe_gradients, hyper, gradients.view.data, COUNT, state, &args);
    BPT_RUN(device, observe_update, &update, &args);
    cr_assert_eq(device->ops->synchronize(device->backend), BP_STATUS_OK);
    double blocks = (double)bpi_cuda_blocks_of(COUNT), ranges_bytes = 16.0 * TENSORS * blocks;
    double met = 40.0 * COUNT / (4.0 * BPI_CUDA_THREADS); /* each row of a block is of one tensor, each of another */
    bpt_check_traffic("gradient_sums", (bpt_limits){1.03, 0.97, 13.0});
    bpt_check_traffic("move_sums", (bpt_limits){1.03, 0.97, 14.5});
    cr_expect_eq(moved_by("gradient_sums"), 4.0 * COUNT + ranges_bytes + 16.0 * blocks + met);
    cr_expect_eq(moved_by("move_sums"), 8.0 * COUNT + ranges_bytes + met);
    device->ops->release(device->backend, args.scratch, scratch_bytes);
    device->ops->release(device->backend, args.sums, sizeof unwritten);
    device->ops->release(device->backend, (void *)(uintptr_t)args.ranges, sizeof ranges);
    device->ops->release(device->backend, state, sizeof none);
    bpt_release(&parameters);
    bpt_release(&gradients);
    bpt_close(device);
}

Test(cuda_block_traffic, of_the_copy_of_weights_is_4_bytes_and_2_of_each)
{
    enum { COUNT = 1 << 21 };
    bpt_device *device = open_counted();
    if (device->backend->traits.weight_type != BPI_TYPE_BF16) {
        bpt_close(device);
        cr_skip_test("weights are f32 here: cuda_bf16_test_cuda_block_traffic runs this");
    }
    bpt_random random = {305};
    bpt_matrix parameters = bpt_parameters(device, 1, COUNT, 0, bpt_uniform(&random, BPI_TYPE_F32, -1.0, 1.0, COUNT));
    bpt_matrix weights = bpt_weights(device, 1, COUNT, 0, NULL);
    bpt_reset_counts();
    BPT_RUN(device, convert_weights, parameters.view.data, COUNT, weights.view.data);
    cr_assert_eq(device->ops->synchronize(device->backend), BP_STATUS_OK);
    bpt_check_traffic("convert", (bpt_limits){1.03, 0.97, 11.5});
    cr_expect(moved_by("convert") <= 6.01 * COUNT);
    bpt_release(&parameters);
    bpt_release(&weights);
    bpt_close(device);
}
