/* error_forward.c: errors of inputs, products and activations. See error_bound.c. */
#include "host/error_follow.h"

double bpi_activation_curvature(bp_activation activation)
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

const double *bpi_followed_inputs(const bpi_follower *f, int64_t index, int64_t *ld, const double **scales)
{
    *ld = index ? f->pass->layers[index - 1].ld : f->pass->ld_x;
    *scales = index ? f->layers[index - 1].e_out : f->e_x;
    return index ? f->pass->layers[index - 1].out : f->pass->input;
}

bp_status bpi_follow_slope(bpi_follower *f, int64_t index)
{
    bpi_backend *backend = f->trainer->context->backend;
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    bpi_matrix saved = bpi_derives_from_z(layer) ? bpi_view(f->layers[index].z, f->rows, layer->outputs, f->width)
                                                 : bpi_view(kept->a, f->rows, layer->outputs, kept->ld);
    bpi_matrix slope = bpi_view(f->slope_of, f->rows, layer->outputs, kept->ld);
    return backend->ops->activation_derivative(backend, layer->block.activation, layer->block.slope, saved, slope);
}

/* An input that is off by at most `bound` is rounded to the same value or, near a midpoint, to a neighbour. */
static void store_input(const bpi_roundoff *r, double *x, double *bound)
{
    if (!(r->store > 0.0))
        return;
    double low = bpi_follow_rounded(r, *x - *bound), high = bpi_follow_rounded(r, *x + *bound);
    *x = bpi_follow_rounded(r, *x);
    *bound = fmax(*x - low, high - *x);
}

void bpi_follow_inputs(bpi_follower *f, const bpi_source *source)
{
    const bp_model *model = f->model;
    double *x = f->pass->x;
    bpi_roundoff loaded = bpi_roundoff_wide(f->r, true);
    bool bytes = source->x_type == BPI_TYPE_U8;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t i = 0; i < model->inputs; i++) {
            double value = x[b * f->pass->ld_x + i];
            double *bound = &f->e_x[b * f->width + i];
            *bound = bytes ? f->r.sum * fabs(value) : 0.0;
            if (model->mean) {
                double inv_std = (double)(1.0f / model->std[i]);
                double raw = value / inv_std + (double)model->mean[i];
                *bound = bpi_load_bound(&loaded, bytes, raw, (double)model->mean[i], inv_std);
            }
            store_input(&f->r, &x[b * f->pass->ld_x + i], bound);
        }
}

/* z, and the scale of its error, of one element. */
static void follow_product(bpi_follower *f, int64_t index, int64_t b, int64_t o)
{
    const bpi_layer *layer = &f->model->layers[index];
    const double *w = bpi_tensor_at(f->model, f->model->parameters, layer->weight);
    const double *bias = bpi_tensor_at(f->model, f->model->parameters, layer->bias);
    int64_t ld_w = f->model->tensors[layer->weight].ld, ld_x;
    const double *e_x, *x = bpi_followed_inputs(f, index, &ld_x, &e_x);
    bpi_roundoff r = bpi_layer_roundoff(f, index);
    double shift = bias ? bias[o] : 0.0, product = 0.0, magnitude = fabs(shift), square = 0.0;
    for (int64_t i = 0; i < layer->inputs; i++) {
        double weight = w[o * ld_w + i], value = x[b * ld_x + i], e = e_x[b * f->width + i];
        product += value * weight;
        magnitude += (fabs(value) + BPI_ERROR_MULTIPLE * e) * fabs(weight);
        square += e * weight * e * weight;
    }
    double z = product + shift, inherited = hypot(bpi_sum_scale(&r, layer->inputs + 1, magnitude), sqrt(square));
    /* The product may be stored before the bias is added; and a layer that runs in steps keeps z as its u. */
    double stored = bpi_stored_bound(&r, product, 0.0);
    if (layer->in_steps)
        stored = hypot(stored, bpi_stored_bound(&r, z, 0.0));
    f->layers[index].z[b * f->width + o] = z;
    f->layers[index].e_z[b * f->width + o] = hypot(inherited, stored);
}

bool bpi_at_kink(const bpi_follower *f, int64_t index, int64_t at)
{
    bp_activation activation = f->model->layers[index].block.activation;
    return (activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_LEAKY_RELU) &&
           fabs(f->layers[index].z[at]) <= BPI_ERROR_MULTIPLE * f->layers[index].e_z[at];
}

/* After all of z: the scale of a = f(z), with f' in slope_of. */
static void follow_activation(bpi_follower *f, int64_t index, int64_t b, int64_t o)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    int64_t at = b * f->width + o;
    double a = ((const double *)kept->a)[b * kept->ld + o], e_z = f->layers[index].e_z[at];
    bpi_roundoff r = bpi_layer_roundoff(f, index);
    double own =
        bpi_activation_forward_bound(&r, layer->block.activation, layer->block.slope, f->layers[index].z[at], 0.0, a);
    double steepness = fabs(f->slope_of[b * kept->ld + o]) +
                       bpi_activation_curvature(layer->block.activation) * BPI_ERROR_MULTIPLE * e_z;
    steepness = fmin(steepness, bpi_activation_steepness(layer->block.activation, layer->block.slope));
    if (bpi_at_kink(f, index, at))
        steepness = bpi_activation_steepness(layer->block.activation, layer->block.slope);
    f->layers[index].e_a[at] = hypot(own, steepness * e_z);
}

bp_status bpi_follow_forward(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++)
            follow_product(f, index, b, o);
    if (layer->block.norm != BP_NORM_NONE)
        bpi_follow_norm(f, index);
    BPI_TRY(bpi_follow_slope(f, index));
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++)
            follow_activation(f, index, b, o);
    if (f->layers[index].e_out != f->layers[index].e_a)
        bpi_follow_output(f, index);
    return BP_STATUS_OK;
}
