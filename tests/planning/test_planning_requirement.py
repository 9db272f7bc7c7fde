"""What must be servable, and what is kept ready beyond it, against hours worked out by hand."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import polars as pl
import pytest
from planning_cases import START, TIERS, requirement

from workbench import tables
from workbench.domain import RiskPolicy
from workbench.errors import PlanError
from workbench.planning.peaks import Reserve
from workbench.planning.requirement import peak_demand, quiet_minutes, require
from workbench.results import Forecast


def forecast(values: dict[str, list[float]], *, window_s: float = 1800.0, quantile: float = 0.9) -> Forecast:
    """Return a forecast of one region and model: input rates per tier and window; output a tenth of them."""
    rows = [
        (START + timedelta(seconds=window_s * index), "east", "m", tier, measure, quantile, tps * share)
        for tier, rates in values.items()
        for index, tps in enumerate(rates)
        for measure, share in (("input_tps", 1.0), ("output_tps", 0.1), ("rps", 0.001))
    ]
    frame = tables.FORECAST.conform(pl.DataFrame(rows, schema=tables.FORECAST.schema, orient="row"))
    return Forecast(frame=frame, notes=tables.FORECAST_NOTES.empty(), as_of=START, window_s=window_s, method="test")


RISK = RiskPolicy(quantile=0.9, headroom_fraction=0.5)


def test_the_peak_is_of_the_tiers_together() -> None:
    """fast 10, 30 and normal 40, 10: together 50, 40, so the first window counts: 10 and 40, times 1.5."""
    needed = require(forecast({"fast": [10.0, 30.0], "normal": [40.0, 10.0]}), risk=RISK, tiers=TIERS)
    assert needed.select("tier", "input_tps", "output_tps").rows() == [
        ("fast", 15.0, 1.5),
        ("normal", 60.0, 6.0),
    ]
    assert needed.get_column("is_deferrable").to_list() == [False, False]
    assert needed.get_column("serve_by_s").to_list() == [None, None]


def test_a_tier_may_carry_a_risk_of_its_own() -> None:
    """fast at its 0.9 quantile of 30, normal at its median of 20 (both in the second window), no headroom."""
    low = forecast({"fast": [5.0, 10.0], "normal": [4.0, 20.0]}, quantile=0.5)
    high = forecast({"fast": [10.0, 30.0], "normal": [40.0, 50.0]})
    both = dataclasses.replace(high, frame=pl.concat([low.frame, high.frame]))
    risk = RiskPolicy(quantile=0.9, quantile_by_tier={"normal": 0.5})
    assert require(both, risk=risk, tiers=TIERS).select("tier", "input_tps").rows() == [
        ("fast", 30.0),
        ("normal", 20.0),
    ]
    with pytest.raises(PlanError, match=r"quantile 0\.5 of the forecast of tier normal, which has 0\.9"):
        require(high, risk=risk, tiers=TIERS)
    with pytest.raises(PlanError, match="quantile_by_tier names tier 'nromal'"):
        require(high, risk=RiskPolicy(quantile=0.9, quantile_by_tier={"nromal": 0.9}), tiers=TIERS)


def test_a_deferrable_tier_gets_its_mean_without_headroom_and_its_deadline() -> None:
    needed = require(forecast({"batch": [10.0, 30.0]}), risk=RISK, tiers=TIERS)
    assert needed.row(0, named=True) == {
        "window_start": START,
        "region": "east",
        "model": "m",
        "tier": "batch",
        "input_tps": 20.0,
        "output_tps": pytest.approx(2.0),
        "is_deferrable": True,
        "serve_by_s": 86400.0,
    }


def test_hours_are_counted_from_the_forecast_and_the_last_may_be_part() -> None:
    needed = require(forecast({"fast": [1.0, 2.0, 3.0]}), risk=RISK, tiers=TIERS)
    assert needed.select("window_start", "input_tps").rows() == [(START, 3.0), (START + timedelta(hours=1), 4.5)]


def test_what_cannot_be_required_is_refused() -> None:
    made = forecast({"fast": [1.0, 2.0]})
    with pytest.raises(PlanError, match=r"quantile 0\.5 .* which has 0\.9"):
        require(made, risk=RiskPolicy(quantile=0.5), tiers=TIERS)
    with pytest.raises(PlanError, match="tier 'fast' that is not among the tiers"):
        require(made, risk=RISK, tiers=TIERS[1:])
    with pytest.raises(PlanError, match="whole number of forecast windows"):
        require(made, risk=RISK, tiers=TIERS, plan_window_s=2700.0)


DAY = requirement(
    [
        (0, "east", "m", "fast", 100.0),
        (0, "east", "m", "normal", 50.0),
        (0, "east", "m", "batch", 40.0),
        (1, "east", "m", "fast", 10.0),
        (1, "east", "m", "batch", 400.0),
        (2, "east", "m", "fast", 20.0),
    ]
)


def test_demand_is_interactive_plus_a_tenth_of_the_last_hours_deferrable() -> None:
    demand = peak_demand(DAY, RiskPolicy())
    assert demand.get_column("input_tps").to_list() == [150.0 + 4.0, 10.0 + 4.0, 20.0 + 40.0]


def test_the_first_hour_takes_the_history_where_given() -> None:
    history = pl.DataFrame({"region": ["east"], "model": ["m"], "input_tps": [1000.0]})
    first = peak_demand(DAY, RiskPolicy(), last_hour_deferrable=history).row(0, named=True)
    assert first["input_tps"] == 250.0
    none = peak_demand(DAY, RiskPolicy(), last_hour_deferrable=history.clear()).row(0, named=True)
    assert none["input_tps"] == 150.0


def test_quiet_minutes_are_the_requirement_less_the_mean() -> None:
    """Together 50, 40: the peak of 50 and half of it again is 75; the mean is 20 + 25 = 45, so 30 are free on it."""
    made = forecast({"fast": [10.0, 30.0], "normal": [40.0, 10.0], "batch": [9.0, 9.0]})
    needed = require(made, risk=RISK, tiers=TIERS)
    quiet = quiet_minutes(needed, made, risk=RISK, tiers=TIERS)
    assert quiet.rows() == [(START, "east", "m", 30.0)]


def test_a_reserve_takes_the_place_of_headroom_for_its_model() -> None:
    """Regions need 60 and 40: the root of 100 times 25 is 50, a fifth is 20, so 70 more of 100: 102 and 68.

    The other model has the policy's half more: 15 for 10.
    """
    here = forecast({"fast": [60.0, 60.0]}).frame
    others = [
        here.with_columns(pl.lit("west").alias("region"), pl.col("value") * 40.0 / 60.0),
        here.with_columns(pl.lit("n").alias("model"), pl.col("value") / 6.0),
    ]
    made = dataclasses.replace(forecast({"fast": [1.0]}), frame=pl.concat([here, *others]))
    reserves = {"m": (Reserve(headroom_fraction=0.2, root_input_tps=25.0),)}
    needed = require(made, risk=RISK, tiers=TIERS, reserves=reserves)
    assert needed.select("region", "model", "input_tps", "output_tps").rows() == [
        ("east", "m", pytest.approx(102.0), pytest.approx(10.2)),
        ("east", "n", pytest.approx(15.0), pytest.approx(1.5)),
        ("west", "m", pytest.approx(68.0), pytest.approx(6.8)),
    ]


def test_a_model_that_needs_nothing_has_no_reserve_by_the_root() -> None:
    reserves = {"m": (Reserve(root_input_tps=25.0),)}
    needed = require(forecast({"fast": [0.0, 0.0]}), risk=RISK, tiers=TIERS, reserves=reserves)
    assert needed.get_column("input_tps").to_list() == [0.0]


def test_of_several_rules_the_weighted_mean_is_asked_for() -> None:
    """A quarter for twice the 60 foreseen, three quarters for the 100 seen in the last hour: 30 + 75 = 105."""
    hours = ((2, 900.0), (1, 100.0))
    seen = [(START - timedelta(hours=h), "east", "m", "fast", 9.0, tps * 3600.0, tps * 360.0) for h, tps in hours]
    observed = tables.DEMAND.conform(pl.DataFrame(seen, schema=tables.DEMAND.schema, orient="row"))
    rules = (
        Reserve(weight=0.25, headroom_fraction=1.0),
        Reserve(weight=0.75, recent_peak_hours=1.0, recent_peak_fraction=1.0),
    )
    made = forecast({"fast": [60.0, 50.0]})
    needed = require(made, risk=RISK, tiers=TIERS, observed=observed, reserves={"m": rules})
    assert needed.select("input_tps", "output_tps").rows() == [(pytest.approx(105.0), pytest.approx(10.5))]
