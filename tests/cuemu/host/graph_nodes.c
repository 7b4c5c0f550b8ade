/* graph_nodes.c: graphs that a program builds node by node, and questions about any graph. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* A node that a program holds: its graph must be alive and must hold it. */
static struct CUgraphNode_st *find_node(cudaGraphNode_t node)
{
    struct CUgraph_st *g = node != NULL ? cue_graph_find(node->graph) : NULL;
    return g != NULL && node->index < g->count && g->nodes[node->index] == node ? node : NULL;
}

cudaError_t cudaGraphCreate(cudaGraph_t *graph, unsigned int flags)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    if (error == cudaSuccess && (graph == NULL || flags != 0))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        *graph = cue_handle_new(CUE_GRAPH_HANDLE, sizeof(struct CUgraph_st));
        error = *graph != NULL ? cudaSuccess : cudaErrorMemoryAllocation;
    }
    return cue_leave(error);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_ALWAYS);
    struct CUgraph_st *g = error == cudaSuccess ? cue_graph_find(graph) : NULL;
    if (error == cudaSuccess && g == NULL)
        error = cudaErrorInvalidValue;
    if (g != NULL) {
        cue_graph_clear(g);
        cue_handle_drop(g);
    }
    return cue_leave(error);
}

cudaError_t cudaGraphClone(cudaGraph_t *clone, cudaGraph_t graph)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    struct CUgraph_st *g = error == cudaSuccess ? cue_graph_find(graph) : NULL;
    if (error == cudaSuccess && (g == NULL || clone == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        *clone = cue_handle_new(CUE_GRAPH_HANDLE, sizeof(struct CUgraph_st));
        error = *clone != NULL && cue_graph_copy(*clone, g) ? cudaSuccess : cudaErrorMemoryAllocation;
    }
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- adding nodes */

static cudaError_t add(cudaGraphNode_t *out, cudaGraph_t handle, const cudaGraphNode_t *deps, size_t dep_count,
                       const cue_work *work)
{
    struct CUgraph_st *graph = cue_graph_find(handle);
    int *indices = calloc(dep_count + 1, sizeof *indices);
    cudaError_t error = graph == NULL || out == NULL ? cudaErrorInvalidValue
                        : indices == NULL            ? cudaErrorMemoryAllocation
                                                     : cudaSuccess;
    for (size_t i = 0; error == cudaSuccess && i < dep_count; i++) {
        const struct CUgraphNode_st *dep = find_node(deps[i]);
        if (dep == NULL || dep->graph != graph)
            error = cudaErrorInvalidValue;
        else
            indices[i] = dep->index;
    }
    if (error == cudaSuccess) {
        *out = cue_graph_add(graph, work, indices, (int)dep_count);
        error = *out != NULL ? cudaSuccess : cudaErrorMemoryAllocation;
    }
    free(indices);
    return error;
}

static cudaError_t kernel_work(cue_work *work, const struct cudaKernelNodeParams *p)
{
    if (p == NULL || p->extra != NULL)
        return cudaErrorInvalidValue;
    return cue_launch_work(work, p->func, p->gridDim, p->blockDim, p->kernelParams, p->sharedMemBytes);
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *dependencies,
                                   size_t dependency_count, const struct cudaKernelNodeParams *parameters)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    cue_work work = {.payload = NULL};
    if (error == cudaSuccess)
        error = kernel_work(&work, parameters);
    if (error == cudaSuccess)
        error = add(node, graph, dependencies, dependency_count, &work);
    free((void *)(uintptr_t)work.payload);
    return cue_leave(error);
}

cudaError_t cudaGraphAddEmptyNode(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *dependencies,
                                  size_t dependency_count)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    cue_work work = {.kind = CUE_WORK_EMPTY, .name = "empty node", .site = cue_here()};
    if (error == cudaSuccess)
        error = add(node, graph, dependencies, dependency_count, &work);
    return cue_leave(error);
}

cudaError_t cudaGraphAddHostNode(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *dependencies,
                                 size_t dependency_count, const struct cudaHostNodeParams *parameters)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    max_align_t storage[CUE_SET_BYTES / sizeof(max_align_t)];
    if (error == cudaSuccess && (parameters == NULL || parameters->fn == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        cue_work work = cue_host_work(storage, parameters->fn, parameters->userData);
        error = add(node, graph, dependencies, dependency_count, &work);
    }
    return cue_leave(error);
}

cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *dependencies,
                                   size_t dependency_count, const struct cudaMemsetParams *p)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    max_align_t storage[CUE_SET_BYTES / sizeof(max_align_t)];
    cue_work work = {.run = NULL};
    if (error == cudaSuccess && (p == NULL || p->width == 0 || p->height == 0))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess && p->elementSize != 1)
        cue_fatal("cudaGraphAddMemsetNode: elements of %u bytes are not implemented", p->elementSize);
    if (error == cudaSuccess)
        error = cue_set_work(&work, storage, p->dst, p->height > 1 ? p->pitch : p->width, (int)p->value, p->width,
                             p->height);
    if (error == cudaSuccess)
        error = add(node, graph, dependencies, dependency_count, &work);
    return cue_leave(error);
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t *node, cudaGraph_t graph, const cudaGraphNode_t *dependencies,
                                     size_t dependency_count, void *destination, const void *source, size_t bytes,
                                     enum cudaMemcpyKind kind)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    max_align_t storage[CUE_COPY_BYTES / sizeof(max_align_t)];
    cue_work work = {.run = NULL};
    if (error == cudaSuccess)
        error = cue_copy_work(&work, storage, destination, source, bytes, kind);
    if (error == cudaSuccess)
        error = add(node, graph, dependencies, dependency_count, &work);
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- asking */

/* CUDA's way to give arrays out: with NULL only the count, else at most *count, and *count says how many there are. */
static cudaError_t give(cudaGraphNode_t *out, size_t *count, struct CUgraphNode_st *const *nodes, const int *indices,
                        int total, bool roots_only)
{
    size_t found = 0, room = out != NULL ? *count : 0;
    for (int i = 0; i < total; i++) {
        struct CUgraphNode_st *n = nodes[indices != NULL ? indices[i] : i];
        if (roots_only && n->dep_count > 0)
            continue;
        if (found < room)
            out[found] = n;
        found++;
    }
    for (size_t i = found; i < room; i++)
        out[i] = NULL;
    *count = found;
    return cudaSuccess;
}

static cudaError_t give_nodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count, bool roots_only)
{
    const struct CUgraph_st *g = cue_graph_find(graph);
    if (g == NULL || count == NULL)
        return cudaErrorInvalidValue;
    return give(nodes, count, g->nodes, NULL, g->count, roots_only);
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : give_nodes(graph, nodes, count, false));
}

cudaError_t cudaGraphGetRootNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : give_nodes(graph, nodes, count, true));
}

cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t node, cudaGraphNode_t *dependencies,
                                         cudaGraphEdgeData *edge_data, size_t *count)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUgraphNode_st *n = error == cudaSuccess ? find_node(node) : NULL;
    if (error == cudaSuccess && (n == NULL || count == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess && edge_data != NULL && dependencies != NULL)
        memset(edge_data, 0, sizeof *edge_data * *count);
    if (error == cudaSuccess)
        error = give(dependencies, count, n->graph->nodes, n->deps, n->dep_count, false);
    return cue_leave(error);
}

static cudaError_t give_edges(cudaGraph_t graph, cudaGraphNode_t *from, cudaGraphNode_t *to, cudaGraphEdgeData *data,
                              size_t *count)
{
    const struct CUgraph_st *g = cue_graph_find(graph);
    if (g == NULL || count == NULL || (from == NULL) != (to == NULL))
        return cudaErrorInvalidValue;
    size_t found = 0, room = from != NULL ? *count : 0;
    for (int i = 0; i < g->count; i++)
        for (int d = 0; d < g->nodes[i]->dep_count; d++, found++)
            if (found < room) {
                from[found] = g->nodes[g->nodes[i]->deps[d]];
                to[found] = g->nodes[i];
                if (data != NULL)
                    memset(&data[found], 0, sizeof *data);
            }
    *count = found;
    return cudaSuccess;
}

cudaError_t cudaGraphGetEdges(cudaGraph_t graph, cudaGraphNode_t *from, cudaGraphNode_t *to,
                              cudaGraphEdgeData *edge_data, size_t *count)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : give_edges(graph, from, to, edge_data, count));
}

static enum cudaGraphNodeType type_of(cue_work_kind kind)
{
    switch (kind) {
    case CUE_WORK_KERNEL:
    case CUE_WORK_LIBRARY:
        return cudaGraphNodeTypeKernel;
    case CUE_WORK_MEMCPY:
        return cudaGraphNodeTypeMemcpy;
    case CUE_WORK_MEMSET:
        return cudaGraphNodeTypeMemset;
    case CUE_WORK_HOST:
        return cudaGraphNodeTypeHost;
    case CUE_WORK_EVENT_RECORD:
        return cudaGraphNodeTypeEventRecord;
    case CUE_WORK_EVENT_WAIT:
        return cudaGraphNodeTypeWaitEvent;
    default:
        return cudaGraphNodeTypeEmpty;
    }
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, enum cudaGraphNodeType *type)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUgraphNode_st *n = error == cudaSuccess ? find_node(node) : NULL;
    if (error == cudaSuccess && (n == NULL || type == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess)
        *type = type_of(n->work.kind);
    return cue_leave(error);
}

/* ---------------------------------------------------------------------- parameters of kernel nodes */

static cudaError_t get_parameters(cudaGraphNode_t node, struct cudaKernelNodeParams *out)
{
    struct CUgraphNode_st *n = find_node(node);
    if (n == NULL || out == NULL || n->work.kind != CUE_WORK_KERNEL)
        return cudaErrorInvalidValue;
    const cue_launch_payload *p = n->work.payload;
    const cue_kernel_info *info = cue_kernel_get_info(p->function->kernel);
    free(n->parameters);
    n->parameters = calloc((size_t)info->parameter_count + 1, sizeof *n->parameters);
    if (n->parameters == NULL)
        return cudaErrorMemoryAllocation;
    for (uint32_t i = 0; i < info->parameter_count; i++)
        n->parameters[i] = (char *)(uintptr_t)(p + 1) + info->parameters[i].offset;
    *out = (struct cudaKernelNodeParams){.func = (void *)(uintptr_t)p->function->host,
                                         .gridDim = {p->grid[0], p->grid[1], p->grid[2]},
                                         .blockDim = {p->block[0], p->block[1], p->block[2]},
                                         .sharedMemBytes = (unsigned)p->dynamic_shared_bytes,
                                         .kernelParams = n->parameters};
    return cudaSuccess;
}

cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, struct cudaKernelNodeParams *parameters)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : get_parameters(node, parameters));
}

static cudaError_t set_parameters(struct CUgraphNode_st *n, const struct cudaKernelNodeParams *parameters)
{
    cue_work work;
    if (n == NULL || n->work.kind != CUE_WORK_KERNEL)
        return cudaErrorInvalidValue;
    cudaError_t error = kernel_work(&work, parameters);
    if (error == cudaSuccess && !cue_node_set_payload(n, &work))
        error = cudaErrorMemoryAllocation;
    free((void *)(uintptr_t)work.payload);
    return error;
}

cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node, const struct cudaKernelNodeParams *parameters)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    return cue_leave(error != cudaSuccess ? error : set_parameters(find_node(node), parameters));
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const struct cudaKernelNodeParams *parameters)
{
    cudaError_t error = cue_enter(CUE_HERE, CUE_DEVICE);
    const struct CUgraphNode_st *n = error == cudaSuccess ? find_node(node) : NULL;
    if (error == cudaSuccess)
        error = n == NULL ? cudaErrorInvalidValue : set_parameters(cue_graph_exec_node(exec, n->index), parameters);
    return cue_leave(error);
}
