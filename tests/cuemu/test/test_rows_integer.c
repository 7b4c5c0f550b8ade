/* test_rows_integer.c: every row of the table of integer instructions, for every type, against formulas in 128 bits. A
 * row that has no formula here fails the test. */
#include "device/rows.h"
#include "values.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef __int128 big;

/* Operands as the numbers they mean, with the width they were read at. */
typedef struct sums {
    const char *name;
    int bits;
    bool is_signed;
    big a, b, c;             /* of the type */
    uint64_t ra, rb, rc, rd; /* as given */
} sums;

static big number(uint64_t raw, int bits, bool is_signed)
{
    big modulus = (big)1 << bits, value = (big)raw & (modulus - 1);
    return is_signed && value >= modulus / 2 ? value - modulus : value;
}

static bool is(const sums *s, const char *name)
{
    return strcmp(s->name, name) == 0;
}

static big clamp_s32(big value)
{
    big low = -((big)1 << 31), high = ((big)1 << 31) - 1;
    return value < low ? low : value > high ? high : value;
}

/* floor_shift: value / 2^n, rounded down. */
static big floor_shift(big value, int n)
{
    return value >= 0 ? value >> n : -((-value + ((big)1 << n) - 1) >> n);
}

static big times(const sums *s) /* a * b of unsigned 64-bit numbers does not fit: see high */
{
    return s->a * s->b;
}

static big high(const sums *s)
{
    if (s->bits < 64 || s->is_signed)
        return floor_shift(times(s), s->bits);
    /* schoolbook, in halves of 32 bits */
    big a0 = s->a & UINT32_MAX, a1 = s->a >> 32, b0 = s->b & UINT32_MAX, b1 = s->b >> 32;
    big middle = a1 * b0 + (a0 * b0 >> 32);
    return a1 * b1 + (middle >> 32) + (((middle & UINT32_MAX) + a0 * b1) >> 32);
}

static bool arithmetic(const sums *s, big *out)
{
    if (is(s, "add"))
        *out = s->a + s->b;
    else if (is(s, "sub"))
        *out = s->a - s->b;
    else if (is(s, "add.sat"))
        *out = clamp_s32(s->a + s->b);
    else if (is(s, "sub.sat"))
        *out = clamp_s32(s->a - s->b);
    else if (is(s, "mul.lo"))
        *out = (big)((uint64_t)s->a * (uint64_t)s->b);
    else if (is(s, "mad.lo"))
        *out = (big)((uint64_t)s->a * (uint64_t)s->b + (uint64_t)s->c);
    else if (is(s, "mul.hi"))
        *out = high(s);
    else if (is(s, "mad.hi"))
        *out = high(s) + s->c;
    else if (is(s, "mad.hi.sat"))
        *out = clamp_s32(high(s) + s->c);
    else if (is(s, "mul.wide"))
        *out = times(s);
    else if (is(s, "mad.wide"))
        *out = times(s) + number(s->rc, 2 * s->bits, s->is_signed);
    else if (is(s, "div"))
        *out = s->b == 0 ? -1 : s->a / s->b;
    else if (is(s, "rem"))
        *out = s->b == 0 ? s->a : s->a % s->b;
    else if (is(s, "neg"))
        *out = -s->a;
    else if (is(s, "abs"))
        *out = s->a < 0 ? -s->a : s->a;
    else if (is(s, "sad"))
        *out = s->c + (s->a > s->b ? s->a - s->b : s->b - s->a);
    else
        return false;
    return true;
}

static bool minima(const sums *s, big *out)
{
    big low = s->a < s->b ? s->a : s->b, top = s->a < s->b ? s->b : s->a;
    if (is(s, "min"))
        *out = low;
    else if (is(s, "max"))
        *out = top;
    else if (is(s, "min.relu"))
        *out = low < 0 ? 0 : low;
    else if (is(s, "max.relu"))
        *out = top < 0 ? 0 : top;
    else
        return false;
    return true;
}

static bool in_24_bits(const sums *s, big *out)
{
    big product = number(s->ra, 24, s->is_signed) * number(s->rb, 24, s->is_signed);
    if (is(s, "mul24.lo"))
        *out = product;
    else if (is(s, "mad24.lo"))
        *out = product + s->c;
    else if (is(s, "mul24.hi"))
        *out = floor_shift(product, 16);
    else
        return false;
    return true;
}

static int bit(uint64_t value, int i)
{
    return i >= 0 && i < 64 ? (int)(value >> i & 1) : 0;
}

/* per_bit: bit i of the result from bit i of the operands. */
static bool per_bit(const sums *s, big *out)
{
    uint64_t result = 0;
    for (int i = 0; i < s->bits; i++) {
        int a = bit(s->ra, i), b = bit(s->rb, i), c = bit(s->rc, i), r;
        if (is(s, "and"))
            r = a + b == 2;
        else if (is(s, "or"))
            r = a + b >= 1;
        else if (is(s, "xor"))
            r = a + b == 1;
        else if (is(s, "not"))
            r = 1 - a;
        else if (is(s, "lop3"))
            r = bit(s->rd, 4 * a + 2 * b + c);
        else if (is(s, "brev"))
            r = bit(s->ra, s->bits - 1 - i);
        else
            return false;
        result |= (uint64_t)r << i;
    }
    *out = (big)result;
    return true;
}

static int sign_of_type(const sums *s)
{
    return s->is_signed ? bit(s->ra, s->bits - 1) : 0;
}

static bool fields(const sums *s, big *out)
{
    uint64_t result = 0;
    int position = (int)(s->rb & 255), length = (int)(s->rc & 255), to = (int)(s->rc & 255), count = (int)(s->rd & 255);
    for (int i = 0; i < s->bits; i++) {
        int r;
        if (is(s, "bfe")) /* as the manual's loop: past the end the sign, of the field or of the number */
            r = i < length && position + i < s->bits ? bit(s->ra, position + i)
                : length == 0 || !s->is_signed       ? 0
                : position + length - 1 < s->bits    ? bit(s->ra, position + length - 1)
                                                     : sign_of_type(s);
        else if (is(s, "bfi"))
            r = i >= to && i < to + count ? bit(s->ra, i - to) : bit(s->rb, i);
        else if (is(s, "shl"))
            r = (uint32_t)s->rb <= (uint32_t)i ? bit(s->ra, i - (int)(uint32_t)s->rb) : 0;
        else if (is(s, "shr"))
            r = (uint32_t)s->rb < (uint32_t)(s->bits - i) ? bit(s->ra, i + (int)(uint32_t)s->rb) : sign_of_type(s);
        else if (is(s, "bmsk.clamp"))
            r = (uint64_t)i >= (uint32_t)s->ra && (uint64_t)i < (uint64_t)(uint32_t)s->ra + (uint32_t)s->rb;
        else if (is(s, "bmsk.wrap"))
            r = i >= (int)(s->ra & 31) && i < (int)(s->ra & 31) + (int)(s->rb & 31);
        else
            return false;
        result |= (uint64_t)r << i;
    }
    *out = (big)result;
    return true;
}

static bool counts(const sums *s, big *out)
{
    int ones = 0, highest = -1, differs = -1;
    for (int i = 0; i < s->bits; i++) {
        ones += bit(s->ra, i);
        if (bit(s->ra, i))
            highest = i;
        if (bit(s->ra, i) != sign_of_type(s))
            differs = i;
    }
    if (is(s, "popc"))
        *out = ones;
    else if (is(s, "clz"))
        *out = s->bits - 1 - highest;
    else if (is(s, "bfind"))
        *out = differs;
    else if (is(s, "bfind.shiftamt"))
        *out = differs < 0 ? -1 : s->bits - 1 - differs;
    else if (is(s, "cnot"))
        *out = highest < 0;
    else
        return false;
    return true;
}

static bool funnels(const sums *s, big *out)
{
    big both = ((big)(uint32_t)s->rb << 32) | (uint32_t)s->ra;
    uint32_t amount = (uint32_t)s->rc, wrapped = amount % 32, clamped = amount > 32 ? 32 : amount;
    if (is(s, "shf.l.wrap"))
        *out = both * ((big)1 << wrapped) / ((big)1 << 32);
    else if (is(s, "shf.l.clamp"))
        *out = both * ((big)1 << clamped) / ((big)1 << 32);
    else if (is(s, "shf.r.wrap"))
        *out = both / ((big)1 << wrapped);
    else if (is(s, "shf.r.clamp"))
        *out = both / ((big)1 << clamped);
    else
        return false;
    return true;
}

static uint64_t byte(const sums *s, uint64_t which)
{
    return (which < 4 ? s->ra >> (8 * which) : s->rb >> (8 * (which - 4))) & 255;
}

static bool bytes(const sums *s, big *out)
{
    uint64_t n = s->rc & 3, result = 0;
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t choice = s->rc >> (4 * i) & 15, value;
        if (is(s, "prmt"))
            value = choice < 8 ? byte(s, choice) : byte(s, choice - 8) >= 128 ? 255 : 0;
        else if (is(s, "prmt.f4e"))
            value = byte(s, n + i);
        else if (is(s, "prmt.b4e"))
            value = byte(s, (n + 8 - i) % 8);
        else if (is(s, "prmt.rc8"))
            value = byte(s, n);
        else if (is(s, "prmt.rc16"))
            value = byte(s, 2 * (n & 1) + (i & 1));
        else
            return false;
        result |= value << (8 * i);
    }
    *out = (big)result;
    return true;
}

static bool packed(const sums *s, big *out)
{
    if (is(s, "dp4a")) {
        *out = s->c;
        for (int i = 0; i < 4; i++)
            *out += number(s->ra >> (8 * i), 8, s->is_signed) * number(s->rb >> (8 * i), 8, s->is_signed);
        return true;
    }
    uint64_t result = 0;
    for (int i = 0; i < 2; i++) {
        big a = number(s->ra >> (16 * i), 16, s->is_signed), b = number(s->rb >> (16 * i), 16, s->is_signed), r;
        if (is(s, "add.x2"))
            r = a + b;
        else if (is(s, "min.x2"))
            r = a < b ? a : b;
        else if (is(s, "max.x2"))
            r = a < b ? b : a;
        else
            return false;
        result |= ((uint64_t)r & 0xffff) << (16 * i);
    }
    *out = (big)result;
    return true;
}

static const char *type_name(cue_type type)
{
    static const char *const names[] = {
        [CUE_U16] = "u16", [CUE_U32] = "u32", [CUE_U64] = "u64", [CUE_S16] = "s16", [CUE_S32] = "s32",
        [CUE_S64] = "s64", [CUE_B16] = "b16", [CUE_B32] = "b32", [CUE_B64] = "b64"};
    return names[type];
}

/* spell: "mul.hi" and s32: "mul.hi.s32"; some put words behind the type, or name it twice. */
static void spell(char *text, size_t room, const cue_row *row, cue_type type)
{
    const char *name = row->name, *t = type_name(type);
    if (strncmp(name, "prmt.", 5) == 0)
        snprintf(text, room, "prmt.%s.%s", t, name + 5);
    else if (strstr(name, ".x2") != NULL)
        snprintf(text, room, "%.3s.%sx2", name, t);
    else if (strcmp(name, "dp4a") == 0)
        snprintf(text, room, "dp4a.%s.%s", t, t);
    else
        snprintf(text, room, "%s.%s", name, t);
}

static int result_bits(const cue_row *row, cue_type type)
{
    int bits = 8 * (int)cue_type_bytes(type);
    if (strstr(row->name, ".x2") != NULL)
        return 32;
    return row->family == CUE_FAMILY_WIDE ? 2 * bits : row->family == CUE_FAMILY_COUNT_BITS ? 32 : bits;
}

static void check_row(const cue_row *row, cue_type type)
{
    enum { ROOM = 1800 };
    static test_case cases[ROOM];
    char opcode[60], body[200];
    static const char *const operands[] = {"%rd10", "%rd10, %rd11", "%rd10, %rd11, %rd12",
                                           "%rd10, %rd11, %rd12, %rd13"};
    bool lop3 = strcmp(row->name, "lop3") == 0, x2 = strstr(row->name, ".x2") != NULL;
    int bits = 8 * (int)cue_type_bytes(type), count = test_fill_integers(cases, ROOM, x2 ? 32 : bits);
    spell(opcode, sizeof opcode, row, type);
    unsigned table = (unsigned)test_random() & 255;
    if (lop3)
        snprintf(body, sizeof body, "%s %%rd20, %s, %u;", opcode, operands[2], table);
    else
        snprintf(body, sizeof body, "%s %%rd20, %s;", opcode, operands[row->sources - 1]);
    test_run_lanes(body, cases, count);
    for (int i = 0; i < count; i++) {
        const uint64_t *in = cases[i].in;
        bool is_signed = cue_type_signed(type);
        sums s = {row->name,
                  bits,
                  is_signed,
                  number(in[0], bits, is_signed),
                  number(in[1], bits, is_signed),
                  number(in[2], bits, is_signed),
                  in[0],
                  in[1],
                  in[2],
                  lop3 ? table : in[3]};
        big want = 0;
        bool known = arithmetic(&s, &want) || minima(&s, &want) || in_24_bits(&s, &want) || counts(&s, &want) ||
                     funnels(&s, &want) || bytes(&s, &want) || packed(&s, &want) || fields(&s, &want) ||
                     per_bit(&s, &want);
        cr_assert(known, "no expectation for %s", opcode);
        uint64_t mask = UINT64_MAX >> (64 - result_bits(row, type));
        cr_assert_eq(cases[i].out & mask, (uint64_t)want & mask, "%s a %llx b %llx c %llx d %llx: %llx, not %llx",
                     opcode, (unsigned long long)in[0], (unsigned long long)in[1], (unsigned long long)in[2],
                     (unsigned long long)s.rd, (unsigned long long)(cases[i].out & mask),
                     (unsigned long long)((uint64_t)want & mask));
    }
}

Test(rows, integer_instructions_match_formulas_in_128_bits)
{
    cue_row_table table = cue_rows_integer();
    int checked = 0;
    for (size_t i = 0; i < table.count; i++)
        for (int type = 0; type < CUE_TYPE_COUNT; type++)
            if (table.rows[i].types & CUE_TYPE_BIT(type)) {
                check_row(&table.rows[i], (cue_type)type);
                checked++;
            }
    cr_assert_gt(checked, 100);
}
