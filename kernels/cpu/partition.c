/* partition.c: the numbers behind partition.h. Measured on a Zen 3 with oneDNN 2.6.3 (docs/cpu-backend.md). */
#include "kernels/cpu/partition.h"

#define LARGEST_TILE 512         /* rows: larger ones gain nothing in most products and leave the cache */
#define SMALLEST_TILE 64         /* rows */
#define TILE_ELEMENTS 131072     /* 512 KiB of the result: it is still in the L2 when the element-wise loop comes */
#define TILE_MULTIPLICATIONS 4e6 /* about 90 us: the cost of a call to oneDNN vanishes in it */
#define PAIR_MULTIPLICATIONS 1e6 /* from here on one tile is cut into two */
#define LARGEST_GROUPS 64
#define SMALLEST_PIECE 128            /* columns: the left side is packed once for each piece */
#define PART_BYTES ((size_t)10 << 20) /* a third of the L3 of the smaller servers */
#define SMALLEST_PART 2048
#define LOOP_TILE 16384 /* elements of a loop: 64 KiB, and worth a second thread from there on */

static int64_t divide_up(int64_t value, int64_t by)
{
    return (value + by - 1) / by;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static bpi_cpu_rows in_groups(int64_t rows, int64_t tile)
{
    int64_t tiles = divide_up(rows, tile);
    bpi_cpu_rows cut;
    cut.rows = rows;
    cut.tile = tile;
    cut.group_rows = tile * divide_up(tiles, LARGEST_GROUPS);
    cut.groups = divide_up(rows, cut.group_rows);
    return cut;
}

static bpi_cpu_rows rows_of_product(int64_t rows, int64_t cols, int64_t multiplications, int64_t smallest_tile)
{
    int64_t wanted = (int64_t)(TILE_MULTIPLICATIONS / (double)multiplications) + 1;
    wanted = clamp(bpi_cpu_round_up(wanted, 16), 1, clamp(TILE_ELEMENTS / cols, SMALLEST_TILE, LARGEST_TILE));
    int64_t tile = wanted > smallest_tile ? wanted : smallest_tile;
    int64_t tiles = divide_up(rows, tile);
    if (tiles == 1)
        tiles = (double)rows * (double)multiplications >= PAIR_MULTIPLICATIONS && rows >= 32 ? 2 : 1;
    else if (tiles < LARGEST_GROUPS)
        tiles = bpi_cpu_round_up(tiles, 2); /* an even number is fair to two threads */
    return in_groups(rows, tiles == 1 ? rows : bpi_cpu_round_up(divide_up(rows, tiles), 4));
}

static bpi_cpu_cut over_rows(bpi_cpu_rows rows, int64_t cols)
{
    return (bpi_cpu_cut){.rows = rows, .cols = cols, .piece = cols, .pieces = 1};
}

static bpi_cpu_cut over_columns(int64_t rows, int64_t cols)
{
    int64_t pieces = clamp(cols / SMALLEST_PIECE, 2, LARGEST_GROUPS);
    bpi_cpu_cut cut = over_rows(in_groups(rows, rows), cols);
    cut.piece = bpi_cpu_round_up(divide_up(cols, pieces - pieces % 2), BPI_CPU_LINE_FLOATS);
    cut.pieces = divide_up(cols, cut.piece);
    return cut;
}

/* Two threads that share out the rows both read all weights, of which the other one has just updated a half; two that
 * share out the outputs both read all of x. What lies in another core's cache is slow to fetch, so the smaller of the
 * two is read by both: x where there are fewer rows than outputs.
 *
 * The weights are transposed in here, by oneDNN in every call: it runs at 145 GFLOP/s with 64 rows, at 166 with 512,
 * and at 174 where nothing is to be transposed (784 to 256, one core with AVX-512). Tiles of an eighth of the rows
 * leave enough tasks for the threads. Weights that fit no cache are read once a tile, so that tiles are larger there.
 */
#define MANY_WEIGHTS 524288
#define MOST_WEIGHTS 4194304

static int64_t tile_of_turned(int64_t rows, int64_t weights)
{
    if (weights >= MANY_WEIGHTS)
        return weights >= MOST_WEIGHTS ? 2 * LARGEST_TILE : LARGEST_TILE;
    return clamp(bpi_cpu_round_up(rows / 8, 16), SMALLEST_TILE, LARGEST_TILE);
}

bpi_cpu_cut bpi_cpu_cut_of_forward(const bpi_linear_spec *spec)
{
    int64_t weights = spec->inputs * spec->outputs;
    bool few_rows = spec->rows < spec->outputs && spec->rows <= LARGEST_TILE;
    if (few_rows && (double)spec->rows * (double)weights >= PAIR_MULTIPLICATIONS)
        return over_columns(spec->rows, spec->outputs);
    int64_t tile = tile_of_turned(spec->rows, weights);
    return over_rows(rows_of_product(spec->rows, spec->outputs, weights, tile), spec->outputs);
}

/* In bf16 the weights are brought into another form for each tile here as well, and in f32 where their rows lie a
 * multiple of 512 bytes apart: 1024 to 1024 takes 1.30 times as long in tiles of 64 rows as in tiles of 512. */
bpi_cpu_cut bpi_cpu_cut_of_input_grad(const bpi_linear_spec *spec, bool bf16)
{
    int64_t weights = spec->inputs * spec->outputs, tile = weights >= MOST_WEIGHTS ? LARGEST_TILE : SMALLEST_TILE;
    bool turned = bf16 || !bpi_cpu_is_spread(spec->ld_w);
    tile = turned ? tile_of_turned(spec->rows, weights) : tile;
    return over_rows(rows_of_product(spec->rows, spec->inputs, weights, tile), spec->inputs);
}

bpi_cpu_rows bpi_cpu_rows_of_loop(int64_t rows, int64_t cols)
{
    int64_t tile = clamp(LOOP_TILE / cols, 1, rows);
    return in_groups(rows, tile);
}

/* Parts of equal size. Fewer rows than SMALLEST_PART would save less than adding to the weight gradients once more
 * costs. */
int64_t bpi_cpu_part_rows(int64_t rows, size_t row_bytes)
{
    int64_t fitting = (int64_t)(PART_BYTES / row_bytes);
    if (fitting < SMALLEST_PART || rows <= fitting)
        return rows;
    return bpi_cpu_round_up(divide_up(rows, divide_up(rows, fitting)), 64);
}

/* A sum over many rows with a small result is cut over the rows, as the partial results are cheap; everything else over
 * the outputs. */
bpi_cpu_weight_split bpi_cpu_split_weight_grad(const bpi_linear_spec *spec)
{
    double multiplications = (double)spec->rows * (double)spec->inputs * (double)spec->outputs;
    bpi_cpu_weight_split split = {spec->outputs, 1, spec->rows, 1};
    if (spec->rows >= 1024 && spec->inputs * spec->outputs <= 65536) {
        int64_t parts = clamp(bpi_cpu_round_up(divide_up(spec->rows, 1024), 2), 2, 32);
        parts = multiplications < 2.0 * PAIR_MULTIPLICATIONS ? 1 : parts;
        split.part = bpi_cpu_round_up(divide_up(spec->rows, parts), 16);
        split.parts = divide_up(spec->rows, split.part);
        return split;
    }
    int64_t pieces = clamp(spec->outputs / (spec->outputs >= 512 ? 128 : 64), spec->outputs >= 64 ? 2 : 1, 64);
    pieces = clamp((int64_t)(multiplications / PAIR_MULTIPLICATIONS), 1, pieces);
    if (pieces == 1)
        return split;
    pieces -= pieces % 2; /* as above: fair to two threads */
    split.piece = bpi_cpu_round_up(divide_up(spec->outputs, pieces), 4);
    split.pieces = divide_up(spec->outputs, split.piece);
    return split;
}

int bpi_cpu_threads_for_product(int threads, double multiplications)
{
    return multiplications < 0.5e6 ? 1 : threads;
}

int bpi_cpu_threads_for_loop(int threads, int64_t elements)
{
    return elements < LOOP_TILE ? 1 : threads;
}

size_t bpi_cpu_sums_bytes(bpi_cpu_rows cut, int64_t cols)
{
    return (size_t)(cut.groups * bpi_cpu_round_up(cols, BPI_CPU_LINE_FLOATS)) * sizeof(float);
}
