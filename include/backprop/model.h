/* model.h: a dense feed-forward network: an input width and an array of dense blocks, each
 * linear -> [batch norm | layer norm] -> activation -> [dropout] -> [+ output of an earlier block].
 *
 * Parameters have the names and shapes of the same network as a torch.nn.Sequential: "0.weight" [O,I], "0.bias" [O],
 * "2.weight", ... where every module that is there counts one; identity and skips count nothing. */
#ifndef BACKPROP_MODEL_H
#define BACKPROP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bp_model bp_model;

/* X(ENUM, name, saves_z): what the derivative needs: saves_z 0: a = f(z) is enough; 1: z itself */
#define BP_ACTIVATION_LIST(X)                                                                                          \
    X(IDENTITY, "identity", 0)                                                                                         \
    X(SIGMOID, "sigmoid", 0)                                                                                           \
    X(TANH, "tanh", 0)                                                                                                 \
    X(RELU, "relu", 0)                                                                                                 \
    X(LEAKY_RELU, "leaky_relu", 0)                                                                                     \
    X(ELU, "elu", 0)                                                                                                   \
    X(SOFTPLUS, "softplus", 0)                                                                                         \
    X(SILU, "silu", 1)                                                                                                 \
    X(GELU, "gelu", 1)                                                                                                 \
    X(GELU_TANH, "gelu_tanh", 1)

typedef enum bp_activation {
#define BP_ACTIVATION_ENUM(ENUM, name, saves_z) BP_ACTIVATION_##ENUM,
    BP_ACTIVATION_LIST(BP_ACTIVATION_ENUM)
#undef BP_ACTIVATION_ENUM
        BP_ACTIVATION_COUNT
} bp_activation;

/* All losses are means over the samples and take the network's output z[B,O].
 *   softmax_cross_entropy  from logits; targets: class indices [B] or probabilities [B,O]; label smoothing
 *   bce_with_logits        from logits; targets in [0,1], [B,O]; mean over all elements
 *   mse                    mean over all elements, as torch.nn.MSELoss
 *   half_mse               1/2 |y - yhat|^2 per sample: delta = yhat - y
 *   huber                  mean over all elements, as torch.nn.HuberLoss
 * X(ENUM, name, takes_classes) */
#define BP_LOSS_LIST(X)                                                                                                \
    X(SOFTMAX_CROSS_ENTROPY, "softmax_cross_entropy", 1)                                                               \
    X(BCE_WITH_LOGITS, "bce_with_logits", 0)                                                                           \
    X(MSE, "mse", 0)                                                                                                   \
    X(HALF_MSE, "half_mse", 0)                                                                                         \
    X(HUBER, "huber", 0)

typedef enum bp_loss {
#define BP_LOSS_ENUM(ENUM, name, takes_classes) BP_LOSS_##ENUM,
    BP_LOSS_LIST(BP_LOSS_ENUM)
#undef BP_LOSS_ENUM
        BP_LOSS_COUNT
} bp_loss;

/* Initialisation of weights; biases start at 0. `auto`: he_normal for the ReLU family (relu, leaky_relu, elu,
 * softplus, silu, gelu), xavier_uniform elsewhere. Gains as torch.nn.init.calculate_gain. X(ENUM, name) */
#define BP_INIT_LIST(X)                                                                                                \
    X(AUTO, "auto")                                                                                                    \
    X(HE_NORMAL, "he_normal")                                                                                          \
    X(HE_UNIFORM, "he_uniform")                                                                                        \
    X(XAVIER_NORMAL, "xavier_normal")                                                                                  \
    X(XAVIER_UNIFORM, "xavier_uniform")                                                                                \
    X(ZEROS, "zeros")

typedef enum bp_init {
#define BP_INIT_ENUM(ENUM, name) BP_INIT_##ENUM,
    BP_INIT_LIST(BP_INIT_ENUM)
#undef BP_INIT_ENUM
        BP_INIT_COUNT
} bp_init;

/* Names as the lists above have them; NULL for a value that is none. */
BP_API const char *bp_activation_name(bp_activation activation);
BP_API const char *bp_loss_name(bp_loss loss);
BP_API const char *bp_init_name(bp_init init);

typedef enum bp_norm { BP_NORM_NONE, BP_NORM_BATCH, BP_NORM_LAYER } bp_norm;

/* One dense block. Zeroed fields: identity, bias, no norm, no dropout, no skip. */
typedef struct bp_block {
    size_t struct_size; /* sizeof(bp_block), the same in all blocks of an array; 0: version 0.1 */
    int64_t units;      /* O >= 1 */
    bp_activation activation;
    float slope; /* leaky_relu: a = slope * z for z <= 0; 0: the default 0.01; must be > 0 */
    bp_norm norm;
    float dropout; /* probability of zeroing, [0, 1) */
    bool no_bias;
    int64_t skip; /* 0: none; -1: adds the block's own input; K >= 1: adds the output of block K (from 1) */
} bp_block;

typedef struct bp_model_options {
    size_t struct_size;     /* sizeof(bp_model_options); 0: version 0.1 */
    int64_t inputs;         /* I of the first block, >= 1 */
    const char *layers;     /* blocks in the notation of the command line: "256:relu,128:relu:nobias,10"; or NULL and */
    const bp_block *blocks; /* an array of */
    int64_t block_count;    /* this many */
    bp_loss loss;
    float label_smoothing; /* softmax_cross_entropy: [0, 1) */
    float huber_delta;     /* huber: > 0; 0: the default 1 */
    bp_init init;
    uint64_t seed;   /* of the initialisation; the same on every backend */
    float init_gain; /* > 0: multiplies the initial weights; 0: the default 1 */
} bp_model_options;

/* Makes a network with initialised parameters in the backend's memory.
 * errors    INVALID_ARGUMENT (which block, which field), OUT_OF_MEMORY, UNSUPPORTED */
BP_API bp_status bp_model_create(bp_context *context, const bp_model_options *options, bp_model **model);
BP_API void bp_model_destroy(bp_model *model); /* accepts NULL */

BP_API int64_t bp_model_inputs(const bp_model *model);
BP_API int64_t bp_model_outputs(const bp_model *model);
BP_API int64_t bp_model_parameter_count(const bp_model *model); /* scalars, without padding */
BP_API bp_loss bp_model_loss(const bp_model *model);
/* The blocks in the command line's notation; valid as long as the model. */
BP_API const char *bp_model_layers(const bp_model *model);

/* One named tensor of the model: rows x cols; a vector has cols == 0 and rows elements. */
typedef struct bp_tensor_info {
    const char *name;
    int64_t rows, cols;
} bp_tensor_info;

BP_API int64_t bp_model_tensor_count(const bp_model *model);
BP_API bp_status bp_model_tensor_info(const bp_model *model, int64_t index, bp_tensor_info *info);

/* Copies a tensor out of or into the backend's memory, dense row-major f64 [rows*cols]; `count` is checked.
 * f64 because it holds every backend's values exactly. */
BP_API bp_status bp_model_get_tensor(const bp_model *model, const char *name, double *values, int64_t count);
BP_API bp_status bp_model_set_tensor(bp_model *model, const char *name, const double *values, int64_t count);

/* y = network(x) in evaluation mode: x[rows,I], y[rows,O], f32, dense, host memory. Any number of rows >= 0.
 * Inputs are standardised first where the model holds a standardisation (see data.h). */
BP_API bp_status bp_model_predict(bp_model *model, const float *x, int64_t rows, float *y);

/* Input standardisation kept with the model: x' = (x - mean) / std per column; NULL, NULL removes it.
 * errors    INVALID_ARGUMENT (std not > 0, not finite) */
BP_API bp_status bp_model_set_standardization(bp_model *model, const float *mean, const float *std);
BP_API bool bp_model_has_standardization(const bp_model *model);

#ifdef __cplusplus
}
#endif
#endif
