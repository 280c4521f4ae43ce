"""dlt: its REST source into its filesystem destination on S3."""

import json

from . import PEERS, Contestant


class Dlt(Contestant):
    def __init__(self, home, name, variant, format, parallel=False):
        self.python, self.name = home / "bin/python", name
        self.variant, self.format, self.parallel = variant, format, parallel
        self.lands = {
            "default": f"flattened {format}, all loaded at the end; its state and its schema lie beside",
            "arrow": "parquet of tables that a resource by hand yields, not normalised, loaded at the end",
        }[variant]

    def command(self, task):
        # It keeps its state here; a new one for each run.
        said = {
            "base_url": task.source.base_url,
            "token": task.source.token,
            "page_size": task.page_size,
            "dates": task.dates,
            "parallel": self.parallel,
            "variant": self.variant,
            "format": self.format,
            "folder": str(task.folder / "dlt"),
            "endpoint": task.sink.endpoint,
            "bucket": task.sink.bucket,
            "prefix": task.prefix,
            "access_key": task.sink.access_key,
            "secret_key": task.sink.secret_key,
        }
        quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "HOME": str(task.folder)}
        return [self.python, PEERS / "dlt_pipeline.py", json.dumps(said)], quiet

    def holds_records(self, key):
        return "/contacts/contacts/" in key


def contestants(homes):
    home = homes / "dlt"
    return {
        "dlt jsonl.gz": Dlt(home, "dlt jsonl.gz", "default", "jsonl"),
        "dlt jsonl.gz, parallel": Dlt(home, "dlt jsonl.gz, parallel", "default", "jsonl", parallel=True),
        "dlt parquet": Dlt(home, "dlt parquet", "default", "parquet"),
        "dlt arrow parquet": Dlt(home, "dlt arrow parquet", "arrow", "parquet"),
    }
