"""What every tier got: promises kept, latencies, deadlines, what was left waiting."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from workbench.domain import Tier
from workbench.results import SimRun
from workbench.scoring.latencies import E2E_LEVELS, ITL_LEVELS, LEVELS, percentiles, weighted_percentiles


def service(run: SimRun, tier: Tier, since: datetime) -> dict[str, float | None]:
    """Return what one tier got from an instant on: counts, attainment, latency percentiles, deadlines, backlog.

    Percentiles of the time to the last token are those of all arrivals under the replay. The fluid engine knows the
    time to the first token and the mean gap between tokens, not how output lengths spread, so it has none. Percentiles
    of the gap between tokens are those of the windows' means, each window and series counted by its arrivals.
    """
    windows = run.windows.filter((pl.col("tier") == tier.key) & (pl.col("window_start") >= since))
    last = windows.filter(pl.col("window_start") == windows.get_column("window_start").max())
    kept = pl.col("slo_attainment_fraction") * pl.col("arrived")
    arrived = float(windows.get_column("arrived").sum())
    sums = windows.select(
        kept.sum().alias("kept"),
        (pl.col("ttft_mean_s") * pl.col("arrived")).sum().alias("ttft"),
        (pl.col("itl_mean_s") * pl.col("arrived")).sum().alias("itl"),
        pl.col("served", "missed_deadlines", "served_elsewhere").sum(),
        pl.col("oldest_wait_s").max(),
        pl.col("arrived").filter("is_saturated").sum().alias("saturated"),
    ).row(0, named=True)
    histogram = run.ttft.filter((pl.col("tier") == tier.key) & (pl.col("window_start") >= since))
    levels = percentiles(histogram, list(LEVELS.values()))
    share = 1.0 / arrived if arrived > 0 else 0.0
    attainment = sums["kept"] * share if arrived > 0 else None
    if tier.deferrable:
        due = _deadlines_due(run, tier, since)
        attainment = 1.0 - sums["missed_deadlines"] / due if due > 0 else None
    return {
        "arrived": arrived,
        "served": sums["served"],
        "backlog": float(last.get_column("backlog").sum()),
        "slo_attainment_fraction": attainment,
        "ttft_mean_s": None if tier.deferrable or not arrived else sums["ttft"] * share,
        **dict(zip(LEVELS, levels, strict=True)),
        **_end_to_end(run, tier, since),
        "itl_mean_s": None if tier.deferrable or not arrived else sums["itl"] * share,
        **dict(zip(ITL_LEVELS, weighted_percentiles(windows, "itl_mean_s", list(ITL_LEVELS.values())), strict=True)),
        "missed_deadlines": sums["missed_deadlines"],
        "oldest_wait_s": sums["oldest_wait_s"],
        "served_elsewhere_fraction": sums["served_elsewhere"] * share,
        "saturated_fraction": sums["saturated"] * share,
    }


def _end_to_end(run: SimRun, tier: Tier, since: datetime) -> dict[str, float | None]:
    """Return the percentiles of the time to the last token, of single requests alone."""
    if run.e2e is None:
        return dict.fromkeys(E2E_LEVELS)
    histogram = run.e2e.filter((pl.col("tier") == tier.key) & (pl.col("window_start") >= since))
    return dict(zip(E2E_LEVELS, percentiles(histogram, list(E2E_LEVELS.values()), measure="e2e"), strict=True))


def _deadlines_due(run: SimRun, tier: Tier, since: datetime) -> float:
    """Return how many requests of a deferrable tier had their deadline between an instant and the end of the run."""
    if tier.deadline_s is None:
        return 0.0
    due = pl.col("window_start").dt.offset_by(f"{int(tier.deadline_s)}s")
    return float(
        run.windows.filter((pl.col("tier") == tier.key) & (due >= since) & (due < run.end)).get_column("arrived").sum()
    )
