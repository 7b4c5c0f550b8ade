/* tool_program.c: does what its first argument says, for check_tool.sh. */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int copy(void)
{
    float x[100] = {1}, *d;
    if (cudaMalloc((void **)&d, sizeof x) != cudaSuccess)
        return 11;
    if (cudaMemcpy(d, x, sizeof x, cudaMemcpyHostToDevice) != cudaSuccess)
        return cudaFree(d) == cudaSuccess ? 12 : 13;
    return cudaFree(d) == cudaSuccess ? 0 : 14;
}

/* Memory in megabytes that can be had in pieces of one. */
static int megabytes(void)
{
    void *pieces[4096];
    int n = 0;
    while (n < 4096 && cudaMalloc(&pieces[n], 1 << 20) == cudaSuccess)
        n++;
    printf("%d\n", n);
    for (int i = 0; i < n; i++)
        if (cudaFree(pieces[i]) != cudaSuccess)
            return 15;
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    void *p;
    if (strcmp(what, "status") == 0)
        return atoi(argv[2]);
    if (strcmp(what, "copy") == 0)
        return copy();
    if (strcmp(what, "leak") == 0)
        return (int)cudaMalloc(&p, 4);
    if (strcmp(what, "leak_in_child") == 0)
        return fork() == 0 ? (int)cudaMalloc(&p, 4) : (int)sleep(1);
    if (strcmp(what, "unimplemented") == 0)
        return (int)cudaMallocManaged(&p, 4, cudaMemAttachGlobal);
    if (strcmp(what, "megabytes") == 0)
        return megabytes();
    return 2;
}
