"""The bench's own checks can fail: lost and doubled records, programs that end badly, goals that are missed."""

import gzip
import io
import tempfile
import unittest

import pyarrow
import pyarrow.csv
import pyarrow.parquet
import zstandard

from . import goals, landed, measure, report
from .landed import FIRST_ID

GOOD = [str(FIRST_ID + at) for at in range(5)]


def json_lines(ids):
    return b"".join(b'{"id":"%s","properties":{"hs_object_id":"1"}}\n' % id.encode() for id in ids)


def parquet(ids):
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"id": ids}), out)
    return out.getvalue()


def csv(ids):
    out = io.BytesIO()
    pyarrow.csv.write_csv(pyarrow.table({"id": ids, "text": ["two\nlines"] * len(ids)}), out)
    return out.getvalue()


FORMATS = {
    "a.jsonl": json_lines,
    "a.jsonl.gz": lambda ids: gzip.compress(json_lines(ids)),
    "a.jsonl.zst": lambda ids: zstandard.compress(json_lines(ids[:2])) + zstandard.compress(json_lines(ids[2:])),
    "a.parquet": parquet,
    "a.csv.gz": lambda ids: gzip.compress(csv(ids)),
}


class Counting(unittest.TestCase):
    def check(self, ids, expected, every_id=True):
        for name, write in FORMATS.items():
            with self.subTest(name):
                files = [(name, lambda: io.BytesIO(write(ids)))]
                if expected is None:
                    landed.check(files, len(GOOD), every_id)
                else:
                    with self.assertRaisesRegex(measure.Failed, expected):
                        landed.check(files, len(GOOD), every_id)

    def test_whole_output_passes(self):
        self.check(GOOD, None)
        self.check(GOOD, None, every_id=False)

    def test_a_lost_record_is_seen(self):
        self.check(GOOD[:-1], "4 rows landed of 5")
        self.check(GOOD[:-1], "4 rows landed of 5", every_id=False)

    def test_a_doubled_record_is_seen(self):
        self.check([*GOOD, GOOD[0]], "6 rows landed of 5")

    def test_a_record_that_took_the_place_of_another_is_seen(self):
        self.check([*GOOD[:-1], GOOD[0]], "4 different records landed of 5")
        self.check([*GOOD[:-1], str(FIRST_ID + 5)], "5 different records landed of 5")

    def test_output_that_breaks_off_is_seen(self):
        with self.assertRaisesRegex(measure.Failed, "no end"):
            landed.check([("a.jsonl", lambda: io.BytesIO(json_lines(GOOD)[:-1]))], len(GOOD))


class Measuring(unittest.TestCase):
    def test_children_and_both_ends_of_a_pipe_cost_too(self):
        burn = "python3 -c 'sum(range(10**7))'"
        with tempfile.TemporaryDirectory() as folder:
            one, _ = measure.measured(burn, folder)
            two, text = measure.measured(f"{burn} | ({burn}; echo done)", folder)
        self.assertEqual(text, "done\n")
        self.assertGreater(two["cpu_seconds"], 1.2 * one["cpu_seconds"])

    def test_memory_of_descendants_counts(self):
        hold = "python3 -c 'import time; held = bytearray(64 << 20); time.sleep(0.4)'"
        with tempfile.TemporaryDirectory() as folder:
            figure, _ = measure.measured(f"{hold} | {hold}", folder)
        self.assertGreater(figure["peak_bytes"], 128 << 20)

    def test_a_bad_end_of_any_part_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(measure.Failed):
                measure.measured("false | true", folder)


class Judging(unittest.TestCase):
    def test_goals_are_judged_by_the_figures(self):
        def figure(name, cpu_seconds):
            return {"contestant": name, "records": 1_000, "cpu_seconds": cpu_seconds}

        results = {
            "at-length": [figure("tidegate jsonl.zst", 1), figure("dlt jsonl.gz", 41), figure("airbyte cdk", 24)]
        }
        judged = {goal.what.rpartition(" against ")[2]: goal for goal in goals.judged(results)[:4]}
        self.assertIs(judged["dlt jsonl.gz"].is_reached, True)
        self.assertIs(judged["airbyte cdk"].is_reached, False)
        self.assertEqual(judged["airbyte cdk"].measured, "24.00 x")
        self.assertIsNone(judged["singer jsonl.gz"].is_reached)

    def test_a_table_shows_medians(self):
        figures = [{"contestant": "a", "records": 1, "cpu_seconds": value} for value in (9, 1, 2)]
        self.assertIn("| a | 2.0 |", report.table(figures, [("CPU s", lambda f: f["cpu_seconds"], "{:.1f}")]))


if __name__ == "__main__":
    unittest.main()
