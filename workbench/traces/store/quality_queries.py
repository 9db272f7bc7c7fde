"""The SQL with which the quality report looks at the rows of a request trace.

Every query streams: it groups by something that does not grow with the rows (windows, lengths, senders), and the one
that cannot (repeated rows) is asked for one stretch of time after another. Where regions were made by shifting copies
of one source, the rows are first put back to the source's time, or a hole of the source would be hidden by the copies.
``{rows}`` holds the rows of one trace with the number of their series, ``{labels}`` the names behind the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

BIN_US = 20_000_000
MICROSECOND = timedelta(microseconds=1)

Query = tuple[str, dict[str, Any]]

_UNSHIFTED = """(
    SELECT r.* REPLACE (r.arrived_at - to_microseconds(coalesce(s.shift_us, 0)) AS arrived_at)
    FROM {rows} r LEFT JOIN (
        SELECT series, shift_us FROM {labels}
        JOIN (SELECT unnest($regions::VARCHAR[]) AS region, unnest($shifts_us::BIGINT[]) AS shift_us) USING (region)
    ) s USING (series)
)"""

_OVERVIEW = """
WITH numbered AS (
    SELECT series, count(*) AS n, min(input_tokens) AS input_low, max(input_tokens) AS input_high,
           min(output_tokens) AS output_low, max(output_tokens) AS output_high,
           count(*) FILTER (input_tokens > $absurd_input) AS absurd_input,
           count(*) FILTER (output_tokens > $absurd_output) AS absurd_output,
           count(*) FILTER (epoch_us(arrived_at) % 1000000 <> 0) AS finer_than_1s,
           count(*) FILTER (epoch_us(arrived_at) % 60000000 <> 0) AS finer_than_1min
    FROM {v} GROUP BY series)
SELECT model, sum(n)::BIGINT AS rows, min(input_low) AS input_low, max(input_high) AS input_high,
       min(output_low) AS output_low, max(output_high) AS output_high,
       sum(absurd_input)::BIGINT AS absurd_input, sum(absurd_output)::BIGINT AS absurd_output,
       sum(finer_than_1s)::BIGINT AS finer_than_1s, sum(finer_than_1min)::BIGINT AS finer_than_1min
FROM numbered JOIN {labels} USING (series) GROUP BY model ORDER BY model
"""

_PER_WINDOW = """
WITH numbered AS (
    SELECT epoch_us(arrived_at) // $window_us AS bin, series, count(*) AS n FROM {v} GROUP BY ALL)
SELECT make_timestamp(bin * $window_us) AS window_start, region, model, tier, sum(n)::DOUBLE AS requests
FROM numbered JOIN {labels} USING (series) GROUP BY ALL ORDER BY region, model, tier, window_start
"""

# a gap of 40 s or more holds a whole bin of 20 s, so looking between bins that have arrivals is exact for it
_SILENT = """
WITH numbered AS (
    SELECT series, epoch_us(arrived_at) // $bin_us AS bin, min(arrived_at) AS low, max(arrived_at) AS high,
           count(*) AS n
    FROM {v} GROUP BY ALL),
bins AS (
    SELECT model, bin, min(low) AS low, max(high) AS high, sum(n)::BIGINT AS n
    FROM numbered JOIN {labels} USING (series) GROUP BY ALL),
gaps AS (
    SELECT model, lag(high) OVER (PARTITION BY model ORDER BY bin) AS since, low AS until FROM bins),
means AS (SELECT model, epoch(max(high) - min(low)) / sum(n) AS mean_s FROM bins GROUP BY model)
SELECT model, since, until, epoch(until - since) AS gap_s, mean_s FROM gaps JOIN means USING (model)
WHERE epoch(until - since) >= greatest($at_least_s, $times_mean * mean_s)
ORDER BY gap_s DESC, model, since LIMIT $at_most
"""

# how thick the very top of the lengths is against the band below it: a cut piles up rows at its value
_TOP_LENGTHS = """
WITH numbered AS (
    SELECT series, 'input_tokens' AS measure, input_tokens AS tokens, count(*) AS n FROM {v} GROUP BY ALL
    UNION ALL
    SELECT series, 'output_tokens' AS measure, output_tokens AS tokens, count(*) AS n FROM {v} GROUP BY ALL),
lengths AS (
    SELECT model, measure, tokens, sum(n)::BIGINT AS n FROM numbered JOIN {labels} USING (series) GROUP BY ALL),
highest AS (SELECT model, measure, max(tokens) AS longest, sum(n)::BIGINT AS rows FROM lengths GROUP BY ALL)
SELECT model, measure, longest, rows,
       coalesce(sum(n) FILTER (tokens >= 0.999 * longest), 0)::BIGINT AS at_top,
       coalesce(
           sum(n) FILTER (tokens < 0.999 * longest AND tokens >= longest - greatest(0.05 * longest, 10)), 0
       )::BIGINT AS below_top
FROM lengths JOIN highest USING (model, measure) GROUP BY ALL ORDER BY model, measure
"""

_TENANTS = """
WITH numbered AS (SELECT series, tenant, count(*) AS n FROM {v} WHERE tenant IS NOT NULL GROUP BY ALL),
senders AS (
    SELECT model, tenant, sum(n)::BIGINT AS n FROM numbered JOIN {labels} USING (series) GROUP BY ALL),
tops AS (SELECT model, max(n) AS top_rows FROM senders GROUP BY model)
SELECT model, sum(n)::BIGINT AS rows, count(*) AS tenants, top_rows,
       min(tenant) FILTER (n = top_rows) AS top
FROM senders JOIN tops USING (model) GROUP BY model, top_rows ORDER BY model
"""

# rows are equal within one model, and within one region and tier where these are the source's own
_OWN = "WITH own AS (SELECT series, model, dense_rank() OVER (ORDER BY {labelled}) AS own FROM {labels})"
_INSIDE = "FROM {v} JOIN own USING (series) WHERE arrived_at >= $low AND arrived_at < $high"
_ALIKE = "hash(own, arrived_at, input_tokens, output_tokens, cached_tokens, app, tenant)"

_MARKS = f"{_OWN} SELECT {_ALIKE} AS mark {_INSIDE}"

_REPEATED = f"""{_OWN},
equal AS (SELECT own, count(*) AS n {_INSIDE} GROUP BY own, {_ALIKE} HAVING n > 1)
SELECT model, sum(n - 1)::BIGINT AS repeated
FROM equal JOIN (SELECT DISTINCT own, model FROM own) USING (own) GROUP BY model ORDER BY model
"""


def _seen(query: str, shifts: Mapping[str, timedelta], **parameters: object) -> Query:
    if not shifts:
        return query.replace("{v}", "{rows}"), dict(parameters)
    made = {"regions": list(shifts), "shifts_us": [shift // MICROSECOND for shift in shifts.values()]}
    return query.replace("{v}", _UNSHIFTED), dict(parameters) | made


def overview(shifts: Mapping[str, timedelta], *, absurd_input: int, absurd_output: int) -> Query:
    """Ask per model for the range of its lengths, rows beyond the absurd ones, and how fine its time stamps are."""
    return _seen(_OVERVIEW, shifts, absurd_input=absurd_input, absurd_output=absurd_output)


def per_window(shifts: Mapping[str, timedelta], *, window_s: float) -> Query:
    """Ask for the arrivals per window and series; windows without any are absent."""
    return _seen(_PER_WINDOW, shifts, window_us=round(window_s * 1e6))


def silent(shifts: Mapping[str, timedelta], *, at_least_s: float, times_mean: float, at_most: int) -> Query:
    """Ask for the longest stretches without an arrival per model, exact for stretches of 40 s or more."""
    return _seen(_SILENT, shifts, bin_us=BIN_US, at_least_s=at_least_s, times_mean=times_mean, at_most=at_most)


def top_lengths(shifts: Mapping[str, timedelta]) -> Query:
    """Ask per model and measure how many rows lie at the longest length and in the band below it."""
    return _seen(_TOP_LENGTHS, shifts)


def tenants(shifts: Mapping[str, timedelta]) -> Query:
    """Ask per model for its busiest sender, where senders are known."""
    return _seen(_TENANTS, shifts)


def marks(shifts: Mapping[str, timedelta], *, made_tiers: bool, low: datetime, high: datetime) -> Query:
    """Ask for one number per row of [low, high) that is equal for rows equal in everything that the source says."""
    return _alike(_MARKS, shifts, made_tiers=made_tiers, low=low, high=high)


def repeated(shifts: Mapping[str, timedelta], *, made_tiers: bool, low: datetime, high: datetime) -> Query:
    """Ask per model for the rows of [low, high) that are equal to another in everything that the source says."""
    return _alike(_REPEATED, shifts, made_tiers=made_tiers, low=low, high=high)


def _alike(query: str, shifts: Mapping[str, timedelta], *, made_tiers: bool, low: datetime, high: datetime) -> Query:
    """Complete a query about equal rows.

    A region that was made does not tell rows apart, nor does a tier that was drawn. The rows are cut to the stretch
    before they are put back to the source's time (``since`` and ``until``), so that only that stretch is read.
    """
    labelled = ["model"] + ([] if shifts else ["region"]) + ([] if made_tiers else ["tier"])
    text, parameters = _seen(query.replace("{labelled}", ", ".join(labelled)), shifts, low=low, high=high)
    if shifts:
        within = "(SELECT * FROM {rows} WHERE arrived_at >= $since AND arrived_at < $until) r LEFT JOIN"
        text = text.replace("{rows} r LEFT JOIN", within)
        by = [timedelta(0), *shifts.values()]
        parameters |= {"since": low + min(by), "until": high + max(by)}
    return text, parameters
