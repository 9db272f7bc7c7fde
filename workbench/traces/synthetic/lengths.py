"""How long prompts and outputs are, as quantile functions: any shape, drawn from one uniform number each.

Prompts have one quantile function; outputs have one for every band of equally many prompts, so however the two depend
on each other is kept, and cached tokens likewise. A law holds quantiles only, never a row; the highest quantile is set
so that the mean of the tail is kept, not to the longest length seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from workbench.errors import TraceError
from workbench.traces.synthetic.laws import Hump

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_TAIL = (0.0005, 0.001, 0.0025, 0.005, 0.0075)
LEVELS = np.array([0.0, *_TAIL, *np.arange(1, 100) / 100, *(1.0 - level for level in reversed(_TAIL)), 0.9999, 1.0])
BAND_LEVELS = np.array([0.0, 0.005, *np.arange(1, 50) / 50, 0.99, 0.995, 1.0])
BANDS = 16
ROWS_PER_BAND = 256


@dataclass(frozen=True, kw_only=True)
class LengthLaw:
    """Quantiles of prompt lengths, and of outputs and cached fractions for each band of equally many prompts.

    ``prompt`` stands at ``LEVELS``; every band of ``output`` and ``cached`` at ``BAND_LEVELS``. ``cached`` is the
    part of a prompt that a prefix cache held (0-1) and empty where it is not known; ``cached_known_fraction`` is the
    share of requests of which it is.
    """

    prompt: tuple[float, ...]
    output: tuple[tuple[float, ...], ...]
    cached: tuple[tuple[float, ...], ...] = ()
    cached_known_fraction: float = 0.0

    def __post_init__(self) -> None:
        wrong = len(self.prompt) != LEVELS.size or not self.output
        wrong |= any(len(band) != BAND_LEVELS.size for band in (*self.output, *self.cached))
        falling = any(np.any(np.diff(values) < 0) for values in (self.prompt, *self.output, *self.cached))
        if wrong or falling or min(self.prompt) < 1 or min(min(band) for band in self.output) < 1:
            raise TraceError(
                f"a length law needs {LEVELS.size} prompt quantiles and {BAND_LEVELS.size} quantiles in every band of "
                "outputs, none below one token and none below the one before it; fit it again, or take the file as it "
                "was written."
            )

    def drawn(self, rows: int, random: np.random.Generator) -> tuple[Counts, Counts, Counts | None]:
        """Draw prompt, output and cached tokens of some requests; cached is -1 where not known, None where never."""
        rank = random.random(rows)
        prompt = np.maximum(np.rint(np.interp(rank, LEVELS, self.prompt)), 1.0)
        output = np.maximum(np.rint(_in_band(self.output, rank, random)), 1.0)
        if not self.cached:
            return prompt.astype(np.int64), output.astype(np.int64), None
        cached = np.floor(_in_band(self.cached, rank, random) * prompt + 1e-9)
        known = random.random(rows) < self.cached_known_fraction
        return prompt.astype(np.int64), output.astype(np.int64), np.where(known, cached, -1.0).astype(np.int64)


def _in_band(bands: tuple[tuple[float, ...], ...], rank: Floats, random: np.random.Generator) -> Floats:
    """Draw from the quantile function of the band in which each rank lies: one long function, a band every 2."""
    band = np.minimum((rank * len(bands)).astype(np.int64), len(bands) - 1)
    levels = (BAND_LEVELS + 2.0 * np.arange(len(bands))[:, None]).ravel()
    return np.interp(random.random(rank.size) + 2.0 * band, levels, np.asarray(bands, dtype=np.float64).ravel())


def law_of_rows(prompt: Counts, output: Counts, cached_fraction: Floats | None = None) -> LengthLaw:
    """Fit a law to the lengths of requests (one entry each); ``cached_fraction`` is NaN where it is not known.

    There are as many bands as have ``ROWS_PER_BAND`` requests each, at most ``BANDS``. Raises TraceError without rows.
    """
    if not prompt.size:
        raise TraceError("no length law can be fitted to no requests; choose a span that has some.")
    order = np.argsort(prompt, kind="stable")
    bands = min(BANDS, max(1, prompt.size // ROWS_PER_BAND))
    known = None if cached_fraction is None else np.isfinite(cached_fraction)
    parts = np.array_split(order, bands)
    cached: tuple[tuple[float, ...], ...] = ()
    if cached_fraction is not None and known is not None and known.any():
        anywhere = cached_fraction[known]
        inside = [cached_fraction[part][known[part]] for part in parts]
        cached = tuple(quantiles_of(values if values.size else anywhere, BAND_LEVELS) for values in inside)
    return LengthLaw(
        prompt=quantiles_of(prompt, LEVELS),
        output=tuple(quantiles_of(output[part], BAND_LEVELS) for part in parts),
        cached=cached,
        cached_known_fraction=0.0 if known is None else float(known.mean()),
    )


def quantiles_of(values: npt.NDArray[np.int64] | Floats, levels: Floats) -> tuple[float, ...]:
    """Return quantiles at some levels from 0 to 1, the last set so that the mean above the last but one is kept."""
    found = np.quantile(values, levels)
    beyond = values[values >= found[-2]]
    found[-1] = np.clip(2.0 * beyond.mean() - found[-2], found[-2], found[-1])
    return tuple(found.tolist())


def law_of_humps(prompt: Sequence[Hump], output: Sequence[Hump], *, longest: tuple[float, float]) -> LengthLaw:
    """Return the law of two mixtures of lognormals that do not depend on each other, cut at the longest lengths."""
    return LengthLaw(prompt=_mixture(prompt, LEVELS, longest[0]), output=(_mixture(output, BAND_LEVELS, longest[1]),))


def law_of_means(prompt_tokens: float, output_tokens: float) -> LengthLaw:
    """Return lognormal lengths of given means and a coefficient of variation of one, for sources that give sums only.

    The same assumption is made where the shape of requests is not known (``features.token_mixes``).
    """
    sigma = float(np.sqrt(np.log(2.0)))
    humps = [
        (Hump(weight=1.0, median_tokens=max(mean, 1.0) / float(np.sqrt(2.0)), sigma=sigma),)
        for mean in (prompt_tokens, output_tokens)
    ]
    law = law_of_humps(humps[0], humps[1], longest=(float("inf"), float("inf")))
    return LengthLaw(
        prompt=_scaled_to(law.prompt, LEVELS, prompt_tokens),
        output=(_scaled_to(law.output[0], BAND_LEVELS, output_tokens),),
    )


def mean_of(quantiles: Sequence[float], levels: Floats) -> float:
    """Return the mean of a quantile function with straight lines between its levels."""
    return float(np.trapezoid(np.asarray(quantiles), levels))


def _scaled_to(quantiles: tuple[float, ...], levels: Floats, mean: float) -> tuple[float, ...]:
    # lengths below one token do not exist: raising them adds to the mean, so a few rounds are needed
    values = np.asarray(quantiles)
    for _ in range(20):
        values = np.maximum(values * (max(mean, 1.0) / mean_of(values.tolist(), levels)), 1.0)
    return tuple(values.tolist())


def _mixture(humps: Sequence[Hump], levels: Floats, longest: float) -> tuple[float, ...]:
    """Quantiles of a mixture of lognormals: its distribution function on a fine grid, read backwards."""
    weights = np.array([hump.weight for hump in humps])
    logs = [np.log(hump.median_tokens) for hump in humps]
    low = min(log - 4.5 * hump.sigma for log, hump in zip(logs, humps, strict=True))
    high = max(log + 4.5 * hump.sigma for log, hump in zip(logs, humps, strict=True))
    grid = np.linspace(low, high, 4001)
    parts = [NormalDist(log, hump.sigma) for log, hump in zip(logs, humps, strict=True)]
    below = sum(weight * np.array([part.cdf(x) for x in grid]) for weight, part in zip(weights, parts, strict=True))
    inside = np.clip(levels, below[0], below[-1])
    values = np.exp(np.interp(inside, np.asarray(below), grid))
    tail = np.exp(np.interp(np.linspace(levels[-2], 1.0, 2002)[1:-1], np.asarray(below), grid)).mean()
    values[-1] = max(2.0 * tail - values[-2], values[-2])
    return tuple(np.clip(values, 1.0, longest).tolist())
