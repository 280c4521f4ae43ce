"""Cold start: from the start of a process to its first request, and to one page that has landed."""

import http.server
import shutil
import threading
import time
import urllib.request
from dataclasses import replace

from ..contestants import tidegate

RUNS = 5
PAGE = 100
STARTERS = ("tidegate jsonl.zst", "native jsonl.gz", "dlt jsonl.gz", "airbyte cdk", "singer jsonl.gz", "sling jsonl")


def one_page(bench):
    figures = []
    with bench.source(PAGE) as source, Doorman(source) as doorman:
        for number in range(1 if bench.small else RUNS):
            for name in STARTERS:
                figures.append(start(bench, name, doorman))
            figures.append(start(bench, stranger(bench, number), doorman, compiled=False))
    return figures


def stranger(bench, number):
    """A connector that this node has never seen."""
    home = bench.folder / f"tidegate-new-{number}"
    return tidegate.Tidegate(bench.bin_dir, home, "jsonl.zst", "tidegate jsonl.zst, component not compiled yet")


def start(bench, contestant, doorman, compiled=True):
    if isinstance(contestant, str):
        contestant = bench.contestants[contestant]
    with bench.task(doorman.source) as task:
        if compiled:
            contestant.prepare(task)
        doorman.first_at = None
        figure = contestant.run(task)
    figure["first_request_seconds"] = doorman.first_at - figure["began"]
    if not compiled:
        shutil.rmtree(contestant.home)
    return {"contestant": contestant.name} | figure


class Doorman:
    """Stands before the source and notes when the first request came."""

    def __init__(self, source):
        self.behind = source
        self.first_at = None

    def __enter__(self):
        doorman = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                doorman.first_at = doorman.first_at or time.monotonic()
                headers = {"authorization": self.headers.get("authorization", "")}
                request = urllib.request.Request(doorman.behind.base_url + self.path, headers=headers)
                with urllib.request.urlopen(request, timeout=10) as answer:
                    body = answer.read()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.source = replace(self.behind, base_url=f"http://127.0.0.1:{self.server.server_port}")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
