/* schedule.c: the learning rate as a function of the step. Contract: include/backprop/train.h, BP_SCHEDULE_LIST. */
#include "kernels/reference/reference.h"

#include <assert.h>
#include <math.h>

/* From 0 at the end of the warm-up to 1 at the last step, and 1 from there on. */
static double progress(const bpi_hyper *hyper, int64_t step)
{
    int64_t length = hyper->total_steps - hyper->warmup_steps;
    int64_t done = step - hyper->warmup_steps;
    return done >= length ? 1.0 : (double)done / (double)length;
}

double bpi_reference_learning_rate(const bpi_hyper *hyper, int64_t step)
{
    if (step < hyper->warmup_steps)
        return hyper->lr * (double)(step + 1) / (double)hyper->warmup_steps;
    switch (hyper->schedule) {
    case BP_SCHEDULE_CONSTANT:
        return hyper->lr;
    case BP_SCHEDULE_COSINE:
        return hyper->lr * 0.5 * (1.0 + cos(3.14159265358979323846 * progress(hyper, step)));
    case BP_SCHEDULE_LINEAR:
        return hyper->lr * (1.0 - progress(hyper, step));
    case BP_SCHEDULE_STEP:
        assert(hyper->schedule_step >= 1);
        return hyper->lr * pow(hyper->schedule_gamma, (double)(step / hyper->schedule_step));
    case BP_SCHEDULE_COUNT:
        break;
    }
    assert(false && "no such schedule");
    return (double)NAN;
}
