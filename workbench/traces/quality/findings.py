"""What the report can say, as one visible table: every kind of finding with how bad it is and what to do about it.

Three levels. A *note* is worth knowing and asks for nothing. A *warning* asks for a look before the numbers are used.
*Spoilt* means that what the rows say is not what happened, so that results which rest on them are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from workbench.traces.catalogue import FINDINGS, LEVELS

Level = Literal["note", "warning", "spoilt"]
Finding = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of finding: how bad it is unless a check knows better, and what to do about it."""

    level: Level
    advice: str = ""


KINDS: dict[str, Kind] = {
    "suspected row cap": Kind(
        level="spoilt",
        advice="export it again without a limit, or leave it out: what lies beyond the limit is missing, not quiet",
    ),
    "never known": Kind(
        level="spoilt", advice="give lengths per request for it when ingesting again, or keep the other models"
    ),
    "spans differ": Kind(
        level="warning", advice="let a study run where all are there, or ingest them under two names and study each"
    ),
    "offsets are mixed": Kind(
        level="warning", advice="check that the clock was right on both sides; all were converted to UTC"
    ),
    "clock set back": Kind(
        level="warning", advice="the stamps look like local time; export them in UTC, or an hour is counted twice"
    ),
    "clock set forward": Kind(
        level="warning", advice="the stamps look like local time; export them in UTC, or every day has its peak moved"
    ),
    "date disagrees with its source": Kind(
        level="warning", advice="trust neither weekday nor season before the publisher has said which is right"
    ),
    "stray time stamps": Kind(
        level="warning",
        advice="repair or remove them at the source: windows are laid over all the time between, as zeros",
    ),
    "option without effect": Kind(
        level="warning", advice="look for a slip of the pen; replace the trace if it was one"
    ),
    "row count differs from its source": Kind(
        level="warning", advice="fetch the file again, or say that it is only a part of the published one"
    ),
    "checksum differs from its source": Kind(
        level="warning", advice="fetch the file again with workbench download, unless it was changed on purpose"
    ),
    "hole": Kind(level="warning", advice="kept as a gap, not as zero demand; nothing to do unless the source has it"),
    "gap": Kind(level="warning", advice="kept as unknown; forecasts leave these windows out"),
    "stops": Kind(
        level="warning",
        advice="leave it out or end the history there; a retired model and a limit of the export look alike",
    ),
    "level shift": Kind(level="warning", advice="let the history begin after the shift, or forecasts mix two levels"),
    "suspected cut": Kind(
        level="warning", advice="longer ones were probably cut or refused there; plan for longer ones if they return"
    ),
    "absurd length": Kind(level="warning", advice="look at these rows; one of them can outweigh a whole day"),
    "constant length": Kind(
        level="warning", advice="a mean written into every row has no long prompts; waiting times come out too short"
    ),
    "zero tokens": Kind(level="warning", advice="check whether failed calls are among them; they cost almost nothing"),
    "repeated rows": Kind(level="warning", advice="all are kept; remove them at the source if it exported rows twice"),
    "refused rows": Kind(level="warning", advice="see them with workbench traces check; repair them at the source"),
    "unknown label": Kind(
        level="warning",
        advice="map it when ingesting (LABEL=KEY), or name the catalog that has it here (--catalog) and in a study",
    ),
    "out of order": Kind(level="note", advice="nothing to do: answers do not depend on the order of rows"),
    "silent stretch": Kind(level="note"),
    "starts late": Kind(level="note", advice="forecasts have less history for it than for the others"),
    "dominant tenant": Kind(level="note", advice="what this one sender does decides the shape of the whole"),
    "round number of rows": Kind(level="note", advice="a sample or a limit often ends at such a number"),
    "coarse time stamps": Kind(level="note", advice="bursts shorter than that cannot be seen; ask no finer windows"),
    "offsets": Kind(level="note"),
    "checksum matches its source": Kind(level="note"),
    "rows": Kind(level="note"),
    "span": Kind(level="note"),
    "labels": Kind(level="note"),
    "cut to the common span": Kind(level="note"),
    "regions are made": Kind(level="note"),
    "tiers are made": Kind(level="note"),
    "read as asked": Kind(level="note"),
    "about the format": Kind(level="note"),
}


def finding(
    what: str, where: str, count: int | None, detail: str, *, level: Level | None = None, advice: str | None = None
) -> Finding:
    """Make one row of ``FINDINGS``; level and advice are those of its kind unless they are given.

    Raises KeyError for a kind that does not stand in ``KINDS``.
    """
    kind = KINDS[what]
    chosen = level or kind.level
    return {
        "finding": what,
        "level": chosen,
        "where": where,
        "count": count,
        "detail": detail,
        "advice": kind.advice if advice is None else advice,
    }


def as_frame(findings: list[Finding]) -> pl.DataFrame:
    """Return the findings as ``FINDINGS``, the worst first, in the order of ``KINDS`` among equals."""
    frame = FINDINGS.conform(pl.DataFrame(findings, schema=FINDINGS.schema))
    kinds = list(KINDS)
    order = [pl.col("level").replace_strict(LEVELS, range(len(LEVELS)), return_dtype=pl.Int64)]
    order.append(pl.col("finding").replace_strict(kinds, range(len(kinds)), return_dtype=pl.Int64))
    return frame.sort(*order, maintain_order=True)
