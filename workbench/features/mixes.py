"""Whose load it is: shares of regions and tiers, and how much of it may wait.

Shares are those of the mean rates of the series, each over its own known windows, so that what is unknown for a while
does not seem to send less. Whether a tier may wait is a fact of the tier
(``deferrable`` in the catalog), never read off its name.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from workbench.domain import Tier
from workbench.errors import CatalogError, nearest
from workbench.features.demand import MEASURES, SERIES
from workbench.features.rates import means_of_series, summed


def regional_split(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return each region's share of requests and tokens, within every value of ``by`` (such as ``"model"``)."""
    return _split(demand, "region", by)


def tier_split(demand: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return each tier's share of requests and tokens, within every value of ``by`` (such as ``"region"``)."""
    return _split(demand, "tier", by)


def _split(demand: pl.DataFrame, of: str, by: tuple[str, ...]) -> pl.DataFrame:
    sums = means_of_series(demand).group_by(*by, of).agg(summed(name) for name in MEASURES)
    shares = (
        _share(pl.col(name), pl.col(name).sum().over(by) if by else pl.col(name).sum(), name) for name in MEASURES
    )
    return sums.with_columns(shares).select(*by, of, *(f"{name}_fraction" for name in MEASURES)).sort(*by, of)


def _share(part: pl.Expr, whole: pl.Expr, name: str) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole).alias(f"{name}_fraction")


def deferrable_over_time(demand: pl.DataFrame, *, window_s: float, tiers: Mapping[str, Tier]) -> pl.DataFrame:
    """Return :func:`deferrable_share` per window of ``window_s``, over the shorter ones in it that are known."""
    longer = pl.col("window_start").dt.truncate(f"{round(window_s * 1e6)}us")
    return deferrable_share(demand.with_columns(longer), "window_start", tiers=tiers)


def deferrable_share(demand: pl.DataFrame, *by: str, tiers: Mapping[str, Tier]) -> pl.DataFrame:
    """Return how much of the load may wait, one row per value of ``by`` (``"model"``, ``"window_start"`` ...).

    ``requests_deferrable_fraction``, ``input_tokens_deferrable_fraction`` and ``output_tokens_deferrable_fraction`` of
    the mean rates, and ``interactive_to_deferrable_ratio``, the IW:NIW ratio by requests (SageServe saw 3 to 1 and
    6.3 to 1, sageserve.md section 3.1); null where nothing may wait or nothing arrived. ``tiers`` are the facts by
    key; raises CatalogError where the demand has a tier that they do not describe.
    """
    unknown = sorted(set(demand.get_column("tier").unique()) - set(tiers))
    if unknown:
        raise CatalogError(
            f"tier '{unknown[0]}' of this trace is not in the catalog, so whether it may wait is not known; "
            f"{nearest(unknown[0], tiers)}. Map the label at the ingest, or add a row to tiers.toml of an extra folder."
        )
    may_wait = pl.col("tier").is_in([key for key, tier in tiers.items() if tier.deferrable])
    means = means_of_series(demand, *(name for name in by if name not in SERIES))
    told = [pl.col(name).is_not_null().any().over(SERIES) for name in MEASURES]
    marked = means.with_columns(is_told.alias(f"{name}_told") for name, is_told in zip(MEASURES, told, strict=True))
    sums = [_sum_of_told(name) for name in MEASURES]
    later = [pl.col(name).filter(may_wait).sum().alias(f"{name}_later") for name in MEASURES]
    total = marked.group_by(by).agg(*sums, *later).sort(by) if by else marked.select(*sums, *later)
    shares = [_share(pl.col(f"{name}_later"), pl.col(name), f"{name}_deferrable") for name in MEASURES]
    now, wait = pl.col("requests") - pl.col("requests_later"), pl.col("requests_later")
    return total.select(*by, *shares, interactive_to_deferrable_ratio=pl.when(wait > 0).then(now / wait))


def _sum_of_told(name: str) -> pl.Expr:
    """Return the sum over the series that are ever known of it; null where one of them is not, or there is none."""
    told = pl.col(name).filter(pl.col(f"{name}_told"))
    return pl.when((told.len() > 0) & (told.null_count() == 0)).then(told.sum()).alias(name)
