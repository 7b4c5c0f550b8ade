/* options.h: a parser of long options, driven by tables.
 *
 * `--name value` and `--name=value`; a flag stands alone, and so may the value of one option a command. Each command
 * has a list of groups, each group an array of specs. Every mistake is one line on standard error and STATUS_USAGE.
 * config.h reads the same options from JSON. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <jansson.h>
#include <math.h>
#include <stddef.h>

#include "settings.h"

typedef enum option_kind {
    OPTION_FLAG,      /* bool */
    OPTION_TEXT,      /* const char * */
    OPTION_TWO_TEXTS, /* const char *[2] */
    OPTION_COUNT,     /* int64_t */
    OPTION_REAL,      /* double */
    OPTION_CHOICE,    /* int: index into choices */
    OPTION_WORD       /* const char *: one of choices */
} option_kind;

enum { /* traits */
       OPTION_REQUIRED = 1,
       OPTION_FIXED = 2,    /* a resumed run must have it as it was */
       OPTION_NOT_KEPT = 4, /* not a part of config.json */
       OPTION_ABOVE = 8,    /* `least` itself is out of range */
       OPTION_BELOW = 16,   /* `most` itself is out of range */
       OPTION_IS_PATH = 32, /* config.json holds it as an absolute path */
       OPTION_BARE = 64     /* may be given by its value alone: `report RUN` for `report --run RUN` */
};

typedef struct option_spec {
    const char *name; /* without the dashes */
    option_kind kind;
    size_t where;               /* offsetof(settings, ...) */
    const char *value;          /* what the help calls the value, such as "FILE" */
    const char *preset;         /* the default, as it would be typed; NULL: none */
    const char *help;           /* one sentence without a full stop */
    const char *const *choices; /* ends with NULL */
    double least, most;         /* COUNT and REAL; both 0: no limit */
    unsigned traits;
} option_spec;

typedef struct option_group {
    const char *title;
    const option_spec *specs;
    int count;
} option_group;

#define OPTION_GROUP(title, specs)                                                                                     \
    {                                                                                                                  \
        (title), (specs), (int)(sizeof(specs) / sizeof *(specs))                                                       \
    }

struct option_set;

typedef struct cli_command {
    const char *name;
    const char *usage;   /* what follows "backprop NAME" */
    const char *summary; /* one line for the list of commands */
    const char *details; /* the help's paragraph */
    const char *example; /* whole command lines, each with its newline */
    const option_group *groups;
    int group_count;
    int (*run)(struct option_set *options); /* returns the exit status */
} cli_command;

typedef enum option_origin {
    ORIGIN_PRESET,   /* nobody gave it: its preset, or no value */
    ORIGIN_RESOLVED, /* nobody gave it: it follows from other options */
    ORIGIN_CONFIG,
    ORIGIN_COMMAND_LINE
} option_origin;

#define OPTION_UNLIMITED HUGE_VAL /* `most` of an option that has no upper limit */

#define OPTIONS_MOST 64

typedef struct option_set {
    const cli_command *command;
    settings values;
    unsigned char origin[OPTIONS_MOST]; /* option_origin by index over all groups */
    json_t *kept[2];                    /* JSON values whose texts `values` points to */
} option_set;

/* Fills *options from presets. The table itself is checked by assertions. */
void options_init(option_set *options, const cli_command *command);
void options_free(option_set *options);

/* Reads the command line, argv[0] being the command's name. *help tells whether --help was there: then nothing else
 * was looked at. */
int options_parse(option_set *options, int argc, char **argv, bool *help);

/* STATUS_USAGE naming the first required option that has no value. */
int options_require(const option_set *options);

/* Walking the table: by index over all groups; NULL past the end. */
const option_spec *options_spec(const option_set *options, int index);
int options_find(const option_set *options, const char *name); /* -1: no such option */
option_origin options_origin(const option_set *options, const char *name);

/* Sets one option from text; `label` is what messages call it ("--batch", "run.json: batch"). */
int options_set(option_set *options, int index, const char *label, const char *const text[2], option_origin origin);

/* Gives a REAL that nobody gave the value that follows from other options. */
void options_resolve(option_set *options, const char *name, double value);

/* Whether the option has a value, be it its preset. */
bool options_has(const option_set *options, int index);

/* Back to the preset. */
void options_unset(option_set *options, int index);

/* Value of an option as text for messages, in `buffer`; "" where it has none. */
const char *options_text(const option_set *options, int index, char *buffer, size_t size);

/* Takes the value of one option over from other options of the same command. */
void options_copy(option_set *to, const option_set *from, int index);
bool options_equal(const option_set *a, const option_set *b, int index);

/* The name nearest to `word` among count names got by `name(user, i)`; NULL where none is near. */
const char *nearest_name(const char *word, const char *(*name)(const void *user, int index), const void *user);

/* help.c */
void help_command(const cli_command *command);

#endif
