/* exec.h: the state of a running block. A warp runs its lanes in step as long as they agree on the way; where a branch
 * divides them, each part (a split) has its own place in the code, and parts that meet at the same place become one
 * again. The part that is furthest behind runs first, so parts meet where the code does. */
#ifndef CUE_EXEC_H
#define CUE_EXEC_H

#include "device/memory.h"
#include "device/ptx.h"

enum { CUE_MAX_DEPTH = 24, CUE_CALL_LOCAL_BYTES = 4096, CUE_MAX_ASYNC = 512 };

typedef enum cue_split_state {
    CUE_RUNS,
    CUE_AT_BARRIER,    /* of the block: bar, barrier */
    CUE_AT_COLLECTIVE, /* of the warp: shfl, vote, bar.warp, ... */
} cue_split_state;

typedef struct cue_frame {
    const cue_function *function;
    uint32_t pc;         /* where to go on after the return */
    uint32_t local_base; /* of the function's local memory in the thread's */
    const cue_call *call;
} cue_frame;

typedef struct cue_split {
    uint32_t mask, pc;
    cue_split_state state;
    uint32_t depth;
    const cue_function *function;
    uint32_t local_base;
    const cue_insn *waits_at;
    uint32_t barrier, expected; /* number of the barrier; threads that it waits for, 0: all */
    cue_frame frames[CUE_MAX_DEPTH];
} cue_split;

/* A cp.async that has been issued: the bytes arrive when the thread waits for its group. */
typedef struct cue_async {
    uint64_t source;
    uint32_t shared, bytes, source_bytes, group;
    uint8_t lane;
    const cue_insn *insn;
} cue_async;

typedef struct cue_warp {
    struct cue_block *block;
    uint32_t index;
    uint32_t all;   /* lanes that exist */
    uint32_t alive; /* and have not ended */
    /* of the running split */
    uint64_t (*rows)[CUE_WARP];
    const uint64_t (*constants)[CUE_WARP];
    uint32_t *predicates;
    uint8_t *parameters; /* of the frame, lane by lane */
    cue_split *split;
    uint32_t mask, pc;
    bool look_around; /* the splits have changed: choose again */
    /* all frames */
    uint64_t (*all_rows)[CUE_WARP];
    uint32_t *all_predicates;
    uint8_t *all_parameters;
    cue_split *splits; /* CUE_WARP of them */
    uint32_t split_count;
    uint32_t carry; /* condition code of the lanes */
    cue_async *async;
    uint32_t async_count;
    uint32_t async_group[CUE_WARP]; /* number of the group that each lane fills */
} cue_warp;

typedef struct cue_barrier {
    uint32_t arrived; /* threads that came with bar.arrive and went on */
    uint32_t arrived_warps;
} cue_barrier;

typedef struct cue_block {
    const struct cue_kernel *kernel;
    const struct cue_module *module;
    const cue_launch_config *config;
    cue_counters *counters;
    int64_t *classes;
    uint32_t threads, warp_count;
    uint32_t index[3];
    cue_warp *warps;
    uint8_t *shared;
    uint32_t shared_bytes; /* of address space; what is live is in the shadow */
    uint32_t total_shared; /* that the kernel asked for */
    cue_shadow shared_shadow;
    uint8_t *local, *local_written; /* per thread */
    uint32_t local_bytes;
    const uint8_t *lane_order; /* in which the lanes of a warp reach memory */
    cue_clock *clock;
    cue_actor actor;
    cue_arena *arena;
    cue_barrier barriers[16];
    uint64_t steps;  /* warp instructions of this block */
    cue_error error; /* ends the launch */
} cue_block;

static inline const uint64_t *cue_row_source(const cue_warp *w, int32_t row)
{
    return row >= 0 ? w->rows[row] : w->constants[~row];
}

static inline uint32_t cue_predicate_mask(const cue_warp *w, cue_predicate_source p)
{
    uint32_t bits = p.index >= 0 ? w->predicates[p.index] : 0;
    return p.negate ? ~bits : bits;
}

static inline void cue_set_predicate(cue_warp *w, int16_t predicate, uint32_t value, uint32_t mask)
{
    if (predicate >= 0)
        w->predicates[predicate] = (w->predicates[predicate] & ~mask) | (value & mask);
}

/* cue_thread: number of a lane's thread in the block. */
static inline uint32_t cue_thread(const cue_warp *w, uint32_t lane)
{
    return w->index * CUE_WARP + lane;
}

/* ---- warp.c */
void cue_warp_begin(cue_warp *w);
/* cue_warp_run: until every split waits or has ended, or `quantum` instructions are over. */
void cue_warp_run(cue_warp *w, uint64_t quantum);
bool cue_warp_can_run(const cue_warp *w);
void cue_warp_enter(cue_warp *w, const cue_function *function, uint32_t mask); /* special registers of a frame */
void cue_warp_use(cue_warp *w, cue_split *split);                              /* frame pointers of a split */
cue_split *cue_warp_part(cue_warp *w, uint32_t mask); /* takes lanes out of the running split into a new one */
void cue_warp_end_lanes(cue_warp *w, uint32_t mask);

/* ---- block.c */
void cue_block_run(cue_block *block);
/* cue_block_fault: the launch is over. */
void cue_block_fault(cue_block *block, cue_error error);

/* cue_place: of a thread at an instruction, for a report. */
cue_place cue_exec_place(const cue_warp *w, const cue_insn *insn, uint32_t lane);

/* ---- control.c */
void cue_run_branch(cue_warp *w, const cue_insn *insn, uint32_t mask);
uint8_t *cue_lane_parameters(const cue_warp *w, uint32_t depth, uint32_t lane); /* of the frame at that depth */

/* ---- system_calls.c */
void cue_run_assert(cue_warp *w, const cue_insn *insn, uint32_t mask);
void cue_run_printf(cue_warp *w, const cue_insn *insn, uint32_t mask);

/* ---- barrier.c: lets go of the threads at barriers that are complete; false where none is */
bool cue_barriers_complete(cue_block *block);

/* ---- collective.c: completes collectives of the warp whose lanes have all come */
bool cue_collectives_complete(cue_warp *w);

/* ---- access.c: the checks of memory, and where the bytes are */
typedef enum cue_access_mode { CUE_LOADS, CUE_STORES, CUE_UPDATES } cue_access_mode;

/* cue_touch: address of `bytes` bytes for one lane, checked and noted; NULL where the launch is over. The space is
 * resolved: generic addresses are looked at. */
uint8_t *cue_touch(cue_warp *w, const cue_insn *insn, uint32_t lane, cue_space space, uint64_t address, uint32_t bytes,
                   cue_access_mode mode);
/* cue_local_clear: a function's local memory begins as poison that nothing wrote. */
void cue_local_clear(cue_block *block, uint32_t thread, uint32_t first, uint32_t bytes);
/* cue_generic_space: the space that a generic address points into; makes it an address of that space. */
cue_space cue_generic_space(const cue_block *block, uint64_t *address);
/* cue_async_finish: all copies of these lanes arrive. */
void cue_async_finish(cue_warp *w, uint32_t mask);

/* ---- traffic.c: what a warp's access costs */
void cue_traffic_global(cue_block *block, const uint64_t *addresses, uint32_t mask, uint32_t bytes, bool write);
void cue_traffic_shared(cue_block *block, const uint64_t *addresses, uint32_t mask, uint32_t bytes, bool write);

#endif
