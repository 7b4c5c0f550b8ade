/* test_cublas.c: GEMMs and vector operations against plain loops in double, by the bound that any order of f32
 * summation obeys: |err| <= k u sum |a b| with u = 2^-24, times |alpha|, and one rounding of the result.
 * Operands that the precision rounds are rounded here too, with frexp and rint instead of bits. */
#include "support.h"

static const double U = 0x1p-24;

typedef struct shape {
    int m, n, k;
} shape;

static const shape shapes[] = {{1, 1, 1},   {1, 5, 3},    {4, 8, 16},    {31, 33, 7},
                               {33, 1, 65}, {2, 70, 257}, {64, 16, 100}, {5, 3, 1000}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static cublasHandle_t handle;

static void open_handle(void)
{
    MUST(cublasCreate(&handle));
}

static void close_handle(void)
{
    MUST(cublasDestroy(handle));
}

TestSuite(cublas, .init = open_handle, .fini = close_handle);

/* One element of op(A) op(B), and the sum of magnitudes that bounds its error. */
static double product(const float *a, const float *b, int ta, int tb, int lda, int ldb, int i, int j, int k,
                      double *magnitude)
{
    double sum = 0;
    *magnitude = 0;
    for (int p = 0; p < k; p++) {
        double x = (double)(ta ? a[(size_t)i * (size_t)lda + (size_t)p] : a[(size_t)p * (size_t)lda + (size_t)i]);
        double y = (double)(tb ? b[(size_t)p * (size_t)ldb + (size_t)j] : b[(size_t)j * (size_t)ldb + (size_t)p]);
        sum += x * y;
        *magnitude += fabs(x * y);
    }
    return sum;
}

static void check_sgemm(shape s, int ta, int tb, float alpha, float beta)
{
    int rows_a = ta ? s.k : s.m, cols_a = ta ? s.m : s.k, rows_b = tb ? s.n : s.k, cols_b = tb ? s.k : s.n;
    int lda = rows_a + 3, ldb = rows_b + 1, ldc = s.m + 2;
    size_t na = (size_t)lda * (size_t)cols_a, nb = (size_t)ldb * (size_t)cols_b, nc = (size_t)ldc * (size_t)s.n;
    float *a = malloc(na * 4), *b = malloc(nb * 4), *c = malloc(nc * 4), *d = malloc(nc * 4);
    fill_random(a, na, 1);
    fill_random(b, nb, 2);
    fill_random(c, nc, 3);
    float *da = to_device(a, na * 4), *db = to_device(b, nb * 4), *dc = to_device(c, nc * 4);
    MUST(cublasSgemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, s.m, s.n, s.k, &alpha, da,
                     lda, db, ldb, &beta, dc, ldc));
    from_device(d, dc, nc * 4);
    for (int j = 0; j < s.n; j++) {
        for (int i = 0; i < s.m; i++) {
            double magnitude, sum = product(a, b, ta, tb, lda, ldb, i, j, s.k, &magnitude);
            size_t at = (size_t)j * (size_t)ldc + (size_t)i;
            double expected = (double)alpha * sum + (double)beta * (double)c[at];
            double bound = s.k * U * fabs((double)alpha) * magnitude +
                           2 * U * (fabs(expected) + fabs((double)beta * (double)c[at]));
            WITHIN((double)d[at], expected, bound, "m %d n %d k %d ta %d tb %d element %d,%d", s.m, s.n, s.k, ta, tb, i,
                   j);
        }
        for (int i = s.m; i < ldc; i++) /* between the columns nothing is touched */
            cr_assert(d[j * ldc + i] == c[j * ldc + i]);
    }
    MUST(cudaFree(da));
    MUST(cudaFree(db));
    MUST(cudaFree(dc));
    free(a), free(b), free(c), free(d);
}

Test(cublas, sgemm_keeps_the_bound_for_all_shapes_and_transpositions)
{
    for (int i = 0; i < SHAPES; i++)
        for (int t = 0; t < 4; t++) {
            check_sgemm(shapes[i], t & 1, t >> 1, 1.0f, 0.0f);
            check_sgemm(shapes[i], t & 1, t >> 1, -0.7f, 0.3f);
        }
}

Test(cublas, sums_of_small_integers_are_exact)
{
    enum { M = 9, N = 11, K = 500 };
    static float a[M * K], b[K * N], c[M * N];
    const float one = 1, zero = 0;
    for (int i = 0; i < M * K; i++)
        a[i] = (float)(i * 7 % 19 - 9);
    for (int i = 0; i < K * N; i++)
        b[i] = (float)(i * 5 % 23 - 11);
    float *da = to_device(a, sizeof a), *db = to_device(b, sizeof b), *dc = device_bytes(sizeof c);
    MUST(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, da, M, db, K, &zero, dc, M));
    from_device(c, dc, sizeof c);
    double largest = 0;
    for (int j = 0; j < N; j++)
        for (int i = 0; i < M; i++) {
            double magnitude, sum = product(a, b, 0, 0, M, K, i, j, K, &magnitude);
            cr_assert((double)c[j * M + i] == sum, "element %d,%d", i, j);
            largest = fmax(largest, fabs(sum));
        }
    cr_assert(largest > 0);
    MUST(cudaFree(da));
    MUST(cudaFree(db));
    MUST(cudaFree(dc));
}

static void random_gemm(float *c, int n)
{
    const float one = 1, zero = 0;
    size_t bytes = (size_t)n * (size_t)n * 4;
    float *a = malloc(bytes);
    fill_random(a, (size_t)n * (size_t)n, 4);
    float *da = to_device(a, bytes), *dc = device_bytes(bytes);
    MUST(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, da, n, da, n, &zero, dc, n));
    from_device(c, dc, bytes);
    MUST(cudaFree(da));
    MUST(cudaFree(dc));
    free(a);
}

Test(cublas, the_seed_decides_the_last_bits_and_nothing_else_does)
{
    enum { N = 48 };
    static float first[N * N], again[N * N], other[N * N];
    cuemu_set_mode_fn *set_mode = (cuemu_set_mode_fn *)(uintptr_t)cuemu("cuemu_set_mode");
    set_mode(0, 1, 7);
    random_gemm(first, N);
    random_gemm(again, N);
    cr_assert(memcmp(first, again, sizeof first) == 0);
    set_mode(0, 1, 8);
    random_gemm(other, N);
    int different = 0;
    for (int i = 0; i < N * N; i++)
        different += first[i] != other[i];
    cr_assert(different > N * N / 10, "%d of %d elements", different, N * N);
}

Test(cublas, f64_is_f64)
{
    enum { M = 13, N = 9, K = 300 };
    static double a[M * K], b[K * N], c[M * N];
    const double one = 1, zero = 0;
    uint64_t state = 5;
    for (int i = 0; i < M * K; i++)
        a[i] = (double)next_random(&state) + 1e-9 * (double)next_random(&state);
    for (int i = 0; i < K * N; i++)
        b[i] = (double)next_random(&state) + 1e-9 * (double)next_random(&state);
    double *da = to_device(a, sizeof a), *db = to_device(b, sizeof b), *dc = device_bytes(sizeof c);
    MUST(cublasDgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, da, M, db, K, &zero, dc, M));
    from_device(c, dc, sizeof c);
    for (int j = 0; j < N; j++)
        for (int i = 0; i < M; i++) {
            double sum = 0, magnitude = 0;
            for (int p = 0; p < K; p++) {
                sum += a[p * M + i] * b[j * K + p];
                magnitude += fabs(a[p * M + i] * b[j * K + p]);
            }
            WITHIN(c[j * M + i], sum, 2 * K * 0x1p-53 * magnitude, "element %d,%d", i, j);
        }
    MUST(cudaFree(da));
    MUST(cudaFree(db));
    MUST(cudaFree(dc));
}

/* ---------------------------------------------------------------------- narrower precisions */

/* Nearest, ties away from zero, 10 bits of mantissa: written from the definition, with the C library. */
static float as_tf32(float x)
{
    int exponent;
    float fraction = frexpf(x, &exponent);
    return x == 0 ? x : ldexpf(roundf(fraction * 2048.0f), exponent - 11);
}

/* Nearest, ties to even, to a multiple of the type's unit at x: 2^(exponent - bits), and not below the smallest. */
static float nearest(float x, int bits, int smallest)
{
    int exponent;
    (void)frexpf(x, &exponent);
    int unit = exponent - bits > smallest ? exponent - bits : smallest;
    return ldexpf(rintf(ldexpf(x, -unit)), unit);
}

static float as_bf16(float x)
{
    return nearest(x, 8, -133);
}

static float as_f16(float x)
{
    return nearest(x, 11, -24);
}

/* The 16 bits of a value that its type holds exactly, and back. */
static uint16_t encode(float x, cudaDataType_t type)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (type == CUDA_R_16BF)
        return (uint16_t)(bits >> 16);
    int exponent;
    float fraction = frexpf(fabsf(x), &exponent);
    uint16_t sign = x < 0 ? 0x8000 : 0;
    if (exponent < -13) /* denormal: multiples of 2^-24 */
        return (uint16_t)(sign | (uint16_t)ldexpf(fabsf(x), 24));
    return (uint16_t)(sign | (uint16_t)((exponent + 14) << 10) | ((uint16_t)(fraction * 2048) & 1023));
}

static float decode(uint16_t h, cudaDataType_t type)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    if (type == CUDA_R_16BF)
        return x;
    int exponent = h >> 10 & 31;
    float magnitude =
        exponent == 0 ? ldexpf((float)(h & 1023), -24) : ldexpf((float)(1024 + (h & 1023)), exponent - 25);
    return h & 0x8000 ? -magnitude : magnitude;
}

enum { PM = 24, PN = 17, PK = 130 };

/* Runs an f32 GEMM in a reduced precision, and compares with the product of operands rounded by `rounded`. */
static void check_rounding(cublasComputeType_t compute, float (*rounded)(float))
{
    static float a[PM * PK], b[PK * PN], ra[PM * PK], rb[PK * PN], c[PM * PN];
    const float one = 1, zero = 0;
    int beyond_f32 = 0;
    fill_random(a, PM * PK, 6);
    fill_random(b, PK * PN, 7);
    for (int i = 0; i < PM * PK; i++)
        ra[i] = rounded(a[i]);
    for (int i = 0; i < PK * PN; i++)
        rb[i] = rounded(b[i]);
    float *da = to_device(a, sizeof a), *db = to_device(b, sizeof b), *dc = device_bytes(sizeof c);
    MUST(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, PM, PN, PK, &one, da, CUDA_R_32F, PM, db, CUDA_R_32F, PK, &zero,
                      dc, CUDA_R_32F, PM, compute, CUBLAS_GEMM_DEFAULT));
    from_device(c, dc, sizeof c);
    for (int j = 0; j < PN; j++)
        for (int i = 0; i < PM; i++) {
            double magnitude, sum = product(ra, rb, 0, 0, PM, PK, i, j, PK, &magnitude);
            WITHIN((double)c[j * PM + i], sum, PK * U * magnitude, "element %d,%d", i, j);
            beyond_f32 +=
                fabs((double)c[j * PM + i] - product(a, b, 0, 0, PM, PK, i, j, PK, &magnitude)) > PK * U * magnitude;
        }
    cr_assert(rounded(1.0f + 0x1p-12f) == 1.0f);
    cr_assert(beyond_f32 > 0, "the operands were not rounded");
    MUST(cudaFree(da));
    MUST(cudaFree(db));
    MUST(cudaFree(dc));
}

Test(cublas, the_precision_rounds_the_operands)
{
    check_rounding(CUBLAS_COMPUTE_32F_FAST_TF32, as_tf32);
    check_rounding(CUBLAS_COMPUTE_32F_FAST_16BF, as_bf16);
    check_rounding(CUBLAS_COMPUTE_32F_FAST_16F, as_f16);
    MUST(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH));
    check_rounding(CUBLAS_COMPUTE_32F, as_tf32);
}

/* A and B in a 16-bit type, C in f32 or in that type. */
static void check_half(cudaDataType_t type, cudaDataType_t c_type, float (*rounded)(float))
{
    static float a[PM * PK], b[PK * PN], c[PM * PN];
    static uint16_t ha[PM * PK], hb[PK * PN], hc[PM * PN];
    const float alpha = 0.5f, zero = 0;
    double unit = type == CUDA_R_16BF ? 0x1p-8 : 0x1p-11;
    fill_random(a, PM * PK, 8);
    fill_random(b, PK * PN, 9);
    for (int i = 0; i < PM * PK; i++) {
        a[i] = rounded(a[i]);
        ha[i] = encode(a[i], type);
    }
    for (int i = 0; i < PK * PN; i++) {
        b[i] = rounded(b[i]);
        hb[i] = encode(b[i], type);
    }
    void *da = to_device(ha, sizeof ha), *db = to_device(hb, sizeof hb), *dc = device_bytes(sizeof c);
    MUST(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, PM, PN, PK, &alpha, da, type, PM, db, type, PK, &zero, dc,
                      c_type, PM, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    from_device(c_type == CUDA_R_32F ? (void *)c : (void *)hc, dc, c_type == CUDA_R_32F ? sizeof c : sizeof hc);
    for (int j = 0; j < PN; j++)
        for (int i = 0; i < PM; i++) {
            double magnitude, sum = 0.5 * product(a, b, 0, 0, PM, PK, i, j, PK, &magnitude);
            double bound = 0.5 * PK * U * magnitude;
            float got = c_type == CUDA_R_32F ? c[j * PM + i] : decode(hc[j * PM + i], c_type);
            if (c_type != CUDA_R_32F)
                bound += unit * (fabs(sum) + bound);
            WITHIN((double)got, sum, bound, "element %d,%d", i, j);
        }
    MUST(cudaFree(da));
    MUST(cudaFree(db));
    MUST(cudaFree(dc));
}

Test(cublas, sixteen_bit_operands_accumulate_in_f32)
{
    check_half(CUDA_R_16BF, CUDA_R_32F, as_bf16);
    check_half(CUDA_R_16BF, CUDA_R_16BF, as_bf16);
    check_half(CUDA_R_16F, CUDA_R_32F, as_f16);
    check_half(CUDA_R_16F, CUDA_R_16F, as_f16);
}

/* ---------------------------------------------------------------------- rules of the call */

Test(cublas, beta_zero_does_not_read_C_and_alpha_and_beta_may_live_on_the_device)
{
    enum { N = 8 };
    static float a[N * N], c[N * N];
    const float scalars[2] = {2, 0};
    fill_random(a, N * N, 10);
    float *da = to_device(a, sizeof a), *dc = device_bytes(sizeof c), *ds = to_device(scalars, sizeof scalars);
    MUST(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE));
    MUST(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, N, N, N, ds, da, N, da, N, ds + 1, dc, N));
    from_device(c, dc, sizeof c);
    for (int j = 0; j < N; j++)
        for (int i = 0; i < N; i++) {
            double magnitude, sum = 2 * product(a, a, 0, 0, N, N, i, j, N, &magnitude);
            WITHIN((double)c[j * N + i], sum, 2 * N * U * magnitude, "element %d,%d", i, j);
        }
    cr_assert_eq(report_count(), 0);
    MUST(cudaFree(da));
    MUST(cudaFree(dc));
    MUST(cudaFree(ds));
}

Test(cublas, batches_follow_their_strides)
{
    enum { M = 5, N = 6, K = 7, B = 3, SA = M * K + 2, SB = K * N + 1, SC = M * N + 4 };
    static float a[B * SA], b[B * SB], c[B * SC];
    const float one = 1, zero = 0;
    fill_random(a, B * SA, 11);
    fill_random(b, B * SB, 12);
    float *da = to_device(a, sizeof a), *db = to_device(b, sizeof b), *dc = device_bytes(sizeof c);
    MUST(cudaMemset(dc, 0, sizeof c));
    MUST(cublasSgemmStridedBatched(handle, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, da, M, SA, db, K, SB, &zero, dc, M,
                                   SC, B));
    from_device(c, dc, sizeof c);
    for (int q = 0; q < B; q++)
        for (int j = 0; j < N; j++)
            for (int i = 0; i < M; i++) {
                double magnitude, sum = product(a + q * SA, b + q * SB, 0, 0, M, K, i, j, K, &magnitude);
                WITHIN((double)c[q * SC + j * M + i], sum, K * U * magnitude, "batch %d element %d,%d", q, i, j);
            }
    cr_assert_eq(host_counter("gemms"), B);
    cr_assert_eq(host_counter("gemm_flops"), 2 * M * N * K * B);
    MUST(cudaFree(da));
    MUST(cudaFree(db));
    MUST(cudaFree(dc));
}

Test(cublas, wrong_arguments_get_the_statuses_of_the_manual)
{
    const float one = 1, zero = 0;
    float *x = device_bytes(64 * 4), *y = device_bytes(64 * 4);
    const cublasStatus_t invalid = CUBLAS_STATUS_INVALID_VALUE, unsupported = CUBLAS_STATUS_NOT_SUPPORTED;
    cublasOperation_t n = CUBLAS_OP_N, t = CUBLAS_OP_T;
    REFUSED(cublasSgemm(handle, n, n, -1, 8, 8, &one, x, 8, x, 8, &zero, y, 8), invalid, "blas");
    REFUSED(cublasSgemm(handle, n, n, 8, 8, 4, &one, x, 7, x, 8, &zero, y, 8), invalid, "blas");
    REFUSED(cublasSgemm(handle, t, n, 8, 8, 4, &one, x, 3, x, 8, &zero, y, 8), invalid, "blas");
    REFUSED(cublasSgemm(handle, n, t, 8, 8, 4, &one, x, 8, x, 7, &zero, y, 8), invalid, "blas");
    REFUSED(cublasSgemm(handle, n, n, 8, 8, 4, &one, x, 8, x, 8, &zero, y, 7), invalid, "blas");
    REFUSED(cublasSgemm(handle, (cublasOperation_t)9, n, 8, 8, 4, &one, x, 8, x, 8, &zero, y, 8), invalid, "blas");
    REFUSED(cublasSgemm(handle, n, n, 8, 8, 4, NULL, x, 8, x, 8, &zero, y, 8), invalid, "blas");
    REFUSED(cublasSgemm(handle, n, n, 8, 8, 4, &one, NULL, 8, x, 8, &zero, y, 8), invalid, "blas");
    REFUSED(cublasSgemm(handle, n, n, 8, 8, 4, &one, &one, 8, x, 8, &zero, y, 8), invalid, "blas");
    REFUSED(cublasGemmEx(handle, n, n, 8, 8, 4, &one, x, CUDA_R_32F, 8, x, CUDA_R_16BF, 8, &zero, y, CUDA_R_32F, 8,
                         CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            unsupported, "blas");
    REFUSED(cublasSetWorkspace(handle, x + 1, 16), invalid, "blas");
    MUST(cublasSgemm(handle, n, n, 0, 8, 8, &one, x, 1, x, 8, &zero, y, 1));
    cr_assert_eq(report_count(), 0);
    MUST(cudaFree(x));
    MUST(cudaFree(y));
}

Test(cublas, a_handle_that_is_none_is_not_initialised)
{
    int version;
    cudaStream_t stream;
    REFUSED(cublasGetStream((cublasHandle_t)&version, &stream), CUBLAS_STATUS_NOT_INITIALIZED, "api");
    MUST(cublasGetVersion(handle, &version));
    cr_assert_eq(version, CUBLAS_VERSION);
}

Test(cublas, vector_operations_follow_blas)
{
    enum { M = 12, N = 10 };
    static float a[M * N], x[3 * N], y[2 * M], got[M * N];
    const float alpha = 1.5f, beta = -0.5f;
    float result;
    double expected = 0, magnitude = 0;
    fill_random(a, M * N, 13);
    fill_random(x, 3 * N, 14);
    fill_random(y, 2 * M, 15);
    float *da = to_device(a, sizeof a), *dx = to_device(x, sizeof x), *dy = to_device(y, sizeof y);
    MUST(cublasSnrm2(handle, N, dx, 3, &result));
    for (int i = 0; i < N; i++)
        expected += (double)x[3 * i] * (double)x[3 * i];
    WITHIN((double)result, sqrt(expected), N * U * sqrt(expected), "nrm2");
    MUST(cublasSdot(handle, N, dx, 3, dy, 2, &result));
    expected = 0;
    for (int i = 0; i < N; i++)
        expected += (double)x[3 * i] * (double)y[2 * i], magnitude += fabs((double)x[3 * i] * (double)y[2 * i]);
    WITHIN((double)result, expected, N * U * magnitude, "dot");
    MUST(cublasSasum(handle, N, dx, 3, &result));
    expected = 0;
    for (int i = 0; i < N; i++)
        expected += fabs((double)x[3 * i]);
    WITHIN((double)result, expected, N * U * expected, "asum");
    MUST(cublasSgemv(handle, CUBLAS_OP_N, M, N, &alpha, da, M, dx, 3, &beta, dy, 2));
    from_device(got, dy, sizeof y);
    for (int i = 0; i < M; i++) {
        double sum = 0, size = 0;
        for (int j = 0; j < N; j++)
            sum += (double)a[j * M + i] * (double)x[3 * j], size += fabs((double)a[j * M + i] * (double)x[3 * j]);
        WITHIN((double)got[2 * i], 1.5 * sum - 0.5 * (double)y[2 * i], 1.5 * N * U * size + 4 * U, "gemv %d", i);
        y[2 * i] = got[2 * i];
    }
    MUST(cublasSger(handle, M, N, &alpha, dy, 2, dx, 3, da, M));
    from_device(got, da, sizeof a);
    for (int j = 0; j < N; j++)
        for (int i = 0; i < M; i++)
            WITHIN((double)got[j * M + i], 1.5 * (double)y[2 * i] * (double)x[3 * j] + (double)a[j * M + i],
                   4 * U * (1 + fabs(1.5 * (double)y[2 * i] * (double)x[3 * j])), "ger %d,%d", i, j);
    MUST(cublasSscal(handle, N, &alpha, dx, 3));
    MUST(cublasSaxpy(handle, N, &beta, dx, 3, dy, 2));
    from_device(got, dy, sizeof y);
    for (int i = 0; i < N; i++)
        WITHIN((double)got[2 * i], (double)y[2 * i] - 0.75 * (double)x[3 * i], 4 * U * (fabs((double)y[2 * i]) + 1),
               "axpy %d", i);
    MUST(cudaFree(da));
    MUST(cudaFree(dx));
    MUST(cudaFree(dy));
}
