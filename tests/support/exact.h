/* exact.h: activations and losses once more, in long double and straight from their definitions: what the reference
 * itself is held to, by value and by central differences. */
#ifndef BPT_EXACT_H
#define BPT_EXACT_H

#include "backprop/model.h"

long double bpt_exact_activation(bp_activation activation, float slope, long double z);

/* f' from a = f(z), or from z where BP_ACTIVATION_LIST says saves_z. */
long double bpt_exact_derivative(bp_activation activation, float slope, long double saved);

/* (f(z + h) - f(z - h)) / 2h of an activation. With h = 1e-5 it is within BPT_DIFFERENCE_BOUND of f'(z) for |z| <= 12,
 * away from kinks: h^2 / 6 max |f'''| with |f'''| <= 3, and 2^-63 |f| / h from rounding. */
long double bpt_exact_difference(bp_activation activation, float slope, long double z);
#define BPT_DIFFERENCE_STEP 1e-5L
#define BPT_DIFFERENCE_BOUND 1e-10

/* The loss of one element; targets as the loss takes them. */
long double bpt_exact_element_loss(bp_loss loss, float huber_delta, long double z, long double target);
/* Softmax cross-entropy of one row against smoothed targets. */
long double bpt_exact_softmax_loss(const long double *z, const double *smoothed, int64_t outputs);

#endif
