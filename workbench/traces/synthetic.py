"""A seeded synthetic week with the shape that SageServe's characterisation reports, for tests, docs and first runs.

The laws stand as data, each with its source; what the paper does not publish is our choice and says so. Every series
(model, region, tier) has its own random numbers derived from its names, and its own absolute share of the requests, so
leaving one out changes nothing in the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.errors import TraceError, nearest
from workbench.tables import COUNT, INSTANT, REQUESTS, TEXT
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, seed_for

PAGE = "sageserve.md section 3.3"
STEP_S = 10
STEPS_PER_BURST = 6
Floats = npt.NDArray[np.float64]
Law = TypeVar("Law")


@dataclass(frozen=True, kw_only=True)
class Hump:
    """One part of a length law: lognormal with this median and sigma, with this weight among the humps."""

    weight: float
    median_tokens: float
    sigma: float


@dataclass(frozen=True, kw_only=True)
class ModelLaw:
    """How one model is used: share of requests, share by region, prompt and output lengths, burstiness."""

    key: str
    share: float
    by_region: Mapping[str, float]
    prompt: tuple[Hump, ...]
    output: tuple[Hump, ...]
    burst_cv: float
    spikes_per_day: float
    spike_ratio: float
    source: str


@dataclass(frozen=True, kw_only=True)
class TierLaw:
    """How one tier arrives: share of requests, hourly shape by weekday (Monday first), none of it where flat."""

    key: str
    share: float
    weekday_peaks: tuple[float, ...]
    night: float
    weekend: float
    source: str


# 43 / 29 / 28 % over all models; one model has four times more load in East than in West (which one: our choice)
LEVEL = {"us_east": 0.3975, "us_central": 0.2875, "us_west": 0.315}
SKEWED = {"us_east": 0.56, "us_central": 0.30, "us_west": 0.14}
UTC_OFFSETS_H = {"us_east": -5.0, "us_central": -6.0, "us_west": -8.0}

# prompt medians of 4-6 thousand, P95 of 10-30 thousand, Bloom's second mode near 450; output medians of 90-200,
# Llama2's half at 10-30 tokens, P99 near 2 000. Shares by model and burstiness are our choice
MODELS: tuple[ModelLaw, ...] = (
    ModelLaw(
        key="llama2_70b",
        share=0.30,
        by_region=LEVEL,
        prompt=(Hump(weight=1.0, median_tokens=5000, sigma=0.80),),
        output=(
            Hump(weight=0.45, median_tokens=18, sigma=0.25),
            Hump(weight=0.525, median_tokens=220, sigma=0.50),
            Hump(weight=0.025, median_tokens=1800, sigma=0.15),
        ),
        burst_cv=0.35,
        spikes_per_day=3.0,
        spike_ratio=3.0,
        source=PAGE,
    ),
    ModelLaw(
        key="bloom_176b",
        share=0.20,
        by_region=SKEWED,
        prompt=(
            Hump(weight=0.25, median_tokens=450, sigma=0.25),
            Hump(weight=0.75, median_tokens=6500, sigma=0.70),
        ),
        output=(Hump(weight=1.0, median_tokens=130, sigma=1.17),),
        burst_cv=0.35,
        spikes_per_day=1.0,
        spike_ratio=2.0,
        source=PAGE,
    ),
    ModelLaw(
        key="llama31_8b",
        share=0.35,
        by_region=LEVEL,
        prompt=(Hump(weight=1.0, median_tokens=4500, sigma=0.70),),
        output=(Hump(weight=1.0, median_tokens=120, sigma=1.20),),
        burst_cv=0.20,
        spikes_per_day=0.0,
        spike_ratio=1.0,
        source=PAGE,
    ),
    ModelLaw(
        key="llama32_3b",
        share=0.15,
        by_region=LEVEL,
        prompt=(Hump(weight=1.0, median_tokens=4000, sigma=0.60),),
        output=(Hump(weight=1.0, median_tokens=95, sigma=1.28),),
        burst_cv=0.25,
        spikes_per_day=1.0,
        spike_ratio=2.0,
        source=PAGE,
    ),
)

# interactive : non-interactive 72 : 28 by requests (page); how the 72 part between fast and normal is our choice.
# Peaks Monday to Friday, night trough and weekend level in requests/s of all models, November 2024
BELLS = (21.0, 22.5, 17.0, 17.5, 19.0)
TIERS: tuple[TierLaw, ...] = (
    TierLaw(key="interactive_fast", share=0.45, weekday_peaks=BELLS, night=6.0, weekend=3.2, source=PAGE),
    TierLaw(key="interactive_normal", share=0.27, weekday_peaks=BELLS, night=8.0, weekend=3.2, source=PAGE),
    TierLaw(key="non_interactive", share=0.28, weekday_peaks=(), night=1.0, weekend=1.0, source=PAGE),
)

# RAG is 41.2 % of requests, then these in this order (page); the other four shares are our choice
APPS: Mapping[str, float] = {
    "rag": 0.412,
    "content_generation": 0.220,
    "workflows": 0.160,
    "chat": 0.120,
    "evaluation": 0.088,
}

MIDDAY_H = 13.0
BELL_WIDTH_H = 3.6
WEEKEND_NIGHT_FRACTION = 0.7
SPIKE_STEPS = 30
LONGEST_PROMPT_TOKENS = 128_000
LONGEST_OUTPUT_TOKENS = 8_000


def week(
    *,
    seed: int,
    requests: float = 1_000_000,
    start: datetime = datetime(2025, 7, 9),
    days: int = 7,
    regions: Mapping[str, float] | None = None,
    models: tuple[str, ...] | None = None,
    tiers: tuple[str, ...] | None = None,
) -> pl.DataFrame:
    """Make requests (``REQUESTS``, in order of arrival) with the reported weekly shape; equal seeds, equal bytes.

    ``requests`` is the expected number for all models, regions and tiers over the span; a subset gets its own part of
    it. ``regions`` maps keys to hours from UTC, which place the working day. The default start is a Wednesday, so the
    last day is a Tuesday. Raises TraceError where a key has no law or the size is not positive.
    """
    places = regions or UTC_OFFSETS_H
    chosen_models = _chosen("model", models, {law.key: law for law in MODELS})
    chosen_tiers = _chosen("tier", tiers, {law.key: law for law in TIERS})
    _chosen("region", tuple(places), LEVEL)
    if requests <= 0 or days < 1:
        raise TraceError(f"a synthetic trace needs a positive number of requests and days, got {requests:g}, {days}.")
    parts = [
        _series(model, tier, region, offset_h, seed=seed, requests=requests, start=start, days=days)
        for model in chosen_models
        for region, offset_h in places.items()
        for tier in chosen_tiers
    ]
    return REQUESTS.conform(pl.concat(parts).sort("arrived_at", maintain_order=True))


def _chosen(what: str, keys: tuple[str, ...] | None, laws: Mapping[str, Law]) -> list[Law]:
    wanted = tuple(laws) if keys is None else keys
    unknown = [key for key in wanted if key not in laws]
    if unknown:
        raise TraceError(f"the synthetic week has no law for {what} '{unknown[0]}': {nearest(unknown[0], laws)}.")
    return [laws[key] for key in wanted]


def _series(
    model: ModelLaw,
    tier: TierLaw,
    region: str,
    offset_h: float,
    *,
    seed: int,
    requests: float,
    start: datetime,
    days: int,
) -> pl.DataFrame:
    random = np.random.default_rng(seed_for(seed, "synthetic", model.key, region, tier.key))
    weights = _weekly_shape(tier, start, days, offset_h)
    expected = requests * model.share * model.by_region[region] * tier.share * weights / weights.sum()
    counts = random.poisson(expected * _bursts(model, days, random))
    rows = int(counts.sum())
    since_s = np.sort(np.repeat(np.arange(counts.size) * float(STEP_S), counts) + random.random(rows) * STEP_S)
    app = np.searchsorted(np.cumsum(list(APPS.values()))[:-1], random.random(rows), side="right")
    return pl.DataFrame(
        {
            "since_us": pl.Series((since_s * 1e6).astype(np.int64)).cast(pl.Duration("us")),
            "app": pl.Series(list(APPS), dtype=TEXT).gather(app),
            "input_tokens": _lengths(model.prompt, LONGEST_PROMPT_TOKENS, rows, random),
            "output_tokens": _lengths(model.output, LONGEST_OUTPUT_TOKENS, rows, random),
        }
    ).with_columns(
        arrived_at=pl.lit(start, dtype=INSTANT) + pl.col("since_us"),
        region=pl.lit(region),
        model=pl.lit(model.key),
        tier=pl.lit(tier.key),
        tenant=pl.lit(None, dtype=TEXT),
        cached_tokens=pl.lit(None, dtype=COUNT),
    )


def _weekly_shape(tier: TierLaw, start: datetime, days: int, offset_h: float) -> Floats:
    """Relative rate of every step: a bell on local weekdays over a night level, a low weekend, or flat."""
    steps = round(days * SECONDS_PER_DAY / STEP_S)
    if not tier.weekday_peaks:
        return np.ones(steps)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = midnight - timedelta(days=start.weekday())
    local_h = ((start - monday).total_seconds() + np.arange(steps) * STEP_S) / SECONDS_PER_HOUR + offset_h
    weekday = (local_h // 24).astype(np.int64) % 7
    bell = np.exp(-0.5 * ((local_h % 24 - MIDDAY_H) / BELL_WIDTH_H) ** 2)
    peaks = np.array([*tier.weekday_peaks, tier.weekend, tier.weekend])
    lows = np.array([tier.night] * 5 + [tier.weekend * WEEKEND_NIGHT_FRACTION] * 2)
    return np.asarray(lows[weekday] + (peaks - lows)[weekday] * bell, dtype=np.float64)


def _bursts(model: ModelLaw, days: int, random: np.random.Generator) -> Floats:
    """Multipliers of mean one: gamma noise that changes every minute, and spikes of a few minutes."""
    steps = round(days * SECONDS_PER_DAY / STEP_S)
    shape = 1.0 / model.burst_cv**2
    level = np.repeat(random.gamma(shape, 1.0 / shape, size=-(-steps // STEPS_PER_BURST)), STEPS_PER_BURST)[:steps]
    spikes = np.ones(steps)
    for first in random.integers(0, steps, size=random.poisson(model.spikes_per_day * days)):
        spikes[first : first + SPIKE_STEPS] = model.spike_ratio
    extra = model.spikes_per_day * SPIKE_STEPS * STEP_S / SECONDS_PER_DAY * (model.spike_ratio - 1.0)
    return np.asarray(level * spikes / (1.0 + extra), dtype=np.float64)


def _lengths(humps: tuple[Hump, ...], longest: int, rows: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    which = np.searchsorted(np.cumsum([hump.weight for hump in humps])[:-1], random.random(rows), side="right")
    median = np.array([hump.median_tokens for hump in humps])[which]
    sigma = np.array([hump.sigma for hump in humps])[which]
    factor = np.exp(sigma * random.standard_normal(rows))
    # a length past the limit is mirrored at the median of its hump: cutting it would pile rows up at the limit
    tokens = np.where(median * factor > longest, median / factor, median * factor)
    return np.asarray(np.maximum(np.rint(tokens), 1.0), dtype=np.int64)
