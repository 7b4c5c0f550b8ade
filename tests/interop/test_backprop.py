"""The program itself against PyTorch: weights in both directions, and the same outputs."""
import os
import subprocess
import sys
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch_interop.py")


class BackpropTest(unittest.TestCase):
    def test_exchanges_weights_with_pytorch(self):
        program = os.environ.get("BP_CLI")
        if not program:
            self.skipTest("the command line is not built")
        done = subprocess.run([sys.executable, SCRIPT, program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        if done.returncode == 77:
            self.skipTest(done.stdout.strip())
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"\b[1-9][0-9]* passed, 0 failed")


if __name__ == "__main__":
    unittest.main()
