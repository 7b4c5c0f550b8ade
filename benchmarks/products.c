/* products.c: see products.h. */
#include "benchmarks/products.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/harness.h"
#include "kernels/bounds.h"

static bool array(bpb_products *products, int64_t count, float **values)
{
    bpi_backend *backend = products->backend;
    return backend->ops->allocate(backend, (size_t)count * sizeof **values, (void **)values) == BP_STATUS_OK;
}

static bool make_onednn(bpb_layer *l, int threads)
{
    const bpi_linear_spec *s = &l->spec;
    const int64_t x[2] = {s->ld_x, 1}, w_t[2] = {1, s->ld_w}, w[2] = {s->ld_w, 1}, delta[2] = {s->ld_delta, 1};
    const int64_t delta_t[2] = {1, s->ld_delta};
    l->onednn[0] = bpb_onednn_create(threads, s->rows, s->outputs, s->inputs, x, w_t, s->ld_a, l->x, l->w, l->a);
    l->onednn[1] =
        bpb_onednn_create(threads, s->outputs, s->inputs, s->rows, delta_t, x, s->ld_w, l->delta, l->x, l->d_w);
    if (s->input_grad)
        l->onednn[2] =
            bpb_onednn_create(threads, s->rows, s->inputs, s->outputs, delta, w, s->ld_d_x, l->delta, l->w, l->d_x);
    return l->onednn[0] && l->onednn[1] && (l->onednn[2] || !s->input_grad);
}

/* Two of them, as a step has: layers take turns. */
static bool make_deltas(bpb_products *products, int64_t batch, const int64_t *widths, int layers)
{
    const bpi_backend *backend = products->backend;
    for (int i = 0; i <= layers; ++i) {
        int64_t count = batch * bpi_ld_of(backend, widths[i], true);
        products->delta_count = count > products->delta_count ? count : products->delta_count;
    }
    for (int i = 0; i < 2; ++i) {
        if (!array(products, products->delta_count, &products->delta[i]))
            return false;
        bpb_fill(products->delta[i], products->delta_count, 3);
    }
    return true;
}

static bool make_layer(bpb_products *products, int index, int threads, int64_t batch, const int64_t *widths)
{
    bpi_backend *backend = products->backend;
    bpb_layer *l = &products->layer[index];
    int64_t inputs = widths[index], outputs = widths[index + 1];
    int64_t ld_x = bpi_ld_of(backend, inputs, false);
    l->spec = (bpi_linear_spec){.rows = batch,
                                .inputs = inputs,
                                .outputs = outputs,
                                .ld_x = ld_x,
                                .ld_w = ld_x,
                                .ld_a = bpi_ld_of(backend, outputs, false),
                                .ld_d_x = bpi_ld_of(backend, inputs, true),
                                .ld_delta = bpi_ld_of(backend, outputs, true),
                                .activation = BP_ACTIVATION_IDENTITY,
                                .gradients = true,
                                .input_grad = index > 0};
    int64_t weights = outputs * l->spec.ld_w, activations = batch * l->spec.ld_a;
    if (backend->ops->reserve(backend, backend->ops->workspace_bytes(backend, &l->spec, weights)) ||
        backend->ops->linear_plan(backend, &l->spec, &l->plan))
        return false;
    if (!array(products, weights, &l->w) || !array(products, weights, &l->d_w) || !array(products, activations, &l->a))
        return false;
    l->delta = products->delta[index & 1];
    l->d_x = products->delta[(index + 1) & 1];
    if (index > 0)
        l->x = products->layer[index - 1].a;
    else if (!array(products, batch * ld_x, &l->x))
        return false;
    if (index == 0)
        bpb_fill(l->x, batch * ld_x, 1);
    bpb_fill(l->w, weights, 2);
    for (int64_t k = 0; k < weights; ++k) /* keeps the outputs of deep networks in the middle of the range */
        l->w[k] *= 3.4f / sqrtf((float)inputs);
    products->flops += (index > 0 ? 6.0 : 4.0) * (double)batch * (double)inputs * (double)outputs;
    return make_onednn(l, threads);
}

bool bpb_products_create(bpb_products *products, const bp_allocator *allocator, int threads, int64_t batch,
                         const int64_t *widths, int layers)
{
    memset(products, 0, sizeof *products);
    bpi_backend_options options = {
        .precision = BP_PRECISION_F32, .threads = threads, .allocator = *allocator, .error = &products->error};
    const bpi_ops *ops = bpi_cpu_ops();
    products->layers = layers;
    bool ok = layers <= BPB_MOST_LAYERS && ops->create(&options, &products->backend) == BP_STATUS_OK;
    ok = ok && make_deltas(products, batch, widths, layers);
    for (int i = 0; ok && i < layers; ++i)
        ok = make_layer(products, i, threads, batch, widths);
    if (!ok)
        fprintf(stderr, "the products can't be made: %s\n", products->error.text);
    return ok;
}

void bpb_products_destroy(bpb_products *products)
{
    bpi_backend *backend = products->backend;
    if (!backend)
        return;
    for (int i = 0; i < products->layers; ++i) {
        bpb_layer *l = &products->layer[i];
        size_t weights = (size_t)(l->spec.outputs * l->spec.ld_w) * sizeof(float);
        for (int p = 0; p < 3; ++p)
            bpb_onednn_destroy(l->onednn[p]);
        backend->ops->linear_unplan(backend, l->plan);
        backend->ops->release(backend, l->w, weights);
        backend->ops->release(backend, l->d_w, weights);
        backend->ops->release(backend, l->a, (size_t)(l->spec.rows * l->spec.ld_a) * sizeof(float));
        if (i == 0)
            backend->ops->release(backend, l->x, (size_t)(l->spec.rows * l->spec.ld_x) * sizeof(float));
    }
    for (int i = 0; i < 2; ++i)
        backend->ops->release(backend, products->delta[i], (size_t)products->delta_count * sizeof(float));
    backend->ops->destroy(backend);
}

bool bpb_products_run(bpb_products *products)
{
    bpi_backend *backend = products->backend;
    const bpi_ops *ops = backend->ops;
    for (int i = 0; i < products->layers; ++i) {
        const bpb_layer *l = &products->layer[i];
        if (ops->linear_forward(backend, l->plan, l->x, l->w, NULL, NULL, l->a))
            return false;
    }
    for (int i = products->layers - 1; i >= 0; --i) {
        const bpb_layer *l = &products->layer[i];
        if (ops->linear_weight_grad(backend, l->plan, 0, l->delta, l->x, false, l->d_w))
            return false;
        if (i > 0 && ops->linear_input_grad(backend, l->plan, l->delta, l->w, l->d_x))
            return false;
    }
    return true;
}

bool bpb_products_run_onednn(bpb_products *products)
{
    for (int i = 0; i < products->layers; ++i)
        if (bpb_onednn_run(products->layer[i].onednn[0]))
            return false;
    for (int i = products->layers - 1; i >= 0; --i)
        for (int p = 1; p < 3; ++p)
            if (products->layer[i].onednn[p] && bpb_onednn_run(products->layer[i].onednn[p]))
                return false;
    return true;
}

bool bpb_products_agree(bpb_products *products)
{
    bpb_layer *l = &products->layer[0];
    bpi_backend *backend = products->backend;
    if (bpb_onednn_run(l->onednn[0]))
        return false;
    int64_t stride = l->spec.rows > 16 ? l->spec.rows / 16 : 1;
    float *kept = calloc((size_t)(17 * l->spec.outputs), sizeof *kept);
    bool ok = kept != NULL;
    for (int64_t b = 0; ok && b < l->spec.rows / stride && b < 17; ++b)
        memcpy(kept + b * l->spec.outputs, l->a + b * stride * l->spec.ld_a, (size_t)l->spec.outputs * sizeof *kept);
    ok = ok && backend->ops->linear_forward(backend, l->plan, l->x, l->w, NULL, NULL, l->a) == BP_STATUS_OK;
    for (int64_t b = 0; ok && b < l->spec.rows / stride && b < 17; ++b)
        for (int64_t o = 0; ok && o < l->spec.outputs; ++o) {
            double magnitude = 0.0;
            for (int64_t i = 0; i < l->spec.inputs; ++i)
                magnitude += fabs((double)l->x[b * stride * l->spec.ld_x + i] * (double)l->w[o * l->spec.ld_w + i]);
            double difference = (double)kept[b * l->spec.outputs + o] - (double)l->a[b * stride * l->spec.ld_a + o];
            ok = fabs(difference) <= 2.0 * bpi_gamma(0x1p-24, l->spec.inputs) * magnitude && magnitude > 0.0;
        }
    free(kept);
    return ok;
}
