/* train_observe.c: observed steps of `backprop train`, as lines of metrics.jsonl: figures of every tensor and layer,
 * and warnings. docs/diagnosis.md says what they mean. */
#include <math.h>

#include "json.h"
#include "message.h"
#include "train.h"

enum { FIGURE_DIGITS = 6 };

static json_t *figure(double value)
{
    return json_digits(value, FIGURE_DIGITS);
}

static json_t *tensors_of(const bp_observation *seen)
{
    json_t *tensors = json_object();
    for (int64_t i = 0; i < seen->tensor_count; i++) {
        const bp_tensor_observation *t = bp_observation_tensor(seen, i);
        json_object_set_new(tensors, t->name,
                            json_pack("{sI so so so so sI so}", "block", (json_int_t)t->block, "norm", figure(t->norm),
                                      "max", figure(t->largest), "mean", figure(t->mean), "zeros",
                                      figure(t->zero_share), "nonfinite", (json_int_t)t->nonfinite, "update_ratio",
                                      figure(t->update_ratio)));
    }
    return tensors;
}

static void set_unless_nan(json_t *object, const char *key, double value)
{
    if (!isnan(value))
        json_object_set_new(object, key, figure(value));
}

static json_t *layers_of(const bp_observation *seen)
{
    json_t *layers = json_array();
    for (int64_t i = 0; i < seen->layer_count; i++) {
        const bp_layer_observation *l = bp_observation_layer(seen, i);
        json_t *layer = json_pack("{sI ss sI}", "block", (json_int_t)l->block, "activation",
                                  bp_activation_name(l->activation), "units", (json_int_t)l->units);
        set_unless_nan(layer, "dead", l->dead_share);
        set_unless_nan(layer, "saturated", l->saturated_share);
        set_unless_nan(layer, "off", l->off_share);
        json_array_append_new(layers, layer);
    }
    return layers;
}

static json_t *line_of(const bp_observation *seen, const char *key, json_t *value)
{
    return json_pack("{sI sI so}", "step", (json_int_t)seen->step, "epoch", (json_int_t)seen->epoch, key, value);
}

/* bp_observation_callback. Lines come in the order of steps: observations are told before the step's own line. */
static void on_observation(void *user, const bp_observation *seen)
{
    training *t = user;
    json_t *figures =
        json_pack("{so so so so sI so so}", "loss", figure(seen->loss), "lr", figure(seen->lr), "grad_norm",
                  figure(seen->grad_norm), "clip_factor", figure(seen->clip_factor), "nonfinite",
                  (json_int_t)seen->nonfinite, "tensors", tensors_of(seen), "layers", layers_of(seen));
    run_metrics(&t->run, line_of(seen, "observation", figures));
    for (int64_t i = 0; i < seen->warning_count; i++) {
        const bp_warning *w = bp_observation_warning(seen, i);
        run_metrics(&t->run, line_of(seen, "warning",
                                     json_pack("{ss sI so so ss ss}", "kind", bp_warning_name(w->kind), "block",
                                               (json_int_t)w->block, "value", figure(w->value), "limit",
                                               figure(w->limit), "text", w->text, "remedy", w->remedy)));
    }
}

int observe_begin(training *t)
{
    if (t->options->values.observe == 0)
        return STATUS_OK;
    bp_observe_options options = {
        .struct_size = sizeof options, .every = t->options->values.observe, .callback = on_observation, .user = t};
    return check_library(t->context, bp_trainer_observe(t->trainer, &options));
}
