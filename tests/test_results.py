"""workbench.results: hand-offs do not change, and are told apart by identity because frames cannot be compared."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import datetime

import polars as pl
import pytest

from workbench import results, tables
from workbench.results import Forecast

VALUES = [
    value
    for value in vars(results).values()
    if isinstance(value, type) and value.__module__ == results.__name__ and is_dataclass(value)
]


def forecast() -> Forecast:
    """A forecast of nothing."""
    return Forecast(
        frame=tables.FORECAST.empty(),
        notes=tables.FORECAST_NOTES.empty(),
        as_of=datetime(2026, 3, 2),
        window_s=900.0,
        method="naive",
    )


def test_two_equal_hand_offs_compare_without_touching_their_frames() -> None:
    first, second = forecast(), forecast()
    assert first == first
    assert first != second
    assert len({first, second}) == 2


def test_a_hand_off_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        forecast().method = "prophet"  # type: ignore[misc]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_a_value_with_frames_compares_by_identity(value: type) -> None:
    holds_frame = any("DataFrame" in str(field.type) or field.type in _names_of_values() for field in fields(value))
    assert (value.__eq__ is object.__eq__) == holds_frame


def test_an_empty_hand_off_keeps_the_types_of_its_table() -> None:
    assert pl.concat([forecast().frame, forecast().frame]).schema == tables.FORECAST.schema


def _names_of_values() -> set[str]:
    return {value.__name__ for value in VALUES}
