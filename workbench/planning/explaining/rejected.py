"""Why a model is not served on a GPU kind: a reason for every pair that the plan does not use.

The reasons are tried in the order in which they exclude: no stock of the kind, no profile, weights that do not fit, no
rate within the latency limits, and last the price, as what a million input tokens cost against the cheapest kind.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from workbench import performance, tables
from workbench.catalog import Catalog
from workbench.domain import Fleet
from workbench.errors import CatalogError
from workbench.results import CapacityPlan
from workbench.units import SECONDS_PER_HOUR

REJECTED = pl.Schema(
    {
        "model": tables.TEXT,
        "gpu": tables.TEXT,
        "reason": tables.TEXT,
        "usd_per_mtoken": tables.NUMBER,
        "cheapest_usd_per_mtoken": tables.NUMBER,
        "told": tables.TEXT,
    }
)


def rejected(plan: CapacityPlan, *, fleet: Fleet, rates: pl.DataFrame, catalog: Catalog | None = None) -> pl.DataFrame:
    """Return one row per model and GPU kind that the plan never uses, with the reason.

    ``reason`` is no_stock, no_profile, no_room, no_rate, dearer or not_needed; kinds are those of the fleet and, with a
    catalog, every kind it knows. Prices are those of the cheapest region, in USD per million input tokens at the
    planned load.
    """
    used = set(plan.allocation.filter(pl.col("replicas") > 0).select("model", "gpu").unique().iter_rows())
    kinds = dict.fromkeys([gpu for _, gpu in fleet.stock_gpus] + (list(catalog.gpus) if catalog else []))
    usd = _usd_per_mtoken(fleet, rates)
    rows = []
    for model in fleet.models:
        cheapest = min((price for (name, _), price in usd.items() if name == model.key), default=None)
        for gpu in kinds:
            if (model.key, gpu) not in used:
                reason, told = _reason(model.key, gpu, fleet=fleet, usd=usd, cheapest=cheapest, catalog=catalog)
                rows.append((model.key, gpu, reason, usd.get((model.key, gpu)), cheapest, told))
    return pl.DataFrame(rows, schema=REJECTED, orient="row")


def _reason(
    model: str,
    gpu: str,
    *,
    fleet: Fleet,
    usd: Mapping[tuple[str, str], float],
    cheapest: float | None,
    catalog: Catalog | None,
) -> tuple[str, str]:
    if (model, gpu) in usd:
        price = usd[model, gpu]
        if cheapest is not None and price > cheapest * (1 + 1e-9):
            return (
                "dearer",
                f"a million input tokens cost {price:,.3g} USD, {price / cheapest - 1:.0%} above the cheapest kind",
            )
        return "not_needed", "as cheap as any, but what stands elsewhere or on other kinds suffices"
    if catalog is not None:
        try:
            performance.replica(catalog.model(model), catalog.gpu(gpu), catalog.profile(model, gpu))
        except CatalogError as error:
            return ("no_room", str(error)) if "do not fit" in str(error) else ("no_profile", _unprofiled(model, gpu))
    if not any(stock > 0 for (_, kind), stock in fleet.stock_gpus.items() if kind == gpu):
        return "no_stock", f"no region has stock of {gpu}"
    if not any((replica.model, replica.gpu) == (model, gpu) for replica in fleet.replicas):
        return "no_profile", _unprofiled(model, gpu)
    return "no_rate", f"{model} has no rate on {gpu} at the planned load"


def _unprofiled(model: str, gpu: str) -> str:
    return f"nothing says how fast {model} runs on {gpu}; fit a profile (workbench profile fit)"


def _usd_per_mtoken(fleet: Fleet, rates: pl.DataFrame) -> dict[tuple[str, str], float]:
    """Return the price of a million input tokens on each kind that has stock, in the cheapest region."""
    found: dict[tuple[str, str], float] = {}
    for row in rates.iter_rows(named=True):
        prices = [
            usd
            for (region, gpu), usd in fleet.usd_per_gpu_hour.items()
            if gpu == row["gpu"] and fleet.stock_gpus.get((region, gpu), 0) > 0
        ]
        if prices:
            hourly = min(prices) * row["gpus_per_replica"]
            found[row["model"], row["gpu"]] = hourly / (row["input_tps"] * SECONDS_PER_HOUR) * 1e6
    return found
