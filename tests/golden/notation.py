"""The command line's notation for layers (`53:tanh,29:leaky_relu:slope=0.2,7:nobias`), without torch.

What the golden networks use: activations, `slope=`, `nobias`, `bn`, `ln`, `dropout=`, `skip` and `skip=`; anything else
is an error.
"""
from collections import namedtuple

import numpy as np

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "gelu_tanh")
DEFAULT_SLOPE = 0.01


def as_float32(constant):
    """The public API takes slope, label_smoothing and huber_delta as C floats: 0.2 is 0.200000003."""
    return float(np.float32(constant))


# norm: "", "bn" or "ln". skip: None, or whose output is added: K of block K (from 1), 0 of the network's input.
Block = namedtuple("Block", "units activation slope bias norm dropout skip", defaults=("", 0.0, None))


def parse_layers(layers):
    return [_parse_block(text, before) for before, text in enumerate(layers.split(","))]


def _parse_block(text, before):
    units, *words = text.split(":")
    activation, slope, bias = "identity", as_float32(DEFAULT_SLOPE), True
    norm, dropout, skip = "", 0.0, None
    for word in words:
        if word in ACTIVATIONS:
            activation = word
        elif word.startswith("slope="):
            slope = as_float32(word[len("slope="):])
        elif word == "nobias":
            bias = False
        elif word in ("bn", "ln"):
            norm = word
        elif word.startswith("dropout="):
            dropout = as_float32(word[len("dropout="):])
        elif word == "skip":
            skip = before
        elif word.startswith("skip=") and 1 <= int(word[len("skip="):]) <= before:
            skip = int(word[len("skip="):])
        else:
            raise ValueError(f"unknown word {word!r} in block {text!r}")
    return Block(int(units), activation, slope, bias, norm, dropout, skip)


def linear_positions(blocks):
    """The index of each block's Linear in a torch.nn.Sequential, where identity and a skip are no modules."""
    positions, position = [], 0
    for block in blocks:
        positions.append(position)
        position += 1 + bool(block.norm) + (block.activation != "identity") + bool(block.dropout)
    return positions


def dead_biases(blocks):
    """Names of the biases that a batch norm takes out again: their gradient is 0 but for rounding."""
    return {f"{position}.bias" for block, position in zip(blocks, linear_positions(blocks))
            if block.bias and block.norm == "bn"}
