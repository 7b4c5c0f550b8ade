/* See loops.h. Built with -DMATH_LOOPS_TABLE=<name of the table> -DMATH_LOOPS_ISA="<its words>". */
#include "tests/math/loops.h"

#include "kernels/math/loss.h"
#include "kernels/math/optimizer.h"

#define SLOPE 0.2f
#define HUBER_LIMIT 0.75f

typedef float (*unary_fn)(float);
typedef float (*binary_fn)(float, float);

/* Inlined together with the function that they are given, so that each caller below is a loop of its own. */
BPI_MATH_FN void map(unary_fn f, float *restrict y, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = f(x[i]);
    }
}

BPI_MATH_FN void map2(binary_fn f, float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] = f(x1[i], x2[i]);
    }
}

BPI_MATH_FN float leaky(float z)
{
    return bpi_leaky_relu(z, SLOPE);
}

BPI_MATH_FN float leaky_grad(float a)
{
    return bpi_leaky_relu_grad(a, SLOPE);
}

BPI_MATH_FN float huber(float z, float t)
{
    return bpi_huber(z, t, HUBER_LIMIT);
}

BPI_MATH_FN float huber_delta(float z, float t)
{
    return bpi_huber_delta(z, t, HUBER_LIMIT);
}

static const bpi_update_scalars SCALARS = {
    .clip_value = 5.0f,
    .clip_factor = 0.7f,
    .lr = 0.01f,
    .momentum = 0.9f,
    .weight_decay = 0.1f,
    .lr_weight_decay = 0.001f,
    .one_minus_beta1 = 0.1f,
    .one_minus_beta2 = 0.001f,
    .lr_over_correction1 = 0.03f,
    .inverse_root_correction2 = 12.5f,
    .epsilon = 1e-8f,
};

/* The optimisers as functions of two arguments: the state is made of them. */
BPI_MATH_FN float sgd(float p, float g)
{
    return bpi_sgd(p, bpi_clipped(g, &SCALARS), &SCALARS);
}

BPI_MATH_FN float sgd_nesterov(float p, float g)
{
    bpi_updated next = bpi_sgd_nesterov(p, bpi_clipped(g, &SCALARS), p - g, &SCALARS);
    return next.parameter + next.state1;
}

BPI_MATH_FN float adam(float p, float g)
{
    bpi_updated next = bpi_adam(p, bpi_clipped(g, &SCALARS), p - g, bpi_abs(p), &SCALARS);
    return next.parameter + next.state1 + next.state2;
}

BPI_MATH_FN float adamw(float p, float g)
{
    bpi_updated next = bpi_adamw(p, bpi_clipped(g, &SCALARS), p - g, bpi_abs(p), &SCALARS);
    return next.parameter + next.state1 + next.state2;
}

static void loop_exp(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_exp, y, x, n);
}

static void loop_expm1(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_expm1, y, x, n);
}

static void loop_log(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_log, y, x, n);
}

static void loop_log1p(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_log1p, y, x, n);
}

static void loop_tanh(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_tanh, y, x, n);
}

static void loop_erf(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_erf, y, x, n);
}

static void loop_sqrt(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_sqrt, y, x, n);
}

static void loop_identity(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_identity, y, x, n);
}

static void loop_identity_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_identity_grad, y, x, n);
}

static void loop_sigmoid(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_sigmoid, y, x, n);
}

static void loop_sigmoid_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_sigmoid_grad, y, x, n);
}

static void loop_tanh_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_tanh_grad, y, x, n);
}

static void loop_relu(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_relu, y, x, n);
}

static void loop_relu_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_relu_grad, y, x, n);
}

static void loop_leaky_relu(float *restrict y, const float *restrict x, size_t n)
{
    map(leaky, y, x, n);
}

static void loop_leaky_relu_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(leaky_grad, y, x, n);
}

static void loop_elu(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_elu, y, x, n);
}

static void loop_elu_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_elu_grad, y, x, n);
}

static void loop_softplus(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_softplus, y, x, n);
}

static void loop_softplus_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_softplus_grad, y, x, n);
}

static void loop_silu(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_silu, y, x, n);
}

static void loop_silu_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_silu_grad, y, x, n);
}

static void loop_gelu(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_gelu, y, x, n);
}

static void loop_gelu_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_gelu_grad, y, x, n);
}

static void loop_gelu_tanh(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_gelu_tanh, y, x, n);
}

static void loop_gelu_tanh_grad(float *restrict y, const float *restrict x, size_t n)
{
    map(bpi_gelu_tanh_grad, y, x, n);
}

static void loop_half_squared_error(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(bpi_half_squared_error, y, x1, x2, n);
}

static void loop_half_squared_error_delta(float *restrict y, const float *restrict x1, const float *restrict x2,
                                          size_t n)
{
    map2(bpi_half_squared_error_delta, y, x1, x2, n);
}

static void loop_huber(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(huber, y, x1, x2, n);
}

static void loop_huber_delta(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(huber_delta, y, x1, x2, n);
}

static void loop_bce_with_logits(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(bpi_bce_with_logits, y, x1, x2, n);
}

static void loop_bce_with_logits_delta(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(bpi_bce_with_logits_delta, y, x1, x2, n);
}

static void loop_sgd(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(sgd, y, x1, x2, n);
}

static void loop_sgd_nesterov(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(sgd_nesterov, y, x1, x2, n);
}

static void loop_adam(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(adam, y, x1, x2, n);
}

static void loop_adamw(float *restrict y, const float *restrict x1, const float *restrict x2, size_t n)
{
    map2(adamw, y, x1, x2, n);
}

static const math_loop LOOPS[] = {
    {"exp", loop_exp},
    {"expm1", loop_expm1},
    {"log", loop_log},
    {"log1p", loop_log1p},
    {"tanh", loop_tanh},
    {"erf", loop_erf},
    {"sqrt", loop_sqrt},
    {"identity", loop_identity},
    {"identity_grad", loop_identity_grad},
    {"sigmoid", loop_sigmoid},
    {"sigmoid_grad", loop_sigmoid_grad},
    {"tanh_grad", loop_tanh_grad},
    {"relu", loop_relu},
    {"relu_grad", loop_relu_grad},
    {"leaky_relu", loop_leaky_relu},
    {"leaky_relu_grad", loop_leaky_relu_grad},
    {"elu", loop_elu},
    {"elu_grad", loop_elu_grad},
    {"softplus", loop_softplus},
    {"softplus_grad", loop_softplus_grad},
    {"silu", loop_silu},
    {"silu_grad", loop_silu_grad},
    {"gelu", loop_gelu},
    {"gelu_grad", loop_gelu_grad},
    {"gelu_tanh", loop_gelu_tanh},
    {"gelu_tanh_grad", loop_gelu_tanh_grad},
};

static const math_loop2 LOOPS2[] = {
    {"half_squared_error", loop_half_squared_error},
    {"half_squared_error_delta", loop_half_squared_error_delta},
    {"huber", loop_huber},
    {"huber_delta", loop_huber_delta},
    {"bce_with_logits", loop_bce_with_logits},
    {"bce_with_logits_delta", loop_bce_with_logits_delta},
    {"sgd", loop_sgd},
    {"sgd_nesterov", loop_sgd_nesterov},
    {"adam", loop_adam},
    {"adamw", loop_adamw},
};

const math_loop_table MATH_LOOPS_TABLE = {
    .isa = MATH_LOOPS_ISA,
    .loops = LOOPS,
    .count = sizeof LOOPS / sizeof LOOPS[0],
    .loops2 = LOOPS2,
    .count2 = sizeof LOOPS2 / sizeof LOOPS2[0],
};
