/* support.c: see support.h. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cue_op_id test_unordered, test_last_op;

bool cue_op_before(cue_op_id a, cue_op_id b)
{
    if (a == b || a == 0)
        return true;
    return a < b && (test_unordered == 0 || (a != test_unordered && b != test_unordered));
}

const char *cue_op_name(cue_op_id op)
{
    static char name[40];
    snprintf(name, sizeof name, "operation %u", op);
    return name;
}

void cue_op_place(cue_op_id op, cue_place *place)
{
    *place = (cue_place){.kernel = cue_op_name(op)};
}

uint64_t test_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void *test_upload(const void *bytes, size_t size)
{
    void *device;
    cr_assert_eq(cue_mem_alloc(size, &device), CUE_SUCCESS);
    cr_assert_eq(cue_mem_copy(++test_last_op, device, bytes, size, "upload"), CUE_SUCCESS);
    return device;
}

void test_download(void *to, const void *from, size_t size)
{
    cr_assert_eq(cue_mem_copy(++test_last_op, to, from, size, "download"), CUE_SUCCESS);
}

cue_module *test_module(const char *body)
{
    static const char head[] = ".version 9.0\n.target sm_90\n.address_size 64\n";
    char *text = malloc(sizeof head + strlen(body));
    cr_assert_not_null(text);
    strcpy(text, head);
    strcat(text, body);
    cue_module *module = cue_module_load_ptx(text, "test");
    free(text);
    return module;
}

cue_error test_launch_2d(cue_module *module, const char *kernel, const uint32_t grid[2], const uint32_t block[2],
                         size_t dynamic_shared, const void *parameters)
{
    cue_kernel *k = cue_module_kernel(module, kernel);
    cr_assert_not_null(k, "no kernel %s", kernel);
    cue_launch_config config = {.grid = {grid[0], grid[1], 1},
                                .block = {block[0], block[1], 1},
                                .dynamic_shared_bytes = dynamic_shared,
                                .parameters = parameters,
                                .op = ++test_last_op};
    return cue_launch(k, &config);
}

cue_error test_launch(cue_module *module, const char *kernel, uint32_t blocks, uint32_t threads, size_t dynamic_shared,
                      const void *parameters)
{
    return test_launch_2d(module, kernel, (uint32_t[]){blocks, 1}, (uint32_t[]){threads, 1}, dynamic_shared,
                          parameters);
}

static const char lanes_head[] =
    ".visible .entry lanes(.param .u64 in, .param .u64 out, .param .u32 n) {\n"
    ".reg .pred %p<40>; .reg .b64 %rd<40>; .reg .b32 %r<40>; .reg .f32 %f<40>; .reg .b16 %h<40>;\n"
    "ld.param.u64 %rd1, [in]; ld.param.u64 %rd2, [out]; ld.param.u32 %r1, [n];\n"
    "mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mov.u32 %r4, %tid.x; mad.lo.s32 %r5, %r2, %r3, %r4;\n"
    "setp.ge.u32 %p1, %r5, %r1; @%p1 bra DONE;\n"
    "mul.wide.u32 %rd3, %r5, 40; add.s64 %rd4, %rd1, %rd3;\n"
    "ld.global.u64 %rd10, [%rd4]; ld.global.u64 %rd11, [%rd4+8];\n"
    "ld.global.u64 %rd12, [%rd4+16]; ld.global.u64 %rd13, [%rd4+24];\n";
static const char lanes_tail[] = "\nmul.wide.u32 %rd5, %r5, 8; add.s64 %rd6, %rd2, %rd5;\n"
                                 "st.global.u64 [%rd6], %rd20;\nDONE: ret;\n}\n";

void test_run_lanes(const char *body, test_case *cases, int count)
{
    char *text = malloc(sizeof lanes_head + sizeof lanes_tail + strlen(body));
    cr_assert_not_null(text);
    strcpy(text, lanes_head);
    strcat(text, body);
    strcat(text, lanes_tail);
    cue_module *module = test_module(text);
    free(text);
    void *in = test_upload(cases, (size_t)count * sizeof *cases), *out;
    cr_assert_eq(cue_mem_alloc((size_t)count * 8, &out), CUE_SUCCESS);
    struct {
        void *in, *out;
        uint32_t n;
    } parameters = {in, out, (uint32_t)count};
    cr_assert_eq(test_launch(module, "lanes", ((uint32_t)count + 127) / 128, 128, 0, &parameters), CUE_SUCCESS);
    uint64_t *results = malloc((size_t)count * 8);
    cr_assert_not_null(results);
    test_download(results, out, (size_t)count * 8);
    for (int i = 0; i < count; i++)
        cases[i].out = results[i];
    free(results);
    cue_mem_free(in);
    cue_mem_free(out);
    cue_module_unload(module);
}
