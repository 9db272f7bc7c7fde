"""Windows that a series lacks: unknown in the source or absent from it, with the longest stretches of them."""

from __future__ import annotations

import numpy as np
import polars as pl

from workbench.tables import INSTANT
from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.levels import Load, Look, runs
from workbench.units import SECONDS_PER_MINUTE

STRETCHES_LISTED = 8
TO_THE_MINUTE, TO_THE_SECOND = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"


def unknown_windows(look: Look) -> list[Finding]:
    """Tell per model and tier how many windows are unknown or absent, in how many stretches, and the longest.

    Looked at is the time between the first and the last row of each: what lies outside is an ending, not a gap. A
    window of a model and tier is unknown as soon as one of its regions is; absent rows are counted by region.
    """
    load = look.load
    if load.is_complete:
        return []
    spans = _spans(load)
    found = []
    for key, levels in load.by("model", "tier").items():
        first, last, absent = spans[key]
        unknown = np.isnan(levels[first : last + 1])
        if not unknown.any() and not absent:
            continue
        stretches = sorted(runs(unknown), key=lambda run: (run[0] - run[1], run[0]))
        form = TO_THE_MINUTE if load.window_s >= SECONDS_PER_MINUTE else TO_THE_SECOND
        listed = "; ".join(
            f"{load.at(first + start):{form}} ({(end - start) * load.window_s / SECONDS_PER_MINUTE:,.0f} min)"
            for start, end in stretches[:STRETCHES_LISTED]
        )
        detail = (
            f"{int(unknown.sum()):,} windows ({unknown.mean():.1%}) unknown in {len(stretches):,} "
            f"{'stretch' if len(stretches) == 1 else 'stretches'}, "
            f"{f'{absent:,} rows absent, ' if absent else ''}the longest: "
            f"{listed or 'none, as another region has a value'}"
        )
        found.append(finding("gap", " ".join(key), max(int(unknown.sum()), absent), detail))
    return found


def _spans(load: Load) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Return per model and tier its first and last window and the rows that its regions lack between them."""
    step = pl.lit(round(load.window_s * 1e6))
    place = (pl.col("window_start") - pl.lit(load.first, dtype=INSTANT)).dt.total_microseconds() // step
    counts = load.frame.group_by("model", "tier").agg(
        first=place.min(), last=place.max(), regions=pl.col("region").n_unique(), rows=pl.len()
    )
    return {
        (model, tier): (first, last, (last - first + 1) * regions - rows)
        for model, tier, first, last, regions, rows in counts.iter_rows()
    }
