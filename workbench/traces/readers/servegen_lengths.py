"""Laws of request lengths as inverse distribution functions, so that lengths are drawn by the million at once.

A published histogram is kept as it is. Of a summary (least, median, 90th, 95th, 99th percentile, greatest, mean) the
quantiles are kept exactly; between two of them the law rises as a power, one power for all, chosen so that the mean is
the published one as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SUMMARY = ("min", "p50", "p90", "p95", "p99", "max")
SUMMARY_SHARES = np.array([0.50, 0.40, 0.05, 0.04, 0.01])
# a power beyond these would put all of a stretch at one of its ends
LEAST_RISE, MOST_RISE = 0.02, 0.98
BELOW_ONE = 1.0 - 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class LengthLaws:
    """Many laws one after another, each a row of segments: share, lowest and highest length, power between them.

    ``upper`` is the number of the law plus the probability up to the end of the segment, so that one search finds the
    segment of any law.
    """

    upper: Floats
    share: Floats
    low: Floats
    high: Floats
    power: Floats

    def draw(self, laws: Ints, random: np.random.Generator) -> Ints:
        """Draw one length in tokens (0 or more) from each of the laws named."""
        point = laws + random.random(laws.size) * BELOW_ONE
        at = np.searchsorted(self.upper, point, side="right")
        inside = np.clip(1.0 - (self.upper[at] - point) / self.share[at], 0.0, 1.0)
        return np.rint(self.low[at] + (self.high[at] - self.low[at]) * inside ** self.power[at]).astype(np.int64)

    def means(self) -> Floats:
        """Return the mean length of each law."""
        parts = self.share * (self.low + (self.high - self.low) / (self.power + 1.0))
        ends = np.floor(np.nextafter(self.upper, 0.0)).astype(np.int64)
        return np.bincount(ends, weights=parts).astype(np.float64)


def laws_of_summaries(quantiles: Floats, means: Floats) -> LengthLaws:
    """Build one law per row of ``quantiles`` (columns as ``SUMMARY``) with the means given."""
    low, high = quantiles[:, :-1], np.maximum(quantiles[:, 1:], quantiles[:, :-1])
    least, spread = low @ SUMMARY_SHARES, (high - low) @ SUMMARY_SHARES
    rise = np.divide(means - least, spread, out=np.full_like(means, 0.5), where=spread > 0)
    power = 1.0 / np.clip(rise, LEAST_RISE, MOST_RISE) - 1.0
    count = len(means)
    return LengthLaws(
        upper=(np.arange(count)[:, None] + np.cumsum(SUMMARY_SHARES).round(9)).ravel(),
        share=np.tile(SUMMARY_SHARES, count),
        low=low.ravel(),
        high=high.ravel(),
        power=np.repeat(power, SUMMARY_SHARES.size),
    )


def laws_of_histograms(histograms: list[tuple[Floats, Floats]]) -> LengthLaws:
    """Build one law per pair of lengths and probabilities; probabilities are scaled to sum to 1."""
    upper, share = [], []
    for number, (_, probabilities) in enumerate(histograms):
        share.append(probabilities / probabilities.sum())
        cumulative = np.minimum(np.cumsum(share[-1]), 1.0)
        cumulative[-1] = 1.0
        upper.append(number + cumulative)
    lengths = np.concatenate([values for values, _ in histograms]) if histograms else np.empty(0)
    return LengthLaws(
        upper=np.concatenate(upper) if upper else np.empty(0),
        share=np.concatenate(share) if share else np.empty(0),
        low=lengths,
        high=lengths,
        power=np.ones(lengths.size),
    )
