/* host_main.c: runs the scenario that the argument names, once, or with the seeds 1 to FAULT_SEEDS in random modes, in
 * one process. */
#include "cuemu_api.h"
#include "host.h"
#include "host_scenarios.h"

#include <dlfcn.h>

typedef void scenario_fn(void);

static scenario_fn *find(const char *name)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
        if (strcmp(scenarios[i].name, name) == 0)
            return scenarios[i].run;
    fprintf(stderr, "no scenario %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    scenario_fn *run = find(argc > 1 ? argv[1] : "");
    const char *text = getenv("FAULT_SEEDS");
    int seeds = text != NULL ? atoi(text) : 0;
    if (seeds == 0) {
        run();
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
        run();
        if (reports() != 0) {
            fprintf(stderr, "first report with seed %d\n", seed);
            return 99;
        }
    }
    return 0;
}
