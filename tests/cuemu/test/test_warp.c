/* test_warp.c: what threads do together and where they go: shuffles, votes, matches, reductions, barriers, branches,
 * calls, special registers. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 32 };

/* run_warps: body leaves %r20; %r10 to %r12 hold three words of the thread. */
static void run_warps(const char *body, const uint32_t *in, uint32_t *out, uint32_t threads)
{
    char text[4000];
    snprintf(
        text, sizeof text,
        ".visible .entry k(.param .u64 in, .param .u64 out) { .reg .b64 %%rd<20>; .reg .b32 %%r<40>; .reg .pred "
        "%%p<20>;\n"
        "ld.param.u64 %%rd1, [in]; ld.param.u64 %%rd2, [out]; mov.u32 %%r1, %%tid.x; mul.wide.u32 %%rd3, %%r1, 12;\n"
        "add.s64 %%rd1, %%rd1, %%rd3; ld.global.u32 %%r10, [%%rd1]; ld.global.u32 %%r11, [%%rd1+4]; ld.global.u32 "
        "%%r12, [%%rd1+8];\n"
        "%s\nmul.wide.u32 %%rd3, %%r1, 4; add.s64 %%rd2, %%rd2, %%rd3; st.global.u32 [%%rd2], %%r20; ret; }",
        body);
    cue_module *m = test_module(text);
    struct {
        void *in, *out;
    } p = {test_upload(in, 12 * threads), test_upload(in, 4 * threads)};
    cr_assert_eq(test_launch(m, "k", 1, threads, 0, &p), CUE_SUCCESS, "%s", body);
    test_download(out, p.out, 4 * threads);
    cr_assert_eq(cue_report_count(), 0, "%s", body);
    cue_mem_free(p.in);
    cue_mem_free(p.out);
    cue_module_unload(m);
}

static void random_words(uint32_t *in, int count, uint32_t limit)
{
    for (int i = 0; i < count; i++)
        in[i] = limit != 0 ? (uint32_t)test_random() % limit : (uint32_t)test_random();
}

/* ---------------------------------------------------------------- shuffles */
/* By CUDA's words for widths: a segment of `width` lanes, the lane itself where the source is outside. */
static int cuda_source(const char *kind, int lane, int argument, int width, bool *valid)
{
    int first = lane / width * width, from;
    if (strcmp(kind, "idx") == 0)
        from = first + argument % width;
    else if (strcmp(kind, "up") == 0)
        from = lane - argument;
    else if (strcmp(kind, "down") == 0)
        from = lane + argument;
    else
        from = lane ^ argument;
    *valid = strcmp(kind, "bfly") == 0 ? from < first + width : from >= first && from < first + width;
    return *valid ? from : lane;
}

Test(warp, shuffles_move_values_within_segments)
{
    static const char *const kinds[] = {"idx", "up", "down", "bfly"};
    for (int k = 0; k < 4; k++)
        for (int width = 1; width <= 32; width *= 2)
            for (int argument = 0; argument < 32; argument++) {
                char body[300];
                uint32_t in[3 * LANES], out[LANES];
                int c = (32 - width) << 8 | (strcmp(kinds[k], "up") == 0 ? 0 : 31);
                random_words(in, 3 * LANES, 1u << 30);
                snprintf(body, sizeof body,
                         "shfl.sync.%s.b32 %%r20|%%p1, %%r10, %d, %d, -1; @%%p1 or.b32 %%r20, %%r20, 0x80000000;",
                         kinds[k], argument, c);
                run_warps(body, in, out, LANES);
                for (int l = 0; l < LANES; l++) {
                    bool valid;
                    int from = cuda_source(kinds[k], l, argument, width, &valid);
                    cr_assert_eq(out[l], in[3 * from] | (valid ? 0x80000000u : 0), "shfl.%s %d of width %d, lane %d",
                                 kinds[k], argument, width, l);
                }
            }
}

Test(warp, lanes_outside_the_mask_give_poison)
{
    uint32_t in[3 * LANES], out[LANES];
    random_words(in, 3 * LANES, 1000);
    run_warps("mov.u32 %r20, 5; setp.lt.u32 %p1, %r1, 16; @!%p1 bra OUT;\n"
              "shfl.sync.down.b32 %r20, %r10, 8, 31, 0xffff;\nOUT:",
              in, out, LANES);
    for (int l = 0; l < LANES; l++)
        cr_assert_eq(out[l], l < 8 ? in[3 * (l + 8)] : l < 16 ? UINT32_MAX : 5);
}

/* ---------------------------------------------------------------- votes and their kin */
Test(warp, votes_count_the_lanes_of_the_mask)
{
    for (int round = 0; round < 30; round++) {
        uint32_t in[3 * LANES], out[LANES], yes = 0;
        random_words(in, 3 * LANES, round < 3 ? (uint32_t)round : 2);
        for (int l = 0; l < LANES; l++)
            yes |= (uint32_t)(in[3 * l] != 0) << l;
        run_warps("setp.ne.u32 %p1, %r10, 0; vote.sync.ballot.b32 %r20, %p1, -1;", in, out, LANES);
        for (int l = 0; l < LANES; l++)
            cr_assert_eq(out[l], yes);
        run_warps("setp.ne.u32 %p1, %r10, 0; vote.sync.all.pred %p2, %p1, -1; vote.sync.any.pred %p3, %p1, -1;\n"
                  "vote.sync.uni.pred %p4, !%p1, -1; selp.u32 %r20, 1, 0, %p2; @%p3 or.b32 %r20, %r20, 2; @%p4 or.b32 "
                  "%r20, %r20, 4;",
                  in, out, LANES);
        uint32_t want =
            (uint32_t)(yes == UINT32_MAX) | (uint32_t)(yes != 0) << 1 | (uint32_t)(yes == 0 || yes == UINT32_MAX) << 2;
        for (int l = 0; l < LANES; l++)
            cr_assert_eq(out[l], want);
    }
}

Test(warp, matches_name_the_lanes_with_the_same_value)
{
    for (int round = 0; round < 20; round++) {
        uint32_t in[3 * LANES], out[LANES];
        random_words(in, 3 * LANES, 1 + (uint32_t)round % 4);
        for (int wide = 0; wide < 2; wide++) {
            char body[200];
            snprintf(body, sizeof body, "mov.b64 %%rd5, {%%r11, %%r10}; match.any.sync.b%d %%r20, %s, -1;",
                     wide ? 64 : 32, wide ? "%rd5" : "%r10");
            run_warps(body, in, out, LANES);
            for (int l = 0; l < LANES; l++) {
                uint32_t want = 0;
                for (int k = 0; k < LANES; k++)
                    want |= (uint32_t)(in[3 * k] == in[3 * l] && (!wide || in[3 * k + 1] == in[3 * l + 1])) << k;
                cr_assert_eq(out[l], want);
            }
        }
        bool all = true;
        for (int l = 0; l < LANES; l++)
            all = all && in[3 * l] == in[0];
        run_warps("match.all.sync.b32 %r20|%p1, %r10, -1; @%p1 xor.b32 %r20, %r20, 1;", in, out, LANES);
        for (int l = 0; l < LANES; l++)
            cr_assert_eq(out[l], all ? 0xfffffffeu : 0);
    }
}

Test(warp, redux_reduces)
{
    static const char *const ops[] = {"add.u32", "add.s32", "min.u32", "max.u32", "min.s32",
                                      "max.s32", "and.b32", "or.b32",  "xor.b32"};
    for (int o = 0; o < 9; o++) {
        char body[100];
        uint32_t in[3 * LANES], out[LANES];
        random_words(in, 3 * LANES, 0);
        uint32_t want = in[0];
        for (int l = 1; l < LANES; l++) {
            uint32_t v = in[3 * l];
            const uint32_t next[] = {want + v,
                                     want + v,
                                     v < want ? v : want,
                                     v > want ? v : want,
                                     (int32_t)v < (int32_t)want ? v : want,
                                     (int32_t)v > (int32_t)want ? v : want,
                                     want & v,
                                     want | v,
                                     want ^ v};
            want = next[o];
        }
        snprintf(body, sizeof body, "redux.sync.%s %%r20, %%r10, -1;", ops[o]);
        run_warps(body, in, out, LANES);
        for (int l = 0; l < LANES; l++)
            cr_assert_eq(out[l], want, "%s", ops[o]);
    }
}

Test(warp, halves_of_a_warp_can_act_apart)
{
    uint32_t in[3 * LANES], out[LANES];
    random_words(in, 3 * LANES, 1000);
    run_warps("mov.u32 %r30, 0xffff; setp.ge.u32 %p1, %r1, 16; @%p1 mov.u32 %r30, 0xffff0000;\n"
              "mov.u32 %r20, %r10;\n"
              "shfl.sync.bfly.b32 %r31, %r20, 8, 0x101f, %r30; add.s32 %r20, %r20, %r31; bar.warp.sync %r30;\n"
              "@%p1 bra HIGH; shfl.sync.bfly.b32 %r31, %r20, 4, 0x101f, %r30; add.s32 %r20, %r20, %r31; bra OUT;\n"
              "HIGH: shfl.sync.bfly.b32 %r31, %r20, 2, 0x101f, %r30; add.s32 %r20, %r20, %r31; OUT:",
              in, out, LANES);
    for (int l = 0; l < LANES; l++) {
        uint32_t want = 0;
        for (int k = 0; k < 4; k++) {
            int step = l < 16 ? 4 : 2;
            want += in[3 * (l ^ (k & 1 ? 8 : 0) ^ (k & 2 ? step : 0))];
        }
        cr_assert_eq(out[l], want);
    }
}

Test(warp, lanes_meet_from_both_sides_of_a_branch)
{
    uint32_t in[3 * LANES], out[LANES];
    random_words(in, 3 * LANES, 1000);
    run_warps("and.b32 %r30, %r1, 1; setp.eq.u32 %p1, %r30, 0; @%p1 bra EVEN;\n"
              "shfl.sync.bfly.b32 %r20, %r10, 1, 31, -1; bra OUT;\n"
              "EVEN: shfl.sync.bfly.b32 %r20, %r11, 1, 31, -1; OUT:",
              in, out, LANES);
    for (int l = 0; l < LANES; l++)
        cr_assert_eq(out[l], l % 2 == 0 ? in[3 * (l + 1)] : in[3 * (l - 1) + 1]);
}

Test(warp, elect_and_activemask_name_lanes)
{
    uint32_t in[3 * LANES] = {0}, out[LANES];
    run_warps("setp.lt.u32 %p1, %r1, 4; mov.u32 %r20, 0; @%p1 bra OUT;\n"
              "activemask.b32 %r21; elect.sync %r22|%p2, %r21; add.s32 %r20, %r21, %r22; @%p2 mov.u32 %r20, 1; OUT:",
              in, out, LANES);
    for (uint32_t l = 0; l < LANES; l++)
        cr_assert_eq(out[l], l < 4 ? 0 : l == 4 ? 1 : 0xfffffff0u + 4);
}

/* ---------------------------------------------------------------- barriers */
Test(warp, block_barriers_reduce_predicates)
{
    enum { THREADS = 100 };
    uint32_t in[3 * THREADS], out[THREADS], count = 0;
    random_words(in, 3 * THREADS, 2);
    for (int t = 0; t < THREADS; t++)
        count += in[3 * t];
    run_warps("setp.ne.u32 %p1, %r10, 0; bar.red.popc.u32 %r20, 0, %p1; shl.b32 %r20, %r20, 4;\n"
              "setp.lt.u32 %p2, %r1, 200; barrier.cta.red.and.pred %p3, 1, %p2; bar.red.or.pred %p4, 2, !%p2;\n"
              "bar.red.and.pred %p5, 3, %p1; @%p3 or.b32 %r20, %r20, 1; @%p4 or.b32 %r20, %r20, 2; @%p5 or.b32 %r20, "
              "%r20, 4;",
              in, out, THREADS);
    for (int t = 0; t < THREADS; t++)
        cr_assert_eq(out[t], count << 4 | 1 | (count == THREADS ? 4 : 0));
}

Test(warp, named_barriers_join_some_warps)
{
    enum { THREADS = 128 };
    uint32_t in[3 * THREADS], out[THREADS];
    random_words(in, 3 * THREADS, 1000);
    /* the first two warps pass values through shared memory, the others do not take part; warp 2 tells warp 3 */
    run_warps(".shared .align 4 .b8 room[512]; mov.u32 %r30, room; shl.b32 %r31, %r1, 2; add.s32 %r31, %r31, %r30;\n"
              "st.shared.u32 [%r31], %r10; setp.ge.u32 %p1, %r1, 64; @%p1 bra REST;\n"
              "bar.sync 5, 64; xor.b32 %r32, %r31, 128; ld.shared.u32 %r20, [%r32]; bra OUT;\n"
              "REST: setp.ge.u32 %p2, %r1, 96; @%p2 bra READER; bar.arrive 6, 64; mov.u32 %r20, 1; bra OUT;\n"
              "READER: bar.sync 6, 64; ld.shared.u32 %r20, [%r31+-128]; OUT:",
              in, out, THREADS);
    for (int t = 0; t < THREADS; t++)
        cr_assert_eq(out[t], t < 64 ? in[3 * (t ^ 32)] : t < 96 ? 1 : in[3 * (t - 32)]);
}

/* ---------------------------------------------------------------- the way through the code */
Test(warp, loops_of_different_length_end_together)
{
    uint32_t in[3 * LANES], out[LANES];
    random_words(in, 3 * LANES, 40);
    run_warps(
        "mov.u32 %r20, 0; mov.u32 %r21, 0;\nTOP: setp.ge.u32 %p1, %r21, %r10; @%p1 bra END; add.s32 %r20, %r20, %r21;\n"
        "add.s32 %r21, %r21, 1; bra.uni TOP;\nEND: vote.sync.ballot.b32 %r22, %p1, -1; and.b32 %r22, %r22, 1; add.s32 "
        "%r20, %r20, %r22;",
        in, out, LANES);
    for (int l = 0; l < LANES; l++)
        cr_assert_eq(out[l], in[3 * l] * (in[3 * l] - 1) / 2 + 1);
}

Test(warp, branch_tables_jump)
{
    uint32_t in[3 * LANES], out[LANES];
    random_words(in, 3 * LANES, 3);
    run_warps("{ table: .branchtargets A, B, C;\nbrx.idx %r10, table;\nA: mov.u32 %r20, 10; bra OUT;\nB: mov.u32 %r20, "
              "20; bra OUT;\n"
              "C: mov.u32 %r20, 30;\nOUT: }",
              in, out, LANES);
    for (int l = 0; l < LANES; l++)
        cr_assert_eq(out[l], 10 + 10 * in[3 * l]);
}

Test(warp, functions_call_and_recurse)
{
    cue_module *m = test_module(
        ".func (.param .b32 r) twice(.param .b32 a) { .reg .b32 %r<4>; ld.param.u32 %r1, [a]; shl.b32 %r2, %r1, 1; "
        "st.param.b32 [r+0], %r2; ret; }\n"
        ".func (.param .b32 r) triple(.param .b32 a) { .reg .b32 %r<4>; ld.param.u32 %r1, [a]; mul.lo.s32 %r2, %r1, 3; "
        "st.param.b32 [r], %r2; ret; }\n"
        ".global .align 8 .u64 table[2] = {twice, triple};\n"
        ".func (.param .b32 r) fib(.param .b32 n) { .reg .b32 %r<9>; .reg .pred %p1; .local .align 4 .b8 keep[4];\n"
        "ld.param.u32 %r1, [n]; setp.lt.u32 %p1, %r1, 2; @%p1 bra SMALL; add.s32 %r2, %r1, -1;\n"
        "{ .param .b32 p0; st.param.b32 [p0+0], %r2; .param .b32 q0; call.uni (q0), fib, (p0); ld.param.b32 %r3, "
        "[q0+0]; }\n"
        "st.local.u32 [keep], %r3; add.s32 %r4, %r1, -2;\n"
        "{ .param .b32 p0; st.param.b32 [p0+0], %r4; .param .b32 q0; call.uni (q0), fib, (p0); ld.param.b32 %r5, "
        "[q0+0]; }\n"
        "ld.local.u32 %r3, [keep]; add.s32 %r6, %r3, %r5; st.param.b32 [r+0], %r6; ret; SMALL: st.param.b32 [r+0], "
        "%r1; ret; }\n"
        ".visible .entry k(.param .u64 out) { .reg .b64 %rd<9>; .reg .b32 %r<12>; .reg .pred %p1;\n"
        "ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 7; and.b32 %r3, %r1, 1; setp.gt.u32 %p1, "
        "%r1, 20;\n"
        "mul.wide.u32 %rd2, %r3, 8; mov.u64 %rd3, table; add.s64 %rd3, %rd3, %rd2; ld.global.u64 %rd4, [%rd3];\n"
        "{ .param .b32 p0; st.param.b32 [p0], %r2; .param .b32 q0; call (q0), fib, (p0); ld.param.b32 %r4, [q0]; }\n"
        "{ .param .b32 p0; st.param.b32 [p0], %r4; .param .b32 q0;\n"
        "proto: .callprototype (.param .b32 _) _ (.param .b32 _);\n @%p1 call (q0), %rd4, (p0), proto; @%p1 "
        "ld.param.b32 %r4, [q0]; }\n"
        "mul.wide.u32 %rd5, %r1, 4; add.s64 %rd1, %rd1, %rd5; st.global.u32 [%rd1], %r4; ret; }");
    static const uint32_t fib[] = {0, 1, 1, 2, 3, 5, 8, 13};
    uint32_t out[50];
    void *p = test_upload(out, sizeof out);
    cr_assert_eq(test_launch(m, "k", 1, 50, 0, &p), CUE_SUCCESS);
    test_download(out, p, sizeof out);
    for (uint32_t t = 0; t < 50; t++)
        cr_assert_eq(out[t], fib[t & 7] * (t <= 20 ? 1 : t & 1 ? 3 : 2), "thread %u: %u", t, out[t]);
}

Test(warp, threads_know_who_they_are)
{
    cue_module *m = test_module(
        ".visible .entry k(.param .u64 out) { .reg .b64 %rd<9>; .reg .b32 %r<40>;\n"
        "mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %ntid.x; mov.u32 %r4, %ntid.y; mov.u32 %r5, %ctaid.x; "
        "mov.u32 %r6, %ctaid.y;\n"
        "mov.u32 %r7, %nctaid.x; mov.u32 %r8, %nctaid.y; mad.lo.s32 %r9, %r2, %r3, %r1; mul.lo.s32 %r10, %r3, %r4;\n"
        "mad.lo.s32 %r11, %r6, %r7, %r5; mad.lo.s32 %r12, %r11, %r10, %r9; ld.param.u64 %rd1, [out]; mul.wide.u32 "
        "%rd2, %r12, 32; add.s64 %rd1, %rd1, %rd2;\n"
        "mov.u32 %r20, %laneid; mov.u32 %r21, %warpid; mov.u32 %r22, %lanemask_lt; mov.u32 %r23, %lanemask_ge; mov.u32 "
        "%r24, %lanemask_eq;\n"
        "mov.u32 %r25, %lanemask_le; mov.u32 %r26, %lanemask_gt; mov.u32 %r27, WARP_SZ; mov.u32 %r28, %ctaid.z; "
        "mov.u32 %r29, %nctaid.z; add.s32 %r27, %r27, %r29; add.s32 %r27, %r27, %r28;\n"
        "st.global.v4.u32 [%rd1], {%r20, %r21, %r22, %r23}; st.global.v4.u32 [%rd1+16], {%r24, %r25, %r26, %r27}; ret; "
        "}");
    enum { BX = 5, BY = 11, GX = 3, GY = 2, COUNT = BX * BY * GX * GY };
    uint32_t out[COUNT][8];
    memset(out, 0, sizeof out);
    void *p = test_upload(out, sizeof out);
    cr_assert_eq(test_launch_2d(m, "k", (uint32_t[]){GX, GY}, (uint32_t[]){BX, BY}, 0, &p), CUE_SUCCESS);
    test_download(out, p, sizeof out);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t lane = i % (BX * BY) % 32, eq = 1u << lane;
        const uint32_t want[8] = {lane, i % (BX * BY) / 32, eq - 1, ~(eq - 1), eq, eq | (eq - 1), ~(eq | (eq - 1)), 33};
        cr_assert_arr_eq(out[i], want, sizeof want);
    }
}
