/* tensor_file.h: arrays laid out as the parameters (the parameters themselves, gradients, optimiser state) to and from
 * safetensors files, one tensor a parameter, under the parameter's name and an optional suffix. */
#ifndef BPI_HOST_TENSOR_FILE_H
#define BPI_HOST_TENSOR_FILE_H

#include "host/model.h"
#include "host/safetensors.h"

/* The tensor that a checkpoint has and a model has not: where the training stands. */
#define BPI_TRAINING_POSITION "training.position"

/* F64 from a backend that computes in f64, else F32. */
bpi_st_type bpi_tensor_file_type(const bp_model *model);

/* suffix "" or ".exp_avg": declares every parameter of the table in file order; writes the values of `array` (backend
 * memory) in the same order. */
bp_status bpi_tensor_file_declare(bpi_st_writer *writer, const bp_model *model, const char *suffix);
bp_status bpi_tensor_file_write(bpi_st_writer *writer, const bp_model *model, const void *array);

/* The same for what is no parameter: the number of batches that batch norm's running values followed (I64: before all
 * others), and those values, of `array`. */
bp_status bpi_tensor_file_declare_counts(bpi_st_writer *writer, const bp_model *model);
bp_status bpi_tensor_file_write_counts(bpi_st_writer *writer, const bp_model *model);
bp_status bpi_tensor_file_declare_buffers(bpi_st_writer *writer, const bp_model *model, const char *suffix);
bp_status bpi_tensor_file_write_buffers(bpi_st_writer *writer, const bp_model *model, const void *array);

/* Into `staged` as below, and the numbers of batches into `batches` [layer_count]; a file that PyTorch wrote without
 * counting has none of these: 0. */
bp_status bpi_tensor_file_read_buffers(bpi_st_reader *reader, const bp_model *model, const char *path,
                                       const char *suffix, void *staged);
bp_status bpi_tensor_file_read_counts(bpi_st_reader *reader, const bp_model *model, const char *path, int64_t *batches);
bool bpi_tensor_file_is_batch_count(const bp_model *model, const char *name);

/* Reads every parameter into `staged`, host memory of bpi_parameters_bytes laid out as the parameters. BAD_DATA or
 * NOT_FOUND, naming the tensor and both shapes, where one does not fit. */
bp_status bpi_tensor_file_read(bpi_st_reader *reader, const bp_model *model, const char *path, const char *suffix,
                               void *staged);

/* What describes the network, as strings in the file's metadata. */
bp_status bpi_tensor_file_describe(bpi_st_writer *writer, const bp_model *model);

/* input_mean and input_std of the metadata into fresh arrays of model->inputs floats, or NULL, NULL where the file has
 * none; free both with bpi_free. */
bp_status bpi_tensor_file_standardization(bpi_st_reader *reader, const bp_model *model, const char *path, float **mean,
                                          float **std);

#endif
