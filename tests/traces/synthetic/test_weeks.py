"""workbench.traces.synthetic.weeks with its laws: the reported shape, equal bytes for equal seeds, series apart."""

from __future__ import annotations

import hashlib
from datetime import datetime

import polars as pl
import pytest

from workbench.errors import TraceError
from workbench.tables import REQUESTS
from workbench.traces.synthetic import APPS, MODELS, TIERS, UTC_OFFSETS_H, week, weeks


@pytest.fixture(scope="module")
def made() -> pl.DataFrame:
    return week(seed=7, requests=200_000)


def share(frame: pl.DataFrame, column: str) -> dict[str, float]:
    return dict(frame.get_column(column).value_counts(normalize=True).rows())


def test_the_laws_are_shares() -> None:
    assert sum(law.share for law in MODELS) == pytest.approx(1)
    assert sum(law.share for law in TIERS) == pytest.approx(1)
    assert sum(APPS.values()) == pytest.approx(1)
    for law in MODELS:
        assert sum(law.by_region.values()) == pytest.approx(1)
        assert sum(hump.weight for hump in law.prompt) == pytest.approx(1)
        assert sum(hump.weight for hump in law.output) == pytest.approx(1)
    overall = {region: sum(law.share * law.by_region[region] for law in MODELS) for region in UTC_OFFSETS_H}
    assert overall == pytest.approx({"us_east": 0.43, "us_central": 0.29, "us_west": 0.28})


def test_shares_of_regions_tiers_and_apps_are_the_reported_ones(made: pl.DataFrame) -> None:
    assert made.height == pytest.approx(200_000, rel=0.02)
    assert share(made, "region") == pytest.approx({"us_east": 0.43, "us_central": 0.29, "us_west": 0.28}, abs=0.01)
    assert share(made, "tier")["non_interactive"] == pytest.approx(0.28, abs=0.01)
    assert max(share(made, "tier"), key=share(made, "tier").__getitem__) == "interactive_fast"
    assert share(made, "app")["rag"] == pytest.approx(0.412, abs=0.01)
    skewed = share(made.filter(pl.col("model") == "bloom_176b"), "region")
    assert skewed["us_east"] / skewed["us_west"] == pytest.approx(4, rel=0.1)


def test_lengths_have_the_reported_medians_and_tails(made: pl.DataFrame) -> None:
    for model, rows in made.group_by("model"):
        prompts, outputs = rows["input_tokens"], rows["output_tokens"]
        assert 3900 <= prompts.quantile(0.5) <= 6100, model
        assert 9_500 <= prompts.quantile(0.95) <= 30_000, model
        assert 85 <= outputs.quantile(0.5) <= 200, model
        assert 1600 <= outputs.quantile(0.99) <= 2400, model
    tokens = made["input_tokens"].sum(), made["output_tokens"].sum()
    assert tokens[0] / sum(tokens) > 0.95
    llama = made.filter(pl.col("model") == "llama2_70b")["output_tokens"]
    assert llama.is_between(10, 30).mean() == pytest.approx(0.45, abs=0.03)
    bloom = made.filter(pl.col("model") == "bloom_176b")["input_tokens"]
    assert bloom.is_between(225, 900).mean() == pytest.approx(0.25, abs=0.03)


def test_weekdays_are_busy_weekends_are_not_and_batch_is_flat(made: pl.DataFrame) -> None:
    local = pl.col("arrived_at").dt.offset_by("-5h").dt
    east = made.filter(pl.col("region") == "us_east").with_columns(weekday=local.weekday(), hour=local.hour())
    interactive = east.filter(pl.col("tier") != "non_interactive")
    midday = interactive.filter(pl.col("hour").is_between(11, 14)).group_by("weekday").len().sort("weekday")
    counts = midday["len"].to_list()
    assert min(counts[:5]) > 4 * max(counts[5:])
    night = interactive.filter(pl.col("hour").is_between(1, 4), pl.col("weekday") <= 5).height
    day = interactive.filter(pl.col("hour").is_between(11, 14), pl.col("weekday") <= 5).height
    assert 1.5 < day / night < 4.5
    batch = east.filter(pl.col("tier") == "non_interactive").group_by("weekday").len()["len"]
    assert batch.max() / batch.min() < 1.15


def test_the_same_seed_makes_the_same_bytes_and_another_does_not(made: pl.DataFrame) -> None:
    assert week(seed=7, requests=200_000).equals(made)
    assert not week(seed=8, requests=200_000).equals(made)


def test_the_bytes_of_the_week_are_kept(made: pl.DataFrame) -> None:
    """Studies and docs are made of it: a change of these numbers moves theirs and belongs in the change log."""
    assert made.height == 200_466
    assert [made[name].sum() for name in ("input_tokens", "output_tokens")] == [1_214_390_739, 44_541_970]
    stamps = made["arrived_at"].dt.timestamp("us").to_numpy().tobytes()
    assert hashlib.sha256(stamps).hexdigest()[:16] == "c670e13b59704af5"


def test_leaving_series_out_changes_nothing_in_the_others(made: pl.DataFrame) -> None:
    part = week(
        seed=7, requests=200_000, models=("llama2_70b",), regions={"us_west": -8.0}, tiers=("interactive_fast",)
    )
    same = made.filter(
        pl.col("model") == "llama2_70b", pl.col("region") == "us_west", pl.col("tier") == "interactive_fast"
    )
    assert part.equals(same)


def test_the_week_is_in_order_inside_its_span_and_conforms(made: pl.DataFrame) -> None:
    assert REQUESTS.conform(made).equals(made)
    assert made["arrived_at"].is_sorted()
    assert made["arrived_at"].min() >= datetime(2025, 7, 9)
    assert made["arrived_at"].max() < datetime(2025, 7, 16)
    assert made["arrived_at"][-1].strftime("%A") == "Tuesday"


def test_what_has_no_law_is_refused() -> None:
    with pytest.raises(TraceError, match=r"no law for model 'llama2_70'.*did you mean 'llama2_70b'"):
        week(seed=1, models=("llama2_70",))
    with pytest.raises(TraceError, match="no law for region 'mars'"):
        week(seed=1, regions={"mars": 0.0})
    with pytest.raises(TraceError, match="positive number"):
        week(seed=1, requests=0)
    assert weeks.STEP_S * weeks.STEPS_PER_BURST == 60
