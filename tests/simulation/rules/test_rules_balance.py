"""workbench.simulation.rules.routing: what the choice of a replica inside a pool compares."""

from __future__ import annotations

import pytest

from workbench.simulation import rules


@pytest.mark.parametrize(
    ("balance", "lighter", "heavier"),
    [
        (rules.BY_PREFILL_TOKENS, (100, 9), (101, 0)),
        (rules.BY_PREFILL_TOKENS, (100, 3), (100, 4)),
        (rules.BY_PREFILL_TOKENS, (0, 70_000), (1, 0)),
        (rules.BY_REQUESTS, (5_000, 3), (0, 4)),
        (rules.BY_REQUESTS, (100, 3), (101, 3)),
        (rules.BY_REQUESTS, (1 << 40, 3), (0, 4)),
    ],
)
def test_the_lighter_replica_has_the_lesser_load(
    balance: int, lighter: tuple[int, int], heavier: tuple[int, int]
) -> None:
    """Loads are prompt tokens owed and requests."""
    assert rules.replica_load(balance, *lighter) < rules.replica_load(balance, *heavier)
