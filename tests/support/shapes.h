/* shapes.h: the shapes that every operation is tried on: 1, around 32, primes, tall, wide, and beyond every block. */
#ifndef BPT_SHAPES_H
#define BPT_SHAPES_H

#include <stdint.h>

typedef struct bpt_shape {
    int64_t rows, inputs, outputs; /* B, I, O; operations on one matrix take B and O */
} bpt_shape;

/* The last three are large enough to be cut: over the rows, over the outputs, and a long sum over the rows into parts.
 */
static const bpt_shape bpt_shapes[] = {
    {1, 1, 1},    {1, 31, 32},     {2, 3, 1},      {31, 32, 33},   {32, 33, 31}, {33, 1, 7},
    {7, 128, 64}, {13, 37, 53},    {64, 64, 64},   {257, 29, 7},   {5, 7, 301},  {1031, 11, 3},
    {3, 785, 16}, {129, 130, 131}, {35, 190, 310}, {2101, 33, 31},
};

enum { BPT_SHAPE_COUNT = sizeof bpt_shapes / sizeof bpt_shapes[0] };

#endif
