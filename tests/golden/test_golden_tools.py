#!/usr/bin/python3
"""Tests of the tools beside it: the safetensors and NPY files, the notation, the table, and that the judge can fail.

usage: python3 -m unittest discover -s tests/golden -p 'test_*.py'        (numpy alone; no PyTorch)
"""
import contextlib
import io
import json
import os
import shutil
import struct
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import check_golden  # noqa: E402
from networks import NETWORKS  # noqa: E402
from networks_blocks import BLOCK_NETWORKS  # noqa: E402
from notation import ACTIVATIONS, Block, as_float32, dead_biases, linear_positions, parse_layers  # noqa: E402
from philox import dropout_mask, philox4x32  # noqa: E402
from safetensors_io import FormatError, load_npy, load_safetensors, save_npy, save_safetensors  # noqa: E402


class InTemporaryFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "file")

    def tearDown(self):
        shutil.rmtree(self.folder)


class SafetensorsTest(InTemporaryFolder):
    def write(self, header, data):
        text = json.dumps(header).encode()
        with open(self.path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text + data)

    def test_round_trip_keeps_bits_shapes_types_order_and_metadata(self):
        random = np.random.RandomState(1)
        tensors = {
            "2.weight": random.standard_normal((3, 5)).astype(np.float32),
            "0.bias": np.array([np.nan, -0.0, np.inf, 5e-324]),
            "scalar": np.array(7, dtype=np.int64),
            "empty": np.zeros((0, 4), dtype=np.float32),
            "transposed": random.standard_normal((4, 3)).T,
            "big_endian": np.arange(5, dtype=">i4"),
            "flags": np.array([True, False, True]),
        }
        save_safetensors(self.path, tensors, {"layers": "3:tanh", "quote": "\"ü\""})
        loaded, metadata = load_safetensors(self.path)
        self.assertEqual(metadata, {"layers": "3:tanh", "quote": "\"ü\""})
        # sorted by offset: an empty tensor shares its offset with the next one, so the order is that of the data
        self.assertEqual(set(loaded), set(tensors))
        self.assertEqual([n for n in loaded if n != "empty"], [n for n in tensors if n != "empty"])
        for name, array in tensors.items():
            self.assertEqual(loaded[name].shape, array.shape, name)
            self.assertEqual(loaded[name].dtype, array.dtype.newbyteorder("<"), name)
            self.assertEqual(loaded[name].tobytes(), array.astype(array.dtype.newbyteorder("<")).tobytes(), name)

    def test_layout_is_the_published_one(self):
        save_safetensors(self.path, {"a": np.array([1.0, 2.0], dtype=np.float32)})
        with open(self.path, "rb") as file:
            content = file.read()
        (length,) = struct.unpack("<Q", content[:8])
        self.assertEqual((8 + length) % 8, 0)
        self.assertEqual(json.loads(content[8:8 + length]),
                         {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
        self.assertEqual(content[8 + length:], struct.pack("<ff", 1.0, 2.0))

    def test_broken_files_are_refused(self):
        entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        broken = {
            "hole": ({"a": {**entry, "data_offsets": [4, 12]}}, b"\0" * 12),
            "overlap": ({"a": entry, "b": {**entry, "data_offsets": [4, 12]}}, b"\0" * 12),
            "length": ({"a": {**entry, "shape": [3]}}, b"\0" * 8),
            "truncated": ({"a": entry}, b"\0" * 7),
            "left over": ({"a": entry}, b"\0" * 9),
            "type": ({"a": {**entry, "dtype": "F33"}}, b"\0" * 8),
            "metadata": ({"__metadata__": {"epoch": 3}, "a": entry}, b"\0" * 8),
        }
        for case, (header, data) in broken.items():
            with self.subTest(case):
                self.write(header, data)
                with self.assertRaises(FormatError):
                    load_safetensors(self.path)
        for content in (b"", b"\0" * 7, struct.pack("<Q", 100) + b"{}", struct.pack("<Q", 2) + b"{]"):
            with self.subTest(content), self.assertRaises(FormatError):
                with open(self.path, "wb") as file:
                    file.write(content)
                load_safetensors(self.path)

    def test_a_type_without_a_name_is_refused_before_the_file_is_touched(self):
        with self.assertRaises(TypeError):
            save_safetensors(self.path, {"a": np.zeros(2, dtype=np.complex128)})
        self.assertFalse(os.path.exists(self.path))

    def test_npy_is_written_in_c_order(self):
        array = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
        save_npy(self.path + ".npy", array)
        loaded = load_npy(self.path + ".npy")
        self.assertTrue(loaded.flags.c_contiguous)
        np.testing.assert_array_equal(loaded, array)


class NotationTest(unittest.TestCase):
    def test_blocks(self):
        self.assertEqual(parse_layers("53:leaky_relu:slope=0.2:nobias,29:tanh,7"),
                         [Block(53, "leaky_relu", as_float32(0.2), False), Block(29, "tanh", as_float32(0.01), True),
                          Block(7, "identity", as_float32(0.01), True)])
        self.assertEqual(as_float32(0.2), 0.20000000298023224)

    def test_identity_counts_nothing(self):
        self.assertEqual(linear_positions(parse_layers("5:relu,4,3:identity,2:tanh,1")), [0, 2, 3, 4, 6])

    def test_norm_dropout_and_skips(self):
        blocks = parse_layers("5:relu:bn:nobias:dropout=0.3:skip,4:ln,4:skip=2:bn,3:tanh")
        self.assertEqual([block.norm for block in blocks], ["bn", "ln", "bn", ""])
        self.assertEqual([block.skip for block in blocks], [0, None, 2, None])
        self.assertEqual(blocks[0].dropout, as_float32(0.3))
        self.assertEqual(linear_positions(blocks), [0, 4, 6, 8])
        self.assertEqual(dead_biases(blocks), {"6.bias"})

    def test_unknown_words_are_refused(self):
        for layers in ("5:rleu", "5:skip=1", "5,5:skip=0", "relu", ""):
            with self.subTest(layers), self.assertRaises(ValueError):
                parse_layers(layers)


class PhiloxTest(unittest.TestCase):
    def test_known_answers_of_random123(self):
        ones, pi = [0xFFFFFFFF] * 6, [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0]
        for words, answer in (([0] * 6, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
                              (ones, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
                              (pi, "d16cfe09 94fdcceb 5001e420 24126ea1")):
            self.assertEqual(philox4x32(words[:4], words[4:]), [int(word, 16) for word in answer.split()])

    def test_mask(self):
        """Word o % 4 of block (first_row + b) ceil(O / 4) + o / 4, step and layer above it, kept from p 2^32 on."""
        seed, step, layer = 0x123456789ABCDEF, 5, 3
        mask = dropout_mask(seed, step, layer, 7, 2, 6, 0.3)
        for row in range(2):
            for column in range(6):
                counter = [(7 + row) * 2 + column // 4, 0, step << 16 | layer, 0]
                word = philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32])[column % 4]
                kept = word >= int(as_float32(0.3) * 2 ** 32)
                self.assertEqual(mask[row, column], 1.0 / (1.0 - as_float32(0.3)) if kept else 0.0)
        self.assertEqual(set(np.unique(mask == 0.0)), {False, True})


class TableTest(unittest.TestCase):
    """The promise of the README: what must occur does occur, in the table and in the committed files."""

    def test_every_activation_stands_inside_and_on_the_output(self):
        inside = {block.activation for net in NETWORKS for block in parse_layers(net.layers)[:-1]}
        outside = {parse_layers(net.layers)[-1].activation for net in NETWORKS}
        self.assertEqual(inside, set(ACTIVATIONS))
        self.assertEqual(outside, set(ACTIVATIONS))

    def test_every_loss_and_kind_of_target_occurs(self):
        kinds = {(net.loss, net.targets, net.label_smoothing) for net in NETWORKS}
        for targets in ("class", "probability"):
            for smoothing in (0.0, 0.1):
                self.assertIn(("softmax_cross_entropy", targets, smoothing), kinds)
        self.assertLessEqual({"bce_with_logits", "mse", "half_mse", "huber"}, {net.loss for net in NETWORKS})
        self.assertEqual({net.batch for net in NETWORKS}, {1, 31, 257})

    def test_every_kind_of_block_and_mixture_occurs(self):
        self.assertGreaterEqual(len(BLOCK_NETWORKS), 25)
        kinds = {(block.norm, block.dropout > 0.0, block.skip is not None)
                 for net in BLOCK_NETWORKS for block in parse_layers(net.layers)}
        self.assertLessEqual({("bn", False, False), ("ln", False, False), ("", True, False), ("", False, True),
                              ("bn", True, True), ("ln", True, True), ("bn", False, True)}, kinds)
        for norm in ("bn", "ln"):
            normed = {block.activation for net in BLOCK_NETWORKS for block in parse_layers(net.layers)
                      if block.norm == norm}
            self.assertGreaterEqual(len(normed), 7, norm)
        self.assertGreaterEqual(sum(net.evaluation for net in BLOCK_NETWORKS), 2)
        self.assertTrue(any(dead_biases(parse_layers(net.layers)) for net in BLOCK_NETWORKS))
        self.assertTrue(any(net.seed > 2 ** 32 for net in BLOCK_NETWORKS))

    def test_committed_files_are_those_of_the_tables_and_small(self):
        size = 0
        for name, networks in (("manifest.json", NETWORKS), ("manifest_blocks.json", BLOCK_NETWORKS)):
            with open(os.path.join(HERE, name), encoding="utf-8") as file:
                manifest = json.load(file)
            self.assertEqual([entry["name"] for entry in manifest], [net.name for net in networks])
            for entry, net in zip(manifest, networks):
                for key, value in entry.items():
                    self.assertEqual(value, getattr(net, key), f"{net.name} {key}")
                names = ["grads.safetensors", "weights.safetensors", "x.npy", "y.npy"]
                names += ["outputs.npy"] if entry.get("evaluation") else []
                self.assertEqual(sorted(os.listdir(os.path.join(HERE, net.name))), sorted(names), net.name)
                size += sum(os.path.getsize(os.path.join(HERE, net.name, file)) for file in names)
        self.assertLess(size, 4_000_000)
        folders = {entry.name for entry in os.scandir(HERE) if entry.is_dir() and entry.name != "__pycache__"}
        self.assertEqual(folders, {net.name for net in NETWORKS + BLOCK_NETWORKS})


class JudgeTest(InTemporaryFolder):
    """check_golden.py accepts the committed files and refuses every kind of wrong one."""

    NAME = "output_sigmoid_mse"
    MANIFEST = "manifest.json"
    LAST = "2.bias"
    WRONG = (("loss", "half_mse"), ("layers", "19:tanh,7:tanh"))

    def setUp(self):
        super().setUp()
        with open(os.path.join(HERE, self.MANIFEST), encoding="utf-8") as file:
            self.manifest = [entry for entry in json.load(file) if entry["name"] == self.NAME]
        self.write_manifest()
        shutil.copytree(os.path.join(HERE, self.NAME), os.path.join(self.folder, self.NAME))
        self.grads = os.path.join(self.folder, self.NAME, "grads.safetensors")

    def write_manifest(self):
        with open(os.path.join(self.folder, self.MANIFEST), "w", encoding="utf-8") as file:
            json.dump(self.manifest, file)

    def judge(self):
        """Exit status and what was printed."""
        output = io.StringIO()
        with mock.patch.object(sys, "argv", ["check_golden.py", "--dir", self.folder]):
            with contextlib.redirect_stdout(output):
                status = check_golden.main()
        return status, output.getvalue()

    def change_gradient(self, name, change):
        tensors, _ = load_safetensors(self.grads)
        change(tensors[name])
        save_safetensors(self.grads, tensors)

    def test_accepts_the_committed_files(self):
        status, output = self.judge()
        self.assertEqual(status, 0, output)

    def test_refuses_one_entry_off_by_two_parts_in_a_trillion(self):
        def change(tensor):
            tensor[3, 5] += 2e-12 * np.abs(tensor).max()
        self.change_gradient("0.weight", change)
        status, output = self.judge()
        self.assertEqual(status, 1)
        self.assertIn("0.weight: differs", output)

    def test_refuses_nan_and_zeros(self):
        for value in (np.nan, 0.0):
            with self.subTest(value):
                self.change_gradient(self.LAST, lambda tensor: tensor.fill(value))
                self.assertEqual(self.judge()[0], 1)

    def test_refuses_a_wrong_loss(self):
        self.change_gradient("loss", lambda tensor: tensor.__imul__(1.0 + 1e-11))
        self.assertEqual(self.judge()[0], 1)

    def test_refuses_another_loss_activation_or_no_network(self):
        for key, value in self.WRONG:
            with self.subTest(key):
                kept = self.manifest[0][key]
                self.manifest[0][key] = value
                self.write_manifest()
                self.assertEqual(self.judge()[0], 1)
                self.manifest[0][key] = kept
        self.manifest = []
        self.write_manifest()
        self.assertEqual(self.judge()[0], 1)

    def test_central_differences_alone_find_a_wrong_derivative(self):
        """The same mistake in the golden file and in the formula: only the differences can see it."""
        right = check_golden.activate

        def wrong(block, z):
            value, slope = right(block, z)
            return value, slope * (1.0 + 1e-4) if block.activation == "tanh" else slope

        def change(tensor):
            tensor *= 1.0 + 1e-4
        for name in ("0.weight", "0.bias"):
            self.change_gradient(name, change)
        with mock.patch.object(check_golden, "activate", wrong):
            status, output = self.judge()
        self.assertEqual(status, 1)
        self.assertNotIn("differs by", output)
        self.assertIn("central difference", output)


class BlockJudgeTest(JudgeTest):
    """The same for a network with norms, dropout and skips, and for what it has besides gradients."""

    NAME = "mixed_bn_dropout_skip_ce_class"
    MANIFEST = "manifest_blocks.json"
    LAST = "8.bias"
    WRONG = (("label_smoothing", 0.0), ("layers", "19:relu:bn:nobias:dropout=0.3,19:relu:bn:nobias:dropout=0.3,7"),
             ("seed", 12))

    def test_refuses_wrong_running_statistics(self):
        for name in ("1.running_mean", "5.running_var"):
            with self.subTest(name):
                self.change_gradient(name, lambda tensor: tensor.__imul__(1.0 + 1e-11))
                self.assertEqual(self.judge()[0], 1)
                self.change_gradient(name, lambda tensor: tensor.__imul__(1.0 / (1.0 + 1e-11)))

    def test_refuses_wrong_outputs_in_evaluation_mode(self):
        path = os.path.join(self.folder, self.NAME, "outputs.npy")
        outputs = load_npy(path)
        outputs[3, 2] += 1e-11 * np.abs(outputs).max()
        save_npy(path, outputs)
        status, output = self.judge()
        self.assertEqual(status, 1)
        self.assertIn("outputs: differs", output)

    def test_central_differences_alone_find_a_wrong_derivative(self):
        """The same mistake in the golden file and in the gradient of a norm."""
        right = check_golden.Norm.backward

        def change(tensor):
            tensor *= 1.0 + 1e-4
        self.change_gradient("0.weight", change)
        with mock.patch.object(check_golden.Norm, "backward",
                               lambda norm, g: right(norm, g) * (1.0 + 1e-4 * (norm.u.shape[1] == 19))):
            status, output = self.judge()
        self.assertEqual(status, 1)
        self.assertIn("0.weight[", output)
        self.assertIn("central difference", output)


if __name__ == "__main__":
    unittest.main()
