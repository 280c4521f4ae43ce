"""Airbyte's CDK: a declarative manifest, run as a connector is. Its destinations are programs of Java in containers of
their own, so it stops where a connector does: at protocol messages.
"""

import json

from . import PEERS, Contestant, write_json


class Airbyte(Contestant):
    name = "airbyte cdk"
    lands = (
        "protocol messages in a local file: no S3, no compression, nothing flattened; a destination would come on top"
    )

    def __init__(self, home):
        self.program = home / "bin/source-declarative-manifest"

    def command(self, task):
        manifest = json.loads((PEERS / "airbyte_manifest.json").read_text())
        retriever = manifest["streams"][0]["retriever"]
        retriever["paginator"]["pagination_strategy"]["page_size"] = task.page_size
        if task.dates:
            date = {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "date"}
            retriever["partition_router"] = {
                "type": "ListPartitionRouter",
                "values": task.dates,
                "cursor_field": "date",
                "request_option": date,
            }
        config = {"base_url": task.source.base_url, "token": task.source.token}
        config["__injected_declarative_manifest"] = manifest
        stream = {"name": "contacts", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
        chosen = {"sync_mode": "full_refresh", "destination_sync_mode": "append", "stream": stream}
        files = {
            "--config": write_json(task.folder / "config.json", config),
            "--catalog": write_json(task.folder / "catalog.json", {"streams": [chosen]}),
        }
        command = [self.program, "read", *(word for pair in files.items() for word in pair)]
        return command, {"HOME": str(task.folder)}

    def files(self, task, said):
        output = task.folder / "output"
        return [("messages", output.stat().st_size, lambda: open(output, "rb"))]


def contestants(homes):
    return {"airbyte cdk": Airbyte(homes / "airbyte")}
