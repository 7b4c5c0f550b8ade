/* test_profile.c: a profiled step is a step; its parts add up; the peaks are rates; what is wrong is named. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backprop/backprop.h"
#include "host/context.h"
#include "support/run.h"

enum { ROWS = 6, INPUTS = 5, OUTPUTS = 3 };

typedef struct subject {
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
    float x[ROWS * INPUTS];
    int64_t classes[ROWS];
} subject;

static void make(subject *s, const char *backend, const char *layers)
{
    bp_model_options model = {.inputs = INPUTS, .layers = layers, .seed = 3};
    bp_trainer_options trainer = {.batch = ROWS, .lr = 0.1, .momentum = 0.9, .clip_norm = 0.5};
    s->context = bpt_context(backend, 2);
    BPT_OK(s->context, bp_model_create(s->context, &model, &s->model));
    BPT_OK(s->context, bp_trainer_create(s->model, &trainer, &s->trainer));
    for (int i = 0; i < ROWS * INPUTS; i++)
        s->x[i] = cosf((float)i);
    for (int i = 0; i < ROWS; i++)
        s->classes[i] = i % OUTPUTS;
}

static void destroy(subject *s)
{
    bp_trainer_destroy(s->trainer);
    bp_model_destroy(s->model);
    bp_context_destroy(s->context);
}

static void same_parameters(const subject *a, const subject *b)
{
    int64_t count, other;
    double *of_a = bpt_model_parameters(a->context, a->model, &count);
    double *of_b = bpt_model_parameters(b->context, b->model, &other);
    cr_assert_eq(count, other);
    cr_assert_eq(memcmp(of_a, of_b, (size_t)count * sizeof *of_a), 0, "profiled and plain steps differ");
    free(of_a);
    free(of_b);
}

Test(profile, is_a_step_whose_parts_add_up)
{
    static const char *const backends[] = {"cpu", "reference"};
    for (int i = 0; i < 2; i++) {
        subject plain, profiled;
        make(&plain, backends[i], "7:gelu,5:tanh:bn,3");
        make(&profiled, backends[i], "7:gelu,5:tanh:bn,3");
        for (int step = 0; step < 3; step++) {
            bp_profile p;
            BPT_OK(plain.context, bp_trainer_step(plain.trainer, plain.x, plain.classes, NULL, ROWS));
            BPT_OK(profiled.context,
                   bp_trainer_profile(profiled.trainer, profiled.x, profiled.classes, NULL, ROWS, &p));
            const double parts[] = {p.product_s, p.block_s, p.loss_s, p.reduction_s, p.update_s};
            double sum = p.data_s + p.elementwise_s + p.call_s;
            for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
                cr_expect_gt(parts[k], 0.0, "%s: part %zu took no time", backends[i], k);
                sum += parts[k];
            }
            cr_expect(fabs(sum - p.total_s) <= 1e-9 * p.total_s, "%s: %g of %g s", backends[i], sum, p.total_s);
            cr_expect_geq(p.call_s, 0.0);
            /* Three products forward, three weight gradients, two error terms; two of the batch norm; loss; norm;
             * update: thirteen; a load where rows are copied, and derivatives, at most one a layer. */
            cr_expect(p.calls >= 13 && p.calls <= 17, "%s: %lld calls", backends[i], (long long)p.calls);
        }
        same_parameters(&plain, &profiled);
        destroy(&plain);
        destroy(&profiled);
    }
}

static const bpi_ops *right;

static bp_status failing_loss(bpi_backend *backend, const bpi_loss_args *args)
{
    (void)args;
    return bpi_fail(backend->error, BP_STATUS_DEVICE, "the device fell off");
}

Test(profile, leaves_the_backend_as_it_was_where_a_step_fails)
{
    subject s;
    bp_profile p;
    make(&s, "cpu", "4:relu,3");
    bpi_backend *backend = s.context->backend;
    right = backend->ops;
    bpi_ops wrong = *right;
    wrong.loss = failing_loss;
    backend->ops = &wrong;
    cr_expect_eq(bp_trainer_profile(s.trainer, s.x, s.classes, NULL, ROWS, &p), BP_STATUS_DEVICE);
    cr_expect_eq(backend->ops, &wrong);
    cr_expect_str_eq(bp_last_error(s.context), "the device fell off");
    backend->ops = right;
    destroy(&s);
}

Test(profile, names_what_is_wrong)
{
    subject s;
    bp_profile p;
    bp_peaks peaks;
    make(&s, "cpu", "4:relu,3");
    cr_expect_eq(bp_trainer_profile(NULL, s.x, s.classes, NULL, ROWS, &p), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_eq(bp_trainer_profile(s.trainer, s.x, s.classes, NULL, ROWS, NULL), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_str_eq(bp_last_error(s.context), "bp_trainer_profile: profile is NULL");
    cr_expect_eq(bp_trainer_profile(s.trainer, s.x, NULL, NULL, ROWS, &p), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_eq(bp_trainer_profile(s.trainer, s.x, s.classes, NULL, ROWS + 1, &p), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_eq(bp_context_measure(NULL, &peaks), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_eq(bp_context_measure(s.context, NULL), BP_STATUS_INVALID_ARGUMENT);
    cr_expect_str_eq(bp_last_error(s.context), "bp_context_measure: peaks is NULL");
    destroy(&s);
}

Test(profile, peaks_are_rates_of_this_machine)
{
    bp_context *context = bpt_context("cpu", 2);
    bp_peaks peaks;
    BPT_OK(context, bp_context_measure(context, &peaks));
    /* Far below and far above anything that computes. */
    cr_expect(peaks.product_flops > 1e7 && peaks.product_flops < 1e16, "%g FLOP/s", peaks.product_flops);
    for (int i = 0; i < BP_PEAKS_COPIES; i++)
        cr_expect(peaks.copy_bytes[i] > 1e6 && peaks.copy_bytes[i] < 1e15, "%g bytes/s", peaks.copy_bytes[i]);
    cr_expect(peaks.upload_bytes > 1e6 && peaks.upload_bytes < 1e15);
    cr_expect(peaks.call_s > 1e-10 && peaks.call_s < 1.0, "%g s", peaks.call_s);
    bp_context_destroy(context);
}
