/* npy.c: NumPy's array files: a magic, a version, a header that is a Python dictionary (npy_header.c), the elements.
 * Reads versions 1.0 to 3.0 in C order and little-endian; writes version 1.0 in f32. Contracts in npy.h and
 * backprop/data.h. */
#include "host/npy.h"

#include <string.h>

#include "backprop/data.h"
#include "host/bytes.h"
#include "host/file.h"
#include "host/npy_header.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "NPY elements are read into memory as they are: this needs a little-endian machine"
#endif

#define MAGIC "\x93NUMPY"
enum { MAGIC_BYTES = 6, ALIGNMENT = 64, MAX_HEADER_BYTES = 10000 /* as numpy.load's max_header_size */ };

/* ---------------------------------------------------------------- read */

static bp_status read_header(bpi_in_file *file, bpi_npy *array)
{
    unsigned char head[MAGIC_BYTES + 2];
    if (file->bytes < (int64_t)sizeof head + 2)
        return BPI_FAIL(file->context, BP_STATUS_BAD_DATA, "%s is no NPY file: %lld bytes are too few", file->path,
                        (long long)file->bytes);
    BPI_TRY(bpi_in_file_read(file, head, sizeof head));
    if (memcmp(head, MAGIC, MAGIC_BYTES) != 0)
        return BPI_FAIL(file->context, BP_STATUS_BAD_DATA, "%s is no NPY file: its magic is wrong%s", file->path,
                        memcmp(head, "PK", 2) == 0 ? " (an NPZ archive? save one array with numpy.save)" : "");
    int version = head[MAGIC_BYTES];
    if (version < 1 || version > 3 || head[MAGIC_BYTES + 1] != 0)
        return BPI_FAIL(file->context, BP_STATUS_BAD_DATA, "%s: NPY version %d.%d is not known, 1.0 to 3.0 are",
                        file->path, version, head[MAGIC_BYTES + 1]);
    int length_bytes = version == 1 ? 2 : 4;
    unsigned char length[4];
    BPI_TRY(bpi_in_file_read(file, length, (size_t)length_bytes));
    uint64_t header_bytes = bpi_load_little(length, length_bytes);
    if (header_bytes > MAX_HEADER_BYTES)
        return BPI_FAIL(file->context, BP_STATUS_BAD_DATA, "%s: an NPY header of %llu bytes, at most %d are read",
                        file->path, (unsigned long long)header_bytes, MAX_HEADER_BYTES);
    char text[MAX_HEADER_BYTES + 1];
    BPI_TRY(bpi_in_file_read(file, text, (size_t)header_bytes));
    text[header_bytes] = 0;
    if (memchr(text, 0, (size_t)header_bytes))
        return BPI_FAIL(file->context, BP_STATUS_BAD_DATA, "%s: malformed NPY header: it holds a zero byte",
                        file->path);
    return bpi_npy_header_parse(file->context, file->path, text, array);
}

static bp_status read_values(bpi_in_file *file, bpi_npy *array)
{
    int64_t wanted = array->count * bpi_npy_type_bytes(array->type);
    int64_t there = file->bytes - (int64_t)ftello(file->stream);
    if (there != wanted)
        return BPI_FAIL(file->context, BP_STATUS_BAD_DATA,
                        "%s holds %lld bytes of elements, and its shape wants %lld: %s", file->path, (long long)there,
                        (long long)wanted, there < wanted ? "it is truncated" : "bytes are left over");
    void *memory;
    BPI_TRY(bpi_alloc(file->context, (size_t)wanted, file->path, &memory));
    bp_status status = bpi_in_file_read(file, memory, (size_t)wanted);
    if (status != BP_STATUS_OK) {
        bpi_free(file->context, memory, (size_t)wanted);
        return status;
    }
    array->values = memory;
    array->bytes = (size_t)wanted;
    return BP_STATUS_OK;
}

bp_status bpi_npy_read(bp_context *context, const char *path, bpi_npy *array)
{
    memset(array, 0, sizeof *array);
    bpi_in_file file;
    BPI_TRY(bpi_in_file_open(context, path, &file));
    bp_status status = read_header(&file, array);
    if (status == BP_STATUS_OK)
        status = read_values(&file, array);
    bpi_in_file_close(&file);
    return status;
}

void bpi_npy_free(bp_context *context, bpi_npy *array)
{
    bpi_free(context, array->values, array->bytes);
    memset(array, 0, sizeof *array);
}

/* ---------------------------------------------------------------- write */

/* Version 1.0, padded with spaces and a newline so that the elements start on 64 bytes. */
static size_t format_header(int64_t rows, int64_t cols, char header[4 * ALIGNMENT])
{
    char text[3 * ALIGNMENT];
    int length = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                          (long long)rows, (long long)cols);
    size_t used = MAGIC_BYTES + 4 + (size_t)length + 1;
    size_t total = (used + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    memset(header, ' ', total);
    memcpy(header, MAGIC "\x01", MAGIC_BYTES + 2);
    bpi_store_little(total - MAGIC_BYTES - 4, 2, (unsigned char *)header + MAGIC_BYTES + 2);
    memcpy(header + MAGIC_BYTES + 4, text, (size_t)length);
    header[total - 1] = '\n';
    return total;
}

bp_status bp_npy_write(bp_context *context, const char *path, const float *values, int64_t rows, int64_t cols)
{
    if (!context)
        return BP_STATUS_INVALID_ARGUMENT;
    if (rows < 0 || cols < 0 || (rows && cols > INT64_MAX / (int64_t)sizeof(float) / rows))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_npy_write: %lld rows of %lld columns cannot be",
                        (long long)rows, (long long)cols);
    if (!values && rows > 0 && cols > 0)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_npy_write: values is null");
    char header[4 * ALIGNMENT];
    size_t header_bytes = format_header(rows, cols, header);
    bpi_out_file file;
    BPI_TRY(bpi_out_file_open(context, path, &file));
    bp_status status;
    BPI_TRY_GOTO(bpi_out_file_write(&file, header, header_bytes), status, fail);
    BPI_TRY_GOTO(bpi_out_file_write(&file, values, (size_t)(rows * cols) * sizeof(float)), status, fail);
    return bpi_out_file_commit(&file);
fail:
    bpi_out_file_abandon(&file);
    return status;
}
