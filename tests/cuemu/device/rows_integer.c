/* rows_integer.c: integer arithmetic, bit fields, shifts. Operands arrive extended to 64 bits; d is the width. */
#include "device/rows.h"

typedef __int128 wide_signed;
typedef unsigned __int128 wide_unsigned;

static uint64_t add(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return a + b;
}

static uint64_t sub(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return a - b;
}

static uint64_t saturate(int64_t value)
{
    return (uint64_t)(value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value);
}

static uint64_t add_sat(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return saturate((int64_t)a + (int64_t)b);
}

static uint64_t sub_sat(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return saturate((int64_t)a - (int64_t)b);
}

/* multiply_add: c is zero where the instruction has no third operand. */
static uint64_t multiply_add(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return a * b + c;
}

static uint64_t high_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return (uint64_t)(((wide_signed)(int64_t)a * (int64_t)b) >> d) + c;
}

static uint64_t high_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return (uint64_t)(((wide_unsigned)a * b) >> d) + c;
}

static uint64_t high_signed_sat(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return saturate((((int64_t)a * (int64_t)b) >> d) + (int64_t)c);
}

/* mul24: the lowest 24 bits of each operand give 48 bits; lo takes 0..31, hi takes 16..47. */
static uint64_t multiply_add_24_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return cue_extend(a, 24, true) * cue_extend(b, 24, true) + c;
}

static uint64_t multiply_add_24_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return cue_extend(a, 24, false) * cue_extend(b, 24, false) + c;
}

static uint64_t high_24_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return (uint64_t)((int64_t)(cue_extend(a, 24, true) * cue_extend(b, 24, true)) >> 16) + c;
}

static uint64_t high_24_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return (cue_extend(a, 24, false) * cue_extend(b, 24, false) >> 16) + c;
}

/* Division by zero is unspecified in PTX; cards give all ones, and the dividend as remainder. */
static uint64_t divide_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    if (b == 0)
        return UINT64_MAX;
    return b == UINT64_MAX ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b);
}

static uint64_t divide_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return b == 0 ? UINT64_MAX : a / b;
}

static uint64_t remainder_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    if (b == 0)
        return a;
    return b == UINT64_MAX ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
}

static uint64_t remainder_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return b == 0 ? a : a % b;
}

static uint64_t min_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return (int64_t)a < (int64_t)b ? a : b;
}

static uint64_t min_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return a < b ? a : b;
}

static uint64_t max_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return (int64_t)a > (int64_t)b ? a : b;
}

static uint64_t max_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return a > b ? a : b;
}

static uint64_t relu(uint64_t value)
{
    return (int64_t)value < 0 ? 0 : value;
}

static uint64_t min_relu(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return relu(min_signed(a, b, c, d));
}

static uint64_t max_relu(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return relu(max_signed(a, b, c, d));
}

/* Packed halves: two numbers of 16 bits in 32, each on its own. */
static uint64_t packed(uint64_t a, uint64_t b, cue_lane_fn *each, bool is_signed)
{
    uint64_t low = each(cue_extend(a, 16, is_signed), cue_extend(b, 16, is_signed), 0, 16);
    uint64_t high = each(cue_extend(a >> 16, 16, is_signed), cue_extend(b >> 16, 16, is_signed), 0, 16);
    return (high & 0xffff) << 16 | (low & 0xffff);
}

static uint64_t add_x2(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return packed(a, b, add, false);
}

static uint64_t min_s16x2(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return packed(a, b, min_signed, true);
}

static uint64_t min_u16x2(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return packed(a, b, min_unsigned, false);
}

static uint64_t max_s16x2(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return packed(a, b, max_signed, true);
}

static uint64_t max_u16x2(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return packed(a, b, max_unsigned, false);
}

static uint64_t negate(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return 0 - a;
}

static uint64_t absolute(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return (int64_t)a < 0 ? 0 - a : a;
}

static uint64_t sad_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return c + ((int64_t)a < (int64_t)b ? b - a : a - b);
}

static uint64_t sad_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return c + (a < b ? b - a : a - b);
}

static uint64_t bit_and(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return a & b;
}

static uint64_t bit_or(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return a | b;
}

static uint64_t bit_xor(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    return a ^ b;
}

static uint64_t bit_not(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return ~a;
}

static uint64_t logical_not(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return a == 0;
}

/* lop3: bit i of the table d is the result where the bits of a, b, c spell i. */
static uint64_t lop3(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < 8; i++)
        if (d >> i & 1)
            result |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    return result & UINT32_MAX;
}

static uint64_t shift_left(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c;
    return (uint32_t)b >= d ? 0 : a << (uint32_t)b;
}

static uint64_t shift_right_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c;
    return (uint32_t)b >= d ? 0 : a >> (uint32_t)b;
}

static uint64_t shift_right_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c;
    uint64_t n = (uint32_t)b >= d ? d - 1 : (uint32_t)b;
    return (uint64_t)((int64_t)a >> n);
}

/* shf: [b:a] as 64 bits; left takes the high word, right the low one; wrap takes the amount modulo 32, clamp at
 * most 32. */
static uint64_t funnel(uint64_t a, uint64_t b)
{
    return b << 32 | (a & UINT32_MAX);
}

static uint64_t clamped(uint64_t c)
{
    return (uint32_t)c > 32 ? 32 : (uint32_t)c;
}

static uint64_t shf_left_wrap(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return funnel(a, b) << (c & 31) >> 32;
}

static uint64_t shf_left_clamp(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return funnel(a, b) << clamped(c) >> 32;
}

static uint64_t shf_right_wrap(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return funnel(a, b) >> (c & 31) & UINT32_MAX;
}

static uint64_t shf_right_clamp(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return funnel(a, b) >> clamped(c) & UINT32_MAX;
}

/* bfe: c bits from position b, both taken modulo 256; bits past the width are copies of the sign, or zero. */
static uint64_t bfe_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t position = b & 255, length = c & 255;
    (void)d;
    if (length == 0 || position >= 64)
        return 0;
    return a >> position & (length >= 64 ? UINT64_MAX : ((uint64_t)1 << length) - 1);
}

static uint64_t bfe_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t position = b & 255, length = c & 255;
    (void)d;
    if (length == 0)
        return 0;
    uint64_t value = (uint64_t)((int64_t)a >> (position > 63 ? 63 : position));
    return length >= 64 ? value : cue_extend(value, (uint32_t)length, true);
}

/* bfi: d bits of a go into b at position c. */
static uint64_t bfi64(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t position = c & 255, length = d & 255;
    if (position >= 64)
        return b;
    uint64_t mask = (length >= 64 ? UINT64_MAX : ((uint64_t)1 << length) - 1) << position;
    return (b & ~mask) | (a << position & mask);
}

static uint64_t bfi32(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return bfi64(a, b, c, d) & UINT32_MAX;
}

static uint64_t population(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return (uint64_t)__builtin_popcountll(a);
}

static uint64_t leading_zeros(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c;
    return a == 0 ? d : (uint64_t)__builtin_clzll(a) - (64 - d);
}

/* bfind: position of the highest bit that differs from the sign; none: all ones. */
static uint64_t find_high(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    uint64_t bits = (int64_t)a < 0 ? ~a : a;
    return bits == 0 ? UINT32_MAX : 63 - (uint64_t)__builtin_clzll(bits);
}

static uint64_t find_high_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c, (void)d;
    return a == 0 ? UINT32_MAX : 63 - (uint64_t)__builtin_clzll(a);
}

static uint64_t find_shift(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t high = find_high(a, b, c, d);
    return high == UINT32_MAX ? high : d - 1 - high;
}

static uint64_t find_shift_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t high = find_high_unsigned(a, b, c, d);
    return high == UINT32_MAX ? high : d - 1 - high;
}

static uint64_t reverse(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)b, (void)c;
    uint64_t result = 0;
    for (uint64_t i = 0; i < d; i++)
        result |= (a >> i & 1) << (d - 1 - i);
    return result;
}

/* prmt: four bytes chosen from [b:a]; bit 3 of a choice copies the byte's sign instead. */
static uint64_t permute(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    uint64_t source = funnel(a, b), result = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t choice = c >> (4 * i);
        uint64_t byte = source >> (8 * (choice & 7)) & 0xff;
        if (choice & 8)
            byte = byte & 0x80 ? 0xff : 0;
        result |= byte << (8 * i);
    }
    return result;
}

static uint64_t permute_choices(uint64_t a, uint64_t b, const uint8_t choices[4])
{
    uint64_t source = funnel(a, b), result = 0;
    for (unsigned i = 0; i < 4; i++)
        result |= (source >> (8 * choices[i]) & 0xff) << (8 * i);
    return result;
}

static uint64_t permute_f4e(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    uint8_t n = c & 3;
    return permute_choices(a, b, (uint8_t[]){n, n + 1, n + 2, n + 3});
}

static uint64_t permute_b4e(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    uint8_t n = c & 3;
    return permute_choices(a, b, (uint8_t[]){n, (n + 7) & 7, (n + 6) & 7, (n + 5) & 7});
}

static uint64_t permute_rc8(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    uint8_t n = c & 3;
    return permute_choices(a, b, (uint8_t[]){n, n, n, n});
}

static uint64_t permute_rc16(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    uint8_t n = (uint8_t)(2 * (c & 1));
    return permute_choices(a, b, (uint8_t[]){n, n + 1, n, n + 1});
}

static uint64_t bmsk_clamp(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)c, (void)d;
    uint64_t position = (uint32_t)a, length = (uint32_t)b > 32 ? 32 : (uint32_t)b;
    return position >= 32 ? 0 : (((uint64_t)1 << length) - 1) << position & UINT32_MAX;
}

static uint64_t bmsk_wrap(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return bmsk_clamp(a & 31, b & 31, c, d);
}

/* dp4a: four products of bytes, added to c. The first type is that of a, the second that of b; here both are the same.
 */
static uint64_t dot4(uint64_t a, uint64_t b, uint64_t c, bool a_signed, bool b_signed)
{
    for (unsigned i = 0; i < 4; i++)
        c += cue_extend(a >> (8 * i), 8, a_signed) * cue_extend(b >> (8 * i), 8, b_signed);
    return c & UINT32_MAX;
}

static uint64_t dp4a_signed(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return dot4(a, b, c, true, true);
}

static uint64_t dp4a_unsigned(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    (void)d;
    return dot4(a, b, c, false, false);
}

#define BIT CUE_TYPE_BIT
#define SIGNED (BIT(CUE_S16) | BIT(CUE_S32) | BIT(CUE_S64))
#define UNSIGNED (BIT(CUE_U16) | BIT(CUE_U32) | BIT(CUE_U64))
#define INT(name, types, sources, function)                                                                            \
    {                                                                                                                  \
        name, types, CUE_FAMILY_INTEGER, CUE_CLASS_INTEGER, sources, 0,                                                \
        {                                                                                                              \
            function                                                                                                   \
        }                                                                                                              \
    }
#define OF(family, name, types, sources, function)                                                                     \
    {                                                                                                                  \
        name, types, family, CUE_CLASS_INTEGER, sources, 0,                                                            \
        {                                                                                                              \
            function                                                                                                   \
        }                                                                                                              \
    }

static const cue_row rows[] = {
    INT("add", CUE_TYPES_16_64, 2, add),
    INT("sub", CUE_TYPES_16_64, 2, sub),
    INT("add.sat", BIT(CUE_S32), 2, add_sat),
    INT("sub.sat", BIT(CUE_S32), 2, sub_sat),
    INT("mul.lo", CUE_TYPES_16_64, 2, multiply_add),
    INT("mad.lo", CUE_TYPES_16_64, 3, multiply_add),
    INT("mul.hi", SIGNED, 2, high_signed),
    INT("mul.hi", UNSIGNED, 2, high_unsigned),
    INT("mad.hi", SIGNED, 3, high_signed),
    INT("mad.hi", UNSIGNED, 3, high_unsigned),
    INT("mad.hi.sat", BIT(CUE_S32), 3, high_signed_sat),
    INT("mul24.lo", BIT(CUE_S32), 2, multiply_add_24_signed),
    INT("mul24.lo", BIT(CUE_U32), 2, multiply_add_24_unsigned),
    INT("mul24.hi", BIT(CUE_S32), 2, high_24_signed),
    INT("mul24.hi", BIT(CUE_U32), 2, high_24_unsigned),
    INT("mad24.lo", BIT(CUE_S32), 3, multiply_add_24_signed),
    INT("mad24.lo", BIT(CUE_U32), 3, multiply_add_24_unsigned),
    INT("div", SIGNED, 2, divide_signed),
    INT("div", UNSIGNED, 2, divide_unsigned),
    INT("rem", SIGNED, 2, remainder_signed),
    INT("rem", UNSIGNED, 2, remainder_unsigned),
    INT("min", SIGNED, 2, min_signed),
    INT("min", UNSIGNED, 2, min_unsigned),
    INT("max", SIGNED, 2, max_signed),
    INT("max", UNSIGNED, 2, max_unsigned),
    INT("min.relu", BIT(CUE_S32), 2, min_relu),
    INT("max.relu", BIT(CUE_S32), 2, max_relu),
    INT("neg", SIGNED, 1, negate),
    INT("abs", SIGNED, 1, absolute),
    INT("sad", SIGNED, 3, sad_signed),
    INT("sad", UNSIGNED, 3, sad_unsigned),
    INT("and", CUE_TYPES_B, 2, bit_and),
    INT("or", CUE_TYPES_B, 2, bit_or),
    INT("xor", CUE_TYPES_B, 2, bit_xor),
    INT("not", CUE_TYPES_B, 1, bit_not),
    INT("cnot", CUE_TYPES_B, 1, logical_not),
    INT("brev", BIT(CUE_B32) | BIT(CUE_B64), 1, reverse),
    OF(CUE_FAMILY_WIDE, "mul.wide", BIT(CUE_S16) | BIT(CUE_S32) | BIT(CUE_U16) | BIT(CUE_U32), 2, multiply_add),
    OF(CUE_FAMILY_WIDE, "mad.wide", BIT(CUE_S16) | BIT(CUE_S32) | BIT(CUE_U16) | BIT(CUE_U32), 3, multiply_add),
    OF(CUE_FAMILY_SHIFT, "shl", CUE_TYPES_B, 2, shift_left),
    OF(CUE_FAMILY_SHIFT, "shr", CUE_TYPES_B | UNSIGNED, 2, shift_right_unsigned),
    OF(CUE_FAMILY_SHIFT, "shr", SIGNED, 2, shift_right_signed),
    OF(CUE_FAMILY_SHIFT, "bfe", BIT(CUE_U32) | BIT(CUE_U64), 3, bfe_unsigned),
    OF(CUE_FAMILY_SHIFT, "bfe", BIT(CUE_S32) | BIT(CUE_S64), 3, bfe_signed),
    OF(CUE_FAMILY_RAW, "bfi", BIT(CUE_B32), 4, bfi32),
    OF(CUE_FAMILY_RAW, "bfi", BIT(CUE_B64), 4, bfi64),
    OF(CUE_FAMILY_COUNT_BITS, "popc", BIT(CUE_B32) | BIT(CUE_B64), 1, population),
    OF(CUE_FAMILY_COUNT_BITS, "clz", BIT(CUE_B32) | BIT(CUE_B64), 1, leading_zeros),
    OF(CUE_FAMILY_COUNT_BITS, "bfind", BIT(CUE_S32) | BIT(CUE_S64), 1, find_high),
    OF(CUE_FAMILY_COUNT_BITS, "bfind", BIT(CUE_U32) | BIT(CUE_U64), 1, find_high_unsigned),
    OF(CUE_FAMILY_COUNT_BITS, "bfind.shiftamt", BIT(CUE_S32) | BIT(CUE_S64), 1, find_shift),
    OF(CUE_FAMILY_COUNT_BITS, "bfind.shiftamt", BIT(CUE_U32) | BIT(CUE_U64), 1, find_shift_unsigned),
    OF(CUE_FAMILY_RAW, "lop3", BIT(CUE_B32), 4, lop3),
    OF(CUE_FAMILY_RAW, "shf.l.wrap", BIT(CUE_B32), 3, shf_left_wrap),
    OF(CUE_FAMILY_RAW, "shf.l.clamp", BIT(CUE_B32), 3, shf_left_clamp),
    OF(CUE_FAMILY_RAW, "shf.r.wrap", BIT(CUE_B32), 3, shf_right_wrap),
    OF(CUE_FAMILY_RAW, "shf.r.clamp", BIT(CUE_B32), 3, shf_right_clamp),
    OF(CUE_FAMILY_RAW, "prmt", BIT(CUE_B32), 3, permute),
    OF(CUE_FAMILY_RAW, "prmt.f4e", BIT(CUE_B32), 3, permute_f4e),
    OF(CUE_FAMILY_RAW, "prmt.b4e", BIT(CUE_B32), 3, permute_b4e),
    OF(CUE_FAMILY_RAW, "prmt.rc8", BIT(CUE_B32), 3, permute_rc8),
    OF(CUE_FAMILY_RAW, "prmt.rc16", BIT(CUE_B32), 3, permute_rc16),
    OF(CUE_FAMILY_RAW, "bmsk.clamp", BIT(CUE_B32), 2, bmsk_clamp),
    OF(CUE_FAMILY_RAW, "bmsk.wrap", BIT(CUE_B32), 2, bmsk_wrap),
    OF(CUE_FAMILY_RAW, "dp4a", BIT(CUE_S32), 3, dp4a_signed),
    OF(CUE_FAMILY_RAW, "dp4a", BIT(CUE_U32), 3, dp4a_unsigned),
    OF(CUE_FAMILY_RAW, "add.x2", BIT(CUE_U16) | BIT(CUE_S16), 2, add_x2),
    OF(CUE_FAMILY_RAW, "min.x2", BIT(CUE_S16), 2, min_s16x2),
    OF(CUE_FAMILY_RAW, "min.x2", BIT(CUE_U16), 2, min_u16x2),
    OF(CUE_FAMILY_RAW, "max.x2", BIT(CUE_S16), 2, max_s16x2),
    OF(CUE_FAMILY_RAW, "max.x2", BIT(CUE_U16), 2, max_u16x2),
};

cue_row_table cue_rows_integer(void)
{
    return (cue_row_table){rows, sizeof rows / sizeof rows[0]};
}
