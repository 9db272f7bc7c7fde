"""A file that is named like a published one is held against what its publisher says."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path

import pytest

from workbench.traces.quality.published import published_findings, published_source
from workbench.traces.quality.tallying import SourceTally

NAME = "AzureLLMInferenceTrace_code.csv"


def tally(read: int, first: datetime, last: datetime) -> SourceTally:
    made = SourceTally(NAME)
    made.read, made.first_at, made.last_at = read, first, last
    return made


@pytest.fixture
def cut_file(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-11 10:00:00,1,1\n")
    return path


def test_a_file_is_known_by_its_name_packed_or_not() -> None:
    for name in (NAME, NAME + ".gz", NAME + ".zst"):
        source = published_source(Path(name))
        assert source is not None
        assert source.key == "azure_llm_2023_code"
    assert published_source(Path("mine.csv")) is None
    assert published_findings(Path("mine.csv"), SourceTally("mine.csv")) == []


def test_other_rows_another_checksum_and_another_day_are_told(cut_file: Path) -> None:
    found = published_findings(cut_file, tally(1, datetime(2023, 11, 16, 18), datetime(2023, 11, 16, 19)))
    by_kind = {row["finding"]: row for row in found}
    assert set(by_kind) == {
        "checksum differs from its source",
        "row count differs from its source",
        "date disagrees with its source",
    }
    assert by_kind["row count differs from its source"]["count"] == 1 - 8819
    assert "its publisher says 2023-11-11" in by_kind["date disagrees with its source"]["detail"]


def test_a_day_that_agrees_is_not_told(cut_file: Path) -> None:
    found = published_findings(cut_file, tally(8819, datetime(2023, 11, 11, 18), datetime(2023, 11, 11, 19)))
    assert [row["finding"] for row in found] == ["checksum differs from its source"]


def test_a_packed_copy_has_the_checksum_of_its_unpacked_bytes(cut_file: Path) -> None:
    packed = cut_file.with_name(NAME + ".gz")
    packed.write_bytes(gzip.compress(cut_file.read_bytes()))
    at = datetime(2023, 11, 11, 18)
    plain, unpacked = (published_findings(path, tally(8819, at, at))[0]["detail"] for path in (cut_file, packed))
    assert plain.split(" is ")[1] == unpacked.split(" is ")[1]
    assert unpacked.startswith("sha256 of the unpacked file is ")
