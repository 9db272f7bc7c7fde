"""What people decide about a look-ahead plan, as one frozen value: every limit, price and right to move work.

Whatever is left at its default switches a part of the programme off (no quota below the stock, no spot, nothing
reserved, no reserve for a lost region, no cap) or is SageServe's (start-up times, floor). A setting that contradicts
itself is refused here; one that contradicts the fleet is refused when the outlook is laid out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.domain.facts import refuse
from workbench.errors import PlanError

Key = tuple[str, str]
START_KINDS = ("reclaim", "swap", "remote")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What a region's electricity costs and emits: one number, or 24 for the hours of the day in UTC."""

    usd_per_kwh: tuple[float, ...] = (0.0,)
    carbon_kg_per_kwh: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        refuse(
            PlanError,
            "energy",
            {
                f"{name} must hold 1 or 24 numbers, got {len(values)}": True
                for name in ("usd_per_kwh", "carbon_kg_per_kwh")
                for values in [getattr(self, name)]
                if len(values) not in (1, 24)
            }
            | {
                f"{name} must not be negative, got {min(values)}": True
                for name in ("usd_per_kwh", "carbon_kg_per_kwh")
                for values in [getattr(self, name)]
                if values and not min(values) >= 0
            },
        )


@dataclass(frozen=True, kw_only=True)
class LookAhead:
    """How a look-ahead plan is made.

    Solving. ``integer_hours`` is how many of the first hours are decided in whole replicas, the rest in fractions
    (what an hourly control loop needs); None makes the whole plan whole. ``threads`` of the solver.

    Starts. ``lead_s`` by kind of start: lent and still loaded, lent with another model, a machine from elsewhere. What
    a start costs is the price of the replica for that time, times ``start_cost_ratio``. ``weights_in`` names the
    (region, model) that hold a copy of the weights; where they do not, every start but a reclaim is remote; None means
    everywhere. ``starts_per_window`` and ``stops_per_window`` limit the change of a model in a region.

    Supply, by (region, gpu) in GPUs. ``quota_gpus`` limits what is bought on demand; ``reserved_gpus`` are paid at
    ``reserved_usd_per_gpu_hour`` whether used or not and earn ``idle_usd_per_gpu_hour`` when let; ``spot_gpus`` can be
    bought at ``spot_usd_per_gpu_hour``, one number or one per window. All of them together stay within the fleet's
    stock. At most ``interactive_on_spot_fraction`` of a model's interactive work may stand on spot.

    Work. Tiers with a ``ttft_slo_s`` below ``bound_below_ttft_s`` are served where a flow sends them:
    ``local_fraction`` (epsilon) of it at home, the rest along ``pairs`` (origin, region), each token at
    ``latency_usd_per_mtoken_s`` per second of network latency; None allows every pair. The other tiers are pooled over
    all regions that ``residency`` lets an origin's work go to; ``defer_at_home`` keeps deferrable work in the region
    where it queues, as the simulator's rules release it. ``lost_region_fraction`` of interactive work stays
    servable when any one region is lost. What waits at the end of the plan costs ``leftover_cost_ratio`` times the
    cheapest way of serving it.

    Caps over the whole plan: ``budget_usd``, ``carbon_cap_kg``; ``carbon_usd_per_kg`` prices carbon instead.
    ``kw_per_gpu`` by GPU kind and ``energy`` by region say what is drawn; GPUs of a kind that is not named draw none.
    """

    integer_hours: float | None = None
    threads: int = 1
    lead_s: Mapping[str, float] = field(default_factory=lambda: {"reclaim": 60.0, "swap": 600.0, "remote": 7200.0})
    start_cost_ratio: float = 1.0
    weights_in: frozenset[Key] | None = None
    floor_replicas: int = 2
    starts_per_window: int | None = None
    stops_per_window: int | None = None
    quota_gpus: Mapping[Key, int] = field(default_factory=dict)
    reserved_gpus: Mapping[Key, int] = field(default_factory=dict)
    reserved_usd_per_gpu_hour: Mapping[Key, float] = field(default_factory=dict)
    idle_usd_per_gpu_hour: Mapping[Key, float] = field(default_factory=dict)
    spot_gpus: Mapping[Key, float | tuple[float, ...]] = field(default_factory=dict)
    spot_usd_per_gpu_hour: Mapping[Key, float] = field(default_factory=dict)
    interactive_on_spot_fraction: float = 0.0
    bound_below_ttft_s: float = 10.0
    local_fraction: float = 0.5
    pairs: frozenset[Key] | None = None
    residency: Mapping[str, frozenset[str]] = field(default_factory=dict)
    defer_at_home: bool = False
    latency_usd_per_mtoken_s: float = 0.1
    lost_region_fraction: float = 0.0
    leftover_cost_ratio: float = 1.5
    kw_per_gpu: Mapping[str, float] = field(default_factory=dict)
    energy: Mapping[str, Energy] = field(default_factory=dict)
    carbon_usd_per_kg: float = 0.0
    carbon_cap_kg: float | None = None
    budget_usd: float | None = None

    def __post_init__(self) -> None:
        refuse(PlanError, "the look-ahead options", self._wrong_numbers() | self._wrong_choices())

    def _wrong_numbers(self) -> dict[str, bool]:
        """Return what is out of its range."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        wrong = {
            f"{name} must lie in 0-1, got {value}": True
            for name, value in values.items()
            if name.endswith("_fraction") and not 0 <= value <= 1
        }
        for name, value in values.items():
            of_key = value.items() if isinstance(value, Mapping) and name not in ("residency", "energy") else ()
            for key, number in (*of_key, *([("", value)] if isinstance(value, int | float) else [])):
                numbers = number if isinstance(number, tuple) else (number,)
                if not all(0 <= one < math.inf for one in numbers):
                    wrong[f"{name}{' of ' + str(key) if key else ''} must be a number, 0 or more, got {number}"] = True
        return wrong

    def _wrong_choices(self) -> dict[str, bool]:
        """Return what is none of the choices, or lacks its price."""
        priced = ((self.reserved_gpus, self.reserved_usd_per_gpu_hour), (self.spot_gpus, self.spot_usd_per_gpu_hour))
        unpriced = [key for counts, prices in priced for key in counts if key not in prices]
        return {
            f"lead_s must name {', '.join(START_KINDS)}, got {', '.join(self.lead_s)}": set(self.lead_s)
            != set(START_KINDS),
            f"threads must be 1 or more, got {self.threads}": self.threads < 1,
            "integer_hours must be above 0": self.integer_hours is not None and not self.integer_hours > 0,
            f"reserved or spot GPUs without a price: {', '.join(map(str, unpriced))}": bool(unpriced),
        }
