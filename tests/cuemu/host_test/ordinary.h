/* ordinary.h: plain C entry points of the two CUDA files of test_ordinary. */
#ifndef ORDINARY_H
#define ORDINARY_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out[i] = a[i] * b[i] * scale[i % 4], scale in constant memory; counts one launch in a device variable. */
cudaError_t ordinary_scale(float *out, const float *a, const float *b, size_t n, const float scale[4],
                           cudaStream_t stream);
cudaError_t ordinary_launches(int *count);
/* out[r] = largest of row r; a template with dynamic shared memory of its type. */
cudaError_t ordinary_row_max_float(float *out, const float *x, int rows, int cols, cudaStream_t stream);
cudaError_t ordinary_row_max_double(double *out, const double *x, int rows, int cols, cudaStream_t stream);
/* out = sum of x, exact for small integers; cooperative-groups tiles and an atomic. */
cudaError_t ordinary_tile_sum(float *out, const float *x, int n, cudaStream_t stream);
/* out[i] = polynomial through a function that is not inlined, and a table in device memory. */
cudaError_t ordinary_call(float *out, const float *x, int n, cudaStream_t stream);
/* Needs more than 48 KiB of dynamic shared memory: reverses n floats within one block. */
cudaError_t ordinary_reverse(float *out, const float *x, int n, cudaStream_t stream);
cudaError_t ordinary_reverse_allow(int bytes);
/* A static kernel of the same name as in the other file: out[i] = i. */
cudaError_t ordinary_iota(float *out, int n, cudaStream_t stream);
cudaError_t ordinary_occupancy(int *blocks, int block_size);
cudaError_t ordinary_attributes(struct cudaFuncAttributes *attributes);
const void *ordinary_iota_kernel(void);

#ifdef __cplusplus
}
#endif

#endif
