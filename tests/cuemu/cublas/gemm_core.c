/* Blocked GEMM with double accumulators. See gemm_core.h for the contract.
 *
 * A real GPU sums in f32 in an order that nobody promises. Here every chunk of terms is summed in
 * double and the running sum is then rounded to one of its two f32 neighbours: errors of the right
 * size and nature (they grow with cancellation, vanish for exact sums), in a pattern that changes
 * with the seed and stays within the bound that every f32 summation obeys. */
#include "gemm_core.h"

#include <stdlib.h>
#include <string.h>

#include "convert.h"

enum { TILE_M = 4, TILE_N = 8, MIN_CHUNK = 8, MAX_CHUNK = 96 };

typedef double vec4 __attribute__((vector_size(32)));

size_t cue_scalar_bytes(cue_scalar_type type)
{
    return type == CUE_F64 ? 8 : type == CUE_F32 ? 4 : 2;
}

double cue_scalar_load(const void *base, cue_scalar_type type, int64_t index)
{
    switch (type) {
    case CUE_F64:
        return ((const double *)base)[index];
    case CUE_F32:
        return (double)((const float *)base)[index];
    case CUE_BF16:
        return (double)cue_f32_of_bf16(((const uint16_t *)base)[index]);
    default:
        return (double)cue_f32_of_f16(((const uint16_t *)base)[index]);
    }
}

void cue_scalar_store(void *base, cue_scalar_type type, int64_t index, double value)
{
    switch (type) {
    case CUE_F64:
        ((double *)base)[index] = value;
        break;
    case CUE_F32:
        ((float *)base)[index] = (float)value;
        break;
    case CUE_BF16:
        ((uint16_t *)base)[index] = cue_bf16_of_f32((float)value);
        break;
    default:
        ((uint16_t *)base)[index] = cue_f16_of_f32((float)value);
        break;
    }
}

uint32_t cue_hash3(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t h = a * 0x9e3779b1u ^ b * 0x85ebca77u ^ c * 0xc2b2ae3du;
    h ^= h >> 15;
    h *= 0x2c1b3c6du;
    h ^= h >> 12;
    h *= 0x297a2d39u;
    return h ^ h >> 15;
}

/* A double carries 29 mantissa bits more than an f32: add a random amount below one f32 unit and cut.
 * Infinities and NaNs that came from f32 have those bits clear and survive. Values whose f32 is
 * denormal or zero go through the ordinary conversion. */
double cue_round_f32_either_way(double x, uint32_t random)
{
    const uint64_t below = (1u << 29) - 1;
    uint64_t u;
    if (!(x >= 0x1p-126 || x <= -0x1p-126))
        return (double)(float)x;
    memcpy(&u, &x, sizeof u);
    u = (u + (random & below)) & ~below;
    memcpy(&x, &u, sizeof u);
    return (double)(float)x;
}

static double load_rounded(const cue_operand *o, cue_operand_rounding rounding, int64_t index)
{
    double x = cue_scalar_load(o->data, o->type, index);
    if (o->type != CUE_F32 || rounding == CUE_ROUND_NONE)
        return x;
    if (rounding == CUE_ROUND_TF32)
        return (double)cue_tf32_of_f32((float)x);
    if (rounding == CUE_ROUND_BF16)
        return (double)cue_f32_of_bf16(cue_bf16_of_f32((float)x));
    return (double)cue_f32_of_f16(cue_f16_of_f32((float)x));
}

/* Copies count <= width lanes of terms [p0, p0+chunk) to out[p*width + lane], zeros beyond count. */
static void pack(const cue_operand *o, cue_operand_rounding rounding, int64_t lane_stride, int64_t term_stride,
                 int64_t lane0, int count, int width, int64_t p0, int chunk, double *out)
{
    for (int lane = 0; lane < width; lane++) {
        if (lane >= count) {
            for (int p = 0; p < chunk; p++)
                out[p * width + lane] = 0;
            continue;
        }
        int64_t base = (lane0 + lane) * lane_stride + p0 * term_stride;
        if (o->type == CUE_F32 && rounding == CUE_ROUND_NONE) {
            const float *x = (const float *)o->data + base;
            for (int p = 0; p < chunk; p++)
                out[p * width + lane] = (double)x[p * term_stride];
        } else {
            for (int p = 0; p < chunk; p++)
                out[p * width + lane] = load_rounded(o, rounding, base + p * term_stride);
        }
    }
}

static inline __attribute__((always_inline)) void tile_loop(const double *a, const double *b, int chunk, double *out)
{
    vec4 c[TILE_M][2];
    memset(c, 0, sizeof c);
    for (int p = 0; p < chunk; p++) {
        vec4 b0, b1;
        memcpy(&b0, b + p * TILE_N, sizeof b0);
        memcpy(&b1, b + p * TILE_N + 4, sizeof b1);
        for (int i = 0; i < TILE_M; i++) {
            double x = a[p * TILE_M + i];
            vec4 ai = {x, x, x, x};
            c[i][0] += ai * b0;
            c[i][1] += ai * b1;
        }
    }
    memcpy(out, c, sizeof c);
}

#if defined(__x86_64__)
static __attribute__((target("avx2,fma"))) void tile_avx2(const double *a, const double *b, int chunk, double *out)
{
    tile_loop(a, b, chunk, out);
}
#endif

static void tile_plain(const double *a, const double *b, int chunk, double *out)
{
    tile_loop(a, b, chunk, out);
}

typedef void (*tile_fn)(const double *, const double *, int, double *);

static tile_fn choose_tile(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return tile_avx2;
#endif
    return tile_plain;
}

/* Adds one tile of chunk sums to the running sums and rounds them. */
static void add_tile(const cue_gemm *g, const double *sums, int64_t i0, int rows, int64_t j0, int cols,
                     uint32_t chunk_id, double *acc)
{
    for (int j = 0; j < cols; j++)
        for (int i = 0; i < rows; i++) {
            double *running = &acc[(j0 + j) * g->m + i0 + i];
            double sum = *running + sums[i * TILE_N + j];
            if (g->f64)
                *running = sum;
            else if (g->k == 1)
                *running = (double)(float)sum;
            else
                *running = cue_round_f32_either_way(
                    sum, cue_hash3(g->seed + chunk_id, (uint32_t)(i0 + i), (uint32_t)(j0 + j)));
        }
}

static void add_chunk(const cue_gemm *g, tile_fn tile, int64_t p0, int chunk, uint32_t chunk_id, double *packed_a,
                      double *packed_b, double *acc)
{
    double sums[TILE_M * TILE_N];
    for (int64_t j0 = 0; j0 < g->n; j0 += TILE_N) {
        int cols = g->n - j0 < TILE_N ? (int)(g->n - j0) : TILE_N;
        pack(&g->b, g->rounding, g->b.col_stride, g->b.row_stride, j0, cols, TILE_N, p0, chunk, packed_b + j0 * chunk);
    }
    for (int64_t i0 = 0; i0 < g->m; i0 += TILE_M) {
        int rows = g->m - i0 < TILE_M ? (int)(g->m - i0) : TILE_M;
        pack(&g->a, g->rounding, g->a.row_stride, g->a.col_stride, i0, rows, TILE_M, p0, chunk, packed_a);
        for (int64_t j0 = 0; j0 < g->n; j0 += TILE_N) {
            int cols = g->n - j0 < TILE_N ? (int)(g->n - j0) : TILE_N;
            tile(packed_a, packed_b + j0 * chunk, chunk, sums);
            add_tile(g, sums, i0, rows, j0, cols, chunk_id, acc);
        }
    }
}

int cue_gemm_core(const cue_gemm *g, double *acc)
{
    tile_fn tile = choose_tile();
    size_t padded_n = ((size_t)g->n + TILE_N - 1) / TILE_N * TILE_N;
    double *packed = malloc(sizeof *packed * MAX_CHUNK * (TILE_M + padded_n));
    if (packed == NULL)
        return -1;
    memset(acc, 0, sizeof *acc * (size_t)g->m * (size_t)g->n);
    uint32_t chunk_id = 0;
    for (int64_t p0 = 0; p0 < g->k; chunk_id++) {
        uint32_t spread = MAX_CHUNK - MIN_CHUNK - 31;
        int chunk = MIN_CHUNK + 32 * (g->k > 256) +
                    (int)(cue_hash3(g->seed, chunk_id, (uint32_t)g->k) % (spread - 32 * (g->k > 256)));
        if (chunk > g->k - p0)
            chunk = (int)(g->k - p0);
        add_chunk(g, tile, p0, chunk, chunk_id, packed, packed + MAX_CHUNK * TILE_M, acc);
        p0 += chunk;
    }
    free(packed);
    return 0;
}
