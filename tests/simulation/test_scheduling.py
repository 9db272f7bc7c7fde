"""workbench.simulation.scheduling: what is refused."""

from __future__ import annotations

import pytest

from workbench.errors import SimulationError
from workbench.simulation.scheduling import SCHEDULERS, Scheduling


def test_first_come_first_served_and_whole_prompts_unless_asked() -> None:
    assert (Scheduling().order, Scheduling().chunk_tokens) == ("fcfs", 0)
    assert [Scheduling(order=order).order for order in SCHEDULERS] == ["fcfs", "edf", "pf", "dpa"]


def test_an_unknown_order_is_refused_with_the_nearest() -> None:
    with pytest.raises(SimulationError, match="unknown order 'fcsf': did you mean 'fcfs'"):
        Scheduling(order="fcsf")


@pytest.mark.parametrize("name", ["chunk_tokens", "severe_s", "urgent_s"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_a_negative_number_or_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(SimulationError, match=f"{name} must not be negative"):
        Scheduling(**{name: value})  # type: ignore[arg-type]
