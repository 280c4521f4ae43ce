"""What the guest costs: the same list read blind, without any guest, and by guests that
copy every page, in Rust, JavaScript and Python, beside a native loop that does as they do.
"""

import json
import pathlib
import subprocess

from ..measure import measured

ROOT = pathlib.Path(__file__).resolve().parents[3]
RUST_GUESTS = ROOT / "guest-connectors/target/wasm32-wasip2/release"
OTHER_GUESTS = ROOT / "target/bench-guests"

# The connector of each way of reading.
GUESTS = {
    "blind": RUST_GUESTS / "pages.wasm",
    "copying, Rust": RUST_GUESTS / "copying.wasm",
    "copying, JavaScript": OTHER_GUESTS / "contacts-js.wasm",
    "copying, Python": OTHER_GUESTS / "contacts-python.wasm",
}
# Those that need no tool chain but Rust's.
RUST = {name: GUESTS[name] for name in ("blind", "copying, Rust")}
LINES, PARQUET = "jsonl.zst", "parquet"

SYNC = """\
tenant: bench
sync: {sync}
connection:
  id: contacts
  connector: {component}
  config: {config}
  secrets: {{ token: '${{file:{folder}/token}}' }}
streams: [{{ name: contacts, mode: full_refresh, landing: append }}]
target: {{ url: 'file://{lake}', format: {format} }}
"""

OPERATOR = """\
broker:
  mappings:
    - {{ from: 'https://api.hubapi.com', to: '{base_url}' }}
  limit_scale: .inf
"""


def run(bin_dir, folder, source, sink, records, guests):
    """One round in a fresh folder: every contestant once, in turn. `sink` is the directory to land in."""
    return Round(bin_dir, folder, source, sink, records).all(guests)


class Round:
    def __init__(self, bin_dir, folder, source, sink, records):
        self.bin_dir, self.folder, self.source = bin_dir, folder, source
        self.sink, self.records = sink, records
        (folder / "token").write_text(source["token"])
        (folder / "operator.yaml").write_text(OPERATOR.format(**source))

    def all(self, guests):
        for name in guests:
            self.compile(name)
        figures = []
        for format in (LINES, PARQUET):
            figures += [self.guest("blind", format), self.without_guest(format)]
        figures.append(self.native())
        return figures + [self.guest(name, LINES) for name in guests if name != "blind"]

    def compile(self, name):
        """Compiles the component; the runs then find it in the cache."""
        file, _ = self.sync(f"compile-{slug(name)}", name, LINES)
        measured(self.tidegate("connections", "check", file), self.folder)

    def guest(self, name, format):
        file, sync = self.sync(f"{slug(name)}-{slug(format)}", name, format)
        figure, output = measured(self.tidegate("sync", "run", file), self.folder)
        said = json.loads(output.splitlines()[-1])
        # What readers see, through the commit log.
        listing = subprocess.check_output(self.tidegate("lake", "files", file), text=True)
        rows = sum(json.loads(line)["rows"] for line in listing.splitlines())
        return self.counted(f"{name}, {format}", rows, figure, said["peak_rss_bytes"])

    def without_guest(self, format):
        sync = f"without-guest-{slug(format)}"
        command = [self.bin_dir / "without-guest"]
        command += ["--tidegate", self.bin_dir / "tidegate", "--component", GUESTS["blind"]]
        command += ["--base-url", self.source["base_url"], "--token", self.source["token"]]
        command += ["--state", self.folder / "state", "--sync", sync]
        command += ["--target", f"file://{self.lake(sync)}", "--format", format]
        return self.itself(f"no guest, {format}", command)

    def native(self):
        """Parses every record and writes it out again, as the copying guests do."""
        command = [self.bin_dir / "native-loop", "--parse", "--format", LINES]
        command += ["--base-url", self.source["base_url"], "--token", self.source["token"]]
        command += ["--file", self.lake("native") / "contacts"]
        return self.itself(f"native, parsed, {LINES}", command)

    def itself(self, contestant, command):
        """A contestant that counts what it landed."""
        figure, output = measured(command, self.folder)
        said = json.loads(output)
        return self.counted(contestant, said["records"], figure, said["peak_rss_bytes"])

    def counted(self, contestant, rows, figure, peak_bytes):
        if rows != self.records:
            raise RuntimeError(f"{contestant} landed {rows} of {self.records} records")
        return {
            "contestant": contestant,
            "records": rows,
            "cpu_s": figure["cpu_seconds"],
            "wall_s": figure["seconds"],
            "peak_mb": peak_bytes / 1e6,
        }

    def sync(self, sync, name, format):
        config = '{ auth: private_app }' if name == "copying, Rust" else "{}"
        file = self.folder / f"{sync}.yaml"
        file.write_text(
            SYNC.format(
                sync=sync,
                component=GUESTS[name],
                config=config,
                folder=self.folder,
                lake=self.lake(sync),
                format=format,
            )
        )
        return file, sync

    def lake(self, sync):
        lake = self.sink / sync
        lake.mkdir(parents=True, exist_ok=True)
        return lake

    def tidegate(self, *command):
        place = ["--state", self.folder / "state", "--operator", self.folder / "operator.yaml"]
        return [self.bin_dir / "tidegate", "--json", *place, *command]


def slug(name):
    return name.lower().replace(", ", "-").replace(".", "-")
