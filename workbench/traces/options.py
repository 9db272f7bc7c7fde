"""What a public trace does not say and a person must: keys, regions, tiers, the start, request lengths.

Every public trace lacks something (Azure's has no model, region or tier; SageServe's week has input tokens only). The
workbench guesses none of it: what is missing is asked for, all of it at once, and what was answered is kept as one
frozen value that is part of the trace's fingerprint. The parsers turn the strings of a command line into the same
value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from workbench.errors import TraceError, together
from workbench.traces.mapping import ColumnMapping

EVERY_LABEL = "*"


@dataclass(frozen=True, kw_only=True)
class Share:
    """One part of a split: the key that receives it, its share in 0-1, and how many hours later its traffic comes."""

    key: str
    share: float
    shift_h: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """How a source is turned into our keys and units.

    ``model``, ``region`` and ``tier`` are a constant for every row or a mapping from the source's label to our key
    (``"*"``: every label that the mapping does not name); a
    source without such a column has the file's name up to the first dot as its label, so several files in one trace
    can become several models. ``keep`` names the source's models to take (none named: all). ``region_split`` spreads a
    source without regions; ``tier_split`` spreads a tier label over several tiers (``"*"``: every label). ``start`` is
    the first instant of a source that knows offsets only. The lengths per request are for series that lack requests or
    tokens, one number or one per source model. ``mapping`` says what the columns of a file of no known format are.
    ``sample`` is the share (0-1) of the requests to draw of a source that publishes laws, ``prefix_cache_tokens`` the
    size of the prefix cache that is replayed over a source with prefix blocks (none: without bounds).
    """

    model: str | Mapping[str, str] | None = None
    region: str | Mapping[str, str] | None = None
    tier: str | Mapping[str, str] | None = None
    keep: tuple[str, ...] = ()
    region_split: tuple[Share, ...] = ()
    tier_split: Mapping[str, tuple[Share, ...]] = field(default_factory=dict)
    start: datetime | None = None
    input_tokens_per_request: float | Mapping[str, float] | None = None
    output_tokens_per_request: float | Mapping[str, float] | None = None
    mapping: ColumnMapping | None = None
    sample: float | None = None
    prefix_cache_tokens: int | None = None
    seed: int = 7

    def __post_init__(self) -> None:
        findings = _split_findings("region_split", self.region_split)
        for label, parts in self.tier_split.items():
            findings += _split_findings(f"tier_split of {label}", parts)
            findings += [f"tier_split of {label} cannot shift in time" for part in parts if part.shift_h]
        if self.region is not None and self.region_split:
            findings.append("region and region_split exclude each other; give one of them")
        if self.start is not None and self.start.tzinfo is not None:
            findings.append(f"start must be UTC without a time zone, got {self.start.isoformat()}")
        for name in ("input_tokens_per_request", "output_tokens_per_request"):
            findings += [
                f"{name} must be positive, got {value}" for value in _lengths(getattr(self, name)) if not value > 0
            ]
        if self.sample is not None and not 0 < self.sample <= 1:
            findings.append(f"sample must be a share above 0 and up to 1, got {self.sample}")
        if self.prefix_cache_tokens is not None and self.prefix_cache_tokens < 0:
            findings.append(f"prefix_cache_tokens must be 0 or more, got {self.prefix_cache_tokens}")
        if findings:
            raise TraceError("trace options: " + together(findings))

    def canonical(self) -> str:
        """Return the options as one text that is equal for equal options, for the fingerprint."""
        return json.dumps(asdict(self), sort_keys=True, default=str)


def _lengths(value: float | Mapping[str, float] | None) -> list[float]:
    if value is None:
        return []
    return list(value.values()) if isinstance(value, Mapping) else [value]


def _split_findings(what: str, parts: tuple[Share, ...]) -> list[str]:
    if not parts:
        return []
    total = sum(part.share for part in parts)
    keys = [part.key for part in parts]
    tests = {
        f"{what}: shares must sum to 1, got {total:.6g}": abs(total - 1.0) > 1e-6,
        f"{what}: shares must be positive": any(part.share <= 0 for part in parts),
        f"{what}: a key appears twice in {', '.join(keys)}": len(set(keys)) != len(keys),
    }
    return [text for text, is_wrong in tests.items() if is_wrong]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of a trace and how to read it; ``format`` auto recognises it by its columns."""

    path: Path
    options: TraceOptions = field(default_factory=TraceOptions)
    format: str = "auto"


def parse_labels(text: str) -> str | dict[str, str]:
    """Read a constant (``llama2_70b``) or a mapping (``A=llama2_70b,C=llama31_8b``) from the command line.

    Raises TraceError where an entry has no label or no key, or a label comes twice.
    """
    if "=" not in text:
        return _word(text, "a key such as llama2_70b, or LABEL=KEY pairs with commas between them", text)
    return dict(_pairs(text, "LABEL=KEY pairs with commas between them, such as A=llama2_70b,C=llama31_8b"))


def parse_lengths(text: str) -> float | dict[str, float]:
    """Read a number (``5000``) or a mapping from source models to numbers (``A=5000,C=4200``)."""
    wanted = "a number such as 5000, or LABEL=NUMBER pairs such as A=5000,C=4200"
    if "=" not in text:
        return _number(text, wanted, text)
    return {label: _number(value, wanted, text) for label, value in _pairs(text, wanted)}


def parse_region_split(text: str) -> tuple[Share, ...]:
    """Read ``us_east=0.43:0,us_central=0.29:1,us_west=0.28:3``: region, share and hours later (0 when left out)."""
    wanted = "REGION=SHARE:HOURS with commas between them, such as us_east=0.43:0,us_central=0.29:1,us_west=0.28:3"
    return tuple(
        Share(key=key, share=_number(share, wanted, text), shift_h=_number(hours or "0", wanted, text))
        for key, value in _pairs(text, wanted)
        for share, _, hours in [value.partition(":")]
    )


def parse_tier_split(text: str) -> dict[str, tuple[Share, ...]]:
    """Read tiers with shares, for every row or label by label.

    ``interactive_fast=0.6,interactive_normal=0.4`` splits every row;
    ``interactive=interactive_fast:0.6+interactive_normal:0.4`` splits the rows of one label.
    """
    wanted = (
        "TIER=SHARE pairs, or LABEL=TIER:SHARE+TIER:SHARE, such as prod=interactive_fast:0.6+interactive_normal:0.4"
    )
    pairs = _pairs(text, wanted)
    if ":" not in text:
        return {EVERY_LABEL: tuple(Share(key=key, share=_number(value, wanted, text)) for key, value in pairs)}
    return {
        label: tuple(
            Share(key=_word(key, wanted, text), share=_number(share, wanted, text))
            for key, _, share in (part.partition(":") for part in value.split("+"))
        )
        for label, value in pairs
    }


def parse_share(text: str) -> float:
    """Read a share in 0-1 (``0.01`` or ``1%``)."""
    wanted = "a share such as 0.01 or 1%"
    number = _number(text.removesuffix("%"), wanted, text)
    return number / 100 if text.endswith("%") else number


def parse_tokens(text: str) -> int:
    """Read a number of tokens (``2000000`` or ``2_000_000``)."""
    try:
        return int(text)
    except ValueError:
        raise TraceError(f"found '{text}'; expected a whole number of tokens such as 2_000_000.") from None


def parse_start(text: str) -> datetime:
    """Read an instant in UTC (``2025-07-09`` or ``2025-07-09T06:00``)."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise TraceError(
            f"start: found '{text}', expected a date or instant in UTC such as 2025-07-09T00:00."
        ) from None
    return start.replace(tzinfo=None) if start.utcoffset() is not None and not start.utcoffset() else start


def _pairs(text: str, wanted: str) -> list[tuple[str, str]]:
    pairs = [
        (_word(label, wanted, text), _word(value, wanted, text))
        for label, _, value in (entry.partition("=") for entry in text.split(","))
    ]
    labels = [label for label, _ in pairs]
    if len(set(labels)) != len(labels):
        raise TraceError(f"found '{text}', in which a name comes twice; expected {wanted}.")
    return pairs


def _word(word: str, wanted: str, text: str) -> str:
    if not word.strip():
        raise TraceError(f"found '{text}', in which a part is empty; expected {wanted}.")
    return word.strip()


def _number(word: str, wanted: str, text: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise TraceError(f"found '{text}', in which '{word}' is no number; expected {wanted}.") from None
