"""process.py: a program that answers lines by lines, and the peak memory of a process."""
import ctypes
import subprocess


class Gone(Exception):
    """The program ended, or never began."""


class Worker:
    """Speaks the protocol of bench_peer, bench_fann and pytorch.py: `ready`, then one line for each line."""

    def __init__(self, command, environment=None, errors=None):
        self.name = command[0]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                                        env=environment)
        try:
            self.expect("ready")
        except Gone:
            self.close()
            raise

    def expect(self, word):
        said = self.process.stdout.readline().strip()
        if said != word:
            raise Gone(f"{self.name} said {said!r} in place of {word!r}")

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise Gone(f"{self.name} ended before {line!r}") from error
        said = self.process.stdout.readline()
        if not said:
            raise Gone(f"{self.name} ended at {line!r}")
        return said.strip()

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(timeout=10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def _status(key):
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return None


def peak_bytes():
    return _status("VmHWM")


def peak_reset():
    """The peak begins anew; returns what is resident now, or None where this system does not allow it."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except (OSError, AttributeError):
        return None
    return _status("VmRSS")
