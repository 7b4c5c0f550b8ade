/* host_main.c: runs the scenario once, or with the seeds 1 to FAULT_SEEDS in random modes, in one process. */
#include "cuemu_api.h"
#include "host.h"

#include <dlfcn.h>

int main(void)
{
    const char *text = getenv("FAULT_SEEDS");
    int seeds = text != NULL ? atoi(text) : 0;
    if (seeds == 0) {
        scenario();
        return 0;
    }
    cuemu_set_mode_fn *set_mode = (cuemu_set_mode_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "cuemu_set_mode");
    cuemu_report_count_fn *reports = (cuemu_report_count_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "cuemu_report_count");
    if (set_mode == NULL || reports == NULL) {
        fprintf(stderr, "this is not cuemu\n");
        return 2;
    }
    for (int seed = 1; seed <= seeds; seed++) {
        set_mode(2, 2, (uint64_t)seed);
        scenario();
        if (reports() != 0) {
            fprintf(stderr, "first report with seed %d\n", seed);
            return 99;
        }
    }
    return 0;
}
