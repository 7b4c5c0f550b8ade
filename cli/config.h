/* config.h: options as a JSON object whose keys are option names, read and written. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "options.h"

/* Sets the options that the file names and that have no value yet but their preset: what stands on the command line
 * wins. The JSON values live in options->kept[slot].
 * returns   STATUS_FAILED (file unreadable), STATUS_USAGE (not JSON: line named; unknown key; wrong type or value) */
int config_read(option_set *options, const char *path, int slot);

/* Writes every option that has a value and isn't OPTION_NOT_KEPT, under a temporary name, synced and renamed. */
int config_write(const option_set *options, const char *path);

#endif
