/* onednn.h: the products of a dense network in oneDNN alone: one matmul per product at full batch, with oneDNN's own
 * threads. What the step is measured against; not used by the library. */
#ifndef BPB_ONEDNN_H
#define BPB_ONEDNN_H

#include <stdint.h>

typedef struct bpb_onednn bpb_onednn;

/* c[m,n] = sum_k a[m,k] b[k,n]; strides in elements, c row-major. NULL where oneDNN refuses. */
bpb_onednn *bpb_onednn_create(int threads, int64_t m, int64_t n, int64_t k, const int64_t a_strides[2],
                              const int64_t b_strides[2], int64_t ld_c, float *a, float *b, float *c);
/* The same of bf16, with c in f32. */
bpb_onednn *bpb_onednn_create_bf16(int threads, int64_t m, int64_t n, int64_t k, const int64_t a_strides[2],
                                   const int64_t b_strides[2], int64_t ld_c, uint16_t *a, uint16_t *b, float *c);
int bpb_onednn_run(const bpb_onednn *product); /* 0: done */
void bpb_onednn_destroy(bpb_onednn *product);

#endif
