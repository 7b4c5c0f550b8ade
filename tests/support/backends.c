/* See backends.h. */
#include "support/backends.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/gemm.h"

/* The table of the plug-in that BP_TEST_CUDA names. It stays loaded: CUDA's libraries do not stand being unloaded. */
static const bpi_ops *cuda_ops(void)
{
    void *library = dlopen(getenv("BP_TEST_CUDA"), RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library, "%s", dlerror());
    bpi_plugin_entry symbol;
    *(void **)&symbol = dlsym(library, BPI_PLUGIN_SYMBOL);
    cr_assert(symbol && symbol(), "%s has no " BPI_PLUGIN_SYMBOL, getenv("BP_TEST_CUDA"));
    return symbol();
}

static const bpt_target reference = {"reference f64", bpi_reference_ops, BP_PRECISION_F64};
static const bpt_target cpu[] = {{"cpu f32", bpi_cpu_ops, BP_PRECISION_F32},
                                 {"cpu bf16", bpi_cpu_ops, BP_PRECISION_BF16}};
static const bpt_target cuda[] = {{"cuda f32", cuda_ops, BP_PRECISION_F32}, {"cuda bf16", cuda_ops, BP_PRECISION_BF16}};

/* What a machine without bf16 cannot run. */
static void skip_where_not_native(void)
{
    const char *products = getenv("BP_CPU_BF16");
    if (products && strcmp(products, "native") == 0 && !bpi_cpu_gemm_bf16_of_machine())
        cr_skip_test("this processor has neither AVX512-BF16 nor AMX");
}

bp_precision bpt_precision(void)
{
    const char *name = getenv("BP_TEST_PRECISION");
    cr_assert(!name || strcmp(name, "bf16") == 0, "BP_TEST_PRECISION is %s; it may be bf16", name);
    if (name)
        skip_where_not_native();
    return name ? BP_PRECISION_BF16 : BP_PRECISION_F32;
}

const bpt_target *bpt_reference(void)
{
    return &reference;
}

const bpt_target *bpt_fast(void)
{
    const bpt_target *list = getenv("BP_TEST_CUDA") ? cuda : cpu;
    return &list[bpt_precision() == BP_PRECISION_BF16];
}

int bpt_fast_index(void)
{
    return !getenv("BP_TEST_CUDA") && !getenv("BP_TEST_PRECISION");
}

const bpt_target *bpt_target_at(int index)
{
    int fast = bpt_fast_index();
    return index < fast ? bpt_reference() : index == fast ? bpt_fast() : NULL;
}

static void *counting_allocate(void *user, size_t bytes, size_t alignment)
{
    bpt_device *device = user;
    void *memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory) {
        memset(memory, 0xff, bytes); /* allocate promises zeros: the backend has to write them */
        device->allocations += 1;
        device->live_bytes += (int64_t)bytes;
    }
    return memory;
}

static void counting_release(void *user, void *memory, size_t bytes)
{
    ((bpt_device *)user)->live_bytes -= (int64_t)bytes;
    free(memory);
}

bpt_device *bpt_open(const bpt_target *target, int threads)
{
    bpt_device *device = calloc(1, sizeof *device);
    cr_assert_not_null(device);
    device->target = target;
    device->ops = target->ops();
    device->roundoff = bpi_roundoff_of(target->precision);
    cr_assert_eq(device->ops->version, BPI_OPS_VERSION);
    cr_assert_eq(device->ops->struct_size, sizeof(bpi_ops));
    bpi_backend_options options = {.precision = target->precision,
                                   .threads = threads,
                                   .allocator = {counting_allocate, counting_release, device},
                                   .error = &device->error,
                                   .emulate_bf16 = true};
    bp_status status = device->ops->create(&options, &device->backend);
    cr_assert_eq(status, BP_STATUS_OK, "%s: create: %s", target->name, device->error.text);
    device->ops = device->backend->ops; /* of this precision */
    return device;
}

void bpt_close(bpt_device *device)
{
    device->ops->destroy(device->backend);
    cr_assert_eq(device->live_bytes, 0, "%s: %lld bytes are still held after destroy", device->target->name,
                 (long long)device->live_bytes);
    free(device);
}

void bpt_operation_begins(bpt_device *device)
{
    device->allocations_seen = device->allocations;
}

void bpt_operation_ended(bpt_device *device, const char *operation, bp_status status)
{
    cr_assert_eq(status, BP_STATUS_OK, "%s: %s: %s", device->target->name, operation, device->error.text);
    cr_assert_eq(device->allocations, device->allocations_seen, "%s: %s allocated memory", device->target->name,
                 operation);
}
