/* gradcheck.c: the analytic gradient against central differences of the loss, on the reference backend.
 *
 * D(h) = (L(w + h) - L(w - h)) / 2h is off by c2 h^2 + c4 h^4 + ...; R(h) = (4 D(h) - D(2h)) / 3 by -4 c4 h^4, and
 * R(2h) by 16 times that (Richardson). So |R(h) - R(2h)| is 15 times the error of R(h) that comes from the step. Each L
 * is off by at most E, the bound of error_bound.c in f64, which moves R(h) by at most (4 E / h + E / 2h) / 3 = 1.5 E /
 * h. |analytic - R(h)| <= |R(h) - R(2h)| + 2 E / h + bound of the analytic gradient (2 for 1.5: E is that of the
 * unmoved parameters). Where a kink lies within 4h, the R disagree by far more than any c4 would have it: such an
 * element is skipped, and counted. */
#include <math.h>

#include "backprop/diagnostics.h"
#include "host/error_bound.h"

/* 4h = 2^-12 of a weight's size: few kinks are that near, and E / h stays below 1e-8 for losses of ordinary size. */
#define STEP 0x1p-14

/* A smooth element's |R(h) - R(2h)| is below 1e-9 of the gradient's size; a kink's is of the order of the gradient. */
#define KINK 1e-5

typedef struct checker {
    bp_trainer *trainer;
    bp_model *model;
    const bpi_source *source;
    int64_t rows;
    bpi_plan_set *set;
    bpi_targets targets;
    bpi_gradient_bounds bounds;
    bp_gradcheck_options options;
} checker;

/* ---------------------------------------------------------------- differences */

static bp_status loss_at(checker *c, double *parameter, double value, double *loss)
{
    bpi_pass *pass = c->trainer->pass;
    bpi_backend *backend = c->trainer->context->backend;
    double kept = *parameter;
    *parameter = value;
    bp_status status = backend->ops->step_begin(backend, pass->state, NULL);
    if (status == BP_STATUS_OK)
        status = bpi_forward(pass, c->set);
    if (status == BP_STATUS_OK)
        status = bpi_loss_value(pass, c->set, c->targets);
    *parameter = kept;
    *loss = pass->state->loss_sum;
    return status;
}

/* D(h), with the step that the sums really take. */
static bp_status quotient(checker *c, double *parameter, double h, double *value)
{
    double above = *parameter + h, below = *parameter - h, loss_above, loss_below;
    BPI_TRY(loss_at(c, parameter, above, &loss_above));
    BPI_TRY(loss_at(c, parameter, below, &loss_below));
    *value = (loss_above - loss_below) / (above - below);
    return BP_STATUS_OK;
}

typedef struct difference {
    double value;  /* R(h) */
    double spread; /* |R(h) - R(2h)| */
    double h;
} difference;

static bp_status differentiate(checker *c, double *parameter, difference *result)
{
    double h = STEP * fmax(1.0, fabs(*parameter)), d1, d2, d4;
    BPI_TRY(quotient(c, parameter, h, &d1));
    BPI_TRY(quotient(c, parameter, 2.0 * h, &d2));
    BPI_TRY(quotient(c, parameter, 4.0 * h, &d4));
    double fine = (4.0 * d1 - d2) / 3.0, coarse = (4.0 * d2 - d4) / 3.0;
    *result = (difference){fine, fabs(fine - coarse), h};
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- a tensor */

/* Position in the padded array of the i-th dense element. */
static int64_t padded_index(const bpi_tensor *tensor, int64_t i)
{
    return tensor->cols ? tensor->offset + i / tensor->cols * tensor->ld + i % tensor->cols : tensor->offset + i;
}

static double largest_gradient(const checker *c, const bpi_tensor *tensor)
{
    const double *gradients = c->trainer->gradients;
    double most = 0.0;
    for (int64_t i = 0; i < bpi_tensor_elements(tensor); i++)
        most = fmax(most, fabs(gradients[padded_index(tensor, i)]));
    return most;
}

static void judge(bp_gradcheck_tensor *report, int64_t i, double analytic, const difference *numeric, double bound)
{
    double error = fabs(analytic - numeric->value) / bound;
    /* NaN is the worst of all, and stays it. */
    bool first = report->checked - report->skipped == 1;
    if (first || (!isnan(report->worst_error) && !(error <= report->worst_error))) {
        report->worst_error = error;
        report->worst_analytic = analytic;
        report->worst_numeric = numeric->value;
        report->worst_index = i;
    }
}

static bp_status check_tensor(checker *c, int64_t index, bp_gradcheck_tensor *report)
{
    const bpi_tensor *tensor = &c->model->tensors[index];
    double *parameters = c->model->parameters, *gradients = c->trainer->gradients;
    double scale = largest_gradient(c, tensor);
    int64_t elements = bpi_tensor_elements(tensor);
    int64_t wanted =
        c->options.max_per_tensor && c->options.max_per_tensor < elements ? c->options.max_per_tensor : elements;
    *report = (bp_gradcheck_tensor){.name = tensor->name, .elements = elements};
    for (int64_t n = 0; n < wanted; n++) {
        int64_t i = (int64_t)((double)n * (double)elements / (double)wanted);
        int64_t at = padded_index(tensor, i);
        difference numeric;
        BPI_TRY(differentiate(c, &parameters[at], &numeric));
        double noise = 2.0 * c->bounds.loss / numeric.h;
        report->checked++;
        if (numeric.spread > KINK * (fabs(numeric.value) + scale) + noise) {
            report->skipped++;
            continue;
        }
        judge(report, i, gradients[at], &numeric, numeric.spread + noise + c->bounds.gradients[at]);
    }
    report->passed = report->worst_error <= 1.0 && 2 * report->skipped <= report->checked;
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the call */

static bp_status check_all(checker *c, bool *passed)
{
    BPI_TRY(bpi_gradient_bounds_of(c->trainer, BP_PRECISION_F64, c->source, 0, c->rows, &c->bounds));
    BPI_TRY(bpi_pass_plans(c->trainer->pass, c->rows, &c->set));
    bool all = true;
    for (int64_t i = 0; i < c->model->tensor_count; i++) {
        bp_gradcheck_tensor report;
        BPI_TRY(check_tensor(c, bpi_tensor_in_file_order(c->model, i), &report));
        all = all && report.passed;
        if (c->options.tensor)
            c->options.tensor(c->options.user, &report);
    }
    *passed = all;
    return BP_STATUS_OK;
}

bp_status bp_gradcheck(bp_model *model, const float *x, const int64_t *classes, const float *targets, int64_t rows,
                       const bp_gradcheck_options *options, bool *passed)
{
    bp_context *context = model ? model->context : NULL;
    if (!model || !passed)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_gradcheck: %s is NULL", model ? "passed" : "model");
    checker c = {.model = model, .rows = rows};
    *passed = false;
    BPI_TRY(bpi_options_copy(context, "bp_gradcheck_options", options, sizeof c.options, sizeof c.options, &c.options));
    if (c.options.max_per_tensor < 0 || rows < 1)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_gradcheck: %s is %lld",
                        rows < 1 ? "rows" : "max_per_tensor", (long long)(rows < 1 ? rows : c.options.max_per_tensor));
    bp_trainer_options trainer_options = {.struct_size = sizeof trainer_options, .batch = rows};
    BPI_TRY(bp_trainer_create(model, &trainer_options, &c.trainer));
    bpi_source source;
    bp_status status = bpi_borrow(c.trainer, "bp_gradcheck", x, classes, targets, rows, &source);
    c.source = &source;
    if (status == BP_STATUS_OK) {
        c.targets = (bpi_targets){bpi_uses_classes(model, &source), rows};
        status = check_all(&c, passed);
    }
    bpi_gradient_bounds_free(model, &c.bounds);
    bp_trainer_destroy(c.trainer);
    return status;
}
