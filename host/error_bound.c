/* error_bound.c: follows rounding errors through a network, in quadrature. See error_bound.h.
 *
 * For every array of the pass there is an array of scales s beside it, e_a of a and so on; the error is within K s:
 *   z          s^2 = own^2 + sum_i (e_x w)^2
 *   a          s^2 = own^2 + (f' e_z)^2
 *   f'         s^2 = own^2 + (curvature e_saved)^2; 1 where z is nearer to a kink than K e_z
 *   delta      s^2 = own^2 + (d_a e_f)^2 + (f' e_da)^2
 *   d_w, d_b   s^2 = own^2 + sum_b (delta e_x)^2 + (x e_delta)^2
 * own is the operation's bound of kernels/bounds.h, for inputs that are off by K s; that of a sum of n terms has
 * sqrt(n) in place of n. The reference's memory is host memory in double, which is why the values can be read where
 * they are. */
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

/* Of a sum of products: its `terms` roundings are errors like all others, each of at most u times the magnitude. */
static double sum_scale(const bpi_roundoff *r, int64_t terms, double magnitude)
{
    return (sqrt((double)terms) * r->sum + r->product) * magnitude + (double)terms * r->quantum;
}

/* f' of layer `index` into slope_of, with the layer's ld. */
static bp_status derive(follower *f, int64_t index)
{
    bpi_backend *backend = f->trainer->context->backend;
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    bpi_matrix saved = bpi_view(layer->saves_z ? kept->z : kept->a, f->rows, layer->outputs, kept->ld);
    bpi_matrix slope = bpi_view(f->slope_of, f->rows, layer->outputs, kept->ld);
    return backend->ops->activation_derivative(backend, layer->block.activation, layer->block.slope, saved, slope);
}

/* The largest |f''|: sigmoid sqrt(3)/18, tanh 4 sqrt(3)/9, softplus 1/4, SiLU 1/2, GELU 2 phi(0) (both forms). */
static double steeper(bp_activation activation)
{
    switch (activation) {
    case BP_ACTIVATION_SIGMOID:
        return 0.0963;
    case BP_ACTIVATION_TANH:
        return 0.7699;
    case BP_ACTIVATION_ELU:
        return 1.0;
    case BP_ACTIVATION_SOFTPLUS:
        return 0.25;
    case BP_ACTIVATION_SILU:
        return 0.5;
    case BP_ACTIVATION_GELU:
    case BP_ACTIVATION_GELU_TANH:
        return 0.798;
    default:
        return 0.0;
    }
}

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

/* z, and the scale of its error, of one element. */
static void follow_product(follower *f, int64_t index, int64_t b, int64_t o)
{
    const bpi_layer *layer = &f->model->layers[index];
    const double *w = bpi_tensor_at(f->model, f->model->parameters, layer->weight);
    const double *bias = bpi_tensor_at(f->model, f->model->parameters, layer->bias);
    int64_t ld_w = f->model->tensors[layer->weight].ld, ld_x;
    const double *e_x, *x = inputs_of(f, index, &ld_x, &e_x);
    double z = bias ? bias[o] : 0.0, magnitude = fabs(z), square = 0.0;
    for (int64_t i = 0; i < layer->inputs; i++) {
        double weight = w[o * ld_w + i], value = x[b * ld_x + i], e = e_x[b * f->width + i];
        z += value * weight;
        magnitude += (fabs(value) + BPI_ERROR_MULTIPLE * e) * fabs(weight);
        square += e * weight * e * weight;
    }
    f->z[index][b * f->width + o] = z;
    f->e_z[index][b * f->width + o] = hypot(sum_scale(&f->r, layer->inputs + 1, magnitude), sqrt(square));
}

static bool at_kink(const follower *f, int64_t index, int64_t at)
{
    bp_activation activation = f->model->layers[index].block.activation;
    return (activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_LEAKY_RELU) &&
           fabs(f->z[index][at]) <= BPI_ERROR_MULTIPLE * f->e_z[index][at];
}

/* After all of z: the scale of a = f(z), with f' in slope_of. */
static void follow_activation(follower *f, int64_t index, int64_t b, int64_t o)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    int64_t at = b * f->width + o;
    double a = ((const double *)kept->a)[b * kept->ld + o], e_z = f->e_z[index][at];
    double own =
        bpi_activation_forward_bound(&f->r, layer->block.activation, layer->block.slope, f->z[index][at], 0.0, a);
    double steepness =
        fabs(f->slope_of[b * kept->ld + o]) + steeper(layer->block.activation) * BPI_ERROR_MULTIPLE * e_z;
    steepness = fmin(steepness, bpi_activation_steepness(layer->block.activation, layer->block.slope));
    if (at_kink(f, index, at))
        steepness = bpi_activation_steepness(layer->block.activation, layer->block.slope);
    f->e_a[index][at] = hypot(own, steepness * e_z);
}

static bp_status follow_forward(follower *f, int64_t index)
{
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < f->model->layers[index].outputs; o++)
            follow_product(f, index, b, o);
    BPI_TRY(derive(f, index));
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < f->model->layers[index].outputs; o++)
            follow_activation(f, index, b, o);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- derivatives */

/* How fast f', as a function of what was saved, moves within e of it: from g(a) = f' for the inverted ones. */
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
    default:
        return steeper(activation);
    }
}

/* The scale of the error of f' for one element. */
static double derivative_scale(follower *f, int64_t index, int64_t b, int64_t o, double derivative)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    int64_t at = b * f->width + o;
    bp_activation activation = layer->block.activation;
    if (activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_LEAKY_RELU) {
        double slope = activation == BP_ACTIVATION_RELU ? 0.0 : (double)layer->block.slope;
        bool kink = at_kink(f, index, at);
        f->bounds->kinks += kink;
        return kink ? fabs(1.0 - slope) : 0.0;
    }
    double saved = ((const double *)(layer->saves_z ? kept->z : kept->a))[b * kept->ld + o];
    double scale = layer->saves_z ? bpi_stored_bound(&f->r, saved, f->e_z[index][at]) : f->e_a[index][at];
    double off = BPI_ERROR_MULTIPLE * scale, speed = curvature(activation, saved, off);
    /* The own bound is proportional to f' and grows with what was saved, both of them off by a little. */
    double own = bpi_derivative_own_bound(&f->r, activation, saved, fabs(derivative) + speed * off);
    return hypot(own * (1.0 + 4.0 * off / (fabs(saved) + off + f->r.quantum)), speed * scale);
}

/* Of delta = d_a f' into e_delta, which held that of d_a. */
static void follow_derivative(follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    int64_t ld = f->pass->layers[index].ld;
    bool exact = layer->block.activation == BP_ACTIVATION_IDENTITY;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++) {
            double d_a = f->d_a[b * ld + o], derivative = f->slope_of[b * ld + o];
            double *e = &f->e_delta[index & 1][b * f->width + o];
            double e_f = derivative_scale(f, index, b, o, derivative);
            double moved = hypot(d_a * e_f, (fabs(derivative) + BPI_ERROR_MULTIPLE * e_f) * *e);
            double delta = fabs(d_a * derivative) + BPI_ERROR_MULTIPLE * moved;
            double own = exact ? 0.0 : f->r.sum * delta + f->r.quantum;
            *e = hypot(own + f->r.store * (delta + own), moved);
        }
}

/* ---------------------------------------------------------------- loss */

static void target_row(const follower *f, int64_t b, int64_t outputs, int64_t ld, double *target)
{
    for (int64_t o = 0; o < outputs; o++)
        target[o] =
            f->targets.classes ? (double)(f->pass->classes[b] == o) : ((const double *)f->pass->targets)[b * ld + o];
}

/* Of dL/da of the last layer, and of the loss. */
static void follow_loss(follower *f)
{
    int64_t last = f->model->layer_count - 1;
    bpi_loss_args args = bpi_loss_args_of(f->pass, f->rows, f->targets);
    int64_t outputs = args.z.cols;
    double magnitude = 0.0, square = 0.0;
    for (int64_t b = 0; b < f->rows; b++) {
        double *e_delta = &f->e_delta[last & 1][b * f->width];
        target_row(f, b, outputs, args.targets.ld, f->row[0]);
        bpi_loss_row row = {.z = (const double *)args.z.data + b * args.z.ld,
                            .z_scale = &f->e_a[last][b * f->width],
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
    double own = sum_scale(&f->r, f->rows + 2, magnitude) + 3.0 * f->r.sum * magnitude;
    f->bounds->loss = BPI_ERROR_MULTIPLE * args.scale * hypot(own, sqrt(square));
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
            double magnitude = 0.0, square = 0.0;
            for (int64_t b = 0; b < f->rows; b++) {
                double d = delta[b * ld + o], e_d = e_delta[b * f->width + o];
                double v = x[b * ld_x + i], e_v = e_x[b * f->width + i];
                magnitude += (fabs(d) + BPI_ERROR_MULTIPLE * e_d) * (fabs(v) + BPI_ERROR_MULTIPLE * e_v);
                double larger = fabs(v) + BPI_ERROR_MULTIPLE * e_v;
                square += d * e_v * d * e_v + e_d * larger * e_d * larger;
            }
            double own = sum_scale(&f->r, f->rows, magnitude);
            f->bounds->gradients[tensor->offset + o * tensor->ld + i] = BPI_ERROR_MULTIPLE * hypot(own, sqrt(square));
        }
}

static void follow_bias_grad(follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const double *delta = f->pass->delta[index & 1], *e_delta = f->e_delta[index & 1];
    int64_t ld = f->pass->layers[index].ld;
    for (int64_t o = 0; layer->bias >= 0 && o < layer->outputs; o++) {
        double magnitude = 0.0, square = 0.0;
        for (int64_t b = 0; b < f->rows; b++) {
            double e_d = e_delta[b * f->width + o];
            magnitude += fabs(delta[b * ld + o]) + BPI_ERROR_MULTIPLE * e_d;
            square += e_d * e_d;
        }
        double own = sum_scale(&f->r, f->rows, magnitude);
        f->bounds->gradients[f->model->tensors[layer->bias].offset + o] = BPI_ERROR_MULTIPLE * hypot(own, sqrt(square));
    }
}

static void follow_input_grad(follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const double *w = bpi_tensor_at(f->model, f->model->parameters, layer->weight);
    const double *delta = f->pass->delta[index & 1], *e_delta = f->e_delta[index & 1];
    double *e_below = f->e_delta[(index + 1) & 1];
    int64_t ld_w = f->model->tensors[layer->weight].ld, ld = f->pass->layers[index].ld;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t i = 0; i < layer->inputs; i++) {
            double magnitude = 0.0, square = 0.0;
            for (int64_t o = 0; o < layer->outputs; o++) {
                double weight = w[o * ld_w + i], e = e_delta[b * f->width + o];
                magnitude += (fabs(delta[b * ld + o]) + BPI_ERROR_MULTIPLE * e) * fabs(weight);
                square += e * weight * e * weight;
            }
            double own = sum_scale(&f->r, layer->outputs, magnitude) + f->r.store * magnitude;
            e_below[b * f->width + i] = hypot(own, sqrt(square));
        }
}

/* f' of layer `index` into slope_of, and dL/da, as it stands before the step in place, into d_a. */
static bp_status keep_factors(follower *f, int64_t index)
{
    bpi_backend *backend = f->trainer->context->backend;
    const bpi_pass_layer *kept = &f->pass->layers[index];
    BPI_TRY(derive(f, index));
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
        BPI_TRY(follow_forward(f, i));
    follow_loss(f);
    bpi_gradient_sink sink = {f->trainer->gradients, false};
    int64_t last = f->model->layer_count - 1;
    BPI_TRY(keep_factors(f, last));
    BPI_TRY(bpi_output_delta(f->pass, f->set, f->targets, sink));
    follow_derivative(f, last);
    for (int64_t i = last; i >= 0; i--) {
        BPI_TRY(bpi_weight_gradient(f->pass, f->set, i, sink));
        follow_weight_grad(f, i);
        follow_bias_grad(f, i);
        if (i == 0)
            break;
        BPI_TRY(bpi_input_gradient(f->pass, f->set, i));
        follow_input_grad(f, i);
        BPI_TRY(keep_factors(f, i - 1));
        BPI_TRY(bpi_hidden_delta(f->pass, f->set, i - 1, sink));
        follow_derivative(f, i - 1);
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
    for (int64_t i = 0; i < trainer->model->layer_count; i++)
        if (trainer->model->layers[i].in_steps)
            return BPI_FAIL(context, BP_STATUS_UNSUPPORTED,
                            "error bounds are not known yet for networks with bn, ln, dropout or skip");
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
