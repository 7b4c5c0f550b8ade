#!/usr/bin/python3
"""Models travel both ways between PyTorch and backprop, and give the same outputs on both sides.

usage: pytorch_interop.py BACKPROP [--backend B] [--case NAME]      BACKPROP: path of the command-line program
exit:  0 all passed, 1 a check failed, 2 usage, 77 skipped because numpy or PyTorch is missing (the reason is printed)

from_pytorch  a Sequential's state dict, saved as safetensors, goes through `backprop predict`
to_pytorch    `backprop train` writes a model; load_state_dict(strict=True) takes it, and the outputs agree

The outputs are compared with PyTorch's in double precision on the same float32 weights, within the bound on float32
rounding that `outputs_and_bound` derives.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "golden"))
SKIPPED = 77
try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"SKIP pytorch_interop: {error} (Debian: apt-get install python3-torch, and run /usr/bin/python3)")
    raise SystemExit(SKIPPED)
try:
    from safetensors.torch import load_file, save_file
except ImportError:
    # the package is not in Debian 12; without it our own reader and writer stand in
    load_file = save_file = None
from torch import nn  # noqa: E402  (after the check that it can be imported)
from notation import parse_layers  # noqa: E402
from safetensors_io import load_npy, load_safetensors, save_npy, save_safetensors  # noqa: E402
from torch_network import build_sequential  # noqa: E402

UNIT = 2.0 ** -24            # unit roundoff of float32
ACTIVATION_ROUNDINGS = 12    # of one activation in units of |a| + |z|: two functions of 2 ulp (4 units each), 4 operations
BLUNTEST_BOUND = 1e-4        # a bound wider than this share of the largest output proves nothing
TIMEOUT_S = 120

CASES = [  # name, inputs, layers, loss, option words
    ("relu_ce", 13, "37:relu,29:relu,7", "softmax_cross_entropy", []),
    ("mixed_mse", 9, "21:tanh,18:gelu,15:leaky_relu:slope=0.2,3:identity", "mse", []),
    ("smooth_bce", 11, "16:silu:nobias,12:softplus,10:elu,4:nobias", "bce_with_logits", []),
    ("output_half_mse", 8, "14:gelu_tanh,6:sigmoid", "half_mse", []),
    ("single_layer_huber", 5, "1", "huber", ["--huber-delta", "0.5"]),
]
ROWS = 101


def save_model(path, tensors):
    """A state dict as PyTorch's users save it: the tensors, and no word about layers."""
    if save_file is not None:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    else:
        save_safetensors(path, {name: tensor.numpy() for name, tensor in tensors.items()}, {"format": "pt"})


def load_model(path):
    """State dict and metadata. Our strict reader judges the file in any case."""
    tensors, metadata = load_safetensors(path)
    if load_file is not None:
        return load_file(path), metadata
    return {name: torch.from_numpy(array) for name, array in tensors.items()}, metadata


def standardise(x, metadata):
    """Inputs after the standardisation of the file's metadata, and a bound on its rounding in float32.

    (x - mean) / std is off by one rounding each of the subtraction, the reciprocal and the product, and by the rounding
    of mean and std to float32.
    """
    x = x.astype(np.float64)
    if "input_mean" not in metadata and "input_std" not in metadata:
        return x, np.zeros_like(x)
    mean, std = (np.array(json.loads(metadata[key]), dtype=np.float64) for key in ("input_mean", "input_std"))
    if mean.shape != (x.shape[1],) or std.shape != (x.shape[1],) or not (std > 0.0).all():
        raise ValueError(f"input_mean {mean.shape} and input_std {std.shape} for {x.shape[1]} inputs, std > 0 expected")
    scaled = (x - mean) / std
    return scaled, UNIT * (4.0 * np.abs(scaled) + np.abs(mean) / std)


def outputs_and_bound(model, x, error):
    """Outputs in double, and how far float32 arithmetic may be from them, to first order.

    An error e in an intermediate array t moves output o by at most sum |d o / d t| e, where the derivative knows all
    that cancels on the way (a product of norms of the layers would not, and could not tell GELU from its tanh form).
    (A ReLU within e of its kink may take the other side and move by up to e; the other terms leave ample room for it.)
    `error` is that of x; a Linear adds (I+2) u (|x||w|ᵀ + |b|), an activation ACTIVATION_ROUNDINGS u (|a| + |z|).
    """
    arrays, errors = [torch.from_numpy(x).requires_grad_()], [torch.from_numpy(error)]
    for module in model.double():
        z = arrays[-1]
        a = module(z)
        with torch.no_grad():
            if isinstance(module, nn.Linear):
                size = z.abs() @ module.weight.abs().T
                if module.bias is not None:
                    size = size + module.bias.abs()
                errors.append((module.in_features + 2) * UNIT * size)
            else:
                errors.append(ACTIVATION_ROUNDINGS * UNIT * (a.abs() + z.abs()))
        arrays.append(a)
    bound = [sum((derivative.abs() * e).sum(dim=1) for derivative, e in zip(derivatives, errors))
             for derivatives in (torch.autograd.grad(arrays[-1][:, o].sum(), arrays, retain_graph=True)
                                 for o in range(arrays[-1].shape[1]))]
    return arrays[-1].detach().numpy(), torch.stack(bound, dim=1).numpy()


class Interop:
    def __init__(self, program, backend, folder):
        self.program, self.backend, self.folder = program, backend, folder
        self.failed = 0

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def backprop(self, *words):
        """None, or what went wrong."""
        command = [self.program, *words, "--backend", self.backend]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                                  timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            return f"{words[0]}: {problem}"
        if done.returncode != 0:
            return f"{words[0]}: exit status {done.returncode}: {done.stderr.strip()[-300:]}"
        return None

    def report(self, name, problem, detail=""):
        print(f"FAIL {name}: {problem}" if problem else f"PASS {name}: {detail}")
        self.failed += problem is not None

    def compare(self, name, expected, bound, y_path):
        try:
            y = load_npy(y_path)
        except (OSError, ValueError) as problem:
            return self.report(name, f"output of predict: {problem}")
        if y.shape != expected.shape or y.dtype not in (np.float32, np.float64):
            return self.report(name, f"outputs are {y.dtype} {y.shape}, expected float32 {expected.shape}")
        error, largest = np.abs(y - expected), np.abs(expected).max()
        share = (error / bound).max()
        detail = f"largest error {error.max():.2e} of outputs up to {largest:.3g}, {share:.3f} of the bound"
        if not bound.max() <= BLUNTEST_BOUND * largest:
            return self.report(name, f"the bound {bound.max():.2e} proves nothing about outputs up to {largest:.3g}")
        return self.report(name, None if (error <= bound).all() else detail, detail)

    def from_pytorch(self, name, inputs, layers, loss, options):
        label = f"from_pytorch {name}"
        torch.manual_seed(len(name))
        model = build_sequential(inputs, layers)
        x = torch.randn(ROWS, inputs).numpy()
        x_path, model_path, y_path = (self.path(f"{name}.{end}") for end in ("x.npy", "torch.safetensors", "y.npy"))
        save_npy(x_path, x)
        save_model(model_path, model.state_dict())
        problem = self.backprop("predict", "--x", x_path, "--model", model_path, "--layers", layers, "--loss", loss,
                                *options, "--out", y_path)
        if problem:
            return self.report(label, problem)
        expected, bound = outputs_and_bound(model, x.astype(np.float64), np.zeros(x.shape))
        return self.compare(label, expected, bound, y_path)

    def to_pytorch(self, name, inputs, layers, loss, options):
        label = f"to_pytorch {name}"
        x, y = self.training_data(name, inputs, layers, loss)
        x_path, y_path, run = (self.path(f"{name}.{end}") for end in ("train.x.npy", "train.y.npy", "run"))
        save_npy(x_path, x)
        save_npy(y_path, y)
        problem = self.backprop("train", "--x", x_path, "--y", y_path, "--layers", layers, "--loss", loss, *options,
                                "--epochs", "2", "--batch", "16", "--lr", "0.01", "--clip-norm", "1", "--seed", "7",
                                "--out", run)
        if problem:
            return self.report(label, problem)
        model_path, out_path = os.path.join(run, "model.safetensors"), self.path(f"{name}.trained.y.npy")
        model = build_sequential(inputs, layers)
        fresh = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        try:
            state, metadata = load_model(model_path)
            model.load_state_dict(state, strict=True)
            scaled, error = standardise(x, metadata)
        except (OSError, ValueError, KeyError, RuntimeError) as problem:
            return self.report(label, f"{model_path}: {problem}")
        if any(torch.equal(tensor, fresh[key]) for key, tensor in model.state_dict().items()):
            return self.report(label, "load_state_dict left a tensor as it was")
        problem = self.backprop("predict", "--x", x_path, "--model", model_path, "--out", out_path)
        if problem:
            return self.report(label, problem)
        expected, bound = outputs_and_bound(model, scaled, error)
        return self.compare(label, expected, bound, out_path)

    @staticmethod
    def training_data(name, inputs, layers, loss):
        """Inputs with a mean and a scale by column, so that a standardisation forgotten on one side shows."""
        random = np.random.RandomState(len(name))
        columns, outputs = np.arange(inputs), parse_layers(layers)[-1].units
        x = ((random.random_sample((ROWS, inputs)) - 0.5) * (1.0 + columns) + 0.25 * columns).astype(np.float32)
        if loss == "softmax_cross_entropy":
            return x, random.randint(0, outputs, ROWS).astype(np.int64)
        return x, random.random_sample((ROWS, outputs)).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backprop")
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--case", choices=[case[0] for case in CASES])
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.case in (None, case[0])]
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, safetensors files by {'our own lines' if load_file is None else 'its package'}")
    with tempfile.TemporaryDirectory() as folder:
        interop = Interop(os.path.abspath(arguments.backprop), arguments.backend, folder)
        for case in cases:
            interop.from_pytorch(*case)
            interop.to_pytorch(*case)
    print(f"{2 * len(cases) - interop.failed} passed, {interop.failed} failed")
    return 1 if interop.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
