/* subject.c: see subject.h. */
#include "benchmarks/subject.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/core/machine.h"
#include "host/context.h"

static bool ok(const bpb_step_subject *s, bp_status status)
{
    if (status != BP_STATUS_OK)
        fprintf(stderr, "%s: %s\n", s->setup.layers, bp_last_error(s->context));
    return status == BP_STATUS_OK;
}

static bool parse_widths(bpb_step_subject *s)
{
    s->widths[0] = s->setup.inputs;
    for (const char *at = s->setup.layers; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (s->layers == BPB_MOST_LAYERS) {
            fprintf(stderr, "%s: more than %d layers\n", s->setup.layers, BPB_MOST_LAYERS);
            return false;
        }
        s->widths[++s->layers] = strtoll(at, NULL, 10);
    }
    return true;
}

static bool takes_classes(const bpb_step_subject *s)
{
    return s->setup.loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY;
}

static bool make_samples(bpb_step_subject *s)
{
    int64_t batch = s->setup.batch, outputs = s->widths[s->layers];
    size_t x_bytes = (size_t)(batch * s->setup.inputs) * sizeof *s->x;
    void *x = NULL;
    if (!ok(s, bpi_alloc(s->context, x_bytes, "the samples", &x))) /* as those of bp_data */
        return false;
    s->x = x;
    s->targets = malloc((size_t)(batch * outputs) * sizeof *s->targets);
    s->classes = malloc((size_t)batch * sizeof *s->classes);
    if (!s->targets || !s->classes) {
        fprintf(stderr, "%s: no memory for the samples\n", s->setup.layers);
        return false;
    }
    bpb_fill(s->x, batch * s->setup.inputs, 3);
    bpb_fill(s->targets, batch * outputs, 4);
    for (int64_t k = 0; k < batch * outputs; ++k)
        s->targets[k] += 0.5f;
    for (int64_t b = 0; b < batch; ++b)
        s->classes[b] = b * 7 % outputs;
    return true;
}

static bool step(bpb_step_subject *s)
{
    if (s->data)
        return ok(s, bp_trainer_step_data(s->trainer, s->data, NULL, 0, s->setup.batch));
    return ok(s, bp_trainer_step(s->trainer, s->x, takes_classes(s) ? s->classes : NULL,
                                 takes_classes(s) ? NULL : s->targets, s->setup.batch));
}

/* Waits for the last step, of which the loss must be finite. */
static bool settle(bpb_step_subject *s)
{
    bp_step_result result;
    if (!ok(s, bp_trainer_result(s->trainer, &result)))
        return false;
    if (isfinite(result.loss) && !result.nonfinite && result.grad_norm > 0.0)
        return true;
    fprintf(stderr, "%s: loss %g, gradient norm %g: not a step worth timing\n", s->setup.layers, result.loss,
            result.grad_norm);
    return false;
}

static bool first_steps(bpb_step_subject *s, const bp_trainer_options *options)
{
    if (!ok(s, bp_trainer_create(s->model, options, &s->trainer)))
        return false;
    for (int k = 0; k < 2; ++k)
        if (!step(s))
            return false;
    return settle(s);
}

/* Twice: what the libraries load and allocate once in a process is not what a trainer takes. */
static bool make_trainer(bpb_step_subject *s)
{
    bp_trainer_options options = {.batch = s->setup.batch,
                                  .optimizer = s->setup.optimizer,
                                  .lr = 1e-3,
                                  .momentum = s->setup.optimizer == BP_OPTIMIZER_SGD ? 0.9 : 0.0,
                                  .clip_norm = 1.0};
    if (!ok(s, bp_trainer_plan(s->model, &options, &s->plan)) || !first_steps(s, &options))
        return false;
    bp_trainer_destroy(s->trainer);
    s->trainer = NULL;
    int64_t before = bpb_peak_reset();
    bool done = first_steps(s, &options);
    s->peak_bytes = before > 0 ? bpb_peak_bytes() - before : 0;
    return done;
}

static bool make_network(bpb_step_subject *s)
{
    const bpb_setup *setup = &s->setup;
    bp_model_options model = {.inputs = setup->inputs, .layers = setup->layers, .loss = setup->loss, .seed = 1};
    if (!ok(s, bp_model_create(s->context, &model, &s->model)))
        return false;
    if (setup->weights && !ok(s, bp_model_load_weights(s->model, setup->weights)))
        return false;
    return setup->x ? ok(s, bp_data_load_npy(s->context, setup->x, setup->y, &s->data)) : make_samples(s);
}

bool bpb_step_create(bp_context *context, const bpb_setup *setup, bpb_step_subject *s)
{
    memset(s, 0, sizeof *s);
    s->setup = *setup;
    s->context = context;
    if (!parse_widths(s) || !make_network(s) || !make_trainer(s))
        return false;
    if (!setup->products)
        return true;
    if (!bpb_products_create(&s->products, &context->allocator, bp_context_threads(context), setup->batch, s->widths,
                             s->layers))
        return false;
    if (bpb_products_agree(&s->products))
        return true;
    fprintf(stderr, "%s: the products differ from oneDNN's by more than rounding\n", setup->layers);
    return false;
}

void bpb_step_destroy(bpb_step_subject *s)
{
    bpb_products_destroy(&s->products);
    bp_trainer_destroy(s->trainer);
    bp_data_destroy(s->data);
    bp_model_destroy(s->model);
    if (s->context)
        bpi_free(s->context, s->x, (size_t)(s->setup.batch * s->setup.inputs) * sizeof *s->x);
    free(s->targets);
    free(s->classes);
}

bool bpb_step_run(void *user, int64_t repeats)
{
    while (repeats-- > 0)
        if (!step(user))
            return false;
    return settle(user);
}

bool bpb_step_run_products(void *user, int64_t repeats)
{
    bpb_step_subject *s = user;
    while (repeats-- > 0)
        if (!bpb_products_run(&s->products))
            return false;
    return true;
}

bool bpb_step_run_onednn(void *user, int64_t repeats)
{
    bpb_step_subject *s = user;
    while (repeats-- > 0)
        if (!bpb_products_run_onednn(&s->products))
            return false;
    return true;
}
