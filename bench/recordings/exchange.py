"""Recorded exchanges, and what may be said of two answers to one request."""

import gzip
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

# What an edge, a load balancer or a connection adds: no part of an API.
EDGE_HEADERS = {
    "access-control-allow-credentials", "access-control-allow-headers",
    "access-control-allow-methods", "access-control-allow-origin",
    "access-control-expose-headers", "alt-svc", "badi", "cf-cache-status", "cf-ray",
    "connection", "content-encoding", "content-length", "date", "expect-ct", "nel",
    "report-to", "server", "set-cookie", "status", "strict-transport-security",
    "transfer-encoding", "via", "x-ami-version", "x-content-type-options",
    "x-frame-options", "x-powered-by", "x-runtime", "x-trace", "x-xss-protection",
}
# Lists are recorded with their first few members and a note of how many more there were.
SHORTENED = "\u2026"
# Scrubbed values say nothing but their type.
SCRUBBED = {"<redacted>", "REDACTED"}


ADDRESS = re.compile(r"[\w.+-]+@demo\.com")


def scrubbed(text):
    """Addresses in addresses of requests as they are in bodies, where alone they were
    scrubbed."""
    return ADDRESS.sub(
        lambda found: f"user-{hashlib.sha256(found[0].encode()).hexdigest()[:10]}@example.com",
        text)


@dataclass
class Exchange:
    """One request, and the answer that the real API gave."""

    file: str
    method: str
    path: str
    query: dict
    body: object
    status: int
    answer: object
    headers: dict
    at_ms: int
    number: int = 0
    host: str = ""

    @property
    def place(self):
        return f"{self.file}:{self.number}"


@dataclass
class Answer:
    """What a simulator answered."""

    status: int
    headers: dict
    body: object


@dataclass
class Ids:
    """The simulator's ids by the recorded ones."""

    known: dict = field(default_factory=dict)

    def learn(self, recorded, actual):
        self.known[str(recorded)] = actual

    def here(self, recorded):
        """The simulator's id; of the recorded one's type."""
        actual = self.known.get(str(recorded), recorded)
        return type(recorded)(actual) if isinstance(recorded, (int, str)) else actual


def read(path):
    """The exchanges of a file in their order."""
    exchanges, at_ms, last_file = [], 0, None
    for number, line in enumerate(gzip.open(path, "rt", encoding="utf-8"), 1):
        entry = json.loads(line)
        headers = {name.lower(): value for name, value in (entry.get("hdr") or {}).items()}
        if entry["file"] != last_file:
            at_ms, last_file = 0, entry["file"]
        if "date" in headers:
            moment_ms = round(parsedate_to_datetime(headers["date"]).timestamp() * 1000)
            # Several answers fall into a second; each has a moment of its own.
            at_ms = max(at_ms + 1, moment_ms)
        exchanges.append(Exchange(
            file=entry["file"].removesuffix(".js"),
            method=entry["method"],
            path=entry["path"],
            # Some were recorded as they stood in the address.
            query={name: unquote(value) for name, value in (entry.get("query") or {}).items()},
            body=entry.get("req"),
            status=entry["status"],
            answer=entry.get("res"),
            headers=headers,
            at_ms=at_ms,
            number=number,
            host=entry["base"],
        ))
    return exchanges


def differences(exchange, answer, reading):
    """Every difference between the recorded answer and the simulator's, one line each.
    `reading` knows the API: which values count, and how list members pair up."""
    found = []
    if exchange.status != answer.status:
        return [f"status {answer.status}, recorded {exchange.status}"]
    for name in sorted(exchange.headers.keys() - EDGE_HEADERS):
        if name not in answer.headers:
            found.append(f"header {name} is missing")
    for name in sorted(answer.headers.keys() - EDGE_HEADERS):
        if name not in exchange.headers:
            found.append(f"header {name} is not in the recording")
    recorded_type = exchange.headers.get("content-type")
    if recorded_type and answer.headers.get("content-type", recorded_type) != recorded_type:
        found.append(f"content-type {answer.headers['content-type']}, recorded {recorded_type}")
    compare(exchange.answer, answer.body, "$", reading, found)
    return found


def kind_of(value):
    """The JSON type, in a word."""
    names = {dict: "an object", list: "a list", str: "text", bool: "a flag", type(None): "null"}
    return names.get(type(value), "a number")


def compare(recorded, actual, path, reading, found):
    """Appends how `actual` differs from `recorded`."""
    if isinstance(recorded, str) and recorded in SCRUBBED:
        if kind_of(actual) != "text":
            found.append(f"{path} is {kind_of(actual)}, recorded text")
    elif kind_of(recorded) != kind_of(actual):
        found.append(f"{path} is {kind_of(actual)}, recorded {kind_of(recorded)}")
    elif isinstance(recorded, dict):
        recorded = {reading.mapped_key(name): member for name, member in recorded.items()}
        for name in sorted(recorded.keys() - actual.keys()):
            found.append(f"{path}.{name} is missing")
        for name in sorted(actual.keys() - recorded.keys()):
            found.append(f"{path}.{name} is not in the recording")
        for name in sorted(recorded.keys() & actual.keys()):
            compare(recorded[name], actual[name], f"{path}.{name}", reading, found)
    elif isinstance(recorded, list):
        compare_lists(recorded, actual, path, reading, found)
    elif reading.counts(path) and not reading.same(recorded, actual, path):
        found.append(f"{path} differs: {actual!r}, recorded {recorded!r}")


def compare_lists(recorded, actual, path, reading, found):
    """Members pair up as the API's reading says; a shortened list promises a beginning."""
    shortened = bool(recorded) and isinstance(recorded[-1], str) \
        and recorded[-1].startswith(SHORTENED)
    if shortened:
        recorded = recorded[:-1]
    pairs, missing, extra = reading.pair(recorded, actual, path, shortened)
    if missing:
        found.append(f"{path} lacks members")
    if extra and not shortened:
        found.append(f"{path} has more members")
    for before, now in pairs:
        compare(before, now, f"{path}[]", reading, found)


def time_ms(text):
    """Milliseconds of an ISO time."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(moment.timestamp() * 1000)
