"""Why a plan is as it is, what else would do nearly as well, and what each wish costs.

``rejected`` says why a model is not served on a GPU kind, ``binding`` what keeps the plan from being cheaper, in
words; ``wish_costs`` plans again under other wishes, ``near_equal`` looks for plans of an hour that cost the same and
differ most, ``near_equal_ahead`` for those of a look-ahead plan, ``differences`` puts two plans beside each other.
"""

from __future__ import annotations

from workbench.planning.explaining.binding import binding
from workbench.planning.explaining.differences import differences, differences_told
from workbench.planning.explaining.near_equal import NearEqual, near_equal, near_equal_by_region
from workbench.planning.explaining.near_equal_ahead import (
    NearEqualAhead,
    NearEqualsAhead,
    near_equal_ahead,
    near_equal_by_region_and_gpu,
)
from workbench.planning.explaining.rejected import rejected
from workbench.planning.explaining.wishes import Wish, wish_costs, wishes

__all__ = [
    "NearEqual",
    "NearEqualAhead",
    "NearEqualsAhead",
    "Wish",
    "binding",
    "differences",
    "differences_told",
    "near_equal",
    "near_equal_ahead",
    "near_equal_by_region",
    "near_equal_by_region_and_gpu",
    "rejected",
    "wish_costs",
    "wishes",
]
