/* checkpoint_trainer.c: all that the next step depends on, in one file of its own: parameters, optimiser state,
 * averages, standardisation, and the position {step, epoch, step in epoch, samples of an epoch}. And the gradients of a
 * batch, for other programs. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backprop/checkpoint.h"
#include "host/tensor_file.h"
#include "host/trainer.h"

#define BEST "training.best"
#define AVERAGE ".average" /* suffix of the names */

enum { POSITION_FIELDS = 4, BEST_FIELDS = 2, SUFFIX_BYTES = 32 };

/* The optimiser's i-th array and the suffix of its tensors' names. */
static void *state_array(const bp_trainer *trainer, int index)
{
    return index == 0 ? trainer->state1 : trainer->state2;
}

static void state_suffix(const bp_trainer *trainer, int index, char suffix[SUFFIX_BYTES])
{
    snprintf(suffix, SUFFIX_BYTES, ".%s", bpi_optimizer_state_name(trainer->options.optimizer, index));
}

/* What must be the same for the next step to be the next one, as strings in the metadata. */
typedef struct identity {
    const char *key;
    const char *otherwise; /* the value of a file of before there was such a key; NULL: the key must be there */
    char value[64];
} identity;

enum { IDENTITY_FIELDS = 5 };

static void identify(const bp_trainer *trainer, identity fields[IDENTITY_FIELDS])
{
    const bp_trainer_options *o = &trainer->options;
    memset(fields, 0, IDENTITY_FIELDS * sizeof *fields);
    fields[0].key = "training_optimizer";
    snprintf(fields[0].value, sizeof fields[0].value, "%s%s", bp_optimizer_name(o->optimizer),
             o->optimizer == BP_OPTIMIZER_SGD && o->momentum > 0.0 ? " with momentum" : "");
    fields[1].key = "training_batch";
    snprintf(fields[1].value, sizeof fields[1].value, "%lld", (long long)o->batch);
    fields[2].key = "training_accumulate";
    snprintf(fields[2].value, sizeof fields[2].value, "%lld", (long long)o->accumulate);
    fields[3].key = "training_seed";
    snprintf(fields[3].value, sizeof fields[3].value, "%llu", (unsigned long long)o->seed);
    fields[4].key = "training_ema_decay";
    fields[4].otherwise = "0";
    snprintf(fields[4].value, sizeof fields[4].value, "%.17g", o->ema_decay);
}

/* ---------------------------------------------------------------- save */

static bp_status declare(bpi_st_writer *writer, const bp_trainer *trainer)
{
    identity fields[IDENTITY_FIELDS];
    identify(trainer, fields);
    BPI_TRY(bpi_tensor_file_describe(writer, trainer->model));
    for (int i = 0; i < IDENTITY_FIELDS; i++)
        BPI_TRY(bpi_st_metadata(writer, fields[i].key, fields[i].value));
    BPI_TRY(bpi_st_declare(writer, BPI_TRAINING_POSITION, BPI_ST_I64, 1, (int64_t[1]){POSITION_FIELDS}));
    if (trainer->best_epoch)
        BPI_TRY(bpi_st_declare(writer, BEST, BPI_ST_F64, 1, (int64_t[1]){BEST_FIELDS}));
    BPI_TRY(bpi_tensor_file_declare_counts(writer, trainer->model));
    BPI_TRY(bpi_tensor_file_declare(writer, trainer->model, ""));
    for (int i = 0; i < bpi_optimizer_states(&trainer->options); i++) {
        char suffix[SUFFIX_BYTES];
        state_suffix(trainer, i, suffix);
        BPI_TRY(bpi_tensor_file_declare(writer, trainer->model, suffix));
    }
    BPI_TRY(bpi_tensor_file_declare_buffers(writer, trainer->model, ""));
    if (!trainer->average)
        return BP_STATUS_OK;
    BPI_TRY(bpi_tensor_file_declare(writer, trainer->model, AVERAGE));
    return bpi_tensor_file_declare_buffers(writer, trainer->model, AVERAGE);
}

static bp_status write_all(bpi_st_writer *writer, bp_trainer *trainer)
{
    bpi_step_state state;
    BPI_TRY(bpi_trainer_state(trainer, &state));
    int64_t position[POSITION_FIELDS] = {state.step, trainer->epoch, trainer->step_in_epoch, trainer->data_rows};
    BPI_TRY(declare(writer, trainer));
    BPI_TRY(bpi_st_write(writer, position, POSITION_FIELDS));
    double best[BEST_FIELDS] = {(double)trainer->best_epoch, trainer->best_loss};
    if (trainer->best_epoch)
        BPI_TRY(bpi_st_write(writer, best, BEST_FIELDS));
    BPI_TRY(bpi_tensor_file_write_counts(writer, trainer->model));
    BPI_TRY(bpi_tensor_file_write(writer, trainer->model, trainer->model->parameters));
    for (int i = 0; i < bpi_optimizer_states(&trainer->options); i++)
        BPI_TRY(bpi_tensor_file_write(writer, trainer->model, state_array(trainer, i)));
    BPI_TRY(bpi_tensor_file_write_buffers(writer, trainer->model, trainer->model->parameters));
    if (trainer->average) {
        BPI_TRY(bpi_tensor_file_write(writer, trainer->model, trainer->average));
        BPI_TRY(bpi_tensor_file_write_buffers(writer, trainer->model, trainer->average));
    }
    return bpi_st_commit(writer);
}

bp_status bp_trainer_save(const bp_trainer *trainer, const char *path)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !path)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_save: %s is NULL",
                        trainer ? "path" : "trainer");
    bpi_st_writer *writer = NULL;
    bp_status status = bpi_st_writer_create(context, path, &writer);
    if (status == BP_STATUS_OK)
        status = write_all(writer, (bp_trainer *)trainer); /* whose model may count its batches anew */
    bpi_st_writer_destroy(writer);
    return status;
}

/* ---------------------------------------------------------------- load */

static bp_status check_identity(bpi_st_reader *reader, const bp_trainer *trainer, const char *path)
{
    identity fields[IDENTITY_FIELDS];
    identify(trainer, fields);
    for (int i = 0; i < IDENTITY_FIELDS; i++) {
        const char *stored = bpi_st_get_metadata(reader, fields[i].key);
        stored = stored ? stored : fields[i].otherwise;
        if (!stored || strcmp(stored, fields[i].value) != 0)
            return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA,
                            "%s: %s is \"%.60s\" in the checkpoint and \"%s\" in this run", path, fields[i].key,
                            stored ? stored : "missing", fields[i].value);
    }
    const char *layers = bpi_st_get_metadata(reader, "backprop_layers");
    const char *loss = bpi_st_get_metadata(reader, "backprop_loss");
    if (!layers || strcmp(layers, trainer->model->layers_text) != 0)
        return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA,
                        "%s: the checkpoint is of the network %.200s, and this one is %.200s", path,
                        layers ? layers : "(unknown)", trainer->model->layers_text);
    if (!loss || strcmp(loss, bp_loss_name(trainer->model->loss)) != 0)
        return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA, "%s: the checkpoint's loss is %.40s, and this one is %s",
                        path, loss ? loss : "(unknown)", bp_loss_name(trainer->model->loss));
    return BP_STATUS_OK;
}

static bp_status read_position(bpi_st_reader *reader, const bp_trainer *trainer, const char *path, int64_t *position)
{
    int64_t index = bpi_st_find(reader, BPI_TRAINING_POSITION);
    if (index < 0 || bpi_st_tensor_at(reader, index)->count != POSITION_FIELDS)
        return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA, "%s: no tensor %s of %d numbers: this is no checkpoint",
                        path, BPI_TRAINING_POSITION, POSITION_FIELDS);
    BPI_TRY(bpi_st_read_i64(reader, index, position));
    for (int i = 0; i < POSITION_FIELDS; i++)
        if (position[i] < 0)
            return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA, "%s: the position holds %lld", path,
                            (long long)position[i]);
    return BP_STATUS_OK;
}

/* Epoch and loss; a run that was never validated has neither. */
static bp_status read_best(bpi_st_reader *reader, const bp_trainer *trainer, const char *path, double *best)
{
    int64_t index = bpi_st_find(reader, BEST);
    best[0] = 0.0;
    best[1] = (double)INFINITY;
    if (index < 0)
        return BP_STATUS_OK;
    if (bpi_st_tensor_at(reader, index)->count != BEST_FIELDS)
        return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA, "%s: tensor %s does not hold %d numbers", path, BEST,
                        BEST_FIELDS);
    BPI_TRY(bpi_st_read_f64(reader, index, best));
    if (!(best[0] >= 1.0 && best[0] <= 0x1p53 && best[0] == floor(best[0]) && isfinite(best[1])))
        return BPI_FAIL(trainer->context, BP_STATUS_BAD_DATA, "%s: %s holds %g and %g, no epoch and its loss", path,
                        BEST, best[0], best[1]);
    return BP_STATUS_OK;
}

/* Everything that the file holds for this trainer, in host memory. */
typedef struct staged {
    int64_t position[POSITION_FIELDS];
    double best[BEST_FIELDS];
    void *arrays[4];  /* parameters, optimiser state, averages, bpi_parameters_bytes each */
    int64_t *batches; /* [layer_count] */
    float *mean, *std;
} staged;

/* Parameters or averages, with what stands behind them. */
static bp_status stage_whole(bpi_st_reader *reader, const bp_model *model, const char *path, const char *suffix,
                             void **array)
{
    BPI_TRY(bpi_alloc(model->context, bpi_parameters_bytes(model), path, array));
    BPI_TRY(bpi_tensor_file_read(reader, model, path, suffix, *array));
    return bpi_tensor_file_read_buffers(reader, model, path, suffix, *array);
}

static bp_status stage(bpi_st_reader *reader, const bp_trainer *trainer, const char *path, staged *s)
{
    const bp_model *model = trainer->model;
    BPI_TRY(check_identity(reader, trainer, path));
    BPI_TRY(read_position(reader, trainer, path, s->position));
    BPI_TRY(read_best(reader, trainer, path, s->best));
    BPI_TRY(stage_whole(reader, model, path, "", &s->arrays[0]));
    for (int i = 1; i <= bpi_optimizer_states(&trainer->options); i++) {
        char suffix[SUFFIX_BYTES];
        state_suffix(trainer, i - 1, suffix);
        BPI_TRY(bpi_alloc(trainer->context, bpi_parameters_bytes(model), path, &s->arrays[i]));
        BPI_TRY(bpi_tensor_file_read(reader, model, path, suffix, s->arrays[i]));
    }
    if (trainer->average)
        BPI_TRY(stage_whole(reader, model, path, AVERAGE, &s->arrays[3]));
    BPI_TRY(bpi_alloc(trainer->context, (size_t)model->layer_count * sizeof *s->batches, path, (void **)&s->batches));
    BPI_TRY(bpi_tensor_file_read_counts(reader, model, path, s->batches));
    return bpi_tensor_file_standardization(reader, model, path, &s->mean, &s->std);
}

static bp_status take_over(bp_trainer *trainer, const staged *s)
{
    bpi_backend *backend = trainer->context->backend;
    size_t bytes = bpi_parameters_bytes(trainer->model);
    bpi_step_state state = {.step = s->position[0], .clip_factor = 1.0};
    BPI_TRY(bp_model_set_standardization(trainer->model, s->mean, s->std));
    BPI_TRY(backend->ops->upload(backend, &state, sizeof state, trainer->pass->state));
    trainer->model->weights_stale = true;
    BPI_TRY(backend->ops->upload(backend, s->arrays[0], bytes, trainer->model->parameters));
    for (int i = 0; i < bpi_optimizer_states(&trainer->options); i++)
        BPI_TRY(backend->ops->upload(backend, s->arrays[i + 1], bytes, state_array(trainer, i)));
    if (trainer->average)
        BPI_TRY(backend->ops->upload(backend, s->arrays[3], bytes, trainer->average));
    for (int64_t i = 0; i < trainer->model->layer_count; i++)
        trainer->model->layers[i].batches_tracked = s->batches[i];
    trainer->attempts = s->position[0];
    trainer->batches = 0;
    trainer->epoch = s->position[1];
    trainer->step_in_epoch = s->position[2];
    trainer->data_rows = s->position[3];
    trainer->best_epoch = (int64_t)s->best[0];
    trainer->best_loss = s->best[1];
    return BP_STATUS_OK;
}

bp_status bp_trainer_load(bp_trainer *trainer, const char *path)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !path)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_load: %s is NULL",
                        trainer ? "path" : "trainer");
    bpi_st_reader *reader = NULL;
    BPI_TRY(bpi_st_reader_open(context, path, &reader));
    staged s = {.mean = NULL};
    bp_status status = stage(reader, trainer, path, &s);
    bpi_st_reader_close(reader);
    if (status == BP_STATUS_OK)
        status = take_over(trainer, &s);
    for (int i = 0; i < 4; i++)
        bpi_free(context, s.arrays[i], bpi_parameters_bytes(trainer->model));
    bpi_free(context, s.batches, (size_t)trainer->model->layer_count * sizeof(int64_t));
    bpi_free(context, s.mean, (size_t)trainer->model->inputs * sizeof(float));
    bpi_free(context, s.std, (size_t)trainer->model->inputs * sizeof(float));
    return status;
}

/* ---------------------------------------------------------------- gradients */

static bp_status write_gradients(bpi_st_writer *writer, bp_trainer *trainer)
{
    bp_step_result result;
    BPI_TRY(bp_trainer_result(trainer, &result));
    BPI_TRY(bpi_st_declare(writer, "loss", bpi_tensor_file_type(trainer->model), 1, (int64_t[1]){1}));
    BPI_TRY(bpi_tensor_file_declare(writer, trainer->model, ""));
    BPI_TRY(bpi_st_write(writer, &result.loss, 1));
    BPI_TRY(bpi_tensor_file_write(writer, trainer->model, trainer->gradients));
    return bpi_st_commit(writer);
}

bp_status bp_trainer_save_gradients(bp_trainer *trainer, const char *path)
{
    bp_context *context = trainer ? trainer->context : NULL;
    if (!trainer || !path)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_trainer_save_gradients: %s is NULL",
                        trainer ? "path" : "trainer");
    bpi_st_writer *writer = NULL;
    bp_status status = bpi_st_writer_create(context, path, &writer);
    if (status == BP_STATUS_OK)
        status = write_gradients(writer, trainer);
    bpi_st_writer_destroy(writer);
    return status;
}
