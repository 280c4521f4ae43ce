"""Reads what a sync landed, through the commit log's list of files and with pyarrow
alone, and compares it with the source's truth: the set of (key, version), each once,
and every field of a sample.

usage: verify_lake.py FILES TRUTH SAMPLE
  FILES   output of `tidegate --json lake files`
  TRUTH   JSON lines {"key": ..., "version": ...}
  SAMPLE  JSON lines, whole records of the source
The S3 endpoint comes from TIDEGATE_TEST_S3_{ENDPOINT,ACCESS_KEY,SECRET_KEY}.
"""

import datetime
import io
import json
import os
import sys
from collections import Counter

import pyarrow as pa
import pyarrow.fs as fs
import pyarrow.parquet as pq


def lines(path):
    with open(path, encoding="utf-8") as text:
        for line in text:
            yield json.loads(line)


def open_s3():
    endpoint = os.environ["TIDEGATE_TEST_S3_ENDPOINT"]
    return fs.S3FileSystem(
        access_key=os.environ["TIDEGATE_TEST_S3_ACCESS_KEY"],
        secret_key=os.environ["TIDEGATE_TEST_S3_SECRET_KEY"],
        endpoint_override=endpoint.split("://")[1],
        scheme=endpoint.split("://")[0],
        region="us-east-1",
    )


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def same(cell, truth):
    """A typed cell against the source's JSON value."""
    if cell is None or truth is None:
        # An empty text has no boolean, date or time in it.
        return cell is None and truth in (None, "")
    if isinstance(cell, bool):
        return truth in (cell, str(cell).lower())
    if isinstance(cell, datetime.datetime):
        return cell == instant(truth)
    if isinstance(cell, datetime.date):
        return cell.isoformat() == truth
    if isinstance(cell, int):
        return str(cell) == str(truth)
    return cell == truth


def leaves(record, path=()):
    for name, value in record.items():
        if isinstance(value, dict):
            yield from leaves(value, path + (name,))
        else:
            yield "__".join(path + (name,)), value


def compare_columns(row, record, wrong):
    extra = json.loads(row.get("_tg_extra") or "{}")
    for name, truth in leaves(record):
        if name in row:
            if not same(row[name], truth):
                wrong.append((record["id"], name, row[name], truth))
        elif extra.get(name) != truth and truth is not None:
            wrong.append((record["id"], name, "absent", truth))


def parquet_rows(source, sample, seen, wrong):
    table = pq.ParquetFile(source)
    for batch in table.iter_batches(batch_size=20_000):
        keys = batch.column("_tg_key").to_pylist()
        versions = batch.column("_tg_version").to_pylist()
        seen.update(zip(keys, versions))
        for at, key in enumerate(keys):
            if key in sample:
                compare_columns(batch.slice(at, 1).to_pylist()[0], sample[key], wrong)


def json_rows(source, codec, sample, seen, wrong):
    text = io.TextIOWrapper(io.BufferedReader(pa.CompressedInputStream(source, codec)), "utf-8")
    for line in text:
        row = json.loads(line)
        key = row.pop("_tg_key")
        seen[(key, row.pop("_tg_version"))] += 1
        row.pop("_tg_op"), row.pop("_tg_extracted_at")
        if key in sample and row != sample[key]:
            wrong.append((key, "record", row, sample[key]))


def main(files, truth, sample):
    s3 = open_s3()
    sample = {record["id"]: record for record in lines(sample)}
    seen, wrong = Counter(), []
    for entry in lines(files):
        source = s3.open_input_file(entry["location"].removeprefix("s3://"))
        before = seen.total()
        if entry["format"] == "parquet":
            parquet_rows(source, sample, seen, wrong)
        else:
            json_rows(source, "zstd" if entry["format"].endswith("zst") else "gzip", sample, seen, wrong)
        assert seen.total() - before == entry["rows"], f"{entry['location']}: rows differ from its slot"
    expected = {(row["key"], row["version"]) for row in lines(truth)}
    lost = len(expected - seen.keys())
    foreign = len(seen.keys() - expected)
    doubled = sum(1 for times in seen.values() if times > 1)
    print(f"{seen.total()} rows, {lost} lost, {doubled} doubled, {foreign} unexpected;", end=" ")
    print(f"{len(sample)} records compared field by field, {len(wrong)} differences")
    for difference in wrong[:5]:
        print("  differs:", difference)
    return 1 if lost or doubled or foreign or wrong or not sample else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
