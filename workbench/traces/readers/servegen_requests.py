"""ServeGen's clients as single requests, drawn: counts as published, gaps and lengths from each client's own laws.

Every client sends in every window of ten minutes what it sent (times ``sample``, rounded so that no request is lost
over the windows). Its gaps come from the law fitted to that window (Gamma or Weibull with its shape, exponential where
none is published), laid around the window as around a clock face, so that exactly the published number falls into it
and a burst may fall anywhere. A client without published lengths borrows for each request those of a client of the same
window, by their requests. The same seed gives the same requests, whatever else is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from workbench.errors import TraceError
from workbench.tables import COUNT, TEXT
from workbench.traces.catalogue import REJECTED
from workbench.traces.options import TraceOptions
from workbench.traces.readers import batches
from workbench.traces.readers.batches import Batch, Format
from workbench.traces.readers.requests import requests_frame
from workbench.traces.readers.servegen_clients import NOTES
from workbench.traces.readers.servegen_lengths import BELOW_ONE, Floats, Ints, LengthLaws
from workbench.traces.readers.servegen_source import (
    COLUMNS,
    OUTPUT,
    PIECES,
    PROMPT,
    WINDOW_S,
    parts_of,
    read_clients,
)
from workbench.traces.readers.values import offsets
from workbench.units import seed_for

NOT_PUBLISHED = -1
# the published shapes lie between them (0.0067 to 45,230); a Weibull law below would overflow
LEAST_SHAPE, MOST_SHAPE = 6e-3, 1e6


def read(path: Path, options: TraceOptions) -> Iterator[Batch]:
    """Yield drawn requests in the order of their windows, with the client as the tenant."""
    assert options.sample is not None  # asked for before anything is read
    clients = read_clients(path)
    rejected = clients.rejected
    cells = _sampled(_kept(clients.cells, options.keep), options.sample, options.seed)
    windows = cells.partition_by("t_s", "model", maintain_order=True)
    waiting: list[pl.DataFrame] = []
    for number, window in enumerate(windows, start=1):
        waiting.append(_window(path, window, clients.laws, options))
        if sum(frame.height for frame in waiting) >= batches.ROWS_PER_BATCH or number == len(windows):
            yield Batch(good=pl.concat(waiting), rejected=rejected, done_fraction=number / len(windows))
            waiting.clear()
            rejected = REJECTED.empty()


def _kept(cells: pl.DataFrame, keep: tuple[str, ...]) -> pl.DataFrame:
    """Leave out models that are not asked for before anything is drawn; none of them left is told later."""
    kept = cells.filter(pl.col("model").is_in(keep)) if keep else cells
    return (kept if kept.height else cells.head(1)).sort("t_s", "model", "client")


def _sampled(cells: pl.DataFrame, sample: float, seed: int) -> pl.DataFrame:
    """Give each cell its share of the requests: rounded sums over a client's windows, from a start of its own."""
    named = cells.select("model", "client").unique()
    starts = [seed_for(seed, "servegen sample", *row) / 2**63 for row in named.rows()]
    per_client = cells.join(named.with_columns(start=pl.Series(starts)), on=["model", "client"], maintain_order="left")
    so_far = (pl.col("n_requests").cum_sum().over("model", "client") * sample + pl.col("start")).floor()
    before = so_far.shift(1).over("model", "client").fill_null(pl.col("start").floor())
    return per_client.with_columns(drawn=(so_far - before).cast(COUNT)).drop("start")


def _window(path: Path, cells: pl.DataFrame, laws: LengthLaws, options: TraceOptions) -> pl.DataFrame:
    model, t_s = cells["model"][0], cells["t_s"][0]
    random = np.random.default_rng(seed_for(options.seed, "servegen", model, str(t_s)))
    sizes = cells["drawn"].to_numpy()
    sender = np.repeat(np.arange(cells.height), sizes)
    at_s = arrivals(sizes, cells["gap_law"].to_numpy(), cells["gap_shape"].to_numpy(), cells["cv"].to_numpy(), random)
    lender = _lenders(cells, sender, random)
    order = np.argsort(at_s, kind="stable")
    inputs, outputs = _lengths(cells, lender[order], laws, random)
    assert options.start is not None  # asked for before anything is read
    tenants = (cells["model"] + "/" + cells["client"]).gather(sender[order])
    return requests_frame(
        path,
        pl.DataFrame({"model": pl.repeat(model, at_s.size, dtype=TEXT, eager=True), "tenant": tenants}),
        arrived_at=offsets(pl.Series(t_s + at_s[order]), since=options.start, unit_s=1.0),
        input_tokens=pl.Series(inputs),
        output_tokens=pl.Series(outputs),
    )


def arrivals(sizes: Ints, laws: np.ndarray, shapes: Floats, cvs: Floats, random: np.random.Generator) -> Floats:
    """Draw the arrivals of each cell in seconds after the start of the window, cell after cell, in [0, 600).

    The gaps of a cell go once around the window and start anywhere, so the last gap is the one across its edge.
    """
    total = int(sizes.sum())
    cell = np.repeat(np.arange(sizes.size), sizes)
    is_weibull = laws == "Weibull"
    is_fitted = (is_weibull | (laws == "Gamma")) & (np.nan_to_num(shapes) > 0)
    # without a fitted law the gaps have the published variation, and are exponential where that is none either
    varied = np.where(np.nan_to_num(cvs) > 0, np.clip(np.nan_to_num(cvs), 1e-2, 1e2), 1.0)
    shape = np.clip(np.where(is_fitted, np.nan_to_num(shapes), 1.0 / np.square(varied)), LEAST_SHAPE, MOST_SHAPE)[cell]
    weibull = (is_weibull & is_fitted)[cell]
    gaps = np.empty(total)
    gaps[weibull] = random.weibull(shape[weibull])
    gaps[~weibull] = random.standard_gamma(shape[~weibull])
    around = np.bincount(cell, weights=gaps, minlength=sizes.size)
    # gaps so uneven that all of them vanish beside none: everything in one instant
    gaps = np.divide(gaps, around[cell], out=np.zeros(total), where=around[cell] > 0)
    passed = np.cumsum(gaps)
    first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    before = np.concatenate(([0.0], passed))[first]
    turns = passed - before[cell] + random.random(sizes.size)[cell]
    return np.minimum(turns % 1.0 * WINDOW_S, np.nextafter(WINDOW_S, 0.0))


def _lenders(cells: pl.DataFrame, sender: Ints, random: np.random.Generator) -> Ints:
    """Return for each request the cell whose lengths it has: its own, or one drawn among those that have some."""
    covered = (cells["prompt_mean"].is_not_null() & cells["output_mean"].is_not_null()).to_numpy()
    weights = np.where(covered, cells["n_requests"].to_numpy(), 0).astype(np.float64)
    needs = ~covered[sender]
    lender = sender.copy()
    if needs.any():
        up_to = np.cumsum(weights if weights.any() else covered)
        if not up_to[-1]:
            raise TraceError(
                f"no client of {cells['model'][0]} has published lengths {cells['t_s'][0]} s after the start, so none "
                "can be drawn; keep other models, or read the source as servegen_clients (a series)."
            )
        point = random.random(int(needs.sum())) * BELOW_ONE * up_to[-1]
        lender[needs] = np.searchsorted(up_to, point, side="right")
    return lender


def _lengths(cells: pl.DataFrame, lender: Ints, laws: LengthLaws, random: np.random.Generator) -> tuple[Ints, Ints]:
    drawn = {}
    for field in (*PROMPT, OUTPUT):
        law = cells[field].fill_null(NOT_PUBLISHED).to_numpy()[lender]
        known = law >= 0
        drawn[field] = np.zeros(lender.size, dtype=np.int64)
        if field in PIECES:
            count_law = cells[PIECES[field]].fill_null(NOT_PUBLISHED).to_numpy()[lender]
            known &= count_law >= 0
            pieces = np.zeros(lender.size, dtype=np.int64)
            pieces[known] = laws.draw(count_law[known], random)
            whose = np.repeat(np.arange(lender.size), pieces)
            sizes = laws.draw(law[whose], random)
            drawn[field] = np.bincount(whose, weights=sizes, minlength=lender.size).astype(np.int64)
        else:
            drawn[field][known] = laws.draw(law[known], random)
    prompt = sum((drawn[field] for field in PROMPT), start=np.zeros(lender.size, dtype=np.int64))
    # a request has a token at least; the published lengths hold some zeros
    return np.maximum(prompt, 1), np.maximum(drawn[OUTPUT], 1)


FORMAT = Format(
    key="servegen_requests",
    label="ServeGen clients as drawn requests",
    kind="requests",
    columns=COLUMNS,
    lacks=lambda _columns: ("region", "tier", "start", "sample"),
    read=read,
    parts=parts_of,
    takes=("sample",),
    notes=(
        *NOTES,
        "requests are drawn: counts per client and window are published, gaps and lengths come from published laws",
    ),
)
