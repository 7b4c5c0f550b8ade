/* Making a backend, its memory and its traits: what the table promises before any operation. */
#include "kernels/cpu/gemm.h"
#include "support/hooks.h"
#include "support/matrix.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(backend, .fini = bpt_clean);

Test(backend, table_is_complete_but_for_what_ops_h_calls_optional)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        const bpi_ops *ops = bpt_target_at(t)->ops();
        const void *entries[] = {
            (void *)(intptr_t)ops->create,         (void *)(intptr_t)ops->destroy,
            (void *)(intptr_t)ops->allocate,       (void *)(intptr_t)ops->release,
            (void *)(intptr_t)ops->upload,         (void *)(intptr_t)ops->download,
            (void *)(intptr_t)ops->zero,           (void *)(intptr_t)ops->synchronize,
            (void *)(intptr_t)ops->lane_fork,      (void *)(intptr_t)ops->lane_join,
            (void *)(intptr_t)ops->reserve,        (void *)(intptr_t)ops->workspace_bytes,
            (void *)(intptr_t)ops->load,           (void *)(intptr_t)ops->linear_plan,
            (void *)(intptr_t)ops->linear_unplan,  (void *)(intptr_t)ops->linear_forward,
            (void *)(intptr_t)ops->hadamard,       (void *)(intptr_t)ops->linear_input_grad,
            (void *)(intptr_t)ops->bias_grad,      (void *)(intptr_t)ops->linear_weight_grad,
            (void *)(intptr_t)ops->step_begin,     (void *)(intptr_t)ops->activation_forward,
            (void *)(intptr_t)ops->loss,           (void *)(intptr_t)ops->activation_backward,
            (void *)(intptr_t)ops->update_prepare, (void *)(intptr_t)ops->activation_derivative,
            (void *)(intptr_t)ops->update,
        };
        cr_assert(ops->version == BPI_OPS_VERSION && ops->struct_size == sizeof *ops && ops->name);
        for (size_t k = 0; k < sizeof entries / sizeof entries[0]; ++k)
            cr_assert_not_null(entries[k], "%s: entry %zu", ops->name, k);
        cr_assert_eq(!ops->capture_begin, !ops->graph_launch, "%s: half of the capture", ops->name);
        cr_assert_eq(!ops->source_prepare, !ops->source_release, "%s: half of the source", ops->name);
    }
}

Test(backend, traits_say_what_it_is)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 2);
        bpi_traits traits = device->backend->traits;
        cr_assert(device->backend->ops == device->ops && device->backend->error == &device->error);
        cr_assert_eq(traits.alignment * (int64_t)bpi_type_bytes(traits.parameter_type) % 16, 0,
                     "%s: rows must start on 16 bytes", device->target->name);
        cr_assert(traits.engine[0] && memchr(traits.engine, 0, sizeof traits.engine), "%s", device->target->name);
        bpt_close(device);
    }
}

Test(backend, leading_dimensions_that_it_prefers_are_ones_that_it_takes)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        int64_t alignment = device->backend->traits.alignment;
        for (int64_t cols = 1; device->ops->leading_dimension && cols < 5000; ++cols) {
            for (int of_errors = 0; of_errors < 2; ++of_errors) {
                int64_t ld = device->ops->leading_dimension(device->backend, cols, of_errors != 0);
                cr_assert(ld >= cols && ld % alignment == 0 && ld < cols + 64 * alignment,
                          "%s: ld %lld for %lld columns", device->target->name, (long long)ld, (long long)cols);
            }
        }
        bpt_close(device);
    }
}

Test(backend, memory_is_zeroed_aligned_and_keeps_bytes)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 100003};
    for (int t = 0; bpt_target_at(t); ++t) {
        bpt_device *device = bpt_open(bpt_target_at(t), 1);
        const bpi_ops *ops = device->ops;
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; ++k) {
            size_t size = sizes[k];
            void *memory = NULL;
            unsigned char *sent = malloc(size + 1), *got = malloc(size + 1);
            cr_assert(sent && got);
            memset(got, 7, size + 1);
            for (size_t b = 0; b < size; ++b)
                sent[b] = (unsigned char)(b * 31 + 5);
            cr_assert_eq(ops->allocate(device->backend, size, &memory), BP_STATUS_OK);
            cr_assert(memory && (uintptr_t)memory % 64 == 0, "%s: %p", device->target->name, memory);
            bpt_download(device, memory, size, got);
            for (size_t b = 0; b < size; ++b)
                cr_assert_eq(got[b], 0, "%s: byte %zu of %zu", device->target->name, b, size);
            cr_assert_eq(ops->upload(device->backend, sent, size, memory), BP_STATUS_OK);
            bpt_download(device, memory, size, got);
            cr_assert(memcmp(sent, got, size) == 0 && got[size] == 7, "%s: %zu bytes", device->target->name, size);
            cr_assert_eq(ops->zero(device->backend, memory, size), BP_STATUS_OK);
            cr_assert_eq(ops->synchronize(device->backend), BP_STATUS_OK);
            bpt_download(device, memory, size, got);
            for (size_t b = 0; b < size; ++b)
                cr_assert_eq(got[b], 0);
            ops->release(device->backend, memory, size);
            free(sent);
            free(got);
        }
        ops->release(device->backend, NULL, 0);
        ops->linear_unplan(device->backend, NULL);
        ops->destroy(NULL);
        bpt_close(device); /* the table may be the backend's own */
    }
}

static void *no_memory(void *user, size_t bytes, size_t alignment)
{
    (void)user, (void)bytes, (void)alignment;
    return NULL;
}

static void never_called(void *user, void *memory, size_t bytes)
{
    (void)user, (void)bytes;
    cr_assert_fail("released %p, which nobody allocated", memory);
}

/* Makes the cpu backend in bf16, and takes it down: its status, and what it said in `words`. */
static bp_status try_bf16(bool emulate, char words[sizeof(bpi_error)])
{
    bpi_error error = {{0}};
    bpi_backend *backend = NULL;
    bpt_hooks hooks = {0};
    bpi_backend_options options = {.precision = BP_PRECISION_BF16,
                                   .threads = 1,
                                   .allocator = bpt_hooks_allocator(&hooks),
                                   .error = &error,
                                   .emulate_bf16 = emulate};
    bp_status status = bpi_cpu_ops()->create(&options, &backend);
    cr_assert_eq(status == BP_STATUS_OK, backend != NULL);
    cr_assert(!backend || backend->traits.activation_type == BPI_TYPE_BF16);
    snprintf(words, sizeof(bpi_error), "%s", backend ? backend->traits.engine : error.text);
    if (backend)
        backend->ops->destroy(backend);
    cr_assert_eq(hooks.live, 0);
    return status;
}

/* What is not faster than f32 is nothing to fall into without asking for it. oneDNN looks at its variable once, before
 * its first product. */
Test(backend, cpu_without_bf16_emulates_it_where_it_is_asked_to_by_name_alone)
{
    char words[sizeof(bpi_error)];
    cr_assert(setenv("DNNL_MAX_CPU_ISA", "AVX2", 1) == 0 && unsetenv("BP_CPU_BF16") == 0);
    cr_assert_eq(bpi_cpu_gemm_bf16_of_machine(), BPI_CPU_GEMM_NO_BF16);
    cr_assert_eq(try_bf16(false, words), BP_STATUS_UNSUPPORTED);
    cr_assert(strstr(words, "AVX512-BF16") && strstr(words, "emulate_bf16"), "%s", words);
    cr_assert_eq(try_bf16(true, words), BP_STATUS_OK, "%s", words);
    cr_assert(strstr(words, "bf16 emulated"), "%s", words);
    cr_assert_eq(setenv("BP_CPU_BF16", "native", 1), 0);
    cr_assert_eq(try_bf16(true, words), BP_STATUS_UNSUPPORTED);
    cr_assert(strstr(words, "AVX512-BF16"), "%s", words);
    cr_assert_eq(setenv("BP_CPU_BF16", "widened", 1), 0);
    cr_assert_eq(try_bf16(false, words), BP_STATUS_UNSUPPORTED);
    cr_assert_eq(try_bf16(true, words), BP_STATUS_OK, "%s", words);
}

Test(backend, cpu_with_bf16_has_it_without_being_asked_and_takes_the_products_that_are_named)
{
    if (!bpi_cpu_gemm_bf16_of_machine())
        cr_skip_test("this processor has neither AVX512-BF16 nor AMX");
    char words[sizeof(bpi_error)];
    cr_assert_eq(unsetenv("BP_CPU_BF16"), 0);
    cr_assert_eq(try_bf16(false, words), BP_STATUS_OK, "%s", words);
    cr_assert(strstr(words, ", bf16 ") && !strstr(words, "emulated"), "%s", words);
    cr_assert_eq(try_bf16(true, words), BP_STATUS_OK, "%s", words);
    cr_assert(strstr(words, "bf16 emulated"), "%s", words);
    cr_assert_eq(setenv("BP_CPU_BF16", "native", 1), 0);
    cr_assert_eq(try_bf16(true, words), BP_STATUS_OK, "%s", words);
    cr_assert(strstr(words, "bf16 by A"), "%s", words);
    cr_assert_eq(setenv("BP_CPU_BF16", "widened", 1), 0);
    cr_assert_eq(try_bf16(false, words), BP_STATUS_OK, "%s", words);
    cr_assert(strstr(words, "bf16 multiplied in f32"), "%s", words);
    cr_assert_eq(setenv("BP_CPU_BF16", "int8", 1), 0);
    cr_assert_eq(try_bf16(false, words), BP_STATUS_UNSUPPORTED);
    cr_assert(strstr(words, "int8") && strstr(words, "native") && strstr(words, "widened"), "%s", words);
}

Test(backend, creation_without_memory_is_a_status_with_words)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpi_error error = {{0}};
        bpi_backend *backend = (bpi_backend *)&error;
        bpi_backend_options options = {.precision = bpt_target_at(t)->precision,
                                       .threads = 1,
                                       .allocator = {no_memory, never_called, NULL},
                                       .error = &error,
                                       .emulate_bf16 = true};
        cr_assert_eq(bpt_target_at(t)->ops()->create(&options, &backend), BP_STATUS_OUT_OF_MEMORY);
        cr_assert(!backend && error.text[0], "%s", bpt_target_at(t)->name);
    }
}

Test(backend, a_precision_it_does_not_have_is_unsupported_and_named)
{
    for (int t = 0; bpt_target_at(t); ++t) {
        bpi_error error = {{0}};
        bpi_backend *backend = NULL;
        bool f64 = bpt_target_at(t)->precision == BP_PRECISION_F64;
        bpt_hooks hooks = {0};
        bpi_backend_options options = {.precision = f64 ? BP_PRECISION_F32 : BP_PRECISION_F64,
                                       .threads = 1,
                                       .allocator = bpt_hooks_allocator(&hooks),
                                       .error = &error};
        cr_assert_eq(bpt_target_at(t)->ops()->create(&options, &backend), BP_STATUS_UNSUPPORTED, "%s",
                     bpt_target_at(t)->name);
        cr_assert_eq(hooks.live, 0);
        cr_assert(!backend && strstr(error.text, f64 ? "f32" : "f64"), "%s: %s", bpt_target_at(t)->name, error.text);
    }
}
