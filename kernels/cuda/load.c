/* load.c: a batch, in as many parts as its way to the device needs: of a data set that is on the device, only the index
 * goes through a slot; of one on the host, the samples themselves do, gathered there. */
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/source.h"

#include <assert.h>
#include <string.h>

enum { SECTION_ALIGNMENT = 16 };

static size_t padded(size_t bytes)
{
    return (bytes + SECTION_ALIGNMENT - 1) / SECTION_ALIGNMENT * SECTION_ALIGNMENT;
}

/* Where rows done .. done + rows - 1 of the batch go. */
static bpi_cuda_gather gather_to(const bpi_load_args *args, bpi_type type, int64_t done, int64_t rows)
{
    const bpi_source *source = args->source;
    bpi_cuda_gather gather = {.activation_type = type,
                              .x_type = source->x_type,
                              .divisor = source->divisor,
                              .mean = args->mean,
                              .inv_std = args->inv_std,
                              .x = args->x,
                              .classes = args->classes ? args->classes + done : NULL,
                              .targets = args->targets};
    gather.x.rows = gather.targets.rows = rows;
    if (args->x.data)
        gather.x.data = (char *)args->x.data + (size_t)(done * args->x.ld) * bpi_type_bytes(type);
    if (args->targets.data)
        gather.targets.data = (float *)args->targets.data + done * args->targets.ld;
    return gather;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- from the device ---- */

static bp_status load_resident(bpi_cuda *cuda, const bpi_load_args *args)
{
    const bpi_cuda_resident *resident = args->source->resident;
    int64_t most = args->index ? (int64_t)(cuda->slot_bytes / sizeof(int64_t)) : args->rows;
    for (int64_t done = 0; done < args->rows; done += most) {
        int64_t rows = smaller(most, args->rows - done);
        size_t bytes = (size_t)rows * sizeof(int64_t);
        bpi_cuda_gather gather = gather_to(args, cuda->backend.traits.activation_type, done, rows);
        gather.source_x = resident->x;
        gather.source_classes = resident->classes;
        gather.source_targets = resident->targets;
        gather.first = args->first + done;
        bpi_cuda_slot *slot = NULL;
        if (args->index) {
            BPI_TRY(bpi_cuda_slot_take(cuda, bytes, &slot));
            memcpy(slot->pinned, args->index + done, bytes);
            BPI_TRY(bpi_cuda_slot_send(cuda, slot, bytes));
            gather.index = slot->device;
        }
        BPI_CUDA_TRY(cuda->backend.error, bpi_cuda_run_gather(cuda->lanes[0], &gather));
        if (slot)
            BPI_TRY(bpi_cuda_slot_done(cuda, slot));
    }
    return BP_STATUS_OK;
}

/* ---- from the host ---- */

/* A slot holds [rows] of x, then classes, then targets: bytes a row, and where the sections begin. */
typedef struct sections {
    size_t x_row, class_row, target_row;
    size_t classes_at, targets_at, bytes;
} sections;

static sections sections_of(const bpi_load_args *args, int64_t rows)
{
    const bpi_source *source = args->source;
    sections s = {.x_row = (size_t)source->inputs * bpi_type_bytes(source->x_type),
                  .class_row = args->classes ? sizeof(int64_t) : 0,
                  .target_row = args->targets.data ? (size_t)source->target_cols * sizeof(float) : 0};
    s.classes_at = padded((size_t)rows * s.x_row);
    s.targets_at = s.classes_at + padded((size_t)rows * s.class_row);
    s.bytes = s.targets_at + (size_t)rows * s.target_row;
    return s;
}

static void collect(const bpi_load_args *args, int64_t done, int64_t rows, const sections *s, char *pinned)
{
    const bpi_source *source = args->source;
    for (int64_t b = 0; b < rows; ++b) {
        int64_t from = args->index ? args->index[done + b] : args->first + done + b;
        memcpy(pinned + (size_t)b * s->x_row, (const char *)source->x + (size_t)from * s->x_row, s->x_row);
        if (s->class_row)
            memcpy(pinned + s->classes_at + (size_t)b * s->class_row, source->classes + from, s->class_row);
        if (s->target_row)
            memcpy(pinned + s->targets_at + (size_t)b * s->target_row, source->targets + from * source->target_cols,
                   s->target_row);
    }
}

static bp_status load_part(bpi_cuda *cuda, const bpi_load_args *args, int64_t done, int64_t rows)
{
    sections s = sections_of(args, rows);
    bpi_cuda_slot *slot;
    BPI_TRY(bpi_cuda_slot_take(cuda, s.bytes, &slot));
    collect(args, done, rows, &s, slot->pinned);
    BPI_TRY(bpi_cuda_slot_send(cuda, slot, s.bytes));
    bpi_cuda_gather gather = gather_to(args, cuda->backend.traits.activation_type, done, rows);
    gather.source_x = slot->device;
    gather.source_classes = (const int64_t *)(const void *)((const char *)slot->device + s.classes_at);
    gather.source_targets = (const float *)(const void *)((const char *)slot->device + s.targets_at);
    BPI_CUDA_TRY(cuda->backend.error, bpi_cuda_run_gather(cuda->lanes[0], &gather));
    return bpi_cuda_slot_done(cuda, slot);
}

static bp_status load_from_host(bpi_cuda *cuda, const bpi_load_args *args)
{
    size_t one = sections_of(args, 1).bytes + 2 * SECTION_ALIGNMENT;
    int64_t most = (int64_t)(cuda->slot_bytes / one);
    most = most > 0 ? most : 1;
    for (int64_t done = 0; done < args->rows; done += most)
        BPI_TRY(load_part(cuda, args, done, smaller(most, args->rows - done)));
    return BP_STATUS_OK;
}

bp_status bpi_cuda_load(bpi_backend *backend, const bpi_load_args *args)
{
    assert(!args->mean == !args->inv_std && args->x.cols == args->source->inputs);
    bpi_cuda *cuda = bpi_cuda_of(backend);
    return args->source->resident ? load_resident(cuda, args) : load_from_host(cuda, args);
}
