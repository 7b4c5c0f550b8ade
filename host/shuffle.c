/* shuffle.c: the order of an epoch: Fisher-Yates over Philox numbers keyed by (seed, epoch), so that it can be had
 * again without having kept it, on every backend and after a resume. */
#include "host/trainer.h"
#include "kernels/math/philox.h"

/* What separates these numbers from those of the initialisation under the same seed. */
#define SHUFFLE_STREAM (UINT64_C(1) << 63)

void bpi_shuffle(uint64_t seed, int64_t epoch, int64_t count, int64_t *order)
{
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        bpi_philox_block block = bpi_philox(seed, SHUFFLE_STREAM | (uint64_t)epoch, (uint64_t)i);
        int64_t j = (int64_t)bpi_uniform_below(block.word[0], block.word[1], (uint64_t)i + 1);
        int64_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
