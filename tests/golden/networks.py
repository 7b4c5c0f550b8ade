"""The table of golden networks: every activation, every loss, and the shapes where mistakes hide.

targets  `class` (int64 [B]) or `probability` (f32 [B,O]), for softmax_cross_entropy alone
gain     multiplies the default scale of the weights, which keeps variances about constant from layer to layer
"""
from collections import namedtuple

Network = namedtuple("Network", "name inputs layers batch loss targets label_smoothing huber_delta gain")


def _net(name, inputs, layers, batch, loss, targets="class", label_smoothing=0.0, huber_delta=1.0, gain=1.0):
    return Network(name, inputs, layers, batch, loss, targets, label_smoothing, huber_delta, gain)


def _deep(units, activation, outputs):
    return ",".join([f"{units}:{activation}"] * 11 + [str(outputs)])


CE, BCE = "softmax_cross_entropy", "bce_with_logits"

# every activation in the hidden layers, odd widths, every loss
_HIDDEN = [
    _net("hidden_identity_mse", 37, "53:identity,29:identity,7", 31, "mse"),
    _net("hidden_sigmoid_ce_class", 37, "53:sigmoid,29:sigmoid,7", 31, CE),
    _net("hidden_tanh_ce_probability", 37, "53:tanh,29:tanh,7", 31, CE, "probability"),
    _net("hidden_relu_ce_class_smoothed", 37, "53:relu,29:relu,7", 257, CE, label_smoothing=0.1),
    _net("hidden_leaky_relu_bce", 37, "53:leaky_relu,29:leaky_relu,7", 31, BCE),
    _net("hidden_elu_mse", 37, "53:elu,29:elu,7", 1, "mse"),
    _net("hidden_softplus_half_mse", 37, "53:softplus,29:softplus,7", 31, "half_mse"),
    _net("hidden_silu_huber", 37, "53:silu,29:silu,7", 257, "huber"),
    _net("hidden_gelu_ce_probability_smoothed", 37, "53:gelu,29:gelu,7", 31, CE, "probability", 0.1),
    _net("hidden_gelu_tanh_ce_class", 37, "53:gelu_tanh,29:gelu_tanh,7", 1, CE),
]

# the same activations again in a smaller shape, each under another loss
_SMALL = [
    _net("small_identity_ce_class", 11, "13:identity,17:identity,5", 257, CE),
    _net("small_sigmoid_bce", 11, "13:sigmoid,17:sigmoid,5", 31, BCE),
    _net("small_tanh_half_mse", 11, "13:tanh,17:tanh,5", 257, "half_mse"),
    _net("small_relu_huber", 11, "13:relu,17:relu,5", 31, "huber"),
    _net("small_leaky_relu_ce_class", 11, "13:leaky_relu:slope=0.2,17:leaky_relu:slope=0.2,5", 257, CE),
    _net("small_elu_ce_probability", 11, "13:elu,17:elu,5", 31, CE, "probability"),
    _net("small_softplus_ce_class_smoothed", 11, "13:softplus,17:softplus,5", 31, CE, label_smoothing=0.1),
    _net("small_silu_bce", 11, "13:silu,17:silu,5", 1, BCE),
    _net("small_gelu_mse", 11, "13:gelu,17:gelu,5", 257, "mse"),
    _net("small_gelu_tanh_huber", 11, "13:gelu_tanh,17:gelu_tanh,5", 31, "huber"),
]

# every activation on the output layer, where the error is the loss's derivative times f'
_OUTPUT = [
    _net("output_identity_half_mse", 9, "14:tanh,7:identity", 31, "half_mse"),
    _net("output_sigmoid_mse", 37, "19:tanh,7:sigmoid", 31, "mse"),
    _net("output_tanh_half_mse", 9, "14:silu,7:tanh", 31, "half_mse"),
    _net("output_relu_mse", 9, "14:gelu,7:relu", 31, "mse"),
    _net("output_leaky_relu_huber", 9, "14:elu,7:leaky_relu:slope=0.2", 31, "huber"),
    _net("output_elu_half_mse", 9, "14:relu,7:elu", 31, "half_mse"),
    _net("output_softplus_mse", 9, "14:gelu_tanh,7:softplus", 257, "mse"),
    _net("output_silu_huber", 9, "14:sigmoid,7:silu", 31, "huber"),
    _net("output_gelu_half_mse", 9, "14:softplus,7:gelu", 1, "half_mse"),
    _net("output_gelu_tanh_mse", 9, "14:leaky_relu,7:gelu_tanh", 31, "mse"),
    # under a loss on logits, an output activation is applied before them
    _net("output_tanh_ce_class", 9, "14:relu,7:tanh", 31, CE),
    _net("output_gelu_bce", 9, "14:tanh,7:gelu", 31, BCE),
]

_DEEP = [
    _net("deep_relu_ce_class", 17, _deep(19, "relu", 7), 31, CE),
    _net("deep_tanh_mse", 17, _deep(15, "tanh", 3), 31, "mse"),
    _net("deep_sigmoid_half_mse", 9, _deep(11, "sigmoid", 4), 31, "half_mse"),
    _net("deep_leaky_relu_bce", 17, _deep(19, "leaky_relu:slope=0.2", 5), 31, BCE),
    _net("deep_elu_huber", 17, _deep(13, "elu", 6), 31, "huber"),
    _net("deep_gelu_tanh_ce_probability", 17, _deep(16, "gelu_tanh", 9), 1, CE, "probability"),
    _net("deep_every_activation_ce_class", 17,
         "23:identity,21:sigmoid,19:tanh,18:relu,17:leaky_relu:slope=0.2,16:elu,15:softplus,14:silu,13:gelu,"
         "12:gelu_tanh,11:leaky_relu,10", 257, CE, label_smoothing=0.1),
]

# no bias, one layer, one unit, one sample, the losses' own options, logits far from zero
_EDGES = [
    _net("nobias_all_ce_class", 23, "31:relu:nobias,17:tanh:nobias,10:nobias", 31, CE),
    _net("nobias_first_mse", 23, "31:gelu:nobias,17:relu,3", 31, "mse"),
    _net("nobias_last_bce", 5, "33:silu,4:nobias", 257, BCE),
    _net("single_layer_ce_class", 37, "7", 257, CE),
    _net("single_layer_ce_probability_smoothed", 37, "7:nobias", 31, CE, "probability", 0.1),
    _net("single_layer_mse_one_output", 29, "1", 31, "mse"),
    _net("single_layer_sigmoid_half_mse", 3, "5:sigmoid", 31, "half_mse"),
    _net("one_output_bce", 13, "21:tanh,1", 257, BCE),
    _net("one_output_bce_one_sample", 6, "1", 1, BCE),
    _net("width_one_huber", 1, "1:tanh,5:softplus,1:silu,1", 31, "huber"),
    _net("width_one_inside_ce_class", 4, "8:elu,1:leaky_relu:slope=0.2,8:gelu,3", 31, CE),
    _net("one_class_pair_ce_class", 7, "9:softplus,2", 31, CE),
    _net("huber_delta_half", 12, "15:relu,6", 31, "huber", huber_delta=0.5),
    _net("huber_delta_two_and_a_half", 12, "15:tanh,6", 31, "huber", huber_delta=2.5),
    _net("large_logits_ce_class", 10, "12:relu,8", 31, CE, gain=9.0),
    _net("large_logits_bce", 10, "12:relu,8", 31, BCE, gain=6.0),
]

NETWORKS = _HIDDEN + _SMALL + _OUTPUT + _DEEP + _EDGES
