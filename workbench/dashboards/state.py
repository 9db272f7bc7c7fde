"""What a person can choose on the what-if page, as one object that has never heard of a widget.

Setting a trait tells whoever observes it; nothing here computes. The choices of a study itself are where every page
starts and what a reset goes back to.
"""

from __future__ import annotations

from collections.abc import Mapping

from traitlets import Float, HasTraits, Unicode

from workbench.domain import Policy
from workbench.results import Study
from workbench.units import SECONDS_PER_MINUTE

#: What the sliders span; a study whose own value lies outside widens its slider.
RANGES: Mapping[str, tuple[float, float]] = {
    "demand_factor": (0.5, 2.0),
    "planning_signal_fraction": (0.3, 0.9),
    "scale_out_above_fraction": (0.5, 0.9),
    "reclaim_minutes": (0.0, 10.0),
}
PLAN_CHOICES = ("quantile", "planning_signal_fraction")


class Choices(HasTraits):
    """One answer to every question of the what-if page.

    ``demand_factor`` multiplies demand and forecast alike. ``quantile`` of the forecast is planned for, at the load
    ``planning_signal_fraction`` of a replica. ``strategy`` scales out above ``scale_out_above_fraction``, and a replica
    lent to the spot pool serves again after ``reclaim_minutes``.
    """

    strategy = Unicode()
    demand_factor = Float(1.0)
    quantile = Float(0.75)
    planning_signal_fraction = Float(0.5)
    scale_out_above_fraction = Float(0.7)
    reclaim_minutes = Float(1.0)

    def now(self) -> tuple[tuple[str, object], ...]:
        """Return the choices as a value that can be compared and kept."""
        return tuple(sorted(self.trait_values().items()))


def of_study(study: Study, strategy: str | None = None) -> Choices:
    """Return the choices a study was made with, for one of its strategies.

    Without one: the last of its strategies that follows a plan, else its baseline.
    """
    policy = policy_named(study, strategy or _first_shown(study))
    return Choices(
        strategy=policy.key,
        demand_factor=1.0,
        quantile=study.scenario.risk.quantile,
        planning_signal_fraction=planned_load(study, policy),
        scale_out_above_fraction=policy.scale_out_above_fraction,
        reclaim_minutes=policy.reclaim_s / SECONDS_PER_MINUTE,
    )


def planned_load(study: Study, policy: Policy) -> float:
    """Return the load of a replica that a study planned a strategy at: its own, where it had a plan of its own."""
    own = policy.planning_signal_fraction
    of_all = study.scenario.risk.planning_signal_fraction
    return of_all if own is None or study.scenario.replan == "once" else own


def holds_peak(study: Study, policy: Policy) -> bool:
    """Return whether a strategy holds what the peak of the history needed, whatever is chosen."""
    return policy.needs_plan and policy.programme == "peak" and study.scenario.replan == "hourly"


def span_of(name: str, own: float) -> tuple[float, float]:
    """Return the lowest and highest value of a slider, wide enough for the study's own value."""
    low, high = RANGES[name]
    return min(low, own), max(high, own)


def idle_choices(study: Study, policy: Policy) -> frozenset[str]:
    """Return the choices that change nothing under a strategy: it follows no plan, nothing else, or back-pressure."""
    if policy.scale_by == "back_pressure" or holds_peak(study, policy):
        return frozenset({*PLAN_CHOICES, "scale_out_above_fraction"})
    if not policy.needs_plan:
        return frozenset(PLAN_CHOICES)
    return frozenset({"scale_out_above_fraction"}) if policy.follow_plan == "at_once" else frozenset()


def policy_named(study: Study, strategy: str) -> Policy:
    """Return a strategy of the study as the scenario has it."""
    return next(policy for policy in study.scenario.strategies if policy.key == strategy)


def _first_shown(study: Study) -> str:
    planned = [policy.key for policy in study.scenario.strategies if policy.needs_plan]
    return planned[-1] if planned else study.scenario.baseline
