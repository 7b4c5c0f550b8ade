/* fuzz_config: any bytes as the file of --config; what is accepted is written, and read back as the same options. */
#include <stdlib.h>

#include "config.h"
#include "fuzz/fuzz_cli.h"
#include "net.h"
#include "source.h"
#include "support/folder.h"

/* Options of every kind, those of `backprop train` but its own. */
static const option_group groups[] = {SOURCE_GROUP, SOURCE_TEST_GROUP, NET_GROUP, OPTIM_GROUP, COMPUTE_GROUP};
static const cli_command command = {.name = "train", .groups = groups, .group_count = sizeof groups / sizeof *groups};

static bpt_folder folder;

static void remove_folder(void)
{
    bpt_folder_remove(&folder);
}

static void write_and_read(const option_set *options)
{
    if (!folder.path[0]) {
        folder = bpt_folder_make();
        atexit(remove_folder);
    }
    const char *path = bpt_folder_file(&folder, "config.json");
    option_set again;
    options_init(&again, &command);
    fuzz_require(config_write(options, path) == 0, "options that were read can be written");
    fuzz_require(config_read(&again, path, 0) == 0, "what was written is read");
    for (int i = 0; options_spec(options, i); i++)
        /* a path comes back absolute */
        fuzz_require(options_spec(options, i)->traits & OPTION_IS_PATH || options_equal(options, &again, i),
                     options_spec(options, i)->name);
    options_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    option_set options;
    options_init(&options, &command);
    fuzz_context();
    if (fuzz_cli_accepted(config_read(&options, fuzz_file(bytes, count), 0)))
        write_and_read(&options);
    options_free(&options);
    return 0;
}
