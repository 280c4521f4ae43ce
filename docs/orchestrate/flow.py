"""A Prefect flow around Tidegate: apply a sync, run it, follow it, and load what it
landed into DuckDB. See prefect.md.

Who retries what: Tidegate retries providers, and waits for their limits, inside one job.
The tasks here retry only the way to Tidegate. A repeated task asks for the same thing
again, never for another one: a trigger carries an idempotency key, and a slot is loaded
in the transaction that remembers it.
"""

import json
import os
from contextlib import contextmanager
from urllib.parse import urlsplit

import duckdb
import httpx
from prefect import flow, get_run_logger, task
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff

# The longest that one answer of a followed job is waited for; the service says that it
# lives every 15 seconds.
SILENCE_S = 60
LONG_POLL_S = 50
READERS = {
    "parquet": "read_parquet(?)",
    "jsonl.zst": "read_json(?, format='newline_delimited', compression='zstd')",
    "jsonl.gz": "read_json(?, format='newline_delimited', compression='gzip')",
    "csv.gz": "read_csv(?, header=true, compression='gzip')",
}


class SyncFailed(Exception):
    """The job is over and did not succeed: to run the same task again changes nothing."""


def passes(_task, _run, state):
    """Whether a failure may pass by itself. What is wrong stays wrong."""
    try:
        state.result()
    except httpx.HTTPStatusError as error:
        return error.response.status_code == 429 or error.response.status_code >= 500
    except httpx.TransportError:
        return True
    except Exception:
        return False
    return False


# Four tries over about 15 s; `retries` of the flow are for whatever takes longer.
patient = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": passes,
}


@contextmanager
def service():
    """The API with the key of TIDEGATE_KEY; a Prefect secret block does as well."""
    headers = {"authorization": f"Bearer {os.environ['TIDEGATE_KEY']}"}
    address = os.environ.get("TIDEGATE_URL", "http://127.0.0.1:8474")
    with httpx.Client(base_url=address, headers=headers, timeout=SILENCE_S) as client:
        yield client


def answer(response):
    if response.is_error:
        # The problem's own words: code, detail and what to do about it.
        get_run_logger().error("%s", response.text)
    return response.raise_for_status().json()


@task(**patient)
def apply(configuration):
    """Makes the configuration so. All of it or nothing; again, it changes nothing."""
    with service() as client:
        plan = answer(client.post("/v1/apply", json=configuration))
    for change in plan["changes"]:
        get_run_logger().info("%s %s", change["action"], change["document"])
    return plan


@task(**patient)
def trigger(sync, key):
    """Asks for a job. The same key gives the same job, however often it is sent."""
    with service() as client:
        headers = {"idempotency-key": key}
        return answer(client.post(f"/v1/syncs/{sync}/jobs", headers=headers))["id"]


def events(client, job):
    """What the service says about a job, until the stream ends."""
    with client.stream("GET", f"/v1/jobs/{job}/events") as response:
        if response.is_error:
            response.read()
            answer(response)
        for line in response.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))


@task(**patient)
def follow(job):
    """The job when it is over: by its events, and where they break off by asking."""
    log = get_run_logger()
    shown = None
    with service() as client:
        try:
            for seen in events(client, job):
                if (seen["state"], seen["attempts"]) != shown:
                    shown = (seen["state"], seen["attempts"])
                    log.info("job %s is %s, attempt %s", job, *shown)
        except httpx.TransportError as error:
            log.warning("the stream of events broke off: %s", error)
        # A stream also ends where the service restarts; this says how it really is.
        while True:
            seen = answer(client.get(f"/v1/jobs/{job}", params={"wait_s": LONG_POLL_S}))
            if seen["is_final"]:
                break
    if seen["state"] == "degraded":
        log.warning("some streams failed: %s", seen["streams"])
    elif seen["state"] != "succeeded":
        raise SyncFailed(f"job {job} is {seen['state']}: {seen.get('reason')}, {seen['streams']}")
    return seen


def slots_after(client, sync, stream, last):
    """The slots of a stream's commit log behind number `last`, in order."""
    params = {"limit": 200}
    while True:
        if last is not None:
            params["after"] = last
        page = answer(client.get(f"/v1/syncs/{sync}/logs/{stream}/slots", params=params))
        yield from page["items"]
        last = page.get("next")
        if last is None:
            return


def open_s3(database, target):
    """Makes the bucket readable, where the target is one."""
    if not target["url"].startswith("s3://"):
        return
    endpoint = urlsplit(target.get("endpoint") or "https://s3.amazonaws.com")
    options = {
        "key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "secret": os.environ["AWS_SECRET_ACCESS_KEY"],
        "region": target.get("region", "us-east-1"),
        "endpoint": endpoint.netloc,
        "use_ssl": str(endpoint.scheme == "https").lower(),
        "url_style": "path" if target.get("path_style") else "vhost",
    }
    given = ", ".join(f"{name} '{value}'" for name, value in options.items())
    database.execute(f"CREATE OR REPLACE SECRET lake (TYPE s3, {given})")


@task(**patient)
def load(database_file, sync, stream, target):
    """Loads every slot that this database has not seen, each in one transaction.

    A slot is what became visible at once: it names the files of one committed batch. What
    no slot names does not exist, so folders are never listed.
    """
    rows = 0
    with service() as client, duckdb.connect(database_file) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(
            "CREATE TABLE IF NOT EXISTS _tidegate_slots (sync VARCHAR, stream VARCHAR, slot BIGINT,"
            " kind VARCHAR, generation BIGINT, rows BIGINT, PRIMARY KEY (sync, stream, slot))"
        )
        open_s3(database, target)
        seen = "SELECT max(slot) FROM _tidegate_slots WHERE sync = ? AND stream = ?"
        last = database.execute(seen, [sync, stream]).fetchone()[0]
        for slot in slots_after(client, sync, stream, last):
            rows += load_slot(database, sync, stream, slot)
    get_run_logger().info("%s: %s new rows", stream, rows)
    return rows


def load_slot(database, sync, stream, slot):
    rows = 0
    database.begin()
    try:
        for file in slot["objects"]:
            if file["content"] != "rejected":
                rows += append(database, f"{sync}_{stream}", file)
        database.execute(
            "INSERT INTO _tidegate_slots VALUES (?, ?, ?, ?, ?, ?)",
            [sync, stream, slot["slot"], slot["kind"], slot.get("generation"), rows],
        )
        database.commit()
    except BaseException:
        database.rollback()
        raise
    return rows


def append(database, table, file):
    """Appends the rows of one file; columns that are new are added."""
    source = (
        f"SELECT *, {file['generation']:d} AS _tg_generation, {file['slot']:d} AS _tg_slot"
        f" FROM {READERS[file['format']]}"
    )
    location = [file["location"].removeprefix("file://")]
    database.execute(f'CREATE TABLE IF NOT EXISTS "{table}" AS {source} LIMIT 0', location)
    there = {row[0] for row in database.execute(f'DESCRIBE "{table}"').fetchall()}
    for name, kind, *_ in database.execute(f"DESCRIBE {source}", location).fetchall():
        if name not in there:
            quoted = name.replace('"', '""')
            database.execute(f'ALTER TABLE "{table}" ADD COLUMN "{quoted}" {kind}')
    count = database.execute(f'INSERT INTO "{table}" BY NAME {source}', location).fetchone()[0]
    if count != file["rows"]:
        raise ValueError(f"{location[0]} holds {count} rows, its slot says {file['rows']}")
    return count


@task
def newest(database_file, sync, stream):
    """A view of the newest row of each key, without deleted ones: what `append_dedup` means.

    A resync opens a generation, which replaces those before it once it is complete.
    """
    table = f"{sync}_{stream}"
    with duckdb.connect(database_file) as database:
        database.execute(
            f"""
            CREATE OR REPLACE VIEW "{table}_newest" AS
            SELECT * FROM "{table}"
            WHERE _tg_generation >= (
                SELECT coalesce(max(generation), 0) FROM _tidegate_slots
                WHERE kind = 'complete' AND sync = '{sync}' AND stream = '{stream}'
            )
            QUALIFY row_number() OVER (
                PARTITION BY _tg_key
                ORDER BY try_cast(_tg_version AS DECIMAL(38, 9)) DESC NULLS LAST,
                    try_cast(_tg_version AS TIMESTAMPTZ) DESC NULLS LAST,
                    _tg_version DESC NULLS LAST, _tg_extracted_at DESC, _tg_slot DESC
            ) = 1 AND _tg_op <> 'delete'
            """
        )
        return database.execute(f'SELECT count(*) FROM "{table}_newest"').fetchone()[0]


@flow(retries=1, retry_delay_seconds=30)
def sync_to_duckdb(configuration, sync, database_file):
    """Applies, runs and loads one sync; how many rows are new and how many keys there are."""
    apply(configuration)
    # One job for each run of the flow: its tasks may repeat, a retry of the flow asks anew.
    job = trigger(sync, f"{flow_run.id}-{flow_run.run_count}")
    follow(job)
    document = configuration["syncs"][sync]
    loaded = {}
    for stream in [stream["name"] for stream in document["streams"]]:
        rows = load(database_file, sync, stream, document["target"])
        loaded[stream] = {"rows": rows, "keys": newest(database_file, sync, stream)}
    return {"job": job, "streams": loaded}


if __name__ == "__main__":
    # A scheduler of Prefect's: sync_to_duckdb.serve("crm", cron="0 * * * *", parameters=...)
    with open(os.environ["TIDEGATE_CONFIGURATION"], encoding="utf-8") as file:
        print(sync_to_duckdb(json.load(file), os.environ.get("TIDEGATE_SYNC", "crm"), "crm.duckdb"))
