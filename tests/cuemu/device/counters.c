/* counters.c: counts per kernel and for the host side, and how tests read them. Contract: cuemu_api.h. */
#include "device/counters.h"
#include "cuemu_api.h"
#include "device/device.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *kernel;
    cue_counters counters;
    struct entry *next;
} entry;

typedef struct host_entry {
    char *name;
    int64_t value;
    struct host_entry *next;
} host_entry;

static entry *kernels, **kernels_end = &kernels;
static host_entry *host_counters, **host_end = &host_counters;

static const struct {
    const char *name;
    size_t offset;
} fields[] = {
#define FIELD(name) {#name, offsetof(cue_counters, name)},
    CUE_COUNTERS(FIELD)
#undef FIELD
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

cue_counters *cue_counters_of(const char *kernel)
{
    for (entry *e = kernels; e != NULL; e = e->next)
        if (strcmp(e->kernel, kernel) == 0)
            return &e->counters;
    entry *e = cue_alloc(sizeof *e);
    e->kernel = strdup(kernel);
    if (e->kernel == NULL)
        cue_fatal("no host memory");
    *kernels_end = e;
    kernels_end = &e->next;
    return &e->counters;
}

void cue_count(const char *name, int64_t amount)
{
    for (host_entry *h = host_counters; h != NULL; h = h->next)
        if (strcmp(h->name, name) == 0) {
            h->value += amount;
            return;
        }
    host_entry *h = cue_alloc(sizeof *h);
    h->name = strdup(name);
    if (h->name == NULL)
        cue_fatal("no host memory");
    h->value = amount;
    *host_end = h;
    host_end = &h->next;
}

static int64_t field(const cue_counters *c, int i)
{
    int64_t value;
    memcpy(&value, (const char *)c + fields[i].offset, sizeof value);
    return value;
}

void cue_counters_each(const cue_counter_visitor *visitor)
{
    for (const entry *e = kernels; e != NULL; e = e->next)
        for (int i = 0; i < FIELD_COUNT && visitor->kernel_counter != NULL; i++)
            visitor->kernel_counter(e->kernel, fields[i].name, field(&e->counters, i), visitor->user);
    for (const host_entry *h = host_counters; h != NULL && visitor->host_counter != NULL; h = h->next)
        visitor->host_counter(h->name, h->value, visitor->user);
}

static int64_t host_counter(const char *name)
{
    for (const host_entry *h = host_counters; h != NULL; h = h->next)
        if (strcmp(h->name, name) == 0 || (strncmp(h->name, "host.", 5) == 0 && strcmp(h->name + 5, name) == 0))
            return h->value;
    return 0; /* host counters come into being when they first happen */
}

CUE_EXPORT int64_t cuemu_counter(const char *kernel_substring, const char *name)
{
    if (name == NULL)
        return -1;
    if (kernel_substring != NULL && strcmp(kernel_substring, "host") == 0)
        return host_counter(name);
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(fields[i].name, name) != 0)
            continue;
        int64_t sum = 0;
        for (const entry *e = kernels; e != NULL; e = e->next)
            if (kernel_substring == NULL || strstr(e->kernel, kernel_substring) != NULL)
                sum += field(&e->counters, i);
        return sum;
    }
    return -1;
}

CUE_EXPORT void cuemu_reset_counters(void)
{
    for (entry *e = kernels; e != NULL; e = e->next)
        memset(&e->counters, 0, sizeof e->counters);
    for (host_entry *h = host_counters; h != NULL; h = h->next)
        h->value = 0;
}
