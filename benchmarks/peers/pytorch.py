#!/usr/bin/env python3
"""pytorch.py: PyTorch's side of a comparison: the network, data and training step that bench_peer runs, at the settings
that suit PyTorch best.

usage: pytorch.py INPUTS LAYERS LOSS OPTIMIZER BATCH DEVICE PRECISION THREADS FOLDER

Writes x.npy, y.npy and w.safetensors into FOLDER where they are not there yet, and reads them. Then answers each line of
standard input by one line: `variants`; `step VARIANT K`: K steps after K/4 + 1 that warm up (K > 1), in seconds for one;
`check FILE`: how far the gradients of FILE are off, over what rounding allows; `memory`; `version`.
"""
import contextlib
import os
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/golden"))
from notation import parse_layers  # noqa: E402
from safetensors_io import load_npy, load_safetensors, save_npy, save_safetensors  # noqa: E402
from torch_network import build_loss, build_sequential  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import process  # noqa: E402

SMALL_TERMS = 2e7  # of a product over all layers: some milliseconds
INPUT_ROUNDING = {"f32": 2.0 ** -24, "tf32": 2.0 ** -11, "bf16": 2.0 ** -8}


class Subject:
    def __init__(self, inputs, layers, loss, optimizer, batch, device, precision, folder):
        self.layers, self.optimizer_name, self.batch, self.threads = layers, optimizer, batch, torch.get_num_threads()
        self.device, self.precision = torch.device(device), precision
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        self.model = build_sequential(inputs, layers)
        self.files(inputs, loss, pathlib.Path(folder))
        self.model.to(self.device)
        self.loss = build_loss(loss)
        self.peak_bytes = 0

    def files(self, inputs, loss, folder):
        """What both sides start from. A learning step that is small keeps random targets from blowing up."""
        random = np.random.RandomState(1)
        outputs = parse_layers(self.layers)[-1].units
        if not (folder / "w.safetensors").exists():
            for module in self.model:
                if isinstance(module, nn.Linear):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            save_npy(folder / "x.npy", self.draw(inputs, random))
            if loss == "softmax_cross_entropy":
                save_npy(folder / "y.npy", random.randint(0, outputs, self.batch).astype(np.int64))
            else:
                save_npy(folder / "y.npy", random.random_sample((self.batch, outputs)).astype(np.float32))
            save_safetensors(folder / "w.safetensors",
                             {name: value.numpy() for name, value in self.model.state_dict().items()})
        weights, _ = load_safetensors(folder / "w.safetensors")
        self.model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
        self.x = torch.from_numpy(load_npy(folder / "x.npy")).to(self.device)
        self.y = torch.from_numpy(load_npy(folder / "y.npy")).to(self.device)

    def draw(self, inputs, random):
        """Samples in [-0.5, 0.5), drawn anew where a unit stands so near to a kink that rounding decides on its side."""
        x = np.empty((self.batch, inputs), np.float32)
        wanted = np.arange(self.batch)
        while len(wanted):
            x[wanted] = random.random_sample((len(wanted), inputs)).astype(np.float32) - np.float32(0.5)
            wanted = wanted[self.near_kink(torch.from_numpy(x[wanted])).numpy()]
        return x

    @torch.no_grad()
    def near_kink(self, x):
        """Which samples have a sum of a hidden layer within rounding of 0.

        A sum z of n terms in f32 is off by a random walk over its partial sums: sqrt(n / 6) u std(z), where std(z) is
        |h| |w| / sqrt(n), once for each layer so far. Eight times that is met once in 10^14 sums."""
        values, depth = x.double(), 0
        near = torch.zeros(len(x), dtype=torch.bool)
        for module in self.model:
            if isinstance(module, nn.Linear):
                depth, weight = depth + 1, module.weight.double()
                off = values.norm(dim=1, keepdim=True) * weight.norm(dim=1) * (8 * depth * 2.0 ** -24 / 6 ** 0.5)
                values = nn.functional.linear(values, weight, module.bias.double())
                if module is not self.model[-1]:
                    near |= (values.abs() <= off).any(dim=1)
            else:
                values = module(values)
        return near

    def rounding(self):
        """bf16 is PyTorch's autocast: weights and their update in f32, as ours."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def forward_backward(self, model):
        with self.rounding():
            loss = self.loss(model(self.x), self.y)
        loss.backward()

    def make_optimizer(self, **how):
        if self.optimizer_name == "sgd":
            return torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, **how)
        return torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.0, **how)

    # ------------------------------------------------------------ the ways to run a step

    def eager(self, model=None, **how):
        optimizer = self.make_optimizer(**how)
        model = model or self.model
        parameters = list(self.model.parameters())

        def step():
            optimizer.zero_grad(set_to_none=True)
            self.forward_backward(model)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        return step

    def foreach(self):
        return self.eager(foreach=True)

    def plain(self):
        return self.eager(foreach=False)

    def compiled(self):
        """The whole step: forward, backward and clipping compiled, then the optimiser's fused update."""
        return self.eager(model=torch.compile(self.model), **self.fused())

    def fused(self):
        return {"fused": True} if self.device.type == "cuda" else {"foreach": True}

    def graph(self):
        """The step as one CUDA graph, which wants gradients to stay where they are."""
        how = {"capturable": True} if self.optimizer_name != "sgd" else {}
        optimizer = self.make_optimizer(foreach=True, **how)
        parameters = list(self.model.parameters())

        def once():
            optimizer.zero_grad(set_to_none=False)
            self.forward_backward(self.model)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                once()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            once()
        return graph.replay

    def variants(self):
        """Those that this PyTorch has and that run, with their threads; the reason of each other on standard error."""
        made = {}
        names = ["plain", "foreach"] + (["compiled"] if hasattr(torch, "compile") else [])
        names += ["graph"] if self.device.type == "cuda" else []
        for name in names:
            try:
                step = getattr(self, name)()
                step()
                self.wait()
                made[name] = step
            except Exception as error:  # a variant that a version lacks must not end the others
                print(f"pytorch.py: no {name}: {error}", file=sys.stderr)
        return {name: (step, self.threads) for name, step in made.items()} | self.on_one_thread(made)

    def on_one_thread(self, made):
        """Small networks may be faster so."""
        terms = self.batch * sum(parameter.numel() for parameter in self.model.parameters())
        if self.device.type != "cpu" or self.threads == 1 or terms > SMALL_TERMS:
            return {}
        return {f"{name}@1": (step, 1) for name, step in made.items()}

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    # ------------------------------------------------------------ answers

    def first_steps(self):
        step = self.plain()
        for _ in range(2):
            step()
        self.wait()

    def measure_memory(self):
        """Bytes that the first steps of the plain variant take beyond model and data."""
        self.first_steps()  # what the libraries load and allocate once in a process is not what training takes
        self.model.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        else:
            before = process.peak_reset()
        self.first_steps()
        after = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else process.peak_bytes()
        self.peak_bytes = after - before if before is not None else 0

    def check(self, path):
        """Largest |ours - PyTorch's| in the Frobenius norm over PyTorch's norm, over what rounding allows.

        A sum of n products is off by n u of its terms, and each layer rounds its inputs once more: n is at most the
        batch and all widths together, u 2^-24; 4 for the two programs, and for signs that cancel."""
        ours, _ = load_safetensors(path)
        widths = sum(block.units for block in parse_layers(self.layers)) + self.x.shape[1]
        allowed = 4 * (self.batch + widths) * 2.0 ** -24
        if self.precision != "f32":
            allowed += 8 * len(parse_layers(self.layers)) * INPUT_ROUNDING[self.precision]
        self.model.zero_grad()
        self.forward_backward(self.model)
        worst = 0.0
        for name, parameter in self.model.named_parameters():
            theirs = parameter.grad.double().cpu().numpy()
            norm = np.linalg.norm(theirs)
            ratio = np.linalg.norm(ours[name].reshape(theirs.shape) - theirs) / norm / allowed if norm > 0 else np.inf
            if not ratio <= worst:  # NaN stays
                worst = ratio
        return worst

    def time(self, variant, count):
        step, threads = variant
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
        for _ in range(count // 4 + 1 if count > 1 else 0):
            step()
        self.wait()
        begin = time.perf_counter()
        for _ in range(count):
            step()
        self.wait()
        return (time.perf_counter() - begin) / count


def serve(subject, variants):
    for line in sys.stdin:
        words = line.split()
        if words[0] == "variants":
            answer = " ".join(variants)
        elif words[0] == "step":
            answer = repr(subject.time(variants[words[1]], int(words[2])))
        elif words[0] == "check":
            answer = repr(float(subject.check(words[1])))
        elif words[0] == "memory":
            answer = str(subject.peak_bytes)
        elif words[0] == "version":
            answer = f"{torch.__version__} {subject.threads} threads"
        else:
            raise SystemExit(f"pytorch.py: {line!r} is not understood")
        print(answer, flush=True)


def main(words):
    inputs, layers, loss, optimizer, batch, device, precision, threads, folder = words
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    subject = Subject(int(inputs), layers, loss, optimizer, int(batch), device, precision, folder)
    print("ready", flush=True)
    first = sys.stdin.readline().split()  # gradients are checked before a step moves the weights
    print(repr(float(subject.check(first[1]))), flush=True)
    subject.measure_memory()
    serve(subject, subject.variants())


if __name__ == "__main__":
    if len(sys.argv) != 10:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
