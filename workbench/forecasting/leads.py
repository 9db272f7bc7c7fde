"""At which hours ahead a method is rehearsed, and how those leads are pooled.

Errors grow with the lead, quickly at first, so leads are pooled in buckets that widen: the first hour, hours 2-3, 4-6,
7-12, 13-24, then days 2-3 and the rest of the week. The same leads are rehearsed whatever horizon is asked for, so the
first hour of a week's forecast is the forecast of that hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.forecasting.correction import lead_hours
from workbench.forecasting.history import Indices, Values
from workbench.units import SECONDS_PER_HOUR

EDGES_HOURS = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 72.0, 168.0)
LEADS_PER_BUCKET = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The rehearsed leads with their bucket; of each bucket its place in EDGES_HOURS, end in windows and middle."""

    leads: Indices
    bucket: Indices
    places: Indices
    ends: Indices
    middles_hours: Values
    window_s: float

    @property
    def buckets(self) -> int:
        """How many buckets hold a window."""
        return self.places.size

    @property
    def windows_per_origin(self) -> int:
        """Windows from one rehearsed origin to the next: an hour, or one window where it is longer."""
        return max(1, round(SECONDS_PER_HOUR / self.window_s))

    @property
    def origin_hours(self) -> float:
        """Hours from one rehearsed origin to the next."""
        return self.windows_per_origin * self.window_s / SECONDS_PER_HOUR

    def between(self, values: Values, lead_hours: Values) -> Values:
        """Carry values by bucket (last axis) to any leads, straight between the middles, level beyond the ends."""
        flat = values.reshape(-1, self.buckets)
        made = np.stack([np.interp(lead_hours, self.middles_hours, row) for row in flat])
        return made.reshape(*values.shape[:-1], lead_hours.size)


def grid_of(window_s: float) -> Grid:
    """Return the leads to rehearse for windows of this length."""
    edges = np.ceil(np.array(EDGES_HOURS) * SECONDS_PER_HOUR / window_s - 1e-9).astype(np.int64)
    places = np.flatnonzero(np.diff(edges) > 0)
    leads = [
        np.unique(np.linspace(edges[place], edges[place + 1] - 1, LEADS_PER_BUCKET).round().astype(np.int64))
        for place in places
    ]
    return Grid(
        leads=np.concatenate(leads),
        bucket=np.concatenate([np.full(own.size, row) for row, own in enumerate(leads)]),
        places=places,
        ends=edges[places + 1],
        middles_hours=np.array([lead_hours(own, window_s=window_s).mean() for own in leads]),
        window_s=window_s,
    )
