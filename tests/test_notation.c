/* test_notation.c: the layer notation, its canonical form, and what is wrong with a wrong one. */
#include <criterion/criterion.h>
#include <string.h>

#include "support/run.h"

static bp_status create(bp_context *context, const char *layers, bp_model **model)
{
    bp_model_options options = {.struct_size = sizeof options, .inputs = 5, .layers = layers};
    return bp_model_create(context, &options, model);
}

Test(notation, is_kept_in_its_canonical_form)
{
    static const char *const pairs[][2] = {
        {"10", "10"},
        {"256:relu,128:relu,10", "256:relu,128:relu,10"},
        {"7:identity", "7"},
        {"53:nobias:tanh,7", "53:tanh:nobias,7"},
        {"29:leaky_relu,7", "29:leaky_relu:slope=0.01,7"},
        {"29:leaky_relu:slope=0.2,7", "29:leaky_relu:slope=0.2,7"},
        {"29:slope=2e-1:leaky_relu,7", "29:leaky_relu:slope=0.2,7"},
        {"5:skip:dropout=0.10:bn:relu:nobias,5:ln:skip=1,7:bn", "5:relu:bn:dropout=0.1:nobias:skip,5:ln:skip=1,7:bn"},
    };
    bp_context *context = bpt_context("reference", 1);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        bp_model *model;
        BPT_OK(context, create(context, pairs[i][0], &model));
        cr_expect_str_eq(bp_model_layers(model), pairs[i][1]);
        bp_model_destroy(model);
    }
    bp_context_destroy(context);
}

Test(notation, says_which_block_and_word_is_wrong)
{
    static const struct {
        const char *layers;
        bp_status status;
        const char *word;
    } cases[] = {
        {"", BP_STATUS_INVALID_ARGUMENT, "block 1"},
        {"10,", BP_STATUS_INVALID_ARGUMENT, "block 2"},
        {"10:relu,,3", BP_STATUS_INVALID_ARGUMENT, "block 2"},
        {"0", BP_STATUS_INVALID_ARGUMENT, "\"0\""},
        {"-3", BP_STATUS_INVALID_ARGUMENT, "\"-3\""},
        {"3.5", BP_STATUS_INVALID_ARGUMENT, "\"3.5\""},
        {"99999999999999999999", BP_STATUS_INVALID_ARGUMENT, "block 1"},
        {"2000000000", BP_STATUS_INVALID_ARGUMENT, "2000000000"},
        {"8:rleu,3", BP_STATUS_INVALID_ARGUMENT, "\"rleu\""},
        {"8:relu:", BP_STATUS_INVALID_ARGUMENT, "block 1"},
        {"8:leaky_relu:slope=", BP_STATUS_INVALID_ARGUMENT, "slope"},
        {"8:leaky_relu:slope=x", BP_STATUS_INVALID_ARGUMENT, "slope=x"},
        {"8:leaky_relu:slope=-0.1", BP_STATUS_INVALID_ARGUMENT, "slope=-0.1"},
        {"8:relu:slope=0.1", BP_STATUS_INVALID_ARGUMENT, "leaky_relu"},
        {"8:relu:dropout=1", BP_STATUS_INVALID_ARGUMENT, "dropout=1"},
        {"8:relu:skip=0", BP_STATUS_INVALID_ARGUMENT, "skip=0"},
    };
    bp_context *context = bpt_context("reference", 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bp_model *model;
        cr_expect_eq(create(context, cases[i].layers, &model), cases[i].status, "\"%s\": %s", cases[i].layers,
                     bp_last_error(context));
        cr_expect_null(model);
        cr_expect_not_null(strstr(bp_last_error(context), cases[i].word), "\"%s\": %s", cases[i].layers,
                           bp_last_error(context));
    }
    bp_context_destroy(context);
}

Test(notation, names_parameters_as_a_torch_sequential_does)
{
    bp_context *context = bpt_context("reference", 1);
    bp_model *model;
    BPT_OK(context, create(context, "8:relu,6,4:tanh:nobias,3:sigmoid", &model));
    static const bp_tensor_info expected[] = {{"0.weight", 8, 5}, {"0.bias", 8, 0},   {"2.weight", 6, 8},
                                              {"2.bias", 6, 0},   {"3.weight", 4, 6}, {"5.weight", 3, 4},
                                              {"5.bias", 3, 0}};
    cr_assert_eq(bp_model_tensor_count(model), 7);
    for (int64_t i = 0; i < 7; i++) {
        bp_tensor_info info;
        BPT_OK(context, bp_model_tensor_info(model, i, &info));
        cr_expect_str_eq(info.name, expected[i].name);
        cr_expect_eq(info.rows, expected[i].rows, "%s", info.name);
        cr_expect_eq(info.cols, expected[i].cols, "%s", info.name);
    }
    cr_expect_eq(bp_model_parameter_count(model), 8 * 5 + 8 + 6 * 8 + 6 + 4 * 6 + 3 * 4 + 3);
    bp_model_destroy(model);
    bp_context_destroy(context);
}

Test(notation, takes_blocks_as_structs_of_another_version)
{
    /* A caller whose bp_block has grown by a field that is not used. */
    struct larger {
        bp_block block;
        int64_t new_field;
    } blocks[2] = {{.block = {.units = 4, .activation = BP_ACTIVATION_TANH}}, {.block = {.units = 3}}};
    blocks[0].block.struct_size = blocks[1].block.struct_size = sizeof blocks[0];
    bp_context *context = bpt_context("reference", 1);
    bp_model *model;
    bp_model_options options = {
        .struct_size = sizeof options, .inputs = 5, .blocks = &blocks[0].block, .block_count = 2};
    BPT_OK(context, bp_model_create(context, &options, &model));
    cr_expect_str_eq(bp_model_layers(model), "4:tanh,3");
    bp_model_destroy(model);
    blocks[1].new_field = 1;
    cr_expect_eq(bp_model_create(context, &options, &model), BP_STATUS_UNSUPPORTED);
    bp_context_destroy(context);
}
