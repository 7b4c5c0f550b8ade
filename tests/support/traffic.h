/* traffic.h: holds kernels to what they may move, as cuemu counts it: facts about the code that hold on every card. */
#ifndef BPT_TRAFFIC_H
#define BPT_TRAFFIC_H

#include "support/backends.h"

typedef struct bpt_limits {
    double moved_over_needed; /* at most */
    double sector_share;      /* bytes moved over the 32-byte sectors of each warp's accesses, at least */
    double access_bytes;      /* at least, on average over the accesses of a lane */
} bpt_limits;

/* The CUDA backend of this run's precision, its counters at zero. Skips the test where there is none, naming the ctest
 * entry that has one, or where nothing is counted. */
bpt_device *bpt_open_counted(const char *entry);

/* All launches, since the counters were reset, of the kernels whose name holds `kernel`. No bank conflicts, and at
 * least 2^21 bytes: what fewer do, nothing is said about. */
void bpt_check_traffic(const char *kernel, bpt_limits limits);
/* With bytes that have to be moved once more than cuemu counts as needed: the test says why. */
void bpt_check_traffic_besides(const char *kernel, bpt_limits limits, double needed_besides);

#endif
