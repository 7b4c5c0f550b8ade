/* file: what stands at the path is the old file or the new one, whole, whatever fails on the way. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"
#include "support/fixture.h"

TestSuite(file, .init = set_up, .fini = tear_down);

static const char old_content[] = "the old file";

static const char *old_file(void)
{
    const char *path = bpt_folder_file(&folder, "model.bin");
    bpt_file_write(path, old_content, sizeof old_content);
    return path;
}

/* The old file stands, and nothing beside it. */
static void assert_untouched(const char *path)
{
    cr_assert(bpt_file_holds(path, old_content, sizeof old_content));
    cr_assert_eq(bpt_folder_count(&folder), 1);
}

Test(file, commit_replaces_the_old_file_and_leaves_nothing_beside_it)
{
    const char *path = old_file();
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, path, &file));
    BPT_OK(context, bpi_out_file_write(&file, "new", 3));
    cr_assert(bpt_file_holds(path, old_content, sizeof old_content), "changed before the commit");
    BPT_OK(context, bpi_out_file_commit(&file));
    bpi_out_file_abandon(&file);
    cr_assert(bpt_file_holds(path, "new", 3));
    cr_assert_eq(bpt_folder_count(&folder), 1);
}

Test(file, abandon_leaves_the_old_file)
{
    const char *path = old_file();
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, path, &file));
    BPT_OK(context, bpi_out_file_write(&file, "new", 3));
    cr_assert_eq(bpt_folder_count(&folder), 2);
    bpi_out_file_abandon(&file);
    assert_untouched(path);
}

Test(file, name_without_a_folder_is_written_where_the_process_stands)
{
    cr_assert_eq(chdir(folder.path), 0);
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, "plain", &file));
    BPT_OK(context, bpi_out_file_commit(&file));
    cr_assert(bpt_file_holds(bpt_folder_file(&folder, "plain"), "", 0));
}

Test(file, two_writers_of_one_path_do_not_share_a_temporary_file)
{
    const char *path = bpt_folder_file(&folder, "shared");
    bpi_out_file first, second;
    BPT_OK(context, bpi_out_file_open(context, path, &first));
    BPT_OK(context, bpi_out_file_open(context, path, &second));
    BPT_OK(context, bpi_out_file_write(&first, "first", 5));
    BPT_OK(context, bpi_out_file_write(&second, "second", 6));
    BPT_OK(context, bpi_out_file_commit(&first));
    BPT_OK(context, bpi_out_file_commit(&second));
    cr_assert(bpt_file_holds(path, "second", 6));
}

Test(file, permissions_are_those_of_the_old_file)
{
    const char *path = old_file();
    cr_assert_eq(chmod(path, 0640), 0);
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, path, &file));
    BPT_OK(context, bpi_out_file_commit(&file));
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0640);
}

Test(file, symbolic_link_is_replaced_and_what_it_names_stays)
{
    const char *path = old_file(), *link_path = bpt_folder_file(&folder, "link");
    cr_assert_eq(symlink("model.bin", link_path), 0);
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, link_path, &file));
    BPT_OK(context, bpi_out_file_write(&file, "new", 3));
    BPT_OK(context, bpi_out_file_commit(&file));
    cr_assert(bpt_file_holds(link_path, "new", 3));
    cr_assert(bpt_file_holds(path, old_content, sizeof old_content));
}

Test(file, path_that_cannot_be_written_is_refused_with_the_reason)
{
    static char long_path[5000];
    memset(long_path, 'a', sizeof long_path - 1);
    const struct {
        const char *path;
        bp_status status;
        const char *word;
    } table[] = {
        {NULL, BP_STATUS_INVALID_ARGUMENT, "null"},
        {"", BP_STATUS_INVALID_ARGUMENT, "empty"},
        {long_path, BP_STATUS_INVALID_ARGUMENT, "too long"},
        {folder.path, BP_STATUS_IO, "folder"},
        {"/dev/null", BP_STATUS_IO, "device"},
        {"/dev/full", BP_STATUS_IO, "device"},
        {bpt_folder_file(&folder, "missing/file"), BP_STATUS_IO, "No such file"},
        {bpt_folder_file(&folder, "model.bin/file"), BP_STATUS_IO, "Not a directory"},
    };
    const char *path = old_file();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_out_file file;
        BPT_FAILS(context, bpi_out_file_open(context, table[i].path, &file), table[i].status, table[i].word,
                  table[i].word);
        bpi_out_file_abandon(&file);
    }
    assert_untouched(path);
}

Test(file, folder_that_is_not_writable_is_refused)
{
    const char *path = old_file();
    cr_assert_eq(chmod(folder.path, 0555), 0);
    /* Root may write everywhere, so it becomes somebody else for a moment. */
    uid_t user = geteuid();
    cr_assert(user != 0 || seteuid(65534) == 0);
    bpi_out_file file;
    BPT_FAILS(context, bpi_out_file_open(context, path, &file), BP_STATUS_IO, "Permission denied", path);
    cr_assert(user != 0 || seteuid(user) == 0);
    cr_assert_eq(chmod(folder.path, 0755), 0);
    assert_untouched(path);
}

/* As a full disk, with another word from the system. */
static void limit_files(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(file, full_disk_is_seen_by_a_large_write)
{
    const char *path = old_file();
    static const char block[1 << 20];
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, path, &file));
    limit_files(4096);
    BPT_FAILS(context, bpi_out_file_write(&file, block, sizeof block), BP_STATUS_IO, "File too large", "write");
    BPT_FAILS(context, bpi_out_file_commit(&file), BP_STATUS_IO, "cannot write", "commit after a failed write");
    limit_files(RLIM_INFINITY);
    assert_untouched(path);
}

Test(file, full_disk_is_seen_at_commit_when_the_stream_held_it_back)
{
    const char *path = old_file();
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, path, &file));
    limit_files(10);
    cr_assert_eq(fputs("more than ten bytes", file.stream) < 0, 0);
    BPT_FAILS(context, bpi_out_file_commit(&file), BP_STATUS_IO, "File too large", "commit");
    limit_files(RLIM_INFINITY);
    assert_untouched(path);
}

Test(file, failing_rename_removes_the_temporary_file)
{
    const char *path = bpt_folder_file(&folder, "target");
    bpi_out_file file;
    BPT_OK(context, bpi_out_file_open(context, path, &file));
    cr_assert_eq(mkdir(path, 0700), 0); /* a file cannot be renamed over a folder */
    BPT_FAILS(context, bpi_out_file_commit(&file), BP_STATUS_IO, "Is a directory", "rename");
    cr_assert_eq(bpt_folder_count(&folder), 1);
    cr_assert_eq(rmdir(path), 0);
}

Test(file, file_that_cannot_be_read_is_refused_with_the_reason)
{
    const char *pipe_path = bpt_folder_file(&folder, "pipe");
    cr_assert_eq(mkfifo(pipe_path, 0600), 0);
    const struct {
        const char *path;
        bp_status status;
        const char *word;
    } table[] = {
        {NULL, BP_STATUS_INVALID_ARGUMENT, "null"},
        {bpt_folder_file(&folder, "missing"), BP_STATUS_NOT_FOUND, "No such file"},
        {bpt_folder_file(&folder, "pipe/file"), BP_STATUS_NOT_FOUND, "Not a directory"},
        {folder.path, BP_STATUS_IO, "folder"},
        {"/dev/zero", BP_STATUS_IO, "device"},
        {pipe_path, BP_STATUS_IO, "pipe"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_in_file file;
        BPT_FAILS(context, bpi_in_file_open(context, table[i].path, &file), table[i].status, table[i].word,
                  table[i].word);
        bpi_in_file_close(&file);
    }
}

Test(file, reading_past_the_end_is_bad_data)
{
    const char *path = old_file();
    char bytes[64];
    bpi_in_file file;
    BPT_OK(context, bpi_in_file_open(context, path, &file));
    cr_assert_eq(file.bytes, (int64_t)sizeof old_content);
    BPT_OK(context, bpi_in_file_read(&file, bytes, 5));
    BPT_FAILS(context, bpi_in_file_read(&file, bytes, sizeof bytes), BP_STATUS_BAD_DATA, "ends early", path);
    bpi_in_file_close(&file);
    bpi_in_file_close(&file);
}
