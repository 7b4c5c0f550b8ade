"""A network in the command line's notation as a torch.nn.Sequential, and its losses as PyTorch defines them."""
from torch import nn

from notation import as_float32, parse_layers


def build_sequential(inputs, layers):
    modules = []
    for block in parse_layers(layers):
        modules.append(nn.Linear(inputs, block.units, bias=block.bias))
        modules += _activation(block)
        inputs = block.units
    return nn.Sequential(*modules)


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
