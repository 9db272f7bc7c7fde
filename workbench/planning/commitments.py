"""How many machines to reserve for one year and for three, at the least cost of three years of hours.

A reservation is paid in every hour, used or not; the rest is bought by the hour. Order the machines of a region and
kind by use: the k-th is needed in the hours in which k or more are, a share that falls with k (the load-duration
curve). So each machine is a decision of its own: in a year, by the hour or under a 1-year reservation, whichever is
less; and over the three years, that or a 3-year reservation. What a 3-year reservation saves falls with k too, since
the use falls in every year, so the machines worth one are the first ones, and the 1-year reservations of each year come
on top of them. That is the exact optimum of both terms together; for one term it is the newsvendor's rule, to reserve
what is needed in a share of hours above the ratio of the two prices. No solver is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench import tables
from workbench.catalog import Catalog
from workbench.domain.facts import refuse
from workbench.errors import CatalogError, PlanError

HOURS_PER_YEAR = 8760.0
TERM_YEARS = 3


@dataclass(frozen=True, kw_only=True)
class VmTerms:
    """What an hour of a machine costs by the hour and under reservations; None where a term is not offered."""

    vm: str
    gpus: int
    on_demand_usd: float
    reserved_1y_usd: float | None
    reserved_3y_usd: float | None
    note: str = ""

    def __post_init__(self) -> None:
        prices = {
            "on_demand_usd": self.on_demand_usd,
            "reserved_1y_usd": self.reserved_1y_usd,
            "reserved_3y_usd": self.reserved_3y_usd,
        }
        refuse(
            PlanError,
            f"prices of {self.vm}",
            {f"{name} must be positive, got {usd}": usd is not None and not usd > 0 for name, usd in prices.items()}
            | {f"gpus must be 1 or more, got {self.gpus}": self.gpus < 1},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Commitments:
    """What to reserve (COMMITMENTS), the use it rests on (DURATION), and sentences a reader must know."""

    choices: pl.DataFrame
    curve: pl.DataFrame
    notes: tuple[str, ...]

    @property
    def saving_fraction(self) -> float:
        """Share of the cost by the hour that the reservations save over all years."""
        by_the_hour = float(self.choices.get_column("on_demand_cost_usd").sum())
        return 1.0 - float(self.choices.get_column("cost_usd").sum()) / by_the_hour if by_the_hour else 0.0


def terms_of(catalog: Catalog, gpus: Sequence[str], provider_region: str) -> dict[str, VmTerms]:
    """Return what the catalog knows of a provider region's prices for GPU kinds, all of one machine per kind.

    Raises CatalogError where a kind has no price there, or no reservation of either term.
    """
    found = {}
    for gpu in gpus:
        by_the_hour = catalog.usd_per_vm_hour(gpu, provider_region)
        vm = by_the_hour.vm
        reserved: dict[str, float | None] = {"reserved_1y": None, "reserved_3y": None}
        refusal: CatalogError | None = None
        for kind in reserved:
            try:
                reserved[kind] = catalog.usd_per_vm_hour(vm.key, provider_region, kind).price.usd_per_vm_hour
            except CatalogError as error:
                refusal = error
        if refusal is not None and set(reserved.values()) == {None}:
            raise refusal
        found[gpu] = VmTerms(
            vm=vm.key,
            gpus=vm.gpus,
            on_demand_usd=by_the_hour.price.usd_per_vm_hour,
            reserved_1y_usd=reserved["reserved_1y"],
            reserved_3y_usd=reserved["reserved_3y"],
            note=by_the_hour.note,
        )
    return found


def vms_needed(allocation: pl.DataFrame, rates: pl.DataFrame, terms: Mapping[str, VmTerms]) -> pl.DataFrame:
    """Return the machines that an ALLOCATION needs: one row per window, region and GPU kind with ``vms``.

    Replicas of all models share the machines of a kind; a machine counts when any of its GPUs is used. Raises PlanError
    for a GPU kind without prices.
    """
    unknown = sorted(set(allocation.get_column("gpu")) - set(terms))
    if unknown:
        raise PlanError(f"there are no prices for {', '.join(unknown)}; give the terms of every GPU kind of the plan.")
    sizes = pl.DataFrame(
        [(gpu, float(term.gpus)) for gpu, term in terms.items()],
        schema={"gpu": tables.TEXT, "vm_gpus": tables.NUMBER},
        orient="row",
    )
    used = (
        allocation.join(rates.select("model", "gpu", "gpus_per_replica"), on=("model", "gpu"))
        .group_by("window_start", "region", "gpu")
        .agg((pl.col("replicas") * pl.col("gpus_per_replica")).sum().alias("gpus"))
    )
    vms = (pl.col("gpus") / pl.col("vm_gpus")).ceil().cast(pl.Int64).alias("vms")
    return used.join(sizes, on="gpu").select("window_start", "region", "gpu", vms).sort("region", "gpu", "window_start")


def commit(
    needed: pl.DataFrame, *, terms: Mapping[str, VmTerms], growth_fraction: float = 0.0, years: int = TERM_YEARS
) -> Commitments:
    """Decide how many machines of each kind to reserve in each region, for one year and for three.

    ``needed`` has one row per window, region and gpu with ``vms``, as from :func:`vms_needed`; its windows stand for
    the hours of the first year alike, so a week is a year of such weeks. Every later year needs
    (1 + ``growth_fraction``) times the year before, in every hour, rounded up to whole machines. A 1-year reservation
    is decided anew each year; one for three years is paid for all ``years`` that are looked at.

    Raises PlanError where nothing is needed, a kind has no prices, or the growth is -1 or less.
    """
    _refuse(needed, terms, growth_fraction, years)
    choices, curves = [], []
    for (region, gpu), rows in needed.sort("region", "gpu", "window_start").group_by(
        "region", "gpu", maintain_order=True
    ):
        hours = rows.get_column("vms").to_numpy().astype(np.float64)
        loads = [np.ceil(hours * (1.0 + growth_fraction) ** year - 1e-9) for year in range(years)]
        used = used_fractions(loads)
        reserved_1y, reserved_3y = best_reservations(used, terms[str(gpu)])
        for year, load in enumerate(loads):
            held = reserved_1y[year] + reserved_3y
            choices.append(_choice(str(region), str(gpu), year, load, reserved_1y[year], held, terms[str(gpu)]))
            curves += [
                (region, gpu, year + 1, rank + 1, float(share)) for rank, share in enumerate(used[year]) if share > 0
            ]
    windows = needed.get_column("window_start").n_unique()
    return Commitments(
        choices=tables.COMMITMENTS.conform(pl.DataFrame(choices)).sort(tables.COMMITMENTS.key),
        curve=tables.DURATION.conform(pl.DataFrame(curves, schema=tables.DURATION.schema, orient="row")),
        notes=_notes(windows, growth_fraction, terms),
    )


def used_fractions(loads: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the share of hours in which k + 1 or more machines are needed: one row per year, column k."""
    ranks = np.arange(1, int(max(load.max(initial=0.0) for load in loads)) + 1)
    return np.array([[float((load >= rank).mean()) for rank in ranks] for load in loads]).reshape(len(loads), -1)


def best_reservations(used: NDArray[np.float64], terms: VmTerms) -> tuple[list[int], int]:
    """Return how many machines to reserve for one year in each year, and how many for three; exact.

    ``used`` as from :func:`used_fractions`. Equal cost is not reserved: what is bought by the hour can be given up.
    """
    one_year = math.inf if terms.reserved_1y_usd is None else terms.reserved_1y_usd
    three_years = math.inf if terms.reserved_3y_usd is None else terms.reserved_3y_usd
    by_the_hour = terms.on_demand_usd * used
    without = np.minimum(by_the_hour, one_year).sum(axis=0)
    reserved_3y = int((without > three_years * len(used) * (1 + 1e-12)).sum())
    worth_a_year = by_the_hour > one_year * (1 + 1e-12)
    return [max(0, int(worth.sum()) - reserved_3y) for worth in worth_a_year], reserved_3y


def _choice(
    region: str, gpu: str, year: int, load: NDArray[np.float64], one_year: int, held: int, terms: VmTerms
) -> dict[str, object]:
    beside = HOURS_PER_YEAR * float(np.maximum(load - held, 0.0).mean())
    reserved = one_year * (terms.reserved_1y_usd or 0.0) + (held - one_year) * (terms.reserved_3y_usd or 0.0)
    return {
        "region": region,
        "gpu": gpu,
        "vm": terms.vm,
        "year": year + 1,
        "reserved_1y_vms": one_year,
        "reserved_3y_vms": held - one_year,
        "peak_vms": int(load.max()),
        "on_demand_vm_hours": beside,
        "idle_vm_hours": HOURS_PER_YEAR * float(np.maximum(held - load, 0.0).mean()),
        "cost_usd": HOURS_PER_YEAR * reserved + terms.on_demand_usd * beside,
        "on_demand_cost_usd": HOURS_PER_YEAR * terms.on_demand_usd * float(load.mean()),
        "break_even_1y_fraction": terms.reserved_1y_usd and terms.reserved_1y_usd / terms.on_demand_usd,
        "break_even_3y_fraction": terms.reserved_3y_usd and terms.reserved_3y_usd / terms.on_demand_usd,
    }


def _notes(windows: int, growth_fraction: float, terms: Mapping[str, VmTerms]) -> tuple[str, ...]:
    told = [f"A year is made of {windows:,} planned windows, each standing for {HOURS_PER_YEAR / windows:,.1f} hours."]
    if windows < 168:
        told.append("Less than a week is planned: weekends and seasons are not in it, so reserve less than it says.")
    told.append(f"Every year needs {growth_fraction:+.0%} of the year before; list prices, no discount for volume.")
    told += [term.note for term in terms.values() if term.note]
    return tuple(told)


def _refuse(needed: pl.DataFrame, terms: Mapping[str, VmTerms], growth_fraction: float, years: int) -> None:
    unpriced = sorted(set(needed.get_column("gpu")) - set(terms))
    refuse(
        PlanError,
        "the commitments",
        {
            "no hour needs a machine; plan a span with demand": needed.is_empty(),
            f"there are no prices for {', '.join(unpriced)}; give its terms": bool(unpriced),
            f"growth_fraction must be above -1, got {growth_fraction}": not growth_fraction > -1,
            f"years must lie in 1-{TERM_YEARS}, got {years}": not 1 <= years <= TERM_YEARS,
        },
    )
