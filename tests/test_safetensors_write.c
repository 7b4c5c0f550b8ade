/* safetensors_write: a write that fails, for whatever reason, leaves the old file, no temporary one and no memory. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "support/safetensors_sample.h"

TestSuite(safetensors_write, .init = set_up, .fini = tear_down);

static const char old_content[] = "the old file";

static const char *old_file(void)
{
    const char *path = bpt_folder_file(&folder, "old.safetensors");
    bpt_file_write(path, old_content, sizeof old_content);
    return path;
}

static void assert_untouched(const char *path)
{
    cr_assert(bpt_file_holds(path, old_content, sizeof old_content));
    cr_assert_eq(bpt_folder_count(&folder), 1, "a temporary file was left");
}

Test(safetensors_write, full_disk_leaves_the_old_file)
{
    static double values[ROWS * COLS];
    fill(values);
    size_t bytes;
    free(bpt_file_read(sample(), &bytes));
    remove(sample());
    const char *path = old_file();
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    /* In the header, in the first tensor, and before the last byte. */
    const rlim_t limits[] = {10, 5000, bytes - 1};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        limit.rlim_cur = limits[i];
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        BPT_FAILS(context, write_sample(path, values, sample_numbers), BP_STATUS_IO, "File too large", "limit");
        limit.rlim_cur = RLIM_INFINITY;
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_untouched(path);
    }
    BPT_OK(context, write_sample(path, values, sample_numbers));
}

Test(safetensors_write, writer_without_commit_leaves_the_old_file)
{
    const char *path = old_file();
    const double value = 1.0;
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_writer_create(context, path, &writer));
    BPT_OK(context, bpi_st_declare(writer, "w", BPI_ST_F64, 1, (int64_t[]){1}));
    BPT_OK(context, bpi_st_write(writer, &value, 1));
    bpi_st_writer_destroy(writer);
    assert_untouched(path);
    bpi_st_writer_destroy(NULL);
    bpi_st_reader_close(NULL);
}

Test(safetensors_write, misuse_of_the_writer_is_internal_and_writes_nothing)
{
    const char *path = old_file();
    const double value = 1.0;
    bpi_st_writer *writer;
    BPT_OK(context, bpi_st_writer_create(context, path, &writer));
    BPT_OK(context, bpi_st_declare(writer, "w", BPI_ST_F64, 1, (int64_t[]){1}));
    BPT_FAILS(context, bpi_st_declare(writer, "w", BPI_ST_F64, 1, (int64_t[]){1}), BP_STATUS_INTERNAL, "w", "twice");
    BPT_FAILS(context, bpi_st_declare(writer, "h", BPI_ST_F16, 1, (int64_t[]){1}), BP_STATUS_INTERNAL, "h", "type");
    BPT_FAILS(context, bpi_st_declare(writer, "r", BPI_ST_F64, 3, (int64_t[]){1, 1, 1}), BP_STATUS_INTERNAL, "r",
              "rank");
    BPT_FAILS(context, bpi_st_commit(writer), BP_STATUS_INTERNAL, "0 of 1", "not written");
    BPT_FAILS(context, bpi_st_declare(writer, "late", BPI_ST_F64, 1, (int64_t[]){1}), BP_STATUS_INTERNAL, "late",
              "late");
    BPT_FAILS(context, bpi_st_write(writer, &value, 2), BP_STATUS_INTERNAL, "2 values", "count");
    BPT_OK(context, bpi_st_write(writer, &value, 1));
    BPT_FAILS(context, bpi_st_write(writer, &value, 1), BP_STATUS_INTERNAL, "1 values", "too many");
    bpi_st_writer_destroy(writer);
    assert_untouched(path);
}

Test(safetensors_write, path_that_cannot_be_written_is_refused)
{
    bpi_st_writer *writer;
    BPT_FAILS(context, bpi_st_writer_create(context, folder.path, &writer), BP_STATUS_IO, "folder", "folder");
    cr_assert_null(writer);
}

Test(safetensors_write, every_failing_allocation_is_reported_and_leaks_nothing)
{
    static double values[ROWS * COLS];
    fill(values);
    const char *path = old_file();
    int64_t before = hooks.live, failures = 0;
    for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
        hooks.fail_at = hooks.calls + failures + 1;
        status = write_sample(path, values, sample_numbers);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "%s", bp_last_error(context));
        cr_assert_eq(hooks.live, before);
        if (status != BP_STATUS_OK)
            assert_untouched(path);
    }
    cr_assert_geq(failures, 4, "the writer, its list and the header are three allocations");
    failures = 0;
    for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
        bpi_st_reader *reader;
        hooks.fail_at = hooks.calls + failures + 1;
        status = bpi_st_reader_open(context, path, &reader);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "%s", bp_last_error(context));
        bpi_st_reader_close(reader);
        cr_assert_eq(hooks.live, before);
    }
    cr_assert_geq(failures, 4, "the reader, the header's text and the entries are three allocations");
}

/* ---------------------------------------------------------------- jansson without memory */

static int64_t json_calls, json_live, json_fail_at;

static void *json_allocate(size_t bytes)
{
    if (++json_calls == json_fail_at)
        return NULL;
    void *memory = malloc(bytes);
    json_live += memory != NULL;
    return memory;
}

static void json_release(void *memory)
{
    json_live -= memory != NULL;
    free(memory);
}

/* jansson's memory does not come from the hooks, so its own are used. */
Test(safetensors_write, every_failing_allocation_of_jansson_in_a_writer_is_reported)
{
    static double values[ROWS * COLS];
    fill(values);
    const char *path = old_file();
    json_set_alloc_funcs(json_allocate, json_release);
    int64_t failures = 0;
    for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
        json_fail_at = json_calls + failures + 1;
        status = write_sample(path, values, sample_numbers);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "failure %d: %s", (int)failures,
                  bp_last_error(context));
        cr_assert_eq(json_live, 0, "failure %d leaks", (int)failures);
        if (status != BP_STATUS_OK)
            assert_untouched(path);
    }
    cr_assert_gt(failures, 30);
}

/* Reading, jansson 2.14 takes a failed allocation for a wrong token, or drops a byte of a long string and says nothing;
 * so no more is asked here than that nothing leaks. */
Test(safetensors_write, failing_allocations_of_jansson_in_a_reader_leak_nothing)
{
    const char *path = sample();
    json_set_alloc_funcs(json_allocate, json_release);
    int64_t failures = 0, refused = 0;
    do {
        json_fail_at = json_calls + ++failures;
        bpi_st_reader *reader;
        bp_status status = bpi_st_reader_open(context, path, &reader);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY || status == BP_STATUS_BAD_DATA);
        cr_assert_eq(!reader, status != BP_STATUS_OK);
        refused += status != BP_STATUS_OK;
        bpi_st_reader_close(reader);
        cr_assert_eq(json_live, 0, "failure %d leaks", (int)failures);
    } while (json_calls >= json_fail_at);
    cr_assert_gt(refused, 30);
}
