/* Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1,
 * 2, 3" (SC11): block i of a stream is a function of (seed, stream, i) alone, so that every backend, thread and resumed
 * run draws the same numbers without any state. Integer arithmetic: the same bits everywhere. Uniform numbers from its
 * words; normal ones are in normal.h. */
#ifndef BPI_MATH_PHILOX_H
#define BPI_MATH_PHILOX_H

#include "kernels/math/portable.h"

typedef struct bpi_philox_block {
    uint32_t word[4];
} bpi_philox_block;

/* The raw generator: ten rounds on a counter of four words with a key of two. */
BPI_MATH_FN bpi_philox_block bpi_philox_rounds(bpi_philox_block counter, uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t product0 = (uint64_t)0xd2511f53u * counter.word[0];
        uint64_t product1 = (uint64_t)0xcd9e8d57u * counter.word[2];
        bpi_philox_block next;
        next.word[0] = (uint32_t)(product1 >> 32) ^ counter.word[1] ^ key0;
        next.word[1] = (uint32_t)product1;
        next.word[2] = (uint32_t)(product0 >> 32) ^ counter.word[3] ^ key1;
        next.word[3] = (uint32_t)product0;
        counter = next;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
    return counter;
}

/* Block `index` of `stream`: the key is the seed, the counter is (index, stream), low words first. */
BPI_MATH_FN bpi_philox_block bpi_philox(uint64_t seed, uint64_t stream, uint64_t index)
{
    bpi_philox_block counter;
    counter.word[0] = (uint32_t)index;
    counter.word[1] = (uint32_t)(index >> 32);
    counter.word[2] = (uint32_t)stream;
    counter.word[3] = (uint32_t)(stream >> 32);
    return bpi_philox_rounds(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* Multiples of 2^-24 in [0, 1). */
BPI_MATH_FN float bpi_uniform_from_0(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

/* Multiples of 2^-24 in (0, 1]: for logarithms. */
BPI_MATH_FN float bpi_uniform_to_1(uint32_t word)
{
    return (float)((word >> 8) + 1u) * 0x1p-24f;
}

/* Multiples of 2^-53 in [0, 1). */
BPI_MATH_FN double bpi_uniform_double(uint32_t low, uint32_t high)
{
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return (double)bits * 0x1p-53;
}

/* A number in [0, limit): the upper 64 bits of (high, low) * limit. Its bias is below limit / 2^64. */
BPI_MATH_FN uint64_t bpi_uniform_below(uint32_t low, uint32_t high, uint64_t limit)
{
    uint64_t limit_low = (uint32_t)limit;
    uint64_t limit_high = limit >> 32;
    uint64_t carry = (low * limit_low) >> 32;
    uint64_t cross = high * limit_low + carry;
    uint64_t middle = low * limit_high + (uint32_t)cross;
    return high * limit_high + (cross >> 32) + (middle >> 32);
}

#endif
