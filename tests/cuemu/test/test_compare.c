/* test_compare.c: setp, set, selp, slct, testp and the logic of predicates, for all types, comparisons and
 * combinations. */
#include "values.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 1500 };

typedef struct subject {
    const char *type;
    enum { UNSIGNED, SIGNED, FLOAT } how;
    int bits;
    expect_format format;
} subject;

static const subject subjects[] = {
    {"u16", UNSIGNED, 16, 0},       {"u32", UNSIGNED, 32, 0},         {"u64", UNSIGNED, 64, 0},
    {"s16", SIGNED, 16, 0},         {"s32", SIGNED, 32, 0},           {"s64", SIGNED, 64, 0},
    {"b16", UNSIGNED, 16, 0},       {"b32", UNSIGNED, 32, 0},         {"b64", UNSIGNED, 64, 0},
    {"f16", FLOAT, 16, EXPECT_F16}, {"bf16", FLOAT, 16, EXPECT_BF16}, {"f32", FLOAT, 32, EXPECT_F32},
    {"f64", FLOAT, 64, EXPECT_F64},
};

static int fill(const subject *s, test_case *cases)
{
    int count =
        s->how == FLOAT ? test_fill_floats(cases, ROOM, s->format, false) : test_fill_integers(cases, ROOM, s->bits);
    for (int i = 0; i < count; i += 7)
        cases[i].in[1] = cases[i].in[0]; /* equal ones */
    return count;
}

/* holds: the comparison by its name, from what the numbers are. */
static bool holds(const char *name, const subject *s, uint64_t a, uint64_t b, bool ftz)
{
    bool less, equal, unordered = false;
    uint64_t cut = UINT64_MAX >> (64 - s->bits);
    a &= cut;
    b &= cut;
    if (s->how == FLOAT) {
        if (ftz && expect_is_subnormal(a, s->format))
            a = 0;
        if (ftz && expect_is_subnormal(b, s->format))
            b = 0;
        double x = expect_to_double(a, s->format), y = expect_to_double(b, s->format);
        less = x < y;
        equal = x == y;
        unordered = isnan(x) || isnan(y);
    } else {
        uint64_t flip = s->how == SIGNED ? (uint64_t)1 << (s->bits - 1) : 0;
        less = (a ^ flip) < (b ^ flip);
        equal = a == b;
    }
    bool greater = !less && !equal && !unordered;
    if (strcmp(name, "num") == 0)
        return !unordered;
    if (strcmp(name, "nan") == 0)
        return unordered;
    bool with_unordered = name[2] == 'u';
    if (unordered)
        return with_unordered;
    static const char *const pairs[] = {"lt", "lo", "le", "ls", "gt", "hi", "ge", "hs", "eq", "ne"};
    const bool answers[] = {
        less, less, less || equal, less || equal, greater, greater, greater || equal, greater || equal, equal, !equal};
    for (int i = 0; i < 10; i++)
        if (strncmp(name, pairs[i], 2) == 0)
            return answers[i];
    cr_assert_fail("no comparison %s", name);
    return false;
}

static bool exists(const char *name, const subject *s)
{
    bool float_only = strlen(name) == 3,
         unsigned_only = name[0] == 'h' || strcmp(name, "lo") == 0 || strcmp(name, "ls") == 0;
    if (s->type[0] == 'b' && s->how != FLOAT)
        return strcmp(name, "eq") == 0 || strcmp(name, "ne") == 0;
    return (!float_only || s->how == FLOAT) && (!unsigned_only || s->how == UNSIGNED);
}

static const char *const names[] = {"eq", "ne",  "lt",  "le",  "gt",  "ge",  "lo",  "ls",  "hi",
                                    "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};
enum { NAMES = sizeof names / sizeof names[0] };

static void check_setp(const char *name, const subject *s, bool ftz)
{
    static test_case cases[ROOM];
    char body[200];
    int count = fill(s, cases);
    snprintf(body, sizeof body,
             "setp.%s%s.%s %%p5|%%p6, %%rd10, %%rd11;\nselp.b64 %%rd21, 1, 0, %%p5;\n"
             "selp.b64 %%rd22, 2, 0, %%p6;\nor.b64 %%rd20, %%rd21, %%rd22;",
             name, ftz ? ".ftz" : "", s->type);
    test_run_lanes(body, cases, count);
    for (int i = 0; i < count; i++) {
        uint64_t want = holds(name, s, cases[i].in[0], cases[i].in[1], ftz) ? 1 : 2;
        cr_assert_eq(cases[i].out, want, "setp.%s.%s of %llx, %llx", name, s->type, (unsigned long long)cases[i].in[0],
                     (unsigned long long)cases[i].in[1]);
    }
}

Test(compare, setp_knows_every_relation_of_every_type)
{
    int checked = 0;
    for (unsigned t = 0; t < sizeof subjects / sizeof subjects[0]; t++)
        for (int n = 0; n < NAMES; n++)
            if (exists(names[n], &subjects[t])) {
                check_setp(names[n], &subjects[t], false);
                checked++;
                if (strcmp(subjects[t].type, "f32") == 0 || strcmp(subjects[t].type, "f16") == 0)
                    check_setp(names[n], &subjects[t], true);
            }
    cr_assert_eq(checked, 3 * 10 + 3 * 6 + 3 * 2 + 4 * 14);
}

Test(compare, setp_combines_with_a_predicate)
{
    static const char *const joins[] = {"and", "or", "xor"};
    static test_case cases[ROOM];
    for (int join = 0; join < 3; join++)
        for (int negated = 0; negated < 2; negated++) {
            char body[300];
            int count = test_fill_integers(cases, ROOM, 32);
            snprintf(body, sizeof body,
                     "setp.ne.u32 %%p7, %%rd12, 0;\nsetp.lt.%s.s32 %%p5|%%p6, %%rd10, %%rd11, %s%%p7;\n"
                     "selp.b64 %%rd21, 1, 0, %%p5;\nselp.b64 %%rd22, 2, 0, %%p6;\nor.b64 %%rd20, %%rd21, %%rd22;",
                     joins[join], negated ? "!" : "");
            test_run_lanes(body, cases, count);
            for (int i = 0; i < count; i++) {
                bool less = (int32_t)cases[i].in[0] < (int32_t)cases[i].in[1];
                bool c = ((uint32_t)cases[i].in[2] != 0) != (negated != 0);
                bool p = join == 0 ? less && c : join == 1 ? less || c : less != c;
                bool q = join == 0 ? !less && c : join == 1 ? !less || c : !less != c;
                cr_assert_eq(cases[i].out, (uint64_t)p | (uint64_t)q << 1);
            }
        }
}

static void check_set(const char *name, const subject *s, const char *result, uint64_t yes)
{
    static test_case cases[ROOM];
    char body[200];
    int count = fill(s, cases);
    snprintf(body, sizeof body, "set.%s.%s.%s %%rd20, %%rd10, %%rd11;", name, result, s->type);
    test_run_lanes(body, cases, count);
    for (int i = 0; i < count; i++)
        cr_assert_eq(cases[i].out, holds(name, s, cases[i].in[0], cases[i].in[1], false) ? yes : 0, "set.%s.%s.%s",
                     name, result, s->type);
}

Test(compare, set_writes_ones_or_1_0)
{
    static const struct {
        const char *type;
        uint64_t yes;
    } results[] = {{"u32", UINT32_MAX}, {"s32", UINT32_MAX}, {"f32", 0x3f800000}, {"u16", 0xffff},
                   {"s16", 0xffff},     {"f16", 0x3c00},     {"bf16", 0x3f80}};
    for (unsigned t = 0; t < sizeof subjects / sizeof subjects[0]; t++)
        for (unsigned r = 0; r < sizeof results / sizeof results[0]; r++)
            for (int n = 0; n < NAMES; n++)
                if (exists(names[n], &subjects[t]))
                    check_set(names[n], &subjects[t], results[r].type, results[r].yes);
}

/* Packed halves: set makes two results, setp two predicates. */
static void check_packed(const char *name, const char *type, expect_format format)
{
    static test_case cases[ROOM];
    char body[400];
    subject half = {type, FLOAT, 16, format};
    int count = test_fill_floats(cases, ROOM, format, true);
    uint64_t one = format == EXPECT_F16 ? 0x3c00 : 0x3f80;
    snprintf(body, sizeof body,
             "set.%s.%s.%s %%rd21, %%rd10, %%rd11;\nset.%s.u32.%s %%rd22, %%rd10, %%rd11;\n"
             "setp.%s.%s %%p5|%%p6, %%rd10, %%rd11;\nselp.b64 %%rd23, 0x10000, 0, %%p6;\n"
             "@%%p5 add.s64 %%rd23, %%rd23, 1;\nxor.b64 %%rd24, %%rd21, %%rd22;\nshl.b64 %%rd24, %%rd24, 32;\n"
             "or.b64 %%rd20, %%rd24, %%rd23;",
             name, type, type, name, type, name, type);
    test_run_lanes(body, cases, count);
    for (int i = 0; i < count; i++) {
        bool low = holds(name, &half, cases[i].in[0], cases[i].in[1], false);
        bool high = holds(name, &half, cases[i].in[0] >> 16, cases[i].in[1] >> 16, false);
        uint64_t want =
            ((low ? one ^ 0xffff : 0) | (high ? (one ^ 0xffff) << 16 : 0)) << 32 | (uint64_t)high << 16 | low;
        cr_assert_eq(cases[i].out, want, "%s.%s: %llx, not %llx", name, type, (unsigned long long)cases[i].out,
                     (unsigned long long)want);
    }
}

Test(compare, packed_halves)
{
    subject half = {"f16", FLOAT, 16, EXPECT_F16};
    for (int n = 0; n < NAMES; n++)
        if (exists(names[n], &half)) {
            check_packed(names[n], "f16x2", EXPECT_F16);
            check_packed(names[n], "bf16x2", EXPECT_BF16);
        }
}

Test(compare, selp_and_slct_choose)
{
    static const char *const types[] = {"b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f32", "f64"};
    static test_case cases[ROOM];
    for (unsigned t = 0; t < sizeof types / sizeof types[0]; t++) {
        char body[200];
        int count = test_fill_floats(cases, ROOM, EXPECT_F32, false), bits = types[t][1] == '1'   ? 16
                                                                             : types[t][1] == '3' ? 32
                                                                                                  : 64;
        uint64_t cut = UINT64_MAX >> (64 - bits);
        snprintf(body, sizeof body, "setp.lt.s32 %%p5, %%rd12, 0;\nselp.%s %%rd20, %%rd10, %%rd11, %%p5;", types[t]);
        test_run_lanes(body, cases, count);
        for (int i = 0; i < count; i++)
            cr_assert_eq(cases[i].out & cut, cases[i].in[(int32_t)cases[i].in[2] < 0 ? 0 : 1] & cut);
        snprintf(body, sizeof body, "slct.%s.f32 %%rd20, %%rd10, %%rd11, %%rd12;", types[t]);
        test_run_lanes(body, cases, count);
        for (int i = 0; i < count; i++) {
            double c = expect_to_double(cases[i].in[2], EXPECT_F32);
            cr_assert_eq(cases[i].out & cut, cases[i].in[c >= 0 ? 0 : 1] & cut, "slct of %g", c);
        }
        snprintf(body, sizeof body, "slct.%s.s32 %%rd20, %%rd10, %%rd11, %%rd12;", types[t]);
        test_run_lanes(body, cases, count);
        for (int i = 0; i < count; i++)
            cr_assert_eq(cases[i].out & cut, cases[i].in[(int32_t)cases[i].in[2] >= 0 ? 0 : 1] & cut);
    }
}

Test(compare, testp_classifies)
{
    static const char *const kinds[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
    static test_case cases[ROOM];
    for (int wide = 0; wide < 2; wide++)
        for (int k = 0; k < 6; k++) {
            char body[200];
            expect_format f = wide ? EXPECT_F64 : EXPECT_F32;
            int count = test_fill_floats(cases, ROOM, f, false);
            snprintf(body, sizeof body, "testp.%s.%s %%p5, %%rd10;\nselp.b64 %%rd20, 1, 0, %%p5;", kinds[k],
                     wide ? "f64" : "f32");
            test_run_lanes(body, cases, count);
            for (int i = 0; i < count; i++) {
                uint64_t bits = wide ? cases[i].in[0] : cases[i].in[0] & UINT32_MAX;
                double v = expect_to_double(bits, f);
                bool sub = expect_is_subnormal(bits, f);
                const bool want[] = {
                    isfinite(v) != 0, isinf(v) != 0, !isnan(v), isnan(v) != 0, isfinite(v) && v != 0 && !sub, sub};
                cr_assert_eq(cases[i].out, want[k], "testp.%s of %g", kinds[k], v);
            }
        }
}

Test(compare, predicates_combine)
{
    static test_case cases[ROOM];
    int count = test_fill_integers(cases, ROOM, 32);
    test_run_lanes("setp.lt.s32 %p5, %rd10, 100;\nsetp.lt.s32 %p6, %rd11, 100;\nand.pred %p7, %p5, %p6;\n"
                   "or.pred %p8, %p5, !%p6;\nxor.pred %p9, %p5, %p6;\nnot.pred %p10, %p5;\nmov.pred %p11, %p6;\n"
                   "selp.b64 %rd20, 1, 0, %p7;\n@%p8 or.b64 %rd20, %rd20, 2;\n@%p9 or.b64 %rd20, %rd20, 4;\n"
                   "@%p10 or.b64 %rd20, %rd20, 8;\n@%p11 or.b64 %rd20, %rd20, 16;\n@!%p5 or.b64 %rd20, %rd20, 32;",
                   cases, count);
    for (int i = 0; i < count; i++) {
        uint64_t p = (int32_t)cases[i].in[0] < 100, q = (int32_t)cases[i].in[1] < 100;
        cr_assert_eq(cases[i].out,
                     (p & q) | (p | !q) << 1 | (p ^ q) << 2 | (uint64_t)!p << 3 | q << 4 | (uint64_t)!p << 5);
    }
}
