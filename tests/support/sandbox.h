/* sandbox.h: an empty current folder for each test of the program, and what the program left in it. */
#ifndef BPT_SANDBOX_H
#define BPT_SANDBOX_H

#include <stdbool.h>

#include "support/folder.h"

/* Criterion's .init and .fini: a new empty folder becomes the current one; it goes with everything in it. */
void bpt_sandbox_enter(void);
void bpt_sandbox_leave(void);

/* Path, size and a hash of every file below the current folder, a line each, sorted; to be freed. Two equal texts: the
 * same files with the same bytes. */
char *bpt_sandbox_listing(void);

char *bpt_text_read(const char *path); /* a whole file; to be freed */
void bpt_text_write(const char *path, const char *text);
bool bpt_file_exists(const char *path);

/* Fails the test unless both hold the same bytes, and some. */
void bpt_file_same(const char *a, const char *b);

#endif
