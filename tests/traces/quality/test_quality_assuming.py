"""How a trace was read stands in its findings in words: workbench.traces.quality.assuming."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.traces.quality.quality_cases import rows_of
from tests.traces.trace_cases import SAMPLES
from workbench.traces import Source, TraceOptions, ingest, open_store
from workbench.traces.mapping import ColumnMapping, load_mapping
from workbench.traces.quality.assuming import read_as_asked
from workbench.traces.readers.formats import detect

MAPPINGS = Path(__file__).resolve().parents[3] / "data" / "mappings"
WHOSE = {"region": "us_east", "tier": "interactive_fast"}


def told(name: str, format: str = "auto", **options: object) -> list[tuple[str, str]]:
    given = TraceOptions(**WHOSE, **options)  # type: ignore[arg-type]
    path = SAMPLES / name
    rows = read_as_asked([(Source(path=path, options=given), detect(path, format=format, options=given))])
    return [(row["level"], row["detail"]) for row in rows]


def test_a_sample_is_a_warning_with_the_scale_of_a_study() -> None:
    rows = told("servegen", "servegen_requests", sample=0.001, start=datetime(2025, 1, 6))
    assert rows == [
        (
            "warning",
            "one request in 1,000 was drawn (seed 7): multiply by demand.scale = 1000 for the load of the source",
        ),
        ("note", "its time is counted from 2025-01-06 00:00:00 UTC, as given"),
    ]
    whole = told("servegen", "servegen_requests", sample=1.0, start=datetime(2025, 1, 6))
    assert [level for level, _ in whole] == ["note"]


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (
            {"input_tokens": "usage_in"},
            {"input_tokens_per_request": 5000.0, "output_tokens_per_request": 222.0},
            "5,000 input and 222 output tokens per request are assumed: requests are made from tokens, output tokens "
            "are made from requests",
        ),
        (
            {"rps": "usage_in"},
            {"input_tokens_per_request": 50.0, "output_tokens_per_request": {"a": 2.0, "b": 3.5}},
            "50 input and 2 output (a), 3.5 output (b) tokens per request are assumed: input tokens are made from "
            "requests, output tokens are made from requests",
        ),
    ],
)
def test_lengths_say_what_is_made_of_them(columns: dict[str, str], options: dict[str, object], said: str) -> None:
    mapping = ColumnMapping(
        kind="series", time_column="created", unit="ms", columns=columns, constants={"output_tokens_mean": 7.0}
    )
    ((level, text),) = told("gateway_log.jsonl", mapping=mapping, start=datetime(2025, 1, 6), **options)
    assert level == "note"
    assert text.startswith("the columns are read as series by a mapping; every row has output_tokens_mean 7.0")
    assert said in text or "output tokens are made from requests where none are stated" in text


def test_a_mapping_models_kept_and_the_prefix_cache_are_told() -> None:
    mapping = load_mapping(MAPPINGS / "gateway_log.toml")
    assert told("gateway_log.jsonl", mapping=mapping, keep=("a", "b")) == [
        ("note", "the columns are read as requests by a mapping (log of a gateway); of its models only a, b are kept")
    ]
    start = datetime(2025, 1, 6)
    ((_, bounded),) = told("mooncake.jsonl", start=start, prefix_cache_tokens=2000)
    assert bounded.endswith("cached tokens are what one prefix cache of 2,000 tokens would hold")
    ((_, unbounded),) = told("mooncake.jsonl", start=start)
    assert "one prefix cache without a bound" in unbounded
    assert told("azure_code.csv", model="m") == []


def test_what_holds_for_all_files_is_told_once(tmp_path: Path) -> None:
    options = TraceOptions(model="llama31_8b", keep=("azure_code", "azure_conv"), **WHOSE)  # type: ignore[arg-type]
    files = [SAMPLES / "azure_code.csv", SAMPLES / "azure_conv.csv"]
    with open_store(tmp_path / "t.duckdb") as store:
        (row,) = rows_of(ingest(files, store=store, name="x", options=options), "read as asked")
    assert (row["where"], row["detail"]) == ("trace", "of its models only azure_code, azure_conv are kept")
