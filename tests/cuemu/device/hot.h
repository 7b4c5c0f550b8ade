/* hot.h: fast handlers for the commonest instructions, see hot.c. */
#ifndef CUE_HOT_H
#define CUE_HOT_H

#include "device/exec.h"
#include "device/rows.h"

/* NULL where there is none. Only for instructions without modifiers, rounding to nearest. */
cue_handler *cue_hot_handler(const char *name, cue_type type);

/* All 32 lanes at once: bit l of the answer tells whether a[l] stands to b[l] in an accepted relation (compare.c). */
uint32_t cue_compare_s32(const uint64_t *a, const uint64_t *b, uint8_t accepts);
uint32_t cue_compare_u32(const uint64_t *a, const uint64_t *b, uint8_t accepts);
uint32_t cue_compare_s64(const uint64_t *a, const uint64_t *b, uint8_t accepts);
uint32_t cue_compare_u64(const uint64_t *a, const uint64_t *b, uint8_t accepts);
uint32_t cue_compare_f32(const uint64_t *a, const uint64_t *b, uint8_t accepts);

#endif
