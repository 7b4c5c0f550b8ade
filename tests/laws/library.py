"""library.py: the laws of the built library, read with nm and objdump. Each takes paths and returns what breaks it."""
import pathlib
import re
import subprocess

# It never prints, exits or aborts; nor does anything that acts on the whole process of the program that links it.
PRINTS = {"printf", "vprintf", "puts", "putchar", "putc", "putchar_unlocked", "perror", "psignal", "stdout", "stderr",
          "__printf_chk", "__vprintf_chk", "psiginfo", "err", "errx", "warn", "warnx", "syslog", "error"}
ENDS = {"exit", "_exit", "_Exit", "quick_exit", "abort", "raise", "kill", "__stack_chk_fail_local", "longjmp", "atexit"}
# omp_set_num_threads is none of them: it is a setting of the calling thread, and how oneDNN is told.
PROCESS = {"setlocale", "chdir", "umask", "signal", "sigaction", "setenv", "unsetenv", "putenv", "srand", "rand",
           "srandom", "random", "omp_set_dynamic", "omp_set_nested", "dnnl_set_max_cpu_isa"}
FORBIDDEN = PRINTS | ENDS | PROCESS

# State that outlives a context, each with its reason. Constant tables live in .rodata and .data.rel.ro, and are none.
ALLOWED_STATE = {}


def output(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def never_prints_exits_or_aborts(archive):
    found, member = [], ""
    for line in output("nm", "--undefined-only", archive).splitlines():
        if line.endswith(":"):
            member = line[:-1]
        elif line.split() and line.split()[-1].split("@")[0] in FORBIDDEN:
            found.append(f"{member}: uses {line.split()[-1]}")
    return found


SYMBOL = re.compile(r"^[0-9a-f]+ .{7} (?P<section>\S+)\s+[0-9a-f]+ (?:\.hidden )?(?P<name>\S+)$")
MUTABLE = re.compile(r"^(\.data(?!\.rel\.ro)|\.bss|\.tdata|\.tbss|\*COM\*)")


def has_no_state_of_its_own(archive):
    found, member = [], ""
    for line in output("objdump", "-t", archive).splitlines():
        if ": " in line and "file format" in line:
            member = line.split(":")[0]
        match = SYMBOL.match(line)
        if match and MUTABLE.match(match["section"]) and not match["name"].startswith("."):
            if re.sub(r"\.\d+$", "", match["name"]) not in ALLOWED_STATE:
                found.append(f"{member}: {match['name']} in {match['section']}")
    return found


def exports(shared):
    return {line.split()[-1].split("@")[0] for line in output("nm", "-D", "--defined-only", shared).splitlines()}


def exports_only_bp(shared):
    return [f"{shared}: exports {name}" for name in sorted(exports(shared)) if not name.startswith("bp_")]


DECLARATION = re.compile(r"^BP_API[^;]*?\b(bp_\w+)\(", re.M)


def exports_what_the_headers_declare(shared, include):
    declared = {name for path in pathlib.Path(include).rglob("*.h") for name in DECLARATION.findall(path.read_text())}
    there = {name for name in exports(shared) if name.startswith("bp_")}
    return [f"{name} is declared but not exported" for name in sorted(declared - there)] + \
           [f"{name} is exported but not declared" for name in sorted(there - declared)]


def header_problems(header, include, command):
    """What a compiler says about a file that includes this header alone, with all warnings."""
    done = subprocess.run([*command, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{include}", "-"],
                          input=f'#include "{header}"\nint main(void) {{ return 0; }}\n', text=True,
                          stderr=subprocess.PIPE)
    return [f"{header}: {' '.join(command)}: {done.stderr}"] if done.returncode else []
