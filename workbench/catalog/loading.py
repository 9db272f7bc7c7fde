"""Packaged rows and a user's own folder into one catalog, everything that is wrong reported together.

The user's folder holds files of the same names; a row of a known key replaces the packaged one whole (so source and
date always belong to the numbers beside them), any other row is added. References between rows and the physics of
profiles are checked on the merged catalog.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.catalog.bounds import impossible_in_profile
from workbench.catalog.claims import Claim
from workbench.catalog.lookup import Catalog, NetworkLatency
from workbench.catalog.records import Record
from workbench.catalog.rows import Kind, facts_of, read_file
from workbench.catalog.trace_sources import TraceSource
from workbench.domain import Gpu, Profile, Region, ServedModel, Tier, Vm, VmPrice
from workbench.errors import CatalogError, nearest, together

PACKAGED = Path(__file__).parent
OWN_FOLDER = "catalog"

KINDS: tuple[Kind[Any], ...] = (
    Kind(name="gpu", file="gpus.toml", value=Gpu, key=lambda gpu: gpu.key),
    Kind(name="vm", file="vms.toml", value=Vm, key=lambda vm: vm.key),
    Kind(
        name="prices",
        file="prices.csv",
        value=VmPrice,
        key=lambda price: (price.vm, price.provider_region, price.kind, price.date),
    ),
    Kind(name="model", file="models.toml", value=ServedModel, key=lambda model: model.key),
    Kind(name="profile", file="profiles.toml", value=Profile, key=lambda profile: (profile.model, profile.gpu)),
    Kind(name="tier", file="tiers.toml", value=Tier, key=lambda tier: tier.key),
    Kind(name="region", file="regions.toml", value=Region, key=lambda region: region.key),
    Kind(
        name="network_latency",
        file="regions.toml",
        value=NetworkLatency,
        key=lambda latency: (latency.from_region, latency.to_region),
    ),
    Kind(name="claim", file="claims.toml", value=Claim, key=lambda claim: claim.key),
    Kind(name="record", file="records.toml", value=Record, key=lambda record: record.key),
    Kind(name="trace_source", file="trace_sources.toml", value=TraceSource, key=lambda source: source.key),
)
FILES = tuple(dict.fromkeys(kind.file for kind in KINDS))

Facts = dict[str, dict[Hashable, Any]]


def load(extra: Path | None = None) -> Catalog:
    """Return the packaged catalog, with the rows of an extra folder added or put in place of packaged ones.

    Raises CatalogError that lists every unknown file, table and key with the nearest valid one, every missing or
    impossible value, and every row that refers to something unknown.
    """
    return _packaged() if extra is None else _merged(extra)


def load_beside(data_dir: Path) -> Catalog:
    """Return the catalog with the rows of ``data_dir/catalog``, where a user keeps rows of their own, if it is there.

    Raises CatalogError as :func:`load` does.
    """
    own = data_dir / OWN_FOLDER
    return load(own if own.is_dir() else None)


@cache
def _packaged() -> Catalog:
    return _checked(*_read(PACKAGED, FILES), what="the packaged catalog")


def _merged(extra: Path) -> Catalog:
    if not extra.is_dir():
        raise CatalogError(f"extra catalog: {extra} is no folder; give the folder that holds {', '.join(FILES)}.")
    present = sorted(path.name for path in extra.iterdir() if path.suffix in (".toml", ".csv"))
    findings = [f"unknown file {name}; {nearest(name, FILES)}" for name in present if name not in FILES]
    packaged, _ = _read(PACKAGED, FILES)
    added, wrong = _read(extra, [name for name in present if name in FILES])
    facts = {kind.name: packaged[kind.name] | added[kind.name] for kind in KINDS}
    return _checked(facts, findings + wrong, what=f"extra catalog {extra.name}")


def _read(folder: Path, files: Iterable[str]) -> tuple[Facts, list[str]]:
    facts: Facts = {kind.name: {} for kind in KINDS}
    findings: list[str] = []
    for file in files:
        kinds = {kind.name: kind for kind in KINDS if kind.file == file}
        tables, wrong = read_file(folder / file)
        findings += wrong
        findings += [f"{file}: unknown table {name}; {nearest(name, kinds)}" for name in tables if name not in kinds]
        for name, kind in kinds.items():
            facts[name], wrong = facts_of(kind, tables.get(name, []), file)
            findings += wrong
    return facts, findings


def _checked(facts: Facts, findings: list[str], *, what: str) -> Catalog:
    findings = findings + _dangling(facts) + _impossible(facts)
    if findings:
        raise CatalogError(f"{what}: " + together(findings))
    return Catalog(
        gpus=MappingProxyType(facts["gpu"]),  # type: ignore[arg-type]
        vms=MappingProxyType(facts["vm"]),  # type: ignore[arg-type]
        prices=tuple(facts["prices"].values()),
        models=MappingProxyType(facts["model"]),  # type: ignore[arg-type]
        profiles=MappingProxyType(facts["profile"]),  # type: ignore[arg-type]
        tiers=MappingProxyType(facts["tier"]),  # type: ignore[arg-type]
        regions=MappingProxyType(facts["region"]),  # type: ignore[arg-type]
        network_latencies=tuple(facts["network_latency"].values()),
        claims=tuple(facts["claim"].values()),
        records=tuple(facts["record"].values()),
        trace_sources=MappingProxyType(facts["trace_source"]),  # type: ignore[arg-type]
    )


def _dangling(facts: Facts) -> list[str]:
    references = [
        ("vm", "gpu", "gpu"),
        ("prices", "vm", "vm"),
        ("profile", "model", "model"),
        ("profile", "gpu", "gpu"),
        ("record", "gpu", "gpu"),
    ]
    references += [("network_latency", "from_region", "region"), ("network_latency", "to_region", "region")]
    return [
        f"{kind} {key} names the unknown {target} {name}; {nearest(name, map(str, facts[target]))}"
        for kind, attribute, target in references
        for key, fact in facts[kind].items()
        for name in [getattr(fact, attribute)]
        if name not in facts[target]
    ]


def _impossible(facts: Facts) -> list[str]:
    return [
        f"profile of {profile.model} on {profile.gpu}: {finding}"
        for profile in facts["profile"].values()
        if profile.model in facts["model"] and profile.gpu in facts["gpu"]
        for finding in impossible_in_profile(profile, facts["model"][profile.model], facts["gpu"][profile.gpu])
    ]
