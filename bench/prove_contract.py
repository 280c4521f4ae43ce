"""Schemathesis against the served OpenAPI document, with an administrator's and a
viewer's key: no answer of the 5xx kind, and none that the document does not describe.

usage: prove_contract.py --bin-dir target/debug [--examples 4] [--page target/proof/contract.md]
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
# All that there are but two: a document cannot say which connector is approved
# (positive_data_acceptance), and one key knows of no other tenant's objects
# (object_level_authorization; a test of our own walks role, route and foreign id).
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)


def seed(admin, crm, folder):
    """Something of everything, so that more than 404 is seen; what there is."""
    digest = admin.connector()
    connection = {"connector": "hubspot", "config": {"auth": "private_app"}, "secrets": {"token": "${secret:token}"}}
    target = f"file://{folder}/lake"
    sync = {"connection": "hubspot", "streams": [{"name": "contacts"}], "target": {"url": target}}
    configuration = {
        "connections": {"hubspot": connection},
        "syncs": {"crm": sync | {"schedule": {"every": "1h"}}, "spare": sync},
        "secrets": {"token": crm["private_app_token"], "spare": "nobody's"},
    }
    admin.post("/v1/apply", configuration)
    admin.post("/v1/connections/hubspot/check")
    admin.post("/v1/connections/hubspot/discover")
    admin.put("/v1/tenants/other", {"title": "Another"})
    hook = {"url": "https://nowhere.invalid/", "events": ["job.finished"], "secret": "${secret:token}"}
    for name in ("hook", "spare"):
        admin.put(f"/v1/subscriptions/{name}", hook)
    job = service.wait_for_job(admin, admin.post("/v1/syncs/crm/jobs"))
    kept = {
        "connection": "hubspot",
        "connector": "hubspot",
        "digest": digest,
        "job": job["id"],
        "log": "contacts",
        "secret": "${secret:token}",
        "stream": "contacts",
        "subscription": "hook",
        "sync": "crm",
        "target": target,
        "tenant": "other",
    }
    spare = {"job": job["id"], "name": "spare", "subscription": "spare", "sync": "spare", "tenant": "other"}
    return {"kept": kept, "spare": spare}


def run(client, role, existing, examples, folder):
    """One run with one key: its report, and whether all passed."""
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
        *("--report", "json", "--report-json-path", report),
    ]
    environment = os.environ | {
        "PYTHONPATH": str(service.ROOT / "bench"),
        "SCHEMATHESIS_HOOKS": "contract_hooks",
        "TIDEGATE_PROOF_EXISTING": json.dumps(existing),
    }
    ended = subprocess.run(arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=False)
    return json.loads(report.read_text()), ended.returncode == 0


def figures(role, report):
    """One line of the table: how much was tried, and how far it got."""
    reached = dict.fromkeys(("accepted", "rejected", "conflicts", "unreachable"), 0)
    for phases in report["valid_rates"].values():
        for counted in phases.values():
            for name in reached:
                reached[name] += counted[name]
    cases, operations = report["test_cases"], report["operations"]
    return {
        "key": role,
        "operations": f"{operations['tested']} of {operations['total']}",
        "cases": cases["generated"],
        "failed": cases["with_failures"] + cases["errored"],
        **reached,
        "seconds": round(report["running_time"]),
    }


def page(rows, version, examples):
    """The record of a run, as Markdown."""
    names = list(rows[0])
    lines = ["# The API against its own description", ""]
    lines += [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    lines += [f"| {' | '.join(str(row[name]) for name in names)} |" for row in rows]
    total = sum(row["cases"] for row in rows)
    lines += [
        "",
        f"{total} cases of schemathesis {version} ({examples} examples for each operation and phase, seed {SEED}), with",
        f"the checks {', '.join(CHECKS)}. `accepted` are answers of the 2xx kind; `unreachable` are 401, 403 and 404,",
        "most of them about ids that nobody has.",
    ]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=int, default=4)
    parser.add_argument("--page", type=pathlib.Path)
    arguments = parser.parse_args()
    rows, failed = [], []
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-contract-")))
        crm = stack.enter_context(service.crm(arguments.bin_dir, folder, 50))
        admin = stack.enter_context(service.tidegate(arguments.bin_dir, folder, crm["base_url"]))
        existing = seed(admin, crm, folder)
        for role in ROLES:
            report, passed = run(admin.key_of(role), role, existing, arguments.examples, folder)
            rows.append(figures(role, report))
            if not passed:
                failed.append(role)
        # It still lives, and knows its administrator.
        admin.get("/v1/me")
        if b"panicked" in (folder / "tidegate.log").read_bytes():
            failed.append("a panic of the service")
    text = page(rows, report["schemathesis_version"], arguments.examples)
    print(text)
    if failed:
        raise SystemExit(f"FAILED: {', '.join(failed)}; the findings stand above")
    if arguments.page:
        arguments.page.write_text(text)


if __name__ == "__main__":
    main()
