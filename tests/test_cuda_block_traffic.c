/* What the kernels of a block, of an observed step and of the copy of weights move, as test_cuda_traffic.c does for the
 * others, in f32 and in bf16. A block's kernels take four elements at a time in either: 16 bytes or 8.
 *
 * Each array [B,O] is moved once in each pass. Beside that a slice reads the row vectors of its columns (bias, mean,
 * inv_std, gamma, beta, ...), and a thread the step for dropout and the statistics of its rows: few bytes that many
 * read, out of the caches. They are in the bounds here, and make more than the 1.03 of the other kernels. */
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

static double element_bytes(const bpt_device *device)
{
    return (double)bpi_type_bytes(device->backend->traits.activation_type);
}

/* Accesses of four elements, or nearly all of them. */
static bpt_limits fours(const bpt_device *device, double moved_over_needed)
{
    return (bpt_limits){moved_over_needed, 0.97, 2.0 * element_bytes(device)};
}

static bpt_block block_of(bp_norm norm, bp_activation activation, float dropout)
{
    bpt_block block = {.rows = ROWS, .cols = COLS, .skip = true, .d_out_skip = true, .step = 1};
    block.spec = (bpi_block_spec){
        .activation = activation, .norm = norm, .norm_epsilon = 1e-5, .norm_momentum = 0.1, .dropout = dropout};
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
    double want = element_bytes(device) * elements * ROWS * COLS + 4.0 * (double)slices * floats * COLS + other;
    cr_expect_eq(moved_by(kernel), want, "%s moves %g bytes, should move %g", kernel, moved_by(kernel), want);
}

/* A thread reads the step for as many rows at a time as it has on their way. */
static double dropout_bytes(const bpt_device *device, float dropout)
{
    int rows = element_bytes(device) == 2.0 ? 2 * BPI_CUDA_BLOCK_ROWS : BPI_CUDA_BLOCK_ROWS;
    return dropout > 0.0f ? 8.0 * ROWS * COLS / (4 * rows) : 0.0;
}

static void forward(bpt_device *device, bp_norm norm, bp_activation activation, float dropout)
{
    bpt_block block = block_of(norm, activation, dropout);
    bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 301);
    in.bias = in.beta;
    bpt_reset_counts();
    bpt_block_run_forward(device, &block, &in);
    bpt_clean();
}

Test(cuda_block_traffic, of_forward_is_u_and_the_skip_once_and_a_and_out_once)
{
    bpt_device *device = open_counted();
    const int64_t slices = bpi_cuda_block_pass_of(ROWS, COLS, 4).slices;
    const int64_t moments = bpi_cuda_moments_pass_of(ROWS, COLS, 4).slices;
    const int64_t teams = bpi_cuda_teams_of(ROWS, COLS, 4, BPI_CUDA_TEAM_ROWS_FORWARD).slices;
    for (int drops = 0; drops < 2; ++drops) {
        float p = drops ? 0.25f : 0.0f;
        bp_activation activation = drops ? BP_ACTIVATION_GELU : BP_ACTIVATION_RELU;
        forward(device, BP_NORM_NONE, activation, p);
        bpt_check_traffic("block_forward", fours(device, drops ? 1.25 : 1.03));
        expect_elements(device, "block_forward", 4.0, slices, 1, dropout_bytes(device, p));
        forward(device, BP_NORM_BATCH, activation, p);
        bpt_check_traffic("block_forward", fours(device, 1.25));
        expect_elements(device, "block_forward", 4.0, slices, 5, dropout_bytes(device, p));
        /* u; the bias and the first row by each of 8 groups; and two sums of 8 bytes a column */
        bpt_check_traffic("column_moments", fours(device, 1.61));
        expect_elements(device, "column_moments", 1.0, moments, 8 + 4,
                        8.0 * element_bytes(device) * (double)moments * COLS);
        forward(device, BP_NORM_LAYER, activation, p);
        bpt_check_traffic("layer_norm", fours(device, 1.25));
        expect_elements(device, "layer_norm", 4.0, teams, 3, 8.0 * ROWS + (drops ? 8.0 * ROWS * COLS / 16 : 0.0));
    }
    bpt_close(device);
}

static void backward(bpt_device *device, bp_norm norm, bp_activation activation, float dropout)
{
    bpt_block block = block_of(norm, activation, dropout);
    bpt_block_inputs in = bpt_block_random(&device->backend->traits, &block, 302);
    bpt_block_forward saved = {.a = in.u, .mean = in.d_out, .inv_std = in.d_out};
    in.bias = in.beta;
    bpt_reset_counts();
    bpt_block_run_backward(device, &block, &in, &saved);
    bpt_clean();
}

/* d_out, d_out_skip and one of u and a are read, delta and d_skip are written; with a norm u and, of a tanh, a. */
Test(cuda_block_traffic, of_backward_is_each_array_once_in_each_pass)
{
    bpt_device *device = open_counted();
    const int64_t slices = bpi_cuda_block_pass_of(ROWS, COLS, 4).slices;
    const int64_t teams = bpi_cuda_teams_of(ROWS, COLS, 4, BPI_CUDA_TEAM_ROWS_BACKWARD).slices;
    for (int drops = 0; drops < 2; ++drops) {
        float p = drops ? 0.25f : 0.0f;
        double steps = dropout_bytes(device, p);
        backward(device, BP_NORM_NONE, BP_ACTIVATION_GELU, p); /* the bias, and a row of sums */
        bpt_check_traffic("block_backward", fours(device, drops ? 1.25 : 1.03));
        expect_elements(device, "block_backward", 5.0, slices, 2, steps);
        backward(device, BP_NORM_NONE, BP_ACTIVATION_TANH, p);
        bpt_check_traffic("block_backward", fours(device, drops ? 1.25 : 1.03));
        expect_elements(device, "block_backward", 5.0, slices, 2, steps);
        backward(device, BP_NORM_BATCH, BP_ACTIVATION_TANH, p); /* 5 vectors and 2 rows of sums; 7 vectors */
        bpt_check_traffic("block_backward", fours(device, 1.25));
        expect_elements(device, "block_backward", 4.0 + 6.0, slices, 7 + 7, 2.0 * steps);
        backward(device, BP_NORM_BATCH, BP_ACTIVATION_RELU, p);
        bpt_check_traffic("block_backward", fours(device, 1.25));
        expect_elements(device, "block_backward", 3.0 + 5.0, slices, 7 + 7, 2.0 * steps);
        backward(device, BP_NORM_LAYER, BP_ACTIVATION_TANH, p); /* gamma, bias, 3 rows of sums; mean and inv_std */
        bpt_check_traffic("layer_norm_grad", fours(device, 1.27));
        expect_elements(device, "layer_norm_grad", 6.0, teams, 5,
                        8.0 * ROWS * COLS / 4 + (drops ? 8.0 * ROWS * COLS / 16 : 0.0));
        backward(device, BP_NORM_LAYER, BP_ACTIVATION_GELU, p); /* beta in place of a */
        bpt_check_traffic("layer_norm_grad", fours(device, 1.35));
        expect_elements(device, "layer_norm_grad", 5.0, teams, 6,
                        8.0 * ROWS * COLS / 4 + (drops ? 8.0 * ROWS * COLS / 16 : 0.0));
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
    /* Sums of 8 columns in f32 are two accesses, 32 bytes apart from lane to lane. */
    bpt_check_traffic("units_off", (bpt_limits){1.03, element_bytes(device) == 2.0 ? 0.94 : 0.97, 14.5});
    device->ops->release(device->backend, counts, sizeof zeros);
    bpt_release(&a);
    bpt_close(device);
}

/* Sums of gradients read them once; sums of moves the parameters before and after. Pieces of 40 bytes a block and
 * tensor beside them. */
Test(cuda_block_traffic, of_sums_by_tensor_is_4_and_8_bytes_a_parameter)
{
    enum { TENSORS = 4, COUNT = 1 << 20 };
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
    double blocks = (double)bpi_cuda_blocks_of(COUNT), ranges_bytes = 16.0 * TENSORS * BPI_CUDA_THREADS * blocks;
    bpt_check_traffic("gradient_sums", (bpt_limits){1.0 + 1.02 * ranges_bytes / (4.0 * COUNT), 0.97, 8.5});
    bpt_check_traffic("move_sums", (bpt_limits){1.0 + 1.02 * ranges_bytes / (8.0 * COUNT), 0.97, 10.0});
    cr_expect(moved_by("gradient_sums") <= 4.0 * COUNT + ranges_bytes + (16.0 + 40.0 * TENSORS) * blocks);
    cr_expect(moved_by("move_sums") <= 8.0 * COUNT + ranges_bytes + 40.0 * TENSORS * blocks);
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
