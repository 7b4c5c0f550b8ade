/* Why no CUDA device can be used, in words: kernels/cuda/device.c on a runtime that this file plays, and a plug-in that
 * is not there, or can't be loaded. Each cause has its own message, names what is missing, and leaves cpu usable. */
#include <criterion/criterion.h>
#include <string.h>

#include "backprop/backprop.h"
#include "support/program.h"
#include "support/sandbox.h"

#ifdef BPT_WITH_CUDA /* the build has the plug-in, and with it CUDA's headers */
#include "kernels/cuda/cuda.h"

/* ---------------------------------------------------------------- the runtime that is played */

static struct {
    cudaError_t counting;
    int devices, driver, runtime, major, minor;
} machine;

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = machine.devices;
    return machine.counting;
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = machine.driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = machine.runtime;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "Card %d", device);
    properties->major = machine.major;
    properties->minor = machine.minor;
    return cudaSuccess;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version)
{
    (void)handle;
    *version = 130002;
    return CUBLAS_STATUS_SUCCESS;
}

bp_status bpi_cuda_check(bpi_error *error, cudaError_t code, const char *call, const char *file, int line)
{
    (void)file, (void)line;
    return code == cudaSuccess ? BP_STATUS_OK : bpi_fail(error, BP_STATUS_DEVICE, "%s: error %d", call, (int)code);
}

bp_status bpi_cuda_check_blas(bpi_error *error, cublasStatus_t code, const char *call, const char *file, int line)
{
    return bpi_cuda_check(error, (cudaError_t)code, call, file, line);
}

/* ---------------------------------------------------------------- what is said of it */

static bpi_cuda cuda;
static bpi_error error;

static bp_status open_device(void)
{
    memset(&cuda, 0, sizeof cuda);
    cuda.backend.error = &error;
    return bpi_cuda_device_open(&cuda, "f32");
}

static void expect(bp_status status, const char *first, const char *second)
{
    cr_expect_eq(open_device(), status, "%s", error.text);
    cr_expect(strstr(error.text, first) && strstr(error.text, second), "\"%s\", \"%s\" in: %s", first, second,
              error.text);
}

Test(cuda_device, without_a_driver_it_names_the_library_and_the_version_to_install)
{
    machine.counting = cudaErrorInsufficientDriver; /* what the runtime returns without a driver too */
    machine.runtime = 13000;
    expect(BP_STATUS_NOT_FOUND, "no NVIDIA driver (libcuda.so.1)", "CUDA 13.0");
}

Test(cuda_device, with_an_old_driver_it_names_both_versions)
{
    machine.counting = cudaErrorInsufficientDriver;
    machine.driver = 12040;
    machine.runtime = 13000;
    expect(BP_STATUS_NOT_FOUND, "too old: it knows CUDA 12.4", "needs 13.0");
}

Test(cuda_device, without_a_device_it_says_that_the_driver_is_there)
{
    machine.driver = machine.runtime = 13000;
    machine.counting = cudaErrorNoDevice;
    expect(BP_STATUS_NOT_FOUND, "driver is there, but no device", "CUDA_VISIBLE_DEVICES");
    machine.counting = cudaSuccess;
    expect(BP_STATUS_NOT_FOUND, "driver is there, but no device", "CUDA_VISIBLE_DEVICES");
}

Test(cuda_device, that_is_too_old_is_named_with_its_capability)
{
    machine.driver = machine.runtime = 13000;
    machine.devices = 1;
    machine.major = 7;
    expect(BP_STATUS_UNSUPPORTED, "Card 0 has compute capability 7.0", "7.5 or newer");
    machine.minor = 5;
    cr_expect_eq(open_device(), BP_STATUS_OK, "%s", error.text);
    cr_expect(strstr(cuda.backend.traits.engine, "Card 0 (7.5)"), "%s", cuda.backend.traits.engine);
}

Test(cuda_device, errors_of_another_kind_are_passed_on)
{
    machine.driver = machine.runtime = 13000;
    machine.counting = cudaErrorDevicesUnavailable;
    expect(BP_STATUS_DEVICE, "cudaGetDeviceCount", "error 46");
}

#else
Test(cuda_device, is_played_where_the_build_has_cuda)
{
    cr_skip_test("this build has no CUDA plug-in, and so not its words for devices");
}
#endif

/* ---------------------------------------------------------------- the plug-in */

static void expect_plugin(const char *folder, const char *backend, const char *first, const char *second)
{
    bp_context_options options = {.struct_size = sizeof options, .backend = backend, .plugin_dir = folder};
    bp_context *context;
    bp_status status = bp_context_create(&options, &context);
    bool is_auto = strcmp(backend, "auto") == 0;
    const char *words = is_auto ? bp_context_backend_reason(context) : bp_last_error(context);
    cr_expect_eq(status, is_auto ? BP_STATUS_OK : BP_STATUS_NOT_FOUND, "%s", words);
    cr_expect(strstr(words, first) && strstr(words, second), "\"%s\", \"%s\" in: %s", first, second, words);
    cr_expect(!is_auto || strcmp(bp_context_backend(context), "cpu") == 0);
    bp_context_destroy(context);
}

/* The test program lies apart from the plug-in, and so does a folder that holds none. */
Test(cuda_device, plug_in_that_is_not_installed_is_named_with_the_places, .init = bpt_sandbox_enter,
     .fini = bpt_sandbox_leave)
{
    expect_plugin(".", "cuda", "libbackprop_cuda.so is not installed", "the system's library path");
    expect_plugin(".", "auto", "libbackprop_cuda.so is not installed", "the system's library path");
}

Test(cuda_device, library_that_the_plug_in_lacks_is_told_as_the_linker_names_it, .init = bpt_sandbox_enter,
     .fini = bpt_sandbox_leave)
{
    bpt_text_write("nothing.c", "int nothing;");
    bpt_run made = bpt_command("cc -shared -fPIC -o libcublas_missing.so.13 nothing.c");
    bpt_run plugin =
        bpt_command("cc -shared -fPIC -Wl,--no-as-needed -o libbackprop_cuda.so nothing.c ./libcublas_missing.so.13");
    cr_assert(made.status == 0 && plugin.status == 0, "%s%s", made.err, plugin.err);
    bpt_run_free(&made);
    bpt_run_free(&plugin);
    cr_assert_eq(remove("libcublas_missing.so.13"), 0);
    expect_plugin(".", "cuda", "./libbackprop_cuda.so can't be loaded", "libcublas_missing.so.13");
    expect_plugin(".", "auto", "./libbackprop_cuda.so can't be loaded", "libcublas_missing.so.13");
}
