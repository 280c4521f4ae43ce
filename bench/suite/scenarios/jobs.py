"""Small syncs of many tenants: what a job that moves ten records costs the service, and how
near the one thread that writes its database is to what it can do.

`run` is for a harness, `small` for a gate that asserts no figure; the program prints both
scenarios as JSON.

usage: jobs.py --bin-dir target/release [--tenants 200] [--syncs 5]
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import service  # noqa: E402  (it lies two folders up)

RECORDS = 10
ROUNDS = ("first", "second")
# A file system that syncs nothing: what is left of a job's cost is ours, and not the disk's.
MEMORY = pathlib.Path("/dev/shm")
MEMORY_BYTES = 1 << 30
# Clients that ask at the same time: each answer waits for its commit.
CLIENTS = 16
PATIENCE_S = 1_800
LOOK_S = 0.02
SAMPLE_S = 0.005
WRITER = "store-writer"
TICKS = os.sysconf("SC_CLK_TCK")


def run(bin_dir, folder, tenants=200, syncs=5, store_s=3):
    """One job of each sync, twice: the first round compiles, discovers and opens what the second
    finds ready. Figures by round, the same where no disk takes part, and what the store can do by
    itself."""
    bin_dir, folder = pathlib.Path(bin_dir).resolve(), pathlib.Path(folder)
    figures = {"tenants": tenants, "syncs": syncs, "records": RECORDS, "store": seals(bin_dir, folder, store_s)}
    figures |= _rounds(bin_dir, folder, tenants, syncs)
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        with tempfile.TemporaryDirectory(dir=MEMORY) as memory:
            figures["in_memory"] = _rounds(bin_dir, pathlib.Path(memory), tenants, syncs)
    return figures


def _rounds(bin_dir, folder, tenants, syncs):
    """Figures by round, with state, staging and lake in this folder."""
    with contextlib.ExitStack() as stack:
        crm = stack.enter_context(service.crm(bin_dir, folder, RECORDS))
        # What a tenant may ask for at once is not what is measured.
        worker = {"tenant_jobs_max": syncs, "connection_jobs_max": syncs}
        admin = stack.enter_context(service.tidegate(bin_dir, folder, crm["base_url"], worker=worker))
        admin.connector()
        token, lake = crm["private_app_token"], folder / "lake"
        names = [f"t{at:03}" for at in range(tenants)]
        own = [f"crm-{at}" for at in range(syncs)]
        clients = _at_once(lambda name: service.tenant(admin, name, own, token, lake), names)
        wanted = [(client, sync) for sync in own for client in clients]
        database = folder / "state/db/tidegate.db"
        return {name: _round(admin.process.pid, database, wanted) for name in ROUNDS}


def small(bin_dir, folder):
    """The same, small: that it works, not how fast it is."""
    return run(bin_dir, folder, tenants=3, syncs=2, store_s=0.2)


def seals(bin_dir, folder, seconds=3):
    """Batches that the store alone takes from seal to commit mark in a second, fsyncs included,
    by how many streams do so at once."""
    program = pathlib.Path(bin_dir) / "seals"
    ran = subprocess.run([program, pathlib.Path(folder) / "seals", str(seconds)], check=True, capture_output=True)
    return json.loads(ran.stdout)


def _at_once(ask, every):
    """What was answered, in order."""
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(ask, every))


def _round(process, database, wanted):
    """Asks for all of them and waits for the last; looks into the database rather than ask the
    service, whose CPU is measured. Asking is part of a job's cost."""
    before, cpu = _threads(process), _stat(f"/proc/{process}")
    slots = _slots(database)
    began = time.time()
    with _Sampled(process) as writer:
        jobs = _at_once(lambda one: one[0].post(f"/v1/syncs/{one[1]}/jobs")["id"], wanted)
        asked_s = time.time() - began
        _wait_until_over(database)
    after, then = _threads(process), _stat(f"/proc/{process}")
    user_s, system_s = then.user_s - cpu.user_s, then.system_s - cpu.system_s
    slots = _slots(database) - slots
    seconds = _check(database, jobs) - began
    by_thread = {name: 1e3 * (after[name] - before[name]) / len(jobs) for name in after}
    by_thread["others"] = max(0.0, 1e3 * (user_s + system_s) / len(jobs) - sum(by_thread.values()))
    return {
        "jobs": len(jobs),
        "seconds": seconds,
        "asked_s": asked_s,
        "jobs_per_s": len(jobs) / seconds,
        "cpu_ms_per_job": 1e3 * (user_s + system_s) / len(jobs),
        "cpu_user_ms_per_job": 1e3 * user_s / len(jobs),
        # Most of it is fsyncs: it grows where others keep the disk busy.
        "cpu_system_ms_per_job": 1e3 * system_s / len(jobs),
        "cpu_ms_per_job_by_thread": by_thread,
        # Each slot of a log was sealed once.
        "seals_per_s": slots / seconds,
        "writer_busy_share": writer.busy_share(),
    }


def _wait_until_over(database):
    until = time.monotonic() + PATIENCE_S
    with contextlib.closing(_read(database)) as reader:
        while reader.execute("SELECT count(*) FROM queue").fetchone()[0]:
            if time.monotonic() > until:
                raise SystemExit("FAILED: jobs are left in the queue")
            time.sleep(LOOK_S)


def _check(database, jobs):
    """Each job succeeded and landed its records at its first try; when the last ended."""
    with contextlib.closing(_read(database)) as reader:
        rows = reader.execute(
            "SELECT a.job, j.state, a.number, a.ended_at_ms, a.report, a.error"
            " FROM attempts a JOIN jobs j ON j.id = a.job"
        ).fetchall()
    of = set(jobs)
    found = [row for row in rows if row[0] in of]
    for job, state, number, _, report, error in found:
        landed = json.loads(report)["figures"]["rows"]
        if (state, number, landed) != ("succeeded", 1, RECORDS):
            raise SystemExit(f"FAILED: {job} {state}, attempt {number}, {landed} rows: {error}")
    if len(found) != len(jobs):
        raise SystemExit(f"FAILED: {len(found)} of {len(jobs)} jobs were run")
    return max(row[3] for row in found) / 1e3


def _slots(database):
    with contextlib.closing(_read(database)) as reader:
        return reader.execute("SELECT coalesce(sum(log_tail), 0) FROM streams").fetchone()[0]


def _read(database):
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True)


class _Stat(typing.NamedTuple):
    name: str
    state: str
    user_s: float
    system_s: float


def _stat(place):
    """What the kernel says of a process or a thread."""
    name, fields = pathlib.Path(place, "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
    fields = fields.split()
    return _Stat(name, fields[0], int(fields[11]) / TICKS, int(fields[12]) / TICKS)


def _tasks(process):
    return pathlib.Path(f"/proc/{process}/task").iterdir()


def _threads(process):
    """CPU seconds by the threads' name; one that ended is in none."""
    by_name = collections.Counter()
    for task in _tasks(process):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            stat = _stat(task)
            by_name[stat.name] += stat.user_s + stat.system_s
    return by_name


class _Sampled:
    """Looks at the thread that writes the database, again and again: asleep it waits for work;
    it is busy when it runs or waits for the disk."""

    def __init__(self, process):
        named = (task for task in _tasks(process) if _stat(task).name == WRITER)
        self.place, self.looks, self.busy, self.over = next(named), 0, 0, threading.Event()
        self.thread = threading.Thread(target=self._look)

    def _look(self):
        while not self.over.wait(SAMPLE_S):
            self.looks += 1
            self.busy += _stat(self.place).state != "S"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def busy_share(self):
        return self.busy / max(1, self.looks)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--syncs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidegate-jobs-") as folder:
        figures = run(arguments.bin_dir, folder, arguments.tenants, arguments.syncs)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
