/* See cuemu.h. */
#include "support/cuemu.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "cuemu/cuemu_api.h"

/* The plug-in was loaded with RTLD_LOCAL, and its runtime with it. */
static void *runtime_symbol(const char *name)
{
    void *runtime = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    cr_assert_not_null(runtime, "the CUDA runtime is not loaded: %s", dlerror());
    void *symbol = dlsym(runtime, name);
    dlclose(runtime);
    return symbol;
}

bool bpt_on_cuemu(void)
{
    return runtime_symbol("cuemu_counter") != NULL;
}

void bpt_skip_without_cuda(const char *entry)
{
    if (!getenv("BP_TEST_CUDA"))
        cr_skip_test("BP_TEST_CUDA does not name the CUDA plug-in: %s runs this on cuemu", entry);
}

int64_t bpt_count(const char *kernel, const char *counter)
{
    cuemu_counter_fn *function;
    *(void **)&function = runtime_symbol("cuemu_counter");
    int64_t value = function(kernel, counter);
    cr_assert_geq(value, 0, "cuemu has no counter %s of %s", counter, kernel);
    return value;
}

void bpt_reset_counts(void)
{
    cuemu_reset_counters_fn *function;
    *(void **)&function = runtime_symbol("cuemu_reset_counters");
    function();
}
