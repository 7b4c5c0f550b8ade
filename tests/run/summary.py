#!/usr/bin/env python3
"""summary.py: adds up what the stages of scripts/test found.

usage: summary.py RECORDS stage NAME STATUS SECONDS [RESULTS]   prints and keeps one stage's count
       summary.py RECORDS total                                 prints all of them; exit status 1 where anything failed

RESULTS holds ctest.xml, and NAME.json for each ctest entry that counts its own tests; any other entry counts as one,
and so does a stage without results. A stage that fails has at least one failure, whatever was counted.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

from outcome import Outcome


def entry_outcome(case, folder):
    """One entry of ctest: its own counts where it kept them, corrected where ctest knows it failed."""
    name = case.get("name")
    counted = pathlib.Path(folder, f"{name}.json")
    outcome = Outcome.load(counted) if counted.exists() else Outcome(name)
    skipped = case.find("skipped")
    message = "" if skipped is None else skipped.get("message", "")
    if case.get("status") == "run":
        if outcome.total == 0:
            outcome.passed = 1
    elif message.startswith("SKIP_"):
        outcome.skip(name, "see its output in ctest's log")
    elif not outcome.failed:
        outcome.fail(name, message or "ctest says that it failed")
    return outcome


def stage(name, status, seconds, folder):
    outcome = Outcome(name)
    report = pathlib.Path(folder, "ctest.xml") if folder else None
    if report and report.exists():
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            one = entry_outcome(case, folder)
            outcome.passed += one.passed
            outcome.failures += [[f"{one.name} {test}", why] for test, why in one.failures]
            outcome.skips += [[f"{one.name} {test}", why] for test, why in one.skips]
    elif status == 0:
        outcome.passed = 1
    if status != 0 and not outcome.failed:
        outcome.fail(name, "the stage did not come to its end; what it said stands above")
    elif outcome.total == 0:
        outcome.fail(name, "no test ran")
    outcome.seconds = seconds
    return outcome


def total(outcomes):
    for outcome in outcomes:
        print(f"{outcome.name:<10} {outcome.passed:>5} passed {outcome.failed:>4} failed {len(outcome.skips):>4} skipped"
              f" {outcome.seconds:>5} s")
    reasons = {}
    for outcome in outcomes:
        for test, reason in outcome.skips:
            reasons.setdefault((test, reason), []).append(outcome.name)
    for (test, reason), stages in reasons.items():
        print(f"skipped in {', '.join(stages)}: {test}: {reason}")
    for outcome in outcomes:
        for test, why in outcome.failures:
            print(f"failed in {outcome.name}: {test}: {why}")
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"\n{passed} passed, {failed} failed, {sum(len(outcome.skips) for outcome in outcomes)} skipped")
    return 1 if failed or not passed else 0


def main(arguments):
    records, action, *rest = arguments
    kept = sorted(pathlib.Path(records).glob("*.json"))  # numbered, in the order of the stages
    if action == "total":
        return total([Outcome.load(path) for path in kept])
    name, status, seconds, *results = rest
    outcome = stage(name, int(status), int(seconds), results[0] if results else None)
    outcome.finish(None)
    outcome.keep(pathlib.Path(records, f"{len(kept):02}.json"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
