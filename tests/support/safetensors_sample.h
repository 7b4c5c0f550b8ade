/* safetensors_sample.h: a file of three types for the tests of reading and of writing. Stands on fixture.h. */
#ifndef BPT_SAFETENSORS_SAMPLE_H
#define BPT_SAFETENSORS_SAMPLE_H

#include <math.h>

#include "host/safetensors.h"
#include "support/fixture.h"
#include "support/random.h"

enum { ROWS = 37, COLS = 53 };

/* Three types, one of them large enough for several chunks, and an empty tensor. */
static bp_status write_sample(const char *path, const double *values, const int64_t *numbers)
{
    bpi_st_writer *writer;
    BPI_TRY(bpi_st_writer_create(context, path, &writer));
    bp_status status;
    BPI_TRY_GOTO(bpi_st_metadata(writer, "format", "pt"), status, done);
    BPI_TRY_GOTO(bpi_st_metadata(writer, "note", "\"quoted\" \\ \xc3\xa4\n"), status, done);
    BPI_TRY_GOTO(bpi_st_declare(writer, "0.weight", BPI_ST_F32, 2, (int64_t[]){ROWS, COLS}), status, done);
    BPI_TRY_GOTO(bpi_st_declare(writer, "0.bias", BPI_ST_F64, 1, (int64_t[]){ROWS}), status, done);
    BPI_TRY_GOTO(bpi_st_declare(writer, "none", BPI_ST_F64, 2, (int64_t[]){0, 3}), status, done);
    BPI_TRY_GOTO(bpi_st_declare(writer, "step", BPI_ST_I64, 1, (int64_t[]){3}), status, done);
    BPI_TRY_GOTO(bpi_st_write(writer, values, ROWS * COLS), status, done);
    BPI_TRY_GOTO(bpi_st_write(writer, values, ROWS), status, done);
    BPI_TRY_GOTO(bpi_st_write(writer, values, 0), status, done);
    BPI_TRY_GOTO(bpi_st_write(writer, numbers, 3), status, done);
    status = bpi_st_commit(writer);
done:
    bpi_st_writer_destroy(writer);
    return status;
}

static const int64_t sample_numbers[3] = {INT64_MIN, -1, INT64_MAX};

static void fill(double *values)
{
    bpt_random random = {1};
    for (int i = 0; i < ROWS * COLS; i++)
        values[i] = bpt_random_uniform(&random, -3.0, 3.0);
    values[1] = (double)INFINITY;
    values[2] = 1e-320;
    values[3] = -0.0;
}

static const char *sample(void)
{
    static double values[ROWS * COLS];
    fill(values);
    const char *path = bpt_folder_file(&folder, "sample.safetensors");
    BPT_OK(context, write_sample(path, values, sample_numbers));
    return path;
}

#endif
