/* idx: images and labels as MNIST and its kin come, plain and compressed; damaged files are refused. tests/data/ is
 * made by make_data.py: pixel i is i, labels 0 3 1 2 3. */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "host/idx.h"
#include "support/fixture.h"

#define DATA BP_SOURCE_DIR "/tests/data/"

TestSuite(idx, .init = set_up, .fini = tear_down);

Test(idx, plain_and_compressed_files_hold_the_same)
{
    static const char *const paths[] = {DATA "images.idx", DATA "images.idx.gz"};
    for (int i = 0; i < 2; i++) {
        bpi_idx array;
        BPT_OK(context, bpi_idx_read(context, paths[i], &array));
        cr_assert(array.rank == 3 && array.shape[0] == 5 && array.shape[1] == 2 && array.shape[2] == 3);
        cr_assert_eq(array.count, 30);
        for (int64_t k = 0; k < array.count; k++)
            cr_assert_eq(array.values[k], k);
        bpi_idx_free(context, &array);
    }
}

static void refuse(const void *bytes, size_t count, const char *word, const char *label)
{
    const char *path = bpt_folder_file(&folder, "made.idx");
    bpi_idx array;
    bpt_file_write(path, bytes, count);
    BPT_FAILS(context, bpi_idx_read(context, path, &array), BP_STATUS_BAD_DATA, word, label);
    cr_assert_null(array.values);
}

Test(idx, bad_files_are_refused_with_the_reason)
{
    static const struct {
        unsigned char bytes[16];
        size_t count;
        const char *word;
    } table[] = {
        {{0}, 0, "truncated"},
        {{0, 0, 8}, 3, "truncated"},
        {{0, 0, 8, 1}, 4, "truncated"},
        {{0, 0, 8, 1, 0, 0, 0}, 7, "truncated"},
        {{0, 0, 8, 1, 0, 0, 0, 3, 1, 2}, 10, "truncated"},
        {{0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3, 4}, 12, "left over"},
        {{1, 0, 8, 1, 0, 0, 0, 1, 1}, 9, "magic is 01000801"},
        {{0, 1, 8, 1, 0, 0, 0, 1, 1}, 9, "magic is 00010801"},
        {{0, 0, 8, 0, 1}, 5, "magic is 00000800"},
        {{'P', 'K', 3, 4}, 4, "magic is 504b0304"},
        {{0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0}, 12, "0x0d"},
        {{0, 0, 8, 9, 0, 0, 0, 1}, 8, "9 dimensions"},
        {{0, 0, 8, 1, 255, 255, 255, 255, 1}, 9, "can hold"},
        {{0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255}, 12, "can hold"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        refuse(table[i].bytes, table[i].count, table[i].word, table[i].word);
}

Test(idx, compressed_file_cut_anywhere_is_refused)
{
    size_t count;
    char *content = bpt_file_read(DATA "images.idx.gz", &count);
    for (size_t length = 0; length < count; length++)
        refuse(content, length, length < 2 ? "" : "truncated", "cut");
    free(content);
}

Test(idx, compressed_file_with_a_wrong_byte_is_refused)
{
    size_t count;
    char *content = bpt_file_read(DATA "images.idx.gz", &count);
    /* In gzip's head bytes 3 to 9 (flags, time, level, system) may hold anything that leaves the data as they are. */
    for (size_t at = 10; at < count; at++) {
        content[at] = (char)(content[at] ^ 0x55);
        refuse(content, count, "made.idx", "flipped");
        content[at] = (char)(content[at] ^ 0x55);
    }
    free(content);
}

Test(idx, checksum_of_gzip_is_checked)
{
    size_t count;
    char *content = bpt_file_read(DATA "images.idx.gz", &count);
    content[count - 8] = (char)(content[count - 8] ^ 1);
    refuse(content, count, "damaged", "checksum");
    free(content);
}

Test(idx, missing_file_and_folder_are_told_apart)
{
    bpi_idx array;
    BPT_FAILS(context, bpi_idx_read(context, DATA "absent.idx", &array), BP_STATUS_NOT_FOUND, "absent.idx", "missing");
    BPT_FAILS(context, bpi_idx_read(context, DATA, &array), BP_STATUS_IO, "folder", "folder");
}

/* Highly compressible: the bound on what a file can hold must not refuse it. */
Test(idx, million_equal_bytes_in_a_small_file_are_read)
{
    enum { COUNT = 1000000 };
    static const unsigned char head[] = {0, 0, 8, 1, COUNT >> 24, COUNT >> 16 & 255, COUNT >> 8 & 255, COUNT & 255};
    static const char zeros[COUNT];
    const char *path = bpt_folder_file(&folder, "zeros.idx.gz");
    gzFile file = gzopen(path, "wb9");
    cr_assert_eq(gzwrite(file, head, sizeof head), (int)sizeof head);
    cr_assert_eq(gzwrite(file, zeros, COUNT), COUNT);
    cr_assert_eq(gzclose(file), Z_OK);
    bpi_idx array;
    BPT_OK(context, bpi_idx_read(context, path, &array));
    cr_assert_eq(array.count, COUNT);
    bpi_idx_free(context, &array);
}

Test(idx, failing_allocation_is_reported_and_leaks_nothing)
{
    int64_t before = hooks.live;
    hooks.fail_at = hooks.calls + 1;
    bpi_idx array;
    BPT_FAILS(context, bpi_idx_read(context, DATA "images.idx.gz", &array), BP_STATUS_OUT_OF_MEMORY, "images.idx.gz",
              "allocation");
    cr_assert_eq(hooks.live, before);
}
