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

/* The most slices that so many rows or fewer are cut into: a slice has a round at least. */
static int64_t slices_up_to(int64_t rows, int64_t round, int64_t most_slices)
{
    return clamp(divide_up(rows, round), 1, most_slices);
}

/* A tile of four elements or more is 8 lanes wide, 128 bytes of a row (64 of four in bf16), as long as the rows fill a
 * round of such blocks: the narrower a tile, the longer the slices of as many blocks, and the fewer readings of what a
 * column has once, and sums of it. */
static int lanes_of_pass(int64_t rows, int64_t cols, int width, int narrowest)
{
    int most = BPI_CUDA_WARP;
    while (width > 1 && most > narrowest && rows * most >= 2 * BPI_CUDA_THREADS * BPI_CUDA_ROWS_IN_FLIGHT)
        most /= 2;
    return lanes_for(divide_up(cols, width), most);
}

static int64_t pass_round(const bpi_cuda_pass *pass)
{
    return (int64_t)pass->groups * BPI_CUDA_ROWS_IN_FLIGHT;
}

/* Blocks for all multiprocessors, or slices of least_rows where that makes more of them. */
static int64_t pass_most(const bpi_cuda_pass *pass, int64_t rows, int64_t least_rows, int64_t largest_grid)
{
    int64_t long_enough = rows / least_rows, filling = BPI_CUDA_FILLING_GRID / pass->tiles;
    return clamp(long_enough > filling ? long_enough : filling, 1, clamp(largest_grid / pass->tiles, 1, largest_grid));
}

enum { NARROW_LANES = 8 };

/* How a pass is cut. */
typedef struct pass_cut {
    int narrowest;
    int64_t least_rows, largest_grid;
} pass_cut;

static bpi_cuda_pass pass_of(int64_t rows, int64_t cols, int width, pass_cut by)
{
    bpi_cuda_pass pass;
    pass.width = width;
    pass.lanes = lanes_of_pass(rows, cols, width, by.narrowest);
    pass.groups = BPI_CUDA_THREADS / pass.lanes;
    pass.tiles = divide_up(cols, (int64_t)pass.lanes * width);
    pass.slice_rows = rows_of_slice(rows, pass_round(&pass), pass_most(&pass, rows, by.least_rows, by.largest_grid));
    pass.slices = divide_up(rows, pass.slice_rows);
    return pass;
}

/* Fewer rows than a round of narrow tiles have one slice or two: wider tiles take over where they do not fill one. */
static int64_t pass_slices_up_to(int64_t rows, int64_t cols, int width, pass_cut by)
{
    bpi_cuda_pass pass = pass_of(rows, cols, width, by);
    int64_t wide = clamp(divide_up(rows, BPI_CUDA_THREADS / BPI_CUDA_WARP * BPI_CUDA_ROWS_IN_FLIGHT), 1, 2);
    int64_t narrow = slices_up_to(rows, pass_round(&pass), pass_most(&pass, rows, by.least_rows, by.largest_grid));
    return wide > narrow ? wide : narrow;
}

static const pass_cut plain_pass = {NARROW_LANES, 128, BPI_CUDA_LARGEST_GRID};

bpi_cuda_pass bpi_cuda_pass_of(int64_t rows, int64_t cols, int width)
{
    return pass_of(rows, cols, width, plain_pass);
}

bpi_cuda_pass bpi_cuda_load_pass_of(int64_t rows, int64_t cols, int width)
{
    return pass_of(rows, cols, width, (pass_cut){BPI_CUDA_WARP, 1, BPI_CUDA_LOAD_GRID});
}

static pass_cut block_pass(int64_t least_rows)
{
    return (pass_cut){NARROW_LANES, least_rows, BPI_CUDA_BLOCK_GRID};
}

bpi_cuda_pass bpi_cuda_block_pass_of(int64_t rows, int64_t cols, int width, int64_t least_rows)
{
    return pass_of(rows, cols, width, block_pass(least_rows));
}

static int64_t teams_round(const bpi_cuda_teams *teams)
{
    return teams->long_rows ? 1 : (int64_t)teams->groups * BPI_CUDA_ROWS_IN_FLIGHT / teams->cells;
}

static int64_t teams_most(int64_t rows, int64_t least_rows)
{
    return clamp(divide_up(rows, least_rows), BPI_CUDA_TEAM_GRID, BPI_CUDA_LARGEST_GRID);
}

/* A team has a lane for each of the rows that it takes at once, which moves that row's statistics. */
bpi_cuda_teams bpi_cuda_teams_of(int64_t rows, int64_t cols, int width, int64_t least_rows)
{
    bpi_cuda_teams teams;
    int64_t cells = divide_up(cols, width), least_lanes = BPI_CUDA_ROWS_IN_FLIGHT;
    teams.width = width;
    teams.lanes = lanes_for(width == 1            ? BPI_CUDA_THREADS
                            : cells > least_lanes ? cells
                                                  : least_lanes,
                            BPI_CUDA_THREADS);
    teams.groups = BPI_CUDA_THREADS / teams.lanes;
    teams.cells = lanes_for(divide_up(cells, teams.lanes), BPI_CUDA_ROWS_IN_FLIGHT);
    teams.long_rows = width == 1 || cells > (int64_t)teams.lanes * teams.cells;
    teams.slice_rows = rows_of_slice(rows, teams_round(&teams), teams_most(rows, least_rows));
    teams.slices = divide_up(rows, teams.slice_rows);
    return teams;
}

static int64_t teams_slices_up_to(int64_t rows, int64_t cols, int width, int64_t least_rows)
{
    bpi_cuda_teams teams = bpi_cuda_teams_of(rows, cols, width, least_rows);
    return slices_up_to(rows, teams_round(&teams), teams_most(rows, least_rows));
}

/* Rows of partial column sums of a slice. */
static int64_t rows_sums(const bpi_cuda_rows *cut, int64_t cols)
{
    return cols <= BPI_CUDA_ROW_LIMIT ? 1 : cut->groups;
}

bpi_cuda_rows bpi_cuda_rows_of(int64_t rows, int64_t cols, int width)
{
    bpi_cuda_rows cut;
    cut.width = width;
    cut.lanes = lanes_for(divide_up(cols, width), BPI_CUDA_WARP);
    cut.groups = BPI_CUDA_THREADS / cut.lanes;
    cut.slice_rows = rows_of_slice(rows, cut.groups, BPI_CUDA_LARGEST_GRID);
    cut.slices = divide_up(rows, cut.slice_rows);
    cut.sums = cut.slices * rows_sums(&cut, cols);
    return cut;
}

int64_t bpi_cuda_blocks_of(int64_t count)
{
    return clamp(divide_up(count, (int64_t)BPI_CUDA_THREADS * 4 * BPI_CUDA_ROWS_IN_FLIGHT), 1, BPI_CUDA_LARGEST_GRID);
}

static size_t split_bytes(int64_t parts, int64_t inputs, int64_t outputs)
{
    return (size_t)(parts * bpi_cuda_sums_ld(inputs * outputs)) * sizeof(float);
}

/* As many parts as are worth it, of `rows` samples that may be cut anywhere. */
static int64_t most_parts(int64_t rows, int64_t inputs, int64_t outputs)
{
    int64_t tiles = divide_up(inputs, 128) * divide_up(outputs, 128), parts = 1;
    while (tiles * parts < BPI_CUDA_SPLIT_TILES && rows / (2 * parts) >= BPI_CUDA_SPLIT_ROWS &&
           split_bytes(2 * parts, inputs, outputs) <= BPI_CUDA_SPLIT_BYTES)
        parts *= 2;
    return parts;
}

int64_t bpi_cuda_split_of(int64_t rows, int64_t inputs, int64_t outputs)
{
    int64_t parts = most_parts(rows, inputs, outputs);
    while (rows % parts != 0)
        parts /= 2;
    return parts;
}

size_t bpi_cuda_split_bytes(int64_t rows, int64_t inputs, int64_t outputs)
{
    int64_t parts = most_parts(rows, inputs, outputs);
    return parts > 1 ? split_bytes(parts, inputs, outputs) : 0;
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
        int64_t slices = pass_slices_up_to(rows, cols, width, plain_pass);
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
    int64_t ld = bpi_cuda_sums_ld(cols);
    int64_t slices = pass_slices_up_to(rows, cols, width, block_pass(bpi_cuda_slice_rows(sizeof(float))));
    int64_t teams = teams_slices_up_to(rows, cols, width, bpi_cuda_team_rows(sizeof(float)));
    size_t moments = (size_t)(2 * slices) * sizeof(double), sums = (size_t)(2 * (slices + 1)) * sizeof(float);
    return (size_t)ld * larger(larger(moments, sums), (size_t)(3 * teams) * sizeof(float));
}

size_t bpi_cuda_block_bytes(int64_t rows, int64_t cols)
{
    return larger(block_bytes_at(rows, cols, 4), block_bytes_at(rows, cols, 1));
}

static size_t loss_bytes(int64_t rows, int64_t cols, int width)
{
    bpi_cuda_rows cut = bpi_cuda_rows_of(rows, cols, width);
    int64_t slices = slices_up_to(rows, cut.groups, BPI_CUDA_LARGEST_GRID);
    return bpi_cuda_totals_bytes(slices) +
           (size_t)(slices * rows_sums(&cut, cols) * bpi_cuda_sums_ld(cols)) * sizeof(float);
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
