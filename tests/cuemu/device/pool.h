/* pool.h: memory that lives as long as a module: taken piece by piece, given back all at once. */
#ifndef CUE_POOL_H
#define CUE_POOL_H

#include <stddef.h>

typedef struct cue_pool {
    struct cue_pool_chunk *chunks;
} cue_pool;

void *cue_pool_take(cue_pool *pool, size_t bytes); /* zeros, aligned to 16 */
char *cue_pool_text(cue_pool *pool, const char *text, size_t length);
void cue_pool_release(cue_pool *pool);

/* cue_pool_grow: room for one more item in an array of `count`, doubled where full; the old array stays in the pool. */
void *cue_pool_grow(cue_pool *pool, void *array, size_t count, size_t *room, size_t item_bytes);

#endif
