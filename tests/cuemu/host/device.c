/* device.c: one modelled card of compute capability 9.0 with 132 multiprocessors. Its memory is as large as CUEMU_MEM
 * says. Figures that only a real card can give (clocks, bus widths) are those of an H100 SXM's data sheet, and no test
 * may draw conclusions from them. */
#include "internal.h"

#include <cuda_profiler_api.h>
#include <string.h>

enum { RUNTIME_VERSION = CUDART_VERSION, L2_BYTES = 50 * 1024 * 1024 };

static size_t memory_bytes(void)
{
    size_t free_bytes, total_bytes;
    cue_mem_info(&free_bytes, &total_bytes);
    return total_bytes;
}

static void fill_properties(struct cudaDeviceProp *p)
{
    memset(p, 0, sizeof *p);
    strcpy(p->name, "cuemu sm_90");
    memcpy(p->uuid.bytes, "cuemu-modelled-0", sizeof p->uuid.bytes);
    p->totalGlobalMem = memory_bytes();
    p->sharedMemPerBlock = CUE_SHARED_DEFAULT_BYTES;
    p->sharedMemPerBlockOptin = CUE_SHARED_OPTIN_BYTES;
    p->sharedMemPerMultiprocessor = CUE_SHARED_PER_SM;
    p->reservedSharedMemPerBlock = CUE_SHARED_RESERVED;
    p->regsPerBlock = CUE_REGISTERS_PER_SM;
    p->regsPerMultiprocessor = CUE_REGISTERS_PER_SM;
    p->warpSize = 32;
    p->memPitch = 0x7fffffff;
    p->maxThreadsPerBlock = CUE_THREADS_PER_BLOCK;
    p->maxThreadsPerMultiProcessor = CUE_THREADS_PER_SM;
    p->maxBlocksPerMultiProcessor = CUE_BLOCKS_PER_SM;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 0x7fffffff;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->totalConstMem = 65536;
    p->major = 9;
    p->multiProcessorCount = CUE_MULTIPROCESSORS;
    p->textureAlignment = 512;
    p->texturePitchAlignment = 32;
    p->canMapHostMemory = 1;
    p->concurrentKernels = 1;
    p->ECCEnabled = 1;
    p->asyncEngineCount = 3;
    p->unifiedAddressing = 1;
    p->memoryBusWidth = 5120;
    p->l2CacheSize = L2_BYTES;
    p->streamPrioritiesSupported = 1;
    p->globalL1CacheSupported = p->localL1CacheSupported = 1;
    p->computePreemptionSupported = 1;
    p->canUseHostPointerForRegisteredMem = 1;
    p->hostRegisterSupported = 1;
    p->memoryPoolsSupported = 1;
}

/* What cuemu does not implement (cooperative launches, clusters, managed memory) is 0 here too. */
static cudaError_t attribute(int *value, enum cudaDeviceAttr which)
{
    struct cudaDeviceProp p;
    fill_properties(&p);
    const struct {
        enum cudaDeviceAttr which;
        int value;
    } table[] = {
        {cudaDevAttrMaxThreadsPerBlock, p.maxThreadsPerBlock},
        {cudaDevAttrMaxBlockDimX, p.maxThreadsDim[0]},
        {cudaDevAttrMaxBlockDimY, p.maxThreadsDim[1]},
        {cudaDevAttrMaxBlockDimZ, p.maxThreadsDim[2]},
        {cudaDevAttrMaxGridDimX, p.maxGridSize[0]},
        {cudaDevAttrMaxGridDimY, p.maxGridSize[1]},
        {cudaDevAttrMaxGridDimZ, p.maxGridSize[2]},
        {cudaDevAttrMaxSharedMemoryPerBlock, (int)p.sharedMemPerBlock},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, (int)p.sharedMemPerBlockOptin},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, (int)p.sharedMemPerMultiprocessor},
        {cudaDevAttrReservedSharedMemoryPerBlock, (int)p.reservedSharedMemPerBlock},
        {cudaDevAttrTotalConstantMemory, (int)p.totalConstMem},
        {cudaDevAttrWarpSize, p.warpSize},
        {cudaDevAttrMaxPitch, (int)p.memPitch},
        {cudaDevAttrMaxRegistersPerBlock, p.regsPerBlock},
        {cudaDevAttrMaxRegistersPerMultiprocessor, p.regsPerMultiprocessor},
        {cudaDevAttrMaxThreadsPerMultiProcessor, p.maxThreadsPerMultiProcessor},
        {cudaDevAttrMaxBlocksPerMultiprocessor, p.maxBlocksPerMultiProcessor},
        {cudaDevAttrMultiProcessorCount, p.multiProcessorCount},
        {cudaDevAttrClockRate, 1980000},
        {cudaDevAttrMemoryClockRate, 2619000},
        {cudaDevAttrGlobalMemoryBusWidth, p.memoryBusWidth},
        {cudaDevAttrL2CacheSize, p.l2CacheSize},
        {cudaDevAttrMaxPersistingL2CacheSize, 0},
        {cudaDevAttrMaxAccessPolicyWindowSize, 0},
        {cudaDevAttrTextureAlignment, (int)p.textureAlignment},
        {cudaDevAttrTexturePitchAlignment, (int)p.texturePitchAlignment},
        {cudaDevAttrGpuOverlap, 1},
        {cudaDevAttrKernelExecTimeout, 0},
        {cudaDevAttrIntegrated, 0},
        {cudaDevAttrCanMapHostMemory, p.canMapHostMemory},
        {cudaDevAttrComputeMode, cudaComputeModeDefault},
        {cudaDevAttrConcurrentKernels, p.concurrentKernels},
        {cudaDevAttrEccEnabled, p.ECCEnabled},
        {cudaDevAttrPciBusId, 0},
        {cudaDevAttrPciDeviceId, 0},
        {cudaDevAttrPciDomainId, 0},
        {cudaDevAttrTccDriver, 0},
        {cudaDevAttrAsyncEngineCount, p.asyncEngineCount},
        {cudaDevAttrUnifiedAddressing, p.unifiedAddressing},
        {cudaDevAttrComputeCapabilityMajor, p.major},
        {cudaDevAttrComputeCapabilityMinor, p.minor},
        {cudaDevAttrStreamPrioritiesSupported, p.streamPrioritiesSupported},
        {cudaDevAttrGlobalL1CacheSupported, p.globalL1CacheSupported},
        {cudaDevAttrLocalL1CacheSupported, p.localL1CacheSupported},
        {cudaDevAttrManagedMemory, 0},
        {cudaDevAttrIsMultiGpuBoard, 0},
        {cudaDevAttrHostNativeAtomicSupported, 0},
        {cudaDevAttrSingleToDoublePrecisionPerfRatio, 2},
        {cudaDevAttrPageableMemoryAccess, 0},
        {cudaDevAttrConcurrentManagedAccess, 0},
        {cudaDevAttrComputePreemptionSupported, p.computePreemptionSupported},
        {cudaDevAttrCanUseHostPointerForRegisteredMem, p.canUseHostPointerForRegisteredMem},
        {cudaDevAttrCooperativeLaunch, 0},
        {cudaDevAttrHostRegisterSupported, p.hostRegisterSupported},
        {cudaDevAttrMemoryPoolsSupported, p.memoryPoolsSupported},
        {cudaDevAttrClusterLaunch, 0},
        {cudaDevAttrIpcEventSupport, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].which == which) {
            *value = table[i].value;
            return cudaSuccess;
        }
    cue_fatal("cudaDeviceGetAttribute: attribute %d is not modelled", (int)which);
}

cudaError_t cudaGetDeviceCount(int *count)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && count == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *count = 1;
    return cue_leave(error);
}

cudaError_t cudaGetDevice(int *device)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && device == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *device = 0;
    return cue_leave(error);
}

cudaError_t cudaSetDevice(int device)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    return cue_leave(error != cudaSuccess ? error : device != 0 ? cudaErrorInvalidDevice : cudaSuccess);
}

cudaError_t cudaInitDevice(int device, unsigned int device_flags, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    (void)device_flags, (void)flags;
    return cue_leave(error != cudaSuccess ? error : device != 0 ? cudaErrorInvalidDevice : cudaSuccess);
}

/* How the host waits (spinning, yielding, blocking) makes no difference here. */
static unsigned device_flags_set = cudaDeviceScheduleAuto | cudaDeviceMapHost;

cudaError_t cudaSetDeviceFlags(unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && (flags & ~(unsigned)cudaDeviceMask) != 0)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        device_flags_set = flags | cudaDeviceMapHost;
    return cue_leave(error);
}

cudaError_t cudaGetDeviceFlags(unsigned int *flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && flags == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *flags = device_flags_set;
    return cue_leave(error);
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && (properties == NULL || device != 0))
        error = properties == NULL ? cudaErrorInvalidValue : cudaErrorInvalidDevice;
    if (error == cudaSuccess)
        fill_properties(properties);
    return cue_leave(error);
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr which, int device)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && (value == NULL || device != 0))
        error = value == NULL ? cudaErrorInvalidValue : cudaErrorInvalidDevice;
    return cue_leave(error != cudaSuccess ? error : attribute(value, which));
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && version == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *version = RUNTIME_VERSION;
    return cue_leave(error);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    if (error == cudaSuccess && version == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *version = RUNTIME_VERSION;
    return cue_leave(error);
}

/* Everything goes: memory, streams, events, graphs, and a sticky error too. */
cudaError_t cudaDeviceReset(void)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_UNSAFE);
    if (error == cudaSuccess) {
        cue_device_wait_now();
        cue_streams_reset();
        cue_handle_forget_all();
        cue_memory_reset();
        cue_pinned_reset();
        cue_clear_errors();
    }
    return cue_leave(error);
}

/* Profilers ask for the ranges between these; nothing listens here. */
cudaError_t cudaProfilerStart(void)
{
    return cue_leave(cue_enter(CUE_HERE, CUE_ALWAYS));
}

cudaError_t cudaProfilerStop(void)
{
    return cue_leave(cue_enter(CUE_HERE, CUE_ALWAYS));
}
