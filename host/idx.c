/* idx.c: reads IDX files: two zero bytes, a type, a number of dimensions, the dimensions as big-endian 32-bit numbers,
 * the elements. zlib reads plain files as they are, so one path serves both. Contract in idx.h. zlib's own buffers do
 * not come from the allocator hooks. */
#include "host/idx.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "host/bytes.h"
#include "host/file.h"

enum {
    UNSIGNED_BYTE = 8,
    MAX_RANK = sizeof((bpi_idx *)0)->shape / sizeof(int64_t),
    MAX_INFLATION = 1032, /* deflate codes at most 258 bytes in 2 bits */
    SMALL_BUFFER = 1 << 12,
    LARGE_BUFFER = 1 << 17,
};

typedef struct idx_reader {
    bp_context *context;
    const char *path;
    int64_t file_bytes;
    gzFile stream;
} idx_reader;

/* What zlib or the system says about a read that failed or ended early. */
static bp_status read_fail(const idx_reader *reader)
{
    int code;
    const char *words = gzerror(reader->stream, &code);
    if (code == Z_ERRNO)
        return BPI_FAIL(reader->context, BP_STATUS_IO, "cannot read %s: %s", reader->path, strerror(errno));
    if (code == Z_MEM_ERROR)
        return BPI_FAIL(reader->context, BP_STATUS_OUT_OF_MEMORY, "%s: no memory to decompress it", reader->path);
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s ends early: it is truncated", reader->path);
    return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s is damaged: %s", reader->path, words);
}

static bp_status read_bytes(const idx_reader *reader, void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        size_t left = count - done;
        errno = 0;
        int got = gzread(reader->stream, (char *)bytes + done, left < (1u << 30) ? (unsigned)left : 1u << 30);
        if (got <= 0)
            return read_fail(reader);
        done += (size_t)got;
    }
    return BP_STATUS_OK;
}

static bp_status read_shape(const idx_reader *reader, bpi_idx *array)
{
    unsigned char magic[4];
    BPI_TRY(read_bytes(reader, magic, sizeof magic));
    if (magic[0] != 0 || magic[1] != 0 || magic[3] == 0)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s is no IDX file: its magic is %02x%02x%02x%02x",
                        reader->path, magic[0], magic[1], magic[2], magic[3]);
    if (magic[2] != UNSIGNED_BYTE)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA,
                        "%s: IDX elements of the type 0x%02x; unsigned bytes (0x08) are wanted", reader->path,
                        magic[2]);
    if (magic[3] > MAX_RANK)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s has %d dimensions, at most %d can be read",
                        reader->path, magic[3], MAX_RANK);
    array->rank = magic[3];
    array->count = 1;
    int64_t most = reader->file_bytes * MAX_INFLATION;
    for (int i = 0; i < array->rank; i++) {
        unsigned char size[4];
        BPI_TRY(read_bytes(reader, size, sizeof size));
        array->shape[i] = bpi_load_big32(size);
        /* More than any file of this length can hold: so a wrong shape takes no memory. */
        if (array->shape[i] > 0 && array->count > most / array->shape[i])
            return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA,
                            "%s: its shape wants more bytes than the file can hold: it is truncated or no IDX file",
                            reader->path);
        array->count *= array->shape[i];
    }
    return BP_STATUS_OK;
}

static bp_status check_end(const idx_reader *reader)
{
    char byte;
    errno = 0;
    int got = gzread(reader->stream, &byte, 1);
    if (got > 0)
        return BPI_FAIL(reader->context, BP_STATUS_BAD_DATA, "%s: bytes are left over after the elements of its shape",
                        reader->path);
    int code;
    gzerror(reader->stream, &code);
    return got == 0 && (code == Z_OK || code == Z_STREAM_END) ? BP_STATUS_OK : read_fail(reader);
}

static bp_status read_array(const idx_reader *reader, bpi_idx *array)
{
    BPI_TRY(read_shape(reader, array));
    void *memory;
    BPI_TRY(bpi_alloc(reader->context, (size_t)array->count, reader->path, &memory));
    array->values = memory;
    array->bytes = (size_t)array->count;
    BPI_TRY(read_bytes(reader, array->values, array->bytes));
    return check_end(reader);
}

bp_status bpi_idx_read(bp_context *context, const char *path, bpi_idx *array)
{
    memset(array, 0, sizeof *array);
    bpi_in_file file;
    BPI_TRY(bpi_in_file_open(context, path, &file));
    int descriptor = dup(fileno(file.stream));
    idx_reader reader = {context, path, file.bytes, descriptor < 0 ? NULL : gzdopen(descriptor, "rb")};
    bpi_in_file_close(&file);
    if (!reader.stream) {
        if (descriptor >= 0)
            close(descriptor);
        return BPI_FAIL(context, BP_STATUS_OUT_OF_MEMORY, "%s: no memory to decompress it", path);
    }
    gzbuffer(reader.stream, reader.file_bytes < LARGE_BUFFER ? SMALL_BUFFER : LARGE_BUFFER);
    bp_status status = read_array(&reader, array);
    gzclose_r(reader.stream);
    if (status != BP_STATUS_OK)
        bpi_idx_free(context, array);
    return status;
}

void bpi_idx_free(bp_context *context, bpi_idx *array)
{
    bpi_free(context, array->values, array->bytes);
    memset(array, 0, sizeof *array);
}
