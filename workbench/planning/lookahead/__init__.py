"""Programme L: one programme over hours to weeks that sees what comes, and what it takes to be ready.

``LookAhead`` holds every choice, ``outlook`` lays an instance out, ``solve_outlook`` solves it, ``read`` makes the
plan. :func:`plan_ahead` does all of it; ``planning.solve(..., model="lookahead")`` calls it.
``prices`` says afterwards what binds and what one unit more would be worth, ``in_words`` in sentences.
"""

from __future__ import annotations

from workbench.planning.lookahead.catalog_prices import with_catalog_prices
from workbench.planning.lookahead.laying_out import outlook
from workbench.planning.lookahead.options import START_KINDS, Energy, LookAhead
from workbench.planning.lookahead.outlook import Outlook
from workbench.planning.lookahead.planning_ahead import plan_ahead
from workbench.planning.lookahead.pricing import PRICES, in_words, prices
from workbench.planning.lookahead.reading import read
from workbench.planning.lookahead.solving import Solved, solve_outlook

__all__ = [
    "PRICES",
    "START_KINDS",
    "Energy",
    "LookAhead",
    "Outlook",
    "Solved",
    "in_words",
    "outlook",
    "plan_ahead",
    "prices",
    "read",
    "solve_outlook",
    "with_catalog_prices",
]
