"""The page that describes a trace (workbench.reporting.describing): whole without a network, honest about gaps."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from tests.features.feature_cases import load as rows
from workbench import catalog, features
from workbench.errors import ReportError
from workbench.features import Characterisation
from workbench.features.telling import heads
from workbench.reporting import describing
from workbench.traces import open_store

NOW = datetime(2026, 3, 2)


@pytest.fixture(scope="module")
def described(small_store: Path) -> tuple[Characterisation, str]:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        load = features.characterise(store, "small", tiers=catalog.load().tiers)
        page = describing.load_page(load, findings=store.findings("small"), source="three days", made_at=NOW)
    return load, page


def test_every_question_has_its_sentence_chart_or_reason(described: tuple[Characterisation, str]) -> None:
    load, page = described
    asked = [name for parts in describing.SECTIONS.values() for name, _ in parts]
    drawn = [name for parts in describing.SECTIONS.values() for name, draw in parts if draw and load.has(name)]
    assert set(asked) <= set(load.tables) | set(load.skipped)
    assert page.count("Plotly.newPlot(") == len(drawn) + 2
    assert "Not shown: the largest tenants. No request names its tenant." in page
    assert all(question in page for question in describing.SECTIONS)
    assert "llama31_8b" in page


def test_tables_have_heads_in_words_and_units(described: tuple[Characterisation, str]) -> None:
    load, page = described
    shown = features.readable(load.tables["rates_by_model"])
    assert shown.columns[:3] == ["model", "requests/s, mean", "requests/s, peak"]
    assert shown["known, % of the time"].to_list() == [100.0] * shown.height
    assert features.readable(load.tables["daily_totals"])["day (UTC)"].dtype == pl.Date
    assert "<th>rps" not in page
    assert not any("_fraction" in head or " fraction" in head for head in heads.HEADS.values())


def test_the_page_needs_no_network(described: tuple[Characterisation, str]) -> None:
    _, page = described
    assert '<script src="http' not in page
    assert '<link rel="stylesheet" href="http' not in page


def test_a_folder_that_is_not_there_is_named(described: tuple[Characterisation, str], tmp_path: Path) -> None:
    load, _ = described
    findings = load.tables["rates"].head(0)
    with pytest.raises(ReportError, match="could not be written to"):
        describing.write_load_page(
            tmp_path / "none" / "page.html", load, findings=findings, source="three days", made_at=NOW
        )


def test_outputs_that_are_never_known_break_no_page_and_an_address_no_layout() -> None:
    """Model a has no outputs and b only half of the day; every chart is drawn, and what is unknown is said."""
    demand = rows({"r a t": [5.0] * 48, "r b t": [3.0] * 24 + [None] * 24}).with_columns(
        output_tokens=pl.when(pl.col("model") == "b").then("output_tokens")
    )
    load = features.characterise_demand(demand, trace="odd")
    finding = {"level": "note", "finding": "about the format", "where": "f.csv", "detail": "https://x.org/" + "a" * 300}
    findings = pl.DataFrame([finding | {"advice": None, "count": None}])
    page = describing.load_page(load, findings=findings, source="trace odd", made_at=NOW)
    assert "Never known: the output tokens of a, t;" in page
    assert "overflow-wrap:anywhere" in page
    assert "Findings: 1 to know." in page
    measures = ("requests", "input_tokens", "output_tokens")
    nothing = demand.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in measures)
    told = describing.load_page(
        features.characterise_demand(nothing, trace="none"), findings=findings, source="s", made_at=NOW
    )
    assert "Nothing is known of what arrives." in told
