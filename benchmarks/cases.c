/* cases.c: see cases.h. */
#include "benchmarks/cases.h"

/* clang-format off */
const bpb_case bpb_cases[] = {
    {784, 4096, "1024:relu,1024:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY, 1.03, 1.25, 0},
    {784, 4096, "256:relu,128:relu,100:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY, 1.03, 1.9, 0},
    {784, 128, "256:relu,128:relu,100:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY, 1.10, 2.5, 0},
    {64, 65536, "128:relu,128:relu,10", BP_LOSS_SOFTMAX_CROSS_ENTROPY, 1.00, 5.5, 0},
    {28, 100, "300:relu,300:relu,300:relu,300:relu,300:relu,1", BP_LOSS_BCE_WITH_LOGITS, 1.15, 2.5, 0},
    {4, 1, "8:tanh,3", BP_LOSS_SOFTMAX_CROSS_ENTROPY, 0, 11, 10},
    {4096, 2048, "4096:relu,4096", BP_LOSS_HALF_MSE, 1.01, 1.2, 0},
};
/* clang-format on */

const size_t bpb_case_count = sizeof bpb_cases / sizeof *bpb_cases;
