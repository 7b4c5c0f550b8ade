/* words.h: numbers as people read them, each written into `words`, whose text is returned; and words of others, made
 * plain. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stdint.h>

typedef struct words {
    char text[32];
} words;

const char *words_rate(words *w, double per_second);   /* "983", "48.2k", "1.23M" */
const char *words_time(words *w, double seconds);      /* "0.42 s", "12.3 s", "3m05s", "2h07m", "4d03h" */
const char *words_time_left(words *w, double seconds); /* the same in whole seconds, which jump less */
const char *words_loss(words *w, double loss);         /* "0.3456", "12.35", "1.2e-05" */
const char *words_count(words *w, int64_t count);      /* "60,000" */
const char *words_plural(int64_t count);               /* "s", or "" of one */

/* Blanks for what would move a terminal's cursor or change its colours: the control characters of ASCII, and those that
 * UTF-8 writes in two bytes. In place; the length stays. */
void words_plain(char *text);

#endif
