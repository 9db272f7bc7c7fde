"""Whatever is handed to an ingest, the answer is one clear error or refused rows, and the store keeps its answers."""

from __future__ import annotations

import ctypes
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from tests.traces.quality.quality_cases import poisson, report_on, requests_at, rows_of
from tests.traces.trace_cases import SAMPLES
from workbench.errors import StoreError, TraceError
from workbench.results import QualityReport
from workbench.traces import Reading, Store, TraceOptions, check, ingest, ingest_frame, load_mapping, open_store
from workbench.traces.store.queries import STORE_VERSION

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
GOOD = [f"2024-05-12 00:00:{second:02}.25,{100 + second},{10 + second}" for second in range(30)]
OPTIONS = TraceOptions(model="llama31_8b", region="us_east", tier="interactive_fast")


def answers(store: Reading) -> list[pl.DataFrame]:
    """What the store says about the trace that was there before."""
    return [
        store.traces(),
        store.findings("before"),
        store.rejected("before"),
        store.gaps("before"),
        store.sum_by_window("before", window_s=600),
        store.requests("before"),
    ]


def filled(store: Store) -> list[pl.DataFrame]:
    """Put a trace with a hole into a store and return what the store then says about it."""
    at = poisson(0.05, days=0.5)
    ingest_frame(requests_at(at[(at < 10_000) | (at > 20_000)]), store=store, name="before", source="rows")
    return answers(store)


@contextmanager
def unharmed(file: Path) -> Iterator[Store]:
    """Open a store that holds a trace; after the block, and opened again, it must give the same answers."""
    with open_store(file) as store:
        was = filled(store)
        yield store
        store.remove("x") if store.has("x") else None
        assert all(one.equals(two) for one, two in zip(answers(store), was, strict=True))
    with open_store(file, read_only=True) as again:
        assert all(one.equals(two) for one, two in zip(answers(again), was, strict=True))
        assert check(again, "before").differences == ()


def refused(tmp_path: Path, path: Path, said: str, options: TraceOptions = OPTIONS) -> str:
    """Ingest a file that must be one clear error: one paragraph that names the file and matches."""
    with unharmed(tmp_path / "t.duckdb") as store:
        with pytest.raises(TraceError, match=said) as caught:
            ingest(path, store=store, name="x", options=options)
        assert not store.has("x")
    text = str(caught.value)
    assert path.name in text
    assert "\n\n" not in text
    assert len(text) < 2000
    return text


def told(tmp_path: Path, content: str | bytes, *, name: str = "bad.csv") -> tuple[QualityReport, pl.DataFrame]:
    """Ingest a file of which some rows must be refused; return the report and the refused rows."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with unharmed(tmp_path / "t.duckdb") as store:
        report = ingest(path, store=store, name="x", options=OPTIONS)
        rejected = store.rejected("x")
    assert report.rows_read == report.rows_kept + report.rows_rejected
    assert rejected.height == report.rows_rejected
    assert sum(row["count"] for row in rows_of(report, "refused rows")) == report.rows_rejected
    return report, rejected


def csv_of(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def test_a_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    rows = [f"2024-05-12 {i // 3600:02}:{i // 60 % 60:02}:{i % 60:02},{i * 7919 % 5000 + 1},9" for i in range(50_000)]
    whole = gzip.compress(csv_of(*rows).encode())
    path.write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, path, r"cannot be read|cut off|breaks off")


@pytest.mark.parametrize("text", [HEADER, HEADER + "\n", HEADER + "\r\n"])
def test_a_header_only(tmp_path: Path, text: str) -> None:
    path = tmp_path / "header.csv"
    path.write_text(text)
    refused(tmp_path, path, "has a header but no rows")


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    refused(tmp_path, tmp_path / "empty.csv", "is empty")
    refused(tmp_path, tmp_path / "missing.csv", "no such file")


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_delimiter_is_read_or_named(tmp_path: Path, mark: str) -> None:
    """Never one wide column, and never rows that mean something else."""
    path = tmp_path / "other.csv"
    path.write_text(csv_of(*GOOD).replace(",", mark))
    with unharmed(tmp_path / "t.duckdb") as store:
        try:
            report = ingest(path, store=store, name="x", options=OPTIONS)
        except TraceError as error:
            assert re.search(r"semicolon|tab|bar|delimiter|columns", str(error))  # noqa: PT017
        else:
            assert (report.rows_kept, report.rows_rejected) == (30, 0)
            assert store.sum_by_window("x", window_s=60)["input_tokens"].sum() == sum(100 + i for i in range(30))


def test_mixed_forms_of_time_stamps(tmp_path: Path) -> None:
    """Forms of one instant are read alike; a day before the month is refused, never guessed."""
    stamps = [
        "2024-05-12 00:00:01",
        "2024-05-12T00:00:01Z",
        "2024-05-12 00:00:01.0000000",
        "2024-05-12T02:00:01+02:00",
        "12/05/2024 00:00:01",
        "1715472001",
        "",
    ]
    report, rejected = told(tmp_path, csv_of(*(f"{stamp},5,5" for stamp in stamps)))
    assert rejected["line"].to_list() == [6, 7, 8]
    assert report.first_at == report.last_at
    (mixed,) = rows_of(report, "offsets are mixed")
    assert "+02:00 (1 rows)" in mixed["detail"]


@pytest.mark.parametrize("value", ["-5", "0", "NaN", "inf", "", "ten", "1e12", "1000000000000", "2.5"])
def test_token_counts_that_cannot_be(tmp_path: Path, value: str) -> None:
    report, rejected = told(tmp_path, csv_of(*GOOD, f"2024-05-12 00:01:00,{value},7"))
    assert (report.rows_kept, rejected["line"].to_list()) == (30, [32])
    assert "input tokens" in rejected["reason"][0]
    assert value in rejected["raw"][0]
    assert f"line 32: 2024-05-12 00:01:00,{value},7" in rows_of(report, "refused rows")[0]["detail"]


def test_every_row_refused_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "all.csv"
    path.write_text(csv_of("noon,1,1", "2024-05-12 00:00:00,-1,1", "noon,3,3"))
    assert "2 x arrival" in refused(tmp_path, path, "every one of 3 rows was refused")


def test_duplicate_columns(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text(f"{HEADER},ContextTokens\n" + "\n".join(f"{row},1" for row in GOOD))
    refused(tmp_path, path, "ContextTokens")


def test_a_byte_order_mark(tmp_path: Path) -> None:
    report, rejected = told(tmp_path, b"\xef\xbb\xbf" + csv_of(*GOOD).encode())
    assert (report.rows_kept, rejected.height, report.format) == (30, 0, "azure_llm")


def test_rows_with_too_many_or_too_few_fields(tmp_path: Path) -> None:
    report, rejected = told(
        tmp_path, csv_of(*GOOD[:2], "2024-05-12 00:01:00,1", "2024-05-12 00:01:00,1,2,3", *GOOD[2:])
    )
    assert (report.rows_kept, rejected["line"].to_list()) == (30, [4, 5])
    assert all("fields" in reason for reason in rejected["reason"])


@pytest.mark.parametrize("head", [b"", (HEADER + "\n").encode()])
def test_one_huge_line_is_refused_in_bounded_memory(tmp_path: Path, head: bytes) -> None:
    """A sparse file of one gibibyte without a line end; the child may hold no more than 3 GB of addresses."""
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(1 << 30)
    program = (
        "import sys, resource; resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))\n"
        "from workbench.errors import TraceError\n"
        "from workbench.traces import TraceOptions, ingest, open_store\n"
        "options = TraceOptions(model='llama31_8b', region='us_east', tier='interactive_fast')\n"
        "with open_store(sys.argv[1]) as store:\n"
        "    try:\n"
        "        ingest(sys.argv[2], store=store, name='x', options=options)\n"
        "    except TraceError as error:\n"
        "        print(error)\n"
    )
    with unharmed(tmp_path / "t.duckdb"):
        other = tmp_path / "other.duckdb"
        done = subprocess.run(
            [sys.executable, "-c", program, other, path], capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "huge.csv" in done.stdout
    assert re.search(r"line|binary", done.stdout)


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    refused(tmp_path, tmp_path / "folder", "is a folder")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("random.csv", os.urandom(4096), r"binary|cannot be read|UTF-8"),
        ("archive.csv", b"PK\x03\x04" + bytes(100), "ZIP"),
        ("page.csv", b"<!DOCTYPE html><html>not found</html>", r"web page|HTML"),
        ("pointer.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "LFS"),
        ("text.parquet", b"no parquet at all", "Parquet"),
        ("latin.csv", csv_of(*GOOD).encode() + "2024-05-12 00:00:00,1,ü\n".encode("latin-1") * 3, ""),
    ],
)
def test_binary_and_foreign_files(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if said:
        refused(tmp_path, path, said)
        return
    with unharmed(tmp_path / "t.duckdb") as store:
        try:
            report = ingest(path, store=store, name="x", options=OPTIONS)
        except TraceError as error:
            assert "UTF-8" in str(error)  # noqa: PT017
        else:
            assert (report.rows_kept, report.rows_rejected) == (30, 3)


def test_unknown_columns(tmp_path: Path) -> None:
    text = refused(tmp_path, _copied(SAMPLES / "unknown.csv", tmp_path), "no known format")
    assert "Found" in text


def test_a_mapping_that_names_columns_that_are_not_there(tmp_path: Path) -> None:
    source = tmp_path / "mine.csv"
    source.write_text("when,prompt,answer\n2024-05-12 00:00:00,5,5\n")
    file = tmp_path / "mapping.toml"
    columns = 'input_tokens = "prompts"\noutput_tokens = "answer"\n'
    file.write_text(f'kind = "requests"\n[time]\ncolumn = "wen"\nunit = "iso"\n[columns]\n{columns}')
    with unharmed(tmp_path / "t.duckdb") as store:
        with pytest.raises(TraceError) as caught:
            ingest(
                source,
                store=store,
                name="x",
                options=TraceOptions(
                    mapping=load_mapping(file), model="llama31_8b", region="us_east", tier="interactive_fast"
                ),
            )
        assert not store.has("x")
    for word in ("wen", "did you mean 'when'", "answer"):
        assert word in str(caught.value)


def test_a_full_disk(tmp_path: Path) -> None:
    """A disk of four megabytes holds the small trace and not the large one; the small one stays as it was."""
    disk = tmp_path / "disk"
    disk.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=4m"):
        pytest.skip("needs the right to mount a small disk; the store's own test limits the size of a file instead")
    try:
        with open_store(disk / "t.duckdb") as store:
            was = filled(store)
            with pytest.raises(StoreError, match="the disk is full") as caught:
                ingest_frame(requests_at(poisson(20.0, days=0.5)), store=store, name="x", source="rows")
        assert "Nothing of this trace was kept" in str(caught.value)
        with open_store(disk / "t.duckdb") as store:
            assert not store.has("x")
            assert all(one.equals(two) for one, two in zip(answers(store), was, strict=True))
    finally:
        libc.umount(os.fsencode(disk))


def test_a_store_of_a_newer_version(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    file = tmp_path / "t.duckdb"
    open_store(file).close()
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"UPDATE store_version SET version = {STORE_VERSION + 7}")
    before = file.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=f"version {STORE_VERSION + 7}") as caught:
            open_store(file, read_only=read_only)
        assert "t.duckdb" in str(caught.value)
    assert file.read_bytes() == before


def test_an_error_in_the_last_of_several_files_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text(csv_of(*GOOD))
    (tmp_path / "late.csv").write_text(csv_of(*["noon,1,1"] * 3))
    with unharmed(tmp_path / "t.duckdb") as store:
        with pytest.raises(TraceError, match=r"late\.csv: every one of 3 rows"):
            ingest([tmp_path / "good.csv", tmp_path / "late.csv"], store=store, name="x", options=OPTIONS)
        assert not store.has("x")


def test_labels_that_a_study_does_not_know_are_no_error() -> None:
    assert {row["where"] for row in rows_of(report_on(requests_at([0.0, 1.0], model="gpt")), "unknown label")} == {
        "model gpt"
    }


def _copied(path: Path, folder: Path) -> Path:
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    return copy
