"""workbench.catalog.lookup: look-ups that name the nearest key, and the rule that picks a price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench import catalog
from workbench.domain import VmPrice
from workbench.errors import CatalogError

KNOWN = catalog.load()


def price(vm: str, usd: float, date: str, kind: str = "on_demand") -> VmPrice:
    return VmPrice(vm=vm, provider_region="here", kind=kind, usd_per_vm_hour=usd, source="test", date=date)


def with_prices(*prices: VmPrice) -> catalog.Catalog:
    return replace(KNOWN, prices=prices)


@pytest.mark.parametrize(
    ("look_up", "word", "meant"),
    [
        ("model", "llama2-70b", "llama2_70b"),
        ("gpu", "h100", "h100_80gb"),
        ("vm", "azure_nd96isr_h100", "azure_nd96isr_h100_v5"),
        ("tier", "interactive_quick", "interactive_fast"),
        ("region", "us-east", "us_east"),
    ],
)
def test_an_unknown_key_names_the_nearest(look_up: str, word: str, meant: str):
    with pytest.raises(CatalogError, match=f"did you mean '{meant}'"):
        getattr(KNOWN, look_up)(word)


def test_a_missing_profile_says_where_the_model_is_known():
    with pytest.raises(CatalogError, match="it has bloom_176b on a100_80gb, h100_80gb"):
        KNOWN.profile("bloom_176b", "h200_141gb")


def test_list_prices_of_the_paper():
    h100 = KNOWN.usd_per_vm_hour("h100_80gb", "eastus")
    assert (h100.usd_per_vm_hour, h100.usd_per_gpu_hour) == (98.32, 12.29)
    assert h100.vm.key == "azure_nd96isr_h100_v5"
    assert "2025-11-12" in h100.note
    assert KNOWN.usd_per_vm_hour("azure_nd96amsr_a100_v4", "eastus").usd_per_vm_hour == 32.77


def test_the_newest_price_wins_and_undated_is_oldest():
    known = with_prices(
        price("aws_p5_48xlarge", 1.0, "undated"),
        price("aws_p5_48xlarge", 3.0, "2026-02"),
        price("aws_p5_48xlarge", 2.0, "2026-01-30"),
    )
    chosen = known.usd_per_vm_hour("aws_p5_48xlarge", "here")
    assert (chosen.usd_per_vm_hour, chosen.price.date, chosen.candidates) == (3.0, "2026-02", 3)


def test_of_equally_new_prices_of_a_gpu_the_cheapest_machine_wins():
    known = with_prices(price("aws_p5_48xlarge", 9.0, "2026"), price("gcp_a3_highgpu_8g", 8.0, "2026"))
    assert known.usd_per_vm_hour("h100_80gb", "here").vm.key == "gcp_a3_highgpu_8g"


def test_spot_of_the_newest_week_is_not_the_cheapest_ever():
    assert KNOWN.usd_per_vm_hour("h100_80gb", "us-central1", "spot").usd_per_vm_hour == pytest.approx(50.61, abs=0.01)


def test_a_price_that_is_not_there_says_what_is():
    with pytest.raises(CatalogError, match="kinds known there: on_demand; regions with spot"):
        KNOWN.usd_per_vm_hour("h100_80gb", "eastus", "spot")
    with pytest.raises(CatalogError, match="did you mean 'eastus'"):
        KNOWN.usd_per_vm_hour("h100_80gb", "east-us")
    with pytest.raises(CatalogError, match="did you mean 'on_demand'"):
        KNOWN.usd_per_vm_hour("h100_80gb", "eastus", "ondemand")
    with pytest.raises(CatalogError, match="neither a machine nor a GPU kind"):
        KNOWN.usd_per_vm_hour("h900", "eastus")
