"""What can be asked of traces that lie in tables of one database: the catalogue, sums, shapes, quantiles, rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from workbench.errors import TraceError, nearest
from workbench.tables import DEMAND, REQUESTS, SHAPE
from workbench.traces.catalogue import CATALOGUE, FINDINGS, REJECTED, TraceHeader, TraceInfo
from workbench.traces.store import queries
from workbench.traces.store.database import Database

ALWAYS = datetime(1, 1, 1), datetime(9999, 12, 31)


class Reading:
    """Traces that can be asked for; the base of a store and of a lake."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.path = database.path

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
        query = f"SELECT DISTINCT region, model, tier FROM {table_of(self._one(name))} ORDER BY ALL"
        return self._database.frame(query)

    def findings(self, name: str) -> pl.DataFrame:
        """Return what the ingest found about a trace (``FINDINGS``)."""
        columns = ", ".join(f'"{column}"' for column in FINDINGS.columns)
        query = f"SELECT {columns} FROM findings WHERE id = $id ORDER BY position"
        return FINDINGS.conform(self._database.frame(query, {"id": self._one(name)["id"]}))

    def rejected(self, name: str) -> pl.DataFrame:
        """Return the refused rows of a trace with file, line, reason and text (``REJECTED``)."""
        query = "SELECT source, line, reason, raw FROM rejected WHERE id = $id ORDER BY source, line"
        return REJECTED.conform(self._database.frame(query, {"id": self._one(name)["id"]}))

    def sum_by_window(
        self, name: str, *, window_s: float, since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return requests and tokens summed per window, region, model and tier (``DEMAND``), by series and time.

        Requests: only windows with arrivals. Series: windows of a whole number of native ones; null where a part is
        unknown. Raises TraceError where a series cannot be summed to that length.
        """
        row = self._one(name)
        parameters: dict[str, Any] = {"window_us": _window_us(window_s)} | _span(since, until)
        if row["kind"] == "requests":
            return DEMAND.conform(self._database.frame(queries.SUM_REQUESTS.format(t=table_of(row)), parameters))
        native_s = float(row["window_s"])
        parts = window_s / native_s
        if parts < 1 or parts != round(parts):
            raise TraceError(
                f"trace '{name}' is a series of windows of {native_s:g} s and cannot be summed to {window_s:g} s; "
                f"ask for a whole multiple of {native_s:g} s."
            )
        sums = self._database.frame(queries.SUM_SERIES.format(t=table_of(row)), parameters | {"parts": round(parts)})
        return DEMAND.conform(sums.rename({"bucket": "window_start"}))

    def shape_by_hour(self, name: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return length moments and dispersion per hour, region, model and tier (``SHAPE``); empty for a series."""
        row = self._one(name)
        if row["kind"] != "requests":
            return SHAPE.empty()
        return SHAPE.conform(self._database.frame(queries.SHAPE.format(t=table_of(row)), _span(since, until)))

    def token_quantiles(
        self, name: str, *, quantiles: tuple[float, ...], since: datetime | None = None, until: datetime | None = None
    ) -> pl.DataFrame:
        """Return quantiles of input_tokens and output_tokens per model and tier; one row per quantile.

        Raises TraceError for a series, which has no single requests.
        """
        parameters = _span(since, until) | {"quantiles": list(quantiles)}
        return self._database.frame(queries.QUANTILES.format(t=table_of(self._requests_only(name))), parameters)

    def requests(self, name: str, *, since: datetime | None = None, until: datetime | None = None) -> pl.DataFrame:
        """Return the requests of a span [since, until) in order of arrival (``REQUESTS``).

        Raises TraceError for a series, which has no single requests.
        """
        query = queries.SCAN_REQUESTS.format(t=table_of(self._requests_only(name)))
        return REQUESTS.conform(self._database.frame(query, _span(since, until)))

    def _requests_only(self, name: str) -> dict[str, Any]:
        row = self._one(name)
        if row["kind"] != "requests":
            raise TraceError(f"trace '{name}' is a series of sums and has no single requests; use its demand instead.")
        return row

    def _one(self, name: str) -> dict[str, Any]:
        rows = self._database.frame("SELECT * FROM catalogue WHERE name = $name", {"name": name}).to_dicts()
        if not rows:
            names = self.traces().get_column("name").to_list()
            raise TraceError(f"the store {self.path.name} has no trace '{name}': {nearest(name, names)}.")
        return rows[0]


def table_of(row: Mapping[str, Any]) -> str:
    """Return the name of the table that holds the rows of a trace in the catalogue."""
    return f"{row['kind']}_{row['id']}"


def _span(since: datetime | None, until: datetime | None) -> dict[str, datetime]:
    return {"since": since or ALWAYS[0], "until": until or ALWAYS[1]}


def _window_us(window_s: float) -> int:
    window_us = round(window_s * 1e6)
    if window_us < 1:
        raise TraceError(f"a window must be longer than zero, got {window_s:g} s.")
    return window_us
