"""What share of its promises a pool keeps at a constant load, by its size and by how loaded each replica is.

A large pool keeps its promises at loads at which a small one does not: an arrival finds a replica without prompts
pending more often. So what a replica is worth depends on how many stand beside it, and neither a fixed signal nor one
rate for all pools says when a promise breaks. The shares are those of the fluid engine itself, run once for all sizes
and loads side by side, each a pool of its own that nothing scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import performance
from workbench.domain import Fleet, Replica
from workbench.errors import SimulationError
from workbench.simulation import run
from workbench.simulation.agreement.trials import START, STILL, chosen
from workbench.tables import DEMAND
from workbench.units import SECONDS_PER_HOUR

Floats = NDArray[np.float64]
SIZES: tuple[int, ...] = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
LOADS: tuple[float, ...] = (0.05, 0.15, 0.3, 0.4, 0.5, *(0.55 + 0.025 * i for i in range(18)), 0.99)
SETTLED_S = 1800.0  # by then batches have filled and their spread is that of the steady state


@dataclass(frozen=True, kw_only=True, eq=False)
class Promises:
    """The share of promises that a pool of one model keeps at a constant load.

    ``kept`` holds for each tier that cannot wait an array over ``sizes`` (replicas) and ``loads`` (requests a second
    over ``most_rps``, the most that a replica can take).
    """

    model: str
    gpu: str
    gpus_per_replica: int
    most_rps: float
    sizes: tuple[int, ...]
    loads: tuple[float, ...]
    kept: Mapping[str, Floats]

    def kept_fraction(self, tier: str, replicas: Floats, rps: Floats) -> Floats:
        """Return the share kept by pools of so many replicas at so many requests a second, arrays of one shape.

        Between loads and between the logarithms of sizes it is interpolated; below the first and over the last size
        the pool counts as that one. At ``most_rps`` each and more, a pool keeps nothing.
        """
        loads = np.array([0.0, *self.loads, max(1.0, self.loads[-1] + 1e-9)])
        table = np.column_stack([self.kept[tier][:, :1], self.kept[tier], np.zeros(len(self.sizes))])
        load = np.clip(rps / (np.maximum(replicas, 1e-9) * self.most_rps), 0.0, loads[-1])
        after = np.clip(np.searchsorted(loads, load), 1, loads.size - 1)
        part = (load - loads[after - 1]) / (loads[after] - loads[after - 1])
        if len(self.sizes) == 1:
            return _between(table, np.zeros_like(after), after, part)
        sizes = np.log(self.sizes)
        size = np.clip(np.log(np.maximum(replicas, 1e-9)), sizes[0], sizes[-1])
        above = np.clip(np.searchsorted(sizes, size), 1, sizes.size - 1)
        share = (size - sizes[above - 1]) / (sizes[above] - sizes[above - 1])
        smaller, larger = _between(table, above - 1, after, part), _between(table, above, after, part)
        found: Floats = smaller * (1.0 - share) + larger * share
        return found


def promises(
    fleet: Fleet,
    *,
    model: str,
    gpu: str | None = None,
    sizes: tuple[int, ...] = SIZES,
    loads: tuple[float, ...] = LOADS,
    network_latency_s: float | None = None,
) -> Promises:
    """Return what share of its promises a pool of a model keeps, from the fluid engine at constant loads.

    ``gpu`` null takes the first kind that the fleet has the model on. ``loads`` are shares of the most that a replica
    can take. Requests are on the way for ``network_latency_s``, null for the fleet's time inside its first region.
    Raises SimulationError where the fleet has
    no such replica or no tier that cannot wait.
    """
    kind = chosen(fleet, model, gpu)
    if not all(0.0 < load < 1.0 for load in loads) or not all(size >= 1 for size in sizes):
        raise SimulationError(f"promises of {model}: loads must lie between 0 and 1, and sizes be 1 or more.")
    bare = _side_by_side(fleet, kind, sizes=sizes, loads=loads, network_latency_s=network_latency_s)
    most = performance.max_rps(kind, fleet.mixes[model])
    demand = _constant(bare, {key: most * size * load for key, size, load in _cells(sizes, loads)})
    hours = SETTLED_S / SECONDS_PER_HOUR
    done = run(demand, fleet=bare, policy=STILL, start=START, hours=hours, demand_window_s=SETTLED_S)
    last = done.windows.filter(pl.col("window_start") == pl.col("window_start").max()).sort("model")
    kept = {
        tier.key: last.filter(pl.col("tier") == tier.key)
        .get_column("slo_attainment_fraction")
        .to_numpy()
        .reshape(len(sizes), len(loads))
        for tier in bare.tiers
    }
    return Promises(
        model=model,
        gpu=kind.gpu,
        gpus_per_replica=kind.gpus,
        most_rps=most,
        sizes=sizes,
        loads=loads,
        kept=kept,
    )


def _cells(sizes: tuple[int, ...], loads: tuple[float, ...]) -> list[tuple[str, int, float]]:
    """Return a name, a size and a load for every pool; the names sort in that order."""
    pairs = [(size, load) for size in sizes for load in loads]
    return [(f"pool{i:06d}", size, load) for i, (size, load) in enumerate(pairs)]


def _side_by_side(
    fleet: Fleet,
    kind: Replica,
    *,
    sizes: tuple[int, ...],
    loads: tuple[float, ...],
    network_latency_s: float | None,
) -> Fleet:
    """Return a fleet of one region with a pool for every size and load, each as if of a model of its own."""
    tiers = tuple(tier for tier in fleet.tiers if not tier.deferrable)
    if not tiers:
        raise SimulationError("every tier of the fleet is deferrable, and none of those has a time to first token.")
    region, cells = fleet.regions[0], _cells(sizes, loads)
    served = next(one for one in fleet.models if one.key == kind.model)
    here = (region.key, region.key)
    if network_latency_s is None:
        network_latency_s = fleet.network_latency_s.get(here, 0.0)
    return replace(
        fleet,
        regions=(region,),
        models=tuple(replace(served, key=key) for key, _, _ in cells),
        tiers=tiers,
        replicas=tuple(replace(kind, model=key) for key, _, _ in cells),
        mixes={key: fleet.mixes[kind.model] for key, _, _ in cells},
        stock_gpus={(region.key, kind.gpu): kind.gpus * sum(size for _, size, _ in cells)},
        initial_replicas={(region.key, key, kind.gpu): size for key, size, _ in cells},
        initial_lent_replicas={},
        usd_per_gpu_hour={(region.key, kind.gpu): 0.0},
        network_latency_s={here: network_latency_s},
    )


def _constant(fleet: Fleet, rps: Mapping[str, float]) -> pl.DataFrame:
    """Return one window of demand in which each tier brings the same part of what a model gets."""
    tiers = [tier.key for tier in fleet.tiers]
    mix = next(iter(fleet.mixes.values()))
    each = pl.DataFrame({"model": list(rps), "requests": [rate * SETTLED_S / len(tiers) for rate in rps.values()]})
    rows = each.join(pl.DataFrame({"tier": tiers}), how="cross").with_columns(
        window_start=pl.lit(START),
        region=pl.lit(fleet.regions[0].key),
        input_tokens=pl.col("requests") * mix.input_tokens,
        output_tokens=pl.col("requests") * mix.output_tokens,
    )
    return DEMAND.conform(rows)


def _between(table: Floats, row: NDArray[np.int64], after: NDArray[np.int64], part: Floats) -> Floats:
    """Return what lies between two columns of a table, in a row of it for each."""
    found: Floats = table[row, after - 1] * (1.0 - part) + table[row, after] * part
    return found
