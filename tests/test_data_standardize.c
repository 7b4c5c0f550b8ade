/* data_standardize: mean and deviation of every column, against the formulas in long double. */
#include <math.h>

#include "host/data.h"
#include "host/model.h"
#include "support/fixture.h"
#include "support/random.h"

TestSuite(data_standardize, .init = set_up, .fini = tear_down);

static bp_model *make_model(int64_t inputs)
{
    bp_model *model;
    bp_model_options options = {.struct_size = sizeof options, .inputs = inputs, .layers = "1", .loss = BP_LOSS_MSE};
    BPT_OK(context, bp_model_create(context, &options, &model));
    return model;
}

/* The mean and deviation that the model keeps, over float32 inputs, are the exact ones rounded to float32, or a
 * neighbour: in double the sums of n terms carry a relative error of n 2^-53, far below the 2^-24 of the last rounding.
 */
static void assert_standardized(const bp_model *model, int64_t column, long double mean, long double std)
{
    cr_assert(fabsl((long double)model->mean[column] - mean) <= 0x1.01p-24L * fabsl(mean), "mean %g, wanted %Lg",
              (double)model->mean[column], mean);
    cr_assert(fabsl((long double)model->std[column] - std) <= 0x1.01p-24L * std, "std %g, wanted %Lg",
              (double)model->std[column], std);
}

Test(data_standardize, mean_and_deviation_are_those_of_the_columns)
{
    enum { ROWS = 1000, COLUMNS = 5 };
    static float x[ROWS * COLUMNS];
    static const double offsets[COLUMNS] = {0, 1e4, -3e-3, 12345, 0.1}, scales[COLUMNS] = {1, 1, 1e-3, 1e-1, 1e30};
    bpt_random random = {5};
    for (int i = 0; i < ROWS * COLUMNS; i++)
        x[i] = (float)(offsets[i % COLUMNS] + scales[i % COLUMNS] * bpt_random_uniform(&random, -1.0, 1.0));
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, ROWS, COLUMNS, NULL, NULL, 0, &data));
    bp_model *model = make_model(COLUMNS);
    cr_assert_not(bp_model_has_standardization(model));
    BPT_OK(context, bp_data_standardize(data, model));
    cr_assert(bp_model_has_standardization(model));
    for (int column = 0; column < COLUMNS; column++) {
        long double sum = 0, squares = 0;
        for (int row = 0; row < ROWS; row++)
            sum += (long double)x[row * COLUMNS + column];
        for (int row = 0; row < ROWS; row++)
            squares += powl((long double)x[row * COLUMNS + column] - sum / ROWS, 2);
        assert_standardized(model, column, sum / ROWS, sqrtl(squares / ROWS));
    }
    bp_model_destroy(model);
    bp_data_destroy(data);
}

/* Neither does a spread of denormal numbers, whose deviation has an inverse that overflows. */
Test(data_standardize, columns_that_do_not_vary_get_deviation_1)
{
    enum { ROWS = 7 };
    float x[3 * ROWS];
    for (int i = 0; i < ROWS; i++) {
        x[3 * i] = 0.1f;
        x[3 * i + 1] = i ? 0.0f : 1e-44f;
        x[3 * i + 2] = (float)i;
    }
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, ROWS, 3, NULL, NULL, 0, &data));
    bp_model *model = make_model(3);
    BPT_OK(context, bp_data_standardize(data, model));
    cr_assert(model->mean[0] == 0.1f && model->std[0] == 1.0f);
    cr_assert_eq(model->std[1], 1.0f);
    cr_assert(model->mean[2] == 3.0f && model->std[2] == 2.0f, "0 to 6: mean 3, variance 28/7");
    bp_model_destroy(model);
    bp_data_destroy(data);
}

Test(data_standardize, images_are_standardised_as_the_values_that_they_stand_for)
{
    bp_data *data;
    BPT_OK(context, bp_data_load_idx(context, BP_SOURCE_DIR "/tests/data/images.idx", NULL, &data));
    bp_model *model = make_model(6);
    BPT_OK(context, bp_data_standardize(data, model));
    /* Column k holds (k + 6 i) / 255, i = 0 to 4: mean (k + 12) / 255, deviation 6 sqrt(2) / 255. The pixels are
     * rounded to float32 once more, which the mean and the deviation can feel in their last place. */
    for (int k = 0; k < 6; k++) {
        cr_assert(fabs((double)model->mean[k] - (k + 12) / 255.0) <= 0x1p-23 * (k + 12) / 255.0);
        cr_assert(fabs((double)model->std[k] - 6 * sqrt(2.0) / 255) <= 0x1p-21 * 6 * sqrt(2.0) / 255);
    }
    bp_model_destroy(model);
    bp_data_destroy(data);
}

Test(data_standardize, standardisation_without_memory_leaves_the_model_as_it_was)
{
    static const float x[] = {1, 2, 3, 4, 5, 6};
    bp_data *data;
    BPT_OK(context, bp_data_create(context, x, 2, 3, NULL, NULL, 0, &data));
    bp_model *model = make_model(3);
    hooks.fail_at = hooks.calls + 1;
    BPT_FAILS(context, bp_data_standardize(data, model), BP_STATUS_OUT_OF_MEMORY, "bp_data_standardize", "memory");
    cr_assert_not(bp_model_has_standardization(model));
    bp_model_destroy(model);
    bp_data_destroy(data);
}
