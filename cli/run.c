/* run.c: see run.h. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "json.h"
#include "message.h"
#include "replace.h"

static int name_file(const run_folder *run, char *path, const char *name)
{
    if (snprintf(path, PATH_MAX, "%s/%s", run->path, name) >= PATH_MAX - 64) /* room for temporary names */
        return fail(STATUS_FAILED, "the path %s is too long", run->path);
    return STATUS_OK;
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int lock_folder(run_folder *run)
{
    run->lock = open(run->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0)
        return fail(STATUS_FAILED, "cannot open the folder %s: %s", run->path, strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0)
        return STATUS_OK;
    if (errno == EWOULDBLOCK)
        return fail(STATUS_FAILED, "another process is training in %s; wait for it, or choose another --out",
                    run->path);
    return fail(STATUS_FAILED, "cannot lock the folder %s: %s", run->path, strerror(errno));
}

static int look(run_folder *run, bool resume)
{
    run->has_checkpoint = exists(run->checkpoint);
    run->has_config = exists(run->config);
    run->has_run = run->has_checkpoint || run->has_config || exists(run->metrics) || exists(run->model);
    if (run->has_run && !resume)
        return fail(STATUS_FAILED, "%s holds a run already; go on with it by --resume, or choose another --out",
                    run->path);
    if (run->has_checkpoint && !run->has_config)
        return fail(STATUS_FAILED, "%s holds a checkpoint without its config.json; it cannot be resumed", run->path);
    return STATUS_OK;
}

int run_open(run_folder *run, const char *path, bool resume)
{
    *run = (run_folder){.path = path, .lock = -1};
    TRY(name_file(run, run->config, "config.json"));
    TRY(name_file(run, run->metrics, "metrics.jsonl"));
    TRY(name_file(run, run->model, "model.safetensors"));
    TRY(name_file(run, run->checkpoint, "checkpoint.safetensors"));
    if (!exists(path))
        return STATUS_OK;
    TRY(lock_folder(run));
    return look(run, resume);
}

static int make_folders(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = part + 1;; slash++) {
        if (*slash && *slash != '/')
            continue;
        char held = *slash;
        *slash = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return fail(STATUS_FAILED, "cannot make the folder %s: %s", part, strerror(errno));
        if (!held)
            return STATUS_OK;
        *slash = held;
    }
}

/* A line stays where it is whole and its step is not beyond `step`. A killed process may leave half a line. */
static bool keeps(const char *text, size_t length, int64_t step)
{
    json_t *line = length && text[length - 1] == '\n' ? json_loadb(text, length, 0, NULL) : NULL;
    const json_t *value = json_object_get(line, "step");
    bool kept = json_is_integer(value) && json_integer_value(value) <= step;
    json_decref(line);
    return kept;
}

static int cut_metrics(run_folder *run, int64_t step, int64_t *cut)
{
    FILE *old = fopen(run->metrics, "r");
    if (!old && errno == ENOENT)
        return STATUS_OK;
    if (!old)
        return fail(STATUS_FAILED, "cannot read %s: %s", run->metrics, strerror(errno));
    replacement file;
    int status = replace_open(&file, run->metrics);
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    while (status == STATUS_OK && (length = getline(&text, &size, old)) > 0) {
        if (keeps(text, (size_t)length, step))
            fwrite(text, 1, (size_t)length, file.stream);
        else
            ++*cut;
    }
    free(text);
    bool torn = ferror(old);
    fclose(old);
    TRY(status);
    if (!torn)
        return replace_commit(&file);
    replace_abandon(&file);
    return fail(STATUS_FAILED, "cannot read %s", run->metrics);
}

int run_begin(run_folder *run, const option_set *options, int64_t step, int64_t *cut)
{
    *cut = 0;
    if (run->lock < 0) {
        TRY(make_folders(run->path));
        TRY(lock_folder(run));
        TRY(look(run, false)); /* another process may have been faster */
    }
    TRY(config_write(options, run->config));
    TRY(cut_metrics(run, step, cut));
    run->stream = fopen(run->metrics, "a");
    if (!run->stream)
        return fail(STATUS_FAILED, "cannot write %s: %s", run->metrics, strerror(errno));
    return STATUS_OK;
}

void run_metrics(run_folder *run, json_t *line)
{
    if (run->failed) {
        json_decref(line);
        return;
    }
    errno = 0;
    if (!json_put(line, run->stream, JSON_COMPACT) || fflush(run->stream) != 0) {
        run->failed = true;
        run->error = errno;
    }
}

int run_metrics_status(const run_folder *run)
{
    if (!run->failed)
        return STATUS_OK;
    return fail(STATUS_FAILED, "cannot write %s: %s", run->metrics, strerror(run->error ? run->error : ENOMEM));
}

void run_close(run_folder *run)
{
    if (run->stream)
        fclose(run->stream);
    if (run->lock >= 0)
        close(run->lock);
}
