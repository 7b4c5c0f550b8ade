#!/usr/bin/env python3
"""Makes training.json: whole networks that PyTorch trains for some steps in double precision, every parameter after each;
with "ema_decay", what torch.optim.swa_utils.AveragedModel makes of them instead, running statistics too, with a decay
that warms up.

Weight decay as PyTorch's parameter groups have it: one group with decay for the weights of the linear layers, one
without for biases and norms; or one group of all. The reference backend is held to them, step by step, by
tests/test_training_golden.c. Debian: python3-torch, run with /usr/bin/python3.
"""

import json
import os

import numpy
import torch

from torch_network import build_sequential

STEPS = 6
BATCH = 9
INPUTS = 5
LAYERS = "6:relu:bn:nobias,5:tanh:ln,4"

CASES = {
    "sgd": {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.2},
    "momentum": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    "nesterov_clip_norm": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.3,
                           "clip_norm": 0.5},
    "adam": {"optimizer": "adam", "lr": 0.02, "weight_decay": 0.3},
    "adamw": {"optimizer": "adamw", "lr": 0.02, "weight_decay": 0.5},
    "sgd_ema": {"optimizer": "sgd", "lr": 0.1, "weight_decay": 0.1, "ema_decay": 0.8},
    "adamw_ema": {"optimizer": "adamw", "lr": 0.02, "weight_decay": 0.5, "ema_decay": 0.3},
    "momentum_decay_all": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "decay_all": True},
    "adam_decay_all": {"optimizer": "adam", "lr": 0.02, "weight_decay": 0.3, "decay_all": True},
    "adamw_decay_all": {"optimizer": "adamw", "lr": 0.02, "weight_decay": 0.5, "decay_all": True},
}


def draw(random, *shape):
    """Uniform in [-1, 1), rounded to f32, which every backend can hold."""
    return random.uniform(-1, 1, shape).astype(numpy.float32).astype(numpy.float64)


def groups_of(network, settings):
    """A linear layer's weight is the only parameter of two dimensions."""
    decay = settings["weight_decay"]
    if settings.get("decay_all", False):
        return [{"params": list(network.parameters()), "weight_decay": decay}]
    return [{"params": [p for p in network.parameters() if p.dim() == 2], "weight_decay": decay},
            {"params": [p for p in network.parameters() if p.dim() != 2], "weight_decay": 0.0}]


def optimizer_of(network, settings):
    groups = groups_of(network, settings)
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=settings["lr"], momentum=settings.get("momentum", 0.0),
                               nesterov=settings.get("nesterov", False))
    kind = torch.optim.Adam if settings["optimizer"] == "adam" else torch.optim.AdamW
    return kind(groups, lr=settings["lr"])


def averaged(network, decay):
    """The first update copies; from then on with the decay that grows, min(decay, (1 + step) / (10 + step)): 0.8 is not
    reached in these steps, 0.3 in the third."""
    def average_of(average, value, count):
        step = int(count) + 1
        now = min(decay, (1 + step) / (10 + step))
        return now * average + (1 - now) * value
    return torch.optim.swa_utils.AveragedModel(network, avg_fn=average_of, use_buffers=True)


def values_of(network, buffers):
    """Without the counts of batches, which are no values of the network."""
    tensors = list(network.named_parameters()) + (list(network.named_buffers()) if buffers else [])
    return {name: tensor.flatten().tolist() for name, tensor in tensors if tensor.is_floating_point()}


def train(settings, seed):
    random = numpy.random.RandomState(seed)
    network = build_sequential(INPUTS, LAYERS).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.from_numpy(draw(random, *parameter.shape)))
    x, classes = draw(random, STEPS, BATCH, INPUTS), random.randint(0, 4, (STEPS, BATCH))
    start, after = values_of(network, False), []
    average = averaged(network, settings["ema_decay"]) if "ema_decay" in settings else None
    optimizer = optimizer_of(network, settings)
    for step in range(STEPS):
        optimizer.zero_grad()
        outputs = network(torch.from_numpy(x[step]))
        torch.nn.functional.cross_entropy(outputs, torch.from_numpy(classes[step])).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.get("clip_norm", float("inf")))
        optimizer.step()
        if average:
            average.update_parameters(network)
        after.append(values_of(average.module if average else network, True))
    return {"x": x.tolist(), "classes": classes.tolist(), "start": start, "after": after}


def main():
    cases = [dict(name=name, settings=settings, **train(settings, seed))
             for seed, (name, settings) in enumerate(CASES.items())]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "training.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump({"torch": torch.__version__, "layers": LAYERS, "inputs": INPUTS, "batch": BATCH, "steps": STEPS,
                   "cases": cases}, out, indent=0)
        out.write("\n")
    print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
