/* Activations and their derivatives against libm in double, within the bounds of kernels/math/bounds.h, over float32.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "backprop/model.h"
#include "kernels/math/activation.h"
#include "math/activations.h"
#include "math/sweep.h"

/* Around the ends of this range every activation is 0, 1, z or its asymptote already. */
static const sweep_range RANGE = {0x1p-26f, 128.0f, 8209};

static float grad_at(const math_activation *f, float z)
{
    return f->grad(f->saves_z ? z : f->value(z, f->slope), f->slope);
}

static double share(double error, double bound)
{
    return error <= 0.0 ? 0.0 : error / bound;
}

static double value_share(float z, void *activation)
{
    const math_activation *f = activation;
    float y = f->value(z, f->slope);
    if (isnan(z)) {
        return isnan(y) ? 0.0 : 2.0;
    }
    double exact = f->exact((double)z, (double)f->slope);
    if (isinf(z)) {
        return bpi_bits_from_float(y) == bpi_bits_from_float(z > 0.0f ? f->high : f->low) ? 0.0 : 2.0;
    }
    return share(fabs((double)y - exact), f->bound((double)z, (double)f->slope));
}

static double grad_share(float z, void *activation)
{
    const math_activation *f = activation;
    float y = grad_at(f, z);
    if (isnan(z)) {
        return isnan(y) || strcmp(f->name, "identity") == 0 ? 0.0 : 2.0;
    }
    if (isinf(z)) {
        float limit = z > 0.0f ? f->high_grad : f->low_grad;
        return y <= limit && y >= limit ? 0.0 : 2.0;
    }
    double exact = f->exact_grad((double)z, (double)f->slope);
    return share(fabs((double)y - exact), f->grad_bound((double)z, (double)f->slope));
}

static void check(sweep_visit visit, const char *what)
{
    for (size_t i = 0; i < MATH_ACTIVATION_COUNT; i++) {
        math_activation f = MATH_ACTIVATIONS[i];
        sweep_result result = sweep(visit, &f, RANGE);
        fprintf(stderr, "%-10s %s: worst error %.3f of its bound at %a, %lld visited\n", f.name, what, result.worst,
                (double)result.worst_at, (long long)result.visited);
        cr_expect(result.failed == 0, "%s of %s, slope %g: %lld of %lld outside the bound, first at %a", what, f.name,
                  (double)f.slope, (long long)result.failed, (long long)result.visited, (double)result.failed_at);
    }
}

Test(math_activation, value_is_within_its_bound_over_float32)
{
    check(value_share, "value");
}

Test(math_activation, derivative_from_what_is_saved_is_within_its_bound_over_float32)
{
    check(grad_share, "derivative");
}

/* Central differences of the exact value, step h: off by h^2/6 |f'''| <= h^2 and by the rounding of the two values,
 * 2^-52 |f| / h or less. z keeps away from the kinks at 0. */
Test(math_activation, derivative_agrees_with_central_differences)
{
    const double h = 0x1p-17;
    for (size_t i = 0; i < MATH_ACTIVATION_COUNT; i++) {
        const math_activation *f = &MATH_ACTIVATIONS[i];
        double slope = (double)f->slope;
        double largest = 0.0;
        for (float z = -30.0f; z < 30.0f; z += 0.013671875f) {
            double x = (double)z;
            if (fabs(x) <= 2.0 * h) {
                continue;
            }
            double difference = (f->exact(x + h, slope) - f->exact(x - h, slope)) / (2.0 * h);
            double bound = f->grad_bound(x, slope) + 2.0 * h * h + 0x1p-51 * (1.0 + fabs(x)) / h;
            double y = (double)grad_at(f, z);
            largest = fmax(largest, fabs(y));
            cr_assert(fabs(y - difference) <= bound, "%s at %g: %g, by differences %g", f->name, x, y, difference);
        }
        cr_expect(largest > 0.1, "%s: a derivative of zeros", f->name);
    }
}

Test(math_activation, every_activation_of_the_model_is_tested_and_saves_what_the_model_says)
{
    static const struct {
        const char *name;
        int saves_z;
    } listed[] = {
#define LISTED(ENUM, name, saves_z) {name, saves_z},
        BP_ACTIVATION_LIST(LISTED)
#undef LISTED
    };
    for (size_t i = 0; i < sizeof listed / sizeof listed[0]; i++) {
        int found = 0;
        for (size_t k = 0; k < MATH_ACTIVATION_COUNT; k++) {
            found += strcmp(MATH_ACTIVATIONS[k].name, listed[i].name) == 0 &&
                     MATH_ACTIVATIONS[k].saves_z == listed[i].saves_z;
        }
        cr_expect(found > 0, "%s", listed[i].name);
    }
}

Test(math_activation, kinks_take_the_left_derivative_at_zero)
{
    const float zeros[] = {0.0f, -0.0f};
    for (size_t i = 0; i < 2; i++) {
        cr_expect(bpi_relu_grad(bpi_relu(zeros[i])) == 0.0f);
        cr_expect(bpi_leaky_relu_grad(bpi_leaky_relu(zeros[i], 0.2f), 0.2f) == 0.2f);
        cr_expect(bpi_elu_grad(bpi_elu(zeros[i])) == 1.0f);
    }
    cr_expect(bpi_relu_grad(bpi_relu(0x1p-149f)) == 1.0f);
    cr_expect(bpi_leaky_relu_grad(bpi_leaky_relu(0x1p-149f, 0.2f), 0.2f) == 1.0f);
    cr_expect(bpi_leaky_relu_grad(bpi_leaky_relu(-0x1p-149f, 0.2f), 0.2f) == 0.2f);
}

static double leaky_equals_relu(float z, void *unused)
{
    (void)unused;
    float leaky = bpi_leaky_relu(z, 0.0f);
    float relu = bpi_relu(z);
    bool same = leaky <= relu && leaky >= relu && bpi_leaky_relu_grad(leaky, 0.0f) <= bpi_relu_grad(relu) &&
                bpi_leaky_relu_grad(leaky, 0.0f) >= bpi_relu_grad(relu);
    return same || isnan(z) || isinf(z) ? 0.0 : 2.0;
}

Test(math_activation, leaky_relu_with_slope_zero_equals_relu)
{
    sweep_result result = sweep(leaky_equals_relu, NULL, (sweep_range){0.0f, 0.0f, 4099});
    cr_expect(result.failed == 0, "at %a", (double)result.failed_at);
}
