/* observe_units: in how many rows each unit passes no gradient on: exact counts, whatever a backend computes in, of
 * activations in its own type and of wide ones. */
#include "support/matrix.h"
#include "support/shapes.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(observe_units, .fini = bpt_clean);

static const bp_activation activations[] = {BP_ACTIVATION_RELU, BP_ACTIVATION_SIGMOID, BP_ACTIVATION_TANH};

/* Beyond bpt_shapes: as many rows and columns as every way to cut them wants; of the last one a thread takes
 * two rounds at an odd leading dimension, the second of them in part. */
static const bpt_shape large[] = {{4099, 1, 5}, {20011, 1, 1}, {2, 1, 4097}, {515, 1, 300}, {41, 1, 16385}};

enum { CASES = BPT_SHAPE_COUNT + sizeof large / sizeof large[0] };

static bpt_shape shape_at(int s)
{
    return s < BPT_SHAPE_COUNT ? bpt_shapes[s] : large[s - BPT_SHAPE_COUNT];
}

static bool off(bp_activation activation, double a)
{
    if (activation == BP_ACTIVATION_RELU)
        return a == 0.0;
    if (activation == BP_ACTIVATION_SIGMOID)
        return a < 0.015625 || a > 0.984375;
    return a < -0.96875 || a > 0.96875;
}

/* The neighbour of a value of the type. */
static double next_to(bpi_type type, double value, bool above)
{
    if (type != BPI_TYPE_BF16)
        return (double)nextafterf((float)value, above ? 2.0f : -2.0f);
    /* The steps of 8 bits around a value are at most 2^-7 and at least 2^-9 of it. */
    double step = fmax(0x1p-9 * fabs(value), 0x1p-133), next = value;
    for (; next == value; step *= 2.0)
        next = bpt_rounded(type, above ? value + step : value - step);
    return next;
}

/* Values around the limits, and the limits themselves, each of the type; NaN where `with_nan`. */
static double *values_of(bpi_type type, bp_activation activation, int64_t count, bool with_nan)
{
    static const double limits[] = {0.015625, 0.984375, 0.96875, -0.96875, 0.0, -0.0, 1.0, 0.5};
    bpt_random random = {211 + (uint64_t)activation};
    double *values = bpt_uniform(&random, type, activation == BP_ACTIVATION_TANH ? -1.0 : 0.0, 1.0, count);
    for (int64_t k = 0; k < count; ++k) {
        int64_t kind = bpt_random_below(&random, 8);
        double limit = limits[bpt_random_below(&random, 8)];
        if (kind < 2)
            values[k] = 0.0;
        else if (kind < 4)
            values[k] = limit;
        else if (kind == 4)
            values[k] = next_to(type, limit, true);
        else if (kind == 5)
            values[k] = next_to(type, limit, false);
        else if (kind == 6 && with_nan)
            values[k] = (double)NAN;
    }
    return values;
}

static int64_t *count(bpt_device *device, bp_activation activation, bpt_shape shape, bool wide, int64_t extra,
                      const double *a, const int64_t *old)
{
    size_t bytes = (size_t)shape.outputs * sizeof(int64_t);
    bpt_matrix matrix = (wide ? bpt_wide : bpt_activations)(device, shape.rows, shape.outputs, extra, a);
    bpt_reserve(device, shape.rows, shape.outputs, 1);
    int64_t *counts = (int64_t *)(void *)bpt_doubles(shape.outputs);
    for (int64_t o = 0; o < shape.outputs; ++o)
        counts[o] = old ? old[o] : -77;
    void *memory = bpt_upload(device, counts, bytes);
    BPT_RUN(device, observe_units, activation, matrix.view, wide, old != NULL, memory);
    bpt_download(device, memory, bytes, counts);
    device->ops->release(device->backend, memory, bytes);
    bpt_release(&matrix);
    return counts;
}

static void check(bpt_device *device, bp_activation activation, bpt_shape shape, bool wide, bool accumulate)
{
    const bpi_traits *traits = &device->backend->traits;
    bpi_type type = wide ? traits->parameter_type : traits->activation_type;
    double *a =
        values_of(type == BPI_TYPE_F64 ? BPI_TYPE_F32 : type, activation, shape.rows * shape.outputs, accumulate);
    int64_t *old = (int64_t *)(void *)bpt_doubles(shape.outputs), total = 0;
    for (int64_t o = 0; o < shape.outputs; ++o)
        old[o] = 3000000000 + o;
    int64_t *got = count(device, activation, shape, wide, shape.rows % 2, a, accumulate ? old : NULL);
    for (int64_t o = 0; o < shape.outputs; ++o) {
        int64_t want = 0;
        for (int64_t b = 0; b < shape.rows; ++b)
            want += off(activation, a[b * shape.outputs + o]);
        total += want;
        want += accumulate ? old[o] : 0;
        cr_assert_eq(got[o], want, "%s %s B=%lld O=%lld: unit %lld is off %lld times, should be %lld",
                     device->target->name, bp_activation_name(activation), (long long)shape.rows,
                     (long long)shape.outputs, (long long)o, (long long)got[o], (long long)want);
    }
    cr_assert(total > 0 || shape.rows * shape.outputs < 64, "nothing was off");
}

Test(observe_units, counts_exactly_for_every_activation_and_shape)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int s = 0; s < CASES; ++s)
            for (int k = 0; k < 6; ++k) {
                check(device, activations[k / 2], shape_at(s), (s + k / 2) % 2, k % 2);
                bpt_clean();
            }
        bpt_close(device);
    }
}

Test(observe_units, does_not_take_nan_for_off)
{
    const double a[4] = {(double)NAN, 0.0, (double)NAN, 1.0};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        for (int k = 0; k < 3; ++k) {
            int64_t *got = count(device, activations[k], (bpt_shape){2, 1, 2}, false, 0, a, NULL);
            cr_assert_eq(got[0], 0, "%s", device->target->name);
            cr_assert_eq(got[1], activations[k] == BP_ACTIVATION_SIGMOID ? 2 : 1, "%s", device->target->name);
        }
        bpt_close(device);
    }
}
