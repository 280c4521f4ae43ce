"""Many tenants with small jobs, without and with one among them that floods the queue:
how long the others wait, against what their share predicts.

In both halves every place of the worker is taken until the whole queue is there, so that
waits count from one moment. Who began when is read from the attempts in the service's
database.

usage: prove_fairness.py --bin-dir target/debug [--tenants 200] [--flood 1000] [--page target/proof/fairness.md]
"""

import argparse
import collections
import contextlib
import os
import pathlib
import sqlite3
import statistics
import tempfile
import time

import service

SYNCS = 5
PLACES = 8
RECORDS = 10
PLUG = "plug"
FLOOD = "t000"
# What the worker charges when it takes a job, before it knows what the job takes.
START_MS = 1_000
# Jobs that tenants may be apart by: one that runs is charged as its time passes.
APART_MAX = 2
PATIENCE_S = 1_800


def flooded_syncs(count):
    return [f"flood-{at:04}" for at in range(count)]


def syncs_of(tenant, flood):
    own = [f"crm-{at}" for at in range(SYNCS)]
    return own + flooded_syncs(flood) if tenant == FLOOD else own


def settings():
    worker = {
        "jobs_max": PLACES,
        # No cap helps: only shares keep the places from the flood.
        "tenant_jobs_max": PLACES,
        "connection_jobs_max": PLACES,
        "connector_jobs_max": PLACES,
    }
    return worker


class Service:
    """The service with its tenants, and what it is asked."""

    def __init__(self, admin, crm, clients, plug):
        self.admin, self.control, self.clients, self.plug = admin, service.Client(crm["control_url"]), clients, plug

    def close_places(self):
        """Every place is taken by a job that waits for the CRM."""
        self.control.ask("DELETE", "/counters")
        self.control.post("/faults", {"path": "list", "when": "always", "fault": {"delay": 3_600_000}})
        jobs = [self.plug.post(f"/v1/syncs/crm-{at}/jobs")["id"] for at in range(PLACES)]
        while any(self.plug.get(f"/v1/jobs/{job}")["state"] != "running" for job in jobs):
            time.sleep(0.05)
        while self.control.get("/counters")["requests"].get("list", 0) < PLACES:
            time.sleep(0.05)
        self.control.ask("DELETE", "/faults")
        return jobs

    def half(self, wanted):
        """Asks for all, (tenant, sync) by (tenant, sync), and frees the places; the jobs by id."""
        plugs = self.close_places()
        jobs = {}
        for name, sync in wanted:
            jobs[self.clients[name].post(f"/v1/syncs/{sync}/jobs")["id"]] = name
        cpu = cpu_s(self.admin.process.pid)
        began = time.time()
        for job in plugs:
            self.plug.post(f"/v1/jobs/{job}/cancel")
        for job, name in jobs.items():
            ended = service.wait_for_job(self.clients[name], self.clients[name].get(f"/v1/jobs/{job}"), PATIENCE_S)
            if ended["state"] != "succeeded":
                raise SystemExit(f"FAILED: a job of {name}: {ended}")
        return {"jobs": jobs, "began_ms": began * 1_000, "cpu_s": cpu_s(self.admin.process.pid) - cpu}


def cpu_s(process):
    """CPU seconds of the process so far."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def attempts(folder, half):
    """(began, ended, tenant) of each job's first attempt, by when it began, from when the places
    were freed; in ms."""
    database = sqlite3.connect(f"file:{folder}/state/db/tidegate.db?mode=ro", uri=True)
    with contextlib.closing(database):
        rows = database.execute(
            "SELECT job, number, started_at_ms, ended_at_ms, error, report FROM attempts ORDER BY started_at_ms"
        ).fetchall()
    began, found, firsts = half["began_ms"], [], {}
    for job, number, start, end, error, report in rows:
        if number == 1 and job in half["jobs"]:
            found.append((start - began, end - began, half["jobs"][job]))
            firsts[job] = (error, report)
        elif job in firsts:
            print(f"note: {job} was tried again, after {firsts[job]}")
    return found


def check_order(rows):
    """While tenants have demand, none is ahead of another by more than its turn. What counts is the
    time of places, of which a job is charged START_MS at once."""
    turn = APART_MAX * max(START_MS, *(ended - began for began, ended, _ in rows))
    left = collections.Counter(name for *_, name in rows)
    spans = {name: [] for name in left}

    def used(name, now):
        return sum(max(START_MS, min(now, ended) - began) for began, ended in spans[name])

    for began, ended, name in rows:
        least = min(used(other, began) for other in left if left[other] > 0)
        if used(name, began) - least > turn:
            raise SystemExit(f"FAILED: {name} had used {used(name, began):.0f} ms while another had had {least:.0f} ms")
        spans[name].append((began, ended))
        left[name] -= 1


def jain(shares):
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def fairness(rows):
    """Jain's index over jobs and over time of places, until the first tenant has nothing waiting."""
    left = collections.Counter(name for *_, name in rows)
    names = list(left)
    begun, until = collections.Counter(), 0
    for began, _, name in rows:
        left[name] -= 1
        if left[name] == 0:
            until = began
            break
        begun[name] += 1
    used = collections.Counter()
    for began, ended, name in rows:
        used[name] += max(0, min(ended, until) - began)
    return jain([begun[name] for name in names]), jain([used[name] for name in names])


def predicted_ms(rows):
    """The median wait of the others if jobs went in turn, tenant by tenant: the first job of
    each, then the second, at the pace of the time in which the others still waited."""
    last = max(at for at, (_, _, name) in enumerate(rows) if name != FLOOD)
    per_ms = (last + 1) / rows[last][0]
    left = collections.Counter(name for *_, name in rows)
    waits, place = [], 0
    while any(left.values()):
        for name in left:
            if left[name]:
                left[name] -= 1
                place += 1
                if name != FLOOD:
                    waits.append(place / per_ms)
    return statistics.median(waits)


def figures(half, rows):
    waits = sorted(began for began, _, name in rows if name != FLOOD)
    seconds = (max(ended for _, ended, _ in rows) - min(began for began, *_ in rows)) / 1_000
    per_s = len(rows) / seconds
    by_jobs, by_time = fairness(rows)
    return {
        "jobs": len(rows),
        "median": statistics.median(waits),
        "p99": waits[int(len(waits) * 0.99)],
        "predicted": predicted_ms(rows),
        "jain": by_jobs,
        "jain_time": by_time,
        "per_s": per_s,
        "cpu_ms": half["cpu_s"] / len(rows) * 1_000,
    }


def page(arguments, calm, flooded):
    columns = [
        ("jobs", "jobs", "{:,.0f}"),
        ("median wait of the others, s", "median", "{:.1f}"),
        ("the same, if tenants went in turn, s", "predicted", "{:.1f}"),
        ("p99 wait of the others, s", "p99", "{:.1f}"),
        ("Jain's index, of jobs", "jain", "{:.4f}"),
        ("Jain's index, of places' time", "jain_time", "{:.4f}"),
        ("jobs per second", "per_s", "{:.1f}"),
        ("CPU of the service per job, ms", "cpu_ms", "{:.0f}"),
    ]
    scale = {"median": 1e-3, "predicted": 1e-3, "p99": 1e-3}
    lines = ["| | without the flood | with it |", "|---|---:|---:|"]
    for title, name, shape in columns:
        cells = [shape.format(half[name] * scale.get(name, 1)) for half in (calm, flooded)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    others = arguments.tenants - 1
    growth = flooded["median"] / calm["median"]
    predicted = flooded["predicted"] / calm["predicted"]
    fifo = (arguments.flood + others * SYNCS / 2) / (arguments.tenants * SYNCS / 2)
    return f"""# A tenant that floods the queue

{arguments.tenants} tenants with {SYNCS} syncs each, jobs of {RECORDS} records, {PLACES} places, no cap per tenant. In the first half each
tenant has {SYNCS} jobs queued; in the second one of them has {arguments.flood:,}, asked for before the others' {SYNCS}. Waits count from the
moment when the places are freed.

{chr(10).join(lines)}

The others' median wait grew by a factor of {growth:.2f}. Their share predicts {predicted:.2f}: as many tenants take part in either
half, so that only the pace may change it. First come, first served would be a factor of {fifo * predicted:.1f}. The indices are of what each tenant got until the first had nothing left in the queue.

`python3 bench/prove_fairness.py --bin-dir target/debug --tenants {arguments.tenants} --flood {arguments.flood}`
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--flood", type=int, default=1_000)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    names = [f"t{at:03}" for at in range(arguments.tenants)]
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-fairness-")))
        crm = stack.enter_context(service.crm(arguments.bin_dir, folder, RECORDS))
        admin = stack.enter_context(service.tidegate(arguments.bin_dir, folder, crm["base_url"], worker=settings()))
        admin.connector()
        token, lake = crm["private_app_token"], folder / "lake"
        clients = {
            name: service.tenant(admin, name, syncs_of(name, arguments.flood), token, lake) for name in names
        }
        plug = service.tenant(admin, PLUG, [f"crm-{at}" for at in range(PLACES)], token, lake)
        tested = Service(admin, crm, clients, plug)
        own = [(name, f"crm-{at}") for at in range(SYNCS) for name in names]
        calm = tested.half(own)
        flood = [(FLOOD, sync) for sync in flooded_syncs(arguments.flood)]
        flooded = tested.half(flood + [wanted for wanted in own if wanted[0] != FLOOD])
        rows = [attempts(folder, half) for half in (calm, flooded)]
    for half in rows:
        check_order(half)
    text = page(arguments, figures(calm, rows[0]), figures(flooded, rows[1]))
    print(text)
    if arguments.page:
        arguments.page.write_text(text)
    print("shares hold")


if __name__ == "__main__":
    main()
