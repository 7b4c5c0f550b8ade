/* terminal.h: what the terminal behind a stream can show. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* Columns of the terminal, asked anew each time, since a window is resized; else $COLUMNS; else 80. */
int terminal_width(FILE *stream);

/* Whether lines can be redrawn in place: a terminal that is not "dumb". */
bool terminal_is_live(FILE *stream);

/* Whether the locale's characters are UTF-8; main has set LC_CTYPE. */
bool terminal_is_utf8(void);

/* Writes text to standard output word by word; `column` is where the cursor stands, further lines start at `indent`. */
void terminal_wrap(const char *text, int column, int indent, int width);

#endif
