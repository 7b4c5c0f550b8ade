/* lanes.h: sums over a fixed number of lanes, whatever the width of a register: the same bits on every instruction set.
 * Part of the loops that loops_table.h compiles once per set. */
#ifndef BPI_CPU_LANES_H
#define BPI_CPU_LANES_H

#include <stdint.h>
#include <string.h>

#define LANES 16
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* LANES neighbours of a row. */
typedef struct block {
    float v[LANES];
} block;

/* How many of them lie in the row. */
ALWAYS_INLINE int64_t lanes_at(int64_t o, int64_t cols)
{
    return cols - o < LANES ? cols - o : LANES;
}

/* Beyond the row's end `fill` takes their place. */
ALWAYS_INLINE block read_block(const float *row, int64_t o, int64_t cols, float fill)
{
    block b;
    if (o + LANES <= cols) {
        memcpy(b.v, row + o, sizeof b.v);
        return b;
    }
    for (int l = 0; l < LANES; ++l)
        b.v[l] = fill;
    for (int64_t l = 0; l < cols - o; ++l)
        b.v[l] = row[o + l];
    return b;
}

/* A tree over the lanes: one half onto the other, four times. */
ALWAYS_INLINE float sum_of_block(block b)
{
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; ++l)
            b.v[l] += b.v[l + width];
    return b.v[0];
}

ALWAYS_INLINE double sum_of_lanes(double lanes[LANES])
{
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; ++l)
            lanes[l] += lanes[l + width];
    return lanes[0];
}

#endif
