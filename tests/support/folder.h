/* folder.h: a temporary folder for a test, and whole files as bytes. Everything aborts where the system refuses. */
#ifndef BPT_FOLDER_H
#define BPT_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct bpt_folder {
    char path[256];
} bpt_folder;

bpt_folder bpt_folder_make(void);
/* With the files in it (no subfolders). */
void bpt_folder_remove(const bpt_folder *folder);
/* The path of a file in it; one of eight static buffers in turn. */
const char *bpt_folder_file(const bpt_folder *folder, const char *name);
int bpt_folder_count(const bpt_folder *folder); /* files in it */

void bpt_file_write(const char *path, const void *bytes, size_t count);
/* Free with free; a zero byte follows the last one. */
char *bpt_file_read(const char *path, size_t *count);
bool bpt_file_holds(const char *path, const void *bytes, size_t count);

#endif
