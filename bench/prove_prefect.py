"""The flow of docs/orchestrate against a real Prefect and a real service: a history, a
change, and a bad network in between. What DuckDB holds is compared with the CRM's truth.

usage: prove_prefect.py --bin-dir target/debug
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

import service

CONTACTS = 2_000


class BadNetwork(http.server.BaseHTTPRequestHandler):
    """Passes on to the service; loses the answer of the first trigger of all, and breaks
    off the first stream of events."""

    address = None
    faults = set()
    lost = 0
    broken = 0

    def do_GET(self):
        self.pass_on(None)

    def do_POST(self):
        self.pass_on(self.rfile.read(int(self.headers.get("content-length", 0))))

    def pass_on(self, body):
        upstream = http.client.HTTPConnection(self.address, timeout=120)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        if self.path.endswith("/jobs") and body is not None and "trigger" in self.faults:
            self.faults.discard("trigger")
            answer.read()
            BadNetwork.lost += 1
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        if self.path.endswith("/events") and "events" in self.faults:
            # The head went out; then nothing more comes.
            self.faults.discard("events")
            BadNetwork.broken += 1
            upstream.close()
            return
        while piece := answer.read1(65_536):
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *_):
        pass


def configuration(token, lake):
    return {
        "connections": {
            "hubspot": {
                "connector": "hubspot",
                "config": {"auth": "private_app"},
                "secrets": {"token": "${secret:hubspot.token}"},
            }
        },
        "syncs": {
            "crm": {
                "connection": "hubspot",
                "streams": [{"name": "contacts"}, {"name": "companies"}],
                "target": {"url": f"file://{lake}"},
            }
        },
        "secrets": {"hubspot.token": token},
    }


def truth(crm, kind):
    """Keys that live in the CRM, with their versions."""
    with urllib.request.urlopen(f"{crm['control_url']}/truth/{kind}") as lines:
        records = [json.loads(line) for line in lines]
    return {record["id"]: record["version"] for record in records if not record["archived"]}


def compare(database_file, crm):
    import duckdb

    with duckdb.connect(database_file, read_only=True) as database:
        for stream in ("contacts", "companies"):
            rows = database.execute(f'SELECT _tg_key, _tg_version FROM "crm_{stream}_newest"').fetchall()
            wanted, landed = truth(crm, stream), dict(rows)
            if len(rows) != len(landed) or set(landed) != set(wanted):
                raise SystemExit(f"FAILED: {stream}: {len(rows)} rows of {len(landed)} keys, {len(wanted)} in the CRM")
            stale = [key for key, version in wanted.items() if str(landed[key]) != str(version)]
            if stale:
                raise SystemExit(f"FAILED: {stream}: {len(stale)} keys are stale, such as {stale[0]}: "
                                 f"{landed[stale[0]]} for {wanted[stale[0]]}")
            print(f"ok: DuckDB holds the CRM's {len(wanted)} {stream}, each in its newest version")


def change(crm):
    """Edits, creates and archives contacts."""
    control = service.Client(crm["control_url"])
    for word, count in (("edit", 100), ("create", 50), ("archive", 20)):
        control.post(f"/{word}", {"kind": "contacts", "count": count})


def run(folder, admin, crm):
    sys.path.insert(0, str(service.ROOT / "docs/orchestrate"))
    import flow

    import prefect

    print(f"Prefect {prefect.__version__}")
    database_file = str(folder / "crm.duckdb")
    configured = configuration(crm["private_app_token"], folder / "lake")
    first = flow.sync_to_duckdb(configured, "crm", database_file)
    compare(database_file, crm)
    change(crm)
    bad = http.server.ThreadingHTTPServer(("127.0.0.1", 0), BadNetwork)
    BadNetwork.address = urllib.parse.urlsplit(admin.url).netloc
    BadNetwork.faults = {"trigger", "events"}
    threading.Thread(target=bad.serve_forever, daemon=True).start()
    os.environ["TIDEGATE_URL"] = f"http://127.0.0.1:{bad.server_address[1]}"
    second = flow.sync_to_duckdb(configured, "crm", database_file)
    compare(database_file, crm)
    jobs = admin.get("/v1/jobs")["items"]
    if (BadNetwork.lost, BadNetwork.broken, len(jobs)) != (1, 1, 2):
        raise SystemExit(f"FAILED: {BadNetwork.lost} lost, {BadNetwork.broken} broken off, {len(jobs)} jobs")
    print("ok: the answer of a trigger was lost and a stream broke off; each run made one job")
    if second["streams"]["contacts"]["rows"] >= first["streams"]["contacts"]["rows"]:
        raise SystemExit(f"FAILED: the second run loaded everything again: {second}")
    fails(flow, admin, configured, database_file)


def fails(flow, admin, configured, database_file):
    """A job that failed is not tried again by its task."""
    configured["secrets"]["hubspot.token"] = "no-token-of-anybody"
    before = len(admin.get("/v1/jobs")["items"])
    try:
        flow.sync_to_duckdb.with_options(retries=0)(configured, "crm", database_file)
    except flow.SyncFailed as failed:
        print(f"ok: a failed job fails the flow once: {str(failed)[:160]}")
    else:
        raise SystemExit("FAILED: a sync without a valid token succeeded")
    made = len(admin.get("/v1/jobs")["items"]) - before
    if made != 1:
        raise SystemExit(f"FAILED: {made} jobs were made")


def environment(folder, admin, crm):
    """Of a process with a Prefect server of its own, from which nothing is sent."""
    return os.environ | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        # It takes 10 s where nothing else runs.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "TIDEGATE_URL": admin.url,
        "TIDEGATE_KEY": admin.key,
        "TIDEGATE_PROOF_CRM": json.dumps(crm),
        "TIDEGATE_PROOF_FOLDER": str(folder),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    if crm := os.environ.get("TIDEGATE_PROOF_CRM"):
        admin = service.Client(os.environ["TIDEGATE_URL"], os.environ["TIDEGATE_KEY"])
        run(pathlib.Path(os.environ["TIDEGATE_PROOF_FOLDER"]), admin, json.loads(crm))
        return
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-prefect-")))
        crm = stack.enter_context(service.crm(arguments.bin_dir, folder, CONTACTS))
        admin = stack.enter_context(service.tidegate(arguments.bin_dir, folder, crm["base_url"]))
        admin.connector()
        # In a process of its own: Prefect's server ends with it, before its directory does.
        subprocess.run([sys.executable, *sys.argv], env=environment(folder, admin, crm), check=True)
    print("the flow holds")


if __name__ == "__main__":
    main()
