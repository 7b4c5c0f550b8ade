/* launch.c: the arithmetic of launch.h. Nothing here asks the device: a sum is cut by its shape alone. */
#include "kernels/cuda/launch.h"

static int64_t divide_up(int64_t value, int64_t by)
{
    return (value + by - 1) / by;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The smallest power of two that covers `count`, at most `most`: narrow matrices leave few lanes idle. */
static int lanes_for(int64_t count, int most)
{
    int lanes = 1;
    while (lanes < most && lanes < count)
        lanes *= 2;
    return lanes;
}

/* Slices of whole rounds, a round being what the groups of a block take at once. */
static int64_t rows_of_slice(int64_t rows, int64_t round, int64_t most_slices)
{
    return round * divide_up(divide_up(rows, round), most_slices);
}

static bpi_cuda_pass pass_of(int64_t rows, int64_t cols, int width, int64_t largest_grid)
{
    bpi_cuda_pass pass;
    pass.width = width;
    pass.lanes = lanes_for(divide_up(cols, width), BPI_CUDA_WARP);
    pass.groups = BPI_CUDA_THREADS / pass.lanes;
    pass.tiles = divide_up(cols, (int64_t)pass.lanes * width);
    int64_t most = clamp(largest_grid / pass.tiles, 1, largest_grid);
    pass.slice_rows = rows_of_slice(rows, (int64_t)pass.groups * BPI_CUDA_ROWS_IN_FLIGHT, most);
    pass.slices = divide_up(rows, pass.slice_rows);
    return pass;
}

bpi_cuda_pass bpi_cuda_pass_of(int64_t rows, int64_t cols, int width)
{
    return pass_of(rows, cols, width, BPI_CUDA_LARGEST_GRID);
}

bpi_cuda_pass bpi_cuda_load_pass_of(int64_t rows, int64_t cols, int width)
{
    return pass_of(rows, cols, width, BPI_CUDA_LOAD_GRID);
}

bpi_cuda_pass bpi_cuda_block_pass_of(int64_t rows, int64_t cols, int width)
{
    return pass_of(rows, cols, width, BPI_CUDA_BLOCK_GRID);
}

bpi_cuda_pass bpi_cuda_moments_pass_of(int64_t rows, int64_t cols, int width)
{
    return pass_of(rows, cols, width, BPI_CUDA_MOMENTS_GRID);
}

bpi_cuda_teams bpi_cuda_teams_of(int64_t rows, int64_t cols, int width, int64_t least_rows)
{
    bpi_cuda_teams teams;
    int64_t cells = divide_up(cols, width);
    teams.width = width;
    teams.lanes = lanes_for(width == 1 ? BPI_CUDA_THREADS : cells, BPI_CUDA_THREADS);
    teams.groups = BPI_CUDA_THREADS / teams.lanes;
    teams.long_rows = width == 1 || cells > teams.lanes;
    int64_t round = teams.long_rows ? 1 : (int64_t)teams.groups * BPI_CUDA_ROWS_IN_FLIGHT;
    int64_t most = clamp(divide_up(rows, least_rows), BPI_CUDA_TEAM_GRID, BPI_CUDA_LARGEST_GRID);
    teams.slice_rows = rows_of_slice(rows, round, most);
    teams.slices = divide_up(rows, teams.slice_rows);
    return teams;
}

bpi_cuda_rows bpi_cuda_rows_of(int64_t rows, int64_t cols, int width)
{
    bpi_cuda_rows cut;
    cut.width = width;
    cut.lanes = lanes_for(divide_up(cols, width), BPI_CUDA_WARP);
    cut.groups = BPI_CUDA_THREADS / cut.lanes;
    cut.slice_rows = rows_of_slice(rows, cut.groups, BPI_CUDA_LARGEST_GRID);
    cut.slices = divide_up(rows, cut.slice_rows);
    cut.sums = cols <= BPI_CUDA_ROW_LIMIT ? cut.slices : cut.slices * cut.groups;
    return cut;
}

int64_t bpi_cuda_blocks_of(int64_t count)
{
    return clamp(divide_up(count, (int64_t)BPI_CUDA_THREADS * 4 * BPI_CUDA_ROWS_IN_FLIGHT), 1, BPI_CUDA_LARGEST_GRID);
}

int64_t bpi_cuda_split_of(int64_t rows, int64_t inputs, int64_t outputs)
{
    int64_t tiles = divide_up(inputs, 128) * divide_up(outputs, 128), parts = 1;
    while (tiles * parts < BPI_CUDA_SPLIT_TILES && rows % (2 * parts) == 0 &&
           rows / (2 * parts) >= BPI_CUDA_SPLIT_ROWS &&
           2 * parts * bpi_cuda_sums_ld(inputs * outputs) * 4 <= BPI_CUDA_SPLIT_BYTES)
        parts *= 2;
    return parts;
}

int64_t bpi_cuda_sums_ld(int64_t cols)
{
    return divide_up(cols, 4) * 4;
}

size_t bpi_cuda_totals_bytes(int64_t slices)
{
    return (size_t)divide_up(slices * (int64_t)sizeof(bpi_cuda_total), 256) * 256;
}

size_t bpi_cuda_pass_bytes(int64_t rows, int64_t cols)
{
    int64_t most = 0;
    for (int width = 1; width <= 8; width = width == 1 ? 4 : 2 * width) {
        int64_t slices = bpi_cuda_pass_of(rows, cols, width).slices;
        most = slices > most ? slices : most;
    }
    return (size_t)(most * bpi_cuda_sums_ld(cols)) * sizeof(float);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* At one width: moments are two doubles a column and slice; sums are two floats, and two rows of means behind them, or
 * three floats for a slice of teams. */
static size_t block_bytes_at(int64_t rows, int64_t cols, int width)
{
    int64_t ld = bpi_cuda_sums_ld(cols), moments = bpi_cuda_moments_pass_of(rows, cols, width).slices;
    int64_t slices = bpi_cuda_block_pass_of(rows, cols, width).slices;
    int64_t teams = bpi_cuda_teams_of(rows, cols, width, BPI_CUDA_TEAM_ROWS_BACKWARD).slices;
    size_t sums = larger((size_t)(2 * (slices + 1)), (size_t)(3 * teams));
    return larger((size_t)(2 * moments * ld) * sizeof(double), sums * (size_t)ld * sizeof(float));
}

size_t bpi_cuda_block_bytes(int64_t rows, int64_t cols)
{
    return larger(block_bytes_at(rows, cols, 4), block_bytes_at(rows, cols, 1));
}

static size_t loss_bytes(int64_t rows, int64_t cols, int width)
{
    bpi_cuda_rows cut = bpi_cuda_rows_of(rows, cols, width);
    return bpi_cuda_totals_bytes(cut.slices) + (size_t)(cut.sums * bpi_cuda_sums_ld(cols)) * sizeof(float);
}

size_t bpi_cuda_loss_bytes(int64_t rows, int64_t cols)
{
    return larger(loss_bytes(rows, cols, 4), loss_bytes(rows, cols, 1));
}

size_t bpi_cuda_norm_bytes(int64_t count)
{
    return (size_t)bpi_cuda_blocks_of(count) * sizeof(bpi_cuda_square_sum);
}

size_t bpi_cuda_tensor_parts_bytes(int64_t count, int64_t tensors)
{
    size_t bytes = (size_t)(bpi_cuda_blocks_of(count) * tensors) * BPI_CUDA_TENSOR_PART_BYTES;
    return (bytes + 255) / 256 * 256;
}
