"""Single requests drawn from what is known about them: lengths, arrivals, and whole loads that are known as sums only.

Lengths are those of given requests, drawn again with replacement, or lognormal with the moments of a token mix.
Arrivals are a renewal process with gamma gaps in a time that runs as fast as the load, whose squared coefficient of
variation is at long scales the index of dispersion of its counts: 1 is Poisson.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet, TokenMix
from workbench.errors import SimulationError
from workbench.tables import DEMAND, INSTANT, REQUESTS, window_s_of
from workbench.units import SECONDS_PER_HOUR, SECONDS_PER_MINUTE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
QUANTILES: Floats = (np.arange(24) + 0.5) / 24  # shares of the prompts at which a mix tells their lengths
LEAST_CV_SQUARE = 0.01  # gaps as good as equal: a gamma distribution has no less than some spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Lengths:
    """Prompt and output lengths of requests, pair by pair, that are drawn from."""

    input_tokens: Ints
    output_tokens: Ints


def lengths_of(requests: pl.DataFrame) -> Lengths:
    """Return the lengths of ``REQUESTS``. Raises SimulationError where there are none."""
    if requests.is_empty():
        raise SimulationError("no request says how long requests are; hand over REQUESTS with at least one row.")
    return Lengths(
        input_tokens=requests.get_column("input_tokens").to_numpy(),
        output_tokens=requests.get_column("output_tokens").to_numpy(),
    )


def lengths_for(mix: TokenMix, requests: pl.DataFrame | None, *, model: str, seed: int) -> Lengths:
    """Return the lengths of a model's ``REQUESTS``, or without any the lognormal ones of its mix."""
    if requests is None:
        return lengths_like(mix, np.random.default_rng(seed))
    return lengths_of(requests.filter(pl.col("model") == model))


def lengths_like(mix: TokenMix, rng: np.random.Generator, count: int = 50_000) -> Lengths:
    """Draw lognormal lengths with the mix's means, squares and product; the third moment is what follows from those."""
    wide, long = (math.sqrt(math.log(max(ratio, 1.0))) for ratio in (mix.input_square_ratio, mix.output_square_ratio))
    joined = min(max(math.log(max(mix.cross_ratio, 1e-9)) / max(wide * long, 1e-12), -1.0), 1.0)
    first = rng.standard_normal(count)
    second = joined * first + math.sqrt(1.0 - joined * joined) * rng.standard_normal(count)

    def whole(mean: float, width: float, normal: Floats) -> Ints:
        return np.maximum(np.round(mean * np.exp(width * normal - 0.5 * width * width)), 1.0).astype(np.int64)

    return Lengths(
        input_tokens=whole(mix.input_tokens, wide, first), output_tokens=whole(mix.output_tokens, long, second)
    )


def mix_of(requests: pl.DataFrame) -> TokenMix:
    """Return the moments of ``REQUESTS`` and the dispersion of their arrivals at 1 s, trends of minutes left out.

    The dispersion is 1 where they last less than two minutes. Raises SimulationError where there are none.
    """
    lengths = lengths_of(requests)
    return moments_of(lengths, dispersion=_dispersion_at_1s(requests.get_column("arrived_at")))


def moments_of(lengths: Lengths, *, dispersion: float) -> TokenMix:
    """Return the token mix of lengths that come with a dispersion, the quantiles of the prompts included."""
    prompts, outputs = lengths.input_tokens.astype(float), lengths.output_tokens.astype(float)
    prompt, output = float(prompts.mean()), float(outputs.mean())
    return TokenMix(
        input_tokens=prompt,
        output_tokens=output,
        input_square_ratio=float((prompts**2).mean()) / prompt**2,
        input_cube_ratio=float((prompts**3).mean()) / prompt**3,
        output_square_ratio=float((outputs**2).mean()) / output**2,
        cross_ratio=float((prompts * outputs).mean()) / (prompt * output),
        dispersion=dispersion,
        input_quantile_ratios=tuple((np.quantile(prompts, QUANTILES) / prompt).tolist()),
    )


def _dispersion_at_1s(arrived_at: pl.Series) -> float:
    minute = int(SECONDS_PER_MINUTE)
    counts = np.bincount((arrived_at - arrived_at.min()).dt.total_seconds().to_numpy())
    counts = counts[: len(counts) // minute * minute].reshape(-1, minute)
    return float(counts.var(axis=1, ddof=1).mean() / counts.mean()) if counts.shape[0] >= 2 and counts.any() else 1.0


def arrivals(rng: np.random.Generator, rps: Floats, window_s: float, *, cv_square: float = 1.0) -> Floats:
    """Return instants in seconds, in order, of arrivals at a rate per window; ``cv_square`` is that of their gaps."""
    expected = np.concatenate([[0.0], np.cumsum(rps) * window_s])
    whole, spread = float(expected[-1]), max(cv_square, LEAST_CV_SQUARE)
    if whole <= 0.0:
        return np.zeros(0)
    count = int(whole + 8.0 * math.sqrt(whole * max(spread, 1.0)) + 10.0 * max(spread, 1.0))
    passed = np.cumsum(rng.gamma(1.0 / spread, spread, count))
    edges = np.arange(expected.size) * window_s
    at_s: Floats = np.interp(passed[passed < whole], expected, edges)
    return at_s


def requests_at(
    at_s: Floats, lengths: Lengths, rng: np.random.Generator, *, start: datetime, region: str, model: str, tier: str
) -> pl.DataFrame:
    """Return ``REQUESTS`` that arrive at those seconds after the start, with lengths drawn with replacement."""
    rows = rng.integers(0, lengths.input_tokens.size, at_s.size)
    drawn = pl.DataFrame(
        {
            "us": (at_s * 1e6).astype(np.int64),
            "input_tokens": lengths.input_tokens[rows],
            "output_tokens": lengths.output_tokens[rows],
        }
    )
    return REQUESTS.conform(
        drawn.select(
            "input_tokens",
            "output_tokens",
            arrived_at=pl.lit(start).cast(INSTANT) + pl.duration(microseconds="us"),
            region=pl.lit(region),
            model=pl.lit(model),
            tier=pl.lit(tier),
            app=pl.lit(None, pl.String),
            tenant=pl.lit(None, pl.String),
            cached_tokens=pl.lit(None, pl.Int64),
        )
    )


def requests_like(demand: pl.DataFrame, fleet: Fleet, *, start: datetime, hours: float, seed: int = 7) -> pl.DataFrame:
    """Draw ``REQUESTS`` for ``DEMAND``, of which single requests are not known: as many as it has, in chance.

    Every series arrives at the rates of its windows with the dispersion of its model's mix; lengths are lognormal with
    the mix's moments. A gap brings nothing. In order of arrival, and deterministic for a seed. Raises TableError on
    rows that are no demand.
    """
    inside = pl.col("window_start").is_between(start, start + timedelta(hours=hours), closed="left")
    window_s, rows = window_s_of(demand), DEMAND.conform(demand).filter(inside)
    windows = math.ceil(hours * SECONDS_PER_HOUR / window_s - 1e-9)
    parts = [REQUESTS.empty()]
    for place, ((region, model, tier), part) in enumerate(
        rows.group_by("region", "model", "tier", maintain_order=True)
    ):
        rng, mix = np.random.default_rng([seed, place]), fleet.mixes[str(model)]
        rps = np.zeros(windows)
        slot = (part.get_column("window_start") - start).dt.total_microseconds().to_numpy() / (window_s * 1e6)
        rps[slot.astype(int)] = part.get_column("requests").fill_null(0.0).to_numpy() / window_s
        at_s = arrivals(rng, rps, window_s, cv_square=mix.dispersion)
        at_s = at_s[at_s < hours * SECONDS_PER_HOUR]
        lengths = lengths_like(mix, rng, max(at_s.size, 1))
        parts.append(requests_at(at_s, lengths, rng, start=start, region=str(region), model=str(model), tier=str(tier)))
    return pl.concat(parts).sort("arrived_at")
