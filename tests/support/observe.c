/* See observe.h. */
#include "support/observe.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

int64_t bpt_tensors_of(const bpt_device *device, int64_t more, bpi_observed_range ranges[BPT_TENSORS])
{
    static const int64_t units[] = {4099, 1, 2, 4093, 8192, 1, 16, 15001, 3};
    int64_t count = 0;
    for (int t = 0; t < BPT_TENSORS; ++t) {
        int64_t size = t < (int)(sizeof units / sizeof *units) ? units[t] : 1 + t % 5;
        ranges[t] = (bpi_observed_range){count, size * device->backend->traits.alignment};
        count += ranges[t].count;
    }
    ranges[BPT_TENSORS - 1].count += more;
    return count + more;
}

typedef struct arrays {
    bpt_matrix parameters, gradients, state1, state2;
} arrays;

static arrays upload(bpt_device *device, const bpt_update_values *values)
{
    return (arrays){bpt_parameters(device, 1, values->count, 0, values->parameters),
                    bpt_parameters(device, 1, values->count, 0, values->gradients),
                    bpt_parameters(device, 1, values->count, 0, values->state1),
                    bpt_parameters(device, 1, values->count, 0, values->state2)};
}

bpt_observed bpt_observe_step(bpt_device *device, const bpi_hyper *hyper, const bpt_update_values *values,
                              const bpi_step_state *state)
{
    bpi_observed_range ranges[BPT_TENSORS];
    const int64_t count = values->count;
    bpt_tensors_of(device, count - bpt_tensors_of(device, 0, ranges), ranges);
    bpt_observed after = {.values = *values, .state = *state};
    arrays a = upload(device, values);
    size_t scratch_bytes = device->ops->observe_scratch_bytes(device->backend, count, BPT_TENSORS);
    bpi_step_state *memory = bpt_upload(device, state, sizeof *state);
    bpi_tensor_sums unwritten[BPT_TENSORS];
    for (int t = 0; t < BPT_TENSORS; ++t)
        unwritten[t] = (bpi_tensor_sums){-1.0, -1.0, -1.0, -1, -1, -1.0, -1.0};
    void *nans = malloc(scratch_bytes); /* what stands in it before is nobody's zeros */
    cr_assert(nans);
    memset(nans, 0xff, scratch_bytes);
    void *scratch = bpt_upload(device, nans, scratch_bytes);
    free(nans);
    bpi_observe_args args = {bpt_upload(device, ranges, sizeof ranges), BPT_TENSORS,
                             bpt_upload(device, unwritten, sizeof unwritten), scratch};
    bpt_reserve(device, 1, 1, count);
    BPT_RUN(device, observe_gradients, hyper, a.gradients.view.data, count, memory, &args);
    bpi_update_args update = {.hyper = hyper,
                              .state = memory,
                              .count = count,
                              .decayed = values->decayed < count ? values->decayed : count,
                              .parameters = a.parameters.view.data,
                              .gradients = a.gradients.view.data};
    update.state1 = values->state1 ? a.state1.view.data : NULL;
    update.state2 = values->state2 ? a.state2.view.data : NULL;
    BPT_RUN(device, observe_update, &update, &args);
    bpt_download(device, memory, sizeof after.state, &after.state);
    bpt_download(device, args.sums, sizeof after.sums, after.sums);
    after.values.parameters = bpt_get(&a.parameters);
    after.values.state1 = values->state1 ? bpt_get(&a.state1) : NULL;
    after.values.state2 = values->state2 ? bpt_get(&a.state2) : NULL;
    device->ops->release(device->backend, memory, sizeof *state);
    device->ops->release(device->backend, (void *)(uintptr_t)args.ranges, sizeof ranges);
    device->ops->release(device->backend, args.sums, sizeof unwritten);
    device->ops->release(device->backend, scratch, scratch_bytes);
    bpt_release(&a.parameters);
    bpt_release(&a.gradients);
    bpt_release(&a.state1);
    bpt_release(&a.state2);
    return after;
}
