"""What is to be made, as a few words or a TOML file: the size, the span, the mixes, growth and bursts.

A recipe is what the command line and a file say the same way; an unknown key is refused with the nearest one, as a
misspelt key that is dropped would make another trace than the one asked for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.errors import TraceError, nearest, together
from workbench.traces.synthetic.rhythms import Burst
from workbench.traces.synthetic.workloads import Workload, varied

BURST = re.compile(r"([\d.]+)x([\d.]+)min/(~?)([\d.]+)h(?:@([\d.]+)h)?")
GROWTH = re.compile(r"([+-]?[\d.]+)(%?)/(week|month)")
WEEKS_PER_MONTH = 365.25 / 12 / 7
MIXES = ("models", "regions", "tiers")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a trace is made from a workload; what is left out stays as the workload has it.

    ``requests`` is the expected number over the span, ``rps`` a rate instead of it. ``models``, ``regions`` and
    ``tiers`` are new shares of the keys they name. ``noise`` multiplies the burstiness.
    """

    seed: int = 7
    start: datetime | None = None
    days: float | None = None
    requests: float | None = None
    rps: float | None = None
    models: Mapping[str, float] = field(default_factory=dict)
    regions: Mapping[str, float] = field(default_factory=dict)
    tiers: Mapping[str, float] = field(default_factory=dict)
    noise: float = 1.0
    growth: str | None = None
    bursts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        findings = {
            "requests and rps exclude each other; give one of them": self.requests is not None and self.rps is not None,
            f"requests must be positive, got {self.requests}": self.requests is not None and not self.requests > 0,
            f"rps must be positive, got {self.rps}": self.rps is not None and not self.rps > 0,
            f"days must be positive, got {self.days}": self.days is not None and not self.days > 0,
            f"noise must be zero or more, got {self.noise:g}": not self.noise >= 0,
            f"start must be UTC without a time zone, got {self.start}": self.start is not None
            and self.start.tzinfo is not None,
        }
        wrong = [text for text, is_wrong in findings.items() if is_wrong]
        if wrong:
            raise TraceError("recipe: " + together(wrong))

    def of(self, workload: Workload) -> Workload:
        """Return the workload varied as the recipe says."""
        return varied(
            workload,
            rps=self.rps,
            models=self.models,
            regions=self.regions,
            tiers=self.tiers,
            noise_ratio=self.noise,
            growth_per_week=None if self.growth is None else parse_growth(self.growth),
            bursts=tuple(parse_burst(text) for text in self.bursts) or None,
        )


def recipe_of(values: Mapping[str, Any], *, source: str) -> Recipe:
    """Make a recipe of keys and values, such as those of a TOML file; a key may be written ``tiers.KEY``.

    Raises TraceError, naming ``source``, for an unknown key or a value of the wrong kind.
    """
    given: dict[str, Any] = {}
    for key, value in values.items():
        name, dot, inner = key.partition(".")
        if dot and name in MIXES:
            given[name] = {**given.get(name, {}), inner: value}
        else:
            given[key] = value
    known = {part.name for part in fields(Recipe)}
    unknown = [f"unknown key {key}; {nearest(key, known)}" for key in given if key not in known]
    if unknown:
        raise TraceError(f"{source}: " + together(unknown))
    kinds = {key: _typed(key, value) for key, value in given.items()}
    wrong = [f"{key} must be {wanted}, got {given[key]!r}" for key, (value, wanted) in kinds.items() if value is None]
    if wrong:
        raise TraceError(f"{source}: " + together(wrong))
    return Recipe(**{key: value for key, (value, _) in kinds.items()})


def read_recipe(path: Path) -> dict[str, Any]:
    """Return the keys and values of a recipe file (TOML); raises TraceError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TraceError(f"{path}: the recipe cannot be read ({error}).") from error


def parse_burst(text: str) -> Burst:
    """Read ``3x20min/6h`` (3 times the rate for 20 minutes every 6 hours), ``3x20min/~6h`` or ``3x20min/6h@2h``.

    At ``6h`` a burst begins every six hours, at the same hours of each day; at ``~6h`` there is one in every six hours,
    at a time drawn by the seed. ``@2h`` lets the first six hours begin two hours after the start of the trace.
    """
    found = BURST.fullmatch(text.strip())
    if not found:
        raise TraceError(
            f"burst: found '{text}', expected RATIOxMINUTESmin/HOURSh such as 3x20min/6h, 3x20min/~6h for one at "
            "a random time in every six hours, or 3x20min/6h@2h to begin two hours after the start."
        )
    ratio, minutes, every_h, first_h = (_number(found[part] or "0", "burst", text) for part in (1, 2, 4, 5))
    return Burst(ratio=ratio, minutes=minutes, every_h=every_h, first_h=first_h, is_random=bool(found[3]))


def parse_growth(text: str) -> float:
    """Read ``5%/week`` or ``0.2/month`` as growth per week, compounded; a month is 365.25 / 12 days."""
    found = GROWTH.fullmatch(text.strip())
    if not found:
        raise TraceError(f"growth: found '{text}', expected such as 5%/week, -3%/week or 20%/month.")
    part = _number(found[1], "growth", text) / (100.0 if found[2] else 1.0)
    if part <= -1:
        raise TraceError(f"growth: found '{text}'; a load cannot fall by all of itself or more.")
    return part if found[3] == "week" else float((1.0 + part) ** (1.0 / WEEKS_PER_MONTH) - 1.0)


def _number(word: str, what: str, text: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise TraceError(f"{what}: found '{text}', in which '{word}' is no number.") from None


def _typed(key: str, value: Any) -> tuple[Any, str]:
    """Return a value of the kind its key needs, None where it is of another, and the kind in words."""
    if key in MIXES:
        shares = isinstance(value, Mapping) and all(_is_number(share) for share in value.values())
        return (dict(value) if shares else None), "shares by key"
    if key == "bursts":
        texts = [value] if isinstance(value, str) else value
        is_list = isinstance(texts, (list, tuple)) and all(isinstance(text, str) for text in texts)
        return (tuple(texts) if is_list else None), "texts such as 3x20min/6h"
    if key == "growth":
        return (value if isinstance(value, str) else None), "a text such as 5%/week"
    if key == "start":
        return _instant(value), "an instant in UTC such as 2025-07-09T00:00"
    if key == "seed":
        return (value if isinstance(value, int) and not isinstance(value, bool) else None), "a whole number"
    return (float(value) if _is_number(value) else None), "a number"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
