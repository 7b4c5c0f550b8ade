/* device_math.cu: kernels over NVIDIA's device library, see device_math.h. */
#include "device_math.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

__global__ void many_f32(int which, float *out, const float *in)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= DEVICE_MATH_COUNT)
        return;
    float x = in[i], y = 0;
    int n = 0;
#define ONE(name, device, host, low, high, ulps)                                                                       \
    if (which == n++)                                                                                                  \
        y = device;
    DEVICE_MATH_F32(ONE)
    out[i] = y;
}

__global__ void many_f64(int which, double *out, const double *in)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= DEVICE_MATH_COUNT)
        return;
    double x = in[i], y = 0;
    int n = 0;
    DEVICE_MATH_F64(ONE)
    out[i] = y;
}

/* Before compute_80 there is no arithmetic in bf16. */
template <class T> __global__ void halves(T *out, const T *in)
{
#if __CUDA_ARCH__ >= 800
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= DEVICE_MATH_COUNT / 2)
        return;
    T a = in[2 * i], b = in[2 * i + 1];
    out[3 * i] = __hadd(a, b);
    out[3 * i + 1] = __hmul(a, b);
    out[3 * i + 2] = __hfma(a, b, a);
#endif
}

__global__ void divide(long long *out, const long long *in)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= DEVICE_MATH_COUNT / 2)
        return;
    long long a = in[2 * i], b = in[2 * i + 1];
    out[3 * i] = a / b;
    out[3 * i + 1] = a % b;
    out[3 * i + 2] = (long long)((unsigned long long)a / (unsigned long long)b);
}

enum { BLOCKS = (DEVICE_MATH_COUNT + 127) / 128 };

extern "C" int device_math_f32(int which, float *out, const float *in)
{
    many_f32<<<BLOCKS, 128>>>(which, out, in);
    return (int)cudaDeviceSynchronize();
}

extern "C" int device_math_f64(int which, double *out, const double *in)
{
    many_f64<<<BLOCKS, 128>>>(which, out, in);
    return (int)cudaDeviceSynchronize();
}

template <class T> static int run_halves(unsigned short *out, const unsigned short *in)
{
    cudaFuncAttributes attributes;
    cudaError_t error = cudaFuncGetAttributes(&attributes, halves<T>);
    if (error != cudaSuccess)
        return (int)error;
    if (attributes.ptxVersion < 80)
        return -1;
    halves<<<BLOCKS, 128>>>((T *)out, (const T *)in);
    return (int)cudaDeviceSynchronize();
}

extern "C" int device_math_f16(unsigned short *out, const unsigned short *in)
{
    return run_halves<__half>(out, in);
}

extern "C" int device_math_bf16(unsigned short *out, const unsigned short *in)
{
    return run_halves<__nv_bfloat16>(out, in);
}

extern "C" int device_math_divide(long long *out, const long long *in)
{
    divide<<<BLOCKS, 128>>>(out, in);
    return (int)cudaDeviceSynchronize();
}
