/* kernel_main.c: NAME faulty | NAME repaired [SEEDS]: runs one scenario of the kernel fault corpus, the repaired twin
 * with that many seeds in random order, in one process. */
#include "cuemu_api.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments)
{
    if (count < 3)
        return 2;
    void (*scenario)(bool) = (void (*)(bool))(uintptr_t)dlsym(RTLD_DEFAULT, arguments[1]);
    bool repaired = strcmp(arguments[2], "repaired") == 0;
    int seeds = count > 3 ? atoi(arguments[3]) : 1;
    if (scenario == NULL) {
        fprintf(stderr, "no scenario %s\n", arguments[1]);
        return 2;
    }
    cuemu_set_mode_fn *set_mode = (cuemu_set_mode_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "cuemu_set_mode");
    cuemu_report_count_fn *reports = (cuemu_report_count_fn *)(uintptr_t)dlsym(RTLD_DEFAULT, "cuemu_report_count");
    if (set_mode == NULL || reports == NULL) {
        fprintf(stderr, "this is not cuemu\n");
        return 2;
    }
    for (int seed = 1; seed <= seeds; seed++) {
        if (repaired && seeds > 1)
            set_mode(2, 2, (uint64_t)seed);
        scenario(repaired);
        if (repaired && reports() != 0) {
            fprintf(stderr, "first report with seed %d\n", seed);
            return 99;
        }
    }
    return 0;
}
