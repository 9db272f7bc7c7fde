"""A table as a value: columns with dtype, unit and meaning, the key, and row rules as Polars expressions.

Tables of a kind are declared with the columns and rules that all of them share, which lie here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from workbench.errors import TableError

INSTANT = pl.Datetime("us")
NUMBER = pl.Float64()
COUNT = pl.Int64()
TEXT = pl.String()
FLAG = pl.Boolean()


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: dtype, unit, meaning, and whether a null (meaning "not known") may stand in it."""

    dtype: pl.DataType
    unit: str
    meaning: str
    nullable: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a handed-over frame looks like; ``rules`` hold for every row, ``key`` names at most one row."""

    name: str
    one_row_per: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)

    @property
    def schema(self) -> pl.Schema:
        """Column names and dtypes in order."""
        return pl.Schema({name: column.dtype for name, column in self.columns.items()})

    def empty(self) -> pl.DataFrame:
        """Return the table without rows."""
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Select, order and cast the table's columns and check every rule.

        Raises TableError naming the missing columns, the columns that cannot be cast, or each broken rule with its
        count and a sample row.
        """
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise TableError(
                f"{self.name}: missing column(s) {', '.join(missing)}; found {', '.join(frame.columns)}. "
                f"The table has one row per {self.one_row_per}."
            )
        try:
            typed = self._typed(frame)
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0]
            raise TableError(
                f"{self.name}: a column cannot be cast to its type ({reason}); expected {dict(self.schema)}, "
                f"found {dict(frame.schema)}."
            ) from error
        findings = self._findings(typed)
        if findings:
            raise TableError(f"{self.name}: " + "; ".join(findings) + ".")
        return typed

    def _typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the table's columns in order, cast where they are of another type."""
        return pl.DataFrame(
            [frame.get_column(name).cast(column.dtype) for name, column in self.columns.items()],
        )

    def _findings(self, frame: pl.DataFrame) -> list[str]:
        """Return what is wrong; nulls are looked for where there are any, and infinities where a sum is no number."""
        broken = {
            f"{name} is null": pl.col(name).is_null()
            for name, column in self.columns.items()
            if not column.nullable and frame.get_column(name).null_count()
        }
        broken |= {
            f"{name} is not a finite number": pl.col(name).is_nan() | pl.col(name).is_infinite()
            for name, column in self.columns.items()
            if column.dtype.is_float() and not math.isfinite(frame.get_column(name).sum())
        }
        broken |= {f"not ({rule})": ~expression for rule, expression in self.rules.items()}
        if self.key and frame.height:
            broken[f"repeated key ({', '.join(self.key)})"] = pl.struct(self.key).is_duplicated()
        if not broken or frame.is_empty():
            return []
        counts = frame.select(
            test.fill_null(value=False).sum().alias(str(i)) for i, test in enumerate(broken.values())
        ).row(0)
        return [
            f"{what} in {count:,} of {frame.height:,} rows, first {frame.row(index, named=True)}"
            for (what, test), count in zip(broken.items(), counts, strict=True)
            if count
            for index in [int(frame.select(test.fill_null(value=False).arg_max()).item())]
        ]


def window_s_of(frame: pl.DataFrame) -> float:
    """Return the window length of a frame with ``window_start``, in seconds: the smallest step between two windows.

    Raises TableError where fewer than two windows are present, as then no length can be read off.
    """
    starts = frame.get_column("window_start").unique().sort()
    if starts.len() < 2:
        raise TableError(f"a window length needs two windows or more, found {starts.len()}; ask for a longer span.")
    return float(starts.diff().drop_nulls().min().total_seconds())  # type: ignore[union-attr]


WINDOW = {"window_start": Column(dtype=INSTANT, unit="UTC", meaning="left edge of the half-open window")}

REGION = {"region": Column(dtype=TEXT, unit="key", meaning="region the traffic comes from or the replicas stand in")}

MODEL = {"model": Column(dtype=TEXT, unit="key", meaning="served model")}

TIER = {"tier": Column(dtype=TEXT, unit="key", meaning="service tier")}

GPU = {"gpu": Column(dtype=TEXT, unit="key", meaning="GPU kind")}

SERIES = REGION | MODEL | TIER


def number(unit: str, meaning: str, *, nullable: bool = False) -> Column:
    """Return a column of real numbers."""
    return Column(dtype=NUMBER, unit=unit, meaning=meaning, nullable=nullable)


def count(unit: str, meaning: str) -> Column:
    """Return a column of whole numbers."""
    return Column(dtype=COUNT, unit=unit, meaning=meaning)


def text(meaning: str, *, nullable: bool = False) -> Column:
    """Return a column of keys or words."""
    return Column(dtype=TEXT, unit="", meaning=meaning, nullable=nullable)


def not_negative(*names: str) -> dict[str, pl.Expr]:
    """Return a rule for each of the columns: none of its numbers is below nought."""
    return {f"{name} >= 0": pl.col(name) >= 0 for name in names}


def fraction(*names: str) -> dict[str, pl.Expr]:
    """Return a rule for each of the columns: its numbers lie from nought to one."""
    return {f"0 <= {name} <= 1": pl.col(name).is_between(0.0, 1.0 + 1e-9) for name in names}
