from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.traces.trace_cases import SAMPLES
from workbench.errors import TraceError
from workbench.traces.options import TraceOptions
from workbench.traces.readers import (
    azure_llm,
    azure_lmm,
    burstgpt,
    mooncake,
    requests,
    sageserve_requests,
    sageserve_week,
    series,
    servegen_10min,
    servegen_clients,
    servegen_requests,
    spans,
)
from workbench.traces.readers.batches import Format
from workbench.traces.readers.formats import FORMATS, detect, unanswered, unheeded

EXPECTED = {
    "azure_code.csv": (azure_llm.FORMAT, ("model", "region", "tier")),
    "azure_2024.csv": (azure_llm.FORMAT, ("model", "region", "tier")),
    "azure_lmm.csv": (azure_lmm.FORMAT, ("model", "region", "tier")),
    "burstgpt_v1.csv": (burstgpt.FORMAT, ("region", "tier", "start")),
    "burstgpt_v2.csv": (burstgpt.FORMAT, ("region", "tier", "start")),
    "mooncake.jsonl": (mooncake.FORMAT, ("model", "region", "tier", "start")),
    "sageserve_requests.csv": (sageserve_requests.FORMAT, ("start",)),
    "servegen": (servegen_clients.FORMAT, ("region", "tier", "start")),
    "spans_otlp.jsonl": (spans.FORMAT, ("tier",)),
    "spans_sdk.jsonl": (spans.FORMAT, ("model", "region", "tier")),
    "requests.csv": (requests.FORMAT, ()),
    "demand.csv": (series.FORMAT, ()),
    "rates.csv": (series.FORMAT, ()),
    "servegen_10min.parquet": (servegen_10min.FORMAT, ("region", "tier", "start")),
    "sageserve_week.parquet": (
        sageserve_week.FORMAT,
        ("region", "start", "input_tokens_per_request", "output_tokens_per_request"),
    ),
}


def read_all(name: str, options: TraceOptions | None = None) -> pl.DataFrame:
    found = detect(SAMPLES / name)
    return pl.concat(batch.good for batch in found.format.read(found.path, options or TraceOptions()))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_sample_is_taken_for_what_it_is(name: str) -> None:
    found = detect(SAMPLES / name)
    assert (found.format, found.lacks) == EXPECTED[name]


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.key)
def test_every_format_has_a_sample_and_says_what_it_is(known: Format) -> None:
    assert known.label
    assert known in [*(taken for taken, _ in EXPECTED.values()), servegen_requests.FORMAT]


def test_an_unknown_file_names_its_columns_and_every_format() -> None:
    with pytest.raises(TraceError) as caught:
        detect(SAMPLES / "unknown.csv")
    text = str(caught.value)
    assert "Found when, how_many" in text
    assert all(known.key in text for known in FORMATS)


def test_a_named_format_says_which_columns_are_missing() -> None:
    with pytest.raises(
        TraceError, match=r"TIMESTAMP, ContextTokens, GeneratedTokens are missing; found when, how_many"
    ):
        detect(SAMPLES / "unknown.csv", format="azure_llm")
    with pytest.raises(TraceError, match="did you mean 'azure_llm'"):
        detect(SAMPLES / "azure_code.csv", format="azure_llms")


def test_azure_rows_come_as_they_are_with_the_file_as_label() -> None:
    frame = read_all("azure_code.csv")
    assert frame.select("arrived_at", "model", "input_tokens", "output_tokens").rows()[0] == (
        datetime(2023, 11, 16, 18, 17, 3, 979_960),
        "azure_code",
        4808,
        10,
    )
    assert read_all("azure_2024.csv")["arrived_at"].to_list() == [
        datetime(2024, 5, 10, 0, 0, 0, 9930),
        datetime(2024, 5, 10, 0, 0, 0, 17335),
    ]


def test_the_sageserve_week_becomes_demand_and_its_straight_stretches_gaps() -> None:
    """Model A, interactive: 1000, 2000, ... input tokens; 500 per request and 20 out make 2, 4, ... and 40, 80, ..."""
    options = TraceOptions(
        start=datetime(2024, 11, 4), input_tokens_per_request=500, output_tokens_per_request={"A": 20, "B": 10}
    )
    frame = read_all("sageserve_week.parquet", options)
    a = frame.filter(pl.col("model") == "A", pl.col("tier") == "interactive")
    assert a["window_start"].to_list() == [datetime(2024, 11, 4, 0, minute) for minute in range(6)]
    assert a["input_tokens"].to_list() == [1000, 2000, 3000, 4000, 5000, 6000]
    assert a["requests"].to_list() == [2, 4, 6, 8, 10, 12]
    assert a["output_tokens"].to_list() == [40, 80, 120, 160, 200, 240]
    b = frame.filter(pl.col("model") == "B", pl.col("tier") == "interactive")
    assert b["requests"].to_list() == [1, 2, None, None, 5, 6]
    assert b["output_tokens"].to_list() == [10, 20, None, None, 50, 60]


def test_servegen_means_become_sums_holes_gaps_and_images_part_of_the_prompt() -> None:
    frame = read_all("servegen_10min.parquet", TraceOptions(start=datetime(2025, 1, 6)))
    values = {
        model: frame.filter(pl.col("model") == model).select("requests", "input_tokens", "output_tokens").rows()
        for model in ("m-large", "m-mid", "mm-image")
    }
    assert values["m-large"] == [(100, 1000, 200), (0, 0, 0), (300, 6000, 1200)]
    assert values["m-mid"] == [(50, 250, 50), (None, None, None), (60, 300, 60)]
    assert values["mm-image"] == [(10, 1000, 30), (20, 2000, 60), (30, 3000, 90)]
    assert frame["window_start"].unique().sort().to_list() == [datetime(2025, 1, 6, 0, m) for m in (0, 10, 20)]


def test_an_empty_value_of_a_demand_file_is_a_gap_and_a_word_is_refused(tmp_path: Path) -> None:
    assert read_all("demand.csv")["requests"].to_list() == [10, None, 30, 40]
    path = tmp_path / "d.csv"
    path.write_text(
        "window_start,model,requests,input_tokens,output_tokens\n2025-07-09,m,1,1,1\n"
        "2025-07-09 00:05:00,m,many,1,1\n2025-07-09 00:10:00,m,-1,1,1\n"
    )
    found = detect(path)
    (batch,) = found.format.read(path, TraceOptions())
    assert found.lacks == ("region", "tier")
    assert batch.rejected["reason"].to_list() == [
        "window_start is missing or no instant",
        "requests is no number",
        "requests is negative",
    ]


def test_rates_and_means_of_a_series_become_sums(tmp_path: Path) -> None:
    """Windows of 300 s: 2 /s of 100 tokens, none, and an unknown one."""
    frame = read_all("rates.csv")
    assert frame.select("requests", "input_tokens", "output_tokens").rows() == [
        (600, 60_000, 15_000),
        (0, 0, 0),
        (None, None, None),
    ]
    path = tmp_path / "one.csv"
    path.write_text("window_start,region,model,tier,rps,input_tps,output_tps\n2025-07-09 00:00:00,r,m,t,1,1,1\n")
    with pytest.raises(TraceError, match="states rates, of which sums need the window"):
        list(series.read(path, TraceOptions()))


def test_a_series_without_tokens_asks_for_lengths_by_model(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("window_start,model,requests\n2025-07-09 00:00:00,a,10\n2025-07-09 00:05:00,b,10\n")
    assert detect(path).lacks == ("region", "tier", "input_tokens_per_request", "output_tokens_per_request")
    (batch,) = series.read(path, TraceOptions(input_tokens_per_request={"a": 50}, output_tokens_per_request=2))
    assert batch.good.select("model", "input_tokens", "output_tokens").rows() == [("a", 500, 20)]
    assert batch.rejected["reason"].to_list() == ["model has no length per request"]


def test_what_was_recognised_is_said_in_words() -> None:
    assert detect(SAMPLES / "mooncake.jsonl").words == "Mooncake requests with prefix blocks (JSON lines)"
    assert detect(SAMPLES / "servegen").words.endswith("(folder of 5 files)")


def test_a_format_of_json_lines_is_not_looked_for_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("timestamp,input_length,output_length,hash_ids\n")
    with pytest.raises(TraceError, match="no known format"):
        detect(path)
    with pytest.raises(TraceError, match="written in another way"):
        detect(path, format="mooncake")


def test_an_option_that_a_format_makes_no_use_of_is_not_ignored() -> None:
    labels = {"model": "m", "region": "r", "tier": "t", "start": datetime(2025, 1, 6)}
    options = TraceOptions(sample=0.5, prefix_cache_tokens=1000, **labels)  # type: ignore[arg-type]
    assert unheeded(detect(SAMPLES / "azure_code.csv"), options) == [
        "azure_code.csv (azure_llm) makes no use of prefix_cache_tokens; leave it out",
        "azure_code.csv (azure_llm) makes no use of sample; leave it out",
    ]
    assert unheeded(detect(SAMPLES / "mooncake.jsonl"), TraceOptions(prefix_cache_tokens=1000, **labels)) == []  # type: ignore[arg-type]
    assert unanswered(detect(SAMPLES / "azure_code.csv"), options) == []
    (told,) = unheeded(detect(SAMPLES / "servegen"), TraceOptions(sample=0.5, **labels))  # type: ignore[arg-type]
    assert "read it as servegen_requests, which does (on the command line --format servegen_requests)" in told


def test_an_unknown_file_is_told_the_nearest_format_and_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("timestamp,contexttokens,tokens_out\n")
    with pytest.raises(TraceError, match=r"The nearest is azure_llm \(.*\): it lacks TIMESTAMP, ContextTokens, Gen"):
        detect(path)
    path.write_text("arrived_at,input_tokens,model\n")
    with pytest.raises(TraceError, match=r"The nearest is requests \(.*\): it lacks output_tokens\. Found arrived_at"):
        detect(path)
    with pytest.raises(TraceError, match="None has one of them"):
        detect(SAMPLES / "unknown.csv")
