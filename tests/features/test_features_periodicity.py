"""The score is one for a repeated day and none for noise, and orders real traces as their sources do."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import load
from workbench import features
from workbench.features import periodicity
from workbench.traces import TraceOptions, ingest, open_store

MONDAY = datetime(2025, 7, 7)


def scores(demand: pl.DataFrame, column: str = "periodicity_fraction") -> dict[str, float | None]:
    return dict(periodicity.periodicity_score(demand, "model").select("model", column).rows())


def test_a_repeated_day_scores_one_and_what_does_not_repeat_nothing() -> None:
    daily = [math.sin(2 * math.pi * i / 24) + 2 for i in range(24 * 5)]
    opposite = [math.sin(2 * math.pi * i / 48) + 2 for i in range(24 * 5)]
    holes = [None if i % 7 == 0 else value for i, value in enumerate(daily)]
    series = {"r a t": daily, "r b t": opposite, "r c t": [5.0] * 120, "r d t": holes, "r e t": daily[:40]}
    demand = load(series, start=MONDAY)
    found, lagged = scores(demand), scores(demand, "autocorrelation_24h")
    assert found["a"] == found["d"] == pytest.approx(1.0)
    assert found["b"] == 0.0
    assert found["c"] is found["e"] is None
    assert (lagged["a"], lagged["b"]) == (pytest.approx(1.0), pytest.approx(-1.0))
    assert lagged["c"] is None


def test_a_working_week_repeats_although_its_weekend_differs() -> None:
    """Weekdays all alike, weekend days all alike: the days of one kind explain all, the lag of 24 h does not."""
    values = [(1.0 if i // 24 % 7 < 5 else 0.2) * (i % 24) for i in range(24 * 14)]
    demand = load({"r m t": values}, start=MONDAY)
    assert scores(demand)["m"] == pytest.approx(1.0)
    assert scores(demand, "autocorrelation_24h")["m"] < 0.8


def test_a_load_that_stops_does_not_repeat() -> None:
    values = [50.0 + 10 * math.sin(2 * math.pi * i / 24) if i < 40 else 0.0 for i in range(24 * 5)]
    demand = load({"r m t": values}, start=MONDAY)
    assert scores(demand)["m"] == 0.0
    assert scores(demand, "autocorrelation_24h")["m"] > 0.5


def test_noise_scores_nothing_however_long(rng: np.random.Generator) -> None:
    demand = load({f"r m{i} t": rng.exponential(size=24 * 7).tolist() for i in range(20)}, start=MONDAY)
    found = [value for value in scores(demand).values() if value is not None]
    assert max(found) < 0.1


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats(1, 1e5), min_size=72, max_size=120), scale=st.floats(0.1, 100))
def test_the_score_is_a_fraction_and_knows_no_size(values: list[float], scale: float) -> None:
    first = scores(load({"r m t": values}, start=MONDAY))["m"]
    second = scores(load({"r m t": [scale * v for v in values]}, start=MONDAY).reverse())["m"]
    assert first is None or 0.0 <= first <= 1.0
    assert second == (None if first is None else pytest.approx(first, abs=1e-6))


def test_the_real_sageserve_week_is_ordered_as_published(shared_data: Path, tmp_path: Path) -> None:
    """A and C are the sound series: interactive load repeats, batch does not (published: 0-0.29). D stops."""
    options = TraceOptions(
        region="us_east", start=datetime(2024, 11, 4), input_tokens_per_request=5000, output_tokens_per_request=222
    )
    path = shared_data / "sageserve" / "week_prompt_tokens_per_min.parquet"
    with open_store(tmp_path / "s.duckdb") as store:
        ingest(path, store=store, name="week", options=options)
        demand = features.demand(store, "week", window_s=60)
    table = periodicity.periodicity_score(demand, "model", "tier")
    score = {
        (model, tier): value for model, tier, value in table.select("model", "tier", "periodicity_fraction").rows()
    }
    assert score["C", "interactive"] > 0.85
    assert 0.3 < score["A", "interactive"] < 0.7
    assert score["D", "interactive"] == 0.0
    assert all(value < 0.29 for (_, tier), value in score.items() if tier == "non-interactive")


def test_the_digitised_azure_week_has_the_autocorrelations_of_its_readme(shared_data: Path) -> None:
    hours = pl.read_csv(shared_data / "azure-llm-2024-digitised" / "hourly.csv").sort("service", "hour")
    code, conv = (hours.filter(service=name)["requests"].cast(pl.Float64).to_list() for name in ("code", "conv"))
    friday, sunday = datetime(2024, 5, 10), datetime(2024, 5, 12)
    demand = pl.concat([load({"r code t": code}, start=friday), load({"r conv t": conv}, start=sunday)])
    lagged = scores(demand, "autocorrelation_24h")
    assert (lagged["code"], lagged["conv"]) == (pytest.approx(0.75, abs=0.01), pytest.approx(0.40, abs=0.01))
    found = scores(demand)
    assert found["code"] > found["conv"] > 0.8  # both repeat within their working days; 0.40 is the weekend's step
