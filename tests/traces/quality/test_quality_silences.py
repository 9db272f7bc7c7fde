"""A hole begins and ends at full level; a night, a habit and a bursty sender are none."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from tests.traces.quality.quality_cases import (
    DAY_S,
    MODEL,
    OTHER,
    gaps_on,
    look_of,
    poisson,
    report_on,
    requests_at,
    rows_of,
    series_of,
)
from tests.traces.trace_cases import START
from workbench.traces import check, ingest_frame, open_store
from workbench.traces.quality.levels import Look, load_of_series
from workbench.traces.quality.silences import Hole, clock_findings, gaps_of, hole_findings, holes, silent_findings

HOUR_S = 3600.0


def without(at: np.ndarray, since_s: float, until_s: float) -> np.ndarray:
    return at[(at < since_s) | (at >= until_s)]


def test_a_stop_at_full_level_is_a_hole_and_a_gap() -> None:
    at = without(poisson(0.5, days=1), 4 * HOUR_S, 5 * HOUR_S)
    (hole,) = rows_of(report_on(requests_at(at)), "hole")
    assert hole["where"] == MODEL
    assert "lets expect about 1," in hole["detail"]
    (gap,) = gaps_on(requests_at(at)).to_dicts()
    assert (gap["model"], gap["reason"]) == (MODEL, "hole in the source")
    assert abs(gap["since"] - (START + timedelta(hours=4))) < timedelta(seconds=30)
    assert abs(gap["until"] - (START + timedelta(hours=5))) < timedelta(seconds=30)


def test_a_trace_that_was_made_has_no_holes(tmp_path: Path) -> None:
    at = without(poisson(0.5, days=1), 4 * HOUR_S, 5 * HOUR_S)
    with open_store(tmp_path / "t.duckdb") as store:
        made = ingest_frame(requests_at(at), store=store, name="made", source="a generator", format="synthetic")
        assert rows_of(made, "hole") == []
        assert store.gaps("made").is_empty()
        assert check(store, "made").differences == ()


def test_a_silence_is_found_per_model_though_the_other_goes_on() -> None:
    """One model pauses for four hours that the other fills."""
    first = requests_at(without(poisson(0.05, days=0.5), 4 * HOUR_S, 8 * HOUR_S))
    both = pl.concat([first, requests_at(poisson(0.05, days=0.5, seed=2), model=OTHER)])
    (hole,) = rows_of(report_on(both), "hole")
    assert hole["where"] == MODEL
    assert "all models" not in hole["detail"]


def test_all_models_at_once_point_to_the_record() -> None:
    parts = [
        requests_at(without(poisson(0.2, days=0.5, seed=seed), 4 * HOUR_S, 6 * HOUR_S), model=model)
        for seed, model in enumerate((MODEL, OTHER))
    ]
    found = rows_of(report_on(pl.concat(parts)), "hole")
    assert [row["where"] for row in found] == sorted([MODEL, OTHER], key=[row["where"] for row in found].index)
    assert all("all models stop at once" in row["detail"] for row in found)


def test_a_quiet_night_is_no_hole() -> None:
    """A stream that sinks to next to nothing and comes back slowly is quiet, not broken."""
    assert rows_of(report_on(requests_at(poisson(0.05, days=3, swing=1.0))), "hole") == []


def test_a_habit_of_every_night_is_no_hole() -> None:
    at = poisson(0.1, days=4)
    working = at[(at % DAY_S >= 8 * HOUR_S) & (at % DAY_S < 18 * HOUR_S)]
    report = report_on(requests_at(working))
    assert rows_of(report, "hole") == []
    (silent,) = rows_of(report, "silent stretch")
    assert silent["count"] == 3


def test_a_sender_in_bursts_has_silences_but_no_holes() -> None:
    bursts = np.concatenate([i * 1800.0 + np.linspace(0, 600, 400) for i in range(24)])
    report = report_on(requests_at(np.sort(bursts + np.random.default_rng(1).uniform(0, 0.1, bursts.size))))
    assert rows_of(report, "hole") == []
    (silent,) = rows_of(report, "silent stretch")
    assert silent["count"] == 23
    assert silent["detail"].startswith("no arrival 23 times, the longest for 1,200 s from 2025-07-09 ")
    assert silent["detail"].endswith("; the mean gap is 4.38 s")


def test_a_series_that_drops_to_next_to_nothing_between_full_windows_has_a_hole() -> None:
    values = [1000.0] * 40 + [0.0, 20.0, 0.0, 5.0] + [1100.0] * 40
    look = look_of(series_of(values))
    (hole,) = holes(look)
    assert hole == Hole(
        model=MODEL, since=START + timedelta(seconds=24_000), until=START + timedelta(seconds=26_400), missed=4000.0
    )
    assert hole.seconds == 2400
    assert "about 4,000 requests" in hole_findings(look)[0]["detail"]
    assert gaps_of(look)["model"].to_list() == [MODEL]
    assert silent_findings(look) == []


def test_a_slow_sink_a_noisy_series_and_an_edge_are_no_holes() -> None:
    slow = [1000.0 * max(0.001, abs(np.cos(np.pi * i / 144))) for i in range(288)]
    noisy = [float(value) for value in np.random.default_rng(2).pareto(0.4, 288) * 100]
    edge = [0.0] * 5 + [1000.0] * 100
    for values in (slow, noisy, edge):
        assert holes(look_of(series_of(values))) == []


def test_a_gap_is_marked_for_each_made_region_at_its_own_time() -> None:
    frame = series_of([1000.0] * 40 + [0.0] * 4 + [1100.0] * 40)
    shifts = {"us_east": timedelta(0), "us_central": timedelta(0), "us_west": timedelta(hours=3)}
    look = Look(load=load_of_series(frame, window_s=600), shifts=shifts)
    hole, later = START + timedelta(seconds=24_000), START + timedelta(seconds=34_800)
    found = dict(gaps_of(look).select("region", "since").rows())
    assert found == {"us_east": hole, "us_central": hole, "us_west": later}
    whole = Look(load=look.load)
    assert gaps_of(whole).select("region", "since").rows() == [(None, hole)]


def test_an_hour_without_anything_in_the_night_to_a_sunday_looks_like_a_clock() -> None:
    """START is a Wednesday; the fourth night after it ends on Sunday 13 July 2025."""
    sunday_s = (datetime(2025, 7, 13, 1) - START).total_seconds()
    at = poisson(0.05, days=5)
    (clock,) = rows_of(report_on(requests_at(without(at, sunday_s, sunday_s + HOUR_S))), "clock set forward")
    assert "a Sunday" in clock["detail"]
    monday_s = sunday_s + DAY_S - 4 * DAY_S
    assert rows_of(report_on(requests_at(without(at, monday_s, monday_s + HOUR_S))), "clock set forward") == []
    assert clock_findings(look_of(series_of([1.0, 2.0]))) == []
