/* fuzz_safetensors: any bytes as a safetensors file; every tensor of one that is accepted is read. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "host/safetensors.h"

static void read_all(bpi_st_reader *reader, size_t file_bytes)
{
    int64_t elements = 0;
    for (int64_t i = 0; i < bpi_st_tensor_count(reader); i++) {
        const bpi_st_tensor *tensor = bpi_st_tensor_at(reader, i);
        int64_t count = 1;
        for (int k = 0; k < tensor->rank; k++)
            count *= tensor->shape[k];
        elements += count;
        fuzz_require(tensor->count == count, "count is the product of the shape");
        fuzz_require(elements <= (int64_t)file_bytes / 2, "the file holds all its elements");
        fuzz_require(bpi_st_find(reader, tensor->name) == i, "a tensor is found by its name");
        uint64_t *values = malloc((size_t)count * sizeof *values + 1);
        bp_status floats = bpi_st_read_f64(reader, i, (double *)values);
        bp_status integers = bpi_st_read_i64(reader, i, (int64_t *)values);
        fuzz_require((floats == BP_STATUS_OK) == (tensor->type != BPI_ST_I64), "floats are read as floats");
        fuzz_require((integers == BP_STATUS_OK) == (tensor->type == BPI_ST_I64), "integers are read as integers");
        free(values);
    }
    const char *format = bpi_st_get_metadata(reader, "format");
    fuzz_require(!format || strlen(format) < file_bytes, "metadata are a string");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    bp_context *context = fuzz_context();
    bpi_st_reader *reader;
    if (fuzz_accepted(bpi_st_reader_open(context, fuzz_file(bytes, count), &reader)))
        read_all(reader, count);
    bpi_st_reader_close(reader);
    fuzz_require_no_leak();
    return 0;
}
