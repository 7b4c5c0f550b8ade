/* plot.h: runs gnuplot on a script, into a file that is replaced at once.
 *
 * The script comes from a file without a name and the picture leaves through standard output, so that no path is ever
 * quoted, no shell is asked, and no pipe can break or fill up. */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include <stdbool.h>
#include <stdio.h>

typedef enum plot_format { PLOT_UNKNOWN, PLOT_PNG, PLOT_SVG } plot_format;

plot_format plot_format_of(const char *path); /* by its ending, in either case */

typedef struct plot {
    FILE *script;
    const char *path;
    plot_format format;
} plot;

/* Opens a script that begins with the terminal of width x height pixels. plot_open and plot_draw return an exit status;
 * plot_draw closes the script, draws, and has written all of the file or none of it. */
int plot_open(plot *p, const char *path, int width, int height);
int plot_draw(plot *p);
void plot_abandon(plot *p); /* without drawing */

/* Text as a quoted string of gnuplot's, at most `most` characters of it. */
void plot_put_text(const plot *p, const char *text, int most);

#endif
