"""What can only be counted while a file is read: rows kept and refused, their order, offsets and steps of the clock."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import polars as pl

from workbench.traces.quality.findings import Finding, finding
from workbench.traces.quality.stamps import ClockTally, offsets
from workbench.traces.readers.batches import Batch

RAW_SHOWN = 120
SAMPLES = 3
REASONS_LISTED = 10


class SourceTally:
    """Counts over one source while its batches pass, so that a file larger than memory is looked at once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.read = 0
        self.kept = 0
        self.reasons: Counter[str] = Counter()
        self.samples: dict[str, list[str]] = {}
        self.labels: dict[str, set[str]] = {name: set() for name in ("region", "model", "tier")}
        self.models: set[str] = set()
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self._latest: datetime | None = None
        self._late = 0
        self._clock = ClockTally()
        self._offsets: Counter[str] = Counter()

    def add(self, batch: Batch, kept: pl.DataFrame) -> None:
        """Count one batch and the rows of it that are used."""
        self.read += batch.rows_read
        self.kept += kept.height
        for name, seen in self.labels.items():
            seen |= set(batch.good.get_column(name).unique())
        self.models |= set(kept.get_column("model").unique())
        self._offsets.update(batch.offsets)
        self._refuse(batch.rejected)
        at = next(name for name in ("arrived_at", "window_start") if name in batch.good.columns)
        self._span(kept.get_column(at))
        if batch.good.height and at == "arrived_at":
            self._order(batch.good.get_column(at))
            self._clock.add(batch.good.get_column(at))

    def _refuse(self, rejected: pl.DataFrame) -> None:
        by_reason = rejected.group_by("reason", maintain_order=True)
        for row in by_reason.agg(pl.len(), pl.col("line", "raw").head(SAMPLES)).to_dicts():
            self.reasons[row["reason"]] += row["len"]
            samples = self.samples.setdefault(row["reason"], [])
            found = zip(row["line"], row["raw"], strict=True)
            samples += [f"line {line}: {_short(raw)}" for line, raw in found][: SAMPLES - len(samples)]

    def _span(self, at: pl.Series) -> None:
        low, high = at.min(), at.max()
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
        return "; ".join(f"{count:,} x {why} ({self.samples[why][0]})" for why, count in self.reasons.most_common(5))

    def findings(self) -> list[Finding]:
        """Return what was counted."""
        left_out = self.read - self.kept - self.refused
        rows = f"{self.read:,} rows read, {self.kept:,} kept, {self.refused:,} refused"
        found = [
            finding("rows", self.source, self.read, rows + (f", {left_out:,} of other models" if left_out else ""))
        ]
        reasons = self.reasons.most_common()
        found += [
            finding("refused rows", self.source, count, f"{count / self.read:.2%} of rows: {why}; {self._such(why)}")
            for why, count in reasons[:REASONS_LISTED]
        ]
        if len(reasons) > REASONS_LISTED:
            rest = sum(count for _, count in reasons[REASONS_LISTED:])
            detail = f"{rest:,} more rows for {len(reasons) - REASONS_LISTED:,} other reasons"
            found.append(finding("refused rows", self.source, rest, detail))
        if self._late:
            share = self._late / max(1, self.read - self.refused)
            found.append(
                finding("out of order", self.source, self._late, f"{share:.2%} of rows come after a later arrival")
            )
        return [*found, *offsets(self.source, self._offsets), *self._clock.findings(self.source)]

    def _such(self, why: str) -> str:
        return "such as " + " | ".join(self.samples[why])


def _short(raw: str) -> str:
    return raw if len(raw) <= RAW_SHOWN else raw[:RAW_SHOWN] + "..."
