/* test_memory.c: loads and stores of every type and vector in every space, atomics, asynchronous copies, carries, and
 * the moves that pack and unpack. */
#include "values.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- loads and stores */
typedef struct element {
    const char *type;
    int bytes;
    bool is_signed;
} element;

static const element elements[] = {
    {"u8", 1, false},  {"s8", 1, true},   {"b8", 1, false},  {"u16", 2, false}, {"s16", 2, true},
    {"b16", 2, false}, {"u32", 4, false}, {"s32", 4, true},  {"b32", 4, false}, {"f32", 4, false},
    {"u64", 8, false}, {"s64", 8, true},  {"b64", 8, false}, {"f64", 8, false},
};
enum { ELEMENTS = sizeof elements / sizeof elements[0], THREADS = 96, SLOT = 32 };

/* registers: "%rd20" or "{%rd20, %rd21}". */
static void registers(char *text, size_t room, int first, int vector)
{
    size_t used = (size_t)snprintf(text, room, vector > 1 ? "{" : "");
    for (int i = 0; i < vector; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%%rd%d", i > 0 ? ", " : "", first + i);
    snprintf(text + used, room - used, vector > 1 ? "}" : "");
}

/* check_copy: each thread takes a slot from global memory, through `space`, back to global memory. */
static void check_copy(const element *e, int vector, const char *space, const char *load_hint, const char *store_hint)
{
    static const struct {
        const char *name, *word, *declare, *address; /* the address of the thread's slot goes to %rd5 */
    } spaces[] = {
        {"global", ".global", "", "mov.b64 %rd5, %rd2;"},
        {"shared", ".shared", ".shared .align 32 .b8 room[3072];", "mov.u64 %rd4, room; add.s64 %rd5, %rd4, %rd3;"},
        {"local", ".local", ".local .align 32 .b8 room[32];", "mov.u64 %rd5, room;"},
        {"generic", "", ".shared .align 32 .b8 room[3072];",
         "mov.u64 %rd4, room; cvta.shared.u64 %rd5, %rd4; add.s64 %rd5, %rd5, %rd3;"},
    };
    int which = 0;
    while (strcmp(spaces[which].name, space) != 0)
        which++;
    char text[3000], first[120], second[120], type[20];
    registers(first, sizeof first, 20, vector);
    registers(second, sizeof second, 30, vector);
    snprintf(type, sizeof type, vector > 1 ? ".v%d.%s" : "%.0d.%s", vector > 1 ? vector : 0, e->type);
    bool global = which == 0;
    snprintf(
        text, sizeof text,
        ".visible .entry copy(.param .u64 in, .param .u64 out) {\n.reg .b64 %%rd<40>; .reg .b32 %%r<8>;\n%s\n"
        "ld.param.u64 %%rd1, [in]; ld.param.u64 %%rd2, [out]; mov.u32 %%r1, %%tid.x; mul.wide.u32 %%rd3, %%r1, %d;\n"
        "add.s64 %%rd1, %%rd1, %%rd3; add.s64 %%rd2, %%rd2, %%rd3;\n%s\n"
        "ld.global%s%s %s, [%%rd1];\nst%s%s%s [%%rd5], %s;\n"
        "ld%s%s %s, [%%rd5];\nst.global%s%s [%%rd2], %s;\nret;\n}\n",
        spaces[which].declare, SLOT, spaces[which].address, load_hint, type, first, spaces[which].word,
        global ? store_hint : "", type, first, spaces[which].word, type, second, store_hint, type, second);
    cue_module *m = test_module(text);
    uint8_t bytes[THREADS * SLOT], got[THREADS * SLOT];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)test_random();
    memset(got, 0, sizeof got);
    struct {
        void *in, *out;
    } p = {test_upload(bytes, sizeof bytes), test_upload(got, sizeof got)};
    cr_assert_eq(test_launch(m, "copy", 1, THREADS, 0, &p), CUE_SUCCESS, "%s via %s", type, space);
    test_download(got, p.out, sizeof got);
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < SLOT; i++)
            cr_assert_eq(got[t * SLOT + i], i < e->bytes * vector ? bytes[t * SLOT + i] : 0, "%s via %s", type, space);
    cr_assert_eq(cue_report_count(), 0);
    cue_module_unload(m);
}

Test(memory, every_type_and_vector_goes_to_every_space)
{
    static const char *const spaces[] = {"global", "shared", "local", "generic"};
    for (int e = 0; e < ELEMENTS; e++)
        for (int vector = 1; vector <= 4; vector *= 2)
            for (int s = 0; s < 4; s++)
                if (elements[e].bytes * vector <= 32)
                    check_copy(&elements[e], vector, spaces[s], "", "");
    check_copy(&elements[9], 8, "global", "", "");
}

Test(memory, cache_hints_change_nothing)
{
    static const char *const loads[] = {".ca",
                                        ".cg",
                                        ".cs",
                                        ".lu",
                                        ".cv",
                                        ".nc",
                                        ".L1::no_allocate",
                                        ".nc.L1::evict_last",
                                        ".L2::128B",
                                        ".volatile",
                                        ".relaxed.gpu",
                                        ".acquire.sys",
                                        ".weak"};
    static const char *const stores[] = {".wb",       ".cg",          ".cs",          ".wt",  ".L1::evict_first",
                                         ".volatile", ".relaxed.cta", ".release.gpu", ".weak"};
    for (unsigned l = 0; l < sizeof loads / sizeof loads[0]; l++)
        for (unsigned s = 0; s < sizeof stores / sizeof stores[0]; s++)
            check_copy(&elements[8], 4, "global", loads[l], stores[s]);
}

/* through: loads back what was stored to the space, extended into 64 bits. */
Test(memory, narrow_loads_extend_by_their_sign)
{
    static test_case cases[300];
    for (int e = 0; e < ELEMENTS; e++) {
        char body[400];
        int count = test_fill_integers(cases, 300, 64);
        snprintf(
            body, sizeof body,
            ".shared .align 8 .b8 room[1024];\nmov.u32 %%r10, %%tid.x; shl.b32 %%r10, %%r10, 3; mov.u32 %%r11, room;\n"
            "add.s32 %%r10, %%r10, %%r11; st.shared.u64 [%%r10], %%rd10; ld.shared.%s %%rd20, [%%r10];",
            elements[e].type);
        test_run_lanes(body, cases, count);
        for (int i = 0; i < count; i++) {
            int bits = 8 * elements[e].bytes;
            uint64_t want = cases[i].in[0] << (64 - bits);
            want = elements[e].is_signed ? (uint64_t)((int64_t)want >> (64 - bits)) : want >> (64 - bits);
            cr_assert_eq(cases[i].out, want, "ld.%s", elements[e].type);
        }
    }
}

Test(memory, local_variables_belong_to_their_thread)
{
    static test_case cases[300];
    int count = test_fill_integers(cases, 300, 64);
    test_run_lanes(".local .align 8 .b8 mine[64];\nmov.u64 %rd21, mine; cvta.local.u64 %rd22, %rd21;\n"
                   "st.local.u64 [mine+8], %rd10; st.u64 [%rd22+16], %rd11; st.local.u32 [%rd21+56], %rd12;\n"
                   "ld.u64 %rd23, [%rd22+8]; ld.local.u64 %rd24, [mine+16]; ld.local.u32 %rd25, [%rd21+56];\n"
                   "xor.b64 %rd20, %rd23, %rd24; xor.b64 %rd20, %rd20, %rd25;",
                   cases, count);
    for (int i = 0; i < count; i++)
        cr_assert_eq(cases[i].out, cases[i].in[0] ^ cases[i].in[1] ^ (uint32_t)cases[i].in[2]);
}

Test(memory, constants_and_initial_values_are_there)
{
    cue_module *m =
        test_module(".const .align 4 .b8 c[8] = {1, 2, 3, 4, 255};\n.global .align 8 .u64 p = generic(g)+4;\n"
                    ".global .align 4 .u32 g[3] = {7, 0xfffffff0, 9};\n.global .align 4 .f32 f = 0f40490FDB;\n"
                    ".visible .entry k(.param .u64 out) { .reg .b64 %rd<9>; .reg .b32 %r<9>;\n"
                    "ld.param.u64 %rd1, [out]; ld.const.u32 %r1, [c]; ld.const.u8 %r2, [c+4]; ld.const.u8 %r3, [c+5];\n"
                    "ld.global.u64 %rd2, [p]; ld.u32 %r4, [%rd2]; ld.global.u32 %r5, [g+8]; ld.global.f32 %r6, [f];\n"
                    "st.global.v4.u32 [%rd1], {%r1, %r2, %r3, %r4}; st.global.v2.u32 [%rd1+16], {%r5, %r6}; ret; }\n");
    uint32_t out[6] = {0};
    const uint32_t want[6] = {0x04030201, 255, 0, 0xfffffff0, 9, 0x40490fdb};
    void *p = test_upload(out, sizeof out);
    cr_assert_eq(test_launch(m, "k", 1, 1, 0, &p), CUE_SUCCESS);
    test_download(out, p, sizeof out);
    cr_assert_arr_eq(out, want, sizeof want);
    const cue_variable *g = cue_module_variable(m, "g");
    cr_assert(g != NULL && g->bytes == 12 && !g->constant);
    cr_assert(cue_module_variable(m, "c")->constant);
}

Test(memory, parameters_can_be_indexed_and_pointed_at)
{
    cue_module *m =
        test_module(".visible .entry k(.param .align 8 .b8 p[32], .param .u64 out) { .reg .b64 %rd<9>; .reg .b32 "
                    "%r<9>; .reg .b16 %h<3>;\n"
                    "mov.u32 %r1, %tid.x; mul.wide.u32 %rd1, %r1, 4; mov.b64 %rd2, p; add.s64 %rd3, %rd2, %rd1; "
                    "ld.param.u32 %r2, [%rd3+4];\n"
                    "cvta.param.u64 %rd4, %rd2; add.s64 %rd5, %rd4, %rd1; ld.u32 %r3, [%rd5]; ld.param.s16 %h1, "
                    "[p+30]; cvt.s32.s16 %r4, %h1;\n"
                    "ld.param.u64 %rd6, [out]; mul.wide.u32 %rd7, %r1, 12; add.s64 %rd6, %rd6, %rd7;\n"
                    "st.global.u32 [%rd6], %r2; st.global.u32 [%rd6+4], %r3; st.global.u32 [%rd6+8], %r4; ret; }");
    struct {
        uint32_t words[8];
        void *out;
    } p = {.words = {1, 2, 3, 4, 5, 6, 7, 0x80010000u}};
    uint32_t out[6][3];
    memset(out, 0, sizeof out);
    p.out = test_upload(out, sizeof out);
    cr_assert_eq(test_launch(m, "k", 1, 6, 0, &p), CUE_SUCCESS);
    test_download(out, p.out, sizeof out);
    for (uint32_t t = 0; t < 6; t++) {
        cr_assert_eq(out[t][0], p.words[t + 1]);
        cr_assert_eq(out[t][1], p.words[t]);
        cr_assert_eq(out[t][2], 0xffff8001u);
    }
}

/* Each kernel has its own static shared memory; together they may be more than a block could have. */
Test(memory, kernels_of_one_module_do_not_share_their_shared_memory)
{
    char text[9000] = ".shared .align 8 .b8 common[24];\n";
    for (int k = 0; k < 10; k++)
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 ".visible .entry k%d() { .reg .b32 %%r<4>; .shared .align 16 .b8 own[40000]; .shared .align 4 .b8 "
                 "more[%d];\n"
                 "mov.u32 %%r1, own; st.shared.u32 [%%r1+39996], 1; st.shared.u32 [more], 2; ld.shared.u32 %%r2, "
                 "[own+39996]; ret; }\n",
                 k, 4 + 4 * k);
    strcat(text, ".visible .entry both() { st.shared.u32 [common+20], 2; ret; }\n.visible .entry none() { ret; }\n");
    cue_module *m = test_module(text);
    for (int k = 0; k < 10; k++) {
        char name[8];
        snprintf(name, sizeof name, "k%d", k);
        cr_assert_eq(cue_kernel_get_info(cue_module_kernel(m, name))->static_shared_bytes, (size_t)(40004 + 4 * k));
        cr_assert_eq(test_launch(m, name, 2, 1, 0, NULL), CUE_SUCCESS);
    }
    cr_assert_eq(cue_kernel_get_info(cue_module_kernel(m, "both"))->static_shared_bytes, 24);
    cr_assert_eq(cue_kernel_get_info(cue_module_kernel(m, "none"))->static_shared_bytes, 0);
    cr_assert_eq(test_launch(m, "both", 1, 1, 0, NULL), CUE_SUCCESS);
    cr_assert_eq(cue_report_count(), 0);
}

/* ---------------------------------------------------------------- addresses */
Test(memory, generic_addresses_know_their_space)
{
    static test_case cases[64];
    int count = test_fill_integers(cases, 64, 64);
    test_run_lanes(
        ".shared .align 8 .b8 s[8];\n.local .align 8 .b8 l[8];\n"
        "mov.u64 %rd21, s; cvta.shared.u64 %rd22, %rd21; mov.u64 %rd23, l; cvta.local.u64 %rd24, %rd23;\n"
        "isspacep.shared %p5, %rd22; isspacep.local %p6, %rd24; isspacep.global %p7, %rd1; isspacep.global %p8, "
        "%rd22;\n"
        "isspacep.shared %p9, %rd24; cvta.to.shared.u64 %rd25, %rd22; cvta.to.global.u64 %rd26, %rd1;\n"
        "mov.u64 %rd20, 0; @%p5 or.b64 %rd20, %rd20, 1; @%p6 or.b64 %rd20, %rd20, 2; @%p7 or.b64 %rd20, %rd20, 4;\n"
        "@%p8 or.b64 %rd20, %rd20, 8; @%p9 or.b64 %rd20, %rd20, 16; setp.ne.u64 %p10, %rd25, %rd21;\n"
        "@%p10 or.b64 %rd20, %rd20, 32; setp.ne.u64 %p11, %rd26, %rd1; @%p11 or.b64 %rd20, %rd20, 64;",
        cases, count);
    for (int i = 0; i < count; i++)
        cr_assert_eq(cases[i].out, 7);
}

/* ---------------------------------------------------------------- mov */
Test(memory, mov_packs_and_unpacks)
{
    static test_case cases[300];
    int count = test_fill_integers(cases, 300, 64);
    test_run_lanes("mov.b64 {%r10, %r11}, %rd10; mov.b32 {%h10, %h11}, %r11; mov.b32 %r12, {%h11, %h10};\n"
                   "mov.b64 {%h12, %h13, %h14, %h15}, %rd11; mov.b64 %rd21, {%h15, %h14, %h13, %h12};\n"
                   "mov.b64 {_, %r13}, %rd12; mov.b64 %rd22, {%r12, %r10}; mov.b64 %rd23, {0, %r13};\n"
                   "xor.b64 %rd20, %rd21, %rd22; xor.b64 %rd20, %rd20, %rd23;",
                   cases, count);
    for (int i = 0; i < count; i++) {
        uint64_t a = cases[i].in[0], b = cases[i].in[1], c = cases[i].in[2];
        uint64_t turned = b >> 48 | (b >> 32 & 0xffff) << 16 | (b >> 16 & 0xffff) << 32 | b << 48;
        uint64_t halves = (a >> 48 | (a >> 32 & 0xffff) << 16) | a << 32;
        cr_assert_eq(cases[i].out, turned ^ halves ^ (c >> 32 << 32));
    }
}

/* ---------------------------------------------------------------- carries */
typedef unsigned __int128 wide;

Test(memory, carries_chain)
{
    static test_case cases[1500];
    int count = test_fill_integers(cases, 1500, 64);
    /* 64-bit arithmetic out of words of 32 bits */
    static const char *const bodies[] = {
        "add.cc.u32 %r14, %r10, %r12; addc.u32 %r15, %r11, %r13;",
        "sub.cc.s32 %r14, %r10, %r12; subc.cc.u32 %r15, %r11, %r13;",
        "mov.b64 {%r16, %r17}, %rd12; mad.lo.cc.u32 %r14, %r10, %r12, %r16; madc.hi.u32 %r15, %r10, %r12, %r17;",
    };
    for (int b = 0; b < 3; b++) {
        char body[400];
        snprintf(body, sizeof body,
                 "mov.b64 {%%r10, %%r11}, %%rd10; mov.b64 {%%r12, %%r13}, %%rd11;\n%s\n"
                 "mov.b64 %%rd20, {%%r14, %%r15};",
                 bodies[b]);
        test_run_lanes(body, cases, count);
        for (int i = 0; i < count; i++) {
            uint64_t x = cases[i].in[0], y = cases[i].in[1], z = cases[i].in[2];
            uint64_t want = b == 0 ? x + y : b == 1 ? x - y : (x & UINT32_MAX) * (y & UINT32_MAX) + z;
            cr_assert_eq(cases[i].out, want, "%s", bodies[b]);
        }
    }
    test_run_lanes("add.cc.u64 %rd21, %rd10, %rd11; addc.cc.u64 %rd22, %rd12, %rd12; addc.u64 %rd23, 0, 0;\n"
                   "sub.cc.u64 %rd24, %rd10, %rd11; subc.u64 %rd25, 0, 0; xor.b64 %rd20, %rd22, %rd25; add.s64 %rd20, "
                   "%rd20, %rd23;",
                   cases, count);
    for (int i = 0; i < count; i++) {
        uint64_t x = cases[i].in[0], y = cases[i].in[1], z = cases[i].in[2];
        wide sum = (wide)z + z + (uint64_t)(((wide)x + y) >> 64);
        cr_assert_eq(cases[i].out, ((uint64_t)sum ^ (0 - (uint64_t)(x < y))) + (uint64_t)(sum >> 64));
    }
}

/* ---------------------------------------------------------------- atomics */
/* One thread after the other adds to the same place: the order is the warp's, the result of integers is not. */
static uint64_t run_atomic(const char *opcode, const char *space, uint64_t start, const uint64_t *values, int count,
                           bool cas, uint64_t *olds)
{
    char text[1500];
    bool shared = strcmp(space, ".shared") == 0;
    snprintf(
        text, sizeof text,
        ".visible .entry k(.param .u64 at, .param .u64 in, .param .u64 old) { .reg .b64 %%rd<20>; .reg .b32 %%r<9>;\n"
        ".reg .pred %%p1; %s\n"
        "ld.param.u64 %%rd1, [at]; ld.param.u64 %%rd2, [in]; ld.param.u64 %%rd3, [old]; mov.u32 %%r1, %%tid.x;\n"
        "mul.wide.u32 %%rd4, %%r1, 16; add.s64 %%rd2, %%rd2, %%rd4; add.s64 %%rd3, %%rd3, %%rd4;\n"
        "ld.global.v2.u64 {%%rd5, %%rd7}, [%%rd2]; %s\n atom%s.%s %%rd6, [%%rd9], %s; st.global.u64 [%%rd3], "
        "%%rd6;\n%s ret; }\n",
        shared ? ".shared .align 8 .b8 room[8];" : "",
        shared ? "setp.ne.u32 %p1, %r1, 0; ld.global.u64 %rd8, [%rd1]; mov.u64 %rd9, room; @!%p1 st.shared.u64 [room], "
                 "%rd8; bar.sync 0;"
               : "mov.u64 %rd9, %rd1;",
        space, opcode, cas ? "%rd5, %rd7" : "%rd5",
        shared ? "bar.sync 0; ld.shared.u64 %rd8, [room]; @!%p1 st.global.u64 [%rd1], %rd8;" : "");
    cue_module *m = test_module(text);
    struct {
        void *at, *in, *old;
    } p = {test_upload(&start, 8), test_upload(values, 16 * (size_t)count), test_upload(values, 16 * (size_t)count)};
    cr_assert_eq(test_launch(m, "k", 1, (uint32_t)count, 0, &p), CUE_SUCCESS, "%s", opcode);
    uint64_t end;
    test_download(&end, p.at, 8);
    test_download(olds, p.old, 16 * (size_t)count);
    cue_module_unload(m);
    return end;
}

static uint64_t step(const char *op, uint64_t old, uint64_t v, uint64_t w, int bits, bool is_signed)
{
    uint64_t cut = UINT64_MAX >> (64 - bits), flip = is_signed ? (uint64_t)1 << (bits - 1) : 0;
    old &= cut;
    v &= cut;
    if (strcmp(op, "add") == 0)
        return (old + v) & cut;
    if (strcmp(op, "min") == 0)
        return (old ^ flip) < (v ^ flip) ? old : v;
    if (strcmp(op, "max") == 0)
        return (old ^ flip) > (v ^ flip) ? old : v;
    if (strcmp(op, "and") == 0)
        return old & v;
    if (strcmp(op, "or") == 0)
        return old | v;
    if (strcmp(op, "xor") == 0)
        return old ^ v;
    if (strcmp(op, "inc") == 0)
        return old >= v ? 0 : old + 1;
    if (strcmp(op, "dec") == 0)
        return old == 0 || old > v ? v : old - 1;
    if (strcmp(op, "exch") == 0)
        return v;
    return old == v ? w & cut : old;
}

Test(memory, atomics_of_integers)
{
    static const struct {
        const char *op, *type;
        int bits;
        bool is_signed;
    } all[] = {
        {"add", "u32", 32, false},  {"add", "s32", 32, true},  {"add", "u64", 64, false}, {"min", "u32", 32, false},
        {"min", "s32", 32, true},   {"min", "u64", 64, false}, {"min", "s64", 64, true},  {"max", "u32", 32, false},
        {"max", "s32", 32, true},   {"max", "u64", 64, false}, {"max", "s64", 64, true},  {"and", "b32", 32, false},
        {"and", "b64", 64, false},  {"or", "b32", 32, false},  {"or", "b64", 64, false},  {"xor", "b32", 32, false},
        {"xor", "b64", 64, false},  {"inc", "u32", 32, false}, {"dec", "u32", 32, false}, {"exch", "b32", 32, false},
        {"exch", "b64", 64, false}, {"cas", "b16", 16, false}, {"cas", "b32", 32, false}, {"cas", "b64", 64, false},
    };
    static const char *const spaces[] = {".global", ".shared", ""};
    enum { COUNT = 33 };
    for (unsigned a = 0; a < sizeof all / sizeof all[0]; a++)
        for (int s = 0; s < 3; s++) {
            char opcode[40];
            uint64_t values[2 * COUNT], olds[2 * COUNT];
            bool cas = strcmp(all[a].op, "cas") == 0;
            for (int i = 0; i < 2 * COUNT; i++)
                values[i] = cas                               ? test_random() % 3
                            : strcmp(all[a].type, "u32") == 0 ? test_random() % 5
                                                              : test_random();
            uint64_t start = cas ? 1 : test_random(), want = start;
            snprintf(opcode, sizeof opcode, "%s.%s", all[a].op, all[a].type);
            uint64_t got = run_atomic(opcode, spaces[s], start, values, COUNT, cas, olds),
                     cut = UINT64_MAX >> (64 - all[a].bits);
            for (int i = 0; i < COUNT; i++) { /* forward order: lane after lane */
                cr_assert_eq(olds[2 * i] & cut, want & cut, "atom%s.%s returns the old value", spaces[s], opcode);
                want = step(all[a].op, want, values[2 * i], values[2 * i + 1], all[a].bits, all[a].is_signed);
            }
            cr_assert_eq(got & cut, want & cut, "atom%s.%s", spaces[s], opcode);
        }
}

static void check_float_add(const char *type, expect_format format, bool packed, const char *space)
{
    enum { COUNT = 32 };
    char opcode[40];
    uint64_t values[2 * COUNT], olds[2 * COUNT], start, want;
    test_case cases[COUNT];
    int bits = expect_bits(format);
    uint64_t cut = UINT64_MAX >> (64 - bits);
    bool flushes = format == EXPECT_F32 && strcmp(space, ".shared") != 0;
    test_fill_floats(cases, COUNT, format, packed);
    for (int i = 0; i < COUNT; i++)
        values[2 * i] = cases[i].in[2];
    start = cases[5].in[0];
    want = start;
    snprintf(opcode, sizeof opcode, "add%s.%s", bits == 16 ? ".noftz" : "", type);
    uint64_t got = run_atomic(opcode, space, start, values, COUNT, false, olds);
    for (int half = 0; half < (packed ? 2 : 1); half++) {
        want = start >> (16 * half) & cut;
        for (int i = 0; i < COUNT; i++) {
            uint64_t v = values[2 * i] >> (16 * half) & cut, sign = expect_sign_bit(format);
            if (flushes && expect_is_subnormal(v, format))
                v &= sign;
            if (flushes && expect_is_subnormal(want, format))
                want &= sign;
            double x = expect_to_double(want, format), y = expect_to_double(v, format);
            expect_value sum = {EXPECT_SUM, x, y, 0};
            bool finite = x - x == 0 && y - y == 0;
            uint64_t next = x + y != x + y ? expect_nan(format) : 0;
            if (next == 0 && !finite)
                next = x - x == 0 ? v : want;
            else if (next == 0)
                next = x + y == 0 ? (want & v & sign) : expect_round(&sum, format, EXPECT_RN);
            want = flushes && expect_is_subnormal(next, format) ? next & sign : next;
        }
        uint64_t part = got >> (16 * half) & cut;
        cr_assert(part == want || (expect_is_nan(part, format) && expect_is_nan(want, format)),
                  "atom%s.%s: %llx, not %llx", space, opcode, (unsigned long long)part, (unsigned long long)want);
    }
}

Test(memory, atomic_additions_of_floats_round_once)
{
    static const char *const spaces[] = {".global", ".shared", ""};
    for (int round = 0; round < 20; round++)
        for (int s = 0; s < 3; s++) {
            check_float_add("f32", EXPECT_F32, false, spaces[s]);
            check_float_add("f64", EXPECT_F64, false, spaces[s]);
            check_float_add("f16", EXPECT_F16, false, spaces[s]);
            check_float_add("bf16", EXPECT_BF16, false, spaces[s]);
            check_float_add("f16x2", EXPECT_F16, true, spaces[s]);
            check_float_add("bf16x2", EXPECT_BF16, true, spaces[s]);
        }
}

Test(memory, red_is_atom_without_result)
{
    cue_module *m = test_module(
        ".visible .entry k(.param .u64 at) { .reg .b64 %rd<3>; .reg .b32 %r<3>; ld.param.u64 %rd1, [at];\n"
        "mov.u32 %r1, %tid.x; red.global.add.u32 [%rd1], %r1; red.relaxed.gpu.global.max.s32 [%rd1+4], %r1;\n"
        "red.global.add.f32 [%rd1+8], 0f3F800000; red.or.b32 [%rd1+12], %r1; ret; }");
    uint32_t at[4] = {0}, want[4] = {4950, 99, 0x42c80000, 127};
    void *p = test_upload(at, sizeof at);
    cr_assert_eq(test_launch(m, "k", 1, 100, 0, &p), CUE_SUCCESS);
    test_download(at, p, sizeof at);
    cr_assert_arr_eq(at, want, sizeof want);
}

Test(memory, vectors_are_added_element_by_element)
{
    cue_module *m = test_module(
        ".visible .entry k(.param .u64 at) { .reg .b64 %rd<3>; .reg .b32 %r<3>; .reg .f32 %f<9>; ld.param.u64 %rd1, "
        "[at];\n"
        "mov.u32 %r1, %tid.x; cvt.rn.f32.u32 %f1, %r1; atom.global.v2.f32.add {%f2, _}, [%rd1], {%f1, 0f3F800000};\n"
        "red.global.v4.f32.add [%rd1+16], {%f1, %f1, 0f40000000, %f2}; red.relaxed.gpu.global.add.noftz.v4.bf16x2 "
        "[%rd1+32], {%r1, 0x3f803f80, 0x3f80, 0}; ret; }");
    float at[12] = {0};
    void *p = test_upload(at, sizeof at);
    cr_assert_eq(test_launch(m, "k", 1, 32, 0, &p), CUE_SUCCESS);
    test_download(at, p, sizeof at);
    cr_assert(at[0] == 496 && at[1] == 32 && at[4] == 496 && at[5] == 496 && at[6] == 64);
    uint32_t halves;
    memcpy(&halves, &at[9], 4);
    cr_assert_eq(halves, 0x42004200u); /* 32 and 32 */
    void *odd = (char *)p + 4;
    cr_assert_eq(test_launch(m, "k", 1, 32, 0, &odd), CUE_MISALIGNED_ADDRESS);
    cuemu_forgive_reports();
}

/* ---------------------------------------------------------------- cp.async */
Test(memory, asynchronous_copies_arrive_with_their_group)
{
    cue_module *m = test_module(
        ".visible .entry k(.param .u64 in, .param .u64 out) { .reg .b64 %rd<9>; .reg .b32 %r<20>;\n"
        ".shared .align 16 .b8 room[2048];\n"
        "ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 16;\n"
        "add.s64 %rd1, %rd1, %rd3; add.s64 %rd2, %rd2, %rd3; mov.u32 %r2, room; shl.b32 %r3, %r1, 4; add.s32 %r2, %r2, "
        "%r3;\n"
        "st.shared.v4.u32 [%r2], {7, 7, 7, 7};\n"
        "cp.async.cg.shared.global [%r2], [%rd1], 16; cp.async.commit_group;\n"
        "ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2];\n" /* still the old ones */
        "cp.async.ca.shared.global [%r2+1024], [%rd1], 8, 4; cp.async.commit_group;\n"
        "cp.async.wait_group 1; ld.shared.v4.u32 {%r8, %r9, %r10, %r11}, [%r2];\n"
        "cp.async.wait_all; ld.shared.v2.u32 {%r12, %r13}, [%r2+1024];\n"
        "add.s32 %r14, %r8, %r4; st.global.v4.u32 [%rd2], {%r14, %r9, %r12, %r13}; ret; }");
    uint32_t in[64 * 4], out[64 * 4];
    for (int i = 0; i < 64 * 4; i++)
        in[i] = (uint32_t)test_random();
    struct {
        void *in, *out;
    } p = {test_upload(in, sizeof in), test_upload(in, sizeof in)};
    cr_assert_eq(test_launch(m, "k", 1, 64, 0, &p), CUE_SUCCESS);
    test_download(out, p.out, sizeof out);
    for (int t = 0; t < 64; t++) {
        cr_assert_eq(out[4 * t], in[4 * t] + 7);
        cr_assert_eq(out[4 * t + 1], in[4 * t + 1]);
        cr_assert_eq(out[4 * t + 2], in[4 * t]);
        cr_assert_eq(out[4 * t + 3], 0);
    }
    cr_assert_eq(cue_report_count(), 0);
}
