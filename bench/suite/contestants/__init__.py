"""Who takes part: how each is started, what it lands, and what that means."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from .. import landed
from ..measure import Failed, measured
from ..stand import Costs, FirstObject, Sink, Source

ROOT = Path(__file__).resolve().parents[3]
PEERS = ROOT / "bench/peers"
# Above it, ids are not compared one by one.
EVERY_ID_MAX = 1_000_000


@dataclass
class Task:
    """Read this list, land it there."""

    source: Source
    sink: Sink
    folder: Path
    prefix: str
    page_size: int = 100
    # 0 reads the list as one.
    windows: int = 0

    @property
    def dates(self):
        return [f"2026-01-{day:02}" for day in range(1, self.windows + 1)]

    @property
    def keys(self):
        """The credentials by the names that every S3 client reads."""
        return {
            "AWS_ACCESS_KEY_ID": self.sink.access_key,
            "AWS_SECRET_ACCESS_KEY": self.sink.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


class Contestant:
    """A program and a way to run it. A subclass says the command; everything else is alike."""

    name = ""
    # What it lands where, and which promises come with it.
    lands = ""

    def prepare(self, task):
        """What a user does once, before any run; not measured."""

    def command(self, task):
        """(command, environment)"""
        raise NotImplementedError

    def holds_records(self, key):
        """Whether an object of its output is one of records."""
        return True

    def files(self, task, said):
        """What a reader of its output sees: (name, bytes, how to open it)."""
        found = task.sink.objects(task.prefix)
        return [(key, size, lambda key=key: task.sink.open(key)) for key, size in found if self.holds_records(key)]

    def run(self, task):
        """One run, measured and counted."""
        command, environment = self.command(task)
        task.source.forget()
        costs = Costs(task.source, task.sink)
        first = FirstObject(task.sink, task.prefix, self.holds_records)
        figure, said = measured(command, task.folder, environment)
        first.stop()
        figure |= costs.since()
        seen_at = first.seen_at or time.monotonic()
        figure["first_object_seconds"] = min(seen_at - figure["began"], figure["seconds"])
        figure |= task.source.stats()
        figure["records"] = task.source.records
        files = self.files(task, said)
        figure["objects"], figure["bytes"] = len(files), sum(size for _, size, _ in files)
        try:
            landed.check(
                [(name, read) for name, _, read in files], figure["records"], figure["records"] <= EVERY_ID_MAX
            )
        except Failed as error:
            raise Failed(f"{self.name}: {error}") from None
        task.sink.empty(task.prefix)
        return figure


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path
