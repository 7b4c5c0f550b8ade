/* The reference's losses against PyTorch's in double, tests/golden/loss.json: also rows of probabilities that do not
 * sum to 1. */
#include "support/golden.h"
#include "support/judge.h"
#include "support/loss.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

TestSuite(loss_golden, .fini = bpt_clean);

enum { ROWS = 6, COLS = 5 };

static bp_loss loss_of(const char *word)
{
    for (int k = 0; k < BP_LOSS_COUNT; ++k)
        if (strcmp(word, bp_loss_name((bp_loss)k)) == 0)
            return (bp_loss)k;
    cr_assert_fail("no such loss: %s", word);
    return BP_LOSS_COUNT;
}

static void check(bpt_device *device, const json_t *golden)
{
    const json_t *targets = json_object_get(golden, "targets");
    bool classes = json_is_integer(json_array_get(targets, 0));
    bpt_loss_case what = {
        .name = json_string_value(json_object_get(golden, "name")),
        .loss = loss_of(json_string_value(json_object_get(golden, "loss"))),
        .classes = classes,
        .label_smoothing = (float)bpt_golden_number(golden, "label_smoothing", 0.0),
        .huber_delta = (float)bpt_golden_number(golden, "huber_delta", 1.0),
    };
    bpt_loss_inputs in = {.what = &what, .shape = {ROWS, 1, COLS}, .error_wanted = true};
    bool per_sample = what.loss == BP_LOSS_SOFTMAX_CROSS_ENTROPY || what.loss == BP_LOSS_HALF_MSE;
    in.scale = 1.0 / (per_sample ? ROWS : ROWS * COLS);
    in.z = bpt_golden_doubles(json_object_get(golden, "z"), ROWS * COLS);
    int64_t indices[ROWS];
    for (size_t b = 0; classes && b < ROWS; ++b)
        indices[b] = json_integer_value(json_array_get(targets, b));
    in.classes = classes ? indices : NULL;
    in.targets = classes ? NULL : bpt_golden_doubles(targets, ROWS * COLS);

    bpt_loss_outputs got = bpt_loss_run(device, &in);
    double *want = bpt_golden_doubles(json_object_get(golden, "delta"), ROWS * COLS);
    double value = bpt_golden_number(golden, "value", (double)NAN), value_bound = 1e-12 * value;
    double largest = 0.0, *bound = bpt_doubles(ROWS * COLS);
    for (int64_t k = 0; k < ROWS * COLS; ++k)
        largest = fmax(largest, fabs(want[k]));
    for (int64_t k = 0; k < ROWS * COLS; ++k)
        bound[k] = 1e-12 * largest;
    bpt_compare(&got.state.loss_sum, &value, &value_bound, 1, "value of %s", what.name);
    bpt_compare(got.delta, want, bound, ROWS * COLS, "gradient of %s", what.name);
}

Test(loss_golden, values_and_gradients_are_those_of_pytorch)
{
    json_t *root = bpt_golden_load("loss.json");
    const json_t *losses = json_object_get(root, "losses");
    cr_assert_geq(json_array_size(losses), 9);
    bpt_device *device = bpt_open(bpt_reference(), 1);
    for (size_t k = 0; k < json_array_size(losses); ++k)
        check(device, json_array_get(losses, k));
    bpt_close(device);
    json_decref(root);
}
