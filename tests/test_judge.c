/* The judge of the operation tests, judged: what it must refuse. */
#include "support/judge.h"
#include "support/matrix.h"

#include <criterion/criterion.h>
#include <math.h>

TestSuite(judge, .fini = bpt_clean);

Test(judge, refuses_nan_on_any_side)
{
    double nan = (double)NAN, inf = (double)INFINITY;
    cr_assert(bpt_within(1.0, 1.5, 0.5));
    cr_assert_not(bpt_within(1.0, 1.6, 0.5));
    cr_assert_not(bpt_within(nan, 1.0, 0.5));
    cr_assert_not(bpt_within(1.0, nan, 0.5));
    cr_assert_not(bpt_within(nan, nan, 0.5));
    cr_assert_not(bpt_within(1.0, 1.0, nan));
    cr_assert_not(bpt_within(1.0, 1.0, inf));
    cr_assert_not(bpt_within(inf, inf, 0.5));
}

Test(judge, finds_the_first_element_outside)
{
    const double want[4] = {1.0, 2.0, 3.0, 4.0}, bound[4] = {0.1, 0.1, 0.1, 0.1};
    const double right[4] = {1.05, 2.0, 2.95, 4.0}, wrong[4] = {1.05, 2.0, 3.2, (double)NAN};
    cr_assert_eq(bpt_first_outside(right, want, bound, 4), -1);
    cr_assert_eq(bpt_first_outside(wrong, want, bound, 4), 2);
}

Test(judge, a_comparison_with_zeros_or_with_nothing_says_nothing)
{
    const double zeros[3] = {0.0, -0.0, 0.0}, some[3] = {0.0, 0.0, 1e-300}, nan[1] = {(double)NAN};
    cr_assert_not(bpt_says_something(zeros, 3));
    cr_assert_not(bpt_says_something(some, 0));
    cr_assert_not(bpt_says_something(nan, 1));
    cr_assert(bpt_says_something(some, 3));
}

Test(judge, rounds_to_bf16_as_ieee_does)
{
    cr_assert(bpt_rounded(BPI_TYPE_BF16, 1.0 + 0x1p-8) == 1.0); /* half way: to even */
    cr_assert(bpt_rounded(BPI_TYPE_BF16, 1.0 + 3.0 * 0x1p-8) == 1.0 + 0x1p-6);
    cr_assert(bpt_rounded(BPI_TYPE_BF16, 1.0 + 0x1p-8 + 0x1p-20) == 1.0 + 0x1p-7);
    cr_assert(bpt_rounded(BPI_TYPE_BF16, -3.5) == -3.5);
    cr_assert(isnan(bpt_rounded(BPI_TYPE_BF16, (double)NAN)));
    cr_assert(bpt_rounded(BPI_TYPE_F32, 1.0 + 0x1p-24) == 1.0);
}
