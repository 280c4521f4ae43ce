"""Runs the scenarios, in turn, and writes the report.

usage: python -m suite --bin-dir target/release --homes target/bench [--only SCENARIO] [--records N] [--small]
The S3 server is told by TIDEGATE_TEST_S3_{ENDPOINT,BUCKET,ACCESS_KEY,SECRET_KEY,PID,METRICS}.
"""

import argparse
import datetime
import json
import sys
import tempfile
from pathlib import Path

from . import report
from .bench import Bench, say
from .scenarios import ALL
from .stand import Sink

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "target/bench/results"


def main():
    arguments = parse()
    results = Path(str(RESULTS) + "-small") if arguments.small else RESULTS
    results.mkdir(parents=True, exist_ok=True)
    if not arguments.report_alone:
        run(arguments, results)
    if arguments.small:
        # Times of small lists and slow builds say nothing; that every scenario works does.
        return
    report.write(results, ROOT / "bench")


def run(arguments, results):
    began = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, commit {report.commit()}"
    # Not in RAM: whoever syncs pays for it.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=results.parent) as folder:
        bench = Bench(
            bin_dir=arguments.bin_dir.resolve(),
            homes=arguments.homes.resolve(),
            folder=Path(folder),
            sink=Sink.from_environment(),
            records=arguments.records,
            peer_records=arguments.peer_records,
            rounds=1 if arguments.small else arguments.rounds,
            small=arguments.small,
        )
        for name, scenario in ALL.items():
            if arguments.only and name not in arguments.only:
                continue
            say(f"== {name}")
            figures = scenario(bench)
            if not figures:
                sys.exit(f"{name} brought no figures")
            # Each by itself, so that one can be repeated without the others.
            (results / f"{name}.json").write_text(json.dumps({"run": began, "figures": figures}, indent=1))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=Path, default=ROOT / "target/release")
    parser.add_argument("--homes", type=Path, default=ROOT / "target/bench", help="where the peers are installed")
    parser.add_argument("--only", action="append", choices=ALL, metavar="SCENARIO", help=f"of {', '.join(ALL)}")
    parser.add_argument("--records", type=int, help="of the largest list [10,000,000]")
    parser.add_argument("--peer-records", type=int, help="of the list that peers read [100,000]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="only whether every scenario works")
    parser.add_argument("--report-alone", action="store_true", help="of the figures of earlier runs")
    arguments = parser.parse_args()
    arguments.records = arguments.records or (20_000 if arguments.small else 10_000_000)
    arguments.peer_records = arguments.peer_records or (500 if arguments.small else 100_000)
    return arguments


if __name__ == "__main__":
    main()
