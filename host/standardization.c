/* standardization.c: the mean and standard deviation of the inputs that a model keeps, and hands to bpi_ops.load. */
#include <math.h>
#include <string.h>

#include "host/model.h"

void bpi_standardization_clear(bp_model *model)
{
    bpi_backend *backend = model->context->backend;
    size_t bytes = (size_t)model->inputs * sizeof(float);
    bpi_free(model->context, model->mean, bytes);
    bpi_free(model->context, model->std, bytes);
    backend->ops->release(backend, model->device_mean, bytes);
    backend->ops->release(backend, model->device_inv_std, bytes);
    model->mean = model->std = model->device_mean = model->device_inv_std = NULL;
}

static bp_status check(bp_model *model, const float *mean, const float *std)
{
    for (int64_t i = 0; i < model->inputs; i++)
        if (!isfinite(mean[i]) || !isfinite(std[i]) || !(std[i] > 0.0f) || !isfinite(1.0f / std[i]))
            return BPI_FAIL(
                model->context, BP_STATUS_INVALID_ARGUMENT,
                "bp_model_set_standardization: column %lld: mean %g, std %g; both must be finite and std > 0",
                (long long)i, (double)mean[i], (double)std[i]);
    return BP_STATUS_OK;
}

static bp_status store(bp_model *model, const float *mean, const float *std)
{
    bp_context *context = model->context;
    bpi_backend *backend = context->backend;
    const char *call = "bp_model_set_standardization";
    size_t bytes = (size_t)model->inputs * sizeof(float);
    BPI_TRY(bpi_alloc(context, bytes, call, (void **)&model->mean));
    BPI_TRY(bpi_alloc(context, bytes, call, (void **)&model->std));
    BPI_TRY(backend->ops->allocate(backend, bytes, (void **)&model->device_mean));
    BPI_TRY(backend->ops->allocate(backend, bytes, (void **)&model->device_inv_std));
    /* model->std holds 1 / std for the upload, then std. */
    for (int64_t i = 0; i < model->inputs; i++)
        model->std[i] = 1.0f / std[i];
    BPI_TRY(backend->ops->upload(backend, model->std, bytes, model->device_inv_std));
    BPI_TRY(backend->ops->upload(backend, mean, bytes, model->device_mean));
    memcpy(model->mean, mean, bytes);
    memcpy(model->std, std, bytes);
    return BP_STATUS_OK;
}

bp_status bp_model_set_standardization(bp_model *model, const float *mean, const float *std)
{
    if (!model || !mean != !std)
        return BPI_FAIL(model ? model->context : NULL, BP_STATUS_INVALID_ARGUMENT, "bp_model_set_standardization: %s",
                        !model ? "model is NULL" : "give mean and std, or neither");
    if (mean)
        BPI_TRY(check(model, mean, std));
    bp_model before = *model;
    model->mean = model->std = model->device_mean = model->device_inv_std = NULL;
    bp_status status = mean ? store(model, mean, std) : BP_STATUS_OK;
    if (status == BP_STATUS_OK) {
        bp_model after = *model;
        *model = before;
        bpi_standardization_clear(model);
        *model = after;
    } else {
        bpi_standardization_clear(model);
        *model = before;
    }
    return status;
}

bool bp_model_has_standardization(const bp_model *model)
{
    return model && model->mean;
}
