"""workbench.studies.requesting: the replay plays what the fluid engine sees as sums."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.replay.replay_cases import steadily
from tests.simulation.simulation_cases import BATCH, FAST, START, demand, fleet
from workbench import scenarios
from workbench.studies import requesting
from workbench.studies.altering import Alteration
from workbench.studies.preparing import Span
from workbench.tables import REQUESTS
from workbench.traces import open_store

HOUR = timedelta(hours=1)


def span(hours: float, window_s: float = 600.0) -> Span:
    return Span(since=START, as_of=START, hours=hours, demand_window_s=window_s, forecast_window_s=3600.0, notes=())


@settings(deadline=None, max_examples=20)
@given(st.floats(0.0, 4.0), st.integers(0, 50))
def test_every_request_comes_as_often_as_its_factor_says(scale: float, seed: int) -> None:
    """Within one of it each, and copies stay in the window of the demand that the request is of."""
    frame = steadily(0.05, 3600.0).with_columns(input_tokens=pl.int_range(1, pl.len() + 1))
    made = requesting.repeated(frame, Alteration(scale=scale), window_s=600.0, seed=seed)
    REQUESTS.conform(made)
    assert made.get_column("arrived_at").is_sorted()
    window = pl.col("arrived_at").dt.truncate("10m").alias("window")
    found = made.group_by("input_tokens", window).len()
    assert found.get_column("input_tokens").is_unique().all()
    assert found.get_column("len").is_between(int(scale), int(scale) + 1).all()
    if scale >= 1.0:
        assert found.height == frame.height
        assert frame.join(made, on=["arrived_at", "input_tokens"], how="anti").is_empty()


def test_a_whole_factor_leaves_no_chance_to_the_sums() -> None:
    frame = steadily(0.05, 3600.0)
    made = requesting.repeated(frame, Alteration(scale=3.0), window_s=600.0, seed=1)
    sums = [
        each.group_by(pl.col("arrived_at").dt.truncate("10m")).agg(pl.len(), pl.col("input_tokens").sum())
        for each in (frame, made)
    ]
    joined = sums[0].join(sums[1], on="arrived_at")
    assert joined.height == sums[0].height
    assert joined.select((pl.col("len_right") == 3 * pl.col("len")).all()).item()
    assert joined.select((pl.col("input_tokens_right") == 3 * pl.col("input_tokens")).all()).item()


def test_requests_drawn_from_sums_bring_what_the_sums_say() -> None:
    """Two tiers, six hours, twice as long prompts in the second half: rates and means of the hours come out."""
    load = demand({("east", "m", FAST): [2.0] * 36, ("east", "m", BATCH): [1.0] * 36}, window_s=600.0)
    later = pl.col("window_start") >= START + 3 * HOUR
    load = load.with_columns(input_tokens=pl.when(later).then(2.0).otherwise(1.0) * pl.col("input_tokens"))
    made = pl.concat(list(requesting.drawn(load, fleet(), span(6.0), seed=5)))
    REQUESTS.conform(made)
    assert made.get_column("arrived_at").is_sorted()
    assert made.filter(pl.col("tier") == FAST).height == pytest.approx(2.0 * 6 * 3600, rel=0.03)
    assert made.filter(pl.col("tier") == BATCH).height == pytest.approx(1.0 * 6 * 3600, rel=0.03)
    halves = made.group_by(pl.col("arrived_at") >= START + 3 * HOUR).agg(pl.col("input_tokens").mean())
    early, late = halves.sort("arrived_at").get_column("input_tokens")
    assert (early, late) == (pytest.approx(1490.0, rel=0.05), pytest.approx(2980.0, rel=0.05))
    again = pl.concat(list(requesting.drawn(load, fleet(), span(6.0), seed=5)))
    assert made.equals(again)


def test_a_gap_is_filled_with_the_hour_before_as_the_fluid_engine_does() -> None:
    load = demand({("east", "m", FAST): [2.0] * 12}, window_s=600.0)
    second = pl.col("window_start") >= START + HOUR
    measures = ("requests", "input_tokens", "output_tokens")
    load = load.with_columns(pl.when(~second).then(pl.col(measures)))
    made = pl.concat(list(requesting.drawn(load, fleet(), span(2.0), seed=5)))
    assert made.filter(pl.col("arrived_at") >= START + HOUR).height == pytest.approx(7200, rel=0.05)


def test_the_files_hold_the_trace_from_the_start_of_the_span_and_can_be_read_twice(
    small_store: Path, tmp_path: Path
) -> None:
    scenario = scenarios.parse({"trace": "small", "regions": ["us_east"]}, source="test")
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        info = store.describe("small")
        as_of = info.first_at.replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
        made = requesting.file_requests(
            scenario,
            store,
            Span(since=as_of, as_of=as_of, hours=6.0, demand_window_s=600.0, forecast_window_s=600.0, notes=()),
            demand=pl.DataFrame(),
            alteration=Alteration(),
            fleet=fleet(regions=("us_east",), models=("llama31_8b", "llama2_70b")),
            folder=tmp_path / "requests",
        )
        wanted = store.requests("small", since=as_of, until=as_of + timedelta(hours=6))
    wanted = wanted.filter((pl.col("region") == "us_east") & pl.col("model").is_in(["llama31_8b", "llama2_70b"]))
    assert wanted.height > 100
    assert pl.concat(list(made)).equals(wanted)
    assert [block.height for block in made] == [block.height for block in made]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["requests"]
