/* clock.h: which accesses of a block's threads happen before which, by barriers.
 *
 * `now` counts the synchronisations of the block. Each thread stamps its accesses with the value of `now` at its last
 * synchronisation. A barrier of the whole block moves everyone; one of some warps moves `seen` between those warps; a
 * bar.warp.sync of all lanes moves `seen` of the warp with itself; one of some lanes moves the lanes' matrix. */
#ifndef CUE_CLOCK_H
#define CUE_CLOCK_H

#include "device/device.h"

#include <string.h>

typedef struct cue_clock {
    uint32_t now;
    uint32_t block_seen;                               /* stamps below happened before everything now */
    uint32_t stamp[CUE_MAX_THREADS];                   /* current stamp of each thread */
    uint32_t seen[CUE_MAX_WARPS][CUE_MAX_WARPS];       /* [w][v]: stamps of warp v below happened before warp w's now */
    bool lanes_used[CUE_MAX_WARPS];                    /* whether the matrix of the warp holds anything */
    uint32_t lanes[CUE_MAX_WARPS][CUE_WARP][CUE_WARP]; /* [w][l][k]: stamps of lane k up to this, before lane l's now */
} cue_clock;

void cue_clock_begin_block(cue_clock *clock, uint32_t threads);
void cue_clock_block_barrier(cue_clock *clock, uint32_t threads);
/* warps: those that meet at a named barrier that not all of the block takes part in */
void cue_clock_warps_barrier(cue_clock *clock, uint32_t warps, uint32_t threads);
/* lanes of one warp meet; full: they are all lanes of the warp that have not ended */
void cue_clock_lanes_barrier(cue_clock *clock, uint32_t warp, uint32_t mask, bool full, uint32_t threads);

/* cue_clock_before: an access of thread p with that stamp happened before what thread t does now. */
static inline bool cue_clock_before(const cue_clock *clock, uint32_t p, uint32_t stamp, uint32_t t)
{
    if (stamp < clock->block_seen)
        return true;
    uint32_t pw = p / CUE_WARP, tw = t / CUE_WARP;
    if (stamp < clock->seen[tw][pw])
        return true;
    return pw == tw && clock->lanes_used[tw] && stamp <= clock->lanes[tw][t % CUE_WARP][p % CUE_WARP];
}

#endif
