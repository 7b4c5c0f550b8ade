/* network.h: the golden networks (tests/golden/README.md), opened on a backend, and what PyTorch says of them. */
#ifndef BPT_NETWORK_H
#define BPT_NETWORK_H

#include <jansson.h>

#include "backprop/backprop.h"
#include "host/error_bound.h"
#include "host/safetensors.h"
#include "support/run.h"

/* Two programs in double differ by the order of their sums: a few hundred roundings of 1.1e-16 in these networks. */
#define BPT_REFERENCE_TOLERANCE 1e-12

typedef struct bpt_network {
    bp_context *context;
    bp_model *model;
    bp_data *data;
    bp_trainer *trainer;
    bpi_st_reader *golden;
} bpt_network;

/* The array of a manifest, "manifest.json" or "manifest_blocks.json" (norms, dropout, skips), of at least 30 networks,
 * to be given to json_decref; and a text of one of its entries. */
json_t *bpt_network_manifest_of(const char *file);
json_t *bpt_network_manifest(void); /* manifest.json */
const char *bpt_network_text(const json_t *entry, const char *key);

bpt_network bpt_network_open(const json_t *entry, const char *backend);
bpt_network bpt_network_open_in(const json_t *entry, const char *backend, bp_precision precision);
void bpt_network_close(bpt_network *n);

/* PyTorch's tensor of that name, f64 [count]; to be freed. */
double *bpt_network_golden(bpt_network *n, const char *name, int64_t count);

/* How far gradients of the whole batch may be off in a precision; n is on the reference. To be given to
 * bpi_gradient_bounds_free. */
bpi_gradient_bounds bpt_network_bounds_in(const bpt_network *n, bp_precision precision);

double bpt_largest(const double *values, int64_t count);

/* Dense bounds of the index-th tensor in file order: from `bounds`, which are laid out as the parameters of `judge`, or
 * the reference's tolerance where that is NULL. To be freed. */
double *bpt_network_bounds(const bpt_network *judge, int64_t index, const bpi_gradient_bounds *bounds,
                           const double *want, int64_t count);

/* Loss and gradients of the whole batch on n's backend against PyTorch's, within such bounds. A bias before batch norm,
 * whose true gradient is 0, is measured by its layer's weight. */
void bpt_network_compare(bpt_network *n, const bpt_network *judge, const bpi_gradient_bounds *bounds, const char *name);

#endif
