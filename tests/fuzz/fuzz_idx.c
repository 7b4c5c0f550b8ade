/* fuzz_idx: any bytes as an IDX file, plain or gzip by what they say themselves; as images, and as labels. */
#include "backprop/data.h"
#include "fuzz/fuzz.h"
#include "host/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    bp_context *context = fuzz_context();
    const char *path = fuzz_file(bytes, count);
    bpi_idx array;
    if (fuzz_accepted(bpi_idx_read(context, path, &array))) {
        int64_t product = 1, sum = 0;
        for (int i = 0; i < array.rank; i++)
            product *= array.shape[i];
        fuzz_require(array.count == product && (int64_t)array.bytes == product, "count is the product of the shape");
        for (int64_t i = 0; i < array.count; i++)
            sum += array.values[i];
        fuzz_require(sum <= 255 * array.count, "elements are bytes");
    }
    bpi_idx_free(context, &array);

    bp_data *data;
    fuzz_accepted(bp_data_load_idx(context, path, NULL, &data));
    bp_data_destroy(data);
    fuzz_accepted(bp_data_load_idx(context, path, path, &data));
    bp_data_destroy(data);
    fuzz_require_no_leak();
    return 0;
}
