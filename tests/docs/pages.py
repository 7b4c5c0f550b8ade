"""pages.py: what the pages say about the tree, checked. Each function takes a root folder and returns what is wrong."""
import pathlib
import re

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
FOLDERS = ("benchmarks", "cli", "cmake", "docs", "examples", "host", "include", "kernels", "scripts", "tests")
PROPER = ("README.md", "CMakeLists.txt")  # whose capitals stand for themselves
MENTION = re.compile(r'\b(docs/[\w-]+\.md)(?:#([\w-]+)|, "([^"]+)")?')


def pages(root):
    root = pathlib.Path(root)
    return sorted([*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("tests/**/README.md")])


def anchor(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(page):
    return re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)


def broken_links(root):
    found = []
    for page in pages(root):
        for link in LINK.findall(FENCE.sub("", page.read_text())):
            if "://" in link or link.startswith("mailto:"):
                continue
            path, _, wanted = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                found.append(f"{page.relative_to(root)}: {link} is not there")
            elif wanted and wanted not in map(anchor, headings(target)):
                found.append(f"{page.relative_to(root)}: {link} has no such heading")
    return found


def missing_files(root):
    """Paths in backquotes, from the root or from the page. A word in capitals in a path stands for any."""
    found = []
    for page in pages(root):
        for text in CODE.findall(FENCE.sub("", page.read_text())):
            path = text.split()[0].rstrip("/")
            if path.split("/")[0] not in FOLDERS or "/" not in path or not re.fullmatch(r"[\w./*-]+", path):
                continue
            pattern = path if path.endswith(PROPER) else re.sub(r"[A-Z]{3,}(?=[._/]|$)", "*", path)
            # A program is named without the .c that it is made of.
            if not any(list(folder.glob(name)) for folder in (root, page.parent) for name in (pattern, pattern + ".c")):
                found.append(f"{page.relative_to(root)}: {path} is not there")
    return found


def wrong_mentions(root):
    """Comments that send a reader to a page, a heading or an anchor."""
    found = []
    for folder in FOLDERS:
        for path in sorted(pathlib.Path(root, folder).rglob("*")):
            if path.suffix not in (".c", ".h", ".cu", ".cuh", ".cmake", ".txt"):
                continue
            for page, wanted, heading in MENTION.findall(re.sub(r"\s*\n \*\s*", " ", path.read_text(errors="replace"))):
                target = pathlib.Path(root, page)
                if not target.exists():
                    found.append(f"{path.relative_to(root)}: {page} is not there")
                elif wanted and wanted not in map(anchor, headings(target)):
                    found.append(f"{path.relative_to(root)}: {page} has no anchor {wanted}")
                elif heading and heading not in headings(target):
                    found.append(f'{path.relative_to(root)}: {page} has no heading "{heading}"')
    return found


def list_names(root, header, name):
    """The names of an X-macro list of a public header."""
    text = pathlib.Path(root, "include/backprop", header).read_text()
    body = re.search(rf"#define {name}\(X\)((?:.*\\\n)*.*)", text)[1]
    return re.findall(r'X\(\w+, "(\w+)"', body)


# Entries that compute nothing: life, memory, order, plans, recording.
NO_ARITHMETIC = {"create", "destroy", "allocate", "release", "upload", "download", "zero", "synchronize", "lane_fork",
                 "lane_join", "workspace_bytes", "reserve", "source_prepare", "source_release", "linear_plan",
                 "linear_unplan", "linear_way", "linear_time", "step_begin", "leading_dimension", "part_rows", "memory_free", "capture_begin",
                 "capture_end", "graph_launch", "graph_release", "observe_scratch_bytes", "readback_create",
                 "readback_destroy", "readback_copy", "readback_seal", "readback_poll"}


def operations(root):
    table = re.search(r"struct bpi_ops \{(.*?)\n\};", pathlib.Path(root, "kernels/ops.h").read_text(), re.S)[1]
    return [name for name in re.findall(r"\(\*(\w+)\)\(", table) if name not in NO_ARITHMETIC]


def numerics_without_a_section(root):
    page = pathlib.Path(root, "docs/numerics.md")
    titles = {word for title in headings(page) for word in re.findall(r"\w+", title)}
    text = page.read_text()
    found = [f"no section for the operation {name}" for name in operations(root) if name not in titles]
    found += [f"no section for the activation {name}"
              for name in list_names(root, "model.h", "BP_ACTIVATION_LIST") if name not in titles]
    found += [f"nothing about {name}"
              for header, macro in (("model.h", "BP_LOSS_LIST"), ("train.h", "BP_OPTIMIZER_LIST"))
              for name in list_names(root, header, macro) if not re.search(rf"\b{name}\b", text, re.I)]
    return found
