/* fuzz_csv: any bytes as a CSV file, with the target "y" and without one. */
#include <math.h>

#include "fuzz/fuzz.h"
#include "host/csv.h"

static void check(const bpi_csv *table, bool target)
{
    fuzz_require(table->rows > 0 && table->inputs > 0, "a table that was accepted holds numbers");
    fuzz_require(!table->targets == !target, "targets are there where they were asked for");
    for (int64_t i = 0; i < table->rows * table->inputs; i++)
        fuzz_require(isfinite(table->x[i]), "inputs are finite");
    for (int64_t row = 0; target && row < table->rows; row++) {
        fuzz_require(isfinite(table->targets[row]), "targets are finite");
        fuzz_require(!table->classes || (table->classes[row] >= 0 && table->targets[row] == (float)table->classes[row]),
                     "classes are the targets");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    bp_context *context = fuzz_context();
    const char *path = fuzz_file(bytes, count);
    static const char *const targets[] = {"y", NULL};
    for (int i = 0; i < 2; i++) {
        bpi_csv table;
        if (fuzz_accepted(bpi_csv_read(context, path, targets[i], &table)))
            check(&table, targets[i] != NULL);
        bpi_csv_free(context, &table);
    }
    fuzz_require_no_leak();
    return 0;
}
