"""The fleet that every strategy of a study starts from: the same for all, and seeing nothing after ``as_of``.

Replicas for the last hour of history are serving; the rest of what the history's peak needed, and a quarter more, is
lent with its model still loaded, as in a fleet in the middle of its life (at least the floors of every silo). Every GPU
kind the scenario allows has a stock of a fifth more than that; what is not in use stands free. Planning
and sizing take the same rates of a replica.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from workbench import features, performance
from workbench.catalog import Catalog
from workbench.domain import Fleet, Replica, Scenario, TokenMix
from workbench.errors import CatalogError, ScenarioError, together
from workbench.tables import window_s_of

LENT_ABOVE_PEAK = 1.25
FREE_ABOVE_LENT = 1.2
SIZING_WINDOW_S = 900.0


def replicas_of(scenario: Scenario, catalog: Catalog, models: Sequence[str]) -> tuple[Replica, ...]:
    """Return what a replica of each model can do on each GPU kind it fits.

    Raises CatalogError listing every model or GPU kind the catalog lacks, and every model that no kind can serve.
    """
    found, findings = [], []
    for model in models:
        served = False
        for gpu in scenario.gpus:
            try:
                found.append(performance.replica(catalog.model(model), catalog.gpu(gpu), catalog.profile(model, gpu)))
                served = True
            except CatalogError as error:
                findings.append(str(error))
        if served:
            findings = [text for text in findings if model not in text]
    if findings:
        raise CatalogError(f"scenario {scenario.name}: " + together(dict.fromkeys(findings)))
    return tuple(found)


def fleet_of(scenario: Scenario, catalog: Catalog, demand: pl.DataFrame, shape: pl.DataFrame, as_of: datetime) -> Fleet:
    """Return the fleet every strategy starts from, sized from history before ``as_of`` alone."""
    history = demand.filter(pl.col("window_start") < as_of)
    models = sorted(demand.get_column("model").unique())
    regions = sorted(demand.get_column("region").unique())
    tiers = sorted((catalog.tier(key) for key in demand.get_column("tier").unique()), key=lambda tier: tier.priority)
    replicas = replicas_of(scenario, catalog, models)
    mixes = features.token_mixes(history, shape.filter(pl.col("window_start") < as_of))
    silent = [model for model in models if model not in mixes]
    if silent:
        raise ScenarioError(
            f"scenario {scenario.name}: model {silent[0]} has no request before {as_of}, so nothing says how long its "
            "requests are; choose a later as_of or leave the model out."
        )
    prices = {gpu: _usd_per_gpu_hour(scenario, catalog, gpu) for gpu in scenario.gpus}
    deferrable = [tier.key for tier in tiers if tier.deferrable]
    sizes = _sizes(scenario, loads_of(history, deferrable, scenario), regions, replicas, mixes, prices)
    floors = max(policy.floor_replicas * policy.silos for policy in scenario.strategies)
    stock, serving, lent = {}, {}, {}
    for region in regions:
        used = dict.fromkeys(scenario.gpus, 0)
        for model in models:
            gpu, now, peak, gpus = sizes[region, model]
            serving[region, model, gpu] = now
            lent[region, model, gpu] = max(math.ceil(peak * LENT_ABOVE_PEAK), floors, now) - now
            used[gpu] += (now + lent[region, model, gpu]) * gpus
        for gpu in scenario.gpus:
            stock[region, gpu] = scenario.stock_gpus_per_region or math.ceil(max(used.values()) * FREE_ABOVE_LENT)
            _lend_within(stock[region, gpu], used[gpu], region, gpu, lent, replicas)
    return Fleet(
        regions=tuple(catalog.region(key) for key in regions),
        models=tuple(catalog.model(key) for key in models),
        tiers=tuple(tiers),
        replicas=replicas,
        mixes=mixes,
        stock_gpus=stock,
        initial_replicas=serving,
        initial_lent_replicas=lent,
        usd_per_gpu_hour={(region, gpu): prices[gpu][0] for region in regions for gpu in scenario.gpus},
        network_latency_s=catalog.network_latency_s,
        price_note="; ".join(note for _, note in prices.values()),
    )


def peak_replicas(
    scenario: Scenario, catalog: Catalog, fleet: Fleet, demand: pl.DataFrame, as_of: datetime
) -> dict[tuple[str, str, str], int]:
    """Return the replicas that the peak of the history needs by region, model and GPU kind, without any to spare."""
    history = demand.filter(pl.col("window_start") < as_of)
    loads = loads_of(history, [tier.key for tier in fleet.tiers if tier.deferrable], scenario)
    prices = {gpu: _usd_per_gpu_hour(scenario, catalog, gpu) for gpu in scenario.gpus}
    sizes = _sizes(scenario, loads, [region.key for region in fleet.regions], fleet.replicas, fleet.mixes, prices)
    return {(region, model, gpu): peak for (region, model), (gpu, _, peak, _) in sizes.items()}


def _usd_per_gpu_hour(scenario: Scenario, catalog: Catalog, gpu: str) -> tuple[float, str]:
    chosen = catalog.usd_per_vm_hour(gpu, scenario.provider_region)
    own = scenario.usd_per_vm_hour.get(chosen.vm.key)
    unknown = [key for key in scenario.usd_per_vm_hour if key not in catalog.vms]
    if unknown:
        catalog.vm(unknown[0])
    if own is None:
        return chosen.usd_per_gpu_hour, chosen.note
    return own / chosen.vm.gpus, f"{chosen.vm.label}: {own:,.2f} USD per VM-hour as the scenario says"


def loads_of(history: pl.DataFrame, deferrable: Sequence[str], scenario: Scenario) -> pl.DataFrame:
    """Return the load a start is sized for: one row per region and model with ``now`` and ``peak``, input tokens/s.

    Rates are means over quarters of an hour, or over the demand's windows where those are longer or do not divide it;
    windows that are not known count for nothing. ``now`` is the highest in the last known hour. Of the deferrable
    tiers the plan's buffer counts.
    """
    window_s = window_s_of(history)
    quarter_s = window_s * math.ceil(SIZING_WINDOW_S / window_s)
    weight = (
        pl.when(pl.col("tier").is_in(list(deferrable))).then(scenario.risk.deferrable_buffer_fraction).otherwise(1.0)
    )
    quarters = (
        history.drop_nulls("input_tokens")
        .group_by("region", "model", "tier", pl.col("window_start").dt.truncate(f"{int(quarter_s)}s"))
        .agg((pl.col("input_tokens") * weight).mean() / window_s)
        .group_by("region", "model", "window_start")
        .agg(pl.col("input_tokens").sum().alias("input_tps"))
    )
    last_hour = pl.col("window_start") > pl.col("window_start").max() - timedelta(hours=1)
    return quarters.group_by("region", "model").agg(
        pl.col("input_tps").filter(last_hour).max().alias("now"), pl.col("input_tps").max().alias("peak")
    )


def _sizes(
    scenario: Scenario,
    loads: pl.DataFrame,
    regions: Sequence[str],
    replicas: Sequence[Replica],
    mixes: Mapping[str, TokenMix],
    prices: dict[str, tuple[float, str]],
) -> dict[tuple[str, str], tuple[str, int, int, int]]:
    """Return GPU kind, replicas for the last hour, replicas for the history's peak, and GPUs per replica, by pool.

    A model stands in every region, at the floor where no traffic of its own is known.
    """
    rates = performance.rates(replicas, mixes, signal_fraction=scenario.risk.planning_signal_fraction, signal="largest")
    floor = max(policy.floor_replicas for policy in scenario.strategies)
    cheapest = (
        rates.with_columns(
            usd=pl.col("gpus_per_replica")
            * pl.col("gpu").replace_strict({gpu: price for gpu, (price, _) in prices.items()})
            / pl.col("input_tps")
        )
        .sort("usd")
        .group_by("model", maintain_order=True)
        .first()
    )
    sized = {}
    pairs = pl.DataFrame({"region": list(regions)}).join(cheapest, how="cross")
    for row in pairs.join(loads, on=["region", "model"], how="left").iter_rows(named=True):
        theta = row["input_tps"]
        now = max(math.ceil((row["now"] or 0.0) / theta), floor)
        peak = max(math.ceil((row["peak"] or 0.0) / theta), now)
        if scenario.initial_replicas_per_pool is not None:
            now = scenario.initial_replicas_per_pool
            peak = max(peak, now)
        sized[row["region"], row["model"]] = (row["gpu"], now, peak, row["gpus_per_replica"])
    return sized


def _lend_within(
    stock: int, used: int, region: str, gpu: str, lent: dict[tuple[str, str, str], int], replicas: Sequence[Replica]
) -> None:
    """Lend fewer replicas at the start where the stock is smaller than what the history's peak needed."""
    for replica in replicas:
        key = (region, replica.model, gpu)
        while replica.gpu == gpu and used > stock and lent.get(key, 0) > 0:
            lent[key] -= 1
            used -= replica.gpus
