/* net.c: see net.h. The choices come from the library's lists, so that a new one needs nothing here. */
#include "net.h"

#include "message.h"

#define NAME_OF(ENUM, name, ...) name,

static const char *const loss_names[] = {BP_LOSS_LIST(NAME_OF) NULL};
static const char *const optimizer_names[] = {BP_OPTIMIZER_LIST(NAME_OF) NULL};

#define NAME_OF_TWO(ENUM, name) name,
static const char *const init_names[] = {BP_INIT_LIST(NAME_OF_TWO) NULL};
static const char *const schedule_names[] = {BP_SCHEDULE_LIST(NAME_OF_TWO) NULL};
static const char *const precision_names[] = {BP_PRECISION_LIST(NAME_OF_TWO) NULL};
static const char *const backend_names[] = {"auto", "cpu", "cuda", "reference", NULL};

#define NAME_IN_A_ROW(ENUM, name, ...) " " name
#define LAYERS_HELP                                                                                                    \
    "blocks UNITS[:ACTIVATION][:OPTION...], separated by commas, such as 256:relu,128:relu,10; "                       \
    "activations:" BP_ACTIVATION_LIST(NAME_IN_A_ROW) "; options: slope=0.01 bn ln dropout=0.1 nobias skip skip=K"
#define LOSS_HELP "what training makes small"
#define SMOOTHING_HELP "label smoothing of softmax_cross_entropy"
#define HUBER_HELP "where huber turns from square to linear"

/* clang-format off */
const option_spec net_specs[NET_COUNT] = {
    {"layers", OPTION_TEXT, offsetof(settings, layers), "BLOCKS", NULL, LAYERS_HELP, NULL, 0, 0,
     OPTION_REQUIRED | OPTION_FIXED},
    {"loss", OPTION_CHOICE, offsetof(settings, loss), "NAME", "softmax_cross_entropy", LOSS_HELP, loss_names, 0, 0,
     OPTION_FIXED},
    {"label-smoothing", OPTION_REAL, offsetof(settings, label_smoothing), "X", "0", SMOOTHING_HELP, NULL, 0, 1,
     OPTION_FIXED | OPTION_BELOW},
    {"huber-delta", OPTION_REAL, offsetof(settings, huber_delta), "X", NULL, HUBER_HELP " [1]", NULL, 0, OPTION_UNLIMITED,
     OPTION_FIXED | OPTION_ABOVE},
    {"init", OPTION_CHOICE, offsetof(settings, init), "NAME", "auto", "how the weights start", init_names, 0, 0,
     OPTION_FIXED},
    {"init-gain", OPTION_REAL, offsetof(settings, init_gain), "X", "1", "what the initial weights are multiplied with",
     NULL, 1e-30, 1e30, OPTION_FIXED},
    {"seed", OPTION_COUNT, offsetof(settings, seed), "N", "0", "of initial weights and of every other random choice",
     NULL, 0, OPTION_UNLIMITED, OPTION_FIXED},
};

const option_spec net_brief_specs[NET_BRIEF_COUNT] = {
    {"layers", OPTION_TEXT, offsetof(settings, layers), "BLOCKS", NULL,
     "the network, where the file holds tensors alone, as PyTorch saves them; as for backprop train", NULL, 0, 0, 0},
    {"loss", OPTION_CHOICE, offsetof(settings, loss), "NAME", "softmax_cross_entropy", "used with --layers", loss_names,
     0, 0, 0},
    {"label-smoothing", OPTION_REAL, offsetof(settings, label_smoothing), "X", "0", SMOOTHING_HELP ", with --layers",
     NULL, 0, 1, OPTION_BELOW},
    {"huber-delta", OPTION_REAL, offsetof(settings, huber_delta), "X", NULL, HUBER_HELP ", with --layers [1]", NULL, 0,
     OPTION_UNLIMITED, OPTION_ABOVE},
};

const option_spec optim_specs[OPTIM_COUNT] = {
    {"optimizer", OPTION_CHOICE, offsetof(settings, optimizer), "NAME", "sgd", "as PyTorch defines them",
     optimizer_names, 0, 0, OPTION_FIXED},
    {"lr", OPTION_REAL, offsetof(settings, lr), "X", NULL, "learning rate [0.01 for sgd, 0.001 for adam and adamw]",
     NULL, 0, OPTION_UNLIMITED, OPTION_FIXED},
    {"momentum", OPTION_REAL, offsetof(settings, momentum), "X", "0", "of sgd", NULL, 0, 1,
     OPTION_FIXED | OPTION_BELOW},
    {"nesterov", OPTION_FLAG, offsetof(settings, nesterov), NULL, NULL, "Nesterov's momentum, for sgd", NULL, 0, 0,
     OPTION_FIXED},
    {"beta1", OPTION_REAL, offsetof(settings, beta1), "X", "0.9", "of adam and adamw", NULL, 0, 1,
     OPTION_FIXED | OPTION_ABOVE | OPTION_BELOW},
    {"beta2", OPTION_REAL, offsetof(settings, beta2), "X", "0.999", "of adam and adamw", NULL, 0, 1,
     OPTION_FIXED | OPTION_ABOVE | OPTION_BELOW},
    {"epsilon", OPTION_REAL, offsetof(settings, epsilon), "X", "1e-8", "of adam and adamw", NULL, 0, OPTION_UNLIMITED,
     OPTION_FIXED | OPTION_ABOVE},
    {"weight-decay", OPTION_REAL, offsetof(settings, weight_decay), "X", "0",
     "L2 for sgd and adam, decoupled for adamw; of the layers' weights, not of biases and norms", NULL, 0,
     OPTION_UNLIMITED, OPTION_FIXED},
    {"decay-all", OPTION_FLAG, offsetof(settings, decay_all), NULL, NULL,
     "let --weight-decay shrink biases and the norms' parameters too", NULL, 0, 0, OPTION_FIXED},
    {"schedule", OPTION_CHOICE, offsetof(settings, schedule), "NAME", "constant", "of the learning rate",
     schedule_names, 0, 0, OPTION_FIXED},
    {"warmup", OPTION_COUNT, offsetof(settings, warmup), "N", "0", "steps over which the learning rate rises from 0",
     NULL, 0, OPTION_UNLIMITED, OPTION_FIXED},
    {"schedule-step", OPTION_COUNT, offsetof(settings, schedule_step), "N", NULL,
     "steps between two drops of --schedule step", NULL, 1, OPTION_UNLIMITED, OPTION_FIXED},
    {"schedule-gamma", OPTION_REAL, offsetof(settings, schedule_gamma), "X", "0.1",
     "what each of those multiplies the learning rate with", NULL, 0, OPTION_UNLIMITED, OPTION_FIXED | OPTION_ABOVE},
    {"clip-norm", OPTION_REAL, offsetof(settings, clip_norm), "X", NULL, "limit of the gradient's global norm", NULL, 0,
     OPTION_UNLIMITED, OPTION_FIXED | OPTION_ABOVE},
    {"clip-value", OPTION_REAL, offsetof(settings, clip_value), "X", NULL, "limit of each gradient element", NULL, 0,
     OPTION_UNLIMITED, OPTION_FIXED | OPTION_ABOVE},
    {"ema", OPTION_REAL, offsetof(settings, ema), "DECAY", "0",
     "keep moving averages of all weights, for the test loss and for model.safetensors; such as 0.999; it warms up, "
     "(1 + step) / (10 + step) until DECAY is less", NULL, 0, 1,
     OPTION_FIXED | OPTION_BELOW},
    {"accumulate", OPTION_COUNT, offsetof(settings, accumulate), "K", "1", "micro-batches of one step", NULL, 1,
     OPTION_UNLIMITED, OPTION_FIXED},
    {"memory", OPTION_COUNT, offsetof(settings, memory), "BYTES", NULL,
     "that gradients, optimiser and activations may take; a batch that does not fit is walked in parts, for the same step "
     "[what the device has free]", NULL, 1, OPTION_UNLIMITED, OPTION_FIXED},
    {"ways", OPTION_TEXT, offsetof(settings, ways), "NAME[,NAME...]", NULL,
     "how cuda runs products, where it can: forward_epilogue, delta_epilogue, weight_bias, weight_split, one_stream [plain]", NULL, 0, 0,
     OPTION_FIXED},
    {"plan", OPTION_TEXT, offsetof(settings, plan), "FILE", NULL,
     "the ways of all layers: read, or measured on the device and written where it is not there", NULL, 0, 0,
     OPTION_FIXED | OPTION_IS_PATH},
};

const option_spec compute_specs[COMPUTE_COUNT] = {
    {"backend", OPTION_WORD, offsetof(settings, backend), "NAME", "auto", "what computes", backend_names, 0, 0, 0},
    {"precision", OPTION_CHOICE, offsetof(settings, precision), "NAME", "default",
     "of products and activations; default is f64 for reference, f32 elsewhere", precision_names, 0, 0, 0},
    {"emulate-bf16", OPTION_FLAG, offsetof(settings, emulate_bf16), NULL, NULL,
     "compute bf16 on cpu in f32 over rounded values, on any processor: not faster than f32", NULL, 0, 0, 0},
    {"threads", OPTION_COUNT, offsetof(settings, threads), "N", NULL, "of the CPU [all that the process may use]", NULL,
     1, 65536, 0},
};
/* clang-format on */

void net_resolve(option_set *options)
{
    options_resolve(options, "lr", options->values.optimizer == BP_OPTIMIZER_SGD ? 0.01 : 0.001);
    if (options->values.loss == BP_LOSS_HUBER)
        options_resolve(options, "huber-delta", 1);
}

/* The library's warnings are for the person; the rest of its log isn't. */
static void on_log(void *user, bp_log_level level, const char *text)
{
    (void)user;
    if (level >= BP_LOG_WARNING)
        warn("%s", text);
}

int net_context(const option_set *options, bp_context **context)
{
    const settings *values = &options->values;
    bp_context_options context_options = {
        .struct_size = sizeof context_options,
        .backend = values->backend,
        .precision = (bp_precision)values->precision,
        .threads = (int)values->threads,
        .log = on_log,
        .emulate_bf16 = values->emulate_bf16,
    };
    bp_status made = bp_context_create(&context_options, context); /* sets *context also where it fails */
    int status = check_options(*context, made);
    if (status != STATUS_OK) {
        bp_context_destroy(*context);
        *context = NULL;
    }
    return status;
}

int net_model(const option_set *options, bp_context *context, int64_t inputs, bp_model **model)
{
    const settings *values = &options->values;
    bp_model_options model_options = {
        .struct_size = sizeof model_options,
        .inputs = inputs,
        .layers = values->layers,
        .loss = (bp_loss)values->loss,
        .label_smoothing = (float)values->label_smoothing,
        .huber_delta = (float)values->huber_delta,
        .init = (bp_init)values->init,
        .seed = (uint64_t)values->seed,
        .init_gain = (float)values->init_gain,
    };
    return check_options(context, bp_model_create(context, &model_options, model));
}

int net_load(const option_set *options, bp_context *context, int64_t inputs, bp_model **model)
{
    const settings *values = &options->values;
    if (!values->layers)
        return check_library(context, bp_model_load(context, values->model, model));
    TRY(net_model(options, context, inputs, model));
    return check_library(context, bp_model_load_weights(*model, values->model));
}

bp_trainer_options net_trainer_options(const option_set *options, int64_t steps_per_epoch)
{
    const settings *values = &options->values;
    return (bp_trainer_options){
        .struct_size = sizeof(bp_trainer_options),
        .batch = values->batch,
        .accumulate = values->accumulate,
        .optimizer = (bp_optimizer)values->optimizer,
        .lr = values->lr > 0 ? values->lr : -1, /* for the library 0 is its default */
        .momentum = values->momentum,
        .nesterov = values->nesterov,
        .beta1 = values->beta1,
        .beta2 = values->beta2,
        .epsilon = values->epsilon,
        .weight_decay = values->weight_decay,
        .clip_norm = values->clip_norm,
        .clip_value = values->clip_value,
        .schedule = (bp_schedule)values->schedule,
        .warmup_steps = values->warmup,
        .total_steps = values->epochs * steps_per_epoch,
        .schedule_step = values->schedule_step,
        .schedule_gamma = values->schedule_gamma,
        .seed = (uint64_t)values->seed,
        .decay_all = values->decay_all,
        .ema_decay = values->ema,
        .memory_limit = (size_t)values->memory,
        .ways = values->ways,
        .plan = values->plan,
        .observed = values->observe > 0,
    };
}
