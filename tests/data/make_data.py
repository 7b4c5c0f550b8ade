#!/usr/bin/env python3
"""Write the small files beside this script: what NumPy, gzip and Python's csv module write, for the readers' tests.

    /usr/bin/python3 tests/data/make_data.py        # Debian: python3-numpy

The same bytes on every run. The values are simple enough that the tests compute them again: see the comments.
"""
import csv
import gzip
import json
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


def write_npy():
    base = np.arange(24).reshape(2, 3, 4)  # element i is i, or what the line says
    for name in ("float32", "float64", "uint8", "int32", "int64"):
        np.save(HERE / f"{name}.npy", base.astype(name))
    np.save(HERE / "vector.npy", np.array([3, 1, 2], dtype="int64"))
    np.save(HERE / "scalar.npy", np.float32(1.5))
    np.save(HERE / "empty.npy", np.zeros((0, 5), dtype="float32"))
    # what must be refused
    np.save(HERE / "fortran.npy", np.asfortranarray(base.reshape(6, 4).astype("float32")))
    np.save(HERE / "big_endian.npy", base.astype(">f4"))
    np.save(HERE / "half.npy", base.astype("float16"))
    np.save(HERE / "bool.npy", base.astype(bool))
    np.save(HERE / "complex.npy", base.astype("complex64"))
    np.save(HERE / "records.npy", np.zeros(3, dtype=[("a", "<f4"), ("b", "<i4")]))
    np.save(HERE / "strings.npy", np.array(["a", "b"]))
    np.savez(HERE / "archive.npz", base)
    for version in ((2, 0), (3, 0)):
        with open(HERE / f"version_{version[0]}.npy", "wb") as file:
            np.lib.format.write_array(file, base.astype("float32"), version=version)


def write_idx():
    images = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)  # pixel i is i
    labels = np.array([0, 3, 1, 2, 3], dtype=np.uint8)
    for name, array in (("images", images), ("labels", labels)):
        content = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
        content += array.tobytes()
        (HERE / f"{name}.idx").write_bytes(content)
        (HERE / f"{name}.idx.gz").write_bytes(gzip.compress(content, mtime=0))


def write_csv():
    with open(HERE / "table.csv", "w", newline="") as file:  # the csv module writes CR LF
        writer = csv.writer(file)
        writer.writerow(["length", "width, in cm", 'the "real" one', "kind"])
        for i in range(6):  # i/3 needs 17 digits
            writer.writerow([i / 3, -i * 1e-7, float(10**i), i % 3])


def write_safetensors():
    """All types that can be read, a scalar, an empty tensor and metadata; bf16 is the upper half of a float32."""
    values = np.array([1.5, -2.0], dtype="<f4")
    bf16 = (values.view("<u4") >> 16).astype("<u2")
    tensors = [("f64", "F64", [2], values.astype("<f8")), ("f32", "F32", [2, 1], values), ("f16", "F16", [1, 2],
               values.astype("<f2")), ("bf16", "BF16", [2], bf16), ("empty", "F32", [0, 3], values[:0]),
               ("scalar", "I64", [], np.array([7], dtype="<i8"))]
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, shape, array in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (HERE / "all_types.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    write_npy()
    write_idx()
    write_csv()
    write_safetensors()
