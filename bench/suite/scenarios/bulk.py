"""Salesforce by Bulk: millions of rows of CSV, streamed from pages of results to S3.

The limit is a program that fetches the same pages and puts their bytes, as they are, on
the same S3 endpoint. Who reads what was landed is in no figure.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import threading
import urllib.request

from ..measure import cpu_seconds, measured

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMPONENT = ROOT / "guest-connectors/target/wasm32-wasip2/release/salesforce.wasm"

FORMATS = ("csv.gz", "jsonl.zst", "parquet")
# Where the connector believes that the org is.
INSTANCE = "https://acme.my.salesforce.com"
# What Bulk has no column for.
NO_COLUMNS = ("address", "location", "base64")

SYNC = """\
tenant: bench
sync: {sync}
connection:
  id: salesforce
  connector: {component}
  config: {{ login: login, bulk_above: 1000 }}
  oauth_app: {{ client_id: {client_id}, client_secret: '${{file:{folder}/client-secret}}' }}
streams: [{{ name: Account, mode: incremental, landing: append }}]
target:
  url: s3://{bucket}/{prefix}
  endpoint: {endpoint}
  path_style: true
  access_key: '${{file:{folder}/access-key}}'
  secret_key: '${{file:{folder}/secret-key}}'
  format: {format}
"""

OPERATOR = """\
broker:
  limit_scale: .inf
  mappings:
    - {{ from: 'https://login.salesforce.com', to: '{org}' }}
    - {{ from: '{instance}', to: '{org}' }}
target_origins: ['{endpoint}']
"""


def run(bin_dir, folder, sink, rows, formats=FORMATS):
    """One round: figures of the raw limit and of Tidegate in each format, in turn."""
    with _org(bin_dir, rows) as org:
        bench = Bench(bin_dir, folder, sink, rows, org)
        bench.prepare()
        return [bench.raw()] + [bench.tidegate(format) for format in formats]


@contextlib.contextmanager
def _org(bin_dir, rows):
    command = [bin_dir / "crm-sim", "salesforce", "--scale", "inf"]
    command += ["--instance-url", INSTANCE, "--count", f"Account={rows}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline()) | {"pid": process.pid}
        finally:
            process.terminate()


class Bench:
    """An org, a sink, and the documents of syncs between them."""

    def __init__(self, bin_dir, folder, sink, rows, org):
        self.bin_dir = bin_dir
        self.folder = pathlib.Path(folder)
        self.sink = sink
        self.rows = rows
        self.org = org

    def prepare(self):
        """Writes what all syncs share, authorises the connection, compiles the component."""
        for name, text in (
            ("client-secret", self.org["client_secret"]),
            ("access-key", self.sink.access_key),
            ("secret-key", self.sink.secret_key),
            (
                "operator.yaml",
                OPERATOR.format(
                    org=self.org["base_url"], instance=INSTANCE, endpoint=self.sink.endpoint
                ),
            ),
        ):
            (self.folder / name).write_text(text)
        file = self._sync("warm", FORMATS[0])
        _authorize(self._command("connections", "authorize", file))
        subprocess.run(
            self._command("connections", "check", file), check=True, stdout=subprocess.DEVNULL
        )

    def raw(self):
        """The limit: bytes as they come."""
        query = f"SELECT {','.join(self._fields())} FROM Account WHERE IsDeleted = false"
        command = [self.bin_dir / "bulk-raw", "--base-url", self.org["base_url"]]
        command += ["--token", self.org["access_token"], "--query", query]
        command += ["--s3-endpoint", self.sink.endpoint, "--s3-bucket", self.sink.bucket]
        command += ["--s3-prefix", f"raw-{os.getpid()}-{self.rows}"]
        keys = {
            "AWS_ACCESS_KEY_ID": self.sink.access_key,
            "AWS_SECRET_ACCESS_KEY": self.sink.secret_key,
        }
        figure, output = self._measured(command, keys)
        said = json.loads(output)
        return self._counted("raw", figure, said["records"], said["bytes"])

    def tidegate(self, format):
        """Sealed and committed, as readers see it through the log."""
        file = self._sync(f"bulk-{format.replace('.', '-')}", format)
        figure, output = self._measured(self._command("sync", "run", file), {})
        said = json.loads(output.splitlines()[-1])
        assert said["streams"]["Account"]["rejected"] == 0, said
        listing = subprocess.check_output(self._command("lake", "files", file), text=True)
        files = [json.loads(line) for line in listing.splitlines()]
        rows = sum(file["rows"] for file in files)
        figure = self._counted(f"tidegate {format}", figure, rows, sum(f["bytes"] for f in files))
        return figure | {"objects": len(files)}

    def _counted(self, contestant, figure, rows, landed):
        assert rows == self.rows, f"{contestant} landed {rows} rows of {self.rows}"
        return figure | {"contestant": contestant, "records": rows, "bytes": landed}

    def _measured(self, command, environment):
        """Runs to a successful end; figures of the program and of those that served it."""
        served = {"source": self.org["pid"], "sink": self.sink.pid}
        before = {name: cpu_seconds(pid) for name, pid in served.items()}
        figure, output = measured(command, self.folder, environment)
        for name, pid in served.items():
            figure[f"{name}_cpu_seconds"] = cpu_seconds(pid) - before[name]
        return figure, output

    def _sync(self, sync, format):
        file = self.folder / f"{sync}.yaml"
        text = SYNC.format(
            sync=sync,
            component=COMPONENT,
            client_id=self.org["client_id"],
            folder=self.folder,
            bucket=self.sink.bucket,
            prefix=f"bulk-{os.getpid()}-{self.rows}",
            endpoint=self.sink.endpoint,
            format=format,
        )
        file.write_text(text)
        return file

    def _command(self, *command):
        place = ["--state", self.folder / "state", "--operator", self.folder / "operator.yaml"]
        return [self.bin_dir / "tidegate", "--json", *place, *command]

    def _fields(self):
        """The fields that the connector asks for, too."""
        request = urllib.request.Request(
            f"{self.org['base_url']}/services/data/v62.0/sobjects/Account/describe",
            headers={"Authorization": f"Bearer {self.org['access_token']}"},
        )
        with urllib.request.urlopen(request) as answer:
            fields = json.load(answer)["fields"]
        return [field["name"] for field in fields if field["type"] not in NO_COLUMNS]


def _authorize(command):
    """Plays the person who consents."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        url = next(line.strip() for line in process.stderr if line.strip().startswith("http"))
        rest = threading.Thread(target=process.stderr.read)
        rest.start()
        # Both redirects lead back to the program, which says what to do next.
        with urllib.request.urlopen(url) as answer:
            answer.read()
        rest.join()
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
