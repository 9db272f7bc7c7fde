"""One call answers every question that a trace can answer, and says why it leaves the others out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.features.feature_cases import arrivals, load, stored
from workbench import catalog
from workbench.errors import TraceError
from workbench.features import characterise as described
from workbench.features.characterise import OF_REQUESTS, characterise_demand
from workbench.traces import TraceOptions, ingest, open_store

ALL = {
    "cache_hits",
    "concentration",
    "daily_totals",
    "deferrable_over_time",
    "deferrable_share",
    "dispersion",
    "diurnal_profile",
    "diurnal_profile_by_region",
    "gap_cv",
    "known",
    "length_distribution",
    "length_drift",
    "length_moments",
    "output_by_prompt",
    "peak_to_mean",
    "periodicity",
    "rates",
    "rates_by_model",
    "rates_by_region",
    "rates_by_tier",
    "regional_imbalance",
    "regional_lags",
    "regional_split",
    "tier_split",
    "token_quantiles",
    "top_apps",
    "top_tenants",
    "weekly_profile",
}
TIERS = catalog.load().tiers


def test_every_table_is_there_or_has_a_reason(small_store: Path) -> None:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        found = described(store, "small", tiers=TIERS)
    assert set(found.tables) | set(found.skipped) == ALL
    assert not set(found.tables) & set(found.skipped)
    assert set(found.skipped) == {"weekly_profile", "top_tenants", "cache_hits"}
    assert found.skipped["weekly_profile"] == "It takes a week of load, and this span has 72.0 hours."
    assert found.has("rates", "gap_cv")
    assert not found.has("rates", "cache_hits")
    assert found.window_s == 3600
    assert all(frame.height for frame in found.tables.values())


def test_a_series_answers_what_sums_can_answer(tmp_path: Path) -> None:
    wave = [5.0 + i % 144 for i in range(144 * 3)]
    with stored(tmp_path, {"s": load({"r m non_interactive": wave}, step_s=600, start=datetime(2025, 7, 7))}) as store:
        found = described(store, "s", tiers=TIERS)
    assert set(OF_REQUESTS) <= set(found.skipped)
    assert "holds no single requests" in found.skipped["gap_cv"]
    assert found.skipped["regional_lags"] == "All load comes from one region, r."
    assert set(found.tables) | set(found.skipped) == ALL
    assert set(found.tables["dispersion"]["scale_s"]) == {600.0, 3600.0}
    assert found.tables["periodicity"]["periodicity_fraction"].to_list() == [pytest.approx(1.0)]


def test_unknown_tiers_are_no_reason_to_stop(tmp_path: Path) -> None:
    with stored(tmp_path, {"x": arrivals(range(0, 600, 2))}) as store:
        found = described(store, "x", tiers=TIERS, window_s=60)
        assert "'fast' of this trace is not in the catalog" in found.skipped["deferrable_share"]
        assert described(store, "x").skipped["deferrable_share"] == "Which tier may wait was not given."
        with pytest.raises(TraceError, match="no trace 'y'"):
            described(store, "y")


def test_one_unknown_minute_does_not_hide_the_hour(tmp_path: Path) -> None:
    """Every hour of a series by minutes has one that is unknown; means and shares rest on the others."""
    minutes = [None if i % 60 == 7 else 60.0 for i in range(60 * 48)]
    with stored(tmp_path, {"s": load({"r m t": minutes}, step_s=60)}) as store:
        found = described(store, "s")
    assert found.demand["requests"].null_count() == 48
    (row,) = found.tables["rates"].to_dicts()
    assert (row["rps_mean"], row["known_fraction"]) == (1.0, pytest.approx(59 / 60))
    assert found.tables["diurnal_profile"].height > 0


def test_rates_do_not_take_a_cut_window_for_a_quiet_one(tmp_path: Path) -> None:
    """One request per second from 50 s before an even minute for an hour: one per second, whatever the edges cut."""
    with stored(tmp_path, {"x": arrivals(range(10, 3650))}) as store:
        found = described(store, "x")
    assert found.window_s == 60
    assert found.tables["rates"]["rps_mean"].to_list() == [1.0]
    assert found.tables["rates"]["peak_to_mean_ratio"].to_list() == [1.0]
    assert found.tables["daily_totals"]["requests"].to_list() == [None]


@pytest.mark.parametrize("window_s", [5400.0, 7200.0, 86_400.0])
def test_long_windows_answer_what_they_can(small_store: Path, window_s: float) -> None:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        found = described(store, "small", tiers=TIERS, window_s=window_s)
    assert found.skipped["diurnal_profile"].startswith("It takes windows of an hour or less")
    assert found.has("rates", "dispersion", "peak_to_mean")


def test_a_demand_alone_is_described_too() -> None:
    found = characterise_demand(load({"east m t": [1, 2, 3], "west m t": [2, 2, 2]}))
    assert {"rates", "regional_imbalance", "dispersion"} <= set(found.tables)
    assert "a day of load" in found.skipped["diurnal_profile"]


def test_servegen_is_described_with_its_gaps(shared_data: Path, tmp_path: Path) -> None:
    """Model m-mid has eight holes of all clients and no rhythm; levels are those of the source's README."""
    options = TraceOptions(region="r", tier="non_interactive", start=datetime(2025, 1, 1), keep=("m-large", "m-mid"))
    with open_store(tmp_path / "s.duckdb") as store:
        ingest(shared_data / "servegen" / "model_10min.parquet", store=store, name="servegen", options=options)
        found = described(store, "servegen", tiers=TIERS)
    rates = {row["model"]: row for row in found.tables["rates_by_model"].to_dicts()}
    assert rates["m-mid"]["rps_peak"] == pytest.approx(3445, rel=0.01)
    assert rates["m-mid"]["known_fraction"] < 0.97
    scores = found.tables["periodicity"]
    assert scores.filter(model="m-mid")["autocorrelation_24h"][0] == pytest.approx(0.41, abs=0.05)
    assert scores["periodicity_fraction"].max() < 0.3
    assert found.tables["deferrable_share"]["requests_deferrable_fraction"].to_list() == [1.0, 1.0]
    assert isinstance(found.demand, pl.DataFrame)
