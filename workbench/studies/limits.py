"""What no strategy could have beaten: beside each strategy of a study, the fewest GPU-hours at its own service.

A saving is small for one of two reasons: the strategy is poor, or there is little left to save. The bound of
:mod:`workbench.studies.bounding` tells them apart, since it knows every window beforehand and starts replicas in no
time. It is worked out from a saved study in seconds, and is no part of the scorecard, which holds what was simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from workbench import tables
from workbench.domain import Policy, Tier
from workbench.errors import StudyError
from workbench.results import Study
from workbench.studies.bounding import fewest_gpu_hours
from workbench.studies.pricing import Bound
from workbench.studies.routed import Reach, fewest_gpu_hours_routed, reach

HELD_S = 600.0  # counts of replicas may change as often, or as often as the demand's windows where those are longer
SCHEMA = {
    "strategy": pl.String,
    "label": pl.String,
    "tier": pl.String,
    "slo_attainment_fraction": pl.Float64,
    "gpu_hours": pl.Float64,
    "least_gpu_hours": pl.Float64,
    "least_routed_gpu_hours": pl.Float64,
    "least_at_home_gpu_hours": pl.Float64,
    "avoidable_fraction": pl.Float64,
    "gpu_hours_per_promise": pl.Float64,
}


@dataclass(frozen=True, kw_only=True)
class Least:
    """The bounds of a service: a model's regions ``pooled``, requests ``routed`` anywhere, each region ``at_home``.

    One is null where the strategy kept more promises than it allows, as by sending requests elsewhere.
    """

    pooled: Bound | None = None
    routed: Bound | None = None
    at_home: Bound | None = None

    @property
    def anywhere_gpu_hours(self) -> float | None:
        """Return the hours below which no strategy lies that sends requests where it likes, the higher of two bounds.

        Splits are read on a grid, by which the second may lie a little below the first.
        """
        return max((one.gpu_hours for one in (self.pooled, self.routed) if one is not None), default=None)


def least_gpu_hours(
    study: Study,
    *,
    judged_s: float | None = None,
    waste_saved_fraction: float | None = None,
    tiers_apart: bool = False,
) -> pl.DataFrame:
    """Return for every strategy what it held and the fewest GPU-hours at its own service, over the scored span.

    The service is the share of promises that the strictest tier was kept and the share of deferrable work that was
    served; every model keeps the floor of replicas that the strategy keeps in each region. Three bounds, each higher
    than the one before: ``least_gpu_hours`` with a model's regions pooled as if they were one;
    ``least_routed_gpu_hours`` with pools by region and requests sent anywhere free of charge
    (:mod:`workbench.studies.routed`), below which no router gets that treats the tiers that cannot wait alike, or with
    ``tiers_apart`` none that has one pool in each region; ``least_at_home_gpu_hours`` where every region serves its own
    requests. ``avoidable_fraction`` is what of its GPU-hours perfect knowledge could have saved at most, by the second:
    a strategy at the same service saves no more against it. ``gpu_hours_per_promise`` is what one promise more would
    take, regions pooled.

    Service is judged in windows of ``judged_s`` (null: ten minutes, in which counts are held); shorter ones see how
    load varies inside, which takes more time and gives a higher bound. Where requests are sent anywhere it is always
    judged by the windows in which counts are held. With ``waste_saved_fraction`` replicas of the first and the last
    bound stand for the time of the fastest start before they serve, and all starts together take that much less than
    the baseline wasted. Bounds are null for a strategy under which the tier got no request, and one is where the
    strategy kept more promises than it allows.

    Raises StudyError where a model may stand on several GPU kinds, as their hours cannot be added up, where every tier
    is deferrable, or where the scored span is no whole number of ten minutes (or of the demand's longer windows).
    """
    _refuse(study)
    tier = min(_urgent(study), key=lambda one: one.ttft_slo_s or float("inf"))
    known = {one.model: reach(study.fleet, model=one.model) for one in study.fleet.replicas}
    windows = {"judged_s": judged_s, **_starts(study, waste_saved_fraction)}
    rows = []
    for policy in study.scenario.strategies:
        got = study.scorecard.tiers.filter(pl.col("strategy") == policy.key)
        kept = got.filter(pl.col("tier") == tier.key).get_column("slo_attainment_fraction").item()
        held = _total(study, policy.key, "gpu_hours")
        found = Least() if kept is None else _bounds(study, policy, got, tier, kept, known, windows, tiers_apart)
        least = found.anywhere_gpu_hours
        rows.append(
            {
                "strategy": policy.key,
                "label": policy.label,
                "tier": tier.key,
                "slo_attainment_fraction": kept,
                "gpu_hours": held,
                "least_gpu_hours": _hours(found.pooled),
                "least_routed_gpu_hours": least,
                "least_at_home_gpu_hours": _hours(found.at_home),
                "avoidable_fraction": None if least is None or not held else 1.0 - least / held,
                "gpu_hours_per_promise": None if found.pooled is None else found.pooled.gpu_hours_per_promise,
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def _bounds(
    study: Study,
    policy: Policy,
    got: pl.DataFrame,
    tier: Tier,
    kept: float,
    known: Mapping[str, Reach],
    windows: Mapping[str, float | None],
    tiers_apart: bool,
) -> Least:
    """Return the bounds at what a strategy kept."""
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
        "served_fraction": _served_fraction(study, got),
    }
    how: dict[str, Any] = {name: value for name, value in windows.items() if name != "judged_s"}
    how["window_s"] = windows["judged_s"] or held_s
    regions = [region.key for region in study.fleet.regions]
    alone = {model: one.promise for model, one in known.items()}
    apart = study.demand.with_columns(model=pl.col("model") + "@" + pl.col("region"))
    each = {f"{model}@{region}": promise for model, promise in alone.items() for region in regions}
    return Least(
        pooled=fewest_gpu_hours(study.demand, known=alone, floor_replicas=floor * len(regions), **asked, **how),
        routed=_if_any(
            fewest_gpu_hours_routed, study.demand, known=known, floor_replicas=floor, tiers_apart=tiers_apart, **asked
        ),
        at_home=_if_any(fewest_gpu_hours, apart, known=each, floor_replicas=floor, **asked, **how),
    )


def _if_any(bound: Callable[..., Bound], *given: Any, **asked: Any) -> Bound | None:
    """Return a bound, null where nothing that it allows keeps as many promises."""
    try:
        return bound(*given, **asked)
    except StudyError:
        return None


def _starts(study: Study, waste_saved_fraction: float | None) -> dict[str, float]:
    """Return how long a start takes at least, and what all of them may take; nothing where starts are not asked for."""
    if waste_saved_fraction is None:
        return {}
    policies = study.scenario.strategies
    wasted = _total(study, study.scorecard.baseline, "waste_gpu_hours")
    return {
        "starting_s": min(min(one.reclaim_s, one.swap_s, one.remote_s) for one in policies),
        "most_wasted_gpu_hours": (1.0 - waste_saved_fraction) * wasted,
    }


def _total(study: Study, strategy: str, measure: str) -> float:
    return float(study.scorecard.totals.filter(pl.col("strategy") == strategy).get_column(measure).item())


def _hours(bound: Bound | None) -> float | None:
    return None if bound is None else bound.gpu_hours


def readable(least: pl.DataFrame) -> pl.DataFrame:
    """Return what :func:`least_gpu_hours` gives as a table for people: shares in percent, no number anew."""
    tier = str(least.get_column("tier").first())
    return least.select(
        pl.col("label").alias("strategy"),
        (pl.col("slo_attainment_fraction") * 100).round(2).alias(f"{tier} kept, %"),
        pl.col("gpu_hours").round(0).alias("GPU-hours"),
        pl.col("least_gpu_hours").round(0).alias("the least, regions pooled"),
        pl.col("least_routed_gpu_hours").round(0).alias("requests sent anywhere"),
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
