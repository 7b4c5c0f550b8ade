/* fuzz_report: a run's folder as `backprop report` reads it: the first line of any bytes is its config.json, the others
 * are its metrics.jsonl. Told as text and as JSON, both thrown away. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "fuzz/fuzz_cli.h"
#include "support/folder.h"

static bpt_folder folder;

static void remove_folder(void)
{
    bpt_folder_remove(&folder);
}

/* ext4 waits for the disk where a file is cut to nothing and written again, and not where it is new. */
static void write_new(const char *name, const uint8_t *bytes, size_t count)
{
    const char *path = bpt_folder_file(&folder, name);
    remove(path);
    bpt_file_write(path, bytes, count);
}

static void write_run(const uint8_t *bytes, size_t count)
{
    if (!folder.path[0]) {
        folder = bpt_folder_make();
        atexit(remove_folder);
    }
    const uint8_t *end = count ? memchr(bytes, '\n', count) : NULL;
    size_t first = end ? (size_t)(end - bytes) + 1 : count;
    write_new("config.json", bytes, first);
    write_new("metrics.jsonl", bytes + first, count - first);
}

static int report(const char *run, bool json)
{
    option_set options;
    options_init(&options, &command_report);
    options.values.run = run;
    options.origin[options_find(&options, "run")] = ORIGIN_COMMAND_LINE;
    options.values.json = json;
    int status = command_report.run(&options);
    options_free(&options);
    return status;
}

/* Standard output goes nowhere while a report is told; what the fuzzer itself prints stays. */
static int report_unseen(const char *run, bool json)
{
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fuzz_require(kept >= 0 && nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0, "standard output can be moved");
    int status = report(run, json);
    fflush(stdout);
    fuzz_require(dup2(kept, STDOUT_FILENO) >= 0, "and moved back");
    close(kept);
    close(nowhere);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    fuzz_context();
    write_run(bytes, count);
    bool text = fuzz_cli_accepted(report_unseen(folder.path, false));
    bool json = fuzz_cli_accepted(report_unseen(folder.path, true));
    fuzz_require(text == json, "a run that can be told as text can be told as JSON");
    return 0;
}
