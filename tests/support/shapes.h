/* shapes.h: the shapes that every operation is tried on: 1, around 32, primes, tall, wide, and beyond every block. */
#ifndef BPT_SHAPES_H
#define BPT_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bpt_shape {
    int64_t rows, inputs, outputs; /* B, I, O; operations on one matrix take B and O */
} bpt_shape;

/* The last three are large enough to be cut: over the rows, over the outputs, and a long sum over the rows into parts.
 * The loss on cuda cuts the last one into more slices than a block has threads. */
static const bpt_shape bpt_shapes[] = {
    {1, 1, 1},    {1, 31, 32},     {2, 3, 1},      {31, 32, 33},   {32, 33, 31}, {33, 1, 7},
    {7, 128, 64}, {13, 37, 53},    {64, 64, 64},   {257, 29, 7},   {5, 7, 301},  {1031, 11, 3},
    {3, 785, 16}, {129, 130, 131}, {35, 190, 310}, {2101, 61, 17},
};

enum { BPT_SHAPE_COUNT = sizeof bpt_shapes / sizeof bpt_shapes[0] };

/* So wide that a thread of a pass on cuda takes several rounds of rows where it takes single elements: give it an odd
 * leading dimension, and let the result take the place of an input, so that a round too far is seen. */
static const bpt_shape bpt_wide_shape = {33, 1, 16385};

/* The last three. */
static inline bool bpt_shape_is_large(int s)
{
    return s >= BPT_SHAPE_COUNT - 3;
}

/* Is shape s for case c (an activation, a loss)? All are but the large ones, which take every third case, each of them
 * others: they are there for how they are cut, in which the case has no say, and an emulated device is slow. */
static inline bool bpt_shape_is_for(int s, int c)
{
    return !bpt_shape_is_large(s) || (s + c) % 3 == 0;
}

#endif
