/* test_checks.c: the checks themselves, where the fault corpus does not reach: device memory and its bounds, words in
 * parts, order of operations, what is not implemented, how reports are counted and end the process. */
#include "support.h"

#include "device/memory.h"
#include "device/ptx.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static cuemu_report last_report(void)
{
    cuemu_report r = {0};
    cr_assert_gt(cuemu_report_place_count(), 0, "no report");
    cr_assert_eq(cuemu_report_get(cuemu_report_place_count() - 1, &r), 0);
    return r;
}

static void expect_report(const char *kind)
{
    cr_assert_str_eq(last_report().kind, kind, "%s: %s", last_report().kind, last_report().text);
    cuemu_forgive_reports();
}

static void expect_silence(void)
{
    cr_assert_eq(cue_report_count(), 0, "%s: %s", last_report().kind, last_report().text);
}

/* ---------------------------------------------------------------- device memory */
Test(memory_model, allocations_are_apart_poisoned_and_rest_after_release)
{
    void *a, *b, *c;
    uint32_t poison;
    cr_assert_eq(cue_mem_alloc(100, &a), CUE_SUCCESS);
    cr_assert_eq(cue_mem_alloc(1, &b), CUE_SUCCESS);
    cr_assert_eq((uintptr_t)a % 256, 0);
    cr_assert_geq(labs((char *)b - (char *)a), 512);
    cue_mem_unlock();
    memcpy(&poison, a, 4);
    cue_mem_lock();
    cr_assert_eq(poison, UINT32_MAX);
    cr_assert_eq(cue_mem_free(a), CUE_SUCCESS);
    cr_assert_eq(cue_mem_free(a), CUE_INVALID_VALUE);
    cr_assert_eq(cue_mem_free((char *)b + 1), CUE_INVALID_VALUE);
    cr_assert_eq(cue_mem_alloc(100, &c), CUE_SUCCESS);
    cr_assert_neq(c, a, "a freed address is not given out again at once");
}

Test(memory_model, the_modelled_size_is_all_there_is)
{
    cue_settings_get()->memory_bytes = 1 << 20;
    size_t free_bytes, total;
    void *a, *b;
    cr_assert_eq(cue_mem_alloc(1 << 19, &a), CUE_SUCCESS);
    cue_mem_info(&free_bytes, &total);
    cr_assert_eq(total, 1 << 20);
    cr_assert_eq(free_bytes, 1 << 19);
    cr_assert_eq(cue_mem_alloc((1 << 19) + 1, &b), CUE_OUT_OF_MEMORY);
    cr_assert_null(b);
    cr_assert_eq(cue_mem_alloc(SIZE_MAX - 100, &b), CUE_OUT_OF_MEMORY);
    cr_assert_eq(cue_mem_alloc(1 << 19, &b), CUE_SUCCESS);
    cr_assert_eq(cue_mem_free(a), CUE_SUCCESS);
    for (int i = 0; i < 2000; i++) { /* far more than the address space holds: released addresses come back */
        cr_assert_eq(cue_mem_alloc(1 << 19, &a), CUE_SUCCESS, "round %d", i);
        cr_assert_eq(cue_mem_access(++test_last_op, a, 1 << 19, CUE_WRITE, "use"), CUE_SUCCESS);
        cr_assert_eq(cue_mem_free(a), CUE_SUCCESS);
    }
    expect_silence();
}

Test(memory_model, addresses_belong_to_their_allocation)
{
    void *a, *base;
    size_t bytes;
    cr_assert_eq(cue_mem_alloc(1000, &a), CUE_SUCCESS);
    cr_assert(cue_mem_find((char *)a + 999, &base, &bytes) && base == a && bytes == 1000);
    cr_assert_not(cue_mem_find((char *)a + 1000, &base, &bytes));
    cr_assert_not(cue_mem_find((char *)a - 1, &base, &bytes));
    cr_assert(cue_mem_is_device(a));
    cr_assert_not(cue_mem_is_device(&a));
}

Test(memory_model, ranges_are_checked_to_the_byte)
{
    static const char zeros[64];
    void *a;
    cr_assert_eq(cue_mem_alloc(61, &a), CUE_SUCCESS);
    cr_assert_eq(cue_mem_access(1, a, 61, CUE_WRITE, "all"), CUE_SUCCESS);
    cr_assert_eq(cue_mem_access(2, (char *)a + 1, 60, CUE_READ, "rest"), CUE_SUCCESS);
    expect_silence();
    cr_assert_eq(cue_mem_access(3, a, 62, CUE_READ, "one too many"), CUE_ILLEGAL_ADDRESS);
    expect_report("out-of-bounds");
    cr_assert_eq(cue_mem_copy(4, (char *)a + 1, zeros, 61, "copy"), CUE_ILLEGAL_ADDRESS);
    expect_report("out-of-bounds");
    cue_mem_free(a);
    cr_assert_eq(cue_mem_access(5, a, 1, CUE_READ, "freed"), CUE_ILLEGAL_ADDRESS);
    expect_report("use-after-free");
}

/* What is known of them is written where they are touched first: at an end, in the middle, after their release. */
Test(memory_model, large_blocks_are_checked_like_small_ones)
{
    enum { BYTES = (5 << 20) + 3 };
    const size_t places[] = {0, 1 << 20, (1 << 20) + 65535, BYTES - 1};
    char *a, byte;
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(cue_mem_alloc(BYTES, (void **)&a), CUE_SUCCESS);
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            cr_assert_eq(cue_mem_copy(++test_last_op, &byte, a + places[i], 1, "read"), CUE_SUCCESS);
            expect_report("uninitialised");
            cr_assert_eq(byte, (char)0xff, "byte %zu", places[i]);
            cr_assert_eq(cue_mem_access(++test_last_op, a + places[i], 1, CUE_WRITE, "write"), CUE_SUCCESS);
            cr_assert_eq(cue_mem_copy(++test_last_op, &byte, a + places[i], 1, "read"), CUE_SUCCESS);
            expect_silence();
        }
        cr_assert_eq(cue_mem_access(++test_last_op, a + BYTES - 1, 2, CUE_WRITE, "past it"), CUE_ILLEGAL_ADDRESS);
        expect_report("out-of-bounds");
        cr_assert_eq(cue_mem_access(++test_last_op, a - 1, 2, CUE_WRITE, "before it"), CUE_ILLEGAL_ADDRESS);
        expect_report("out-of-bounds");
        cr_assert_eq(cue_mem_free(a), CUE_SUCCESS);
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            cr_assert_eq(cue_mem_access(++test_last_op, a + places[i], 1, CUE_READ, "freed"), CUE_ILLEGAL_ADDRESS);
            expect_report("use-after-free");
        }
        cr_assert_eq(cue_mem_access(++test_last_op, a + BYTES + 1, 1, CUE_READ, "past it"), CUE_ILLEGAL_ADDRESS);
        expect_report("out-of-bounds");
    }
}

Test(memory_model, copies_carry_what_was_never_written)
{
    char host[8] = {0};
    void *a, *b;
    cr_assert_eq(cue_mem_alloc(8, &a), CUE_SUCCESS);
    cr_assert_eq(cue_mem_alloc(8, &b), CUE_SUCCESS);
    cue_mem_access(1, a, 3, CUE_WRITE, "three bytes");
    cr_assert_eq(cue_mem_copy(2, b, a, 8, "device to device"), CUE_SUCCESS);
    expect_silence();
    cr_assert_eq(cue_mem_copy(3, host, b, 3, "the written ones"), CUE_SUCCESS);
    expect_silence();
    cr_assert_eq(cue_mem_copy(4, host, b, 4, "one more"), CUE_SUCCESS);
    expect_report("uninitialised");
}

Test(memory_model, unordered_operations_race)
{
    void *a;
    cr_assert_eq(cue_mem_alloc(64, &a), CUE_SUCCESS);
    cue_mem_access(1, a, 64, CUE_WRITE, "first");
    cue_mem_access(2, a, 64, CUE_READ, "ordered");
    expect_silence();
    test_unordered = 3;
    cue_mem_access(3, (char *)a + 8, 4, CUE_READ, "reader beside the stream");
    expect_report("race-stream");
    cue_mem_access(4, (char *)a + 12, 4, CUE_WRITE, "another word");
    expect_silence();
    cue_mem_access(5, (char *)a + 8, 4, CUE_WRITE, "writer after the reader");
    expect_report("race-stream");
}

/* More shadow than 16 bytes a byte is never committed, even where every byte has its own writer. */
Test(memory_model, shadow_is_at_most_sixteen_times_the_memory)
{
    enum { MEGABYTES = 8, BYTES = MEGABYTES << 20 };
    cue_module *m = test_module(".visible .entry touch(.param .u64 at) { .reg .b64 %rd<5>; .reg .b32 %r<9>; .reg .b16 "
                                "%h<3>; ld.param.u64 %rd1, [at];\n"
                                "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mad.lo.s32 %r3, %r1, 1024, %r2; "
                                "cvt.u64.u32 %rd2, %r3; add.s64 %rd3, %rd1, %rd2;\n"
                                "ld.global.u8 %h1, [%rd3]; add.s16 %h2, %h1, 1; st.global.u8 [%rd3], %h2; ret; }");
    void *a;
    cr_assert_eq(cue_mem_alloc(BYTES, &a), CUE_SUCCESS);
    cue_mem_access(++test_last_op, a, BYTES, CUE_WRITE, "clear");
    cue_mem_unlock();
    memset(a, 0, BYTES);
    cue_mem_lock();
    cr_assert_eq(test_launch(m, "touch", BYTES / 1024, 1024, 0, &a), CUE_SUCCESS);
    expect_silence();
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f != NULL && fscanf(f, "%ld %ld", &pages, &resident) == 2);
    fclose(f);
    double times =
        (double)resident * 4096 / BYTES - 1; /* without the memory itself; all else of the process included */
    fprintf(stderr, "touched by bytes: at most %.1f bytes of shadow per byte\n", times);
    cr_assert_leq(times, 16.0);
}

/* ---------------------------------------------------------------- parts of words */
static const char bytes_text[] = ".visible .entry bytes(.param .u64 at, .param .u32 shift) { .reg .b64 %rd<5>; .reg "
                                 ".b32 %r<9>; ld.param.u64 %rd1, [at]; ld.param.u32 %r3, [shift];\n"
                                 "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; mad.lo.s32 %r4, %r1, 64, %r2; mad.lo.s32 "
                                 "%r4, %r1, %r3, %r4; cvt.u64.u32 %rd2, %r4; add.s64 %rd3, %rd1, %rd2;\n"
                                 "st.global.u8 [%rd3], %r1; ret; }";

Test(parts, neighbours_in_one_word_do_not_race)
{
    cue_module *m = test_module(bytes_text);
    struct {
        void *at;
        int32_t shift;
    } p = {test_upload(bytes_text, 513), 1}; /* blocks begin at 0, 65, 130, ...: all borders lie inside words */
    cr_assert_eq(test_launch(m, "bytes", 7, 64, 0, &p), CUE_SUCCESS);
    expect_silence();
    p.shift = -1; /* and now each shares a byte with the next */
    cr_assert_eq(test_launch(m, "bytes", 7, 64, 0, &p), CUE_SUCCESS);
    cr_assert_eq(last_report().times, 6);
    expect_report("race-global");
}

Test(parts, a_whole_word_races_with_each_of_its_parts)
{
    cue_module *m = test_module(".visible .entry mixed(.param .u64 at) { .reg .b64 %rd<5>; .reg .b32 %r<9>; .reg .pred "
                                "%p1; ld.param.u64 %rd1, [at]; mov.u32 %r1, %ctaid.x;\n"
                                "setp.eq.u32 %p1, %r1, 1; @%p1 bra WORD; st.global.u8 [%rd1+3], 1; ret; WORD: "
                                "ld.global.u32 %r2, [%rd1]; ret; }");
    void *a = test_upload("12345678", 8);
    cr_assert_eq(test_launch(m, "mixed", 2, 1, 0, &a), CUE_SUCCESS);
    expect_report("race-global");
}

/* ---------------------------------------------------------------- what is not implemented */
/* in_child: what a process prints on stderr when it does this, and its exit status. */
static int in_child(void (*action)(void), char *text, size_t room)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        action();
        exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used + 1 < room && (got = read(ends[0], text + used, room - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    close(ends[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void launch_unknown(void)
{
    cue_module *m = test_module(".file 1 \"src/new.cu\"\n.visible .entry k() { .reg .b32 %r<4>; .loc 1 42 7\n"
                                "add.s32 %r1, %r2, 1; frobnicate.sync.b32 %r1, %r2; ret; }");
    test_launch(m, "k", 1, 1, 0, NULL);
}

static void launch_unknown_modifier(void)
{
    cue_module *m = test_module(".visible .entry k() { .reg .b32 %r<4>; add.rz.s32 %r1, %r2, 1; ret; }");
    test_launch(m, "k", 1, 1, 0, NULL);
}

static void launch_the_other_one(void)
{
    cue_module *m = test_module(
        ".visible .entry k() { .reg .b32 %r<4>; frobnicate.b32 %r1, %r2; ret; }\n.visible .entry good() { ret; }");
    if (cue_module_kernel(m, "k") == NULL || test_launch(m, "good", 1, 1, 0, NULL) != CUE_SUCCESS)
        exit(1);
}

static void load_nonsense(void)
{
    test_module(".visible .entry k(.param .u64 a { ret; }");
}

static void call_through_unknown(void)
{
    cue_module *m = test_module(
        ".func deep() { .reg .f32 %f<3>; sin.rn.f32 %f1, %f2; ret; }\n.visible .entry k() { call.uni deep; ret; }");
    test_launch(m, "k", 1, 1, 0, NULL);
}

Test(unimplemented, names_instruction_kernel_file_and_line)
{
    char text[2000];
    cr_assert_eq(in_child(launch_unknown, text, sizeof text), 99);
    cr_assert(strstr(text, "frobnicate.sync.b32 %r1, %r2") && strstr(text, "kernel k") && strstr(text, "new.cu:42"),
              "%s", text);
    cr_assert_eq(in_child(launch_unknown_modifier, text, sizeof text), 99);
    cr_assert(strstr(text, "add.rz.s32"), "%s", text);
    cr_assert_eq(in_child(call_through_unknown, text, sizeof text), 99);
    cr_assert(strstr(text, "sin.rn.f32") && strstr(text, "PTX:4"), "%s", text);
    cr_assert_eq(in_child(load_nonsense, text, sizeof text), 99);
    cr_assert(strstr(text, "PTX line 4"), "%s", text);
}

Test(unimplemented, a_kernel_that_is_not_launched_does_no_harm)
{
    char text[2000];
    cr_assert_eq(in_child(launch_the_other_one, text, sizeof text), 0, "%s", text);
}

/* Words that the table must not accept: wrong types, roundings and modifiers for each instruction. */
Test(unimplemented, nothing_is_guessed)
{
    static const char *const wrong[] = {"add.f32.f64 %r1, %r2, %r3",
                                        "add.ftz.s32 %r1, %r2, %r3",
                                        "fma.f32 %r1, %r2, %r3, %r4",
                                        "mul.s32 %r1, %r2, %r3",
                                        "mul.wide.s64 %rd1, %rd2, %rd3",
                                        "div.f32 %r1, %r2, %r3",
                                        "sqrt.rn.sat.f32 %r1, %r2",
                                        "add.rz.bf16 %r1, %r2, %r3",
                                        "cvt.f32.f64 %r1, %rd1",
                                        "cvt.s32.f32 %r1, %r2",
                                        "cvt.rni.f32.s32 %r1, %r2",
                                        "cvt.rn.f64.f32 %rd1, %r2",
                                        "cvt.rna.f16.f32 %r1, %r2",
                                        "setp.lo.s32 %p1, %r1, %r2",
                                        "setp.ltu.s32 %p1, %r1, %r2",
                                        "setp.lt.b32 %p1, %r1, %r2",
                                        "set.lt.f64.f32 %rd1, %r1, %r2",
                                        "ld.global.v3.f32 {%r1, %r2, %r3}, [%rd1]",
                                        "ld.global.v2.f32 {%r1}, [%rd1]",
                                        "st.const.f32 [%rd1], %r1",
                                        "ld.global.f99 %r1, [%rd1]",
                                        "atom.global.add.s64 %rd1, [%rd2], %rd3",
                                        "atom.global.inc.s32 %r1, [%rd2], %r3",
                                        "atom.global.add.f16 %r1, [%rd2], %r3",
                                        "red.global.exch.b32 [%rd2], %r3",
                                        "atom.global.min.f32 %r1, [%rd2], %r3",
                                        "shfl.up.b32 %r1, %r2, 1, 0",
                                        "shfl.sync.up.b64 %rd1, %rd2, 1, 0, -1",
                                        "vote.ballot.b32 %r1, %p1",
                                        "bar.red.popc.u32 %r1, %p1",
                                        "bar.arrive 0",
                                        "mov.b128 %rd1, %rd2",
                                        "mov.u32 %r1, nowhere",
                                        "mov.u32 %r1, %r2, %r3",
                                        "bra.sync L",
                                        "selp.u8 %r1, %r2, %r3, %p1",
                                        "shl.s32 %r1, %r2, 1",
                                        "popc.u32 %r1, %r2",
                                        "cp.async.cg.shared.global [%rd1], [%rd2], 8",
                                        "mov.f64 %rd1, 0f3F800000",
                                        "add.s32 %p1, %r1, %r2",
                                        "mov.pred %p1, %r1",
                                        "lop3.b64 %rd1, %rd2, %rd3, %rd4, 1",
                                        "tanh.f32 %r1, %r2",
                                        "ex2.f32 %r1, %r2",
                                        "min.rn.f32 %r1, %r2, %r3"};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[400];
        snprintf(text, sizeof text,
                 ".visible .entry k() { .reg .b32 %%r<9>; .reg .b64 %%rd<9>; .reg .pred %%p<3>; L: %s; ret; }",
                 wrong[i]);
        cue_module *m = test_module(text);
        cr_assert_not_null(((struct cue_kernel *)cue_module_kernel(m, "k"))->unimplemented, "%s is accepted", wrong[i]);
    }
}

/* ---------------------------------------------------------------- reports */
static void report_twice(void)
{
    cue_place place = {.kernel = "k", .file = "a.cu", .line = 7};
    cue_report(CUE_RACE_SHARED, &place, "first");
    cue_report(CUE_RACE_SHARED, &place, "second");
    cue_report(CUE_API, NULL, "third");
}

static void count_only(void)
{
    cue_settings_get()->on_report = CUE_REPORT_COUNT;
    report_twice();
}

static void abort_at_once(void)
{
    cue_settings_get()->on_report = CUE_REPORT_ABORT;
    report_twice();
}

static void forgive(void)
{
    report_twice();
    cuemu_forgive_reports();
}

static void touch_from_host(void)
{
    void *a;
    cue_mem_alloc(16, &a);
    *(volatile char *)a = 1;
}

Test(reports, once_per_place_and_the_status_tells)
{
    char text[2000];
    cr_assert_eq(in_child(report_twice, text, sizeof text), 99);
    cr_assert(strstr(text, "race-shared") && strstr(text, "a.cu:7") && strstr(text, "first") && !strstr(text, "second"),
              "%s", text);
    cr_assert(strstr(text, "3 reports at 2 places"), "%s", text);
    cr_assert_eq(in_child(count_only, text, sizeof text), 0);
    cr_assert_eq(in_child(abort_at_once, text, sizeof text), 256 + SIGABRT);
    cr_assert_eq(in_child(forgive, text, sizeof text), 0);
    cr_assert_eq(in_child(touch_from_host, text, sizeof text), 256 + SIGSEGV);
    cr_assert(strstr(text, "host-dereference"), "%s", text);
}
