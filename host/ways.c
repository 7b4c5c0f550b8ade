/* ways.c: which way each layer's products go, of those that its backend has besides the plain one (ops.h, bpi_way). */
#include "host/pass.h"

#include <string.h>

static const char *const names[BPI_WAYS] = {
    [BPI_WAY_FORWARD] = "forward_epilogue", [BPI_WAY_DELTA] = "delta_epilogue", [BPI_WAY_BIAS] = "weight_bias",
    [BPI_WAY_SPLIT] = "weight_split",       [BPI_WAY_ONE_LANE] = "one_stream",
};

const char *bpi_way_name(bpi_way way)
{
    return names[way];
}

static bp_status parse_word(bp_context *context, const char *word, size_t length, unsigned *ways)
{
    if (length == strlen("plain") && strncmp(word, "plain", length) == 0)
        return BP_STATUS_OK;
    for (int way = 0; way < BPI_WAYS; way++)
        if (strlen(names[way]) == length && strncmp(names[way], word, length) == 0) {
            *ways |= 1u << way;
            return BP_STATUS_OK;
        }
    return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT,
                    "ways: \"%.*s\" is none; there are plain, %s, %s, %s, %s and %s, separated by commas",
                    (int)(length < 64 ? length : 64), word, names[0], names[1], names[2], names[3], names[4]);
}

bp_status bpi_ways_parse(bp_context *context, const char *words, unsigned *ways)
{
    *ways = 0;
    while (words) {
        size_t length = strcspn(words, ",");
        BPI_TRY(parse_word(context, words, length, ways));
        words = words[length] ? words + length + 1 : NULL;
    }
    if (*ways && context && !context->backend->ops->linear_way)
        return BPI_FAIL(context, BP_STATUS_UNSUPPORTED, "ways: backend %s runs products in one way alone",
                        context->backend->ops->name);
    return BP_STATUS_OK;
}

bool bpi_way_try(const bpi_pass *pass, int64_t index, int64_t rows, bpi_way way, unsigned *ways, bpi_error *why)
{
    bpi_backend *backend = pass->model->context->backend;
    bpi_linear_spec spec = bpi_layer_spec(pass, index, rows, ways);
    if (way == BPI_WAY_SPLIT && bpi_goes(ways[index], BPI_WAY_BIAS)) {
        bpi_fail(why, BP_STATUS_UNSUPPORTED, "it goes %s", names[BPI_WAY_BIAS]);
        return false;
    }
    if (!backend->ops->linear_way(backend, &spec, way, why))
        return false;
    ways[index] |= 1u << way;
    if (way != BPI_WAY_DELTA || spec.below != BP_ACTIVATION_RELU)
        return true;
    /* The layer below keeps the signs: another product than without. */
    bpi_linear_spec below = bpi_layer_spec(pass, index - 1, rows, ways);
    bool keeps = bpi_goes(ways[index - 1], BPI_WAY_FORWARD);
    if (!keeps)
        bpi_fail(why, BP_STATUS_UNSUPPORTED, "the layer below keeps no signs: it does not go %s",
                 names[BPI_WAY_FORWARD]);
    if (keeps && backend->ops->linear_way(backend, &below, BPI_WAY_FORWARD, why))
        return true;
    ways[index] &= ~(1u << way);
    return false;
}

/* From the last layer to the first; the reason that is told is the last layer's. A way that no layer can go is refused
 * for the pass's own rows; the last, smaller part of a data set goes plain where it must. */
static bp_status choose_way(const bpi_pass *pass, int64_t rows, bpi_way way, unsigned *ways)
{
    int64_t count = pass->model->layer_count, taken = 0;
    bpi_error why = {""}, other;
    for (int64_t i = count - 1; i >= 0; i--)
        if (!pass->wish.each || bpi_goes(pass->wish.each[i], way))
            taken += bpi_way_try(pass, i, rows, way, ways, i == count - 1 ? &why : &other);
    if (taken > 0 || pass->wish.each || rows != pass->rows)
        return BP_STATUS_OK;
    return BPI_FAIL(pass->model->context, BP_STATUS_UNSUPPORTED, "ways: no layer can go %s; the last one: %.400s",
                    names[way], why.text);
}

/* Bias gradients before the epilogues that would make them. */
bp_status bpi_ways_choose(const bpi_pass *pass, int64_t rows, unsigned *ways)
{
    static const bpi_way order[BPI_WAYS] = {BPI_WAY_FORWARD, BPI_WAY_BIAS, BPI_WAY_DELTA, BPI_WAY_SPLIT,
                                            BPI_WAY_ONE_LANE};
    memset(ways, 0, (size_t)pass->model->layer_count * sizeof *ways);
    for (int o = 0; o < BPI_WAYS; o++)
        if (bpi_goes(pass->wish.all, order[o]))
            BPI_TRY(choose_way(pass, rows, order[o], ways));
    return BP_STATUS_OK;
}
