/* diagnose.c: looks at an observed step for gradients that vanish or explode, for units that pass nothing on, and for
 * clipping that never ends. A step whose gradient is not finite tells nothing here: locate.c is for those. */
#include "host/diagnose.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "host/observe.h"

#define VANISHING_LIMIT 1e-3
#define EXPLODING_LIMIT 1e3
#define MOVE_LIMIT 0.5
#define UNITS_LIMIT 0.5

enum { SMALLEST_BATCH = 32, CLIPPED_STEPS = 20 };

static size_t given_bytes(const bpi_diagnosis *d)
{
    return BP_WARNING_COUNT * (size_t)(d->layers + 1) * sizeof *d->given;
}

bp_status bpi_diagnosis_open(bp_trainer *trainer, bpi_diagnosis *d)
{
    bp_context *context = trainer->context;
    d->layers = trainer->model->layer_count;
    d->places = BP_WARNING_COUNT + 2 * d->layers; /* a layer explodes, and its units are dead or saturated */
    BPI_TRY(bpi_alloc(context, given_bytes(d), "bp_trainer_observe", (void **)&d->given));
    BPI_TRY(bpi_alloc(context, (size_t)d->places * sizeof *d->warnings, "bp_trainer_observe", (void **)&d->warnings));
    return bpi_alloc(context, (size_t)d->places * sizeof *d->texts, "bp_trainer_observe", (void **)&d->texts);
}

void bpi_diagnosis_close(bp_trainer *trainer, bpi_diagnosis *d)
{
    bpi_free(trainer->context, d->given, given_bytes(d));
    bpi_free(trainer->context, d->warnings, (size_t)d->places * sizeof *d->warnings);
    bpi_free(trainer->context, d->texts, (size_t)d->places * sizeof *d->texts);
}

/* ---------------------------------------------------------------- giving a warning */

typedef struct examination {
    bp_trainer *trainer;
    bpi_diagnosis *diagnosis;
    bpi_observation *seen;
} examination;

__attribute__((format(printf, 4, 5))) static void give(const examination *e, bp_warning warning, const char *remedy,
                                                       const char *format, ...)
{
    bpi_diagnosis *d = e->diagnosis;
    bool *given = &d->given[warning.kind * (d->layers + 1) + warning.block];
    int64_t place = e->seen->shown.warning_count;
    if (*given || place == d->places)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(d->texts[place], sizeof d->texts[place], format, arguments);
    va_end(arguments);
    *given = true;
    warning.text = d->texts[place];
    warning.remedy = remedy;
    d->warnings[place] = warning;
    e->seen->shown.warning_count++;
}

/* ---------------------------------------------------------------- the log */

enum { MOST_RUNS = 6, WHERE_WORDS = 320 };

/* "3 to 5, 7 and 9 to 14": the blocks of one kind's warnings, which come in ascending order. */
static void put_blocks(const examination *e, bp_warning_kind kind, char text[WHERE_WORDS])
{
    const bp_warning *w = e->diagnosis->warnings;
    int64_t count = e->seen->shown.warning_count, first = 0, last = 0;
    int runs = 0, used = 0;
    for (int64_t i = 0; i <= count; i++) {
        if (i < count && (w[i].kind != kind || w[i].block == last))
            continue;
        if (i < count && last > 0 && w[i].block == last + 1) {
            last++;
            continue;
        }
        if (last > 0)
            used += snprintf(text + used, WHERE_WORDS - (size_t)used, last > first ? "%s%lld to %lld" : "%s%lld",
                             runs == 0   ? ""
                             : i < count ? ", "
                                         : " and ",
                             (long long)first, (long long)last);
        runs += last > 0;
        if (runs == MOST_RUNS && i < count) {
            snprintf(text + used, WHERE_WORDS - (size_t)used, " and others");
            return;
        }
        first = last = i < count ? w[i].block : 0;
    }
}

/* A line for each kind: a deep network is ill in many layers at once. The worst of them is told in full. */
static void log_kind(const examination *e, bp_warning_kind kind)
{
    const bp_warning *worst = NULL;
    char where[WHERE_WORDS];
    int64_t layers = 0;
    for (int64_t i = 0; i < e->seen->shown.warning_count; i++) {
        const bp_warning *w = &e->diagnosis->warnings[i];
        if (w->kind != kind)
            continue;
        layers++;
        if (!worst || w->value > worst->value)
            worst = w;
    }
    long long step = (long long)e->seen->shown.step;
    if (layers == 1)
        bpi_log(e->trainer->context, BP_LOG_WARNING, "step %lld: %s; %s", step, worst->text, worst->remedy);
    if (layers < 2)
        return;
    put_blocks(e, kind, where);
    bpi_log(e->trainer->context, BP_LOG_WARNING, "step %lld: %lld layers: blocks %s: %s; %s", step, (long long)layers,
            where, worst->text, worst->remedy);
}

/* ---------------------------------------------------------------- along the layers */

/* The weights of a block: in file order they are its first tensor. */
static const bp_tensor_observation *weight_of(const examination *e, int64_t block)
{
    for (int64_t i = 0; i < e->seen->shown.tensor_count; i++)
        if (e->seen->tensors[i].block == block)
            return &e->seen->tensors[i];
    return NULL;
}

/* What an element of the gradient amounts to: the norm of a larger tensor is larger for its size alone. */
static double typical(const examination *e, int64_t block)
{
    const bp_tensor_observation *weight = weight_of(e, block);
    return weight->norm / sqrt((double)weight->elements);
}

/* A layer of dead units alone stops the gradient: that is another illness. */
static bool is_cut_off(const examination *e, int64_t below)
{
    for (int64_t i = below; i < e->seen->shown.layer_count; i++)
        if (e->seen->layers[i].dead_share >= 1.0)
            return true;
    return false;
}

static void look_for_vanishing(const examination *e)
{
    double largest = typical(e, e->diagnosis->layers), first = typical(e, 1);
    int64_t source = e->diagnosis->layers, last = 0;
    for (int64_t block = e->diagnosis->layers - 1; block >= 1; block--) {
        double here = typical(e, block);
        if (!(here < VANISHING_LIMIT * largest))
            last = 0; /* what lies below is named, if it all stays small */
        else if (last == 0)
            last = block;
        if (here > largest) {
            largest = here;
            source = block;
        }
    }
    if (last == 0 || is_cut_off(e, last - 1))
        return;
    give(e, (bp_warning){BP_WARNING_VANISHING, last, first / largest, VANISHING_LIMIT, NULL, NULL},
         "use relu with He initialisation, batch norm (bn) or residual connections (skip)",
         "gradients vanish towards the input: in block 1 (%s) an element of the gradient is typically %.1e, %.1e of "
         "what it is in block %lld (%s); block %lld and what lies below it learn next to nothing",
         weight_of(e, 1)->name, first, first / largest, (long long)source, weight_of(e, source)->name, (long long)last);
}

static void look_for_exploding(const examination *e)
{
    static const char *const remedy =
        "clip by norm (clip_norm 1), lower the learning rate, start with smaller weights (He or Xavier "
        "initialisation), or add batch norm (bn)";
    int64_t last = e->diagnosis->layers;
    double growth = typical(e, 1) / typical(e, last);
    if (growth > EXPLODING_LIMIT && isfinite(growth))
        give(e, (bp_warning){BP_WARNING_EXPLODING, 1, growth, EXPLODING_LIMIT, NULL, NULL}, remedy,
             "gradients explode towards the input: in block 1 (%s) an element of the gradient is typically %.1e times "
             "what it is in block %lld (%s)",
             weight_of(e, 1)->name, growth, (long long)last, weight_of(e, last)->name);
    for (int64_t block = 1; block <= last; block++) {
        const bp_tensor_observation *weight = weight_of(e, block);
        if (weight->update_ratio > MOVE_LIMIT)
            give(e, (bp_warning){BP_WARNING_EXPLODING, block, weight->update_ratio, MOVE_LIMIT, NULL, NULL}, remedy,
                 "gradients explode: one step moved the weights of block %lld (%s) by %.2g times their own size, and "
                 "the gradient's norm is %.1e",
                 (long long)block, weight->name, weight->update_ratio, weight->norm);
    }
}

/* ---------------------------------------------------------------- units and clipping */

static void look_at_units(const examination *e)
{
    for (int64_t i = 0; i < e->seen->shown.layer_count && e->seen->shown.rows >= SMALLEST_BATCH; i++) {
        const bp_layer_observation *layer = &e->seen->layers[i];
        if (layer->dead_share >= UNITS_LIMIT)
            give(e, (bp_warning){BP_WARNING_DEAD, layer->block, layer->dead_share, UNITS_LIMIT, NULL, NULL},
                 "lower the learning rate or let it warm up, add batch norm (bn), or use leaky_relu; start anew, as "
                 "dead units do not come back",
                 "dead units: %.0f %% of the %lld relu units of block %lld are 0 on every sample of the batch, so that "
                 "no gradient passes them",
                 100.0 * layer->dead_share, (long long)layer->units, (long long)layer->block);
        if (layer->saturated_share >= UNITS_LIMIT)
            give(e, (bp_warning){BP_WARNING_SATURATED, layer->block, layer->saturated_share, UNITS_LIMIT, NULL, NULL},
                 "start with smaller weights (Xavier initialisation), standardise the inputs, add batch norm (bn), or "
                 "use relu",
                 "saturated units: %.0f %% of the %lld %s units of block %lld are at their limits on nearly every "
                 "sample, where their derivative is below 1/16 of its largest value",
                 100.0 * layer->saturated_share, (long long)layer->units, bp_activation_name(layer->activation),
                 (long long)layer->block);
    }
}

static void look_at_clipping(const examination *e)
{
    bpi_diagnosis *d = e->diagnosis;
    const bp_observation *seen = &e->seen->shown;
    d->clipped_steps = seen->clip_factor < 1.0 ? d->clipped_steps + 1 : 0;
    if (d->clipped_steps < CLIPPED_STEPS)
        return;
    give(e, (bp_warning){BP_WARNING_CLIPPING, 0, seen->clip_factor, 1.0, NULL, NULL},
         "raise clip_norm above the norm that the gradient usually has, or set it to 0 and lower the learning rate",
         "clipping is always active: the gradient's norm was above clip_norm in each of the last %d observed steps "
         "(now %.2g, factor %.2g), so that clip_norm and not the gradient decides how far a step goes",
         CLIPPED_STEPS, seen->grad_norm, seen->clip_factor);
}

void bpi_diagnose(bp_trainer *trainer, bpi_diagnosis *d, bpi_observation *seen)
{
    examination e = {trainer, d, seen};
    seen->warnings = d->warnings;
    if (seen->shown.nonfinite)
        return;
    if (d->layers > 1)
        look_for_vanishing(&e);
    look_for_exploding(&e);
    look_at_units(&e);
    look_at_clipping(&e);
    for (int kind = 0; kind < BP_WARNING_COUNT; kind++)
        log_kind(&e, (bp_warning_kind)kind);
}
