/* Learning-rate schedules, in double, once a step: include/backprop/train.h, BP_SCHEDULE_LIST. */
#ifndef BPI_MATH_SCHEDULE_H
#define BPI_MATH_SCHEDULE_H

#include "kernels/math/power.h"
#include "kernels/ops.h"

/* From 0 at the end of the warm-up to 1 at the last step, and 1 from there on. */
BPI_MATH_FN double bpi_schedule_progress(const bpi_hyper *hyper, int64_t step)
{
    int64_t length = hyper->total_steps - hyper->warmup_steps;
    int64_t done = step - hyper->warmup_steps;
    return done >= length ? 1.0 : (double)done / (double)length;
}

/* The learning rate of a step, counted from 0. */
BPI_MATH_FN double bpi_learning_rate(const bpi_hyper *hyper, int64_t step)
{
    if (step < hyper->warmup_steps) {
        return hyper->lr * (double)(step + 1) / (double)hyper->warmup_steps;
    }
    switch (hyper->schedule) {
    case BP_SCHEDULE_COSINE:
        return hyper->lr * 0.5 * (1.0 + __builtin_cos(3.14159265358979323846 * bpi_schedule_progress(hyper, step)));
    case BP_SCHEDULE_LINEAR:
        return hyper->lr * (1.0 - bpi_schedule_progress(hyper, step));
    case BP_SCHEDULE_STEP:
        return hyper->lr * bpi_whole_power(hyper->schedule_gamma, step / hyper->schedule_step);
    case BP_SCHEDULE_CONSTANT:
    case BP_SCHEDULE_COUNT:
        break;
    }
    return hyper->lr;
}

#endif
