/* loops_lanes.h: sums in f64 over an array of floats, in 16 lanes whatever the width of a register is, which are added
 * up in a tree: so all instruction sets give the same bits. Included by loops_table.h alone. */
#include <string.h>
#if defined(__FMA__)
#include <immintrin.h>
#endif

/* As many doubles as a register holds, in GCC's and clang's vector types: left to itself, the compiler keeps sixteen
 * sums in memory, and takes a register of 512 bits apart to convert it. */
enum { LANES = 16 };

#if defined(__AVX512F__)
enum { WIDE = 8 };
#else
enum { WIDE = 4 };
#endif
typedef double wide_doubles __attribute__((vector_size(8 * WIDE)));

ALWAYS_INLINE void widen(const float *from, wide_doubles *to)
{
#if defined(__AVX512F__)
    *to = (wide_doubles)_mm512_cvtps_pd(_mm256_loadu_ps(from));
#else
    typedef float narrow_floats __attribute__((vector_size(4 * WIDE)));
    narrow_floats narrow;
    memcpy(&narrow, from, sizeof narrow);
    *to = __builtin_convertvector(narrow, wide_doubles);
#endif
}

/* sum += g^2. The square of a float is exact in a double, so that it is the same in one operation as in two. */
ALWAYS_INLINE void add_square(wide_doubles *sum, const wide_doubles *g)
{
#if defined(__AVX512F__)
    *sum = (wide_doubles)_mm512_fmadd_pd((__m512d)*g, (__m512d)*g, (__m512d)*sum);
#elif defined(__FMA__)
    *sum = (wide_doubles)_mm256_fmadd_pd((__m256d)*g, (__m256d)*g, (__m256d)*sum);
#else
    *sum += *g * *g;
#endif
}

/* Adds up the lanes; lanes [LANES] is lost. */
static double sum_of_lanes(double *lanes)
{
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; ++l)
            lanes[l] += lanes[l + width];
    return lanes[0];
}

/* What is left over after whole rounds of the lanes goes into the first ones. */
static double sum_of_floats(int64_t count, const float *values)
{
    wide_doubles sums[LANES / WIDE] = {{0.0}};
    int64_t whole = count / LANES * LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int v = 0; v < LANES / WIDE; ++v) {
            wide_doubles wide;
            widen(values + k + WIDE * v, &wide);
            sums[v] += wide;
        }
    double lanes[LANES];
    memcpy(lanes, sums, sizeof lanes);
    for (int64_t k = whole; k < count; ++k)
        lanes[k - whole] += (double)values[k];
    return sum_of_lanes(lanes);
}

/* No finite f32 overflows. */
static double sum_of_squares(int64_t count, const float *g)
{
    wide_doubles sums[LANES / WIDE] = {{0.0}};
    int64_t whole = count / LANES * LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int v = 0; v < LANES / WIDE; ++v) {
            wide_doubles wide;
            widen(g + k + WIDE * v, &wide);
            add_square(&sums[v], &wide);
        }
    double lanes[LANES];
    memcpy(lanes, sums, sizeof lanes);
    for (int64_t k = whole; k < count; ++k)
        lanes[k - whole] += (double)g[k] * (double)g[k];
    return sum_of_lanes(lanes);
}
