"""What can be asked of traces that lie in tables of one database: the catalogue, sums, shapes, quantiles, rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from workbench.errors import TraceError, nearest
from workbench.tables import DEMAND, INSTANT, REQUESTS, SHAPE, TEXT
from workbench.traces.catalogue import CATALOGUE, FINDINGS, GAPS, REJECTED, TraceHeader, TraceInfo
from workbench.traces.store import queries
from workbench.traces.store.database import Database, Parameters
from workbench.traces.store.shapes import PROMPT_QUANTILES, with_dispersion

ALWAYS = datetime(1, 1, 1), datetime(9999, 12, 31)
LABELS = ("region", "model", "tier")
HOUR = timedelta(hours=1)
#: Bins of a quarter of a second are nearly as many as requests; so many at a time pass in the memory of the store.
SLICE_ROWS = 20_000_000
SORTED_ROWS = 4_000_000


class Reading:
    """Traces that can be asked for; the base of a store and of a lake."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.path = database.path

    def __enter__(self) -> Self:
        """Return what was opened."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the file, so that other processes can open it; closing twice is harmless."""
        self._database.close()

    def traces(self) -> pl.DataFrame:
        """Return the catalogue (``CATALOGUE``), one row per trace, by name."""
        return CATALOGUE.conform(
            self._database.frame(f"SELECT {', '.join(CATALOGUE.columns)} FROM catalogue ORDER BY name")
        )

    def has(self, name: str) -> bool:
        """Tell whether a trace of that name is in the store."""
        return bool(self._database.row("SELECT count(*) FROM catalogue WHERE name = $name", {"name": name})[0])

    def describe(self, name: str) -> TraceInfo:
        """Return the catalogue's row of one trace. Raises TraceError where there is none of that name."""
        row = self._one(name)
        header = {key: row[key] for key in ("name", "kind", "format", "source", "fingerprint", "window_s")}
        rest = {
            key: row[key] for key in ("rows_read", "rows_kept", "rows", "rejected", "first_at", "last_at", "version")
        }
        return TraceInfo(header=TraceHeader(**header), **rest)

    def series(self, name: str) -> pl.DataFrame:
        """Return the region, model and tier of every series that a trace has, in order."""
        row = self._one(name)
        relation = "{labels}" if row["kind"] == "requests" else "{t}"
        query = f"SELECT DISTINCT region, model, tier FROM {relation} ORDER BY ALL"
        return self._frame(query, row)

    def findings(self, name: str) -> pl.DataFrame:
        """Return what the ingest found about a trace (``FINDINGS``)."""
        columns = ", ".join(f'"{column}"' for column in FINDINGS.columns)
        query = f"SELECT {columns} FROM findings WHERE id = $id ORDER BY position"
        return FINDINGS.conform(self._database.frame(query, {"id": self._one(name)["id"]}))

    def rejected(self, name: str) -> pl.DataFrame:
        """Return the refused rows of a trace with file, line, reason and text (``REJECTED``)."""
        query = "SELECT source, line, reason, raw FROM rejected WHERE id = $id ORDER BY source, line"
        return REJECTED.conform(self._database.frame(query, {"id": self._one(name)["id"]}))

    def gaps(self, name: str) -> pl.DataFrame:
        """Return the stretches of a trace in which nothing is known (``GAPS``), by time; a null label means all."""
        columns = ", ".join(GAPS.columns)
        query = f"SELECT {columns} FROM gaps WHERE id = $id ORDER BY since, until, region, model, reason"
        return GAPS.conform(self._database.frame(query, {"id": self._one(name)["id"]}))

    def look(self, name: str, query: str, parameters: Parameters | None = None) -> pl.DataFrame:
        """Run a query of this package on the rows of a trace, which it calls ``{t}``."""
        return self._frame(query, self._one(name), parameters)

    def last_known(self, name: str) -> pl.DataFrame:
        """Return the last window with a known load of each model (model, last_at) of a series; empty for requests."""
        if self._one(name)["kind"] == "requests":
            return pl.DataFrame(schema={"model": TEXT, "last_at": INSTANT})
        return self.look(name, queries.LAST_KNOWN)

    def sum_by_window(
        self,
        name: str,
        *,
        window_s: float,
        since: datetime | None = None,
        until: datetime | None = None,
        grid: tuple[datetime, datetime] | None = None,
    ) -> pl.DataFrame:
        """Return requests and tokens summed per window, region, model and tier (``DEMAND``), by series and time.

        Requests: only windows with arrivals, or with ``grid`` all those from that of its first instant to that of its
        last, with zeros. Series: windows of a whole number of native ones; null where a part is unknown. Raises
        TraceError where a series cannot be summed to that length.
        """
        row = self._one(name)
        parameters: dict[str, Any] = {"window_us": _window_us(window_s)} | _span(since, until)
        if row["kind"] == "requests" and grid is not None:
            bins = pl.Series(grid, dtype=INSTANT).dt.timestamp("us") // parameters["window_us"]
            first_bin, last_bin = bins.to_list()
            parameters |= {"first_bin": first_bin, "last_bin": last_bin}
            return self._frame(queries.SUM_REQUESTS_ON_GRID, row, parameters)
        if row["kind"] == "requests":
            return self._frame(queries.SUM_REQUESTS, row, parameters)
        native_s = float(row["window_s"])
        parts = window_s / native_s
        if parts < 1 or parts != round(parts):
            raise TraceError(
                f"trace '{name}' is a series of windows of {native_s:g} s and cannot be summed to {window_s:g} s; "
                f"ask for a whole multiple of {native_s:g} s."
            )
        sums = self._frame(queries.SUM_SERIES, row, parameters | {"parts": round(parts)})
        return DEMAND.conform(sums.rename({"bucket": "window_start"}))

    def shape_by_hour(self, name: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return lengths and dispersion per hour, region, model and tier (``SHAPE``); empty for a series."""
        row = self._one(name)
        low, high = None, None
        if row["kind"] == "requests":
            low, high = self._frame(queries.EDGES, row, _span(since, until)).row(0)
        if low is None or high is None:
            return SHAPE.empty()
        parameters = {"quantiles": list(PROMPT_QUANTILES)}
        sums = pl.concat(
            self._frame(queries.SHAPE, row, _span(max(since or low, first), min(until or last, last)) | parameters)
            for first, last in _slices(low, high, row["rows"], SLICE_ROWS)
        )
        return with_dispersion(sums.sort(*LABELS, "window_start"), low=low, high=high, gaps=self.gaps(name))

    def token_quantiles(
        self, name: str, *, quantiles: tuple[float, ...], since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return quantiles of input_tokens and output_tokens per model and tier; one row per quantile.

        Raises TraceError for a series, which has no single requests.
        """
        parameters = _span(since, until) | {"quantiles": list(quantiles)}
        return self._frame(queries.QUANTILES, self._requests_only(name), parameters)

    def requests(self, name: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return the requests of a span [since, until) in order of arrival (``REQUESTS``).

        Raises TraceError for a series, which has no single requests.
        """
        row = self._requests_only(name)
        return REQUESTS.conform(self._frame(queries.SCAN_REQUESTS, row, _span(since, until)))

    def batches(self, name: str) -> Iterator[pl.DataFrame]:
        """Yield all rows of a trace in order of time (``REQUESTS`` or ``DEMAND``), never all of them at once."""
        row = self._one(name)
        table, at = (REQUESTS, "arrived_at") if row["kind"] == "requests" else (DEMAND, "window_start")
        query = f"SELECT * FROM {{t}} WHERE {at} >= $since AND {at} < $until ORDER BY ALL"
        for first, last in _slices(row["first_at"], row["last_at"], row["rows"], SORTED_ROWS):
            relations = self._relations(row, first, last)
            for batch in self._database.batches(query.format_map(relations), _span(first, last)):
                yield table.conform(batch)

    def write_parquet(self, name: str, file: Path, *, model: str, since: datetime, until: datetime) -> None:
        """Write the rows of one model and span as one Parquet file, in order of time and without the model."""
        row = self._one(name)
        at = "arrived_at" if row["kind"] == "requests" else "window_start"
        target = str(file).replace("'", "''")
        query = (
            f"COPY (SELECT * EXCLUDE (model) FROM {{t}} WHERE model = $model AND {at} >= $since AND {at} < $until "
            f"ORDER BY ALL) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )
        relations = self._relations(row, since, until)
        self._database.run(query.format_map(relations), {"model": model, "since": since, "until": until})

    def days(self, name: str) -> pl.DataFrame:
        """Return the days on which each model of a trace has rows: ``model``, ``day`` and ``rows``, in order."""
        row = self._one(name)
        at = "arrived_at" if row["kind"] == "requests" else "window_start"
        query = f"SELECT model, {at}::DATE AS day, count(*) AS rows FROM {{t}} GROUP BY ALL ORDER BY ALL"
        return self._frame(query, row)

    def _requests_only(self, name: str) -> dict[str, Any]:
        row = self._one(name)
        if row["kind"] != "requests":
            raise TraceError(f"trace '{name}' is a series of sums and has no single requests; use its demand instead.")
        return row

    def _frame(self, query: str, row: Mapping[str, Any], parameters: Parameters | None = None) -> pl.DataFrame:
        """Run a query about the rows of one trace; a span among the parameters tells which rows it can need."""
        given = parameters or {}
        relations = self._relations(row, given.get("since", ALWAYS[0]), given.get("until", ALWAYS[1]))
        return self._database.frame(query.format_map(relations), parameters)

    def _relations(self, row: Mapping[str, Any], since: datetime, until: datetime) -> dict[str, str]:
        """Return what ``{t}``, ``{rows}`` and ``{labels}`` stand for; rows outside [since, until) may be missing."""
        return relations_of(row["kind"], row["id"])

    def _one(self, name: str) -> dict[str, Any]:
        rows = self._database.frame("SELECT * FROM catalogue WHERE name = $name", {"name": name}).to_dicts()
        if not rows:
            names = self.traces().get_column("name").to_list()
            raise TraceError(f"the store {self.path.name} has no trace '{name}': {nearest(name, names)}.")
        return rows[0]


def relations_of(kind: str, trace_id: int) -> dict[str, str]:
    """Return the tables of one trace in a store by the names that queries use."""
    return {"t": f"{kind}_{trace_id}", "rows": f"rows_{trace_id}", "labels": f"labels_{trace_id}"}


def _slices(low: datetime, high: datetime, rows: int, at_once: int) -> list[tuple[datetime, datetime]]:
    """Cut [low, high] into stretches of whole hours that hold about ``at_once`` of its rows each."""
    first = low.replace(minute=0, second=0, microsecond=0)
    hours = (high - first) // HOUR + 1
    step = max(1, hours * at_once // max(rows, at_once)) * HOUR
    starts = [first + i * step for i in range(-(-hours * HOUR // step))]
    return [(start, start + step) for start in starts]


def _span(since: datetime | None, until: datetime | None) -> dict[str, datetime]:
    return {"since": since or ALWAYS[0], "until": until or ALWAYS[1]}


def _window_us(window_s: float) -> int:
    window_us = round(window_s * 1e6)
    if window_us < 1:
        raise TraceError(f"a window must be longer than zero, got {window_s:g} s.")
    return window_us
