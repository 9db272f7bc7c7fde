"""Published figures beside those of our own runs.

workbench.studies.reproducing, workbench.studies.answering and workbench.studies.opening.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from workbench import catalog, scoring, studies
from workbench.catalog import Claim
from workbench.results import Study
from workbench.studies import Asked, answering, opening

CLAIM = Claim(
    key="one", figure="f", claim="c", value=0.3, measure="gpu_hours_saved", scenario="small", strategy="lt_ua",
    baseline="reactive", differs="because", source="s", date="2025",
)  # fmt: skip
SCENARIO = """trace = "small"
models = ["llama31_8b"]
strategies = ["reactive", "siloed"]
[span]
warmup_hours = 1
[demand]
scale = 60
[forecast]
method = "last_value"
"""


def ours(claim: Claim, study: Study) -> scoring.Range:
    return answering.answer(claim, [{Asked(scenario="small"): study}])


def total(study: Study, strategy: str, name: str) -> float:
    return float(study.scorecard.totals.filter(pl.col("strategy") == strategy).get_column(name).item())


def test_figures_are_those_of_the_scorecard(small_study: Study) -> None:
    saved = ours(CLAIM, small_study)
    assert saved.value == pytest.approx(total(small_study, "lt_ua", "gpu_hours_saved_fraction"))
    assert (saved.low, saved.high, saved.days) == (None, None, 1)  # one day has no other to draw
    ratio = ours(replace(CLAIM, measure="gpu_hours_ratio"), small_study)
    assert ratio.value == pytest.approx(1.0 - total(small_study, "lt_ua", "gpu_hours_saved_fraction"))
    month = ours(replace(CLAIM, measure="usd_per_month"), small_study)
    assert month.value == pytest.approx(30.0 * total(small_study, "lt_ua", "cost_saved_usd"))  # the study is of a day
    fast = small_study.scorecard.tiers.filter(pl.col("tier") == "interactive_fast")
    row = {key: fast.filter(pl.col("strategy") == key).row(0, named=True) for key in ("reactive", "lt_ua")}
    broken = ours(replace(CLAIM, measure="violations", tier="interactive_fast"), small_study)
    assert broken.value == pytest.approx(1.0 - row["lt_ua"]["slo_attainment_fraction"])
    slower = ours(replace(CLAIM, measure="ttft_p90_ratio", tier="interactive_fast"), small_study)
    assert slower.value == pytest.approx(row["lt_ua"]["ttft_p90_s"] / row["reactive"]["ttft_p90_s"])


def test_effort_is_that_of_a_model_and_a_region(small_study: Study) -> None:
    """A saving of one pool is read off its rows alone; one of all models is none of a single model."""
    pools = {key: run.pools for key, run in small_study.runs.items()}
    of = (pl.col("model") == "llama2_70b") & (pl.col("region") == "us_west")
    held, base = (float(pools[key].filter(of).get_column("gpu_hours").sum()) for key in ("siloed", "reactive"))
    claim = replace(CLAIM, strategy="siloed", measure="gpu_hours_ratio", model="llama2_70b", region="us_west")
    assert ours(claim, small_study).value == pytest.approx(held / base)
    lent = ours(replace(CLAIM, measure="lent_ratio"), small_study)
    assert lent.value == pytest.approx(
        total(small_study, "lt_ua", "lent_gpu_hours") / total(small_study, "reactive", "lent_gpu_hours")
    )
    wasted = ours(replace(CLAIM, measure="waste_saved"), small_study)
    assert wasted.value == pytest.approx(total(small_study, "lt_ua", "waste_saved_fraction"))


def test_days_of_other_draws_count_too_and_give_an_interval(small_study: Study) -> None:
    """The same day twice is two days that do not differ."""
    draw = {Asked(scenario="small"): small_study}
    for measure in ("gpu_hours_saved", "usd_per_month", "violations", "ttft_p90_ratio"):
        claim = replace(CLAIM, measure=measure, tier="interactive_fast")
        once, twice = answering.answer(claim, [draw]), answering.answer(claim, [draw, draw])
        assert twice.value == pytest.approx(once.value)
        assert (twice.low, twice.high) == (pytest.approx(once.value), pytest.approx(once.value))
        assert (once.days, twice.days) == (1, 2)


def test_a_strategy_held_against_itself_is_held_under_other_settings(small_study: Study) -> None:
    swept = replace(CLAIM, measure="gpu_hours_ratio", strategy="lt_ua", baseline="lt_ua", settings=("a=1",))
    assert studies.asked_of([swept]) == [Asked(scenario="small", settings=("a=1",)), Asked(scenario="small")]
    found = answering.answer(swept, [dict.fromkeys(studies.asked_of([swept]), small_study)])
    assert found.value == 1.0
    assert answering.answer(swept, [{Asked(scenario="small"): small_study}]).value is None


def test_what_is_not_known_is_null_and_stays_in_the_table(small_study: Study) -> None:
    unknown = [
        replace(CLAIM, key="a", strategy="chiron"),
        replace(CLAIM, key="b", scenario="another"),
        replace(CLAIM, key="c", measure="e2e_p90_ratio", tier="interactive_fast"),  # the fluid engine has none
    ]
    table = studies.beside([*unknown, CLAIM], {Asked(scenario="small"): small_study})
    assert table.get_column("ours").is_null().to_list() == [True, True, True, False]
    assert table.get_column("published").to_list() == [0.3] * 4
    shown = studies.readable_claims(table)
    assert shown.get_column("interval over days").null_count() == 4
    assert shown.get_column("why they differ").to_list() == ["because"] * 4


def test_figures_are_kept_beside_those_of_other_traces(small_study: Study, tmp_path: Path) -> None:
    table = studies.beside([CLAIM, replace(CLAIM, key="b", value=None)], {Asked(scenario="small"): small_study})
    file = tmp_path / "paper" / "figures.csv"
    for trace in ("one", "two", "one"):
        studies.keep_claims(table, str(file), trace=trace, now=datetime(2026, 1, 1))
    kept = pl.read_csv(file)
    assert kept.get_column("trace").to_list() == ["two", "two", "one", "one"]
    assert kept.get_column("published").to_list() == [0.3, None] * 2
    assert kept.get_column("ours")[0] == pytest.approx(table.get_column("ours")[0], rel=1e-3)
    assert set(kept.get_column("made on")) == {"2026-01-01"}
    studies.keep_claims(table, "", trace="one", now=datetime(2026, 1, 1))
    assert list(tmp_path.iterdir()) == [file.parent]


def test_every_run_is_asked_for_once() -> None:
    claims = catalog.load().claims
    asked = studies.asked_of(claims)
    assert len(asked) == len(set(asked))
    assert Asked(scenario="paper_gap_threshold") in asked  # what the thresholds are held against
    assert Asked(scenario="paper_schedulers", settings=("scheduler=edf",)) in asked
    assert str(asked[0]) == asked[0].scenario


def test_a_run_is_made_once_and_opened_again(small_store: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SCENARIO, encoding="utf-8")
    one = Asked(scenario="small", settings=("policy.cooldown_s=60.0",))
    told: list[tuple[int, int]] = []

    def made(year: int) -> Study:
        return studies.run_asked(
            [one], scenarios_dir=tmp_path, store=small_store / "traces.duckdb", data_dir=tmp_path / "data",
            now=datetime(year, 1, 1), overrides={"seed": 3}, days=0.125, progress=lambda *done: told.append(done),
        )[one]  # fmt: skip

    first, again = made(2026), made(2027)
    assert first.hours == 4.0  # three are scored, after one
    assert first.scenario.seed == 3
    assert {policy.cooldown_s for policy in first.scenario.strategies} == {60.0}
    assert again.manifest["created_at"].startswith("2026")
    assert again.scorecard.totals.equals(first.scorecard.totals)
    assert opening.open_study("latest", root=tmp_path / "data" / "studies").id == first.id
    assert told == [(0, 1), (1, 1)] * 2
