/* products.h: the matrix products of one training step on their own, in this library and in oneDNN. */
#ifndef BPB_PRODUCTS_H
#define BPB_PRODUCTS_H

#include <stdbool.h>
#include <stdint.h>

#include "benchmarks/onednn.h"
#include "kernels/ops.h"

enum { BPB_MOST_LAYERS = 16 };

typedef struct bpb_layer {
    bpi_linear_spec spec;
    bpi_linear_plan *plan;
    float *x, *w, *a, *d_w; /* x of a layer is the a of the one below */
    float *delta, *d_x;     /* delta of the products */
    bpb_onednn *onednn[3];  /* forward, weight gradient, input gradient (NULL for the first layer) */
} bpb_layer;

typedef struct bpb_products {
    bpi_error error;
    bpi_backend *backend;
    int layers;
    float *delta[2];     /* error terms of neighbouring layers, as a step has them */
    int64_t delta_count; /* elements in each */
    bpb_layer layer[BPB_MOST_LAYERS];
    double flops;
} bpb_products;

/* widths [layers + 1]: inputs, then the outputs of each layer. Arrays lie in such memory as those of the step do: from
 * its allocator, which outlives the products. Says on stderr what failed. */
bool bpb_products_create(bpb_products *products, const bp_allocator *allocator, int threads, int64_t batch,
                         const int64_t *widths, int layers);
void bpb_products_destroy(bpb_products *products);

/* All products once, in the order of a step: through the backend's table, or in oneDNN alone. */
bool bpb_products_run(bpb_products *products);
bool bpb_products_run_onednn(bpb_products *products);

/* Whether both give the same forward product within rounding. */
bool bpb_products_agree(bpb_products *products);

#endif
