"""Batches do not change what is read: line numbers, refused rows and values hold for any block and batch size.

Seen through workbench.traces.readers.files: its streams (workbench.traces.readers.streams), CSV and Parquet rows.
"""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import SAMPLES
from workbench.errors import TraceError
from workbench.traces.options import TraceOptions
from workbench.traces.readers import csv_rows, parquet_rows
from workbench.traces.readers.files import columns_of, raw_batches, stem_of
from workbench.traces.readers.requests import read
from workbench.traces.readers.values import counts, instants, numbers


def test_every_refused_row_has_its_line_its_reason_and_its_text() -> None:
    batches = list(read(SAMPLES / "requests.csv", TraceOptions()))
    good = pl.concat(batch.good for batch in batches)
    refused = pl.concat(batch.rejected for batch in batches).sort("line")
    assert good.select("arrived_at", "model", "app", "input_tokens").rows() == [
        (datetime(2025, 7, 9, 0, 0, 1), "m1", "rag", 100),
        (datetime(2025, 7, 9, 0, 1, 30, 500_000), "m2", None, 300),
        (datetime(2025, 7, 9, 0, 0, 58), "m2", None, 200),
    ]
    assert refused.select("line", "reason").rows() == [
        (3, "arrival time is missing or no instant"),
        (4, "input tokens are below 1"),
        (5, "4 fields where the header has 8"),
        (6, "arrival time is missing or no instant"),
        (8, "output tokens are missing or no whole number"),
    ]
    assert refused["raw"][0] == "yesterday,us_east,m1,fast,rag,100,10,red"
    assert refused["raw"][2] == "2025-07-09 00:00:03,us_east,m1,fast"
    assert refused["source"].unique().to_list() == ["requests.csv"]


@settings(deadline=None, max_examples=25)
@given(kinds=st.lists(st.sampled_from("gbs"), min_size=1, max_size=60), block=st.integers(120, 400))
def test_lines_and_rows_do_not_depend_on_the_blocks(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], block: int
) -> None:
    """g: a good row, b: a bad value, s: a row of the wrong shape; the line is what the input token count says."""
    rows = {"g": "2025-07-09 00:00:00,{n},1", "b": "2025-07-09 00:00:00,{n},x", "s": "2025-07-09 00:00:00,{n},1,1"}
    path = tmp_path_factory.mktemp("blocks") / "r.csv"
    lines = [rows[kind].format(n=line) for line, kind in enumerate(kinds, start=2)]
    path.write_text("\n".join(["arrived_at,input_tokens,output_tokens", *lines]) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows, "CSV_BLOCK_BYTES", block)
        patch.setattr(csv_rows, "ROWS_PER_BATCH", 3)
        patch.setattr(parquet_rows, "ROWS_PER_BATCH", 3)
        batches = list(read(path, TraceOptions()))
    good = [n for batch in batches for n in batch.good["input_tokens"].to_list()]
    refused = [row for batch in batches for row in batch.rejected.select("line", "raw").rows()]
    assert good == [line for line, kind in enumerate(kinds, start=2) if kind == "g"]
    assert sorted(line for line, _ in refused) == [line for line, kind in enumerate(kinds, start=2) if kind != "g"]
    assert all(raw == lines[line - 2] for line, raw in refused)


def test_compressed_files_read_as_plain_ones(tmp_path: Path) -> None:
    text = (SAMPLES / "azure_code.csv").read_bytes()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    with pa.output_stream(str(tmp_path / "a.csv.zst"), compression="zstd") as stream:
        stream.write(text)
    plain = pl.concat(raw.frame for raw in raw_batches(SAMPLES / "azure_code.csv", ()))
    for name in ("a.csv.gz", "a.csv.zst"):
        assert columns_of(tmp_path / name) == ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
        assert pl.concat(raw.frame for raw in raw_batches(tmp_path / name, ())).equals(plain)


def test_packed_files_one_after_another_are_one_file(tmp_path: Path) -> None:
    lines = (SAMPLES / "azure_code.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "a.csv.gz").write_bytes(b"".join(gzip.compress(line) for line in lines))
    assert sum(raw.frame.height for raw in raw_batches(tmp_path / "a.csv.gz", ())) == len(lines) - 1


def test_packed_json_lines_that_break_off_say_so(tmp_path: Path) -> None:
    whole = gzip.compress((SAMPLES / "mooncake.jsonl").read_bytes() * 500)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TraceError, match="may be cut off"):
        list(raw_batches(tmp_path / "cut.jsonl.gz", ("timestamp",)))


def test_a_file_that_breaks_off_says_so(tmp_path: Path) -> None:
    whole = gzip.compress((SAMPLES / "azure_code.csv").read_bytes() * 500)
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TraceError, match="may be cut off"):
        list(raw_batches(tmp_path / "cut.csv.gz", ()))
    for left_off in (1, 8, 20):
        (tmp_path / "cut.csv.gz").write_bytes(whole[:-left_off])
        with pytest.raises(TraceError, match="may be cut off"):
            list(raw_batches(tmp_path / "cut.csv.gz", ()))
    (tmp_path / "cut.csv.gz").write_bytes(whole[:5])
    with pytest.raises(TraceError, match="may be cut off"):
        columns_of(tmp_path / "cut.csv.gz")
    (tmp_path / "no.parquet").write_text("no parquet")
    with pytest.raises(TraceError, match="no Parquet, although its name says so"):
        columns_of(tmp_path / "no.parquet")


def test_a_missing_an_empty_file_and_a_folder_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no such file"):
        columns_of(tmp_path / "none.csv")
    with pytest.raises(TraceError, match="is a folder"):
        columns_of(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(TraceError, match="is empty"):
        columns_of(tmp_path / "empty.csv")


def test_instants_are_read_in_every_usual_form() -> None:
    text = [
        "2023-11-16 18:17:03.9799600",
        "2024-05-10T00:00:00.009930+00:00",
        "2024-05-10 02:00:00+02:00",
        "2024-05-10T00:00:00Z",
        "noon",
        None,
    ]
    assert instants(pl.Series(text)).to_list() == [
        datetime(2023, 11, 16, 18, 17, 3, 979_960),
        datetime(2024, 5, 10, 0, 0, 0, 9930),
        datetime(2024, 5, 10),
        datetime(2024, 5, 10),
        None,
        None,
    ]
    aware = pl.Series([datetime(2024, 5, 10)]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    assert instants(aware).to_list() == [datetime(2024, 5, 10)]
    assert instants(pl.Series([datetime(2024, 5, 10)]).cast(pl.Datetime("ns"))).dtype == pl.Datetime("us")


def test_numbers_that_are_none_become_unknown() -> None:
    assert counts(pl.Series(["5", "5.0", "5.5", "x", None])).to_list() == [5, 5, None, None, None]
    assert counts(pl.Series([5.0, 5.5, float("nan")])).to_list() == [5, None, None]
    assert counts(pl.Series([5, 6], dtype=pl.Int16)).to_list() == [5, 6]
    assert numbers(pl.Series(["1.5", "inf", "nan", "x"])).to_list() == [1.5, None, None, None]


def test_the_stem_of_a_file_ends_at_its_first_dot() -> None:
    assert stem_of(Path("a/AzureLLM_code.csv.gz")) == "AzureLLM_code"


def test_nested_columns_are_refused_and_bytes_read_as_text(tmp_path: Path) -> None:
    pl.DataFrame({"a": [[1]], "b": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(TraceError, match=r"column a \(List\(Int64\)\) holds no plain values"):
        list(raw_batches(tmp_path / "a.parquet", ("a", "b")))
    assert [raw.frame["b"].to_list() for raw in raw_batches(tmp_path / "a.parquet", ("b",))] == [[1]]
    pl.DataFrame({"a": [b"x"]}).write_parquet(tmp_path / "b.parquet")
    assert [raw.frame["a"].to_list() for raw in raw_batches(tmp_path / "b.parquet", ("a",))] == [["x"]]


def test_a_bare_number_for_a_time_says_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("arrived_at,input_tokens,output_tokens\n1715299200,1,1\nnoon,1,1\n2025-07-09 00:00:00,1,1\n")
    (batch,) = read(path, TraceOptions())
    assert batch.rejected.select("line", "reason").rows() == [
        (2, "arrival time is a bare number, whose unit only a mapping can say"),
        (3, "arrival time is missing or no instant"),
    ]


@pytest.mark.parametrize("rows_after", [1, 30_000])
def test_a_quote_that_is_never_closed_loses_no_line_in_silence(
    tmp_path: Path, rows_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "CSV_BLOCK_BYTES", 1 << 16)
    path = tmp_path / "q.csv"
    after = "2025-07-09 00:00:01,2,2\n" * rows_after
    path.write_text('arrived_at,input_tokens,output_tokens\n2025-07-09 00:00:00,"1,1\n' + after)
    batches = list(read(path, TraceOptions()))
    assert sum(batch.good.height for batch in batches) == rows_after
    assert [row for batch in batches for row in batch.rejected.select("line", "reason").rows()] == [
        (2, "a quotation mark is not closed on its line")
    ]


def test_malformed_rows_leave_as_they_are_read_not_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of nothing but malformed rows must not be held whole, and every line is told once."""
    monkeypatch.setattr(csv_rows, "CSV_BLOCK_BYTES", 400)
    monkeypatch.setattr(csv_rows, "ROWS_PER_BATCH", 50)
    path = tmp_path / "bad.csv"
    good, bad = "2023-11-16 18:15:46,10,20\n", "2023-11-16 18:15:46,10,20,1\n"
    head = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    path.write_text(head + bad * 700 + good + bad * 300 + good)
    first, *others = list(raw_batches(path, ("TIMESTAMP",)))
    assert max(raw.malformed.height for raw in others) < 100
    assert [line for raw in (first, *others) for line in raw.malformed["line"]] == [*range(2, 702), *range(703, 1003)]
    assert [line for raw in (first, *others) for line in raw.frame["line"]] == [702, 1003]
    monkeypatch.setattr(csv_rows, "MALFORMED_AT_MOST", 600)
    with pytest.raises(
        TraceError,
        match=r"bad\.csv: each of the first 600 rows has another number .*such as 4 fields where",
    ):
        list(raw_batches(path, ("TIMESTAMP",)))
    path.write_text(head + good + bad * 700)
    assert sum(raw.malformed.height for raw in raw_batches(path, ("TIMESTAMP",))) == 700


def test_spaces_around_values_and_stamps_without_seconds_are_read() -> None:
    assert counts(pl.Series([" 12", "13 ", " 14.0 ", "x"])).to_list() == [12, 13, 14, None]
    assert numbers(pl.Series([" 1.5", "2 ", "nan", ""])).to_list() == [1.5, 2.0, None, None]
    short = ["2025-07-09 06:05", "2025-07-09T06:05Z", "2025-07-09 06:05+02:00", "2025-07-09 06:05:07", "2025-07-09"]
    six = datetime(2025, 7, 9, 6, 5)
    read = [six, six, six.replace(hour=4), six.replace(second=7), None]
    assert instants(pl.Series(short)).to_list() == read
    assert instants(pl.Series(short[::-1])).to_list() == read[::-1]
