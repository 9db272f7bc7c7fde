"""Where the fluid engine's figures can be trusted: which windows of which pools lie where it is held to the replay.

What is promised (KV cache 5 %, GPU-hours 3 %, P95 of the first token 10 %, over a day or at a constant load) holds for
pools of four replicas or more at nine tenths of what they can take or less, whose requests do not come in clumps and of
which ten long ones leave a replica room. Near the limit the wait is what is left of two large numbers, a burst shorter
than a step is no load that the engine sees (simulation.md section 4, "Where it fails"), and a replica that a few long
requests fill makes others wait while the pool as a whole, which is what the engine sees, has room.
"""

from __future__ import annotations

import polars as pl

from workbench import performance
from workbench.domain import Fleet, Replica, TokenMix
from workbench.results import SimRun

LEAST_REPLICAS = 4.0
GREATEST_LOAD = 0.9
GREATEST_DISPERSION = 2.0
LEAST_LONG = 10.0
FEW, FULL, CLUMPED = "fewer than four replicas", "above nine tenths of what it can take", "requests come in clumps"
CRAMPED = "a few long requests fill a replica"


def trusted(run: SimRun, fleet: Fleet) -> pl.DataFrame:
    """Return for every window of every pool of a run whether what is promised of the fluid engine covers it.

    Columns: window_start, region, model, gpu, silo, running (mean requests, to weigh by), ``load_fraction`` (of the
    most that the replicas which are ready can take, at the lengths of the fleet's mix), ``is_trusted`` and ``why``: the
    first reason why not, empty where it is. A pool in which nothing runs is not judged: both engines have nothing to
    say about it.
    """
    pools = run.pools.join(_limits(fleet), on=["model", "gpu"], how="left", maintain_order="left")
    return pools.select(
        "window_start",
        "region",
        "model",
        "gpu",
        "silo",
        "running",
        load_fraction=pl.col("work_fraction") / pl.col("greatest"),
        why=pl.when(pl.col("running") + pl.col("waiting") <= 0.0)
        .then(pl.lit(""))
        .when(pl.col("ready") < LEAST_REPLICAS)
        .then(pl.lit(FEW))
        .when(pl.col("work_fraction") > GREATEST_LOAD * pl.col("greatest"))
        .then(pl.lit(FULL))
        .when(pl.col("dispersion") > GREATEST_DISPERSION)
        .then(pl.lit(CLUMPED))
        .when(pl.col("long_requests") < LEAST_LONG)
        .then(pl.lit(CRAMPED))
        .otherwise(pl.lit("")),
    ).with_columns(is_trusted=pl.col("why") == "")


def trusted_fraction(run: SimRun, fleet: Fleet) -> float:
    """Return the share of a run's work that is done where the fluid engine can be trusted, by running requests.

    1 where nothing ran.
    """
    seen = trusted(run, fleet)
    whole = float(seen.get_column("running").sum())
    return float(seen.filter("is_trusted").get_column("running").sum()) / whole if whole > 0.0 else 1.0


def long_requests(replica: Replica, mix: TokenMix) -> float:
    """Return how many requests a replica has slots for, over the square ratio of their prompts.

    A prompt token of what runs belongs to a prompt that is by that ratio longer than the mean one.
    """
    return performance.slots(replica, mix) / max(mix.input_square_ratio, 1.0)


def _limits(fleet: Fleet) -> pl.DataFrame:
    """Return by model and GPU kind the work at which every slot is taken, how clumped arrivals are, how many fit."""
    rows = []
    for replica in fleet.replicas:
        mix = fleet.mixes[replica.model]
        most_rps = performance.max_rps(replica, mix)
        greatest = most_rps * performance.work_s(replica, mix)
        rows.append((replica.model, replica.gpu, greatest, mix.dispersion, long_requests(replica, mix)))
    return pl.DataFrame(rows, schema=["model", "gpu", "greatest", "dispersion", "long_requests"], orient="row")
