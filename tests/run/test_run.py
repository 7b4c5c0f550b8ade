"""The runner must see what Criterion overlooks. Each test builds a small program with one fault, and runs it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PROLOGUE = "#include <criterion/criterion.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
GOOD = "Test(demo, passes) { cr_assert(1); }\n"
LEAK = "Test(demo, leaks) { char *volatile p = malloc(17); p[0] = 1; p = NULL; cr_assert(1); }\n"
LEAKY_CHILD = """__attribute__((constructor)) static void child(void)
{
    if (!getenv("CHILD"))
        return;
    char *volatile p = malloc(9);
    p[0] = 1;
    p = NULL;
    exit(0);
}
"""
# Both loops touch every element from both threads, one after the other: right only because of the barrier between them.
PARALLEL = """static float data[1000], total;
Test(demo, barriers)
{
    for (int k = 0; k < 50; k++) {
#pragma omp parallel for num_threads(2)
        for (int i = 0; i < 1000; i++) data[i] += 1;
#pragma omp parallel for num_threads(2)
        for (int i = 0; i < 1000; i++) data[999 - i] += 1;
    }
    cr_assert(data[5] == 100);
}
"""
RACE = """Test(demo, races)
{
#pragma omp parallel for num_threads(2)
    for (int i = 0; i < 100000; i++) total += 1;
    cr_assert(total > 0);
}
"""


class Runner(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="runner-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def build(self, source, *flags, compiler="gcc"):
        path = self.folder / "program.c"
        path.write_text(PROLOGUE + source)
        program = self.folder / "program"
        subprocess.run([compiler, "-g", "-O1", *flags, path, HERE / "thread_sanitizer.c", "-o", program, "-lcriterion"],
                       check=True)
        return program

    def run_program(self, program, *arguments, timeout=60, **env):
        """(passed, failed, skipped), and what was said."""
        runner = [sys.executable, HERE / "criterion.py", "--results", self.folder, "--timeout", str(timeout)]
        done = subprocess.run([*runner, program, *arguments], env={**os.environ, **env}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        kept = json.loads((self.folder / "program.json").read_text())
        self.assertEqual(done.returncode, 1 if kept["failures"] else 0)
        return (kept["passed"], len(kept["failures"]), len(kept["skips"])), done.stdout

    def outcome(self, source, *flags, compiler="gcc", **options):
        return self.run_program(self.build(source, *flags, compiler=compiler), **options)

    def test_good_program_passes(self):
        counts, text = self.outcome(GOOD + "Test(demo, too) { cr_assert(1); }")
        self.assertEqual(counts, (2, 0, 0), text)

    def test_failing_test_is_counted(self):
        counts, text = self.outcome(GOOD + "Test(demo, fails) { cr_assert(0); }")
        self.assertEqual(counts, (1, 1, 0), text)

    def test_crashing_test_is_counted(self):
        counts, text = self.outcome(GOOD + "Test(demo, crashes) { *(volatile int *)0 = 1; }")
        self.assertEqual(counts, (1, 1, 0), text)

    def test_test_that_exits_with_a_status_is_counted(self):
        counts, text = self.outcome(GOOD + "Test(demo, exits) { exit(3); }")
        self.assertEqual(counts, (1, 1, 0), text)

    def test_program_that_never_starts_its_tests_fails(self):
        counts, text = self.outcome(GOOD + "__attribute__((constructor)) static void leave(void) { _exit(0); }")
        self.assertEqual(counts, (0, 1, 0), text)

    def test_skip_prints_its_reason(self):
        counts, text = self.outcome(GOOD + 'Test(demo, skips) { cr_skip_test("no device %d", 3); }')
        self.assertEqual(counts, (1, 0, 1), text)
        self.assertIn("SKIPPED program demo::skips: no device 3", text)

    def test_skip_without_a_reason_fails(self):
        counts, text = self.outcome(GOOD + "Test(demo, skips) { cr_skip(); }")
        self.assertEqual(counts, (1, 1, 0), text)

    def test_disabled_test_fails(self):
        counts, text = self.outcome(GOOD + "Test(demo, sleeps, .disabled = true) { cr_assert(1); }")
        self.assertEqual(counts, (1, 1, 0), text)

    def test_empty_program_fails(self):
        counts, text = self.outcome("")
        self.assertEqual(counts, (0, 1, 0), text)

    def test_filter_that_matches_nothing_fails(self):
        counts, text = self.run_program(self.build(GOOD), "--filter", "none/such")
        self.assertNotEqual(counts[1], 0, text)

    def test_program_that_hangs_is_ended(self):
        counts, text = self.outcome(GOOD + "Test(demo, hangs) { sleep(1000); }", timeout=2)
        self.assertEqual(counts[1], 1, text)
        self.assertIn("did not end", text)

    def test_leak_fails(self):
        counts, text = self.outcome(GOOD + LEAK, "-fsanitize=address,undefined")
        self.assertEqual(counts, (1, 1, 0), text)
        self.assertIn("LeakSanitizer", text)

    def test_leak_in_a_program_that_a_test_runs_fails(self):
        child = f"CHILD=1 {self.folder}/program >/dev/null 2>&1"
        test = f'Test(demo, runs) {{ cr_assert(system("{child}; true") == 0); }}'
        counts, text = self.outcome(GOOD + LEAKY_CHILD + test, "-fsanitize=address")
        self.assertEqual(counts, (1, 1, 0), text)

    def test_undefined_behaviour_fails(self):
        counts, text = self.outcome(GOOD + "Test(demo, shifts) { volatile int n = 40; cr_assert(1 << n | 1); }",
                                    "-fsanitize=undefined")
        self.assertEqual(counts, (1, 1, 0), text)

    def test_race_fails_and_barrier_does_not(self):
        counts, text = self.outcome(PARALLEL + RACE, "-fsanitize=thread", "-fopenmp", compiler="clang")
        self.assertEqual(counts, (1, 1, 0), text)
        self.assertIn("data race", text)
        self.assertNotIn("demo_barriers", text)

    def test_leak_fails_under_valgrind(self):
        counts, text = self.outcome(GOOD + LEAK, BP_VALGRIND="1")
        self.assertEqual(counts, (1, 1, 0), text)
        self.assertIn("definitely lost", text)

    def test_good_program_passes_under_valgrind(self):
        counts, text = self.outcome(GOOD, BP_VALGRIND="1")
        self.assertEqual(counts, (1, 0, 0), text)


class PythonTests(unittest.TestCase):
    def outcome(self, source):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "test_it.py").write_text(source)
            done = subprocess.run([sys.executable, HERE / "unittests.py", "--results", folder, "it", folder],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            kept = json.loads(pathlib.Path(folder, "it.json").read_text())
        self.assertEqual(done.returncode, 1 if kept["failures"] else 0)
        return kept["passed"], len(kept["failures"]), len(kept["skips"])

    def case(self, body):
        return f"import unittest\nclass Case(unittest.TestCase):\n    def test_good(self): pass\n    {body}\n"

    def test_counts(self):
        self.assertEqual(self.outcome(self.case("")), (1, 0, 0))
        self.assertEqual(self.outcome(self.case("def test_bad(self): self.fail()")), (1, 1, 0))
        self.assertEqual(self.outcome(self.case("def test_skips(self): self.skipTest('why')")), (1, 0, 1))

    def test_folder_that_cannot_be_read_fails(self):
        self.assertEqual(self.outcome("syntax error"), (0, 1, 0))

    def test_empty_folder_fails(self):
        self.assertEqual(self.outcome(""), (0, 1, 0))


class Summary(unittest.TestCase):
    """Three entries of ctest: one that counts its own tests, one that does not, one that failed behind its count."""
    XML = ('<testsuite><testcase name="counted" status="run"/><testcase name="plain" status="run"/>'
           '<testcase name="late" status="{late}"><failure message="{late}"/></testcase></testsuite>')

    def total(self, status, late):
        with tempfile.TemporaryDirectory() as folder:
            results, records = pathlib.Path(folder, "results"), pathlib.Path(folder, "records")
            results.mkdir(), records.mkdir()
            results.joinpath("ctest.xml").write_text(self.XML.format(late=late))
            for name in ("counted", "late"):
                results.joinpath(f"{name}.json").write_text(json.dumps(
                    {"name": name, "passed": 4, "failures": [], "skips": [["demo", "no device"]]}))
            summary = [sys.executable, HERE / "summary.py", records]
            subprocess.run([*summary, "stage", "release", str(status), "7", results], check=True,
                           stdout=subprocess.DEVNULL)
            done = subprocess.run([*summary, "total"], text=True, stdout=subprocess.PIPE)
        return done.returncode, done.stdout.splitlines()[-1]

    def test_adds_up(self):
        self.assertEqual(self.total(0, "run"), (0, "9 passed, 0 failed, 2 skipped"))

    def test_entry_that_fails_behind_its_count(self):
        self.assertEqual(self.total(8, "fail"), (1, "9 passed, 1 failed, 2 skipped"))

    def test_stage_that_fails_behind_its_entries(self):
        self.assertEqual(self.total(1, "run"), (1, "9 passed, 1 failed, 2 skipped"))


if __name__ == "__main__":
    unittest.main()
