"""plan.py: for each file with kernels or device functions: the units of kernels/cuda that are compiled with a mutant of it,
and the test programs that judge each of them.

A header is judged through the quickest units that use all of it together: a mutant that one of them notices is killed,
wherever else the header is used. Units whose code a mutant does not change are passed over. Quick tests stand first.
"""

BLOCKS = {"block_forward": ["test_block_dropout", "test_block_forward", "test_cuda_block_traffic", "test_cuda_block_traffic bf16"],
          "block_backward": ["test_block_dropout", "test_block_backward"],
          "block_statistics": ["test_block_forward", "test_block_backward"]}
NORMS = {"layer_norm": ["test_block_forward"], "layer_norm_grad": ["test_block_backward", "test_block_forward", "test_cuda_block_traffic"]}

PLAN = {
    "cuda/activation.cu": {"activation": ["test_activation_forward", "test_linear_forward", "test_linear_forward bf16",
                                           "test_cuda_traffic"]},
    "cuda/activation_grad.cu": {"activation_grad": ["test_activation_derivative", "test_activation_backward",
                                                    "test_activation_backward bf16"]},
    "cuda/block_backward.cu": {"block_backward": ["test_block_backward", "test_block_forward", "test_cuda_block_traffic"]},
    "cuda/block_forward.cu": {"block_forward": ["test_block_forward"]},
    "cuda/block_statistics.cu": {"block_statistics": BLOCKS["block_statistics"]},
    "cuda/column_sums.cu": {"column_sums": ["test_bias_grad", "test_block_backward"]},
    "cuda/hadamard.cu": {"hadamard": ["test_hadamard", "test_hadamard bf16"]},
    "cuda/layer_norm.cu": {"layer_norm": NORMS["layer_norm"]},
    "cuda/layer_norm_grad.cu": {"layer_norm_grad": NORMS["layer_norm_grad"]},
    "cuda/load.cu": {"load": ["test_load", "test_load bf16"]},
    "cuda/loss.cu": {"loss": ["test_loss_edges", "test_loss", "test_loss_edges bf16", "test_loss bf16"]},
    "cuda/observe.cu": {"observe": ["test_observe_units", "test_observe", "test_observe_update", "test_cuda_observe",
                                     "test_cuda_block_traffic"]},
    "cuda/update.cu": {"update": ["test_update_prepare", "test_update", "test_update bf16"]},
    "cuda/block.cuh": BLOCKS,
    "cuda/block_sum.cuh": {"update": ["test_update_prepare"]},
    "cuda/pass.cuh": {"hadamard": ["test_hadamard"], "column_sums": ["test_bias_grad"], "load": ["test_load"],
                      "activation": ["test_linear_forward"]},
    "cuda/storage.cuh": {"hadamard": ["test_hadamard", "test_hadamard bf16"], "load": ["test_load bf16"],
                         "column_sums": ["test_bias_grad", "test_bias_grad bf16"],
                         "activation": ["test_linear_forward bf16"], "block_forward": ["test_block_forward bf16"]},
    "cuda/team.cuh": NORMS,
    "math/activation.h": {"activation_grad": ["test_activation_derivative", "test_activation_backward"],
                          "activation": ["test_activation_forward"]},
    "math/clip.h": {"update": ["test_update_prepare", "test_update"]},
    "math/loss.h": {"loss": ["test_loss_edges", "test_loss"]},
    "math/optimizer.h": {"update": ["test_update"]},
    "math/schedule.h": {"update": ["test_update_prepare"]},
}
