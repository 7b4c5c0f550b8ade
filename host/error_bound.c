/* error_bound.c: follows rounding errors through a network. See error_bound.h.
 *
 * For every array of the pass there is an array of bounds beside it, E_x of x and so on:
 *   z          E_z = bound of the sum of products over (|x| + E_x)|w| + |b|, and sum E_x |w|
 *   a          E_a = bound of the activation at z, and steepness * E_z
 *   f'         E_f = own bound, and curvature * E of what was saved; 1 where z is nearer to a kink than E_z
 *   delta      E   = |d_a| E_f + (|f'| + E_f) E_da, and one rounding
 *   d_w, d_b   bound of the sum over |delta| + E and |x| + E_x, and what the factors were off by
 * The reference's memory is host memory in double, which is why the values can be read where they are. */
#include "host/error_bound.h"

#include <math.h>
#include <string.h>

#include "kernels/bounds_loss.h"

typedef struct follower {
    bp_trainer *trainer;
    const bp_model *model;
    bpi_pass *pass;
    bpi_plan_set *set;
    bpi_roundoff r;
    bpi_targets targets;
    int64_t rows, width; /* of the widest array of the pass, in elements of a row */
    double *memory;      /* one block: */
    size_t bytes;
    double *e_x;            /* [rows, width] of the first layer's inputs */
    double **e_a;           /* [layers] -> [rows, width] */
    double **e_z;           /* [layers] -> [rows, width] */
    double **z;             /* [layers] -> [rows, width]: the reference keeps it for some activations alone */
    double *e_delta[2];     /* [rows, width], as pass->delta */
    double *d_a, *slope_of; /* [rows, width]: dL/da and f' of the layer at hand */
    double *row[4];         /* [width] */
    bpi_gradient_bounds *bounds;
} follower;

/* ---------------------------------------------------------------- forward */

/* E of the inputs of layer `index`, and the inputs themselves. */
static const double *inputs_of(const follower *f, int64_t index, int64_t *ld, const double **bounds)
{
    *ld = index ? f->pass->layers[index - 1].ld : f->pass->ld_x;
    *bounds = index ? f->e_a[index - 1] : f->e_x;
    return index ? f->pass->layers[index - 1].a : f->pass->x;
}

static void follow_inputs(follower *f, const bpi_source *source)
{
    const bp_model *model = f->model;
    const double *x = f->pass->x;
    bool bytes = source->x_type == BPI_TYPE_U8;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t i = 0; i < model->inputs; i++) {
            double value = x[b * f->pass->ld_x + i];
            double *bound = &f->e_x[b * f->width + i];
            *bound = bytes ? f->r.sum * fabs(value) : 0.0;
            if (model->mean) {
                double inv_std = (double)(1.0f / model->std[i]);
                double raw = value / inv_std + (double)model->mean[i];
                *bound = bpi_load_bound(&f->r, bytes, raw, (double)model->mean[i], inv_std);
            } else
                *bound = bpi_stored_bound(&f->r, value, *bound);
        }
}

static void follow_forward(follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    const double *w = bpi_tensor_at(f->model, f->model->parameters, layer->weight);
    const double *bias = bpi_tensor_at(f->model, f->model->parameters, layer->bias);
    int64_t ld_w = f->model->tensors[layer->weight].ld, ld_x;
    const double *e_x, *x = inputs_of(f, index, &ld_x, &e_x);
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++) {
            double z = bias ? bias[o] : 0.0, magnitude = fabs(z), inherited = 0.0;
            for (int64_t i = 0; i < layer->inputs; i++) {
                double weight = fabs(w[o * ld_w + i]), e = e_x[b * f->width + i];
                z += x[b * ld_x + i] * w[o * ld_w + i];
                magnitude += (fabs(x[b * ld_x + i]) + e) * weight;
                inherited += e * weight;
            }
            int64_t at = b * f->width + o;
            f->z[index][at] = z;
            f->e_z[index][at] = bpi_linear_forward_bound(&f->r, layer->inputs, magnitude) + inherited;
            f->e_a[index][at] =
                bpi_activation_forward_bound(&f->r, layer->block.activation, layer->block.slope, z, f->e_z[index][at],
                                             ((const double *)kept->a)[b * kept->ld + o]);
        }
}

/* ---------------------------------------------------------------- derivatives */

/* How fast f', as a function of what was saved, moves around `saved` within e. Second derivatives of SiLU and GELU: at
 * most 1/2 and 2 phi(0) < 0.798, both forms; those of the inverted ones from g(a) = f'. */
static double curvature(bp_activation activation, double saved, double e)
{
    switch (activation) {
    case BP_ACTIVATION_SIGMOID:
        return fabs(1.0 - 2.0 * saved) + e;
    case BP_ACTIVATION_TANH:
        return 2.0 * fabs(saved) + e;
    case BP_ACTIVATION_ELU:
        return saved > e ? 0.0 : 1.0;
    case BP_ACTIVATION_SOFTPLUS:
        return exp(-fmax(saved - e, 0.0));
    case BP_ACTIVATION_SILU:
        return 0.5;
    case BP_ACTIVATION_GELU:
    case BP_ACTIVATION_GELU_TANH:
        return 0.798;
    default:
        return 0.0;
    }
}

/* E of f' for one element. */
static double derivative_bound(follower *f, int64_t index, int64_t b, int64_t o, double derivative)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    int64_t at = b * f->width + o;
    bp_activation activation = layer->block.activation;
    double e_z = f->e_z[index][at];
    if (activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_LEAKY_RELU) {
        bool kink = fabs(f->z[index][at]) <= e_z;
        double slope = activation == BP_ACTIVATION_RELU ? 0.0 : (double)layer->block.slope;
        f->bounds->kinks += kink;
        return kink ? fabs(1.0 - slope) : 0.0;
    }
    double saved =
        layer->saves_z ? ((const double *)kept->z)[b * kept->ld + o] : ((const double *)kept->a)[b * kept->ld + o];
    double e = layer->saves_z ? bpi_stored_bound(&f->r, saved, e_z) : f->e_a[index][at];
    double moved = curvature(activation, saved, e) * e;
    /* The own bound is proportional to f' and to the size of what was saved, both of them off by a little. */
    double own = bpi_derivative_own_bound(&f->r, activation, saved, fabs(derivative) + moved);
    return own * (1.0 + 4.0 * e / (fabs(saved) + e + f->r.quantum)) + moved;
}

/* E of delta = d_a f' into e_delta, which held E of d_a. */
static void follow_derivative(follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    int64_t ld = f->pass->layers[index].ld;
    double *e_delta = f->e_delta[index & 1];
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++) {
            double d_a = f->d_a[b * ld + o], derivative = f->slope_of[b * ld + o];
            double e_f = derivative_bound(f, index, b, o, derivative);
            double *e = &e_delta[b * f->width + o];
            double moved = fabs(d_a) * e_f + (fabs(derivative) + e_f) * *e;
            bool exact = layer->block.activation == BP_ACTIVATION_IDENTITY;
            double rounding = exact ? 0.0 : f->r.sum * (fabs(d_a * derivative) + moved) + f->r.quantum;
            *e = bpi_stored_bound(&f->r, d_a * derivative, moved + rounding);
        }
}

/* ---------------------------------------------------------------- loss */

static void target_row(const follower *f, int64_t b, int64_t outputs, int64_t ld, double *target)
{
    for (int64_t o = 0; o < outputs; o++)
        target[o] =
            f->targets.classes ? (double)(f->pass->classes[b] == o) : ((const double *)f->pass->targets)[b * ld + o];
}

/* E of dL/da of the last layer, and of the loss. */
static void follow_loss(follower *f)
{
    int64_t last = f->model->layer_count - 1;
    bpi_loss_args args = bpi_loss_args_of(f->pass, f->rows, f->targets);
    int64_t outputs = args.z.cols;
    double value = 0.0, errors = 0.0, magnitude = 0.0;
    for (int64_t b = 0; b < f->rows; b++) {
        double row_value, row_bound;
        double *e_delta = &f->e_delta[last & 1][b * f->width];
        target_row(f, b, outputs, args.targets.ld, f->row[0]);
        bpi_loss_row_bounds(&f->r, &args, (const double *)args.z.data + b * args.z.ld, &f->e_a[last][b * f->width],
                            f->row[0], f->row[1], f->row[2], f->row[3], &row_value, &row_bound);
        for (int64_t o = 0; o < outputs; o++)
            e_delta[o] = bpi_loss_scaled_bound(&f->r, args.scale, f->row[2][o], f->row[3][o]);
        value += row_value;
        magnitude += fabs(row_value);
        errors += row_bound;
    }
    f->bounds->loss =
        args.scale * bpi_loss_sum_bound(&f->r, f->rows, magnitude, errors) + 3.0 * f->r.sum * args.scale * fabs(value);
}

/* ---------------------------------------------------------------- backward */

static void follow_weight_grad(follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_tensor *tensor = &f->model->tensors[layer->weight];
    const double *delta = f->pass->delta[index & 1], *e_delta = f->e_delta[index & 1];
    int64_t ld = f->pass->layers[index].ld, ld_x;
    const double *e_x, *x = inputs_of(f, index, &ld_x, &e_x);
    for (int64_t o = 0; o < layer->outputs; o++)
        for (int64_t i = 0; i < layer->inputs; i++) {
            double magnitude = 0.0, inherited = 0.0;
            for (int64_t b = 0; b < f->rows; b++) {
                double d = fabs(delta[b * ld + o]), e_d = e_delta[b * f->width + o];
                double v = fabs(x[b * ld_x + i]), e_v = e_x[b * f->width + i];
                magnitude += (d + e_d) * (v + e_v);
                inherited += d * e_v + e_d * (v + e_v);
            }
            f->bounds->gradients[tensor->offset + o * tensor->ld + i] =
                bpi_linear_weight_grad_bound(&f->r, f->rows, false, magnitude) + inherited;
        }
    for (int64_t o = 0; layer->bias >= 0 && o < layer->outputs; o++) {
        double magnitude = 0.0, errors = 0.0;
        for (int64_t b = 0; b < f->rows; b++) {
            magnitude += fabs(delta[b * ld + o]) + e_delta[b * f->width + o];
            errors += e_delta[b * f->width + o];
        }
        f->bounds->gradients[f->model->tensors[layer->bias].offset + o] =
            bpi_bias_grad_bound(&f->r, f->rows, false, magnitude, errors);
    }
}

static void follow_input_grad(follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const double *w = bpi_tensor_at(f->model, f->model->parameters, layer->weight);
    const double *delta = f->pass->delta[index & 1], *e_delta = f->e_delta[index & 1];
    const double *d_x = f->pass->delta[(index + 1) & 1];
    double *e_below = f->e_delta[(index + 1) & 1];
    int64_t ld_w = f->model->tensors[layer->weight].ld, ld = f->pass->layers[index].ld;
    int64_t ld_below = f->pass->layers[index - 1].ld;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t i = 0; i < layer->inputs; i++) {
            double magnitude = 0.0, inherited = 0.0;
            for (int64_t o = 0; o < layer->outputs; o++) {
                double weight = fabs(w[o * ld_w + i]), e = e_delta[b * f->width + o];
                magnitude += (fabs(delta[b * ld + o]) + e) * weight;
                inherited += e * weight;
            }
            e_below[b * f->width + i] =
                bpi_linear_input_grad_bound(&f->r, layer->outputs, d_x[b * ld_below + i], magnitude) + inherited;
        }
}

/* f' of layer `index` into slope_of, and dL/da, as it stands before the step in place, into d_a. */
static bp_status keep_factors(follower *f, int64_t index)
{
    bpi_backend *backend = f->trainer->context->backend;
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    bpi_matrix saved = bpi_view(layer->saves_z ? kept->z : kept->a, f->rows, layer->outputs, kept->ld);
    bpi_matrix slope = bpi_view(f->slope_of, f->rows, layer->outputs, kept->ld);
    BPI_TRY(backend->ops->activation_derivative(backend, layer->block.activation, layer->block.slope, saved, slope));
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

static bp_status follow(follower *f, const bpi_source *source, int64_t first)
{
    bpi_backend *backend = f->trainer->context->backend;
    BPI_TRY(bpi_pass_plans(f->pass, f->rows, &f->set));
    BPI_TRY(backend->ops->step_begin(backend, f->pass->state));
    BPI_TRY(bpi_pass_load(f->pass, source, NULL, first, f->rows));
    BPI_TRY(bpi_forward(f->pass, f->set));
    follow_inputs(f, source);
    for (int64_t i = 0; i < f->model->layer_count; i++)
        follow_forward(f, i);
    follow_loss(f);
    for (int64_t i = f->model->layer_count - 1; i >= 0; i--) {
        BPI_TRY(keep_factors(f, i));
        BPI_TRY(bpi_layer_backward(f->pass, f->set, f->targets, i, f->trainer->gradients, false));
        follow_derivative(f, i);
        follow_weight_grad(f, i);
        if (i > 0)
            follow_input_grad(f, i);
    }
    f->trainer->last_rows = f->rows;
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- the call */

/* One block for all arrays: the pointers' and the numbers'. */
static bp_status make_arrays(follower *f)
{
    const bp_model *model = f->model;
    int64_t layers = model->layer_count, width = f->pass->ld_x;
    for (int64_t i = 0; i < layers; i++)
        width = f->pass->layers[i].ld > width ? f->pass->layers[i].ld : width;
    f->width = width;
    int64_t arrays = 3 * layers + 5;
    if ((double)arrays * (double)f->rows * (double)width > 1e15)
        return BPI_FAIL(f->trainer->context, BP_STATUS_OUT_OF_MEMORY, "error bounds: the batch is too large");
    int64_t numbers = arrays * f->rows * width + 4 * width;
    f->bytes = (size_t)numbers * sizeof(double) + (size_t)(3 * layers) * sizeof(double *);
    BPI_TRY(bpi_alloc(f->trainer->context, f->bytes, "error bounds", (void **)&f->memory));
    double **pointers = (double **)(void *)(f->memory + numbers);
    double *next = f->memory;
    f->e_a = pointers;
    f->e_z = pointers + layers;
    f->z = pointers + 2 * layers;
    for (int64_t i = 0; i < 3 * layers; i++, next += f->rows * width)
        pointers[i] = next;
    double **singles[5] = {&f->e_x, &f->e_delta[0], &f->e_delta[1], &f->d_a, &f->slope_of};
    for (int i = 0; i < 5; i++, next += f->rows * width)
        *singles[i] = next;
    for (int i = 0; i < 4; i++, next += width)
        f->row[i] = next;
    return BP_STATUS_OK;
}

bp_status bpi_gradient_bounds_of(bp_trainer *trainer, bp_precision precision, const bpi_source *source, int64_t first,
                                 int64_t rows, bpi_gradient_bounds *bounds)
{
    bp_context *context = trainer->context;
    *bounds = (bpi_gradient_bounds){NULL, 0.0, 0};
    if (strcmp(context->backend->ops->name, "reference") != 0)
        return BPI_FAIL(context, BP_STATUS_UNSUPPORTED,
                        "error bounds are followed around the values of the backend reference, not of %s",
                        context->backend->ops->name);
    follower f = {.trainer = trainer,
                  .model = trainer->model,
                  .pass = trainer->pass,
                  .r = bpi_roundoff_of(precision),
                  .targets = {bpi_uses_classes(trainer->model, source), rows},
                  .rows = rows,
                  .bounds = bounds};
    size_t bytes = (size_t)trainer->model->parameter_count * sizeof(double);
    BPI_TRY(bpi_alloc(context, bytes, "error bounds", (void **)&bounds->gradients));
    bp_status status = make_arrays(&f);
    if (status == BP_STATUS_OK)
        status = follow(&f, source, first);
    bpi_free(context, f.memory, f.bytes);
    if (status != BP_STATUS_OK)
        bpi_gradient_bounds_free(trainer->model, bounds);
    return status;
}

void bpi_gradient_bounds_free(const bp_model *model, bpi_gradient_bounds *bounds)
{
    bpi_free(model->context, bounds->gradients, (size_t)model->parameter_count * sizeof(double));
    bounds->gradients = NULL;
}
