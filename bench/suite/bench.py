"""One run of the bench: what it stands on, how large it is, and how contestants take turns."""

import contextlib
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import stand
from .contestants import Task, airbyte, dlt, native, singer, sling, tidegate


@dataclass
class Bench:
    bin_dir: Path
    # Virtual environments of the peers, below it.
    homes: Path
    folder: Path
    sink: stand.Sink
    # The largest list; a tenth and a hundredth of it are read too.
    records: int
    # What the peers read.
    peer_records: int
    rounds: int
    small: bool
    runs: int = field(default=0)

    def __post_init__(self):
        self.contestants = tidegate.contestants(self.bin_dir, self.folder / "tidegate")
        self.contestants |= native.contestants(self.bin_dir)
        self.peers = {}
        for peer in (dlt, airbyte, singer, sling):
            self.peers |= peer.contestants(self.homes)
        self.contestants |= self.peers

    @contextlib.contextmanager
    def source(self, records, **settings):
        with stand.source(self.bin_dir, records, **settings) as source:
            yield source

    @contextlib.contextmanager
    def task(self, source, **settings):
        """A task with a folder and a prefix of its own."""
        self.runs += 1
        folder = Path(tempfile.mkdtemp(prefix=f"run-{self.runs}-", dir=self.folder))
        try:
            yield Task(source, self.sink, folder, f"bench/{folder.name}", **settings)
        finally:
            shutil.rmtree(folder)

    def run(self, contestant, source, **settings):
        """One run; its figures, with the name."""
        if isinstance(contestant, str):
            contestant = self.contestants[contestant]
        with self.task(source, **settings) as task:
            contestant.prepare(task)
            figure = contestant.run(task)
        say(
            f"{contestant.name}: {figure['records']:,} records, {figure['cpu_seconds']:.2f} CPU s, {figure['seconds']:.2f} s"
        )
        return {"contestant": contestant.name} | figure

    def readers(self, names):
        """Of these, those who take part in a scenario beside the first: small runs start each peer once."""
        return [name for name in names if name.startswith(("tidegate", "native"))] if self.small else names

    def rounds_of(self, names, source, rounds=None, once=(), **settings):
        """Everybody in turn, so often; one list of figures. Who takes minutes may run in the first round only."""
        figures = []
        for number in range(self.rounds if rounds is None else rounds):
            say(f"round {number + 1}")
            for name in names:
                if number == 0 or name not in once:
                    figures.append(self.run(name, source, **settings))
        return figures


def say(text):
    print(text, file=sys.stderr, flush=True)
