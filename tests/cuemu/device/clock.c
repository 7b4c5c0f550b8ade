/* clock.c: how barriers move the clocks of a block's threads. See clock.h. */
#include "device/clock.h"

/* Stamps have 23 bits in an access record. */
static uint32_t tick(cue_clock *clock)
{
    if (++clock->now >= 1u << 23)
        cue_fatal("a block synchronises more than %u times: that is more than the shadow memory can tell apart",
                  1u << 23);
    return clock->now;
}

void cue_clock_begin_block(cue_clock *clock, uint32_t threads)
{
    clock->now = 1;
    clock->block_seen = 0;
    for (uint32_t t = 0; t < threads; t++)
        clock->stamp[t] = 1;
    for (uint32_t w = 0; w * CUE_WARP < threads; w++) {
        memset(clock->seen[w], 0, sizeof clock->seen[w]);
        clock->lanes_used[w] = false;
    }
}

void cue_clock_block_barrier(cue_clock *clock, uint32_t threads)
{
    clock->block_seen = tick(clock);
    for (uint32_t t = 0; t < threads; t++)
        clock->stamp[t] = clock->now;
}

void cue_clock_warps_barrier(cue_clock *clock, uint32_t warps, uint32_t threads)
{
    uint32_t joined[CUE_MAX_WARPS] = {0};
    uint32_t now = tick(clock);
    for (uint32_t w = 0; w < CUE_MAX_WARPS; w++)
        if (warps >> w & 1)
            for (uint32_t v = 0; v < CUE_MAX_WARPS; v++)
                joined[v] = clock->seen[w][v] > joined[v] ? clock->seen[w][v] : joined[v];
    for (uint32_t w = 0; w < CUE_MAX_WARPS; w++)
        if (warps >> w & 1)
            joined[w] = now;
    for (uint32_t w = 0; w < CUE_MAX_WARPS; w++)
        if (warps >> w & 1) {
            memcpy(clock->seen[w], joined, sizeof joined);
            for (uint32_t t = w * CUE_WARP; t < (w + 1) * CUE_WARP && t < threads; t++)
                clock->stamp[t] = now;
        }
}

static void join_lanes(cue_clock *clock, uint32_t warp, uint32_t mask)
{
    uint32_t(*lanes)[CUE_WARP] = clock->lanes[warp];
    uint32_t joined[CUE_WARP] = {0};
    if (!clock->lanes_used[warp])
        memset(lanes, 0, sizeof clock->lanes[warp]);
    clock->lanes_used[warp] = true;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        for (uint32_t k = 0; k < CUE_WARP; k++)
            joined[k] = lanes[l][k] > joined[k] ? lanes[l][k] : joined[k];
        joined[l] = clock->stamp[warp * CUE_WARP + l];
    }
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            memcpy(lanes[l], joined, sizeof joined);
}

void cue_clock_lanes_barrier(cue_clock *clock, uint32_t warp, uint32_t mask, bool full, uint32_t threads)
{
    if (!full)
        join_lanes(clock, warp, mask);
    uint32_t now = tick(clock);
    if (full)
        clock->seen[warp][warp] = now;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1 && warp * CUE_WARP + l < threads)
            clock->stamp[warp * CUE_WARP + l] = now;
}
