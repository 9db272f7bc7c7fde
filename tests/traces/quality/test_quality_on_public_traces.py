"""The report finds by itself what the READMEs of the public traces say is wrong with them, and accuses nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.traces.quality.quality_cases import rows_of
from workbench.results import QualityReport
from workbench.tables import DEMAND
from workbench.traces import Share, Store, TraceOptions, check, ingest, ingest_frame, open_store, parse_region_split

START = datetime(2025, 1, 6)
# seconds from the start, as in the README of the data
M_MID_HOLES = [
    (313_200, 319_800),
    (475_200, 478_800),
    (507_600, 511_200),
    (666_000, 676_200),
    (831_600, 838_200),
    (846_000, 860_400),
    (1_137_600, 1_144_200),
    (1_152_000, 1_158_600),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "t.duckdb")


def where(report: QualityReport, what: str) -> set[str]:
    return {str(row["where"]) for row in rows_of(report, what)}


def assert_are_the_eight(found: pl.DataFrame) -> None:
    """Each hole of the README lies inside one that was found, which is no more than two windows longer."""
    spans = [tuple((at - START).total_seconds() for at in row) for row in found.select("since", "until").rows()]
    assert len(spans) == len(M_MID_HOLES)
    for (since, until), (low, high) in zip(sorted(spans), M_MID_HOLES, strict=True):
        assert since == low
        assert 0 <= until - high <= 1200


def test_azure_2023_date_silence_and_cuts(store: Store, shared_data: Path) -> None:
    files = [shared_data / "azure-llm-2023" / f"AzureLLMInferenceTrace_{name}.csv.gz" for name in ("code", "conv")]
    labels = {"AzureLLMInferenceTrace_code": "llama31_8b", "AzureLLMInferenceTrace_conv": "llama2_70b"}
    options = TraceOptions(model=labels, region="us_east", tier="interactive_fast")
    report = ingest(files, store=store, name="azure", options=options)
    dates = rows_of(report, "date disagrees with its source")
    assert [row["where"] for row in dates] == [file.name for file in files]
    assert all("2023-11-16" in row["detail"] and "publisher says 2023-11-11" in row["detail"] for row in dates)
    assert len(rows_of(report, "checksum matches its source")) == 2
    assert where(report, "suspected cut") == {"llama31_8b input_tokens", "llama2_70b output_tokens"}
    assert {row["detail"].split()[6] for row in rows_of(report, "suspected cut")} == {"7,437,", "1,000,"}
    silent = rows_of(report, "silent stretch")
    assert silent[0]["where"] == "llama31_8b"
    assert "no arrival 12 times, the longest for 217 s from 2023-11-16 19:04:39" in silent[0]["detail"]
    assert {row["where"] for row in silent} <= {"llama31_8b", "trace"}
    for what in ("hole", "suspected row cap", "repeated rows", "out of order", "row count differs from its source"):
        assert rows_of(report, what) == []
    assert check(store, "azure").differences == ()


@pytest.mark.parametrize("split", [(), parse_region_split("us_east=0.43:0,us_central=0.29:1,us_west=0.28:3")])
def test_sageserve_b_and_d_hit_a_row_cap_and_d_stops(store: Store, shared_data: Path, split: tuple[Share, ...]) -> None:
    options = TraceOptions(
        region=None if split else "us_east",
        region_split=split,
        start=datetime(2024, 11, 4),
        input_tokens_per_request=5000,
        output_tokens_per_request=200,
    )
    report = ingest(
        shared_data / "sageserve" / "week_prompt_tokens_per_min.parquet", store=store, name="week", options=options
    )
    caps = {row["where"]: row for row in rows_of(report, "suspected row cap")}
    assert set(caps) == {"B interactive", "D interactive"}
    assert {row["level"] for row in caps.values()} == {"spoilt"}
    assert caps["B interactive"]["count"] > 50
    assert "31% of its windows are unknown" in caps["B interactive"]["detail"]
    assert "it does not come back" in caps["D interactive"]["detail"]
    assert "6 other series of the source do not do this" in caps["D interactive"]["detail"]
    (stops,) = rows_of(report, "stops")
    assert stops["where"] == "D interactive"
    last = datetime.fromisoformat(stops["detail"].split("nothing after ")[1].split(",")[0])
    assert (last - datetime(2024, 11, 4)) / timedelta(days=1) == pytest.approx(1.7, abs=0.1)
    gaps = {row["where"]: row["count"] for row in rows_of(report, "gap")}
    assert gaps == {"B interactive": 3131, "B non-interactive": 555, "D interactive": 2243}
    assert rows_of(report, "hole") == []
    assert check(store, "week").differences == ()


def test_servegen_m_mid_has_eight_holes_with_and_without_their_flag(
    store: Store, shared_data: Path, tmp_path: Path
) -> None:
    options = TraceOptions(region="us_east", tier="interactive_normal", start=START)
    source = shared_data / "servegen" / "model_10min.parquet"
    flagged = ingest(source, store=store, name="flagged", options=options)
    (gap,) = rows_of(flagged, "gap")
    assert (gap["where"], gap["count"]) == ("m-mid interactive_normal", 97)
    assert "in 8 stretches" in gap["detail"]
    plain = tmp_path / "plain.parquet"
    pl.read_parquet(source).with_columns(gap=pl.lit(value=False)).write_parquet(plain)
    report = ingest(plain, store=store, name="plain", options=options)
    assert where(report, "hole") == {"m-mid"}
    assert_are_the_eight(store.gaps("plain"))
    assert store.gaps("flagged").is_empty()
    assert where(report, "suspected row cap") == set()
    for each in (flagged, report):
        assert where(each, "level shift") == {"m-mid"}
        assert where(each, "stops") == {"deepseek-r1 interactive_normal", "mm-image interactive_normal"}
    assert check(store, "plain").differences == check(store, "flagged").differences == ()


def test_the_eight_holes_are_in_the_rates_of_the_clients_too(store: Store, shared_data: Path) -> None:
    """Every client as a tenant of its own would do; here the clients are regions, summed by the report."""
    clients = pl.scan_parquet(shared_data / "servegen" / "client_rates.parquet")
    sums = (
        clients.filter(pl.col("model").is_in(["m-mid", "m-large"]))
        .group_by("model", "t_s", region=(pl.col("client") % 3).cast(pl.String))
        .agg(requests=pl.col("n_requests").sum())
        .collect()
    )
    frame = DEMAND.conform(
        sums.select(
            window_start=pl.lit(START).dt.cast_time_unit("us") + pl.duration(seconds="t_s"),
            region="region",
            model="model",
            tier=pl.lit("interactive_normal"),
            requests="requests",
            input_tokens=pl.col("requests") * 300.0,
            output_tokens=pl.col("requests") * 50.0,
        )
    )
    report = ingest_frame(frame, store=store, name="clients", source="client rates")
    assert where(report, "hole") == {"m-mid"}
    assert_are_the_eight(store.gaps("clients"))


def test_the_digitised_week_of_azure_2024_is_clean(store: Store, shared_data: Path) -> None:
    """Two services, one from a Friday and one from a Sunday on, with weekends at a third of the week."""
    minutes = pl.read_parquet(shared_data / "azure-llm-2024-digitised" / "requests_10min.parquet")
    frame = DEMAND.conform(
        minutes.select(
            window_start=pl.col("t_utc").dt.replace_time_zone(None),
            region=pl.lit("us_east"),
            model=pl.col("service").cast(pl.String),
            tier=pl.lit("interactive_fast"),
            requests=pl.col("req_per_min_mean") * 10.0,
            input_tokens=pl.col("req_per_min_mean") * 10_000.0,
            output_tokens=pl.col("req_per_min_mean") * 1_000.0,
        )
    )
    report = ingest_frame(frame, store=store, name="azure_2024", source="digitised")
    for what in ("hole", "suspected row cap", "stops", "gap", "level shift"):
        assert rows_of(report, what) == [], what
