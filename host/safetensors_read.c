/* safetensors_read.c: opens a safetensors file, has its header checked, and reads values tensor by tensor through a
 * small buffer, so that no file is ever in memory twice. Contract in safetensors.h; the checks are in
 * safetensors_header.c. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "host/bytes.h"
#include "host/file.h"
#include "host/safetensors_header.h"

/* What the authors of the format set, so that a wrong length cannot take all memory. */
#define MAX_HEADER_BYTES 100000000

struct bpi_st_reader {
    bp_context *context;
    bpi_in_file file;
    bpi_st_header header;
    int64_t data; /* byte of the file where the data section begins */
};

static bp_status read_header(bpi_st_reader *reader)
{
    bpi_in_file *file = &reader->file;
    if (file->bytes < 8)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s is no safetensors file: %lld bytes are too few",
                        file->path, (long long)file->bytes);
    unsigned char bytes[8];
    BPI_TRY(bpi_in_file_read(file, bytes, sizeof bytes));
    uint64_t length = bpi_load_little(bytes, 8);
    if (length > MAX_HEADER_BYTES)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA,
                        "%s is no safetensors file: a header of %llu bytes, at most %d are allowed", file->path,
                        (unsigned long long)length, MAX_HEADER_BYTES);
    if ((int64_t)length > file->bytes - 8)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA,
                        "%s is truncated, or no safetensors file: a header of %llu bytes in a file of %lld bytes",
                        file->path, (unsigned long long)length, (long long)file->bytes);
    reader->data = 8 + (int64_t)length;

    void *text;
    BPI_TRY(bpi_alloc(reader->context, (size_t)length, "a safetensors header", &text));
    bp_status status = bpi_in_file_read(file, text, (size_t)length);
    if (status == BP_STATUS_OK)
        status = bpi_st_header_parse(reader->context, file->path, text, (size_t)length, file->bytes - reader->data,
                                     &reader->header);
    bpi_free(reader->context, text, (size_t)length);
    return status;
}

bp_status bpi_st_reader_open(bp_context *context, const char *path, bpi_st_reader **reader)
{
    *reader = NULL;
    void *memory;
    BPI_TRY(bpi_alloc(context, sizeof(bpi_st_reader), "a safetensors reader", &memory));
    bpi_st_reader *made = memory;
    made->context = context;
    bp_status status;
    BPI_TRY_GOTO(bpi_in_file_open(context, path, &made->file), status, fail);
    BPI_TRY_GOTO(read_header(made), status, fail);
    *reader = made;
    return BP_STATUS_OK;
fail:
    bpi_st_reader_close(made);
    return status;
}

void bpi_st_reader_close(bpi_st_reader *reader)
{
    if (!reader)
        return;
    bp_context *context = reader->context;
    bpi_in_file_close(&reader->file);
    bpi_st_header_release(context, &reader->header);
    bpi_free(context, reader, sizeof *reader);
}

int64_t bpi_st_tensor_count(const bpi_st_reader *reader)
{
    return reader->header.count;
}

const bpi_st_tensor *bpi_st_tensor_at(const bpi_st_reader *reader, int64_t index)
{
    return &reader->header.entries[index].tensor;
}

int64_t bpi_st_find(const bpi_st_reader *reader, const char *name)
{
    for (int64_t i = 0; i < reader->header.count; i++)
        if (strcmp(reader->header.entries[i].tensor.name, name) == 0)
            return i;
    return -1;
}

const char *bpi_st_get_metadata(const bpi_st_reader *reader, const char *key)
{
    return json_string_value(json_object_get(json_object_get(reader->header.json, "__metadata__"), key));
}

/* ---------------------------------------------------------------- values */

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 mantissa bits. Every value is exact in double. */
static double half_value(uint64_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    int mantissa = (int)(bits & 1023);
    double value;
    if (exponent == 31)
        value = mantissa ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, -24);
    else
        value = ldexp(1024 + mantissa, exponent - 25);
    return bits >> 15 ? -value : value;
}

static double float_value(uint64_t bits)
{
    uint32_t bits32 = (uint32_t)bits;
    float value;
    memcpy(&value, &bits32, sizeof value);
    return (double)value;
}

static uint64_t converted(bpi_st_type type, const unsigned char *bytes)
{
    double value;
    uint64_t bits;
    switch (type) {
    case BPI_ST_F32:
        value = float_value(bpi_load_little(bytes, 4));
        break;
    case BPI_ST_F16:
        value = half_value(bpi_load_little(bytes, 2));
        break;
    case BPI_ST_BF16:
        value = float_value(bpi_load_little(bytes, 2) << 16); /* the upper half of a float */
        break;
    default:
        return bpi_load_little(bytes, 8);
    }
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* values: 8 bytes an element, double or int64. */
static bp_status read_values(bpi_st_reader *reader, const bpi_st_entry *entry, void *values)
{
    bpi_in_file *file = &reader->file;
    if (fseeko(file->stream, (off_t)(reader->data + entry->begin), SEEK_SET) != 0)
        return BPI_FAIL(reader->context, BP_STATUS_IO, "cannot read %s: %s", file->path, strerror(errno));
    int size = bpi_st_type_bytes(entry->tensor.type);
    enum { CHUNK = 1024 };
    unsigned char bytes[8 * CHUNK];
    for (int64_t first = 0; first < entry->tensor.count; first += CHUNK) {
        int64_t part = entry->tensor.count - first < CHUNK ? entry->tensor.count - first : CHUNK;
        BPI_TRY(bpi_in_file_read(file, bytes, (size_t)(size * part)));
        for (int64_t i = 0; i < part; i++) {
            uint64_t bits = converted(entry->tensor.type, bytes + size * i);
            memcpy((char *)values + 8 * (first + i), &bits, sizeof bits);
        }
    }
    return BP_STATUS_OK;
}

static bp_status check_type(const bpi_st_reader *reader, const bpi_st_entry *entry, bool integer)
{
    if ((entry->tensor.type == BPI_ST_I64) == integer)
        return BP_STATUS_OK;
    return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s: tensor %.200s holds %s, and %s are wanted",
                    reader->file.path, entry->tensor.name, integer ? "floats" : "integers",
                    integer ? "integers" : "floats");
}

bp_status bpi_st_read_f64(bpi_st_reader *reader, int64_t index, double *values)
{
    const bpi_st_entry *entry = &reader->header.entries[index];
    BPI_TRY(check_type(reader, entry, false));
    return read_values(reader, entry, values);
}

bp_status bpi_st_read_i64(bpi_st_reader *reader, int64_t index, int64_t *values)
{
    const bpi_st_entry *entry = &reader->header.entries[index];
    BPI_TRY(check_type(reader, entry, true));
    return read_values(reader, entry, values);
}
