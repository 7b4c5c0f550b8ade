/* info.c: backprop info: the version, and each backend with its engine, or the reason why it can't be used here. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "message.h"
#include "net.h"

/* clang-format off */
static const option_spec info_specs[] = {
    {"json", OPTION_FLAG, offsetof(settings, json), NULL, NULL, "print it as JSON and nothing else", NULL, 0, 0, 0},
    {"threads", OPTION_COUNT, offsetof(settings, threads), "N", NULL, "of the CPU [all that the process may use]", NULL,
     1, 65536, 0},
};
/* clang-format on */

static const option_group groups[] = {OPTION_GROUP("Options", info_specs)};

/* "backend cuda: it lacks ..." without the name, which stands before it already. */
static const char *reason_of(const char *name, const bp_context *context)
{
    const char *text = bp_last_error(context);
    size_t length = strlen(name);
    if (strncmp(text, "backend ", 8) == 0 && strncmp(text + 8, name, length) == 0 && text[8 + length] == ':')
        return text + 8 + length + 2;
    return text;
}

static bp_status make(const option_set *options, const char *name, bp_precision precision, bool emulates,
                      bp_context **context)
{
    bp_context_options context_options = {.struct_size = sizeof context_options,
                                          .backend = name,
                                          .precision = precision,
                                          .threads = (int)options->values.threads,
                                          .emulate_bf16 = emulates};
    return bp_context_create(&context_options, context);
}

/* The names of the precisions that a backend has here: by itself, or in emulation alone. */
static json_t *precisions_of(const option_set *options, const char *name, bool emulated)
{
    json_t *list = json_array();
    const char *precision;
    for (int i = BP_PRECISION_F64; (precision = bp_precision_name((bp_precision)i)); i++) {
        bp_context *plain = NULL, *emulating = NULL;
        bool has = make(options, name, (bp_precision)i, false, &plain) == BP_STATUS_OK;
        bool can = !has && emulated && make(options, name, (bp_precision)i, true, &emulating) == BP_STATUS_OK;
        if (emulated ? can : has)
            json_array_append_new(list, json_string(precision));
        bp_context_destroy(plain);
        bp_context_destroy(emulating);
    }
    return list;
}

/* The engine of every precision that it has by itself, by name. */
static json_t *engines_of(const option_set *options, const char *name)
{
    json_t *engines = json_object();
    const char *precision;
    for (int i = BP_PRECISION_F64; (precision = bp_precision_name((bp_precision)i)); i++) {
        bp_context *context = NULL;
        if (make(options, name, (bp_precision)i, false, &context) == BP_STATUS_OK)
            json_object_set_new(engines, precision, json_string(bp_context_engine(context)));
        bp_context_destroy(context);
    }
    return engines;
}

/* A line for each precision whose engine is another than the backend's own. */
static void print_other_engines(const option_set *options, const char *name, const char *engine)
{
    json_t *engines = engines_of(options, name), *other;
    const char *precision;
    json_object_foreach(engines, precision, other)
    {
        if (strcmp(json_string_value(other), engine) != 0)
            printf("%-10s in %s: %s\n", "", precision, json_string_value(other));
    }
    json_decref(engines);
}

static void print_list(const char *before, json_t *list)
{
    size_t index;
    const json_t *value;
    json_array_foreach(list, index, value) printf("%s%s", index ? ", " : before, json_string_value(value));
    json_decref(list);
}

static void print_backend(const option_set *options, const char *name, const bp_context *context, bp_status status)
{
    if (status == BP_STATUS_OK) {
        printf("%-10s %s; %s by default", name, bp_context_engine(context),
               bp_precision_name(bp_context_precision(context)));
        print_list("; has ", precisions_of(options, name, false));
        print_list("; emulates ", precisions_of(options, name, true));
        printf("\n");
        print_other_engines(options, name, bp_context_engine(context));
    } else
        printf("%-10s not usable here: %s\n", name, reason_of(name, context));
}

static json_t *backend_value(const option_set *options, const char *name, const bp_context *context, bp_status status)
{
    if (status != BP_STATUS_OK)
        return json_pack("{ss sb ss ss}", "name", name, "usable", 0, "status", bp_status_name(status), "reason",
                         reason_of(name, context));
    return json_pack("{ss sb ss ss si so so so}", "name", name, "usable", 1, "engine", bp_context_engine(context),
                     "precision", bp_precision_name(bp_context_precision(context)), "threads",
                     bp_context_threads(context), "precisions", precisions_of(options, name, false), "emulated",
                     precisions_of(options, name, true), "engines", engines_of(options, name));
}

static json_t *tell_backends(const option_set *options)
{
    json_t *list = options->values.json ? json_array() : NULL;
    const char *name;
    for (int i = 0; (name = bp_backend_name(i)); i++) {
        bp_context *context = NULL;
        bp_status status = make(options, name, BP_PRECISION_DEFAULT, false, &context);
        if (list)
            json_array_append_new(list, backend_value(options, name, context, status));
        else
            print_backend(options, name, context, status);
        bp_context_destroy(context);
    }
    return list;
}

static int run(option_set *options)
{
    bp_context *context = NULL;
    int status = STATUS_OK;
    if (!options->values.json)
        printf("backprop   %s\n", bp_version());
    json_t *list = tell_backends(options);
    bp_status made = make(options, "auto", BP_PRECISION_DEFAULT, false, &context);
    if (made != BP_STATUS_OK)
        status = check_library(context, made);
    else if (list)
        status = json_print(json_pack("{ss sO ss ss}", "version", bp_version(), "backends", list, "auto",
                                      bp_context_backend(context), "auto_reason", bp_context_backend_reason(context)));
    else
        printf("%-10s is %s here\n", "auto", bp_context_backend(context));
    json_decref(list);
    bp_context_destroy(context);
    return status;
}

const cli_command command_info = {
    .name = "info",
    .usage = "[--json]",
    .summary = "version, backends, devices, instruction set, threads",
    .details =
        "Lists the backends of this build, with the engine, device, instruction set and threads that each would use, "
        "or with the reason why it cannot be used here.",
    .groups = groups,
    .group_count = sizeof groups / sizeof *groups,
    .run = run,
};
