/* rows.h: the instruction table: arithmetic that works on one lane at a time. A row names the instruction without its
 * type and rounding words ("mul.hi"), the types that it has, and what the words may be. Everything that is not here is
 * decoded in select_*.c. */
#ifndef CUE_ROWS_H
#define CUE_ROWS_H

#include "device/ptx.h"

#define CUE_TYPE_BIT(type) (1u << (type))
#define CUE_TYPES_16_64                                                                                                \
    (CUE_TYPE_BIT(CUE_U16) | CUE_TYPE_BIT(CUE_U32) | CUE_TYPE_BIT(CUE_U64) | CUE_TYPE_BIT(CUE_S16) |                   \
     CUE_TYPE_BIT(CUE_S32) | CUE_TYPE_BIT(CUE_S64))
#define CUE_TYPES_B (CUE_TYPE_BIT(CUE_B16) | CUE_TYPE_BIT(CUE_B32) | CUE_TYPE_BIT(CUE_B64))
#define CUE_TYPES_32 (CUE_TYPE_BIT(CUE_U32) | CUE_TYPE_BIT(CUE_S32))
#define CUE_TYPES_HALF                                                                                                 \
    (CUE_TYPE_BIT(CUE_F16) | CUE_TYPE_BIT(CUE_F16X2) | CUE_TYPE_BIT(CUE_BF16) | CUE_TYPE_BIT(CUE_BF16X2))

typedef enum cue_family {
    CUE_FAMILY_RAW,     /* bits in, bits out */
    CUE_FAMILY_INTEGER, /* operands extended from the type to 64 bits, d = bits of the type, result cut to the type */
    CUE_FAMILY_SHIFT,   /* as integer, but only the first operand has the type; the others are 32-bit numbers */
    CUE_FAMILY_WIDE,    /* the first two operands have the type, the third and the result have twice its bits */
    CUE_FAMILY_COUNT_BITS, /* operand has the type, the result 32 bits */
    CUE_FAMILY_F32,
    CUE_FAMILY_F64,
    CUE_FAMILY_HALF, /* f16, bf16 and packed: computed in double, rounded once */
} cue_family;

enum { CUE_ALLOW_ROUNDING = 1, CUE_ALLOW_FTZ = 2, CUE_ALLOW_SAT = 4, CUE_ALLOW_RELU = 8, CUE_NEEDS_ROUNDING = 16 };

typedef float cue_f32_fn(float a, float b, float c);
typedef double cue_f64_fn(double a, double b, double c);

typedef union cue_compute {
    cue_lane_fn *raw;
    cue_f32_fn *f32;
    cue_f64_fn *f64;
} cue_compute;

typedef struct cue_row {
    const char *name;
    uint32_t types;
    uint8_t family, class, sources, allows;
    cue_compute compute;
} cue_row;

typedef struct cue_row_table {
    const cue_row *rows;
    size_t count;
} cue_row_table;

cue_row_table cue_rows_integer(void);
cue_row_table cue_rows_float(void);
cue_row_table cue_rows_half(void);

/* cue_find_row: NULL where there is none. For tests also: all tables, one after another; NULL ends. */
const cue_row *cue_find_row(const char *name, cue_type type);
const cue_row *cue_row_at(size_t index);

/* What the float files share. */
static inline float cue_to_f32(uint64_t bits)
{
    union {
        uint32_t u;
        float f;
    } v = {.u = (uint32_t)bits};
    return v.f;
}
static inline uint64_t cue_from_f32(float f)
{
    union {
        float f;
        uint32_t u;
    } v = {.f = f};
    return v.u;
}
static inline double cue_to_f64(uint64_t bits)
{
    union {
        uint64_t u;
        double f;
    } v = {.u = bits};
    return v.f;
}
static inline uint64_t cue_from_f64(double f)
{
    union {
        double f;
        uint64_t u;
    } v = {.f = f};
    return v.u;
}
#define CUE_F32_NAN 0x7fffffffu /* every NaN that an f32 instruction makes */
#define CUE_HALF_NAN 0x7fffu    /* the same of f16 and bf16 */

static inline float cue_flush(float f)
{
    uint32_t bits = (uint32_t)cue_from_f32(f);
    return (bits & 0x7f800000u) == 0 ? cue_to_f32(bits & 0x80000000u) : f;
}

/* cue_half_to_double, cue_half_from_double: f16 or bf16 bits; from double with one rounding, overflow as the mode says.
 */
double cue_half_to_double(uint32_t bits, bool bf16);
uint32_t cue_half_from_double(double value, bool bf16, cue_rounding rounding);
/* cue_sum_to_odd: x + y in double, rounded to odd where not exact, so that a second rounding to at most 24 bits is
 * right. */
double cue_sum_to_odd(double x, double y);

float cue_min_f32(float a, float b);
float cue_max_f32(float a, float b);
double cue_min_f64(double a, double b);
double cue_max_f64(double a, double b);

/* cue_set_rounding: the processor's mode for the arithmetic that follows; CUE_RN restores. */
void cue_set_rounding(cue_rounding rounding);

static inline uint64_t cue_extend(uint64_t value, uint32_t bits, bool is_signed)
{
    uint32_t up = 64 - bits;
    return is_signed ? (uint64_t)((int64_t)(value << up) >> up) : value << up >> up;
}

#endif
