/* counters.h: what the executor counts for each kernel. One list gives the fields, the names and the loops. */
#ifndef CUE_COUNTERS_H
#define CUE_COUNTERS_H

#include <stdint.h>

#define CUE_COUNTERS(X)                                                                                                \
    X(launches)                                                                                                        \
    X(global_read_bytes)                                                                                               \
    X(global_write_bytes)                                                                                              \
    X(global_read_sectors)                                                                                             \
    X(global_write_sectors)                                                                                            \
    X(needed_read_bytes)                                                                                               \
    X(needed_write_bytes)                                                                                              \
    X(atomic_operations)                                                                                               \
    X(shared_read_bytes)                                                                                               \
    X(shared_write_bytes)                                                                                              \
    X(shared_conflicts)                                                                                                \
    X(branches)                                                                                                        \
    X(divergent_branches)                                                                                              \
    X(barriers)                                                                                                        \
    X(warp_instructions)                                                                                               \
    X(thread_instructions)                                                                                             \
    X(instructions_integer)                                                                                            \
    X(instructions_f32)                                                                                                \
    X(instructions_f64)                                                                                                \
    X(instructions_half)                                                                                               \
    X(instructions_special)                                                                                            \
    X(instructions_conversion)                                                                                         \
    X(instructions_move)                                                                                               \
    X(instructions_control)                                                                                            \
    X(instructions_global)                                                                                             \
    X(instructions_shared)                                                                                             \
    X(instructions_local)                                                                                              \
    X(instructions_atomic)                                                                                             \
    X(instructions_warp)                                                                                               \
    X(instructions_barrier)

/* The instruction classes, in the order of the counters above. */
typedef enum cue_class {
    CUE_CLASS_INTEGER,
    CUE_CLASS_F32,
    CUE_CLASS_F64,
    CUE_CLASS_HALF,
    CUE_CLASS_SPECIAL,
    CUE_CLASS_CONVERSION,
    CUE_CLASS_MOVE,
    CUE_CLASS_CONTROL,
    CUE_CLASS_GLOBAL,
    CUE_CLASS_SHARED,
    CUE_CLASS_LOCAL,
    CUE_CLASS_ATOMIC,
    CUE_CLASS_WARP,
    CUE_CLASS_BARRIER,
    CUE_CLASS_COUNT
} cue_class;

typedef struct cue_counters {
#define CUE_COUNTER_FIELD(name) int64_t name;
    CUE_COUNTERS(CUE_COUNTER_FIELD)
#undef CUE_COUNTER_FIELD
} cue_counters;

/* cue_counters_of: the counters of all kernels of this name, made at the first launch; valid for ever. */
cue_counters *cue_counters_of(const char *kernel);

/* cue_counters_classes: the row of per-class instruction counters inside. */
static inline int64_t *cue_counters_classes(cue_counters *c)
{
    return &c->instructions_integer;
}

#endif
