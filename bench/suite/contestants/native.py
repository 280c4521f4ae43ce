"""The yardsticks: what a Rust program by hand costs, and one that does nothing but fetch and put."""

from . import Contestant


class Native(Contestant):
    """No sandbox, no limits, no commit log, no recovery; one object at the end."""

    def __init__(self, bin_dir, name, format, *more):
        self.bin_dir, self.name, self.format, self.more = bin_dir, name, format, more
        self.lands = f"one object of {format} at the end; nothing is left of a run that breaks off"

    def command(self, task):
        command = [self.bin_dir / "native-loop", "--base-url", task.source.base_url, "--token", task.source.token]
        command += ["--page-size", task.page_size, "--windows", task.windows, "--format", self.format, *self.more]
        command += ["--file", task.folder / "native", "--s3-endpoint", task.sink.endpoint]
        command += ["--s3-bucket", task.sink.bucket, "--s3-key", f"{task.prefix}/contacts.{self.format}"]
        return command, task.keys


def contestants(bin_dir):
    return {
        "native jsonl.zst": Native(bin_dir, "native jsonl.zst", "jsonl.zst"),
        "native jsonl.gz": Native(bin_dir, "native jsonl.gz", "jsonl.gz"),
        "native jsonl.gz 6": Native(bin_dir, "native jsonl.gz 6", "jsonl.gz", "--gzip-level", 6),
        "native parsed jsonl.zst": Native(bin_dir, "native parsed jsonl.zst", "jsonl.zst", "--parse"),
        "native parquet": Native(bin_dir, "native parquet", "parquet"),
        "raw fetch and put": Native(bin_dir, "raw fetch and put", "bodies"),
    }
