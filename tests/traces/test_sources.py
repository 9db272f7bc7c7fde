"""What is asked of the files of a trace before they are read; every row is counted: workbench.traces.sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traces.trace_cases import SAMPLES
from workbench.errors import TraceError
from workbench.traces.options import Source, TraceOptions, parse_region_split
from workbench.traces.quality import SourceTally
from workbench.traces.readers.formats import detect
from workbench.traces.sources import refuse_incomplete, refuse_twice, rows_of, shares_of

WHOLE = TraceOptions(model="m", region="us_east", tier="t")


def source(name: str, options: TraceOptions = WHOLE) -> Source:
    return Source(path=SAMPLES / name, options=options)


def test_one_file_by_two_names_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "other.csv"
    link.symlink_to(SAMPLES / "azure_code.csv")
    refuse_twice([source("azure_code.csv"), source("azure_conv.csv")])
    with pytest.raises(TraceError, match=r"azure_code\.csv is named more than once; its rows would be counted twice"):
        refuse_twice([source("azure_code.csv"), Source(path=link)])


def test_kinds_are_not_mixed_and_all_options_are_asked_for() -> None:
    found = [(each, detect(each.path)) for each in (source("azure_code.csv"), source("demand.csv"))]
    refuse_incomplete(found[:1])
    with pytest.raises(TraceError, match=r"azure_code\.csv \(requests\), demand\.csv \(series\)"):
        refuse_incomplete(found)
    with pytest.raises(TraceError, match="no file was named"):
        refuse_incomplete([])


def test_every_row_is_kept_or_refused_and_progress_is_told() -> None:
    seen: list[tuple[str, float, int]] = []
    mine = source("requests.csv", TraceOptions())
    tally = SourceTally("requests.csv")
    parts = list(rows_of(mine, detect(mine.path), tally=tally, progress=lambda *step: seen.append(step)))
    assert sum(kept.height + refused.height for kept, refused in parts) == tally.read == 8
    assert seen == [("requests.csv", 1.0, 8)]
    none = source("azure_code.csv", TraceOptions(keep=("other",), model="m", region="r", tier="t"))
    with pytest.raises(TraceError, match=r"none of the models to keep \(other\) is in it; it has azure_code"):
        list(rows_of(none, detect(none.path), tally=SourceTally("azure_code.csv")))


def test_the_regions_of_all_files_are_listed() -> None:
    split = TraceOptions(region_split=parse_region_split("a=0.5:0,b=0.5:3"))
    found = [(each, detect(each.path)) for each in (source("azure_code.csv", split), source("azure_conv.csv"))]
    assert [(part.key, part.shift_h) for part in shares_of(found)] == [("a", 0.0), ("b", 3.0)]
