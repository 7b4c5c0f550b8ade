"""outcome.py: what came of the tests of one program: counts, names of those that failed, reasons of those skipped."""
import json
import pathlib


class Outcome:
    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failures = []  # [test, why]
        self.skips = []  # [test, reason]

    @property
    def failed(self):
        return len(self.failures)

    @property
    def total(self):
        return self.passed + self.failed + len(self.skips)

    def fail(self, test, why="failed"):
        self.failures.append([test, why])

    def skip(self, test, reason):
        self.skips.append([test, reason])

    def finish(self, folder):
        """Prints the outcome, keeps it as FOLDER/NAME.json where a folder is given, and returns the exit status."""
        for test, reason in self.skips:
            print(f"SKIPPED {self.name} {test}: {reason}")
        for test, why in self.failures:
            print(f"FAILED {self.name} {test}: {why}")
        print(f"{self.name}: {self.passed} passed, {self.failed} failed, {len(self.skips)} skipped")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            self.keep(pathlib.Path(folder, f"{self.name}.json"))
        return 1 if self.failures else 0

    def keep(self, path):
        path.write_text(json.dumps(vars(self)))

    @classmethod
    def load(cls, path):
        outcome = cls(path.stem)
        vars(outcome).update(json.loads(path.read_text()))
        return outcome
