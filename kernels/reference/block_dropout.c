/* block_dropout.c: which elements dropout keeps: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC11), written from the
 * paper once more, so that a mistake in kernels/math cannot hide. Contract: bpi_block_spec in kernels/ops.h. */
#include "kernels/reference/block.h"

#include <assert.h>
#include <math.h>

/* One round: two products of 32 x 32 bits; their high halves are mixed with the words that were not multiplied. */
static void philox_round(uint32_t c[4], const uint32_t key[2])
{
    uint64_t left = UINT64_C(0xd2511f53) * c[0], right = UINT64_C(0xcd9e8d57) * c[2];
    uint32_t even = c[1], odd = c[3];
    c[0] = (uint32_t)(right >> 32) ^ even ^ key[0];
    c[1] = (uint32_t)(right & 0xffffffffu);
    c[2] = (uint32_t)(left >> 32) ^ odd ^ key[1];
    c[3] = (uint32_t)(left & 0xffffffffu);
}

/* The key moves by the golden ratio and by sqrt(3) - 1 from round to round. */
static uint32_t philox_word(uint64_t seed, uint64_t high, uint64_t low, int64_t which)
{
    uint32_t c[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, (uint32_t)(high >> 32)};
    for (uint32_t round = 0; round < 10; ++round) {
        uint32_t key[2] = {(uint32_t)seed + round * 0x9e3779b9u, (uint32_t)(seed >> 32) + round * 0xbb67ae85u};
        philox_round(c, key);
    }
    return c[which];
}

double bpi_reference_dropout(const bpi_dropout_key *key, float p, int64_t outputs, int64_t b, int64_t o)
{
    assert(p >= 0.0f && p < 1.0f && key->layer < 65536 && outputs > o);
    if (p == 0.0f)
        return 1.0;
    uint64_t blocks_of_row = (uint64_t)(outputs + 3) / 4;
    uint64_t low = (uint64_t)(key->first_row + b) * blocks_of_row + (uint64_t)o / 4;
    uint64_t high = (uint64_t)key->state->step << 16 | key->layer;
    double threshold = floor(ldexp((double)p, 32));
    return (double)philox_word(key->seed, high, low, o % 4) >= threshold ? 1.0 / (1.0 - (double)p) : 0.0;
}
