/* npy: what numpy.save wrote is read as NumPy meant it, anything else is refused, and what we write is what numpy.save
 * would have written. tests/data/ is made by make_data.py. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "host/npy.h"
#include "support/fixture.h"

#define DATA BP_SOURCE_DIR "/tests/data/"

TestSuite(npy, .init = set_up, .fini = tear_down);

static double element(const bpi_npy *array, int64_t index)
{
    switch (array->type) {
    case BPI_NPY_F32:
        return (double)((const float *)array->values)[index];
    case BPI_NPY_F64:
        return ((const double *)array->values)[index];
    case BPI_NPY_U8:
        return ((const uint8_t *)array->values)[index];
    case BPI_NPY_I32:
        return ((const int32_t *)array->values)[index];
    default:
        return (double)((const int64_t *)array->values)[index];
    }
}

Test(npy, every_type_and_version_of_numpy_is_read)
{
    static const struct {
        const char *path;
        bpi_npy_type type;
    } table[] = {
        {DATA "float32.npy", BPI_NPY_F32},   {DATA "float64.npy", BPI_NPY_F64}, {DATA "uint8.npy", BPI_NPY_U8},
        {DATA "int32.npy", BPI_NPY_I32},     {DATA "int64.npy", BPI_NPY_I64},   {DATA "version_2.npy", BPI_NPY_F32},
        {DATA "version_3.npy", BPI_NPY_F32},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_npy array;
        BPT_OK(context, bpi_npy_read(context, table[i].path, &array));
        cr_assert_eq(array.type, table[i].type, "%s", table[i].path);
        cr_assert(array.rank == 3 && array.shape[0] == 2 && array.shape[1] == 3 && array.shape[2] == 4);
        cr_assert_eq(array.count, 24);
        for (int64_t k = 0; k < array.count; k++)
            cr_assert_eq(element(&array, k), (double)k, "%s", table[i].path);
        bpi_npy_free(context, &array);
    }
}

Test(npy, scalars_vectors_and_empty_arrays_keep_their_shapes)
{
    bpi_npy array;
    BPT_OK(context, bpi_npy_read(context, DATA "scalar.npy", &array));
    cr_assert(array.rank == 0 && array.count == 1 && element(&array, 0) == 1.5);
    bpi_npy_free(context, &array);
    BPT_OK(context, bpi_npy_read(context, DATA "vector.npy", &array));
    cr_assert(array.rank == 1 && array.shape[0] == 3 && element(&array, 0) == 3 && element(&array, 2) == 2);
    bpi_npy_free(context, &array);
    BPT_OK(context, bpi_npy_read(context, DATA "empty.npy", &array));
    cr_assert(array.rank == 2 && array.shape[0] == 0 && array.shape[1] == 5 && array.count == 0);
    bpi_npy_free(context, &array);
}

/* ---------------------------------------------------------------- headers made here */

/* A file of version 1.0 with this header and `bytes` bytes of elements. */
static const char *make(const char *header, size_t bytes)
{
    static char content[70000];
    size_t length = strlen(header);
    memcpy(content, "\x93NUMPY\x01\x00", 8);
    content[8] = (char)(length & 255);
    content[9] = (char)(length >> 8);
    memcpy(content + 10, header, length);
    memset(content + 10 + length, 0, bytes);
    const char *path = bpt_folder_file(&folder, "made.npy");
    bpt_file_write(path, content, 10 + length + bytes);
    return path;
}

Test(npy, header_may_be_spelled_in_every_way_that_python_takes)
{
    static const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n",
        "{\"shape\":(3,2,),\"fortran_order\":False,\"descr\":\"<f4\"}",
        "  { 'fortran_order' : False , 'descr' : '<f4' , 'shape' : ( 3 , 2 ) } \n\n",
        "{'descr': 'f4', 'fortran_order': False, 'shape': (3, 2)}",
        "{'descr': '=f4', 'fortran_order': False, 'shape': (03, 2)}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        bpi_npy array;
        BPT_OK(context, bpi_npy_read(context, make(headers[i], 24), &array));
        cr_assert(array.rank == 2 && array.shape[0] == 3 && array.shape[1] == 2, "%s", headers[i]);
        bpi_npy_free(context, &array);
    }
}

Test(npy, bad_headers_are_refused_with_the_reason)
{
#define TAIL ", 'fortran_order': False, 'shape': (3, 2)}"
    static const struct {
        const char *header;
        size_t bytes;
        const char *word;
    } table[] = {
        {"", 24, "dictionary"},
        {"[1, 2]", 24, "dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)", 24, "comma"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (3, 2)}", 24, "comma"},
        {"{'descr' '<f4'" TAIL, 24, "colon"},
        {"{'descr': '<f4', 'fortran_order': False}", 24, "all of"},
        {"{'descr': '<f4', 'descr': '<f4'" TAIL, 24, "each once"},
        {"{'descr': '<f4', 'more': 1" TAIL, 24, "each once"},
        {"{'descr': '<f4', 'a_key_that_is_much_too_long': 1" TAIL, 24, "'shape'"},
        {"{'descr': <f4" TAIL, 24, "type"},
        {"{'descr': '<f4" TAIL, 24, "type"},
        {"{'descr': '<f\\x34'" TAIL, 24, "type"},
        {"{'descr': '" TAIL, 24, "type"},
        {"{'descr': '<f2'" TAIL, 12, "<f2"},
        {"{'descr': '>f4'" TAIL, 24, "big-endian"},
        {"{'descr': '>i8'" TAIL, 48, "big-endian"},
        {"{'descr': '|b1'" TAIL, 6, "|b1"},
        {"{'descr': '<u4'" TAIL, 24, ".astype"},
        {"{'descr': ''" TAIL, 24, ".astype"},
        {"{'descr': '|O'" TAIL, 24, "|O"},
        {"{'descr': [('a', '<f4')]" TAIL, 24, "records"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2)}", 24, "ascontiguousarray"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 2)}", 24, "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 6}", 24, "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6)}", 24, "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3 2)}", 24, "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, -2)}", 24, "size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2.0)}", 24, "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2}", 24, "comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 24, "63 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 24, "63 bits"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976,)}", 24, "63 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, "dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)} x", 24, "nothing after"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", 23, "truncated"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", 0, "truncated"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2)}", 25, "left over"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2)}", 24, "truncated"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_npy array;
        BPT_FAILS(context, bpi_npy_read(context, make(table[i].header, table[i].bytes), &array), BP_STATUS_BAD_DATA,
                  table[i].word, table[i].header);
    }
}

Test(npy, files_that_are_no_such_array_are_refused_with_the_reason)
{
    static const struct {
        const char *path;
        const char *word;
    } table[] = {
        {DATA "fortran.npy", "Fortran order"},
        {DATA "big_endian.npy", "big-endian"},
        {DATA "half.npy", "<f2"},
        {DATA "bool.npy", "|b1"},
        {DATA "complex.npy", "<c8"},
        {DATA "records.npy", "records"},
        {DATA "strings.npy", "<U1"},
        {DATA "archive.npz", "NPZ"},
        {DATA "labels.idx.gz", "magic"},
        {DATA "make_data.py", "magic"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_npy array;
        BPT_FAILS(context, bpi_npy_read(context, table[i].path, &array), BP_STATUS_BAD_DATA, table[i].word,
                  table[i].path);
    }
    bpi_npy array;
    BPT_FAILS(context, bpi_npy_read(context, DATA "missing.npy", &array), BP_STATUS_NOT_FOUND, "missing.npy",
              "missing");
}

Test(npy, file_cut_anywhere_is_refused)
{
    size_t count;
    char *content = bpt_file_read(DATA "float32.npy", &count);
    const char *path = bpt_folder_file(&folder, "cut.npy");
    for (size_t length = 0; length < count; length++) {
        bpi_npy array;
        bpt_file_write(path, content, length);
        BPT_FAILS(context, bpi_npy_read(context, path, &array), BP_STATUS_BAD_DATA, "cut.npy", "cut");
    }
    free(content);
}

Test(npy, head_with_a_wrong_version_or_length_is_refused)
{
    static const struct {
        unsigned char bytes[12];
        const char *word;
    } table[] = {
        {{0x93, 'N', 'U', 'M', 'P', 'Y', 0, 0, 1, 0, '{', 0}, "version 0.0"},
        {{0x93, 'N', 'U', 'M', 'P', 'Y', 4, 0, 1, 0, '{', 0}, "version 4.0"},
        {{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 1, 1, 0, '{', 0}, "version 1.1"},
        {{0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0, 255, 255, 255, 255}, "header of 4294967295 bytes"},
        {{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 255, 255, 0, 0}, "header of 65535 bytes"},
        {{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 2, 0, '{', 0}, "zero byte"},
    };
    const char *path = bpt_folder_file(&folder, "head.npy");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_npy array;
        bpt_file_write(path, table[i].bytes, sizeof table[i].bytes);
        BPT_FAILS(context, bpi_npy_read(context, path, &array), BP_STATUS_BAD_DATA, table[i].word, table[i].word);
    }
}

Test(npy, failing_allocation_is_reported_and_leaks_nothing)
{
    int64_t before = hooks.live;
    hooks.fail_at = hooks.calls + 1;
    bpi_npy array;
    BPT_FAILS(context, bpi_npy_read(context, DATA "float32.npy", &array), BP_STATUS_OUT_OF_MEMORY, "float32.npy",
              "allocation");
    cr_assert_eq(hooks.live, before);
}

/* ---------------------------------------------------------------- writing */

Test(npy, written_file_is_what_numpy_writes)
{
    static const char *const names[] = {"hidden_identity_mse/x.npy", "small_gelu_tanh_huber/y.npy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1000];
        snprintf(path, sizeof path, BP_SOURCE_DIR "/tests/golden/%s", names[i]);
        bpi_npy array;
        BPT_OK(context, bpi_npy_read(context, path, &array));
        cr_assert(array.type == BPI_NPY_F32 && array.rank == 2);
        const char *copy = bpt_folder_file(&folder, "copy.npy");
        BPT_OK(context, bp_npy_write(context, copy, array.values, array.shape[0], array.shape[1]));
        bpi_npy_free(context, &array);
        size_t count;
        char *content = bpt_file_read(path, &count);
        cr_assert(bpt_file_holds(copy, content, count), "%s", path);
        free(content);
    }
}

Test(npy, largest_shape_still_fits_the_header)
{
    const char *path = bpt_folder_file(&folder, "none.npy");
    BPT_OK(context, bp_npy_write(context, path, NULL, INT64_MAX / 4, 0));
    bpi_npy array;
    BPT_OK(context, bpi_npy_read(context, path, &array));
    cr_assert(array.shape[0] == INT64_MAX / 4 && array.shape[1] == 0 && array.count == 0);
    bpi_npy_free(context, &array);
}

Test(npy, write_refuses_bad_arguments)
{
    const float value = 1.0f;
    const char *path = bpt_folder_file(&folder, "never.npy");
    cr_assert_eq(bp_npy_write(NULL, path, &value, 1, 1), BP_STATUS_INVALID_ARGUMENT);
    BPT_FAILS(context, bp_npy_write(context, NULL, &value, 1, 1), BP_STATUS_INVALID_ARGUMENT, "path", "path");
    BPT_FAILS(context, bp_npy_write(context, path, NULL, 1, 1), BP_STATUS_INVALID_ARGUMENT, "values", "values");
    BPT_FAILS(context, bp_npy_write(context, path, &value, -1, 1), BP_STATUS_INVALID_ARGUMENT, "-1 rows", "rows");
    BPT_FAILS(context, bp_npy_write(context, path, &value, 1, -1), BP_STATUS_INVALID_ARGUMENT, "-1 columns", "cols");
    BPT_FAILS(context, bp_npy_write(context, path, &value, INT64_MAX / 8, 8), BP_STATUS_INVALID_ARGUMENT, "rows",
              "size");
    BPT_FAILS(context, bp_npy_write(context, folder.path, &value, 1, 1), BP_STATUS_IO, "folder", "folder");
    cr_assert_eq(bpt_folder_count(&folder), 0);
}

Test(npy, full_disk_leaves_the_old_file)
{
    static const float values[10000] = {1};
    const char *path = bpt_folder_file(&folder, "old.npy");
    bpt_file_write(path, "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 2; i++) { /* in the elements, and in the header */
        limit.rlim_cur = i ? 100 : 20000;
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        BPT_FAILS(context, bp_npy_write(context, path, values, 100, 100), BP_STATUS_IO, "File too large", "limit");
        limit.rlim_cur = RLIM_INFINITY;
        cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
        cr_assert(bpt_file_holds(path, "old", 3));
        cr_assert_eq(bpt_folder_count(&folder), 1);
    }
}
