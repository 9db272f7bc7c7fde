"""What the world is made of, as frozen values: facts of the catalog, the fleet, and what people choose.

Every value refuses to be wrong where it is written. Facts (a GPU's memory, a price) come from the catalog with source
and date; choices (headroom, thresholds, how many days) come from the scenario. Code asks attributes
(``tier.deferrable``), never keys.
"""

from workbench.domain.choices import ENGINES, REPLAN, SCHEDULERS, SOLVERS, RiskPolicy, Scenario
from workbench.domain.facts import (
    PRICE_KINDS,
    FitError,
    Gpu,
    Profile,
    Region,
    ServedModel,
    Tier,
    Validity,
    Vm,
    VmPrice,
)
from workbench.domain.fleet import Fleet, Replica, TokenMix
from workbench.domain.policy import FOLLOW_PLAN, FORESIGHTS, PROGRAMMES, SCALE_BY, SIGNALS, Policy

__all__ = [
    "ENGINES",
    "FOLLOW_PLAN",
    "FORESIGHTS",
    "PRICE_KINDS",
    "PROGRAMMES",
    "REPLAN",
    "SCALE_BY",
    "SCHEDULERS",
    "SIGNALS",
    "SOLVERS",
    "FitError",
    "Fleet",
    "Gpu",
    "Policy",
    "Profile",
    "Region",
    "Replica",
    "RiskPolicy",
    "Scenario",
    "ServedModel",
    "Tier",
    "TokenMix",
    "Validity",
    "Vm",
    "VmPrice",
]
