/* load: a batch out of samples in host memory: by index or in order, bytes or floats, standardised or not. */
#include "support/judge.h"
#include "support/matrix.h"
#include "support/shapes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

TestSuite(load, .fini = bpt_clean);

enum { SAMPLES = 97, TARGETS = 5, MOST_ROWS = 300 };

/* Samples on the host and all that a load may want of them. */
typedef struct samples {
    float *x;
    unsigned char *bytes;
    int64_t classes[SAMPLES], index[MOST_ROWS];
    float targets[SAMPLES * TARGETS];
    float *mean, *inv_std;
    int64_t inputs;
} samples;

static samples make_samples(int64_t inputs, uint64_t seed)
{
    samples s = {.inputs = inputs};
    bpt_random random = {seed};
    s.x = malloc((size_t)(SAMPLES * inputs) * sizeof(float));
    s.bytes = malloc((size_t)(SAMPLES * inputs));
    s.mean = malloc((size_t)inputs * sizeof(float));
    s.inv_std = malloc((size_t)inputs * sizeof(float));
    cr_assert(s.x && s.bytes && s.mean && s.inv_std);
    for (int64_t k = 0; k < SAMPLES * inputs; ++k) {
        s.x[k] = (float)bpt_random_uniform(&random, -5.0, 5.0);
        s.bytes[k] = (unsigned char)bpt_random_below(&random, 256);
    }
    for (int64_t i = 0; i < inputs; ++i) {
        s.mean[i] = (float)bpt_random_uniform(&random, -1.0, 1.0);
        s.inv_std[i] = (float)bpt_random_uniform(&random, 0.25, 4.0);
    }
    for (int64_t b = 0; b < SAMPLES; ++b) {
        s.classes[b] = bpt_random_below(&random, 10);
        for (int64_t t = 0; t < TARGETS; ++t)
            s.targets[b * TARGETS + t] = (float)bpt_random_uniform(&random, -1.0, 1.0);
    }
    for (int64_t b = 0; b < MOST_ROWS; ++b)
        s.index[b] = bpt_random_below(&random, SAMPLES);
    return s;
}

static void free_samples(samples *s)
{
    free(s->x);
    free(s->bytes);
    free(s->mean);
    free(s->inv_std);
}

typedef struct loading {
    const samples *from;
    int64_t rows, first;
    bool bytes, by_index, standardised;
} loading;

typedef struct outputs {
    double *x, *targets;
    int64_t *classes;
} outputs;

/* x as a matrix of its own whole ld, so that its padding is part of what is compared: it must be zero. */
static double *read_with_padding(const bpt_matrix *x)
{
    bpt_matrix whole = *x;
    whole.view.cols = whole.view.ld;
    return bpt_get(&whole);
}

static outputs load(bpt_device *device, const loading *l, int64_t extra, int64_t *ld)
{
    const samples *s = l->from;
    bpi_source source = {.x = l->bytes ? (const void *)s->bytes : s->x,
                         .x_type = l->bytes ? BPI_TYPE_U8 : BPI_TYPE_F32,
                         .divisor = 255.0f,
                         .rows = SAMPLES,
                         .inputs = s->inputs,
                         .classes = s->classes,
                         .targets = s->targets,
                         .target_cols = TARGETS};
    bpt_matrix x = bpt_activations(device, l->rows, s->inputs, extra, NULL);
    bpt_matrix targets = bpt_parameters(device, l->rows, TARGETS, extra, NULL);
    size_t classes_bytes = (size_t)l->rows * sizeof(int64_t);
    outputs out = {.classes = (int64_t *)(void *)bpt_doubles(l->rows)};
    int64_t *classes = bpt_upload(device, out.classes, classes_bytes);
    size_t statistics_bytes = (size_t)s->inputs * sizeof(float);
    float *mean = l->standardised ? bpt_upload(device, s->mean, statistics_bytes) : NULL;
    float *inv_std = l->standardised ? bpt_upload(device, s->inv_std, statistics_bytes) : NULL;
    if (device->ops->source_prepare)
        cr_assert_eq(device->ops->source_prepare(device->backend, &source), BP_STATUS_OK);
    bpi_load_args args = {.source = &source,
                          .index = l->by_index ? s->index : NULL,
                          .first = l->first,
                          .rows = l->rows,
                          .mean = mean,
                          .inv_std = inv_std,
                          .x = x.view,
                          .classes = classes,
                          .targets = targets.view};
    BPT_RUN(device, load, &args);
    out.x = read_with_padding(&x);
    out.targets = bpt_get(&targets);
    bpt_download(device, classes, classes_bytes, out.classes);
    *ld = x.view.ld;
    if (device->ops->source_release)
        device->ops->source_release(device->backend, &source);
    device->ops->release(device->backend, classes, classes_bytes);
    device->ops->release(device->backend, mean, statistics_bytes);
    device->ops->release(device->backend, inv_std, statistics_bytes);
    bpt_release(&x);
    bpt_release(&targets);
    return out;
}

static void check(bpt_device *device, const loading *l, int64_t extra)
{
    const samples *s = l->from;
    int64_t ld;
    outputs got = load(device, l, extra, &ld);
    double *want = bpt_doubles(l->rows * ld), *bound = bpt_doubles(l->rows * ld);
    for (int64_t b = 0; b < l->rows; ++b) {
        int64_t row = l->by_index ? s->index[b] : l->first + b;
        for (int64_t i = 0; i < s->inputs; ++i) {
            double value = l->bytes ? (double)s->bytes[row * s->inputs + i] / 255.0 : (double)s->x[row * s->inputs + i];
            double mean = l->standardised ? (double)s->mean[i] : 0.0;
            double inv_std = l->standardised ? (double)s->inv_std[i] : 1.0;
            want[b * ld + i] = (value - mean) * inv_std;
            bound[b * ld + i] = bpi_load_bound(&device->roundoff, l->bytes, value, mean, inv_std);
        }
        cr_assert_eq(got.classes[b], s->classes[row], "%s: class of row %lld", device->target->name, (long long)b);
        for (int64_t t = 0; t < TARGETS; ++t)
            cr_assert(got.targets[b * TARGETS + t] == (double)s->targets[row * TARGETS + t], "%s: target of row %lld",
                      device->target->name, (long long)b);
    }
    bpt_compare(got.x, want, bound, l->rows * ld, "%s x [%lld,%lld] bytes %d index %d standardised %d",
                device->target->name, (long long)l->rows, (long long)s->inputs, l->bytes, l->by_index, l->standardised);
}

Test(load, of_every_backend_is_the_sample_standardised_with_zero_padding)
{
    static const int64_t widths[] = {1, 31, 32, 33, 260};
    static const int64_t rows[] = {1, 2, 33, 96};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; ++w) {
            samples s = make_samples(widths[w], 121);
            for (size_t r = 0; r < sizeof rows / sizeof rows[0]; ++r)
                for (int way = 0; way < 8; ++way) {
                    loading l = {&s, rows[r], SAMPLES - rows[r], way & 1, (way & 2) != 0, (way & 4) != 0};
                    check(device, &l, (way + (int)r) % 2); /* bytes and floats, at an even and an odd ld each */
                }
            free_samples(&s);
            bpt_clean();
        }
        bpt_close(device);
    }
}

/* On cuda a block fetches the indices of 256 rows at a time, and so many columns leave all rows to one. */
Test(load, of_more_rows_than_a_block_keeps_the_indices_of_is_each_its_sample)
{
    samples s = make_samples(2081, 125);
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        loading l = {&s, MOST_ROWS, 0, false, true, true};
        check(device, &l, 0);
        bpt_close(device);
    }
    free_samples(&s);
}

Test(load, gives_the_same_bits_by_index_and_in_order_and_for_1_and_2_threads)
{
    samples s = make_samples(61, 122);
    for (int64_t b = 0; b < SAMPLES; ++b)
        s.index[b] = b;
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *one = bpt_open(bpt_target_at(t), 1), *two = bpt_open(bpt_target_at(t), 2);
        for (int bytes = 0; bytes < 2; ++bytes) {
            loading l = {&s, 96, 0, bytes, true, true};
            int64_t ld;
            outputs first = load(one, &l, 0, &ld), both = load(two, &l, 0, &ld);
            l.by_index = false;
            outputs in_order = load(one, &l, 0, &ld);
            bpt_same_bits(first.x, both.x, 96 * ld, "%s, 1 and 2 threads", one->target->name);
            bpt_same_bits(first.x, in_order.x, 96 * ld, "%s, by index and in order", one->target->name);
        }
        bpt_close(one);
        bpt_close(two);
    }
    free_samples(&s);
}

Test(load, of_backends_in_f32_is_one_subtraction_and_one_product)
{
    samples s = make_samples(61, 123);
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        for (int bytes = 0; device->backend->traits.activation_type == BPI_TYPE_F32 && bytes < 2; ++bytes) {
            loading l = {&s, SAMPLES, 0, bytes, false, true};
            int64_t ld;
            outputs got = load(device, &l, 0, &ld);
            for (int64_t k = 0; k < SAMPLES * s.inputs; ++k) {
                int64_t i = k % s.inputs;
                float value = bytes ? (float)s.bytes[k] / 255.0f : s.x[k];
                float distance = value - s.mean[i];
                float want = distance * s.inv_std[i];
                cr_assert(got.x[k / s.inputs * ld + i] == (double)want, "%s bytes %d: %.9g, not %.9g",
                          device->target->name, bytes, got.x[k / s.inputs * ld + i], (double)want);
            }
        }
        bpt_close(device);
    }
    free_samples(&s);
}

Test(load, leaves_out_what_is_not_asked_for)
{
    samples s = make_samples(9, 124);
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        bpi_source source = {.x = s.x, .x_type = BPI_TYPE_F32, .divisor = 1.0f, .rows = SAMPLES, .inputs = 9};
        bpt_matrix x = bpt_activations(device, 3, 9, 0, NULL);
        bpi_load_args args = {.source = &source, .first = 90, .rows = 3, .x = x.view};
        BPT_RUN(device, load, &args);
        double *got = read_with_padding(&x);
        cr_assert(got[0] == bpt_rounded(x.type, (double)s.x[90 * 9]), "%s: %g", device->target->name, got[0]);
        bpt_release(&x);
        bpt_close(device);
    }
    free_samples(&s);
}
