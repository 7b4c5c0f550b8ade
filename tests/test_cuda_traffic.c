/* What our CUDA kernels move, as cuemu counts it: facts about the code that hold on every card. Each element-wise and
 * reduction kernel, at B O of 2^20 and more, is held to
 *   bytes moved over bytes needed        at most 1.03
 *   bytes over the 32-byte sectors of each warp's accesses   at least 0.97
 *   bank conflicts of shared memory      none
 *   bytes of a lane's access on average  about 16, where all of its arrays have one type
 * A kernel that reads an array twice, by single elements or by columns fails one of them. */
#include "kernels/cuda/launch.h"
#include "support/cuemu.h"
#include "support/loss.h"
#include "support/traffic.h"
#include "support/update.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(cuda_traffic, .fini = bpt_clean);

enum { ROWS = 1024, COLS = 1024 };

static bpt_device *open_counted(void)
{
    return bpt_open_counted("cuda_test_cuda_traffic_lazy");
}

static const bpt_limits quads = {1.03, 0.97, 14.5};

static double element_bytes(const bpt_device *device)
{
    return (double)bpi_type_bytes(device->backend->traits.activation_type);
}

/* In bf16, what is of another width beside the arrays weighs twice as much in sectors and in the bytes of an access. */
static bpt_limits of_type(const bpt_device *device, bpt_limits f32, bpt_limits bf16)
{
    return element_bytes(device) == 2.0 ? bf16 : f32;
}

static const double *numbers(uint64_t seed, int64_t count)
{
    bpt_random random = {seed};
    return bpt_uniform(&random, BPI_TYPE_F32, -1.0, 1.0, count);
}

static bpt_matrix matrix(bpt_device *device, uint64_t seed)
{
    return bpt_activations(device, ROWS, COLS, 0, seed ? numbers(seed, ROWS * COLS) : NULL);
}

/* activation_forward with a bias, after a product of one input. */
static void forward(bpt_device *device, bp_activation activation)
{
    bpt_matrix x = bpt_activations(device, ROWS, 1, 0, numbers(1, ROWS));
    bpt_matrix w = bpt_parameters(device, COLS, 1, 0, numbers(2, COLS));
    bpt_matrix bias = bpt_parameters(device, 1, COLS, 0, numbers(3, COLS));
    bpt_matrix z = matrix(device, 0), a = matrix(device, 0);
    bpi_linear_spec spec = {.rows = ROWS,
                            .inputs = 1,
                            .outputs = COLS,
                            .ld_x = x.view.ld,
                            .ld_w = w.view.ld,
                            .ld_a = a.view.ld,
                            .bias = true,
                            .activation = activation};
    bpi_linear_plan *plan;
    cr_assert_eq(device->ops->linear_plan(device->backend, &spec, &plan), BP_STATUS_OK);
    bpt_reset_counts();
    void *kept = bpi_activation_saves_z(activation) ? z.view.data : NULL;
    BPT_RUN(device, linear_forward, plan, x.view.data, w.view.data, bias.view.data, kept, a.view.data);
    cr_assert_eq(device->ops->synchronize(device->backend), BP_STATUS_OK);
    bpt_check_traffic("activation_forward", quads);
    double arrays = kept ? 3.0 : 2.0;
    cr_expect_leq((double)bpt_count("activation_forward", "needed_read_bytes") +
                      (double)bpt_count("activation_forward", "needed_write_bytes"),
                  element_bytes(device) * arrays * ROWS * COLS + 4.0 * COLS, "%s: more than z, the bias and a",
                  bp_activation_name(activation));
    device->ops->linear_unplan(device->backend, plan);
    bpt_release(&x);
    bpt_release(&w);
    bpt_release(&bias);
    bpt_release(&z);
    bpt_release(&a);
}

Test(cuda_traffic, of_activation_forward_is_z_once_and_a_once)
{
    bpt_device *device = open_counted();
    forward(device, BP_ACTIVATION_RELU);
    forward(device, BP_ACTIVATION_SILU);
    bpt_close(device);
}

Test(cuda_traffic, of_activation_backward_and_its_parts_is_each_array_once)
{
    bpt_device *device = open_counted();
    bpt_matrix saved = matrix(device, 4), d_a = matrix(device, 5), delta = matrix(device, 0);
    bpt_matrix d_b = bpt_parameters(device, 1, COLS, 0, NULL);
    bpt_reserve(device, ROWS, COLS, 1);
    bpi_activation_args args = {.activation = BP_ACTIVATION_RELU,
                                .saved = saved.view,
                                .d_a = d_a.view,
                                .delta = delta.view,
                                .d_b = d_b.view.data};
    bpt_reset_counts();
    BPT_RUN(device, activation_backward, &args);
    BPT_RUN(device, bias_grad, delta.view, false, d_b.view.data);
    BPT_RUN(device, hadamard, saved.view, d_a.view, delta.view);
    BPT_RUN(device, activation_derivative, BP_ACTIVATION_TANH, 0.0f, saved.view, delta.view);
    cr_assert_eq(device->ops->synchronize(device->backend), BP_STATUS_OK);
    bpt_check_traffic("activation_backward", quads);
    bpt_check_traffic("hadamard", quads);
    bpt_check_traffic("activation_derivative", quads);
    /* "column_sums" is a part of the name of the second stage too, which moves by single elements and little. */
    bpt_check_traffic("column_sums", (bpt_limits){1.03, 0.97, 13.5});
    cr_expect_leq(bpt_count("column_sums_finish", "global_read_bytes"), 2 * 4 * ROWS * COLS / 32,
                  "the second stage reads a row of sums for at least 32 rows of the first");
    bpt_release(&saved);
    bpt_release(&d_a);
    bpt_release(&delta);
    bpt_release(&d_b);
    bpt_close(device);
}

/* Column sums in shared memory are reached by generic addresses, and their accesses count among the global ones. */
static const bpt_limits loss_quads = {1.03, 0.97, 5.5}, loss_quads_bf16 = {1.03, 0.97, 4.5};

static void lose(bpt_device *device, int index, int64_t rows, int64_t cols, bpt_limits limit)
{
    const bpt_loss_case *what = &bpt_loss_cases[index];
    bpt_loss_inputs in =
        bpt_loss_random(&device->backend->traits, what, (bpt_shape){rows, 1, cols}, 6 + (uint64_t)index);
    in.in_place = true;
    bpt_reset_counts();
    bpt_loss_run(device, &in);
    bpt_check_traffic("loss_rows", limit);
    int64_t bytes = (in.classes ? 4 : 8) + (int64_t)element_bytes(device); /* z and targets are wide, delta is not */
    cr_expect_leq(bpt_count("loss_rows", "needed_read_bytes") + bpt_count("loss_rows", "needed_write_bytes"),
                  bytes * rows * cols + (in.classes ? 8 * rows : 0) + 2 * 4 * rows * cols / 8,
                  "%s: more than each array once, and a row of sums for every eighth row", what->name);
    bpt_clean();
}

Test(cuda_traffic, of_losses_is_each_array_once)
{
    bpt_device *device = open_counted();
    for (int index = 0; index < BPT_LOSS_CASES; index++) /* a case of each kernel: classes, probabilities, elements */
        if (index == 1 || index == 3 || index == 4 || index == 5 || index == 8)
            lose(device, index, ROWS, COLS, of_type(device, loss_quads, loss_quads_bf16));
    bpt_close(device);
}

/* Rows of 10 of 12 elements: single elements, 40 of the 48 bytes that a row takes, and 8 bytes of class for which half
 * a sector is fetched. In bf16 rows of 16 elements: 40 of 64 bytes, of delta 20 of 32, and the class's. */
Test(cuda_traffic, of_a_loss_of_ten_classes_is_each_array_once)
{
    bpt_device *device = open_counted();
    lose(device, 0, 104896, 10,
         of_type(device, (bpt_limits){1.03, 0.97 * 88.0 / 112.0, 1.0}, (bpt_limits){1.03, 0.97 * 68.0 / 128.0, 0.8}));
    bpt_close(device);
}

/* Bytes are read 4 at a time, one in 5 bytes that move. */
Test(cuda_traffic, of_a_load_is_the_samples_once_and_the_batch_once)
{
    enum { SAMPLES = 2048, INPUTS = 784 };
    bpt_device *device = open_counted();
    bpt_random random = {9};
    unsigned char *bytes = malloc(SAMPLES * INPUTS);
    int64_t index[SAMPLES];
    for (int64_t k = 0; k < SAMPLES * INPUTS; k++)
        bytes[k] = (unsigned char)bpt_random_below(&random, 256);
    for (int64_t b = 0; b < SAMPLES; b++)
        index[b] = (b * 37) % SAMPLES;
    bpi_source source = {.x = bytes, .x_type = BPI_TYPE_U8, .divisor = 255.0f, .rows = SAMPLES, .inputs = INPUTS};
    cr_assert_eq(device->ops->source_prepare(device->backend, &source), BP_STATUS_OK);
    bpt_matrix mean = bpt_parameters(device, 1, INPUTS, 0, numbers(10, INPUTS));
    bpt_matrix inv_std = bpt_parameters(device, 1, INPUTS, 0, numbers(11, INPUTS));
    bpt_matrix x = bpt_activations(device, SAMPLES, INPUTS, 0, NULL);
    bpi_load_args args = {.source = &source,
                          .index = index,
                          .rows = SAMPLES,
                          .mean = mean.view.data,
                          .inv_std = inv_std.view.data,
                          .x = x.view};
    bpt_reset_counts();
    BPT_RUN(device, load, &args);
    cr_assert_eq(device->ops->synchronize(device->backend), BP_STATUS_OK);
    /* A block of r rows and c columns reads 8 bytes of each: the index, and mean and inv_std. BPI_CUDA_LOAD_GRID blocks
     * share the elements, with the fewest bytes where r = c: cuemu counts as needed 8 of all rows and columns. */
    double once = 8.0 * (SAMPLES + INPUTS), side = sqrt((double)SAMPLES * INPUTS / BPI_CUDA_LOAD_GRID);
    bpt_check_traffic_besides("load_inputs",
                              of_type(device, (bpt_limits){1.03, 0.97, 8.5}, (bpt_limits){1.03, 0.955, 5.3}),
                              BPI_CUDA_LOAD_GRID * 16.0 * side - once);
    device->ops->source_release(device->backend, &source);
    bpt_release(&mean);
    bpt_release(&inv_std);
    bpt_release(&x);
    free(bytes);
    bpt_close(device);
}

/* Of all optimisers, with the norm and both clippings: the norm reads 4 bytes a parameter, and the update reads and
 * writes the parameter and its state and reads the gradient. */
Test(cuda_traffic, of_the_norm_and_the_update_is_4_and_12_to_28_bytes_a_parameter)
{
    bpt_device *device = open_counted();
    const int64_t count = 1 << 20;
    for (int index = 0; index < BPT_OPTIMIZER_CASES; index++) {
        const bpi_hyper *hyper = &bpt_optimizer_cases[index].hyper;
        if (index != 0 && index != 3 && index != 5 && index != 8 && index != 11) /* one of each rule */
            continue;
        bpt_update_values values = bpt_update_random(BPI_TYPE_F32, hyper, count, 12);
        bpi_step_state state = {.step = 3};
        bpt_reset_counts();
        bpt_update_step(device, hyper, &values, &state);
        bpt_check_traffic("square_sums", quads);
        bpt_check_traffic("update", of_type(device, quads, (bpt_limits){1.03, 0.97, 13.5})); /* weights: 8 bytes */
        int64_t norm = bpt_count("square_sums", "global_read_bytes") + bpt_count("square_sums", "global_write_bytes");
        int64_t update = bpt_count("update", "global_read_bytes") + bpt_count("update", "global_write_bytes");
        bool copies = device->backend->traits.weight_type != device->backend->traits.parameter_type;
        double per_parameter = 12.0 + 8.0 * bpt_states_of(hyper) + (copies ? 2.0 : 0.0);
        cr_expect((double)norm <= 4.04 * (double)count, "%g bytes a parameter", (double)norm / (double)count);
        cr_expect((double)update <= 1.01 * per_parameter * (double)count, "%s: %g bytes a parameter",
                  bpt_optimizer_cases[index].name, (double)update / (double)count);
        bpt_clean();
    }
    bpt_close(device);
}

/* Batch norm's running values, copied at the beginning of a step and taken over at its end: 8 bytes each. */
Test(cuda_traffic, of_running_values_is_each_array_once)
{
    enum { COUNT = 1 << 20 };
    bpt_device *device = open_counted();
    bpt_matrix kept = bpt_parameters(device, 1, COUNT, 0, numbers(13, COUNT));
    bpt_matrix moved = bpt_parameters(device, 1, COUNT, 0, NULL);
    bpi_step_state state = {.step = 3};
    bpi_step_state *memory = bpt_upload(device, &state, sizeof state);
    bpi_running running = {kept.view.data, moved.view.data, COUNT, 1};
    bpt_reset_counts();
    BPT_RUN(device, step_begin, memory, &running);
    cr_assert_eq(device->ops->synchronize(device->backend), BP_STATUS_OK);
    bpt_check_traffic("step_begin", quads);
    cr_expect_eq(bpt_count("host", "kernel_launches"), 1);
    device->ops->release(device->backend, memory, sizeof state);
    bpt_release(&kept);
    bpt_release(&moved);

    const bpi_hyper *hyper = &bpt_optimizer_cases[0].hyper; /* 12 bytes a parameter, of few */
    bpt_update_values values = bpt_update_random(BPI_TYPE_F32, hyper, 1024 + COUNT, 14);
    values.count = values.decayed = 1024;
    values.behind = COUNT;
    values.running = (double *)(uintptr_t)numbers(15, COUNT);
    bpt_reset_counts();
    bpt_update_step(device, hyper, &values, &state);
    bpt_check_traffic("update", quads);
    int64_t update = bpt_count("update", "global_read_bytes") + bpt_count("update", "global_write_bytes");
    cr_expect((double)update <= 8.04 * COUNT, "%g bytes a running value", (double)update / COUNT);
    bpt_close(device);
}
