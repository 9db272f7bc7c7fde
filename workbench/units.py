"""The few constants and conversions of the field, and the seeds derived from names.

Instants are naive UTC, durations are float seconds, sizes are tokens and bytes; only names that end in another unit
hold another unit.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_HOUR = 3600.0
SECONDS_PER_DAY = 86_400.0
HOURS_PER_DAY = 24.0
BYTES_PER_GB = 1e9


def ms_to_s(milliseconds: float) -> float:
    """Convert milliseconds to seconds."""
    return milliseconds / 1e3


def after(instant: datetime, seconds: float) -> datetime:
    """Return the instant a number of seconds later."""
    return instant + timedelta(seconds=seconds)


def seconds_between(start: datetime, end: datetime) -> float:
    """Return the seconds from start to end."""
    return (end - start).total_seconds()


def span_in_words(seconds: float) -> str:
    """Write a duration as people say it: minutes below two hours, hours up to three days, else days.

    >>> span_in_words(2940.0), span_in_words(86_400.0), span_in_words(1_209_600.0)
    ('49 min', '24 h', '14 days')
    """
    if seconds < 2 * SECONDS_PER_HOUR:
        return f"{seconds / SECONDS_PER_MINUTE:.0f} min"
    if seconds <= 3 * SECONDS_PER_DAY:
        return f"{seconds / SECONDS_PER_HOUR:.3g} h"
    return f"{seconds / SECONDS_PER_DAY:.0f} days"


def seed_for(seed: int, *names: str) -> int:
    """Derive a 63-bit seed from a study's seed and the name of a quantity.

    Adding a quantity never disturbs the random numbers of another.
    """
    digest = hashlib.blake2b("\x1f".join((str(seed), *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
