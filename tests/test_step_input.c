/* test_step_input.c: a step reads the caller's rows where they lie, if they need no change: the same bits as from a
 * copy, and nothing but those rows is read, nothing written. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "support/judge.h"
#include "support/run.h"

enum { ROWS = 70, INPUTS = 16, CLASSES = 5, STEPS = 3 };

typedef struct subject {
    bp_context *context;
    bp_model *model;
    bp_trainer *trainer;
} subject;

/* The input is read by the first product, its weight gradient, and a skip; two micro-batches, the last one smaller. */
static subject open_subject(void)
{
    subject s = {.context = bpt_context("cpu", 2)};
    bp_model_options model = {.struct_size = sizeof model, .inputs = INPUTS, .layers = "16:relu:skip,5", .seed = 3};
    bp_trainer_options trainer = {
        .struct_size = sizeof trainer, .batch = 48, .accumulate = 2, .lr = 0.1, .clip_norm = 1.0};
    BPT_OK(s.context, bp_model_create(s.context, &model, &s.model));
    BPT_OK(s.context, bp_trainer_create(s.model, &trainer, &s.trainer));
    return s;
}

static void close_subject(subject *s)
{
    bp_trainer_destroy(s->trainer);
    bp_model_destroy(s->model);
    bp_context_destroy(s->context);
}

Test(step_input, rows_in_place_give_the_bits_of_rows_that_were_gathered)
{
    /* One float off any alignment, and ending where the allocation ends. */
    float *block = malloc((ROWS * INPUTS + 1) * sizeof *block), *x = block + 1;
    float *kept = malloc(ROWS * INPUTS * sizeof *kept);
    int64_t classes[ROWS], index[ROWS];
    for (int64_t i = 0; i < ROWS * INPUTS; i++)
        x[i] = (float)((i * 7919 + 13) % 257) / 128.0f - 1.0f;
    memcpy(kept, x, ROWS * INPUTS * sizeof *kept);
    for (int64_t b = 0; b < ROWS; b++) {
        classes[b] = b % CLASSES;
        index[b] = b;
    }
    subject in_place = open_subject(), gathered = open_subject();
    bp_data *data;
    BPT_OK(gathered.context, bp_data_create(gathered.context, x, ROWS, INPUTS, classes, NULL, 0, &data));
    for (int k = 0; k < STEPS; k++) {
        BPT_OK(in_place.context, bp_trainer_step(in_place.trainer, x, classes, NULL, ROWS));
        BPT_OK(gathered.context, bp_trainer_step_data(gathered.trainer, data, index, 0, ROWS));
    }
    int64_t count;
    double *left = bpt_model_parameters(in_place.context, in_place.model, &count);
    double *right = bpt_model_parameters(gathered.context, gathered.model, &count);
    bpt_same_bits(left, right, count, "after %d steps", STEPS);
    cr_assert_eq(memcmp(kept, x, ROWS * INPUTS * sizeof *kept), 0, "a step wrote to its input");
    free(left);
    free(right);
    bp_data_destroy(data);
    close_subject(&in_place);
    close_subject(&gathered);
    free(kept);
    free(block);
}
