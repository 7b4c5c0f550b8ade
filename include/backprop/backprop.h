/* backprop.h: the whole public interface, and where to start.
 *
 * backprop trains dense feed-forward networks: forward, loss, error terms, gradients, clipping and update, on a GPU,
 * a CPU, or a slow reference in double precision. This page tells what to call in which order; each header tells the
 * rest.
 *
 * A training run
 *
 *     #include <backprop/backprop.h>
 *
 *     bp_context *context = NULL;
 *     bp_data *data = NULL;
 *     bp_model *model = NULL;
 *     bp_trainer *trainer = NULL;
 *     bp_model_options network = {.inputs = 784, .layers = "256:relu,10", .loss = BP_LOSS_SOFTMAX_CROSS_ENTROPY};
 *     bp_trainer_options optimizer = {.batch = 128, .lr = 0.05, .momentum = 0.9};
 *     bp_train_options course = {.epochs = 5};
 *     int failed = bp_context_create(NULL, &context) ||
 *                  bp_data_load_fashion_mnist(context, NULL, "train", &data) ||
 *                  bp_model_create(context, &network, &model) ||
 *                  bp_data_standardize(data, model) ||
 *                  bp_trainer_create(model, &optimizer, &trainer) ||
 *                  bp_train(trainer, data, &course) ||
 *                  bp_model_save(model, "model.safetensors");
 *     if (failed)
 *         fprintf(stderr, "%s\n", bp_last_error(context));
 *     bp_trainer_destroy(trainer);
 *     bp_model_destroy(model);
 *     bp_data_destroy(data);
 *     bp_context_destroy(context);
 *
 * examples/train_fashion_mnist.c is this program with a test set.
 *
 * The order of the calls
 *   1. bp_context_create    which backend, precision and threads; NULL takes the defaults        context.h
 *   2. bp_data_load_...     samples from NPY, CSV or IDX files, or bp_data_create from arrays    data.h
 *   3. bp_model_create      the network, initialised; or bp_model_load from a file               model.h, checkpoint.h
 *   4. bp_data_check, bp_data_standardize   do the two fit; bring inputs to one scale            data.h
 *   5. bp_trainer_create    the optimiser, and all memory that a step needs                      train.h
 *   6. bp_train             whole epochs with shuffling, progress and checkpoints;
 *      or bp_trainer_step   one step on a batch of yours, in a loop of yours                     train.h
 *   7. bp_evaluate, bp_model_predict        what was learnt                                      train.h, model.h
 *   8. bp_model_save        a safetensors file, which PyTorch reads too                          checkpoint.h
 * A loop of your own needs no bp_data:
 *
 *     for (int64_t i = 0; i < steps && !failed; i++)
 *         failed = next_batch(x, classes) || bp_trainer_step(trainer, x, classes, NULL, 128);
 *
 * Ownership
 *   What a ..._create or ..._load call makes is yours: give it to the ..._destroy of its noun, which accepts NULL.
 *   Destroy in the reverse order: trainers before their model, everything before its context. Arrays that you pass
 *   are read during the call and not kept; texts that a call returns belong to the object, for as long as its comment
 *   says.
 *
 * Options
 *   Structs whose fields mean their default when zero: write {.batch = 128} and leave the rest. struct_size is
 *   sizeof(the struct), for programs that may meet a newer library; 0 means the struct of version 0.1.
 *
 * Errors
 *   Every call that can fail returns a bp_status, BP_STATUS_OK being 0. A call that fails changes nothing that its
 *   comment does not name, leaves output handles NULL (bp_context_create excepted), and leaves a sentence in
 *   bp_last_error(context): the operation, the argument, its value, the limit. The library never prints, never exits,
 *   and never does something else in silence: a backend or precision that cannot be had is an error. A callback for
 *   its log is in bp_context_options.
 *
 * Threads
 *   A context, and all that was made from it, belongs to one thread at a time; several contexts are independent. A
 *   context computes with bp_context_options.threads threads of its own. Results have the same bits for any number of
 *   threads, and on every run.
 *
 * Memory
 *   bp_trainer_plan tells the bytes before anything is allocated. bp_trainer_create allocates all of it: a step
 *   allocates nothing. Where a batch does not fit, take a smaller one and set `accumulate`: the gradient is the mean
 *   over all samples of the micro-batches. bp_allocator puts your allocator below all of host memory.
 *
 * Precision
 *   `reference` computes in f64, the others in f32. tf32 and bf16 are faster and coarser, and are taken by name
 *   alone. Arrays at this interface are f32 (inputs, targets, outputs) or f64 (single tensors, losses), whatever the
 *   backend computes in. */
#ifndef BACKPROP_H
#define BACKPROP_H

#include "checkpoint.h"
#include "context.h"
#include "data.h"
#include "diagnostics.h"
#include "model.h"
#include "observe.h"
#include "profile.h"
#include "status.h"
#include "train.h"

#endif
