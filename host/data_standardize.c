/* data_standardize.c: mean and standard deviation of every input column, in double and in two passes: the second sums
 * squares of differences from the mean, so that a large mean costs no digits. Row after row, so the same bits on every
 * run. The deviation is that of the whole (divided by N). */
#include <math.h>
#include <string.h>

#include "host/data.h"
#include "host/model.h"

/* One element a column each. */
typedef struct columns {
    double *mean, *squares;
    float *smallest, *largest, *row, *std;
} columns;

static void carve(columns *c, void *memory, int64_t inputs)
{
    c->mean = memory;
    c->squares = c->mean + inputs;
    c->smallest = (float *)(c->squares + inputs);
    c->largest = c->smallest + inputs;
    c->row = c->largest + inputs;
    c->std = c->row + inputs;
}

static bp_status sum_up(const bp_data *data, columns *c)
{
    int64_t rows = data->source.rows, inputs = data->source.inputs;
    for (int64_t row = 0; row < rows; row++) {
        BPI_TRY(bp_data_get_inputs(data, row, 1, c->row));
        for (int64_t i = 0; i < inputs; i++) {
            c->mean[i] += (double)c->row[i];
            c->smallest[i] = row == 0 || c->row[i] < c->smallest[i] ? c->row[i] : c->smallest[i];
            c->largest[i] = row == 0 || c->row[i] > c->largest[i] ? c->row[i] : c->largest[i];
        }
    }
    for (int64_t i = 0; i < inputs; i++)
        c->mean[i] /= (double)rows;
    for (int64_t row = 0; row < rows; row++) {
        BPI_TRY(bp_data_get_inputs(data, row, 1, c->row));
        for (int64_t i = 0; i < inputs; i++) {
            double difference = (double)c->row[i] - c->mean[i];
            c->squares[i] += difference * difference;
        }
    }
    return BP_STATUS_OK;
}

/* Into c->row (the mean) and c->std. A column that does not vary is one whose smallest is its largest: from 2^29 rows
 * on the sum of equal numbers is rounded, and their squares no longer vanish. A deviation whose inverse is no float32
 * counts as none. */
static void finish(columns *c, int64_t rows, int64_t inputs)
{
    for (int64_t i = 0; i < inputs; i++) {
        bool varies = c->smallest[i] < c->largest[i];
        float std = (float)sqrt(c->squares[i] / (double)rows);
        c->row[i] = varies ? (float)c->mean[i] : c->smallest[i];
        c->std[i] = varies && isfinite(1.0f / std) ? std : 1.0f;
    }
}

bp_status bp_data_standardize(const bp_data *data, bp_model *model)
{
    bp_context *context = model ? model->context : data ? data->context : NULL;
    if (!data || !model)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_data_standardize: %s is NULL",
                        data ? "model" : "data");
    int64_t rows = data->source.rows, inputs = data->source.inputs;
    if (inputs != bp_model_inputs(model))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "%s has %lld inputs, and the model takes %lld", data->name,
                        (long long)inputs, (long long)bp_model_inputs(model));
    size_t bytes;
    void *memory;
    BPI_TRY(bpi_array_bytes(context, inputs, 2 * sizeof(double) + 4 * sizeof(float), "bp_data_standardize", &bytes));
    BPI_TRY(bpi_alloc(context, bytes, "bp_data_standardize", &memory));
    columns c;
    carve(&c, memory, inputs);
    bp_status status = sum_up(data, &c);
    if (status == BP_STATUS_OK) {
        finish(&c, rows, inputs);
        status = bp_model_set_standardization(model, c.row, c.std);
    }
    bpi_free(context, memory, bytes);
    return status;
}
