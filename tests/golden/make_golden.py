#!/usr/bin/python3
"""Make the golden files: loss and gradients of the networks in networks.py and networks_blocks.py, by PyTorch in double.

usage: make_golden.py [--out DIR] [--table plain|blocks]        (default: the folder of this script, both tables)

Inputs, targets, weights and constants are float32, so every backend starts from the same numbers; PyTorch computes in
float64.
Random numbers are numpy's RandomState.random_sample, whose stream is frozen and needs no libm, so inputs, targets and
weights are the same bytes on every machine. Gradients may differ in the last bits where PyTorch sums in another order.
A draw that would make a poor judge (see `flaw`) is thrown away, and the next seed is tried.
"""
import argparse
import json
import os
import shutil
import zlib

import numpy as np
import torch
from torch import nn

from networks import NETWORKS
from networks_blocks import BLOCK_NETWORKS
from notation import dead_biases, parse_layers
from philox import dropout_masks
from safetensors_io import save_npy, save_safetensors
from torch_network import build_loss, build_sequential, run_blocks

HERE = os.path.dirname(os.path.abspath(__file__))
ATTEMPTS = 400

# Scale of the weights that keeps the variance of the back-propagated error about constant from layer to layer.
GAIN = {"identity": 1.0, "sigmoid": 4.0, "tanh": 1.5, "relu": 1.42, "leaky_relu": 1.4, "elu": 1.25, "softplus": 1.6,
        "silu": 1.7, "gelu": 1.55, "gelu_tanh": 1.55}
KINK_DISTANCE = 1e-4   # float32 rounding moves z by about 1e-6: no backend takes the other branch
KINKED = ("relu", "leaky_relu", "elu")
SOFTPLUS_LIMIT = 18.0  # above 20 PyTorch's softplus returns z itself, which is off by more than 1e-12
PROBABILITY_STEPS = 1 << 16


def uniform(random, shape, half_width):
    return ((2.0 * random.random_sample(shape) - 1.0) * half_width).astype(np.float32)


def draw_probabilities(random, batch, outputs):
    """Rows of multiples of 2^-16 that sum to exactly 1 in every precision and order.

    Rounded rows would sum to 1 ± 1e-7, and softmax·Σy − y would differ from softmax − y by as much.
    """
    weights = random.random_sample((batch, outputs)) ** 2
    steps = np.floor(weights / weights.sum(axis=1, keepdims=True) * PROBABILITY_STEPS)
    steps[:, 0] += PROBABILITY_STEPS - steps.sum(axis=1)
    return (steps / PROBABILITY_STEPS).astype(np.float32)


def draw_targets(random, net, outputs):
    shape = (net.batch, outputs)
    if net.loss == "softmax_cross_entropy":
        if net.targets == "class":
            return random.randint(0, outputs, net.batch).astype(np.int64)
        return draw_probabilities(random, net.batch, outputs)
    if net.loss == "bce_with_logits":
        # a third each exactly 0, exactly 1, and between
        return np.clip(3.0 * random.random_sample(shape) - 1.0, 0.0, 1.0).astype(np.float32)
    return uniform(random, shape, 3.0 if net.loss == "huber" else 1.5)


def draw(net, attempt):
    """x, y and the Sequential with its float32 parameters."""
    # seeded by name, so that adding a network leaves the files of the others as they are
    random = np.random.RandomState(zlib.crc32(f"{net.name} {attempt}".encode()))
    blocks = parse_layers(net.layers)
    x = uniform(random, (net.batch, net.inputs), np.sqrt(3.0))
    y = draw_targets(random, net, blocks[-1].units)
    model = build_sequential(net.inputs, net.layers)
    linears = [module for module in model if isinstance(module, nn.Linear)]
    for linear, block in zip(linears, blocks):
        half_width = net.gain * GAIN[block.activation] * np.sqrt(3.0 / linear.in_features)
        linear.weight.data = torch.from_numpy(uniform(random, tuple(linear.weight.shape), half_width))
        if block.bias:
            linear.bias.data = torch.from_numpy(uniform(random, block.units, 0.5))
    for module in model:
        if isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
            draw_norm(random, module)
    return x, y, model


def draw_norm(random, module):
    """A scale around 1, a shift, and running statistics that are not those of a new module."""
    units = module.weight.shape[0]
    module.weight.data = torch.from_numpy(np.float32(1.0) + uniform(random, units, 0.5))
    module.bias.data = torch.from_numpy(uniform(random, units, 0.5))
    if isinstance(module, nn.BatchNorm1d):
        module.running_mean.copy_(torch.from_numpy(uniform(random, units, 0.5)))
        module.running_var.copy_(torch.from_numpy(np.float32(1.5) + uniform(random, units, 1.0)))


def state_of(model):
    """Parameters and running statistics by name; PyTorch's count of batches is none of ours."""
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()
            if not name.endswith("num_batches_tracked")}


def forward_backward(net, x, y, model):
    """Loss, outputs and every argument of an activation, computed in double; the gradients are left in `model`."""
    model.double()
    criterion = build_loss(net.loss, net.label_smoothing, net.huber_delta)
    targets = torch.from_numpy(y)
    if targets.is_floating_point():
        targets = targets.double()
    blocks = parse_layers(net.layers)
    masks = dropout_masks(blocks, getattr(net, "seed", 0), net.batch)
    a, z_of_block = run_blocks(model, net.layers, torch.from_numpy(x).double(), masks)
    loss = criterion(a, targets)
    loss.backward()
    return loss.detach().numpy(), a.detach().numpy(), z_of_block


def flaw(net, y, outputs, z_of_block, gradients):
    """Why this draw is a poor judge, or None."""
    for block, z in zip(parse_layers(net.layers), z_of_block):
        if block.activation in KINKED and np.abs(z).min() < KINK_DISTANCE:
            return "z too near a kink"
        if block.activation == "softplus" and z.max() > SOFTPLUS_LIMIT:
            return "softplus beyond PyTorch's threshold"
    if net.loss == "huber":
        distance = np.abs(outputs - y)
        linear = np.mean(distance > net.huber_delta)
        if np.abs(distance - net.huber_delta).min() < KINK_DISTANCE or not 0.1 <= linear <= 0.9:
            return "huber near its seam, or one branch alone"
    if np.abs(outputs).max() < 0.1:
        return "outputs about zero"
    largest = [np.abs(gradient).max() for gradient in gradients]
    if not min(largest) >= 1e-4 or not min(largest) >= 1e-3 * max(largest):
        return "vanishing or exploding gradients"
    if min(np.mean(gradient != 0.0) for gradient in gradients) < 0.15:
        return "mostly dead units"
    return None


def write(folder, x, y, weights, gradients, loss):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    save_npy(os.path.join(folder, "x.npy"), x)
    save_npy(os.path.join(folder, "y.npy"), y)
    save_safetensors(os.path.join(folder, "weights.safetensors"), weights)
    save_safetensors(os.path.join(folder, "grads.safetensors"), {**gradients, "loss": loss.reshape(1)})


def evaluate(net, x, weights):
    """Outputs in evaluation mode, with the statistics that the network started with."""
    model = build_sequential(net.inputs, net.layers).double()
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.items()}, strict=False)
    with torch.no_grad():
        return run_blocks(model, net.layers, torch.from_numpy(x).double(), None)[0].numpy()


def make(net, out):
    reasons = {}
    for attempt in range(ATTEMPTS):
        x, y, model = draw(net, attempt)
        weights = state_of(model)
        loss, outputs, z_of_block = forward_backward(net, x, y, model)
        gradients = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
        dead = dead_biases(parse_layers(net.layers))
        reason = flaw(net, y, outputs, z_of_block, [gradients[name] for name in gradients if name not in dead])
        if reason is None:
            moved = {name: tensor for name, tensor in state_of(model).items() if ".running_" in name}
            folder = os.path.join(out, net.name)
            write(folder, x, y, weights, {**gradients, **moved}, loss)
            if getattr(net, "evaluation", False):
                save_npy(os.path.join(folder, "outputs.npy"), evaluate(net, x, weights))
            print(f"{net.name}: draw {attempt + 1}, loss {loss:.6f}, largest output {np.abs(outputs).max():.3g}")
            return
        reasons[reason] = reasons.get(reason, 0) + 1
    raise SystemExit(f"make_golden: {net.name}: no usable draw in {ATTEMPTS}: {reasons}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=HERE)
    parser.add_argument("--table", choices=("plain", "blocks"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tables = {"plain": (NETWORKS, "manifest.json", ()),
              "blocks": (BLOCK_NETWORKS, "manifest_blocks.json", ("seed", "evaluation"))}
    for table in [arguments.table] if arguments.table else tables:
        networks, manifest_name, more = tables[table]
        for net in networks:
            make(net, arguments.out)
        keys = ("name", "layers", "loss", "label_smoothing", "huber_delta", "inputs", "batch", *more)
        manifest = [{key: getattr(net, key) for key in keys} for net in networks]
        with open(os.path.join(arguments.out, manifest_name), "w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
