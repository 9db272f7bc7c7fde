"""Series of different days and measures that a series never states: workbench.traces.quality.coverage."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.traces.quality.quality_cases import MODEL, OTHER, TIER, look_of, report_on, requests_at, rows_of, series_of
from workbench.traces import TraceOptions, ingest, open_store
from workbench.traces.mapping import load_mapping
from workbench.traces.quality.coverage import different_spans, never_known

ROOT = Path(__file__).resolve().parents[3]
AZURE_2024 = ROOT.parent / "shared" / "data" / "azure-llm-2024-digitised"
DAY = 144


def test_series_of_other_days_are_told_with_the_days_they_share() -> None:
    """Two days and two days, one day later: one day is common."""
    early = series_of([1.0] * 2 * DAY)
    late = series_of([1.0] * 2 * DAY, model=OTHER).with_columns(pl.col("window_start") + timedelta(days=1))
    (told,) = different_spans(look_of(pl.concat([early, late])))
    assert (told["level"], told["count"]) == ("warning", 2)
    assert f"{MODEL} 2025-07-09 00:00 until 2025-07-11 00:00" in told["detail"]
    assert f"{OTHER} 2025-07-10 00:00 until 2025-07-12 00:00" in told["detail"]
    assert told["detail"].endswith("all are there from 2025-07-10 00:00 until 2025-07-11 00:00 UTC only")
    apart = late.with_columns(pl.col("window_start") + timedelta(days=5))
    assert "at no time are all of them there" in different_spans(look_of(pl.concat([early, apart])))[0]["detail"]


def test_ends_within_an_hour_or_a_twentieth_are_one_span() -> None:
    whole = series_of([1.0] * 2 * DAY)
    for missing in (6, 14):
        short = series_of([1.0] * (2 * DAY - missing), model=OTHER)
        assert different_spans(look_of(pl.concat([whole, short]))) == []
    assert different_spans(look_of(pl.concat([whole, series_of([1.0] * (2 * DAY - 15), model=OTHER)]))) != []
    assert different_spans(look_of(whole)) == []


def test_files_of_requests_are_compared_and_parts_of_one_model_are_one(tmp_path: Path) -> None:
    day = [float(s) for s in range(0, 86_400, 600)]
    for name, model, shift in (("a", MODEL, 0.0), ("b", MODEL, 86_400.0), ("c", OTHER, 86_400.0)):
        requests_at([s + shift for s in day], model=model).write_parquet(tmp_path / f"{name}.parquet")
    with open_store(tmp_path / "t.duckdb") as store:
        parts = ingest([tmp_path / "a.parquet", tmp_path / "b.parquet"], store=store, name="one")
        assert rows_of(parts, "spans differ") == []
        (told,) = rows_of(
            ingest([tmp_path / "a.parquet", tmp_path / "c.parquet"], store=store, name="two"), "spans differ"
        )
    assert "at no time are all of them there" in told["detail"]


def test_a_measure_that_is_never_known_spoils_its_series_only() -> None:
    silent = series_of([1.0, 2.0, 3.0]).with_columns(output_tokens=pl.lit(None, dtype=pl.Float64))
    report = report_on(pl.concat([silent, series_of([1.0, 2.0, 3.0], model=OTHER)]))
    (told,) = rows_of(report, "never known")
    assert (told["level"], told["where"], told["count"]) == ("spoilt", f"{MODEL} {TIER}", 3)
    assert f"output_tokens of {MODEL} is unknown in all 3 windows" in told["detail"]
    assert "--output-tokens" in told["advice"]
    (requests,) = never_known(look_of(series_of([1.0, 2.0]).with_columns(requests=pl.lit(None, dtype=pl.Float64))))
    assert requests["advice"].startswith("leave it out")
    assert never_known(look_of(series_of([1.0, None, 3.0]))) == []


@pytest.mark.skipif(not AZURE_2024.is_dir(), reason="the shared data are not there")
def test_the_azure_week_of_2024_shows_both_and_a_length_mends_one(tmp_path: Path) -> None:
    """Code lies on 10 to 16 May, conversation on 12 to 18 May; the output tokens of code were not published."""
    mapping = load_mapping(ROOT / "data" / "mappings" / "azure_2024_week_hourly.toml")
    options = TraceOptions(mapping=mapping, region="us_east", tier="interactive_fast")
    mended = TraceOptions(
        mapping=mapping, region="us_east", tier="interactive_fast", output_tokens_per_request={"code": 25.0}
    )
    with open_store(tmp_path / "t.duckdb") as store:
        report = ingest(AZURE_2024 / "hourly.csv", store=store, name="az24h", options=options)
        (never,) = rows_of(report, "never known")
        (spans,) = rows_of(report, "spans differ")
        again = ingest(AZURE_2024 / "hourly.csv", store=store, name="mended", options=mended)
        rows = store.sum_by_window("mended", window_s=3600).filter(pl.col("model") == "code")
    assert never["detail"].startswith("output_tokens of code is unknown in all 168 windows")
    assert spans["detail"].startswith(
        "series cover different spans: code 2024-05-10 00:00 until 2024-05-17 00:00, "
        "conv 2024-05-12 00:00 until 2024-05-19 00:00"
    )
    assert rows_of(again, "never known") == []
    (read,) = rows_of(again, "read as asked")
    assert (
        "25 output (code) tokens per request are assumed: output tokens are made from requests where none"
        in read["detail"]
    )
    assert (rows["output_tokens"] / rows["requests"]).round(6).unique().to_list() == [25.0]
    assert rows["window_start"].min() == datetime(2024, 5, 10)
