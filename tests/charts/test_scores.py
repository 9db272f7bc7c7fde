"""Charts of scorecards: a saving never stands without the service it was had at."""

from __future__ import annotations

import polars as pl

from tests.charts.chart_cases import SOURCE, source_of, totals
from workbench.charts import scores
from workbench.domain import Tier

FAST = Tier(
    key="interactive_fast",
    label="Fast",
    ttft_slo_s=1.0,
    deadline_s=None,
    deferrable=False,
    priority=0,
    source="test",
    date="2026-01-01",
)
LATER = Tier(
    key="non_interactive",
    label="Later",
    ttft_slo_s=None,
    deadline_s=86_400.0,
    deferrable=True,
    priority=2,
    source="test",
    date="2026-01-01",
)
TIERS = pl.DataFrame(
    {
        "strategy": ["reactive", "reactive", "lt_i", "lt_i"],
        "tier": ["interactive_fast", "non_interactive"] * 2,
        "slo_attainment_fraction": [0.99, None, 0.75, None],
        "ttft_p50_s": [0.2, None, 0.3, None],
        "ttft_p95_s": [0.8, None, 4.0, None],
        "ttft_p99_s": [0.9, None, 9.0, None],
    }
)


def test_a_saving_that_serves_worse_is_hatched_and_says_so() -> None:
    figure = scores.gpu_hours_and_cost(totals(), source=SOURCE, baseline="reactive")
    held, cost = figure.data
    assert list(held.y) == ["Reactive", "LT-I<br><i>serves worse</i>"]
    assert (list(held.x), list(cost.x)) == ([1000.0, 750.0], [12_000.0, 9_000.0])
    assert list(cost.marker.pattern.shape) == ["", "/"]
    assert list(cost.text) == ["12,000  (baseline)", "9,000  (25.0% less)"]
    assert source_of(figure) == f"Source: {SOURCE}"
    assert (figure.layout.xaxis.title.text, figure.layout.xaxis2.title.text) == ("GPU-hours", "USD")


def test_a_month_under_each_strategy() -> None:
    month = totals().with_columns(
        month_cost_usd=pl.col("cost_usd") * 31, month_cost_saved_usd=pl.col("cost_saved_usd") * 31
    )
    (bars,) = scores.cost_per_month(month, source=SOURCE, month="July 2025", baseline="reactive").data
    assert list(bars.text) == ["372,000 USD<br>baseline", "279,000 USD<br>93,000 USD less"]
    assert list(bars.marker.pattern.shape) == ["", "/"]


def test_the_promise_stands_under_each_tier() -> None:
    figure = scores.attainment(TIERS, source=SOURCE, tiers=[FAST, LATER], goal_fraction=0.95)
    reactive, paced = figure.data
    assert list(reactive.x) == ["Fast<br>first token within 1 s", "Later<br>done within 24 h<br><i>none due yet</i>"]
    assert (list(reactive.y), list(paced.y)) == ([99.0, None], [75.0, None])
    assert figure.layout.shapes[0].y0 == 95.0
    assert scores.attainment(TIERS, source=SOURCE).data[0].x[0] == "interactive fast"


def test_percentiles_of_a_tier_with_its_promise() -> None:
    figure = scores.ttft_percentiles(TIERS, source=SOURCE, tier=FAST, labels={"lt_i": "LT-I"})
    assert [trace.name for trace in figure.data] == ["P50", "P95", "P99"]
    assert (list(figure.data[1].x), list(figure.data[1].y)) == ([0.8, 4.0], ["reactive", "LT-I"])
    assert figure.layout.shapes[0].x0 == 1.0
    assert not scores.ttft_percentiles(TIERS, source=SOURCE, tier=LATER).data


def test_waste_beside_what_was_lent() -> None:
    wasted, lent = scores.waste(totals(), source=SOURCE).data
    assert list(wasted.text) == ["3.0 in 30 starts", "1.0 in 10 starts"]
    assert list(lent.x) == [500.0, 750.0]


def test_cost_is_made_of_groups() -> None:
    parts = pl.DataFrame(
        {"strategy": ["reactive", "reactive", "lt_i"], "model": ["a", "b", "a"], "month_cost_usd": [1.0, 2.0, 3.0]}
    )
    figure = scores.cost_by_group(parts, source=SOURCE, labels={"a": "A"}, month="July 2025")
    assert {bar.name: list(bar.y) for bar in figure.data} == {"A": [1.0, 3.0], "b": [2.0, 0.0]}
    assert figure.layout.yaxis.title.text == "USD for July 2025"
