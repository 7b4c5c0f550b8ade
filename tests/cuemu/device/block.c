/* block.c: runs the warps of one block in the order of the mode until all threads have ended, and says why where they
 * cannot. */
#include "device/exec.h"

#include <string.h>

enum { ORDERLY_QUANTUM = 1 << 16, RANDOM_QUANTUM = 256 };

void cue_block_fault(cue_block *block, cue_error error)
{
    block->error = error;
    for (uint32_t n = 0; n < block->warp_count; n++)
        block->warps[n].look_around = true;
}

static bool all_ended(const cue_block *b)
{
    for (uint32_t n = 0; n < b->warp_count; n++)
        if (b->warps[n].alive != 0)
            return false;
    return true;
}

/* report_stuck: nobody can go on. A collective that waits for lanes which are somewhere else has a wrong mask; anything
 * else is a deadlock. */
static void report_stuck(cue_block *b)
{
    cue_split *found = NULL;
    cue_warp *of = NULL;
    uint32_t at_barrier = 0, at_collective = 0;
    for (uint32_t n = 0; n < b->warp_count; n++)
        for (uint32_t s = 0; s < b->warps[n].split_count; s++) {
            cue_split *split = &b->warps[n].splits[s];
            bool collective = split->state == CUE_AT_COLLECTIVE;
            uint32_t threads = (uint32_t)__builtin_popcount(split->mask);
            if (threads == 0)
                continue;
            at_barrier += collective ? 0 : threads;
            at_collective += collective ? threads : 0;
            if (found == NULL || (collective && found->state != CUE_AT_COLLECTIVE)) {
                found = split;
                of = &b->warps[n];
            }
        }
    uint32_t lane = (uint32_t)__builtin_ctz(found->mask);
    cue_place place = cue_exec_place(of, found->waits_at, lane);
    if (found->state == CUE_AT_COLLECTIVE) {
        cue_warp_use(of, found);
        uint32_t named = (uint32_t)cue_row_source(of, found->waits_at->src[3])[lane];
        cue_report(CUE_WARP_MASK, &place, "mask %08x names lanes that never come: here are lanes %08x, alive are %08x",
                   named, found->mask, of->alive);
    } else {
        cue_report(CUE_DEADLOCK, &place, "%u threads wait at barriers, %u in warp collectives, and none can go on",
                   at_barrier, at_collective);
    }
    cue_block_fault(b, CUE_LAUNCH_TIMEOUT);
}

static void report_hang(cue_block *b)
{
    for (uint32_t n = 0; n < b->warp_count; n++) {
        cue_warp *w = &b->warps[n];
        if (!cue_warp_can_run(w))
            continue;
        cue_split *s = &w->splits[0];
        cue_warp_use(w, s);
        const cue_insn *at = &s->function->code[s->pc > 0 ? s->pc - 1 : 0];
        cue_place place = cue_exec_place(w, at, (uint32_t)__builtin_ctz(s->mask));
        cue_report(CUE_HANG, &place, "the block took %llu warp instructions (CUEMU_WATCHDOG); inside '%.*s'",
                   (unsigned long long)b->steps, (int)at->text.length, at->text.text);
        break;
    }
    cue_block_fault(b, CUE_LAUNCH_TIMEOUT);
}

static void order_warps(const cue_block *b, uint8_t order[CUE_MAX_WARPS])
{
    cue_order mode = cue_settings_get()->order;
    for (uint32_t n = 0; n < b->warp_count; n++)
        order[n] = (uint8_t)(mode == CUE_REVERSE ? b->warp_count - 1 - n : n);
    for (uint32_t n = b->warp_count - 1; mode == CUE_RANDOM && n > 0; n--) {
        uint32_t other = cue_random(n + 1);
        uint8_t swapped = order[n];
        order[n] = order[other];
        order[other] = swapped;
    }
}

void cue_block_run(cue_block *b)
{
    bool random = cue_settings_get()->order == CUE_RANDOM;
    uint64_t watchdog = cue_settings_get()->watchdog;
    uint8_t order[CUE_MAX_WARPS];
    order_warps(b, order);
    while (b->error == CUE_SUCCESS && !all_ended(b)) {
        bool moved = false;
        if (random)
            order_warps(b, order);
        for (uint32_t n = 0; n < b->warp_count && b->error == CUE_SUCCESS; n++) {
            cue_warp *w = &b->warps[order[n]];
            if (!cue_warp_can_run(w))
                continue;
            moved = true;
            cue_warp_run(w, random ? 1 + cue_random(RANDOM_QUANTUM) : ORDERLY_QUANTUM);
        }
        if (b->error != CUE_SUCCESS || all_ended(b))
            return;
        if (!moved) {
            for (uint32_t n = 0; n < b->warp_count && !moved; n++)
                moved = cue_collectives_complete(&b->warps[n]);
            if (!moved && !cue_barriers_complete(b))
                report_stuck(b);
        } else if (b->steps > watchdog) {
            report_hang(b);
        }
    }
}
