#!/usr/bin/env python3
"""criterion.py: runs one Criterion program and says truthfully how it went.

Criterion alone does not: a program or a filter without tests exits 0, skipped tests are not counted, and what a
sanitizer finds when a test's process ends (leaks, races) fails nothing. So the results are read from the TAP report,
and every sanitizer writes into a folder where a single byte fails the program. A skip must give its reason.

usage: criterion.py [--results FOLDER] [--timeout SECONDS] [--name NAME] [--under COMMAND] PROGRAM [ARGUMENT...]
--under: a command, with its options, that the program is run by; --name: what the run is called, where one program is
run in several ways.
With BP_VALGRIND=1 in the environment the program runs under valgrind's memcheck. The counts are also written to
FOLDER/PROGRAM.json, for summary.py.
"""
import argparse
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

from outcome import Outcome

SHOWN_LINES = 60  # of each report

# Options of each sanitizer; the user's own come first. allocator_may_return_null: a test asks for more memory than
# there is and expects NULL. ignore_noninstrumented_modules: oneDNN and the OpenMP runtime are not compiled for the thread
# sanitizer; what our code does between them is, and the runtime's tool libarcher tells it about forks and barriers.
# atexit_sleep_ms: a process with a second thread waits that long at its end for races with what runs then; its own 1000
# were most of the time of the stage.
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:allocator_may_return_null=1:atexit_sleep_ms=20",
    "LSAN_OPTIONS": "",
}
VALGRIND = ["valgrind", "--quiet", "--trace-children=yes", "--leak-check=full", "--num-callers=24"]


def environment(reports):
    result = dict(os.environ)
    for name, options in SANITIZERS.items():
        log = f"log_path={reports}/{name[:4].lower()}"
        result[name] = ":".join(filter(None, [result.get(name, ""), options, log]))
    return result


def run(command, env, seconds):
    """Exit status, or None where it took too long: then its whole process group is gone."""
    process = subprocess.Popen(command, env=env, start_new_session=True)
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


TAP_LINE = re.compile(r"(?P<verdict>ok|not ok) - (?P<name>\S+)(?:\s+# SKIP (?P<reason>.*))?")
NO_REASON = "test was skipped"  # what Criterion writes for cr_skip() and .disabled


def read_tap(path, outcome):
    """Adds the tests of a report; False where it is none or is cut short."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    plan = [int(match[1]) for line in lines if (match := re.fullmatch(r"1\.\.(\d+)", line))]
    tests = [match for line in lines if (match := TAP_LINE.match(line))]
    for test in tests:
        reason = test["reason"]
        if test["verdict"] == "not ok":
            outcome.fail(test["name"])
        elif reason is None:
            outcome.passed += 1
        elif reason.strip() == NO_REASON:
            outcome.fail(test["name"], "skips without a reason: use cr_skip_test(\"why\")")
        else:
            outcome.skip(test["name"], reason.strip())
    return len(plan) == 1 and plan[0] == len(tests)


def read_reports(folder, outcome):
    """Each report belongs to one process, and so to one test: what passed with a report has failed."""
    reports = [text for path in sorted(folder.iterdir()) if (text := path.read_text(errors="replace").strip())]
    for text in reports:
        lines = text.splitlines()
        print("\n".join(lines[:SHOWN_LINES] + ([f"... {len(lines)} lines"] if len(lines) > SHOWN_LINES else [])))
    already = outcome.failed
    for number in range(already, len(reports)):
        outcome.passed -= outcome.passed > 0
        outcome.fail(f"report {number + 1}", "a sanitizer or valgrind reported what is shown above")


def judge(program, arguments, seconds, name=None, command=""):
    outcome = Outcome(name or pathlib.Path(program).name)
    with tempfile.TemporaryDirectory(prefix="criterion-") as scratch:
        tap = pathlib.Path(scratch, "report.tap")
        reports = pathlib.Path(scratch, "reports")
        reports.mkdir()
        under = shlex.split(command)
        if os.environ.get("BP_VALGRIND") == "1":
            under += VALGRIND + [f"--log-file={reports}/memcheck.%p"]
        status = run([*under, program, "-j1", f"--tap={tap}", *arguments], environment(reports), seconds)
        whole = read_tap(tap, outcome)
        read_reports(reports, outcome)
    if status is None:
        outcome.fail("the program", f"did not end within {seconds:g} s")
    elif not whole:
        outcome.fail("the program", f"ended with status {status} before its report was complete")
    elif status != 0 and not outcome.failed:
        outcome.fail("the program", f"ended with status {status} though no test failed")
    elif outcome.total == 0:
        outcome.fail("the program", "holds no test, or none that the filter matches")
    return outcome


def main():
    parser = argparse.ArgumentParser(description="run one Criterion program")
    parser.add_argument("--results")
    parser.add_argument("--timeout", type=float, default=570)
    parser.add_argument("--name")
    parser.add_argument("--under", default="")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    outcome = judge(options.program, options.arguments, options.timeout, options.name, options.under)
    return outcome.finish(options.results)


if __name__ == "__main__":
    sys.exit(main())
