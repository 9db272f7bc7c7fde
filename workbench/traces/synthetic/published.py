"""The published laws as a workload: four models, three regions in their own time zones, three tiers.

The level is that of November 2024 (sageserve.md section 3.1: 7.2 million requests in the week); everything else comes
from :mod:`workbench.traces.synthetic.laws`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from workbench.traces.synthetic.laws import (
    APPS,
    BELL_WIDTH_H,
    LONGEST_OUTPUT_TOKENS,
    LONGEST_PROMPT_TOKENS,
    MIDDAY_H,
    MODELS,
    SPIKE_S,
    TIERS,
    UTC_OFFSETS_H,
    WEEKEND_NIGHT_FRACTION,
    ModelLaw,
    TierLaw,
)
from workbench.traces.synthetic.lengths import law_of_humps
from workbench.traces.synthetic.rhythms import FLAT, WEEK_S, Noise, Rhythm, Spikes, rhythm_of_means
from workbench.traces.synthetic.workloads import MONDAY, Part, Stream, Usage, Workload

REQUESTS_PER_WEEK = 7_200_000
START = datetime(2025, 7, 9)
SLOTS_PER_HOUR = 4


def published(*, utc_offsets_h: Mapping[str, float] = UTC_OFFSETS_H) -> Workload:
    """Return the workload of the published laws; ``utc_offsets_h`` places the working day of each region."""
    rps = REQUESTS_PER_WEEK / WEEK_S
    streams = tuple(
        Stream(
            region=region,
            model=model.key,
            tier=tier.key,
            rps=rps * model.share * model.by_region[region] * tier.share,
            rhythm=working_week(tier, offset_h),
            noise=(Noise(dwell_s=60.0, cv=model.burst_cv),),
            spikes=_spikes(model),
        )
        for model in MODELS
        for region, offset_h in utc_offsets_h.items()
        for tier in TIERS
    )
    apps = tuple(Part(key=key, share=share) for key, share in APPS.items())
    longest = (LONGEST_PROMPT_TOKENS, LONGEST_OUTPUT_TOKENS)
    laws = {model.key: law_of_humps(model.prompt, model.output, longest=longest) for model in MODELS}
    usages = tuple(
        Usage(model=model, tier=tier.key, lengths=law, apps=apps) for model, law in laws.items() for tier in TIERS
    )
    return Workload(
        source=f"published laws ({MODELS[0].source})",
        start=START,
        days=7.0,
        anchor=MONDAY,
        streams=streams,
        usages=usages,
    )


def working_week(tier: TierLaw, utc_offset_h: float) -> Rhythm:
    """Return a bell on local weekdays over a night level and a low weekend, or a flat line, from Monday 0:00 UTC."""
    if not tier.weekday_peaks:
        return FLAT
    local_h = (np.arange(7 * 24 * SLOTS_PER_HOUR) + 0.5) / SLOTS_PER_HOUR + utc_offset_h
    weekday = (local_h // 24).astype(np.int64) % 7
    bell = np.exp(-0.5 * ((local_h % 24 - MIDDAY_H) / BELL_WIDTH_H) ** 2)
    peaks = np.array([*tier.weekday_peaks, tier.weekend, tier.weekend])
    lows = np.array([tier.night] * 5 + [tier.weekend * WEEKEND_NIGHT_FRACTION] * 2)
    return rhythm_of_means(lows[weekday] + (peaks - lows)[weekday] * bell, period_s=WEEK_S)


def _spikes(model: ModelLaw) -> Spikes | None:
    if not model.spikes_per_day:
        return None
    return Spikes(per_day=model.spikes_per_day, ratio=model.spike_ratio, length_s=SPIKE_S)
