"""Sling: an API specification of its own kind, replicated to files on S3."""

import json

from . import PEERS, Contestant, write_json

PROGRAM = "lib/python3*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"


class Sling(Contestant):
    name = "sling jsonl"
    lands = (
        "one object of JSON lines, not compressed; text that looks like a number becomes one, and a truth value text"
    )

    def __init__(self, home):
        self.home = home

    def command(self, task):
        specification = json.loads((PEERS / "sling_spec.json").read_text())
        endpoint = specification["endpoints"]["contacts"]
        endpoint["state"]["limit"] = task.page_size
        if task.dates:
            endpoint["iterate"] = {"over": json.dumps(task.dates), "into": "state.date", "concurrency": len(task.dates)}
            endpoint["request"]["parameters"]["date"] = "${state.date}"
        location = write_json(task.folder / "spec.json", specification)
        secrets = {"base_url": task.source.base_url, "token": task.source.token}
        lake = {
            "type": "s3",
            "bucket": task.sink.bucket,
            "endpoint": task.sink.endpoint,
            "access_key_id": task.sink.access_key,
            "secret_access_key": task.sink.secret_key,
            "region": "us-east-1",
            "use_ssl": False,
        }
        replication = {
            "source": "API",
            "target": "LAKE",
            "defaults": {
                "mode": "full-refresh",
                "object": f"s3://{task.sink.bucket}/{task.prefix}/{{stream_name}}.jsonl",
                "target_options": {"format": "jsonlines"},
            },
            "streams": {"contacts": {}},
        }
        environment = {
            "API": json.dumps({"type": "api", "spec": f"file://{location}", "secrets": secrets}),
            "LAKE": json.dumps(lake),
            "SLING_DISABLE_TELEMETRY": "TRUE",
            "SLING_HOME_DIR": str(task.folder / "sling"),
            "HOME": str(task.folder),
        }
        program = next(self.home.glob(PROGRAM))
        return [program, "run", "-r", write_json(task.folder / "replication.json", replication)], environment


def contestants(homes):
    return {"sling jsonl": Sling(homes / "sling")}
