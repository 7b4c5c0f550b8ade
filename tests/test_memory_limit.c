/* test_memory_limit.c: a batch that does not fit a limit is walked in parts, to the bits of the same parts by hand. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/trainer.h"
#include "support/judge.h"
#include "support/run.h"

enum { ROWS = 500, INPUTS = 9, CLASSES = 5, WIDEST = 40 * 40 };

#define LAYERS "40:gelu:ln:dropout=0.2,40:tanh:skip=1,5"
#define PLAIN_LAYERS "40:gelu,24:tanh,5"

typedef struct run {
    bp_context *context;
    bpi_ops ops; /* the backend's, to be changed by a test */
    bp_model *model;
    bp_data *data;
} run;

static char said[1024]; /* what the library logged last */

static void keep_words(void *user, bp_log_level level, const char *text)
{
    (void)user;
    (void)level;
    snprintf(said, sizeof said, "%s", text);
}

static run open_run(const char *backend, const char *layers)
{
    bp_context_options options = {.struct_size = sizeof options,
                                  .backend = backend,
                                  .threads = 2,
                                  .plugin_dir = BP_BINARY_DIR,
                                  .log = keep_words};
    bp_model_options network = {.struct_size = sizeof network, .inputs = INPUTS, .layers = layers, .seed = 2};
    run r = {.context = NULL};
    bp_status status = bp_context_create(&options, &r.context);
    bpt_ok(r.context, status, backend);
    BPT_OK(r.context, bp_model_create(r.context, &network, &r.model));
    r.data = bpt_classes(r.context, ROWS, INPUTS, CLASSES, 4);
    return r;
}

static void close_run(run *r)
{
    bp_data_destroy(r->data);
    bp_model_destroy(r->model);
    bp_context_destroy(r->context);
}

/* A limit under which the batch must be walked in at least that many parts. */
static size_t limit_for(const run *r, const bp_trainer_options *options, int64_t parts)
{
    bp_trainer_options part = *options;
    bp_memory_plan plan;
    part.batch = ROWS / parts;
    BPT_OK(r->context, bp_trainer_plan(r->model, &part, &plan));
    return plan.total_bytes;
}

static void compare_gradients(run *r, bp_trainer *a, bp_trainer *b, const char *what)
{
    BPT_OK(r->context, bp_trainer_gradients_data(a, r->data, 0, ROWS));
    BPT_OK(r->context, bp_trainer_gradients_data(b, r->data, 0, ROWS));
    for (int64_t i = 0; i < bp_model_tensor_count(r->model); i++) {
        bp_tensor_info info;
        double first[WIDEST], second[WIDEST];
        BPT_OK(r->context, bp_model_tensor_info(r->model, i, &info));
        int64_t count = info.cols ? info.rows * info.cols : info.rows;
        BPT_OK(r->context, bp_trainer_get_gradient(a, info.name, first, count));
        BPT_OK(r->context, bp_trainer_get_gradient(b, info.name, second, count));
        bpt_same_bits(first, second, count, "%s: %s", what, info.name);
    }
}

Test(memory_limit, walks_the_batch_in_parts_that_fit_to_the_bits_of_the_same_parts_by_hand)
{
    const char *const backends[] = {"reference", "cpu", getenv("BP_TEST_CUDA") ? "cuda" : NULL};
    for (size_t b = 0; b < sizeof backends / sizeof *backends && backends[b]; b++) {
        run r = open_run(backends[b], LAYERS);
        bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS, .momentum = 0.9};
        bp_memory_plan whole, plan;
        BPT_OK(r.context, bp_trainer_plan(r.model, &options, &whole));
        cr_expect(!whole.memory_limited && whole.part_rows <= ROWS, "%s", backends[b]);
        options.memory_limit = limit_for(&r, &options, 3);
        BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
        cr_assert(plan.memory_limited && plan.part_rows < ROWS && plan.part_rows > ROWS / 5, "%s: %lld at a time",
                  backends[b], (long long)plan.part_rows);
        cr_expect_leq(plan.total_bytes, options.memory_limit, "%s", backends[b]);
        cr_expect_lt(plan.total_bytes, whole.total_bytes, "%s", backends[b]);

        said[0] = '\0';
        bp_trainer *limited, *by_hand;
        BPT_OK(r.context, bp_trainer_create(r.model, &options, &limited));
        char number[32];
        snprintf(number, sizeof number, "%lld samples at a time", (long long)plan.part_rows);
        cr_expect_not_null(strstr(said, number), "%s: \"%s\"", backends[b], said);
        bp_trainer_options parts = {.struct_size = sizeof parts,
                                    .batch = plan.part_rows,
                                    .accumulate = (ROWS + plan.part_rows - 1) / plan.part_rows,
                                    .momentum = 0.9};
        BPT_OK(r.context, bp_trainer_create(r.model, &parts, &by_hand));
        compare_gradients(&r, limited, by_hand, backends[b]);
        bp_trainer_destroy(by_hand);
        bp_trainer_destroy(limited);
        close_run(&r);
    }
}

static void *count_allocate(void *user, size_t bytes, size_t alignment)
{
    *(int64_t *)user += (int64_t)bytes;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void count_release(void *user, void *memory, size_t bytes)
{
    *(int64_t *)user -= (int64_t)bytes;
    free(memory);
}

Test(memory_limit, is_kept_by_what_is_allocated)
{
    int64_t live = 0;
    bp_context_options counted = {
        .struct_size = sizeof counted, .backend = "reference", .allocator = {count_allocate, count_release, &live}};
    bp_context *context;
    bp_status status = bp_context_create(&counted, &context);
    bpt_ok(context, status, "context");
    bp_model_options network = {.struct_size = sizeof network, .inputs = 64, .layers = "256:gelu,256:gelu,7"};
    bp_model *model;
    bp_trainer *trainer;
    BPT_OK(context, bp_model_create(context, &network, &model));
    bp_trainer_options options = {.struct_size = sizeof options, .batch = 8192, .ema_decay = 0.9};
    bp_memory_plan plan;
    BPT_OK(context, bp_trainer_plan(model, &options, &plan));
    for (int part = 2; part <= 16; part *= 2) {
        options.memory_limit =
            plan.gradient_bytes + plan.optimizer_bytes + plan.workspace_bytes + plan.activation_bytes / (size_t)part;
        int64_t before = live;
        BPT_OK(context, bp_trainer_create(model, &options, &trainer));
        /* the structs of the trainer and of its plans are not counted: a few KiB */
        cr_expect_leq(live - before, (int64_t)options.memory_limit + 65536, "a %dth", part);
        cr_expect_gt(live - before, (int64_t)(plan.gradient_bytes + plan.optimizer_bytes), "a %dth", part);
        bp_trainer_destroy(trainer);
    }
    bp_model_destroy(model);
    bp_context_destroy(context);
}

static void expect_refusal(run *r, const bp_trainer_options *options, const char *words, const char *number)
{
    bp_trainer *trainer;
    cr_expect_eq(bp_trainer_create(r->model, options, &trainer), BP_STATUS_OUT_OF_MEMORY);
    cr_expect_null(trainer);
    cr_expect_not_null(strstr(bp_last_error(r->context), words), "%s", bp_last_error(r->context));
    cr_expect_not_null(strstr(bp_last_error(r->context), number), "%s", bp_last_error(r->context));
}

Test(memory_limit, that_not_even_one_sample_fits_is_refused)
{
    run r = open_run("cpu", LAYERS);
    bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS, .memory_limit = 4321};
    expect_refusal(&r, &options, "one sample at a time", "4321");
    close_run(&r);
}

Test(memory_limit, refuses_to_part_the_batch_of_batch_norm)
{
    run r = open_run("cpu", "40:relu:bn,5");
    bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS};
    bp_memory_plan plan;
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
    options.memory_limit = plan.total_bytes;
    bp_trainer *trainer;
    BPT_OK(r.context, bp_trainer_create(r.model, &options, &trainer));
    bp_trainer_destroy(trainer);
    options.memory_limit = plan.total_bytes - 1;
    expect_refusal(&r, &options, "batch norm", "500 samples");
    close_run(&r);
}

Test(memory_limit, of_batch_norm_names_the_largest_batch_that_fits)
{
    run r = open_run("cpu", "40:relu:bn,5");
    bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS};
    bp_memory_plan plan;
    bp_trainer *trainer;
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
    options.memory_limit = plan.total_bytes / 2;
    cr_assert_eq(bp_trainer_create(r.model, &options, &trainer), BP_STATUS_OUT_OF_MEMORY);
    const char *words = strstr(bp_last_error(r.context), "a batch of ");
    cr_assert_not_null(words, "%s", bp_last_error(r.context));
    options.batch = strtoll(words + strlen("a batch of "), NULL, 10);
    cr_assert(options.batch > 1 && options.batch < ROWS, "%s", words);
    BPT_OK(r.context, bp_trainer_create(r.model, &options, &trainer));
    bp_trainer_destroy(trainer);
    options.batch += 1;
    cr_assert_eq(bp_trainer_create(r.model, &options, &trainer), BP_STATUS_OUT_OF_MEMORY);
    close_run(&r);
}

/* ---------------------------------------------------------------- what the device has */

static size_t device_has;

static bp_status pretend_free(bpi_backend *backend, size_t *bytes)
{
    (void)backend;
    *bytes = device_has;
    return BP_STATUS_OK;
}

Test(memory_limit, without_one_what_the_device_has_free_decides)
{
    run r = open_run("cpu", LAYERS);
    r.ops = *r.context->backend->ops;
    r.ops.memory_free = pretend_free;
    const bpi_ops *own = r.context->backend->ops;
    bp_trainer_options options = {.struct_size = sizeof options, .batch = ROWS};
    bp_memory_plan whole, plan;
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &whole));
    r.context->backend->ops = &r.ops;
    device_has = 2 * whole.total_bytes;
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
    cr_expect(!plan.memory_limited);
    device_has = whole.total_bytes; /* a sixteenth of it is left alone */
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
    cr_expect(plan.memory_limited && plan.part_rows < whole.part_rows);
    options.memory_limit = whole.total_bytes; /* the user's word is taken */
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
    cr_expect(!plan.memory_limited);
    r.context->backend->ops = own;
    close_run(&r);
}

Test(memory_limit, of_a_cuda_device_shrinks_with_what_is_allocated)
{
    if (!getenv("BP_TEST_CUDA"))
        cr_skip_test("BP_TEST_CUDA does not name the CUDA plug-in: cuda_test_memory_limit runs this on cuemu");
    run r = open_run("cuda", PLAIN_LAYERS);
    bpi_backend *backend = r.context->backend;
    enum { BYTES = 8 << 20 };
    size_t before, after;
    void *memory;
    BPT_OK(r.context, backend->ops->memory_free(backend, &before));
    BPT_OK(r.context, backend->ops->allocate(backend, BYTES, &memory));
    BPT_OK(r.context, backend->ops->memory_free(backend, &after));
    cr_expect(after + BYTES <= before, "%zu bytes before, %zu after", before, after);
    backend->ops->release(backend, memory, BYTES);
    close_run(&r);
}

Test(memory_limit, of_a_cuda_device_is_told_in_bytes_wanted_and_free)
{
    if (!getenv("BP_TEST_CUDA"))
        cr_skip_test("BP_TEST_CUDA does not name the CUDA plug-in: cuda_test_memory_limit runs this on cuemu");
    run r = open_run("cuda", PLAIN_LAYERS);
    bpi_backend *backend = r.context->backend;
    size_t free_bytes, wanted, told_wanted, told_free, told_total;
    void *memory = &r;
    BPT_OK(r.context, backend->ops->memory_free(backend, &free_bytes));
    wanted = free_bytes * 4;
    cr_assert_eq(backend->ops->allocate(backend, wanted, &memory), BP_STATUS_OUT_OF_MEMORY);
    cr_assert_null(memory);
    int found =
        sscanf(bp_last_error(r.context), "backend cuda: no memory for %zu bytes: %zu are free of %zu on the device",
               &told_wanted, &told_free, &told_total);
    cr_assert_eq(found, 3, "%s", bp_last_error(r.context));
    cr_expect(!strstr(bp_last_error(r.context), "batch"), "not all memory is a batch's: %s", bp_last_error(r.context));
    cr_expect_eq(told_wanted, wanted);
    cr_expect(told_free >= free_bytes && told_free < told_total, "%s", bp_last_error(r.context));
    BPT_OK(r.context, backend->ops->allocate(backend, 1000, &memory)); /* the backend works on */
    backend->ops->release(backend, memory, 1000);
    close_run(&r);
}

/* With a limit that the user gave, what is free is not asked for before, and the allocation itself fails. */
Test(memory_limit, of_a_cuda_device_that_a_batch_exceeds_is_told_with_the_batch_that_would_fit)
{
    if (!getenv("BP_TEST_CUDA"))
        cr_skip_test("BP_TEST_CUDA does not name the CUDA plug-in: cuda_test_memory_limit runs this on cuemu");
    run r = open_run("cuda", PLAIN_LAYERS);
    bp_trainer_options options = {.struct_size = sizeof options, .batch = 1 << 28, .memory_limit = SIZE_MAX};
    bp_memory_plan plan, fits;
    size_t wanted, told_free, told_total;
    long long batch, most;
    bp_trainer *trainer;
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &plan));
    cr_assert_eq(bp_trainer_create(r.model, &options, &trainer), BP_STATUS_OUT_OF_MEMORY);
    int found = sscanf(bp_last_error(r.context),
                       "backend cuda: no memory for %zu bytes: %zu are free of %zu on the device: of %lld samples at a "
                       "time at most %lld would fit; the trainer wants",
                       &wanted, &told_free, &told_total, &batch, &most);
    cr_assert_eq(found, 5, "%s", bp_last_error(r.context));
    cr_expect(wanted == plan.activation_bytes && batch == 1 << 28 && most > 0, "%s", bp_last_error(r.context));
    options.batch = most;
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &fits));
    cr_expect_leq(fits.activation_bytes, told_free + 4096);
    options.batch = most + most / 1000;
    BPT_OK(r.context, bp_trainer_plan(r.model, &options, &fits));
    cr_expect_gt(fits.activation_bytes, told_free);
    close_run(&r);
}
