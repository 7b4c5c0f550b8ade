#!/usr/bin/env python3
"""Makes optimizer.json: trajectories of PyTorch's optimisers, clipping and schedules in double precision.

Each optimiser takes 20 steps on a vector of 7 parameters with given gradients, so that the network plays no part. The
reference backend is held to them by tests/test_optimizer_golden.c. Debian: python3-torch, run with /usr/bin/python3.
"""

import json
import os

import numpy
import torch

STEPS = 20
SIZE = 7

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "lr": 0.1},
    "sgd_weight_decay": {"optimizer": "sgd", "lr": 0.05, "weight_decay": 0.2},
    "momentum": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9},
    "momentum_weight_decay": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.8, "weight_decay": 0.1},
    "nesterov": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
    "nesterov_weight_decay": {"optimizer": "sgd", "lr": 0.02, "momentum": 0.95, "nesterov": True, "weight_decay": 0.3},
    "momentum_clip_norm": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "clip_norm": 2.5},
    "sgd_clip_value": {"optimizer": "sgd", "lr": 0.1, "clip_value": 0.4},
    "sgd_clip_value_and_norm": {"optimizer": "sgd", "lr": 0.1, "clip_value": 0.8, "clip_norm": 1.0},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adam_weight_decay": {"optimizer": "adam", "lr": 0.01, "weight_decay": 0.2},
    "adam_betas_epsilon": {"optimizer": "adam", "lr": 0.03, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
    "adam_clip_norm": {"optimizer": "adam", "lr": 0.01, "clip_norm": 1.5},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.01},
    "adamw_strong_decay_clip_norm": {"optimizer": "adamw", "lr": 0.05, "weight_decay": 0.5, "clip_norm": 2.0},
}

SCHEDULES = {
    "cosine": {"schedule": "cosine", "lr": 0.3, "total_steps": 17},
    "cosine_warmup": {"schedule": "cosine", "lr": 0.3, "warmup_steps": 5, "total_steps": 20},
    "linear": {"schedule": "linear", "lr": 0.2, "total_steps": 15},
    "linear_warmup": {"schedule": "linear", "lr": 0.2, "warmup_steps": 4, "total_steps": 19},
    "step": {"schedule": "step", "lr": 0.5, "schedule_step": 4, "schedule_gamma": 0.3},
    "constant_warmup": {"schedule": "constant", "lr": 0.1, "warmup_steps": 7},
}


def draw(seed):
    """Start and gradients; sizes differ by column, so that clipping by value meets some elements and not others."""
    random = numpy.random.RandomState(seed)
    sizes = numpy.array([0.05, 0.2, 0.5, 1.0, 1.0, 2.0, 4.0])
    return random.uniform(-1, 1, SIZE), random.uniform(-1, 1, (STEPS, SIZE)) * sizes


def optimizer_of(settings, parameter):
    """The torch.optim object that `settings` describe."""
    decay = settings.get("weight_decay", 0.0)
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD([parameter], lr=settings["lr"], momentum=settings.get("momentum", 0.0),
                               nesterov=settings.get("nesterov", False), weight_decay=decay)
    kind = torch.optim.Adam if settings["optimizer"] == "adam" else torch.optim.AdamW
    return kind([parameter], lr=settings["lr"], betas=(settings.get("beta1", 0.9), settings.get("beta2", 0.999)),
                eps=settings.get("epsilon", 1e-8), weight_decay=decay)


def trajectory(settings, seed):
    """Parameters after, and gradient norm and clip factor in, each of the steps."""
    start, gradients = draw(seed)
    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = optimizer_of(settings, parameter)
    parameters, norms = [], []
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient.copy())
        if "clip_value" in settings:
            torch.nn.utils.clip_grad_value_([parameter], settings["clip_value"])
        limit = settings.get("clip_norm", float("inf"))
        norms.append(float(torch.nn.utils.clip_grad_norm_([parameter], limit)))
        optimizer.step()
        parameters.append(parameter.detach().tolist())
    return {"start": start.tolist(), "gradients": gradients.tolist(), "parameters": parameters, "norms": norms}


def rates(settings):
    """Learning rates of 24 steps. Warm-up and what follows are two schedules of PyTorch's, one after the other:
    SequentialLR of version 1.13 starts the second one step off."""
    warmup = settings.get("warmup_steps", 0)
    rest = settings.get("total_steps", 0) - warmup
    values = []

    def run(make, steps):
        parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = torch.optim.SGD([parameter], lr=settings["lr"])
        schedule = make(optimizer)
        for _ in range(steps):
            values.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()

    lr = torch.optim.lr_scheduler
    if warmup:
        run(lambda o: lr.LinearLR(o, start_factor=1 / warmup, total_iters=warmup - 1), warmup)
    if settings["schedule"] == "cosine":
        run(lambda o: lr.CosineAnnealingLR(o, T_max=rest), rest)
        values += [0.0] * (24 - len(values))
    elif settings["schedule"] == "linear":
        run(lambda o: lr.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=rest), 24 - warmup)
    elif settings["schedule"] == "step":
        run(lambda o: lr.StepLR(o, settings["schedule_step"], settings["schedule_gamma"]), 24)
    else:
        run(lambda o: lr.ConstantLR(o, factor=1.0), 24 - warmup)
    return values


def main():
    optimizers = [dict(name=name, settings=settings, **trajectory(settings, seed))
                  for seed, (name, settings) in enumerate(OPTIMIZERS.items())]
    schedules = [dict(name=name, settings=settings, rates=rates(settings)) for name, settings in SCHEDULES.items()]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optimizer.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump({"torch": torch.__version__, "optimizers": optimizers, "schedules": schedules}, out, indent=0)
        out.write("\n")
    print(f"{path}: {len(optimizers)} optimisers, {len(schedules)} schedules")


if __name__ == "__main__":
    main()
