/* pool.c: see pool.h. */
#include "device/pool.h"
#include "device/device.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 16, ALIGN = 16 };

typedef struct cue_pool_chunk {
    struct cue_pool_chunk *next;
    size_t used, bytes;
    _Alignas(ALIGN) unsigned char data[];
} cue_pool_chunk;

void *cue_pool_take(cue_pool *pool, size_t bytes)
{
    size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    cue_pool_chunk *chunk = pool->chunks;
    if (chunk == NULL || chunk->bytes - chunk->used < need) {
        size_t data = need > CHUNK_BYTES ? need : CHUNK_BYTES;
        chunk = cue_alloc(sizeof *chunk + data);
        chunk->bytes = data;
        chunk->next = pool->chunks;
        pool->chunks = chunk;
    }
    void *p = chunk->data + chunk->used;
    chunk->used += need;
    return p;
}

char *cue_pool_text(cue_pool *pool, const char *text, size_t length)
{
    char *copy = cue_pool_take(pool, length + 1);
    memcpy(copy, text, length);
    return copy;
}

void cue_pool_release(cue_pool *pool)
{
    while (pool->chunks != NULL) {
        cue_pool_chunk *next = pool->chunks->next;
        free(pool->chunks);
        pool->chunks = next;
    }
}

void *cue_pool_grow(cue_pool *pool, void *array, size_t count, size_t *room, size_t item_bytes)
{
    if (count < *room)
        return array;
    size_t new_room = *room == 0 ? 16 : 2 * *room;
    void *bigger = cue_pool_take(pool, new_room * item_bytes);
    if (count > 0)
        memcpy(bigger, array, count * item_bytes);
    *room = new_room;
    return bigger;
}
