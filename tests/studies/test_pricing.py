"""workbench.studies.pricing: the highest point of lines that meet, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.studies.pricing import Point, highest

LINES = ((0.0, 2.0, 5.0), (6.0, 0.5, 3.0), (12.0, -1.0, 1.0))  # at no price, by the price, by another price


def lowest_line(price: float) -> Point:
    value, own, other = min((at + own * price, own, other) for at, own, other in LINES)
    return Point(price=price, value=value, slopes=np.array([own, other]))


@pytest.mark.parametrize("first", [1e-3, 1.0, 4.0, 1e3])
def test_where_tangents_meet_is_highest(first: float) -> None:
    """Six and a half a price meets twelve less a price at four: eight; a third of the one slope, two of the other."""
    found = highest(lowest_line, first=first)
    assert (found.price, found.value) == (pytest.approx(4.0, abs=0.01), pytest.approx(8.0, abs=0.01))
    assert found.slopes == pytest.approx([0.0, 2.0 / 3.0 * 3.0 + 1.0 / 3.0 * 1.0])


def test_what_only_falls_is_highest_at_no_price() -> None:
    found = highest(lambda price: Point(price=price, value=3.0 - price, slopes=np.array([-1.0])), first=1.0)
    assert (found.price, found.value) == (0.0, 3.0)
