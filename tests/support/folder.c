/* folder.c: see folder.h. */
#include "support/folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void give_up(const char *what, const char *path)
{
    fprintf(stderr, "%s %s: ", what, path);
    perror(NULL);
    abort();
}

bpt_folder bpt_folder_make(void)
{
    bpt_folder folder;
    const char *where = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/backprop-test-XXXXXX", where && *where ? where : "/tmp");
    if (!mkdtemp(folder.path))
        give_up("mkdtemp", folder.path);
    return folder;
}

/* Calls unlink, or only counts. */
static int walk(const bpt_folder *folder, bool remove_files)
{
    DIR *listing = opendir(folder->path);
    if (!listing)
        give_up("opendir", folder->path);
    int count = 0;
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (remove_files && unlink(bpt_folder_file(folder, entry->d_name)) != 0)
            give_up("unlink", entry->d_name);
    }
    closedir(listing);
    return count;
}

void bpt_folder_remove(const bpt_folder *folder)
{
    walk(folder, true);
    if (rmdir(folder->path) != 0)
        give_up("rmdir", folder->path);
}

int bpt_folder_count(const bpt_folder *folder)
{
    return walk(folder, false);
}

const char *bpt_folder_file(const bpt_folder *folder, const char *name)
{
    enum { BUFFERS = 8 };
    static char paths[BUFFERS][600];
    static int next;
    char *path = paths[next++ % BUFFERS];
    snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
    return path;
}

void bpt_file_write(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
        give_up("write", path);
}

char *bpt_file_read(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        give_up("read", path);
    *count = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*count + 1);
    if (!bytes || fread(bytes, 1, *count, file) != *count)
        give_up("read", path);
    bytes[*count] = 0;
    fclose(file);
    return bytes;
}

bool bpt_file_holds(const char *path, const void *bytes, size_t count)
{
    size_t there;
    char *content = bpt_file_read(path, &there);
    bool same = there == count && memcmp(content, bytes, count) == 0;
    free(content);
    return same;
}
