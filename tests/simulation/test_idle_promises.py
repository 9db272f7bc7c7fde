"""The fluid simulator on an idle fleet against the requests themselves: whose prompt alone takes longer than promised.

The README says that 15 % of the quickstart's fast requests cannot keep their second on an idle replica.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from workbench import performance, simulation
from workbench.results import Study
from workbench.traces import open_store


def test_an_idle_fleet_keeps_the_promises_that_prompts_leave_it(small_study: Study, small_store: Path) -> None:
    tier = next(tier for tier in small_study.fleet.tiers if not tier.deferrable)
    assert tier.ttft_slo_s is not None
    with open_store(small_store / "traces.duckdb", read_only=True) as store:
        requests = store.requests("small").filter(pl.col("tier") == tier.key)
    replicas = {replica.model: replica for replica in small_study.fleet.replicas}
    late = sum(
        performance.prefill_s(replicas[model], float(tokens)) > tier.ttft_slo_s
        for model, tokens in requests.select("model", "input_tokens").iter_rows()
    )
    alone = 1.0 - late / requests.height
    assert alone == pytest.approx(0.85, abs=0.02)
    quiet = small_study.demand.with_columns(pl.col("requests", "input_tokens", "output_tokens") * 1e-3)
    run = simulation.run(
        quiet,
        fleet=small_study.fleet,
        policy=next(policy for policy in small_study.scenario.strategies if policy.key == "reactive"),
        start=small_study.as_of,
        hours=24.0,
        demand_window_s=small_study.manifest["demand_window_s"],
    )
    fast = run.windows.filter((pl.col("tier") == tier.key) & (pl.col("arrived") > 0))
    kept = (fast["slo_attainment_fraction"] * fast["arrived"]).sum() / fast["arrived"].sum()
    assert kept == pytest.approx(alone, abs=0.03)
