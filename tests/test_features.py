"""Demand is complete and adds up; profiles, shares and scores are those of loads simple enough to work out by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.traces.trace_cases import START, after_s, frame_of
from workbench import features
from workbench.errors import TraceError
from workbench.tables import DEMAND, SHAPE
from workbench.traces import Store, TraceOptions, ingest, ingest_frame, open_store

FEW = frame_of([(0, "a", 100, 10), (30, "a", 300, 30), (30, "b", 50, 5), (3700, "a", 200, 20)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "t.duckdb") as opened:
        ingest_frame(FEW, store=opened, name="few", source="four rows")
        yield opened


def load(values: dict[str, list[float | None]], *, step_s: float = 3600, start: datetime = START) -> pl.DataFrame:
    """DEMAND from requests per window, by "region model tier"; 100 tokens in and 10 out per request."""
    parts = [
        pl.DataFrame({"requests": series}, schema={"requests": pl.Float64}).select(
            window_start=pl.Series([start + timedelta(seconds=step_s * i) for i in range(len(series))]),
            **{name: pl.lit(key) for name, key in zip(("region", "model", "tier"), keys.split(), strict=True)},
            requests="requests",
            input_tokens=pl.col("requests") * 100,
            output_tokens=pl.col("requests") * 10,
        )
        for keys, series in values.items()
    ]
    return DEMAND.conform(pl.concat(parts))


def test_demand_has_every_window_of_every_series(store: Store) -> None:
    demand = features.demand(store, "few", window_s=1800)
    assert demand.select("window_start", "model", "requests", "input_tokens").rows() == [
        (START, "a", 2.0, 400.0),
        (after_s(1800), "a", 0.0, 0.0),
        (after_s(3600), "a", 1.0, 200.0),
        (START, "b", 1.0, 50.0),
        (after_s(1800), "b", 0.0, 0.0),
        (after_s(3600), "b", 0.0, 0.0),
    ]
    assert features.demand(store, "few", window_s=3600, scale=2.5)["output_tokens"].sum() == 2.5 * 65


def test_a_span_keeps_what_lies_inside_and_nothing_around_the_trace(store: Store) -> None:
    late = features.demand(store, "few", window_s=1800, since=after_s(20), until=after_s(3600))
    assert late.select("window_start", "model", "requests").rows() == [
        (START, "a", 1.0),
        (after_s(1800), "a", 0.0),
        (START, "b", 1.0),
        (after_s(1800), "b", 0.0),
    ]
    wide = features.demand(store, "few", window_s=1800, since=after_s(-9000), until=after_s(90_000))
    assert wide.equals(features.demand(store, "few", window_s=1800))
    for since, until in ((after_s(4000), None), (None, START), (after_s(10), after_s(10))):
        with pytest.raises(TraceError, match="has nothing between"):
            features.demand(store, "few", window_s=1800, since=since, until=until)


@settings(deadline=None, max_examples=20)
@given(
    rows=st.lists(
        st.tuples(st.floats(0, 40_000), st.sampled_from("ab"), st.integers(1, 10**5), st.integers(1, 10**4)), min_size=1
    ),
    window_s=st.sampled_from([60, 600, 3600, 86_400]),
    edge_s=st.floats(1, 39_999),
)
def test_demand_before_and_after_an_instant_adds_up_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, str, int, int]], window_s: float, edge_s: float
) -> None:
    frame = frame_of(rows)
    edge = after_s(edge_s)
    with open_store(tmp_path_factory.mktemp("f") / "t.duckdb") as store:
        ingest_frame(frame, store=store, name="x", source="rows")
        whole = features.demand(store, "x", window_s=window_s)
        parts = [
            features.demand(store, "x", window_s=window_s, since=since, until=until)
            for since, until in ((None, edge), (edge, None))
            if frame["arrived_at"].min() < edge <= frame["arrived_at"].max()
        ]
    assert whole["input_tokens"].sum() == frame["input_tokens"].sum()
    assert not parts or sum(part["requests"].sum() for part in parts) == frame.height
    windows = whole.group_by("model").agg(
        pl.len(), pl.col("window_start").diff().drop_nulls().n_unique().alias("steps")
    )
    assert windows["len"].n_unique() == 1
    assert windows["steps"].max() <= 1


def test_a_series_keeps_its_gaps_also_where_rows_are_absent(tmp_path: Path) -> None:
    frame = load({"r m t": [1, None, 3, 4]}, step_s=300).filter(
        pl.col("requests").is_null() | (pl.col("requests") != 3)
    )
    with open_store(tmp_path / "s.duckdb") as store:
        ingest_frame(frame, store=store, name="s", source="windows")
        assert features.demand(store, "s", window_s=300)["requests"].to_list() == [1, None, None, 4]
        assert features.demand(store, "s", window_s=600)["requests"].to_list() == [None, None]
        assert features.shape(store, "s").equals(SHAPE.empty())
        with pytest.raises(TraceError, match="no single requests"):
            features.token_quantiles(store, "s")


def test_token_mixes_come_from_the_moments_where_there_are_some(store: Store) -> None:
    """Model a has P = 100, 300, 200 and O = 10, 30, 20: means 200 and 20, E[P^2] = 14e4/3, E[P^3] = 36e6/3."""
    demand, shape = features.demand(store, "few", window_s=3600), features.shape(store, "few")
    mix = features.token_mixes(demand, shape)["a"]
    assert (mix.input_tokens, mix.output_tokens) == (200, 20)
    assert mix.input_square_ratio == pytest.approx(14e4 / 3 / 200**2)
    assert mix.input_cube_ratio == pytest.approx(36e6 / 3 / 200**3)
    assert mix.output_square_ratio == pytest.approx(1400 / 3 / 20**2)
    assert mix.cross_ratio == pytest.approx(14000 / 3 / (200 * 20))


def test_token_mixes_of_a_series_take_the_given_ratios() -> None:
    demand = load({"r m t": [10, None, 30], "r idle t": [0, 0, 0]})
    mixes = features.token_mixes(demand, input_square_ratio=1.5)
    assert list(mixes) == ["m"]
    assert (mixes["m"].input_tokens, mixes["m"].output_tokens) == (100, 10)
    assert (mixes["m"].input_square_ratio, mixes["m"].input_cube_ratio, mixes["m"].dispersion) == (1.5, 8.0, 1.0)


def test_rates_leave_unknown_windows_out() -> None:
    """One window of the sum is unknown as soon as one of its series is: hours 1 and 3 stay for the model."""
    demand = load({"r m fast": [3600, None, 7200], "r m slow": [3600, 3600, 7200]})
    (row,) = features.rates_by(demand, "model").to_dicts()
    assert (row["rps_mean"], row["rps_peak"], row["peak_to_mean_ratio"]) == (3.0, 4.0, 4 / 3)
    assert (row["input_tps_mean"], row["output_tps_peak"]) == (300.0, 40.0)
    by_tier = features.rates_by(demand, "tier")
    assert by_tier.select("tier", "rps_mean").rows() == [("fast", 1.5), ("slow", 4 / 3)]
    assert features.rates_by(demand).height == 1


def test_profiles_put_hours_where_they_belong() -> None:
    """A fortnight from Monday: hour h has h requests/s on weekdays, half of it at weekends."""
    monday = datetime(2025, 7, 7)
    values = [3600.0 * (i % 24) * (0.5 if i // 24 % 7 >= 5 else 1.0) for i in range(24 * 14)]
    demand = load({"r m t": values}, start=monday)
    day = features.diurnal_profile(demand, "model")
    assert day.height == 48
    assert day.filter(day_type="weekday", hour=6)["rps_mean"].to_list() == [6.0]
    assert day.filter(day_type="weekend", hour=6)["rps_mean"].to_list() == [3.0]
    week = features.weekly_profile(demand)
    assert week.height == 168
    assert week.filter(weekday=7, hour=23)["rps_mean"].to_list() == [11.5]
    assert week["relative_to_mean_ratio"].mean() == pytest.approx(1.0)


def test_periodicity_is_one_for_a_repeated_day_and_none_for_noise() -> None:
    daily = [math.sin(2 * math.pi * i / 24) + 2 for i in range(24 * 6)]
    opposite = [math.sin(2 * math.pi * i / 48) + 2 for i in range(24 * 6)]
    holes = [None if i % 7 == 0 else value for i, value in enumerate(daily)]
    demand = load({"r a t": daily, "r b t": opposite, "r c t": [5.0] * 144, "r d t": holes, "r e t": daily[:40]})
    scores = dict(features.periodicity_score(demand, "model").rows())
    assert scores["a"] == pytest.approx(1.0)
    assert scores["b"] == 0.0
    assert scores["c"] is None
    assert scores["d"] == pytest.approx(1.0)
    assert scores["e"] is None


def test_shares_add_up_within_each_group() -> None:
    demand = load({"east a fast": [6, None], "west a fast": [2, 2], "west b slow": [5, 5]})
    assert features.regional_split(demand, "model").select("model", "region", "requests_fraction").rows() == [
        ("a", "east", 0.6),
        ("a", "west", 0.4),
        ("b", "west", 1.0),
    ]
    assert dict(features.tier_split(demand).select("tier", "requests_fraction").rows()) == {"fast": 0.5, "slow": 0.5}


def test_everything_that_characterises_a_load_is_a_frame(store: Store) -> None:
    tables = features.characterise(features.demand(store, "few", window_s=1800))
    assert set(tables) >= {"rates_by_model", "diurnal_profile", "periodicity", "regional_split"}
    assert all(frame.height for frame in tables.values())
    assert features.token_quantiles(store, "few", quantiles=(0.5,)).select("model", "input_tokens").rows() == [
        ("a", 200.0),
        ("b", 50.0),
    ]


def test_servegen_repeats_as_its_page_says(tmp_path: Path, shared_data: Path) -> None:
    """24 h autocorrelation of hourly means in the data's README: m-large 0.09, m-mid 0.41 (gaps counted as load)."""
    options = TraceOptions(keep=("m-large", "m-mid"), region="cn", tier="t", start=datetime(2025, 1, 6))
    with open_store(tmp_path / "t.duckdb") as store:
        ingest(shared_data / "servegen" / "model_10min.parquet", store=store, name="s", options=options)
        demand = features.demand(store, "s", window_s=600)
    scores = dict(features.periodicity_score(demand, "model").rows())
    assert scores["m-large"] == pytest.approx(0.09, abs=0.05)
    assert scores["m-mid"] == pytest.approx(0.41, abs=0.15)
