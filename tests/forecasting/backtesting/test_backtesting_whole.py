"""What holds for a backtest as a whole: no future, any number of workers, the oracle, the places of origins.

Modules workbench.forecasting.backtesting.origins, workbench.forecasting.backtesting.perfect,
workbench.forecasting.backtesting.standings and workbench.forecasting.backtesting.residuals.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.forecasting.backtesting.backtest_cases import HOUR_S, at, hours
from tests.forecasting.forecasting_cases import MONDAY, daily, demand
from workbench import tables
from workbench.errors import ForecastError
from workbench.forecasting import DEFAULT, backtest, perfect, predict, quantile_standings, residual_acf, standings
from workbench.forecasting.backtesting.origins import grid_of
from workbench.forecasting.backtesting.perfect import ahead_of, filled
from workbench.forecasting.backtesting.running import FRAMES
from workbench.results import Backtest

DAY_S = 24 * HOUR_S
NAIVE = ("seasonal_naive", "last_value")


def two_series() -> pl.DataFrame:
    """Four days of two series of which the second begins on the third day."""
    late = demand(daily(2, seed=2), start=MONDAY + timedelta(days=2), tier="slow")
    return pl.concat([demand(daily(4)), late])


def run(frame: pl.DataFrame, **changes: Any) -> Backtest:
    """A small backtest in one process."""
    given = {"methods": NAIVE, "every_s": 6 * HOUR_S, "horizons_s": (HOUR_S, DAY_S), "workers": 1}
    return backtest(frame, **(given | changes))


@pytest.mark.parametrize("method", [DEFAULT, "seasonal_naive"])
def test_what_was_said_before_an_instant_knows_nothing_of_what_came_after(method: str) -> None:
    """Nonsense from an origin on changes what came there, not a bit of what was said from the origins up to it."""
    whole = demand(daily(4))
    turn = at(72)
    later = pl.col("window_start") >= turn
    spoilt = whole.with_columns(
        pl.when(later).then(pl.lit(1e9)).otherwise(pl.col(name)).alias(name)
        for name in ("requests", "input_tokens", "output_tokens")
    )
    asked = {"methods": [method], "origins": [at(60), at(66), turn, at(90)], "horizons_s": (DAY_S / 4,)}
    said = [
        run(frame, **asked).windows.filter(pl.col("window_start") < at(78)).drop("realised")
        for frame in (whole, spoilt)
    ]
    assert said[0].height == 18
    assert_frame_equal(said[0], said[1], check_exact=True)


def test_several_processes_make_the_same_bytes_as_one() -> None:
    one, two = (run(two_series(), methods=[*NAIVE, DEFAULT], workers=workers, every_s=DAY_S) for workers in (1, 2))
    for name in FRAMES.keys() - {"fits"}:
        assert_frame_equal(getattr(one, name), getattr(two, name), check_exact=True)
    assert (one.origins, one.horizons_s, one.remarks) == (two.origins, two.horizons_s, two.remarks)


def test_every_frame_conforms_and_the_oracle_is_never_wrong() -> None:
    made = run(two_series(), methods=["oracle", "last_value"])
    for name, table in FRAMES.items():
        frame = getattr(made, name)
        assert frame.height
        assert_frame_equal(table.conform(frame), frame)
    oracle = made.scores.filter(method="oracle")
    assert oracle.select(pl.sum_horizontal(pl.col("wape", "bias").abs()).max()).item() == 0.0
    assert made.quantiles.filter(method="oracle").get_column("pinball").max() == 0.0
    assert made.scores.filter(method="last_value").get_column("wape").min() > 0.0


def test_a_series_that_begins_late_is_forecast_from_when_it_has_begun() -> None:
    made = run(two_series(), origins=[at(36), at(60), at(72)], horizons_s=(HOUR_S,))
    counted = made.scores.filter(method="last_value").select("tier", "origins").rows()
    assert counted == [("fast", 3), ("slow", 2)]
    alone = run(two_series(), origins=[at(36)], horizons_s=(HOUR_S,))
    assert alone.scores.get_column("tier").unique().to_list() == ["fast"]
    assert alone.remarks == ("east m slow begins after the last origin and is left out.",)


def test_standings_count_the_series_each_method_wins_and_leave_the_oracle_out() -> None:
    made = run(two_series(), methods=["oracle", *NAIVE], every_s=HOUR_S)
    ranked = standings(made)
    assert ranked.columns[:3] == ["horizon_s", "method", "series"]
    for _, rows in ranked.group_by("horizon_s"):
        assert rows.get_column("best_on").sum() == rows.get_column("series").max()
        assert rows.filter(method="oracle").get_column("best_on").item() == 0
    day = ranked.filter(horizon_s=DAY_S)
    assert day.get_column("method").to_list() == ["oracle", "seasonal_naive", "last_value"]
    by_hand = made.scores.filter(method="last_value", horizon_s=DAY_S)
    came = by_hand["realised_mean"] * by_hand["windows"]
    pooled = day.filter(method="last_value").get_column("wape_pooled").item()
    assert pooled == pytest.approx((by_hand["wape"] * came).sum() / came.sum())


def test_quantile_standings_pool_loss_and_coverage_by_windows() -> None:
    made = run(two_series(), methods=["last_value"])
    rows = made.quantiles.filter(horizon_s=HOUR_S, quantile=0.9)
    pooled = quantile_standings(made).filter(horizon_s=HOUR_S, quantile=0.9).row(0, named=True)
    came = (rows["realised_mean"] * rows["windows"]).sum()
    assert pooled["pinball_fraction"] == pytest.approx((rows["pinball"] * rows["windows"]).sum() / came)
    covered = (rows["coverage_fraction"] * rows["windows"]).sum() / rows["windows"].sum()
    assert pooled["coverage_fraction"] == pytest.approx(covered)


def test_residuals_that_swing_are_told_by_their_autocorrelation() -> None:
    """What is left over swings up and down: -1 one hour later, +1 two hours later; half a gap changes the pairs."""
    rates = [5.0 + (-1.0) ** hour for hour in range(72)]
    made = run(hours(*rates), methods=["moving_average"], every_s=HOUR_S, since=at(24), horizons_s=(HOUR_S,))
    acf = residual_acf(made, longest_s=2 * HOUR_S)
    assert acf.get_column("lag_s").to_list() == [HOUR_S, 2 * HOUR_S]
    assert acf.get_column("pairs").to_list() == [47, 46]
    assert acf.get_column("autocorrelation").to_numpy() == pytest.approx([-1.0, 1.0], abs=1e-6)
    assert acf.get_column("noise").to_numpy() == pytest.approx(1.96 / np.sqrt([47, 46]))


def test_nothing_left_over_has_no_autocorrelation() -> None:
    made = run(demand(daily(4)), methods=["oracle"], every_s=HOUR_S, horizons_s=(HOUR_S,))
    assert residual_acf(made).get_column("autocorrelation").null_count() == residual_acf(made).height


def test_the_perfect_forecast_is_what_came_at_every_quantile_and_fills_gaps_as_the_simulator_does() -> None:
    (made,) = perfect(
        hours(1.0, 3.0, None, 5.0), origins=[at(1)], horizon_s=4 * HOUR_S, quantiles=(0.9, 0.5), measures=("rps",)
    )
    assert_frame_equal(tables.FORECAST.conform(made.frame), made.frame)
    wide = made.frame.pivot(on="quantile", index="window_start", values="value")
    assert wide.get_column("0.5").to_list() == wide.get_column("0.9").to_list() == [3.0, 3.0, 5.0, 5.0]
    assert made.method == "oracle"
    assert "known to nobody" in made.notes.get_column("note").item()
    rates = np.array([np.nan, 2.0, 4.0, np.nan, np.nan, 8.0])
    assert filled(rates, per_hour=2).tolist() == [0.0, 2.0, 4.0, 3.0, 3.0, 8.0]
    assert ahead_of(np.array([1.0, 2.0]), back=3, windows=4).tolist() == [0.0, 1.0, 2.0, 2.0]
    assert ahead_of(np.array([1.0, 2.0]), back=0, windows=2).tolist() == [2.0, 2.0]


def test_origins_stand_in_the_second_half_of_a_short_demand() -> None:
    grid = grid_of(
        demand(daily(4)), origins=None, since=None, until=None, every_s=HOUR_S, horizons_s=(HOUR_S, DAY_S, 7 * DAY_S),
        window_s=None,
    )  # fmt: skip
    assert (grid.origins[0], grid.origins[-1], grid.end) == (at(48), at(95), at(96))
    assert [(len(stretch.origins), stretch.horizon_s) for stretch in grid.stretches] == [(25, DAY_S), (23, HOUR_S)]
    assert grid.horizons_s == (HOUR_S, DAY_S)
    assert grid.remarks == ("No origin has 7 days of demand after it: these horizons are not scored.",)


def test_until_is_the_first_instant_without_origin() -> None:
    asked = {"origins": None, "every_s": 5 * HOUR_S, "horizons_s": (HOUR_S,), "window_s": None}
    grid = grid_of(demand(daily(4)), since=at(50), until=at(60), **asked)
    assert grid.origins == (at(50), at(55))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["profet"]}, "did you mean 'prophet'"),
        ({"methods": []}, "must not be empty"),
        ({"methods": ["last_value", "last_value"]}, "'last_value' is named twice"),
        ({"measures": ["input_tokens"]}, "there is no measure 'input_tokens'"),
        ({"horizons_s": (0.0,)}, "horizons_s must be positive"),
        ({"horizons_s": (5000.0,)}, "whole numbers of forecast windows of 3600 s"),
        ({"every_s": 0.0}, "every_s must be positive"),
        ({"since": at(200)}, "the backtest has no origin: the demand lasts from 2024-11-04"),
        ({"origins": [at(50), at(50.5)]}, "lies inside a forecast window"),
        ({"origins": [at(1)]}, "every series begins after the last origin"),
        ({"origins": [at(50.5)]}, "backtest of seasonal_naive on east m fast: as_of .* cuts a demand window"),
    ],
)
def test_mistakes_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ForecastError, match=message):
        run(demand(daily(4)), **changes)


def test_an_empty_demand_is_refused() -> None:
    with pytest.raises(ForecastError, match="the demand is empty"):
        run(tables.DEMAND.empty())


def test_progress_counts_series_and_methods() -> None:
    seen: list[tuple[int, int]] = []
    run(two_series(), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_young_series_borrows_from_its_siblings_as_in_a_single_forecast() -> None:
    """Half a day old it takes the shape of the other tier: what the backtest scores is what predict says."""
    young = demand(daily(2, seed=2)[:30], start=MONDAY + timedelta(days=3), tier="slow")
    whole = pl.concat([demand(daily(5)[:102]), young])
    origin = at(84)
    made = run(whole, methods=["prophet"], origins=[origin], horizons_s=(6 * HOUR_S,))
    one = predict(
        whole, as_of=origin, horizon_s=6 * HOUR_S, quantiles=(0.5,), method="prophet", measures=("input_tps",)
    )
    said = made.windows.sort("window_start", "tier").get_column("value").to_list()
    assert said == one.frame.sort("window_start", "tier").get_column("value").to_list()
    used = made.notes.filter(tier="slow").row(0, named=True)
    assert used["used"] == "sibling"
