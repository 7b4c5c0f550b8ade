/* Compiled, never run: every header of kernels/math for the GPU, each function instantiated in a kernel. check_cuda.sh
 * looks at the result. */
#include "kernels/math/activation.h"
#include "kernels/math/activation_of.h"
#include "kernels/math/bf16.h"
#include "kernels/math/clip.h"
#include "kernels/math/elementary.h"
#include "kernels/math/loss.h"
#include "kernels/math/optimizer.h"
#include "kernels/math/philox.h"
#include "kernels/math/portable.h"
#include "kernels/math/power.h"
#include "kernels/math/schedule.h"

typedef float (*unary)(float);
typedef float (*binary)(float, float);

template <unary F> __global__ void map(float *y, const float *x)
{
    y[threadIdx.x] = F(x[threadIdx.x]);
}

template <binary F> __global__ void map2(float *y, const float *x1, const float *x2)
{
    y[threadIdx.x] = F(x1[threadIdx.x], x2[threadIdx.x]);
}

/* One kernel an activation: the choice is made when it is compiled. */
template <bp_activation A> __global__ void chosen(float *a, float *slope_of, const float *z)
{
    a[threadIdx.x] = bpi_activation_value_of(A, 0.01f, z[threadIdx.x]);
    slope_of[threadIdx.x] = bpi_activation_grad_of(A, 0.01f, z[threadIdx.x]);
}

#define CHOSEN(ENUM, name, saves_z)                                                                                    \
    template __global__ void chosen<BP_ACTIVATION_##ENUM>(float *, float *, const float *);
BP_ACTIVATION_LIST(CHOSEN)

__global__ void adamw(float *p, const float *g, float *m, float *v, bpi_update_scalars s)
{
    unsigned i = threadIdx.x;
    bpi_updated next = bpi_adamw(p[i], bpi_clipped(g[i], &s), m[i], v[i], &s);
    p[i] = next.parameter;
    m[i] = next.state1;
    v[i] = next.state2;
}

__global__ void sgd(float *p, const float *g, float *buffer, bpi_update_scalars s)
{
    unsigned i = threadIdx.x;
    bpi_updated next = bpi_sgd_nesterov(p[i], bpi_clipped(g[i], &s), buffer[i], &s);
    p[i] = next.parameter;
    buffer[i] = next.state1;
}

__global__ void random(float *y, uint64_t seed)
{
    y[threadIdx.x] = bpi_uniform_from_0(bpi_philox(seed, 0, threadIdx.x).word[0]);
}

__global__ void to_bf16(uint16_t *y, const float *x)
{
    y[threadIdx.x] = bpi_bf16_from_float(x[threadIdx.x]);
}

__global__ void row_loss(float *y, const float *x, bpi_smoothing smoothing)
{
    unsigned i = threadIdx.x;
    float log_sum = bpi_log(bpi_softmax_exp(x[i], x[0]));
    y[i] = bpi_cross_entropy_of_class(x[i], x[i + 1], log_sum, smoothing) +
           bpi_cross_entropy_term(bpi_smoothed_target(x[i], smoothing), x[i], log_sum) +
           bpi_cross_entropy_delta(x[i], x[i + 1], 1.0f) + bpi_huber(x[i], x[i + 1], 1.0f) +
           bpi_leaky_relu(x[i], 0.01f) + bpi_leaky_relu_grad(x[i], 0.01f);
}

template __global__ void map<bpi_exp>(float *, const float *);
template __global__ void map<bpi_expm1>(float *, const float *);
template __global__ void map<bpi_log>(float *, const float *);
template __global__ void map<bpi_log1p>(float *, const float *);
template __global__ void map<bpi_tanh>(float *, const float *);
template __global__ void map<bpi_erf>(float *, const float *);
template __global__ void map<bpi_identity>(float *, const float *);
template __global__ void map<bpi_identity_grad>(float *, const float *);
template __global__ void map<bpi_sigmoid>(float *, const float *);
template __global__ void map<bpi_sigmoid_grad>(float *, const float *);
template __global__ void map<bpi_tanh_grad>(float *, const float *);
template __global__ void map<bpi_relu>(float *, const float *);
template __global__ void map<bpi_relu_grad>(float *, const float *);
template __global__ void map<bpi_elu>(float *, const float *);
template __global__ void map<bpi_elu_grad>(float *, const float *);
template __global__ void map<bpi_softplus>(float *, const float *);
template __global__ void map<bpi_softplus_grad>(float *, const float *);
template __global__ void map<bpi_silu>(float *, const float *);
template __global__ void map<bpi_silu_grad>(float *, const float *);
template __global__ void map<bpi_gelu>(float *, const float *);
template __global__ void map<bpi_gelu_grad>(float *, const float *);
template __global__ void map<bpi_gelu_tanh>(float *, const float *);
template __global__ void map<bpi_gelu_tanh_grad>(float *, const float *);
template __global__ void map2<bpi_half_squared_error>(float *, const float *, const float *);
template __global__ void map2<bpi_bce_with_logits>(float *, const float *, const float *);
template __global__ void map2<bpi_bce_with_logits_delta>(float *, const float *, const float *);
