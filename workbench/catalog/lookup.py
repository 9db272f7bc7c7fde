"""The catalog as a value: facts by key, look-ups that name the nearest key, and the rule that picks a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeVar

from workbench.catalog.claims import Claim
from workbench.catalog.records import Record
from workbench.catalog.trace_sources import TraceSource
from workbench.domain import PRICE_KINDS, Gpu, Profile, Region, ServedModel, Tier, Vm, VmPrice
from workbench.domain.facts import refuse
from workbench.errors import CatalogError, nearest

Fact = TypeVar("Fact")


@dataclass(frozen=True, kw_only=True)
class NetworkLatency:
    """Median latency from the region a request comes from to the region that serves it."""

    from_region: str
    to_region: str
    median_s: float
    source: str
    date: str

    def __post_init__(self) -> None:
        refuse(
            CatalogError,
            f"network latency {self.from_region} to {self.to_region}",
            {f"median_s must not be negative, got {self.median_s}": not self.median_s >= 0},
        )


@dataclass(frozen=True, kw_only=True)
class ChosenPrice:
    """The price that was picked for a machine, with the row it comes from and how many there were."""

    vm: Vm
    price: VmPrice
    candidates: int

    @property
    def usd_per_vm_hour(self) -> float:
        """Dollars for an hour of the whole machine."""
        return self.price.usd_per_vm_hour

    @property
    def usd_per_gpu_hour(self) -> float:
        """Dollars for an hour of one of its GPUs."""
        return self.price.usd_per_vm_hour / self.vm.gpus

    @property
    def note(self) -> str:
        """One line of provenance to print beside a cost."""
        return (
            f"{self.price.usd_per_vm_hour:,.2f} USD per hour of {self.vm.label} ({self.vm.gpus} x {self.vm.gpu}), "
            f"{self.price.kind.replace('_', ' ')} in {self.price.provider_region}, {self.price.date}; "
            f"{self.price.source}; newest of {self.candidates}"
        )


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Every known fact by key; ``profiles`` by (model, gpu), latencies by (from region, to region).

    The look-ups ``gpu``, ``vm``, ``model``, ``tier``, ``region``, ``profile`` and ``sources`` raise CatalogError that
    names the nearest known key.
    """

    gpus: Mapping[str, Gpu]
    vms: Mapping[str, Vm]
    prices: tuple[VmPrice, ...]
    models: Mapping[str, ServedModel]
    profiles: Mapping[tuple[str, str], Profile]
    tiers: Mapping[str, Tier]
    regions: Mapping[str, Region]
    network_latencies: tuple[NetworkLatency, ...]
    records: tuple[Record, ...]
    claims: tuple[Claim, ...]
    trace_sources: Mapping[str, TraceSource]

    @cached_property
    def network_latency_s(self) -> Mapping[tuple[str, str], float]:
        """Median seconds by (from region, to region)."""
        return MappingProxyType({(row.from_region, row.to_region): row.median_s for row in self.network_latencies})

    def gpu(self, key: str) -> Gpu:
        """Return the GPU kind of a key."""
        return _found("gpu", key, self.gpus, "gpus.toml")

    def vm(self, key: str) -> Vm:
        """Return the machine kind of a key."""
        return _found("vm", key, self.vms, "vms.toml")

    def model(self, key: str) -> ServedModel:
        """Return the model of a key."""
        return _found("model", key, self.models, "models.toml")

    def tier(self, key: str) -> Tier:
        """Return the tier of a key."""
        return _found("tier", key, self.tiers, "tiers.toml")

    def region(self, key: str) -> Region:
        """Return the region of a key."""
        return _found("region", key, self.regions, "regions.toml")

    def sources(self, name: str) -> tuple[TraceSource, ...]:
        """Return the public trace files of a key, or all files of a collection."""
        named = tuple(source for source in self.trace_sources.values() if name in (source.key, source.collection))
        if not named:
            known = {source.collection: source for source in self.trace_sources.values()} | dict(self.trace_sources)
            _found("trace source", name, known, "trace_sources.toml")
        return named

    def profile(self, model: str, gpu: str) -> Profile:
        """Return how fast the model runs on the GPU kind; raises CatalogError where no profile is known."""
        self.model(model), self.gpu(gpu)
        if (model, gpu) not in self.profiles:
            known = sorted(kind for name, kind in self.profiles if name == model)
            raise CatalogError(
                f"profile of {model} on {gpu}: not in the catalog; it has {model} on {', '.join(known) or 'no GPU'}. "
                "Fit one with catalog.fit_profile and add the row to profiles.toml of an extra folder."
            )
        return self.profiles[model, gpu]

    def usd_per_vm_hour(self, vm_or_gpu: str, provider_region: str, kind: str = "on_demand") -> ChosenPrice:
        """Pick what an hour of a machine costs, given the machine or the GPU kind it must have.

        The rule: of all rows of the machine (or of any machine with the GPU) in the provider's region under that way
        of paying, the newest by date; 'undated' is older than any date; of equally new ones the cheapest per GPU.
        List prices, no discounts. The result carries the row, so source and date can be printed beside any cost.

        Raises CatalogError for an unknown machine or GPU, and where no row fits, saying what there is.
        """
        vms = self._vms_for(vm_or_gpu)
        if kind not in PRICE_KINDS:
            raise CatalogError(f"price of {vm_or_gpu}: kind {kind!r} is unknown; {nearest(kind, PRICE_KINDS)}.")
        of_vm = [price for price in self.prices if price.vm in vms]
        fitting = [price for price in of_vm if (price.provider_region, price.kind) == (provider_region, kind)]
        if not fitting:
            here = sorted({price.kind for price in of_vm if price.provider_region == provider_region})
            there = sorted({price.provider_region for price in of_vm if price.kind == kind})
            raise CatalogError(
                f"price of {vm_or_gpu}: none of kind {kind} in {provider_region}; kinds known there: "
                f"{', '.join(here) or 'none'}; regions with {kind}: {nearest(provider_region, there)}. Add a row to "
                "prices.csv of an extra folder, or set the price in the scenario."
            )
        chosen = max(fitting, key=lambda price: (_age(price), -price.usd_per_vm_hour / vms[price.vm].gpus, price.vm))
        return ChosenPrice(vm=vms[chosen.vm], price=chosen, candidates=len(fitting))

    def _vms_for(self, vm_or_gpu: str) -> dict[str, Vm]:
        vms = {key: vm for key, vm in self.vms.items() if vm_or_gpu in (key, vm.gpu)}
        if not vms:
            raise CatalogError(
                f"price of {vm_or_gpu}: neither a machine nor a GPU kind of the catalog; "
                f"{nearest(vm_or_gpu, {*self.vms, *self.gpus})}."
            )
        return vms


def _age(price: VmPrice) -> str:
    return "" if price.date == "undated" else price.date


def _found(what: str, key: str, facts: Mapping[str, Fact], file: str) -> Fact:
    if key not in facts:
        raise CatalogError(
            f"{what} {key!r} is not in the catalog; {nearest(key, facts)}. A row in {file} of an extra folder adds one."
        )
    return facts[key]
