/* test_init.c: init_gain multiplies the initial weights, and nothing but these. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "support/fixture.h"

TestSuite(init, .init = set_up, .fini = tear_down);

static bp_model *model_of(bp_init init, float gain)
{
    bp_model_options options = {.struct_size = sizeof options,
                                .inputs = 5,
                                .layers = "7:relu:bn,6:tanh,3",
                                .init = init,
                                .seed = 11,
                                .init_gain = gain};
    bp_model *model;
    BPT_OK(context, bp_model_create(context, &options, &model));
    return model;
}

/* Expects the tensors of `model` to be those of `plain`, the matrices times `gain`; returns how many elements were not
 * 0. */
static int64_t compare(const bp_model *model, const bp_model *plain, double gain)
{
    int64_t seen = 0;
    for (int64_t t = 0; t < bp_model_tensor_count(plain); t++) {
        bp_tensor_info info;
        double got[64], want[64];
        BPT_OK(context, bp_model_tensor_info(plain, t, &info));
        int64_t count = info.rows * (info.cols ? info.cols : 1);
        BPT_OK(context, bp_model_get_tensor(plain, info.name, want, count));
        BPT_OK(context, bp_model_get_tensor(model, info.name, got, count));
        for (int64_t i = 0; i < count; i++) {
            double times = info.cols ? gain : 1.0;
            cr_assert(got[i] == times * want[i], "%s[%lld]: %g, not %g times %g", info.name, (long long)i, got[i],
                      times, want[i]);
            seen += want[i] != 0;
        }
    }
    return seen;
}

/* A power of two, so that the product is exact. */
Test(init, gain_multiplies_the_weights_alone)
{
    static const bp_init inits[] = {BP_INIT_AUTO, BP_INIT_HE_NORMAL, BP_INIT_XAVIER_UNIFORM};
    enum { WEIGHTS = 7 * 5 + 6 * 7 + 3 * 6, NORM = 7 }; /* a norm starts at 1, biases at 0 */
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++) {
        bp_model *plain = model_of(inits[i], 0.0f), *one = model_of(inits[i], 1.0f), *four = model_of(inits[i], 4.0f);
        int64_t seen = compare(one, plain, 1.0);
        cr_assert(seen == WEIGHTS + NORM, "%lld elements are not 0", (long long)seen);
        cr_assert(compare(four, plain, 4.0) == WEIGHTS + NORM);
        bp_model_destroy(four);
        bp_model_destroy(one);
        bp_model_destroy(plain);
    }
}

Test(init, a_gain_that_is_no_positive_number_is_refused)
{
    static const float gains[] = {-1.0f, NAN, INFINITY};
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        bp_model_options options = {.inputs = 2, .layers = "3", .init_gain = gains[i]};
        bp_model *model;
        BPT_FAILS(context, bp_model_create(context, &options, &model), BP_STATUS_INVALID_ARGUMENT, "init_gain", "gain");
    }
}
