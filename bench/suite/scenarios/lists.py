"""One list over one connection, pages of 100 and of 1,000, no latency: what a record costs. And how cost and memory grow
with the number of records.
"""

# What every page size is compared by.
AT_BOTH_SIZES = ("tidegate jsonl.zst", "tidegate parquet", "native jsonl.zst", "dlt jsonl.gz", "airbyte cdk", "singer jsonl.gz")
GROWING = (
    "tidegate jsonl.zst",
    "tidegate parquet",
    "native jsonl.zst",
    "native jsonl.gz",
    "native parquet",
    "raw fetch and put",
)


def pages_of_100(bench):
    everybody = [name for name in bench.contestants if name != "dlt jsonl.gz, parallel"]
    with bench.source(bench.peer_records) as source:
        return bench.rounds_of(everybody, source)


def pages_of_1000(bench):
    with bench.source(bench.peer_records) as source:
        return bench.rounds_of(AT_BOTH_SIZES, source, page_size=1_000)


def growth(bench):
    figures = []
    for records, rounds in ((bench.records // 100, bench.rounds), (bench.records // 10, bench.rounds), (bench.records, 1)):
        with bench.source(records) as source:
            figures += bench.rounds_of(GROWING, source, rounds)
    return figures
