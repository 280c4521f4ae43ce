"""Reads back what a contestant landed: how many rows, and whether each record is there once."""

import gzip
import io
import re

import numpy
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet
import zstandard

from .measure import Failed

FIRST_ID = 10_000_000_000
# Sling makes numbers of ids.
ID = re.compile(rb'"id":\s?"?(\d+)')
PIECE_BYTES = 8 << 20


def check(files, records, every_id=True):
    """Fails unless the files, (name, how to open it), hold each record once; without `every_id` only rows count."""
    rows, ids = 0, []
    for name, open_file in files:
        counted, found = read(open_file(), name, every_id)
        rows += counted
        ids += found
    if rows != records:
        raise Failed(f"{rows:,} rows landed of {records:,}")
    if not every_id:
        return
    distinct = numpy.unique(numpy.concatenate(ids))
    if len(distinct) != records or distinct[0] != FIRST_ID or distinct[-1] != FIRST_ID + records - 1:
        raise Failed(f"{len(distinct):,} different records landed of {records:,}")


def read(body, name, every_id):
    """(rows, arrays of ids) of one file."""
    if name.endswith(".parquet"):
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(body.read()))
        ids = [file.read(columns=["id"]).column("id").to_numpy().astype("i8")] if every_id else []
        return file.metadata.num_rows, ids
    if ".csv" in name:
        columns = pyarrow.csv.ConvertOptions(include_columns=["id"])
        quoted = pyarrow.csv.ParseOptions(newlines_in_values=True)
        table = pyarrow.csv.read_csv(plain(body, name), parse_options=quoted, convert_options=columns)
        return table.num_rows, [table.column("id").to_numpy().astype("i8")]
    return lines(plain(body, name), every_id)


def plain(body, name):
    if name.endswith(".zst"):
        return zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
    return gzip.GzipFile(fileobj=io.BufferedReader(Raw(body))) if name.endswith(".gz") else body


class Raw(io.RawIOBase):
    """A body of S3, or a file, as Python's readers want it."""

    def __init__(self, body):
        self.body = body

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.body.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def lines(stream, every_id):
    """A record is a line, or a message of a line that is a record's."""
    rows, ids, rest = 0, [], b""
    while piece := stream.read(PIECE_BYTES):
        head, _, rest = (rest + piece).rpartition(b"\n")
        rows += count(head, ids, every_id)
    if rest:
        raise Failed("the last line has no end")
    return rows, ids


def count(whole_lines, ids, every_id):
    if not every_id:
        return whole_lines.count(b"\n") + bool(whole_lines)
    found = ID.findall(whole_lines)
    ids.append(numpy.array(found, dtype="i8"))
    return len(found)
