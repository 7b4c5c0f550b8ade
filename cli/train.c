/* train.c: backprop train. Everything that can be wrong is looked at before the run's folder is touched. */
#include "train.h"

#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "message.h"
#include "net.h"
#include "resume.h"
#include "source.h"
#include "stop.h"

#define NAME_OF(ENUM, name) name,
static const char *const nonfinite_names[] = {BP_NONFINITE_LIST(NAME_OF) NULL};

/* clang-format off */
static const option_spec run_specs[] = {
    {"epochs", OPTION_COUNT, offsetof(settings, epochs), "N", "10", "passes over the data", NULL, 1, OPTION_UNLIMITED, 0},
    {"batch", OPTION_COUNT, offsetof(settings, batch), "B", "128", "samples of a micro-batch", NULL, 1, 1 << 30,
     OPTION_FIXED},
    {"out", OPTION_TEXT, offsetof(settings, out), "RUN", NULL,
     "the folder for config.json, metrics.jsonl, model.safetensors and checkpoint.safetensors", NULL, 0, 0,
     OPTION_REQUIRED | OPTION_NOT_KEPT},
    {"resume", OPTION_FLAG, offsetof(settings, resume), NULL, NULL,
     "go on with the run in RUN, whose options need not be given again; --epochs may grow", NULL, 0, 0,
     OPTION_NOT_KEPT},
    {"config", OPTION_TEXT, offsetof(settings, config), "FILE.json", NULL,
     "read options from a JSON object such as a run's config.json; the command line wins", NULL, 0, 0,
     OPTION_NOT_KEPT},
    {"no-standardize", OPTION_FLAG, offsetof(settings, no_standardize), NULL, NULL,
     "take inputs as they are, instead of bringing each column to mean 0 and deviation 1 over the training set", NULL,
     0, 0, OPTION_FIXED},
    {"validation", OPTION_REAL, offsetof(settings, validation), "SHARE", NULL,
     "hold this share of the samples back, chosen by --seed; model.safetensors is then the model after the epoch of their "
     "lowest loss", NULL, 0, 1, OPTION_FIXED | OPTION_ABOVE | OPTION_BELOW},
    {"patience", OPTION_COUNT, offsetof(settings, patience), "N", NULL,
     "stop after N epochs without a lower validation loss", NULL, 1, OPTION_UNLIMITED, 0},
    {"log-every", OPTION_COUNT, offsetof(settings, log_every), "N", "50", "steps between two lines of metrics.jsonl",
     NULL, 1, OPTION_UNLIMITED, 0},
    {"on-nonfinite", OPTION_CHOICE, offsetof(settings, on_nonfinite), "NAME", "stop",
     "what to do where a gradient is NaN or infinite; the first value that is not finite is named, and its batch is kept "
     "in RUN/nonfinite", nonfinite_names, 0, 0, 0},
    {"observe", OPTION_COUNT, offsetof(settings, observe), "N", "0",
     "steps between two looks at every layer's gradients, which go into metrics.jsonl, with warnings of gradients that "
     "vanish or explode and of units that are dead; 0: none", NULL, 0, OPTION_UNLIMITED, 0},
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print the result as JSON and nothing else", NULL, 0, 0,
     OPTION_NOT_KEPT},
};
/* clang-format on */

static const option_group groups[] = {
    SOURCE_GROUP, SOURCE_TEST_GROUP, NET_GROUP, OPTIM_GROUP, OPTION_GROUP("Run", run_specs), COMPUTE_GROUP};

static int prepare_options(training *t)
{
    option_set *o = t->options;
    if (o->values.config)
        TRY(resume_from_config(o));
    int out = options_find(o, "out");
    if (o->origin[out] == ORIGIN_PRESET)
        return options_require(o);
    TRY(run_open(&t->run, o->values.out, o->values.resume));
    if (t->run.has_config)
        TRY(resume_from_run(o, t->run.config));
    TRY(options_require(o));
    net_resolve(o);
    if (o->values.patience > 0 && !(o->values.validation > 0))
        return fail(STATUS_USAGE, "--patience goes with --validation, the share of the samples to judge by");
    return source_check(o);
}

/* A part of the samples for validation; the rest is what is trained on and standardised by. */
static int hold_back(training *t)
{
    const settings *v = &t->options->values;
    bp_data *all = t->data;
    t->data = NULL;
    int status =
        check_options(t->context, bp_data_split(all, v->validation, (uint64_t)v->seed, &t->data, &t->validation));
    bp_data_destroy(all);
    return status;
}

static int load_data(training *t)
{
    TRY(source_load(t->options, t->context, "train", &t->data));
    TRY(source_load_test(t->options, t->context, &t->test));
    if (t->options->values.validation > 0)
        TRY(hold_back(t));
    TRY(net_model(t->options, t->context, bp_data_inputs(t->data), &t->model));
    TRY(check_library(t->context, bp_data_check(t->data, t->model)));
    if (t->test)
        TRY(check_library(t->context, bp_data_check(t->test, t->model)));
    return STATUS_OK;
}

static int make_trainer(training *t)
{
    const settings *v = &t->options->values;
    int64_t per_step = v->batch > INT64_MAX / v->accumulate ? INT64_MAX : v->batch * v->accumulate;
    int64_t rows = bp_data_rows(t->data);
    t->steps_per_epoch = rows / per_step + (rows % per_step != 0);
    if (v->epochs > INT64_MAX / t->steps_per_epoch)
        return fail(STATUS_USAGE, "--epochs: %lld is out of range for %lld steps an epoch", (long long)v->epochs,
                    (long long)t->steps_per_epoch);
    bp_trainer_options trainer_options = net_trainer_options(t->options, t->steps_per_epoch);
    TRY(check_options(t->context, bp_trainer_plan(t->model, &trainer_options, &t->plan)));
    TRY(check_options(t->context, bp_trainer_create(t->model, &trainer_options, &t->trainer)));
    if (t->run.has_checkpoint)
        TRY(check_library(t->context, bp_trainer_load(t->trainer, t->run.checkpoint)));
    else if (!v->no_standardize)
        TRY(check_library(t->context, bp_data_standardize(t->data, t->model)));
    t->first_step = bp_trainer_steps_done(t->trainer);
    return STATUS_OK;
}

static int stopped(const training *t)
{
    return fail(
        STATUS_FAILED, "stopped by %s in epoch %lld after step %lld; go on with: backprop train --out %s --resume",
        stop_signal_name(), (long long)t->last.epoch, (long long)bp_trainer_steps_done(t->trainer), t->run.path);
}

/* What model.safetensors is: the model as it is now, or the best one, which is there already and is what the result is
 * told of. A validation loss that was never finite chose none. */
static int finish_model(training *t)
{
    if (bp_trainer_best_epoch(t->trainer) > 0)
        return check_library(t->context, bp_model_load_weights(t->model, t->run.model));
    return check_library(t->context, bp_model_save(t->model, t->run.model));
}

static int diverged(const training *t)
{
    const char *words = bp_last_error(t->context), *name = "bp_train: ";
    words += strncmp(words, name, strlen(name)) == 0 ? strlen(name) : 0;
    return fail(STATUS_FAILED, "%s (--on-nonfinite); %s/nonfinite keeps the batch, and the command for it", words,
                t->run.path);
}

static void clear_view(void *view)
{
    progress_clear(view);
}

static int run_training(training *t)
{
    int64_t cut;
    TRY(run_begin(&t->run, t->options, t->first_step, &cut));
    report_start(t);
    if (cut > 0 && !t->options->values.json)
        printf("resume     %lld lines of metrics.jsonl came after the checkpoint and were cut off\n", (long long)cut);
    bp_train_options train_options = {
        .struct_size = sizeof train_options,
        .epochs = t->options->values.epochs,
        .test = t->test,
        .log_every = t->options->values.log_every,
        .progress = report_step,
        .progress_user = t,
        .checkpoint = t->run.checkpoint,
        .validation = t->validation,
        .patience = t->options->values.patience,
        .best = t->validation ? t->run.model : NULL,
        .on_nonfinite = (bp_nonfinite_action)t->options->values.on_nonfinite,
        .nonfinite = report_nonfinite,
        .nonfinite_user = t,
    };
    progress_init(&t->view, t->options->values.json);
    TRY(observe_begin(t));
    stop_watch();
    message_clears(clear_view, &t->view); /* the library warns from inside bp_train */
    bp_status status = bp_train(t->trainer, t->data, &train_options);
    message_clears(NULL, NULL);
    progress_clear(&t->view);
    TRY(run_metrics_status(&t->run));
    if (status == BP_STATUS_CANCELLED)
        return stopped(t);
    if (status == BP_STATUS_BAD_DATA && t->batch_kept)
        return diverged(t);
    TRY(check_library(t->context, status));
    TRY(finish_model(t));
    return report_end(t);
}

static int run(option_set *options)
{
    training t = {.options = options, .run.lock = -1};
    int status = prepare_options(&t);
    if (status == STATUS_OK)
        status = net_context(options, &t.context);
    if (status == STATUS_OK)
        status = load_data(&t);
    if (status == STATUS_OK)
        status = make_trainer(&t);
    if (status == STATUS_OK)
        status = run_training(&t);
    bp_trainer_destroy(t.trainer);
    bp_model_destroy(t.model);
    bp_data_destroy(t.test);
    bp_data_destroy(t.validation);
    bp_data_destroy(t.data);
    bp_context_destroy(t.context);
    run_close(&t.run);
    return status;
}

const cli_command command_train = {
    .name = "train",
    .usage = "DATA NET [OPTIM] [--epochs N] [--batch B] --out RUN [--resume] [--config FILE.json]",
    .summary = "trains a network",
    .details =
        "Trains a network and keeps all of the run in one folder. Ctrl-C stops after the step that runs and writes a "
        "checkpoint; --resume goes on from there and ends in the same bits as a run that was never stopped.",
    .example = "  backprop train --data fashion-mnist --layers 256:relu,128:relu,10 --lr 0.1 --momentum 0.9 \\\n"
               "                 --epochs 10 --batch 128 --out runs/first\n",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
