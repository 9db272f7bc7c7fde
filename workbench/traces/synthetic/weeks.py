"""A seeded synthetic week with the shape that SageServe's characterisation reports, for tests, docs and first runs.

Every series (model, region, tier) has its own random numbers derived from its names, and its own absolute share of the
requests, so leaving one out changes nothing in the others. A week is drawn whole, series by series, and its bytes are
kept from version to version, as studies and docs are made of it; for more rows than fit in memory, and for anything
that differs from the published week, there is :func:`workbench.traces.synthetic.generate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.errors import TraceError, nearest
from workbench.tables import COUNT, INSTANT, REQUESTS, TEXT
from workbench.traces.synthetic.laws import (
    APPS,
    BELL_WIDTH_H,
    LEVEL,
    LONGEST_OUTPUT_TOKENS,
    LONGEST_PROMPT_TOKENS,
    MIDDAY_H,
    MODELS,
    SPIKE_S,
    TIERS,
    UTC_OFFSETS_H,
    WEEKEND_NIGHT_FRACTION,
    Hump,
    ModelLaw,
    TierLaw,
)
from workbench.units import SECONDS_PER_DAY, SECONDS_PER_HOUR, seed_for

STEP_S = 10
STEPS_PER_BURST = 6
SPIKE_STEPS = round(SPIKE_S / STEP_S)
Floats = npt.NDArray[np.float64]
Law = TypeVar("Law")


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
