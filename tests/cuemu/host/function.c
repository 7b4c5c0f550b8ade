/* function.c: attributes of kernels, and occupancy on the modelled card. */
#include "internal.h"

#include <string.h>

static cue_function *find(const void *function)
{
    cue_function *f = cue_function_find(function);
    if (f == NULL)
        cue_complain(CUE_API, "%p is not a kernel", function);
    return f;
}

/* PTX has virtual registers: an upper bound. What ptxas would give also lets the largest allowed block start. */
static int registers_of(const cue_kernel_info *info)
{
    int bound = CUE_REGISTERS_PER_SM / (int)info->max_threads, n = (int)info->registers;
    n = n < 16 ? 16 : n > 255 ? 255 : (n + 7) / 8 * 8;
    return n > bound ? bound : n;
}

static cudaError_t get_attributes(struct cudaFuncAttributes *out, const void *function)
{
    const cue_function *f = find(function);
    if (f == NULL || out == NULL)
        return f == NULL ? cudaErrorInvalidDeviceFunction : cudaErrorInvalidValue;
    const cue_kernel_info *info = cue_kernel_get_info(f->kernel);
    memset(out, 0, sizeof *out);
    out->sharedSizeBytes = info->static_shared_bytes;
    out->localSizeBytes = info->local_bytes;
    out->maxThreadsPerBlock = (int)info->max_threads;
    out->numRegs = registers_of(info);
    out->ptxVersion = info->target;
    out->binaryVersion = 90;
    out->maxDynamicSharedSizeBytes =
        f->max_dynamic_shared > 0 ? f->max_dynamic_shared : (int)(CUE_SHARED_DEFAULT_BYTES - info->static_shared_bytes);
    out->preferredShmemCarveout = f->carveout > 0 ? f->carveout : -1;
    return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *function)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : get_attributes(attributes, function));
}

static cudaError_t set_attribute(const void *function, enum cudaFuncAttribute attribute, int value)
{
    cue_function *f = find(function);
    if (f == NULL)
        return cudaErrorInvalidDeviceFunction;
    size_t fixed = cue_kernel_get_info(f->kernel)->static_shared_bytes;
    switch (attribute) {
    case cudaFuncAttributeMaxDynamicSharedMemorySize:
        if (value < 0 || (size_t)value + fixed > CUE_SHARED_OPTIN_BYTES)
            return cudaErrorInvalidValue;
        f->max_dynamic_shared = value;
        return cudaSuccess;
    case cudaFuncAttributePreferredSharedMemoryCarveout:
        if (value < -1 || value > 100)
            return cudaErrorInvalidValue;
        f->carveout = value;
        return cudaSuccess;
    default:
        cue_fatal("cudaFuncSetAttribute: attribute %d is not implemented", (int)attribute);
    }
}

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : set_attribute(function, attribute, value));
}

cudaError_t cudaFuncSetCacheConfig(const void *function, enum cudaFuncCache config)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    (void)config; /* a preference that sm_90 ignores */
    return cue_leave(error != cudaSuccess     ? error
                     : find(function) == NULL ? cudaErrorInvalidDeviceFunction
                                              : cudaSuccess);
}

cudaError_t cudaFuncGetName(const char **name, const void *function)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const cue_function *f = error == cudaSuccess ? find(function) : NULL;
    if (error == cudaSuccess && (f == NULL || name == NULL))
        error = f == NULL ? cudaErrorInvalidDeviceFunction : cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *name = f->name;
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- occupancy */

/* The smallest of what threads, blocks, registers (given out by warps, in units of 256) and shared memory allow. */
static int blocks_per_sm(const cue_kernel_info *info, int block_size, size_t dynamic_shared)
{
    int warps = (block_size + 31) / 32;
    int registers_per_warp = (registers_of(info) * 32 + 255) / 256 * 256;
    size_t shared = info->static_shared_bytes + dynamic_shared + CUE_SHARED_RESERVED;
    int blocks = CUE_BLOCKS_PER_SM;
    int by_threads = CUE_THREADS_PER_SM / 32 / warps;
    int by_registers = CUE_REGISTERS_PER_SM / (registers_per_warp * warps);
    int by_shared = (int)(CUE_SHARED_PER_SM / ((shared + 127) / 128 * 128));
    blocks = by_threads < blocks ? by_threads : blocks;
    blocks = by_registers < blocks ? by_registers : blocks;
    return by_shared < blocks ? by_shared : blocks;
}

static cudaError_t occupancy(int *out, const void *function, int block_size, size_t dynamic_shared)
{
    const cue_function *f = find(function);
    if (f == NULL)
        return cudaErrorInvalidDeviceFunction;
    if (out == NULL || block_size <= 0)
        return cudaErrorInvalidValue;
    const cue_kernel_info *info = cue_kernel_get_info(f->kernel);
    bool fits =
        block_size <= (int)info->max_threads && info->static_shared_bytes + dynamic_shared <= CUE_SHARED_OPTIN_BYTES;
    *out = fits ? blocks_per_sm(info, block_size, dynamic_shared) : 0;
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *function, int block_size,
                                                          size_t dynamic_shared)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : occupancy(blocks, function, block_size, dynamic_shared));
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *function, int block_size,
                                                                   size_t dynamic_shared, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    (void)flags; /* how caches are overridden: no difference on this card */
    return cue_leave(error != cudaSuccess ? error : occupancy(blocks, function, block_size, dynamic_shared));
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, const void *function, int blocks, int block_size)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const cue_function *f = error == cudaSuccess ? find(function) : NULL;
    if (error == cudaSuccess && (f == NULL || bytes == NULL || blocks <= 0 || block_size <= 0))
        error = f == NULL ? cudaErrorInvalidDeviceFunction : cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        size_t fixed = cue_kernel_get_info(f->kernel)->static_shared_bytes + CUE_SHARED_RESERVED;
        size_t share = (size_t)CUE_SHARED_PER_SM / (size_t)blocks / 128 * 128;
        *bytes = share > fixed ? share - fixed : 0;
        if (*bytes > CUE_SHARED_OPTIN_BYTES - cue_kernel_get_info(f->kernel)->static_shared_bytes)
            *bytes = CUE_SHARED_OPTIN_BYTES - cue_kernel_get_info(f->kernel)->static_shared_bytes;
    }
    return cue_leave(error);
}
