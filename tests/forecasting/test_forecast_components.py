"""workbench.forecasting.components: parts that multiply to the curve, a correction that fades, a refusal with why."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.forecasting.forecasting_cases import MONDAY, daily, demand
from workbench.errors import ForecastError
from workbench.forecasting import components

HOUR_S = 3600.0
SERIES = {"region": "east", "model": "m", "tier": "fast"}


def test_the_parts_multiply_to_the_curve_and_the_correction_to_the_forecast() -> None:
    """Four days of a wave; the last three hours run at twice the wave, which the correction carries on and forgets."""
    values = daily(4, noise=0.0)
    values[-3:] = [2.0 * value for value in values[-3:]]
    as_of = MONDAY + timedelta(days=4)
    made = components(demand(values), **SERIES, as_of=as_of, horizon_s=24 * HOUR_S, back_s=24 * HOUR_S)
    wide = made.pivot(on="component", index="window_start", values="value").sort("window_start")
    offset = 0.01 * np.mean(values) * 100 / HOUR_S
    assert wide["curve"].to_numpy() + offset == pytest.approx((wide["level"] * wide["daily"]).to_numpy())
    ahead = wide.filter(pl.col("window_start") >= as_of)
    assert (ahead.height, ahead["realised"].null_count(), wide.height) == (24, 24, 48)
    corrected = (ahead["curve"].to_numpy() + offset) * ahead["correction"].to_numpy() - offset
    assert ahead["forecast"].to_numpy() == pytest.approx(corrected)
    assert ahead["correction"][0] > 1.3
    assert ahead["correction"][0] > ahead["correction"][6] > ahead["correction"][23] >= 1.0
    assert int(np.argmax(ahead["daily"].to_numpy())) == 6, "the wave is highest at six"


def test_a_young_or_constant_series_has_no_parts() -> None:
    for values in (daily(1), [7.0] * 96):
        as_of = MONDAY + timedelta(hours=len(values))
        with pytest.raises(ForecastError, match=r"east m fast has .* days of history"):
            components(demand(values), **SERIES, as_of=as_of, horizon_s=HOUR_S)
