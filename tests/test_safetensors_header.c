/* safetensors_header: no header is believed that does not describe its file, and what may stand in one is read. */
#include <math.h>

#include "host/safetensors.h"
#include "support/fixture.h"

#define DATA BP_SOURCE_DIR "/tests/data/"

TestSuite(safetensors_header, .init = set_up, .fini = tear_down);

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

Test(safetensors_header, all_types_in_one_file_of_python_hold_the_same_values)
{
    static const char *const names[] = {"f64", "f32", "f16", "bf16"};
    bpi_st_reader *reader;
    BPT_OK(context, bpi_st_reader_open(context, DATA "all_types.safetensors", &reader));
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

Test(safetensors_header, every_kind_of_half_is_read)
{
    static const uint16_t bits[] = {0x0000, 0x8000, 0x3c00, 0xc000, 0x0001, 0x03ff,
                                    0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00};
    static const double values[] = {
        0.0, -0.0, 1.0, -2.0, 0x1p-24, 0x3ffp-24, 0x1p-14, 65504.0, (double)INFINITY, -(double)INFINITY, (double)NAN};
    assert_values("{\"h\":{\"dtype\":\"F16\",\"shape\":[11],\"data_offsets\":[0,22]}}", bits, sizeof bits, values, 11);
}

Test(safetensors_header, every_kind_of_bfloat16_is_read)
{
    static const uint16_t bits[] = {0x0000, 0x8000, 0x3f80, 0xc000, 0x0001, 0x7f7f, 0x7f80, 0x7fc0};
    static const double values[] = {0.0, -0.0, 1.0, -2.0, 0x1p-133, 0x1.fep127, (double)INFINITY, (double)NAN};
    assert_values("{\"b\":{\"dtype\":\"BF16\",\"shape\":[2,2,2],\"data_offsets\":[0,16]}}", bits, sizeof bits, values,
                  8);
}

Test(safetensors_header, scalars_and_tensors_out_of_order_are_read)
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

Test(safetensors_header, bad_headers_are_refused_with_tensor_and_reason)
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

Test(safetensors_header, header_length_is_limited)
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
