/* test_graphs.c: capture, instantiation, launch, update, explicit nodes, and the codes of what is forbidden. */
#include "support.h"

enum { N = 64, BYTES = N * 4 };

static cudaStream_t s, t;
static cudaEvent_t fork_event, join_event;
static float *a, *b, *c;

static void set_up(void)
{
    MUST(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    MUST(cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking));
    MUST(cudaEventCreateWithFlags(&fork_event, cudaEventDisableTiming));
    MUST(cudaEventCreateWithFlags(&join_event, cudaEventDisableTiming));
    a = device_bytes(BYTES);
    b = device_bytes(BYTES);
    c = device_bytes(BYTES);
    MUST(cudaMemset(a, 1, BYTES));
    MUST(cudaMemset(b, 2, BYTES));
    MUST(cudaMemset(c, 3, BYTES));
    MUST(cudaDeviceSynchronize());
}

static void tear_down(void)
{
    MUST(cudaDeviceSynchronize());
    MUST(cudaStreamDestroy(s));
    MUST(cudaStreamDestroy(t));
    MUST(cudaEventDestroy(fork_event));
    MUST(cudaEventDestroy(join_event));
    MUST(cudaFree(a));
    MUST(cudaFree(b));
    MUST(cudaFree(c));
}

TestSuite(graphs, .init = set_up, .fini = tear_down);

static int first_byte(const void *device)
{
    unsigned char byte;
    MUST(cudaDeviceSynchronize());
    MUST(cudaMemcpy(&byte, device, 1, cudaMemcpyDeviceToHost));
    return byte;
}

/* Two branches that meet: c = a, while b is set; then a = b. */
static cudaGraph_t capture_diamond(int value)
{
    cudaGraph_t graph;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaEventRecord(fork_event, s));
    MUST(cudaStreamWaitEvent(t, fork_event, 0));
    MUST(cudaMemcpyAsync(c, a, BYTES, cudaMemcpyDeviceToDevice, s));
    MUST(cudaMemsetAsync(b, value, BYTES, t));
    MUST(cudaEventRecord(join_event, t));
    MUST(cudaStreamWaitEvent(s, join_event, 0));
    MUST(cudaMemcpyAsync(a, b, BYTES, cudaMemcpyDeviceToDevice, s));
    MUST(cudaStreamEndCapture(s, &graph));
    return graph;
}

Test(graphs, a_fork_and_join_is_captured_with_its_edges)
{
    cudaGraph_t graph = capture_diamond(9);
    cudaGraphNode_t nodes[8], from[8], to[8], deps[4];
    size_t count = 8, roots = 0, edges = 8, dep_count = 4;
    enum cudaGraphNodeType type;
    MUST(cudaGraphGetNodes(graph, nodes, &count));
    cr_assert_eq(count, 3);
    MUST(cudaGraphGetRootNodes(graph, NULL, &roots));
    cr_assert_eq(roots, 2);
    MUST(cudaGraphGetEdges(graph, from, to, NULL, &edges));
    cr_assert_eq(edges, 2);
    cr_assert(to[0] == nodes[2] && to[1] == nodes[2] && from[0] != from[1]);
    MUST(cudaGraphNodeGetDependencies(nodes[2], deps, NULL, &dep_count));
    cr_assert_eq(dep_count, 2);
    MUST(cudaGraphNodeGetType(nodes[1], &type));
    cr_assert_eq(type, cudaGraphNodeTypeMemset);
    cr_assert_eq(first_byte(b), 2, "nothing runs while it is captured");
    MUST(cudaGraphDestroy(graph));
}

Test(graphs, launches_run_one_after_another_and_updates_take_effect)
{
    cudaGraph_t graph = capture_diamond(9), other = capture_diamond(7);
    cudaGraphExec_t exec;
    cudaGraphExecUpdateResultInfo info;
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphUpload(exec, s));
    MUST(cudaGraphLaunch(exec, s)); /* c = 1, b = 9, a = 9 */
    MUST(cudaGraphLaunch(exec, t)); /* another stream, the same executable: after the first. c = 9 */
    cr_assert_eq(first_byte(c), 9);
    cr_assert_eq(host_counter("graph_launches"), 2);
    MUST(cudaGraphExecUpdate(exec, other, &info));
    cr_assert_eq(info.result, cudaGraphExecUpdateSuccess);
    MUST(cudaGraphLaunch(exec, s));
    cr_assert_eq(first_byte(a), 7);
    MUST(cudaGraphDestroy(other));
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
    MUST(cudaStreamEndCapture(s, &other));
    cr_assert_eq(cudaGraphExecUpdate(exec, other, &info), cudaErrorGraphExecUpdateFailure);
    cr_assert_eq(info.result, cudaGraphExecUpdateErrorTopologyChanged);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaGraphDestroy(other));
}

Test(graphs, an_executable_may_go_while_its_launch_is_pending)
{
    cudaGraph_t graph = capture_diamond(9);
    cudaGraphExec_t exec;
    MUST(cudaGraphInstantiateWithFlags(&exec, graph, 0));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaStreamSynchronize(s));
    cr_assert_eq(first_byte(a), 9);
}

static void count_up(void *user)
{
    ++*(int *)user;
}

Test(graphs, nodes_are_added_by_hand)
{
    static int calls;
    cudaGraph_t graph, clone;
    cudaGraphExec_t exec;
    cudaGraphNode_t set, copy, host, end, both[2];
    struct cudaMemsetParams memset_params = {.dst = a, .elementSize = 1, .width = BYTES, .height = 1, .value = 5};
    struct cudaHostNodeParams host_params = {count_up, &calls};
    MUST(cudaGraphCreate(&graph, 0));
    MUST(cudaGraphAddMemsetNode(&set, graph, NULL, 0, &memset_params));
    MUST(cudaGraphAddMemcpyNode1D(&copy, graph, &set, 1, b, a, BYTES, cudaMemcpyDeviceToDevice));
    MUST(cudaGraphAddHostNode(&host, graph, &set, 1, &host_params));
    both[0] = copy;
    both[1] = host;
    MUST(cudaGraphAddEmptyNode(&end, graph, both, 2));
    MUST(cudaGraphClone(&clone, graph));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaGraphInstantiate(&exec, clone, 0));
    MUST(cudaGraphDestroy(clone));
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaStreamSynchronize(s));
    cr_assert_eq(first_byte(b), 5);
    cr_assert_eq(calls, 2);
    MUST(cudaGraphExecDestroy(exec));
}

Test(graphs, the_state_of_a_capture_can_be_asked)
{
    enum cudaStreamCaptureStatus status;
    unsigned long long id = 0;
    cudaGraph_t graph, inner = NULL;
    const cudaGraphNode_t *deps;
    size_t count = 99;
    MUST(cudaStreamIsCapturing(s, &status));
    cr_assert_eq(status, cudaStreamCaptureStatusNone);
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
    MUST(cudaMemsetAsync(a, 0, BYTES, s));
    MUST(cudaStreamGetCaptureInfo(s, &status, &id, &inner, &deps, NULL, &count));
    cr_assert(status == cudaStreamCaptureStatusActive && id > 0 && inner != NULL && count == 1);
    REFUSED(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal), cudaErrorIllegalState, "capture");
    MUST(cudaStreamEndCapture(s, &graph));
    cr_assert_eq(graph, inner);
    MUST(cudaGraphDestroy(graph));
    REFUSED(cudaStreamEndCapture(s, &graph), cudaErrorIllegalState, "capture");
    REFUSED(cudaStreamBeginCapture(NULL, cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported, "capture");
}

/* A call that spoils a capture gives its own code, and the end of the capture says that it was spoilt. */
#define SPOILS(mode, call, code)                                                                                       \
    do {                                                                                                               \
        cudaGraph_t spoilt = NULL;                                                                                     \
        MUST(cudaStreamBeginCapture(s, mode));                                                                         \
        MUST(cudaEventRecord(fork_event, s));                                                                          \
        REFUSED(call, code, "capture");                                                                                \
        cr_assert_eq(cudaStreamEndCapture(s, &spoilt), cudaErrorStreamCaptureInvalidated);                             \
        cr_assert_null(spoilt);                                                                                        \
        (void)cudaGetLastError();                                                                                      \
        MUST(cudaEventRecord(fork_event, t));                                                                          \
    } while (0)

Test(graphs, forbidden_calls_give_their_codes_and_spoil_the_capture)
{
    float *p;
    char host;
    SPOILS(cudaStreamCaptureModeGlobal, cudaStreamSynchronize(s), cudaErrorStreamCaptureUnsupported);
    SPOILS(cudaStreamCaptureModeRelaxed, cudaStreamQuery(s), cudaErrorStreamCaptureUnsupported);
    SPOILS(cudaStreamCaptureModeRelaxed, cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
    SPOILS(cudaStreamCaptureModeThreadLocal, cudaMalloc((void **)&p, 4), cudaErrorStreamCaptureUnsupported);
    SPOILS(cudaStreamCaptureModeGlobal, cudaFree(a), cudaErrorStreamCaptureUnsupported);
    SPOILS(cudaStreamCaptureModeRelaxed, cudaEventSynchronize(fork_event), cudaErrorCapturedEvent);
    SPOILS(cudaStreamCaptureModeRelaxed, cudaStreamWaitEvent(NULL, fork_event, 0), cudaErrorStreamCaptureImplicit);
    /* allowed: the default stream is not involved, as s does not block; relaxed mode allows allocation */
    cudaGraph_t graph;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed));
    MUST(cudaMalloc((void **)&p, 4));
    MUST(cudaMemcpy(&host, a, 1, cudaMemcpyDeviceToHost));
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaFree(p));
}

Test(graphs, captures_do_not_merge)
{
    cudaGraph_t graph = NULL;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaStreamBeginCapture(t, cudaStreamCaptureModeGlobal));
    MUST(cudaEventRecord(fork_event, s));
    REFUSED(cudaStreamWaitEvent(t, fork_event, 0), cudaErrorStreamCaptureMerge, "capture");
    cr_assert_eq(cudaStreamEndCapture(s, &graph), cudaErrorStreamCaptureInvalidated);
    cr_assert_eq(cudaStreamEndCapture(t, &graph), cudaErrorStreamCaptureInvalidated);
}

Test(graphs, a_thread_may_relax_its_mode)
{
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    cudaGraph_t graph;
    float *p;
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cudaThreadExchangeStreamCaptureMode(&mode));
    cr_assert_eq(mode, cudaStreamCaptureModeGlobal);
    MUST(cudaMalloc((void **)&p, 4));
    MUST(cudaThreadExchangeStreamCaptureMode(&mode));
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaFree(p));
}

Test(graphs, a_gemm_is_captured_and_replayed)
{
    const float one = 1, zero = 0;
    cublasHandle_t handle;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    float x[4] = {1, 2, 3, 4}, y[4];
    float *dx = to_device(x, sizeof x), *dy = device_bytes(sizeof y);
    MUST(cublasCreate(&handle));
    MUST(cublasSetStream(handle, s));
    MUST(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
    MUST(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, dx, 2, dx, 2, &zero, dy, 2));
    MUST(cudaStreamEndCapture(s, &graph));
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaGraphLaunch(exec, s));
    MUST(cudaStreamSynchronize(s));
    from_device(y, dy, sizeof y);
    cr_assert(y[0] == 7 && y[1] == 10 && y[2] == 15 && y[3] == 22);
    MUST(cudaGraphExecDestroy(exec));
    MUST(cudaGraphDestroy(graph));
    MUST(cublasDestroy(handle));
    MUST(cudaFree(dx));
    MUST(cudaFree(dy));
}
