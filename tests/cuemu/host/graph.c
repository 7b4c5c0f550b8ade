/* graph.c: graphs as data, executable graphs, their launch and update.
 *
 * An executable graph owns a copy of the nodes and one lane for each branch. CUDA runs launches of the same
 * executable one after another, so that a branch's operations over all launches are a sequence, as a lane must be. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct CUgraphExec_st {
    struct CUgraph_st graph; /* own copy */
    int *lanes;              /* one per node */
    unsigned long long flags;
    cue_op *last; /* end of the last launch */
};

/* ---------------------------------------------------------------------- graphs */

static void free_node(struct CUgraphNode_st *node)
{
    if (node == NULL)
        return;
    free((void *)(uintptr_t)node->work.payload);
    free(node->deps);
    free(node->parameters);
    free(node);
}

void cue_graph_clear(struct CUgraph_st *graph)
{
    for (int i = 0; i < graph->count; i++)
        free_node(graph->nodes[i]);
    free(graph->nodes);
    graph->nodes = NULL;
    graph->count = 0;
}

bool cue_node_set_payload(struct CUgraphNode_st *node, const cue_work *work)
{
    void *copy = malloc(work->payload_bytes ? work->payload_bytes : 1);
    if (copy == NULL)
        return false;
    if (work->payload_bytes > 0)
        memcpy(copy, work->payload, work->payload_bytes);
    free((void *)(uintptr_t)node->work.payload);
    node->work = *work;
    node->work.payload = copy;
    return true;
}

struct CUgraphNode_st *cue_graph_add(struct CUgraph_st *graph, const cue_work *work, const int *deps, int dep_count)
{
    size_t count = (size_t)graph->count;
    struct CUgraphNode_st **nodes = realloc(graph->nodes, (count + 1) * sizeof *nodes);
    if (nodes == NULL)
        return NULL;
    graph->nodes = nodes;
    struct CUgraphNode_st *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->graph = graph;
    node->index = graph->count;
    node->dep_count = dep_count;
    node->deps = malloc(sizeof *deps * ((size_t)dep_count + 1));
    if (node->deps == NULL || !cue_node_set_payload(node, work)) {
        free_node(node);
        return NULL;
    }
    if (dep_count > 0)
        memcpy(node->deps, deps, sizeof *deps * (size_t)dep_count);
    nodes[graph->count++] = node;
    return node;
}

bool cue_graph_copy(struct CUgraph_st *to, const struct CUgraph_st *from)
{
    for (int i = 0; i < from->count; i++) {
        const struct CUgraphNode_st *n = from->nodes[i];
        if (cue_graph_add(to, &n->work, n->deps, n->dep_count) == NULL)
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------------- instantiating */

/* A node goes on in the lane of the first dependency whose lane nobody has taken over yet; a fork opens a lane. */
static int *assign_lanes(const struct CUgraph_st *graph)
{
    int *lanes = calloc((size_t)graph->count + 1, sizeof *lanes);
    bool *passed_on = calloc((size_t)graph->count + 1, sizeof *passed_on);
    for (int i = 0; lanes != NULL && passed_on != NULL && i < graph->count; i++) {
        const struct CUgraphNode_st *n = graph->nodes[i];
        lanes[i] = -1;
        for (int d = 0; d < n->dep_count && lanes[i] < 0; d++)
            if (!passed_on[n->deps[d]]) {
                lanes[i] = lanes[n->deps[d]];
                passed_on[n->deps[d]] = true;
            }
        if (lanes[i] < 0)
            lanes[i] = cue_lane_new();
    }
    free(passed_on);
    return lanes;
}

static void release_lanes(const struct CUgraphExec_st *exec)
{
    for (int i = 0; i < exec->graph.count; i++) {
        bool first = true;
        for (int j = 0; j < i; j++)
            first = first && exec->lanes[j] != exec->lanes[i];
        if (first)
            cue_lane_release(exec->lanes[i]);
    }
}

struct CUgraph_st *cue_graph_find(cudaGraph_t graph)
{
    return cue_handle_get(graph, CUE_GRAPH_HANDLE);
}

static struct CUgraphExec_st *find_exec(cudaGraphExec_t exec)
{
    return cue_handle_get(exec, CUE_GRAPH_EXEC_HANDLE);
}

struct CUgraphNode_st *cue_graph_exec_node(cudaGraphExec_t exec, int index)
{
    struct CUgraphExec_st *x = find_exec(exec);
    return x != NULL && index >= 0 && index < x->graph.count ? x->graph.nodes[index] : NULL;
}

static cudaError_t instantiate(cudaGraphExec_t *out, cudaGraph_t handle, unsigned long long flags)
{
    struct CUgraph_st *graph = cue_graph_find(handle);
    if (graph == NULL || out == NULL)
        return cudaErrorInvalidValue;
    struct CUgraphExec_st *exec = cue_handle_new(CUE_GRAPH_EXEC_HANDLE, sizeof *exec);
    if (exec == NULL)
        return cudaErrorMemoryAllocation;
    exec->lanes = cue_graph_copy(&exec->graph, graph) ? assign_lanes(&exec->graph) : NULL;
    exec->flags = flags;
    if (exec->lanes == NULL) {
        cue_graph_clear(&exec->graph);
        cue_handle_drop(exec);
        return cudaErrorMemoryAllocation;
    }
    cue_count("graph_instantiations", 1);
    *out = exec;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : instantiate(exec, graph, flags));
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : instantiate(exec, graph, flags));
}

cudaError_t cudaGraphExecGetFlags(cudaGraphExec_t exec, unsigned long long *flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUgraphExec_st *x = error == cudaSuccess ? find_exec(exec) : NULL;
    if (error == cudaSuccess && (x == NULL || flags == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *flags = x->flags;
    return cue_leave(error);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    struct CUgraphExec_st *x = error == cudaSuccess ? find_exec(exec) : NULL;
    if (error == cudaSuccess && x == NULL)
        error = cudaErrorInvalidValue;
    if (x != NULL) {
        release_lanes(x);
        cue_graph_clear(&x->graph);
        free(x->lanes);
        cue_op_release(x->last);
        x->last = NULL;
        cue_handle_drop(x);
    }
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- launching */

static cue_op **enqueue_nodes(const struct CUgraphExec_st *exec, unsigned stream_number, cue_op *begin)
{
    const struct CUgraph_st *g = &exec->graph;
    cue_op **made = calloc((size_t)g->count + 1, sizeof(cue_op *));
    cue_op **deps = calloc((size_t)g->count + 1, sizeof(cue_op *));
    if (made == NULL || deps == NULL)
        cue_fatal("no memory for a graph launch");
    for (int i = 0; i < g->count; i++) {
        const struct CUgraphNode_st *n = g->nodes[i];
        int count = 0;
        for (int d = 0; d < n->dep_count; d++)
            deps[count++] = made[n->deps[d]];
        if (count == 0)
            deps[count++] = begin;
        made[i] = cue_op_new(exec->lanes[i], stream_number, &n->work, deps, count);
    }
    free(deps);
    return made;
}

static cudaError_t launch(cudaGraphExec_t handle, cudaStream_t stream)
{
    struct CUgraphExec_st *exec = find_exec(handle);
    struct CUstream_st *s = cue_stream_find(stream);
    if (exec == NULL || s == NULL)
        return exec == NULL ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle;
    if (s->capture != NULL)
        cue_fatal("cudaGraphLaunch into a captured stream (a child graph) is not implemented");
    cudaError_t error = cue_capture_check_implicit(s);
    if (error != cudaSuccess)
        return error;
    cue_work mark = {.kind = CUE_WORK_EMPTY, .name = "begin of a graph", .site = cue_here()};
    cue_op *begin = cue_stream_append(s, &mark, &exec->last, 1);
    cue_op **made = enqueue_nodes(exec, s->number, begin);
    mark.name = "end of a graph";
    cue_op *end = cue_stream_append(s, &mark, made, exec->graph.count);
    for (int i = 0; i < exec->graph.count; i++)
        cue_op_release(made[i]);
    free(made);
    cue_op_release(begin);
    cue_op_release(exec->last);
    exec->last = end;
    cue_count("graph_launches", 1);
    cue_op_after_enqueue(end);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : launch(exec, stream));
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && (find_exec(exec) == NULL || cue_stream_find(stream) == NULL))
        error = cudaErrorInvalidValue;
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- updating */

static enum cudaGraphExecUpdateResult compare_node(const struct CUgraphNode_st *old, const struct CUgraphNode_st *new)
{
    if (old->dep_count != new->dep_count ||
        (old->dep_count > 0 && memcmp(old->deps, new->deps, sizeof *old->deps * (size_t)old->dep_count) != 0))
        return cudaGraphExecUpdateErrorTopologyChanged;
    if (old->work.kind != new->work.kind)
        return cudaGraphExecUpdateErrorNodeTypeChanged;
    return cudaGraphExecUpdateSuccess;
}

static cudaError_t update(cudaGraphExec_t handle, cudaGraph_t graph_handle, cudaGraphExecUpdateResultInfo *result)
{
    struct CUgraphExec_st *exec = find_exec(handle);
    struct CUgraph_st *graph = cue_graph_find(graph_handle);
    if (exec == NULL || graph == NULL || result == NULL)
        return cudaErrorInvalidValue;
    *result = (cudaGraphExecUpdateResultInfo){.result = cudaGraphExecUpdateSuccess};
    if (exec->graph.count != graph->count)
        result->result = cudaGraphExecUpdateErrorTopologyChanged;
    for (int i = 0; i < graph->count && result->result == cudaGraphExecUpdateSuccess; i++) {
        result->result = compare_node(exec->graph.nodes[i], graph->nodes[i]);
        if (result->result != cudaGraphExecUpdateSuccess)
            result->errorNode = graph->nodes[i];
    }
    if (result->result != cudaGraphExecUpdateSuccess)
        return cudaErrorGraphExecUpdateFailure;
    for (int i = 0; i < graph->count; i++)
        if (!cue_node_set_payload(exec->graph.nodes[i], &graph->nodes[i]->work))
            return cudaErrorMemoryAllocation;
    return cudaSuccess;
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo *result)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : update(exec, graph, result));
}
