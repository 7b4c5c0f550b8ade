/* csv: a table of numbers as spreadsheets, pandas and R write it; what is not one is refused with line and column.
 * tests/data/table.csv is made by make_data.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/csv.h"
#include "support/fixture.h"
#include "support/random.h"

#define DATA BP_SOURCE_DIR "/tests/data/"

TestSuite(csv, .init = set_up, .fini = tear_down);

static const char *make(const char *text)
{
    const char *path = bpt_folder_file(&folder, "made.csv");
    bpt_file_write(path, text, strlen(text));
    return path;
}

Test(csv, table_of_pythons_csv_module_is_read)
{
    bpi_csv table;
    BPT_OK(context, bpi_csv_read(context, DATA "table.csv", "kind", &table));
    cr_assert(table.rows == 6 && table.inputs == 3);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(table.x[3 * i], (float)(i / 3.0));
        cr_assert_eq(table.x[3 * i + 1], (float)(-i * 1e-7));
        cr_assert_eq(table.x[3 * i + 2], (float)pow(10, i));
        cr_assert_eq(table.targets[i], (float)(i % 3));
        cr_assert_eq(table.classes[i], i % 3);
    }
    bpi_csv_free(context, &table);
}

Test(csv, target_may_stand_anywhere_and_have_any_name)
{
    static const char *const names[] = {"length", "width, in cm", "the \"real\" one"};
    for (int column = 0; column < 3; column++) {
        bpi_csv table;
        BPT_OK(context, bpi_csv_read(context, DATA "table.csv", names[column], &table));
        cr_assert_eq(table.inputs, 3);
        cr_assert_eq(table.targets[1], (float)(column == 0 ? 1 / 3.0 : column == 1 ? -1e-7 : 10.0));
        cr_assert_eq(table.x[3 + 2], 1.0f, "the last column of the second row");
        cr_assert_eq(!table.classes, column < 2, "fractions and negative numbers are no classes");
        bpi_csv_free(context, &table);
    }
}

Test(csv, without_a_target_all_columns_are_inputs)
{
    bpi_csv table;
    BPT_OK(context, bpi_csv_read(context, DATA "table.csv", NULL, &table));
    cr_assert(table.rows == 6 && table.inputs == 4 && !table.targets && !table.classes);
    cr_assert_eq(table.x[7], 1.0f);
    bpi_csv_free(context, &table);
}

Test(csv, same_table_may_be_spelled_in_many_ways)
{
    static const char *const texts[] = {
        "a,b,y\n1,2,3\n4,5,6\n",
        "a,b,y\n1,2,3\n4,5,6",
        "a,b,y\r\n1,2,3\r\n4,5,6\r\n",
        "a,b,y\r\n1,2,3\r\n4,5,6\r",
        "\357\273\277a,b,y\n1,2,3\n4,5,6\n",
        "a,b,y\n1,2,3\n4,5,6\n\n\r\n\n",
        " a ,\tb, y \n 1 ,\t2, 3 \n4,5,6\n",
        "\"a\",\"b\",\"y\"\n1.0,2e0,+3\n4,.5e1,0.6e+1\n",
        "  \"a\" , \"b\" , \"y\" \n1,2,3\n4,5,6\n",
        ",b,y\n1,2,3\n4,5,6\n", /* pandas gives its index no name */
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        static const float x[] = {1, 2, 4, 5}, y[] = {3, 6};
        bpi_csv table;
        BPT_OK(context, bpi_csv_read(context, make(texts[i]), "y", &table));
        cr_assert(table.rows == 2 && table.inputs == 2, "%s", texts[i]);
        cr_assert(memcmp(table.x, x, sizeof x) == 0 && memcmp(table.targets, y, sizeof y) == 0, "%s", texts[i]);
        cr_assert(table.classes && table.classes[0] == 3 && table.classes[1] == 6);
        bpi_csv_free(context, &table);
    }
}

Test(csv, classes_are_kept_apart_where_float32_cannot_tell_them_apart)
{
    bpi_csv table;
    BPT_OK(context, bpi_csv_read(context, make("x,y\n1,16777216\n1,16777217\n"), "y", &table));
    cr_assert_eq(table.classes[1] - table.classes[0], 1);
    bpi_csv_free(context, &table);
}

Test(csv, bad_tables_are_refused_with_line_and_column)
{
    static const struct {
        const char *text;
        bp_status status;
        const char *word;
    } table[] = {
        {"", BP_STATUS_BAD_DATA, "line 1 is empty"},
        {"\na,y\n1,2\n", BP_STATUS_BAD_DATA, "line 1 is empty"},
        {"a,y\n", BP_STATUS_BAD_DATA, "no line of numbers"},
        {"a,y", BP_STATUS_BAD_DATA, "no line of numbers"},
        {"a,y\n\n\n", BP_STATUS_BAD_DATA, "no line of numbers"},
        {"a,b\n1,2\n", BP_STATUS_INVALID_ARGUMENT, "its columns are: \"a\", \"b\""},
        {"a,Y\n1,2\n", BP_STATUS_INVALID_ARGUMENT, "\"Y\""},
        {"y\n1\n", BP_STATUS_BAD_DATA, "no column beside"},
        {"y,a,y\n1,2,3\n", BP_STATUS_BAD_DATA, "columns 1 and 3"},
        {"a;y\n1;2\n", BP_STATUS_BAD_DATA, "semicolons"},
        {"a\ty\n1\t2\n", BP_STATUS_BAD_DATA, "tabs"},
        {"\"a,y\n1,2\n", BP_STATUS_BAD_DATA, "line 1, column 1"},
        {"a,\"y\n1,2\n", BP_STATUS_BAD_DATA, "line 1, column 2"},
        {"a,\"y\"\"\n1,2\n", BP_STATUS_BAD_DATA, "line 1, column 2"},
        {"a,\"y\"z\n1,2\n", BP_STATUS_BAD_DATA, "line 1, column 2"},
        {"a,y\n1\n", BP_STATUS_BAD_DATA, "line 2 has 1 fields, and the header has 2"},
        {"a,y\n1,2\n1,2,3\n", BP_STATUS_BAD_DATA, "line 3 has 3 fields, and the header has 2"},
        {"a,y\n1,2\n1,2,\n", BP_STATUS_BAD_DATA, "line 3 has 3 fields"},
        {"a,y\n1,2\n\n3,4\n", BP_STATUS_BAD_DATA, "line 3 is empty"},
        {"a,y\n1,\n", BP_STATUS_BAD_DATA, "line 2, column 2 (\"y\") is empty"},
        {"a,y\n,2\n", BP_STATUS_BAD_DATA, "line 2, column 1 (\"a\") is empty"},
        {"a,y\n1, \n", BP_STATUS_BAD_DATA, "line 2, column 2 (\"y\") is empty"},
        {"a,y\n   \n", BP_STATUS_BAD_DATA, "line 2, column 1 (\"a\") is empty"},
        {"a,y\n1,abc\n", BP_STATUS_BAD_DATA, "line 2, column 2 (\"y\"): \"abc\" is not a number"},
        {"a,y\n1,2x\n", BP_STATUS_BAD_DATA, "line 2, column 2 (\"y\"): \"2x\" is not a number"},
        {"a,y\n1 1,2\n", BP_STATUS_BAD_DATA, "line 2, column 1 (\"a\"): \"1 1\" is not a number"},
        {"a,y\n1;2,2\n", BP_STATUS_BAD_DATA, "\"1;2\" is not a number"},
        {"a,y\n0x10,2\n", BP_STATUS_BAD_DATA, "\"0x10\" is not a number"},
        {"a,y\n1e,2\n", BP_STATUS_BAD_DATA, "\"1e\" is not a number"},
        {"a,y\n-,2\n", BP_STATUS_BAD_DATA, "\"-\" is not a number"},
        {"a,y\n\"1\",2\n", BP_STATUS_BAD_DATA, "\"\"1\"\" is not a number"},
        {"a,y\n1,2\r\r\n", BP_STATUS_BAD_DATA, "is not a number"},
        {"a,y\n1,NaN\n", BP_STATUS_BAD_DATA, "line 2, column 2 (\"y\"): \"NaN\" is not finite"},
        {"a,y\nnan,2\n", BP_STATUS_BAD_DATA, "line 2, column 1 (\"a\"): \"nan\" is not finite"},
        {"a,y\n-Infinity,2\n", BP_STATUS_BAD_DATA, "\"-Infinity\" is not finite"},
        {"a,y\ninf,2\n", BP_STATUS_BAD_DATA, "\"inf\" is not finite"},
        {"a,y\n1e39,2\n", BP_STATUS_BAD_DATA, "\"1e39\" is beyond the range"},
        {"a,y\n1,-3.5e38\n", BP_STATUS_BAD_DATA, "\"-3.5e38\" is beyond the range"},
        {"a,y\n1e999,2\n", BP_STATUS_BAD_DATA, "\"1e999\" is beyond the range"},
        {"a,y\n1,2\n1,2\n1,2\n1,2\n1,2\n1,oops", BP_STATUS_BAD_DATA, "line 7, column 2"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bpi_csv got;
        BPT_FAILS(context, bpi_csv_read(context, make(table[i].text), "y", &got), table[i].status, table[i].word,
                  table[i].text);
        cr_assert(!got.x && !got.targets && !got.classes);
    }
}

Test(csv, zero_bytes_are_refused)
{
    static const char *const words[] = {"line 1 holds a zero byte", "line 2 holds a zero byte", "line 2"};
    static const char texts[][10] = {"a\0,y\n1,2\n", "a,y\n1,2\0\n", "a,y\n1\0,2"};
    const char *path = bpt_folder_file(&folder, "zero.csv");
    for (int i = 0; i < 3; i++) {
        bpi_csv got;
        bpt_file_write(path, texts[i], i == 2 ? 8 : 9);
        BPT_FAILS(context, bpi_csv_read(context, path, "y", &got), BP_STATUS_BAD_DATA, words[i], words[i]);
    }
}

Test(csv, missing_file_and_folder_are_told_apart)
{
    bpi_csv table;
    BPT_FAILS(context, bpi_csv_read(context, DATA "absent.csv", "y", &table), BP_STATUS_NOT_FOUND, "absent.csv",
              "file");
    BPT_FAILS(context, bpi_csv_read(context, DATA, "y", &table), BP_STATUS_IO, "folder", "folder");
}

Test(csv, long_list_of_columns_is_cut)
{
    static char text[40000];
    size_t used = 0;
    for (int i = 0; i < 3000; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%scolumn%d", i ? "," : "", i);
    bpi_csv table;
    BPT_FAILS(context, bpi_csv_read(context, make(text), "y", &table), BP_STATUS_INVALID_ARGUMENT,
              "\"column0\", \"column1\"", "list");
    const char *said = bp_last_error(context);
    cr_assert_str_eq(said + strlen(said) - 3, "...");
}

/* A header of 3000 columns and as many line ends: the memory for all those rows would not fit the file's size. */
Test(csv, wrong_file_takes_no_memory_that_it_cannot_fill)
{
    static char text[12001];
    for (int i = 0; i < 3000; i++)
        memcpy(text + 2 * i, "c,", 2);
    text[5998] = '\n';
    memset(text + 5999, '\n', 6000);
    hooks.limit = 100000; /* 6000 rows of 2999 floats would take 72 MB */
    bpi_csv table;
    BPT_FAILS(context, bpi_csv_read(context, make(text), NULL, &table), BP_STATUS_BAD_DATA, "no line", "lines");
}

/* Lines longer than the buffer, and lines that its end cuts in every place: 70,000 columns of 1 to 20 characters. */
Test(csv, lines_longer_than_the_buffer_are_read)
{
    enum { COLUMNS = 70000, ROWS = 3 };
    const char *path = bpt_folder_file(&folder, "wide.csv");
    FILE *file = fopen(path, "wb");
    for (int i = 0; i < COLUMNS; i++)
        fprintf(file, "%sc%d", i ? "," : "", i);
    bpt_random random = {3};
    float *wanted = malloc(sizeof(float) * ROWS * COLUMNS);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        char text[64];
        snprintf(text, sizeof text, "%.*g", (int)bpt_random_below(&random, 17) + 1,
                 bpt_random_uniform(&random, -1.0, 1.0));
        wanted[i] = (float)strtod(text, NULL);
        fprintf(file, "%s%s", i % COLUMNS ? "," : "\n", text);
    }
    fclose(file);
    bpi_csv table;
    BPT_OK(context, bpi_csv_read(context, path, NULL, &table));
    cr_assert(table.rows == ROWS && table.inputs == COLUMNS);
    cr_assert_eq(memcmp(table.x, wanted, sizeof(float) * ROWS * COLUMNS), 0);
    bpi_csv_free(context, &table);
    free(wanted);
}

Test(csv, many_short_lines_are_read)
{
    enum { ROWS = 300000 };
    const char *path = bpt_folder_file(&folder, "long.csv");
    FILE *file = fopen(path, "wb");
    fprintf(file, "a,y\r\n");
    for (int i = 0; i < ROWS; i++)
        fprintf(file, "%d,%d\r\n", -i, i % 10);
    fclose(file);
    bpi_csv table;
    BPT_OK(context, bpi_csv_read(context, path, "y", &table));
    cr_assert_eq(table.rows, ROWS);
    for (int i = 0; i < ROWS; i++)
        cr_assert(table.x[i] == (float)-i && table.classes[i] == i % 10, "row %d", i);
    bpi_csv_free(context, &table);
}

Test(csv, every_failing_allocation_is_reported_and_leaks_nothing)
{
    int64_t before = hooks.live, failures = 0;
    for (bp_status status = BP_STATUS_OUT_OF_MEMORY; status != BP_STATUS_OK; failures++) {
        bpi_csv table;
        hooks.fail_at = hooks.calls + failures + 1;
        status = bpi_csv_read(context, DATA "table.csv", "kind", &table);
        cr_assert(status == BP_STATUS_OK || status == BP_STATUS_OUT_OF_MEMORY, "%s", bp_last_error(context));
        bpi_csv_free(context, &table);
        cr_assert_eq(hooks.live, before);
    }
    cr_assert_geq(failures, 6, "buffer, names, inputs, targets and classes are five allocations");
}
