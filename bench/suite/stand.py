"""What all contestants stand on: the source that they read and the bucket that they land in."""

import contextlib
import json
import os
import re
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field

import boto3
from botocore.config import Config

from .measure import cpu_seconds

POLL_S = 0.1
SETTLE_S = 0.1
COUNTED = re.compile(r'SeaweedFS_s3_request_total\{bucket="[^"]*",code="(\d+)",type="(\w+)"\} (\d+)')


@dataclass
class Source:
    """A running source and its settings."""

    base_url: str
    # Where it tells what it has seen, when something stands before it.
    stats_url: str
    token: str
    pid: int
    records: int
    windows: int
    latency_ms: int
    per_second: float | None

    def stats(self):
        with urllib.request.urlopen(self.stats_url, timeout=10) as answer:
            return json.load(answer)

    def forget(self):
        """Fills its bucket and forgets what it has seen."""
        request = urllib.request.Request(self.stats_url, method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()


@contextlib.contextmanager
def source(bin_dir, records, windows=12, latency_ms=0, per_second=None):
    """Starts the source."""
    command = [bin_dir / "page-source", "--records", records, "--windows", windows, "--latency-ms", latency_ms]
    if per_second:
        command += ["--per-second", per_second]
    command = [str(word) for word in command]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = json.loads(process.stdout.readline())
            url = said["base_url"]
            yield Source(url, f"{url}/stats", said["token"], process.pid, records, windows, latency_ms, per_second)
        finally:
            process.terminate()


@dataclass
class Sink:
    """The bucket. Its server runs already and tells how many requests it had."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    pid: int
    metrics: str
    own_requests: int = field(default=0)

    @classmethod
    def from_environment(cls):
        setting = lambda name: os.environ[f"TIDEGATE_TEST_S3_{name}"]  # noqa: E731
        names = ("ENDPOINT", "BUCKET", "ACCESS_KEY", "SECRET_KEY")
        return cls(*map(setting, names), int(setting("PID")), setting("METRICS"))

    def __post_init__(self):
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def requests(self):
        """How many requests there were, without those of the bench."""
        with urllib.request.urlopen(self.metrics, timeout=10) as answer:
            found = COUNTED.findall(answer.read().decode())
        return sum(int(count) for _, _, count in found) - self.own_requests

    def objects(self, prefix):
        """All objects below the prefix: (key, bytes)."""
        found, more = [], {}
        while True:
            page = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, **more)
            self.own_requests += 1
            found += [(entry["Key"], entry["Size"]) for entry in page.get("Contents", [])]
            if not page["IsTruncated"]:
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def open(self, key):
        self.own_requests += 1
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"]

    def empty(self, prefix):
        for key, _ in self.objects(prefix):
            self.own_requests += 1
            self.client.delete_object(Bucket=self.bucket, Key=key)


class FirstObject:
    """Watches a prefix until there is a whole object of records below it."""

    def __init__(self, sink, prefix, holds_records):
        self.sink, self.prefix, self.holds_records = sink, prefix, holds_records
        self.seen_at = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.over.wait(POLL_S):
            if any(self.holds_records(key) for key, _ in self.sink.objects(self.prefix)):
                self.seen_at = time.monotonic()
                return

    def stop(self):
        self.over.set()
        self.thread.join()


class Costs:
    """CPU of the source and the sink's server, and the sink's requests, since this was made."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.before = self.now()

    def now(self):
        return {
            "source_cpu_seconds": cpu_seconds(self.source.pid),
            "sink_cpu_seconds": cpu_seconds(self.sink.pid),
            "sink_requests": self.sink.requests(),
        }

    def since(self):
        # The server counts a request a moment after it was answered.
        time.sleep(SETTLE_S)
        return {name: value - self.before[name] for name, value in self.now().items()}
