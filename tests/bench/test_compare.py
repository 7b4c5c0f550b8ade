"""compare finds what moved by more than its spread, and nothing else; its statistics are those of the C programs."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

from tools import BENCHMARKS, load_script

sys.path.insert(0, str(BENCHMARKS))
import stats

compare = load_script("compare")


def report(figures, **context):
    return {"context": {"processor": "x", **context},
            "benchmarks": [{"name": name, "run_type": "iteration", "time_unit": unit, "real_time": time, "spread": spread}
                           for name, (time, unit, spread) in figures.items()]}


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, content):
        path = pathlib.Path(self.folder.name, name)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def run_on(self, old, new, *words):
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            status = compare.main([*words, self.write("old.json", old), self.write("new.json", new)])
        return status, out.getvalue(), errors.getvalue()

    def test_a_figure_moved_where_the_medians_differ_by_more_than_both_spreads(self):
        self.assertEqual(compare.moved((1.0, 0.04), (1.2, 0.05)), "slower")
        self.assertEqual(compare.moved((1.2, 0.05), (1.0, 0.04)), "faster")
        self.assertEqual(compare.moved((1.0, 0.1), (1.2, 0.1)), "")
        self.assertEqual(compare.moved((1.0, 0.0), (1.005, 0.0)), "", "less than a percent is of no interest")
        self.assertEqual(compare.moved((1.0, 0.0), (1.02, 0.0)), "slower")

    def test_tells_what_moved_in_any_unit(self):
        old = report({"a": (1.0, "ms", 0.01), "b": (5.0, "us", 0.01), "gone": (1, "ns", 0)})
        new = report({"a": (2000.0, "us", 0.01), "b": (5.0, "us", 0.01), "come": (1, "ns", 0)})
        status, out, _ = self.run_on(old, new)
        self.assertEqual(status, 0)
        self.assertIn("slower   2.000", out)
        self.assertNotIn(" b\n", out)
        self.assertIn("2 figures: 1 slower, 0 faster, 1 within their spread; 1 only in the first file, 1 only in the second", out)
        self.assertIn(" b\n", self.run_on(old, new, "--all")[1])

    def test_slower_fails_where_it_is_asked_to(self):
        old, new = report({"a": (1.0, "ms", 0.01)}), report({"a": (2.0, "ms", 0.01)})
        self.assertEqual(self.run_on(old, new, "--fail-slower")[0], 1)
        self.assertEqual(self.run_on(new, old, "--fail-slower")[0], 0)
        self.assertEqual(self.run_on(old, old, "--fail-slower")[0], 0)

    def test_other_machines_are_named(self):
        _, _, errors = self.run_on(report({"a": (1, "ms", 0)}), report({"a": (1, "ms", 0)}, processor="y"))
        self.assertIn("processor differs: 'x', 'y'", errors)

    def test_files_that_are_none_are_refused(self):
        good = report({"a": (1, "ms", 0)})
        for bad in ("", "[]", "{}", '{"context": {}, "benchmarks": [{"name": "a"}]}',
                    report({"a": (0, "ms", 0)}), report({"a": (float("nan"), "ms", 0)}), report({"a": (1, "weeks", 0)})):
            status, out, errors = self.run_on(good, bad)
            self.assertEqual((status, out), (2, ""))
            self.assertEqual(errors.count("\n"), 1)

    def test_statistics_are_those_of_the_harness(self):
        """The same cases as tests/test_bench_core.c."""
        self.assertEqual(stats.summarize([9, 1, 5, 3, 7]), (5, 1, 0.5 * 4 / 5))
        self.assertEqual(stats.summarize([8, 2, 4, 6]), (5, 2, 0.5 * 4 / 5))
        self.assertEqual(stats.summarize([3]), (3, 3, 0))
        self.assertEqual(stats.summarize([1] * 7 + [100]), (1, 1, 0))

    def test_times_are_told_in_a_fitting_unit(self):
        self.assertEqual([stats.seconds(value) for value in (2.0, 0.25, 3.21e-5, 4e-9)], ["2 s", "250 ms", "32.1 us", "4 ns"])


if __name__ == "__main__":
    unittest.main()
