"""The counters of docs/performance.md are those that cuemu counts: they can't go stale."""
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BP_BINARY_DIR", ROOT / "build"))


class Counters(unittest.TestCase):
    def test_of_the_page_are_what_a_step_on_cuemu_counts(self):
        for needed in ("libbackprop_cuda.so", "tests/cuemu/cuemu-run", "cli/backprop"):
            if not (BUILD / needed).exists():
                self.skipTest(f"this build has no {needed}")
        done = subprocess.run([sys.executable, ROOT / "scripts/cuda-counters", "--check", "--build", BUILD], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
