"""A large look-ahead programme solved model by model, at prices for the GPUs that models share.

Models meet only where they stand on the same GPUs: in the stock, the quota, the spot market, and where a replica of one
is swapped for a replica of another. The programmes of the models alone are solved in a twentieth of the time that the
programme of all takes. So those rows are taken out and priced (Lagrange; Geoffrion, "Lagrangean relaxation for integer
programming", 1974):

- Any prices of 0 or more give a bound: the least that all models cost apart, each paying for what it takes and being
  paid for what it adds, less what all that there is to share is worth. Good prices are those of the programme of all
  models in longer windows, which is small.
- A plan comes from turns. The models start from what they would do at those prices, and together take too much of some
  rows. Then each in turn plans again within what the others leave it and its part of the excess. The first windows are
  planned anew by all models together, the first hours in whole replicas.

Bound and plan are of the whole programme: the caller checks the values against every row of it, and solves it by other
means where they are too far apart.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.planning.lookahead.building import Programme, build
from workbench.planning.lookahead.dividing import columns_of_model, in_longer_windows, of_model, of_windows
from workbench.planning.lookahead.outlook import Numbers, Outlook, Places
from workbench.planning.lookahead.rounding import dive
from workbench.planning.lookahead.sessions import Answer, Session, cost_of
from workbench.units import SECONDS_PER_HOUR

# Chosen on the sizes of tests/benchmarks/plan_l.py. Bound and gap are proven whatever they are.
APART_ABOVE_ROWS = 10_000  # smaller programmes are solved whole
INSIDE_ABOVE_ROWS = 8_000  # from there an interior point without a vertex gives prices sooner than the simplex
LONG_WINDOW_S, ROWS_IN_LONG_WINDOWS = 4 * SECONDS_PER_HOUR, 20_000  # windows grow longer where rows are more
EXCESS_RATIO, NEGLIGIBLE_EXCESS = 100.0, 1e-6  # price of an excess over that of a replica held; GPUs that are none
SHARE_OF_GAP, HOPELESS_GAPS = 0.5, 2.0  # of the gap asked for: left to turns, and from where improving is no use
MOST_TOGETHER, ROWS_TOGETHER = 24, 6_000  # windows that all models plan anew together, and the rows those may have
AT_HAND = "at_hand"
SHARED = ("stock", "quota", "spot_stock", AT_HAND)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The programme of one model, and which of its rows are shared with others."""

    model: int
    programme: Programme
    session: Session
    shared: Places

    def taken(self, values: Numbers) -> Numbers:
        """Return what values of this model take of each shared row."""
        matrix = self.programme.matrix
        sums = np.append(0.0, np.cumsum(matrix.coefficients * values[matrix.columns]))
        return np.asarray(sums[matrix.starts[self.shared + 1]] - sums[matrix.starts[self.shared]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Divided:
    """A programme, its parts, the programme in longer windows, and how much of each shared row there is."""

    whole: Programme
    parts: tuple[Part, ...]
    coarse: Programme
    coarse_session: Session
    span: int
    allowed: Numbers


def is_divisible(programme: Programme) -> bool:
    """Whether models share nothing but GPUs, and the programme is so large that solving them apart pays."""
    outlook = programme.outlook
    has_caps = outlook.options.budget_usd is not None or outlook.options.carbon_cap_kg is not None
    return (
        programme.matrix.right.size > APART_ABOVE_ROWS
        and outlook.whole_windows < outlook.windows
        and len(outlook.models) > 1
        and np.unique(outlook.place_model).size == len(outlook.models)
        and not has_caps
        and not outlook.reserved.any()
    )


def divide(programme: Programme) -> Divided:
    """Build the programmes of the models alone and the one in longer windows."""
    outlook = programme.outlook
    span = max(1, round(LONG_WINDOW_S / outlook.window_s), -(-programme.matrix.right.size // ROWS_IN_LONG_WINDOWS))
    coarse = build(in_longer_windows(outlook, span))
    return Divided(
        whole=programme,
        parts=tuple(_part(outlook, model) for model in range(len(outlook.models))),
        coarse=coarse,
        coarse_session=_session(coarse),
        span=span,
        allowed=programme.matrix.right[shared_rows(programme)],
    )


def solve_apart(divided: Divided, *, gap_fraction: float, deadline_s: float) -> Answer | None:
    """Return a plan whose first hours are whole, with a bound; None where turns or time came to no plan.

    ``deadline_s`` is an instant of ``time.perf_counter``; within ``gap_fraction`` of the bound no further turns are
    taken. Whether the plan is within it, or keeps every row, is for the caller to see.
    """
    prices = shared_prices(divided, deadline_s=deadline_s)
    if prices is None:
        return None
    answers = []
    for part in divided.parts:
        answer = _at_prices(part, prices, deadline_s)
        if answer is None or not answer.is_proven:
            return None
        answers.append(answer)
    bound = sum(answer.bound for answer in answers) - float(prices @ divided.allowed)
    near_usd = bound + SHARE_OF_GAP * gap_fraction * abs(bound)
    values = _in_turn(divided, [answer.values for answer in answers], near_usd=near_usd, deadline_s=deadline_s)
    if values is None:
        return None
    return _begin_whole(divided.whole, values, bound, gap_fraction=gap_fraction, deadline_s=deadline_s)


def shared_rows(programme: Programme) -> Places:
    """Return the rows of a programme that models share, in the order of SHARED."""
    spans = (programme.rows_of(name) for name in SHARED)
    return np.concatenate([np.arange(span.start, span.stop) for span in spans])


def shared_prices(divided: Divided, *, deadline_s: float) -> Numbers | None:
    """Return what one unit more of each shared row is worth, read off the programme in longer windows.

    A GPU of the stock in a long window is one in each of its short ones; what a GPU at hand is worth runs down evenly
    from one long window to the next. None where time ran out.
    """
    session, span, windows = divided.coarse_session, divided.span, divided.whole.outlook.windows
    if divided.coarse.matrix.right.size > INSIDE_ABOVE_ROWS:
        session.stay_inside()
    if session.run(time_limit_s=deadline_s - time.perf_counter()) is None:
        return None
    worth, _ = session.duals()
    at, ago = np.arange(windows) // span, np.arange(windows) % span / span
    found = []
    for name in SHARED:
        prices = np.maximum(-worth[divided.coarse.rows_of(name)], 0.0).reshape(-1, divided.coarse.outlook.windows)
        after = np.append(prices[:, 1:], np.zeros((prices.shape[0], 1)), axis=1)
        runs_down = prices[:, at] * (1.0 - ago) + after[:, at] * ago
        found.append(runs_down if name == AT_HAND else prices[:, at] / span)
    return np.concatenate([prices.ravel() for prices in found])


def _part(outlook: Outlook, model: int) -> Part:
    programme = build(of_model(outlook, model))
    return Part(model=model, programme=programme, session=_session(programme), shared=shared_rows(programme))


def _session(programme: Programme) -> Session:
    return Session(programme.matrix, None, threads=programme.outlook.options.threads)


def _at_prices(part: Part, prices: Numbers, deadline_s: float) -> Answer | None:
    """Return what a model does when it may take any number of GPUs at a price."""
    matrix = part.programme.matrix
    of_row = np.zeros(matrix.right.size)
    of_row[part.shared] = prices
    of_entry = np.repeat(of_row, np.diff(matrix.starts)) * matrix.coefficients
    paid = np.bincount(matrix.columns, weights=of_entry, minlength=matrix.cost.size)
    part.session.limit(part.shared, np.full(part.shared.size, np.inf))
    part.session.price(np.arange(matrix.cost.size), matrix.cost + paid)
    return part.session.run(time_limit_s=deadline_s - time.perf_counter())


def _in_turn(divided: Divided, values: Sequence[Numbers], *, near_usd: float, deadline_s: float) -> Numbers | None:
    """Return a plan in which each model has planned within what the others leave: first at the prices they have.

    What all models together take too much is given back by those who take it, each its part in its turn. A second
    round of turns, at what things cost, follows where the first left an excess or came not near enough.
    """
    own, taken = list(values), [part.taken(mine) for part, mine in zip(divided.parts, values, strict=True)]
    excess = np.maximum(sum(taken) - divided.allowed, 0.0)
    claims = np.maximum(taken, 0.0)
    to_come = np.cumsum(claims[::-1], axis=0)[::-1] - claims
    share_to_come = to_come / np.maximum(claims.sum(axis=0), NEGLIGIBLE_EXCESS)
    for is_first in (True, False):
        for number, part in enumerate(divided.parts):
            left = divided.allowed - (sum(taken) - taken[number])
            if is_first:
                part.session.admit_excess(part.shared, EXCESS_RATIO * float(part.programme.outlook.hold_usd.max()))
                left = left + excess * share_to_come[number]
            else:
                part.session.price(np.arange(part.programme.matrix.cost.size), part.programme.matrix.cost)
            part.session.limit(part.shared, left)
            answer = part.session.run(time_limit_s=deadline_s - time.perf_counter())
            if answer is None or not answer.is_proven:
                return None
            own[number], taken[number] = answer.values, part.taken(answer.values)
        together = _together(divided, own)
        is_over = (sum(taken) > divided.allowed + NEGLIGIBLE_EXCESS).any()
        if not is_over and cost_of(divided.whole.matrix, together) <= near_usd:
            break
    return together


def _together(divided: Divided, values: Sequence[Numbers]) -> Numbers:
    """Return the models' values as those of the whole programme."""
    whole = np.zeros(divided.whole.matrix.cost.size)
    for part, own in zip(divided.parts, values, strict=True):
        at = columns_of_model(divided.whole.outlook, divided.whole.columns, part.model)
        for block in part.programme.columns.blocks:
            if block.index.size:
                whole[at[block.name]] = own[block.index]
    return whole


def _begin_whole(
    programme: Programme, values: Numbers, bound: float, *, gap_fraction: float, deadline_s: float
) -> Answer | None:
    """Return a plan with its first hours whole: the first windows planned anew together, later ones where it helps.

    It helps where the gap asked for is missed by little.
    """
    outlook = programme.outlook
    fitting = int(ROWS_TOGETHER * outlook.windows / programme.matrix.right.size)
    count = max(outlook.whole_windows, min(MOST_TOGETHER, fitting))
    planned = _anew(programme, values, slice(0, count), deadline_s=deadline_s)
    if planned is None:
        return None
    for first in range(count, outlook.windows, count):
        objective = cost_of(programme.matrix, planned)
        is_hopeless = objective - bound > HOPELESS_GAPS * gap_fraction * abs(objective)
        if objective - bound <= gap_fraction * abs(objective) or is_hopeless:
            break
        better = _anew(programme, planned, slice(first, first + count), deadline_s=deadline_s)
        planned = planned if better is None else better
    return Answer(values=planned, objective=cost_of(programme.matrix, planned), bound=bound, is_proven=True)


def _anew(programme: Programme, values: Numbers, windows: slice, *, deadline_s: float) -> Numbers | None:
    """Return a plan in which all models plan some windows anew together, whole windows whole; None where none is."""
    part, columns = of_windows(programme, values, windows)
    session = _session(part)
    found = session.run(time_limit_s=deadline_s - time.perf_counter())
    if found is not None and found.is_proven and windows.start == 0:
        block_windows = programme.outlook.whole_windows
        found = dive(part, session, found, block_windows=block_windows, deadline_s=deadline_s)
    if found is None or not found.is_proven:
        return None
    planned = values.copy()
    planned[columns] = found.values
    return planned
