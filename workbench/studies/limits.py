"""What no strategy could have beaten: beside each strategy of a study, the fewest GPU-hours at its own service.

A saving is small for one of two reasons: the strategy is poor, or there is little left to save. The bound of
:mod:`workbench.studies.bounding` tells them apart, since it knows every window beforehand and starts replicas in no
time. It is worked out from a saved study in seconds, and is no part of the scorecard, which holds what was simulated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from workbench import tables
from workbench.domain import Policy, Tier
from workbench.errors import StudyError
from workbench.results import Study
from workbench.simulation import promises
from workbench.simulation.promises import Promises
from workbench.studies.bounding import Bound, fewest_gpu_hours

HELD_S = 600.0  # counts of replicas may change as often, or as often as the demand's windows where those are longer
SCHEMA = {
    "strategy": pl.String,
    "label": pl.String,
    "tier": pl.String,
    "slo_attainment_fraction": pl.Float64,
    "gpu_hours": pl.Float64,
    "least_gpu_hours": pl.Float64,
    "least_at_home_gpu_hours": pl.Float64,
    "avoidable_fraction": pl.Float64,
    "gpu_hours_per_promise": pl.Float64,
}


def least_gpu_hours(study: Study, *, judged_s: float | None = None) -> pl.DataFrame:
    """Return for every strategy what it held and the fewest GPU-hours at its own service, over the scored span.

    The service is the share of promises that the strictest tier was kept and the share of deferrable work that was
    served; every model keeps the floor of replicas that the strategy keeps in each region. ``avoidable_fraction`` is
    what of its GPU-hours perfect knowledge could have saved at most: a strategy at the same service saves no more
    against it. ``gpu_hours_per_promise`` is what one promise more would take there. ``least_at_home_gpu_hours`` is the
    bound where every region serves its own requests: a pool of a region is smaller than one of all regions together,
    and what is sent elsewhere pays for the way. Service is judged in windows of ``judged_s`` (null: ten minutes, in
    which counts are held); shorter ones see how load varies inside, which takes more time and gives a higher bound.
    The bounds are null for a strategy under which the tier got no request.

    Raises StudyError where a model may stand on several GPU kinds, as their hours cannot be added up, where every tier
    is deferrable, or where the scored span is no whole number of ten minutes (or of the demand's longer windows).
    """
    _refuse(study)
    tier = min(_urgent(study), key=lambda one: one.ttft_slo_s or float("inf"))
    known = {one.model: promises.promises(study.fleet, model=one.model) for one in study.fleet.replicas}
    rows = []
    for policy in study.scenario.strategies:
        got = study.scorecard.tiers.filter(pl.col("strategy") == policy.key)
        kept = got.filter(pl.col("tier") == tier.key).get_column("slo_attainment_fraction").item()
        held = study.scorecard.totals.filter(pl.col("strategy") == policy.key).get_column("gpu_hours").item()
        found, at_home = (None, None) if kept is None else _bounds(study, policy, got, tier, kept, known, judged_s)
        least = None if found is None else found.gpu_hours
        rows.append(
            {
                "strategy": policy.key,
                "label": policy.label,
                "tier": tier.key,
                "slo_attainment_fraction": kept,
                "gpu_hours": held,
                "least_gpu_hours": least,
                "least_at_home_gpu_hours": None if at_home is None else at_home.gpu_hours,
                "avoidable_fraction": None if least is None or not held else 1.0 - least / held,
                "gpu_hours_per_promise": None if found is None else found.gpu_hours_per_promise,
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def _bounds(
    study: Study,
    policy: Policy,
    got: pl.DataFrame,
    tier: Tier,
    kept: float,
    known: Mapping[str, Promises],
    judged_s: float | None,
) -> tuple[Bound, Bound | None]:
    """Return the bounds of a strategy with a model's regions pooled, and with each region by itself.

    The second is null where the strategy kept more promises than that allows, by sending requests elsewhere.
    """
    warmup_hours, own_s = study.scenario.warmup_hours, tables.window_s_of(study.demand)
    held_s = own_s * math.ceil(HELD_S / own_s)
    floor = policy.floor_replicas * policy.silos
    asked: dict[str, Any] = {
        "fleet": study.fleet,
        "tier": tier.key,
        "kept_fraction": kept,
        "start": study.as_of + timedelta(hours=warmup_hours),
        "hours": study.hours - warmup_hours,
        "hold_s": held_s,
        "window_s": held_s if judged_s is None else judged_s,
        "served_fraction": _served_fraction(study, got),
    }
    regions = [region.key for region in study.fleet.regions]
    pooled = fewest_gpu_hours(study.demand, known=known, floor_replicas=floor * len(regions), **asked)
    apart = study.demand.with_columns(model=pl.col("model") + "@" + pl.col("region"))
    each = {f"{model}@{region}": promise for model, promise in known.items() for region in regions}
    try:
        return pooled, fewest_gpu_hours(apart, known=each, floor_replicas=floor, **asked)
    except StudyError:
        return pooled, None


def readable(least: pl.DataFrame) -> pl.DataFrame:
    """Return what :func:`least_gpu_hours` gives as a table for people: shares in percent, no number anew."""
    tier = str(least.get_column("tier").first())
    return least.select(
        pl.col("label").alias("strategy"),
        (pl.col("slo_attainment_fraction") * 100).round(2).alias(f"{tier} kept, %"),
        pl.col("gpu_hours").round(0).alias("GPU-hours"),
        pl.col("least_gpu_hours").round(0).alias("the least at that service"),
        pl.col("least_at_home_gpu_hours").round(0).alias("each region by itself"),
        (pl.col("avoidable_fraction") * 100).round(1).alias("nobody saves more, %"),
    )


def _urgent(study: Study) -> list[Tier]:
    return [tier for tier in study.fleet.tiers if not tier.deferrable]


def _served_fraction(study: Study, got: pl.DataFrame) -> float:
    """Return how much of the deferrable work that came was served, at most all of it."""
    waits = got.filter(pl.col("tier").is_in([tier.key for tier in study.fleet.tiers if tier.deferrable]))
    arrived = float(waits.get_column("arrived").sum())
    return min(float(waits.get_column("served").sum()) / arrived, 1.0) if arrived > 0 else 1.0


def _refuse(study: Study) -> None:
    kinds: dict[str, list[str]] = {}
    for replica in study.fleet.replicas:
        kinds.setdefault(replica.model, []).append(replica.gpu)
    mixed = [f"{model} on {', '.join(gpus)}" for model, gpus in kinds.items() if len(gpus) > 1]
    if mixed:
        raise StudyError(
            f"study {study.id} has no bound in GPU-hours: {mixed[0]}, whose hours are not worth the same; run it with "
            "one kind (gpus)."
        )
    if not _urgent(study):
        raise StudyError(
            f"study {study.id} has no bound: every tier may wait, and none of them promises a first token."
        )
