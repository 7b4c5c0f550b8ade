/* safetensors: what was declared and written is read again, bit for bit; what Python wrote is read; and a write that
 * fails leaves the old file. What headers may hold is in test_safetensors_header.c. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "host/safetensors.h"
#include "support/fixture.h"
#include "support/random.h"

TestSuite(safetensors, .init = set_up, .fini = tear_down);

/* ---------------------------------------------------------------- round trips */

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

Test(safetensors, written_tensors_are_read_bit_for_bit)
{
    static double values[ROWS * COLS], got[ROWS * COLS];
    fill(values);
    bpi_st_reader *reader;
    BPT_OK(context, bpi_st_reader_open(context, sample(), &reader));
    cr_assert_eq(bpi_st_tensor_count(reader), 4);
    cr_assert_str_eq(bpi_st_get_metadata(reader, "format"), "pt");
    cr_assert_str_eq(bpi_st_get_metadata(reader, "note"), "\"quoted\" \\ \xc3\xa4\n");
    cr_assert_null(bpi_st_get_metadata(reader, "absent"));
    cr_assert_eq(bpi_st_find(reader, "absent"), -1);

    int64_t weight = bpi_st_find(reader, "0.weight"), bias = bpi_st_find(reader, "0.bias");
    const bpi_st_tensor *tensor = bpi_st_tensor_at(reader, weight);
    cr_assert(tensor->type == BPI_ST_F32 && tensor->rank == 2 && tensor->shape[0] == ROWS && tensor->shape[1] == COLS);
    BPT_OK(context, bpi_st_read_f64(reader, weight, got));
    for (int i = 0; i < ROWS * COLS; i++) {
        double rounded = (double)(float)values[i];
        cr_assert_eq(memcmp(&got[i], &rounded, sizeof rounded), 0, "element %d", i);
    }
    cr_assert_eq(bpi_st_tensor_at(reader, bias)->type, BPI_ST_F64);
    BPT_OK(context, bpi_st_read_f64(reader, bias, got));
    cr_assert_eq(memcmp(got, values, ROWS * sizeof *got), 0);
    int64_t numbers[3];
    BPT_OK(context, bpi_st_read_i64(reader, bpi_st_find(reader, "step"), numbers));
    cr_assert_eq(memcmp(numbers, sample_numbers, sizeof numbers), 0);
    bpi_st_reader_close(reader);
}

Test(safetensors, data_section_starts_on_8_bytes)
{
    size_t count;
    char *content = bpt_file_read(sample(), &count);
    cr_assert_eq((unsigned char)content[0] % 8, 0);
    cr_assert_eq(content[8], '{', "the format wants the brace first");
    free(content);
}

Test(safetensors, file_without_tensors_is_a_file)
{
    const char *path = bpt_folder_file(&folder, "none.safetensors");
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_writer_create(context, path, &writer));
    BPT_OK(context, bpi_st_commit(writer));
    bpi_st_writer_destroy(writer);
    cr_assert(bpt_file_holds(path, "\x08\0\0\0\0\0\0\0{}      ", 16));
    bpi_st_reader *reader;
    BPT_OK(context, bpi_st_reader_open(context, path, &reader));
    cr_assert_eq(bpi_st_tensor_count(reader), 0);
    bpi_st_reader_close(reader);
}

/* Reads a file and writes all its tensors again. */
static void copy(const char *from, const char *to)
{
    bpi_st_reader *reader;
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_reader_open(context, from, &reader));
    BPT_OK(context, bpi_st_writer_create(context, to, &writer));
    int64_t count = bpi_st_tensor_count(reader);
    cr_assert_gt(count, 0);
    for (int64_t i = 0; i < count; i++) {
        const bpi_st_tensor *tensor = bpi_st_tensor_at(reader, i);
        BPT_OK(context, bpi_st_declare(writer, tensor->name, tensor->type, tensor->rank, tensor->shape));
    }
    for (int64_t i = 0; i < count; i++) {
        const bpi_st_tensor *tensor = bpi_st_tensor_at(reader, i);
        double *values = malloc((size_t)tensor->count * sizeof *values);
        BPT_OK(context, bpi_st_read_f64(reader, i, values));
        BPT_OK(context, bpi_st_write(writer, values, tensor->count));
        free(values);
    }
    BPT_OK(context, bpi_st_commit(writer));
    bpi_st_writer_destroy(writer);
    bpi_st_reader_close(reader);
}

Test(safetensors, files_that_python_wrote_survive_unchanged)
{
    static const char *const names[] = {"deep_every_activation_ce_class/weights",
                                        "deep_every_activation_ce_class/grads", "nobias_first_mse/weights",
                                        "width_one_huber/grads"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1000];
        snprintf(path, sizeof path, BP_SOURCE_DIR "/tests/golden/%s.safetensors", names[i]);
        const char *copied = bpt_folder_file(&folder, "copy.safetensors");
        copy(path, copied);
        size_t count;
        char *content = bpt_file_read(path, &count);
        cr_assert(bpt_file_holds(copied, content, count), "%s", path);
        free(content);
    }
}

Test(safetensors, file_cut_anywhere_is_refused)
{
    size_t count;
    char *content = bpt_file_read(sample(), &count);
    const char *path = bpt_folder_file(&folder, "cut.safetensors");
    for (size_t length = 0; length < count; length += length < 1000 ? 1 : 97) {
        bpi_st_reader *reader;
        bpt_file_write(path, content, length);
        BPT_FAILS(context, bpi_st_reader_open(context, path, &reader), BP_STATUS_BAD_DATA, "cut.safetensors", "cut");
    }
    free(content);
}

Test(safetensors, values_of_another_type_are_refused)
{
    double values[ROWS * COLS];
    int64_t numbers[ROWS * COLS];
    bpi_st_reader *reader;
    BPT_OK(context, bpi_st_reader_open(context, sample(), &reader));
    BPT_FAILS(context, bpi_st_read_f64(reader, bpi_st_find(reader, "step"), values), BP_STATUS_BAD_DATA, "step", "f64");
    BPT_FAILS(context, bpi_st_read_i64(reader, bpi_st_find(reader, "0.bias"), numbers), BP_STATUS_BAD_DATA, "0.bias",
              "i64");
    bpi_st_reader_close(reader);
}

Test(safetensors, missing_file_is_not_found)
{
    bpi_st_reader *reader;
    BPT_FAILS(context, bpi_st_reader_open(context, bpt_folder_file(&folder, "absent"), &reader), BP_STATUS_NOT_FOUND,
              "absent", "missing");
    BPT_FAILS(context, bpi_st_reader_open(context, folder.path, &reader), BP_STATUS_IO, "folder", "folder");
}

/* ---------------------------------------------------------------- writing that fails */

static const char old_content[] = "the old file";

static const char *old_file(void)
{
    const char *path = bpt_folder_file(&folder, "old.safetensors");
    bpt_file_write(path, old_content, sizeof old_content);
    return path;
}

static void assert_untouched(const char *path)
{
    cr_assert(bpt_file_holds(path, old_content, sizeof old_content));
    cr_assert_eq(bpt_folder_count(&folder), 1, "a temporary file was left");
}

Test(safetensors, full_disk_leaves_the_old_file)
{
    static double values[ROWS * COLS];
    fill(values);
    size_t bytes;
    free(bpt_file_read(sample(), &bytes));
    remove(sample());
    const char *path = old_file();
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    /* In the header, in the first tensor, and before the last byte. */
    const rlim_t limits[] = {10, 5000, bytes - 1};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        limit.rlim_cur = limits[i];
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        BPT_FAILS(context, write_sample(path, values, sample_numbers), BP_STATUS_IO, "File too large", "limit");
        limit.rlim_cur = RLIM_INFINITY;
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_untouched(path);
    }
    BPT_OK(context, write_sample(path, values, sample_numbers));
}

Test(safetensors, writer_without_commit_leaves_the_old_file)
{
    const char *path = old_file();
    const double value = 1.0;
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_writer_create(context, path, &writer));
    BPT_OK(context, bpi_st_declare(writer, "w", BPI_ST_F64, 1, (int64_t[]){1}));
    BPT_OK(context, bpi_st_write(writer, &value, 1));
    bpi_st_writer_destroy(writer);
    assert_untouched(path);
    bpi_st_writer_destroy(NULL);
    bpi_st_reader_close(NULL);
}

Test(safetensors, misuse_of_the_writer_is_internal_and_writes_nothing)
{
    const char *path = old_file();
    const double value = 1.0;
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_writer_create(context, path, &writer));
    BPT_OK(context, bpi_st_declare(writer, "w", BPI_ST_F64, 1, (int64_t[]){1}));
    BPT_FAILS(context, bpi_st_declare(writer, "w", BPI_ST_F64, 1, (int64_t[]){1}), BP_STATUS_INTERNAL, "w", "twice");
    BPT_FAILS(context, bpi_st_declare(writer, "h", BPI_ST_F16, 1, (int64_t[]){1}), BP_STATUS_INTERNAL, "h", "type");
    BPT_FAILS(context, bpi_st_declare(writer, "r", BPI_ST_F64, 3, (int64_t[]){1, 1, 1}), BP_STATUS_INTERNAL, "r",
              "rank");
    BPT_FAILS(context, bpi_st_commit(writer), BP_STATUS_INTERNAL, "0 of 1", "not written");
    BPT_FAILS(context, bpi_st_declare(writer, "late", BPI_ST_F64, 1, (int64_t[]){1}), BP_STATUS_INTERNAL, "late",
              "late");
    BPT_FAILS(context, bpi_st_write(writer, &value, 2), BP_STATUS_INTERNAL, "2 values", "count");
    BPT_OK(context, bpi_st_write(writer, &value, 1));
    BPT_FAILS(context, bpi_st_write(writer, &value, 1), BP_STATUS_INTERNAL, "1 values", "too many");
    bpi_st_writer_destroy(writer);
    assert_untouched(path);
}

Test(safetensors, metadata_must_be_utf8)
{
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_writer_create(context, old_file(), &writer));
    BPT_FAILS(context, bpi_st_metadata(writer, "key", "\xff"), BP_STATUS_INVALID_ARGUMENT, "UTF-8", "value");
    bpi_st_writer_destroy(writer);
}

Test(safetensors, every_failing_allocation_is_reported_and_leaks_nothing)
{
    static double values[ROWS * COLS];
    fill(values);
    const char *path = old_file();
    int64_t before = hooks.live, failures = 0;
    for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
        hooks.fail_at = hooks.calls + failures + 1;
        status = write_sample(path, values, sample_numbers);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "%s", bp_last_error(context));
        cr_assert_eq(hooks.live, before);
        if (status != BP_STATUS_OK)
            assert_untouched(path);
    }
    cr_assert_geq(failures, 4, "the writer, its list and the header are three allocations");
    failures = 0;
    for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
        bpi_st_reader *reader;
        hooks.fail_at = hooks.calls + failures + 1;
        status = bpi_st_reader_open(context, path, &reader);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "%s", bp_last_error(context));
        bpi_st_reader_close(reader);
        cr_assert_eq(hooks.live, before);
    }
    cr_assert_geq(failures, 4, "the reader, the header's text and the entries are three allocations");
}
