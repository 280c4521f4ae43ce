#!/usr/bin/env python3
"""Replays recorded traffic of the real APIs against the simulators.

usage: replay_recordings.py RECORDINGS CRM_SIM [--page FILE] [--api NAME] [--show N]

RECORDINGS is a directory of `<api>.jsonl.gz`, one recorded exchange a line, grouped by
the test that made them; CRM_SIM is the simulator's binary. Each group is replayed in its
order against a simulator whose clock stands at the recorded moment; status, headers,
the shape of the body and, where they are not ids, times or the account's own words, its
values must be the same. `recordings/explained.toml` names every difference that may
remain, with its reason; any other one fails the run, and so does an explanation that
nothing needs any more.
"""

import argparse
import fnmatch
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from itertools import groupby
from pathlib import Path

from recordings.exchange import differences, read
from recordings.hubspot import HubSpot
from recordings.intercom import Intercom
from recordings.pipedrive import Pipedrive
from recordings.salesforce import Salesforce
from recordings.simulator import Simulator

READINGS = {reading.name: reading for reading in (HubSpot, Intercom, Pipedrive, Salesforce)}
EXPLAINED = Path(__file__).with_name("recordings") / "explained.toml"


class Explanations:
    """The table of differences that may remain."""

    def __init__(self, entries):
        self.entries = entries
        self.used = Counter()

    def of(self, route, difference):
        """The entry that covers a difference of a route, or None."""
        for number, entry in enumerate(self.entries):
            if fnmatch.fnmatchcase(route, entry["route"]) and any(
                    fnmatch.fnmatchcase(difference, pattern) for pattern in entry["differs"]):
                self.used[number] += 1
                return number
        return None

    def unused(self):
        return [entry for number, entry in enumerate(self.entries) if not self.used[number]]


class Outcome:
    """What the replay of one API's recordings found."""

    def __init__(self, name, explanations):
        self.name = name
        self.explanations = explanations
        self.elsewhere = 0
        self.equal = Counter()
        self.explained = Counter()
        self.touched = defaultdict(set)
        self.open = []

    def note(self, exchange, route, found):
        unexplained = []
        for difference in found:
            number = self.explanations.of(route, difference)
            if number is None:
                unexplained.append(difference)
            else:
                self.touched[number].add(exchange.number)
        if unexplained:
            self.open.append((exchange, route, unexplained))
        elif found:
            self.explained[route] += 1
        else:
            self.equal[route] += 1

    @property
    def replayed(self):
        return self.equal.total() + self.explained.total() + len(self.open)


def replay(reading_class, path, binary, explanations):
    """Replays one API's file."""
    outcome = Outcome(reading_class.name, explanations)
    exchanges = read(path)
    # Another host's answers are no promise of this API.
    mine = [exchange for exchange in exchanges if reading_class.host in exchange.host]
    outcome.elsewhere = len(exchanges) - len(mine)
    # Recordings of one test are consecutive, so that neither state nor ids leak.
    of_run = reading_class().run_of
    for _, run in groupby(mine, of_run):
        run, reading = list(run), reading_class()
        with Simulator(binary, reading.arguments()) as simulator:
            reading.begin(simulator, run)
            for exchange in run:
                reading.presuppose(simulator, exchange)
                answer = reading.send(simulator, exchange)
                reading.learn(exchange, answer)
                found = reading.judged(exchange, differences(exchange, answer, reading))
                outcome.note(exchange, reading.route(exchange), found)
    return outcome


def page(outcomes):
    """The page that the project keeps."""
    lines = [
        "# Are the simulators like the real APIs?",
        "",
        "Traffic that others recorded against the real APIs (the fixtures of grouparoo/grouparoo, MIT, of 2021 and",
        "2022, with credentials, addresses and long lists scrubbed) is replayed against the simulators of",
        "`bench/crm-sim` by `bench/replay_recordings.py`, which also writes this page. Compared are the status, every",
        "header that is not of the edge or the connection, the keys and types of the body, and its values unless they",
        "are ids, times or the account's own words. What a recording presupposes is created through the API itself.",
        "",
        "| API | exchanges replayed | equal | different, and explained below | not explained |",
        "|---|---:|---:|---:|---:|",
    ]
    for outcome in outcomes:
        lines.append(
            f"| {outcome.name} | {outcome.replayed:,} | {outcome.equal.total():,} "
            f"| {outcome.explained.total():,} | {len(outcome.open):,} |")
    for outcome in outcomes:
        lines += ["", f"## {outcome.name}", ""]
        if outcome.elsewhere:
            lines += [f"{outcome.elsewhere} more exchanges went to other hosts and are left out.", ""]
        lines += ["| exchange | equal | explained | not explained |", "|---|---:|---:|---:|"]
        opened = Counter(route for _, route, _ in outcome.open)
        routes = sorted({*outcome.equal, *outcome.explained, *opened})
        for route in routes:
            lines.append(f"| `{route}` | {outcome.equal[route] or ''} "
                         f"| {outcome.explained[route] or ''} | {opened[route] or ''} |")
        if outcome.touched:
            lines += ["", "What differs, and why:", ""]
        for number in sorted(outcome.touched):
            entry = outcome.explanations.entries[number]
            count = len(outcome.touched[number])
            lines.append(f"- `{entry['route']}` ({count} exchange{'s' if count > 1 else ''}): "
                         f"{entry['why']}")
    return "\n".join(lines) + "\n"


def complain(outcomes, show):
    """Says what no explanation covers; true if there is any such thing."""
    wrong = False
    for outcome in outcomes:
        grouped = defaultdict(list)
        for exchange, route, found in outcome.open:
            for difference in found:
                # The first of several values stands for all.
                grouped[route, difference.split(" differs: ")[0]].append((exchange.place, difference))
        for (route, _), places in sorted(grouped.items())[:show]:
            place, difference = places[0]
            print(f"{outcome.name}: {route}: {difference}  ({len(places)}x, {place})", file=sys.stderr)
        for entry in outcome.explanations.unused():
            print(f"{outcome.name}: nothing needs the explanation of {entry['route']}: {entry['differs']}",
                  file=sys.stderr)
        wrong = wrong or bool(grouped) or bool(outcome.explanations.unused())
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path)
    parser.add_argument("crm_sim", type=Path)
    parser.add_argument("--page", type=Path, help="where to write the page")
    parser.add_argument("--api", choices=sorted(READINGS), action="append")
    parser.add_argument("--show", type=int, default=100, help="unexplained differences shown")
    arguments = parser.parse_args()
    explained = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
    outcomes = []
    for name, reading in READINGS.items():
        path = arguments.recordings / f"{name}.jsonl.gz"
        if arguments.api and name not in arguments.api:
            continue
        if not path.is_file():
            sys.exit(f"{path} is not there")
        if subprocess.run([arguments.crm_sim, name, "--help"], capture_output=True).returncode:
            print(f"{name}: skipped, {arguments.crm_sim} does not simulate it")
            continue
        explanations = Explanations(explained.get(name, []))
        outcomes.append(replay(reading, path, arguments.crm_sim, explanations))
    for outcome in outcomes:
        print(f"{outcome.name}: {outcome.replayed} replayed, {outcome.equal.total()} equal, "
              f"{outcome.explained.total()} explained, {len(outcome.open)} not explained")
    if arguments.page:
        arguments.page.write_text(page(outcomes), encoding="utf-8")
    sys.exit(complain(outcomes, arguments.show))


if __name__ == "__main__":
    main()
