/* replace.h: a text file written under a temporary name, synced and renamed: readers see the old one or the new one. */
#ifndef CLI_REPLACE_H
#define CLI_REPLACE_H

#include <limits.h>
#include <stdio.h>

typedef struct replacement {
    FILE *stream; /* may be read as well */
    char path[PATH_MAX], temporary[PATH_MAX];
} replacement;

/* Both return an exit status. A commit that fails has removed the temporary file. */
int replace_open(replacement *file, const char *path);
int replace_commit(replacement *file);

/* Removes the temporary file; the file at the path stays as it was. */
void replace_abandon(replacement *file);

#endif
