"""A Tidegate service and a simulated CRM as processes of their own, and a small client:
the ground that the proofs by programs of others stand on.
"""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPONENT = ROOT / "guest-connectors/target/wasm32-wasip2/release/hubspot.wasm"
START_S = 60
STOP_S = 40


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, method, path, status, body):
        super().__init__(f"{method} {path} answered {status}: {body}")
        self.status = status
        self.body = body


class Client:
    """Asks the API with one key."""

    def __init__(self, url, key=None):
        self.url = url
        self.key = key

    def ask(self, method, path, body=None, headers=None, content_type="application/json"):
        """The answer's JSON; raises Refused."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        if body is not None:
            request.add_header("content-type", content_type)
        if self.key:
            request.add_header("authorization", f"Bearer {self.key}")
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(method, path, error.code, error.read().decode()) from None
        return json.loads(text) if text else None

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, body=None, **more):
        return self.ask("POST", path, body, **more)

    def put(self, path, body):
        return self.ask("PUT", path, body)

    def key_of(self, role):
        """A client with a new key of this role."""
        made = self.post("/v1/keys", {"role": role, "title": "a proof"})
        return Client(self.url, made["key"])

    def connector(self):
        """Uploads the HubSpot connector for all tenants; its digest."""
        made = self.post("/v1/connectors?shared=true", COMPONENT.read_bytes(), content_type="application/wasm")
        return made["digest"]


def process(arguments, log, **more):
    """Starts a process and reads the line of JSON that says that it is ready."""
    if shutil.which("setpriv"):
        # It ends with us, however we end.
        arguments = ["setpriv", "--pdeathsig", "TERM", *arguments]
    with open(log, "wb") as errors:
        child = subprocess.Popen(
            [str(word) for word in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, **more
        )
    ready, _, _ = select.select([child.stdout], [], [], START_S)
    line = child.stdout.readline() if ready else b""
    if not line.startswith(b"{"):
        stop(child)
        raise SystemExit(f"{arguments[-1]} did not start:\n{pathlib.Path(log).read_text()[-4000:]}")
    return child, json.loads(line)


def stop(child, how=signal.SIGTERM):
    """Ends a process; one that does not end in time is a failure."""
    if child.poll() is None:
        child.send_signal(how)
    try:
        return child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise SystemExit(f"process {child.pid} did not end within {STOP_S} s") from None


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def crm(bin_dir, folder, contacts=2_000):
    """The simulated CRM, without limits; what it says about itself."""
    arguments = [bin_dir / "crm-sim", "hubspot", "--scale", "inf", "--contacts", contacts, "--companies", 200, "--deals", 200]
    child, started = process(arguments, folder / "crm.log")
    try:
        yield started
    finally:
        stop(child, signal.SIGINT)


@contextlib.contextmanager
def tidegate(bin_dir, folder, hubspot, port=0, settings=None, worker=None):
    """The service, with HubSpot at another address; a client with the administrator's key."""
    origins = ("https://api.hubapi.com", "https://app.hubspot.com")
    written = {
        "state": str(folder / "state"),
        "listen": f"127.0.0.1:{port}",
        "health_listen": "127.0.0.1:0",
        "node": {
            "broker": {
                "limit_scale": 1_000.0,
                # A refused grant is asked for again at once, not after a minute.
                "refusal_confirmed_after_ms": 0,
                "mappings": [{"from": origin, "to": hubspot} for origin in origins],
            },
            "worker": worker or {},
        },
        "api": {"requests_per_second": 100_000, "requests_burst": 100_000},
    }
    written.update(settings or {})
    (folder / "serve.yaml").write_text(json.dumps(written))
    # A variable of the caller's shell is no setting of this service.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    arguments = [bin_dir / "tidegate", "--json", "serve", "--config", folder / "serve.yaml"]
    child, started = process(arguments, folder / "tidegate.log", env=environment)
    client = Client(started["api"], started["admin_key"])
    client.process = child
    try:
        yield client
    finally:
        stop(child)


def tenant(admin, name, syncs, token, lake):
    """A client of a new tenant with these syncs, whose jobs read all contacts each time."""
    admin.put(f"/v1/tenants/{name}", {"title": name})
    made = admin.post(f"/v1/tenants/{name}/keys", {"role": "tenant-admin", "title": "the bench"})
    client = Client(admin.url, made["key"])
    connection = {"connector": "hubspot", "config": {"auth": "private_app"}, "secrets": {"token": "${secret:token}"}}
    # Everything each time, so that every job does the same.
    stream = {"name": "contacts", "mode": "full_refresh", "landing": "overwrite", "fields": ["email"]}
    sync = {"connection": "hubspot", "streams": [stream], "target": {"url": f"file://{lake}"}}
    configured = {
        "connections": {"hubspot": connection},
        "syncs": dict.fromkeys(syncs, sync),
        "secrets": {"token": token},
    }
    client.post("/v1/apply", configured)
    return client


def wait_for_job(client, job, patience_s=120):
    """The job when it is over."""
    until = time.monotonic() + patience_s
    while not job["is_final"]:
        if time.monotonic() > until:
            raise SystemExit(f"the job is not over: {job}")
        job = client.get(f"/v1/jobs/{job['id']}?wait_s=30")
    return job
