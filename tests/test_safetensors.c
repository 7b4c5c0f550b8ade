/* safetensors: what was declared and written is read again, bit for bit; what Python wrote is read; and a write that
 * fails leaves the old file. What headers may hold is in test_safetensors_header.c. */
#include <stdio.h>
#include <stdlib.h>

#include "support/safetensors_sample.h"

TestSuite(safetensors, .init = set_up, .fini = tear_down);

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

Test(safetensors, hundred_tensors_are_written_and_read)
{
    enum { TENSORS = 100 };
    const char *path = bpt_folder_file(&folder, "many.safetensors");
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_writer_create(context, path, &writer));
    char name[24];
    for (int i = 0; i < TENSORS; i++) {
        snprintf(name, sizeof name, "%d.weight", i);
        BPT_OK(context, bpi_st_declare(writer, name, BPI_ST_F32, 1, (int64_t[]){1 + i % 3}));
    }
    for (int i = 0; i < TENSORS; i++)
        BPT_OK(context, bpi_st_write(writer, (double[]){i, i, i}, 1 + i % 3));
    BPT_OK(context, bpi_st_commit(writer));
    bpi_st_writer_destroy(writer);
    bpi_st_reader *reader;
    BPT_OK(context, bpi_st_reader_open(context, path, &reader));
    cr_assert_eq(bpi_st_tensor_count(reader), TENSORS);
    for (int i = 0; i < TENSORS; i++) {
        double got[3];
        snprintf(name, sizeof name, "%d.weight", i);
        BPT_OK(context, bpi_st_read_f64(reader, bpi_st_find(reader, name), got));
        cr_assert(got[0] == i && got[i % 3] == i);
    }
    bpi_st_reader_close(reader);
}
