"""Loads on which fluid and replay are held against each other: days, deferrable work, scaling pools, public traces."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tests.simulation.simulation_cases import BATCH, FAST, MIX, NORMAL, START, fleet, replica
from workbench import catalog, performance, simulation
from workbench.catalog import Catalog
from workbench.domain import Fleet, Policy, TokenMix
from workbench.simulation import agreement
from workbench.simulation.agreement import drawing, trust
from workbench.simulation.agreement.trials import STILL
from workbench.simulation.scheduling import Scheduling

AZURE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "azure-llm-2023"
REACTIVE = Policy(key="reactive", label="Reactive")
DAY_H, MINUTE_S = 24.0, 60.0
KV_TOLERANCE, GPU_HOURS_TOLERANCE, P95_TOLERANCE = 0.05, 0.03, 0.10


def mix(prompt: float, output: float, *, prompt_square: float = MIX.input_square_ratio) -> TokenMix:
    """Lognormal lengths: outputs as wide as in simulation.md, prompts unless asked."""
    return TokenMix(
        input_tokens=prompt,
        output_tokens=output,
        input_square_ratio=prompt_square,
        input_cube_ratio=prompt_square**3,
        output_square_ratio=MIX.output_square_ratio,
    )


MIXES = {
    "chat": mix(1490.0, 299.0),
    "prefill-heavy": mix(3000.0, 60.0),
    "decode-heavy": mix(250.0, 800.0),
    "long": mix(7000.0, 400.0, prompt_square=1.5),
}


def daily(mean: float, *, swing: float = 0.6) -> NDArray[np.float64]:
    """A load per minute over a day that is four times as high at its peak as at its trough."""
    minutes = np.arange(int(DAY_H * 60))
    return mean * (1.0 - swing * np.cos(2.0 * math.pi * (minutes + 0.5) / minutes.size))


def peaking(peak: float) -> NDArray[np.float64]:
    """Such a day with a peak of so much."""
    return daily(peak / 1.6)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One comparison: what comes, to which fleet, under which rules; ``load`` is at its peak where it moves."""

    name: str
    requests: pl.DataFrame
    fleet: Fleet
    hours: float
    replicas: int
    load: float
    policy: Policy = STILL
    scheduling: Scheduling | None = None
    cv_square: float = 1.0

    def frame(self, calibration: object = None) -> pl.DataFrame:
        """The comparison of both engines."""
        return agreement.compare(
            self.requests,
            fleet=self.fleet,
            policy=self.policy,
            start=START,
            hours=self.hours,
            scheduling=self.scheduling,
            calibration=calibration,  # type: ignore[arg-type]
        )

    @property
    def trusted_fraction(self) -> float:
        """The share of the work that lies where the promise holds: a pool that scales is small at night."""
        run = simulation.run(
            self.requests,
            fleet=self.fleet,
            policy=self.policy,
            start=START,
            hours=self.hours,
            scheduling=self.scheduling,
        )
        return trust.trusted_fraction(run, self.fleet)

    def compared(self, calibration: object = None) -> dict[str, dict[str, Any]]:
        """The rows of the comparison by measure."""
        return agreement.mean_over([self.frame(calibration)])


def drawn(loads: dict[str, NDArray[np.float64]], replicas: int, kind: str, cv_square: float, seed: int) -> pl.DataFrame:
    """Requests of several tiers, each with its load per minute as a share of what so many replicas can do."""
    rng = np.random.default_rng(seed)
    lengths = drawing.lengths_like(MIXES[kind], rng)
    most = replicas * performance.max_rps(replica(), drawing.moments_of(lengths, dispersion=1.0))
    parts = [
        drawing.requests_at(
            drawing.arrivals(rng, share * most, MINUTE_S, cv_square=cv_square),
            lengths,
            rng,
            start=START,
            region="east",
            model="m",
            tier=tier,
        )
        for tier, share in loads.items()
    ]
    return pl.concat(parts).sort("arrived_at")


def day(replicas: int, peak: float, *, kind: str = "chat", cv_square: float = 1.0, seed: int = 13) -> Case:
    """A fixed pool over a day."""
    requests = drawn({FAST: peaking(peak)}, replicas, kind, cv_square, seed)
    return Case(
        name=f"day, {kind}",
        requests=requests,
        fleet=fleet(ready=replicas, mix=drawing.mix_of(requests)),
        hours=DAY_H,
        replicas=replicas,
        load=peak,
        cv_square=cv_square,
    )


def scaling_day(replicas: int, *, cv_square: float = 1.0, seed: int = 12) -> Case:
    """A pool that is scaled by its signals over a day, whose peak needs so many replicas at seven tenths."""
    requests = drawn({FAST: peaking(0.7)}, replicas, "chat", cv_square, seed)
    world = fleet(ready=max(2, replicas // 2), lent=2 * replicas, mix=drawing.mix_of(requests))
    return Case(
        name="reactive day",
        requests=requests,
        fleet=world,
        hours=DAY_H,
        replicas=replicas,
        load=0.7,
        policy=REACTIVE,
        cv_square=cv_square,
    )


def mixed_day(replicas: int, peak: float, *, order: str = "fcfs", seed: int = 14) -> Case:
    """A day with a normal tier and with deferrable work, which is let in as long as the signal stays low."""
    steady = np.ones(int(DAY_H * 60))
    loads = {FAST: peaking(peak), NORMAL: peaking(0.1), BATCH: 0.25 * steady}
    requests = drawn(loads, replicas, "chat", 1.0, seed)
    return Case(
        name=f"deferrable, {order}",
        requests=requests,
        fleet=fleet(ready=replicas, mix=drawing.mix_of(requests)),
        hours=DAY_H,
        replicas=replicas,
        load=peak + 0.1 + 0.25,
        policy=dataclasses.replace(STILL, route_below_fraction=0.7),
        scheduling=Scheduling(order=order),
    )


@cache
def azure_rows(name: str) -> pl.DataFrame:
    """The rows of the one-hour trace ``conv`` or ``code`` of 2023: seconds since its first, and lengths."""
    rows = pl.read_csv(AZURE / f"AzureLLMInferenceTrace_{name}.csv.gz", try_parse_dates=True)
    at = rows.get_column("TIMESTAMP")
    at = at.str.to_datetime() if at.dtype == pl.String else at
    return pl.DataFrame(
        {
            "at_s": (at - at[0]).dt.total_microseconds() / 1e6,
            "input_tokens": rows.get_column("ContextTokens").clip(1),
            "output_tokens": rows.get_column("GeneratedTokens").clip(1),
        }
    )


def copies_of(name: str, replicas: int, load: float) -> int:
    """How often the public hour is laid over itself for a mean load of a pool, once at least."""
    rows = azure_rows(name)
    at_s, prompts, outputs = (rows.get_column(column).to_numpy() for column in rows.columns)
    lengths = drawing.Lengths(input_tokens=prompts, output_tokens=outputs)
    most = replicas * performance.max_rps(replica(), drawing.moments_of(lengths, dispersion=1.0))
    return max(1, round(load * most * (float(at_s[-1]) + 1e-3) / at_s.size))


def azure_loads(name: str, replicas: int, loads: Sequence[float]) -> list[float]:
    """Those of the loads that come to different numbers of copies: a small pool has room for few."""
    by_copies = {copies_of(name, replicas, load): load for load in reversed(loads)}
    return sorted(by_copies.values())


def elsewhere() -> Iterator[tuple[str, Fleet, pl.DataFrame | None]]:
    """Pools of other models and GPU kinds, with lengths of the mixes and of public requests."""
    yield from _of_catalog(
        ("llama31_8b", "l40s_48gb", "chat"),
        ("llama31_8b", "b200_180gb", "prefill-heavy"),
        ("llama31_70b", "h200_141gb", "decode-heavy"),
        ("bloom_176b", "a100_80gb", "chat"),
        ("llama31_70b", "h100_80gb", "conv"),
        ("llama31_8b", "h100_80gb", "code"),
    )


def readers() -> Iterator[tuple[str, Fleet, pl.DataFrame | None]]:
    """Pools that read prompts for two thirds of the time and more at the most that they can take."""
    yield "test prefill-heavy", fleet(mix=MIXES["prefill-heavy"]), None
    yield from _of_catalog(
        ("llama31_8b", "b200_180gb", "prefill-heavy"),
        ("llama31_8b", "l40s_48gb", "prefill-heavy"),
        ("llama31_70b", "h200_141gb", "prefill-heavy"),
        ("llama31_70b", "h100_80gb", "long"),
        ("bloom_176b", "a100_80gb", "prefill-heavy"),
        ("llama31_8b", "h100_80gb", "code"),
    )


def _of_catalog(*places: tuple[str, str, str]) -> Iterator[tuple[str, Fleet, pl.DataFrame | None]]:
    """Pools of a model on a GPU kind, with the lengths of a mix, or of a public trace where that is there."""
    known = catalog.load()
    for model, gpu, kind in places:
        name = f"{model} {gpu[:4]} {kind}"
        if kind in MIXES:
            yield name, _catalog_fleet(known, model, gpu, MIXES[kind]), None
        elif AZURE.is_dir():
            yield name, _catalog_fleet(known, model, gpu, MIX), singles(azure_rows(kind))


def _catalog_fleet(known: Catalog, model: str, gpu: str, mix: TokenMix) -> Fleet:
    """A fleet of one replica from the catalog, under the names of the test fleets."""
    kind = performance.replica(known.model(model), known.gpu(gpu), known.profile(model, gpu))
    return dataclasses.replace(
        fleet(mix=mix), replicas=(dataclasses.replace(kind, model="m", gpu="h100", gpus=8, chunk_tokens=0),)
    )


def singles(rows: pl.DataFrame) -> pl.DataFrame:
    """``REQUESTS`` of one place from seconds and lengths."""
    empty = {name: pl.lit(None) for name in ("app", "tenant", "cached_tokens")}
    return drawing.REQUESTS.conform(
        rows.select(
            "input_tokens",
            "output_tokens",
            arrived_at=pl.lit(START).cast(pl.Datetime("us"))
            + pl.duration(microseconds=(pl.col("at_s") * 1e6).cast(int)),
            region=pl.lit("east"),
            model=pl.lit("m"),
            tier=pl.lit(FAST),
            **empty,
        )
    )


def azure(name: str, replicas: int, load: float, *, seed: int = 11) -> Case:
    """The public hour laid over itself, shifted round at random, as often as the mean load needs."""
    rows = azure_rows(name)
    at_s, prompts, outputs = (rows.get_column(column).to_numpy() for column in rows.columns)
    lengths = drawing.Lengths(input_tokens=prompts, output_tokens=outputs)
    span_s = float(at_s[-1]) + 1e-3
    one = at_s.size / span_s / (replicas * performance.max_rps(replica(), drawing.moments_of(lengths, dispersion=1.0)))
    copies = copies_of(name, replicas, load)
    shifts = np.random.default_rng(seed).uniform(0.0, span_s, copies)
    shifted = (at_s + shifts[:, None]).ravel() % span_s
    order = np.argsort(shifted, kind="stable")
    whole = pl.DataFrame(
        {
            "at_s": shifted[order],
            "input_tokens": np.tile(prompts, copies)[order],
            "output_tokens": np.tile(outputs, copies)[order],
        }
    )
    requests = singles(whole)
    return Case(
        name=f"Azure 2023 {name}",
        requests=requests,
        fleet=fleet(ready=replicas, mix=_with_step_dispersion(requests)),
        hours=math.ceil(span_s / 60.0) / 60.0,
        replicas=replicas,
        load=one * copies * _peak_over_mean(shifted),
    )


def _peak_over_mean(at_s: NDArray[np.float64], window_s: float = 300.0) -> float:
    """The highest rate of five minutes over the mean of the whole."""
    counts = np.bincount((at_s / window_s).astype(int))[: int(at_s.max() / window_s)]
    return float(counts.max() / counts.mean())


def _with_step_dispersion(requests: pl.DataFrame) -> TokenMix:
    """The mix with the dispersion at 1 s inside the fluid's steps of ten, as slower noise reaches it as its input."""
    seconds = (requests.get_column("arrived_at") - START).dt.total_seconds().to_numpy()
    counts = np.bincount(seconds)
    counts = counts[: len(counts) // 10 * 10].reshape(-1, 10)
    dispersion = float(counts.var(axis=1, ddof=1).mean() / counts.mean())
    return dataclasses.replace(drawing.mix_of(requests), dispersion=dispersion)
