/* exp, expm1, log, log1p, tanh, erf and the normal distribution function against libm in double, which is exact to
 * 2^-29 ulp of a float. The measured figures are printed; docs/numerics.md records them. */
#include <criterion/criterion.h>

#include "kernels/math/bounds.h"
#include "kernels/math/elementary.h"
#include "math/sweep.h"

typedef struct elementary {
    const char *name;
    float (*f)(float);
    double (*exact)(double);
    double ulp_bound, roundoffs_bound;
    sweep_range range;
} elementary;

static float normal_cdf(float x)
{
    return bpi_normal_at(x).cdf;
}

static double exact_normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/* The part that has a bound of its own. */
static float near_normal_cdf(float x)
{
    return bpi_unless_nan(x, bpi_abs(x) < 1.0f ? normal_cdf(x) : 0.0f);
}

static double exact_near_normal_cdf(double x)
{
    return isnan(x) || fabs(x) < 1.0 ? exact_normal_cdf(x) : 0.0;
}

/* bpi_log1p_unit where it holds, and beyond it what it need not give. */
static float log1p_unit(float x)
{
    return x >= 0.0f && x <= 1.0f ? bpi_log1p_unit(x) : bpi_log1p(x);
}

/* Beyond the ranges the functions are constant, x itself to the last bit, or infinite; the stride still looks there. */
static const elementary FUNCTIONS[] = {
    {"exp", bpi_exp, exp, BPI_EXP_ULP, BPI_EXP_ROUNDOFFS, {0x1p-30f, 105.0f, 4099}},
    {"expm1", bpi_expm1, expm1, BPI_EXPM1_ULP, BPI_EXPM1_ROUNDOFFS, {0x1p-30f, 90.0f, 4099}},
    {"log", bpi_log, log, BPI_LOG_ULP, BPI_LOG_ROUNDOFFS, {0.0f, 0x1.fffffep+127f, 4099}},
    {"log1p", bpi_log1p, log1p, BPI_LOG1P_ULP, BPI_LOG1P_ROUNDOFFS, {0x1p-30f, 0x1.fffffep+127f, 4099}},
    {"log1p_unit", log1p_unit, log1p, BPI_LOG1P_ULP, BPI_LOG1P_ROUNDOFFS, {0x1p-30f, 1.0f, 4099}},
    {"tanh", bpi_tanh, tanh, BPI_TANH_ULP, BPI_TANH_ROUNDOFFS, {0x1p-30f, 10.5f, 4099}},
    {"erf", bpi_erf, erf, BPI_ERF_ULP, BPI_ERF_ROUNDOFFS, {0x1p-30f, 4.5f, 4099}},
    {"normal_cdf",
     normal_cdf,
     exact_normal_cdf,
     BPI_NORMAL_TAIL_ROUNDOFFS,
     BPI_NORMAL_TAIL_ROUNDOFFS,
     {0x1p-30f, 15.5f, 4099}},
    {"near_normal_cdf",
     near_normal_cdf,
     exact_near_normal_cdf,
     BPI_NORMAL_NEAR_TAIL_ROUNDOFFS,
     BPI_NORMAL_NEAR_TAIL_ROUNDOFFS,
     {0x1p-30f, 1.0f, 4099}},
};

#define FUNCTION_COUNT (sizeof FUNCTIONS / sizeof FUNCTIONS[0])

/* A function on its way through float32, with the largest errors seen. */
typedef struct measurement {
    const elementary *function;
    double ulp, roundoffs;
    float ulp_at, roundoffs_at;
} measurement;

/* The error over its bound, whichever of the two is nearer; 2 where the kind of the result is wrong. */
static double measure(float x, void *argument)
{
    measurement *m = argument;
    double exact = m->function->exact((double)x);
    float y = m->function->f(x);
    if (isnan(exact)) {
        return isnan(y) ? 0.0 : 2.0;
    }
    if (sweep_overflows(exact)) {
        return isinf(y) && (y > 0.0f) == (exact > 0.0) ? 0.0 : 2.0;
    }
    double error = fabs((double)y - exact);
    double ulp = error / sweep_ulp(exact);
    double roundoffs = fabs(exact) < 0x1p-126 ? 0.0 : error / (fabs(exact) * BPI_ROUNDOFF);
    if (!(ulp <= m->ulp)) {
        m->ulp = ulp;
        m->ulp_at = x;
    }
    if (!(roundoffs <= m->roundoffs)) {
        m->roundoffs = roundoffs;
        m->roundoffs_at = x;
    }
    return fmax(ulp / m->function->ulp_bound, roundoffs / m->function->roundoffs_bound);
}

Test(math_elementary, is_within_its_bounds_over_float32)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        const elementary *f = &FUNCTIONS[i];
        measurement m = {.function = f};
        sweep_result result = sweep(measure, &m, f->range);
        fprintf(stderr, "%-16s %.4f ulp at %a, %.4f roundoffs at %a, %lld visited\n", f->name, m.ulp, (double)m.ulp_at,
                m.roundoffs, (double)m.roundoffs_at, (long long)result.visited);
        cr_expect(result.failed == 0, "%s: %lld of %lld outside %g ulp or %g roundoffs, first at %a", f->name,
                  (long long)result.failed, (long long)result.visited, f->ulp_bound, f->roundoffs_bound,
                  (double)result.failed_at);
        cr_expect(m.ulp > 0.5, "%s: better than rounding means a wrong test", f->name);
    }
}

Test(math_elementary, bound_is_at_most_2_ulp_where_the_design_says_so)
{
    const double bounds[] = {BPI_EXP_ULP, BPI_EXPM1_ULP, BPI_LOG_ULP, BPI_LOG1P_ULP, BPI_TANH_ULP, BPI_ERF_ULP};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        cr_expect(bounds[i] <= 2.0);
    }
}

static void expect_bits(const char *what, float y, float expected)
{
    cr_expect(bpi_bits_from_float(y) == bpi_bits_from_float(expected), "%s is %a, not %a", what, (double)y,
              (double)expected);
}

Test(math_elementary, has_the_right_special_values)
{
    const float inf = BPI_MATH_INF;
    expect_bits("exp(0)", bpi_exp(0.0f), 1.0f);
    expect_bits("exp(-inf)", bpi_exp(-inf), 0.0f);
    expect_bits("exp(inf)", bpi_exp(inf), inf);
    expect_bits("exp(smallest that overflows)", bpi_exp(0x1.62e430p+6f), inf);
    cr_expect(bpi_exp(0x1.62e42ep+6f) < inf);
    cr_expect(bpi_exp(-103.5f) > 0.0f);
    expect_bits("exp(-104)", bpi_exp(-104.0f), 0.0f);
    expect_bits("expm1(-0)", bpi_expm1(-0.0f), -0.0f);
    expect_bits("expm1(-inf)", bpi_expm1(-inf), -1.0f);
    expect_bits("expm1(inf)", bpi_expm1(inf), inf);
    expect_bits("log(1)", bpi_log(1.0f), 0.0f);
    expect_bits("log(0)", bpi_log(0.0f), -inf);
    expect_bits("log(-0)", bpi_log(-0.0f), -inf);
    expect_bits("log(inf)", bpi_log(inf), inf);
    cr_expect(isnan(bpi_log(-0x1p-149f)) && isnan(bpi_log(-inf)));
    expect_bits("log1p(-0)", bpi_log1p(-0.0f), -0.0f);
    expect_bits("log1p(-1)", bpi_log1p(-1.0f), -inf);
    expect_bits("log1p(inf)", bpi_log1p(inf), inf);
    cr_expect(isnan(bpi_log1p(-0x1.000002p+0f)) && isnan(bpi_log1p(-inf)));
    expect_bits("tanh(-inf)", bpi_tanh(-inf), -1.0f);
    expect_bits("tanh(-0)", bpi_tanh(-0.0f), -0.0f);
    expect_bits("tanh(denormal)", bpi_tanh(0x1p-149f), 0x1p-149f);
    expect_bits("erf(-inf)", bpi_erf(-inf), -1.0f);
    expect_bits("erf(-0)", bpi_erf(-0.0f), -0.0f);
    expect_bits("cdf(0)", normal_cdf(0.0f), 0.5f);
    expect_bits("cdf(-inf)", normal_cdf(-inf), 0.0f);
    expect_bits("cdf(inf)", normal_cdf(inf), 1.0f);
    expect_bits("e^-z^2/2 at inf", bpi_normal_at(inf).gauss, 0.0f);
}

static double is_odd(float x, void *function)
{
    float (**f)(float) = function;
    uint32_t difference = bpi_bits_from_float((*f)(x)) ^ bpi_bits_from_float((*f)(-x));
    return isnan(x) || difference == 0x80000000u ? 0.0 : 2.0;
}

Test(math_elementary, tanh_and_erf_are_odd_bit_for_bit)
{
    float (*functions[])(float) = {bpi_tanh, bpi_erf};
    for (size_t i = 0; i < 2; i++) {
        sweep_result result = sweep(is_odd, &functions[i], (sweep_range){0.0f, 0.0f, 4099});
        cr_expect(result.failed == 0, "function %zu at %a", i, (double)result.failed_at);
    }
}
