"""From fractions to whole replicas without a branch-and-bound tree.

The relaxation of this programme is tight: its solution is a few fractional replicas per model and window away from a
whole plan. So the fractions are dived upon, block of windows by block: what is whole stays at least where it is, of
each model the place with the largest fraction is rounded up, the relaxation is solved again from its basis and decides
the rest anew, until the block is whole and fixed. A place for which there is no stock is rounded down instead.
"""

from __future__ import annotations

import time

import numpy as np

from workbench.planning.lookahead.building import Programme
from workbench.planning.lookahead.outlook import Numbers, Places
from workbench.planning.lookahead.sessions import Answer, Session

WHOLE = 1e-6
ROUNDS = 40


def dive(
    programme: Programme, session: Session, relaxed: Answer, *, block_windows: int, deadline_s: float
) -> Answer | None:
    """Return a whole plan near a relaxed one, or None where time ran out or a block could not be made whole.

    ``deadline_s`` is an instant of ``time.perf_counter``. The session keeps the bounds that the dive set.
    """
    answer = relaxed
    windows = programme.outlook.whole_windows
    for first in range(0, windows, block_windows):
        block = range(first, min(first + block_windows, windows))
        found = _make_whole(programme, session, answer, block, deadline_s)
        if found is None:
            return None
        answer = found
    return answer


def fix(programme: Programme, session: Session, values: Numbers, *, deadline_s: float) -> Answer | None:
    """Return the best plan with the whole columns at rounded values; None where there is none."""
    whole = np.flatnonzero(programme.matrix.is_whole)
    counts = np.round(values[whole])
    session.bound(whole, counts, counts)
    return session.run(time_limit_s=deadline_s - time.perf_counter())


def free(programme: Programme, session: Session, columns: Places) -> None:
    """Give columns back the bounds they have in the programme."""
    session.bound(columns, programme.matrix.lower[columns], programme.matrix.upper[columns])


def _make_whole(
    programme: Programme, session: Session, answer: Answer, windows: range, deadline_s: float
) -> Answer | None:
    chosen = programme.columns
    place = np.arange(chosen.replicas.shape[0])
    blocks = [chosen.replicas[:, windows.start : windows.stop]]
    if chosen.spot.size:
        blocks.append(chosen.spot[:, windows.start : windows.stop])
    low = {id(block): programme.matrix.lower[block].copy() for block in blocks}
    high = {id(block): programme.matrix.upper[block].copy() for block in blocks}
    current = answer
    for _ in range(ROUNDS):
        is_open = False
        raised = []
        for block in blocks:
            values = current.values[block]
            up = _largest_fractions(values, programme.outlook.place_model[place])
            is_open |= bool(up.any())
            raised.append((block, up, np.ceil(values - WHOLE)))
        if not is_open:
            break
        for block, up, ceiling in raised:
            low[id(block)][up] = np.minimum(ceiling[up], high[id(block)][up])
            session.bound(block, low[id(block)], high[id(block)])
        tried = session.run(time_limit_s=deadline_s - time.perf_counter())
        if tried is None or not tried.is_proven:
            for block, up, ceiling in raised:
                low[id(block)][up] = programme.matrix.lower[block][up]
                high[id(block)][up] = ceiling[up] - 1.0
                session.bound(block, low[id(block)], high[id(block)])
            tried = session.run(time_limit_s=deadline_s - time.perf_counter())
        if tried is None or time.perf_counter() > deadline_s:
            return None
        current = tried
    for block in blocks:
        counts = np.round(current.values[block])
        session.bound(block, counts, counts)
    return current


def _largest_fractions(values: Numbers, models: Places) -> np.ndarray:
    """Return which counts to round up: of each model and window the largest fraction."""
    fraction = values - np.floor(values + WHOLE)
    fraction[fraction < WHOLE] = 0.0
    up = np.zeros(values.shape, dtype=bool)
    for model in np.unique(models):
        rows = np.flatnonzero(models == model)
        best = fraction[rows].argmax(axis=0)
        windows = np.arange(values.shape[1])
        up[rows[best], windows] = fraction[rows[best], windows] > 0.0
    return up
