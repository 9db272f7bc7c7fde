"""A grid of variations of one scenario: every point a study, spread over processes, one tidy frame out of all.

A point is known by its scenario, its trace and the code, so a sweep that was stopped goes on where it was, and one with
a value more makes that alone. Of every point the scorecard is kept; the whole study is run again where it is wanted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from workbench import catalog, compute, scenarios, scoring
from workbench.domain import Scenario
from workbench.errors import ScenarioError
from workbench.studies.drafting import code_digest, kept_whole
from workbench.studies.running import run
from workbench.studies.saving import study_id
from workbench.traces import open_store

FRAMES = ("totals", "tiers")
Axes = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """What came of a grid: ``totals`` by point and strategy, ``tiers`` by point, strategy and tier.

    Both begin with a column for each of the ``axes``, named as the key of the scenario.
    """

    axes: Mapping[str, tuple[Any, ...]]
    totals: pl.DataFrame
    tiers: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class Point:
    """One scenario of a grid, and where its scorecard lies or will lie."""

    values: tuple[tuple[str, Any], ...]
    scenario: Scenario
    store: str
    data_dir: Path
    folder: Path
    now: datetime

    def __str__(self) -> str:
        return ", ".join(f"{key} = {value}" for key, value in self.values)

    @property
    def is_made(self) -> bool:
        """Whether its scorecard is kept."""
        return self.folder.is_dir()


def sweep(
    content: Mapping[str, Any],
    over: Axes,
    *,
    source: str,
    store: Path | str,
    data_dir: Path,
    now: datetime,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Run a scenario once for every combination of the values in ``over`` (dotted keys), and return all scorecards.

    ``content`` is that of a scenario file, ``source`` names it in errors. Scorecards are kept under
    ``data_dir/sweeps``; those that are there are read. ``workers`` is the most processes to use (None: one per core);
    each reads the store by itself. ``progress`` is called with points done and points in all. Raises ScenarioError for
    an axis without values or a wrong key or value at any point, before anything is run, and the errors of the stages.
    """
    points = points_of(content, over, source=source, store=store, data_dir=data_dir, now=now)
    missing = [point for point in points if not point.is_made]

    def tell(done: int, total: int) -> None:
        """Count the points that were there as done."""
        if progress is not None:
            progress(len(points) - total + done, len(points))

    tell(0, len(missing))
    if missing:  # the first alone: what it foresees and sums up is there for the others
        make(missing[0], workers=workers)
        tell(1, len(missing))
        compute.map_tasks(make, missing[1:], workers=workers, progress=lambda done, _: tell(1 + done, len(missing)))
    frames = {name: pl.concat([_read(point, name) for point in points], how="diagonal_relaxed") for name in FRAMES}
    return Sweep(axes={key: tuple(values) for key, values in over.items()}, **frames)


def points_of(
    content: Mapping[str, Any], over: Axes, *, source: str, store: Path | str, data_dir: Path, now: datetime
) -> list[Point]:
    """Return every combination of the axes' values as a scenario, the last axis fastest."""
    empty = [key for key, values in over.items() if not values]
    if empty or not over:
        raise ScenarioError(
            f"{source}: a sweep needs values for each of its keys, found none for {', '.join(empty) or 'any key'}; "
            "write KEY=V1,V2,..."
        )
    code, points = code_digest(), []
    with open_store(store, read_only=True) as opened:
        for values in itertools.product(*over.values()):
            given = dict(zip(over, values, strict=True))
            scenario = scenarios.parse(content, overrides=given, source=source)
            identity = study_id(scenario, opened.describe(scenario.trace).header.fingerprint)
            points.append(
                Point(
                    values=tuple(given.items()),
                    scenario=scenario,
                    store=str(store),
                    data_dir=data_dir,
                    folder=data_dir / "sweeps" / f"{identity}-{code}",
                    now=now,
                )
            )
    return points


def make(point: Point, *, workers: int | None = 1) -> None:
    """Run the study of a point and keep its scorecard."""
    with open_store(_place(point.store), read_only=True) as store:
        study = run(
            point.scenario,
            store,
            catalog=catalog.load_beside(point.data_dir),
            root=point.data_dir / "studies",
            now=point.now,
            workers=workers,
            is_saved=False,
        )
    with kept_whole(point.folder) as draft:
        for name in FRAMES:
            getattr(study.scorecard, name).write_parquet(draft / f"{name}.parquet", compression="zstd")


def _place(store: str) -> Path | str:
    return store if "://" in store else Path(store)


def _read(point: Point, name: str) -> pl.DataFrame:
    axes = [pl.lit(_as_cell(value)).alias(key) for key, value in point.values]
    return pl.read_parquet(point.folder / f"{name}.parquet").select(*axes, pl.all())


def _as_cell(value: Any) -> Any:
    """Return a value as a frame can hold it: numbers as they are, lists and sections in words."""
    return value if isinstance(value, bool | int | float | str) else str(value)


def at_equal_service(made: Sweep, attainment_fraction: float, *, deferrable: Sequence[str] = ()) -> pl.DataFrame:
    """Return what every strategy costs over a sweep where the tiers that cannot wait keep that share of their promises.

    One row per strategy with cost_usd and gpu_hours, null where no point serves as well; ``deferrable`` tiers are left
    out of the service. The curve is that of :func:`workbench.scoring.undominated`.
    """
    return scoring.at_equal_service(
        service_points(made, deferrable=deferrable), attainment_fraction, figures=("cost_usd", "gpu_hours")
    )


def service_points(made: Sweep, *, deferrable: Sequence[str] = ()) -> pl.DataFrame:
    """Return every point and strategy with its cost and the share of promises kept to requests that cannot wait."""
    keys = [*made.axes, "strategy"]
    urgent = made.tiers.filter(~pl.col("tier").is_in(list(deferrable)))
    kept = pl.col("slo_attainment_fraction") * pl.col("arrived")
    service = urgent.group_by(keys).agg((kept.sum() / pl.col("arrived").sum()).alias(scoring.SERVICE))
    return made.totals.join(service, on=keys, how="left", maintain_order="left")


def readable(made: Sweep) -> pl.DataFrame:
    """Return a sweep as a table for people, one row per point and strategy: shares in percent, no number anew."""
    keys = [*made.axes, "strategy"]
    kept = made.tiers.pivot(on="tier", index=keys, values="slo_attainment_fraction")
    tiers = [name for name in kept.columns if name not in keys]
    first = pl.col("tier") == pl.col("tier").first()
    fastest = made.tiers.filter(first).select(*keys, "ttft_p90_s", "e2e_p90_s")
    joined = made.totals.join(kept, on=keys, how="left", maintain_order="left").join(
        fastest, on=keys, how="left", maintain_order="left"
    )
    return joined.select(
        *made.axes,
        pl.col("label").alias("strategy"),
        pl.col("gpu_hours").round(0).alias("GPU-hours"),
        pl.col("cost_usd").round(0).alias("cost, USD"),
        (pl.col("gpu_hours_saved_fraction") * 100).round(1).alias("saved, %"),
        pl.col("waste_gpu_hours").round(1).alias("waste, GPU h"),
        *((pl.col(tier) * 100).round(2).alias(f"{tier} kept, %") for tier in tiers),
        pl.col("ttft_p90_s").round(2).alias(f"{tiers[0]} TTFT P90, s"),
        pl.col("e2e_p90_s").round(2).alias(f"{tiers[0]} E2E P90, s"),
    )
