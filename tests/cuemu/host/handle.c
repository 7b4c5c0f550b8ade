/* handle.c: every handle that was given out, alive or dead, with the places where it was made and destroyed.
 * A dead handle's memory is kept, so that its address never comes back as another handle: a later use is recognised. */
#include "internal.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct record {
    void *handle;
    cue_handle_kind kind;
    bool alive;
    cue_site made, destroyed;
} record;

static record *records; /* open addressing; the room is a power of two */
static size_t record_count, record_room;

static const char *const kind_names[] = {
    [CUE_STREAM_HANDLE] = "stream",
    [CUE_EVENT_HANDLE] = "event",
    [CUE_GRAPH_HANDLE] = "graph",
    [CUE_GRAPH_EXEC_HANDLE] = "executable graph",
    [CUE_BLAS_HANDLE] = "cuBLAS handle",
    [CUE_BLASLT_HANDLE] = "cublasLt handle",
    [CUE_BLASLT_OBJECT] = "cublasLt descriptor",
};

static record *slot(record *table, size_t room, const void *handle)
{
    size_t i = (size_t)(((uintptr_t)handle >> 4) * 0x9e3779b97f4a7c15u) & (room - 1);
    while (table[i].handle != NULL && table[i].handle != handle)
        i = (i + 1) & (room - 1);
    return &table[i];
}

static bool make_room(void)
{
    if (2 * (record_count + 1) <= record_room)
        return true;
    size_t room = record_room ? record_room * 2 : 64;
    record *table = calloc(room, sizeof *table);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < record_room; i++)
        if (records[i].handle != NULL)
            *slot(table, room, records[i].handle) = records[i];
    free(records);
    records = table;
    record_room = room;
    return true;
}

void *cue_handle_new(cue_handle_kind kind, size_t bytes)
{
    void *handle = make_room() ? calloc(1, bytes) : NULL;
    if (handle == NULL)
        return NULL;
    *slot(records, record_room, handle) = (record){.handle = handle, .kind = kind, .alive = true, .made = cue_here()};
    record_count++;
    return handle;
}

void *cue_handle_get(const void *handle, cue_handle_kind kind)
{
    record *r = handle != NULL && record_room > 0 ? slot(records, record_room, handle) : NULL;
    if (r == NULL || r->handle == NULL) {
        cue_complain(CUE_API, "%p is no %s", handle, kind_names[kind]);
        return NULL;
    }
    if (!r->alive) {
        cue_complain(CUE_API, "the %s was destroyed at %s", kind_names[r->kind], cue_site_text(r->destroyed.address));
        return NULL;
    }
    if (r->kind != kind) {
        cue_complain(CUE_API, "this is a %s, no %s", kind_names[r->kind], kind_names[kind]);
        return NULL;
    }
    return r->handle;
}

void cue_handle_made_here(void *handle)
{
    slot(records, record_room, handle)->made = cue_here();
}

void cue_handle_drop(void *handle)
{
    record *r = slot(records, record_room, handle);
    r->alive = false;
    r->destroyed = cue_here();
}

void cue_handle_report_leaks(void)
{
    for (size_t i = 0; i < record_room; i++) {
        const record *r = &records[i];
        if (r->handle == NULL || !r->alive)
            continue;
        cue_set_site(r->made);
        cue_complain(CUE_LEAK, "the %s made here is never destroyed", kind_names[r->kind]);
    }
}

void cue_handle_forget_all(void)
{
    for (size_t i = 0; i < record_room; i++)
        if (records[i].handle != NULL && records[i].kind < CUE_BLAS_HANDLE && records[i].alive) {
            records[i].alive = false;
            records[i].destroyed = cue_here();
        }
}
