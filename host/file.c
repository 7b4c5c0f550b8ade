/* file.c: a file out under a temporary name in the same folder, synced, renamed, and the folder synced: a reader sees
 * the old file or the new one, never a part, also after a crash. And a regular file in, with the system's words where
 * it cannot be read. Contract in file.h. */
#include "host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_ATTEMPTS = 1000 };

bp_status bpi_path_check(bp_context *context, const char *path)
{
    if (!path || !path[0])
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "path is %s; give the name of a file",
                        path ? "empty" : "null");
    size_t length = strlen(path);
    if (length >= BPI_PATH_BYTES)
        return BPI_FAIL(context, BP_STATUS_INVALID_ARGUMENT, "path of %zu bytes is too long, at most %d: %.64s...",
                        length, BPI_PATH_BYTES - 1, path);
    return BP_STATUS_OK;
}

/* ---------------------------------------------------------------- out */

/* Renaming over a device would remove the device, so only a regular file may be replaced. */
static bp_status check_target(bpi_out_file *file, struct stat *target, bool *exists)
{
    *exists = stat(file->path, target) == 0;
    if (!*exists || S_ISREG(target->st_mode))
        return BP_STATUS_OK;
    return BPI_FAIL(file->context, BP_STATUS_IO, "cannot write %s: it is %s; give the name of a file", file->path,
                    S_ISDIR(target->st_mode) ? "a folder" : "a device or a pipe");
}

/* Opens a new file beside the target. The name holds the process, and O_EXCL makes it ours alone. */
static int open_temporary(bpi_out_file *file)
{
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
        snprintf(file->temporary, sizeof file->temporary, "%s.tmp-%ld-%d", file->path, (long)getpid(), attempt);
        int descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0 || errno != EEXIST)
            return descriptor;
    }
    return -1;
}

/* Fails with errno's words and leaves nothing behind. */
static bp_status out_fail(bpi_out_file *file, const char *what)
{
    int code = errno ? errno : EIO;
    bpi_out_file_abandon(file);
    return BPI_FAIL(file->context, BP_STATUS_IO, "cannot %s %s: %s", what, file->path, strerror(code));
}

bp_status bpi_out_file_open(bp_context *context, const char *path, bpi_out_file *file)
{
    memset(file, 0, sizeof *file);
    file->context = context;
    BPI_TRY(bpi_path_check(context, path));
    memcpy(file->path, path, strlen(path) + 1);

    struct stat target;
    bool exists;
    BPI_TRY(check_target(file, &target, &exists));
    int descriptor = open_temporary(file);
    if (descriptor < 0) {
        file->temporary[0] = 0;
        return out_fail(file, "create a file beside");
    }
    /* The permissions of the file that will be replaced; where the system refuses, those of a new file will do. */
    if (exists)
        (void)!fchmod(descriptor, target.st_mode & 0777);
    file->stream = fdopen(descriptor, "wb");
    if (!file->stream) {
        int code = errno;
        close(descriptor);
        errno = code;
        return out_fail(file, "open");
    }
    return BP_STATUS_OK;
}

bp_status bpi_out_file_write(bpi_out_file *file, const void *bytes, size_t count)
{
    errno = 0;
    if (count > 0 && fwrite(bytes, 1, count, file->stream) != count)
        return BPI_FAIL(file->context, BP_STATUS_IO, "cannot write %s: %s", file->path, strerror(errno ? errno : EIO));
    return BP_STATUS_OK;
}

/* Makes the rename last. Some file systems cannot sync a folder and say EINVAL: they have nothing to sync. */
static bool sync_folder(const char *path)
{
    char folder[BPI_PATH_BYTES + 1];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    memcpy(folder, path, length);
    memcpy(folder + length, ".", 2);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return errno == EACCES; /* a folder that may be written and not read */
    bool synced = fsync(descriptor) == 0 || errno == EINVAL;
    int code = errno;
    close(descriptor);
    errno = code;
    return synced;
}

bp_status bpi_out_file_commit(bpi_out_file *file)
{
    errno = 0;
    /* fflush first: after a failed write it tries again, so that errno tells why. */
    if (fflush(file->stream) != 0 || ferror(file->stream) || fsync(fileno(file->stream)) != 0)
        return out_fail(file, "write");
    FILE *stream = file->stream;
    file->stream = NULL;
    if (fclose(stream) != 0)
        return out_fail(file, "write");
    if (rename(file->temporary, file->path) != 0)
        return out_fail(file, "rename the finished file to");
    file->temporary[0] = 0;
    if (!sync_folder(file->path))
        return out_fail(file, "sync the folder of");
    return BP_STATUS_OK;
}

void bpi_out_file_abandon(bpi_out_file *file)
{
    if (file->stream)
        fclose(file->stream);
    file->stream = NULL;
    if (file->temporary[0])
        unlink(file->temporary);
    file->temporary[0] = 0;
}

/* ---------------------------------------------------------------- in */

static bp_status in_fail(bpi_in_file *file, int code)
{
    bool missing = code == ENOENT || code == ENOTDIR;
    return BPI_FAIL(file->context, missing ? BP_STATUS_NOT_FOUND : BP_STATUS_IO, "cannot read %s: %s", file->path,
                    strerror(code));
}

bp_status bpi_in_file_open(bp_context *context, const char *path, bpi_in_file *file)
{
    memset(file, 0, sizeof *file);
    file->context = context;
    BPI_TRY(bpi_path_check(context, path));
    memcpy(file->path, path, strlen(path) + 1);

    /* O_NONBLOCK: opening a pipe that nobody writes to must not wait, it must be refused. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return in_fail(file, errno);
    struct stat status;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(descriptor);
        return BPI_FAIL(context, BP_STATUS_IO, "cannot read %s: it is %s; give the name of a file", path,
                        S_ISDIR(status.st_mode) ? "a folder" : "a device or a pipe");
    }
    file->bytes = status.st_size;
    file->stream = fdopen(descriptor, "rb");
    if (!file->stream) {
        int code = errno;
        close(descriptor);
        return in_fail(file, code);
    }
    return BP_STATUS_OK;
}

bp_status bpi_in_file_read(bpi_in_file *file, void *bytes, size_t count)
{
    errno = 0;
    if (fread(bytes, 1, count, file->stream) == count)
        return BP_STATUS_OK;
    if (ferror(file->stream))
        return in_fail(file, errno ? errno : EIO);
    return BPI_FAIL(file->context, BP_STATUS_BAD_DATA, "%s ends early, at byte %lld: it is truncated", file->path,
                    (long long)ftello(file->stream));
}

void bpi_in_file_close(bpi_in_file *file)
{
    if (file->stream)
        fclose(file->stream);
    file->stream = NULL;
}
