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
    int64_t weight, bias, gamma, beta; /* index into the tensors; -1: none */
    int64_t running_mean, running_var; /* likewise, of batch norm */
    int64_t batches_tracked;           /* by the running values: PyTorch's num_batches_tracked */
    int64_t norm_module;               /* the norm's number in the names of its tensors */
    bool saves_z;                      /* where the activation follows the product directly */
    int64_t skip_source;               /* whose output is added: -1 nobody's, 0 the network's input, K block K's */
    bool feeds_skip;                   /* a later block adds this one's output */
    bool in_steps;                     /* norm, dropout, skip, or feeds one: runs through bpi_ops.block_forward */
} bpi_layer;

struct bpi_pass; /* pass.h: buffers and plans of a forward (and backward) run */

struct bp_model {
    bp_context *context;
    int64_t inputs;
    int64_t layer_count;
    bpi_layer *layers;
    int64_t tensor_count, buffer_count, tensor_capacity;
    bpi_tensor *tensors;     /* the parameters', then those of what is no parameter: running means and variances */
    int64_t weight_count;    /* elements of the linear layers' weights, with which the array begins, padding included */
    int64_t parameter_count; /* elements of the parameters in the array, padding included */
    int64_t array_count;     /* and with the buffers behind them */
    void *parameters;        /* [array_count], backend memory, traits.parameter_type */
    void *shown;             /* what is evaluated, saved and read: the parameters, or a trainer's averages of them */
    void *weights;           /* parameters in traits.weight_type: themselves where that is parameter_type */
    void *shown_weights;     /* the same of averages that are shown; NULL until they are evaluated */
    bool weights_stale;      /* parameters were changed by another than the update */
    bool has_batch_norm;
    char *layers_text; /* the notation of the command line */
    size_t layers_text_bytes;
    bp_loss loss;
    float label_smoothing, huber_delta;
    float *mean, *std;                   /* host [inputs]; NULL: no standardisation */
    float *device_mean, *device_inv_std; /* the same for bpi_ops.load, backend memory */
    struct bpi_pass *evaluation;         /* made by the first predict or evaluate */
};

/* The blocks of the command line's notation, "256:relu,128:leaky_relu:slope=0.2,10"; free with bpi_free.
 * errors    INVALID_ARGUMENT naming the block and the word */
bp_status bpi_notation_parse(bp_context *context, const char *text, bp_block **blocks, int64_t *count);
/* And back: canonical text, only what differs from the defaults. *bytes is what to give bpi_free. */
bp_status bpi_notation_format(bp_context *context, const bp_block *blocks, int64_t count, char **text, size_t *bytes);

/* Fills model->tensors and both counts from model->layers; the bytes of the array that they describe. */
bp_status bpi_parameters_plan(bp_model *model);
size_t bpi_parameters_bytes(const bp_model *model);

/* The table's index of the index-th tensor in the order that PyTorch lists them in: block by block, weight then bias.
 */
int64_t bpi_tensor_in_file_order(const bp_model *model, int64_t index);

/* Finds a tensor for a public call and checks the count: INVALID_ARGUMENT or NOT_FOUND in the name of `call`. */
bp_status bpi_tensor_lookup(const bp_model *model, const char *call, const char *name, const void *values,
                            int64_t count, int64_t *index);

void bpi_standardization_clear(bp_model *model);

int64_t bpi_model_find(const bp_model *model, const char *name); /* index of a tensor or buffer, -1 */

static inline int64_t bpi_round_up(int64_t value, int64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* The leading dimension of a matrix of `cols` columns. */
static inline int64_t bpi_leading_dimension(const bpi_backend *backend, int64_t cols)
{
    return bpi_ld_of(backend, cols, false);
}

/* The same of error terms. */
static inline int64_t bpi_error_ld(const bpi_backend *backend, int64_t cols)
{
    return bpi_ld_of(backend, cols, true);
}

/* Where a tensor begins in the parameters or in an array laid out like them; NULL for index -1. */
static inline void *bpi_tensor_at(const bp_model *model, void *array, int64_t index)
{
    size_t element = bpi_type_bytes(model->context->backend->traits.parameter_type);
    return index < 0 ? NULL : (char *)array + (size_t)model->tensors[index].offset * element;
}

/* Where products find a weight in an array of them: bpi_pass_weights. */
static inline const void *bpi_weight_at(const bp_model *model, const void *weights, int64_t index)
{
    size_t element = bpi_type_bytes(model->context->backend->traits.weight_type);
    return (const char *)weights + (size_t)model->tensors[index].offset * element;
}

static inline bool bpi_has_weight_copy(const bp_model *model)
{
    return model->weights != model->parameters;
}

size_t bpi_weights_bytes(const bp_model *model); /* of the copy; 0 where there is none */

/* Whoever writes model->parameters, but for bpi_ops.update with args.weights, sets weights_stale; the next batch that
 * is loaded brings the copy up to date. */
bp_status bpi_weights_refresh(bp_model *model);
/* Before an evaluation: a copy of what is shown. Averages move with every step, and are copied each time. */
bp_status bpi_weights_show(bp_model *model);

/* Copy one tensor between dense f64 host memory and an array laid out as the parameter array (parameters, gradients,
 * optimiser state). */
bp_status bpi_tensor_read(const bp_model *model, const void *array, int64_t index, double *values);
bp_status bpi_tensor_write(const bp_model *model, void *array, int64_t index, const double *values);

/* The same between dense f64 and one padded tensor of a backend's type, both in host memory. */
void bpi_tensor_unpack(const bpi_tensor *tensor, bpi_type type, const void *padded, double *values);
void bpi_tensor_pack(const bpi_tensor *tensor, bpi_type type, const double *values, void *padded);

/* Fills the parameters by options->init and options->seed; the same values on every backend (rounded to its type). */
bp_status bpi_init_parameters(bp_model *model, const bp_model_options *options);

#endif
