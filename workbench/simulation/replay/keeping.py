"""Single requests kept on demand, with their times as their origin sees them or as their pool does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.domain import Fleet
from workbench.simulation.loads import Span, keys_by_column
from workbench.simulation.replay.rows import Rows
from workbench.simulation.replay.state import E2E, SHED, TTFT, WAIT
from workbench.simulation.setup import Pool
from workbench.tables import INSTANT, SIM_REQUESTS

Columns = dict[str, NDArray[np.generic]]


class Kept:
    """The requests that are settled, in whatever order that was."""

    def __init__(self, fleet: Fleet, pools: Sequence[Pool], network_s: NDArray[np.float64], span: Span) -> None:
        self._fleet, self._pools, self._network_s, self._span = fleet, pools, network_s, span
        self._parts: list[Columns] = []

    def add(self, rows: Rows, which: NDArray[np.bool_]) -> None:
        """Keep a copy of some rows."""
        requests, latencies_s = rows.requests, rows.world.latencies_s
        self._parts.append(
            {
                "number": rows.number[which],
                "at_us": np.round(requests.arrival_s[which] * 1e6).astype(np.int64),
                "region": requests.origin[which],
                "model": requests.model[which],
                "tier": requests.tier[which],
                "input_tokens": requests.prompt[which],
                "output_tokens": requests.output[which],
                "wait_s": latencies_s[which, WAIT],
                "ttft_s": latencies_s[which, TTFT],
                "e2e_s": latencies_s[which, E2E],
                "pool": rows.outside.pool_of[which],
            }
        )

    def latencies(self) -> pl.DataFrame:
        """Return every request in order of arrival with its times inside the pool, and the pool's number.

        ``wait_s`` ends with admission to a batch, ``ttft_s`` and ``e2e_s`` with the first and last token; null where it
        never came to that. ``pool`` is -1 for a request not yet routed and -2 for one that was shed; ``served_in`` is
        null for both.
        """
        columns = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
        order = np.argsort(columns["number"], kind="stable")
        frame = pl.DataFrame({name: values[order] for name, values in columns.items() if name != "number"})
        named = {
            name: pl.Series(names, dtype=pl.String).gather(frame.get_column(name))
            for name, names in keys_by_column(self._fleet).items()
        }
        places = pl.Series([pool.region for pool in self._pools], dtype=pl.String)
        pool = frame.get_column("pool")
        return frame.with_columns(
            pl.col("wait_s", "ttft_s", "e2e_s").fill_nan(None),
            **named,
            arrived_at=pl.lit(self._span.start).cast(INSTANT) + pl.duration(microseconds=pl.col("at_us")),
            served_in=places.gather(pl.select(pl.when(pool >= 0).then(pool).cast(pl.UInt32)).to_series()),
        ).drop("at_us")

    def frame(self) -> pl.DataFrame:
        """Return every request in order of arrival with its times as the origin sees them (``SIM_REQUESTS``)."""
        frame = self.latencies()
        regions = {region.key: i for i, region in enumerate(self._fleet.regions)}
        origin, to = (
            frame.get_column(name).replace_strict(regions, default=None, return_dtype=pl.Int64).fill_null(0).to_numpy()
            for name in ("region", "served_in")
        )
        is_routed = pl.col("pool") >= 0
        gap_s = (pl.col("e2e_s") - pl.col("ttft_s")) / (pl.col("output_tokens") - 1)
        return SIM_REQUESTS.conform(
            frame.with_columns(network_s=pl.Series(self._network_s[origin, to])).with_columns(
                pl.col("ttft_s", "e2e_s") + pl.col("network_s"),
                itl_s=pl.when(pl.col("output_tokens") > 1).then(gap_s),
                outcome=pl.when(pl.col("e2e_s").is_not_null())
                .then(pl.lit("served"))
                .when(pl.col("pool") == SHED)
                .then(pl.lit("shed"))
                .when(is_routed)
                .then(pl.lit("inside"))
                .otherwise(pl.lit("queued")),
            )
        )
