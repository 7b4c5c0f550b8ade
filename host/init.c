/* init.c: the values that parameters start with. The definitions are torch.nn.init's (Glorot and Bengio 2010, He et al.
 * 2015); the numbers come from Philox, keyed by (seed, tensor, element), in double, so that every backend gets the
 * same. */
#include <math.h>

#include "host/model.h"
#include "kernels/math/normal.h"
#include "kernels/math/philox.h"

/* torch.nn.init.calculate_gain; sqrt(2) for the activations of the ReLU family that it does not list. */
static double gain(const bp_block *block)
{
    switch (block->activation) {
    case BP_ACTIVATION_TANH:
        return 5.0 / 3.0;
    case BP_ACTIVATION_LEAKY_RELU:
        return sqrt(2.0 / (1.0 + (double)block->slope * (double)block->slope));
    case BP_ACTIVATION_RELU:
    case BP_ACTIVATION_ELU:
    case BP_ACTIVATION_SOFTPLUS:
    case BP_ACTIVATION_SILU:
    case BP_ACTIVATION_GELU:
    case BP_ACTIVATION_GELU_TANH:
        return sqrt(2.0);
    default:
        return 1.0;
    }
}

static bp_init resolve(bp_init init, bp_activation activation)
{
    if (init != BP_INIT_AUTO)
        return init;
    bool relu_family =
        activation != BP_ACTIVATION_IDENTITY && activation != BP_ACTIVATION_SIGMOID && activation != BP_ACTIVATION_TANH;
    return relu_family ? BP_INIT_HE_NORMAL : BP_INIT_XAVIER_UNIFORM;
}

static double standard_deviation(const bpi_layer *layer, bp_init init)
{
    double fan_in = (double)layer->inputs, fan_out = (double)layer->outputs;
    switch (init) {
    case BP_INIT_HE_NORMAL:
    case BP_INIT_HE_UNIFORM:
        return gain(&layer->block) / sqrt(fan_in);
    case BP_INIT_XAVIER_NORMAL:
    case BP_INIT_XAVIER_UNIFORM:
        return gain(&layer->block) * sqrt(2.0 / (fan_in + fan_out));
    default:
        return 0.0;
    }
}

/* Two numbers of mean 0 and variance 1, normal or uniform. */
static bpi_normal_pair pair_of(bpi_philox_block block, bool normal)
{
    if (normal)
        return bpi_normal_pair_of(block);
    return (bpi_normal_pair){sqrt(3.0) * (2.0 * bpi_uniform_double(block.word[0], block.word[1]) - 1.0),
                             sqrt(3.0) * (2.0 * bpi_uniform_double(block.word[2], block.word[3]) - 1.0)};
}

static void fill(const bpi_layer *layer, const bp_model_options *options, uint64_t tensor, int64_t count,
                 double *values)
{
    bp_init init = resolve(options->init, layer->block.activation);
    double times = options->init_gain > 0.0f ? (double)options->init_gain : 1.0;
    double deviation = times * standard_deviation(layer, init);
    bool normal = init == BP_INIT_HE_NORMAL || init == BP_INIT_XAVIER_NORMAL;
    for (int64_t i = 0; i < count; i += 2) {
        bpi_normal_pair pair = pair_of(bpi_philox(options->seed, tensor, (uint64_t)i / 2), normal);
        values[i] = (double)(float)(deviation * pair.first);
        if (i + 1 < count)
            values[i + 1] = (double)(float)(deviation * pair.second);
    }
}

/* A vector all of one value. */
static bp_status fill_vector(bp_model *model, int64_t tensor, double value)
{
    int64_t count = bpi_tensor_elements(&model->tensors[tensor]);
    double *values;
    BPI_TRY(bpi_alloc(model->context, (size_t)count * sizeof *values, "bp_model_create", (void **)&values));
    for (int64_t i = 0; i < count; i++)
        values[i] = value;
    bp_status status = bpi_tensor_write(model, model->parameters, tensor, values);
    bpi_free(model->context, values, (size_t)count * sizeof *values);
    return status;
}

bp_status bpi_init_parameters(bp_model *model, const bp_model_options *options)
{
    for (int64_t i = 0; i < model->layer_count; i++) {
        const bpi_layer *layer = &model->layers[i];
        int64_t count = bpi_tensor_elements(&model->tensors[layer->weight]);
        double *values;
        size_t bytes;
        BPI_TRY(bpi_array_bytes(model->context, count, sizeof *values, "bp_model_create", &bytes));
        BPI_TRY(bpi_alloc(model->context, bytes, "bp_model_create", (void **)&values));
        fill(layer, options, (uint64_t)i, count, values);
        bp_status status = bpi_tensor_write(model, model->parameters, layer->weight, values);
        bpi_free(model->context, values, bytes);
        BPI_TRY(status);
        if (layer->gamma >= 0)
            BPI_TRY(fill_vector(model, layer->gamma, 1.0));
        if (layer->running_var >= 0)
            BPI_TRY(fill_vector(model, layer->running_var, 1.0));
    }
    return BP_STATUS_OK;
}
