/* pass.h: what a forward (and backward) run of a model needs besides its parameters: one block of memory for
 * activations and error terms, made once for a number of rows, and the plans of the products for each number of rows
 * that comes up. A pass is a part of a batch: a step runs one or several. */
#ifndef BPI_HOST_PASS_H
#define BPI_HOST_PASS_H

#include <string.h>

#include "host/model.h"

/* The ways that products are to go where they can. */
typedef struct bpi_wish {
    unsigned all;   /* of any layer */
    bool chosen;    /* each layer's are chosen later, among `all`; false: every layer's */
    unsigned *each; /* of a pass: those, [layer_count], plain at first; NULL unless `chosen` */
} bpi_wish;

/* The plans of all layers for one number of rows. */
typedef struct bpi_plan_set {
    int64_t rows;            /* 0: free */
    int64_t last_used;       /* the pass's clock */
    bpi_linear_plan **plans; /* [layer_count] */
    unsigned *ways;          /* [layer_count] how their products are run: ways.c */
} bpi_plan_set;

enum { BPI_PLAN_SETS = 4 };

typedef struct bpi_pass_layer {
    void *z;              /* what the product left, where the derivative needs it: NULL unless the activation saves z */
    void *a;              /* f(z) */
    void *mask;           /* the signs of z, where the layer above may want them: NULL elsewhere */
    void *out;            /* what the next layer gets: a, unless dropout or a skip follows */
    void *u;              /* layers that run in steps: the product; a itself where that may be */
    void *mean, *inv_std; /* of the norm, parameter_type; NULL without one */
    void *skip_grad;      /* layers that feed a skip: what the skips add to dL/d out; NULL elsewhere */
    bool skip_grad_begun; /* within a backward pass: something was added */
    int64_t ld;           /* of all of them */
    int64_t error_ld;     /* of the layer's error term, and of dL/da before it */
} bpi_pass_layer;

typedef struct bpi_pass {
    bp_model *model;
    int64_t rows; /* at most */
    bool gradients;
    bpi_wish wish;
    void *memory; /* backend; everything below points into it */
    size_t bytes;
    void *x;     /* [rows, inputs] */
    void *input; /* what the first layer reads: x, or rows of a source that need no copy; until the step returns */
    int64_t ld_x;
    int64_t *classes; /* [rows] */
    void *targets;    /* [rows, outputs], parameter_type */
    bpi_step_state *state;
    void *running; /* [array_count - parameter_count] batch norm's running values, as the step at hand has moved them;
                      NULL without gradients or batch norm */
    bpi_pass_layer *layers;
    void *delta[2]; /* error terms of two neighbouring layers, as wide as the widest; NULL without gradients */
    bpi_plan_set sets[BPI_PLAN_SETS];
    int64_t clock;
    uint64_t dropout_seed;
    int64_t first_row;  /* of the part at hand in the step's batch */
    bool moves_running; /* a training step: batch norm's running values follow */
} bpi_pass;

/* The bytes that a pass takes, without making it: its block, and the workspace that its operations need. */
typedef struct bpi_pass_bytes {
    size_t memory;
    bpi_workspace workspace;
} bpi_pass_bytes;

/* wish: of a pass with gradients; NULL: the plain way. */
bp_status bpi_pass_plan(bp_model *model, int64_t rows, bool gradients, const bpi_wish *wish, bpi_pass_bytes *bytes);
bp_status bpi_pass_create(bp_model *model, int64_t rows, bool gradients, const bpi_wish *wish, bpi_pass **pass);
void bpi_pass_destroy(bpi_pass *pass); /* accepts NULL */

/* The plans for a number of rows, and the workspace for it: made at the first call for it, and kept (the least recently
 * used set makes room). */
bp_status bpi_pass_plans(bpi_pass *pass, int64_t rows, bpi_plan_set **set);

/* The last layer's z and a are in parameter_type: what a short type rounds away there, the loss would be off by. */
static inline bool bpi_is_wide(const bp_model *model, int64_t index)
{
    return index == model->layer_count - 1;
}

static inline bpi_type bpi_output_type(const bp_model *model, int64_t index)
{
    const bpi_traits *traits = &model->context->backend->traits;
    return bpi_is_wide(model, index) ? traits->parameter_type : traits->activation_type;
}

/* What the backend is told of a layer's products, where `ways` [layer_count] are those of all layers. */
bpi_linear_spec bpi_layer_spec(const bpi_pass *pass, int64_t index, int64_t rows, const unsigned *ways);

/* Whether the layer above `index` reads the signs of its z. */
static inline bool bpi_keeps_mask(const bp_model *model, int64_t index, const unsigned *ways)
{
    return index + 1 < model->layer_count && bpi_goes(ways[index + 1], BPI_WAY_DELTA) &&
           model->layers[index].block.activation == BP_ACTIVATION_RELU;
}

/* The plans for pass->rows made anew, as after a change of pass->wish.each. Not once a step was made. */
bp_status bpi_pass_replan(bpi_pass *pass);

/* ways.c: the names of ways, and a set of them out of words ("forward_epilogue,one_stream", "plain"; NULL: plain). And
 * which way each layer's products go for a number of rows: those of pass->wish, where the backend can.
 * errors    INVALID_ARGUMENT (a word), UNSUPPORTED (no layer can go a way that all should: with the reason) */
const char *bpi_way_name(bpi_way way);
bp_status bpi_ways_parse(bp_context *context, const char *words, unsigned *ways);
bp_status bpi_ways_choose(const bpi_pass *pass, int64_t rows, unsigned *ways);

/* One layer and one way, those that the layers have so far being in `ways`: where the backend can, it joins them; where
 * not, `why` has the reason. A derivative of relu wants the layer below to go forward with its signs. */
bool bpi_way_try(const bpi_pass *pass, int64_t index, int64_t rows, bpi_way way, unsigned *ways, bpi_error *why);

/* A view of rows of an activation or error term. */
static inline bpi_matrix bpi_view(void *data, int64_t rows, int64_t cols, int64_t ld)
{
    return (bpi_matrix){data, rows, cols, ld};
}

/* What the operations of a layer that runs in steps are told about it. */
bpi_block_spec bpi_block_spec_of(const bpi_layer *layer);
bpi_dropout_key bpi_dropout_key_of(const bpi_pass *pass, int64_t index);

/* The array that a pass takes weights from: only evaluation sees averages. */
static inline void *bpi_pass_parameters(const bpi_pass *pass)
{
    return pass->gradients ? pass->model->parameters : pass->model->shown;
}

/* Whether block_forward and block_backward of this layer add the bias, and linear_forward does not. */
static inline bool bpi_block_adds_bias(const bpi_pass *pass, const bpi_layer *layer)
{
    return layer->in_steps && pass->model->context->backend->traits.block_bias;
}

/* And the weights that its products read. */
static inline const void *bpi_pass_weights(const bpi_pass *pass)
{
    const bp_model *model = pass->model;
    if (pass->gradients || model->shown == model->parameters)
        return model->weights;
    return bpi_has_weight_copy(model) ? model->shown_weights : model->shown;
}

/* forward.c: x to the last out. */
bp_status bpi_forward(bpi_pass *pass, const bpi_plan_set *set);

/* The loss of what the forward pass left, added to pass->state; bpi_backward makes
 * the error term and all gradients from it. samples is the number that the mean of the step runs over. */
typedef struct bpi_targets {
    bool classes; /* pass->classes holds them; else pass->targets */
    int64_t samples;
} bpi_targets;

bpi_loss_args bpi_loss_args_of(bpi_pass *pass, int64_t rows, bpi_targets targets); /* with no outputs wanted */
bp_status bpi_loss_value(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets);

/* Where gradients go: an array laid out as the parameters; = or +=. */
typedef struct bpi_gradient_sink {
    void *gradients;
    bool accumulate;
} bpi_gradient_sink;

bp_status bpi_backward(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets, bpi_gradient_sink sink);

/* Its parts. The error term of layer i, and dL/da before it, is in pass->delta[i & 1].
 * bpi_output_delta     of the last layer, from the loss; with its bias gradient
 * bpi_weight_gradient  from the layer's error term, on lane 1
 * bpi_input_gradient   dL/da of the layer below `index`
 * bpi_hidden_delta     the layer's dL/da into its error term, in place; with its bias gradient */
bp_status bpi_output_delta(bpi_pass *pass, const bpi_plan_set *set, bpi_targets targets, bpi_gradient_sink sink);
bp_status bpi_weight_gradient(bpi_pass *pass, const bpi_plan_set *set, int64_t index, bpi_gradient_sink sink);
bp_status bpi_input_gradient(bpi_pass *pass, const bpi_plan_set *set, int64_t index);
bp_status bpi_hidden_delta(bpi_pass *pass, const bpi_plan_set *set, int64_t index, bpi_gradient_sink sink);

/* Whether the loss knows which rows are right. */
bool bpi_knows_accuracy(const bp_model *model);

/* Element `index` of an array of a backend's type, in host memory. */
static inline float bpi_to_float(bpi_type type, const void *array, int64_t index)
{
    if (type == BPI_TYPE_F64)
        return (float)((const double *)array)[index];
    if (type == BPI_TYPE_F32)
        return ((const float *)array)[index];
    uint32_t bits = (uint32_t)((const uint16_t *)array)[index] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Whether the model's loss takes this source's class indices; else it takes its values. */
bool bpi_uses_classes(const bp_model *model, const bpi_source *source);

/* Rows of a source, standardised by the model, become pass->input, and pass->classes or pass->targets. */
bp_status bpi_pass_load(bpi_pass *pass, const bpi_source *source, const int64_t *index, int64_t first, int64_t rows);

#endif
