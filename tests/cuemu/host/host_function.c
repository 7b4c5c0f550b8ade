/* host_function.c: host functions in streams. They may not call CUDA; api.c sees to that. */
#include "internal.h"

typedef struct host_call {
    cudaHostFn_t function;
    void *user;
} host_call;

static void run_host_function(cue_op_id op, const void *payload, size_t bytes)
{
    (void)op, (void)bytes;
    const host_call *call = payload;
    call->function(call->user);
}

cue_work cue_host_work(void *storage, cudaHostFn_t function, void *user)
{
    host_call *call = storage;
    *call = (host_call){function, user};
    return (cue_work){.kind = CUE_WORK_HOST,
                      .name = "host function",
                      .site = cue_here(),
                      .run = run_host_function,
                      .payload = call,
                      .payload_bytes = sizeof *call};
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *user)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && function == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        host_call call;
        cue_work work = cue_host_work(&call, function, user);
        error = cue_submit(stream, &work);
    }
    return cue_leave(error);
}
