"""How much more than a Poisson process the arrivals of a series vary, at each scale from a second to ten minutes.

For a Poisson process whose rate is shaken by independent factors of mean one, the mean product of the counts of two
different seconds depends only on the shortest block that holds both: it is the squared rate times 1 + cv^2 of every
factor that lasts at least so long. Ratios of these means from one scale to the next are therefore 1 + cv^2 of one
factor alone, free of Poisson noise and of the rhythm (a factorial moment estimator; hand-solved in the tests).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.traces.binning import Counts, binned, counts_of
from workbench.traces.store import Reading
from workbench.traces.synthetic.rhythms import DWELLS_S, Noise

Labels = tuple[str, str, str]

LABELS = ("region", "model", "tier")
PAIRS_NEEDED = 400.0
SIGNIFICANT_TIMES = 2.0
LARGEST_CV = 30.0


def noise_of(
    store: Reading, trace: str, *, since: datetime, until: datetime, slot_s: float
) -> Mapping[Labels, tuple[Noise, ...]]:
    """Return the noise of every series at the scales between the windows of the source and the slots of its rhythm.

    A series with too few pairs of arrivals takes the noise of its model and tier over all regions; what is not
    distinguishable from chance is no noise.
    """
    native_s = store.describe(trace).header.window_s
    scales = [dwell for dwell in DWELLS_S if dwell <= slot_s and (native_s is None or dwell >= native_s)]
    if len(scales) < 2 or (native_s is not None and scales[0] != native_s):
        return {}
    squares = _squares(store, trace, scales, since=since, until=until)
    if squares.is_empty():
        return {}
    sums = [f"q{scale:g}" for scale in scales]
    pooled = {
        (row["model"], row["tier"]): noise_of_squares(row, scales)
        for row in squares.group_by("model", "tier").agg(pl.col("requests", "bins", *sums).sum()).to_dicts()
    }
    found: dict[Labels, tuple[Noise, ...]] = {}
    for row in squares.to_dicts():
        shared = pooled[row["model"], row["tier"]]
        both = [own or other for own, other in zip(noise_of_squares(row, scales), shared, strict=True)]
        found[row["region"], row["model"], row["tier"]] = tuple(noise for noise in both if noise and noise.cv > 0)
    return found


def noise_of_squares(row: Mapping[str, float], scales: list[float]) -> tuple[Noise | None, ...]:
    """Return the noise at every scale but the last, from sums of squared counts; None where there are too few pairs.

    ``row`` holds ``requests``, the number ``bins`` of bins of the first scale, and ``q<scale>``, the sum of the squared
    counts in bins of each scale.
    """
    first, bins = scales[0], row["bins"]
    pairs = [row[f"q{first:g}"] - row["requests"]]
    partners = [1.0]
    for inner, outer in pairwise(scales):
        pairs.append(row[f"q{outer:g}"] - row[f"q{inner:g}"])
        partners.append((outer - inner) / first)
    means = [count / (bins * others) for count, others in zip(pairs, partners, strict=True)]
    return tuple(_noise(scale, means[i], means[i + 1], pairs[i], pairs[i + 1]) for i, scale in enumerate(scales[:-1]))


def _noise(scale: float, near: float, far: float, near_pairs: float, far_pairs: float) -> Noise | None:
    if min(near_pairs, far_pairs) < PAIRS_NEEDED or far <= 0:
        return None
    excess = near / far - 1.0
    error = (1.0 + max(excess, 0.0)) * np.sqrt(2.0 / near_pairs + 2.0 / far_pairs)
    cv = float(np.sqrt(excess)) if excess > SIGNIFICANT_TIMES * error else 0.0
    return Noise(dwell_s=scale, cv=min(cv, LARGEST_CV))


def _squares(store: Reading, trace: str, scales: list[float], *, since: datetime, until: datetime) -> pl.DataFrame:
    """Sum squared counts at every scale per series, over bins that lie where the clock's do."""
    labels = store.series(trace)
    sums = {name: np.zeros(labels.height) for name in ("requests", *(f"q{scale:g}" for scale in scales))}
    for counts in _counts(store, trace, labels, scales, since=since, until=until):
        for scale, (series, n) in zip(scales, counts, strict=True):
            np.add.at(sums[f"q{scale:g}"], series, n.astype(np.float64) ** 2)
        np.add.at(sums["requests"], *counts[0])
    bins = (until - since).total_seconds() / scales[0]
    return labels.with_columns(**{name: pl.Series(values) for name, values in sums.items()}, bins=pl.lit(bins)).filter(
        pl.col("requests") > 0
    )


def _counts(
    store: Reading, trace: str, labels: pl.DataFrame, scales: list[float], *, since: datetime, until: datetime
) -> Iterator[list[tuple[Counts, npt.NDArray[Any]]]]:
    """Yield, stretch by stretch, the number of the series and the count of every bin that is not empty, by scale."""
    scales_us = [round(scale * 1e6) for scale in scales]
    if store.describe(trace).header.kind == "requests":
        origin_us = pl.Series([since.replace(minute=0, second=0, microsecond=0)]).dt.timestamp("us")[0]
        for stretch in binned(
            store, trace, by=LABELS, scales_us=scales_us, origin_us=origin_us, since=since, until=until
        ):
            yield [(stretch[scale_us].group, stretch[scale_us].n) for scale_us in scales_us]
        return
    sums = store.sum_by_window(trace, window_s=scales[0], since=since, until=until).drop_nulls("requests")
    numbered = sums.join(labels.with_row_index("series"), on=LABELS, maintain_order="left")
    place = numbered.get_column("window_start").dt.timestamp("us").to_numpy() // scales_us[0]
    ratios = [scale_us // scales_us[0] for scale_us in scales_us]
    # a whole number of the longest bins for each series, so that none holds windows of two
    longest = ratios[-1]
    place = place - place.min() // longest * longest
    size = (place.max() // longest + 1) * longest
    cells = numbered.get_column("series").cast(pl.Int64).to_numpy() * size + place
    counted = counts_of(cells, numbered.get_column("requests").to_numpy(), ratios)
    yield [(cell // (size // ratio), n) for ratio, (cell, n) in zip(ratios, counted, strict=True)]
