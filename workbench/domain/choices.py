"""What people decide: the strategy with its thresholds, the risk the plan carries, and the scenario around them."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from workbench.domain.facts import refuse
from workbench.errors import ScenarioError

FOLLOW_PLAN = ("no", "at_once", "paced", "paced_with_override")
PROGRAMMES = ("sageserve", "lookahead", "peak")
FORESIGHTS = ("forecast", "perfect")
REPLAN = ("hourly", "once")
SIGNALS = ("largest", "kv_cache")
SCALE_BY = ("load", "back_pressure", "arrivals")
SOLVERS = ("highs", "cbc")
ENGINES = ("fluid", "replay")
SCHEDULERS = ("fcfs", "edf", "pf", "dpa")


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


@dataclass(frozen=True, kw_only=True)
class RiskPolicy:
    """How much of the forecast's uncertainty the plan must carry.

    ``quantile`` of the forecast is planned for, or that of ``quantile_by_tier`` for the tiers it names, times
    1 + ``headroom_fraction``; ``deferrable_buffer_fraction`` of the
    last hour's deferrable load is added (sageserve.md section 5: 0.1). A replica counts with the rate at which its load
    signal reaches ``planning_signal_fraction``; the default is the level up to which deferrable work may fill a pool,
    so that the hour's interactive peak leaves no room for it and every quieter minute does.

    A load that falls away for an hour or two and comes back at once is in no forecast. So what was seen in the
    ``recent_peak_hours`` before a planned hour may be kept servable, to ``recent_peak_fraction`` of its highest window;
    0 hours keeps nothing. Autoscalers know it as a stabilization window.

    How much a model keeps ready beyond its forecast may be learned instead, hour by hour in the control loop, from the
    hours that are over: a replica-hour of interactive work that is missed then counts as ``missed_cost_ratio``
    replica-hours held, and headroom and recent hours are each model's own (:mod:`workbench.planning.reserves`). 0
    learns nothing.
    """

    quantile: float = 0.7
    headroom_fraction: float = 0.0
    deferrable_buffer_fraction: float = 0.1
    planning_signal_fraction: float = 0.60
    quantile_by_tier: Mapping[str, float] = field(default_factory=dict)
    recent_peak_hours: float = 0.0
    recent_peak_fraction: float = 0.8
    missed_cost_ratio: float = 0.0

    def quantile_of(self, tier: str) -> float:
        """Return the quantile that is planned for in a tier."""
        return self.quantile_by_tier.get(tier, self.quantile)

    def __post_init__(self) -> None:
        refuse(
            ScenarioError,
            "risk",
            {
                f"quantile must lie between 0 and 1, got {self.quantile}": not 0 < self.quantile < 1,
                f"headroom_fraction must be above -1, got {self.headroom_fraction}": self.headroom_fraction <= -1,
                "deferrable_buffer_fraction must not be negative": self.deferrable_buffer_fraction < 0,
                "planning_signal_fraction must lie in 0-1": not 0 < self.planning_signal_fraction <= 1,
                f"recent_peak_hours must be 0 or more, got {self.recent_peak_hours}": not 0
                <= self.recent_peak_hours
                < math.inf,
                f"recent_peak_fraction must be 0 or more, got {self.recent_peak_fraction}": not 0
                <= self.recent_peak_fraction
                < math.inf,
                f"missed_cost_ratio must be 0 or more, got {self.missed_cost_ratio}": not 0
                <= self.missed_cost_ratio
                < math.inf,
                **{
                    f"quantile_by_tier of {tier} must lie between 0 and 1, got {quantile}": not 0 < quantile < 1
                    for tier, quantile in self.quantile_by_tier.items()
                },
            },
        )


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything a study is made from beside the trace and the catalog; read from TOML by :mod:`workbench.scenarios`.

    ``as_of`` is the instant that splits history from the span that is simulated (null: chosen from the trace's length
    and said so); ``demand_scale`` multiplies every rate, for traces that are samples of a service. Empty ``models`` and
    ``regions`` mean those of the trace. ``initial_replicas_per_pool`` and ``stock_gpus_per_region`` null size the start
    and the stock from the history. ``replan``: every strategy that follows a plan has a new one made every hour from
    what is known then, or all follow one that is made once.

    ``engine`` is the mean-field simulator or the replay of single requests, for which a replica orders what waits by
    ``scheduler``. ``interactive_per_deferrable`` scales the deferrable work so that this many interactive requests come
    for each of it (null: as in the trace); ``burst_copies`` repeats the first minute of every hour but the first of the
    span so many more times (sageserve.md section 11.3: 8). ``forecast_bias_fraction`` and ``forecast_error_fraction``
    spoil every forecast: a share on top of all, and the spread of a factor of its own for each hour and model.

    ``store`` names the trace store or lake where it is not the
    one of the data folder; it says where the trace lies, not what it is, and so is no part of a study's identity.
    """

    name: str
    title: str
    trace: str
    gpus: tuple[str, ...]
    strategies: tuple[Policy, ...]
    baseline: str
    risk: RiskPolicy
    models: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    as_of: datetime | None = None
    simulate_hours: float | None = None
    warmup_hours: float = 0.0
    history_days: float | None = None
    demand_scale: float = 1.0
    demand_window_s: float | None = None
    forecast_window_s: float | None = None
    forecast_method: str = "ensemble"
    quantiles: tuple[float, ...] = (0.05, 0.25, 0.5, 0.7, 0.75, 0.9, 0.95, 0.99)
    epsilon_fraction: float = 0.8
    solver: str = "highs"
    solver_gap_fraction: float = 0.001
    solver_time_limit_s: float = 30.0
    replan: str = "hourly"
    engine: str = "fluid"
    scheduler: str = "fcfs"
    interactive_per_deferrable: float | None = None
    burst_copies: int = 0
    forecast_bias_fraction: float = 0.0
    forecast_error_fraction: float = 0.0
    initial_replicas_per_pool: int | None = None
    stock_gpus_per_region: int | None = None
    usd_per_vm_hour: Mapping[str, float] = field(default_factory=dict)
    provider_region: str = "eastus"
    seed: int = 7
    store: str | None = None

    def __post_init__(self) -> None:
        keys = [policy.key for policy in self.strategies]
        refuse(
            ScenarioError,
            f"scenario {self.name}",
            {
                "strategies must not be empty": not keys,
                f"strategies appear twice: {', '.join(keys)}": len(keys) != len(set(keys)),
                f"baseline {self.baseline} is none of the strategies {', '.join(keys)}": self.baseline not in keys,
                f"demand_scale must be positive, got {self.demand_scale}": not self.demand_scale > 0,
                f"epsilon_fraction must lie in 0-1, got {self.epsilon_fraction}": not 0 <= self.epsilon_fraction <= 1,
                **{
                    f"{name} {quantile} must be among forecast.quantiles {', '.join(map(str, self.quantiles))}; "
                    "add it there": quantile not in self.quantiles
                    for name, quantile in {
                        "risk.quantile": self.risk.quantile,
                        **{f"risk.quantile_by_tier.{tier}": q for tier, q in self.risk.quantile_by_tier.items()},
                    }.items()
                },
                "forecast.quantiles must hold 0.5: a strategy with override compares with the median": 0.5
                not in self.quantiles
                and any(policy.follow_plan == "paced_with_override" for policy in self.strategies),
                "forecast.quantiles must lie between 0 and 1": not all(0 < quantile < 1 for quantile in self.quantiles),
                f"warmup_hours must be whole hours of 0 or more, got {self.warmup_hours}": self.warmup_hours < 0
                or self.warmup_hours != int(self.warmup_hours),
                f"name may hold letters, digits, dot, dash and underscore, got {self.name!r}": not re.fullmatch(
                    r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name
                ),
                "prices must be positive": not all(price > 0 for price in self.usd_per_vm_hour.values()),
                **{
                    f"{name} must be positive, got {getattr(self, name)}": getattr(self, name) is not None
                    and not getattr(self, name) > 0
                    for name in (
                        "demand_window_s",
                        "forecast_window_s",
                        "history_days",
                        "stock_gpus_per_region",
                        "interactive_per_deferrable",
                    )
                },
                f"initial_replicas_per_pool must not be negative, got {self.initial_replicas_per_pool}": (
                    self.initial_replicas_per_pool is not None and self.initial_replicas_per_pool < 0
                ),
                f"solver must be one of {', '.join(SOLVERS)}, got {self.solver}": self.solver not in SOLVERS,
                f"replan must be one of {', '.join(REPLAN)}, got {self.replan}": self.replan not in REPLAN,
                f"engine must be one of {', '.join(ENGINES)}, got {self.engine}": self.engine not in ENGINES,
                f"scheduler must be one of {', '.join(SCHEDULERS)}, got {self.scheduler}": self.scheduler
                not in SCHEDULERS,
                f'scheduler {self.scheduler} orders single requests: set engine = "replay"': self.engine == "fluid"
                and self.scheduler != "fcfs",
                f"burst_copies must be a whole number, 0 or more, got {self.burst_copies}": self.burst_copies < 0
                or self.burst_copies != int(self.burst_copies),
                f"forecast_bias_fraction must be above -1, got {self.forecast_bias_fraction}": not (
                    self.forecast_bias_fraction > -1
                ),
                f"forecast_error_fraction must not be negative, got {self.forecast_error_fraction}": not (
                    self.forecast_error_fraction >= 0
                ),
                "solver_time_limit_s must be positive": self.solver_time_limit_s <= 0,
                f"store must be a path or a URI, got {self.store!r}": self.store is not None
                and not (isinstance(self.store, str) and self.store),
                "simulate_hours must be positive": self.simulate_hours is not None and self.simulate_hours <= 0,
            },
        )
