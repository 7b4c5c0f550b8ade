/* site.c: from a return address to "file.c:57", by addr2line, once per address and only for texts that are printed. */
#include "internal.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct known {
    const void *address;
    const char *text;
    char file[128];
    int line;
} known;

static known *places;
static size_t place_count, place_room;
static char **texts;
static size_t text_count, text_room;

const char *cue_intern(const char *text)
{
    for (size_t i = 0; i < text_count; i++)
        if (strcmp(texts[i], text) == 0)
            return texts[i];
    if (text_count == text_room) {
        text_room = text_room ? text_room * 2 : 64;
        texts = realloc(texts, text_room * sizeof *texts);
        if (texts == NULL)
            cue_fatal("no memory for names");
    }
    char *copy = strdup(text);
    if (copy == NULL)
        cue_fatal("no memory for names");
    return texts[text_count++] = copy;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The call stands one byte before the return address. */
static void look_up(const void *address, known *out)
{
    Dl_info info;
    struct link_map *map = NULL;
    if (address == NULL || dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || info.dli_fname == NULL) {
        out->text = cue_intern("an unknown place");
        return;
    }
    uintptr_t offset = (uintptr_t)address - 1 - (uintptr_t)map->l_addr;
    char path[PATH_MAX], command[PATH_MAX + 80], line[512] = "", text[256];
    if (realpath(info.dli_fname, path) == NULL && realpath("/proc/self/exe", path) == NULL)
        snprintf(path, sizeof path, "%s", info.dli_fname);
    snprintf(command, sizeof command, "LD_LIBRARY_PATH= addr2line -e '%s' 0x%lx 2>/dev/null", path,
             (unsigned long)offset);
    FILE *pipe = popen(command, "r");
    if (pipe != NULL) {
        if (fgets(line, sizeof line, pipe) == NULL)
            line[0] = '\0';
        pclose(pipe);
    }
    char *colon = strrchr(line, ':');
    if (colon != NULL && strtol(colon + 1, NULL, 10) > 0) {
        out->line = (int)strtol(colon + 1, NULL, 10);
        *colon = '\0';
        snprintf(out->file, sizeof out->file, "%.120s", base_name(line));
        snprintf(text, sizeof text, "%s:%d", out->file, out->line);
    } else {
        snprintf(text, sizeof text, "%.120s+0x%lx", base_name(path), (unsigned long)offset);
    }
    out->text = cue_intern(text);
}

static const known *find(const void *address)
{
    for (size_t i = 0; i < place_count; i++)
        if (places[i].address == address)
            return &places[i];
    if (place_count == place_room) {
        place_room = place_room ? place_room * 2 : 32;
        places = realloc(places, place_room * sizeof *places);
        if (places == NULL)
            cue_fatal("no memory for places");
    }
    known *k = &places[place_count];
    memset(k, 0, sizeof *k);
    k->address = address;
    look_up(address, k);
    place_count++;
    return k;
}

const char *cue_site_text(const void *address)
{
    return find(address)->text;
}

void cue_site_place(cue_site site, cue_place *place)
{
    const known *k = find(site.address);
    *place = (cue_place){.kernel = site.call != NULL ? site.call : "host"};
    if (k->line > 0) {
        place->file = cue_intern(k->file);
        place->line = k->line;
    }
}
