"""A strategy as a value: which pools it keeps, whether and which plan it follows, and its thresholds."""

from __future__ import annotations

import dataclasses
import math
import sys
from dataclasses import dataclass

from workbench.domain.facts import refuse
from workbench.errors import ScenarioError

FOLLOW_PLAN = ("no", "at_once", "paced", "paced_with_override")
PROGRAMMES = ("sageserve", "lookahead", "peak")
FORESIGHTS = ("forecast", "perfect")
SIGNALS = ("largest", "kv_cache")
SCALE_BY = ("load", "back_pressure", "arrivals")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One strategy as a value: which pools exist, whether a plan is followed and how, and every threshold.

    Defaults are SageServe's (sageserve.md sections 4.2, 4.3, 7.1, 7.2, 7.4). ``signal`` picks the largest of KV cache,
    batch slots and work, or the paper's KV cache alone. A ``siloed`` fleet starts with ``deferrable_share`` of each
    model's replicas in a pool for deferrable work, ``mixed_share`` in one for both and the rest in one for interactive
    work. ``deferrable_ages_after_s`` is how long deferrable work waits in its queue before it goes at once.

    Where a plan is followed, ``programme`` makes it: SageServe's hourly one, the look-ahead, or the history's peak held
    for good; from a forecast, or with perfect ``foresight`` as a bound that nobody reaches. A replica counts in it with
    the rate at which its signal reaches ``planning_signal_fraction``; null is that of the risk.

    ``scale_by`` back-pressure is Chiron's way (sageserve.md section 7.3): pools of interactive work grow over
    ``pressure_out_above_fraction`` and shrink under ``pressure_in_below_fraction`` of their replicas with an
    interactive request, as a mean over ``pressure_mean_s``. A batch pool is filled to the signal
    ``batch_fill_fraction``; it grows where its queue takes over ``drain_out_ratio`` times as long as the oldest request
    has until its deadline, and shrinks where it would stay under ``drain_in_ratio`` times that.

    ``scale_by`` arrivals staffs a pool for the interactive work that arrives: of its means over ``arrivals_mean_s`` the
    highest of the last ``arrivals_highest_s``, so that a pool grows at once and shrinks late. For ``a`` replicas that
    could just serve it there are a / ``staffed_load_fraction`` + ``spare_ratio`` x the root of a at least, and that
    with ``spare_in_ratio`` at most. Between the two a plan decides where one is followed, and nothing changes where
    none is. Over the load signal ``scale_out_above_fraction`` a pool grows whatever arrives.
    """

    key: str
    label: str
    siloed: bool = False
    deferrable_share: float = 0.2
    mixed_share: float = 0.0
    follow_plan: str = "no"
    programme: str = "sageserve"
    foresight: str = "forecast"
    planning_signal_fraction: float | None = None
    scale_by: str = "load"
    signal: str = "largest"
    route_below_fraction: float = 0.70
    scale_out_above_fraction: float = 0.70
    scale_in_below_fraction: float = 0.30
    cooldown_s: float = 15.0
    floor_replicas: int = 2
    release_two_below_fraction: float = 0.50
    release_one_below_fraction: float = 0.60
    deferrable_ages_after_s: float = 36_000.0
    override_in_last_s: float = 1200.0
    override_out_ratio: float = 5.0
    override_in_ratio: float = 0.5
    pressure_out_above_fraction: float = 0.60
    pressure_in_below_fraction: float = 0.40
    pressure_mean_s: float = 120.0
    batch_fill_fraction: float = 0.85
    drain_out_ratio: float = 1.0
    drain_in_ratio: float = 0.5
    staffed_load_fraction: float = 1.0
    spare_ratio: float = 1.0
    spare_in_ratio: float = 1.3
    arrivals_mean_s: float = 120.0
    arrivals_highest_s: float = 900.0
    reclaim_s: float = 60.0
    swap_s: float = 600.0
    remote_s: float = 7200.0

    def __post_init__(self) -> None:
        policy = f"policy {self.key}"
        refuse(ScenarioError, policy, self._wrong_numbers())
        refuse(ScenarioError, policy, self._wrong_order() | self._wrong_choices())

    def _wrong_numbers(self) -> dict[str, bool]:
        """Return what is out of its range, or not a number."""
        ranges = {
            ("_fraction", "_share"): (1.0, "lie in 0-1"),
            ("_s",): (sys.float_info.max, "be a number of seconds, 0 or more"),
            ("_ratio",): (math.inf, "be a number, 0 or more"),
        }
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        wrong = {
            f"{name} must {what}, got {value!r}": True
            for endings, (highest, what) in ranges.items()
            for name, value in values.items()
            if name.endswith(endings) and value is not None and not 0 <= value <= highest
        }
        floor = self.floor_replicas
        if not (0 <= floor < math.inf and floor == int(floor)):
            wrong[f"floor_replicas must be a whole number, 0 or more, got {floor!r}"] = True
        return wrong

    def _wrong_order(self) -> dict[str, bool]:
        """Return the thresholds that stand in the wrong order: between two that meet a pool would flap."""
        below = (
            ("scale_in_below_fraction", "scale_out_above_fraction"),
            ("pressure_in_below_fraction", "pressure_out_above_fraction"),
            ("drain_in_ratio", "drain_out_ratio"),
            ("spare_ratio", "spare_in_ratio"),
            ("override_in_ratio", "override_out_ratio"),
        )
        up_to = (("release_two_below_fraction", "release_one_below_fraction"),)
        wrong = [(low, high, "below") for low, high in below if getattr(self, low) >= getattr(self, high)]
        wrong += [(low, high, "at or below") for low, high in up_to if getattr(self, low) > getattr(self, high)]
        return {
            f"{low} {getattr(self, low)} must lie {how} {high} {getattr(self, high)}": True for low, high, how in wrong
        }

    def _wrong_choices(self) -> dict[str, bool]:
        """Return what is none of the choices, or contradicts another."""
        return {
            f"follow_plan must be one of {', '.join(FOLLOW_PLAN)}, got {self.follow_plan}": self.follow_plan
            not in FOLLOW_PLAN,
            f"programme must be one of {', '.join(PROGRAMMES)}, got {self.programme}": self.programme not in PROGRAMMES,
            f"foresight must be one of {', '.join(FORESIGHTS)}, got {self.foresight}": self.foresight not in FORESIGHTS,
            f"signal must be one of {', '.join(SIGNALS)}, got {self.signal}": self.signal not in SIGNALS,
            f"scale_by must be one of {', '.join(SCALE_BY)}, got {self.scale_by}": self.scale_by not in SCALE_BY,
            f"siloed must be true or false, got {self.siloed!r}": not isinstance(self.siloed, bool),
            "planning_signal_fraction must be above 0": self.planning_signal_fraction == 0,
            "staffed_load_fraction must be above 0": self.staffed_load_fraction == 0,
            "arrivals_mean_s must be above 0": self.arrivals_mean_s == 0,
            "a siloed fleet follows no plan: the plan knows one pool per model and region": self.siloed is True
            and self.follow_plan != "no",
            "deferrable_share and mixed_share must leave a part for interactive work": self.siloed is True
            and self.deferrable_share + self.mixed_share >= 1,
            "scale_by back_pressure needs siloed = true: it is read from pools for interactive and for batch work": (
                self.scale_by == "back_pressure" and self.siloed is not True
            ),
            "scale_by arrivals needs siloed = false: what arrives is staffed in shared pools": (
                self.scale_by == "arrivals" and self.siloed is True
            ),
            f"scale_by arrivals follows no plan or a paced one, got follow_plan {self.follow_plan}": (
                self.scale_by == "arrivals" and self.follow_plan not in {"no", "paced"}
            ),
            "mixed_share needs siloed = true": self.mixed_share != 0 and self.siloed is not True,
        }

    @property
    def silos(self) -> int:
        """How many pools share the replicas of a model and GPU kind in a region."""
        return (3 if self.mixed_share > 0 else 2) if self.siloed else 1

    @property
    def needs_plan(self) -> bool:
        """Whether the strategy follows an hourly plan."""
        return self.follow_plan != "no"
