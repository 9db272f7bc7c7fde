"""A workload as a value: what arrives where, for which model and tier, how often, in which rhythm and how long.

It is all that the generator needs besides a seed and a span, and it holds no request: a workload fitted to a trace can
be shared where the trace cannot. Variations (other mixes, growth, bursts) are new values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workbench.errors import TraceError, nearest, together
from workbench.traces.synthetic.lengths import LengthLaw
from workbench.traces.synthetic.rhythms import Burst, Noise, Rhythm, Spikes

MONDAY = datetime(1970, 1, 5)
CLOSE = 1e-9
ROUNDS = 500


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a mix: its key (None where the source does not say) and its share in 0-1."""

    key: str | None
    share: float


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What requests of one model and tier look like: lengths, and the mixes of applications and clients."""

    model: str
    tier: str
    lengths: LengthLaw
    apps: tuple[Part, ...] = (Part(key=None, share=1.0),)
    tenants: tuple[Part, ...] = (Part(key=None, share=1.0),)

    def __post_init__(self) -> None:
        for what, parts in (("apps", self.apps), ("tenants", self.tenants)):
            if abs(sum(part.share for part in parts) - 1.0) > 1e-6 or any(part.share < 0 for part in parts):
                raise TraceError(
                    f"the shares of the {what} of {self.model}, {self.tier} must be positive and sum to 1."
                )


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The arrivals of one region, model and tier.

    ``rps`` is the mean rate over one period of the rhythm at the start of the workload, before growth and bursts.
    """

    region: str
    model: str
    tier: str
    rps: float
    rhythm: Rhythm
    noise: tuple[Noise, ...] = ()
    spikes: Spikes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.rps < float("inf"):
            raise TraceError(f"the rate of {self.name} must be zero or more requests/s, got {self.rps:g}.")

    @property
    def name(self) -> str:
        """Region, model and tier in one text."""
        return f"{self.region}, {self.model}, {self.tier}"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Everything that arrives: streams, what their requests look like, growth and bursts.

    ``source`` says where the laws come from; ``start`` and ``days`` are the span they were taken from and the default
    of what is made. ``anchor`` is the instant at which every rhythm begins.
    """

    source: str
    start: datetime
    days: float
    anchor: datetime
    streams: tuple[Stream, ...]
    usages: tuple[Usage, ...]
    growth_per_week: float = 0.0
    bursts: tuple[Burst, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [stream.name for stream in self.streams]
        known = {(usage.model, usage.tier) for usage in self.usages}
        strange = [stream.name for stream in self.streams if (stream.model, stream.tier) not in known]
        findings = {
            "it has no stream": not names,
            f"the stream {next((name for name in names if names.count(name) > 1), '')} comes twice": len(set(names))
            != len(names),
            f"no usage says how long the requests of {'; '.join(strange)} are": bool(strange),
            f"growth must be more than -1 per week, got {self.growth_per_week:g}": not self.growth_per_week > -1,
            f"it must last longer than zero days, got {self.days:g}": not self.days > 0,
        }
        wrong = [text for text, is_wrong in findings.items() if is_wrong]
        if wrong:
            raise TraceError(f"the workload '{self.source}' cannot be: " + together(wrong))

    @property
    def rps(self) -> float:
        """Mean requests per second of all streams at the start, before growth and bursts."""
        return sum(stream.rps for stream in self.streams)

    def usage(self, model: str, tier: str) -> Usage:
        """Return what the requests of a model and tier look like."""
        return next(usage for usage in self.usages if (usage.model, usage.tier) == (model, tier))

    def shares(self, of: str) -> dict[str, float]:
        """Return the share of requests by ``region``, ``model`` or ``tier``."""
        return _shares(self.streams, of)


def varied(
    workload: Workload,
    *,
    rps: float | None = None,
    models: Mapping[str, float] | None = None,
    regions: Mapping[str, float] | None = None,
    tiers: Mapping[str, float] | None = None,
    noise_ratio: float = 1.0,
    growth_per_week: float | None = None,
    bursts: tuple[Burst, ...] | None = None,
) -> Workload:
    """Return a variation of a workload: another rate, other mixes, more or less noise, growth, bursts.

    ``models``, ``regions`` and ``tiers`` give new shares to the keys they name; the other keys share the rest in their
    old proportions, and all the rate stays; what is asked of several of them holds together. ``noise_ratio`` multiplies
    every coefficient of variation. Raises TraceError for an unknown key, or shares that exceed one, leave nothing where
    something must remain, or cannot hold together.
    """
    streams = _mixed(workload.streams, {"model": models or {}, "region": regions or {}, "tier": tiers or {}})
    factor = 1.0 if rps is None else rps / (workload.rps or 1.0)
    louder = tuple(
        dataclasses.replace(
            stream,
            rps=stream.rps * factor,
            noise=tuple(Noise(dwell_s=part.dwell_s, cv=part.cv * noise_ratio) for part in stream.noise),
        )
        for stream in streams
    )
    return dataclasses.replace(
        workload,
        streams=louder,
        growth_per_week=workload.growth_per_week if growth_per_week is None else growth_per_week,
        bursts=workload.bursts if bursts is None else bursts,
    )


def _mixed(streams: tuple[Stream, ...], wanted: Mapping[str, Mapping[str, float]]) -> tuple[Stream, ...]:
    """Give models, regions and tiers their new shares together: each in turn, again and again, until all hold.

    Where models lie differently over the regions, new shares of the regions alone would move those of the models
    (iterative proportional fitting; Deming and Stephan, 1940).
    """
    targets = {of: _target(streams, of, shares) for of, shares in wanted.items() if shares}
    if not targets:
        return streams
    mixed = streams
    for _ in range(ROUNDS):
        for of, target in targets.items():
            have = _shares(mixed, of)
            ratio = {key: target[key] / share if share else 0.0 for key, share in have.items()}
            mixed = tuple(dataclasses.replace(part, rps=part.rps * ratio[getattr(part, of)]) for part in mixed)
        if all(
            abs(have - target[key]) < CLOSE
            for of, target in targets.items()
            for key, have in _shares(mixed, of).items()
        ):
            return mixed
    raise TraceError(
        f"the shares asked of {' and '.join(f'{of}s' for of in targets)} cannot hold together, as some of their keys "
        "never come together in this workload; ask for less extreme ones, or for those of one of them."
    )


def _shares(streams: tuple[Stream, ...], of: str) -> dict[str, float]:
    total = sum(stream.rps for stream in streams) or 1.0
    shares = dict.fromkeys((getattr(stream, of) for stream in streams), 0.0)
    for stream in streams:
        shares[getattr(stream, of)] += stream.rps / total
    return shares


def _target(streams: tuple[Stream, ...], of: str, wanted: Mapping[str, float]) -> dict[str, float]:
    """Return the share every key is to have: as asked, and the others the rest in their old proportions."""
    old = _shares(streams, of)
    unknown = [key for key in wanted if key not in old]
    if unknown:
        raise TraceError(f"the workload has no {of} '{unknown[0]}': {nearest(unknown[0], old)}.")
    rest, left = 1.0 - sum(wanted.values()), sum(share for key, share in old.items() if key not in wanted)
    if min(wanted.values()) < 0 or rest < -1e-9 or (abs(rest) > 1e-9 and left <= 0):
        raise TraceError(
            f"the shares asked of {of}s ({', '.join(f'{key}={share:g}' for key, share in wanted.items())}) must be "
            "zero or more and sum to 1, or to less where other keys take the rest."
        )
    silent = [key for key, share in wanted.items() if share > 0 and old[key] == 0]
    if silent:
        raise TraceError(f"{of} '{silent[0]}' has no requests in this workload, so it cannot be given a share.")
    return {key: wanted.get(key, share * max(rest, 0.0) / left if left else 0.0) for key, share in old.items()}
