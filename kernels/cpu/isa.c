/* isa.c: which set of loops runs. */
#include "kernels/cpu/loops.h"

#include <stdlib.h>
#include <string.h>

extern const bpi_cpu_loops bpi_cpu_loops_baseline;
#if BPI_CPU_X86
extern const bpi_cpu_loops bpi_cpu_loops_avx2, bpi_cpu_loops_avx512;
#endif

typedef struct candidate {
    const char *name;
    const bpi_cpu_loops *loops;
    bool usable;
} candidate;

#define CANDIDATES 3

/* Best first. The compiler's builtins also ask the operating system whether it saves the registers. */
static int list_candidates(candidate list[CANDIDATES])
{
    int count = 0;
#if BPI_CPU_X86
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    list[count++] = (candidate){"avx512", &bpi_cpu_loops_avx512, avx512};
    list[count++] = (candidate){"avx2", &bpi_cpu_loops_avx2, avx2};
#endif
    list[count++] = (candidate){"baseline", &bpi_cpu_loops_baseline, true};
    return count;
}

const bpi_cpu_loops *bpi_cpu_loops_named(const char *name)
{
    candidate list[CANDIDATES];
    int count = list_candidates(list);
    for (int i = 0; i < count; ++i)
        if (strcmp(list[i].name, name) == 0)
            return list[i].usable ? list[i].loops : NULL;
    return NULL;
}

bp_status bpi_cpu_loops_choose(bpi_error *error, const bpi_cpu_loops **loops)
{
    const char *wanted = getenv("BP_CPU_ISA");
    if (wanted && *wanted) {
        *loops = bpi_cpu_loops_named(wanted);
        if (*loops)
            return BP_STATUS_OK;
        return bpi_fail(error, BP_STATUS_UNSUPPORTED,
                        "backend cpu: BP_CPU_ISA=%s is not usable here: wants one of baseline, avx2, avx512 that this "
                        "machine has",
                        wanted);
    }
    candidate list[CANDIDATES];
    int count = list_candidates(list), best = 0;
    while (best < count - 1 && !list[best].usable)
        ++best;
    *loops = list[best].loops;
    return BP_STATUS_OK;
}
