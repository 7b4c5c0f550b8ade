/* checkpoint.h: models and training positions as safetensors files, which PyTorch reads and writes as well.
 *
 * Files are written under a temporary name, synced and renamed: a reader sees the old file or the new one, never a
 * part. The same file serves every backend. */
#ifndef BACKPROP_CHECKPOINT_H
#define BACKPROP_CHECKPOINT_H

#include "model.h"
#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the parameters (their moving averages, where a trainer keeps some), dense, under PyTorch's names and shapes:
 * F32, or F64 from `reference`. Metadata (strings): format "pt", backprop_layers, backprop_inputs, backprop_loss with
 * its constants, and input_mean and input_std as JSON arrays where the model holds a standardisation.
 * errors    IO (which file, what the system said), OUT_OF_MEMORY */
BP_API bp_status bp_model_save(const bp_model *model, const char *path);

/* Makes a model from a file that bp_model_save wrote. */
BP_API bp_status bp_model_load(bp_context *context, const char *path, bp_model **model);

/* Loads the tensors of a file (F32, F64, F16 or BF16; ours or PyTorch's) into a model that exists; every tensor of the
 * model must be there in its shape, and no other. Takes over a standardisation where the file has one. Changes nothing
 * where it fails.
 * errors    NOT_FOUND, BAD_DATA (tensor and both shapes named), IO */
BP_API bp_status bp_model_load_weights(bp_model *model, const char *path);

/* Writes and reads all that the next step depends on: parameters, optimiser state, moving averages, standardisation,
 * step, epoch and position in the epoch, the best validation loss; so a resumed run ends in the same bits as one that
 * was never interrupted.
 * errors    as above; BAD_DATA where the file belongs to another network or optimiser */
BP_API bp_status bp_trainer_save(const bp_trainer *trainer, const char *path);
BP_API bp_status bp_trainer_load(bp_trainer *trainer, const char *path);

/* Writes the gradients of bp_trainer_gradients: one tensor a parameter, under the parameter's name, and `loss` of shape
 * [1]; F64 from `reference`, F32 from the others. */
BP_API bp_status bp_trainer_save_gradients(bp_trainer *trainer, const char *path);

#ifdef __cplusplus
}
#endif
#endif
