/* test_matrix.c: mma against a product in double, with the fragments spread as the PTX manual says, and ldmatrix. */
#include "expect.h"
#include "support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LANES = 32 };

typedef struct shape {
    const char *name, *type;
    uint32_t depth, a_registers, b_registers;
    expect_format format; /* of halves; tf32 is f32 here */
} shape;

static const shape shapes[] = {
    {"m16n8k16", "bf16", 16, 4, 2, EXPECT_BF16}, {"m16n8k16", "f16", 16, 4, 2, EXPECT_F16},
    {"m16n8k8", "bf16", 8, 2, 1, EXPECT_BF16},   {"m16n8k8", "f16", 8, 2, 1, EXPECT_F16},
    {"m16n8k8", "tf32", 8, 4, 2, EXPECT_F32},    {"m16n8k4", "tf32", 4, 2, 1, EXPECT_F32},
};

/* Where element i of a lane's fragment lies: the manual's formulas, one case each. */
static void place_a(const shape *s, uint32_t lane, uint32_t i, uint32_t *row, uint32_t *column)
{
    uint32_t group = lane >> 2, place = lane % 4;
    if (s->format == EXPECT_F32) {
        *row = i == 0 || i == 2 ? group : group + 8;
        *column = i < 2 ? place : place + 4;
    } else {
        *row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
        *column = place * 2 + (i & 1) + (i >= 4 ? 8 : 0);
    }
}

static void place_b(const shape *s, uint32_t lane, uint32_t i, uint32_t *row, uint32_t *column)
{
    uint32_t place = lane % 4;
    *column = lane >> 2;
    if (s->format == EXPECT_F32)
        *row = i == 0 ? place : place + 4;
    else
        *row = place * 2 + (i & 1) + (i >= 2 ? 8 : 0);
}

static uint32_t random_element(const shape *s)
{
    double value = (double)(int64_t)(test_random() % 2001) / 256 - 4;
    expect_value v = {EXPECT_SUM, value, 0, 0};
    uint32_t bits = value == 0 ? 0 : (uint32_t)expect_round(&v, s->format, EXPECT_RN);
    return s->format == EXPECT_F32 ? bits & ~0x1fffu : bits;
}

static void names(char *text, size_t room, int first, uint32_t count)
{
    size_t used = (size_t)snprintf(text, room, "{");
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%%r%d", i ? ", " : "", first + (int)i);
    snprintf(text + used, room - used, "}");
}

static void check_shape(const shape *s)
{
    char text[2500], a_names[80], b_names[80];
    names(a_names, sizeof a_names, 10, s->a_registers);
    names(b_names, sizeof b_names, 14, s->b_registers);
    snprintf(text, sizeof text,
             ".visible .entry k(.param .u64 in, .param .u64 out) { .reg .b64 %%rd<9>; .reg .b32 %%r<40>;\n"
             "ld.param.u64 %%rd1, [in]; ld.param.u64 %%rd2, [out]; mov.u32 %%r1, %%laneid; mul.wide.u32 %%rd3, %%r1, "
             "48; add.s64 %%rd4, %%rd1, %%rd3;\n"
             "ld.global.v4.u32 {%%r10, %%r11, %%r12, %%r13}, [%%rd4]; ld.global.v2.u32 {%%r14, %%r15}, [%%rd4+16]; "
             "ld.global.v4.u32 {%%r20, %%r21, %%r22, %%r23}, [%%rd4+32];\n"
             "mma.sync.aligned.%s.row.col.f32.%s.%s.f32 {%%r20, %%r21, %%r22, %%r23}, %s, %s, {%%r20, %%r21, %%r22, "
             "%%r23};\n"
             "mul.wide.u32 %%rd5, %%r1, 16; add.s64 %%rd6, %%rd2, %%rd5; st.global.v4.u32 [%%rd6], {%%r20, %%r21, "
             "%%r22, %%r23}; ret; }",
             s->name, s->type, s->type, a_names, b_names);
    uint32_t in[LANES][12] = {0}, per = s->format == EXPECT_F32 ? 1 : 2;
    double a[16][16], b[16][8];
    float c[16][8], out[LANES][4];
    for (uint32_t l = 0; l < LANES; l++) {
        uint32_t row, column;
        for (uint32_t i = 0; i < s->a_registers * per; i++) {
            uint32_t bits = random_element(s);
            place_a(s, l, i, &row, &column);
            in[l][i / per] |= bits << (16 * (i % per));
            a[row][column] = expect_to_double(bits, s->format);
        }
        for (uint32_t i = 0; i < s->b_registers * per; i++) {
            uint32_t bits = random_element(s);
            place_b(s, l, i, &row, &column);
            in[l][4 + i / per] |= bits << (16 * (i % per));
            b[row][column] = expect_to_double(bits, s->format);
        }
        for (uint32_t i = 0; i < 4; i++) {
            float value = (float)(test_random() % 1000) / 8 - 60;
            c[(l >> 2) + (i >= 2 ? 8 : 0)][l % 4 * 2 + (i & 1)] = value;
            memcpy(&in[l][8 + i], &value, 4);
        }
    }
    struct {
        void *in, *out;
    } p = {test_upload(in, sizeof in), test_upload(out, sizeof out)};
    cr_assert_eq(test_launch(test_module(text), "k", 1, LANES, 0, &p), CUE_SUCCESS);
    test_download(out, p.out, sizeof out);
    for (uint32_t l = 0; l < LANES; l++)
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t row = (l >> 2) + (i >= 2 ? 8 : 0), column = l % 4 * 2 + (i & 1);
            double want = c[row][column], sizes = fabs(want);
            for (uint32_t k = 0; k < s->depth; k++) {
                want += a[row][k] * b[k][column];
                sizes += fabs(a[row][k] * b[k][column]);
            }
            /* at most one rounding to f32 for each addition */
            cr_assert_leq(fabs(out[l][i] - want), s->depth * 0x1p-24 * sizes, "%s %s: %g, not %g", s->name, s->type,
                          (double)out[l][i], want);
        }
}

Test(matrix, mma_multiplies_the_fragments_of_a_warp)
{
    for (unsigned n = 0; n < sizeof shapes / sizeof shapes[0]; n++)
        for (int round = 0; round < 20; round++)
            check_shape(&shapes[n]);
}

Test(matrix, ldmatrix_spreads_rows_over_the_lanes)
{
    for (int trans = 0; trans < 2; trans++)
        for (uint32_t count = 1; count <= 4; count *= 2) {
            char text[1500], registers[80];
            names(registers, sizeof registers, 20, count);
            snprintf(text, sizeof text,
                     ".visible .entry k(.param .u64 in, .param .u64 out) { .reg .b64 %%rd<9>; .reg .b32 %%r<40>; "
                     ".shared .align 16 .b8 s[512];\n"
                     "ld.param.u64 %%rd1, [in]; ld.param.u64 %%rd2, [out]; mov.u32 %%r1, %%laneid; mul.wide.u32 %%rd3, "
                     "%%r1, 16; add.s64 %%rd4, %%rd1, %%rd3;\n"
                     "ld.global.v4.u32 {%%r10, %%r11, %%r12, %%r13}, [%%rd4]; mov.u32 %%r2, s; shl.b32 %%r3, %%r1, 4; "
                     "add.s32 %%r4, %%r2, %%r3;\n"
                     "st.shared.v4.u32 [%%r4], {%%r10, %%r11, %%r12, %%r13}; bar.warp.sync -1; mov.u32 %%r20, 0; "
                     "mov.u32 %%r21, 0; mov.u32 %%r22, 0; mov.u32 %%r23, 0;\n"
                     "ldmatrix.sync.aligned.m8n8.x%u%s.shared.b16 %s, [%%r4];\n"
                     "add.s64 %%rd6, %%rd2, %%rd3; st.global.v4.u32 [%%rd6], {%%r20, %%r21, %%r22, %%r23}; ret; }",
                     count, trans ? ".trans" : "", registers);
            uint16_t in[4][8][8];
            uint32_t out[LANES][4];
            for (size_t i = 0; i < 256; i++)
                in[i / 64][i / 8 % 8][i % 8] = (uint16_t)test_random();
            struct {
                void *in, *out;
            } p = {test_upload(in, sizeof in), test_upload(in, sizeof in)};
            cr_assert_eq(test_launch(test_module(text), "k", 1, LANES, 0, &p), CUE_SUCCESS);
            test_download(out, p.out, sizeof out);
            for (uint32_t l = 0; l < LANES; l++)
                for (uint32_t m = 0; m < 4; m++) {
                    uint32_t row = l / 4, column = 2 * (l % 4);
                    uint32_t want = trans ? in[m][column][row] | (uint32_t)in[m][column + 1][row] << 16
                                          : in[m][row][column] | (uint32_t)in[m][row][column + 1] << 16;
                    cr_assert_eq(out[l][m], m < count ? want : 0);
                }
            cr_assert_eq(cue_report_count(), 0);
        }
}

Test(matrix, a_part_of_a_warp_must_not_multiply)
{
    cue_module *m = test_module(".visible .entry k() { .reg .b32 %r<9>; .reg .pred %p1; mov.u32 %r1, %laneid; "
                                "setp.lt.u32 %p1, %r1, 16; @%p1 bra OUT;\n"
                                "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%r2, %r3, %r4, %r5}, {%r1, %r1}, "
                                "{%r1}, {%r1, %r1, %r1, %r1};\nOUT: ret; }");
    cr_assert_eq(test_launch(m, "k", 1, 32, 0, NULL), CUE_ILLEGAL_INSTRUCTION);
    cuemu_report r;
    cr_assert_eq(cuemu_report_get(0, &r), 0);
    cr_assert_str_eq(r.kind, "warp-mask");
    cuemu_forgive_reports();
}
