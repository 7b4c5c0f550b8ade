"""A network in the command line's notation as a torch.nn.Sequential, and its losses as PyTorch defines them."""
import torch
from torch import nn

from notation import as_float32, parse_layers


def build_sequential(inputs, layers):
    modules = []
    for block in parse_layers(layers):
        modules.append(nn.Linear(inputs, block.units, bias=block.bias))
        modules += {"": lambda: [], "bn": lambda: [nn.BatchNorm1d(block.units)],
                    "ln": lambda: [nn.LayerNorm(block.units)]}[block.norm]()
        modules += _activation(block)
        modules += [nn.Dropout(block.dropout)] if block.dropout else []
        inputs = block.units
    return nn.Sequential(*modules)


def run_blocks(model, layers, x, masks):
    """What build_sequential's modules make of x, with skips, and with given masks in place of PyTorch's own dropout.

    masks: an array or None for each block; None: evaluation mode. Also returns the argument of every activation.
    """
    model.train(masks is not None)
    modules, outputs, arguments = iter(model), [x], []
    for index, block in enumerate(parse_layers(layers)):
        a = next(modules)(outputs[-1])
        if block.norm:
            a = next(modules)(a)
        arguments.append(a.detach().numpy())
        if block.activation != "identity":
            a = next(modules)(a)
        if block.dropout:
            next(modules)
            if masks is not None:
                a = a * torch.from_numpy(masks[index])
        if block.skip is not None:
            a = a + outputs[block.skip]
        outputs.append(a)
    return outputs[-1], arguments


def _activation(block):
    return {
        "identity": lambda: [],
        "sigmoid": lambda: [nn.Sigmoid()],
        "tanh": lambda: [nn.Tanh()],
        "relu": lambda: [nn.ReLU()],
        "leaky_relu": lambda: [nn.LeakyReLU(block.slope)],
        "elu": lambda: [nn.ELU()],
        "softplus": lambda: [nn.Softplus()],
        "silu": lambda: [nn.SiLU()],
        "gelu": lambda: [nn.GELU()],
        "gelu_tanh": lambda: [nn.GELU(approximate="tanh")],
    }[block.activation]()


def build_loss(loss, label_smoothing=0.0, huber_delta=1.0):
    """A function of (outputs, targets); softmax_cross_entropy takes class indices or probabilities."""
    if loss == "half_mse":
        # PyTorch has no such loss: half the squared distance, summed over outputs, mean over samples
        return lambda outputs, targets: 0.5 * ((outputs - targets) ** 2).sum(dim=1).mean()
    return {
        "softmax_cross_entropy": lambda: nn.CrossEntropyLoss(label_smoothing=as_float32(label_smoothing)),
        "bce_with_logits": nn.BCEWithLogitsLoss,
        "mse": nn.MSELoss,
        "huber": lambda: nn.HuberLoss(delta=as_float32(huber_delta)),
    }[loss]()
