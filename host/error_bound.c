/* error_bound.c: follows rounding errors through a network, in quadrature. See error_bound.h.
 *
 * For every array of the pass there is an array of scales s beside it, e_a of a and so on; the error is within K s:
 *   z          s^2 = own^2 + sum_i (e_x w)^2
 *   a          s^2 = own^2 + (f' e_z)^2
 *   f'         s^2 = own^2 + (curvature e_saved)^2; 1 where z is nearer to a kink than K e_z
 *   delta      s^2 = own^2 + (d_a e_f)^2 + (f' e_da)^2
 *   d_w, d_b   s^2 = own^2 + sum_b (delta e_x)^2 + (x e_delta)^2
 *   norm       s of u, of the mean and the variance, through the first derivative of xhat; error_block.c
 *   out        s^2 = own^2 + (keep e_a / (1 - p))^2 + e_skip^2
 * own is the operation's bound of kernels/bounds.h, for inputs that are off by K s; that of a sum of n terms has
 * sqrt(n) in place of n. The reference's memory is host memory in double, which is why the values can be read where
 * they are. */
#include "host/error_follow.h"

#include <assert.h>
#include <string.h>

#include "kernels/bounds_loss.h"

static void target_row(const bpi_follower *f, int64_t b, int64_t outputs, int64_t ld, double *target)
{
    for (int64_t o = 0; o < outputs; o++)
        target[o] =
            f->targets.classes ? (double)(f->pass->classes[b] == o) : ((const double *)f->pass->targets)[b * ld + o];
}

/* Of dL/da of the last layer, and of the loss. */
static void follow_loss(bpi_follower *f)
{
    int64_t last = f->model->layer_count - 1;
    bpi_loss_args args = bpi_loss_args_of(f->pass, f->rows, f->targets);
    int64_t outputs = args.z.cols;
    double magnitude = 0.0, square = 0.0;
    for (int64_t b = 0; b < f->rows; b++) {
        double *e_delta = &f->e_delta[last & 1][b * f->width];
        target_row(f, b, outputs, args.targets.ld, f->row[0]);
        bpi_loss_row row = {.z = (const double *)args.z.data + b * args.z.ld,
                            .z_scale = &f->layers[last].e_out[b * f->width],
                            .target = f->row[0],
                            .smoothed = f->row[1],
                            .error = f->row[2],
                            .error_scale = f->row[3]};
        bpi_loss_row_follow(&f->r, &args, &row);
        for (int64_t o = 0; o < outputs; o++)
            e_delta[o] = bpi_loss_scaled_bound(&f->r, args.scale, row.error[o], row.error_scale[o]);
        magnitude += fabs(row.value);
        square += row.value_scale * row.value_scale;
    }
    double own = bpi_sum_scale(&f->r, f->rows + 2, magnitude) + 3.0 * f->r.sum * magnitude;
    f->bounds->loss = BPI_ERROR_MULTIPLE * args.scale * hypot(own, sqrt(square));
}

/* f' of layer `index` into slope_of, and dL/d out, as it stands before the step in place, into d_a. */
static bp_status keep_factors(bpi_follower *f, int64_t index)
{
    bpi_backend *backend = f->trainer->context->backend;
    const bpi_pass_layer *kept = &f->pass->layers[index];
    BPI_TRY(bpi_follow_slope(f, index));
    if (index < f->model->layer_count - 1) {
        memcpy(f->d_a, f->pass->delta[index & 1], (size_t)(f->rows * kept->ld) * sizeof(double));
        return BP_STATUS_OK;
    }
    bpi_step_state scratch = {0};
    bpi_loss_args args = bpi_loss_args_of(f->pass, f->rows, f->targets);
    args.delta.data = f->d_a;
    args.state = &scratch;
    return backend->ops->loss(backend, &args);
}

/* The weights as products read them. */
static void round_weights(bpi_follower *f)
{
    double *parameters = f->model->parameters;
    for (int64_t i = 0; i < f->model->layer_count; i++) {
        const bpi_tensor *tensor = &f->model->tensors[f->model->layers[i].weight];
        for (int64_t k = 0; k < tensor->rows * tensor->ld; k++)
            parameters[tensor->offset + k] = bpi_follow_rounded(&f->r, parameters[tensor->offset + k]);
    }
}

/* The batch, and the scales of all that the forward pass makes of it. */
static bp_status follow_forward(bpi_follower *f, const bpi_source *source, int64_t first)
{
    bpi_backend *backend = f->trainer->context->backend;
    BPI_TRY(backend->ops->step_begin(backend, f->pass->state, NULL));
    BPI_TRY(bpi_pass_load(f->pass, source, NULL, first, f->rows));
    f->pass->first_row = 0;
    round_weights(f);
    bpi_follow_inputs(f, source);
    BPI_TRY(bpi_forward(f->pass, f->set));
    for (int64_t i = 0; i < f->model->layer_count; i++)
        BPI_TRY(bpi_follow_forward(f, i));
    return BP_STATUS_OK;
}

static bp_status follow(bpi_follower *f, const bpi_source *source, int64_t first)
{
    BPI_TRY(bpi_pass_plans(f->pass, f->rows, &f->set));
    BPI_TRY(follow_forward(f, source, first));
    follow_loss(f);
    bpi_gradient_sink sink = {f->trainer->gradients, false};
    int64_t last = f->model->layer_count - 1;
    BPI_TRY(keep_factors(f, last));
    bpi_follow_delta(f, last);
    BPI_TRY(bpi_output_delta(f->pass, f->set, f->targets, sink));
    for (int64_t i = last; i >= 0; i--) {
        BPI_TRY(bpi_weight_gradient(f->pass, f->set, i, sink));
        bpi_follow_weight_grad(f, i);
        if (i == 0)
            break;
        BPI_TRY(bpi_input_gradient(f->pass, f->set, i));
        bpi_follow_input_grad(f, i);
        BPI_TRY(keep_factors(f, i - 1));
        bpi_follow_delta(f, i - 1);
        BPI_TRY(bpi_hidden_delta(f->pass, f->set, i - 1, sink));
    }
    f->trainer->last_rows = f->rows;
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the call */

/* The next array of [rows, width], or NULL while they are only counted. */
static double *next_array(bpi_follower *f, int64_t *used)
{
    int64_t at = (*used)++;
    return f->memory ? f->memory + at * f->rows * f->width : NULL;
}

/* Gives every layer the arrays that it needs; with f->memory NULL it only counts them. */
static int64_t place_arrays(bpi_follower *f)
{
    int64_t used = 0;
    f->e_x = next_array(f, &used);
    f->d_a = next_array(f, &used);
    f->slope_of = next_array(f, &used);
    for (int i = 0; i < 2; i++)
        f->e_delta[i] = next_array(f, &used);
    for (int64_t i = 0; i < f->model->layer_count; i++) {
        const bpi_layer *layer = &f->model->layers[i];
        bpi_followed_layer *own = &f->layers[i];
        own->z = next_array(f, &used);
        own->e_z = next_array(f, &used);
        own->e_a = next_array(f, &used);
        own->e_out = own->e_a;
        if (layer->block.dropout > 0.0f || layer->skip_source >= 0)
            own->e_out = next_array(f, &used);
        if (layer->block.norm != BP_NORM_NONE) {
            own->xhat = next_array(f, &used);
            own->e_xhat = next_array(f, &used);
            own->inv_std = next_array(f, &used);
            own->e_inv_std = next_array(f, &used);
        }
        if (layer->feeds_skip)
            own->e_skip = next_array(f, &used);
    }
    return used;
}

static bp_status make_arrays(bpi_follower *f)
{
    const bp_model *model = f->model;
    int64_t layers = model->layer_count, width = f->pass->ld_x;
    for (int64_t i = 0; i < layers; i++) {
        assert(f->pass->layers[i].error_ld == f->pass->layers[i].ld); /* the reference's; one index serves both */
        width = f->pass->layers[i].ld > width ? f->pass->layers[i].ld : width;
    }
    f->width = width;
    BPI_TRY(bpi_alloc(f->trainer->context, (size_t)layers * sizeof *f->layers, "error bounds", (void **)&f->layers));
    int64_t arrays = place_arrays(f);
    if ((double)arrays * (double)f->rows * (double)width > 1e15)
        return BPI_FAIL(f->trainer->context, BP_STATUS_OUT_OF_MEMORY, "error bounds: the batch is too large");
    int64_t numbers = (arrays * f->rows + 4) * width;
    f->bytes = (size_t)numbers * sizeof(double);
    BPI_TRY(bpi_alloc(f->trainer->context, f->bytes, "error bounds", (void **)&f->memory));
    place_arrays(f);
    for (int i = 0; i < 4; i++)
        f->row[i] = f->memory + (arrays * f->rows + i) * width;
    return BP_STATUS_OK;
}

static bp_status open_follower(bp_trainer *trainer, bp_precision precision, const bpi_source *source, int64_t rows,
                               bpi_follower *f)
{
    bp_context *context = trainer->context;
    *f = (bpi_follower){.trainer = trainer,
                        .model = trainer->model,
                        .pass = trainer->pass,
                        .r = bpi_roundoff_of(precision),
                        .targets = {bpi_uses_classes(trainer->model, source), rows},
                        .rows = rows};
    if (strcmp(context->backend->ops->name, "reference") != 0)
        return BPI_FAIL(context, BP_STATUS_UNSUPPORTED,
                        "error bounds are followed around the values of the backend reference, not of %s",
                        context->backend->ops->name);
    return make_arrays(f);
}

static void close_follower(bpi_follower *f)
{
    bpi_free(f->trainer->context, f->memory, f->bytes);
    bpi_free(f->trainer->context, f->layers, (size_t)f->model->layer_count * sizeof *f->layers);
}

static size_t running_bytes(const bp_model *model)
{
    return (size_t)(model->array_count - model->parameter_count) * sizeof(double);
}

bp_status bpi_gradient_bounds_of(bp_trainer *trainer, bp_precision precision, const bpi_source *source, int64_t first,
                                 int64_t rows, bpi_gradient_bounds *bounds)
{
    const bp_model *model = trainer->model;
    bpi_follower f;
    *bounds = (bpi_gradient_bounds){.loss = 0.0};
    bp_status status = open_follower(trainer, precision, source, rows, &f);
    f.bounds = bounds;
    if (status == BP_STATUS_OK)
        status = bpi_alloc(trainer->context, (size_t)model->parameter_count * sizeof(double), "error bounds",
                           (void **)&bounds->gradients);
    if (status == BP_STATUS_OK && model->has_batch_norm)
        status = bpi_alloc(trainer->context, running_bytes(model), "error bounds", (void **)&bounds->running);
    if (status == BP_STATUS_OK)
        status = follow(&f, source, first);
    close_follower(&f);
    if (status != BP_STATUS_OK)
        bpi_gradient_bounds_free(model, bounds);
    return status;
}

void bpi_gradient_bounds_free(const bp_model *model, bpi_gradient_bounds *bounds)
{
    bpi_free(model->context, bounds->gradients, (size_t)model->parameter_count * sizeof(double));
    bpi_free(model->context, bounds->running, running_bytes(model));
    bounds->gradients = bounds->running = NULL;
}

/* The trainer's pass for an evaluation: it keeps what one of an evaluation would overwrite. */
static bp_status follow_evaluation(bpi_follower *f, const bpi_source *source, int64_t first, double *bounds)
{
    int64_t last = f->model->layer_count - 1, outputs = f->model->layers[last].outputs;
    BPI_TRY(bpi_pass_plans(f->pass, f->rows, &f->set));
    f->evaluates = true;
    f->pass->gradients = false;
    bp_status status = follow_forward(f, source, first);
    f->pass->gradients = true;
    for (int64_t k = 0; status == BP_STATUS_OK && k < f->rows * outputs; k++)
        bounds[k] = BPI_ERROR_MULTIPLE * f->layers[last].e_out[k / outputs * f->width + k % outputs];
    return status;
}

bp_status bpi_output_bounds_of(bp_trainer *trainer, bp_precision precision, const bpi_source *source, int64_t first,
                               int64_t rows, double *bounds)
{
    bpi_follower f;
    bp_status status = open_follower(trainer, precision, source, rows, &f);
    if (status == BP_STATUS_OK)
        status = follow_evaluation(&f, source, first, bounds);
    close_follower(&f);
    return status;
}
