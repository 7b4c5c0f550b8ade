/* See loss.h. */
#include "support/loss.h"

#include <criterion/criterion.h>
#include <math.h>

const bpt_loss_case bpt_loss_cases[BPT_LOSS_CASES] = {
    {"cross-entropy, classes", BP_LOSS_SOFTMAX_CROSS_ENTROPY, true, 0.0f, 1.0f},
    {"cross-entropy, classes, smoothed", BP_LOSS_SOFTMAX_CROSS_ENTROPY, true, 0.1f, 1.0f},
    {"cross-entropy, probabilities", BP_LOSS_SOFTMAX_CROSS_ENTROPY, false, 0.0f, 1.0f},
    {"cross-entropy, probabilities, smoothed", BP_LOSS_SOFTMAX_CROSS_ENTROPY, false, 0.2f, 1.0f},
    {"bce", BP_LOSS_BCE_WITH_LOGITS, false, 0.0f, 1.0f},
    {"mse", BP_LOSS_MSE, false, 0.0f, 1.0f},
    {"half mse", BP_LOSS_HALF_MSE, false, 0.0f, 1.0f},
    {"huber", BP_LOSS_HUBER, false, 0.0f, 1.0f},
    {"huber, delta 2.5", BP_LOSS_HUBER, false, 0.0f, 2.5f},
};

static bool is_softmax(const bpt_loss_inputs *in)
{
    return in->what->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY;
}

static double *random_targets(bpt_random *random, bpi_type type, const bpt_loss_case *what, bpt_shape shape)
{
    int64_t count = shape.rows * shape.outputs;
    if (what->loss == BP_LOSS_BCE_WITH_LOGITS) {
        double *targets = bpt_uniform(random, type, 0.0, 1.0, count);
        for (int64_t k = 0; k < count; k += 2)
            targets[k] = targets[k] > 0.5 ? 1.0 : 0.0;
        return targets;
    }
    if (what->loss != BP_LOSS_SOFTMAX_CROSS_ENTROPY)
        return bpt_uniform(random, type, -4.0, 4.0, count);
    double *targets = bpt_uniform(random, type, 0.0, 1.0, count);
    for (int64_t b = 0; b < shape.rows; ++b) {
        double sum = b % 2 ? 0.125 : 0.0; /* every second row sums to less than 1, as PyTorch allows */
        for (int64_t o = 0; o < shape.outputs; ++o)
            sum += targets[b * shape.outputs + o];
        for (int64_t o = 0; o < shape.outputs; ++o)
            targets[b * shape.outputs + o] = bpt_rounded(type, targets[b * shape.outputs + o] / sum);
    }
    return targets;
}

bpt_loss_inputs bpt_loss_random(const bpi_traits *traits, const bpt_loss_case *what, bpt_shape shape, uint64_t seed)
{
    bpt_random random = {seed};
    bpt_loss_inputs in = {.what = what, .shape = shape, .error_wanted = true, .d_b_wanted = true};
    bool per_sample = what->loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY || what->loss == BP_LOSS_HALF_MSE;
    in.scale = 1.0 / (double)(per_sample ? shape.rows : shape.rows * shape.outputs);
    in.z = bpt_uniform(&random, traits->parameter_type, -6.0, 6.0, shape.rows * shape.outputs);
    if (what->classes) {
        /* as many bytes as doubles, so that bpt_clean frees them too */
        int64_t *classes = (int64_t *)(void *)bpt_doubles(shape.rows);
        for (int64_t b = 0; b < shape.rows; ++b)
            classes[b] = bpt_random_below(&random, shape.outputs);
        in.classes = classes;
    } else {
        in.targets = random_targets(&random, traits->parameter_type, what, shape);
    }
    return in;
}

bpt_loss_outputs bpt_loss_run(bpt_device *device, const bpt_loss_inputs *in)
{
    bpt_shape shape = in->shape;
    bpt_matrix z = bpt_wide(device, shape.rows, shape.outputs, in->extra, in->z);
    bpt_matrix apart =
        bpt_activations(device, shape.rows, shape.outputs, in->extra + device->backend->traits.alignment, NULL);
    bpt_matrix targets = bpt_parameters(device, shape.rows, shape.outputs, in->extra, in->targets);
    bpt_matrix d_b = bpt_parameters(device, 1, shape.outputs, 1, in->old_d_b);
    const bpt_matrix *delta = in->in_place && z.type == apart.type ? &z : &apart;
    size_t classes_bytes = (size_t)shape.rows * sizeof(int64_t);
    int64_t *classes = in->classes ? bpt_upload(device, in->classes, classes_bytes) : NULL;
    bpi_step_state *state = bpt_upload(device, &in->before, sizeof in->before);
    bpt_reserve(device, shape.rows, shape.outputs, 1);

    bpi_loss_args args = {.loss = in->what->loss,
                          .label_smoothing = in->what->label_smoothing,
                          .huber_delta = in->what->huber_delta,
                          .z = z.view,
                          .classes = classes,
                          .scale = in->scale,
                          .accumulate = in->old_d_b != NULL,
                          .state = state};
    if (in->targets)
        args.targets = targets.view;
    if (in->error_wanted)
        args.delta = delta->view;
    if (in->d_b_wanted)
        args.d_b = d_b.view.data;
    BPT_RUN(device, loss, &args);

    bpt_loss_outputs out = {in->error_wanted ? bpt_get(delta) : NULL, in->d_b_wanted ? bpt_get(&d_b) : NULL, {0}};
    bpt_download(device, state, sizeof out.state, &out.state);
    device->ops->release(device->backend, state, sizeof out.state);
    device->ops->release(device->backend, classes, classes_bytes);
    bpt_release(&z);
    bpt_release(&apart);
    bpt_release(&targets);
    bpt_release(&d_b);
    return out;
}

double *bpt_loss_targets(const bpt_loss_inputs *in)
{
    int64_t outputs = in->shape.outputs;
    double *targets = bpt_doubles(in->shape.rows * outputs);
    double smoothing = is_softmax(in) ? (double)in->what->label_smoothing : 0.0;
    for (int64_t k = 0; k < in->shape.rows * outputs; ++k) {
        double plain = in->classes ? (in->classes[k / outputs] == k % outputs ? 1.0 : 0.0) : in->targets[k];
        targets[k] = (1.0 - smoothing) * plain + smoothing / (double)outputs;
    }
    return targets;
}

long double bpt_loss_exact_row(const bpt_loss_inputs *in, const double *targets, int64_t b, int64_t at,
                               long double step)
{
    int64_t outputs = in->shape.outputs;
    const double *z = in->z + b * outputs, *target = targets + b * outputs;
    if (is_softmax(in)) {
        long double moved[512];
        cr_assert_leq(outputs, 512);
        for (int64_t o = 0; o < outputs; ++o)
            moved[o] = (long double)z[o] + (o == at ? step : 0.0L);
        return bpt_exact_softmax_loss(moved, target, outputs);
    }
    long double sum = 0.0L;
    for (int64_t o = 0; o < outputs; ++o)
        sum += bpt_exact_element_loss(in->what->loss, in->what->huber_delta,
                                      (long double)z[o] + (o == at ? step : 0.0L), (long double)target[o]);
    return sum;
}

static bpi_loss_bound element_bound(const bpi_roundoff *r, const bpt_loss_inputs *in, double z, double target)
{
    double error = z - target;
    switch (in->what->loss) {
    case BP_LOSS_BCE_WITH_LOGITS:
        return bpi_bce_bound(r, z, target);
    case BP_LOSS_HUBER:
        return bpi_huber_bound(r, error, (double)in->what->huber_delta);
    case BP_LOSS_MSE:
        return bpi_squared_error_bound(r, error * error, 2.0 * error);
    default:
        return bpi_squared_error_bound(r, 0.5 * error * error, error);
    }
}

void bpt_loss_bounds(const bpi_roundoff *r, const bpt_loss_inputs *in, const double *targets, const double *values,
                     const double *deltas, double *value_bounds, double *delta_bounds)
{
    int64_t outputs = in->shape.outputs;
    for (int64_t b = 0; b < in->shape.rows; ++b) {
        const double *z = in->z + b * outputs, *target = targets + b * outputs;
        bpi_softmax_row row = bpi_softmax_row_of(z, target, outputs);
        double sum = 0.0;
        for (int64_t o = 0; o < outputs; ++o) {
            double error = deltas[b * outputs + o] / in->scale;
            bpi_loss_bound bound = element_bound(r, in, z[o], target[o]);
            if (is_softmax(in))
                bound.error = bpi_softmax_error_bound(r, &row, outputs, z[o], target[o]);
            sum += bound.value;
            delta_bounds[b * outputs + o] += bpi_loss_scaled_bound(r, in->scale, error, bound.error);
        }
        if (is_softmax(in))
            sum = bpi_softmax_value_bound(r, &row, outputs, z, target);
        value_bounds[b] += bpi_loss_sum_bound(r, outputs, fabs(values[b]), sum);
    }
}
