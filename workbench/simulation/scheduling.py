"""How a replica orders the requests that wait before it, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import SimulationError, nearest, together

SCHEDULERS = ("fcfs", "edf", "pf", "dpa")
BALANCES = ("prefill_tokens", "requests")


@dataclass(frozen=True, kw_only=True)
class Scheduling:
    """The order of a replica (sageserve.md section 4.4) and how many prompt tokens an iteration reads.

    ``fcfs`` by arrival, ``edf`` by arrival plus promise, ``pf`` by tier, ``dpa`` by class: severely expired (more than
    ``severe_s`` late), urgent (due within ``urgent_s``) by tier, others by tier, recently expired. ``chunk_tokens`` 0
    reads whole prompts. The paper does not publish the two times of DPA; ours are choices.

    Raises SimulationError for an unknown order or a negative number.
    """

    order: str = "fcfs"
    balance: str = "prefill_tokens"
    chunk_tokens: int = 0
    severe_s: float = 10.0
    urgent_s: float = 0.5

    def __post_init__(self) -> None:
        findings = {
            f"unknown order '{self.order}': {nearest(self.order, SCHEDULERS)}": self.order not in SCHEDULERS,
            f"unknown balance '{self.balance}': {nearest(self.balance, BALANCES)}": self.balance not in BALANCES,
            **{
                f"{name} must not be negative, got {getattr(self, name)}": not getattr(self, name) >= 0
                for name in ("chunk_tokens", "severe_s", "urgent_s")
            },
        }
        wrong = [text for text, is_wrong in findings.items() if is_wrong]
        if wrong:
            raise SimulationError("scheduling: " + together(wrong))
