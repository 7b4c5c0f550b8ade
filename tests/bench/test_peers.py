"""The peers' driver: its protocol, its aims, and a whole run of the smallest network where PyTorch is installed."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tools import BENCHMARKS, load_script

sys.path[:0] = [str(BENCHMARKS / "peers"), str(BENCHMARKS)]
import process
import tables

run = load_script("peers/run")
BUILD = pathlib.Path(os.environ.get("BP_BINARY_DIR", "/nowhere"))
ECHO = "import sys\nprint('ready', flush=True)\nfor line in sys.stdin: print(line.strip() * 2, flush=True)"


class Workers(unittest.TestCase):
    def test_answers_line_by_line(self):
        worker = process.Worker([sys.executable, "-c", ECHO])
        self.assertEqual([worker.ask("ab"), worker.ask("c")], ["abab", "cc"])
        worker.close()
        self.assertEqual(worker.process.returncode, 0)

    def test_a_program_that_does_not_begin_or_ends_is_told(self):
        with self.assertRaisesRegex(process.Gone, "in place of 'ready'"):
            process.Worker([sys.executable, "-c", "print('hello')"])
        worker = process.Worker([sys.executable, "-c", "print('ready', flush=True)"])
        with self.assertRaises(process.Gone):
            worker.ask("step 1")
        worker.close()

    def test_peak_begins_anew(self):
        if process.peak_reset() is None:
            self.skipTest("this system does not reset the peak")
        before = process.peak_reset()
        del (lambda: bytearray(64 << 20))()[:1]
        self.assertGreater(process.peak_bytes() - before, 60 << 20)
        self.assertLess(process.peak_bytes() - process.peak_reset(), 80 << 20)


class Driver(unittest.TestCase):
    def test_aims_are_marked_where_they_are_missed(self):
        self.assertEqual(run.aim(1.02, 1.03, False), "<= 1.03 ")
        self.assertEqual(run.aim(1.04, 1.03, False), "<= 1.03!")
        self.assertEqual(run.aim(float("nan"), 1.03, False), "<= 1.03!")
        self.assertEqual(run.aim(1.2, 1.25, True), ">= 1.25!")
        self.assertEqual(run.aim(1.3, 1.25, True), ">= 1.25 ")
        self.assertEqual(run.aim(1.0, 0, True), "")

    def test_openblas_chooses_for_itself(self):
        os.environ["OPENBLAS_CORETYPE"], os.environ["OPENBLAS_L2_SIZE"] = "Haswell", "1"
        environment = run.pytorch_environment(2)
        self.assertFalse({"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & set(environment))
        self.assertEqual(environment["OMP_NUM_THREADS"], "2")

    def test_both_optimisers_run_on_the_first_two(self):
        self.assertEqual(run.plan("abc", "both"), [("a", "sgd"), ("b", "sgd"), ("c", "sgd"), ("a", "adamw"), ("b", "adamw")])
        self.assertEqual(run.plan("abc", "adamw"), [(case, "adamw") for case in "abc"])

    @unittest.skipUnless((BUILD / "benchmarks/bench_peer").exists(), "no built benchmarks are given by BP_BINARY_DIR: run by ctest")
    def test_a_whole_run_of_the_smallest_network(self):
        if not run.find_pythons(None):
            self.skipTest("no python3 here has torch and numpy")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "figures.json")
            done = subprocess.run([BENCHMARKS / "peers/run", "--build", BUILD, "--seconds", "0.1", "--only", "8:tanh", "--threads",
                                   "1", "--optimizer", "sgd", "--json", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, check=False)
            if "not optimised" in done.stderr or "assertions" in done.stderr:
                self.skipTest("this build is not timed")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(path.read_text())
        self.assertIn("4-8:tanh,3", done.stdout)
        self.assertRegex(tables.peers(report), r"\| 4-8:tanh,3 \| 1 \| sgd \| [\d.]+ [mun]?s \| [\d.]+ ± \d+ % \| [\d.]+ ± \d+ % \|")
        figures = {entry["name"].split("/")[0]: entry for entry in report["benchmarks"]}
        step = figures["peer step"]
        self.assertIn("peer products", figures)
        self.assertTrue(any(name.startswith("peer pytorch") for name in figures))
        self.assertGreater(step["pytorch_over_step"], 0)
        self.assertTrue(0 < step["gradients_of_allowed"] <= 1, "gradients were compared, and agree")


class WrongGradients(unittest.TestCase):
    def test_end_the_contest(self):
        contest = run.Contest({"inputs": 1, "layers": "1", "loss": "mse", "batch": 1}, "sgd", None, tempfile.gettempdir())

        class Said:
            def __init__(self, answer):
                self.answer = answer

            def ask(self, line):
                return self.answer
        with tempfile.TemporaryDirectory() as contest.folder:
            pathlib.Path(contest.folder, "g.safetensors").touch()
            self.assertEqual(contest.check_gradients(Said("0.5")), 0.5)
            for answer in ("1.5", "nan", "inf"):
                with self.assertRaisesRegex(run.Gone, "differ"):
                    contest.check_gradients(Said(answer))


if __name__ == "__main__":
    unittest.main()
