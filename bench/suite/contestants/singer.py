"""Singer: a tap of the SDK, piped into the target that writes JSON lines to S3."""

import shlex

from . import PEERS, Contestant, write_json


class Singer(Contestant):
    name = "singer jsonl.gz"
    lands = "one object of gzipped JSON lines at the end; rows wait in memory; state messages are not kept by the pipe"

    def __init__(self, tap_home, target_home):
        self.tap, self.target = tap_home / "bin/python", target_home / "bin/target-s3-jsonl"

    def command(self, task):
        tap = {
            "base_url": task.source.base_url,
            "token": task.source.token,
            "page_size": task.page_size,
            "dates": task.dates,
        }
        target = {
            "s3_bucket": task.sink.bucket,
            "aws_endpoint_url": task.sink.endpoint,
            "aws_access_key_id": task.sink.access_key,
            "aws_secret_access_key": task.sink.secret_key,
            "compression": "gzip",
            "path_template": task.prefix + "/{stream}.jsonl",
            "work_dir": str(task.folder / "work"),
        }
        (task.folder / "work").mkdir()
        tap_command = [self.tap, PEERS / "singer_tap.py", "--config", write_json(task.folder / "tap.json", tap)]
        target_command = [self.target, "-c", write_json(task.folder / "target.json", target)]
        pipe = " | ".join(shlex.join(map(str, command)) for command in (tap_command, target_command))
        return pipe, {"AWS_DEFAULT_REGION": "us-east-1", "HOME": str(task.folder)}


def contestants(homes):
    return {"singer jsonl.gz": Singer(homes / "singer", homes / "singer-target")}
