"""What a model keeps ready beyond its forecast, learned from what its past hours would have cost.

One headroom for all models is dear where models differ: it is set for the one that errs most and paid for by all. A
share of the forecast is the wrong form as well, for a load of few clients: what comes on top of 10 replicas and of 40
is nearer in number than in share, so that a share that covers the small hours overpays the large ones. And how long a
load that fell away should be kept servable is another question for each model. So a :class:`Reserve` has a share, a
part that grows with the root of the load (square-root staffing), and the hours that it remembers. Every such rule is
charged with what it would have cost of late, a replica-hour of work that is missed being worth ``missed_cost_ratio``
replica-hours held; only hours that are over are looked at, older ones for less.

A model does not get the rule that was cheapest, which in a day or two is so by luck, but the mean of all, weighted by
how little each cost: the exponentially weighted forecaster with discounted past (Cesa-Bianchi and Lugosi, "Prediction,
Learning, and Games", 2006, chapters 2.1 and 2.11). On the weeks of ``tests.planning.quality_table`` that is up to 4 %
cheaper at equal shortfall than to follow the cheapest, and where it is dearer at most a quarter of a percent; but 2 to
5 % dearer on SageServe's weekend with the series that stops for hours and comes back.

How the shares, roots, hours, the half-life and TRUST are spaced was chosen with these weeks in view, their judged days
among them; TRUST from 2 to 4 is as good.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import tables
from workbench.domain import RiskPolicy, Tier
from workbench.planning.peaks import Reserve
from workbench.planning.recent_peaks import recently_seen
from workbench.planning.requirement import require
from workbench.results import Forecast
from workbench.units import SECONDS_PER_HOUR

HOUR = timedelta(hours=1)
HALF_LIFE_H = 24.0
LEAST_HOURS = 24
TRUST = 3.0  # a rule that has cost as much more than the best as the best costs in an hour counts e^-TRUST of it
LEAST_WEIGHT = 0.01
KEPT = ((0.0, 0.0), *itertools.product((1.0, 3.0, 6.0), (0.6, 0.8, 1.0)))
HEADROOM_FRACTIONS = (0.0, -0.2, 0.2, -0.4, 0.4, 0.6, 0.8, 1.0)
ROOT_REPLICAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class PastHour:
    """An hour that is over: by model, what it needed by each rule of KEPT, and what came in its windows, in tokens/s.

    ``needs`` [KEPT] is the interactive requirement over all regions without any headroom, ``came`` [windows] the
    interactive load over all regions; a model is left out of that where the source has a gap in the whole hour, and of
    both where all of its work may wait.
    """

    as_of: datetime
    needs: Mapping[str, NDArray[np.float64]]
    came: Mapping[str, NDArray[np.float64]]


def past_hour(forecast: Forecast, *, risk: RiskPolicy, tiers: Sequence[Tier], observed: pl.DataFrame) -> PastHour:
    """Put what a forecast would have had an hour sized for beside what came in it.

    ``forecast`` is the one made at the begin of the hour, of which only that hour is read, and ``observed`` the demand,
    as DEMAND in windows of the forecast's length or shorter, from the hours that KEPT remembers to the hour's end.
    Raises PlanError as ``require`` does.
    """
    ends = forecast.as_of + HOUR
    hour = Forecast(
        frame=forecast.frame.filter(pl.col("window_start") < ends),
        notes=forecast.notes,
        as_of=forecast.as_of,
        window_s=forecast.window_s,
        method=forecast.method,
    )
    waits = [tier.key for tier in tiers if tier.deferrable]
    seen_s = tables.window_s_of(observed)
    inside = observed.filter(
        pl.col("window_start").is_between(forecast.as_of, ends, closed="left"), ~pl.col("tier").is_in(waits)
    )
    windows = pl.DataFrame(
        {
            "window_start": [
                forecast.as_of + timedelta(seconds=i * seen_s) for i in range(round(SECONDS_PER_HOUR / seen_s))
            ]
        },
        schema={"window_start": tables.INSTANT},
    )
    needs = _needs(hour, risk=risk, tiers=tiers, observed=observed)
    came = {model: _came(inside.filter(pl.col("model") == model), windows, seen_s) for model in needs}
    return PastHour(
        as_of=forecast.as_of,
        needs=needs,
        came={model: rates for model, rates in came.items() if rates.size},
    )


def learn_reserves(
    past: Sequence[PastHour],
    *,
    rates: pl.DataFrame,
    missed_cost_ratio: float,
    half_life_h: float = HALF_LIFE_H,
) -> dict[str, tuple[Reserve, ...]]:
    """Return for each model what it should keep ready: rules with weights by what they cost in the hours that are over.

    An hour costs the replicas that are held, whole ones of the model's fastest GPU kind (``rates`` as REPLICA_RATES),
    and ``missed_cost_ratio`` times those that were lacking on the mean of its windows; it counts half as much for every
    ``half_life_h`` that it lies back. A model has at most one rule for each of KEPT, with the mean of what is added to
    it. A model with fewer than LEAST_HOURS such hours is left out: its requirement is then that of the risk policy.
    """
    fastest = dict(rates.group_by("model").agg(pl.col("input_tps").max()).iter_rows())
    found = {}
    for model, theta in sorted(fastest.items()):
        hours = [hour for hour in past if model in hour.came]
        if len(hours) < LEAST_HOURS:
            continue
        newest = max(hour.as_of for hour in hours)
        weights = np.array([0.5 ** ((newest - hour.as_of) / HOUR / half_life_h) for hour in hours])
        cost = weights @ _costs(hours, model, theta, missed_cost_ratio) / weights.sum()
        found[model] = _mean_rules(_say(cost, float(weights.sum())), theta)
    return found


CANDIDATES = tuple(itertools.product(range(len(KEPT)), HEADROOM_FRACTIONS, ROOT_REPLICAS))


def _say(cost: NDArray[np.float64], hours: float) -> NDArray[np.float64]:
    """Return how much say each candidate has, by what an hour cost with it and how many hours that is the mean of."""
    least = float(cost.min())
    if least == 0.0:  # nothing was needed and nothing came: the first keeps nothing for it
        return np.asarray(np.eye(1, cost.size, int(np.argmin(cost)))[0])
    say = np.exp(-TRUST * hours * (cost / least - 1.0))
    return np.asarray(say / say.sum())


def _mean_rules(say: NDArray[np.float64], theta: float) -> tuple[Reserve, ...]:
    """Return the rules of KEPT that have a say, the heaviest first, each with the mean share and root added to it."""
    kept, share, root = (np.array(values) for values in zip(*CANDIDATES, strict=True))
    weights = np.bincount(kept, say, len(KEPT))
    heard = [rule for rule in np.argsort(-weights, kind="stable") if weights[rule] >= LEAST_WEIGHT]
    shares, roots = (np.bincount(kept, say * values, len(KEPT)) for values in (share, root))
    return tuple(
        Reserve(
            weight=float(weights[rule] / weights[heard].sum()),
            headroom_fraction=float(shares[rule] / weights[rule]),
            root_input_tps=float(roots[rule] / weights[rule]) ** 2 * theta,
            recent_peak_hours=KEPT[rule][0],
            recent_peak_fraction=KEPT[rule][1],
        )
        for rule in heard
    )


def _costs(hours: Sequence[PastHour], model: str, theta: float, missed_cost_ratio: float) -> NDArray[np.float64]:
    """Return [hour, candidate] what an hour costs, in replica-hours."""
    kept, share, root = (np.array(values) for values in zip(*CANDIDATES, strict=True))
    needed = np.array([hour.needs[model] for hour in hours])[:, kept] / theta
    counts = np.ceil(needed * (1.0 + share) + root * np.sqrt(needed) - 1e-9)
    missed = np.array(
        [
            np.maximum(0.0, hour.came[model][:, None] / theta - held).mean(axis=0)
            for hour, held in zip(hours, counts, strict=True)
        ]
    )
    return np.asarray(counts + missed_cost_ratio * missed)


def _needs(
    hour: Forecast, *, risk: RiskPolicy, tiers: Sequence[Tier], observed: pl.DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Return by model what each rule of KEPT would have asked for: of each region the highest of what counts there.

    The same as :func:`require` with a :class:`Reserve` of each rule, in one pass.
    """
    bare = dataclasses.replace(risk, headroom_fraction=0.0, recent_peak_hours=0.0)
    asked = require(hour, risk=bare, tiers=tiers)
    interactive = asked.filter(~pl.col("is_deferrable"))
    ahead = interactive.group_by("region", "model").agg(pl.col("input_tps").sum().alias("foreseen"))
    series = interactive.select(pl.col("window_start").alias("plan_window"), "region", "model", "tier")
    longest = max(hours for hours, _ in KEPT)
    seen = recently_seen(observed, series, hours=longest, as_of=hour.as_of, window_s=hour.window_s)
    sums = seen.group_by("window_start", "region", "model").agg(pl.col("input_tps").sum())
    by_rule = ahead.join(
        sums.group_by("region", "model").agg(
            (pl.col("input_tps").filter(pl.col("window_start") >= hour.as_of - hours * HOUR).max() * fraction).alias(
                str(rule)
            )
            for rule, (hours, fraction) in enumerate(KEPT)
        ),
        on=("region", "model"),
        how="left",
    )
    rules = [str(rule) for rule in range(len(KEPT))]
    needed = by_rule.group_by("model").agg(pl.max_horizontal("foreseen", rule).sum().alias(rule) for rule in rules)
    return {model: np.array(needs) for model, *needs in needed.iter_rows()}


def _came(inside: pl.DataFrame, windows: pl.DataFrame, seen_s: float) -> NDArray[np.float64]:
    """Return the rates of the windows without a gap of the source; a window without a row had none."""
    gaps = inside.filter(pl.col("input_tokens").is_null()).select("window_start").unique()
    sums = inside.group_by("window_start").agg(pl.col("input_tokens").sum() / seen_s)
    every = windows.join(gaps, on="window_start", how="anti").join(sums, on="window_start", how="left")
    return every.get_column("input_tokens").fill_null(0.0).to_numpy()
