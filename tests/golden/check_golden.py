#!/usr/bin/python3
"""Judge the golden files without PyTorch: numpy in double, formulas of its own, and central differences.

usage: check_golden.py [--dir DIR] [--verbose]        exit 0: all agree, 1: one does not

1. Loss, every gradient tensor, running statistics after the forward, outputs in evaluation mode:
   max |golden - ours| <= 1e-12 max |golden|; for a bias before a batch norm, whose gradient is 0 but for rounding,
   1e-12 of the largest entry of its layer's weight gradient.
2. A few entries of each tensor against (L(w+h) - L(w-h)) / 2h, judged by the bound derived at `difference_bound`.
Activations and losses are written here in other forms than in PyTorch and in the library (tanh instead of exp for the
sigmoid, log-sum-exp for softplus, erf from math.erf), so that a shared mistake is unlikely.
"""
import argparse
import json
import math
import os
from collections import namedtuple

import numpy as np

from notation import as_float32, dead_biases, linear_positions, parse_layers
from philox import dropout_masks
from safetensors_io import load_npy, load_safetensors

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = 2.0 ** -53          # unit roundoff of float64
AGREEMENT = 1e-12
KINKED = ("relu", "leaky_relu", "elu")
ENTRIES = 4                # per tensor, for central differences
LARGEST_STEP = 2.0 ** -12
DULLEST_BOUND = 1e-5       # a difference whose bound is wider than this share of the gradient proves nothing
ACTIVATION_ROUNDINGS = 12  # roundings of one activation, in units of |a| + |z|
NORM_ROUNDINGS = 12        # beside those of the two sums of a norm
EPSILON, MOMENTUM = 1e-5, 0.1
MANIFESTS = ("manifest.json", "manifest_blocks.json")

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(z):
    return 0.5 + 0.5 * np.tanh(0.5 * z)


def activate(block, z):
    """f(z) and f'(z)."""
    gaussian = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    if block.activation == "identity":
        return z, np.ones_like(z)
    if block.activation == "sigmoid":
        return sigmoid(z), 0.25 / np.cosh(0.5 * z) ** 2
    if block.activation == "tanh":
        return np.tanh(z), 1.0 / np.cosh(z) ** 2
    if block.activation in ("relu", "leaky_relu"):
        slope = np.where(z > 0.0, 1.0, block.slope if block.activation == "leaky_relu" else 0.0)
        return slope * z, slope
    if block.activation == "elu":
        return np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))), np.exp(np.minimum(z, 0.0))
    if block.activation == "softplus":
        return np.logaddexp(0.0, z), sigmoid(z)
    if block.activation == "silu":
        return z * sigmoid(z), sigmoid(z) + z * 0.25 / np.cosh(0.5 * z) ** 2
    if block.activation == "gelu":
        phi = 0.5 * (1.0 + erf(z / math.sqrt(2.0)))
        return z * phi, phi + z * gaussian
    # gelu_tanh: 0.5 (1 + tanh u) = sigmoid(2u), with u = sqrt(2/pi) (z + 0.044715 z^3)
    scale, cubic = 2.0 * math.sqrt(2.0 / math.pi), 0.044715
    gate = sigmoid(scale * (z + cubic * z ** 3))
    return z * gate, gate + z * gate * (1.0 - gate) * scale * (1.0 + 3.0 * cubic * z * z)


def class_distribution(net, y, outputs):
    """Targets of softmax_cross_entropy as smoothed probabilities."""
    if y.dtype == np.int64:
        y = (y[:, None] == np.arange(outputs)[None, :]).astype(np.float64)
    smoothing = as_float32(net["label_smoothing"])
    return (1.0 - smoothing) * y + smoothing / outputs


def loss_terms(net, a, y):
    """Terms whose sum is the loss, and its derivative by the outputs; the mean's divisor is in both."""
    batch, outputs = a.shape
    if net["loss"] == "softmax_cross_entropy":
        target = class_distribution(net, y, outputs)
        log_total = np.logaddexp.reduce(a, axis=1, keepdims=True)
        return target * (log_total - a) / batch, (np.exp(a - log_total) - target) / batch
    distance = a - y
    if net["loss"] == "half_mse":
        return 0.5 * distance ** 2 / batch, distance / batch
    if net["loss"] == "mse":
        return distance ** 2 / a.size, 2.0 * distance / a.size
    if net["loss"] == "huber":
        delta = as_float32(net["huber_delta"])
        clipped = np.clip(distance, -delta, delta)
        # d·clip(d) - clip(d)²/2 is d²/2 inside and delta (|d| - delta/2) outside
        return (distance * clipped - 0.5 * clipped ** 2) / a.size, clipped / a.size
    # bce_with_logits: -y log s(a) - (1-y) log s(-a)
    return (y * np.logaddexp(0.0, -a) + (1.0 - y) * np.logaddexp(0.0, a)) / a.size, (sigmoid(a) - y) / a.size


Names = namedtuple("Names", "weight bias gamma beta mean var")


def names_of(blocks):
    """The tensors of each block under their names in a torch.nn.Sequential, None where there is none."""
    names = []
    for block, at in zip(blocks, linear_positions(blocks)):
        norm = [f"{at + 1}.{kind}" if block.norm else None for kind in ("weight", "bias")]
        running = [f"{at + 1}.running_{kind}" if block.norm == "bn" else None for kind in ("mean", "var")]
        names.append(Names(f"{at}.weight", f"{at}.bias" if block.bias else None, *norm, *running))
    return names


class Norm:
    """xhat of one batch or layer norm, and how its statistics came about."""

    def __init__(self, block, u, running=None):
        self.u, self.axis = u, 0 if block.norm == "bn" else 1
        self.members = u.shape[self.axis]
        if running is None:
            self.mean, self.var = u.mean(axis=self.axis, keepdims=True), u.var(axis=self.axis, keepdims=True)
        else:
            self.mean, self.var = running
        self.inv_std = (self.var + EPSILON) ** -0.5
        self.xhat = (u - self.mean) * self.inv_std

    def backward(self, g):
        """dL/du from g = dL/dxhat: g without its components along 1 and, but for epsilon, along xhat."""
        along_one = g.mean(axis=self.axis, keepdims=True)
        along_xhat = (g * self.xhat).mean(axis=self.axis, keepdims=True)
        return self.inv_std * (g - along_one - self.xhat * along_xhat)

    def rounding(self, gamma, beta):
        """How far y may be off: two sums of n terms, of the size of |u| for the mean, and NORM_ROUNDINGS operations."""
        size = np.abs(self.u) + np.abs(self.u).mean(axis=self.axis, keepdims=True)
        scaled = np.abs(gamma) * (self.inv_std * size + np.abs(self.xhat)) + np.abs(beta)
        return (self.members + NORM_ROUNDINGS) * UNIT * scaled


class Network:
    """What stays the same while weights move: blocks, names, dropout masks (None: evaluation)."""

    def __init__(self, net, training=True):
        self.net, self.training = net, training
        self.blocks = parse_layers(net["layers"])
        self.names = names_of(self.blocks)
        self.masks = dropout_masks(self.blocks, net.get("seed", 0), net["batch"]) if training else None

    def mask(self, layer):
        mask = self.masks[layer] if self.training else None
        return 1.0 if mask is None else mask


class Run:
    """One forward pass: what each layer saw, the loss, and which branches were taken."""

    def __init__(self, network, x, y, weights):
        net, blocks = network.net, network.blocks
        self.z, self.a, self.slopes, self.norms, self.outputs = [], [], [], [], [x]
        for layer, (block, names) in enumerate(zip(blocks, network.names)):
            z = np.einsum("bi,oi->bo", self.outputs[-1], weights[names.weight])
            if names.bias:
                z = z + weights[names.bias]
            norm = None
            if block.norm:
                stored = block.norm == "bn" and not network.training
                norm = Norm(block, z, (weights[names.mean], weights[names.var]) if stored else None)
                z = weights[names.gamma] * norm.xhat + weights[names.beta]
            a, slope = activate(block, z)
            out = a * network.mask(layer)
            if block.skip is not None:
                out = out + self.outputs[block.skip]
            for kept, value in zip((self.z, self.a, self.slopes, self.norms, self.outputs),
                                   (z, a, slope, norm, out)):
                kept.append(value)
        self.terms, self.d_outputs = loss_terms(net, self.outputs[-1], y)
        self.loss = float(self.terms.sum())
        self.branches = [z > 0.0 for block, z in zip(blocks, self.z) if block.activation in KINKED]
        if net["loss"] == "huber":
            self.branches.append(np.abs(self.outputs[-1] - y) > as_float32(net["huber_delta"]))

    def same_branches(self, other):
        return all(np.array_equal(mine, theirs) for mine, theirs in zip(self.branches, other.branches))


def backward(run, network, weights):
    """Gradients by name, and a first-order bound on the rounding error of the loss.

    An error e in z of one layer moves the loss by delta·e, one in a by d_a·e. A sum of I products and a bias is off by
    at most (I+1) u (|x||w| + |b|); an activation by ACTIVATION_ROUNDINGS u (|a| + |z|); a norm by Norm.rounding;
    dropout and skip by 4 u of the output; the sum of n loss terms, of four roundings each and of the outputs' own size,
    by (n+4) u (sum |term| + sum |d_outputs · a|).
    """
    gradients = {}
    final = run.outputs[-1]
    error = (run.terms.size + 4) * UNIT * float(np.abs(run.terms).sum() + np.abs(run.d_outputs * final).sum())
    d_out = [np.zeros_like(output) for output in run.outputs[:-1]] + [run.d_outputs]
    for layer in reversed(range(len(network.blocks))):
        block, names, norm = network.blocks[layer], network.names[layer], run.norms[layer]
        x, z, d_layer = run.outputs[layer], run.z[layer], d_out[layer + 1]
        if block.skip is not None:
            d_out[block.skip] = d_out[block.skip] + d_layer
        if block.skip is not None or block.dropout:
            error += 4 * UNIT * float(np.sum(np.abs(d_layer * run.outputs[layer + 1])))
        d_a = d_layer * network.mask(layer)
        if block.activation != "identity":
            error += ACTIVATION_ROUNDINGS * UNIT * float(np.sum(np.abs(d_a) * (np.abs(run.a[layer]) + np.abs(z))))
        delta = d_a * run.slopes[layer]
        if norm:
            gamma, beta = weights[names.gamma], weights[names.beta]
            gradients[names.gamma], gradients[names.beta] = (delta * norm.xhat).sum(axis=0), delta.sum(axis=0)
            error += float(np.sum(np.abs(delta) * norm.rounding(gamma, beta)))
            delta = norm.backward(delta * gamma)
        size = np.abs(x) @ np.abs(weights[names.weight]).T
        if names.bias:
            size = size + np.abs(weights[names.bias])
            gradients[names.bias] = delta.sum(axis=0)
        error += (x.shape[1] + 1) * UNIT * float(np.sum(np.abs(delta) * size))
        gradients[names.weight] = np.einsum("bo,bi->oi", delta, x)
        d_out[layer] = d_out[layer] + np.einsum("bo,oi->bi", delta, weights[names.weight])
    return gradients, error


def running_statistics(run, network, weights):
    """By name, after the forward pass: the variance that goes in is the unbiased one."""
    moved = {}
    for names, norm in zip(network.names, run.norms):
        if names.mean:
            unbiased = norm.u.var(axis=0, ddof=1)
            moved[names.mean] = (1.0 - MOMENTUM) * weights[names.mean] + MOMENTUM * norm.u.mean(axis=0)
            moved[names.var] = (1.0 - MOMENTUM) * weights[names.var] + MOMENTUM * unbiased
    return moved


def difference_bound(narrow, wide, loss_error, step):
    """Bound on |narrow - derivative|, narrow = D(h), wide = D(2h).

    D(h) = L' + T + rounding with T = h² L'''/6 + O(h⁴), and rounding <= loss_error / h. Then wide - narrow is 3T up to
    O(h⁴) and 3/2 loss_error / h, so |T| <= (|wide - narrow| + 1.5 loss_error / h) / 3. Twice that leaves room for O(h⁴)
    and for second-order rounding.
    """
    rounding = loss_error / step
    return 2.0 * ((abs(wide - narrow) + 1.5 * rounding) / 3.0 + rounding)


def central_difference(evaluate, tensor, index, base):
    """D(h), D(2h) and h: the largest h whose four points stay on the branches of the unmoved network."""
    def moved(distance):
        kept = tensor[index]
        tensor[index] = kept + distance
        run, exact_distance = evaluate(), tensor[index] - kept
        tensor[index] = kept
        return run, exact_distance

    step = LARGEST_STEP
    while True:
        runs = [moved(factor * step) for factor in (-2.0, -1.0, 1.0, 2.0)]
        if all(run.same_branches(base) for run, _ in runs):
            break
        step *= 0.5
    (low2, at_low2), (low1, at_low1), (high1, at_high1), (high2, at_high2) = runs
    narrow = (high1.loss - low1.loss) / (at_high1 - at_low1)
    return narrow, (high2.loss - low2.loss) / (at_high2 - at_low2), step


class Judge:
    def __init__(self):
        self.failures, self.compared, self.differences = [], 0, 0
        # each the largest (figure, where)
        self.worst_agreement = self.worst_difference = self.worst_ratio = self.widest_bound = (0.0, "-")

    def agreement(self, label, golden, ours, largest=None):
        self.compared += 1
        largest = np.abs(golden).max() if largest is None else largest
        error = np.abs(golden - ours).max() / largest if largest > 0.0 else math.inf
        self.worst_agreement = max(self.worst_agreement, (error, label))
        if not error <= AGREEMENT:
            self.failures.append(f"{label}: differs by {error:.3g} of the largest entry, limit {AGREEMENT:.0e}")

    def difference(self, label, golden, largest, narrow, bound):
        self.differences += 1
        error = abs(golden - narrow)
        share = 1.0 / largest if largest > 0.0 else math.inf
        self.worst_difference = max(self.worst_difference, (error * share, label))
        self.worst_ratio = max(self.worst_ratio, (error / bound, label))
        self.widest_bound = max(self.widest_bound, (bound * share, label))
        if not error <= bound:
            self.failures.append(f"{label}: golden {golden:.17g}, central difference {narrow:.17g}, bound {bound:.3g}")
        if not bound <= DULLEST_BOUND * largest:
            self.failures.append(f"{label}: bound {bound:.3g} proves nothing about gradients of {largest:.3g}")


def load(folder, net):
    """x and y as stored, weights in double, golden gradients."""
    x, y = load_npy(os.path.join(folder, "x.npy")), load_npy(os.path.join(folder, "y.npy"))
    weights, _ = load_safetensors(os.path.join(folder, "weights.safetensors"))
    golden, _ = load_safetensors(os.path.join(folder, "grads.safetensors"))
    assert x.dtype == np.float32 and x.shape == (net["batch"], net["inputs"]) and x.flags.c_contiguous, "x.npy"
    assert y.dtype in (np.int64, np.float32) and y.shape[0] == net["batch"], "y.npy"
    assert all(w.dtype == np.float32 for w in weights.values()), "weights.safetensors"
    assert all(g.dtype == np.float64 for g in golden.values()), "grads.safetensors"
    assert golden["loss"].shape == (1,) and set(golden) == set(weights) | {"loss"}, "names"
    assert all(golden[name].shape == weights[name].shape for name in weights), "shapes"
    return x, y, {name: w.astype(np.float64) for name, w in weights.items()}, golden


def check(net, folder, judge):
    x, y, weights, golden = load(folder, net)
    if y.dtype == np.float32:
        y = y.astype(np.float64)
    x = x.astype(np.float64)
    network = Network(net)
    assert set(weights) == {name for names in network.names for name in names if name}, "parameter names"

    base = Run(network, x, y, weights)
    gradients, loss_error = backward(base, network, weights)
    judge.agreement(f"{net['name']} loss", golden["loss"], np.array([base.loss]))
    for name, statistic in running_statistics(base, network, weights).items():
        judge.agreement(f"{net['name']} {name}", golden[name], statistic)
    if net.get("evaluation"):
        outputs = load_npy(os.path.join(folder, "outputs.npy"))
        judge.agreement(f"{net['name']} outputs", outputs, Run(Network(net, False), x, y, weights).outputs[-1])
    random = np.random.RandomState(20)
    dead = dead_biases(network.blocks)
    for name, gradient in gradients.items():
        weight = name.replace("bias", "weight") if name in dead else name
        largest = np.abs(golden[weight]).max()
        judge.agreement(f"{net['name']} {name}", golden[name], gradient, largest)
        for flat in random.permutation(gradient.size)[:ENTRIES]:
            index = np.unravel_index(flat, gradient.shape)
            narrow, wide, step = central_difference(lambda: Run(network, x, y, weights), weights[name], index, base)
            bound = difference_bound(narrow, wide, loss_error, step)
            label = f"{net['name']} {name}{[int(i) for i in index]}"
            judge.difference(label, golden[name][index], largest, narrow, bound)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default=HERE)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    manifest = []
    for name in MANIFESTS:
        if os.path.exists(os.path.join(arguments.dir, name)):
            with open(os.path.join(arguments.dir, name), encoding="utf-8") as file:
                manifest += json.load(file)
    judge = Judge()
    for net in manifest:
        check(net, os.path.join(arguments.dir, net["name"]), judge)
        if arguments.verbose:
            print(f"{net['name']}: worst so far {judge.worst_agreement[0]:.2e}, {judge.worst_ratio[0]:.2f} of bound")
    print(f"{len(manifest)} networks, {judge.compared} tensors: largest disagreement %.2e (%s)" % judge.worst_agreement)
    print(f"{judge.differences} central differences: largest error %.2e of the tensor's largest entry (%s)"
          % judge.worst_difference)
    print("   largest error over its bound %.2f (%s)" % judge.worst_ratio)
    print("   widest bound %.2e of the tensor's largest entry (%s)" % judge.widest_bound)
    for failure in judge.failures:
        print(f"FAIL {failure}")
    # no network judged is no proof
    return 0 if manifest and not judge.failures else 1


if __name__ == "__main__":
    raise SystemExit(main())
