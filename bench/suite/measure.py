"""What a process and all that it starts cost: CPU, wall time, memory. Measured from outside."""

import os
import pathlib
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 0.05


class Failed(Exception):
    """A program did not end well, or did not do what it was asked for."""


def measured(command, folder, environment=None):
    """Runs to a successful end; (figures, standard output). A command may be a text for bash, for pipes.

    CPU is the kernel's account of the process and all descendants that were waited for. Peak memory is the greatest
    sum of proportional shares of the tree's pages that a sample saw, so that what two processes share counts once.
    """
    if isinstance(command, str):
        command = ["bash", "-c", f"set -o pipefail; {command}"]
    command = [str(word) for word in command]
    output, errors = pathlib.Path(folder) / "output", pathlib.Path(folder) / "errors"
    with open(output, "wb") as out, open(errors, "wb") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=os.environ | (environment or {})
        )
        memory = Memory(process.pid)
        # The usage of the process and of all children that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        memory.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(encoding="utf-8", errors="replace") if output.stat().st_size < 64 << 20 else ""
    if process.returncode != 0:
        said = errors.read_text(encoding="utf-8", errors="replace")
        raise Failed(
            f"{command[0]} ended with {process.returncode}: {text[-2000:]}{said[:2000]}\n{said[2000:][-2000:]}"
        )
    return {
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "system_seconds": usage.ru_stime,
        "seconds": seconds,
        "began": began,
        # None where the run was over before anybody looked.
        "peak_bytes": memory.peak_bytes or None,
    }, text


class Memory:
    """Looks at a process tree every 50 ms until it is told to stop."""

    def __init__(self, pid):
        self.pid = pid
        self.peak_bytes = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.over.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, sum(map(pss_bytes, tree(self.pid))))

    def stop(self):
        self.over.set()
        self.thread.join()


def tree(pid):
    """The process and its descendants, as far as they still run."""
    found = [pid]
    for parent in found:
        try:
            for task in os.scandir(f"/proc/{parent}/task"):
                found += map(int, pathlib.Path(task.path, "children").read_text().split())
        except OSError:
            continue
    return found


def pss_bytes(pid):
    """Its share of memory; 0 once it has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def cpu_seconds(pid):
    """User and system time of a running process, all threads."""
    # The name in parentheses may hold spaces.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
