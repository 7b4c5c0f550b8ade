/* test_counters.c: counters of kernels whose traffic is known by hand, and what one launch of the size that the project
 * asks for costs. The kernels are PTX, so that each access is where the text says. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 256, BLOCKS = 16, COUNT = THREADS * BLOCKS };

static int64_t of(const char *kernel, const char *counter)
{
    return cuemu_counter(kernel, counter);
}

static void expect(const char *kernel, const char *counter, int64_t want)
{
    cr_assert_eq(of(kernel, counter), want, "%s of %s: %lld, not %lld", counter, kernel, (long long)of(kernel, counter),
                 (long long)want);
}

typedef struct in_out {
    void *in, *out;
} in_out;

static in_out buffers(size_t bytes)
{
    void *zeros = calloc(1, bytes);
    in_out b = {test_upload(zeros, bytes), test_upload(zeros, bytes)};
    free(zeros);
    return b;
}

/* out[i] = in[stride * i + offset], one float a thread. */
static const char copy_text[] =
    ".visible .entry copy(.param .u64 in, .param .u64 out, .param .u32 stride, .param .u32 offset) {\n"
    ".reg .b64 %rd<9>; .reg .b32 %r<9>;\n"
    "ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; ld.param.u32 %r1, [stride]; ld.param.u32 %r2, [offset];\n"
    "mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x; mad.lo.s32 %r6, %r3, %r4, %r5;\n"
    "mad.lo.s32 %r7, %r6, %r1, %r2; mul.wide.u32 %rd3, %r7, 4; add.s64 %rd4, %rd1, %rd3; ld.global.f32 %r8, [%rd4];\n"
    "mul.wide.u32 %rd5, %r6, 4; add.s64 %rd6, %rd2, %rd5; st.global.f32 [%rd6], %r8; ret; }";

static void run_copy(uint32_t stride, uint32_t offset)
{
    struct {
        in_out b;
        uint32_t stride, offset;
    } p = {buffers((size_t)COUNT * 4 * (stride > 0 ? stride : 1) + 4 * offset), stride, offset};
    cr_assert_eq(test_launch(test_module(copy_text), "copy", BLOCKS, THREADS, 0, &p), CUE_SUCCESS);
}

Test(counters, coalesced_copy)
{
    run_copy(1, 0);
    expect("copy", "launches", 1);
    expect("copy", "global_read_bytes", COUNT * 4);
    expect("copy", "global_write_bytes", COUNT * 4);
    expect("copy", "global_read_sectors", COUNT * 4 / 32);
    expect("copy", "global_write_sectors", COUNT * 4 / 32);
    expect("copy", "needed_read_bytes", COUNT * 4);
    expect("copy", "needed_write_bytes", COUNT * 4);
    expect("copy", "shared_conflicts", 0);
    expect("copy", "branches", 0);
    /* 16 instructions a warp, ret among them */
    expect("copy", "warp_instructions", 16 * COUNT / 32);
    expect("copy", "thread_instructions", 16 * COUNT);
    expect("copy", "instructions_global", 2 * COUNT / 32);
    expect("copy", "instructions_integer", 6 * COUNT / 32);
    expect("copy", "instructions_move", 7 * COUNT / 32);
    expect("copy", "instructions_control", COUNT / 32);
}

Test(counters, a_copy_that_begins_in_the_middle_of_a_sector_takes_one_more)
{
    run_copy(1, 1);
    expect("copy", "global_read_sectors", COUNT / 32 * 5);
    expect("copy", "global_write_sectors", COUNT / 32 * 4);
}

Test(counters, strided_copy)
{
    run_copy(2, 0);
    expect("copy", "global_read_sectors", 2 * COUNT * 4 / 32);
    expect("copy", "needed_read_bytes", COUNT * 4);
    cuemu_reset_counters();
    run_copy(8, 0); /* one sector for each float */
    expect("copy", "launches", 1);
    expect("copy", "global_read_sectors", COUNT);
    cuemu_reset_counters();
    run_copy(32, 0);
    expect("copy", "global_read_sectors", COUNT);
    expect("copy", "global_read_bytes", COUNT * 4);
}

/* Every thread reads the same float: one sector a warp, four bytes needed. */
Test(counters, broadcast)
{
    run_copy(0, 3);
    expect("copy", "global_read_bytes", COUNT * 4);
    expect("copy", "global_read_sectors", COUNT / 32);
    expect("copy", "needed_read_bytes", 4);
}

/* A tile of 32 x 32 through shared memory, rows of `pitch` words. Blocks of 32 x 8. */
static const char transpose_text[] =
    ".visible .entry transpose(.param .u64 in, .param .u64 out, .param .u32 pitch) {\n"
    ".reg .b64 %rd<9>; .reg .b32 %r<30>; .reg .pred %p1; .shared .align 4 .b8 tile[4352];\n"
    "ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; ld.param.u32 %r1, [pitch]; mov.u32 %r2, %tid.x; mov.u32 "
    "%r3, %tid.y;\n"
    "mov.u32 %r4, tile; mov.u32 %r10, %r3;\n"
    "LOAD: shl.b32 %r11, %r10, 5; add.s32 %r11, %r11, %r2; mul.wide.u32 %rd3, %r11, 4; add.s64 %rd4, %rd1, "
    "%rd3;\n"
    "ld.global.f32 %r12, [%rd4]; mad.lo.s32 %r13, %r10, %r1, %r2; shl.b32 %r13, %r13, 2; add.s32 %r13, %r13, "
    "%r4;\n"
    "st.shared.f32 [%r13], %r12; add.s32 %r10, %r10, 8; setp.lt.u32 %p1, %r10, 32; @%p1 bra LOAD;\n"
    "bar.sync 0; mov.u32 %r10, %r3;\n"
    "STORE: mad.lo.s32 %r13, %r2, %r1, %r10; shl.b32 %r13, %r13, 2; add.s32 %r13, %r13, %r4; ld.shared.f32 "
    "%r12, [%r13];\n"
    "shl.b32 %r11, %r10, 5; add.s32 %r11, %r11, %r2; mul.wide.u32 %rd3, %r11, 4; add.s64 %rd4, %rd2, %rd3;\n"
    "st.global.f32 [%rd4], %r12; add.s32 %r10, %r10, 8; setp.lt.u32 %p1, %r10, 32; @%p1 bra STORE; ret; }";

static void run_transpose(uint32_t pitch)
{
    struct {
        in_out b;
        uint32_t pitch;
    } p = {buffers(4096), pitch};
    cr_assert_eq(
        test_launch_2d(test_module(transpose_text), "transpose", (uint32_t[]){1, 1}, (uint32_t[]){32, 8}, 0, &p),
        CUE_SUCCESS);
    expect("transpose", "global_read_sectors", 128);
    expect("transpose", "global_write_sectors", 128);
    expect("transpose", "shared_read_bytes", 4096);
    expect("transpose", "shared_write_bytes", 4096);
    expect("transpose", "barriers", 8);
    expect("transpose", "branches", 8 * 8);
    expect("transpose", "divergent_branches", 0);
}

Test(counters, transposition_through_shared_memory)
{
    run_transpose(32); /* a column lies in one bank: 31 passes more for each of 32 reads */
    expect("transpose", "shared_conflicts", 32 * 31);
    cuemu_reset_counters();
    run_transpose(33); /* padded: none */
    expect("transpose", "shared_conflicts", 0);
    cuemu_reset_counters();
    run_transpose(34); /* every second bank: two lanes each */
    expect("transpose", "shared_conflicts", 32);
}

/* Vectors of 16 bytes are served in quarters of the warp, of 8 bytes in halves: side by side there is no conflict. */
Test(counters, vectors_in_shared_memory)
{
    cue_module *m =
        test_module(".visible .entry vectors(.param .u64 out) { .reg .b32 %r<20>; .reg .b64 %rd<4>; .shared .align 16 "
                    ".b8 s[4096];\n"
                    "mov.u32 %r1, %tid.x; mov.u32 %r2, s; shl.b32 %r3, %r1, 4; add.s32 %r3, %r3, %r2; st.shared.v4.u32 "
                    "[%r3], {%r1, %r1, %r1, %r1};\n"
                    "shl.b32 %r4, %r1, 3; add.s32 %r4, %r4, %r2; bar.sync 0; ld.shared.v2.u32 {%r5, %r6}, [%r4];\n"
                    "shl.b32 %r7, %r1, 5; and.b32 %r7, %r7, 1023; add.s32 %r7, %r7, %r2; bar.sync 0; ld.shared.v4.u32 "
                    "{%r8, %r9, %r10, %r11}, [%r7]; ret; }");
    void *p = test_upload("1234", 4);
    cr_assert_eq(test_launch(m, "vectors", 1, 64, 0, &p), CUE_SUCCESS);
    expect("vectors", "shared_write_bytes", 64 * 16);
    expect("vectors", "shared_read_bytes", 64 * 24);
    /* 16 bytes every 32: in a quarter the lanes meet in pairs; a second pass for each of 4 quarters of 2 warps */
    expect("vectors", "shared_conflicts", 8);
}

/* A block sum: each thread takes COUNT / THREADS floats, then a tree in shared memory. */
static const char sum_text[] =
    ".visible .entry sum(.param .u64 in, .param .u64 out) {\n"
    ".reg .b64 %rd<9>; .reg .b32 %r<20>; .reg .f32 %f<9>; .reg .pred %p<4>; .shared .align 4 .b8 s[1024];\n"
    "ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 4; add.s64 %rd4, "
    "%rd1, %rd3;\n"
    "mov.u32 %r2, 0; mov.f32 %f1, 0f00000000;\n"
    "TOP: ld.global.f32 %f2, [%rd4]; add.f32 %f1, %f1, %f2; add.s64 %rd4, %rd4, 1024; add.s32 %r2, %r2, 1; setp.lt.u32 "
    "%p1, %r2, 16; @%p1 bra TOP;\n"
    "shl.b32 %r3, %r1, 2; mov.u32 %r4, s; add.s32 %r5, %r3, %r4; st.shared.f32 [%r5], %f1; mov.u32 %r6, 128; bar.sync "
    "0;\n"
    "TREE: setp.ge.u32 %p2, %r1, %r6; @%p2 bra IDLE; shl.b32 %r7, %r6, 2; add.s32 %r8, %r5, %r7; ld.shared.f32 %f3, "
    "[%r8];\n"
    "ld.shared.f32 %f4, [%r5]; add.f32 %f5, %f3, %f4; st.shared.f32 [%r5], %f5;\n"
    "IDLE: bar.sync 0; shr.u32 %r6, %r6, 1; setp.ne.u32 %p3, %r6, 0; @%p3 bra TREE;\n"
    "setp.ne.u32 %p2, %r1, 0; @%p2 bra END; ld.shared.f32 %f6, [s]; red.global.add.f32 [%rd2], %f6;\nEND: ret; }";

Test(counters, reduction)
{
    in_out b = buffers(COUNT * 4);
    cr_assert_eq(test_launch(test_module(sum_text), "sum", 1, THREADS, 0, &b), CUE_SUCCESS);
    expect("sum", "global_read_bytes", COUNT * 4);
    expect("sum", "global_read_sectors", COUNT * 4 / 32);
    expect("sum", "needed_read_bytes", COUNT * 4);
    expect("sum", "needed_write_bytes", 4);
    expect("sum", "global_write_bytes", 4);
    expect("sum", "global_write_sectors", 1);
    expect("sum", "atomic_operations", 1);
    /* the tree: 255 sums of two numbers, and thread 0 reads the last */
    expect("sum", "shared_read_bytes", 4 * (2 * 255 + 1));
    expect("sum", "shared_write_bytes", 4 * (256 + 255));
    expect("sum", "shared_conflicts", 0);
    expect("sum", "barriers", 8 * 9); /* 8 warps, one before and 8 levels */
    /* TOP 16, TREE 8, IDLE 8 and END 1 a warp. Lanes disagree below 32: at 16, 8, 4, 2, 1 and at the end, in warp 0. */
    expect("sum", "branches", 8 * (16 + 8 + 8 + 1));
    expect("sum", "divergent_branches", 6);
    expect("sum", "instructions_barrier", 8 * 9);
    expect("sum", "instructions_atomic", 1);
    /* 16 sums of each warp, and the levels: 4, 2, 1 warps, then one alone five times */
    expect("sum", "instructions_f32", 8 * 16 + 4 + 2 + 1 + 5);
}

/* Divergence: both sides of a branch take their turn, with the lanes that belong there. */
Test(counters, divergence)
{
    cue_module *m =
        test_module(".visible .entry sides() { .reg .b32 %r<9>; .reg .pred %p<3>; mov.u32 %r1, %laneid;\n"
                    "setp.lt.u32 %p1, %r1, 10; @%p1 bra LOW; add.s32 %r2, %r1, 1; add.s32 %r2, %r2, 1; bra OUT;\n"
                    "LOW: add.s32 %r2, %r1, 2;\nOUT: add.s32 %r3, %r2, 1; ret; }");
    cr_assert_eq(test_launch(m, "sides", 1, 32, 0, NULL), CUE_SUCCESS);
    expect("sides", "branches", 1);
    expect("sides", "divergent_branches", 1);
    expect("sides", "warp_instructions", 3 + 3 + 1 + 2);
    expect("sides", "thread_instructions", 3 * 32 - 32 + 10 + 3 * 22 + 10 + 2 * 32); /* the branch: 10 lanes took it */
}

Test(counters, host_counters_and_unknown_names)
{
    cue_count("host.synchronisations", 2);
    cue_count("host.synchronisations", 1);
    cr_assert_eq(cuemu_counter("host", "synchronisations"), 3);
    cr_assert_eq(cuemu_counter(NULL, "no_such_counter"), -1);
    cr_assert_eq(cuemu_counter("no_such_kernel", "launches"), 0);
    cuemu_reset_counters();
    cr_assert_eq(cuemu_counter("host", "synchronisations"), 0);
}

/* relu' with a grid stride, as nvcc writes it, over a million floats by 256 x 256 threads. */
Test(counters, a_launch_over_a_million_floats_takes_less_than_a_fifth_of_a_second)
{
    cue_module *m =
        test_module(".visible .entry relu(.param .u64 o, .param .u64 d, .param .u64 z, .param .u64 n) {\n"
                    ".reg .pred %p<4>; .reg .f32 %f<5>; .reg .b32 %r<6>; .reg .b64 %rd<20>;\n"
                    "ld.param.u64 %rd7, [o]; ld.param.u64 %rd8, [d]; ld.param.u64 %rd9, [z]; ld.param.u64 %rd10, [n];\n"
                    "mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mul.wide.u32 %rd11, %r2, %r3; mov.u32 %r4, %tid.x; "
                    "cvt.u64.u32 %rd12, %r4;\n"
                    "add.s64 %rd19, %rd11, %rd12; setp.ge.u64 %p1, %rd19, %rd10; @%p1 bra DONE; mov.u32 %r5, "
                    "%nctaid.x; mul.wide.u32 %rd6, %r5, %r3;\n"
                    "LOOP: shl.b64 %rd13, %rd19, 2; add.s64 %rd14, %rd9, %rd13; ld.global.f32 %f1, [%rd14]; "
                    "setp.gt.f32 %p2, %f1, 0f00000000;\n"
                    "mov.f32 %f4, 0f00000000; @!%p2 bra ZERO; add.s64 %rd15, %rd8, %rd13; ld.global.f32 %f4, [%rd15];\n"
                    "ZERO: add.s64 %rd16, %rd7, %rd13; st.global.f32 [%rd16], %f4; add.s64 %rd19, %rd19, %rd6; "
                    "setp.lt.u64 %p3, %rd19, %rd10; @%p3 bra LOOP;\n"
                    "DONE: ret; }");
    enum { MILLION = 1 << 20 };
    float *z = malloc(MILLION * sizeof *z);
    for (int i = 0; i < MILLION; i++)
        z[i] = (float)((int)(test_random() % 200) - 100);
    struct {
        void *o, *d, *z;
        uint64_t n;
    } p = {test_upload(z, MILLION * 4), test_upload(z, MILLION * 4), test_upload(z, MILLION * 4), MILLION};
    double best = 1e9;
    for (int round = 0; round < 3; round++) { /* processor time: other work on the machine does not count */
        clock_t start = clock();
        cr_assert_eq(test_launch(m, "relu", 256, 256, 0, &p), CUE_SUCCESS);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        best = seconds < best ? seconds : best;
    }
    fprintf(stderr, "relu over 2^20 floats, 256 x 256 threads: %.1f ms of processor time\n", 1e3 * best);
    test_download(z, p.o, MILLION * 4);
    cr_assert_eq(cue_report_count(), 0);
    cr_assert_lt(best, 0.2);
    free(z);
}
