/* floor.h: how fast a step can be at most: DESIGN's floor, from what a network must compute and move. */
#ifndef BPB_FLOOR_H
#define BPB_FLOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "backprop/profile.h"

typedef struct bpb_work {
    int64_t batch;
    int layers;
    const int64_t *widths; /* [layers + 1]: inputs, then the outputs of each layer */
    bp_optimizer optimizer;
    bool momentum;
    int activation_bytes, parameter_bytes; /* of one element */
    int64_t calls;                         /* of operations in a step */
} bpb_work;

/* The bytes of an element of activations and of parameters at a precision. */
void bpb_work_precision(bpb_work *work, bp_precision precision);

/* 6 B sum(I O) - 2 B I1 O1: no error term is needed for the input. */
double bpb_step_flops(const bpb_work *work);

/* Bytes that norm and update read and write. */
double bpb_update_bytes(const bpb_work *work);

/* Bytes of parameters, gradients, the optimiser's state and activations: what a step walks over. */
double bpb_working_set(const bpb_work *work);

/* Bytes a second of copies at least as large as that. */
double bpb_copy_rate(const bp_peaks *peaks, double bytes);

/* Seconds: the longer of arithmetic and traffic of each product, with activations, derivatives and bias gradients for
 * nothing in them; then norm and update; then what the calls cost. The
 * traffic at the rate of a copy as large as the working set. */
double bpb_step_floor(const bpb_work *work, const bp_peaks *peaks);

#endif
