"""Spans with token usage are requests, once each; all others are refused as what they are.

The module workbench.traces.readers.spans reads by the attributes of workbench.traces.readers.span_fields.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.traces.trace_cases import SAMPLES
from workbench.traces import ingest, open_store
from workbench.traces.options import Share, TraceOptions
from workbench.traces.readers import spans
from workbench.traces.readers.formats import detect
from workbench.traces.readers.span_fields import ATTRIBUTES, spans_of


def parted(path: Path, options: TraceOptions | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    batches = list(spans.read(path, options or TraceOptions()))
    return pl.concat(b.good for b in batches), pl.concat(b.rejected for b in batches).sort("line", "reason")


def otlp(*found: dict[str, Any], resource: dict[str, str] | None = None) -> str:
    """One line of an OTLP file with spans of plain attributes."""

    def typed(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"key": key, "value": {"stringValue" if isinstance(value, str) else "intValue": value}}
            for key, value in values.items()
        ]

    listed = [{**span, "attributes": typed(span["attributes"])} for span in found]
    group = {"resource": {"attributes": typed(resource or {})}, "scopeSpans": [{"spans": listed}]}
    return json.dumps({"resourceSpans": [group]})


def test_otlp_spans_become_requests_and_the_rest_says_why_not() -> None:
    found = detect(SAMPLES / "spans_otlp.jsonl")
    assert (found.format, found.lacks) == (spans.FORMAT, ("tier",))
    good, refused = parted(found.path)
    columns = ("arrived_at", "region", "model", "app", "tenant", "input_tokens", "output_tokens", "cached_tokens")
    assert good.select(columns).rows() == [
        (datetime(2020, 2, 11, 20, 26, 12), "us_east", "m1", "chat", None, 128, 7, None),
        (datetime(2020, 2, 11, 20, 26, 15, 500_000), "us_west", "m2-large", "agents", "u7", 400, 40, 256),
    ]
    assert refused.select("line", "reason").rows() == [
        (1, "not a request: a span inside of it is counted"),
        (1, "not a request: no token usage"),
        (2, "not a request: an agent's or a tool's span"),
        (3, "no span of a known shape: KeyError('start_time')"),
        (4, "no JSON object: Expecting value"),
    ]


def test_sdk_spans_are_read_from_plain_attributes() -> None:
    found = detect(SAMPLES / "spans_sdk.jsonl")
    assert (found.format, found.lacks) == (spans.FORMAT, ("model", "region", "tier"))
    good, refused = parted(found.path, TraceOptions(model="m", region="us_east", tier="t"))
    assert good.select("arrived_at", "model", "app", "input_tokens", "output_tokens", "cached_tokens").rows() == [
        (datetime(2025, 7, 9, 0, 0, 1, 500_000), "spans_sdk", "sglang", 64, 16, 32)
    ]
    assert refused["reason"].to_list() == ["not a request: no token usage"]


def test_a_label_that_only_some_spans_have_is_not_made_up(tmp_path: Path) -> None:
    usage = {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 5}
    named = {"startTimeUnixNano": "1581452772000000000", "attributes": usage | {"gen_ai.request.model": "m"}}
    bare = {"startTimeUnixNano": "1581452772000000000", "attributes": usage}
    path = tmp_path / "a.jsonl"
    path.write_text(
        "\n".join([otlp(named, resource={"cloud.region": "eu"}), otlp(bare, resource={"cloud.region": "eu"})])
    )
    good, refused = parted(path)
    assert good["model"].to_list() == ["m"]
    assert refused["reason"].to_list() == ["model is empty"]
    answered, _ = parted(path, TraceOptions(model={"m": "x", "a": "y"}))
    assert answered["model"].to_list() == ["m", "a"]


@pytest.mark.parametrize(
    "names", [(i, o) for i, o in zip(ATTRIBUTES["input_tokens"], ATTRIBUTES["output_tokens"], strict=True)]
)
def test_every_pair_of_names_counts(tmp_path: Path, names: tuple[str, str]) -> None:
    span = {
        "startTimeUnixNano": 1581452772000000000,
        "attributes": {names[0]: 5, names[1]: 7, "gen_ai.request.model": "m"},
    }
    path = tmp_path / "a.jsonl"
    path.write_text(otlp(span, resource={"cloud.region": "eu"}))
    good, _ = parted(path)
    assert good.select("input_tokens", "output_tokens").rows() == [(5, 7)]


def test_the_first_name_of_the_table_wins_and_the_span_stands_before_its_resource() -> None:
    span = {
        "startTimeUnixNano": "1",
        "attributes": {"gen_ai.request.model": "asked", "gen_ai.response.model": "answered", "service.name": "span"},
    }
    (read,) = spans_of(json.loads(otlp(span, resource={"service.name": "resource", "cloud.region": "eu"})))
    assert (read.fields["model"], read.fields["app"], read.fields["region"]) == ("answered", "span", "eu")
    assert not read.has_usage


@pytest.mark.parametrize(
    "line",
    [
        '{"resourceSpans": 5}',
        '{"resourceSpans": [null]}',
        '{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [5]}]}]}]}',
        '{"start_time": "x", "attributes": 7}',
        '{"start_time": "x", "attributes": {}, "context": "c"}',
    ],
)
def test_a_line_of_another_shape_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    good, refused = parted(path)
    assert (good.height, refused.height) == (0, 1)


def test_spans_without_a_region_are_spread_where_regions_are_made(tmp_path: Path) -> None:
    split = TraceOptions(
        model="m", tier="t", region_split=(Share(key="us_east", share=0.5), Share(key="us_west", share=0.5))
    )
    with open_store(tmp_path / "t.duckdb") as store:
        report = ingest(SAMPLES / "spans_sdk.jsonl", store=store, name="x", options=split)
        assert (report.rows_read, report.rows_kept) == (2, 1)
        assert set(store.series("x")["region"]) <= {"us_east", "us_west"}
