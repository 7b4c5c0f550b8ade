"""run-all's tables and picture: from figures that backprop bench writes, and from figures whose tables are known."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tools import BENCHMARKS, load_script

sys.path.insert(0, str(BENCHMARKS))
import picture
import tables

run_all = load_script("run-all")
CLI = os.environ.get("BP_CLI", "")
CONTEXT = {"date": "2026-01-02T03:04:05+0000", "processor": "x", "num_cpus": 2, "driver": "none", "library_build_type": "Release",
           "compiler": "gcc 12", "commit": "abc", "load_avg": [0.1]}


def entry(kind, width, batch, rate, backend="cpu"):
    return {"name": f"{kind}/{width}/{backend}/{batch}", "backend": backend, "precision": "f32", "width": width, "batch": batch,
            "inputs": width, "layers": f"{width}:relu,10", "depth": 2, "parameters": 5, "threads": 2, "real_time": 1e6 * batch / rate,
            "spread": 0.01, "items_per_second": rate, "flops": 2e9, "floor_ratio": 1.5, "copies_counted": kind == "step",
            "profile_us": {"products": 75.0, "update": 24.9, "loss": 0.1, "total": 100.0}}


def report(backend="cpu"):
    return {"context": dict(CONTEXT), "benchmarks": [entry(kind, width, batch, 1000.0 * batch / width, backend)
                                                     for width in (8, 64) for batch in (1, 16) for kind in ("step", "step_resident")]}


class Tables(unittest.TestCase):
    def test_the_page_has_marks_and_keeps_the_rest(self):
        page = (BENCHMARKS.parent / "docs/performance.md").read_text()
        changed = tables.between_marks(page, "new figures\n")
        self.assertIn("new figures", changed)
        self.assertTrue(changed.startswith(page.split(tables.BEGIN)[0]))
        self.assertTrue(changed.endswith(page.split(tables.END)[1]))
        self.assertEqual(tables.between_marks(changed, "new figures\n"), changed)
        with self.assertRaises(ValueError):
            tables.between_marks("a page without marks", "")

    def test_a_busy_machine_is_told(self):
        self.assertNotIn("other work", tables.conditions(CONTEXT, False))
        self.assertIn("of no use", tables.conditions({**CONTEXT, "load_avg": [1.5]}, False))
        self.assertIn("--quick", tables.conditions(CONTEXT, True))

    def test_copies_counted_and_not_stand_in_one_line(self):
        figures = report()
        figures["benchmarks"][1]["items_per_second"] = 4321.0
        line = next(line for line in tables.grid(figures).splitlines() if line.startswith("| cpu f32 | 8 | 1 |"))
        self.assertEqual(line, "| cpu f32 | 8 | 1 | 125 | 4.32 k | 2 G | 1.50 |")

    def test_no_gpu_is_told_and_a_gpu_is_not(self):
        self.assertIn("no figure of a GPU is known", tables.grid(report()))
        self.assertNotIn("no figure of a GPU", tables.grid(report("cuda")))

    def test_where_the_time_goes_most_first(self):
        self.assertEqual(tables.time_goes(entry("step", 8, 1, 1.0)), "products 75 %, update 25 %")

    def test_threads_are_told_in_times_of_one(self):
        figures = report()
        figures["benchmarks"] = [{**entry("step", 8, 16, 100.0), "threads": 1}, {**entry("step", 8, 16, 190.0), "threads": 2}]
        self.assertIn("| 1.90 |", tables.threads(figures))

    def test_paths_of_this_machine_are_not_told(self):
        figures = report()
        figures["context"]["left_out"] = [{"backend": "cuda", "precision": "f32", "reason": f"not in {tables.ROOT}/build/"}]
        self.assertIn("cuda, f32: not in build/", tables.grid(figures))


class Picture(unittest.TestCase):
    def test_has_a_panel_over_batch_and_one_over_width(self):
        text = picture.script(report(), "out.svg")
        self.assertIn("set logscale xy", text)
        self.assertIn("over the batch", text)
        self.assertIn("over the width", text)
        self.assertEqual(text.count("title 'cpu f32, width"), 2)
        self.assertEqual(text.count("\ne\n"), 8, "two panels, two values, copies counted and not")

    def test_says_why_there_is_none(self):
        self.assertIn("is not there", picture.draw("/nowhere/grid.json", "/nowhere/out.svg"))
        self.assertIsNone(picture.script({"benchmarks": []}, "out.svg"))


class Whole(unittest.TestCase):
    def test_an_unknown_part_is_usage(self):
        done = subprocess.run([BENCHMARKS / "run-all", "frobnicate"], stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no part 'frobnicate'", done.stderr)

    @unittest.skipUnless(CLI and pathlib.Path(CLI).exists(), "no built command line is given by BP_CLI: run by ctest")
    def test_what_the_command_line_writes_becomes_tables(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "grid.json")
            done = subprocess.run([CLI, "bench", "--layers", "5:relu,3", "--inputs", "4", "--batch", "2,4", "--backend", "cpu",
                                   "--threads", "1", "--seconds", "0.001", "--json", path], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True, check=False)
            if "not optimised" in done.stderr or "assertions" in done.stderr:
                self.skipTest("this build is not timed")
            self.assertEqual(done.returncode, 0, done.stderr)
            for name in ("growth", "threads"):
                pathlib.Path(folder, f"{name}.json").write_text(path.read_text())
            text = tables.markdown(folder)
            self.assertIsNotNone(picture.script(json.loads(path.read_text()), "out.svg"))
        for words in ("| 4-5,3 | 2 |", "| cpu f32 | 5 | 4 |", "### As work grows", "### Threads", "### CPU against GPU"):
            self.assertIn(words, text)


if __name__ == "__main__":
    unittest.main()
