/* linear_hidden_delta: the two operations that it joins, linear_input_grad and activation_backward, in one pass.
 * Backends without it are left out: the host calls the two. */
#include "support/activation.h"
#include "support/judge.h"
#include "support/linear.h"

#include <criterion/criterion.h>

TestSuite(linear_hidden_delta, .fini = bpt_clean);

typedef struct outputs {
    double *delta, *d_b; /* d_b NULL: not wanted */
} outputs;

typedef struct inputs {
    bpt_shape shape;
    bp_activation below;
    bpt_linear_values values;
    const double *saved, *old_d_b; /* [B,I], [I] */
    bool accumulate, d_b_wanted;
    int64_t extra;
} inputs;

static inputs random_inputs(const bpi_traits *traits, int s, bp_activation below, uint64_t seed)
{
    inputs in = {.shape = bpt_shapes[s], .below = below, .accumulate = s % 2, .d_b_wanted = true, .extra = s % 2};
    bpt_random random = {seed};
    int64_t count = in.shape.rows * in.shape.inputs;
    in.values = bpt_linear_random(traits->activation_type, traits->parameter_type, in.shape, true, seed + 1);
    double *z = bpt_away_from_kinks(&random, traits->activation_type, count);
    in.saved = bpt_saved(traits->activation_type, below, z, count);
    in.old_d_b = bpt_uniform(&random, traits->parameter_type, -1.0, 1.0, in.shape.inputs);
    return in;
}

/* In one pass or in two; delta of the layer below goes to d_x. */
static outputs hidden_delta(bpt_device *device, const inputs *in, bool joined)
{
    bpt_shape shape = in->shape;
    bpt_linear linear = bpt_linear_open(device, shape, BP_ACTIVATION_IDENTITY, in->extra, &in->values);
    bpt_matrix saved = bpt_activations(device, shape.rows, shape.inputs, in->extra, in->saved);
    bpt_matrix d_b = bpt_parameters(device, 1, shape.inputs, 1, in->accumulate ? in->old_d_b : NULL);
    bpt_reserve(device, shape.rows, shape.inputs, 1);
    bpi_activation_args args = {.activation = in->below,
                                .slope = bpt_slope,
                                .saved = saved.view,
                                .d_a = linear.d_x.view,
                                .delta = linear.d_x.view,
                                .d_b = in->d_b_wanted ? d_b.view.data : NULL,
                                .accumulate = in->accumulate};
    if (joined) {
        args.d_a.data = NULL; /* not looked at */
        BPT_RUN(device, linear_hidden_delta, linear.plan, linear.delta.view.data, linear.w.view.data, &args);
    } else {
        BPT_RUN(device, linear_input_grad, linear.plan, linear.delta.view.data, linear.w.view.data,
                linear.d_x.view.data);
        BPT_RUN(device, activation_backward, &args);
    }
    outputs got = {bpt_get(&linear.d_x), in->d_b_wanted ? bpt_get(&d_b) : NULL};
    bpt_release(&saved);
    bpt_release(&d_b);
    bpt_linear_close(&linear);
    return got;
}

/* Sums over the same delta, in whatever order: both are within the bound of exact arithmetic. */
static void compare_d_b(bpt_device *device, const inputs *in, const double *delta, const double *got,
                        const double *want)
{
    bpt_shape shape = in->shape;
    double *bound = bpt_doubles(shape.inputs);
    for (int64_t i = 0; i < shape.inputs; ++i) {
        double magnitude = in->accumulate ? fabs(in->old_d_b[i]) : 0.0;
        for (int64_t b = 0; b < shape.rows; ++b)
            magnitude += fabs(delta[b * shape.inputs + i]);
        bound[i] = 2.0 * bpi_bias_grad_bound(&device->roundoff, shape.rows, in->accumulate, magnitude, 0.0);
    }
    bpt_compare(got, want, bound, shape.inputs, "%s d_b, %s B=%lld I=%lld", device->target->name,
                bp_activation_name(in->below), (long long)shape.rows, (long long)shape.inputs);
}

static int check_target(const bpt_target *target)
{
    if (!target->ops()->linear_hidden_delta || target->ops()->linear_way) /* test_cuda_ways */
        return 0;
    bpt_device *device = bpt_open(target, 2), *one = bpt_open(target, 1);
    for (int s = 0; s < BPT_SHAPE_COUNT; ++s)
        for (int f = 0; f < BP_ACTIVATION_COUNT; ++f) {
            inputs in = random_inputs(&device->backend->traits, s, (bp_activation)f, 131);
            in.d_b_wanted = (s + f) % 5 != 4;
            outputs got = hidden_delta(device, &in, true), want = hidden_delta(device, &in, false);
            outputs again = hidden_delta(one, &in, true);
            int64_t count = in.shape.rows * in.shape.inputs;
            bpt_same_bits(got.delta, want.delta, count, "%s %s delta in one pass and in two, shape %d", target->name,
                          bp_activation_name(in.below), s);
            bpt_same_bits(got.delta, again.delta, count, "%s delta, 1 and 2 threads, shape %d", target->name, s);
            if (in.d_b_wanted) {
                compare_d_b(device, &in, want.delta, got.d_b, want.d_b);
                bpt_same_bits(got.d_b, again.d_b, in.shape.inputs, "%s d_b, 1 and 2 threads, shape %d", target->name,
                              s);
            }
            bpt_clean();
        }
    bpt_close(device);
    bpt_close(one);
    return 1;
}

Test(linear_hidden_delta, gives_the_bits_of_the_two_operations_that_it_joins)
{
    int checked = 0;
    for (int t = 0; bpt_target_at(t); ++t)
        checked += check_target(bpt_target_at(t));
    cr_assert_gt(checked, 0, "no backend has linear_hidden_delta");
}
