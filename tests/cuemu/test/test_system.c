/* test_system.c: instructions that order, advise or ask: fences, prefetches, policies, clocks, sizes of shared memory;
 * and what the driver supplies: printf and assert. */
#include "support.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

Test(system, fences_prefetches_and_policies_change_nothing)
{
    static const char *const nothing[] = {
        "membar.cta;",
        "membar.gl;",
        "membar.sys;",
        "fence.sc.cta;",
        "fence.acq_rel.gpu;",
        "fence.sc.sys;",
        "prefetch.global.L1 [%rd1];",
        "prefetch.global.L2 [%rd1+32];",
        "prefetch.L2 [%rd1];",
        "prefetchu.L1 [%rd1];",
        "prefetch.global.L2::evict_last [%rd1];",
        "nanosleep.u32 20;",
        "nanosleep.u32 %r1;",
        "createpolicy.fractional.L2::evict_last.b64 %rd3, 0f3F800000; ld.global.L2::cache_hint.u32 %r2, [%rd1], %rd3;",
        "bar.sync 0;",
        "barrier.sync 0;",
        "barrier.cta.sync.aligned 3;",
        "bar.sync 2, 32;",
        "bar.warp.sync -1;",
        "ldu.global.u32 %r2, [%rd1];",
        ".pragma \"nounroll\";"};
    for (unsigned i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        char text[700];
        snprintf(text, sizeof text,
                 ".visible .entry k(.param .u64 at) { .reg .b64 %%rd<9>; .reg .b32 %%r<9>; .reg .pred %%p1;\n"
                 "ld.param.u64 %%rd1, [at]; mov.u32 %%r1, 7; mov.u32 %%r2, 7;\n%s\n"
                 "mov.u32 %%r4, %%tid.x; setp.ne.u32 %%p1, %%r4, 0; @!%%p1 st.global.u32 [%%rd1+4], 0; ret; }",
                 nothing[i]);
        uint32_t words[16] = {7, 1};
        void *p = test_upload(words, sizeof words);
        cue_module *m = test_module(text);
        cr_assert_eq(test_launch(m, "k", 1, 32, 0, &p), CUE_SUCCESS, "%s", nothing[i]);
        uint32_t after[16];
        test_download(after, p, sizeof after);
        words[1] = 0;
        cr_assert_arr_eq(after, words, sizeof words, "%s", nothing[i]);
        cue_module_unload(m);
        cue_mem_free(p);
    }
    cr_assert_eq(cue_report_count(), 0);
}

Test(system, kernels_can_ask_for_clocks_and_sizes)
{
    cue_module *m = test_module(
        ".extern .shared .align 8 .b8 dynamic[];\n"
        ".visible .entry k(.param .u64 out) { .reg .b64 %rd<9>; .reg .b32 %r<30>; .shared .align 4 .b8 fixed[36];\n"
        "ld.param.u64 %rd1, [out]; mov.u64 %rd2, %clock64; mov.u32 %r1, %clock; mov.u64 %rd3, %globaltimer; mov.u32 "
        "%r2, fixed;\n"
        "mov.u32 %r10, %dynamic_smem_size; mov.u32 %r11, %total_smem_size; mov.u32 %r12, %nwarpid; mov.u32 %r13, "
        "%nsmid; mov.u32 %r14, %smid;\n"
        "mov.u32 %r15, %clock_hi; mov.u32 %r16, %globaltimer_lo; mov.u32 %r17, %globaltimer_hi; mov.b64 %rd4, {%r16, "
        "%r17};\n"
        "mov.u64 %rd5, %clock64; st.global.v2.u64 [%rd1], {%rd2, %rd5}; st.global.v2.u64 [%rd1+16], {%rd3, %rd4};\n"
        "st.global.v4.u32 [%rd1+32], {%r10, %r11, %r12, %r13}; st.global.v2.u32 [%rd1+48], {%r14, %r15}; ret; }");
    struct {
        uint64_t clock, later, time, time_later;
        uint32_t dynamic, total, warps, processors, processor, clock_high;
        uint32_t unused[2];
    } out = {0};
    void *p = test_upload(&out, sizeof out);
    cr_assert_eq(test_launch(m, "k", 1, 1, 100, &p), CUE_SUCCESS);
    test_download(&out, p, sizeof out);
    cr_assert_lt(out.clock, out.later + 1);
    cr_assert_leq(out.time, out.time_later);
    cr_assert_gt(out.time, 0);
    cr_assert_eq(out.dynamic, 100);
    cr_assert_eq(out.total, 136);
    cr_assert_geq(out.warps, 1);
    cr_assert_lt(out.processor, out.processors);
    cr_assert_eq(out.clock_high, 0);
}

static const char printf_text[] =
    ".extern .func (.param .b32 r) vprintf(.param .b64 a, .param .b64 b);\n"
    ".global .align 1 .b8 word[6] = {104, 101, 108, 108, 111};\n"
    ".global .align 1 .b8 format[40] = {37, 100, 32, 37, 53, 46, 50, 102, 32, 37, 108, 108, 120, 32, 37, 115, 32, 37, "
    "37, 32, 37, 99, 37, 117, 10};\n"
    ".visible .entry k() { .reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .f64 %fd<3>; .local .align 8 .b8 room[40];\n"
    "mov.u64 %rd1, room; cvta.local.u64 %rd2, %rd1; mov.u32 %r1, %tid.x; sub.s32 %r2, %r1, 5; st.local.u32 [%rd1], "
    "%r2;\n"
    "cvt.rn.f64.s32 %fd1, %r1; add.f64 %fd1, %fd1, 0d3FE0000000000000; st.local.f64 [%rd1+8], %fd1; st.local.u64 "
    "[%rd1+16], 0x123456789ab;\n"
    "mov.u64 %rd3, word; cvta.global.u64 %rd4, %rd3; st.local.u64 [%rd1+24], %rd4; st.local.u32 [%rd1+32], 65; "
    "st.local.u32 [%rd1+36], 4294967295;\n"
    "mov.u64 %rd5, format; cvta.global.u64 %rd6, %rd5;\n"
    "{ .param .b64 p0; st.param.b64 [p0+0], %rd6; .param .b64 p1; st.param.b64 [p1+0], %rd2; .param .b32 q; call.uni "
    "(q), vprintf, (p0, p1); ld.param.b32 %r3, [q+0]; } ret; }";

Test(system, printf_prints_what_c_would, .init = cr_redirect_stdout)
{
    cr_assert_eq(test_launch(test_module(printf_text), "k", 1, 2, 0, NULL), CUE_SUCCESS);
    fflush(stdout);
    cr_assert_stdout_eq_str("-5  0.50 123456789ab hello % A4294967295\n-4  1.50 123456789ab hello % A4294967295\n");
}

Test(system, a_failed_assertion_names_its_words)
{
    cue_module *m = test_module(
        ".extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 d, .param .b64 e);\n"
        ".global .align 1 .b8 what[6] = {120, 32, 62, 32, 48};\n.global .align 1 .b8 file[5] = {97, 46, 99, 117};\n"
        ".visible .entry k() { .reg .b64 %rd<9>; .reg .b32 %r<3>; .reg .pred %p1; mov.u32 %r1, %tid.x; setp.lt.u32 "
        "%p1, %r1, 3; @%p1 bra OK;\n"
        "mov.u64 %rd1, what; mov.u64 %rd2, file;\n"
        "{ .param .b64 p0; st.param.b64 [p0], %rd1; .param .b64 p1; st.param.b64 [p1], %rd2; .param .b32 p2; "
        "st.param.b32 [p2], 12;\n"
        ".param .b64 p3; st.param.b64 [p3], %rd2; .param .b64 p4; st.param.b64 [p4], 1; call.uni __assertfail, (p0, "
        "p1, p2, p3, p4); }\nOK: ret; }");
    cr_assert_eq(test_launch(m, "k", 1, 3, 0, NULL), CUE_SUCCESS);
    cr_assert_eq(test_launch(m, "k", 1, 4, 0, NULL), CUE_ASSERT);
    cuemu_report r;
    cr_assert_eq(cuemu_report_get(0, &r), 0);
    cr_assert_str_eq(r.kind, "device-assert");
    cr_assert_str_eq(r.text, "a.cu:12: assertion 'x > 0' failed");
    cuemu_forgive_reports();
}
