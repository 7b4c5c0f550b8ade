/* warp.c: runs a warp: chooses the split that is furthest behind, runs it until something changes, joins splits that
 * meet at the same place. See exec.h. */
#include "device/exec.h"
#include "device/special.h"

#include <string.h>

/* ---------------------------------------------------------------- frames */
void cue_warp_use(cue_warp *w, cue_split *split)
{
    const struct cue_kernel *k = w->block->kernel;
    w->split = split;
    w->rows = w->all_rows + (size_t)split->depth * (size_t)k->rows;
    w->predicates = w->all_predicates + (size_t)split->depth * (size_t)k->predicates;
    w->parameters = w->all_parameters + (size_t)split->depth * k->frame_parameter_bytes * CUE_WARP;
    w->constants = (const uint64_t(*)[CUE_WARP])split->function->constants;
    w->mask = split->mask;
    w->pc = split->pc;
}

static uint64_t special_value(const cue_warp *w, uint32_t lane, cue_special special)
{
    const cue_block *b = w->block;
    const uint32_t *n = b->config->block, *g = b->config->grid;
    uint32_t thread = cue_thread(w, lane), below = (1u << lane) - 1;
    switch (special) {
    case CUE_SPECIAL_TID_X:
        return thread % n[0];
    case CUE_SPECIAL_TID_Y:
        return thread / n[0] % n[1];
    case CUE_SPECIAL_TID_Z:
        return thread / (n[0] * n[1]);
    case CUE_SPECIAL_NTID_X:
    case CUE_SPECIAL_NTID_Y:
    case CUE_SPECIAL_NTID_Z:
        return n[special - CUE_SPECIAL_NTID_X];
    case CUE_SPECIAL_CTAID_X:
    case CUE_SPECIAL_CTAID_Y:
    case CUE_SPECIAL_CTAID_Z:
        return b->index[special - CUE_SPECIAL_CTAID_X];
    case CUE_SPECIAL_NCTAID_X:
    case CUE_SPECIAL_NCTAID_Y:
    case CUE_SPECIAL_NCTAID_Z:
        return g[special - CUE_SPECIAL_NCTAID_X];
    case CUE_SPECIAL_LANEID:
        return lane;
    case CUE_SPECIAL_WARPID:
        return w->index;
    case CUE_SPECIAL_NWARPID:
        return CUE_MAX_WARPS;
    case CUE_SPECIAL_NSMID:
        return 132;
    case CUE_SPECIAL_GRIDID:
        return b->config->op;
    case CUE_SPECIAL_LANEMASK_EQ:
        return 1u << lane;
    case CUE_SPECIAL_LANEMASK_LT:
        return below;
    case CUE_SPECIAL_LANEMASK_LE:
        return below | 1u << lane;
    case CUE_SPECIAL_LANEMASK_GT:
        return ~(below | 1u << lane);
    case CUE_SPECIAL_LANEMASK_GE:
        return ~below;
    case CUE_SPECIAL_DYNAMIC_SMEM_SIZE:
        return b->config->dynamic_shared_bytes;
    case CUE_SPECIAL_TOTAL_SMEM_SIZE:
        return b->total_shared;
    default:
        return 0; /* smid: a modelled card may place any block on multiprocessor 0 */
    }
}

void cue_warp_enter(cue_warp *w, const cue_function *function, uint32_t mask)
{
    for (uint32_t s = 0; s < function->special_count; s++) {
        cue_special_row special = function->specials[s];
        for (uint32_t l = 0; l < CUE_WARP; l++)
            if (mask >> l & 1)
                w->rows[special.row][l] = special_value(w, l, (cue_special)special.special);
    }
}

void cue_warp_begin(cue_warp *w)
{
    const cue_function *f = w->block->kernel->function;
    uint32_t first = w->index * CUE_WARP, left = w->block->threads - first;
    w->all = left >= CUE_WARP ? UINT32_MAX : (1u << left) - 1;
    w->alive = w->all;
    w->carry = 0;
    w->async_count = 0;
    memset(w->async_group, 0, sizeof w->async_group);
    w->split_count = 1;
    cue_split *s = &w->splits[0];
    s->mask = w->all;
    s->pc = 0;
    s->state = CUE_RUNS;
    s->depth = 0;
    s->function = f;
    s->local_base = 0;
    s->waits_at = NULL;
    cue_warp_use(w, s);
    memset(w->rows, 0xff, (size_t)f->row_count * sizeof *w->rows);
    cue_warp_enter(w, f, w->all);
}

/* ---------------------------------------------------------------- splits */
static void copy_split(cue_split *to, const cue_split *from)
{
    memcpy(to, from, offsetof(cue_split, frames) + from->depth * sizeof from->frames[0]);
}

cue_split *cue_warp_part(cue_warp *w, uint32_t mask)
{
    cue_split *part = &w->splits[w->split_count++]; /* there are as many as lanes, and each holds one at least */
    copy_split(part, w->split);
    part->mask = mask;
    part->pc = w->pc;
    w->mask &= ~mask;
    w->split->mask = w->mask;
    w->look_around = true;
    return part;
}

void cue_warp_end_lanes(cue_warp *w, uint32_t mask)
{
    cue_async_finish(w, mask);
    w->alive &= ~mask;
    w->mask &= ~mask;
    w->split->mask = w->mask;
    w->look_around |= w->mask == 0;
}

static void remove_split(cue_warp *w, uint32_t i)
{
    w->split_count--;
    if (i != w->split_count)
        copy_split(&w->splits[i], &w->splits[w->split_count]);
}

static bool same_place(const cue_split *a, const cue_split *b)
{
    return a->state == CUE_RUNS && b->state == CUE_RUNS && a->pc == b->pc && a->function == b->function &&
           a->depth == b->depth && memcmp(a->frames, b->frames, a->depth * sizeof a->frames[0]) == 0;
}

/* behind: a has less of the way behind it: deeper in calls, else earlier in the code. */
static bool behind(const cue_split *a, const cue_split *b)
{
    if (a->depth != b->depth)
        return a->depth > b->depth;
    if (a->function != b->function)
        return a->function->index < b->function->index;
    return a->pc < b->pc;
}

static void tidy(cue_warp *w)
{
    for (uint32_t i = 0; i < w->split_count;) {
        uint32_t twin = i + 1;
        if (w->splits[i].mask == 0) {
            remove_split(w, i);
            continue;
        }
        while (twin < w->split_count && !same_place(&w->splits[i], &w->splits[twin]))
            twin++;
        if (twin < w->split_count) {
            w->splits[i].mask |= w->splits[twin].mask;
            remove_split(w, twin);
        } else {
            i++;
        }
    }
}

/* choose: the split to run, and the place in the code where another one waits to be joined. */
static cue_split *choose(cue_warp *w, uint32_t *meet)
{
    cue_split *best = NULL;
    tidy(w);
    for (uint32_t i = 0; i < w->split_count; i++)
        if (w->splits[i].state == CUE_RUNS && (best == NULL || behind(&w->splits[i], best)))
            best = &w->splits[i];
    *meet = UINT32_MAX;
    for (uint32_t i = 0; best != NULL && i < w->split_count; i++) {
        const cue_split *s = &w->splits[i];
        if (s != best && s->state == CUE_RUNS && s->depth == best->depth && s->function == best->function &&
            s->pc < *meet)
            *meet = s->pc;
    }
    return best;
}

bool cue_warp_can_run(const cue_warp *w)
{
    for (uint32_t i = 0; i < w->split_count; i++)
        if (w->splits[i].state == CUE_RUNS && w->splits[i].mask != 0)
            return true;
    return false;
}

/* ---------------------------------------------------------------- the loop */
static uint64_t run_split(cue_warp *w, uint32_t meet, uint64_t quantum)
{
    cue_block *b = w->block;
    const cue_insn *code = w->split->function->code;
    uint64_t steps = 0;
    int64_t threads = 0;
    w->look_around = false;
    do {
        const cue_insn *insn = &code[w->pc++];
        uint32_t mask = w->mask;
        if (insn->guard >= 0)
            mask &= insn->guard_negate ? ~w->predicates[insn->guard] : w->predicates[insn->guard];
        steps++;
        if (mask != 0) {
            b->classes[insn->class]++;
            threads += mask == UINT32_MAX ? CUE_WARP : __builtin_popcount(mask);
            insn->run(w, insn, mask);
        } else if (insn->run == cue_run_branch) {
            b->counters->branches++;
        }
    } while (!w->look_around && w->pc < meet && steps < quantum);
    b->counters->warp_instructions += (int64_t)steps;
    b->counters->thread_instructions += threads;
    return steps;
}

void cue_warp_run(cue_warp *w, uint64_t quantum)
{
    cue_block *b = w->block;
    while (quantum > 0 && b->error == CUE_SUCCESS) {
        uint32_t meet;
        cue_split *split = choose(w, &meet);
        if (split == NULL) {
            if (!cue_collectives_complete(w))
                return;
            continue;
        }
        cue_warp_use(w, split);
        uint64_t steps = run_split(w, meet, quantum);
        w->split->pc = w->pc;
        b->steps += steps;
        quantum -= steps < quantum ? steps : quantum;
    }
}
