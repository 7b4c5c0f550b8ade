/* random.h: seeded numbers for tests, the same on every machine. */
#ifndef BPT_RANDOM_H
#define BPT_RANDOM_H

#include <stdint.h>

typedef struct bpt_random {
    uint64_t state;
} bpt_random;

/* splitmix64, Steele, Lea and Flood 2014. */
static inline uint64_t bpt_random_bits(bpt_random *random)
{
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in [low, high), never exactly 0 with a low that is -high. */
static inline double bpt_random_uniform(bpt_random *random, double low, double high)
{
    double unit = ((double)(bpt_random_bits(random) >> 12) + 0.5) * 0x1p-52;
    return low + (high - low) * unit;
}

static inline int64_t bpt_random_below(bpt_random *random, int64_t limit)
{
    return (int64_t)(bpt_random_bits(random) % (uint64_t)limit);
}

#endif
