"""workbench.planning.lookahead.catalog_prices: spot and reservations cost what the catalog says."""

from __future__ import annotations

import pytest

from workbench import catalog
from workbench.errors import PlanError
from workbench.planning.lookahead import LookAhead, with_catalog_prices

WEST, EAST = ("west", "h100_80gb"), ("east", "a100_80gb")
WHERE = {"west": "swedencentral", "east": "eastus"}


def test_spot_costs_what_a_gpu_of_the_machine_costs() -> None:
    priced = with_catalog_prices(
        LookAhead(floor_replicas=1),
        catalog=catalog.load(),
        provider_region=WHERE,
        spot_gpus={WEST: (8.0, 4.0), EAST: 16},
    )
    assert priced.spot_usd_per_gpu_hour == {WEST: pytest.approx(23.6204 / 8), EAST: pytest.approx(3.6 / 8)}
    assert priced.spot_gpus == {WEST: (8.0, 4.0), EAST: 16}
    assert (priced.floor_replicas, priced.reserved_gpus) == (1, {})


def test_reservations_of_a_term_are_priced() -> None:
    known = catalog.load()
    rows = [price for price in known.prices if price.kind == "reserved_1y"]
    vm, where = known.vm(rows[0].vm), rows[0].provider_region
    key = ("here", vm.gpu)
    priced = with_catalog_prices(LookAhead(), catalog=known, provider_region=where, reserved_gpus={key: 8})
    assert priced.reserved_usd_per_gpu_hour[key] == known.usd_per_vm_hour(vm.gpu, where, "reserved_1y").usd_per_gpu_hour


def test_every_price_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(PlanError, match=r"(?s)none of kind spot in nowhere.*no provider region is named for south"):
        with_catalog_prices(
            LookAhead(),
            catalog=catalog.load(),
            provider_region={"west": "nowhere"},
            spot_gpus={WEST: 8, ("south", "h100_80gb"): 8},
        )
    with pytest.raises(PlanError, match="there is no reservation 'forever'"):
        with_catalog_prices(LookAhead(), catalog=catalog.load(), provider_region="eastus", term="forever")
