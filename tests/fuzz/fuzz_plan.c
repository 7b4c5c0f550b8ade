/* fuzz_plan: any bytes as the file of --plan, for a network of two blocks and batches of eight rows. */
#include "fuzz/fuzz.h"
#include "host/trainer.h"
#include "host/ways_plan.h"

/* The reference as if it had ways: a plan's text asks no more of a backend. */
static bool has_way(bpi_backend *backend, const bpi_linear_spec *spec, bpi_way way, bpi_error *why)
{
    (void)backend, (void)spec, (void)way, (void)why;
    return true;
}

static void give_ways(bp_context *context)
{
    static bpi_ops with_ways;
    if (context->backend->ops == &with_ways)
        return;
    with_ways = *context->backend->ops;
    with_ways.linear_way = has_way;
    context->backend->ops = &with_ways;
}

enum { BLOCKS = 2, ROWS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    bp_context *context = fuzz_context();
    bp_model_options network = {.struct_size = sizeof network, .inputs = 6, .layers = "5:relu,3"};
    bp_model *model;
    give_ways(context);
    fuzz_require(bp_model_create(context, &network, &model) == BP_STATUS_OK, "the network is made");
    const bpi_pass pass = {.model = model, .rows = ROWS};
    unsigned ways[BLOCKS] = {~0u, ~0u};
    if (fuzz_accepted(bpi_ways_plan_parse(&pass, "plan.json", (const char *)bytes, count, ways)))
        for (int i = 0; i < BLOCKS; i++)
            fuzz_require(ways[i] < 1u << BPI_WAYS, "a plan names ways that there are");
    bp_model_destroy(model);
    fuzz_require_no_leak();
    return 0;
}
