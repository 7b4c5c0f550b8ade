/* error_backward.c: errors of error terms and gradients. See error_bound.c. */
#include "host/error_follow.h"

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
        return bpi_activation_curvature(activation);
    }
}

/* The scale of the error of f' for one element. */
double bpi_follow_derivative(bpi_follower *f, int64_t index, int64_t b, int64_t o, double derivative)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_pass_layer *kept = &f->pass->layers[index];
    int64_t at = b * f->width + o;
    bp_activation activation = layer->block.activation;
    if (activation == BP_ACTIVATION_RELU || activation == BP_ACTIVATION_LEAKY_RELU) {
        double slope = activation == BP_ACTIVATION_RELU ? 0.0 : (double)layer->block.slope;
        bool kink = bpi_at_kink(f, index, at);
        f->bounds->kinks += kink;
        return kink ? fabs(1.0 - slope) : 0.0;
    }
    bool from_z = bpi_derives_from_z(layer);
    double saved = from_z ? f->layers[index].z[at] : ((const double *)kept->a)[b * kept->ld + o];
    bpi_roundoff r = bpi_layer_roundoff(f, index);
    double scale = f->layers[index].e_a[at];
    if (from_z) /* as it was stored, or made again out of a stored u */
        scale = layer->in_steps ? f->layers[index].e_z[at] : bpi_stored_bound(&r, saved, f->layers[index].e_z[at]);
    double off = BPI_ERROR_MULTIPLE * scale, speed = curvature(activation, saved, off);
    /* The own bound is proportional to f' and grows with what was saved, both of them off by a little. */
    double own = bpi_derivative_own_bound(&f->r, activation, saved, fabs(derivative) + speed * off);
    return hypot(own * (1.0 + 4.0 * off / (fabs(saved) + off + f->r.quantum)), speed * scale);
}

/* Of delta = d_a f' into e_delta, which held that of d_a. */
void bpi_follow_delta(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    if (layer->in_steps) {
        bpi_follow_block_delta(f, index);
        return;
    }
    int64_t ld = f->pass->layers[index].ld;
    bool exact = layer->block.activation == BP_ACTIVATION_IDENTITY;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t o = 0; o < layer->outputs; o++) {
            double d_a = f->d_a[b * ld + o], derivative = f->slope_of[b * ld + o];
            double *e = &f->e_delta[index & 1][b * f->width + o];
            double e_f = bpi_follow_derivative(f, index, b, o, derivative);
            double moved = hypot(d_a * e_f, (fabs(derivative) + BPI_ERROR_MULTIPLE * e_f) * *e);
            double delta = fabs(d_a * derivative) + BPI_ERROR_MULTIPLE * moved;
            double own = exact ? 0.0 : bpi_stored_bound(&f->r, delta, f->r.sum * delta + f->r.quantum);
            *e = hypot(own, moved);
        }
}

static void follow_weights(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const bpi_tensor *tensor = &f->model->tensors[layer->weight];
    const double *delta = f->pass->delta[index & 1], *e_delta = f->e_delta[index & 1];
    int64_t ld = f->pass->layers[index].ld, ld_x;
    const double *e_x, *x = bpi_followed_inputs(f, index, &ld_x, &e_x);
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
            double own = bpi_sum_scale(&f->r, f->rows, magnitude);
            f->bounds->gradients[tensor->offset + o * tensor->ld + i] = BPI_ERROR_MULTIPLE * hypot(own, sqrt(square));
        }
}

static void follow_bias_grad(bpi_follower *f, int64_t index)
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
        double own = bpi_sum_scale(&f->r, f->rows, magnitude);
        f->bounds->gradients[f->model->tensors[layer->bias].offset + o] = BPI_ERROR_MULTIPLE * hypot(own, sqrt(square));
    }
}

void bpi_follow_weight_grad(bpi_follower *f, int64_t index)
{
    follow_weights(f, index);
    follow_bias_grad(f, index);
}

void bpi_follow_input_grad(bpi_follower *f, int64_t index)
{
    const bpi_layer *layer = &f->model->layers[index];
    const double *w = bpi_tensor_at(f->model, f->model->parameters, layer->weight);
    const double *delta = f->pass->delta[index & 1], *e_delta = f->e_delta[index & 1];
    double *e_below = f->e_delta[(index + 1) & 1];
    int64_t ld_w = f->model->tensors[layer->weight].ld, ld = f->pass->layers[index].ld;
    for (int64_t b = 0; b < f->rows; b++)
        for (int64_t i = 0; i < layer->inputs; i++) {
            double d_x = 0.0, magnitude = 0.0, square = 0.0;
            for (int64_t o = 0; o < layer->outputs; o++) {
                double weight = w[o * ld_w + i], e = e_delta[b * f->width + o];
                d_x += delta[b * ld + o] * weight;
                magnitude += (fabs(delta[b * ld + o]) + BPI_ERROR_MULTIPLE * e) * fabs(weight);
                square += e * weight * e * weight;
            }
            double moved = hypot(bpi_sum_scale(&f->r, layer->outputs, magnitude), sqrt(square));
            double stored = bpi_stored_bound(&f->r, fabs(d_x) + BPI_ERROR_MULTIPLE * moved, 0.0);
            e_below[b * f->width + i] = hypot(stored, moved);
        }
}
