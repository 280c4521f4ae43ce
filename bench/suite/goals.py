"""What Tidegate must reach, row by row: measured and judged from the figures of one run, never typed in."""

import statistics
from dataclasses import dataclass


@dataclass
class Goal:
    what: str
    wanted: str
    measured: str
    # None where the run has no figures for it.
    is_reached: bool | None


def median(figures, contestant, of):
    """The median over the rounds; None where it did not take part."""
    values = [of(figure) for figure in figures if figure["contestant"] == contestant]
    return statistics.median(values) if values else None


def per_cpu_second(figure):
    return figure["records"] / figure["cpu_seconds"]


class Judge:
    """Goals over the results, which are lists of figures by scenario."""

    def __init__(self, results):
        self.results = results
        self.goals = []

    def add(self, what, wanted, value, shown, is_reached):
        missing = value is None
        measured = "not measured in this run" if missing else shown(value)
        self.goals.append(Goal(what, wanted, measured, None if missing else is_reached(value)))

    def of(self, scenario, contestant, of, where=lambda figure: True):
        return median(list(filter(where, self.results.get(scenario, []))), contestant, of)

    def ratio(self, scenario, ours, theirs, of=per_cpu_second):
        ours, theirs = self.of(scenario, ours, of), self.of(scenario, theirs, of)
        return ours / theirs if ours is not None and theirs else None

    def at_least(self, what, value, least, unit="x"):
        self.add(what, f">= {least:g} {unit}", value, lambda value: f"{value:.2f} {unit}", lambda value: value >= least)

    def at_most(self, what, value, most, unit="x"):
        self.add(what, f"<= {most:g} {unit}", value, lambda value: f"{value:.3g} {unit}", lambda value: value <= most)


def judged(results):
    judge = Judge(results)
    cpu(judge)
    guests(judge)
    wall_and_memory(judge)
    limits(judge)
    neighbours(judge)
    return judge.goals


def cpu(judge):
    scenario = "at-length"
    lines, columns = "tidegate jsonl.zst", "tidegate parquet"
    row = "records per CPU second, {} against {}"
    judge.at_least(
        row.format("JSON lines with zstd", "native raw with gzip 1"), judge.ratio(scenario, lines, "native jsonl.gz"), 1
    )
    for peer, least in (("dlt jsonl.gz", 40), ("airbyte cdk", 25), ("singer jsonl.gz", 55)):
        judge.at_least(row.format("JSON lines with zstd", peer), judge.ratio(scenario, lines, peer), least)
    judge.at_least(row.format("Parquet", "native Parquet"), judge.ratio(scenario, columns, "native parquet"), 1)
    judge.at_least(row.format("Parquet", "dlt jsonl.gz"), judge.ratio(scenario, columns, "dlt jsonl.gz"), 19)
    for name in (lines, columns):
        small = judge.of("pages-of-100", name, lambda figure: figure["cpu_seconds"])
        large = judge.of("pages-of-1000", name, lambda figure: figure["cpu_seconds"])
        judge.at_most(
            f"CPU, pages of 100 against pages of 1,000, {name}", small / large if small and large else None, 1.1
        )


def guests(judge):
    cost = lambda figure: figure["cpu_s"]  # noqa: E731
    for format in ("jsonl.zst", "parquet"):
        tax = judge.ratio("guest-modes", f"blind, {format}", f"no guest, {format}", cost)
        judge.at_most(f"CPU, blind guest against the same host without one, {format}", tax, 1.05)
    copying = judge.ratio("guest-modes", "copying, Rust, jsonl.zst", "native, parsed, jsonl.zst", cost)
    judge.at_most("CPU, copying Rust guest against a native loop that parses too", copying, 1.5)


def wall_and_memory(judge):
    sizes = sorted({figure["records"] for figure in judge.results.get("growth", [])})
    million = lambda figure: figure["records"] == 1_000_000  # noqa: E731
    seconds = judge.of("growth", "tidegate parquet", lambda figure: figure["seconds"], million)
    judge.at_most("wall time, 1,000,000 records as Parquet by one cursor", seconds, 6.5, "s")
    for name, most in (("tidegate jsonl.zst", 64), ("tidegate parquet", 128)):
        peak = lambda figure: (figure["peak_bytes"] or 0) / 1e6  # noqa: E731
        peaks = [judge.of("growth", name, peak, lambda figure, size=size: figure["records"] == size) for size in sizes]
        flat = max(peaks) / min(peaks) if all(peaks) and len(peaks) > 1 else None
        judge.at_most(
            f"peak memory, {sizes[-1] if sizes else 0:,} against {sizes[0] if sizes else 0:,} records, {name}",
            flat,
            1.1,
        )
        judge.at_most(f"peak memory, {name}", max(peaks) if all(peaks) and peaks else None, most, "MB")
    first = judge.of("cold-start", "tidegate jsonl.zst", lambda figure: 1e3 * figure["first_request_seconds"])
    judge.at_most("cold start, component cached: first request", first, 50, "ms")
    landed = judge.of("cold-start", "tidegate jsonl.zst", lambda figure: 1e3 * figure["seconds"])
    judge.at_most("cold start, component cached: one page landed and committed", landed, 150, "ms")


def limits(judge):
    windows = judge.of("ten-windows", "tidegate jsonl.zst", lambda figure: figure["seconds"])
    judge.at_most("wall time, 50 ms a page, ten windows, 200 pages", windows, 1.3, "s")
    over_floor = lambda figure: figure["seconds"] / figure["floor_seconds"]  # noqa: E731
    declared = ("tidegate, limit declared", "tidegate, limit declared as a pace")
    for name in (*declared, "tidegate, limit unknown"):
        judge.at_most(
            f"wall time against the floor, bucket of 50 a second, {name}", judge.of("bucket", name, over_floor), 1.1
        )
    used = lambda figure: 100 * figure["floor_seconds"] / figure["first_to_last_s"]  # noqa: E731
    details = ("details", "tidegate, one conversation at a time")
    for scenario, name in (*(("bucket", name) for name in declared), details):
        judge.at_least(f"share of the limit that is used, {name}", judge.of(scenario, name, used), 95, "%")
        judge.at_most(f"429 answers, {name}", judge.of(scenario, name, lambda figure: figure["refused"]), 0, "429s")


def neighbours(judge):
    raw = judge.of("bulk", "raw", lambda figure: figure["seconds"])
    for name in sorted({figure["contestant"] for figure in judge.results.get("bulk", [])} - {"raw"}) or [
        "tidegate csv.gz"
    ]:
        ours = judge.of("bulk", name, lambda figure: figure["seconds"])
        judge.at_least(
            f"Bulk CSV, share of the rate of raw fetch and put, {name}",
            100 * raw / ours if raw and ours else None,
            60,
            "%",
        )
    jobs = judge.results.get("jobs", [None])[0]
    judge.at_most("CPU of a job that moves ten records", jobs and jobs["second"]["cpu_ms_per_job"], 5, "ms")
    in_memory = jobs and jobs.get("in_memory")
    judge.at_most(
        "the same, on a file system in memory: without what the kernel does to sync a disk",
        in_memory and in_memory["second"]["cpu_ms_per_job"],
        5,
        "ms",
    )
    seals = (
        jobs and max(each["seals_per_s"] for each in jobs["store"])
        if jobs and isinstance(jobs["store"], list)
        else None
    )
    judge.at_least("seals that the store takes", seals, 500, "a second")
