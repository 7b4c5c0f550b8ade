#!/usr/bin/python3
"""Stands in for the backprop program where test_pytorch_interop.py tests the interop script itself.

Understands the calls that the script makes, in float32 with PyTorch, and makes one mistake where asked to.
"""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden"))
import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors_io import load_npy, load_safetensors, save_npy, save_safetensors  # noqa: E402
from torch_network import build_loss, build_sequential  # noqa: E402

def parse_arguments(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("predict", "train"))
    for word in ("--x", "--y", "--model", "--layers", "--loss", "--out", "--backend"):
        parser.add_argument(word)
    for word in ("--huber-delta", "--lr", "--clip-norm"):
        parser.add_argument(word, type=float, default=1.0)
    for word in ("--epochs", "--batch", "--seed"):
        parser.add_argument(word, type=int, default=0)
    return parser.parse_args(words)


def predict(arguments, mistake):
    tensors, metadata = load_safetensors(arguments.model)
    x = load_npy(arguments.x)
    if "input_mean" in metadata and mistake != "forgets_standardisation":
        mean, std = (np.array(json.loads(metadata[key]), dtype=np.float32) for key in ("input_mean", "input_std"))
        x = (x - mean) / std
    layers = arguments.layers or metadata["backprop_layers"]
    if mistake == "wrong_gelu":
        layers = layers.replace("gelu", "gelu_tanh").replace("gelu_tanh_tanh", "gelu_tanh")
    model = build_sequential(x.shape[1], layers)
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    with torch.no_grad():
        y = model(torch.from_numpy(x))
    if mistake == "softmax":
        y = torch.softmax(y, dim=1)
    if mistake == "nan":
        y[3, 0] = float("nan")
    if mistake == "one_row_short":
        y = y[:-1]
    save_npy(arguments.out, y.numpy())


def train(arguments, mistake):
    torch.manual_seed(arguments.seed)
    x, targets = load_npy(arguments.x), torch.from_numpy(load_npy(arguments.y))
    mean, std = x.mean(axis=0), x.std(axis=0)
    scaled = torch.from_numpy((x - mean) / std)
    model = build_sequential(x.shape[1], arguments.layers)
    criterion = build_loss(arguments.loss, 0.0, arguments.huber_delta)
    optimizer = torch.optim.SGD(model.parameters(), arguments.lr)
    for _ in range(arguments.epochs):
        for rows in torch.split(torch.randperm(len(x)), arguments.batch):
            optimizer.zero_grad()
            criterion(model(scaled[rows]), targets[rows]).backward()
            optimizer.step()
    os.mkdir(arguments.out)
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    if mistake == "transposed":
        tensors = {name: tensor.T for name, tensor in tensors.items()}
    if mistake == "misnames":
        tensors = {f"layer{name}": tensor for name, tensor in tensors.items()}
    save_safetensors(os.path.join(arguments.out, "model.safetensors"), tensors,
                     {"format": "pt", "backprop_layers": arguments.layers,
                      "input_mean": json.dumps([float(v) for v in mean]),
                      "input_std": json.dumps([float(v) for v in std])})


def main(words, mistake="none"):
    arguments = parse_arguments(words)
    {"predict": predict, "train": train}[arguments.command](arguments, mistake)


if __name__ == "__main__":
    main(sys.argv[1:])
