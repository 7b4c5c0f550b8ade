"""plan.py: for each file with kernels or device functions, what is built again with a mutant of it, and which tests judge it.

A header is judged through the quickest units that use all of it: a mutant that they notice is killed, wherever else the
header is used. The tests stand with the quickest first; a mutant needs the later ones only where it lives so far.
"""

# file under kernels/: (units of kernels/cuda that are compiled, test programs)
PLAN = {
    "cuda/activation.cu": (["activation"], ["test_activation_forward", "test_linear_forward"]),
    "cuda/activation_grad.cu": (["activation_grad"], ["test_activation_derivative", "test_activation_backward"]),
    "cuda/column_sums.cu": (["column_sums"], ["test_bias_grad"]),
    "cuda/hadamard.cu": (["hadamard"], ["test_hadamard"]),
    "cuda/load.cu": (["load"], ["test_load"]),
    "cuda/loss.cu": (["loss"], ["test_loss_edges", "test_loss"]),
    "cuda/update.cu": (["update"], ["test_update", "test_update_prepare"]),
    "cuda/block_forward.cu": (["block_forward"], ["test_block_dropout", "test_block_forward"]),
    "cuda/block_backward.cu": (["block_backward"], ["test_block_dropout", "test_block_backward"]),
    "cuda/block_statistics.cu": (["block_statistics"], ["test_block_forward", "test_block_backward"]),
    "cuda/layer_norm.cu": (["layer_norm"], ["test_block_forward"]),
    "cuda/layer_norm_grad.cu": (["layer_norm_grad"], ["test_block_backward"]),
    "cuda/observe.cu": (["observe"], ["test_observe_units", "test_observe", "test_observe_update", "test_cuda_observe"]),
    "cuda/block.cuh": (["block_forward", "block_backward"], ["test_block_dropout", "test_block_forward", "test_block_backward"]),
    "cuda/team.cuh": (["layer_norm"], ["test_block_forward"]),
    "cuda/block_sum.cuh": (["update"], ["test_update_prepare"]),
    "cuda/pass.cuh": (["hadamard", "column_sums"], ["test_hadamard", "test_bias_grad"]),
    "cuda/storage.cuh": (["hadamard", "column_sums"], ["test_hadamard", "test_bias_grad"]),
    "math/clip.h": (["update"], ["test_update_prepare", "test_update"]),
    "math/schedule.h": (["update"], ["test_update_prepare"]),
    "math/optimizer.h": (["update"], ["test_update"]),
    "math/loss.h": (["loss"], ["test_loss_edges", "test_loss"]),
    "math/activation.h": (["activation", "activation_grad"],
                          ["test_activation_derivative", "test_activation_forward", "test_activation_backward"]),
}
