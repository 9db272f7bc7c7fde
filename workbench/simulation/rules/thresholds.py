"""The numbers of a policy as compiled code takes them, and the numbers that stand for kinds, silos and ways to pace."""

from __future__ import annotations

from typing import NamedTuple

from workbench.domain import FOLLOW_PLAN, SCALE_BY, Policy

RECLAIM, SWAP, REMOTE, REFUSED, IN = 0, 1, 2, 3, 4
KINDS = ("reclaim", "swap", "remote", "refused", "in")
SHARED, INTERACTIVE, DEFERRABLE, MIXED = 0, 1, 2, 3
SILOS = ("shared", "interactive", "deferrable", "mixed")
NO_PLAN, AT_ONCE, PACED, PACED_WITH_OVERRIDE = range(len(FOLLOW_PLAN))
LOAD, BACK_PRESSURE, ARRIVALS = range(len(SCALE_BY))
NEVER = 1e18


#: A signal that lies on a threshold comes out a rounding above or below it, as the engine happens to sum; above and
#: below a threshold is what lies beyond it by more than this share of it, so that equal loads are decided alike.
HAIR = 1e-9


class Rules(NamedTuple):
    """A policy's numbers in the order compiled code takes them; meanings and units as in ``domain.Policy``."""

    follow_plan: int
    scale_by: int
    kv_cache_only: bool
    route_below: float
    out_above: float
    in_below: float
    cooldown_s: float
    floor: int
    release_two_below: float
    release_one_below: float
    ages_after_s: float
    override_in_last_s: float
    override_out_ratio: float
    override_in_ratio: float
    pressure_out_above: float
    pressure_in_below: float
    pressure_mean_s: float
    batch_fill: float
    drain_out_ratio: float
    drain_in_ratio: float
    staffed_load: float
    spare: float
    spare_in: float
    reclaim_s: float
    swap_s: float
    remote_s: float


def rules_of(policy: Policy) -> Rules:
    """Return a policy's numbers for the engines.

    A whole number where others are not, as in ``cooldown_s = 15``, would have the engines compiled for it.
    """
    return Rules(
        follow_plan=FOLLOW_PLAN.index(policy.follow_plan),
        scale_by=SCALE_BY.index(policy.scale_by),
        kv_cache_only=policy.signal == "kv_cache",
        route_below=policy.route_below_fraction * (1.0 - HAIR),
        out_above=policy.scale_out_above_fraction * (1.0 + HAIR),
        in_below=policy.scale_in_below_fraction * (1.0 - HAIR),
        cooldown_s=float(policy.cooldown_s),
        floor=int(policy.floor_replicas),
        release_two_below=policy.release_two_below_fraction * (1.0 - HAIR),
        release_one_below=policy.release_one_below_fraction * (1.0 - HAIR),
        ages_after_s=float(policy.deferrable_ages_after_s),
        override_in_last_s=float(policy.override_in_last_s),
        override_out_ratio=float(policy.override_out_ratio),
        override_in_ratio=float(policy.override_in_ratio),
        pressure_out_above=float(policy.pressure_out_above_fraction),
        pressure_in_below=float(policy.pressure_in_below_fraction),
        pressure_mean_s=float(policy.pressure_mean_s),
        batch_fill=float(policy.batch_fill_fraction),
        drain_out_ratio=float(policy.drain_out_ratio),
        drain_in_ratio=float(policy.drain_in_ratio),
        staffed_load=float(policy.staffed_load_fraction),
        spare=float(policy.spare_ratio),
        spare_in=float(policy.spare_in_ratio),
        reclaim_s=float(policy.reclaim_s),
        swap_s=float(policy.swap_s),
        remote_s=float(policy.remote_s),
    )
