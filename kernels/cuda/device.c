/* device.c: finds the device, and says in words why none can be used: no driver, an old driver, no device, an old one.
 * (A missing cuBLAS or runtime keeps the plug-in from being loaded: host/registry.c has those words.) */
#include "kernels/cuda/cuda.h"

#include <stdio.h>
#include <string.h>

enum { OLDEST_CAPABILITY = 75 };

/* 13000 as 13.0 */
static int major_of(int version)
{
    return version / 1000;
}

static int minor_of(int version)
{
    return version % 1000 / 10;
}

static bp_status no_device(bpi_error *error, cudaError_t code)
{
    int driver = 0, runtime = 0;
    (void)cudaGetLastError();
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    if (driver == 0)
        return bpi_fail(error, BP_STATUS_NOT_FOUND,
                        "backend cuda: there is no NVIDIA driver (libcuda.so.1); install one for CUDA %d.%d, or use "
                        "the backend cpu",
                        major_of(runtime), minor_of(runtime));
    if (code == cudaErrorInsufficientDriver)
        return bpi_fail(error, BP_STATUS_NOT_FOUND,
                        "backend cuda: the NVIDIA driver is too old: it knows CUDA %d.%d, and this needs %d.%d; "
                        "install a newer driver",
                        major_of(driver), minor_of(driver), major_of(runtime), minor_of(runtime));
    if (code == cudaErrorNoDevice || code == cudaSuccess)
        return bpi_fail(error, BP_STATUS_NOT_FOUND,
                        "backend cuda: the NVIDIA driver is there, but no device is visible (CUDA_VISIBLE_DEVICES "
                        "hides those that it does not name)");
    return bpi_cuda_check(error, code, "cudaGetDeviceCount", __FILE__, __LINE__);
}

static bp_status describe(bpi_cuda *cuda, const char *precision)
{
    struct cudaDeviceProp device;
    int driver = 0, version = 0, index = 0;
    bpi_error *error = cuda->backend.error;
    BPI_CUDA_TRY(error, cudaGetDevice(&index));
    BPI_CUDA_TRY(error, cudaGetDeviceProperties(&device, index));
    BPI_CUDA_TRY(error, cudaDriverGetVersion(&driver));
    BPI_CUDA_TRY(error, cublasGetVersion(NULL, &version));
    if (device.major * 10 + device.minor < OLDEST_CAPABILITY)
        return bpi_fail(error, BP_STATUS_UNSUPPORTED,
                        "backend cuda: %.80s has compute capability %d.%d; this needs 7.5 or newer", device.name,
                        device.major, device.minor);
    bpi_traits *traits = &cuda->backend.traits;
    traits->timed = strncmp(device.name, "cuemu", 5) != 0; /* the emulator's name: its clock is the machine's */
    snprintf(traits->engine, sizeof traits->engine, "%.48s (%d.%d), %s, cuBLAS %d, driver for CUDA %d.%d", device.name,
             device.major, device.minor, precision, version, major_of(driver), minor_of(driver));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_device_open(bpi_cuda *cuda, const char *precision)
{
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess || count == 0)
        return no_device(cuda->backend.error, code);
    return describe(cuda, precision);
}
