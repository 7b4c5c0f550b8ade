#!/usr/bin/python3
"""Tests of the interop script: it passes a program that is right, and fails one that makes a mistake.

usage: python3 -m unittest discover -s tests/interop -p 'test_*.py'        (needs PyTorch; skipped without)
"""
import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "pytorch_interop.py")


def run(program, *words, python_path=""):
    """Exit status and output of the script."""
    environment = {**os.environ, "PYTHONPATH": python_path}
    done = subprocess.run([sys.executable, SCRIPT, program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env=environment, check=False)
    return done.returncode, done.stdout


class WithoutTorchTest(unittest.TestCase):
    def test_is_skipped_with_a_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            # a module of that name that cannot be imported, found before the real one
            with open(os.path.join(folder, "torch.py"), "w", encoding="utf-8") as file:
                file.write("raise ImportError('no torch on this machine')\n")
            status, output = run("/bin/true", python_path=folder)
        self.assertEqual(status, 77)
        self.assertIn("SKIP pytorch_interop: no torch on this machine", output)


@unittest.skipIf(importlib.util.find_spec("torch") is None, "PyTorch is not installed")
class InteropTest(unittest.TestCase):
    STAND_IN = os.path.join(HERE, "stand_in.py")

    def run_inside(self, mistake, case):
        """As `run`, with the stand-in called in this process: importing PyTorch anew for each call takes a second."""
        sys.path.insert(0, HERE)
        import pytorch_interop
        import stand_in

        def call(interop, *words):
            del interop
            stand_in.main(list(words), mistake)

        output = io.StringIO()
        with mock.patch.object(pytorch_interop.Interop, "backprop", call), \
                mock.patch.object(sys, "argv", [SCRIPT, "program", *(["--case", case] if case else [])]), \
                contextlib.redirect_stdout(output):
            status = pytorch_interop.main()
        return status, output.getvalue()

    def test_passes_a_program_that_is_right(self):
        status, output = self.run_inside("none", None)
        self.assertEqual(status, 0, output)
        self.assertEqual(output.count("PASS"), 10, output)
        self.assertIn("10 passed, 0 failed", output)

    def test_fails_each_mistake_where_it_shows(self):
        for mistake, case, failing in (
                ("forgets_standardisation", "relu_ce", ["to_pytorch"]),
                ("wrong_gelu", "mixed_mse", ["from_pytorch", "to_pytorch"]),
                ("softmax", "relu_ce", ["from_pytorch", "to_pytorch"]),
                ("nan", "single_layer_huber", ["from_pytorch", "to_pytorch"]),
                ("one_row_short", "smooth_bce", ["from_pytorch", "to_pytorch"]),
                ("transposed", "smooth_bce", ["to_pytorch"]),
                ("misnames", "mixed_mse", ["to_pytorch"])):
            with self.subTest(mistake):
                status, output = self.run_inside(mistake, case)
                self.assertEqual(status, 1, output)
                for direction in ("from_pytorch", "to_pytorch"):
                    self.assertEqual(f"FAIL {direction} {case}: " in output, direction in failing, output)

    def test_runs_a_program_by_its_path(self):
        status, output = run(self.STAND_IN, "--case", "single_layer_huber", "--backend", "reference")
        self.assertEqual(status, 0, output)
        self.assertIn("2 passed, 0 failed", output)

    def test_fails_a_program_that_is_missing_fails_or_writes_nothing(self):
        for program, reason in ((os.path.join(HERE, "no_such_program"), "No such file"),
                                ("/bin/false", "exit status 1"), ("/bin/true", "output of predict")):
            with self.subTest(program):
                status, output = run(program)
                self.assertEqual(status, 1, output)
                self.assertIn("FAIL from_pytorch relu_ce: ", output)
                self.assertIn(reason, output)
                self.assertNotIn("PASS", output)
                self.assertNotIn("Traceback", output)


if __name__ == "__main__":
    unittest.main()
