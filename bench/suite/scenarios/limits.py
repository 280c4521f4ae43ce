"""A limit: how much of it is used, whether it is ever run into, and whether a record is lost or doubled by that."""

import contextlib
import json
import subprocess
import threading
import time
import urllib.request

from .. import measure
from ..contestants import ROOT, tidegate

PAGE = 100
PER_SECOND = 50
WINDOWS = 10


def declared(rule):
    """The operator's word on the source's limit, in place of the connector's own."""
    return {"connector": "pages", "rule": rule, "capacity": PER_SECOND, "per_ms": 1_000, "instead": True}


# Never above the bucket either way: 50 in any second, counted from the answers and remembered
# over a restart; or one every 20 ms from an empty bucket, since a pace remembers nothing and a
# restart must not add a burst.
ROLLING, PACED = declared("rolling"), declared({"paced": PER_SECOND})
READERS = ("native jsonl.gz", "airbyte cdk", "dlt jsonl.gz, parallel", "dlt jsonl.gz", "singer jsonl.gz", "sling jsonl")


def bucket(bench):
    """A bucket of 50 that fills with 50 a second. The source refuses what is above with 429 and `Retry-After: 1`."""
    pages = 60 if bench.small else 400
    home = bench.folder / "tidegate"
    contestants = [
        tidegate.Tidegate(bench.bin_dir, home, "jsonl.zst", "tidegate, limit declared", [ROLLING], 1.0),
        tidegate.Tidegate(bench.bin_dir, home, "jsonl.zst", "tidegate, limit declared as a pace", [PACED], 1.0),
        tidegate.Tidegate(bench.bin_dir, home, "jsonl.zst", "tidegate, limit unknown"),
        *bench.readers(READERS),
    ]
    with bench.source(pages * PAGE, windows=WINDOWS, per_second=PER_SECOND) as source:
        figures = bench.rounds_of(contestants, source, once=bench.peers, page_size=PAGE, windows=WINDOWS)
    for figure in figures:
        # It is full at the start.
        figure["floor_seconds"] = (pages - PER_SECOND) / PER_SECOND
    return figures


# Of one app: https://developers.intercom.com counts ten thousand a minute, by slices of ten seconds.
SLICE_S = 10
PER_SLICE = 1_667
DETAILS_SYNC = """\
tenant: bench
sync: details
connection:
  id: intercom
  connector: {component}
  config: {{ auth: access_token }}
  secrets: {{ token: '${{file:{folder}/token}}' }}
streams: [{{ name: conversations, mode: incremental, landing: append }}]
target: {{ url: 'file://{folder}/lake', format: parquet }}
"""
DETAILS_OPERATOR = """\
broker:
  mappings:
    - {{ from: 'https://api.intercom.io', to: '{base_url}' }}
    - {{ from: 'https://app.intercom.com', to: '{base_url}' }}
"""
DETAILS_COMPONENT = ROOT / "guest-connectors/target/wasm32-wasip2/release/intercom.wasm"


def details(bench):
    """Conversations of Intercom, which are read one by one, under Intercom's own limit."""
    conversations = 100 if bench.small else 10_000
    with bench.task(source=None) as task, intercom(bench, conversations) as said:
        folder = task.folder
        (folder / "token").write_text(said["private_app_token"])
        (folder / "lake").mkdir()
        (folder / "operator.yaml").write_text(DETAILS_OPERATOR.format(**said))
        (folder / "sync.yaml").write_text(DETAILS_SYNC.format(component=DETAILS_COMPONENT, folder=folder))
        command = [
            bench.bin_dir / "tidegate",
            "--json",
            "--state",
            folder / "state",
            "--operator",
            folder / "operator.yaml",
        ]
        measure.measured([*command, "connections", "check", folder / "sync.yaml"], folder)
        requests = Requests(said["control_url"])
        figure, text = measure.measured([*command, "sync", "run", folder / "sync.yaml"], folder)
        counters, seconds = requests.stop()
    rows = json.loads(text.splitlines()[-1])["rows"]
    if rows != conversations or counters["throttled"]:
        raise measure.Failed(f"{rows} of {conversations} conversations landed; {counters['throttled']} refusals")
    calls = counters["requests_total"]
    return [
        figure
        | {
            "contestant": "tidegate, one conversation at a time",
            "records": rows,
            "requests": calls,
            "refused": counters["throttled"],
            "fullest_slice": counters["ten_second_max"],
            "first_to_last_s": seconds,
            # Who fills every slice from its start needs nothing of the last one.
            "floor_seconds": (calls - 1) // PER_SLICE * SLICE_S,
        }
    ]


@contextlib.contextmanager
def intercom(bench, conversations):
    command = [
        bench.bin_dir / "crm-sim",
        "intercom",
        "--contacts",
        1_000,
        "--companies",
        0,
        "--conversations",
        conversations,
    ]
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


class Requests:
    """Watches a simulator's own count until it is told to stop."""

    def __init__(self, control_url):
        self.url = control_url + "/counters"
        self.before = self.counters()["requests_total"]
        self.first_at = self.last_at = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def counters(self):
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            return json.load(answer)

    def watch(self):
        seen = self.before
        while not self.over.wait(0.05):
            now, total = time.monotonic(), self.counters()["requests_total"]
            if total != seen:
                self.first_at = self.first_at or now
                self.last_at, seen = now, total

    def stop(self):
        """(counters, seconds from the first request to the last)"""
        self.over.set()
        self.thread.join()
        counters = self.counters()
        counters["requests_total"] -= self.before
        return counters, (self.last_at or 0) - (self.first_at or 0)
