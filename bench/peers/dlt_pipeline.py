"""dlt's way: its `rest_api` source into its `filesystem` destination, as its documentation shows.

What is read and where it lands comes in one JSON argument. `arrow` is what dlt recommends for speed: a resource
written by hand that yields tables of pyarrow, which dlt does not normalise.
"""

import json
import sys

import dlt
from dlt.destinations import filesystem
from dlt.sources.helpers import requests
from dlt.sources.rest_api import rest_api_source

PATH = "crm/v3/objects/contacts"


def source(task):
    """All windows are resources of one table."""
    client = {
        "base_url": task["base_url"],
        "auth": {"type": "bearer", "token": task["token"]},
        "paginator": {"type": "cursor", "cursor_path": "paging.next.after", "cursor_param": "after"},
    }
    resources = [resource(task["page_size"], date) for date in task["dates"] or [None]]
    # The configuration's own flag of a resource is taken and does nothing.
    return rest_api_source({"client": client, "resources": resources}, parallelized=task["parallel"])


def resource(page_size, date):
    params = {"limit": page_size} | ({"date": date} if date else {})
    name = f"contacts_{date}" if date else "contacts"
    endpoint = {"path": PATH, "params": params, "data_selector": "results"}
    return {"name": name, "table_name": "contacts", "write_disposition": "append", "endpoint": endpoint}


@dlt.resource(name="contacts", write_disposition="append")
def tables(task):
    """Each page as a table, flattened by pyarrow."""
    import pyarrow as pa

    session = requests.Client().session
    session.headers["authorization"] = f"Bearer {task['token']}"
    params = {"limit": task["page_size"]}
    while True:
        page = session.get(f"{task['base_url']}/{PATH}", params=params).json()
        yield pa.Table.from_pylist([flat(record) for record in page["results"]], schema=columns(page["results"]))
        if "paging" not in page:
            return
        params["after"] = page["paging"]["next"]["after"]


def flat(record):
    properties = {f"properties__{name}": value for name, value in record["properties"].items()}
    return {name: value for name, value in record.items() if name != "properties"} | properties


def columns(records):
    """Text, but for the one truth value: a page of nulls must not change a column."""
    import pyarrow as pa

    kinds = {"archived": pa.bool_()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in flat(records[0])])


def main():
    task = json.loads(sys.argv[1])
    credentials = {
        "aws_access_key_id": task["access_key"],
        "aws_secret_access_key": task["secret_key"],
        "endpoint_url": task["endpoint"],
    }
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=task["folder"],
        dataset_name="contacts",
        destination=filesystem(bucket_url=f"s3://{task['bucket']}/{task['prefix']}", credentials=credentials),
    )
    read = tables(task) if task["variant"] == "arrow" else source(task)
    pipeline.run(read, loader_file_format=task["format"]).raise_on_failed_jobs()


if __name__ == "__main__":
    main()
