/* expect: api. A host function in a stream calls CUDA. */
#include "host.h"

static void callback(void *user)
{
#ifdef REPAIRED
    *(int *)user += 1;
#else
    (void)user;
    (void)cudaGetDeviceCount((int *)user); /* FAULT */
#endif
}

void scenario(void)
{
    static int called;
    cudaStream_t s = new_stream();
    MUST(cudaLaunchHostFunc(s, callback, &called));
    MUST(cudaStreamSynchronize(s));
    MUST(cudaStreamDestroy(s));
}
