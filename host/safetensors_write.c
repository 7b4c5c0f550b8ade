/* safetensors_write.c: a header built from what was declared, then the tensors' bytes in that order, into a file that
 * replaces `path` at commit. The header is padded with spaces so that the data starts on 8 bytes and can be mapped.
 * Calls out of order are our own mistake and INTERNAL, so that no wrong file is left behind. Contract in safetensors.h.
 * jansson's and stdio's own memory does not come from the allocator hooks: jansson's are global to the process. */
#include <jansson.h>
#include <string.h>

#include "host/bytes.h"
#include "host/file.h"
#include "host/safetensors.h"

typedef struct declared {
    bpi_st_type type;
    int64_t count;
} declared;

struct bpi_st_writer {
    bp_context *context;
    bpi_out_file file;
    json_t *header;
    declared *tensors;
    int64_t tensor_count, capacity;
    int64_t next;   /* tensor that the next bpi_st_write writes */
    int64_t offset; /* bytes declared so far */
    bool header_written;
};

static bp_status out_of_memory(const bpi_st_writer *writer)
{
    return BPI_FAIL(writer->context, BP_STATUS_OUT_OF_MEMORY, "out of memory for the header of %s", writer->file.path);
}

bp_status bpi_st_writer_create(bp_context *context, const char *path, bpi_st_writer **writer)
{
    *writer = NULL;
    void *memory;
    BPI_TRY(bpi_alloc(context, sizeof(bpi_st_writer), "a safetensors writer", &memory));
    bpi_st_writer *made = memory;
    made->context = context;
    bp_status status;
    BPI_TRY_GOTO(bpi_out_file_open(context, path, &made->file), status, fail);
    made->header = json_object();
    if (!made->header) {
        status = out_of_memory(made);
        goto fail;
    }
    *writer = made;
    return BP_STATUS_OK;
fail:
    bpi_st_writer_destroy(made);
    return status;
}

bp_status bpi_st_metadata(bpi_st_writer *writer, const char *key, const char *value)
{
    json_t *metadata = json_object_get(writer->header, "__metadata__");
    if (!metadata) {
        metadata = json_object();
        if (json_object_set_new(writer->header, "__metadata__", metadata) != 0)
            return out_of_memory(writer);
    }
    return json_object_set_new(metadata, key, json_string(value)) == 0 ? BP_STATUS_OK : out_of_memory(writer);
}

/* ---------------------------------------------------------------- declaring */

static bp_status append(bpi_st_writer *writer, bpi_st_type type, int64_t count)
{
    if (writer->tensor_count == writer->capacity) {
        int64_t capacity = writer->capacity ? 2 * writer->capacity : 32;
        void *memory;
        BPI_TRY(bpi_alloc(writer->context, (size_t)capacity * sizeof(declared), "the list of tensors", &memory));
        if (writer->tensor_count)
            memcpy(memory, writer->tensors, (size_t)writer->tensor_count * sizeof(declared));
        bpi_free(writer->context, writer->tensors, (size_t)writer->capacity * sizeof(declared));
        writer->tensors = memory;
        writer->capacity = capacity;
    }
    writer->tensors[writer->tensor_count++] = (declared){type, count};
    return BP_STATUS_OK;
}

/* NULL where memory ran out. */
static json_t *shape_array(int rank, const int64_t *shape)
{
    json_t *array = json_array();
    for (int i = 0; array && i < rank; i++)
        if (json_array_append_new(array, json_integer((json_int_t)shape[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

bp_status bpi_st_declare(bpi_st_writer *writer, const char *name, bpi_st_type type, int rank, const int64_t *shape)
{
    bool known = type == BPI_ST_F64 || type == BPI_ST_F32 || type == BPI_ST_I64;
    if (writer->header_written || !known || rank < 0 || rank > 2 || json_object_get(writer->header, name))
        return BPI_FAIL(writer->context, BP_STATUS_INTERNAL, "%s: tensor %s declared twice, too late or badly",
                        writer->file.path, name);
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= shape[i];
    int64_t bytes = count * (type == BPI_ST_F32 ? 4 : 8);
    BPI_TRY(append(writer, type, count));

    json_t *dimensions = shape_array(rank, shape);
    if (!dimensions)
        return out_of_memory(writer);
    const char *type_name = type == BPI_ST_F64 ? "F64" : type == BPI_ST_F32 ? "F32" : "I64";
    json_t *entry = json_pack("{s:s, s:o, s:[I,I]}", "dtype", type_name, "shape", dimensions, "data_offsets",
                              (json_int_t)writer->offset, (json_int_t)(writer->offset + bytes));
    if (json_object_set_new(writer->header, name, entry) != 0)
        return out_of_memory(writer);
    writer->offset += bytes;
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- writing */

static bp_status write_header(bpi_st_writer *writer)
{
    writer->header_written = true;
    size_t length = json_dumpb(writer->header, NULL, 0, JSON_COMPACT);
    size_t padded = (length + 7) / 8 * 8;
    if (length == 0)
        return out_of_memory(writer);
    void *memory;
    BPI_TRY(bpi_alloc(writer->context, 8 + padded, "a safetensors header", &memory));
    unsigned char *bytes = memory;
    bpi_store_little(padded, 8, bytes);
    memset(bytes + 8, ' ', padded);
    bool dumped = json_dumpb(writer->header, (char *)bytes + 8, length, JSON_COMPACT) == length;
    bp_status status = dumped ? bpi_out_file_write(&writer->file, bytes, 8 + padded) : out_of_memory(writer);
    bpi_free(writer->context, memory, 8 + padded);
    return status;
}

static uint64_t value_bits(bpi_st_type type, const void *values, int64_t index)
{
    uint64_t bits;
    if (type == BPI_ST_F32) {
        float rounded = (float)((const double *)values)[index];
        uint32_t bits32;
        memcpy(&bits32, &rounded, sizeof bits32);
        return bits32;
    }
    memcpy(&bits, (const char *)values + 8 * index, sizeof bits);
    return bits;
}

bp_status bpi_st_write(bpi_st_writer *writer, const void *values, int64_t count)
{
    if (!writer->header_written)
        BPI_TRY(write_header(writer));
    if (writer->next >= writer->tensor_count || writer->tensors[writer->next].count != count)
        return BPI_FAIL(writer->context, BP_STATUS_INTERNAL, "%s: %lld values written that were not declared",
                        writer->file.path, (long long)count);
    bpi_st_type type = writer->tensors[writer->next++].type;
    int size = type == BPI_ST_F32 ? 4 : 8;
    enum { CHUNK = 1024 };
    unsigned char bytes[8 * CHUNK];
    for (int64_t first = 0; first < count; first += CHUNK) {
        int64_t part = count - first < CHUNK ? count - first : CHUNK;
        for (int64_t i = 0; i < part; i++)
            bpi_store_little(value_bits(type, values, first + i), size, bytes + size * i);
        BPI_TRY(bpi_out_file_write(&writer->file, bytes, (size_t)(size * part)));
    }
    return BP_STATUS_OK;
}

bp_status bpi_st_commit(bpi_st_writer *writer)
{
    if (!writer->header_written)
        BPI_TRY(write_header(writer));
    if (writer->next != writer->tensor_count)
        return BPI_FAIL(writer->context, BP_STATUS_INTERNAL, "%s: %lld of %lld declared tensors were written",
                        writer->file.path, (long long)writer->next, (long long)writer->tensor_count);
    return bpi_out_file_commit(&writer->file);
}

void bpi_st_writer_destroy(bpi_st_writer *writer)
{
    if (!writer)
        return;
    bp_context *context = writer->context;
    bpi_out_file_abandon(&writer->file);
    json_decref(writer->header);
    bpi_free(context, writer->tensors, (size_t)writer->capacity * sizeof(declared));
    bpi_free(context, writer, sizeof *writer);
}
