"""How far the fast engine can be trusted: both engines on the same requests, measure by measure or load by load.

The replay follows every request and is the truth here; the fluid engine's errors are relative to it. :func:`compare`
asks about traffic of one's own under a strategy, :func:`error_map` about one pool under constant loads of many sizes,
which shows where the formulas hold and where not.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import polars as pl

from workbench.domain import Fleet, Policy
from workbench.errors import SimulationError
from workbench.results import CapacityPlan, SimRun, SoFar
from workbench.simulation import run
from workbench.simulation.agreement.drawing import lengths_for
from workbench.simulation.agreement.trials import START, STILL, Trial, chosen, steady
from workbench.simulation.scheduling import Scheduling

if TYPE_CHECKING:
    from workbench.simulation.calibration import Calibration

Progress = Callable[[float], None]
Corrections = Union["Calibration", Sequence["Calibration"], None]

#: What is compared, with its unit. Fractions differ by points, the others by a share of the replay's.
MEASURES: Mapping[str, str] = {
    "kv_cache_used_fraction": "1",
    "running": "requests",
    "gpu_hours": "GPU h",
    "ttft_mean_s": "s",
    "ttft_p50_s": "s",
    "ttft_p95_s": "s",
    "ttft_p99_s": "s",
    "itl_mean_s": "s",
    "slo_attainment_fraction": "1",
    "deferrable_served": "requests",
    "shed": "requests",
}
LEVELS: Mapping[str, float] = {"ttft_p50_s": 0.50, "ttft_p95_s": 0.95, "ttft_p99_s": 0.99}
SATURATED_ABOVE = 0.05  # share of the interactive arrivals that met a saturated pool
FILLING_SHARE = 1.0 / 3.0  # of a trial, at whose start its pool is empty
FLUID_SHARE = 0.2  # of the time that a comparison takes
LOADS, SIZES = (0.3, 0.6, 0.8, 0.9), (1, 4, 8, 16, 40)


def compare(
    requests: pl.DataFrame,
    *,
    fleet: Fleet,
    policy: Policy,
    start: datetime,
    hours: float,
    plan: CapacityPlan | None = None,
    expected: pl.DataFrame | None = None,
    scheduling: Scheduling | None = None,
    calibration: Corrections = None,
    since: datetime | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Run both engines on the same ``REQUESTS`` and return one row per measure of the whole span.

    Columns: measure, unit, fluid, replay, difference (fluid - replay), relative_error (difference / replay; null for
    the attainment, whose difference counts, and where the replay has nought) and is_saturated: a twentieth or more of
    the interactive arrivals met a pool at its limit, for which the fluid's latencies are not made. KV cache is the mean
    over windows and pools by ready replicas; percentiles are those of all interactive requests of the span; a null says
    that no such request came. What lies before ``since`` is left out, such as the filling of pools that start empty; of
    percentiles, which are counted by the hour, the hours that end before it. ``calibration`` corrects the fluid engine.
    Other arguments and errors as of :func:`workbench.simulation.run`.
    """
    both = functools.partial(
        run, requests, fleet=fleet, policy=policy, start=start, hours=hours, plan=plan, expected=expected
    )
    fluid = both(calibration=calibration, progress=_part(progress, 0.0, FLUID_SHARE))
    replay = both(engine="replay", scheduling=scheduling, progress=_part(progress, FLUID_SHARE, 1.0))
    found, true = measures(fluid, fleet, since=since), measures(replay, fleet, since=since)
    return pl.DataFrame(
        {
            "measure": list(MEASURES),
            "unit": list(MEASURES.values()),
            "fluid": [found[name] for name in MEASURES],
            "replay": [true[name] for name in MEASURES],
        },
        schema_overrides={"fluid": pl.Float64, "replay": pl.Float64},
    ).with_columns(
        difference=pl.col("fluid") - pl.col("replay"),
        relative_error=pl.when((pl.col("replay") != 0) & (pl.col("measure") != "slo_attainment_fraction")).then(
            pl.col("fluid") / pl.col("replay") - 1.0
        ),
        is_saturated=pl.lit(is_saturated(fluid, fleet, since=since)),
    )


def _part(progress: Progress | None, low: float, high: float) -> Callable[[SoFar], None] | None:
    """Return a callback that tells of one part of the whole."""
    return None if progress is None else lambda had: progress(low + (high - low) * had.done_fraction)


def _interactive(run_: SimRun, fleet: Fleet, since: datetime) -> pl.DataFrame:
    keys = [tier.key for tier in fleet.tiers if not tier.deferrable]
    return run_.windows.filter(pl.col("tier").is_in(keys) & (pl.col("window_start") >= since))


def is_saturated(run_: SimRun, fleet: Fleet, *, since: datetime | None = None) -> bool:
    """Say whether a twentieth or more of a run's interactive arrivals came in windows that are marked as saturated."""
    windows = _interactive(run_, fleet, since or run_.start)
    hit = pl.col("arrived").filter("is_saturated").sum() > SATURATED_ABOVE * pl.col("arrived").sum()
    return bool(windows.select(hit).item())


def measures(run_: SimRun, fleet: Fleet, *, since: datetime | None = None) -> dict[str, float | None]:
    """Return the ``MEASURES`` of a run, or of what comes after an instant; None where nothing came that has one."""
    since = since or run_.start
    windows, pools = _interactive(run_, fleet, since), run_.pools.filter(pl.col("window_start") >= since)
    held = pl.col("kv_cache_used_fraction") * pl.col("ready")
    sums = pools.select(
        kv_cache_used_fraction=pl.when(pl.col("ready").sum() > 0)
        .then(held.sum() / pl.col("ready").sum())
        .otherwise(0.0),
        running=pl.col("running").sum() / pl.col("window_start").n_unique(),
        gpu_hours=pl.col("gpu_hours").sum(),
    ).row(0, named=True)
    means = {name: _by_arrivals(windows, name) for name in ("ttft_mean_s", "itl_mean_s", "slo_attainment_fraction")}
    deferrable = pl.col("tier").is_in([tier.key for tier in fleet.tiers if tier.deferrable])
    counts = (
        run_.windows.filter(pl.col("window_start") >= since)
        .select(deferrable_served=pl.col("served").filter(deferrable).sum(), shed=pl.col("shed").sum())
        .row(0, named=True)
    )
    hours = run_.ttft.filter(pl.col("window_start") > since - timedelta(hours=1))
    return sums | means | counts | _levels_of(hours)


def _by_arrivals(windows: pl.DataFrame, name: str) -> float | None:
    known = windows.filter(pl.col(name).is_not_null() & (pl.col("arrived") > 0))
    return None if known.is_empty() else float(np.average(known.get_column(name), weights=known.get_column("arrived")))


def _levels_of(histogram: pl.DataFrame) -> dict[str, float | None]:
    """Return the percentiles of all that a ``TTFT_HISTOGRAM`` counts, log-interpolated inside a bin."""
    edges = ("ttft_low_s", "ttft_high_s")
    bins = histogram.group_by(edges).agg(pl.col("requests").sum()).filter(pl.col("requests") > 0).sort(edges)
    if bins.is_empty():
        return dict.fromkeys(LEVELS)
    low, high, counts = (bins.get_column(name).to_numpy() for name in (*edges, "requests"))
    up_to = np.cumsum(counts) / counts.sum()
    logs = np.interp(list(LEVELS.values()), np.append(0.0, up_to), np.append(np.log(low[0]), np.log(high)))
    return dict(zip(LEVELS, np.exp(logs).tolist(), strict=True))


def error_map(
    fleet: Fleet,
    *,
    requests: pl.DataFrame | None = None,
    model: str | None = None,
    gpu: str | None = None,
    loads: Sequence[float] = LOADS,
    replicas: Sequence[int] = SIZES,
    cv_squares: Sequence[float] = (1.0,),
    draws: int = 1,
    least_requests: int = 40_000,
    seed: int = 7,
    scheduling: Scheduling | None = None,
    calibration: Corrections = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return how far the fluid engine is off for one pool under constant loads: one row per load, size and CV^2.

    ``loads`` are shares of what the pool can do at most; ``cv_squares`` those of the gaps between arrivals. Lengths are
    those of ``requests`` (of the model), else lognormal with the moments of the fleet's mix. The pool is the fleet's
    first of the model and GPU kind. With several ``draws`` each cell is simulated so often on requests drawn anew, and
    what it says is of the means over them: the replay of one draw is a sample too. Columns: model, gpu, load_fraction,
    replicas, cv_square, dispersion (of the drawn arrivals at 1 s), requests of all draws, then of every measure NAME
    its relative error ``NAME_error`` (in points for the attainment), the replay's ``ttft_p95_s``, by how much that and
    the KV cache of the replay differ from draw to draw (``ttft_p95_s_spread``, ``kv_cache_used_fraction_spread``:
    standard deviation over mean, null for one draw) and is_saturated (in half of the draws or more). Deterministic for
    a seed. Raises SimulationError for a model that the fleet lacks or a load that is none.
    """
    replica = chosen(fleet, model, gpu)
    if not (loads and replicas and cv_squares and draws >= 1):
        raise SimulationError(
            "an error map needs a load, a size, a CV^2 and a draw or more each; one of the lists is empty, or there is "
            f"no draw (draws is {draws})."
        )
    lengths = lengths_for(fleet.mixes[replica.model], requests, model=replica.model, seed=seed)
    cells = list(itertools.product(cv_squares, replicas, loads))
    rows = []
    for place, (cv_square, count, load) in enumerate(cells):
        one = functools.partial(
            steady,
            fleet,
            replica,
            lengths,
            replicas=count,
            load_fraction=load,
            cv_square=cv_square,
            least_requests=least_requests,
        )
        seeds = [(seed, place, draw) if draw else (seed, place) for draw in range(draws)]
        rows.append(_row([one(seed=drawn) for drawn in seeds], scheduling, calibration))
        if progress is not None:
            progress((place + 1) / len(cells))
    return pl.DataFrame(rows, infer_schema_length=None)


def _row(drawn: Sequence[Trial], scheduling: Scheduling | None, calibration: Corrections) -> dict[str, Any]:
    """Return one row of the error map, from one trial or several alike."""
    first, replica = drawn[0], drawn[0].fleet.replicas[0]
    compared = [
        compare(
            one.requests,
            fleet=one.fleet,
            policy=STILL,
            start=START,
            hours=one.hours,
            scheduling=scheduling,
            calibration=calibration,
            since=START + timedelta(hours=one.hours * FILLING_SHARE),
        )
        for one in drawn
    ]
    means = mean_over(compared)
    return {
        "model": replica.model,
        "gpu": replica.gpu,
        "load_fraction": first.load_fraction,
        "replicas": first.replicas,
        "cv_square": first.cv_square,
        "dispersion": float(np.mean([one.fleet.mixes[replica.model].dispersion for one in drawn])),
        "requests": sum(one.requests.height for one in drawn),
        **{
            f"{name}_error": row["difference"] if name == "slo_attainment_fraction" else row["relative_error"]
            for name, row in means.items()
            if name not in ("deferrable_served", "shed")
        },
        "ttft_p95_s": means["ttft_p95_s"]["replay"],
        "ttft_p95_s_spread": means["ttft_p95_s"]["spread"],
        "kv_cache_used_fraction_spread": means["kv_cache_used_fraction"]["spread"],
        "is_saturated": means["ttft_p95_s"]["is_saturated"],
    }


def mean_over(compared: Sequence[pl.DataFrame]) -> dict[str, dict[str, Any]]:
    """Return by measure what comparisons of draws alike say in the mean: fluid, replay, difference, relative_error.

    ``spread`` is the standard deviation of the replay's over its mean, None for a single draw: what one draw of the
    truth cannot tell apart. is_saturated where half of the draws or more are. What a draw lacks is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for measure in MEASURES:
        rows = [frame.row(by_predicate=pl.col("measure") == measure, named=True) for frame in compared]
        pairs = np.array([(row["fluid"], row["replay"]) for row in rows if None not in (row["fluid"], row["replay"])])
        is_saturated = 2 * sum(row["is_saturated"] for row in rows) >= len(rows)
        found[measure] = dict.fromkeys(("fluid", "replay", "difference", "relative_error", "spread"))
        found[measure]["is_saturated"] = is_saturated
        if not pairs.size:
            continue
        fluid, replay = (float(mean) for mean in pairs.mean(axis=0))
        found[measure] |= {"fluid": fluid, "replay": replay, "difference": fluid - replay}
        if replay != 0.0 and measure != "slo_attainment_fraction":
            found[measure]["relative_error"] = fluid / replay - 1.0
            if len(pairs) > 1:
                found[measure]["spread"] = float(pairs[:, 1].std(ddof=1)) / replay
    return found
