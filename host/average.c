/* average.c: the life of a trainer's moving averages. They are laid out as the parameters, running statistics included;
 * the averaging itself is a part of bpi_ops.update. While there are some, the model shows them: see model.h. */
#include "host/trainer.h"

/* In pieces through the stack: giving averages up must not fail for want of memory. */
static bp_status copy(const bp_model *model, const char *from, char *to)
{
    enum { PIECE = 1 << 16 };
    char piece[PIECE];
    bpi_backend *backend = model->context->backend;
    size_t bytes = bpi_parameters_bytes(model);
    for (size_t done = 0; done < bytes; done += PIECE) {
        size_t here = bytes - done < PIECE ? bytes - done : PIECE;
        BPI_TRY(backend->ops->download(backend, from + done, here, piece));
        BPI_TRY(backend->ops->upload(backend, piece, here, to + done));
    }
    return BP_STATUS_OK;
}

bp_status bpi_average_create(bp_trainer *trainer)
{
    bp_model *model = trainer->model;
    bpi_backend *backend = trainer->context->backend;
    if (model->shown != model->parameters)
        return BPI_FAIL(trainer->context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_trainer_create: ema_decay: another trainer keeps averages of this model already");
    BPI_TRY(backend->ops->allocate(backend, bpi_parameters_bytes(model), &trainer->average));
    BPI_TRY(copy(model, model->parameters, trainer->average));
    model->shown = trainer->average;
    return BP_STATUS_OK;
}

/* The parameters stay where they are: graphs of other trainers of the model know the address. */
void bpi_average_destroy(bp_trainer *trainer)
{
    bp_model *model = trainer->model;
    bpi_backend *backend = trainer->context->backend;
    if (trainer->average && model->shown == trainer->average) {
        (void)copy(model, trainer->average, model->parameters); /* nobody is left to be told of a device that failed */
        model->shown = model->parameters;
    }
    backend->ops->release(backend, trainer->average, bpi_parameters_bytes(model));
    trainer->average = NULL;
}
