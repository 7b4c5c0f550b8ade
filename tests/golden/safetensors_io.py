"""Read and write safetensors and NPY files with numpy alone.

The Python package `safetensors` is not in Debian 12, so the golden files and the interop test bring these few lines.
Format: https://huggingface.co/docs/safetensors: header length (u64, little-endian), JSON header, data.
The reader refuses what the format forbids (holes, overlaps, bytes left over), so that it also judges the files we write.
"""
import json
import struct

import numpy as np

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}
NAMES = {np.dtype(numpy_name): name for name, numpy_name in DTYPES.items()}
ALIGNMENT = 8  # the header is padded with spaces so that the data starts on 8 bytes and can be mapped


class FormatError(ValueError):
    """The file is not a valid safetensors file."""


def save_safetensors(path, tensors, metadata=None):
    """Write `tensors` (name to array) in their order; `metadata` maps strings to strings."""
    header, chunks, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = {str(key): str(value) for key, value in metadata.items()}
    for name, array in tensors.items():
        # not ascontiguousarray: that makes a scalar an array of shape [1]
        array = np.asarray(array, order="C")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype not in NAMES:
            raise TypeError(f"{name}: safetensors has no name for the type {array.dtype}")
        data = array.tobytes()
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        file.writelines(chunks)


def load_safetensors(path):
    """Return (tensors, metadata): name to array in the order of the data, and a dict of strings."""
    with open(path, "rb") as file:
        content = file.read()
    if len(content) < 8:
        raise FormatError(f"{path}: {len(content)} bytes are too few for a header length")
    (length,) = struct.unpack_from("<Q", content)
    if length > len(content) - 8:
        raise FormatError(f"{path}: header of {length} bytes in a file of {len(content)}")
    try:
        header = json.loads(content[8:8 + length].decode("utf-8"))
    except ValueError as error:
        raise FormatError(f"{path}: header is not JSON: {error}") from error
    metadata = header.pop("__metadata__", {})
    if not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError(f"{path}: metadata holds a value that is not a string")
    return _tensors(path, header, content[8 + length:]), metadata


def _tensors(path, header, data):
    tensors, end_of_previous = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["dtype"] not in DTYPES:
            raise FormatError(f"{path}: {name} has the type {entry['dtype']}, which numpy lacks")
        dtype, shape = np.dtype(DTYPES[entry["dtype"]]), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        count = int(np.prod(shape, dtype=np.int64))
        if begin != end_of_previous or end - begin != count * dtype.itemsize:
            raise FormatError(f"{path}: {name} of shape {list(shape)} lies at {begin}..{end}, expected at "
                              f"{end_of_previous}..{end_of_previous + count * dtype.itemsize}")
        if end > len(data):
            raise FormatError(f"{path}: {name} ends at byte {end} of {len(data)}")
        tensors[name] = np.frombuffer(data, dtype, count, begin).reshape(shape).copy()
        end_of_previous = end
    if end_of_previous != len(data):
        raise FormatError(f"{path}: {len(data) - end_of_previous} bytes after the last tensor")
    return tensors


def save_npy(path, array):
    """Write an NPY file in C order (np.save would keep Fortran order, which the command line refuses)."""
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)


def load_npy(path):
    return np.load(path, allow_pickle=False)
