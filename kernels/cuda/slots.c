/* slots.c: the way of a batch to the device: the host writes into pinned memory, a stream of its own copies it, and
 * lane 0 reads the copy. Several slots take turns, so that a batch is copied while the one before is worked on; the
 * host waits only where it is as many batches ahead as there are slots. */
#include "kernels/cuda/cuda.h"

#define SLOT_BYTES ((size_t)1 << 20)

static void release_memory(bpi_cuda *cuda)
{
    for (int i = 0; i < BPI_CUDA_SLOTS; ++i) {
        (void)cudaFreeHost(cuda->slots[i].pinned);
        (void)cudaFree(cuda->slots[i].device);
        cuda->slots[i].pinned = cuda->slots[i].device = NULL;
        cuda->slots[i].in_use = false;
    }
    cuda->slot_bytes = 0;
}

static bp_status take_memory(bpi_cuda *cuda, size_t bytes)
{
    for (int i = 0; i < BPI_CUDA_SLOTS; ++i) {
        BPI_CUDA_TRY(cuda->backend.error, cudaMallocHost(&cuda->slots[i].pinned, bytes));
        BPI_TRY(bpi_cuda_device_memory(cuda, bytes, &cuda->slots[i].device));
    }
    cuda->slot_bytes = bytes;
    return BP_STATUS_OK;
}

bp_status bpi_cuda_slots_open(bpi_cuda *cuda)
{
    for (int i = 0; i < BPI_CUDA_SLOTS; ++i) {
        bpi_cuda_slot *slot = &cuda->slots[i];
        BPI_CUDA_TRY(cuda->backend.error, cudaEventCreateWithFlags(&slot->copied, cudaEventDisableTiming));
        BPI_CUDA_TRY(cuda->backend.error, cudaEventCreateWithFlags(&slot->used, cudaEventDisableTiming));
    }
    return take_memory(cuda, SLOT_BYTES);
}

void bpi_cuda_slots_close(bpi_cuda *cuda)
{
    if (cuda->copies)
        (void)cudaStreamSynchronize(cuda->copies);
    release_memory(cuda);
    for (int i = 0; i < BPI_CUDA_SLOTS; ++i) {
        if (cuda->slots[i].copied)
            (void)cudaEventDestroy(cuda->slots[i].copied);
        if (cuda->slots[i].used)
            (void)cudaEventDestroy(cuda->slots[i].used);
    }
}

/* A sample wider than a slot makes all slots as large as it, once. */
static bp_status grow(bpi_cuda *cuda, size_t bytes)
{
    BPI_TRY(bpi_cuda_synchronize(&cuda->backend));
    BPI_CUDA_TRY(cuda->backend.error, cudaStreamSynchronize(cuda->copies));
    release_memory(cuda);
    return take_memory(cuda, bytes);
}

bp_status bpi_cuda_slot_take(bpi_cuda *cuda, size_t bytes, bpi_cuda_slot **slot)
{
    if (bytes > cuda->slot_bytes)
        BPI_TRY(grow(cuda, bytes));
    *slot = &cuda->slots[cuda->next_slot];
    cuda->next_slot = (cuda->next_slot + 1) % BPI_CUDA_SLOTS;
    if (!(*slot)->in_use)
        return BP_STATUS_OK;
    cudaError_t code = cudaEventQuery((*slot)->used);
    if (code == cudaErrorNotReady) {
        (void)cudaGetLastError();
        code = cudaEventSynchronize((*slot)->used);
    }
    (*slot)->in_use = false;
    return bpi_cuda_check(cuda->backend.error, code, "cudaEventSynchronize", __FILE__, __LINE__);
}

bp_status bpi_cuda_slot_send(bpi_cuda *cuda, bpi_cuda_slot *slot, size_t bytes)
{
    bpi_error *error = cuda->backend.error;
    BPI_CUDA_TRY(error, cudaMemcpyAsync(slot->device, slot->pinned, bytes, cudaMemcpyHostToDevice, cuda->copies));
    BPI_CUDA_TRY(error, cudaEventRecord(slot->copied, cuda->copies));
    BPI_CUDA_TRY(error, cudaStreamWaitEvent(cuda->lanes[0], slot->copied, 0));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_slot_done(bpi_cuda *cuda, bpi_cuda_slot *slot)
{
    slot->in_use = true;
    BPI_CUDA_TRY(cuda->backend.error, cudaEventRecord(slot->used, cuda->lanes[0]));
    return BP_STATUS_OK;
}
