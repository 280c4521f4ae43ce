"""Schemathesis against the served OpenAPI document, with an administrator's and a
viewer's key: no answer of the 5xx kind, and none that the document does not describe.

usage: prove_contract.py --bin-dir target/debug [--examples 8] [--page target/proof/contract.md]
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import service

SEED = 20261122
ROLES = ("platform-admin", "tenant-viewer")
# What an API must hold to whatever it is asked. Left out are the checks of how much a
# document says: it cannot tell which connector is approved (positive_data_acceptance),
# and what it does say is checked before what a key may do (ignored_auth is walked by a
# test of our own, role by route).
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
)


def seed(admin, crm, folder):
    """Something of everything, so that more than 404 is seen."""
    admin.connector()
    configuration = {
        "connections": {
            "hubspot": {
                "connector": "hubspot",
                "config": {"auth": "private_app"},
                "secrets": {"token": "${secret:token}"},
            }
        },
        "syncs": {
            "crm": {
                "connection": "hubspot",
                "streams": [{"name": "contacts"}, {"name": "companies"}],
                "target": {"url": f"file://{folder}/lake"},
                "schedule": {"every": "1h"},
            }
        },
        "secrets": {"token": crm["private_app_token"]},
    }
    admin.post("/v1/apply", configuration)
    admin.post("/v1/connections/hubspot/check")
    admin.post("/v1/connections/hubspot/discover")
    admin.put("/v1/tenants/other", {"title": "Another"})
    service.wait_for_job(admin, admin.post("/v1/syncs/crm/jobs"))


def run(client, role, examples, folder):
    """One run; how many cases it had and whether all passed."""
    report = folder / f"{role}.json"
    # Nothing of a former run is remembered: the same seed gives the same cases.
    arguments = [
        pathlib.Path(sys.executable).with_name("schemathesis"),
        *("run", f"{client.url}/v1/openapi.json"),
        *("--header", f"Authorization: Bearer {client.key}"),
        *("--checks", ",".join(CHECKS)),
        *("--seed", str(SEED), "--max-examples", str(examples)),
        *("--generation-database", "none", "--workers", "1", "--continue-on-failure"),
        *("--request-timeout", "60", "--no-color", "--warnings", "off"),
        *("--report", "json", "--report-json-path", str(report)),
    ]
    ended = subprocess.run(arguments, cwd=folder, stdin=subprocess.DEVNULL, check=False)
    return json.loads(report.read_text()), ended.returncode == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=int, default=8)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-contract-")))
        crm = stack.enter_context(service.crm(arguments.bin_dir, folder, 50))
        admin = stack.enter_context(service.tidegate(arguments.bin_dir, folder, crm["base_url"]))
        seed(admin, crm, folder)
        for role in ROLES:
            report, passed = run(admin.key_of(role), role, arguments.examples, folder)
            print(json.dumps(report)[:3000])
        admin.get("/v1/me")
        if b"panicked" in (folder / "tidegate.log").read_bytes():
            raise SystemExit("FAILED: the service panicked")


if __name__ == "__main__":
    main()
