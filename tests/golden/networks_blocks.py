"""The golden networks with batch norm, layer norm, dropout and skips: manifest_blocks.json. See networks.py.

seed        of the dropout masks, which belong to step 0
evaluation  the outputs in evaluation mode, with the running statistics of weights.safetensors, are in outputs.npy
Most linear layers before a batch norm have no bias: its gradient is 0 but for rounding. `bn_bias_*` have one.
"""
from collections import namedtuple

from networks import BCE, CE

BlockNetwork = namedtuple(
    "BlockNetwork", "name inputs layers batch loss targets label_smoothing huber_delta gain seed evaluation")


def _net(name, inputs, layers, batch, loss, targets="class", label_smoothing=0.0, huber_delta=1.0, gain=1.0, seed=1,
         evaluation=False):
    return BlockNetwork(name, inputs, layers, batch, loss, targets, label_smoothing, huber_delta, gain, seed,
                        evaluation)


def _deep(block, count, outputs):
    return ",".join([block] * count + [str(outputs)])


_BATCH_NORM = [
    _net("bn_relu_ce_class", 37, "53:relu:bn:nobias,29:relu:bn:nobias,7", 31, CE, evaluation=True),
    _net("bn_sigmoid_mse", 13, "19:sigmoid:bn:nobias,7", 257, "mse"),
    _net("bn_gelu_huber", 13, "19:gelu:bn:nobias,11:gelu:bn:nobias,5", 31, "huber"),
    _net("bn_leaky_elu_bce", 13, "19:leaky_relu:slope=0.2:bn:nobias,11:elu:bn:nobias,5", 257, BCE),
    _net("bn_softplus_three_rows_mse", 7, "9:softplus:bn:nobias,5", 3, "mse"),
    _net("bn_output_half_mse", 11, "13:tanh:bn:nobias,5:bn:nobias", 31, "half_mse"),
    _net("bn_bias_silu_ce_class", 13, "19:silu:bn,11:tanh:bn,5", 31, CE, evaluation=True),
    _net("bn_bias_output_mse", 11, "13:gelu_tanh,5:bn", 31, "mse"),
    _net("bn_deep_sigmoid_ce_class", 17, _deep("17:sigmoid:bn:nobias", 8, 5), 31, CE),
    _net("bn_deep_relu_mse", 17, _deep("19:relu:bn:nobias", 11, 5), 31, "mse"),
]

_LAYER_NORM = [
    _net("ln_relu_ce_class", 37, "53:relu:ln,29:relu:ln:nobias,7", 31, CE),
    _net("ln_tanh_one_row_mse", 13, "19:tanh:ln,7", 1, "mse"),
    _net("ln_gelu_tanh_bce", 13, "19:gelu_tanh:ln,11:gelu_tanh:ln,5", 31, BCE),
    _net("ln_silu_nobias_huber", 13, "19:silu:ln:nobias,11:silu:ln:nobias,5", 257, "huber"),
    _net("ln_output_half_mse", 11, "13:sigmoid:ln,5:ln", 31, "half_mse", evaluation=True),
    _net("ln_deep_softplus_ce_probability", 17, _deep("17:softplus:ln", 8, 5), 31, CE, "probability"),
]

_DROPOUT = [
    _net("dropout_relu_ce_class", 37, "53:relu:dropout=0.3,29:relu:dropout=0.3,7", 31, CE, evaluation=True),
    _net("dropout_half_tanh_mse", 13, "19:tanh:dropout=0.5,11:tanh:dropout=0.5,5", 257, "mse", seed=7),
    _net("dropout_silu_one_row_huber", 13, "19:silu:dropout=0.25,7", 1, "huber", seed=8),
    _net("dropout_identity_gelu_half_mse", 13, "19:dropout=0.1,11:gelu:dropout=0.6,5", 31, "half_mse", seed=9),
    _net("dropout_output_bce", 13, "19:elu,5:dropout=0.2", 31, BCE, seed=0x1234567890ABC),
]

_SKIP = [
    _net("skip_relu_mse", 19, "19:relu:skip,19:relu:skip,7", 31, "mse"),
    _net("skip_far_tanh_ce_class", 13, "19:tanh,11:tanh,19:tanh,19:tanh:skip=1,5", 31, CE),
    _net("skip_one_source_many_takers_half_mse", 13, "19:silu,19:gelu:skip=1,19:elu:skip=1,19:tanh:skip=2,5", 31,
         "half_mse"),
    _net("skip_output_huber", 13, "7:sigmoid,7:skip=1", 31, "huber"),
    _net("skip_linear_mse", 7, "7:skip,7:skip", 31, "mse"),
]

_MIXED = [
    _net("mixed_bn_dropout_skip_ce_class", 19, "19:relu:bn:nobias:dropout=0.3:skip,19:relu:bn:nobias:dropout=0.3:skip,7",
         31, CE, label_smoothing=0.1, seed=11, evaluation=True),
    _net("mixed_ln_dropout_skip_bce", 19, "19:gelu:ln:dropout=0.1:skip,19:gelu:ln:dropout=0.1:skip,7", 31, BCE, seed=12),
    _net("mixed_bn_ln_mse", 13, "19:sigmoid:bn:nobias,17:softplus:ln,11:leaky_relu:bn:nobias,5:ln", 31, "mse", seed=13,
         evaluation=True),
    _net("mixed_everything_ce_probability", 11,
         "11:silu:bn:nobias:dropout=0.25:skip,11:gelu_tanh:ln:dropout=0.1:skip=1,11:sigmoid:skip=1,5:bn:nobias", 257, CE,
         "probability", seed=0xFFFFFFFF, evaluation=True),
    _net("mixed_dropout_before_bn_half_mse", 13, "19:elu:dropout=0.4,11:tanh:bn:nobias,11:elu:skip=2,5", 31, "half_mse",
         seed=14),
    _net("mixed_deep_residual_ce_class", 17, _deep("17:relu:bn:nobias:skip", 11, 5), 31, CE, seed=15),
    _net("mixed_deep_residual_dropout_huber", 17, _deep("17:silu:ln:dropout=0.1:skip", 9, 5), 31, "huber", seed=16),
]

BLOCK_NETWORKS = _BATCH_NORM + _LAYER_NORM + _DROPOUT + _SKIP + _MIXED
