/* resume.c: see resume.h. */
#include "resume.h"

#include "config.h"
#include "message.h"
#include "source.h"

static int check_agrees(const option_set *given, const option_set *run)
{
    const option_spec *spec;
    char now[512], then[512];
    for (int i = 0; (spec = options_spec(given, i)); i++) {
        if (given->origin[i] == ORIGIN_PRESET || !(spec->traits & OPTION_FIXED) || options_equal(given, run, i))
            continue;
        return fail(STATUS_USAGE,
                    "--%s is %s, but the run was started with %s; leave it out, or start anew with another --out",
                    spec->name, options_text(given, i, now, sizeof now), options_text(run, i, then, sizeof then));
    }
    if (options_origin(given, "epochs") != ORIGIN_PRESET && given->values.epochs < run->values.epochs)
        return fail(STATUS_USAGE, "--epochs %lld is less than the run's %lld; it may only grow",
                    (long long)given->values.epochs, (long long)run->values.epochs);
    return STATUS_OK;
}

static int merge(option_set *given, const char *path, int slot, bool must_agree)
{
    option_set base;
    options_init(&base, given->command);
    int status = config_read(&base, path, slot);
    if (status == STATUS_OK && must_agree)
        status = check_agrees(given, &base);
    if (status == STATUS_OK) {
        source_replace(&base, given);
        for (int i = 0; options_spec(given, i); i++)
            if (given->origin[i] == ORIGIN_PRESET)
                options_copy(given, &base, i);
        given->kept[slot] = base.kept[slot];
        base.kept[slot] = NULL;
    }
    options_free(&base);
    return status;
}

int resume_from_config(option_set *options)
{
    return merge(options, options->values.config, 0, false);
}

int resume_from_run(option_set *options, const char *path)
{
    return merge(options, path, 1, true);
}
