/* help.c: what `backprop COMMAND --help` prints: two columns, wrapped to the terminal. */
#include <stdio.h>

#include "options.h"
#include "terminal.h"

enum { HELP_INDENT = 26, HELP_WIDTH_MOST = 100 };

static void describe(const option_spec *spec, char *text, size_t size)
{
    int length = snprintf(text, size, "%s", spec->help);
    if (spec->choices) {
        length += snprintf(text + length, size - (size_t)length, ":");
        for (int i = 0; spec->choices[i]; i++)
            length += snprintf(text + length, size - (size_t)length, "%s %s", i ? "," : "", spec->choices[i]);
    }
    if (spec->preset)
        snprintf(text + length, size - (size_t)length, " [%s]", spec->preset);
    else if (spec->traits & OPTION_REQUIRED)
        snprintf(text + length, size - (size_t)length, " (needed)");
}

static void print_option(const option_spec *spec, int width)
{
    char text[1024];
    describe(spec, text, sizeof text);
    int column = spec->traits & OPTION_BARE
                     ? printf("  %s", spec->value)
                     : printf("  --%s%s%s", spec->name, spec->value ? " " : "", spec->value ? spec->value : "");
    if (column + 2 > HELP_INDENT) {
        putchar('\n');
        column = 0;
    }
    column += printf("%*s", HELP_INDENT - column, "");
    terminal_wrap(text, column, HELP_INDENT, width);
}

void help_command(const cli_command *command)
{
    int width = terminal_width(stdout);
    if (width > HELP_WIDTH_MOST)
        width = HELP_WIDTH_MOST;
    if (width < 2 * HELP_INDENT)
        width = 2 * HELP_INDENT;
    int column = printf("Usage: backprop %s ", command->name);
    terminal_wrap(command->usage, column, column, width);
    putchar('\n');
    terminal_wrap(command->details, 0, 0, width);
    for (int g = 0; g < command->group_count; g++) {
        printf("\n%s\n", command->groups[g].title);
        for (int i = 0; i < command->groups[g].count; i++)
            print_option(&command->groups[g].specs[i], width);
    }
    printf("\n  --help                  prints this\n");
    if (command->example)
        printf("\nExample\n%s", command->example);
}
