/* special.h: special registers of PTX. One list gives names and numbers. Most are rows that are filled when a function
 * is entered; clocks are read when the mov runs. */
#ifndef CUE_SPECIAL_H
#define CUE_SPECIAL_H

#define CUE_SPECIALS(X)                                                                                                \
    X(TID_X, "%tid.x")                                                                                                 \
    X(TID_Y, "%tid.y")                                                                                                 \
    X(TID_Z, "%tid.z")                                                                                                 \
    X(NTID_X, "%ntid.x")                                                                                               \
    X(NTID_Y, "%ntid.y")                                                                                               \
    X(NTID_Z, "%ntid.z")                                                                                               \
    X(CTAID_X, "%ctaid.x")                                                                                             \
    X(CTAID_Y, "%ctaid.y")                                                                                             \
    X(CTAID_Z, "%ctaid.z")                                                                                             \
    X(NCTAID_X, "%nctaid.x")                                                                                           \
    X(NCTAID_Y, "%nctaid.y")                                                                                           \
    X(NCTAID_Z, "%nctaid.z")                                                                                           \
    X(LANEID, "%laneid")                                                                                               \
    X(WARPID, "%warpid")                                                                                               \
    X(NWARPID, "%nwarpid")                                                                                             \
    X(SMID, "%smid")                                                                                                   \
    X(NSMID, "%nsmid")                                                                                                 \
    X(GRIDID, "%gridid")                                                                                               \
    X(LANEMASK_EQ, "%lanemask_eq")                                                                                     \
    X(LANEMASK_LE, "%lanemask_le")                                                                                     \
    X(LANEMASK_LT, "%lanemask_lt")                                                                                     \
    X(LANEMASK_GE, "%lanemask_ge")                                                                                     \
    X(LANEMASK_GT, "%lanemask_gt")                                                                                     \
    X(DYNAMIC_SMEM_SIZE, "%dynamic_smem_size")                                                                         \
    X(TOTAL_SMEM_SIZE, "%total_smem_size")                                                                             \
    X(CLOCK, "%clock")                                                                                                 \
    X(CLOCK_HI, "%clock_hi")                                                                                           \
    X(CLOCK64, "%clock64")                                                                                             \
    X(GLOBALTIMER, "%globaltimer")                                                                                     \
    X(GLOBALTIMER_LO, "%globaltimer_lo")                                                                               \
    X(GLOBALTIMER_HI, "%globaltimer_hi")

typedef enum cue_special {
#define CUE_SPECIAL_ENUM(name, text) CUE_SPECIAL_##name,
    CUE_SPECIALS(CUE_SPECIAL_ENUM)
#undef CUE_SPECIAL_ENUM
        CUE_SPECIAL_COUNT
} cue_special;

#define CUE_FIRST_TIMER CUE_SPECIAL_CLOCK /* from here on the value changes while the thread runs */

#endif
