/* test_rows_float.c: every row of the floating-point tables (f32, f64, f16, bf16, packed), for every type and modifier
 * that it allows. Correctly rounded instructions must match expect.c bit by bit; approximate ones libm in long double
 * within one unit in the last place. */
#include "device/rows.h"
#include "values.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct modifiers {
    int rounding; /* -1: not spelled */
    bool ftz, sat, relu;
} modifiers;

/* One instruction as it is being checked. */
typedef struct subject {
    const cue_row *row;
    expect_format format;
    modifiers m;
} subject;

/* What one operand triple must give: bits, or a value with a tolerance in ulps. */
typedef struct wanted {
    bool approximate;
    uint64_t bits;
    double value, ulps;
} wanted;

static bool starts(const subject *s, const char *name)
{
    size_t n = strlen(name);
    return strncmp(s->row->name, name, n) == 0 && (s->row->name[n] == '\0' || s->row->name[n] == '.');
}

static uint64_t flush(const subject *s, uint64_t bits)
{
    bool subnormal = expect_is_subnormal(bits, s->format);
    return s->m.ftz && subnormal ? bits & expect_sign_bit(s->format) : bits;
}

/* finish: modifiers of the result. */
static uint64_t finish(const subject *s, uint64_t bits)
{
    uint64_t sign = expect_sign_bit(s->format);
    double value = expect_to_double(bits, s->format);
    bits = flush(s, bits);
    if (s->m.sat && (isnan(value) || value <= 0))
        return 0;
    if (s->m.sat && value > 1)
        return s->format == EXPECT_F32 ? 0x3f800000u : s->format == EXPECT_F16 ? 0x3c00 : 0x3f80;
    if (isnan(value))
        return expect_nan(s->format);
    return s->m.relu && (bits & sign) ? 0 : bits;
}

static uint64_t infinity(const subject *s, bool negative)
{
    uint64_t sign = expect_sign_bit(s->format);
    expect_value huge = {EXPECT_QUOTIENT, 1, 1, 0};
    for (int i = 0; i < 3000; i++)
        huge.a *= 2;
    return expect_round(&huge, s->format, EXPECT_RN) | (negative ? sign : 0);
}

/* exact_value: false where the name is none of the correctly rounded instructions. */
static bool exact_value(const subject *s, const double in[3], expect_value *v, double *in_double)
{
    double a = in[0], b = in[1], c = in[2];
    if (strchr(s->row->name, '.') != NULL)
        return false;
    if (starts(s, "add") || starts(s, "sub")) {
        b = starts(s, "sub") ? -b : b;
        *v = (expect_value){EXPECT_SUM, a, b, 0};
        *in_double = a + b;
    } else if (starts(s, "mul")) {
        *v = (expect_value){EXPECT_PRODUCT_SUM, a, b, 0};
        *in_double = a * b;
    } else if (starts(s, "fma") || starts(s, "mad")) {
        *v = (expect_value){EXPECT_PRODUCT_SUM, a, b, c};
        *in_double = fma(a, b, c);
    } else if (starts(s, "div") || starts(s, "rcp")) {
        *v = starts(s, "rcp") ? (expect_value){EXPECT_QUOTIENT, 1, a, 0} : (expect_value){EXPECT_QUOTIENT, a, b, 0};
        *in_double = starts(s, "rcp") ? 1 / a : a / b;
    } else if (starts(s, "sqrt")) {
        *v = (expect_value){EXPECT_ROOT, a, 0, 0};
        *in_double = sqrt(a);
    } else {
        return false;
    }
    return true;
}

/* zero_sign: an exact zero is negative when its terms are, and for terms of both signs when rounding goes down. */
static bool zero_is_negative(const subject *s, const double in[3])
{
    bool product = signbit(in[0]) != signbit(in[1]);
    if (starts(s, "mul") || starts(s, "div"))
        return product;
    if (starts(s, "sqrt") || starts(s, "rcp"))
        return signbit(in[0]);
    bool first = starts(s, "add") || starts(s, "sub") ? signbit(in[0]) != 0 : product;
    bool second = starts(s, "add") ? signbit(in[1]) != 0 : starts(s, "sub") ? signbit(in[1]) == 0 : signbit(in[2]) != 0;
    return first == second ? first : s->m.rounding == EXPECT_RM;
}

static bool correctly_rounded(const subject *s, const double in[3], wanted *w)
{
    expect_value v = {0};
    double in_double = 0;
    if (!exact_value(s, in, &v, &in_double))
        return false;
    bool finite = true;
    for (int i = 0; i < s->row->sources; i++)
        finite = finite && isfinite(in[i]);
    bool by_zero = (starts(s, "div") && in[1] == 0) || (starts(s, "rcp") && in[0] == 0);
    uint64_t sign = expect_sign_bit(s->format);
    if (isnan(in_double))
        w->bits = expect_nan(s->format);
    else if (!finite || by_zero)
        w->bits = in_double == 0 ? (signbit(in_double) ? sign : 0) : infinity(s, signbit(in_double));
    else if ((v.kind == EXPECT_PRODUCT_SUM ? v.a * v.b + v.c : v.kind == EXPECT_SUM ? v.a + v.b : v.a) == 0)
        w->bits = zero_is_negative(s, in) ? sign : 0;
    else
        w->bits = expect_round(&v, s->format, s->m.rounding < 0 ? EXPECT_RN : (expect_rounding)s->m.rounding);
    return true;
}

/* ---------------------------------------------------------------- selection of operands */
static bool is_nan(const subject *s, uint64_t bits)
{
    return expect_is_nan(bits, s->format);
}

/* order: bits as an integer that grows with the value, -0 below +0. */
static int64_t order(const subject *s, uint64_t bits)
{
    uint64_t sign = expect_sign_bit(s->format);
    return bits & sign ? -(int64_t)(bits & (sign - 1)) - 1 : (int64_t)bits;
}

static uint64_t smaller(const subject *s, uint64_t a, uint64_t b, bool larger)
{
    if (is_nan(s, a) || is_nan(s, b))
        return is_nan(s, a) ? b : a;
    return (order(s, a) < order(s, b)) != larger ? a : b;
}

static bool picked(const subject *s, const uint64_t in[3], wanted *w)
{
    uint64_t sign = expect_sign_bit(s->format), magnitude = sign - 1;
    bool maximum = strncmp(s->row->name, "max", 3) == 0;
    if (starts(s, "neg")) {
        w->bits = in[0] ^ sign;
    } else if (starts(s, "abs")) {
        w->bits = in[0] & magnitude;
    } else if (starts(s, "copysign")) {
        w->bits = (in[0] & sign) | (in[1] & magnitude);
    } else if (strstr(s->row->name, ".NaN") != NULL) {
        w->bits = is_nan(s, in[0]) || is_nan(s, in[1]) ? expect_nan(s->format) : smaller(s, in[0], in[1], maximum);
    } else if (strstr(s->row->name, ".xorsign") != NULL) {
        uint64_t m = smaller(s, in[0] & magnitude, in[1] & magnitude, maximum);
        w->bits = (m & magnitude) | ((in[0] ^ in[1]) & sign);
    } else if (starts(s, "min") || starts(s, "max")) {
        w->bits = smaller(s, in[0], in[1], maximum);
    } else {
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- approximations */
static bool approximated(const subject *s, const double in[3], wanted *w)
{
    long double a = in[0], b = in[1], value;
    if (strstr(s->row->name, ".approx") == NULL && strstr(s->row->name, ".full") == NULL)
        return false;
    if (starts(s, "ex2"))
        value = exp2l(a);
    else if (starts(s, "lg2"))
        value = log2l(a);
    else if (starts(s, "sin"))
        value = sinl(a);
    else if (starts(s, "cos"))
        value = cosl(a);
    else if (starts(s, "tanh"))
        value = tanhl(a);
    else if (starts(s, "rsqrt"))
        value = 1 / sqrtl(a);
    else if (starts(s, "sqrt"))
        value = sqrtl(a);
    else if (starts(s, "rcp"))
        value = 1 / a;
    else if (starts(s, "div"))
        value = a / b;
    else
        return false;
    if (strcmp(s->row->name, "div.approx") == 0 && fabs(in[1]) > 0x1p126 && !isinf(in[1]))
        value = isinf(in[0]) || isnan(in[0]) ? (long double)NAN : 0; /* PTX manual, div.approx */
    w->approximate = true;
    w->value = (double)value;
    /* long double to double to the format: half an ulp and a little; the f64 forms keep 20 bits of 52. */
    bool coarse = s->format == EXPECT_F64 && (s->m.ftz || strstr(s->row->name, "ftz") != NULL);
    w->ulps = coarse ? 0x1p32 : s->format == EXPECT_F64 ? 2 : 1;
    return true;
}

static wanted expectation(const subject *s, const uint64_t raw[3])
{
    wanted w = {0};
    uint64_t bits[3], cut = expect_sign_bit(s->format) | (expect_sign_bit(s->format) - 1);
    double in[3];
    for (int i = 0; i < 3; i++) {
        bits[i] = flush(s, raw[i] & cut);
        if (s->format == EXPECT_F64 && strstr(s->row->name, "approx") != NULL && strstr(s->row->name, "ftz") != NULL &&
            expect_is_subnormal(bits[i], s->format))
            bits[i] &= expect_sign_bit(s->format);
        in[i] = expect_to_double(bits[i], s->format);
    }
    bool known = picked(s, bits, &w) || correctly_rounded(s, in, &w) || approximated(s, in, &w);
    cr_assert(known, "no expectation for %s", s->row->name);
    return w;
}

static void check_value(const subject *s, const char *opcode, const uint64_t in[3], uint64_t got)
{
    wanted w = expectation(s, in);
    bool raw = s->row->family == CUE_FAMILY_RAW; /* copysign keeps NaNs as they are */
    if (w.approximate) {
        uint64_t nearest = s->format == EXPECT_F32 && !isnan(w.value) ? cue_from_f32((float)w.value) : 0;
        bool flushed = s->m.ftz && s->format != EXPECT_F64 && expect_to_double(got, s->format) == 0 &&
                       (s->format == EXPECT_F32 ? (nearest & 0x7f800000u) == 0 : fabs(w.value) < 0x1p-126);
        bool tiny = s->format == EXPECT_F64 && w.ulps > 2 && fabs(w.value) < 0x1p-1022 &&
                    fabs(expect_to_double(got, s->format)) <= 0x1p-1022;
        double ulps = expect_ulps(got, w.value, s->format);
        cr_assert(flushed || tiny || ulps <= w.ulps, "%s of %llx, %llx: %llx is %g ulp from %g", opcode,
                  (unsigned long long)in[0], (unsigned long long)in[1], (unsigned long long)got, ulps, w.value);
        return;
    }
    uint64_t want = raw ? w.bits : s->format == EXPECT_F64 ? w.bits : finish(s, w.bits);
    bool both_nan = s->format == EXPECT_F64 && expect_is_nan(got, EXPECT_F64) && expect_is_nan(want, EXPECT_F64);
    cr_assert(both_nan || got == want, "%s of %llx, %llx, %llx: %llx, not %llx", opcode, (unsigned long long)in[0],
              (unsigned long long)in[1], (unsigned long long)in[2], (unsigned long long)got, (unsigned long long)want);
}

/* ---------------------------------------------------------------- all rows */
static expect_format format_of(cue_type type)
{
    return type == CUE_F64                        ? EXPECT_F64
           : type == CUE_F32                      ? EXPECT_F32
           : type == CUE_F16 || type == CUE_F16X2 ? EXPECT_F16
                                                  : EXPECT_BF16;
}

static void spell(char *text, size_t room, const cue_row *row, cue_type type, modifiers m)
{
    static const char *const roundings[] = {".rn", ".rz", ".rm", ".rp"};
    static const char *const types[] = {[CUE_F16] = "f16",       [CUE_F16X2] = "f16x2", [CUE_BF16] = "bf16",
                                        [CUE_BF16X2] = "bf16x2", [CUE_F32] = "f32",     [CUE_F64] = "f64"};
    snprintf(text, room, "%s%s%s%s%s.%s", row->name, m.rounding < 0 ? "" : roundings[m.rounding], m.ftz ? ".ftz" : "",
             m.sat ? ".sat" : "", m.relu ? ".relu" : "", types[type]);
}

static void check_instruction(const cue_row *row, cue_type type, modifiers m)
{
    enum { ROOM = 2400 };
    static test_case cases[ROOM];
    static const char *const operands[] = {"%rd10", "%rd10, %rd11", "%rd10, %rd11, %rd12"};
    char opcode[80], body[200];
    bool packed = type == CUE_F16X2 || type == CUE_BF16X2;
    subject s = {row, format_of(type), m};
    int count = test_fill_floats(cases, ROOM, s.format, packed);
    spell(opcode, sizeof opcode, row, type, m);
    snprintf(body, sizeof body, "%s %%rd20, %s;", opcode, operands[row->sources - 1]);
    test_run_lanes(body, cases, count);
    uint64_t cut = expect_sign_bit(s.format) | (expect_sign_bit(s.format) - 1);
    for (int i = 0; i < count; i++)
        for (int half = 0; half < (packed ? 2 : 1); half++) {
            uint64_t in[3];
            for (int k = 0; k < 3; k++)
                in[k] = cases[i].in[k] >> (16 * half) & cut;
            check_value(&s, opcode, in, cases[i].out >> (16 * half) & cut);
        }
}

static int check_modifiers(const cue_row *row, cue_type type)
{
    int checked = 0;
    bool half = row->family == CUE_FAMILY_HALF;
    int first = row->allows & CUE_NEEDS_ROUNDING ? 0 : -1;
    int last = !(row->allows & CUE_ALLOW_ROUNDING) ? -1 : half ? 0 : 3;
    for (int rounding = first; rounding <= last; rounding++)
        for (int ftz = 0; ftz <= ((row->allows & CUE_ALLOW_FTZ) != 0); ftz++)
            for (int sat = 0; sat <= ((row->allows & CUE_ALLOW_SAT) != 0); sat++)
                for (int relu = 0; relu <= ((row->allows & CUE_ALLOW_RELU) != 0 && !sat); relu++) {
                    check_instruction(row, type, (modifiers){rounding, ftz != 0, sat != 0, relu != 0});
                    checked++;
                }
    return checked;
}

static int check_table(cue_row_table table)
{
    int checked = 0;
    for (size_t i = 0; i < table.count; i++)
        for (int type = 0; type < CUE_TYPE_COUNT; type++)
            if (table.rows[i].types & CUE_TYPE_BIT(type))
                checked += check_modifiers(&table.rows[i], (cue_type)type);
    return checked;
}

Test(rows, float_instructions_are_rounded_as_the_exact_value_asks)
{
    cr_assert_gt(check_table(cue_rows_float()), 100);
}

Test(rows, half_instructions_are_rounded_as_the_exact_value_asks)
{
    cr_assert_gt(check_table(cue_rows_half()), 60);
}
