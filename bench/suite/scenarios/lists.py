"""One list over one connection, pages of 100 and of 1,000, no latency: what a record costs. And how cost and memory grow
with the number of records.
"""

# What every page size is compared by.
AT_BOTH_SIZES = (
    "tidegate jsonl.zst",
    "tidegate parquet",
    "native jsonl.zst",
    "dlt jsonl.gz",
    "airbyte cdk",
    "singer jsonl.gz",
)
# What the goals are about. The cost of a start does not show here.
AT_LENGTH = (
    "tidegate jsonl.zst",
    "tidegate parquet",
    "native jsonl.gz",
    "native jsonl.zst",
    "native parquet",
    "airbyte cdk",
    "dlt jsonl.gz",
    "singer jsonl.gz",
)
# A minute each, and no row is about them.
SLOW = ("sling jsonl", "dlt parquet", "dlt arrow parquet")
RAW_RECORDS_MAX = 1_000_000
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
        return bench.rounds_of(everybody, source, once=SLOW)


def pages_of_1000(bench):
    with bench.source(bench.peer_records) as source:
        return bench.rounds_of(bench.readers(AT_BOTH_SIZES), source, once=bench.peers, page_size=1_000)


def at_length(bench):
    with bench.source(5 * bench.peer_records) as source:
        return bench.rounds_of(bench.readers(AT_LENGTH), source, once=bench.peers)


def growth(bench):
    figures = []
    for records, rounds in (
        (bench.records // 100, bench.rounds),
        (bench.records // 10, bench.rounds),
        (bench.records, 1),
    ):
        # One put takes 5 GB at the most, which is less than ten million records as they came.
        growing = [name for name in GROWING if name != "raw fetch and put" or records <= RAW_RECORDS_MAX]
        with bench.source(records) as source:
            figures += bench.rounds_of(growing, source, rounds)
    return figures
