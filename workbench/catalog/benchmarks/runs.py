"""One level of load of a benchmark as a value, whichever tool wrote it, and numbers read with their place named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import CatalogError, nearest

AGREES_WITHIN = 0.1  # of two statements of one time; a unit that is wrong is off by a factor of a thousand


@dataclass(frozen=True, kw_only=True)
class TimedRequest:
    """One request: its lengths, time to the first token, time from the first to the last; ``start_s`` where known."""

    input_tokens: float
    output_tokens: float
    ttft_s: float
    decode_s: float
    start_s: float | None = None

    @property
    def first_token_s(self) -> float:
        """Instant of the first token."""
        return (self.start_s or 0.0) + self.ttft_s

    @property
    def end_s(self) -> float:
        """Instant of the last token."""
        return self.first_token_s + self.decode_s


@dataclass(frozen=True, kw_only=True)
class BenchmarkRun:
    """One level of load.

    ``requests`` are all that were completed, or one that stands for their mean where the file has no more. Where the
    file has every request with its instants, ``is_timeline`` is true and the load at each instant can be rebuilt;
    otherwise its mean is taken from how it was made: ``concurrency`` requests at once, the next sent when one is done,
    or, where that is null, ``rps`` (completions per second) of independent arrivals.
    """

    label: str
    requests: tuple[TimedRequest, ...]
    rps: float
    concurrency: float | None
    is_timeline: bool
    date: str

    @property
    def others_rps(self) -> float:
        """Return how many requests a second come beside any one that is being served."""
        if self.concurrency is None:
            return self.rps
        served_s = sum(request.ttft_s + request.decode_s for request in self.requests) / len(self.requests)
        return (self.concurrency - 1.0) / served_s


class Part:
    """A part of a JSON document with its place, so that whatever is wrong in it is named."""

    def __init__(self, found: Any, where: str) -> None:
        self.found, self.where = found, where

    def has(self, key: str) -> bool:
        """Return whether the part has a value, not null, under a key."""
        return isinstance(self.found, Mapping) and self.found.get(key) is not None

    def part(self, key: str) -> Part:
        """Return what stands under a key; raises CatalogError where nothing does."""
        if not isinstance(self.found, Mapping):
            raise CatalogError(f"{self.where}: must be an object with the key {key}, found {_short(self.found)}.")
        if self.found.get(key) is None:
            raise CatalogError(f"{self.where}: {key} is missing; {nearest(key, map(str, self.found))}.")
        return Part(self.found[key], f"{self.where}, {key}")

    def items(self) -> list[Part]:
        """Return the items of a list."""
        if not isinstance(self.found, list):
            raise CatalogError(f"{self.where}: must be a list, found {_short(self.found)}.")
        return [Part(item, f"{self.where} {number}") for number, item in enumerate(self.found)]

    def number(self, *, least: float = 0.0) -> float:
        """Return a finite number of at least so much."""
        found = self.found
        is_number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
        if not is_number or found < least:
            raise CatalogError(f"{self.where}: must be a number of {least:g} or more, found {_short(found)}.")
        return float(found)


def refuse_other_unit(what: str, *, one_s: float, other_s: float, where: str) -> None:
    """Raise CatalogError where two statements of one time in a file differ, which shows a unit that is not the tool's.

    A millisecond between them is never too much.
    """
    if abs(one_s - other_s) > AGREES_WITHIN * max(one_s, other_s) + 1e-3:
        raise CatalogError(
            f"{where}: {what} are {one_s:.4g} s by one field and {other_s:.4g} s by another; one of them is not in the "
            "unit that the tool writes. Give the file as the tool wrote it."
        )


def _short(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 60 else text[:57] + "..."
