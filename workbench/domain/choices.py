"""What people decide: the strategy with its thresholds, the risk the plan carries, and the scenario around them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from workbench.domain.facts import refuse
from workbench.errors import ScenarioError

FOLLOW_PLAN = ("no", "at_once", "paced", "paced_with_override")
SIGNALS = ("largest", "kv_cache")
SOLVERS = ("highs", "cbc")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One strategy as a value: which pools exist, whether a plan is followed and how, and every threshold.

    Defaults are SageServe's (sageserve.md sections 4.2, 4.3, 7.1, 7.2, 7.4). ``signal`` picks the largest of KV cache,
    batch slots and work, or the paper's KV cache alone.
    """

    key: str
    label: str
    siloed: bool = False
    deferrable_share: float = 0.2
    follow_plan: str = "no"
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
    reclaim_s: float = 60.0
    swap_s: float = 600.0
    remote_s: float = 7200.0

    def __post_init__(self) -> None:
        fractions = {
            name: getattr(self, name)
            for name in (
                "route_below_fraction",
                "scale_out_above_fraction",
                "scale_in_below_fraction",
                "release_two_below_fraction",
                "release_one_below_fraction",
                "deferrable_share",
            )
        }
        delays = {name: getattr(self, name) for name in ("cooldown_s", "reclaim_s", "swap_s", "remote_s")}
        refuse(
            ScenarioError,
            f"policy {self.key}",
            {f"{name} must lie in 0-1, got {value}": not 0 <= value <= 1 for name, value in fractions.items()}
            | {f"{name} must not be negative, got {value}": value < 0 for name, value in delays.items()}
            | {
                f"follow_plan must be one of {', '.join(FOLLOW_PLAN)}, got {self.follow_plan}": self.follow_plan
                not in FOLLOW_PLAN,
                f"signal must be one of {', '.join(SIGNALS)}, got {self.signal}": self.signal not in SIGNALS,
                f"scale_in_below_fraction {self.scale_in_below_fraction} must lie below scale_out_above_fraction "
                f"{self.scale_out_above_fraction}": self.scale_in_below_fraction >= self.scale_out_above_fraction,
                f"floor_replicas must be a whole number, 0 or more, got {self.floor_replicas}": not (
                    self.floor_replicas >= 0 and self.floor_replicas == int(self.floor_replicas)
                ),
                f"siloed must be true or false, got {self.siloed!r}": not isinstance(self.siloed, bool),
                "a siloed fleet follows no plan: the plan knows one pool per model and region": self.siloed
                and self.follow_plan != "no",
            },
        )

    @property
    def needs_plan(self) -> bool:
        """Whether the strategy follows an hourly plan."""
        return self.follow_plan != "no"


@dataclass(frozen=True, kw_only=True)
class RiskPolicy:
    """How much of the forecast's uncertainty the plan must carry.

    ``quantile`` of the forecast is planned for, times 1 + ``headroom_fraction``; ``deferrable_buffer_fraction`` of the
    last hour's deferrable load is added (sageserve.md section 5: 0.1). A replica counts with the rate at which its load
    signal reaches ``planning_signal_fraction``; the default is the level up to which deferrable work may fill a pool,
    so that the hour's interactive peak leaves no room for it and every quieter minute does.
    """

    quantile: float = 0.7
    headroom_fraction: float = 0.0
    deferrable_buffer_fraction: float = 0.1
    planning_signal_fraction: float = 0.60

    def __post_init__(self) -> None:
        refuse(
            ScenarioError,
            "risk",
            {
                f"quantile must lie between 0 and 1, got {self.quantile}": not 0 < self.quantile < 1,
                f"headroom_fraction must be above -1, got {self.headroom_fraction}": self.headroom_fraction <= -1,
                "deferrable_buffer_fraction must not be negative": self.deferrable_buffer_fraction < 0,
                "planning_signal_fraction must lie in 0-1": not 0 < self.planning_signal_fraction <= 1,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything a study is made from beside the trace and the catalog; read from TOML by :mod:`workbench.scenarios`.

    ``as_of`` is the instant that splits history from the span that is simulated (null: chosen from the trace's
    length and said so); ``demand_scale`` multiplies every rate, for traces that are samples of a service. Empty
    ``models`` and ``regions`` mean those of the trace. ``initial_replicas_per_pool`` and ``stock_gpus_per_region``
    null size the start and the stock from the history. ``store`` names the trace store or lake where it is not the one
    of the data folder; it says where the trace lies, not what it is, and so is no part of a study's identity.
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
    forecast_method: str = "prophet"
    quantiles: tuple[float, ...] = (0.05, 0.25, 0.5, 0.7, 0.75, 0.9, 0.95, 0.99)
    epsilon_fraction: float = 0.8
    solver: str = "highs"
    solver_gap_fraction: float = 0.001
    solver_time_limit_s: float = 30.0
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
                f"risk.quantile {self.risk.quantile} must be among forecast.quantiles "
                f"{', '.join(map(str, self.quantiles))}; add it there": self.risk.quantile not in self.quantiles,
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
                    for name in ("demand_window_s", "forecast_window_s", "history_days", "stock_gpus_per_region")
                },
                f"initial_replicas_per_pool must not be negative, got {self.initial_replicas_per_pool}": (
                    self.initial_replicas_per_pool is not None and self.initial_replicas_per_pool < 0
                ),
                f"solver must be one of {', '.join(SOLVERS)}, got {self.solver}": self.solver not in SOLVERS,
                "solver_time_limit_s must be positive": self.solver_time_limit_s <= 0,
                f"store must be a path or a URI, got {self.store!r}": self.store is not None
                and not (isinstance(self.store, str) and self.store),
                "simulate_hours must be positive": self.simulate_hours is not None and self.simulate_hours <= 0,
            },
        )
