"""workbench.traces.download.proving: checksum first, else size, rows and unpacking; what differs is said."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from pathlib import Path

import pytest

from workbench import catalog
from workbench.catalog import TraceSource
from workbench.errors import TraceError
from workbench.traces.download.proving import prove, sha256_of

CSV = b"TIMESTAMP,ContextTokens,GeneratedTokens\n1,2,3\n4,5,6\n7,8,9"


def source(content: bytes, **changes: object) -> TraceSource:
    known = catalog.load().trace_sources["azure_llm_2023_code"]
    facts = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "rows": 3} | changes
    return dataclasses.replace(known, **facts)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file.part"
    made.write_bytes(CSV)
    return made


def test_a_checksum_proves(path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    assert "sha256" in prove(path, source(CSV), progress=lambda done, total: told.append((done, total)))
    assert told == [(len(CSV), len(CSV))]
    assert sha256_of(path) == hashlib.sha256(CSV).hexdigest()


def test_a_wrong_checksum_names_both(path: Path) -> None:
    wrong = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(TraceError, match=f"sha256 is {hashlib.sha256(CSV).hexdigest()}, expected {wrong}"):
        prove(path, source(CSV, sha256=wrong))


def test_size_is_looked_at_before_anything_is_read(path: Path) -> None:
    with pytest.raises(TraceError, match=r"size is 57 bytes, expected 1,000 bytes"):
        prove(path, source(CSV, size_bytes=1000))


def test_without_checksum_rows_are_counted_and_it_says_so(path: Path) -> None:
    said = prove(path, source(CSV, sha256=None, size_bytes=None))
    assert said == "no checksum is known; checked by 3 rows only"
    assert "size and 3 rows" in prove(path, source(CSV, sha256=None))
    with pytest.raises(TraceError, match="number of rows is 3, expected 4"):
        prove(path, source(CSV, sha256=None, size_bytes=None, rows=4))


def test_packed_files_are_read_to_their_end(tmp_path: Path) -> None:
    path, packed = tmp_path / "file.part", gzip.compress(CSV + b"\n")
    named = source(packed, sha256=None, size_bytes=None, file="file.csv.gz")
    path.write_bytes(packed)
    assert "3 rows" in prove(path, named)
    path.write_bytes(packed[:-10])
    with pytest.raises(TraceError, match="does not unpack"):
        prove(path, named)
    path.write_bytes(b"<html>not what you wanted</html>")
    with pytest.raises(TraceError, match="does not unpack"):
        prove(path, named)


def test_an_archive_is_proven_by_unpacking_alone(tmp_path: Path) -> None:
    path = tmp_path / "file.part"
    path.write_bytes(gzip.compress(b"x" * 1000))
    archive = source(b"", sha256=None, size_bytes=None, rows=None, file="archive.tar.gz")
    assert prove(path, archive) == "no checksum is known; checked by unpacking only"


def test_lines_of_json_have_no_header(tmp_path: Path) -> None:
    path = tmp_path / "file.part"
    path.write_bytes(b'{"timestamp": 0}\n{"timestamp": 1}\n')
    assert "2 rows" in prove(path, source(b"", sha256=None, size_bytes=None, rows=2, file="a.jsonl"))
