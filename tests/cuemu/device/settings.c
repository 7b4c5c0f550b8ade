/* settings.c: the modes of cuemu, read once from the environment, and the one seeded generator that all random
 * choices draw from. */
#include "cuemu.h"
#include "cuemu_api.h"

#include <stdlib.h>
#include <string.h>

static uint64_t random_state = 0x9e3779b97f4a7c15u;

void cue_random_seed(uint64_t seed)
{
    random_state = (seed + 1) * 0x9e3779b97f4a7c15u;
}

uint32_t cue_random(uint32_t n)
{
    /* splitmix64: any seed gives a good stream, and one word of state is easy to restart */
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (uint32_t)(((z >> 32) * n) >> 32);
}

/* choose: index of the environment variable's value in a list that ends with NULL. */
static int choose(const char *variable, int otherwise, const char *const *names)
{
    const char *value = getenv(variable);
    if (value == NULL || value[0] == '\0')
        return otherwise;
    for (int i = 0; names[i] != NULL; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    cue_fatal("%s=%s is not understood (the first choice is %s)", variable, value, names[0]);
}

static uint64_t number(const char *variable, uint64_t otherwise)
{
    const char *value = getenv(variable);
    if (value == NULL || value[0] == '\0')
        return otherwise;
    char *end = NULL;
    uint64_t n = strtoull(value, &end, 0);
    const char *suffixes = "KMG";
    const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
    if (suffix != NULL) {
        n <<= 10 * (suffix - suffixes + 1);
        end++;
    }
    if (end == value || *end != '\0')
        cue_fatal("%s=%s is not a number", variable, value);
    return n;
}

cue_settings *cue_settings_get(void)
{
    static const char *const orders[] = {"forward", "reverse", "random", NULL};
    static const char *const streams[] = {"eager", "lazy", "random", NULL};
    static const char *const on_report[] = {"exit", "abort", "count", NULL};
    static cue_settings settings;
    static bool ready;
    if (ready)
        return &settings;
    ready = true;
    settings.order = (cue_order)choose("CUEMU_ORDER", CUE_FORWARD, orders);
    settings.streams = (cue_stream_mode)choose("CUEMU_STREAMS", CUE_LAZY, streams);
    settings.seed = number("CUEMU_SEED", 1);
    settings.gemm_seed = number("CUEMU_GEMM_SEED", settings.seed);
    settings.memory_bytes = number("CUEMU_MEM", (uint64_t)2 << 30);
    settings.on_report = (cue_on_report)choose("CUEMU_REPORT", CUE_REPORT_EXIT, on_report);
    settings.json_path = getenv("CUEMU_JSON");
    settings.watchdog = number("CUEMU_WATCHDOG", (uint64_t)1 << 28);
    cue_random_seed(settings.seed);
    return &settings;
}

void cuemu_set_mode(int order, int streams, uint64_t seed)
{
    cue_settings *s = cue_settings_get();
    s->order = (cue_order)order;
    s->streams = (cue_stream_mode)streams;
    s->seed = seed;
    s->gemm_seed = number("CUEMU_GEMM_SEED", seed);
    cue_random_seed(seed);
}
