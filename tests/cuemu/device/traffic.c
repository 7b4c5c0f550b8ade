/* traffic.c: what an access of a warp costs a card: 32-byte sectors of global memory, passes over the 32 banks of
 * shared memory. Facts about the addresses alone. */
#include "device/exec.h"

enum { SECTOR_BYTES = 32, BANKS = 32, BANK_BYTES = 4 };

/* count_sectors: different sectors among the lanes. Lanes side by side, the common case, are one subtraction; ascending
 * addresses need no search. Addresses of lanes that take no part are not looked at, but must be readable. */
static int64_t count_sectors(const uint64_t *addresses, uint32_t mask, uint32_t bytes)
{
    uint64_t seen[2 * CUE_WARP], last = 0, skew = 0;
    for (uint32_t l = 1; l < CUE_WARP; l++)
        skew |= addresses[l] - addresses[l - 1] - bytes;
    if (mask == UINT32_MAX && skew == 0)
        return (int64_t)((addresses[31] + bytes - 1) / SECTOR_BYTES - addresses[0] / SECTOR_BYTES + 1);
    int64_t count = 0;
    bool ascending = true;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        uint64_t first = addresses[l] / SECTOR_BYTES, end = (addresses[l] + bytes - 1) / SECTOR_BYTES;
        for (uint64_t sector = first; sector <= end; sector++) {
            if (count > 0 && sector == last)
                continue;
            if (count > 0 && sector < last)
                ascending = false;
            bool known = false;
            for (int64_t s = 0; !ascending && s < count && !known; s++)
                known = seen[s] == sector;
            if (known)
                continue;
            seen[count++] = sector;
            last = sector;
        }
    }
    return count;
}

void cue_traffic_global(cue_block *block, const uint64_t *addresses, uint32_t mask, uint32_t bytes, bool write)
{
    int64_t moved = (int64_t)__builtin_popcount(mask) * bytes, sectors = count_sectors(addresses, mask, bytes);
    if (write) {
        block->counters->global_write_bytes += moved;
        block->counters->global_write_sectors += sectors;
    } else {
        block->counters->global_read_bytes += moved;
        block->counters->global_read_sectors += sectors;
    }
}

/* passes: how often the busiest bank is asked for different words by these lanes. */
static int64_t passes(const uint64_t *addresses, uint32_t mask, uint32_t bytes)
{
    uint64_t words[BANKS][CUE_WARP];
    uint8_t count[BANKS] = {0};
    int64_t most = 0;
    for (uint32_t l = 0; l < CUE_WARP; l++) {
        if (!(mask >> l & 1))
            continue;
        for (uint64_t word = addresses[l] / BANK_BYTES; word <= (addresses[l] + bytes - 1) / BANK_BYTES; word++) {
            uint32_t bank = word % BANKS;
            bool known = false;
            for (uint32_t k = 0; k < count[bank] && !known; k++)
                known = words[bank][k] == word;
            if (known)
                continue;
            words[bank][count[bank]++] = word;
            most = count[bank] > most ? count[bank] : most;
        }
    }
    return most;
}

/* Accesses of 8 bytes are served in halves of the warp, those of 16 bytes in quarters. */
void cue_traffic_shared(cue_block *block, const uint64_t *addresses, uint32_t mask, uint32_t bytes, bool write)
{
    int64_t moved = (int64_t)__builtin_popcount(mask) * bytes;
    if (write)
        block->counters->shared_write_bytes += moved;
    else
        block->counters->shared_read_bytes += moved;
    uint32_t parts = bytes <= 4 ? 1 : bytes <= 8 ? 2 : bytes <= 16 ? 4 : 8, lanes = CUE_WARP / parts;
    uint32_t part_mask = lanes == 32 ? UINT32_MAX : (1u << lanes) - 1;
    for (uint32_t p = 0; p < parts; p++) {
        int64_t needed = passes(addresses, mask & part_mask << (p * lanes), bytes);
        block->counters->shared_conflicts += needed > 1 ? needed - 1 : 0;
    }
}
