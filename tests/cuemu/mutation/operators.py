"""operators.py: the mutants of a CUDA file or header: each changes one place of a kernel or device function.

A barrier dropped, a comparison moved by one or turned round, += made =, an atomic made plain, a mask changed, an index
shifted, a guard dropped, a sign or a logical operator exchanged. Places are found in the text, without a parser: the
layout that clang-format gives tells an operator from a pointer.
"""
import os
import re

FUNCTION = re.compile(r"\b(?:__global__|__device__|BPI_CUDA_KERNEL|BPI_MATH_FN)\b")
NAME = re.compile(r"(?!__launch_bounds__)\b(\w+)\s*\(")


def blank(text):
    """The text with comments, strings and preprocessor lines replaced by spaces, so that places stay where they are."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def closing(text, start):
    """Index of the bracket that closes the one at start; -1 where there is none."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    depth, opening = 0, text[start]
    for i in range(start, len(text)):
        if text[i] == opening:
            depth += 1
        elif text[i] == pairs[opening]:
            depth -= 1
            if depth == 0:
                return i
    return -1


def bodies(code):
    """Name and span of the body of each kernel and device function."""
    end = 0
    for match in FUNCTION.finditer(code):
        if match.start() < end:
            continue
        brace, semicolon = code.find("{", match.end()), code.find(";", match.end())
        if brace < 0 or 0 <= semicolon < brace:
            continue
        end = closing(code, brace)
        name = NAME.search(code, match.end(), brace)
        if end > 0 and name:
            yield name.group(1), brace, end


def arguments(code, start):
    """Spans of the arguments of a call whose parenthesis opens at start, and the index behind it."""
    end, depth, spans, first = closing(code, start), 0, [], start + 1
    for i in range(start + 1, end):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if code[i] == "," and depth == 0:
            spans.append((first, i))
            first = i + 1
    return spans + [(first, end)], end + 1


def plain_atomic(text, code, match):
    spans, end = arguments(code, match.end() - 1)
    target, value = (text[a:b].strip() for a, b in spans[:2])
    if match.group(1) == "Add":
        return end, f"(*({target}) += ({value}))"
    return end, f"(*({target}) = {match.group(1).lower()}(*({target}), ({value})))"


def is_declaration(code, start):
    """A bracket in `float x[32]` or `extern __shared__ float x[]` declares; one behind a name in an expression indexes."""
    line = code[code.rfind("\n", 0, start) + 1:start]
    return re.search(r"\b(?:__shared__|__constant__|float|double|int|unsigned|char|bool|T|\w+_t|\w+<[\w, ]+>)\s+[\w\s,\[\]]*$",
                     line) is not None


def simple(pattern, replacement):
    """An operator that replaces the first group of each match."""
    expression = re.compile(pattern)

    def find(text, code, begin, end):
        for m in expression.finditer(code, begin, end):
            yield m.start(1), m.end(1), replacement(m.group(1)) if callable(replacement) else replacement
    return find


def atomics(text, code, begin, end):
    for m in re.compile(r"\batomic(Add|Max|Min)\s*\(").finditer(code, begin, end):
        stop, changed = plain_atomic(text, code, m)
        yield m.start(), stop, changed


def indices(text, code, begin, end):
    for m in re.compile(r"(?<=[\w\)\]])\[").finditer(code, begin, end):
        stop = closing(code, m.start())
        if stop > m.start() + 1 and not is_declaration(code, m.start()):
            yield m.start(), stop + 1, f"[({text[m.start() + 1:stop]}) + 1]"


def guards(text, code, begin, end):
    for m in re.compile(r"\bif\s*\(").finditer(code, begin, end):
        stop = closing(code, m.end() - 1)
        if stop > 0:
            yield m.end() - 1, stop + 1, "(true)"


OPERATORS = {
    "barrier": simple(r"(__sync(?:threads|warp)\s*\([^;]*\)|\b\w+\.sync\s*\(\s*\))\s*;", ""),
    "compare": simple(r"(?<=\s)(<=|>=|<|>)(?=\s)", {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}.get),
    "equal": simple(r"(?<=\s)(==|!=)(?=\s)", {"==": "!=", "!=": "=="}.get),
    "accumulate": simple(r"(\+=|-=|\*=)", "="),
    "atomic": atomics,
    "mask": simple(r"(?<!\w)(0x[fF]{8}u?|~0u?|\w*FULL_MASK\w*)(?!\w)", "0x7fffffffu"),
    "index": indices,
    "guard": guards,
    "sign": simple(r"(?<=[\w\)\]] )(\+|-)(?= [\w\(])", {"+": "-", "-": "+"}.get),
    "logic": simple(r"(&&|\|\|)", {"&&": "||", "||": "&&"}.get),
}


def mutants(path, only=None):
    """Dictionaries: where (file, function, operator, number among its like in the line's text), what, the whole text."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    code, lines, seen, found = blank(text), text.split("\n"), {}, []
    for function, begin, end in bodies(code):
        for name, find in OPERATORS.items():
            if only and only != name:
                continue
            for start, stop, replacement in find(text, code, begin, end):
                number = text.count("\n", 0, start)
                key = (os.path.basename(path), function, name, lines[number].strip())
                seen[key] = seen.get(key, 0) + 1
                found.append({"key": key + (seen[key],), "line": number + 1, "old": text[start:stop], "new": replacement,
                              "text": text[:start] + replacement + text[stop:]})
    return sorted(found, key=lambda m: m["line"])
