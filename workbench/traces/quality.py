"""What is odd about a trace, as findings: counts of rows, refused rows, order, silences, cuts, repeats, endings.

A trace is never repaired here. Each finding says what was seen, where and how often, so that a person can decide
whether the numbers that follow can be trusted. The thresholds are ours and stand at the top.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import polars as pl

from workbench.traces.catalogue import FINDINGS
from workbench.traces.readers.batches import Batch
from workbench.traces.readers.series import MEASURES
from workbench.traces.store import Writing, queries

SILENT_AT_LEAST_S = 60.0
SILENT_TIMES_MEAN_GAP = 50.0
SILENT_LISTED = 5
CUT_ROWS = 10
CUT_DENSITY_RATIO = 5.0
STOPPED_FOR_H = 72
STOPPED_BELOW_FRACTION = 0.02
RAW_SHOWN = 120

Finding = dict[str, Any]


def finding(what: str, where: str, count: int | None, detail: str) -> Finding:
    """Make one row of ``FINDINGS``."""
    return {"finding": what, "where": where, "count": count, "detail": detail}


def as_frame(findings: list[Finding]) -> pl.DataFrame:
    """Return the findings as ``FINDINGS``."""
    return FINDINGS.conform(pl.DataFrame(findings, schema=FINDINGS.schema))


class SourceTally:
    """Counts over one source while its batches pass, so that a file larger than memory is looked at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.read = 0
        self.kept = 0
        self.reasons: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        self.models: set[str] = set()
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self._latest: datetime | None = None
        self._late = 0

    def add(self, batch: Batch, kept: pl.DataFrame) -> None:
        """Count one batch and the rows of it that are used."""
        self.read += batch.rows_read
        self.kept += kept.height
        self.models |= set(batch.good.get_column("model").unique().to_list())
        for row in (
            batch.rejected.group_by("reason", maintain_order=True).agg(pl.len(), pl.first("line", "raw")).to_dicts()
        ):
            self.reasons[row["reason"]] += row["len"]
            self.samples.setdefault(row["reason"], f"line {row['line']}: {row['raw'][:RAW_SHOWN]}")
        if batch.good.height and "arrived_at" in batch.good.columns:
            self._order(batch.good.get_column("arrived_at"))
            self._span(kept.get_column("arrived_at"))

    def _span(self, arrived_at: pl.Series) -> None:
        low, high = arrived_at.min(), arrived_at.max()
        if isinstance(low, datetime) and isinstance(high, datetime):
            self.first_at = min(self.first_at or low, low)
            self.last_at = max(self.last_at or high, high)

    def _order(self, arrived_at: pl.Series) -> None:
        before = pl.Series([self._latest], dtype=arrived_at.dtype)
        peaks = pl.concat([before, arrived_at]).cum_max().forward_fill()
        self._late += int((arrived_at < peaks.head(arrived_at.len())).sum())
        latest = peaks[-1]
        assert isinstance(latest, datetime)
        self._latest = latest

    @property
    def refused(self) -> int:
        """Rows refused so far."""
        return self.reasons.total()

    def refusals(self) -> str:
        """Say why rows were refused, most frequent first, with a sample."""
        return "; ".join(f"{count:,} x {why} ({self.samples[why]})" for why, count in self.reasons.most_common(5))

    def findings(self) -> list[Finding]:
        """Return what was counted."""
        left_out = self.read - self.kept - self.refused
        rows = f"{self.read:,} rows read, {self.kept:,} kept, {self.refused:,} refused"
        found = [
            finding("rows", self.source, self.read, rows + (f", {left_out:,} of other models" if left_out else ""))
        ]
        found += [
            finding("refused rows", self.source, count, f"{why}; first at {self.samples[why]}")
            for why, count in self.reasons.most_common()
        ]
        if self._late:
            share = self._late / max(1, self.read - self.refused)
            found.append(
                finding("out of order", self.source, self._late, f"{share:.2%} of rows come after a later arrival")
            )
        return found


def request_findings(writing: Writing) -> list[Finding]:
    """Look at the requests written so far: span, silences, cut lengths, repeated rows, models that stop."""
    hourly = writing.look(
        queries.SUM_REQUESTS, {"window_us": 3_600_000_000, "since": datetime(1, 1, 1), "until": datetime(9999, 12, 31)}
    )
    return [
        *_span(*writing.span()),
        labels(hourly),
        *_silences(writing),
        *_cuts(writing.look(queries.TOP_LENGTHS)),
        *(
            finding("repeated rows", row["model"], row["repeated"], "same arrival and lengths as another row; all kept")
            for row in writing.look(queries.DUPLICATES).to_dicts()
        ),
        *_endings(hourly, "requests"),
    ]


def series_findings(frame: pl.DataFrame, *, window_s: float) -> list[Finding]:
    """Look at the windows of a source (``DEMAND``, before spreading): span, gaps, series that stop."""
    starts = frame.get_column("window_start")
    first, last = starts.min(), starts.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    windows = round((last - first).total_seconds() / window_s) + 1
    hourly = frame.with_columns(pl.col("window_start").dt.truncate("1h"))
    hourly = hourly.group_by("window_start", "region", "model", "tier").agg(pl.col(MEASURES).sum())
    return [
        finding("span", "source", windows, f"{first} to {last} UTC, windows of {window_s:g} s"),
        *_gaps(frame, windows),
        *_endings(hourly, "input_tokens"),
    ]


def _span(rows: int, first: datetime | None, last: datetime | None) -> list[Finding]:
    return [finding("span", "trace", rows, f"{first} to {last} UTC")]


def labels(frame: pl.DataFrame) -> Finding:
    """Say which models, regions and tiers a trace has, after mapping and spreading."""
    named = {
        f"{column}s": sorted(frame.get_column(column).unique().to_list()) for column in ("model", "region", "tier")
    }
    detail = "; ".join(f"{what} {', '.join(keys[:20])}" for what, keys in named.items())
    return finding("labels", "trace", None, detail)


def _silences(writing: Writing) -> list[Finding]:
    limits = {"at_least_s": SILENT_AT_LEAST_S, "times_mean": SILENT_TIMES_MEAN_GAP}
    silent = writing.look(queries.SILENT, limits)
    found = [
        finding(
            "silent stretch",
            row["model"],
            1,
            f"no arrival for {row['gap_s']:,.0f} s from {row['since']}, mean gap {row['mean_s']:.3g} s",
        )
        for row in silent.head(SILENT_LISTED).to_dicts()
    ]
    rest = silent.height - SILENT_LISTED
    return [*found, finding("silent stretch", "trace", rest, "further, shorter stretches")] if rest > 0 else found


def _cuts(tops: pl.DataFrame) -> list[Finding]:
    """Suspect a cut where the top thousandth of the range is far thicker than the twentieth (ten tokens) below it."""
    found = []
    for row in tops.to_dicts():
        top_width = max(1.0, 0.001 * row["longest"])
        below_width = max(0.05 * row["longest"], 10.0) - top_width
        density_ratio = (row["at_top"] / top_width) / (max(1, row["below_top"]) / below_width)
        if row["at_top"] >= CUT_ROWS and density_ratio >= CUT_DENSITY_RATIO:
            detail = (
                f"{row['at_top']:,} of {row['rows']:,} rows lie at {row['longest']:,}, {density_ratio:.0f} times as "
                "dense as just below: longer ones were probably cut there"
            )
            found.append(finding("suspected cut", f"{row['model']} {row['measure']}", row["at_top"], detail))
    return found


def _gaps(frame: pl.DataFrame, windows: int) -> list[Finding]:
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in MEASURES)
    series = frame.sort("window_start").group_by("model", "tier", "region", maintain_order=True)
    found = []
    for row in series.agg(
        pl.len(), unknown=(~known).sum(), stretches=((~known).rle_id().filter(~known)).n_unique()
    ).to_dicts():
        missing = windows - row["len"]
        if row["unknown"] + missing > 0:
            unknown = f"{row['unknown']:,} windows unknown in {row['stretches']:,} stretches"
            detail = f"{unknown}, {missing:,} absent; kept as gaps"
            found.append(finding("gap", f"{row['model']} {row['tier']}", row["unknown"] + missing, detail))
    return found


def _endings(hourly: pl.DataFrame, measure: str) -> list[Finding]:
    """Find series that fall below a fiftieth of their busiest hour for good, three days or more before the end."""
    if hourly.is_empty():
        return []
    end = hourly.get_column("window_start").max()
    assert isinstance(end, datetime)
    totals = hourly.group_by("model", "tier", "window_start").agg(pl.col(measure).sum())
    alive = totals.filter(pl.col(measure) >= STOPPED_BELOW_FRACTION * pl.col(measure).max().over("model", "tier"))
    lasts = alive.group_by("model", "tier").agg(pl.col("window_start").max()).sort("model", "tier")
    return [
        finding(
            "stops", f"{model} {tier}", 1, f"almost nothing after {last}, {silent_h:,.0f} h before the end of the trace"
        )
        for model, tier, last in lasts.rows()
        for silent_h in [(end - last).total_seconds() / 3600]
        if silent_h >= STOPPED_FOR_H
    ]
