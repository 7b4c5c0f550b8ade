#!/usr/bin/env python3
"""Makes loss.json: value and gradient of PyTorch's losses on small matrices, in double precision.

What the golden networks don't hold: rows of probabilities that do not sum to 1, soft and hard binary targets together,
and the losses by themselves. The reference backend is held to them by tests/test_loss_golden.c. Debian: python3-torch,
run with /usr/bin/python3. Constants are float32, as in the public API.
"""

import json
import os

import numpy
import torch
from torch.nn import functional

ROWS = 6
COLS = 5


def as_float32(value):
    return float(numpy.float32(value))


def half_mse(z, target):
    return ((z - target) ** 2).sum() / (2 * z.shape[0])


CASES = {
    "classes": ("softmax_cross_entropy", "classes", 0.0, 1.0),
    "classes_smoothed": ("softmax_cross_entropy", "classes", 0.1, 1.0),
    "probabilities": ("softmax_cross_entropy", "chances", 0.0, 1.0),
    "probabilities_smoothed": ("softmax_cross_entropy", "chances", 0.3, 1.0),
    "bce": ("bce_with_logits", "unit", 0.0, 1.0),
    "mse": ("mse", "values", 0.0, 1.0),
    "half_mse": ("half_mse", "values", 0.0, 1.0),
    "huber": ("huber", "values", 0.0, 1.0),
    "huber_2_5": ("huber", "values", 0.0, 2.5),
}


def targets_of(kind, random):
    if kind == "classes":
        return random.randint(0, COLS, ROWS)
    if kind == "values":
        return random.uniform(-3, 3, (ROWS, COLS))
    chances = random.uniform(0, 1, (ROWS, COLS))
    if kind == "unit":
        return numpy.where(random.uniform(0, 1, (ROWS, COLS)) < 0.5, numpy.round(chances), chances)
    return chances / chances.sum(axis=1, keepdims=True) * random.uniform(0.5, 1.5, (ROWS, 1))


def loss_of(loss, smoothing, delta, z, target):
    if loss == "softmax_cross_entropy":
        return functional.cross_entropy(z, target, label_smoothing=smoothing)
    if loss == "bce_with_logits":
        return functional.binary_cross_entropy_with_logits(z, target)
    if loss == "mse":
        return functional.mse_loss(z, target)
    return half_mse(z, target) if loss == "half_mse" else functional.huber_loss(z, target, delta=delta)


def case(name, seed):
    loss, kind, smoothing, delta = CASES[name]
    smoothing, delta = as_float32(smoothing), as_float32(delta)
    random = numpy.random.RandomState(seed)
    values = random.uniform(-5, 5, (ROWS, COLS))
    target = targets_of(kind, random)
    z = torch.tensor(values, requires_grad=True)
    result = loss_of(loss, smoothing, delta, z, torch.from_numpy(target))
    result.backward()
    return {"name": name, "loss": loss, "label_smoothing": smoothing, "huber_delta": delta, "z": values.tolist(),
            "targets": target.tolist(), "value": float(result), "delta": z.grad.tolist()}


def main():
    cases = [case(name, seed) for seed, name in enumerate(CASES)]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loss.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump({"torch": torch.__version__, "losses": cases}, out, indent=0)
        out.write("\n")
    print(f"{path}: {len(cases)} losses")


if __name__ == "__main__":
    main()
