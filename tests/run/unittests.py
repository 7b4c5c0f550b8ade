#!/usr/bin/env python3
"""unittests.py: runs the Python tests of a folder (test_*.py) and counts them as criterion.py counts those in C.

usage: unittests.py [--results FOLDER] NAME FOLDER
"""
import argparse
import sys
import unittest

from outcome import Outcome


class Recorder(unittest.TextTestResult):
    """Counts sub-tests that fail as failures of their own."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    parser = argparse.ArgumentParser(description="run the Python tests of a folder")
    parser.add_argument("--results")
    parser.add_argument("name")
    parser.add_argument("folder")
    options = parser.parse_args()
    suite = unittest.TestLoader().discover(options.folder, "test_*.py")
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Recorder).run(suite)
    outcome = Outcome(options.name)
    outcome.passed = result.passed
    for test, _ in result.failures + result.errors:
        outcome.fail(test.id())
    for test in result.unexpectedSuccesses:
        outcome.fail(test.id(), "passed though it is marked as failing")
    for test, reason in result.skipped:
        outcome.skip(test.id(), reason or "")
    for test, reason in [skip for skip in outcome.skips if not skip[1]]:
        outcome.fail(test, "skips without a reason")
    if outcome.total == 0:
        outcome.fail("the folder", "holds no test")
    return outcome.finish(options.results)


if __name__ == "__main__":
    sys.exit(main())
