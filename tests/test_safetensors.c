/* safetensors: what was declared and written is read again, bit for bit; what Python wrote is read; and no header is
 * believed that does not describe its file. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "host/safetensors.h"
#include "support/folder.h"
#include "support/hooks.h"
#include "support/random.h"
#include "support/status.h"

static bpt_hooks hooks;
static bp_context *context;
static bpt_folder folder;

static void set_up(void)
{
    hooks = (bpt_hooks){0};
    context = bpt_hooks_context(&hooks);
    folder = bpt_folder_make();
}

static void tear_down(void)
{
    bpt_folder_remove(&folder);
    bp_context_destroy(context);
    cr_assert_eq(hooks.live, 0);
}

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

/* ---------------------------------------------------------------- headers made here */

/* A file with this header and these bytes of data. */
static const char *make(const char *header, const void *data, size_t bytes)
{
    static char content[20000];
    size_t length = strlen(header);
    for (int i = 0; i < 8; i++)
        content[i] = (char)(length >> 8 * i);
    memcpy(content + 8, header, length);
    memcpy(content + 8 + length, data, bytes);
    const char *path = bpt_folder_file(&folder, "made.safetensors");
    bpt_file_write(path, content, 8 + length + bytes);
    return path;
}

static void assert_values(const char *header, const void *data, size_t bytes, const double *wanted, int64_t count)
{
    double got[16];
    bpi_st_reader *reader;
    BPT_OK(context, bpi_st_reader_open(context, make(header, data, bytes), &reader));
    cr_assert_eq(bpi_st_tensor_at(reader, 0)->count, count);
    BPT_OK(context, bpi_st_read_f64(reader, 0, got));
    for (int64_t i = 0; i < count; i++)
        cr_assert(memcmp(&got[i], &wanted[i], sizeof *got) == 0 || (isnan(got[i]) && isnan(wanted[i])),
                  "element %d: %a, wanted %a", (int)i, got[i], wanted[i]);
    bpi_st_reader_close(reader);
}

Test(safetensors, all_types_in_one_file_of_python_hold_the_same_values)
{
    static const char *const names[] = {"f64", "f32", "f16", "bf16"};
    bpi_st_reader *reader;
    BPT_OK(context, bpi_st_reader_open(context, BP_SOURCE_DIR "/tests/data/all_types.safetensors", &reader));
    cr_assert_eq(bpi_st_tensor_count(reader), 6);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        double got[2] = {0};
        BPT_OK(context, bpi_st_read_f64(reader, bpi_st_find(reader, names[i]), got));
        cr_assert(got[0] == 1.5 && got[1] == -2.0, "%s", names[i]);
    }
    int64_t number;
    BPT_OK(context, bpi_st_read_i64(reader, bpi_st_find(reader, "scalar"), &number));
    cr_assert_eq(number, 7);
    cr_assert_eq(bpi_st_tensor_at(reader, bpi_st_find(reader, "empty"))->count, 0);
    bpi_st_reader_close(reader);
}

Test(safetensors, every_kind_of_half_is_read)
{
    static const uint16_t bits[] = {0x0000, 0x8000, 0x3c00, 0xc000, 0x0001, 0x03ff,
                                    0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00};
    static const double values[] = {
        0.0, -0.0, 1.0, -2.0, 0x1p-24, 0x3ffp-24, 0x1p-14, 65504.0, (double)INFINITY, -(double)INFINITY, (double)NAN};
    assert_values("{\"h\":{\"dtype\":\"F16\",\"shape\":[11],\"data_offsets\":[0,22]}}", bits, sizeof bits, values, 11);
}

Test(safetensors, every_kind_of_bfloat16_is_read)
{
    static const uint16_t bits[] = {0x0000, 0x8000, 0x3f80, 0xc000, 0x0001, 0x7f7f, 0x7f80, 0x7fc0};
    static const double values[] = {0.0, -0.0, 1.0, -2.0, 0x1p-133, 0x1.fep127, (double)INFINITY, (double)NAN};
    assert_values("{\"b\":{\"dtype\":\"BF16\",\"shape\":[2,2,2],\"data_offsets\":[0,16]}}", bits, sizeof bits, values,
                  8);
}

Test(safetensors, scalars_and_tensors_out_of_order_are_read)
{
    static const float values[] = {1.0f, 2.0f};
    const char *path = make("{\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]},"
                            "\"a\":{\"data_offsets\":[0,4],\"shape\":[1],\"dtype\":\"F32\"}}   ",
                            values, sizeof values);
    bpi_st_reader *reader;
    double got;
    BPT_OK(context, bpi_st_reader_open(context, path, &reader));
    cr_assert_str_eq(bpi_st_tensor_at(reader, 0)->name, "a", "in the order of the data");
    cr_assert_eq(bpi_st_tensor_at(reader, 1)->rank, 0);
    BPT_OK(context, bpi_st_read_f64(reader, 1, &got));
    cr_assert_eq(got, 2.0);
    bpi_st_reader_close(reader);
}

#define ONE(type, shape, offsets) "{\"w\":{\"dtype\":" type ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(first, second)                                                                                             \
    "{\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" first "},"                                             \
    "\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":" second "}}"

Test(safetensors, bad_headers_are_refused_with_tensor_and_reason)
{
    static const struct {
        const char *header;
        size_t bytes;
        const char *word;
    } table[] = {
        {"", 8, "JSON"},
        {"nonsense", 8, "JSON"},
        {"{", 8, "JSON"},
        {"{} {}", 8, "JSON"},
        {"[]", 8, "object"},
        {"{\"\xff\":1}", 8, "JSON"},
        {"{}", 8, "8 bytes after"},
        {"{\"__metadata__\":1}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ a"},
        {"{\"w\":1}", 0, "tensor w"},
        {"{\"w\":{}}", 0, "tensor w has no dtype"},
        {ONE("1", "[2]", "[0,8]"), 8, "tensor w has no dtype"},
        {ONE("\"F33\"", "[2]", "[0,8]"), 8, "F33"},
        {ONE("\"I32\"", "[2]", "[0,8]"), 8, "I32"},
        {ONE("\"f32\"", "[2]", "[0,8]"), 8, "f32"},
        {ONE("\"F32\"", "2", "[0,8]"), 8, "no shape"},
        {ONE("\"F32\"", "[2.0]", "[0,8]"), 8, "integer"},
        {ONE("\"F32\"", "[\"2\"]", "[0,8]"), 8, "integer"},
        {ONE("\"F32\"", "[-2]", "[0,8]"), 8, "-2"},
        {ONE("\"F32\"", "[9007199254740993]", "[0,8]"), 8, "2^53"},
        {ONE("\"F32\"", "[99999999999999999999]", "[0,8]"), 8, "too big"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,8]"), 8, "2^53"},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dimensions"},
        {ONE("\"F32\"", "[2]", "[0]"), 8, "data_offsets"},
        {ONE("\"F32\"", "[2]", "[0,8,8]"), 8, "data_offsets"},
        {ONE("\"F32\"", "[2]", "0"), 8, "data_offsets"},
        {ONE("\"F32\"", "[2]", "[0,8.5]"), 8, "integer"},
        {ONE("\"F32\"", "[2]", "[8,0]"), 8, "do not match"},
        {ONE("\"F32\"", "[2]", "[-8,0]"), 8, "-8"},
        {ONE("\"F32\"", "[3]", "[0,8]"), 8, "do not match"},
        {ONE("\"F64\"", "[2]", "[0,8]"), 8, "do not match"},
        {ONE("\"F64\"", "[1]", "[0,9]"), 9, "do not match"},
        {ONE("\"F32\"", "[]", "[0,8]"), 8, "do not match"},
        {ONE("\"F32\"", "[2]", "[0,8]"), 7, "truncated"},
        {ONE("\"F32\"", "[2]", "[0,8]"), 0, "truncated"},
        {ONE("\"F32\"", "[2]", "[0,8]"), 9, "1 bytes after"},
        {ONE("\"F32\"", "[2]", "[4,12]"), 12, "gap"},
        {TWO("[0,4]", "[8,12]"), 12, "tensor v begins at byte 8"},
        {TWO("[0,4]", "[2,6]"), 8, "overlap"},
        {TWO("[0,4]", "[0,4]"), 8, "overlap"},
        {"{\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         8, "duplicate"},
        {"{\"u\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "duplicate"},
        {"{\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, "more than"},
        {"{\"new\\nline\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "new?line"},
    };
    static const char zeros[16];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_st_reader *reader;
        BPT_FAILS(context, bpi_st_reader_open(context, make(table[i].header, zeros, table[i].bytes), &reader),
                  BP_STATUS_BAD_DATA, table[i].word, table[i].header);
        cr_assert_null(reader);
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

Test(safetensors, header_length_is_limited)
{
    static const unsigned char lengths[][8] = {{1, 0xe1, 0xf5, 5}, {255, 255, 255, 255, 255, 255, 255, 255}, {2, 0}};
    static const char *const words[] = {"at most 100000000", "at most 100000000", "truncated"};
    const char *path = bpt_folder_file(&folder, "length.safetensors");
    for (size_t i = 0; i < 3; i++) {
        bpi_st_reader *reader;
        bpt_file_write(path, lengths[i], 8);
        BPT_FAILS(context, bpi_st_reader_open(context, path, &reader), BP_STATUS_BAD_DATA, words[i], words[i]);
    }
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
