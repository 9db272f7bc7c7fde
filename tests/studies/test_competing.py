"""workbench.studies.competing: strategies here or in processes, on sums or on single requests."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from workbench import catalog, scenarios, studies
from workbench.results import SoFar, Study, Tell
from workbench.scoring import SERVICE_TOLERANCE
from workbench.studies import competing
from workbench.traces import open_store

NOW = datetime(2026, 1, 1)
TALL = {
    "name": "tall",
    "trace": "small",
    "models": ["llama2_70b", "llama31_8b"],
    "strategies": ["reactive", "lt_ua", "lookahead"],
    "demand": {"scale": 60.0, "window_s": 600.0},
    "forecast": {"method": "seasonal_naive"},
    "span": {"as_of": datetime(2025, 7, 11, 14), "simulate_hours": 4, "warmup_hours": 1},
}


def run(
    small_store: Path, root: Path, *, workers: int | None = 1, progress: Tell | None = None, **changes: object
) -> Study:
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        return studies.run(
            scenarios.parse({**TALL, **changes}, source="test"), store, catalog=catalog.load(), root=root, now=NOW,
            workers=workers, progress=progress,
        )  # fmt: skip


@pytest.fixture(scope="module")
def tall(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Four hours of an afternoon under three strategies, one after the other."""
    return run(small_store, tmp_path_factory.mktemp("tall") / "studies")


@pytest.fixture(scope="module")
def replayed(small_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same by single requests."""
    return run(small_store, tmp_path_factory.mktemp("replayed") / "studies", engine="replay")


@pytest.mark.slow
def test_strategies_side_by_side_write_the_bytes_of_one_after_the_other(
    tall: Study, small_store: Path, tmp_path: Path
) -> None:
    bar: list[tuple[float, str]] = []

    def note(stage: str, share: float, words: str = "") -> None:
        if stage == "Simulating strategies":
            bar.append((share, words))

    again = run(small_store, tmp_path / "studies", workers=2, progress=note)
    assert [bar[0], bar[-1]] == [(0.0, "0 of 3"), (1.0, "3 of 3")]
    assert all(0.0 <= share <= 1.0 for share, _ in bar)
    assert any("GPU h, " in words and "in time" in words for _, words in bar)
    files = sorted(path.relative_to(tall.folder) for path in tall.folder.rglob("*.parquet"))
    assert files == sorted(path.relative_to(again.folder) for path in again.folder.rglob("*.parquet"))
    for file in files:
        assert (again.folder / file).read_bytes() == (tall.folder / file).read_bytes(), file


def test_all_start_from_one_state_and_the_warm_up_is_scored_for_nobody(tall: Study) -> None:
    first = {
        key: run.pools.filter(pl.col("window_start") == tall.as_of).select(pl.col("ready", "lent").sum()).row(0)
        for key, run in tall.runs.items()
    }
    held = {sum(state) for state in first.values()}
    assert max(held) - min(held) < 0.2 * max(held)  # what is drained in the first five minutes is not counted here
    scored = tall.scorecard.totals.select("strategy", "gpu_hours")
    for key, hours in scored.iter_rows():
        pools = tall.runs[key].pools.filter(pl.col("window_start") >= datetime(2025, 7, 11, 15))
        assert hours == pytest.approx(pools.get_column("gpu_hours").sum())
    assert "The first 1 h are simulated but not scored." in tall.notes


def test_single_requests_bring_what_the_sums_say(tall: Study, replayed: Study) -> None:
    by = ["region", "model", "tier"]
    for key, own in replayed.runs.items():
        sums = (each.windows.group_by(by).agg(pl.col("arrived").sum()) for each in (tall.runs[key], own))
        joined = pl.DataFrame.join(*sums, on=by, suffix="_own")
        assert joined.height == 18
        difference = joined.get_column("arrived") - joined.get_column("arrived_own")
        assert difference.abs().max() <= 1e-6 * joined.get_column("arrived").max()


def test_both_engines_come_to_about_the_same(tall: Study, replayed: Study) -> None:
    fluid, exact = (one.scorecard.totals.sort("strategy") for one in (tall, replayed))
    for key, a, b in zip(
        fluid.get_column("strategy"), fluid.get_column("gpu_hours"), exact.get_column("gpu_hours"), strict=True
    ):
        assert a == pytest.approx(b, rel=0.1), key
    kept = [
        one.scorecard.tiers.filter(pl.col("tier") == "interactive_normal").sort("strategy") for one in (tall, replayed)
    ]
    for a, b in zip(*(frame.get_column("slo_attainment_fraction") for frame in kept), strict=True):
        assert a == pytest.approx(b, abs=10 * SERVICE_TOLERANCE)


def test_only_the_replay_knows_the_time_to_the_last_token_of_every_request(tall: Study, replayed: Study) -> None:
    names = [f"e2e_{level}_s" for level in ("p50", "p75", "p90", "p95", "p99")]
    assert tall.scorecard.tiers.select(pl.col(names).is_null().all()).row(0) == (True,) * 5
    tiers = replayed.scorecard.tiers.filter(pl.col("tier") != "non_interactive")
    rows = tiers.select(*names).rows()
    assert all(list(row) == sorted(row) for row in rows)
    assert tiers.select((pl.col("e2e_p50_s") > pl.col("ttft_p50_s")).all()).item()
    arrived = replayed.runs["reactive"].windows.get_column("arrived").sum()
    e2e = replayed.runs["reactive"].e2e
    assert e2e is not None
    assert e2e.get_column("requests").sum() == arrived
    opened = studies.open_study(replayed.id, root=replayed.folder.parent).runs["reactive"].e2e
    assert opened is not None
    assert opened.equals(e2e)


def test_all_look_as_far_as_the_farthest(tall: Study) -> None:
    assert competing.farthest_h(tall.scenario) == 24.0


def test_the_bar_of_a_simulation_says_that_it_is_being_compiled(small_study: Study) -> None:
    told: list[tuple[str, float, str]] = []
    tier = next(tier.key for tier in small_study.fleet.tiers if not tier.deferrable)
    for note in ("compiling", ""):
        had = SoFar(done_fraction=0.5, gpu_hours=1200.0, kept_fraction={tier: 0.9}, note=note)
        competing._tell(lambda *said: told.append(said), "Simulating", small_study.fleet, had)
    assert told == [("Simulating", 0.5, "compiling"), ("Simulating", 0.5, "1,200 GPU h, 90.0% in time")]
