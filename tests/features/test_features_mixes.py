"""Shares add up within each group, and the tier's facts decide what may wait."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.feature_cases import load
from workbench import catalog
from workbench.domain import Tier
from workbench.errors import CatalogError
from workbench.features import mixes

FACTS = {"source": "test", "date": "2026-01-01"}
TIERS = {
    "now": Tier(key="now", label="now", ttft_slo_s=1.0, deadline_s=None, deferrable=False, priority=0, **FACTS),
    "later": Tier(key="later", label="later", ttft_slo_s=None, deadline_s=3600, deferrable=True, priority=1, **FACTS),
}


def test_shares_are_taken_where_all_that_share_are_known() -> None:
    demand = load({"east a fast": [6, None], "west a fast": [2, 2], "west b slow": [5, 5]})
    assert mixes.regional_split(demand, "model").select("model", "region", "requests_fraction").rows() == [
        ("a", "east", 0.75),
        ("a", "west", 0.25),
        ("b", "west", 1.0),
    ]
    assert dict(mixes.tier_split(demand).select("tier", "requests_fraction").rows()) == {
        "fast": pytest.approx(8 / 13),
        "slow": pytest.approx(5 / 13),
    }


def test_the_fact_of_the_tier_and_not_its_name_says_what_waits() -> None:
    """Model a: 6 now and 2 later, 3 to 1; model b nothing that may wait."""
    demand = load({"r a now": [3, 3], "r a later": [2, 0], "r b now": [5, 5]})
    rows = mixes.deferrable_share(demand, "model", tiers=TIERS).to_dicts()
    assert [(row["requests_deferrable_fraction"], row["interactive_to_deferrable_ratio"]) for row in rows] == [
        (0.25, 3.0),
        (0.0, None),
    ]
    in_time = mixes.deferrable_share(demand, "window_start", tiers=TIERS)
    assert in_time["requests_deferrable_fraction"].to_list() == [0.2, 0.0]
    whole = mixes.deferrable_over_time(demand, window_s=86_400, tiers=TIERS)
    assert whole["requests_deferrable_fraction"].to_list() == [2 / 18]
    (alone,) = mixes.deferrable_share(demand, tiers=TIERS).to_dicts()
    assert alone["input_tokens_deferrable_fraction"] == pytest.approx(2 / 18)


def test_the_tiers_of_the_catalog_are_such_facts() -> None:
    tiers = catalog.load().tiers
    demand = load({f"r m {key}": [1.0, 1.0] for key in tiers})
    share = mixes.deferrable_share(demand, tiers=tiers)["requests_deferrable_fraction"][0]
    assert share == pytest.approx(sum(tier.deferrable for tier in tiers.values()) / len(tiers))


def test_a_tier_without_facts_is_named() -> None:
    with pytest.raises(CatalogError, match="'soon' of this trace is not in the catalog"):
        mixes.deferrable_share(load({"r m soon": [1, 1]}), tiers=TIERS)


@settings(deadline=None, max_examples=30)
@given(parts=st.lists(st.floats(0.1, 1e5), min_size=1, max_size=4), scale=st.floats(0.1, 100))
def test_shares_add_up_to_one_and_know_no_size(parts: list[float], scale: float) -> None:
    demand = load({f"r{i} m t": [value, value] for i, value in enumerate(parts)})
    larger = load({f"r{i} m t": [scale * value, scale * value] for i, value in enumerate(parts)})
    shares = mixes.regional_split(demand, "model")["requests_fraction"]
    assert shares.sum() == pytest.approx(1.0)
    assert mixes.regional_split(larger, "model")["requests_fraction"].to_list() == pytest.approx(shares.to_list())
