/* resume.h: options from --config, and from the config.json of a run that goes on. */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include "options.h"

/* Gives options that have no value but their preset the value that the file at --config holds. */
int resume_from_config(option_set *options);

/* The same from a run's config.json. What was given before must agree with it: an option that decides what the run
 * computes (OPTION_FIXED) may not differ, --epochs may not shrink. */
int resume_from_run(option_set *options, const char *path);

#endif
