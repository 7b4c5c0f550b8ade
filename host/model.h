/* model.h (internal): blocks, and the parameter table that describes the one array they live in. */
#ifndef BPI_HOST_MODEL_H
#define BPI_HOST_MODEL_H

#include "backprop/model.h"
#include "host/context.h"

/* One named tensor of the parameter array. A vector has cols 0, rows elements, and ld = rows rounded up. */
typedef struct bpi_tensor {
    char name[32];
    int64_t offset; /* elements from the start of the array; a multiple of the backend's alignment */
    int64_t rows, cols, ld;
    int64_t block;
} bpi_tensor;

static inline int64_t bpi_tensor_elements(const bpi_tensor *tensor)
{
    return tensor->cols ? tensor->rows * tensor->cols : tensor->rows;
}

/* What a block needs while it runs: its options resolved and where its parameters are. */
typedef struct bpi_layer {
    bp_block block; /* no zero means a default any more */
    int64_t inputs, outputs;
    int64_t weight, bias; /* index into the tensors; bias -1: none */
    bool saves_z;
} bpi_layer;

struct bpi_pass; /* pass.h: buffers and plans of a forward (and backward) run */

struct bp_model {
    bp_context *context;
    int64_t inputs;
    int64_t layer_count;
    bpi_layer *layers;
    int64_t tensor_count;
    bpi_tensor *tensors;
    int64_t parameter_count; /* elements of the array, padding included */
    void *parameters;        /* backend memory, traits.parameter_type */
    char *layers_text;       /* the notation of the command line */
    size_t layers_text_bytes;
    bp_loss loss;
    float label_smoothing, huber_delta;
    float *mean, *inv_std, *std; /* host [inputs]; NULL: no standardisation */
    struct bpi_pass *evaluation;     /* made by the first predict or evaluate */
};

/* The blocks of the command line's notation, "256:relu,128:leaky_relu:slope=0.2,10"; free with bpi_free.
 * errors    INVALID_ARGUMENT naming the block and the word */
bp_status bpi_notation_parse(bp_context *context, const char *text, bp_block **blocks, int64_t *count);
/* And back: canonical text, only what differs from the defaults. *bytes is what to give bpi_free. */
bp_status bpi_notation_format(bp_context *context, const bp_block *blocks, int64_t count, char **text, size_t *bytes);

int64_t bpi_model_find(const bp_model *model, const char *name); /* index of a tensor, -1 */

/* Copy one tensor between dense f64 host memory and an array laid out as the parameter array (parameters, gradients,
 * optimiser state). */
bp_status bpi_tensor_read(const bp_model *model, const void *array, int64_t index, double *values);
bp_status bpi_tensor_write(const bp_model *model, void *array, int64_t index, const double *values);

/* Fills the parameters by options->init and options->seed; the same values on every backend (rounded to its type). */
bp_status bpi_init_parameters(bp_model *model, bp_init init, uint64_t seed);

#endif
