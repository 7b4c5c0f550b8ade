"""sources.py: the laws of the source tree. Each is a function of a root folder that returns what breaks it, as text.

docs/architecture.md says why the laws are as they are. test_laws.py shows that each finds what breaks it.
"""
import pathlib
import re

C_STANDARD = {f"{name}.h" for name in (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic "
    "stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype").split()}
CUDA_HEADER = re.compile(r"(^|/)(cuda|cublas|curand|cudnn|cusparse|nccl|nvtx|nv/|thrust|cub/|cooperative_groups|"
                         r"device_launch_parameters|vector_types|driver_types|mma\.h)")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.M)
C_FILES = ("*.h", "*.c", "*.cu", "*.cuh")


def files(root, *folders, patterns=C_FILES):
    """All files below these folders (or the folder's own name, where it is a file)."""
    for folder in folders:
        for pattern in patterns:
            yield from sorted(pathlib.Path(root, folder).rglob(pattern))


def includes(root, *folders):
    """(file, name, quoted, path from the root where the name is one of ours, else the name itself)."""
    root = pathlib.Path(root).resolve()
    for path in files(root, *folders):
        for system, quoted in INCLUDE.findall(path.read_text()):
            name = system or quoted
            beside = (path.parent / name).resolve()
            if quoted and beside.is_file() and beside.is_relative_to(root):
                target = beside.relative_to(root).as_posix()
            elif name.startswith("backprop/"):
                target = f"include/{name}"
            else:
                target = pathlib.PurePosixPath(name).as_posix()
            yield path.relative_to(root).as_posix(), name, bool(quoted), target


def public_headers_include_only_the_standard_library(root):
    return [f"{path}: includes {name}" for path, name, quoted, target in includes(root, "include")
            if not (target.startswith("include/backprop/") if quoted else name in C_STANDARD)]


def only_the_cuda_backend_includes_cuda_headers(root):
    return [f"{path}: includes {name}"
            for path, name, _, target in includes(root, "include", "host", "kernels", "cli", "examples")
            if CUDA_HEADER.search(target) and not path.startswith("kernels/cuda/")
            and not target.startswith("kernels/")]


def backends_know_neither_the_host_nor_each_other(root):
    found = []
    for path, name, _, target in includes(root, "kernels"):
        own = path.split("/")[1]
        parts = target.split("/")
        other = len(parts) > 2 and parts[0] == "kernels" and parts[1] not in (own, "math")
        if parts[0] == "host" or other:
            found.append(f"{path}: includes {name}")
    return found


def the_reference_is_independent_of_kernels_math(root):
    return [f"{path}: includes {name}" for path, name, _, target in includes(root, "kernels/reference")
            if target.startswith(("kernels/math/", "math/"))]


def programs_use_the_public_headers_alone(root):
    return [f"{path}: includes {name}" for path, name, _, target in includes(root, "cli", "examples", "benchmarks/core")
            if target.startswith(("host/", "kernels/"))]


CONDITION = re.compile(r"^[ \t]*#[ \t]*(?:el)?if(?:n?def)?\b(?P<test>.*)$", re.M)
GUARD = re.compile(r"#\s*ifndef\s+(\w+)\s*\n\s*#\s*define\s+\1\b")
BACKEND_WORD = re.compile(r"cuda|reference|backend|_cpu|cpu_|gpu", re.I)


def no_condition_on_a_backend_outside_the_registry(root):
    """kernels/math may ask which compiler reads it (__CUDA...): the same file is C and CUDA C++. In the folder of a
    backend the words may hold its own name."""
    found = []
    for path in files(root, "include", "host", "kernels", "cli"):
        relative = path.relative_to(root).as_posix()
        if relative == "host/registry.c":
            continue
        text = GUARD.sub("", path.read_text())
        may_ask = relative.startswith(("kernels/math/", "kernels/cuda/"))
        own = re.compile(relative.split("/")[1] if relative.startswith("kernels/") else "$^", re.I)
        for match in CONDITION.finditer(text):
            words = [word for word in re.findall(r"\w+", match["test"]) if not (may_ask and word.startswith("__CUDA"))]
            if any(BACKEND_WORD.search(own.sub("", word)) for word in words):
                found.append(f"{relative}: {match[0].strip()}")
    return found


FAST_MATH = re.compile(r"-ffast-math|-Ofast|-?-use_fast_math|-funsafe-math|-fassociative-math|-freciprocal-math|"
                       r"-ffinite-math|-ffp-contract=fast|-fmad=true|fast-math\"|\"Ofast|-march=native")


def without_comments(path):
    """The text with its comments blanked and its lines kept."""
    is_c = path.suffix in (".c", ".h", ".cu", ".cuh")
    comment = re.compile(r"/\*.*?\*/|//[^\n]*" if is_c else r"#[^\n]*", re.S)
    return comment.sub(lambda match: "\n" * match[0].count("\n"), path.read_text())


def no_fast_math(root):
    """Neither in the build nor in the sources, where a pragma or an attribute could ask for it."""
    found = []
    builds = [path for pattern in ("CMakeLists.txt", "CMakePresets.json") for path in pathlib.Path(root).glob(pattern)]
    builds += files(root, "cmake", "host", "kernels", "cli", "benchmarks", "tests", "examples",
                    patterns=("CMakeLists.txt", "*.cmake", *C_FILES))
    for path in builds:
        for number, line in enumerate(without_comments(path).splitlines(), 1):
            if FAST_MATH.search(line):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()}")
    return found


def nothing_is_left_for_later(root):
    mark = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    return [f"{path.relative_to(root)}:{number}: {line.strip()}"
            for path in files(root, "include", "host", "kernels", "cli", "benchmarks", "tests", "examples", "scripts",
                              "cmake", patterns=(*C_FILES, "*.py", "*.cmake", "*.sh", "CMakeLists.txt"))
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1) if mark.search(line)]


def comments_fit_the_page(root):
    """clang-format leaves comments as they are (ReflowComments), so that their words stay at the head of their lines."""
    return [f"{path.relative_to(root)}:{number}: {len(line)} columns"
            for path in files(root, "include", "host", "kernels", "cli", "benchmarks", "tests", "examples")
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
            if len(line) > 120 and re.match(r"\s*(/?\*|//)", line)]


def kernels_say_how_they_are_launched(root):
    """ptxas then leaves a thread the registers that it may have, and what spills fails the build (kernels/cuda)."""
    return [f"{path.relative_to(root)}:{number}: {line.strip()}"
            for path in files(root, "kernels/cuda", patterns=("*.cu", "*.cuh"))
            for number, line in enumerate(without_comments(path).splitlines(), 1)
            if "__global__" in line and "__launch_bounds__" not in line]


LAWS = [
    public_headers_include_only_the_standard_library,
    only_the_cuda_backend_includes_cuda_headers,
    backends_know_neither_the_host_nor_each_other,
    the_reference_is_independent_of_kernels_math,
    programs_use_the_public_headers_alone,
    no_condition_on_a_backend_outside_the_registry,
    no_fast_math,
    nothing_is_left_for_later,
    comments_fit_the_page,
    kernels_say_how_they_are_launched,
]
