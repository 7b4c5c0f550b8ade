/* train.h: the optimiser and the training step around a model. */
#ifndef BACKPROP_TRAIN_H
#define BACKPROP_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "context.h"
#include "data.h"
#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bp_trainer bp_trainer;

/* The definitions are PyTorch's. X(ENUM, name, states): arrays of state per parameter */
#define BP_OPTIMIZER_LIST(X)                                                                                           \
    X(SGD, "sgd", 1)                                                                                                   \
    X(ADAM, "adam", 2)                                                                                                 \
    X(ADAMW, "adamw", 2)

typedef enum bp_optimizer {
#define BP_OPTIMIZER_ENUM(ENUM, name, states) BP_OPTIMIZER_##ENUM,
    BP_OPTIMIZER_LIST(BP_OPTIMIZER_ENUM)
#undef BP_OPTIMIZER_ENUM
        BP_OPTIMIZER_COUNT
} bp_optimizer;

/* Learning rate at step s (from 0) of S: a linear ramp over the first `warmup_steps`, then
 *   constant  lr
 *   linear    from lr to 0 over the rest
 *   cosine    lr (1 + cos(pi t)) / 2, t from 0 to 1 over the rest
 *   step      lr * schedule_gamma^floor(s / schedule_step) */
#define BP_SCHEDULE_LIST(X)                                                                                            \
    X(CONSTANT, "constant")                                                                                            \
    X(COSINE, "cosine")                                                                                                \
    X(LINEAR, "linear")                                                                                                \
    X(STEP, "step")

typedef enum bp_schedule {
#define BP_SCHEDULE_ENUM(ENUM, name) BP_SCHEDULE_##ENUM,
    BP_SCHEDULE_LIST(BP_SCHEDULE_ENUM)
#undef BP_SCHEDULE_ENUM
        BP_SCHEDULE_COUNT
} bp_schedule;

BP_API const char *bp_optimizer_name(bp_optimizer optimizer); /* NULL for a value that is none */
BP_API const char *bp_schedule_name(bp_schedule schedule);

typedef struct bp_trainer_options {
    size_t struct_size; /* sizeof(bp_trainer_options); 0: version 0.1 */
    int64_t batch;      /* samples of a micro-batch; 0: 128 */
    int64_t accumulate; /* micro-batches of one step, whose gradient is the mean over all their samples; 0: 1 */
    bp_optimizer optimizer;
    double lr;           /* 0: 0.01 for sgd, 0.001 for adam and adamw; negative: a learning rate of zero */
    double momentum;     /* sgd, [0, 1) */
    bool nesterov;       /* sgd; wants momentum > 0 */
    double beta1, beta2; /* adam, adamw; 0: 0.9 and 0.999 */
    double epsilon;      /* adam, adamw; 0: 1e-8 */
    /* >= 0; L2 for sgd and adam, decoupled for adamw; of the linear layers' weights alone, see decay_all */
    double weight_decay;
    double clip_norm;  /* > 0: scale all gradients by min(1, clip_norm / (|g| + 1e-6)); 0: off */
    double clip_value; /* > 0: clamp each element to +-clip_value, before the norm is taken; 0: off */
    bp_schedule schedule;
    int64_t warmup_steps;
    int64_t total_steps; /* S of cosine and linear; must be > 0 for those */
    int64_t schedule_step;
    double schedule_gamma; /* 0: 0.1 */
    uint64_t seed;         /* of the shuffling and of dropout */
    bool decay_all;        /* weight decay on biases and on norms' parameters too, as torch.optim does by default */
    /* > 0: keep moving averages of all tensors, running means and variances too: a = d a + (1 - d) value in step t,
     * d = min(ema_decay, (1 + t) / (10 + t)), so that a short training is not averaged with its beginning; the first
     * step copies (PyTorch's AveragedModel with use_buffers, and such an avg_fn). [0, 1); 0: none. The model then shows
     * its averages: bp_evaluate, bp_model_predict, bp_model_save and bp_model_get_tensor see them, while steps go on
     * from the weights; what is written into the model goes into both. Once the trainer is destroyed, the model has the
     * averages alone. One such trainer a model. */
    double ema_decay;
    /* Bytes that the trainer may take, bp_memory_plan.total_bytes; 0: what the device has free, no limit without a
     * device. A micro-batch that does not fit is walked in parts, the gradient the mean over all samples as before;
     * batch norm needs it whole, and is refused. */
    size_t memory_limit;
    /* How products are run where a backend has several ways: names separated by commas, each taken by every layer that
     * can; NULL or "plain": each product on its own, bias, activation and derivative in one pass behind it, the weight
     * gradient beside the error term. `cuda` has
     *   forward_epilogue  bias and activation (relu, gelu_tanh) in the product, by cublasLt
     *   delta_epilogue    the derivative of the layer below and its bias gradient likewise; for relu it wants
     *                     forward_epilogue too, which then keeps the signs
     *   weight_bias       the bias gradient in the product that makes the weight gradient
     *   weight_split      the weight gradient over parts of the batch at once, which are then added up in order: for
     *                     large batches of narrow layers; up to 64 MiB of workspace
     *   one_stream        the weight gradient not beside, but before the error term of the layer below
     * Results are within the same bounds, not the same bits. For bf16 the last two alone. docs/cuda-backend.md
     * errors    INVALID_ARGUMENT (no such name), UNSUPPORTED (no layer can) */
    const char *ways;
    /* A file with the way of every layer, in JSON; not together with `ways`. Where it is not there, the ways are timed
     * on the device, each against the plain one on arrays of their own, and the file is written, with what was tried,
     * the times and the reasons; where a device has no clock of its own (an emulator), all stay plain. Where it is
     * there, its ways are taken, so that a run gives the bits of the one before; a file of another network, batch,
     * device, driver, cuBLAS or precision is refused.
     * errors    UNSUPPORTED (a backend with one way alone), INVALID_ARGUMENT (of another device, network, ...),
     * BAD_DATA (not such a file), IO */
    const char *plan;
    bool observed;      /* bp_trainer_observe will be called: its memory is planned, and is a part of the limit */
    int64_t steps_done; /* by another trainer: schedule, Adam's corrections and masks of dropout are those of the steps
                           behind them; 0 */
} bp_trainer_options;

/* Plans all memory and all products for the model and the batch, and allocates. The model must outlive the trainer.
 * errors    INVALID_ARGUMENT, OUT_OF_MEMORY (with the bytes wanted, also where memory_limit is too little),
 * UNSUPPORTED, DEVICE */
BP_API bp_status bp_trainer_create(bp_model *model, const bp_trainer_options *options, bp_trainer **trainer);
BP_API void bp_trainer_destroy(bp_trainer *trainer); /* accepts NULL */

/* What bp_trainer_create would allocate for these options, in bytes, before anything is allocated. */
typedef struct bp_memory_plan {
    size_t parameter_bytes; /* held by the model already */
    size_t gradient_bytes;
    size_t optimizer_bytes;  /* with the moving averages */
    size_t activation_bytes; /* activations, error terms and one batch of inputs and targets */
    size_t workspace_bytes;
    size_t observe_bytes; /* of bp_trainer_observe, but for a few KiB of figures; 0 unless `observed` */
    size_t total_bytes;   /* of the trainer: all above without the parameters */
    int64_t part_rows;    /* samples that are walked at a time, at most the batch */
    bool memory_limited;  /* so few because of memory_limit, or of what the device has free */
} bp_memory_plan;

BP_API bp_status bp_trainer_plan(const bp_model *model, const bp_trainer_options *options, bp_memory_plan *plan);

/* One step on one batch in host memory: x f32 [rows,I]; classes int64 [rows] or targets f32 [rows,T], the other NULL.
 * 1 <= rows <= batch * accumulate. Does not wait for the device and reads nothing back: the result is had from
 * bp_trainer_result. Nothing is allocated, except that the first step with a number of rows not seen before may plan
 * its products.
 * errors    INVALID_ARGUMENT, DEVICE */
BP_API bp_status bp_trainer_step(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                                 int64_t rows);

/* The same on rows of data, chosen by `index` [rows] (NULL: first, first + 1, ...). */
BP_API bp_status bp_trainer_step_data(bp_trainer *trainer, const bp_data *data, const int64_t *index, int64_t first,
                                      int64_t rows);

typedef struct bp_step_result {
    int64_t step;       /* steps done, from 1 */
    double loss;        /* mean over the step's samples */
    double accuracy;    /* share of right classes; NaN where the loss knows none */
    double grad_norm;   /* of all gradients together, after clipping by value and before clipping by norm */
    double clip_factor; /* what the gradients were multiplied with */
    double lr;
    bool nonfinite; /* the gradient held NaN or infinity: the update was skipped, unless bp_train was told to go on */
} bp_step_result;

/* Waits for the last step and copies its result. */
BP_API bp_status bp_trainer_result(bp_trainer *trainer, bp_step_result *result);

/* Loss and gradients of one batch in training mode, without clipping and update: read with bp_trainer_get_gradient
 * (dense row-major f64, as bp_model_get_tensor). The loss is in bp_trainer_result. */
BP_API bp_status bp_trainer_gradients(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                                      int64_t rows);
BP_API bp_status bp_trainer_gradients_data(bp_trainer *trainer, const bp_data *data, int64_t first, int64_t rows);
BP_API bp_status bp_trainer_get_gradient(bp_trainer *trainer, const char *name, double *values, int64_t count);

/* What bp_train calls after every step (result.loss is had only every `log_every` steps: it waits for a device). */
typedef struct bp_progress {
    int64_t epoch, epochs; /* epoch from 1 */
    int64_t step_in_epoch, steps_per_epoch;
    int64_t samples;                 /* seen in this call of bp_train */
    double seconds;                  /* since this call of bp_train began */
    double samples_per_second;       /* over the whole call */
    double data_seconds;             /* of `seconds`, spent in fetching batches */
    bp_step_result result;           /* of the newest step that was read back */
    bool fresh;                      /* which is the step that just ended: true once for each step that is read back */
    bool epoch_end;                  /* an epoch just ended: the three below are set */
    bool has_test;                   /* test data were given */
    double test_loss, test_accuracy; /* NaN where not known */
    bool has_validation; /* at the end of an epoch: validation data were given, and the three below are set */
    double validation_loss, validation_accuracy; /* NaN where not known */
    bool is_best;                                /* the lowest validation loss so far */
} bp_progress;

/* Return false to stop: bp_train then returns BP_STATUS_CANCELLED with the trainer between two steps. */
typedef bool (*bp_progress_callback)(void *user, const bp_progress *progress);

/* Where the first value that is not finite stands, in the order in which a step computes: inputs, then block by block
 * its parameters, its product, its activation and its output, then error terms from the last block down, then
 * gradients. */
typedef struct bp_nonfinite {
    size_t struct_size; /* sizeof(bp_nonfinite), set by the caller */
    bool found;         /* false: all values of the batch are finite, and the fields below are 0 */
    int64_t step;       /* the step that it would have been, from 1 */
    int64_t block;      /* from 1; 0: the network's input */
    const char *what;   /* "input", "parameter", "product", "activation", "output", "error term" or "gradient" */
    const char *tensor; /* the parameter's name, for "parameter" and "gradient"; "" for the others */
    int64_t row;        /* of the batch, or of the tensor; 0 for a bias */
    int64_t column;     /* input or unit */
    double value;       /* NaN or an infinity */
} bp_nonfinite;

/* Computes a batch once more, without an update, and looks at every value on its way. Waits for the device; the result
 * of the last step stays as it was. Give it the batch of a step that bp_trainer_result calls nonfinite, before the next
 * one: the parameters are still those that the step had.
 * errors    INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE */
BP_API bp_status bp_trainer_locate(bp_trainer *trainer, const float *x, const int64_t *classes, const float *targets,
                                   int64_t rows, bp_nonfinite *place);
/* The same on rows first, first + 1, ... of data. */
BP_API bp_status bp_trainer_locate_data(bp_trainer *trainer, const bp_data *data, int64_t first, int64_t rows,
                                        bp_nonfinite *place);

/* What was found, in words, a line of less than 320 characters; sample: the row of the data that place->row is, -1:
 * not told. */
BP_API void bp_nonfinite_text(const bp_nonfinite *place, int64_t sample, char *text, size_t size);

/* What bp_train does where a gradient holds NaN or infinity. X(ENUM, name) */
#define BP_NONFINITE_LIST(X)                                                                                           \
    X(SKIP, "skip")         /* the step changes nothing, and the training goes on behind it */                         \
    X(STOP, "stop")         /* bp_train returns BP_STATUS_BAD_DATA with the trainer before the step */                 \
    X(CONTINUE, "continue") /* the step is made all the same, and spreads what is not finite */

typedef enum bp_nonfinite_action {
#define BP_NONFINITE_ENUM(ENUM, name) BP_NONFINITE_##ENUM,
    BP_NONFINITE_LIST(BP_NONFINITE_ENUM)
#undef BP_NONFINITE_ENUM
        BP_NONFINITE_COUNT
} bp_nonfinite_action;

/* The first such step of a call of bp_train, with its batch as it came from the data, and the parameters of before the
 * step in the model. Valid during the callback; words, a line. */
typedef struct bp_nonfinite_report {
    size_t struct_size; /* sizeof(bp_nonfinite_report) of the library */
    bp_nonfinite place;
    const char *words;
    int64_t epoch;          /* from 1 */
    int64_t sample;         /* row of the data that place.row is; -1 where it is none */
    int64_t rows;           /* of the batch */
    const float *x;         /* [rows,I] */
    const int64_t *classes; /* [rows], or NULL and */
    const float *targets;   /* [rows,T] */
} bp_nonfinite_report;

typedef void (*bp_nonfinite_callback)(void *user, const bp_nonfinite_report *report);

typedef struct bp_train_options {
    size_t struct_size;  /* sizeof(bp_train_options); 0: version 0.1 */
    int64_t epochs;      /* the epoch to train up to; a resumed trainer goes on where it stood */
    const bp_data *test; /* evaluated after each epoch; may be NULL */
    int64_t log_every;   /* steps between two calls with a fresh result; 0: 50 */
    bp_progress_callback progress;
    void *progress_user;
    const char *checkpoint;    /* file written after every epoch and when cancelled; NULL: none */
    const bp_data *validation; /* evaluated after each epoch; the lowest loss is the best; may be NULL. bp_data_split */
    int64_t patience;          /* stop after so many epochs without a new best; 0: never. Wants validation */
    const char *best;          /* file that bp_model_save writes after each epoch that is the best so far; NULL: none */
    bp_nonfinite_action on_nonfinite; /* the default is to skip; the words go to the context's log in any case */
    bp_nonfinite_callback nonfinite;  /* may be NULL */
    void *nonfinite_user;
} bp_train_options;

/* Trains on data until options->epochs epochs are done, or patience is at its end: shuffled anew each epoch by (seed,
 * epoch), the same order on every backend; the last batch of an epoch may be smaller. */
BP_API bp_status bp_train(bp_trainer *trainer, const bp_data *data, const bp_train_options *options);

/* Mean loss and accuracy in evaluation mode. */
typedef struct bp_evaluation {
    int64_t rows;
    double loss;
    double accuracy; /* NaN where the loss knows no classes */
} bp_evaluation;

BP_API bp_status bp_evaluate(bp_model *model, const bp_data *data, bp_evaluation *evaluation);

/* Steps and epochs done so far, also before a resume. */
BP_API int64_t bp_trainer_steps_done(const bp_trainer *trainer);
BP_API int64_t bp_trainer_epochs_done(const bp_trainer *trainer);

/* The epoch of the lowest validation loss so far, also before a resume, and that loss; 0 and NaN: none. */
BP_API int64_t bp_trainer_best_epoch(const bp_trainer *trainer);
BP_API double bp_trainer_best_loss(const bp_trainer *trainer);

#ifdef __cplusplus
}
#endif
#endif
