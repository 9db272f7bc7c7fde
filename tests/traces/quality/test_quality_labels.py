"""Keys that the catalog lacks are told with the nearest one, and a sender that is most of a model is named."""

from __future__ import annotations

import dataclasses

import polars as pl

from tests.traces.quality.quality_cases import MODEL, look_of, poisson, report_on, requests_at, rows_of, series_of
from workbench import catalog
from workbench.traces.quality.labels import LISTED, dominant_tenants, labels


def test_an_unknown_key_is_a_warning_that_names_the_nearest() -> None:
    frame = series_of([1.0, 2.0], model="llama31-8b")
    report = report_on(frame)
    (unknown,) = rows_of(report, "unknown label")
    assert (unknown["where"], unknown["level"]) == ("model llama31-8b", "warning")
    assert "did you mean 'llama31_8b'?" in unknown["detail"]
    assert report.rows_kept == 2


def test_known_keys_are_only_listed() -> None:
    (listed,) = labels(series_of([1.0, 2.0]))
    assert listed["detail"] == "models llama31_8b; regions us_east; tiers interactive_fast"


def test_very_many_unknown_keys_are_cut_short() -> None:
    frame = pl.DataFrame({"model": [f"k{i:02}" for i in range(30)]}).with_columns(
        region=pl.lit("us_east"), tier=pl.lit("interactive_fast")
    )
    listed, *unknown = labels(frame)
    assert len(unknown) == LISTED + 1
    assert unknown[-1]["count"] == 10
    assert "k19 and 10 more" in listed["detail"]


def test_a_sender_of_half_the_requests_is_named() -> None:
    tenants = pl.Series([None, "a", "a", "a", "b", "c"])
    (found,) = rows_of(report_on(requests_at([0, 1, 2, 3, 4, 5], tenant=tenants)), "dominant tenant")
    assert (found["where"], found["count"], found["level"]) == (MODEL, 3, "note")
    assert found["detail"] == "a sends 60% of 5 requests of 3 known senders"


def test_even_senders_one_sender_and_none_are_not() -> None:
    at = poisson(0.01, days=0.2)
    many = pl.Series([f"t{i % 7}" for i in range(at.size)])
    for tenant in (many, pl.lit("only"), pl.lit(None, dtype=pl.String)):
        assert rows_of(report_on(requests_at(at, tenant=tenant)), "dominant tenant") == []
    assert dominant_tenants(look_of(series_of([1.0, 2.0]))) == []


def test_keys_of_the_catalog_that_is_given_are_known() -> None:
    frame = series_of([1.0, 2.0], model="llama31-8b")
    packaged = catalog.load()
    known = dataclasses.replace(packaged, models={**packaged.models, "llama31-8b": packaged.models["llama31_8b"]})
    assert [row["finding"] for row in labels(frame, known)] == ["labels"]
    (unknown,) = labels(series_of([1.0, 2.0], model="other"), known)[1:]
    assert unknown["detail"].startswith("the catalog has no model 'other'")
