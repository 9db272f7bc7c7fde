"""workbench.studies.remembering: a frame is made once, and anew where anything that it depends on is another."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.simulation.simulation_cases import FAST, demand
from workbench.studies.remembering import remembered
from workbench.tables import DEMAND


def test_a_frame_is_made_once_for_the_same_facts(tmp_path: Path) -> None:
    frame, calls = demand({("east", "m", FAST): [2.0] * 6}, window_s=600.0), []

    def make() -> pl.DataFrame:
        calls.append(1)
        return frame

    first = remembered(tmp_path / "sums", "demand", {"trace": "a"}, make, table=DEMAND)
    again = remembered(tmp_path / "sums", "demand", {"trace": "a"}, make, table=DEMAND)
    assert first.equals(again)
    assert len(calls) == 1
    remembered(tmp_path / "sums", "demand", {"trace": "b"}, make, table=DEMAND)
    assert len(calls) == 2
    assert len(list((tmp_path / "sums").iterdir())) == 2
