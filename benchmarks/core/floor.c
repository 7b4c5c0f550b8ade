/* floor.c: see floor.h. */
#include "benchmarks/core/floor.h"

#include <math.h>

void bpb_work_precision(bpb_work *work, bp_precision precision)
{
    work->activation_bytes = precision == BP_PRECISION_F64 ? 8 : precision == BP_PRECISION_BF16 ? 2 : 4;
    work->parameter_bytes = precision == BP_PRECISION_F64 ? 8 : 4;
}

/* Products of layer i: forward and weight gradient; and the error term of the layer below, which the first lacks. */
static double products_of(int layer)
{
    return layer > 0 ? 3.0 : 2.0;
}

double bpb_step_flops(const bpb_work *work)
{
    double flops = 0.0;
    for (int i = 0; i < work->layers; ++i)
        flops += products_of(i) * 2.0 * (double)work->batch * (double)work->widths[i] * (double)work->widths[i + 1];
    return flops;
}

static double parameters_of(const bpb_work *work)
{
    double parameters = 0.0;
    for (int i = 0; i < work->layers; ++i)
        parameters += (double)(work->widths[i] + 1) * (double)work->widths[i + 1];
    return parameters;
}

static int states_of(const bpb_work *work)
{
    return work->optimizer != BP_OPTIMIZER_SGD ? 2 : work->momentum ? 1 : 0;
}

/* The norm reads every gradient. Then SGD reads gradient and parameter and writes the parameter; it reads and writes
 * one state with momentum, and the others two. */
double bpb_update_bytes(const bpb_work *work)
{
    return parameters_of(work) * work->parameter_bytes * (1 + 3 + 2 * states_of(work));
}

double bpb_working_set(const bpb_work *work)
{
    double columns = 0.0;
    for (int i = 0; i <= work->layers; ++i)
        columns += (double)work->widths[i];
    return parameters_of(work) * work->parameter_bytes * (2 + states_of(work)) +
           (double)work->batch * columns * work->activation_bytes;
}

/* A larger copy is no faster: where it was measured so, the smaller one was disturbed. */
double bpb_copy_rate(const bp_peaks *peaks, double bytes)
{
    int last = BP_PEAKS_COPIES - 1;
    double rate = peaks->copy_bytes[last];
    for (int i = last - 1; i >= 0 && (double)BP_PEAKS_COPY_BYTES(i) >= bytes; --i)
        rate = fmax(rate, peaks->copy_bytes[i]);
    return rate;
}

double bpb_step_floor(const bpb_work *work, const bp_peaks *peaks)
{
    double rate = bpb_copy_rate(peaks, bpb_working_set(work));
    double floor = bpb_update_bytes(work) / rate + (double)work->calls * peaks->call_s;
    for (int i = 0; i < work->layers; ++i) {
        double batch = (double)work->batch, inputs = (double)work->widths[i], outputs = (double)work->widths[i + 1];
        double flops = 2.0 * batch * inputs * outputs;
        double bytes = work->activation_bytes * (batch * (inputs + outputs) + inputs * outputs);
        floor += products_of(i) * fmax(flops / peaks->product_flops, bytes / rate);
    }
    return floor;
}
