"""Tidegate, as its command line is used."""

import json

from ..measure import measured
from . import ROOT, Contestant

COMPONENT = ROOT / "guest-connectors/target/wasm32-wasip2/release/pages.wasm"

SYNC = """\
tenant: bench
sync: {sync}
connection:
  id: pages
  connector: {component}
  config: {{ page_size: {page_size}, windows: {windows} }}
  secrets: {{ token: '${{file:{home}/token}}' }}
streams: [{{ name: contacts, mode: full_refresh, landing: append, partitions_max: {partitions_max} }}]
target:
  url: s3://{bucket}/{prefix}
  endpoint: {endpoint}
  path_style: true
  access_key: '${{env:AWS_ACCESS_KEY_ID}}'
  secret_key: '${{env:AWS_SECRET_ACCESS_KEY}}'
  format: {format}
"""

OPERATOR = """\
broker:
  mappings: [{{ from: 'https://api.hubapi.com', to: '{base_url}' }}]
  limit_scale: {limit_scale}
  limits: {limits}
target_origins: ['{endpoint}']
"""


class Tidegate(Contestant):
    """A blind connector in its sandbox; sealed batches, a commit log, a cursor that never moves alone."""

    def __init__(self, bin_dir, home, format, name=None, limits=(), limit_scale=".inf"):
        self.bin_dir, self.home, self.format = bin_dir, home, format
        self.name = name or f"tidegate {format}"
        self.limits, self.limit_scale = list(limits), limit_scale
        self.lands = (
            f"{format} in batches, each visible by one slot of a commit log; every row once, also after a crash"
        )

    def prepare(self, task):
        """Compiles the component, unless it lies in the cache."""
        measured(self.tidegate("connections", "check", self.documents(task)), task.folder, task.keys)

    def command(self, task):
        return self.tidegate("sync", "run", self.documents(task)), task.keys

    def holds_records(self, key):
        return "/gen=" in key

    def files(self, task, said):
        """As the commit log has them."""
        summary = json.loads(said.splitlines()[-1])
        assert not summary["streams"]["contacts"]["rejected"], summary
        _, listed = measured(self.tidegate("lake", "files", task.folder / "sync.yaml"), task.folder, task.keys)
        scheme = f"s3://{task.sink.bucket}/"
        entries = [json.loads(line) for line in listed.splitlines()]
        keys = [(entry["location"].removeprefix(scheme), entry["bytes"]) for entry in entries]
        return [(key, size, lambda key=key: task.sink.open(key)) for key, size in keys]

    def documents(self, task):
        """Writes the operator's file and the sync; the path of the sync."""
        self.home.mkdir(exist_ok=True)
        (self.home / "token").write_text(task.source.token)
        operator = OPERATOR.format(
            base_url=task.source.base_url,
            endpoint=task.sink.endpoint,
            limit_scale=self.limit_scale,
            limits=json.dumps(self.limits),
        )
        (self.home / "operator.yaml").write_text(operator)
        file = task.folder / "sync.yaml"
        sync = SYNC.format(
            sync=task.prefix.replace("/", "-"),
            component=COMPONENT,
            page_size=task.page_size,
            windows=task.windows,
            # As the peers are told how much they may do at once.
            partitions_max=max(1, task.windows),
            home=self.home,
            bucket=task.sink.bucket,
            prefix=task.prefix,
            endpoint=task.sink.endpoint,
            format=self.format,
        )
        file.write_text(sync)
        return file

    def tidegate(self, *command):
        place = ["--state", self.home / "state", "--operator", self.home / "operator.yaml"]
        return [self.bin_dir / "tidegate", "--json", *place, *command]


def contestants(bin_dir, home):
    formats = ("jsonl.zst", "jsonl.gz", "csv.gz", "parquet")
    return {f"tidegate {format}": Tidegate(bin_dir, home, format) for format in formats}
