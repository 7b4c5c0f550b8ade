"""survivors.py: reads survivors.txt, the mutants that no test kills, with the reason.

Entries are blocks of lines with an empty line between them: FILE FUNCTION OPERATOR NUMBER, the line of code that is
changed, and `equivalent: reason` or `unseen: reason`, which may go over several lines. NUMBER counts the operator's places
in this line (and in equal lines) of the function. The line's text, not its number, so that the list outlives other changes.
"""
import re

VERDICTS = ("equivalent", "unseen")


def read_survivors(path):
    """{(file, function, operator, line, number): (verdict, reason)}"""
    known = {}
    text = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    for block in re.split(r"\n\s*\n", text.strip()):
        if not block:
            continue
        head, line, *rest = [part.strip() for part in block.splitlines()]
        file, function, operator, numbers = head.split()
        verdict, _, reason = " ".join(rest).partition(": ")
        if verdict not in VERDICTS or not reason:
            raise ValueError(f"{path}: `{head}` says neither of {VERDICTS}, with a reason")
        for number in numbers.split(","):
            known[(file, function, operator, line, int(number))] = (verdict, reason)
    return known
