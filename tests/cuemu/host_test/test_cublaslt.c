/* test_cublaslt.c: the Lt matmul with each epilogue against plain loops in double, by the bound of f32 summation;
 * what follows the sum (bias, activation) costs a few roundings more. Masks are compared where the sign is beyond
 * doubt. */
#include "support.h"

static const double U = 0x1p-24;

enum { M = 40, N = 24, K = 70, MASK_LD = 128, AUX_LD = 48 };

static cublasLtHandle_t handle;
static float a[M * K], b[K * N], c[M * N], d[M * N], bias[M], got_bias[M + N], aux_in[AUX_LD * N], aux_out[AUX_LD * N];
static uint8_t mask[MASK_LD / 8 * N];
static double sum_of[M * N], bound_of[M * N];
static void *da, *db, *dc, *dd, *dbias, *daux;

static void set_up(void)
{
    fill_random(a, M * K, 1);
    fill_random(b, K * N, 2);
    fill_random(c, M * N, 3);
    fill_random(bias, M, 4);
    fill_random(aux_in, AUX_LD * N, 5);
    for (size_t i = 0; i < sizeof mask; i++)
        mask[i] = (uint8_t)(i * i * 37 + i / 7 * 11 + 5);
    for (int j = 0; j < N; j++)
        for (int i = 0; i < M; i++) {
            double sum = 0, magnitude = 0;
            for (int p = 0; p < K; p++) {
                sum += (double)a[p * M + i] * (double)b[j * K + p];
                magnitude += fabs((double)a[p * M + i] * (double)b[j * K + p]);
            }
            sum_of[j * M + i] = sum;
            bound_of[j * M + i] = K * U * magnitude;
        }
    MUST(cublasLtCreate(&handle));
    da = to_device(a, sizeof a);
    db = to_device(b, sizeof b);
    dc = to_device(c, sizeof c);
    dd = device_bytes(sizeof d);
    dbias = to_device(bias, sizeof bias);
    daux = to_device(aux_in, sizeof aux_in);
}

static void tear_down(void)
{
    void *all[] = {da, db, dc, dd, dbias, daux};
    for (int i = 0; i < 6; i++)
        MUST(cudaFree(all[i]));
    MUST(cublasLtDestroy(handle));
}

TestSuite(cublaslt, .init = set_up, .fini = tear_down);

typedef struct problem {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d;
} problem;

static problem open_problem(void)
{
    problem p;
    MUST(cublasLtMatmulDescCreate(&p.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    MUST(cublasLtMatrixLayoutCreate(&p.a, CUDA_R_32F, M, K, M));
    MUST(cublasLtMatrixLayoutCreate(&p.b, CUDA_R_32F, K, N, K));
    MUST(cublasLtMatrixLayoutCreate(&p.d, CUDA_R_32F, M, N, M));
    return p;
}

static void close_problem(problem *p)
{
    MUST(cublasLtMatmulDescDestroy(p->desc));
    MUST(cublasLtMatrixLayoutDestroy(p->a));
    MUST(cublasLtMatrixLayoutDestroy(p->b));
    MUST(cublasLtMatrixLayoutDestroy(p->d));
}

static void set_epilogue(problem *p, cublasLtEpilogue_t epilogue, void *bias_pointer, void *aux_pointer, int64_t aux_ld)
{
    MUST(cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    if (bias_pointer != NULL)
        MUST(cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias_pointer,
                                            sizeof bias_pointer));
    if (aux_pointer == NULL)
        return;
    MUST(cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &aux_pointer,
                                        sizeof aux_pointer));
    MUST(cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &aux_ld, sizeof aux_ld));
}

static cublasStatus_t multiply(problem *p, float alpha, float beta)
{
    return cublasLtMatmul(handle, p->desc, &alpha, da, p->a, db, p->b, &beta, dc, p->d, dd, p->d, NULL, NULL, 0, NULL);
}

/* run: one matmul with an epilogue; the result lands in d. */
static void run(cublasLtEpilogue_t epilogue, void *bias_pointer, void *aux_pointer, int64_t aux_ld)
{
    problem p = open_problem();
    set_epilogue(&p, epilogue, bias_pointer, aux_pointer, aux_ld);
    MUST(multiply(&p, 1.0f, 0.0f));
    from_device(d, dd, sizeof d);
    close_problem(&p);
}

static double gelu(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

/* By a central difference of gelu: an independent derivative, good to about 1e-9. */
static double gelu_slope(double x)
{
    return (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5;
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

/* |gelu'| is below 1.13 and |relu'| is at most 1, so that the error of the sum is at most 1.13 times as large behind.
 */
static void check_forward(double (*f)(double), int with_bias)
{
    int changed = 0;
    for (int j = 0; j < N; j++)
        for (int i = 0; i < M; i++) {
            double x = sum_of[j * M + i] + (with_bias ? (double)bias[i] : 0), expected = f != NULL ? f(x) : x;
            WITHIN((double)d[j * M + i], expected, 1.13 * bound_of[j * M + i] + 4 * U * (fabs(x) + fabs(expected)),
                   "%d,%d", i, j);
            changed += fabs(expected - sum_of[j * M + i]) > 1e-3;
        }
    cr_assert(f == NULL && !with_bias ? changed == 0 : changed > M * N / 4);
}

Test(cublaslt, alpha_and_beta_scale_product_and_C)
{
    problem p = open_problem();
    MUST(multiply(&p, -0.5f, 2.0f));
    from_device(d, dd, sizeof d);
    for (int i = 0; i < M * N; i++)
        WITHIN((double)d[i], -0.5 * sum_of[i] + 2 * (double)c[i], bound_of[i] + 4 * U * (fabs(sum_of[i]) + 2), "%d", i);
    close_problem(&p);
}

Test(cublaslt, forward_epilogues)
{
    run(CUBLASLT_EPILOGUE_DEFAULT, NULL, NULL, 0);
    check_forward(NULL, 0);
    run(CUBLASLT_EPILOGUE_BIAS, dbias, NULL, 0);
    check_forward(NULL, 1);
    run(CUBLASLT_EPILOGUE_RELU, NULL, NULL, 0);
    check_forward(relu, 0);
    run(CUBLASLT_EPILOGUE_RELU_BIAS, dbias, NULL, 0);
    check_forward(relu, 1);
    run(CUBLASLT_EPILOGUE_GELU, NULL, NULL, 0);
    check_forward(gelu, 0);
    run(CUBLASLT_EPILOGUE_GELU_BIAS, dbias, NULL, 0);
    check_forward(gelu, 1);
}

Test(cublaslt, relu_aux_writes_one_bit_per_element)
{
    static uint8_t bits[MASK_LD / 8 * N];
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        MUST(cudaMemset(daux, 0xff, sizeof bits));
        run(with_bias ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS : CUBLASLT_EPILOGUE_RELU_AUX, with_bias ? dbias : NULL, daux,
            MASK_LD);
        check_forward(relu, with_bias);
        from_device(bits, daux, sizeof bits);
        for (int j = 0; j < N; j++)
            for (int i = 0; i < M; i++) {
                double x = sum_of[j * M + i] + (with_bias ? (double)bias[i] : 0);
                if (fabs(x) > 2 * bound_of[j * M + i])
                    cr_assert_eq(bits[j * MASK_LD / 8 + i / 8] >> (i % 8) & 1, x > 0, "%d,%d", i, j);
            }
    }
}

Test(cublaslt, gelu_aux_writes_what_goes_into_gelu)
{
    for (int with_bias = 0; with_bias < 2; with_bias++) {
        run(with_bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX, with_bias ? dbias : NULL, daux,
            AUX_LD);
        check_forward(gelu, with_bias);
        from_device(aux_out, daux, sizeof aux_out);
        for (int j = 0; j < N; j++) {
            for (int i = 0; i < M; i++)
                WITHIN((double)aux_out[j * AUX_LD + i], sum_of[j * M + i] + (with_bias ? (double)bias[i] : 0),
                       bound_of[j * M + i] + 4 * U * 10, "%d,%d", i, j);
            for (int i = M; i < AUX_LD; i++)
                cr_assert(aux_out[j * AUX_LD + i] == aux_in[j * AUX_LD + i], "padding %d,%d", i, j);
        }
    }
}

/* check_bias_gradient: sums of rows, of what d holds. */
static void check_bias_gradient(void)
{
    from_device(got_bias, dbias, M * sizeof(float));
    for (int i = 0; i < M; i++) {
        double sum = 0, magnitude = 0;
        for (int j = 0; j < N; j++)
            sum += (double)d[j * M + i], magnitude += fabs((double)d[j * M + i]);
        cr_assert(magnitude > 0);
        WITHIN((double)got_bias[i], sum, (N + 2) * U * magnitude, "row %d", i);
    }
}

Test(cublaslt, drelu_applies_the_mask_and_sums_the_rows)
{
    void *dmask = to_device(mask, sizeof mask);
    for (int with_gradient = 0; with_gradient < 2; with_gradient++) {
        run(with_gradient ? CUBLASLT_EPILOGUE_DRELU_BGRAD : CUBLASLT_EPILOGUE_DRELU, with_gradient ? dbias : NULL,
            dmask, MASK_LD);
        for (int j = 0; j < N; j++)
            for (int i = 0; i < M; i++) {
                int alive = mask[j * MASK_LD / 8 + i / 8] >> (i % 8) & 1;
                WITHIN((double)d[j * M + i], alive ? sum_of[j * M + i] : 0, alive * bound_of[j * M + i], "%d,%d", i, j);
            }
    }
    check_bias_gradient();
    MUST(cudaFree(dmask));
}

Test(cublaslt, dgelu_multiplies_by_the_slope_and_sums_the_rows)
{
    for (int with_gradient = 0; with_gradient < 2; with_gradient++) {
        run(with_gradient ? CUBLASLT_EPILOGUE_DGELU_BGRAD : CUBLASLT_EPILOGUE_DGELU, with_gradient ? dbias : NULL, daux,
            AUX_LD);
        for (int j = 0; j < N; j++)
            for (int i = 0; i < M; i++) {
                double expected = sum_of[j * M + i] * gelu_slope((double)aux_in[j * AUX_LD + i]);
                WITHIN((double)d[j * M + i], expected,
                       1.13 * bound_of[j * M + i] + 1e-8 * fabs(sum_of[j * M + i]) + 4 * U * fabs(expected), "%d,%d", i,
                       j);
            }
    }
    check_bias_gradient();
}

Test(cublaslt, bgrad_of_an_operand_sums_it_over_k)
{
    void *sums = device_bytes((M + N) * sizeof(float));
    run(CUBLASLT_EPILOGUE_BGRADA, sums, NULL, 0);
    check_forward(NULL, 0);
    from_device(got_bias, sums, M * sizeof(float));
    for (int i = 0; i < M; i++) {
        double sum = 0, magnitude = 0;
        for (int p = 0; p < K; p++)
            sum += (double)a[p * M + i], magnitude += fabs((double)a[p * M + i]);
        WITHIN((double)got_bias[i], sum, K * U * magnitude, "row %d", i);
    }
    run(CUBLASLT_EPILOGUE_BGRADB, sums, NULL, 0);
    from_device(got_bias, sums, N * sizeof(float));
    for (int j = 0; j < N; j++) {
        double sum = 0, magnitude = 0;
        for (int p = 0; p < K; p++)
            sum += (double)b[j * K + p], magnitude += fabs((double)b[j * K + p]);
        WITHIN((double)got_bias[j], sum, K * U * magnitude, "column %d", j);
    }
    MUST(cudaFree(sums));
}

Test(cublaslt, row_order_is_the_transposed_product)
{
    /* row-major D[N,M] = op(B)[N,K] op(A)[K,M] holds the same bytes as column-major D[M,N] */
    const float one = 1, zero = 0;
    const int32_t order = CUBLASLT_ORDER_ROW;
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t layouts[3];
    const uint64_t rows[3] = {N, K, N}, cols[3] = {K, M, M};
    const int64_t lds[3] = {K, M, M};
    MUST(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    for (int i = 0; i < 3; i++) {
        MUST(cublasLtMatrixLayoutCreate(&layouts[i], CUDA_R_32F, rows[i], cols[i], lds[i]));
        MUST(cublasLtMatrixLayoutSetAttribute(layouts[i], CUBLASLT_MATRIX_LAYOUT_ORDER, &order, sizeof order));
    }
    MUST(cublasLtMatmul(handle, desc, &one, db, layouts[0], da, layouts[1], &zero, dd, layouts[2], dd, layouts[2], NULL,
                        NULL, 0, NULL));
    from_device(d, dd, sizeof d);
    check_forward(NULL, 0);
    for (int i = 0; i < 3; i++)
        MUST(cublasLtMatrixLayoutDestroy(layouts[i]));
    MUST(cublasLtMatmulDescDestroy(desc));
}

Test(cublaslt, an_algorithm_serves_the_problem_it_was_chosen_for)
{
    enum { MOST = 1 << 20 };
    const float one = 1, zero = 0;
    const uint64_t most = MOST;
    cublasLtMatmulHeuristicResult_t results[4];
    cublasLtMatmulPreference_t preference;
    problem p = open_problem();
    int found = -1;
    void *workspace = device_bytes(MOST);
    MUST(cublasLtMatmulPreferenceCreate(&preference));
    MUST(cublasLtMatmulAlgoGetHeuristic(handle, p.desc, p.a, p.b, p.d, p.d, preference, 4, results, &found));
    cr_assert_eq(found, 1);
    cr_assert_eq(results[0].workspaceSize, 0);
    MUST(
        cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most));
    MUST(cublasLtMatmulAlgoGetHeuristic(handle, p.desc, p.a, p.b, p.d, p.d, preference, 4, results, &found));
    cr_assert(found == 2 && results[0].workspaceSize > 0 && results[0].workspaceSize <= MOST);
    cr_assert(results[0].state == CUBLAS_STATUS_SUCCESS && results[1].state == CUBLAS_STATUS_SUCCESS);
    MUST(cublasLtMatmul(handle, p.desc, &one, da, p.a, db, p.b, &zero, dc, p.d, dd, p.d, &results[0].algo, workspace,
                        MOST, NULL));
    from_device(d, dd, sizeof d);
    check_forward(NULL, 0);
    set_epilogue(&p, CUBLASLT_EPILOGUE_RELU, NULL, NULL, 0);
    REFUSED(cublasLtMatmul(handle, p.desc, &one, da, p.a, db, p.b, &zero, dc, p.d, dd, p.d, &results[0].algo, workspace,
                           MOST, NULL),
            CUBLAS_STATUS_INVALID_VALUE, "blas");
    MUST(cublasLtMatmulPreferenceDestroy(preference));
    MUST(cudaFree(workspace));
    close_problem(&p);
}

Test(cublaslt, wrong_arguments_get_the_statuses_of_the_manual)
{
    const cublasStatus_t invalid = CUBLAS_STATUS_INVALID_VALUE;
    cublasLtMatrixLayout_t wide;
    problem p = open_problem(), q;
    int32_t small = 0;
    uint32_t epilogue = 3;
    size_t written = 0;
    REFUSED(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_TRANSA, &small, 1), invalid, "blas");
    MUST(cublasLtMatmulDescGetAttribute(p.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, NULL, 0, &written));
    cr_assert_eq(written, sizeof(void *));
    MUST(cublasLtMatrixLayoutCreate(&wide, CUDA_R_32F, M, K + 1, M));
    q = p;
    q.a = wide;
    REFUSED(multiply(&q, 1, 0), invalid, "blas");
    MUST(cublasLtMatrixLayoutDestroy(wide));
    MUST(cublasLtMatrixLayoutCreate(&wide, CUDA_R_32F, M, K, M - 1));
    q.a = wide;
    REFUSED(multiply(&q, 1, 0), invalid, "blas");
    MUST(cublasLtMatrixLayoutDestroy(wide));
    MUST(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    REFUSED(multiply(&p, 1, 0), invalid, "blas");
    epilogue = CUBLASLT_EPILOGUE_BIAS;
    MUST(cublasLtMatmulDescSetAttribute(p.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    REFUSED(multiply(&p, 1, 0), invalid, "blas"); /* no bias pointer */
    close_problem(&p);
}

Test(cublaslt, batches_follow_their_strides_and_bf16_its_rounding)
{
    enum { B = 2 };
    const float one = 1, zero = 0;
    const int32_t count = B, transposed = CUBLAS_OP_T;
    const int64_t strides[3] = {16, 16, 16};
    static const uint16_t bf16[32] = {0x3f80, 0x4000, 0x4040, 0x4080, 0xbf80, 0xc000, 0x3f00, 0x3e80,
                                      0x3f80, 0x4000, 0x4040, 0x4080, 0xbf80, 0xc000, 0x3f00, 0x3e80,
                                      0x4040, 0x3f80, 0x3f00, 0xc040, 0x4000, 0x3f80, 0xbf00, 0x3f80,
                                      0x4080, 0x40a0, 0x40c0, 0x3f80, 0x4000, 0x3f80, 0x3f80, 0xbf80};
    static uint16_t out[32];
    void *dx = to_device(bf16, sizeof bf16), *dy = device_bytes(sizeof out);
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t layout;
    MUST(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    MUST(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSB, &transposed, sizeof transposed));
    MUST(cublasLtMatrixLayoutCreate(&layout, CUDA_R_16BF, 4, 4, 4));
    MUST(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    MUST(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &strides[0],
                                          sizeof strides[0]));
    MUST(
        cublasLtMatmul(handle, desc, &one, dx, layout, dx, layout, &zero, dy, layout, dy, layout, NULL, NULL, 0, NULL));
    from_device(out, dy, sizeof out);
    for (int q = 0; q < B; q++)
        for (int j = 0; j < 4; j++)
            for (int i = 0; i < 4; i++) {
                double sum = 0;
                for (int p = 0; p < 4; p++) {
                    uint32_t x = (uint32_t)bf16[q * 16 + p * 4 + i] << 16, y = (uint32_t)bf16[q * 16 + p * 4 + j] << 16;
                    float fx, fy;
                    memcpy(&fx, &x, sizeof fx);
                    memcpy(&fy, &y, sizeof fy);
                    sum += (double)fx * (double)fy; /* exact: small integers over 16 */
                }
                uint32_t z = (uint32_t)out[q * 16 + j * 4 + i] << 16;
                float fz;
                memcpy(&fz, &z, sizeof fz);
                WITHIN((double)fz, sum, fabs(sum) * 0x1p-8, "batch %d element %d,%d", q, i, j);
            }
    MUST(cublasLtMatrixLayoutDestroy(layout));
    MUST(cublasLtMatmulDescDestroy(desc));
    MUST(cudaFree(dx));
    MUST(cudaFree(dy));
}
