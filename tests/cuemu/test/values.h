/* values.h: operands that tests of instructions run over: every edge with every edge, and random ones. */
#ifndef CUE_TEST_VALUES_H
#define CUE_TEST_VALUES_H

#include "expect.h"
#include "support.h"

/* test_fill: at most `room` cases from the edges of the format or width; returns how many. Bits above are rubbish. */
int test_fill_floats(test_case *cases, int room, expect_format format, bool packed);
int test_fill_integers(test_case *cases, int room, int bits);

#endif
