/* ways_measure.c: chooses the way of each layer's products by time, through the backend's clock. See ways_plan.h. */
#include "host/ways_plan.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* A layer forward or backward on some ways, once timed. */
typedef struct known_time {
    int64_t index;
    bool backward, keeps_mask, below_bias;
    unsigned ways;
    double seconds;
} known_time;

typedef struct measuring {
    const bpi_pass *pass;
    bpi_ways_measured *measured;
    known_time *known;
    int64_t known_count, known_most;
} measuring;

/* Every trial times at most three layers, both directions; and the plain way is timed once. */
static int64_t most_times(const bp_model *model)
{
    return model->layer_count * (BPI_WAYS * 6 + 2);
}

static bp_status time_of(measuring *m, int64_t index, bool backward, const unsigned *ways, const known_time **found)
{
    bpi_backend *backend = m->pass->model->context->backend;
    bpi_linear_spec spec = bpi_layer_spec(m->pass, index, m->pass->rows, ways);
    known_time this = {.index = index,
                       .backward = backward,
                       .keeps_mask = !backward && spec.keeps_mask,
                       .below_bias = backward && spec.below_bias,
                       .ways = backward ? spec.ways & ~(1u << BPI_WAY_FORWARD) : spec.ways & 1u << BPI_WAY_FORWARD};
    for (int64_t k = 0; k < m->known_count; k++) {
        const known_time *t = &m->known[k];
        if (t->index == index && t->backward == backward && t->keeps_mask == this.keeps_mask &&
            t->below_bias == this.below_bias && t->ways == this.ways) {
            *found = t;
            return BP_STATUS_OK;
        }
    }
    BPI_TRY(backend->ops->linear_time(backend, &spec, backward, &this.seconds));
    assert(m->known_count < m->known_most);
    m->known[m->known_count] = this;
    *found = &m->known[m->known_count++];
    return BP_STATUS_OK;
}

/* What a way at a layer changes, of the layer and its neighbours: so long as it is, and so long with `other`. */
static bp_status time_change(measuring *m, int64_t index, const unsigned *other, bpi_way_trial *trial)
{
    int64_t last = m->pass->model->layer_count - 1;
    for (int64_t i = index > 0 ? index - 1 : 0; i <= (index < last ? index + 1 : last); i++)
        for (int backward = 0; backward < 2; backward++) {
            const known_time *before, *after;
            BPI_TRY(time_of(m, i, backward, m->measured->ways, &before));
            BPI_TRY(time_of(m, i, backward, other, &after));
            if (before == after)
                continue;
            trial->before_s += before->seconds;
            trial->after_s += after->seconds;
        }
    return BP_STATUS_OK;
}

/* With the way, into `other`; a derivative of relu brings the layer below along. */
static bool with_way(const measuring *m, int64_t index, bpi_way way, unsigned *other, bpi_error *why)
{
    const bpi_pass *pass = m->pass;
    memcpy(other, m->measured->ways, (size_t)pass->model->layer_count * sizeof *other);
    bool relu = way == BPI_WAY_DELTA && index > 0 && !pass->model->layers[index - 1].in_steps &&
                pass->model->layers[index - 1].block.activation == BP_ACTIVATION_RELU;
    if (relu && !bpi_goes(other[index - 1], BPI_WAY_FORWARD) &&
        !bpi_way_try(pass, index - 1, pass->rows, BPI_WAY_FORWARD, other, why))
        return false;
    return bpi_way_try(pass, index, pass->rows, way, other, why);
}

/* The layer below that was brought along was tried before, and not taken then. */
static void note_below(measuring *m, int64_t index, const unsigned *other)
{
    if (index == 0 || other[index - 1] == m->measured->ways[index - 1])
        return;
    bpi_way_trial *trial = &m->measured->trials[(index - 1) * BPI_WAYS];
    assert(trial->index == index - 1 && trial->way == BPI_WAY_FORWARD);
    size_t used = strlen(trial->reason);
    trial->taken = true;
    snprintf(trial->reason + used, sizeof trial->reason - used, "; with the layer above it pays");
}

/* A way that turns out not to work where it is timed stays untaken, with the words; a device that fails is a failure.
 */
static bp_status try_in_time(measuring *m, int64_t index, unsigned *other, bpi_way_trial *trial)
{
    const bp_model *model = m->pass->model;
    bp_status status = time_change(m, index, other, trial);
    if (status == BP_STATUS_UNSUPPORTED || status == BP_STATUS_OUT_OF_MEMORY) {
        snprintf(trial->reason, sizeof trial->reason, "%.150s", model->context->error.text);
        trial->before_s = trial->after_s = 0.0;
        return BP_STATUS_OK;
    }
    BPI_TRY(status);
    trial->taken = trial->after_s <= (1.0 - BPI_WAY_GAIN) * trial->before_s;
    snprintf(trial->reason, sizeof trial->reason, "takes %.1f %% of the time without it%s",
             100.0 * trial->after_s / trial->before_s,
             trial->taken                       ? ""
             : trial->after_s < trial->before_s ? ": too little to leave the plain way for"
                                                : "");
    if (trial->taken) {
        note_below(m, index, other);
        memcpy(m->measured->ways, other, (size_t)model->layer_count * sizeof *other);
    }
    return BP_STATUS_OK;
}

static bp_status try_all(measuring *m, unsigned *other)
{
    static const bpi_way order[BPI_WAYS] = {BPI_WAY_FORWARD, BPI_WAY_DELTA, BPI_WAY_BIAS, BPI_WAY_SPLIT,
                                            BPI_WAY_ONE_LANE};
    for (int64_t i = 0; i < m->pass->model->layer_count; i++)
        for (int o = 0; o < BPI_WAYS; o++) {
            bpi_way_trial *trial = &m->measured->trials[m->measured->trial_count++];
            bpi_error why = {""};
            *trial = (bpi_way_trial){.index = i, .way = order[o]};
            if (!with_way(m, i, order[o], other, &why)) {
                snprintf(trial->reason, sizeof trial->reason, "%.150s", why.text);
            } else if (!m->measured->timed) {
                snprintf(trial->reason, sizeof trial->reason, "not timed: by rule the plain way");
            } else {
                BPI_TRY(try_in_time(m, i, other, trial));
            }
        }
    return BP_STATUS_OK;
}

void bpi_ways_measured_free(const bpi_pass *pass, bpi_ways_measured *measured)
{
    size_t count = (size_t)pass->model->layer_count;
    bpi_free(pass->model->context, measured->ways, count * sizeof *measured->ways);
    bpi_free(pass->model->context, measured->trials, count * BPI_WAYS * sizeof *measured->trials);
    *measured = (bpi_ways_measured){.ways = NULL};
}

bp_status bpi_ways_measure(const bpi_pass *pass, bpi_ways_measured *measured)
{
    bp_context *context = pass->model->context;
    size_t count = (size_t)pass->model->layer_count;
    measuring m = {.pass = pass, .measured = measured, .known_most = most_times(pass->model)};
    size_t known_bytes = (size_t)m.known_most * sizeof *m.known;
    unsigned *other = NULL;
    bp_status status;
    *measured = (bpi_ways_measured){.timed = context->backend->traits.timed};
    BPI_TRY_GOTO(bpi_alloc(context, count * sizeof *measured->ways, "plan", (void **)&measured->ways), status, done);
    BPI_TRY_GOTO(bpi_alloc(context, count * BPI_WAYS * sizeof *measured->trials, "plan", (void **)&measured->trials),
                 status, done);
    BPI_TRY_GOTO(bpi_alloc(context, known_bytes, "plan", (void **)&m.known), status, done);
    BPI_TRY_GOTO(bpi_alloc(context, count * sizeof *other, "plan", (void **)&other), status, done);
    status = try_all(&m, other);
done:
    bpi_free(context, other, count * sizeof *other);
    bpi_free(context, m.known, known_bytes);
    if (status != BP_STATUS_OK)
        bpi_ways_measured_free(pass, measured);
    return status;
}
