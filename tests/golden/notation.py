"""The command line's notation for layers (`53:tanh,29:leaky_relu:slope=0.2,7:nobias`), without torch.

Only what the golden networks use: activations, `slope=` and `nobias`; anything else is an error.
"""
from collections import namedtuple

import numpy as np

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "gelu_tanh")
DEFAULT_SLOPE = 0.01


def as_float32(constant):
    """The public API takes slope, label_smoothing and huber_delta as C floats: 0.2 is 0.200000003."""
    return float(np.float32(constant))


Block = namedtuple("Block", "units activation slope bias")


def parse_layers(layers):
    return [_parse_block(text) for text in layers.split(",")]


def _parse_block(text):
    units, *words = text.split(":")
    activation, slope, bias = "identity", as_float32(DEFAULT_SLOPE), True
    for word in words:
        if word in ACTIVATIONS:
            activation = word
        elif word.startswith("slope="):
            slope = as_float32(word[len("slope="):])
        elif word == "nobias":
            bias = False
        else:
            raise ValueError(f"unknown word {word!r} in block {text!r}")
    return Block(int(units), activation, slope, bias)


def linear_positions(blocks):
    """The index of each block's Linear in a torch.nn.Sequential, where identity is no module."""
    positions, position = [], 0
    for block in blocks:
        positions.append(position)
        position += 1 if block.activation == "identity" else 2
    return positions
