/* See scenario.h. */
#include "support/scenario.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/math/bf16.h"
#include "support/linear.h"
#include "support/random.h"

typedef struct scene {
    bpt_device *device;
    const bpt_scenario *is;
    bpi_linear_spec spec;
    bpi_linear_plan *plan;
    bpt_random random;
    bpt_outputs out;
    int64_t capacity;
    bool narrow;                         /* activations, error terms and the products' weights are bf16 */
    bpi_matrix x, w, delta, saved_below; /* [B,I] [O,I] [B,O] [B,I] */
    float *bias;
} scene;

static float *array(scene *s, int64_t count, double reach)
{
    float *values = calloc((size_t)count, sizeof *values);
    cr_assert_not_null(values);
    for (int64_t k = 0; reach > 0.0 && k < count; ++k)
        values[k] = (float)bpt_random_uniform(&s->random, -reach, reach);
    return values;
}

static int64_t ld_of(const scene *s, int64_t cols, bool of_errors)
{
    return bpi_ld_of(s->device->backend, cols, of_errors);
}

/* Rows are as far apart as the backend likes; the padding is zero. */
static bpi_matrix matrix_of(scene *s, bool narrow, int64_t rows, int64_t cols, int64_t ld, double reach)
{
    bpi_matrix m = {NULL, rows, cols, ld};
    m.data = calloc((size_t)(rows * m.ld), narrow ? sizeof(uint16_t) : sizeof(float));
    cr_assert_not_null(m.data);
    for (int64_t r = 0; reach > 0.0 && r < rows; ++r)
        for (int64_t c = 0; c < cols; ++c) {
            float value = (float)bpt_random_uniform(&s->random, -reach, reach);
            if (narrow)
                ((uint16_t *)m.data)[r * m.ld + c] = bpi_bf16_from_float(value);
            else
                ((float *)m.data)[r * m.ld + c] = value;
        }
    return m;
}

static bpi_matrix matrix(scene *s, int64_t rows, int64_t cols, double reach)
{
    return matrix_of(s, s->narrow, rows, cols, ld_of(s, cols, false), reach);
}

static bpi_matrix error_matrix(scene *s, int64_t rows, int64_t cols, double reach)
{
    return matrix_of(s, s->narrow, rows, cols, ld_of(s, cols, true), reach);
}

/* Of parameters, their gradients, targets, and what the loss reads. */
static bpi_matrix wide_matrix(scene *s, int64_t rows, int64_t cols, double reach)
{
    return matrix_of(s, false, rows, cols, ld_of(s, cols, false), reach);
}

static void keep(scene *s, const void *values, int64_t floats)
{
    if (s->out.count + floats > s->capacity) {
        s->capacity = 2 * (s->out.count + floats);
        s->out.values = realloc(s->out.values, (size_t)s->capacity * sizeof(float));
        cr_assert_not_null(s->out.values);
    }
    memcpy(s->out.values + s->out.count, values, (size_t)floats * sizeof(float));
    s->out.count += floats;
}

static void keep_matrix(scene *s, bpi_matrix m)
{
    keep(s, m.data, s->narrow ? m.rows * m.ld / 2 : m.rows * m.ld); /* ld is even then */
    free(m.data);
}

static void keep_wide_matrix(scene *s, bpi_matrix m)
{
    keep(s, m.data, m.rows * m.ld);
    free(m.data);
}

static void make_scene(scene *s)
{
    const bpt_scenario *is = s->is;
    const bpi_ops *ops = s->device->ops;
    s->narrow = s->device->backend->traits.activation_type == BPI_TYPE_BF16;
    s->x = matrix(s, is->rows, is->inputs, 2.0);
    s->w = matrix(s, is->outputs, is->inputs, 0.5);
    s->delta = error_matrix(s, is->rows, is->outputs, 1.0);
    s->saved_below = matrix(s, is->rows, is->inputs, 0.9); /* a value of every activation */
    s->bias = array(s, is->outputs, 1.0);
    s->spec = (bpi_linear_spec){.rows = is->rows,
                                .inputs = is->inputs,
                                .outputs = is->outputs,
                                .ld_x = s->x.ld,
                                .ld_w = s->w.ld,
                                .ld_a = ld_of(s, is->outputs, false),
                                .ld_d_x = ld_of(s, is->inputs, true),
                                .ld_delta = s->delta.ld,
                                .bias = true,
                                .activation = is->activation,
                                .slope = 0.2f,
                                .gradients = true,
                                .input_grad = true};
    bpi_workspace workspace = ops->workspace_bytes(s->device->backend, &s->spec, is->outputs * s->w.ld);
    cr_assert_eq(ops->reserve(s->device->backend, workspace), BP_STATUS_OK);
    cr_assert_eq(ops->linear_plan(s->device->backend, &s->spec, &s->plan), BP_STATUS_OK, "%s", s->device->error.text);
}

static void run_products(scene *s)
{
    const bpt_scenario *is = s->is;
    bpi_matrix z = matrix(s, is->rows, is->outputs, 0.0), a = matrix(s, is->rows, is->outputs, 0.0);
    BPT_RUN(s->device, linear_forward, s->plan, s->x.data, s->w.data, s->bias,
            bpi_activation_saves_z(is->activation) ? z.data : NULL, a.data);
    keep_matrix(s, z);
    keep_matrix(s, a);
    bpi_matrix d_x = error_matrix(s, is->rows, is->inputs, 0.0), d_w = wide_matrix(s, is->outputs, is->inputs, 0.0);
    BPT_RUN(s->device, linear_input_grad, s->plan, s->delta.data, s->w.data, d_x.data);
    BPT_RUN(s->device, linear_weight_grad, s->plan, 1, s->delta.data, s->x.data, false, d_w.data);
    keep(s, d_w.data, d_w.rows * d_w.ld);
    BPT_RUN(s->device, linear_weight_grad, s->plan, 1, s->delta.data, s->x.data, true, d_w.data);
    keep_matrix(s, d_x);
    keep_wide_matrix(s, d_w);
    bpi_matrix below = error_matrix(s, is->rows, is->inputs, 0.0);
    float *d_b = array(s, is->inputs, 0.0);
    bpi_activation_args args = {
        .activation = is->activation, .slope = 0.2f, .saved = s->saved_below, .delta = below, .d_b = d_b};
    BPT_RUN(s->device, linear_hidden_delta, s->plan, s->delta.data, s->w.data, &args);
    keep_matrix(s, below);
    keep(s, d_b, is->inputs);
    free(d_b);
}

static void run_elementwise(scene *s)
{
    const bpt_scenario *is = s->is;
    bpi_matrix f = matrix(s, is->rows, is->inputs, 0.0), slope = matrix(s, is->rows, is->inputs, 0.0);
    bpi_matrix product = matrix(s, is->rows, is->inputs, 0.0), delta = error_matrix(s, is->rows, is->inputs, 0.0);
    float *d_b = array(s, is->inputs, 1.0);
    BPT_RUN(s->device, activation_forward, is->activation, 0.2f, s->x, f);
    BPT_RUN(s->device, activation_derivative, is->activation, 0.2f, s->saved_below, slope);
    BPT_RUN(s->device, hadamard, s->x, slope, product);
    bpi_activation_args args = {.activation = is->activation,
                                .slope = 0.2f,
                                .saved = s->saved_below,
                                .d_a = s->x,
                                .delta = delta,
                                .d_b = d_b,
                                .accumulate = true};
    BPT_RUN(s->device, activation_backward, &args);
    keep(s, d_b, is->inputs);
    BPT_RUN(s->device, bias_grad, s->x, false, d_b);
    keep(s, d_b, is->inputs);
    keep_matrix(s, f);
    keep_matrix(s, slope);
    keep_matrix(s, product);
    keep_matrix(s, delta);
    free(d_b);
}

static void run_loss(scene *s)
{
    const bpt_scenario *is = s->is;
    bpi_matrix targets = wide_matrix(s, is->rows, is->outputs, 0.5), z = wide_matrix(s, is->rows, is->outputs, 1.0);
    bpi_matrix delta = error_matrix(s, is->rows, is->outputs, 0.0);
    float *d_b = array(s, is->outputs, 0.0);
    bpi_step_state state = {.step = 0};
    int64_t *classes = calloc((size_t)is->rows, sizeof *classes);
    cr_assert_not_null(classes);
    for (int64_t b = 0; b < is->rows; ++b)
        classes[b] = bpt_random_below(&s->random, is->outputs);
    for (int64_t k = 0; k < is->rows * targets.ld; ++k)
        ((float *)targets.data)[k] += 0.5f;
    for (int by_class = 0; by_class < (is->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY ? 2 : 1); ++by_class) {
        bpi_loss_args args = {.loss = is->loss,
                              .label_smoothing = 0.1f,
                              .huber_delta = 0.7f,
                              .z = z,
                              .classes = by_class ? classes : NULL,
                              .targets = targets,
                              .scale = 1.0 / (double)is->rows,
                              .delta = delta,
                              .d_b = d_b,
                              .state = &state};
        BPT_RUN(s->device, loss, &args);
        keep(s, delta.data, s->narrow ? is->rows * delta.ld / 2 : is->rows * delta.ld);
        keep(s, d_b, is->outputs);
    }
    keep(s, &state, (int64_t)(sizeof state / sizeof(float)));
    free(targets.data);
    free(z.data);
    free(delta.data);
    free(d_b);
    free(classes);
}

static void run_update(scene *s)
{
    int64_t count = s->w.rows * s->w.ld;
    bpi_matrix parameters = wide_matrix(s, s->w.rows, s->w.cols, 0.5);
    float *gradients = array(s, count, 1.0), *state1 = array(s, count, 0.1), *state2 = array(s, count, 0.0);
    bpi_hyper hyper = {.optimizer = s->is->optimizer,
                       .lr = 0.01,
                       .momentum = 0.9,
                       .beta1 = 0.9,
                       .beta2 = 0.999,
                       .epsilon = 1e-8,
                       .weight_decay = 0.02,
                       .clip_norm = 1.0,
                       .schedule_step = 1};
    bpi_step_state state = {.step = 3};
    for (int limited = 0; limited < 2; ++limited) {
        hyper.clip_value = limited ? 0.6 : 0.0;
        hyper.nesterov = limited;
        bpi_update_args args = {.hyper = &hyper,
                                .state = &state,
                                .count = count,
                                .decayed = count / 32 * 16,
                                .parameters = parameters.data,
                                .gradients = gradients,
                                .state1 = state1,
                                .state2 = hyper.optimizer == BP_OPTIMIZER_SGD ? NULL : state2,
                                .weights = s->narrow ? s->w.data : NULL};
        BPT_RUN(s->device, update_prepare, &hyper, gradients, count, &state);
        cr_assert(state.grad_norm > 0.0 && !state.nonfinite);
        BPT_RUN(s->device, update, &args);
        keep(s, &state, (int64_t)(sizeof state / sizeof(float)));
    }
    keep(s, s->w.data, s->narrow ? count / 2 : count);
    keep_wide_matrix(s, parameters);
    keep(s, state1, count);
    keep(s, state2, count);
    free(gradients);
    free(state1);
    free(state2);
}

static void run_load(scene *s)
{
    const bpt_scenario *is = s->is;
    uint8_t *bytes = malloc((size_t)(is->rows * is->inputs));
    float *mean = array(s, is->inputs, 0.5), *inv_std = array(s, is->inputs, 2.0);
    bpi_matrix x = matrix(s, is->rows, is->inputs, 0.0);
    cr_assert_not_null(bytes);
    for (int64_t k = 0; k < is->rows * is->inputs; ++k)
        bytes[k] = (uint8_t)bpt_random_below(&s->random, 256);
    bpi_source source = {.x = bytes, .x_type = BPI_TYPE_U8, .divisor = 255.0f, .rows = is->rows, .inputs = is->inputs};
    bpi_load_args args = {.source = &source, .rows = is->rows, .mean = mean, .inv_std = inv_std, .x = x};
    BPT_RUN(s->device, load, &args);
    keep_matrix(s, x);
    free(bytes);
    free(mean);
    free(inv_std);
}

bpt_outputs bpt_scenario_run(bpt_device *device, const bpt_scenario *scenario)
{
    scene s = {.device = device, .is = scenario, .random = {17}};
    make_scene(&s);
    if (scenario->products)
        run_products(&s);
    run_elementwise(&s);
    run_loss(&s);
    run_update(&s);
    run_load(&s);
    device->ops->linear_unplan(device->backend, s.plan);
    free(s.x.data);
    free(s.w.data);
    free(s.delta.data);
    free(s.saved_below.data);
    free(s.bias);
    return s.out;
}

void bpt_scenario_same(bpt_outputs got, bpt_outputs want, const bpt_scenario *scenario, const char *words)
{
    int64_t differ = 0, first = -1, nonzero = 0;
    cr_assert_eq(got.count, want.count);
    for (int64_t k = 0; k < want.count; ++k) {
        nonzero += want.values[k] != 0.0f;
        if (memcmp(&got.values[k], &want.values[k], sizeof(float)) != 0 && differ++ == 0)
            first = k;
    }
    /* padding is zero, and at O = 1 most of a row */
    cr_assert(nonzero > want.count / 8, "most outputs are zero: nothing was compared");
    cr_assert_eq(differ, 0, "%s, B=%lld I=%lld O=%lld %s %s: %lld of %lld outputs differ, the first at %lld", words,
                 (long long)scenario->rows, (long long)scenario->inputs, (long long)scenario->outputs,
                 bp_activation_name(scenario->activation), bp_loss_name(scenario->loss), (long long)differ,
                 (long long)want.count, (long long)first);
}
