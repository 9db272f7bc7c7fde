"""Every file that is no trace is told apart in one paragraph, whatever its name says, in bounded memory."""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import SAMPLES
from workbench.errors import TraceError
from workbench.traces.options import TraceOptions
from workbench.traces.readers import csv_rows, heads, streams
from workbench.traces.readers.files import raw_batches
from workbench.traces.readers.formats import detect
from workbench.traces.readers.heads import head_of
from workbench.traces.readers.requests import read

HEADER = "arrived_at,model,region,tier,input_tokens,output_tokens"
ROW = "2025-07-09 00:00:01,m,r,t,100,10"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def said(path: Path) -> str:
    with pytest.raises(TraceError) as caught:
        head_of(path)
    text = str(caught.value)
    assert path.name in text
    assert "\n" not in text
    return text


def test_the_layout_is_read_off_the_bytes_not_off_the_name(tmp_path: Path) -> None:
    packed = write(tmp_path / "a.csv", gzip.compress(f"{HEADER}\n{ROW}\n".encode()))
    assert head_of(packed).words == "CSV, gzip"
    unpacked = write(tmp_path / "b.csv.gz", f"{HEADER}\n{ROW}\n")
    assert head_of(unpacked).words == "CSV"
    assert [raw.frame.height for raw in raw_batches(packed, ())] == [1]
    assert [raw.frame.height for raw in raw_batches(unpacked, ())] == [1]
    assert head_of(write(tmp_path / "c.txt", '{"a": 1}\n{"b": 2}\n')) == heads.Head(layout="jsonl", columns=("a", "b"))
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "d.bin")
    assert head_of(tmp_path / "d.bin") == heads.Head(layout="parquet", columns=("x",))


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", f"\ufeff{HEADER}\r\n{ROW}\r\n")
    (batch,) = read(table, TraceOptions())
    assert batch.good.height == 1
    lines = write(
        tmp_path / "a.jsonl", '\ufeff{"arrived_at": "2025-07-09 00:00:01", "input_tokens": 1, "output_tokens": 1}'
    )
    assert head_of(lines).columns == ("arrived_at", "input_tokens", "output_tokens")
    assert [raw.frame["input_tokens"].to_list() for raw in raw_batches(lines, ("input_tokens",))] == [["1"]]


@pytest.mark.parametrize(
    ("mark", "words"), [(";", "CSV split at semicolons"), ("\t", "CSV split at tabs"), ("|", "CSV split at bars")]
)
def test_another_delimiter_is_found_in_the_header_and_said(tmp_path: Path, mark: str, words: str) -> None:
    path = write(tmp_path / "a.csv", f"{HEADER}\n{ROW}\n".replace(",", mark))
    found = detect(path)
    assert found.words.endswith(f"({words})")
    (batch,) = found.format.read(path, TraceOptions())
    assert batch.good["input_tokens"].to_list() == [100]


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    text = said(write(tmp_path / "a.csv", "TIMESTAMP,ContextTokens,ContextTokens,GeneratedTokens\n"))
    assert "names 'ContextTokens' more than once" in text


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.xlsx", b"PK\x03\x04" + bytes(50), "a ZIP archive"),
        ("a.csv", b"\xfd7zXZ\0" + bytes(50), "an xz file"),
        ("a.csv.bz2", b"BZh91AY" + bytes(50), "a bzip2 file"),
        ("a.csv", b"SQLite format 3\0" + bytes(50), "an SQLite database"),
        ("a.db", bytes(8) + b"DUCK" + bytes(50), "a DuckDB database"),
        ("a.tar", b"folder/" + bytes(250) + b"ustar" + bytes(50), "a tar archive"),
        ("a.csv", "a,b\n1,2\n".encode("utf-16"), "UTF-16 text"),
        (
            "a.csv",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
            "a Git LFS pointer, not the file itself",
        ),
        ("a.csv.gz", b"<!DOCTYPE html><html>Not found</html>", "a web page"),
        ("a.csv", b"\x7fELF" + bytes(50), "a binary file of a kind that is not known"),
        ("a.parquet", b"a,b\n1,2\n", "no Parquet, although its name says so"),
    ],
)
def test_what_is_no_trace_is_called_by_its_kind(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    assert f"by its first bytes it is {what}" in said(write(tmp_path / name, content))


def test_a_file_inside_of_another_packing_says_what_to_unpack(tmp_path: Path) -> None:
    assert "inside gzip" in said(write(tmp_path / "a.parquet.gz", gzip.compress(b"PAR1" + bytes(50))))
    archive = tmp_path / "b.gz"
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("a.csv", "a,b")
    assert "a ZIP archive" in said(write(archive, gzip.compress((tmp_path / "b.zip").read_bytes())))


def test_a_folder_a_pipe_and_a_cut_parquet_say_what_they_are(tmp_path: Path) -> None:
    assert "is a folder" in said(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in said(tmp_path / "pipe")
    whole = (SAMPLES / "sageserve_week.parquet").read_bytes()
    assert "cannot be read as Parquet" in said(write(tmp_path / "a.parquet", whole[: len(whole) // 2]))


def test_json_that_is_not_one_object_per_line_says_how_to_convert_it(tmp_path: Path) -> None:
    assert "jq -c '.[]'" in said(write(tmp_path / "a.json", '[{"a": 1}, {"a": 2}]'))
    assert "jq -c ." in said(write(tmp_path / "b.json", '{\n  "a": 1,\n  "b": 2\n}\n'))


def test_a_line_without_end_is_refused_without_being_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file of 1 GB without a line end costs its first bytes only; a long line inside of a file a block."""
    sparse = tmp_path / "a.csv"
    with sparse.open("wb") as file:
        file.write(b"x" * 100_000)
        file.truncate(1 << 30)
    assert "no line end in its first 64 KiB" in said(write(tmp_path / "b.csv", b"x," * 100_000))
    assert "a binary file" in said(write(tmp_path / "c.csv", struct.pack("<q", 1) * 10_000))
    assert "no line end" in said(sparse)
    monkeypatch.setattr(csv_rows, "CSV_BLOCK_BYTES", 1 << 16)
    long = write(tmp_path / "d.csv", f"{HEADER}\n{ROW}\n" + "y" * 300_000 + f"\n{ROW}\n")
    with pytest.raises(TraceError, match="a line longer than"):
        list(raw_batches(long, ()))
    monkeypatch.setattr(streams, "LONGEST_LINE_BYTES", 200_000)
    monkeypatch.setattr(streams, "BLOCK_BYTES", 50_000)
    lines = write(tmp_path / "e.jsonl", '{"a": 1}\n{"a": "' + "y" * 300_000 + '"}\n')
    with pytest.raises(TraceError, match="a line longer than"):
        list(raw_batches(lines, ("a",)))


def test_a_header_alone_is_a_file_without_rows(tmp_path: Path) -> None:
    for content in (HEADER, f"{HEADER}\n", f"{HEADER}\r\n"):
        path = write(tmp_path / "a.csv", content)
        assert detect(path).format.key == "requests"
        assert sum(batch.rows_read for batch in read(path, TraceOptions())) == 0


def test_bytes_that_are_not_utf8_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"{HEADER}\n".encode() + "2025-07-09 00:00:01,é,r,t,100,10\n".encode("latin-1"))
    with pytest.raises(TraceError, match="in another encoding"):
        list(read(path, TraceOptions()))
    header = write(tmp_path / "b.csv", "arrivé,b\n".encode("latin-1"))
    assert "in another encoding" in said(header)


@settings(deadline=None, max_examples=200)
@given(content=st.binary(max_size=300))
def test_any_bytes_at_all_are_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("any") / "a.csv", content)
    with suppress(TraceError):
        list(raw_batches(path, head_of(path).columns))
