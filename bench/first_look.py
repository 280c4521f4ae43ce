"""Tidegate against a native loop, on the same pages of the same simulated CRM.

Each round runs every contestant once, in turn, and measures it from outside: the
CPU time of its process tree, wall time, peak memory. What counts is the ratio of
records per CPU second within one run of this script; see README.md.

usage: first_look.py --bin-dir target/release [--records 200000] [--rounds 2]
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPONENT = ROOT / "guest-connectors/target/wasm32-wasip2/release/hubspot.wasm"

# (who, format, the native loop it is compared with)
CONTESTANTS = [
    ("tidegate", "jsonl.zst", "jsonl.zst"),
    ("tidegate", "parquet", "parquet"),
    ("native", "jsonl.zst", None),
    ("native", "jsonl.gz", None),
    ("native", "parquet", None),
]

SYNC = """\
tenant: bench
sync: {sync}
connection:
  id: hubspot
  connector: {component}
  config: {{ auth: private_app }}
  secrets: {{ token: '${{file:{folder}/token}}' }}
streams: [{{ name: contacts, mode: incremental, landing: append }}]
target: {{ url: 'file://{lake}', format: {format} }}
batch: {{ rows_max: 1000000 }}
"""

OPERATOR = """\
broker:
  limit_scale: .inf
  mappings:
    - {{ from: 'https://api.hubapi.com', to: '{crm}' }}
    - {{ from: 'https://app.hubspot.com', to: '{crm}' }}
"""


def main():
    arguments = parse()
    # Not in RAM: both sides pay for their fsync.
    with tempfile.TemporaryDirectory(prefix="first-look-", dir=arguments.work_dir) as folder:
        folder = pathlib.Path(folder)
        with simulator(arguments, folder) as crm:
            figures = rounds(arguments, folder, crm)
    table(arguments, figures)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--bin-dir", type=pathlib.Path, default=ROOT / "target/release")
    parser.add_argument("--component", type=pathlib.Path, default=COMPONENT)
    parser.add_argument("--work-dir", help="where to land; a directory on a disk")
    arguments = parser.parse_args()
    arguments.bin_dir = arguments.bin_dir.resolve()
    arguments.component = arguments.component.resolve()
    return arguments


@contextlib.contextmanager
def simulator(arguments, folder):
    command = [arguments.bin_dir / "crm-sim", "hubspot", "--scale", "inf"]
    command += ["--contacts", str(arguments.records)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def rounds(arguments, folder, crm):
    (folder / "token").write_text(crm["private_app_token"])
    (folder / "operator.yaml").write_text(OPERATOR.format(crm=crm["base_url"]))
    warm = write_sync(arguments, folder, "warm", "jsonl.zst")
    # Compiles the component; the runs then find it in the cache.
    measured(tidegate(arguments, folder, "connections", "check", warm), folder)
    figures = {}
    for number in range(arguments.rounds):
        for who, format, _ in CONTESTANTS:
            contest = tidegate_lands if who == "tidegate" else native_lands
            figure = contest(arguments, folder, crm, f"round-{number}", format)
            print(f"round {number + 1}: {who} {format}: {json.dumps(figure)}", file=sys.stderr)
            if figure["records"] != arguments.records:
                sys.exit(f"{who} {format} landed {figure['records']} records")
            figures.setdefault((who, format), []).append(figure)
    return figures


def tidegate_lands(arguments, folder, crm, sync, format):
    sync = f"{sync}-{format.replace('.', '-')}"
    file = write_sync(arguments, folder, sync, format)
    figure, output = measured(tidegate(arguments, folder, "sync", "run", file), folder)
    said = json.loads(output.splitlines()[-1])
    if said["streams"]["contacts"]["rejected"]:
        sys.exit(f"tidegate {format} refused records: {said}")
    # What readers see, through the commit log.
    listing = subprocess.check_output(tidegate(arguments, folder, "lake", "files", file), text=True)
    files = [json.loads(line) for line in listing.splitlines()]
    figure["records"] = sum(file["rows"] for file in files)
    figure["bytes"] = sum(file["bytes"] for file in files)
    shutil.rmtree(folder / "lake" / sync)
    figure["peak_rss_bytes"] = said["peak_rss_bytes"]
    return figure


def native_lands(arguments, folder, crm, sync, format):
    file = folder / f"{sync}-native.{format}"
    command = [arguments.bin_dir / "native-loop", "--base-url", crm["base_url"]]
    command += ["--token", crm["private_app_token"], "--format", format, "--file", file]
    figure, output = measured(command, folder)
    said = json.loads(output)
    file.unlink()
    return figure | {name: said[name] for name in ("records", "bytes", "peak_rss_bytes")}


def write_sync(arguments, folder, sync, format):
    file = folder / f"{sync}.yaml"
    lake = folder / "lake" / sync
    lake.mkdir(parents=True)
    file.write_text(
        SYNC.format(
            sync=sync, component=arguments.component, folder=folder, lake=lake, format=format
        )
    )
    return file


def tidegate(arguments, folder, *command):
    place = ["--state", folder / "state", "--operator", folder / "operator.yaml"]
    return [arguments.bin_dir / "tidegate", "--json", *place, *command]


def measured(command, folder):
    """Runs to a successful end; (figures, standard output). Peak memory is not among
    the figures: what the kernel tells of a child starts from the memory of this
    script, so both sides read their own."""
    with open(folder / "output", "w+", encoding="utf-8") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        # The usage of the process and of all children that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        sys.exit(f"{command[0]} ended with {process.returncode}: {text}")
    return {
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "system_seconds": usage.ru_stime,
        "seconds": seconds,
    }, text


def table(arguments, figures):
    def median(contestant, of):
        return statistics.median(of(figure) for figure in figures[contestant])

    def rate(contestant):
        return median(contestant, lambda figure: figure["records"] / figure["cpu_seconds"])

    today = datetime.date.today().isoformat()
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.records:,} records, medians of {arguments.rounds}, {today}, {cores} cores\n")
    print("| contestant | records per CPU second | tidegate / native | wall s | MB landed | peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for who, format, against in CONTESTANTS:
        contestant = (who, format)
        ratio = f"{rate(contestant) / rate(('native', against)):.2f}" if against else ""
        wall = median(contestant, lambda figure: figure["seconds"])
        landed = median(contestant, lambda figure: figure["bytes"]) / 1e6
        peak = median(contestant, lambda figure: figure["peak_rss_bytes"]) / 1e6
        name = f"{who} {format}"
        print(f"| {name} | {rate(contestant):,.0f} | {ratio} | {wall:.1f} | {landed:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
