/* hot.c: the arithmetic that kernels mostly consist of, once more with the lane's work in line. What each does is what
 * its row in the table says, and the tests hold it to the same expectations; with a modifier the row itself is run. */
#include "device/hot.h"

#include <math.h>
#include <string.h>

/* Two versions of a function, for processors with and without FMA and AVX2; the loader chooses. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=haswell", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define IN_LINE static inline __attribute__((always_inline))

typedef uint64_t lane_fn(uint64_t a, uint64_t b, uint64_t c);

IN_LINE void each_lane(cue_warp *w, const cue_insn *i, uint32_t mask, lane_fn *compute)
{
    const uint64_t *a = cue_row_source(w, i->src[0]), *b = cue_row_source(w, i->src[1]),
                   *c = cue_row_source(w, i->src[2]);
    uint64_t *to = w->rows[i->dst];
    if (mask == UINT32_MAX) {
        for (uint32_t l = 0; l < CUE_WARP; l++)
            to[l] = compute(a[l], b[l], c[l]);
        return;
    }
    for (uint32_t l = 0; l < CUE_WARP; l++)
        if (mask >> l & 1)
            to[l] = compute(a[l], b[l], c[l]);
}

IN_LINE uint64_t from_f32(float f)
{
    return f != f ? CUE_F32_NAN : cue_from_f32(f);
}

IN_LINE uint64_t add_32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)(a + b);
}
IN_LINE uint64_t add_64(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return a + b;
}
IN_LINE uint64_t sub_32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)(a - b);
}
IN_LINE uint64_t mad_32(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint32_t)((uint32_t)a * (uint32_t)b + (uint32_t)c);
}
IN_LINE uint64_t mad_64(uint64_t a, uint64_t b, uint64_t c)
{
    return a * b + c;
}
IN_LINE uint64_t mad_wide_s32(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((int64_t)(int32_t)a * (int32_t)b) + c;
}
IN_LINE uint64_t mad_wide_u32(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)(uint32_t)a * (uint32_t)b + c;
}
IN_LINE uint64_t and_32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)(a & b);
}
IN_LINE uint64_t or_32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)(a | b);
}
IN_LINE uint64_t shl_32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)b > 31 ? 0 : (uint32_t)((uint32_t)a << (b & 31));
}
IN_LINE uint64_t shl_64(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)b > 63 ? 0 : a << (b & 63);
}
IN_LINE uint64_t shr_u32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)b > 31 ? 0 : (uint32_t)a >> (b & 31);
}
IN_LINE uint64_t shr_s32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return (uint32_t)((int32_t)a >> ((uint32_t)b > 31 ? 31 : b));
}
IN_LINE uint64_t add_f32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return from_f32(cue_to_f32(a) + cue_to_f32(b));
}
IN_LINE uint64_t sub_f32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return from_f32(cue_to_f32(a) - cue_to_f32(b));
}
IN_LINE uint64_t mul_f32(uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return from_f32(cue_to_f32(a) * cue_to_f32(b));
}
IN_LINE uint64_t fma_f32(uint64_t a, uint64_t b, uint64_t c)
{
    return from_f32(fmaf(cue_to_f32(a), cue_to_f32(b), cue_to_f32(c)));
}

static void run_add_32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, add_32);
}
static void run_add_64(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, add_64);
}
static void run_sub_32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, sub_32);
}
static void run_mad_32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, mad_32);
}
static void run_mad_64(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, mad_64);
}
static void run_mad_wide_s32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, mad_wide_s32);
}
static void run_mad_wide_u32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, mad_wide_u32);
}
static void run_and_32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, and_32);
}
static void run_or_32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, or_32);
}
static void run_shl_32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, shl_32);
}
static void run_shl_64(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, shl_64);
}
static void run_shr_u32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, shr_u32);
}
static void run_shr_s32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, shr_s32);
}
static void run_add_f32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, add_f32);
}
static void run_sub_f32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, sub_f32);
}
static void run_mul_f32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, mul_f32);
}
FOR_EACH_PROCESSOR
static void run_fma_f32(cue_warp *w, const cue_insn *i, uint32_t mask)
{
    each_lane(w, i, mask, fma_f32);
}

#define I32 (CUE_TYPE_BIT(CUE_U32) | CUE_TYPE_BIT(CUE_S32))
#define I64 (CUE_TYPE_BIT(CUE_U64) | CUE_TYPE_BIT(CUE_S64))
#define F32 CUE_TYPE_BIT(CUE_F32)

static const struct {
    const char *name;
    uint32_t types;
    cue_handler *run;
} hot[] = {
    {"add", I32, run_add_32},
    {"add", I64, run_add_64},
    {"sub", I32, run_sub_32},
    {"mul.lo", I32, run_mad_32},
    {"mad.lo", I32, run_mad_32},
    {"mul.lo", I64, run_mad_64},
    {"mad.lo", I64, run_mad_64},
    {"mul.wide", CUE_TYPE_BIT(CUE_S32), run_mad_wide_s32},
    {"mad.wide", CUE_TYPE_BIT(CUE_S32), run_mad_wide_s32},
    {"mul.wide", CUE_TYPE_BIT(CUE_U32), run_mad_wide_u32},
    {"mad.wide", CUE_TYPE_BIT(CUE_U32), run_mad_wide_u32},
    {"and", CUE_TYPE_BIT(CUE_B32), run_and_32},
    {"or", CUE_TYPE_BIT(CUE_B32), run_or_32},
    {"shl", CUE_TYPE_BIT(CUE_B32), run_shl_32},
    {"shl", CUE_TYPE_BIT(CUE_B64), run_shl_64},
    {"shr", CUE_TYPE_BIT(CUE_U32) | CUE_TYPE_BIT(CUE_B32), run_shr_u32},
    {"shr", CUE_TYPE_BIT(CUE_S32), run_shr_s32},
    {"add", F32, run_add_f32},
    {"sub", F32, run_sub_f32},
    {"mul", F32, run_mul_f32},
    {"fma", F32, run_fma_f32},
};

cue_handler *cue_hot_handler(const char *name, cue_type type)
{
    for (size_t i = 0; i < sizeof hot / sizeof hot[0]; i++)
        if ((hot[i].types & CUE_TYPE_BIT(type)) != 0 && strcmp(hot[i].name, name) == 0)
            return hot[i].run;
    return NULL;
}

/* ---------------------------------------------------------------- comparisons */
IN_LINE uint32_t bit_of(uint8_t accepts, bool less, bool equal, bool greater)
{
    uint32_t relation = (uint32_t)less | (uint32_t)equal << 1 | (uint32_t)greater << 2;
    relation |= (uint32_t)(relation == 0) << 3;
    return (relation & accepts) != 0;
}

uint32_t cue_compare_s32(const uint64_t *a, const uint64_t *b, uint8_t accepts)
{
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        int32_t x = (int32_t)a[l], y = (int32_t)b[l];
        result |= bit_of(accepts, x<y, x == y, x> y) << l;
    }
    return result;
}

uint32_t cue_compare_u32(const uint64_t *a, const uint64_t *b, uint8_t accepts)
{
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        uint32_t x = (uint32_t)a[l], y = (uint32_t)b[l];
        result |= bit_of(accepts, x<y, x == y, x> y) << l;
    }
    return result;
}

uint32_t cue_compare_s64(const uint64_t *a, const uint64_t *b, uint8_t accepts)
{
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        result |= bit_of(accepts, (int64_t)a[l]<(int64_t)b[l], a[l] == b[l], (int64_t)a[l]>(int64_t) b[l]) << l;
    return result;
}

uint32_t cue_compare_u64(const uint64_t *a, const uint64_t *b, uint8_t accepts)
{
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++)
        result |= bit_of(accepts, a[l]<b[l], a[l] == b[l], a[l]> b[l]) << l;
    return result;
}

uint32_t cue_compare_f32(const uint64_t *a, const uint64_t *b, uint8_t accepts)
{
    uint32_t result = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        float x = cue_to_f32(a[l]), y = cue_to_f32(b[l]);
        result |= bit_of(accepts, x<y, x == y, x> y) << l;
    }
    return result;
}
