"""bench_ops: every operation of the contract that computes is timed, and agrees with the reference."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/docs"))
import pages

# Timed where a precision has a copy of the weights, which f32 on `cpu` has not.
WITH_COPY = {"convert_weights"}
# Known gaps, which docs/performance.md names: products with more in them, which `cuda` alone has.
NOT_TIMED = {"linear_forward_mask", "linear_weight_bias_grad"}
PROGRAM = pathlib.Path(os.environ.get("BP_BINARY_DIR", "/nowhere"), "benchmarks/bench_ops")


def bench_ops(*words):
    return subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


@unittest.skipUnless(PROGRAM.exists(), "no built benchmarks are given by BP_BINARY_DIR: run by ctest")
class Operations(unittest.TestCase):
    def timed(self, *words):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "ops.json")
            done = bench_ops("--threads", "1", "--seconds", "0.001", "--shape", "64,48,33", "--json", str(path), *words)
            if "not optimised" in done.stderr or "assertions" in done.stderr:
                self.skipTest("this build is not timed")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            report = json.loads(path.read_text())
        for entry in report["benchmarks"]:
            self.assertGreater(entry["bytes_per_second"], 0)
            self.assertGreater(entry["floor_ratio"], 0)
            self.assertEqual("flops" in entry, entry["name"].startswith("linear_"), entry["name"])
        return {entry["name"].split("/")[0].split()[0] for entry in report["benchmarks"]}

    def test_every_operation_is_timed(self):
        operations = set(pages.operations(ROOT))
        self.assertGreater(len(operations), 10)
        self.assertEqual(self.timed(), operations - WITH_COPY - NOT_TIMED)
        self.assertEqual(self.timed("--precision", "bf16", "--emulate-bf16", "convert_weights"), WITH_COPY)

    def test_wrong_words_are_usage(self):
        for words in (["--shape", "1,2"], ["--shape", "1,2,3"], ["--shape", "2,2,2x"], ["--seconds", "0"], ["--frobnicate", "1"],
                      ["--precision", "f16"], ["--json"]):
            done = bench_ops(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn("usage", done.stderr)


if __name__ == "__main__":
    unittest.main()
