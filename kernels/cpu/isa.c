/* isa.c: which set of loops runs. */
#include "kernels/cpu/loops.h"

#include <stdlib.h>
#include <string.h>
#if BPI_CPU_X86
#include <cpuid.h>
#endif

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

/* Intel's cores that are made for AMX run VDPBF16PS, which does twice the work of an FMA of f32, once in the time of
 * four: half the rate of f32, measured on family 6, model 207 (docs/cpu-backend.md). It matters where a hypervisor
 * hides AMX. They are told by AVX512-FP16, which came with AMX: leaf 7, EDX bit 23. Decided by what the processor is,
 * and not by a measurement, so that a machine gives the same bits on every run. */
bool bpi_cpu_dot_bf16_is_slow(void)
{
#if BPI_CPU_X86
    unsigned a = 0, b = 0, c = 0, d = 0;
    __builtin_cpu_init();
    return __builtin_cpu_is("intel") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1);
#else
    return false;
#endif
}
