/* test_convert.c: cvt between all pairs of types with every rounding, ftz, sat and relu that PTX has for them, against
 * expect.c (to floats) and formulas in 128 bits (to integers). */
#include "values.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef __int128 big;

typedef struct kind {
    const char *name;
    bool is_float, is_signed;
    int bits;
    expect_format format;
} kind;

static const kind kinds[] = {
    {"u8", false, false, 8, 0},          {"u16", false, false, 16, 0},
    {"u32", false, false, 32, 0},        {"u64", false, false, 64, 0},
    {"s8", false, true, 8, 0},           {"s16", false, true, 16, 0},
    {"s32", false, true, 32, 0},         {"s64", false, true, 64, 0},
    {"f16", true, true, 16, EXPECT_F16}, {"bf16", true, true, 16, EXPECT_BF16},
    {"f32", true, true, 32, EXPECT_F32}, {"f64", true, true, 64, EXPECT_F64},
};
enum { KINDS = sizeof kinds / sizeof kinds[0], ROOM = 500 };

static const char *const roundings[] = {"rn", "rz", "rm", "rp"};

typedef struct conversion {
    const kind *to, *from;
    int rounding;  /* -1: none */
    bool integral; /* .rni and its kin */
    bool ftz, sat, relu;
} conversion;

static big integer_of(uint64_t raw, const kind *k)
{
    big modulus = (big)1 << k->bits, value = (big)raw & (modulus - 1);
    return k->is_signed && value >= modulus / 2 ? value - modulus : value;
}

static big clamp(big value, const kind *k)
{
    big low = k->is_signed ? -((big)1 << (k->bits - 1)) : 0;
    big high = k->is_signed ? ((big)1 << (k->bits - 1)) - 1 : ((big)1 << k->bits) - 1;
    return value < low ? low : value > high ? high : value;
}

/* integral: of a finite value below 2^100, exactly: floor and what is left decide. */
static big integral(exact value, int rounding)
{
    big floor = (big)value;
    if ((exact)floor > value)
        floor--;
    exact rest = value - (exact)floor;
    bool up = rounding == EXPECT_RN   ? rest > 0.5 || (rest == (exact)0.5 && (floor & 1))
              : rounding == EXPECT_RZ ? rest > 0 && value < 0
              : rounding == EXPECT_RM ? false
                                      : rest > 0;
    return floor + up;
}

static uint64_t flush_input(const conversion *c, uint64_t bits)
{
    bool flushes =
        c->ftz && c->from->is_float && c->from->format == EXPECT_F32 && expect_is_subnormal(bits, EXPECT_F32);
    return flushes ? bits & 0x80000000u : bits;
}

static uint64_t to_integer(const conversion *c, uint64_t raw)
{
    if (!c->from->is_float) {
        big value = integer_of(raw, c->from);
        return (uint64_t)(c->sat ? clamp(value, c->to) : value);
    }
    double value = expect_to_double(flush_input(c, raw), c->from->format);
    if (isnan(value))
        return 0;
    if (fabs(value) > 0x1p100)
        return (uint64_t)clamp(value > 0 ? (big)1 << 100 : -((big)1 << 100), c->to);
    return (uint64_t)clamp(integral(value, c->rounding), c->to);
}

static uint64_t infinity(expect_format f)
{
    return f == EXPECT_F16 ? 0x7c00 : f == EXPECT_BF16 ? 0x7f80 : f == EXPECT_F32 ? 0x7f800000u : 0x7ff0000000000000u;
}

static uint64_t from_exact(const conversion *c, exact value, bool negative_zero)
{
    expect_value v = {EXPECT_SUM, value, 0, 0};
    if (value == 0)
        return negative_zero ? expect_sign_bit(c->to->format) : 0;
    return expect_round(&v, c->to->format, c->integral || c->rounding < 0 ? EXPECT_RN : (expect_rounding)c->rounding);
}

static uint64_t finish(const conversion *c, uint64_t bits)
{
    expect_format f = c->to->format;
    uint64_t sign = expect_sign_bit(f);
    double value = expect_to_double(bits, f);
    if (c->sat && (isnan(value) || value <= 0))
        return 0;
    if (c->sat && value > 1)
        return from_exact(c, 1, false);
    if (c->relu && !isnan(value) && (bits & sign))
        return 0;
    if (c->ftz && f == EXPECT_F32 && expect_is_subnormal(bits, f))
        return bits & sign;
    return bits;
}

static uint64_t to_float(const conversion *c, uint64_t raw)
{
    uint64_t sign = expect_sign_bit(c->to->format);
    if (!c->from->is_float)
        return finish(c, from_exact(c, (exact)integer_of(raw, c->from), false));
    raw = flush_input(c, raw);
    double value = expect_to_double(raw, c->from->format);
    if (isnan(value))
        return finish(c, expect_nan(c->to->format));
    if (isinf(value))
        return finish(c, infinity(c->to->format) | (value < 0 ? sign : 0));
    exact x = value;
    if (c->integral && fabs(value) < 0x1p100)
        x = (exact)integral(x, c->rounding);
    return finish(c, from_exact(c, x, signbit(value)));
}

static void check(const conversion *c)
{
    static test_case cases[ROOM];
    char opcode[80], body[160];
    snprintf(opcode, sizeof opcode, "cvt%s%s%s%s%s%s.%s.%s", c->rounding < 0 ? "" : ".",
             c->rounding < 0 ? "" : roundings[c->rounding], c->integral ? "i" : "", c->ftz ? ".ftz" : "",
             c->sat ? ".sat" : "", c->relu ? ".relu" : "", c->to->name, c->from->name);
    snprintf(body, sizeof body, "%s %%rd20, %%rd10;", opcode);
    int count = c->from->is_float ? test_fill_floats(cases, ROOM, c->from->format, false)
                                  : test_fill_integers(cases, ROOM, c->from->bits);
    if (c->from->is_float) /* values around the borders of integers, with halves */
        for (int i = 100; i < ROOM; i += 2) {
            double near = ldexp(1.0, (int)(test_random() % 66)) + (double)(test_random() % 9) / 2 - 2;
            expect_value v = {EXPECT_SUM, test_random() % 2 ? near : -near, 0, 0};
            cases[i].in[0] = expect_round(&v, c->from->format, EXPECT_RN);
        }
    test_run_lanes(body, cases, count);
    uint64_t cut = UINT64_MAX >> (64 - c->to->bits), from_cut = UINT64_MAX >> (64 - c->from->bits);
    for (int i = 0; i < count; i++) {
        uint64_t in = cases[i].in[0] & from_cut, got = cases[i].out & cut;
        uint64_t want = (c->to->is_float ? to_float(c, in) : to_integer(c, in)) & cut;
        bool both_nan = c->to->is_float && c->to->format == EXPECT_F64 && expect_is_nan(got, EXPECT_F64) &&
                        expect_is_nan(want, EXPECT_F64);
        cr_assert(both_nan || got == want, "%s of %llx: %llx, not %llx", opcode, (unsigned long long)in,
                  (unsigned long long)got, (unsigned long long)want);
    }
}

/* with_modifiers: ftz where f32 takes part, sat everywhere, relu for f16 and bf16 from f32. */
static int with_modifiers(conversion c)
{
    int checked = 0;
    bool has_f32 = (c.to->is_float && c.to->format == EXPECT_F32) || (c.from->is_float && c.from->format == EXPECT_F32);
    bool has_relu = c.to->is_float && c.to->bits == 16 && c.from->is_float && c.from->bits == 32 && c.rounding <= 1;
    for (int ftz = 0; ftz <= has_f32; ftz++)
        for (int sat = 0; sat < 2; sat++)
            for (int relu = 0; relu <= (has_relu && !sat && !ftz); relu++) {
                c.ftz = ftz != 0;
                c.sat = sat != 0;
                c.relu = relu != 0;
                check(&c);
                checked++;
            }
    return checked;
}

static int all_roundings(conversion c, bool integer_rounding)
{
    int checked = 0;
    c.integral = integer_rounding;
    for (c.rounding = 0; c.rounding < 4; c.rounding++)
        checked += with_modifiers(c);
    return checked;
}

Test(convert, between_integers)
{
    int checked = 0;
    for (int to = 0; to < 8; to++)
        for (int from = 0; from < 8; from++)
            checked += with_modifiers((conversion){.to = &kinds[to], .from = &kinds[from], .rounding = -1});
    cr_assert_eq(checked, 128);
}

Test(convert, floats_to_integers)
{
    for (int to = 0; to < 8; to++)
        for (int from = 8; from < KINDS; from++)
            cr_assert_gt(all_roundings((conversion){.to = &kinds[to], .from = &kinds[from]}, true), 0);
}

Test(convert, integers_to_floats)
{
    for (int to = 8; to < KINDS; to++)
        for (int from = 0; from < 8; from++)
            cr_assert_gt(all_roundings((conversion){.to = &kinds[to], .from = &kinds[from]}, false), 0);
}

Test(convert, between_floats)
{
    for (int to = 8; to < KINDS; to++)
        for (int from = 8; from < KINDS; from++) {
            conversion c = {.to = &kinds[to], .from = &kinds[from], .rounding = -1};
            bool rounds = to != from && kinds[to].bits <= kinds[from].bits;
            cr_assert_gt(rounds ? all_roundings(c, false) : with_modifiers(c), 0);
            if (to == from)
                all_roundings(c, true);
        }
}

/* Packed: the first operand goes to the high half. */
static void check_packed(const char *opcode, expect_format format, int rounding, bool relu)
{
    enum { COUNT = 400 };
    static test_case cases[COUNT];
    char body[160];
    snprintf(body, sizeof body, "%s %%rd20, %%rd10, %%rd11;", opcode);
    test_fill_floats(cases, COUNT, EXPECT_F32, false);
    test_run_lanes(body, cases, COUNT);
    kind from = kinds[10], to = {"", true, true, 16, format};
    conversion c = {&to, &from, rounding, false, false, false, relu};
    for (int i = 0; i < COUNT; i++) {
        uint64_t want = to_float(&c, cases[i].in[0] & UINT32_MAX) << 16 | to_float(&c, cases[i].in[1] & UINT32_MAX);
        cr_assert_eq(cases[i].out, want, "%s: %llx, not %llx", opcode, (unsigned long long)cases[i].out,
                     (unsigned long long)want);
    }
}

Test(convert, two_floats_into_one_register)
{
    check_packed("cvt.rn.f16x2.f32", EXPECT_F16, EXPECT_RN, false);
    check_packed("cvt.rz.f16x2.f32", EXPECT_F16, EXPECT_RZ, false);
    check_packed("cvt.rn.relu.f16x2.f32", EXPECT_F16, EXPECT_RN, true);
    check_packed("cvt.rn.bf16x2.f32", EXPECT_BF16, EXPECT_RN, false);
    check_packed("cvt.rz.bf16x2.f32", EXPECT_BF16, EXPECT_RZ, false);
    check_packed("cvt.rn.relu.bf16x2.f32", EXPECT_BF16, EXPECT_RN, true);
}

/* tf32 keeps 10 bits of fraction: the nearest of both neighbours, ties away from zero (.rna) or to even (.rn). */
static void check_tf32(const char *opcode, bool away, bool truncates)
{
    enum { COUNT = 1000 };
    static test_case cases[COUNT];
    char body[80];
    snprintf(body, sizeof body, "%s %%rd20, %%rd10;", opcode);
    test_fill_floats(cases, COUNT, EXPECT_F32, false);
    for (int i = 0; i < COUNT; i += 3)
        cases[i].in[0] = (cases[i].in[0] & ~0x1fffu) | 0x1000; /* ties */
    test_run_lanes(body, cases, COUNT);
    for (int i = 0; i < COUNT; i++) {
        uint64_t in = cases[i].in[0] & UINT32_MAX, low = in & ~(uint64_t)0x1fff, high = low + 0x2000;
        uint64_t want = in;
        if (expect_is_nan(in, EXPECT_F32)) {
            want = 0x7fffffff;
        } else if ((in & 0x7fffffff) != 0x7f800000) {
            uint64_t below = in - low, above = high - in;
            want = truncates ? low : below < above ? low : above < below ? high : away || (low & 0x2000) ? high : low;
        }
        cr_assert_eq(cases[i].out & UINT32_MAX, want, "%s of %llx: %llx, not %llx", opcode, (unsigned long long)in,
                     (unsigned long long)cases[i].out, (unsigned long long)want);
    }
}

Test(convert, f32_to_tf32)
{
    check_tf32("cvt.rna.tf32.f32", true, false);
    check_tf32("cvt.rn.tf32.f32", false, false);
    check_tf32("cvt.rz.tf32.f32", false, true);
}
