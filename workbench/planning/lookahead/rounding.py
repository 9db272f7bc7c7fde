"""From fractions to whole replicas without a branch-and-bound tree.

The relaxation of this programme is tight: its solution is a few fractional replicas per model and window away from a
whole plan. So the fractions are dived upon, block of windows by block. Of each model and window the place with the
largest fraction is a candidate; the larger half of all candidates is rounded up at once, as far as the GPUs of the
region go, the relaxation is solved again from its basis and decides the rest anew, until the block is whole and fixed.
Rounding up all candidates at once is no faster and leaves one to two percent more slack.
"""

from __future__ import annotations

import time

import numpy as np

from workbench.planning.lookahead.building import Programme
from workbench.planning.lookahead.outlook import Numbers, Outlook, Places
from workbench.planning.lookahead.sessions import Answer, Session

WHOLE = 1e-6
RAISED_SHARE, FEW_WINDOWS = 0.5, 2
ROUNDS = 200


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
    chosen, current = programme.columns, answer
    span = slice(windows.start, windows.stop)
    counts, spot = chosen.replicas[:, span], chosen.spot[:, span] if chosen.spot.size else chosen.spot[:, :0]
    both = np.concatenate([counts.ravel(), spot.ravel()])
    low, high = programme.matrix.lower[both], programme.matrix.upper[both]
    for _ in range(ROUNDS):
        values = current.values[both]
        floor = np.floor(values + WHOLE)
        is_open = values - floor > WHOLE
        if not is_open.any():
            break
        up, down = np.zeros(both.size, dtype=bool), is_open.copy()
        first = current.values[counts]
        raised, lowered = _choose(programme.outlook, first, span)
        up[: counts.size], down[: counts.size] = raised.ravel(), lowered.ravel()
        before = low.copy(), high.copy()
        low[up], high[down] = floor[up] + 1.0, floor[down]
        session.bound(both, low, high)
        tried = session.run(time_limit_s=deadline_s - time.perf_counter())
        if tried is None or not tried.is_proven:
            low, high = before
            high[is_open] = floor[is_open]
            session.bound(both, low, high)
            tried = session.run(time_limit_s=deadline_s - time.perf_counter())
        if tried is None or not tried.is_proven or time.perf_counter() > deadline_s:
            return None
        current = tried
    whole = np.round(current.values[both])
    session.bound(both, whole, whole)
    return current


def _choose(outlook: Outlook, values: Numbers, span: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return which counts to round up and which down.

    Of each model and window the largest fraction is a candidate to go up, if it is in the larger half of
    all (in one or two windows all go). Among
    the candidates of a GPU kind in a region the largest go first, as long as the GPUs last that the whole parts leave;
    the rest of them go down.
    """
    floor = np.floor(values + WHOLE)
    fraction = np.where(values - floor > WHOLE, values - floor, 0.0)
    candidate = np.zeros(values.shape, dtype=bool)
    window = np.arange(values.shape[1])
    for model in np.unique(outlook.place_model):
        rows = np.flatnonzero(outlook.place_model == model)
        best = rows[fraction[rows].argmax(axis=0)]
        candidate[best, window] = fraction[best, window] > 0.0
    if candidate.any() and window.size > FEW_WINDOWS:
        candidate &= fraction >= np.quantile(fraction[candidate], 1.0 - RAISED_SHARE) - WHOLE
    up = np.zeros_like(candidate)
    allowed = np.minimum(outlook.stock, outlook.quota + outlook.reserved)[:, None] + np.zeros(values.shape[1])
    allowed = np.minimum(outlook.stock[:, None], allowed + outlook.spot[:, span])
    for key in np.unique(outlook.place_key):
        rows = np.flatnonzero(outlook.place_key == key)
        gpus = outlook.place_gpus[rows][:, None] + np.zeros((1, values.shape[1]), dtype=np.int64)
        left = allowed[key] - (gpus * floor[rows]).sum(axis=0)
        order = np.argsort(-np.where(candidate[rows], fraction[rows], 0.0), axis=0, kind="stable")
        asked = np.where(np.take_along_axis(candidate[rows], order, axis=0), np.take_along_axis(gpus, order, axis=0), 0)
        fits = (asked > 0) & (np.cumsum(asked, axis=0) <= left + WHOLE)
        placed = np.zeros_like(fits)
        np.put_along_axis(placed, order, fits, axis=0)
        up[rows] = placed
    return up, candidate & ~up
