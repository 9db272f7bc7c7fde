"""workbench.studies.foreseeing: a forecast for every hour from what was known then, kept and found again."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.simulation.simulation_cases import BATCH, FAST, START, demand
from workbench import forecasting
from workbench.studies import foreseeing
from workbench.studies.foreseeing import History

HOURS = 30


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Two days of two tiers, and 30 hours that are foreseen one by one."""
    rates = [float(1 + hour % 24) for hour in range(24 * 4)]
    load = demand({("east", "m", FAST): rates, ("east", "m", BATCH): rates[::-1]}, window_s=3600.0)
    return History(
        demand=load.with_columns(pl.col("window_start") - timedelta(days=2)),
        origins=foreseeing.hours_from(START, HOURS),
        horizon_s=7200.0,
        window_s=3600.0,
        quantiles=(0.5, 0.7),
        method="seasonal_naive",
        seed=7,
        folder=tmp_path / "forecasts",
    )


def test_each_is_what_was_foreseen_then(history: History) -> None:
    made = list(foreseeing.forecasts(history))
    assert [one.as_of for one in made] == list(history.origins)
    for origin in (0, 7, 29):
        alone = forecasting.predict(
            history.demand, as_of=history.origins[origin], horizon_s=7200.0, window_s=3600.0, quantiles=(0.5, 0.7),
            method="seasonal_naive", measures=foreseeing.MEASURES,
        )  # fmt: skip
        assert made[origin].frame.equals(alone.frame)
        assert made[origin].notes.equals(alone.notes)


def test_what_was_foreseen_is_kept_by_the_day_and_read_again(history: History) -> None:
    assert history.folder is not None
    first = list(foreseeing.forecasts(history))
    files = sorted(path.name for path in (history.folder / foreseeing.digest(history)).iterdir())
    assert files == [f"2026-03-0{day}-{kind}.parquet" for day in ("2-24", "3-6") for kind in ("frame", "notes")]
    again = list(foreseeing.forecasts(history))
    for one, other in zip(first, again, strict=True):
        assert one.frame.equals(other.frame)
        assert one.notes.equals(other.notes)
        assert (one.as_of, one.window_s, one.method) == (other.as_of, other.window_s, other.method)


def test_who_asks_for_the_last_and_no_further_has_kept_it(history: History) -> None:
    assert history.folder is not None
    some = foreseeing.forecasts(history)
    for _ in range(HOURS):
        next(some)
    assert len(list((history.folder / foreseeing.digest(history)).iterdir())) == 4


def test_an_interrupted_day_leaves_nothing_half_written(history: History) -> None:
    assert history.folder is not None
    some = foreseeing.forecasts(history)
    for _ in range(26):
        next(some)
    some.close()
    kept = history.folder / foreseeing.digest(history)
    assert sorted(path.name for path in kept.iterdir()) == [
        "2026-03-02-24-frame.parquet",
        "2026-03-02-24-notes.parquet",
    ]
    assert len(list(foreseeing.forecasts(history))) == HOURS


@pytest.mark.parametrize(
    "change",
    [{"seed": 8}, {"horizon_s": 3600.0}, {"quantiles": (0.5,)}, {"method": "last_value"}, {"window_s": 7200.0}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_forecast_depends_on_names_it(history: History, change: dict[str, object]) -> None:
    assert foreseeing.digest(dataclasses.replace(history, **change)) != foreseeing.digest(history)  # type: ignore[arg-type]


def test_the_demand_names_it_too_and_the_order_of_its_rows_does_not(history: History) -> None:
    shuffled = dataclasses.replace(history, demand=history.demand.sample(fraction=1.0, shuffle=True, seed=3))
    assert foreseeing.digest(shuffled) == foreseeing.digest(history)
    other = dataclasses.replace(history, demand=history.demand.with_columns(pl.col("requests") + 1.0))
    assert foreseeing.digest(other) != foreseeing.digest(history)


def test_progress_is_told_for_every_origin(history: History) -> None:
    told: list[tuple[int, int]] = []
    list(foreseeing.forecasts(dataclasses.replace(history, progress=lambda *done: told.append(done), folder=None)))
    assert told == [(done, HOURS) for done in range(1, HOURS + 1)]


def test_perfect_foresight_is_what_comes(history: History) -> None:
    made = list(foreseeing.perfect(history))
    for origin, forecast in zip(history.origins, made, strict=True):
        came = history.demand.filter((pl.col("window_start") == origin) & (pl.col("tier") == FAST))
        said = forecast.frame.filter(
            (pl.col("window_start") == origin) & (pl.col("tier") == FAST) & (pl.col("measure") == "input_tps")
        )
        assert said.get_column("value").to_list() == pytest.approx([came["input_tokens"].item() / 3600.0] * 2)


def test_halves_of_a_day_give_what_the_whole_gives_and_those_at_hand_are_not_made_again(history: History) -> None:
    assert history.folder is not None
    day = foreseeing.days_of(history)[0]
    first, second = foreseeing.pieces_of(day)
    assert {*first.only} | {*second.only} == {("east", "m", FAST), ("east", "m", BATCH)}
    foreseeing.make(first)
    told: list[tuple[int, int]] = []
    assert foreseeing.prepare([history], workers=1, progress=lambda *done: told.append(done)) == 2
    assert told == [(0, 2), (1, 2), (2, 2)]  # three halves were left
    assert not list(history.folder.rglob("*.part"))
    alone = foreseeing.forecasts(dataclasses.replace(history, folder=None))
    for one, other in zip(foreseeing.forecasts(history), alone, strict=True):
        assert one.frame.equals(other.frame)
        assert one.notes.equals(other.notes)


def test_a_series_that_has_not_begun_is_no_half_of_its_own(history: History) -> None:
    begins = pl.when(pl.col("tier") == BATCH).then(START + timedelta(hours=9)).otherwise(START - timedelta(days=1))
    late = dataclasses.replace(history, demand=history.demand.filter(pl.col("window_start") >= begins))
    assert [len(foreseeing.pieces_of(day)) for day in foreseeing.days_of(late)] == [1, 2]


def test_days_are_made_ahead_once(history: History) -> None:
    assert foreseeing.prepare([history], workers=1) == 2
    assert foreseeing.prepare([history], workers=1) == 0
    alone = foreseeing.forecasts(dataclasses.replace(history, folder=None))
    for one, other in zip(foreseeing.forecasts(history), alone, strict=True):
        assert one.frame.equals(other.frame)


@pytest.mark.slow
def test_a_spoilt_forecast_is_off_by_what_is_asked_for_and_keeps_what_was_made(history: History) -> None:
    """A factor for each hour and model: their logarithms have the spread of a normal with that relative error."""
    plain = list(foreseeing.forecasts(history))
    biased = list(foreseeing.forecasts(dataclasses.replace(history, bias_fraction=0.25)))
    for one, other in zip(plain, biased, strict=True):
        assert other.frame.get_column("value").to_list() == pytest.approx(
            (one.frame.get_column("value") * 1.25).to_list()
        )
    many = dataclasses.replace(history, origins=foreseeing.hours_from(START, 40), error_fraction=0.3, folder=None)
    factors = [
        (other.frame.get_column("value").sum() / one.frame.get_column("value").sum())
        for one, other in zip(
            foreseeing.forecasts(dataclasses.replace(many, error_fraction=0.0)), foreseeing.forecasts(many), strict=True
        )
    ]
    assert pl.Series(factors).log().std() == pytest.approx(0.2936, rel=0.3)  # sqrt(log(1 + 0.3^2)) of forty draws
    assert pl.Series(factors).mean() == pytest.approx(1.0, abs=0.15)
    assert foreseeing.digest(many) == foreseeing.digest(dataclasses.replace(many, error_fraction=0.0))


def test_windows_of_the_demand_are_merged_into_those_of_the_forecast_and_it_stays_the_same(history: History) -> None:
    """Quarters of an hour from minutes: half known is known, less is a gap, and a cut one is out."""
    minutes = [float(1 + minute // 60 % 24) for minute in range(60 * 24 * 3)]
    load = demand({("east", "m", FAST): minutes}, window_s=60.0)
    load = load.with_columns(pl.col("window_start") - timedelta(days=2, minutes=7))
    gap = pl.col("window_start").is_between(
        START - timedelta(hours=3), START - timedelta(hours=3) + timedelta(minutes=20)
    )
    load = load.with_columns(pl.when(~gap).then(pl.col(name)) for name in ("requests", "input_tokens", "output_tokens"))
    fine = dataclasses.replace(
        history, demand=load, window_s=900.0, origins=history.origins[:3], horizon_s=3600.0, folder=None
    )
    merged = foreseeing.coarse(fine)
    assert merged.get_column("window_start").min() == START - timedelta(days=2)  # the first quarter is cut by eight
    assert merged.get_column("requests").null_count() == 1
    for origin, made in zip(fine.origins, foreseeing.forecasts(fine), strict=True):
        alone = forecasting.predict(
            load, as_of=origin, horizon_s=3600.0, window_s=900.0, quantiles=(0.5, 0.7), method="seasonal_naive",
            measures=foreseeing.MEASURES,
        )  # fmt: skip
        assert made.frame.drop("value").equals(alone.frame.drop("value"))
        assert made.frame.get_column("value").to_list() == pytest.approx(alone.frame.get_column("value").to_list())
