/* safetensors_header.c: parses the JSON header of a safetensors file and believes nothing: types, shapes and offsets
 * must fit each other, and the tensors must fill the data section without holes or overlaps. Pure: reads no file. */
#include "host/safetensors_header.h"

#include <stdlib.h>
#include <string.h>

/* JSON numbers beyond 2^53 do not survive readers that hold them as double, so the format does not use them. */
#define LARGEST_NUMBER ((int64_t)1 << 53)
enum { MAX_RANK = sizeof((bpi_st_tensor *)0)->shape / sizeof(int64_t) };

static const struct {
    const char *name;
    bpi_st_type type;
    int bytes;
} types[] = {
    {"F64", BPI_ST_F64, 8},   {"F32", BPI_ST_F32, 4}, {"F16", BPI_ST_F16, 2},
    {"BF16", BPI_ST_BF16, 2}, {"I64", BPI_ST_I64, 8},
};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

typedef struct header_parser {
    bp_context *context;
    const char *path;
    int64_t data_bytes;
} header_parser;

#define BAD(parser, format, ...)                                                                                       \
    BPI_FAIL((parser)->context, BP_STATUS_BAD_DATA, "%s: " format, (parser)->path, __VA_ARGS__)

int bpi_st_type_bytes(bpi_st_type type)
{
    for (int i = 0; i < TYPE_COUNT; i++)
        if (types[i].type == type)
            return types[i].bytes;
    return 0;
}

/* ---------------------------------------------------------------- one tensor */

/* A number of the header: an integer from 0 to 2^53. */
static bp_status parse_number(const header_parser *parser, const char *name, const char *what, const json_t *json,
                              int64_t *number)
{
    if (!json_is_integer(json))
        return BAD(parser, "tensor %.200s: %s holds something that is not an integer", name, what);
    *number = json_integer_value(json);
    if (*number < 0 || *number > LARGEST_NUMBER)
        return BAD(parser, "tensor %.200s: %s holds %lld; the format allows 0 to 2^53", name, what, (long long)*number);
    return BP_STATUS_OK;
}

static bp_status parse_type(const header_parser *parser, const json_t *json, bpi_st_tensor *tensor)
{
    const char *name = json_string_value(json);
    if (!name)
        return BAD(parser, "tensor %.200s has no dtype that is a string", tensor->name);
    for (int i = 0; i < TYPE_COUNT; i++) {
        if (strcmp(name, types[i].name) == 0) {
            tensor->type = types[i].type;
            return BP_STATUS_OK;
        }
    }
    return BAD(parser, "tensor %.200s has the dtype %.32s; F64, F32, F16, BF16 and I64 can be read", tensor->name,
               name);
}

static bp_status parse_shape(const header_parser *parser, const json_t *json, bpi_st_tensor *tensor)
{
    if (!json_is_array(json))
        return BAD(parser, "tensor %.200s has no shape that is an array", tensor->name);
    if (json_array_size(json) > MAX_RANK)
        return BAD(parser, "tensor %.200s has %zu dimensions, at most %d can be read", tensor->name,
                   json_array_size(json), MAX_RANK);
    tensor->rank = (int)json_array_size(json);
    tensor->count = 1;
    for (int i = 0; i < tensor->rank; i++) {
        int64_t size = 0;
        BPI_TRY(parse_number(parser, tensor->name, "shape", json_array_get(json, (size_t)i), &size));
        tensor->shape[i] = size;
        if (size > 0 && tensor->count > LARGEST_NUMBER / size)
            return BAD(parser, "tensor %.200s: shape holds more than 2^53 elements", tensor->name);
        tensor->count *= size;
    }
    return BP_STATUS_OK;
}

static bp_status parse_offsets(const header_parser *parser, const json_t *json, bpi_st_entry *entry)
{
    const char *name = entry->tensor.name;
    if (!json_is_array(json) || json_array_size(json) != 2)
        return BAD(parser, "tensor %.200s has no data_offsets that are an array of two numbers", name);
    BPI_TRY(parse_number(parser, name, "data_offsets", json_array_get(json, 0), &entry->begin));
    BPI_TRY(parse_number(parser, name, "data_offsets", json_array_get(json, 1), &entry->end));
    int64_t size = bpi_st_type_bytes(entry->tensor.type);
    int64_t bytes = entry->end - entry->begin;
    if (bytes < 0 || bytes % size != 0 || bytes / size != entry->tensor.count)
        return BAD(parser,
                   "tensor %.200s: data_offsets %lld to %lld do not match its shape of %lld elements of %d bytes", name,
                   (long long)entry->begin, (long long)entry->end, (long long)entry->tensor.count, (int)size);
    if (entry->end > parser->data_bytes)
        return BAD(parser, "tensor %.200s ends at byte %lld of a data section of %lld bytes: the file is truncated",
                   name, (long long)entry->end, (long long)parser->data_bytes);
    return BP_STATUS_OK;
}

static bp_status parse_entry(const header_parser *parser, const char *name, const json_t *json, bpi_st_entry *entry)
{
    entry->tensor.name = name;
    if (!json_is_object(json))
        return BAD(parser, "tensor %.200s is described by something that is not an object", name);
    BPI_TRY(parse_type(parser, json_object_get(json, "dtype"), &entry->tensor));
    BPI_TRY(parse_shape(parser, json_object_get(json, "shape"), &entry->tensor));
    BPI_TRY(parse_offsets(parser, json_object_get(json, "data_offsets"), entry));
    if (json_object_size(json) != 3)
        return BAD(parser, "tensor %.200s: its description holds more than dtype, shape and data_offsets", name);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- all of them */

static bp_status check_metadata(const header_parser *parser, json_t *metadata)
{
    if (metadata && !json_is_object(metadata))
        return BAD(parser, "%s is not an object", "__metadata__");
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return BAD(parser, "__metadata__ %.200s is not a string", key);
    }
    return BP_STATUS_OK;
}

static int compare_places(const void *left, const void *right)
{
    const bpi_st_entry *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return strcmp(a->tensor.name, b->tensor.name);
}

/* Each tensor begins where the one before ends, and the last ends with the file. */
static bp_status check_places(const header_parser *parser, const bpi_st_header *header)
{
    int64_t end = 0;
    for (int64_t i = 0; i < header->count; i++) {
        const bpi_st_entry *entry = &header->entries[i];
        if (entry->begin != end)
            return BAD(parser, "tensor %.200s begins at byte %lld of the data and %s at byte %lld: an %s",
                       entry->tensor.name, (long long)entry->begin, i ? "the one before ends" : "the data begins",
                       (long long)end, entry->begin < end ? "overlap" : "unused gap");
        end = entry->end;
    }
    if (end != parser->data_bytes)
        return BAD(parser, "%lld bytes after the last tensor", (long long)(parser->data_bytes - end));
    return BP_STATUS_OK;
}

static bp_status parse_entries(const header_parser *parser, bpi_st_header *header)
{
    const char *name;
    json_t *json;
    json_object_foreach(header->json, name, json)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        BPI_TRY(parse_entry(parser, name, json, &header->entries[header->count]));
        header->count++;
    }
    if (header->count > 1)
        qsort(header->entries, (size_t)header->count, sizeof *header->entries, compare_places);
    return check_places(parser, header);
}

bp_status bpi_st_header_parse(bp_context *context, const char *path, const char *text, size_t length,
                              int64_t data_bytes, bpi_st_header *header)
{
    header_parser parser = {context, path, data_bytes};
    json_error_t error;
    header->json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    /* Without memory jansson says nothing, or takes the token that it cannot keep for a wrong one: then so do we. */
    if (!header->json && (error.text[0] == 0 || json_error_code(&error) == json_error_out_of_memory))
        return BPI_FAIL(context, BP_STATUS_OUT_OF_MEMORY, "out of memory for the header of %s", path);
    if (!header->json)
        return BAD(&parser, "the header is not valid JSON: %s, at byte %d", error.text, 8 + error.position);
    if (!json_is_object(header->json))
        return BAD(&parser, "the header is not a JSON %s", "object");
    BPI_TRY(check_metadata(&parser, json_object_get(header->json, "__metadata__")));

    void *memory;
    header->capacity = json_object_size(header->json);
    BPI_TRY(bpi_alloc(context, header->capacity * sizeof(bpi_st_entry), "the tensors of a file", &memory));
    header->entries = memory;
    return parse_entries(&parser, header);
}

void bpi_st_header_release(bp_context *context, bpi_st_header *header)
{
    bpi_free(context, header->entries, header->capacity * sizeof(bpi_st_entry));
    json_decref(header->json);
    memset(header, 0, sizeof *header);
}
