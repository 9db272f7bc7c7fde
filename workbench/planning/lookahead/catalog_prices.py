"""Prices of reservations and spot from the catalog, put into the options of a look-ahead plan.

How many GPUs are reserved, and how many the spot market will offer, nobody can look up: those are the planner's own
figures. What an hour of them costs is in the catalog, by provider region and way of paying.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from workbench.catalog import Catalog
from workbench.errors import CatalogError, PlanError, together
from workbench.planning.lookahead.options import Key, LookAhead

TERMS = ("reserved_1y", "reserved_3y")


def with_catalog_prices(
    options: LookAhead,
    *,
    catalog: Catalog,
    provider_region: str | Mapping[str, str],
    spot_gpus: Mapping[Key, float | tuple[float, ...]] | None = None,
    reserved_gpus: Mapping[Key, int] | None = None,
    term: str = "reserved_1y",
) -> LookAhead:
    """Return options with these GPUs on spot and under reservation, at the catalog's prices.

    Counts are by (region, gpu); ``spot_gpus`` is what the market is taken to offer, one number or one per window.
    ``provider_region`` names where prices hold, for all regions or by region; ``term`` is reserved_1y or reserved_3y.
    USD per GPU-hour, list prices. Raises PlanError listing every price that is not known.
    """
    if term not in TERMS:
        raise PlanError(f"there is no reservation '{term}'; choose {' or '.join(TERMS)}.")
    spot, reserved = dict(spot_gpus or {}), dict(reserved_gpus or {})
    missing: list[str] = []

    def usd(key: Key, kind: str) -> float:
        """Return a price, or nought and note what is missing."""
        region, gpu = key
        where = provider_region if isinstance(provider_region, str) else provider_region.get(region)
        if where is None:
            missing.append(f"no provider region is named for {region}")
            return 0.0
        try:
            return catalog.usd_per_vm_hour(gpu, where, kind).usd_per_gpu_hour
        except CatalogError as error:
            missing.append(str(error).rstrip("."))
            return 0.0

    spot_usd = {key: usd(key, "spot") for key in spot}
    reserved_usd = {key: usd(key, term) for key in reserved}
    if missing:
        raise PlanError("prices for the look-ahead plan: " + together(list(dict.fromkeys(missing))))
    return dataclasses.replace(
        options,
        spot_gpus=spot,
        spot_usd_per_gpu_hour=spot_usd,
        reserved_gpus=reserved,
        reserved_usd_per_gpu_hour=reserved_usd,
    )
