#!/usr/bin/python3
"""Judge the golden files without PyTorch: numpy in double, formulas of its own, and central differences.

usage: check_golden.py [--dir DIR] [--verbose]        exit 0: all agree, 1: one does not

1. Loss and every gradient tensor: max |golden - ours| <= 1e-12 max |golden|.
2. A few entries of each tensor against (L(w+h) - L(w-h)) / 2h, judged by the bound derived at `difference_bound`.
Activations and losses are written here in other forms than in PyTorch and in the library (tanh instead of exp for the
sigmoid, log-sum-exp for softplus, erf from math.erf), so that a shared mistake is unlikely.
"""
import argparse
import json
import math
import os

import numpy as np

from notation import as_float32, linear_positions, parse_layers
from safetensors_io import load_npy, load_safetensors

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = 2.0 ** -53          # unit roundoff of float64
AGREEMENT = 1e-12
KINKED = ("relu", "leaky_relu", "elu")
ENTRIES = 4                # per tensor, for central differences
LARGEST_STEP = 2.0 ** -12
DULLEST_BOUND = 1e-5       # a difference whose bound is wider than this share of the gradient proves nothing
ACTIVATION_ROUNDINGS = 12  # roundings of one activation, in units of |a| + |z|

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


class Run:
    """One forward pass: what each layer saw, the loss, and which branches were taken."""

    def __init__(self, net, blocks, names, x, y, weights):
        self.inputs, self.z, self.a, self.slopes = [], [], [], []
        a = x
        for block, (weight, bias) in zip(blocks, names):
            z = np.einsum("bi,oi->bo", a, weights[weight])
            if bias:
                z = z + weights[bias]
            self.inputs.append(a)
            a, slope = activate(block, z)
            self.z.append(z)
            self.a.append(a)
            self.slopes.append(slope)
        self.terms, self.d_outputs = loss_terms(net, a, y)
        self.loss = float(self.terms.sum())
        self.branches = [z > 0.0 for block, z in zip(blocks, self.z) if block.activation in KINKED]
        if net["loss"] == "huber":
            self.branches.append(np.abs(a - y) > as_float32(net["huber_delta"]))

    def same_branches(self, other):
        return all(np.array_equal(mine, theirs) for mine, theirs in zip(self.branches, other.branches))


def backward(run, blocks, names, weights):
    """Gradients by name, and a first-order bound on the rounding error of the loss.

    An error e in z of one layer moves the loss by delta·e, one in a by d_a·e. A sum of I products and a bias is off by
    at most (I+1) u (|x||w| + |b|); an activation by ACTIVATION_ROUNDINGS u (|a| + |z|); the sum of n loss terms, of
    four roundings each and of the outputs' own size, by (n+4) u (sum |term| + sum |d_outputs · a|).
    """
    gradients = {}
    error = (run.terms.size + 4) * UNIT * float(np.abs(run.terms).sum() + np.abs(run.d_outputs * run.a[-1]).sum())
    d_a = run.d_outputs
    for layer in reversed(range(len(blocks))):
        weight, bias = names[layer]
        x, z = run.inputs[layer], run.z[layer]
        if blocks[layer].activation != "identity":
            error += ACTIVATION_ROUNDINGS * UNIT * float(np.sum(np.abs(d_a) * (np.abs(run.a[layer]) + np.abs(z))))
        delta = d_a * run.slopes[layer]
        size = np.abs(x) @ np.abs(weights[weight]).T
        if bias:
            size = size + np.abs(weights[bias])
            gradients[bias] = delta.sum(axis=0)
        error += (x.shape[1] + 1) * UNIT * float(np.sum(np.abs(delta) * size))
        gradients[weight] = np.einsum("bo,bi->oi", delta, x)
        d_a = np.einsum("bo,oi->bi", delta, weights[weight])
    return gradients, error


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

    def agreement(self, label, golden, ours):
        self.compared += 1
        largest = np.abs(golden).max()
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
    blocks = parse_layers(net["layers"])
    names = [(f"{position}.weight", f"{position}.bias" if block.bias else None)
             for block, position in zip(blocks, linear_positions(blocks))]
    assert set(weights) == {name for pair in names for name in pair if name}, "parameter names"

    base = Run(net, blocks, names, x, y, weights)
    gradients, loss_error = backward(base, blocks, names, weights)
    judge.agreement(f"{net['name']} loss", golden["loss"], np.array([base.loss]))
    random = np.random.RandomState(20)
    for name, tensor in weights.items():
        judge.agreement(f"{net['name']} {name}", golden[name], gradients[name])
        largest = np.abs(golden[name]).max()
        for flat in random.permutation(tensor.size)[:ENTRIES]:
            index = np.unravel_index(flat, tensor.shape)
            narrow, wide, step = central_difference(lambda: Run(net, blocks, names, x, y, weights), tensor, index, base)
            bound = difference_bound(narrow, wide, loss_error, step)
            label = f"{net['name']} {name}{[int(i) for i in index]}"
            judge.difference(label, golden[name][index], largest, narrow, bound)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default=HERE)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    with open(os.path.join(arguments.dir, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
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
