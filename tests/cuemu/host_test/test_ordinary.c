/* test_ordinary.c: ordinary CUDA programs run unchanged. Where there is no device and no cuemu, every test is skipped,
 * and says so: the same executable, with NVIDIA's libraries. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "ordinary.h"

enum { N = 1000 };

static float host_a[N], host_b[N], host_out[N];
static float *a, *b, *out;

static void must(cudaError_t error, int line)
{
    if (error != cudaSuccess)
        cr_assert_fail("line %d: %s", line, cudaGetErrorString(error));
}

#define MUST(call) must((call), __LINE__)

static void set_up(void)
{
    int devices = 0;
    cudaError_t error = cudaGetDeviceCount(&devices);
    if (error != cudaSuccess || devices == 0) {
        fprintf(stderr, "no device: %s\n", cudaGetErrorString(error));
        cr_skip_test("no device");
    }
    for (int i = 0; i < N; i++) {
        host_a[i] = (float)((i * 37) % 101) - 50;
        host_b[i] = (float)((i * 53) % 97) - 40;
    }
    MUST(cudaMalloc((void **)&a, sizeof host_a));
    MUST(cudaMalloc((void **)&b, sizeof host_b));
    MUST(cudaMalloc((void **)&out, sizeof host_out));
    MUST(cudaMemcpy(a, host_a, sizeof host_a, cudaMemcpyHostToDevice));
    MUST(cudaMemcpy(b, host_b, sizeof host_b, cudaMemcpyHostToDevice));
}

static void tear_down(void)
{
    MUST(cudaFree(a));
    MUST(cudaFree(b));
    MUST(cudaFree(out));
}

static void fetch(size_t count)
{
    MUST(cudaMemcpy(host_out, out, count * sizeof(float), cudaMemcpyDeviceToHost));
}

TestSuite(ordinary, .init = set_up, .fini = tear_down);

Test(ordinary, a_static_kernel_reads_constants_and_counts_in_a_device_variable)
{
    const float scale[4] = {1, 2, 3, 4};
    int before, after;
    MUST(ordinary_launches(&before));
    MUST(ordinary_scale(out, a, b, N, scale, NULL));
    MUST(ordinary_scale(out, a, b, N, scale, NULL));
    fetch(N);
    MUST(ordinary_launches(&after));
    cr_assert_eq(after, before + 2);
    for (int i = 0; i < N; i++)
        cr_assert(host_out[i] == host_a[i] * host_b[i] * scale[i % 4], "element %d: %g", i, (double)host_out[i]);
}

Test(ordinary, a_template_takes_dynamic_shared_memory_of_its_type)
{
    static double wide[N], results[10];
    double *device_wide, *device_results;
    MUST(ordinary_row_max_float(out, a, 10, 100, NULL));
    fetch(10);
    for (int i = 0; i < N; i++)
        wide[i] = host_a[i] * 1.0000000001;
    MUST(cudaMalloc((void **)&device_wide, sizeof wide));
    MUST(cudaMalloc((void **)&device_results, sizeof results));
    MUST(cudaMemcpy(device_wide, wide, sizeof wide, cudaMemcpyHostToDevice));
    MUST(ordinary_row_max_double(device_results, device_wide, 10, 100, NULL));
    MUST(cudaMemcpy(results, device_results, sizeof results, cudaMemcpyDeviceToHost));
    MUST(cudaFree(device_wide));
    MUST(cudaFree(device_results));
    for (int r = 0; r < 10; r++) {
        float expected = -INFINITY;
        for (int c = 0; c < 100; c++)
            expected = fmaxf(expected, host_a[r * 100 + c]);
        cr_assert(host_out[r] == expected, "row %d", r);
        cr_assert(results[r] == expected * 1.0000000001, "row %d in double", r);
    }
}

Test(ordinary, cooperative_groups_tiles_shuffle)
{
    float expected = 0;
    MUST(cudaMemset(out, 0, sizeof(float)));
    MUST(ordinary_tile_sum(out, a, N, NULL));
    fetch(1);
    for (int i = 0; i < N; i++)
        expected += host_a[i];
    cr_assert(host_out[0] == expected && expected != 0, "%g instead of %g", (double)host_out[0], (double)expected);
}

Test(ordinary, a_function_that_is_not_inlined_is_called)
{
    MUST(ordinary_call(out, a, N, NULL));
    fetch(N);
    for (int i = 0; i < N; i++) {
        float x = host_a[i], expected = 0.25f + x * (0.5f + x * 1.0f);
        cr_assert(host_out[i] == expected, "element %d: %g instead of %g", i, (double)host_out[i], (double)expected);
    }
}

Test(ordinary, static_kernels_of_one_name_stay_apart)
{
    MUST(ordinary_iota(out, N, NULL));
    fetch(N);
    for (int i = 0; i < N; i++)
        cr_assert(host_out[i] == (float)i);
}

Test(ordinary, shared_memory_above_48_KiB_works_after_the_opt_in)
{
    enum { BIG = 20000 };
    static float in[BIG], reversed[BIG];
    float *x, *y;
    for (int i = 0; i < BIG; i++)
        in[i] = (float)i;
    MUST(cudaMalloc((void **)&x, sizeof in));
    MUST(cudaMalloc((void **)&y, sizeof in));
    MUST(cudaMemcpy(x, in, sizeof in, cudaMemcpyHostToDevice));
    MUST(ordinary_reverse_allow(BIG * (int)sizeof(float)));
    MUST(ordinary_reverse(y, x, BIG, NULL));
    MUST(cudaMemcpy(reversed, y, sizeof reversed, cudaMemcpyDeviceToHost));
    MUST(cudaFree(x));
    MUST(cudaFree(y));
    for (int i = 0; i < BIG; i++)
        cr_assert(reversed[i] == (float)(BIG - 1 - i));
}

Test(ordinary, more_shared_memory_than_the_device_has_is_refused)
{
    cr_assert_eq(ordinary_reverse_allow(1 << 20), cudaErrorInvalidValue);
    cr_assert_eq(cudaGetLastError(), cudaErrorInvalidValue);
    cr_assert_eq(cudaGetLastError(), cudaSuccess);
}

Test(ordinary, attributes_and_occupancy_follow_the_kernel)
{
    struct cudaFuncAttributes attributes;
    int large = 0, small = 0, none = -1;
    MUST(ordinary_attributes(&attributes));
    cr_assert_eq(attributes.maxThreadsPerBlock, 256);
    cr_assert_eq(attributes.sharedSizeBytes, 0);
    MUST(ordinary_occupancy(&large, 256));
    MUST(ordinary_occupancy(&small, 64));
    MUST(ordinary_occupancy(&none, 1024));
    cr_assert(large >= 1 && small >= large);
    cr_assert_eq(none, 0);
}

Test(ordinary, a_kernel_is_launched_by_its_address)
{
    size_t n = N;
    float *none = NULL;
    void *arguments[] = {&out, &none, &none, &n};
    dim3 grid = {32, 1, 1}, block = {32, 1, 1};
    MUST(cudaLaunchKernel(ordinary_iota_kernel(), grid, block, arguments, 0, NULL));
    fetch(N);
    cr_assert(host_out[N - 1] == N - 1);
    cudaLaunchConfig_t config = {.gridDim = grid, .blockDim = block};
    MUST(cudaMemset(out, 0, sizeof host_out));
    MUST(cudaLaunchKernelExC(&config, ordinary_iota_kernel(), arguments));
    fetch(N);
    cr_assert(host_out[N - 1] == N - 1);
}

Test(ordinary, a_launch_is_captured_and_replayed_with_new_parameters)
{
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaGraphNode_t node;
    size_t nodes = 1;
    struct cudaKernelNodeParams parameters;
    enum cudaGraphNodeType type;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    MUST(cudaMemset(out, 0, sizeof host_out));
    MUST(cudaDeviceSynchronize());
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    MUST(ordinary_iota(out, 10, stream));
    MUST(cudaStreamEndCapture(stream, &graph));
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphGetNodes(graph, &node, &nodes));
    cr_assert_eq(nodes, 1);
    MUST(cudaGraphNodeGetType(node, &type));
    cr_assert_eq(type, cudaGraphNodeTypeKernel);
    MUST(cudaGraphLaunch(exec, stream));
    MUST(cudaStreamSynchronize(stream));
    fetch(N);
    cr_assert(host_out[9] == 9 && host_out[10] == 0);
    MUST(cudaGraphKernelNodeGetParams(node, &parameters));
    size_t more = 20;
    parameters.kernelParams[3] = &more;
    MUST(cudaGraphExecKernelNodeSetParams(exec, node, &parameters));
    MUST(cudaGraphLaunch(exec, stream));
    MUST(cudaStreamSynchronize(stream));
    fetch(N);
    cr_assert(host_out[19] == 19 && host_out[20] == 0);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaStreamDestroy(stream));
}
