"""Measure what the fluid engine's time to first token lacks against the replay, and correct it by that.

A calibration belongs to one replica (model, GPU kind and the figures of its profile) and was measured with one mix of
lengths and arrivals: trials at six loads and six sizes of pool, in each of which a factor on the mean and one on the
spread bring mean and P95 to the replay's (simulation.md section 4, "Calibration table"). What is corrected is the time
from a slot to the first token; waiting for a slot is left as it is.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet, Replica, TokenMix
from workbench.errors import SimulationError, together
from workbench.simulation import run
from workbench.simulation.agreement import measures
from workbench.simulation.agreement.drawing import lengths_for, moments_of
from workbench.simulation.agreement.trials import START, STILL, Trial, chosen, steady
from workbench.simulation.fluid.correcting import LOADS, SIZES, no_correction
from workbench.simulation.setup import Pool

Factors = tuple[tuple[float, ...], ...]
LEAST, MOST = 0.2, 5.0  # a factor beyond these is a trial that went wrong, not a correction
ROUNDS = 2  # the spread is not quite proportional to its factor: a second look settles it
SAME_MIX = 0.1  # relative difference of mean lengths and of the dispersion up to which a mix is the one measured


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was measured for one replica, and with what.

    ``mean_factor`` and ``spread_factor`` hold a row per load of
    :data:`~workbench.simulation.fluid.correcting.LOADS` and a column per size of ``SIZES``. ``requests`` were replayed
    in all, drawn with ``seed`` from ``lengths_from``.
    """

    replica: Replica
    mix: TokenMix
    lengths_from: str
    seed: int
    requests: int
    mean_factor: Factors
    spread_factor: Factors

    def frame(self) -> pl.DataFrame:
        """Return the table: one row per load_fraction and replicas with mean_factor and spread_factor."""
        cells = itertools.product(range(LOADS.size), range(SIZES.size))
        return pl.DataFrame(
            [
                {
                    "load_fraction": float(LOADS[i]),
                    "replicas": int(SIZES[j]),
                    "mean_factor": self.mean_factor[i][j],
                    "spread_factor": self.spread_factor[i][j],
                }
                for i, j in cells
            ]
        )


def calibrate(
    fleet: Fleet,
    *,
    requests: pl.DataFrame | None = None,
    model: str | None = None,
    gpu: str | None = None,
    least_requests: int = 40_000,
    seed: int = 7,
    progress: Callable[[float], None] | None = None,
) -> Calibration:
    """Measure a calibration for the fleet's first replica of a model and GPU kind.

    Lengths are those of ``requests`` (``REQUESTS``; those of the model), else lognormal with the moments of the fleet's
    mix; arrivals have the dispersion of the fleet's mix. Each of the 36 trials replays ``least_requests`` or more, some
    two million in all. Deterministic for a seed. Raises SimulationError for a model that the fleet lacks.
    """
    replica = chosen(fleet, model, gpu)
    usual = fleet.mixes[replica.model]
    lengths = lengths_for(usual, requests, model=replica.model, seed=seed)
    made = Calibration(
        replica=replica,
        mix=moments_of(lengths, dispersion=usual.dispersion),
        lengths_from="a lognormal of the mix's moments" if requests is None else "the requests given",
        seed=seed,
        requests=0,
        mean_factor=_everywhere(1.0),
        spread_factor=_everywhere(1.0),
    )
    factors = np.ones((2, LOADS.size, SIZES.size))
    count = 0
    cells = list(itertools.product(range(LOADS.size), range(SIZES.size)))
    for place, (i, j) in enumerate(cells):
        drawn = steady(
            fleet,
            replica,
            lengths,
            replicas=int(SIZES[j]),
            load_fraction=float(LOADS[i]),
            cv_square=usual.dispersion,
            least_requests=least_requests,
            seed=(seed, place),
        )
        factors[:, i, j] = _factors_of(drawn, made)
        count += drawn.requests.height
        if progress is not None:
            progress((place + 1) / len(cells))
    mean_factor, spread_factor = (tuple(map(tuple, part.tolist())) for part in factors)
    return replace(made, requests=count, mean_factor=mean_factor, spread_factor=spread_factor)


def _everywhere(factor: float) -> Factors:
    return ((factor,) * SIZES.size,) * LOADS.size


def _factors_of(drawn: Trial, blank: Calibration) -> tuple[float, float]:
    """Return the factors on mean and spread that bring the fluid's mean and P95 of a trial to the replay's."""
    both = functools.partial(run, drawn.requests, fleet=drawn.fleet, policy=STILL, start=START, hours=drawn.hours)
    true = measures(both(engine="replay"), drawn.fleet)
    on_mean = on_spread = 1.0
    for _ in range(ROUNDS):
        so_far = replace(blank, mean_factor=_everywhere(on_mean), spread_factor=_everywhere(on_spread))
        found = measures(both(calibration=so_far), drawn.fleet)
        mean, beyond = _mean_and_beyond(found)
        true_mean, true_beyond = _mean_and_beyond(true)
        if not (mean > 0.0 and beyond > 0.0 and true_mean > 0.0 and true_beyond > 0.0):
            return 1.0, 1.0
        closer = min(max(true_mean / mean * on_mean, LEAST), MOST)
        on_spread = min(max(true_beyond / beyond * on_spread * on_mean / closer, LEAST), MOST)
        on_mean = closer
    return on_mean, on_spread


def _mean_and_beyond(found: dict[str, float | None]) -> tuple[float, float]:
    """Return the mean time to first token and by how much P95 is longer; nought where neither is known."""
    mean, p95 = found["ttft_mean_s"] or 0.0, found["ttft_p95_s"] or 0.0
    return mean, p95 - mean


def all_of(
    calibrations: Calibration | Sequence[Calibration] | None, *, is_replayed: bool = False
) -> tuple[Calibration, ...]:
    """Return one calibration, several or none as a tuple. Raises SimulationError for some in a replay."""
    given = (calibrations,) if isinstance(calibrations, Calibration) else tuple(calibrations or ())
    if given and is_replayed:
        raise SimulationError(
            "a calibration corrects the fluid engine by the replay, and the replay was asked for; leave it out."
        )
    return given


def tables_for(calibrations: Sequence[Calibration], fleet: Fleet, pools: Sequence[Pool]) -> NDArray[np.float64]:
    """Return the tables that the pools are corrected by, those of a replica without a calibration by nothing.

    Raises SimulationError for calibrations of a replica that the fleet lacks, or has with other figures, and for two of
    the same replica.
    """
    if not calibrations:
        return no_correction(len(pools))
    standing = {(one.model, one.gpu): one for one in fleet.replicas}
    by_place = {_place(one): one for one in calibrations}
    wrong = [] if len(by_place) == len(calibrations) else ["two are for the same model and GPU kind"]
    for (model, gpu), one in by_place.items():
        if (model, gpu) not in standing:
            wrong.append(f"one is for {model} on {gpu}, and the fleet has {', '.join(map(' on '.join, standing))}")
        elif standing[model, gpu] != one.replica:
            wrong.append(f"the one for {model} on {gpu} was measured with other figures than the fleet's replica has")
    if wrong:
        raise SimulationError(
            f"calibrations do not fit the fleet: {together(wrong)}; measure them anew with calibrate(fleet)."
        )
    tables = np.zeros((len(pools), LOADS.size, SIZES.size, 2))
    for p, pool in enumerate(pools):
        if found := by_place.get((pool.model, pool.gpu)):
            tables[p] = np.log(np.stack([np.array(found.mean_factor), np.array(found.spread_factor)], axis=-1))
    return tables


def notes_for(calibrations: Sequence[Calibration], fleet: Fleet) -> tuple[str, ...]:
    """Return a sentence for whatever a run is corrected by that was measured for something else, or is not corrected.

    Other lengths or arrivals than the fleet's, pools of more replicas than were tried, and replicas without any.
    """
    said = []
    for one in calibrations:
        where, mix = f"{one.replica.model} on {one.replica.gpu}", fleet.mixes[one.replica.model]
        apart = [name for name in ("input_tokens", "output_tokens", "dispersion") if _differ(one.mix, mix, name)]
        if apart:
            measured = ", ".join(f"{name} {getattr(one.mix, name):,.4g}" for name in apart)
            now = ", ".join(f"{getattr(mix, name):,.4g}" for name in apart)
            said.append(
                f"Times to first token of {where} are corrected by what was measured with {measured}; now {now}."
            )
        most = max(
            (count for (_, model, gpu), count in fleet.initial_replicas.items() if (model, gpu) == _place(one)),
            default=0,
        )
        if most > SIZES[-1]:
            said.append(f"Pools of {where} have up to {most} replicas and are corrected as those of {SIZES[-1]:.0f}.")
    known = {_place(one) for one in calibrations}
    without = [f"{one.model} on {one.gpu}" for one in fleet.replicas if (one.model, one.gpu) not in known]
    if calibrations and without:
        said.append(
            f"Times to first token of {', '.join(without)} are not corrected: no calibration was given for them."
        )
    return tuple(said)


def _place(one: Calibration) -> tuple[str, str]:
    return one.replica.model, one.replica.gpu


def _differ(one: TokenMix, other: TokenMix, name: str) -> bool:
    before, after = getattr(one, name), getattr(other, name)
    return bool(abs(after - before) > SAME_MIX * max(abs(before), 1e-9))
