/* data_split.c: parts a data set in two, at random but by the seed alone. The contract is backprop/data.h. */
#include <math.h>
#include <string.h>

#include "host/trainer.h"

/* How the copy of a source is made: which of its rows. */
typedef struct choice {
    const bp_data *from;
    const uint8_t *chosen; /* [rows] */
    uint8_t wanted;        /* rows whose mark is this */
    int64_t rows;          /* so many */
} choice;

/* The wanted rows of an array of `size` bytes a row. */
static bp_status copy_rows(const choice *c, const void *array, int64_t cols, size_t size, const void **own,
                           size_t *bytes)
{
    bp_context *context = c->from->context;
    void *memory;
    BPI_TRY(bpi_matrix_bytes(context, c->rows, cols, size, "bp_data_split", bytes));
    BPI_TRY(bpi_alloc(context, *bytes, "bp_data_split", &memory));
    size_t row_bytes = (size_t)cols * size;
    char *to = memory;
    for (int64_t row = 0; row < c->from->source.rows; row++)
        if (c->chosen[row] == c->wanted) {
            memcpy(to, (const char *)array + (size_t)row * row_bytes, row_bytes);
            to += row_bytes;
        }
    *own = memory;
    return BP_STATUS_OK;
}

/* Values that are classes too are made anew by bpi_data_inspect. */
static bp_status fill(const choice *c, bp_data *made)
{
    const bpi_source *from = &c->from->source;
    bpi_source *source = &made->source;
    const void *own;
    source->x_type = from->x_type;
    source->divisor = from->divisor;
    source->rows = c->rows;
    source->inputs = from->inputs;
    made->kind = c->from->kind;
    BPI_TRY(copy_rows(c, from->x, from->inputs, bpi_type_bytes(from->x_type), &own, &made->x_bytes));
    source->x = own;
    if (from->classes) {
        BPI_TRY(copy_rows(c, from->classes, 1, sizeof *from->classes, &own, &made->classes_bytes));
        source->classes = own;
    }
    if (from->targets && made->kind != BPI_TARGETS_CLASSES) {
        source->target_cols = from->target_cols;
        BPI_TRY(copy_rows(c, from->targets, from->target_cols, sizeof *from->targets, &own, &made->targets_bytes));
        source->targets = own;
    }
    return bpi_data_inspect(made);
}

static bp_status make(const choice *c, bp_data **data)
{
    bp_data *made;
    BPI_TRY(bpi_data_new(c->from->context, c->from->name, &made));
    bp_status status = fill(c, made);
    if (status == BP_STATUS_OK)
        *data = made;
    else
        bp_data_destroy(made);
    return status;
}

static bp_status mark(const bp_data *data, uint64_t seed, int64_t part_rows, uint8_t *chosen)
{
    bp_context *context = data->context;
    int64_t rows = data->source.rows, *order;
    size_t bytes = 0;
    BPI_TRY(bpi_array_bytes(context, rows, sizeof *order, "bp_data_split", &bytes));
    BPI_TRY(bpi_alloc(context, bytes, "bp_data_split", (void **)&order));
    bpi_shuffle(seed, BPI_SPLIT_EPOCH, rows, order);
    for (int64_t i = 0; i < part_rows; i++)
        chosen[order[i]] = 1;
    bpi_free(context, order, bytes);
    return BP_STATUS_OK;
}

static bp_status split(const bp_data *data, uint64_t seed, int64_t part_rows, bp_data **rest, bp_data **part)
{
    bp_context *context = data->context;
    int64_t rows = data->source.rows;
    uint8_t *chosen;
    BPI_TRY(bpi_alloc(context, (size_t)rows, "bp_data_split", (void **)&chosen));
    bp_status status = mark(data, seed, part_rows, chosen);
    if (status == BP_STATUS_OK)
        status = make(&(choice){data, chosen, 0, rows - part_rows}, rest);
    if (status == BP_STATUS_OK)
        status = make(&(choice){data, chosen, 1, part_rows}, part);
    if (status != BP_STATUS_OK) {
        bp_data_destroy(*rest);
        *rest = NULL;
    }
    bpi_free(context, chosen, (size_t)rows);
    return status;
}

bp_status bp_data_split(const bp_data *data, double fraction, uint64_t seed, bp_data **rest, bp_data **part)
{
    bp_context *context = data ? data->context : NULL;
    if (rest)
        *rest = NULL;
    if (part)
        *part = NULL;
    if (!data || !rest || !part)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "bp_data_split: %s is NULL",
                        !data   ? "data"
                        : !rest ? "rest"
                                : "part");
    if (!(fraction > 0.0 && fraction < 1.0))
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_data_split: fraction is %g; it must be above 0 and below 1", fraction);
    int64_t rows = data->source.rows, part_rows = llround(fraction * (double)rows);
    if (part_rows < 1 || part_rows >= rows)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                        "bp_data_split: %g of %lld samples is %lld, which leaves one of the two parts without any",
                        fraction, (long long)rows, (long long)part_rows);
    return split(data, seed, part_rows, rest, part);
}
