"""Every kind of finding has a weight and, where something can be done, advice; the worst are told first."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.traces.catalogue import FINDINGS, LEVELS
from workbench.traces.quality.findings import KINDS, as_frame, finding


def test_every_kind_that_is_no_note_says_what_to_do() -> None:
    assert {kind.level for kind in KINDS.values()} == set(LEVELS)
    assert [what for what, kind in KINDS.items() if kind.level != "note" and not kind.advice] == []


def test_the_worst_come_first_and_equals_in_the_order_of_the_kinds() -> None:
    made = [
        finding("rows", "f", 1, "one row"),
        finding("suspected cut", "b", 2, "cut"),
        finding("suspected cut", "a", 2, "cut"),
        finding("suspected row cap", "m", 3, "cap"),
        finding("hole", "m", 1, "hole"),
    ]
    frame = as_frame(made)
    assert frame.columns == list(FINDINGS.columns)
    assert frame["finding"].to_list() == ["suspected row cap", "hole", "suspected cut", "suspected cut", "rows"]
    assert frame["where"].to_list() == ["m", "m", "b", "a", "f"]
    assert frame["level"].to_list() == ["spoilt", "warning", "warning", "warning", "note"]


def test_a_check_may_know_better_how_bad_it_is() -> None:
    assert finding("repeated rows", "m", 1, "one", level="note")["level"] == "note"
    assert finding("repeated rows", "m", 1, "one")["level"] == "warning"


def test_a_finding_is_a_row_of_its_table() -> None:
    assert as_frame([]).is_empty()
    with pytest.raises(ValueError, match="FINDINGS"):
        as_frame([finding("rows", None, 1, "no place")])  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        finding("a kind nobody declared", "m", 1, "")
    assert as_frame([finding("labels", "trace", None, "none")])["count"].to_list() == [None]
    assert isinstance(as_frame([]), pl.DataFrame)
