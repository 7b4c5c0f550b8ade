/* replace.c: see replace.h. */
#include "replace.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

int replace_open(replacement *file, const char *path)
{
    int length = snprintf(file->path, sizeof file->path, "%s", path);
    int temporary = snprintf(file->temporary, sizeof file->temporary, "%s.tmp", path);
    if (length < 0 || temporary >= (int)sizeof file->temporary)
        return fail(STATUS_FAILED, "the path %s is too long", path);
    file->stream = fopen(file->temporary, "w+");
    if (!file->stream)
        return fail(STATUS_FAILED, "cannot write %s: %s", path, strerror(errno));
    return STATUS_OK;
}

int replace_commit(replacement *file)
{
    bool written = !ferror(file->stream) && fflush(file->stream) == 0 && fsync(fileno(file->stream)) == 0;
    int error = errno;
    if (fclose(file->stream) != 0 && written) {
        written = false;
        error = errno;
    }
    if (written && rename(file->temporary, file->path) == 0)
        return STATUS_OK;
    if (written)
        error = errno;
    remove(file->temporary);
    return fail(STATUS_FAILED, "cannot write %s: %s", file->path, strerror(error));
}

void replace_abandon(replacement *file)
{
    fclose(file->stream);
    remove(file->temporary);
}
