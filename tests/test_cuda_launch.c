/* launch.c: how kernels are laid over a grid, without a device: every row and column belongs to exactly one thread,
 * limits of the hardware hold, and workspaces are as large as what is written to them. */
#include "kernels/cuda/launch.h"

#include <criterion/criterion.h>
#include <stdbool.h>

static const int64_t sizes[] = {1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 784, 1023, 1024, 1025, 65536, 1000003};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static bool power_of_two(int value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

static void check_pass(bpi_cuda_pass pass, int64_t rows, int64_t cols, int width)
{
    cr_assert(pass.width == width && pass.lanes * pass.groups == BPI_CUDA_THREADS);
    cr_assert(power_of_two(pass.lanes) && power_of_two(pass.groups) && pass.lanes <= 32);
    int64_t reach = pass.tiles * pass.lanes * width;
    cr_assert(reach >= cols && reach - (int64_t)pass.lanes * width < cols, "[%lld,%lld] width %d: tiles",
              (long long)rows, (long long)cols, width);
    cr_assert(pass.slices * pass.slice_rows >= rows && (pass.slices - 1) * pass.slice_rows < rows,
              "[%lld,%lld] width %d: slices", (long long)rows, (long long)cols, width);
    cr_assert(pass.slices <= 65535 && pass.tiles <= INT32_MAX);
}

static size_t floats(int64_t rows_of_sums, int64_t cols)
{
    return (size_t)(rows_of_sums * bpi_cuda_sums_ld(cols)) * sizeof(float);
}

Test(cuda_launch, a_pass_covers_each_row_and_column_once_within_the_limits)
{
    for (int r = 0; r < SIZES; r++)
        for (int c = 0; c < SIZES; c++)
            for (int width = 1; width <= 8; width = width == 1 ? 4 : 2 * width) {
                int64_t rows = sizes[r], cols = sizes[c];
                bpi_cuda_pass pass = bpi_cuda_pass_of(rows, cols, width);
                check_pass(pass, rows, cols, width);
                cr_assert_leq(floats(pass.slices, cols), bpi_cuda_pass_bytes(rows, cols));
                check_pass(bpi_cuda_load_pass_of(rows, cols, width), rows, cols, width);
            }
}

/* The finish of batch norm's sums keeps two rows of means behind them; moments are doubles, two a column and slice. */
Test(cuda_launch, the_passes_of_a_block_cover_each_row_and_column_once_and_their_sums_fit)
{
    for (int r = 0; r < SIZES; r++)
        for (int c = 0; c < SIZES; c++)
            for (int width = 1; width <= 4; width += 3)
                for (size_t element_bytes = 2; element_bytes <= 4; element_bytes += 2) {
                    int64_t rows = sizes[r], cols = sizes[c];
                    size_t bytes = bpi_cuda_block_bytes(rows, cols);
                    bpi_cuda_pass pass = bpi_cuda_block_pass_of(rows, cols, width, bpi_cuda_slice_rows(element_bytes));
                    check_pass(pass, rows, cols, width);
                    cr_assert_leq(2 * floats(pass.slices + 1, cols), bytes);
                    cr_assert_leq(4 * floats(pass.slices, cols), bytes);
                }
}

/* A thread has a whole round of rows where there are as many, and tiles are no wider than that asks for; there are
 * blocks for 128 multiprocessors where there are elements for them, and slices are long where there are more. */
Test(cuda_launch, a_pass_fills_the_device_with_the_longest_slices_that_do)
{
    for (int64_t rows = 1; rows <= 1 << 20; rows *= 2)
        for (int64_t cols = 32; cols <= 1 << 20; cols *= 2) {
            bpi_cuda_pass pass = bpi_cuda_block_pass_of(rows, cols, 4, bpi_cuda_slice_rows(4));
            int64_t blocks = pass.tiles * pass.slices;
            cr_assert_eq(pass.lanes, rows >= 128 ? 8 : rows >= 64 && cols >= 64 ? 16 : cols >= 128 ? 32 : cols / 4);
            cr_assert(rows * cols < 1 << 20 || blocks >= BPI_CUDA_FILLING_GRID, "[%lld,%lld]: %lld blocks",
                      (long long)rows, (long long)cols, (long long)blocks);
            cr_assert(pass.slices == 1 || pass.slice_rows >= 128 || blocks <= BPI_CUDA_FILLING_GRID);
            cr_assert(pass.slices == 1 || blocks <= BPI_CUDA_BLOCK_GRID);
        }
    cr_expect_eq(bpi_cuda_block_pass_of(1024, 1024, 4, bpi_cuda_slice_rows(4)).slices, 8, "128 rows in f32");
    cr_expect_eq(bpi_cuda_block_pass_of(1024, 1024, 4, bpi_cuda_slice_rows(2)).slices, 4, "256 in bf16");
    cr_expect_eq(bpi_cuda_pass_of(1024, 1024, 1).lanes, 32, "single elements: 32 neighbours");
    cr_expect_eq(bpi_cuda_load_pass_of(1024, 1024, 4).lanes, 32, "an index is read once a tile: wide ones");
}

/* What is no long row is in the registers of its team, a cell of `width` columns in each thread. */
Test(cuda_launch, teams_cover_each_row_once_and_their_sums_fit)
{
    for (int r = 0; r < SIZES; r++)
        for (int c = 0; c < SIZES; c++)
            for (int width = 1; width <= 4; width += 3)
                for (size_t element_bytes = 2; element_bytes <= 4; element_bytes += 2) {
                    int64_t rows = sizes[r], cols = sizes[c];
                    bpi_cuda_teams teams = bpi_cuda_teams_of(rows, cols, width, bpi_cuda_team_rows(element_bytes));
                    cr_assert(teams.width == width && teams.lanes * teams.groups == BPI_CUDA_THREADS);
                    cr_assert(power_of_two(teams.lanes) && teams.lanes <= BPI_CUDA_THREADS);
                    cr_assert(power_of_two(teams.cells) && teams.cells <= BPI_CUDA_ROWS_IN_FLIGHT);
                    cr_assert(teams.lanes >= BPI_CUDA_ROWS_IN_FLIGHT && (teams.cells == 1 || teams.groups == 1));
                    cr_assert(teams.long_rows || (int64_t)teams.lanes * teams.cells * width >= cols);
                    cr_assert_eq(teams.long_rows, width == 1 || cols > 4096);
                    cr_assert(!teams.long_rows || teams.groups == 1, "a long row is the whole block's");
                    cr_assert(teams.slices * teams.slice_rows >= rows && (teams.slices - 1) * teams.slice_rows < rows);
                    cr_assert_leq(teams.slices, BPI_CUDA_LARGEST_GRID);
                    cr_assert_leq(3 * floats(teams.slices, cols), bpi_cuda_block_bytes(rows, cols));
                }
}

Test(cuda_launch, a_loss_covers_each_row_once_and_its_sums_fit_where_they_are_kept)
{
    for (int r = 0; r < SIZES; r++)
        for (int c = 0; c < SIZES; c++)
            for (int width = 1; width <= 4; width += 3) {
                int64_t rows = sizes[r], cols = sizes[c];
                bpi_cuda_rows cut = bpi_cuda_rows_of(rows, cols, width);
                cr_assert(cut.width == width && cut.lanes * cut.groups == BPI_CUDA_THREADS);
                cr_assert(power_of_two(cut.lanes) && cut.lanes <= 32);
                cr_assert(cut.slices * cut.slice_rows >= rows && (cut.slices - 1) * cut.slice_rows < rows);
                cr_assert_leq(cut.slices, BPI_CUDA_LARGEST_GRID);
                bool shared = cols <= BPI_CUDA_ROW_LIMIT;
                cr_assert_eq(cut.sums, shared ? cut.slices : cut.slices * cut.groups);
                int64_t shared_bytes = (int64_t)cut.groups * cols * 4 + BPI_CUDA_THREADS * 16;
                cr_assert(!shared || shared_bytes <= 48 * 1024, "[%lld,%lld]: %lld bytes", (long long)rows,
                          (long long)cols, (long long)shared_bytes);
                size_t sums = (size_t)(cut.sums * bpi_cuda_sums_ld(cols)) * sizeof(float);
                cr_assert_geq(bpi_cuda_loss_bytes(rows, cols), (size_t)cut.slices * sizeof(bpi_cuda_total) + sums);
                cr_assert_eq(bpi_cuda_totals_bytes(cut.slices) % 256, 0, "the sums behind the totals are aligned");
            }
}

/* So that what was reserved for a batch does for every smaller one. Around 1024 slices of 32 rows, and of 256 and less,
 * the slices themselves become fewer with the rows. */
Test(cuda_launch, no_workspace_is_smaller_for_more_rows)
{
    static const int64_t cols[] = {1, 4, 10, 100, 784, 1024, 1030}, starts[] = {1, 8000, 32700, 65500};
    for (size_t c = 0; c < sizeof cols / sizeof *cols; c++)
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++)
            for (int64_t rows = starts[s]; rows < starts[s] + 1200; rows++) {
                int64_t more = rows + 1;
                cr_assert_leq(bpi_cuda_pass_bytes(rows, cols[c]), bpi_cuda_pass_bytes(more, cols[c]));
                cr_assert_leq(bpi_cuda_block_bytes(rows, cols[c]), bpi_cuda_block_bytes(more, cols[c]));
                cr_assert_leq(bpi_cuda_loss_bytes(rows, cols[c]), bpi_cuda_loss_bytes(more, cols[c]));
                cr_assert_leq(bpi_cuda_split_bytes(rows, cols[c], 64), bpi_cuda_split_bytes(more, cols[c], 64));
            }
}

Test(cuda_launch, an_array_gets_a_block_at_least_and_at_most_what_one_block_can_add_up)
{
    for (int s = 0; s < SIZES; s++) {
        int64_t blocks = bpi_cuda_blocks_of(sizes[s]);
        cr_assert(blocks >= 1 && blocks <= BPI_CUDA_LARGEST_GRID);
        cr_assert_eq(bpi_cuda_norm_bytes(sizes[s]), (size_t)blocks * sizeof(bpi_cuda_square_sum));
    }
    cr_assert_eq(bpi_cuda_blocks_of((int64_t)1 << 40), BPI_CUDA_LARGEST_GRID);
    cr_assert_eq(bpi_cuda_blocks_of(4097), 2);
}

Test(cuda_launch, a_weight_gradient_is_cut_into_equal_parts_that_are_long_enough_and_fit)
{
    for (int r = 0; r < SIZES; r++)
        for (int c = 0; c < SIZES; c++) {
            int64_t rows = sizes[r], cols = sizes[c], parts = bpi_cuda_split_of(rows, cols, 64);
            cr_assert(parts >= 1 && power_of_two((int)parts) && rows % parts == 0);
            cr_assert(parts == 1 || rows / parts >= BPI_CUDA_SPLIT_ROWS);
            cr_assert(parts == 1 || floats(parts, cols * 64) <= BPI_CUDA_SPLIT_BYTES);
            cr_assert(parts == 1 || floats(parts, cols * 64) <= bpi_cuda_split_bytes(rows, cols, 64));
        }
    cr_expect_eq(bpi_cuda_split_of(65536, 64, 64), 128, "one tile");
    cr_expect_eq(bpi_cuda_split_of(65536, 256, 256), 32, "four tiles");
    cr_expect_eq(bpi_cuda_split_of(65536, 2048, 1024), 1, "tiles enough");
    cr_expect_eq(bpi_cuda_split_of(65536, 1024, 1024), 2);
    cr_expect_eq(bpi_cuda_split_of(1536, 64, 64), 4, "parts of 384, as 192 are too few");
    cr_expect_eq(bpi_cuda_split_of(4095, 64, 64), 1, "an odd number of rows");
}
