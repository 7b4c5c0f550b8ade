/* fuzz_npy: any bytes as an NPY file, as the array alone, and as inputs and targets. */
#include <math.h>
#include <string.h>

#include "backprop/data.h"
#include "fuzz/fuzz.h"
#include "host/npy.h"
#include "host/npy_header.h"

static void check_array(const bpi_npy *array)
{
    int64_t count = 1;
    for (int i = 0; i < array->rank; i++)
        count *= array->shape[i];
    fuzz_require(array->count == count, "count is the product of the shape");
    fuzz_require((int64_t)array->bytes == count * bpi_npy_type_bytes(array->type), "bytes are those of the elements");
    const char *values = array->values;
    for (size_t i = 0; i < array->bytes; i++) /* the address sanitizer watches */
        count += values[i];
    fuzz_require(count != INT64_MIN, "the sum is used, so that the reads are not left out");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    bp_context *context = fuzz_context();
    const char *path = fuzz_file(bytes, count);
    bpi_npy array;
    if (fuzz_accepted(bpi_npy_read(context, path, &array)))
        check_array(&array);
    bpi_npy_free(context, &array);

    bp_data *data;
    if (fuzz_accepted(bp_data_load_npy(context, path, path, &data))) {
        float row[16];
        bool small = bp_data_inputs(data) <= 16;
        fuzz_require(bp_data_rows(data) > 0 && bp_data_inputs(data) > 0, "samples that were accepted are there");
        if (small)
            fuzz_require(bp_data_get_inputs(data, bp_data_rows(data) - 1, 1, row) == BP_STATUS_OK,
                         "the last row is there");
        for (int64_t i = 0; small && i < bp_data_inputs(data); i++)
            fuzz_require(isfinite(row[i]), "inputs are finite");
    }
    bp_data_destroy(data);
    fuzz_require_no_leak();
    return 0;
}
