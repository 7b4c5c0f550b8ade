/* The products that the cpu backend is made of, of every type that this machine has: both sides plain and transposed,
 * sums in one slab and in several, against sums in f64. A product of two bf16 numbers is exact in f32, so one bound is
 * that of all types. */
#include "kernels/bounds.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/loops.h"
#include "kernels/math/bf16.h"
#include "support/hooks.h"
#include "support/random.h"

#include <criterion/criterion.h>
#include <stdlib.h>

typedef struct product_case {
    int64_t m, n, k;
    bool a_turned, b_turned, accumulate;
} product_case;

/* The last ones are summed in two, three and more slabs, with a last one that is shorter. */
static const product_case cases[] = {
    {1, 1, 1, false, false, false},        {3, 5, 7, true, true, true},          {17, 33, 129, false, true, false},
    {64, 130, 31, true, false, true},      {128, 1000, 784, false, true, false}, {257, 512, 1024, false, false, true},
    {512, 1030, 1000, false, true, false}, {128, 784, 2100, true, false, true},  {500, 1100, 1201, false, false, false},
    {130, 1500, 3301, true, false, false},
};

enum { CASES = sizeof cases / sizeof cases[0] };

typedef struct sides {
    bpi_cpu_gemm_shape shape;
    float *a, *b, *c, *old;      /* values that are bf16 */
    uint16_t *short_a, *short_b; /* the same */
    int64_t a_count, b_count, c_count;
} sides;

static float *values_of(bpt_random *random, int64_t count, uint16_t **narrow)
{
    float *values = malloc((size_t)count * sizeof *values);
    *narrow = malloc((size_t)count * sizeof **narrow);
    cr_assert(values && *narrow);
    for (int64_t k = 0; k < count; ++k) {
        (*narrow)[k] = bpi_bf16_from_float((float)bpt_random_uniform(random, -1.0, 1.0));
        values[k] = bpi_float_from_bf16((*narrow)[k]);
    }
    return values;
}

static sides sides_of(const product_case *is)
{
    bpt_random random = {41};
    int64_t ld_a = (is->a_turned ? is->m : is->k) + 3, ld_b = (is->b_turned ? is->k : is->n) + 8;
    sides s = {.shape = {.m = is->m,
                         .n = is->n,
                         .k = is->k,
                         .a_row_stride = is->a_turned ? 1 : ld_a,
                         .a_col_stride = is->a_turned ? ld_a : 1,
                         .b_row_stride = is->b_turned ? 1 : ld_b,
                         .b_col_stride = is->b_turned ? ld_b : 1,
                         .ld_c = is->n + 5,
                         .accumulate = is->accumulate}};
    uint16_t *unused;
    s.a_count = (is->a_turned ? is->k : is->m) * ld_a;
    s.b_count = (is->b_turned ? is->n : is->k) * ld_b;
    s.c_count = is->m * s.shape.ld_c;
    s.a = values_of(&random, s.a_count, &s.short_a);
    s.b = values_of(&random, s.b_count, &s.short_b);
    s.old = values_of(&random, s.c_count, &unused);
    free(unused);
    s.c = malloc((size_t)s.c_count * sizeof *s.c);
    cr_assert_not_null(s.c);
    return s;
}

static void free_sides(sides *s)
{
    free(s->a);
    free(s->b);
    free(s->c);
    free(s->old);
    free(s->short_a);
    free(s->short_b);
}

static void run(bpi_cpu_gemm_engine *engine, sides *s, bpi_cpu_gemm_type type)
{
    bpi_cpu_gemm *gemm;
    s->shape.type = type;
    size_t bytes = bpi_cpu_gemm_scratchpad(engine, &s->shape);
    void *scratchpad = bytes ? aligned_alloc(64, bytes) : NULL;
    cr_assert_eq(bpi_cpu_gemm_create(engine, &s->shape, &gemm), BP_STATUS_OK);
    cr_assert_eq(bytes % 64, 0);
    for (int64_t k = 0; k < s->c_count; ++k)
        s->c[k] = s->old[k];
    bool narrow = type != BPI_CPU_GEMM_F32;
    int code = bpi_cpu_gemm_run(gemm, 0, scratchpad, narrow ? (void *)s->short_a : s->a,
                                narrow ? (void *)s->short_b : s->b, s->c);
    cr_assert_eq(code, 0);
    bpi_cpu_gemm_destroy(gemm);
    free(scratchpad);
}

static void check(const sides *s, const product_case *is, const char *type)
{
    const bpi_cpu_gemm_shape *shape = &s->shape;
    bpi_roundoff r = bpi_roundoff_of(BP_PRECISION_BF16);
    int64_t row_step = 1 + shape->m / 20, col_step = 1 + shape->n / 25; /* some of the elements, the last rows too */
    for (int64_t i = shape->m - 1; i >= 0; i -= row_step)
        for (int64_t j = shape->n - 1; j >= 0; j -= col_step) {
            int64_t at = i * shape->ld_c + j;
            double sum = is->accumulate ? (double)s->old[at] : 0.0, magnitude = fabs(sum);
            for (int64_t k = 0; k < shape->k; ++k) {
                double term = (double)s->a[i * shape->a_row_stride + k * shape->a_col_stride] *
                              (double)s->b[k * shape->b_row_stride + j * shape->b_col_stride];
                sum += term;
                magnitude += fabs(term);
            }
            double bound = bpi_product_sum_bound(&r, shape->k + 1, magnitude);
            cr_assert(fabs((double)s->c[at] - sum) <= bound, "%s, %lld x %lld x %lld at %lld, %lld: %.9g, not %.9g",
                      type, (long long)shape->m, (long long)shape->n, (long long)shape->k, (long long)i, (long long)j,
                      (double)s->c[at], sum);
        }
    for (int64_t i = 0; i < shape->m; ++i)
        for (int64_t j = shape->n; j < shape->ld_c; ++j)
            cr_assert(s->c[i * shape->ld_c + j] == s->old[i * shape->ld_c + j], "between the rows");
}

static void check_type(bpi_cpu_gemm_type type, const char *words)
{
    bpi_error error = {""};
    const bpi_cpu_loops *loops;
    bpi_cpu_gemm_engine *engine;
    cr_assert_eq(bpi_cpu_loops_choose(&error, &loops), BP_STATUS_OK);
    bpt_hooks hooks = {0};
    const bp_allocator allocator = bpt_hooks_allocator(&hooks);
    cr_assert_eq(bpi_cpu_gemm_engine_create(&allocator, 1, loops->expand, &error, &engine), BP_STATUS_OK, "%s",
                 error.text);
    for (int c = 0; c < CASES; ++c) {
        sides s = sides_of(&cases[c]);
        run(engine, &s, type);
        check(&s, &cases[c], words);
        free_sides(&s);
    }
    bpi_cpu_gemm_engine_destroy(engine);
    cr_assert_eq(hooks.live, 0);
}

Test(cpu_gemm, f32_is_within_the_bound)
{
    check_type(BPI_CPU_GEMM_F32, "f32");
}

Test(cpu_gemm, bf16_in_f32_is_within_the_bound_in_one_slab_and_in_several)
{
    check_type(BPI_CPU_GEMM_WIDENED, "widened");
}

Test(cpu_gemm, bf16_by_the_processor_is_within_the_bound)
{
    if (!bpi_cpu_gemm_bf16_of_machine())
        cr_skip_test("this processor has neither AVX512-BF16 nor AMX");
    check_type(BPI_CPU_GEMM_BF16, "native");
}
