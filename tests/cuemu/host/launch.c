/* launch.c: from <<<>>>, cudaLaunchKernel and cudaLaunchKernelExC to a piece of work, with the limits that CUDA
 * checks before anything runs. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct configuration {
    dim3 grid, block;
    size_t shared_bytes;
    cudaStream_t stream;
    const void *site;
    struct configuration *outer;
} configuration;

static _Thread_local configuration *pushed; /* between <<<>>> and the stub's pop */
static _Thread_local const void *launch_site;

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes, struct CUstream_st *stream);
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared_bytes, void *stream);
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                               cudaStream_t stream);

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes, struct CUstream_st *stream)
{
    configuration *c = malloc(sizeof *c);
    if (c == NULL)
        return cudaErrorMemoryAllocation;
    *c = (configuration){grid, block, shared_bytes, stream, __builtin_return_address(0), pushed};
    pushed = c;
    return cudaSuccess;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared_bytes, void *stream)
{
    configuration *c = pushed;
    if (c == NULL)
        return cudaErrorMissingConfiguration;
    *grid = c->grid;
    *block = c->block;
    *shared_bytes = c->shared_bytes;
    *(cudaStream_t *)stream = c->stream;
    launch_site = c->site;
    pushed = c->outer;
    free(c);
    return cudaSuccess;
}

/* The handle is the stub's address: nothing is loaded before the first launch. */
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function)
{
    *kernel = (cudaKernel_t)(uintptr_t)function;
    return cudaSuccess;
}

/* ---------------------------------------------------------------------- limits */

static bool within(dim3 d, unsigned x, unsigned y, unsigned z)
{
    return d.x >= 1 && d.y >= 1 && d.z >= 1 && d.x <= x && d.y <= y && d.z <= z;
}

static cudaError_t check_shape(const cue_kernel_info *info, dim3 grid, dim3 block)
{
    uint64_t threads = (uint64_t)block.x * block.y * block.z;
    if (!within(block, 1024, 1024, 64) || threads > CUE_THREADS_PER_BLOCK) {
        cue_complain(CUE_LAUNCH, "%s: a block of %u x %u x %u threads (1 to 1024 x 1024 x 64, at most 1024 together)",
                     info->name, block.x, block.y, block.z);
        return cudaErrorInvalidConfiguration;
    }
    if (!within(grid, 0x7fffffff, 65535, 65535)) {
        cue_complain(CUE_LAUNCH, "%s: a grid of %u x %u x %u blocks (1 to 2147483647 x 65535 x 65535)", info->name,
                     grid.x, grid.y, grid.z);
        return cudaErrorInvalidConfiguration;
    }
    if (threads > info->max_threads) {
        cue_complain(CUE_LAUNCH, "%s: %u threads, its __launch_bounds__ allow %u", info->name, (unsigned)threads,
                     info->max_threads);
        return cudaErrorLaunchOutOfResources;
    }
    const uint32_t *r = info->required_ntid;
    if (r[0] != 0 && (block.x != r[0] || block.y != r[1] || block.z != r[2])) {
        cue_complain(CUE_LAUNCH, "%s: a block of %u x %u x %u, the kernel requires %u x %u x %u", info->name, block.x,
                     block.y, block.z, r[0], r[1], r[2]);
        return cudaErrorInvalidConfiguration;
    }
    return cudaSuccess;
}

static cudaError_t check_shared(const cue_function *function, const cue_kernel_info *info, size_t shared_bytes)
{
    size_t limit =
        CUE_SHARED_DEFAULT_BYTES > info->static_shared_bytes ? CUE_SHARED_DEFAULT_BYTES - info->static_shared_bytes : 0;
    if (function->max_dynamic_shared > 0 && (size_t)function->max_dynamic_shared > limit)
        limit = (size_t)function->max_dynamic_shared;
    if (shared_bytes <= limit)
        return cudaSuccess;
    cue_complain(CUE_LAUNCH, "%s: %zu bytes of dynamic shared memory beside %zu static ones, %zu are allowed%s",
                 info->name, shared_bytes, info->static_shared_bytes, limit,
                 shared_bytes <= CUE_SHARED_OPTIN_BYTES ? " without cudaFuncSetAttribute" : "");
    return cudaErrorInvalidValue;
}

/* ---------------------------------------------------------------------- work */

static void run_kernel(cue_op_id op, const void *payload, size_t bytes)
{
    (void)bytes;
    const cue_launch_payload *p = payload;
    cue_launch_config config = {.dynamic_shared_bytes = p->dynamic_shared_bytes, .parameters = p + 1, .op = op};
    memcpy(config.grid, p->grid, sizeof config.grid);
    memcpy(config.block, p->block, sizeof config.block);
    cue_error error = cue_launch(p->function->kernel, &config);
    if (error != CUE_SUCCESS)
        cue_set_sticky_error((cudaError_t)error);
}

cudaError_t cue_launch_work(cue_work *work, const void *function, dim3 grid, dim3 block, void *const *arguments,
                            size_t shared_bytes)
{
    cue_function *f = cue_function_find(function);
    *work = (cue_work){.payload = NULL};
    if (f == NULL) {
        cue_complain(CUE_LAUNCH, "%p is not a kernel", function);
        return cudaErrorInvalidDeviceFunction;
    }
    const cue_kernel_info *info = cue_kernel_get_info(f->kernel);
    cudaError_t error = check_shape(info, grid, block);
    if (error == cudaSuccess)
        error = check_shared(f, info, shared_bytes);
    if (error != cudaSuccess)
        return error;
    if (info->parameter_count > 0 && arguments == NULL)
        return cudaErrorInvalidValue;
    size_t bytes = sizeof(cue_launch_payload) + info->parameter_bytes;
    cue_launch_payload *payload = calloc(1, bytes);
    if (payload == NULL)
        return cudaErrorMemoryAllocation;
    *payload = (cue_launch_payload){.function = f,
                                    .grid = {grid.x, grid.y, grid.z},
                                    .block = {block.x, block.y, block.z},
                                    .dynamic_shared_bytes = shared_bytes};
    for (uint32_t i = 0; i < info->parameter_count; i++)
        memcpy((char *)(payload + 1) + info->parameters[i].offset, arguments[i], info->parameters[i].bytes);
    *work = (cue_work){.kind = CUE_WORK_KERNEL,
                       .name = info->name,
                       .site = cue_here(),
                       .run = run_kernel,
                       .payload = payload,
                       .payload_bytes = bytes};
    return cudaSuccess;
}

static cudaError_t launch(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                          cudaStream_t stream)
{
    cue_work work;
    cudaError_t error = cue_launch_work(&work, function, grid, block, arguments, shared_bytes);
    if (error == cudaSuccess)
        error = cue_submit(stream, &work);
    free((void *)(uintptr_t)work.payload);
    return error;
}

/* ---------------------------------------------------------------------- exported */

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                             cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : launch(function, grid, block, arguments, shared_bytes, stream));
}

/* Called by nvcc's stub, which stands at no line: the place is that of <<<>>>. */
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                               cudaStream_t stream)
{
    cudaError_t error = cue_enter("cudaLaunchKernel", launch_site, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : launch(kernel, grid, block, arguments, shared_bytes, stream));
}

/* Attributes that change what a kernel may do are not silently dropped. */
static void refuse_attributes(const cudaLaunchConfig_t *config)
{
    for (unsigned i = 0; i < config->numAttrs; i++) {
        const cudaLaunchAttribute *a = &config->attrs[i];
        bool harmless = a->id == cudaLaunchAttributeIgnore || a->id == cudaLaunchAttributePriority ||
                        a->id == cudaLaunchAttributePreferredSharedMemoryCarveout ||
                        (a->id == cudaLaunchAttributeCooperative && a->val.cooperative == 0) ||
                        (a->id == cudaLaunchAttributeClusterDimension &&
                         a->val.clusterDim.x * a->val.clusterDim.y * a->val.clusterDim.z == 1);
        if (!harmless)
            cue_fatal("cudaLaunchKernelExC: launch attribute %d is not implemented", (int)a->id);
    }
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *function, void **arguments)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && config == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        refuse_attributes(config);
        error =
            launch(function, config->gridDim, config->blockDim, arguments, config->dynamicSmemBytes, config->stream);
    }
    return cue_leave(error);
}
