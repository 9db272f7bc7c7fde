"""What people decide for a study: the risk its plan carries, and the scenario around its strategies."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from workbench.domain.facts import refuse
from workbench.domain.policy import Policy
from workbench.errors import ScenarioError

REPLAN = ("hourly", "once")
SOLVERS = ("highs", "cbc")
ENGINES = ("fluid", "replay")
SCHEDULERS = ("fcfs", "edf", "pf", "dpa")


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
        refuse(
            ScenarioError,
            f"scenario {self.name}",
            {
                **self._wrong_strategies(),
                f"demand_scale must be positive, got {self.demand_scale}": not self.demand_scale > 0,
                f"epsilon_fraction must lie in 0-1, got {self.epsilon_fraction}": not 0 <= self.epsilon_fraction <= 1,
                **self._wrong_quantiles(),
                f"warmup_hours must be whole hours of 0 or more, got {self.warmup_hours}": self.warmup_hours < 0
                or self.warmup_hours != int(self.warmup_hours),
                f"name may hold letters, digits, dot, dash and underscore, got {self.name!r}": not re.fullmatch(
                    r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name
                ),
                "prices must be positive": not all(price > 0 for price in self.usd_per_vm_hour.values()),
                **self._wrong_sizes(),
                **self._wrong_choices(),
                **self._wrong_changes(),
                "solver_time_limit_s must be positive": self.solver_time_limit_s <= 0,
                f"store must be a path or a URI, got {self.store!r}": self.store is not None
                and not (isinstance(self.store, str) and self.store),
                "simulate_hours must be positive": self.simulate_hours is not None and self.simulate_hours <= 0,
            },
        )

    def _wrong_strategies(self) -> dict[str, bool]:
        """Return what is wrong with the strategies as a list."""
        keys = [policy.key for policy in self.strategies]
        return {
            "strategies must not be empty": not keys,
            f"strategies appear twice: {', '.join(keys)}": len(keys) != len(set(keys)),
            f"baseline {self.baseline} is none of the strategies {', '.join(keys)}": self.baseline not in keys,
        }

    def _wrong_quantiles(self) -> dict[str, bool]:
        """Return the quantiles that are none, and those that are asked for and not forecast."""
        asked = {
            "risk.quantile": self.risk.quantile,
            **{f"risk.quantile_by_tier.{tier}": q for tier, q in self.risk.quantile_by_tier.items()},
        }
        return {
            **{
                f"{name} {quantile} must be among forecast.quantiles {', '.join(map(str, self.quantiles))}; "
                "add it there": quantile not in self.quantiles
                for name, quantile in asked.items()
            },
            "forecast.quantiles must hold 0.5: a strategy with override compares with the median": 0.5
            not in self.quantiles
            and any(policy.follow_plan == "paced_with_override" for policy in self.strategies),
            "forecast.quantiles must lie between 0 and 1": not all(0 < quantile < 1 for quantile in self.quantiles),
        }

    def _wrong_sizes(self) -> dict[str, bool]:
        """Return the lengths and counts that may be left to the trace, but are given and impossible."""
        names = (
            "demand_window_s",
            "forecast_window_s",
            "history_days",
            "stock_gpus_per_region",
            "interactive_per_deferrable",
        )
        values = {name: getattr(self, name) for name in names}
        start = self.initial_replicas_per_pool
        return {
            f"{name} must be positive, got {value}": value is not None and not value > 0
            for name, value in values.items()
        } | {f"initial_replicas_per_pool must not be negative, got {start}": start is not None and start < 0}

    def _wrong_choices(self) -> dict[str, bool]:
        """Return what is none of the choices, or contradicts another."""
        return {
            f"solver must be one of {', '.join(SOLVERS)}, got {self.solver}": self.solver not in SOLVERS,
            f"replan must be one of {', '.join(REPLAN)}, got {self.replan}": self.replan not in REPLAN,
            f"engine must be one of {', '.join(ENGINES)}, got {self.engine}": self.engine not in ENGINES,
            f"scheduler must be one of {', '.join(SCHEDULERS)}, got {self.scheduler}": self.scheduler not in SCHEDULERS,
            f'scheduler {self.scheduler} orders single requests: set engine = "replay"': self.engine == "fluid"
            and self.scheduler != "fcfs",
        }

    def _wrong_changes(self) -> dict[str, bool]:
        """Return the bursts and forecast errors that cannot be put in."""
        copies, bias, error = self.burst_copies, self.forecast_bias_fraction, self.forecast_error_fraction
        return {
            f"burst_copies must be a whole number, 0 or more, got {copies}": copies < 0 or copies != int(copies),
            f"forecast_bias_fraction must be above -1, got {bias}": not bias > -1,
            f"forecast_error_fraction must not be negative, got {error}": not error >= 0,
        }
