"""50 ms for each page and a list that can be read by date: who reads windows side by side, and what its author did for it."""

PAGE = 100
LATENCY_S = 0.05
READERS = (
    "tidegate jsonl.zst",
    "tidegate parquet",
    "native jsonl.gz",
    "airbyte cdk",
    "dlt jsonl.gz, parallel",
    "dlt jsonl.gz",
    "singer jsonl.gz",
    "sling jsonl",
)


def ten_windows(bench):
    """200 pages: the row that others were measured by."""
    return read(bench, READERS, windows=10, pages=20)


def twelve_windows(bench):
    return read(bench, bench.readers(READERS), windows=12, pages=20)


def read(bench, readers, windows, pages):
    pages = 2 if bench.small else pages
    with bench.source(windows * pages * PAGE, windows=windows, latency_ms=round(LATENCY_S * 1_000)) as source:
        figures = bench.rounds_of(readers, source, once=bench.peers, page_size=PAGE, windows=windows)
    for figure in figures:
        figure["floor_seconds"] = pages * LATENCY_S
    return figures
