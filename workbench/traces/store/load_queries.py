"""The SQL that characterises a request trace where it lies: gaps, counts by scale, lengths, senders, cache hits.

Ten million requests go in, some thousand rows come out. Sums are taken over whole numbers (microseconds, tokens,
logarithms in millionths), so that the same trace gives the same bytes on any number of threads. Every function returns
a text in which ``{t}`` stands for the table of one trace; the parameters ``since`` and ``until`` bound its span.
"""

from __future__ import annotations

from collections.abc import Sequence

INSIDE = "FROM {t} WHERE arrived_at >= $since AND arrived_at < $until"
HOUR_US = 3_600_000_000
#: Length bins per octave: neighbouring edges are 9 % apart, and every power of two is an edge.
BINS_PER_OCTAVE = 8


def gaps(by: Sequence[str]) -> str:
    """Return the query for the gaps between arrivals of one group, summed per hour in which a gap ends."""
    keys = ", ".join(by)
    return f"""
WITH {_numbered(keys)}, ordered AS (
    SELECT id, epoch_us(arrived_at) AS at_us, at_us - lag(at_us) OVER (PARTITION BY id ORDER BY at_us) AS gap_us
    {_joined(keys)}),
hours AS (
    SELECT id, (at_us // {HOUR_US}) * {HOUR_US} AS hour_us, count(*) AS gaps, sum(gap_us)::DOUBLE / 1e6 AS gap_sum_s,
           sum(gap_us::HUGEINT * gap_us)::DOUBLE / 1e12 AS gap_square_sum_s2
    FROM ordered WHERE gap_us IS NOT NULL GROUP BY ALL)
SELECT make_timestamp(hour_us) AS window_start, {keys}, gaps, gap_sum_s, gap_square_sum_s2
FROM hours JOIN groups USING (id) ORDER BY ALL
"""


def counts(by: Sequence[str], scales_us: Sequence[int]) -> str:
    """Return the query for arrivals counted in bins of several lengths, summed per block of an hour.

    Bins start at ``$origin_us``; those that are not whole before ``$end_us`` are left out. Each scale is added up from
    the longest shorter one that divides it. ``moment`` is the sum of count times place of the bin in its block. A cell
    is a bin of one group; groups are ``$blocks`` whole blocks apart, so that cells of all scales fall on their edges.
    """
    keys = ", ".join(by)
    finest_us = scales_us[0]
    cell = f"id * $blocks * {HOUR_US // finest_us} + (epoch_us(arrived_at) - $origin_us) // {finest_us}"
    parts = [
        _numbered(keys),
        f"cells_{finest_us} AS MATERIALIZED (SELECT {cell} AS cell, count(*) AS n {_joined(keys)} "
        "AND epoch_us(arrived_at) >= $origin_us GROUP BY ALL)",
    ]
    for place, scale_us in enumerate(scales_us[1:], start=1):
        base_us = max(shorter for shorter in scales_us[:place] if scale_us % shorter == 0)
        parts.append(
            f"cells_{scale_us} AS MATERIALIZED (SELECT cell // {scale_us // base_us} AS cell, sum(n)::BIGINT AS n "
            f"FROM cells_{base_us} GROUP BY ALL)"
        )
    # sums of doubles that are whole numbers below 2^53 are exact in any order
    parts += [
        f"blocks_{scale_us} AS (SELECT cell // {HOUR_US // scale_us} AS place, sum(n::DOUBLE) AS requests, "
        f"sum((n * n)::DOUBLE) AS square_sum, sum((n * (cell % {HOUR_US // scale_us}))::DOUBLE) AS moment, "
        f"max(n)::DOUBLE AS requests_peak FROM cells_{scale_us} "
        f"WHERE cell % ($blocks * {HOUR_US // scale_us}) < ($end_us - $origin_us) // {scale_us} GROUP BY ALL)"
        for scale_us in scales_us
    ]
    sums = [
        f"SELECT {keys}, {scale_us / 1e6}::DOUBLE AS scale_s, place % $blocks AS block, requests, square_sum, moment, "
        f"requests_peak FROM blocks_{scale_us} JOIN groups ON id = place // $blocks"
        for scale_us in scales_us
    ]
    return f"WITH {', '.join(parts)} {' UNION ALL '.join(sums)} ORDER BY ALL"


def _numbered(keys: str) -> str:
    """Return the part of a query that numbers the groups, as whole numbers are grouped and sorted faster than names."""
    return (
        f"groups AS MATERIALIZED (SELECT row_number() OVER (ORDER BY {keys}) AS id, {keys} "
        f"FROM (SELECT DISTINCT {keys} FROM {{t}}))"
    )


def _joined(keys: str) -> str:
    return f"FROM {{t}} JOIN groups USING ({keys}) WHERE arrived_at >= $since AND arrived_at < $until"


def length_bins(by: Sequence[str]) -> str:
    """Return the query for requests by length, in bins of an eighth of an octave, per window of ``$window_us``."""
    keys = ", ".join(by)
    sides = [
        f"SELECT make_timestamp((epoch_us(arrived_at) // $window_us) * $window_us) AS window_start, {keys}, "
        f"'{measure}' AS measure, floor({BINS_PER_OCTAVE} * log2({measure}))::INTEGER AS bin, count(*) AS requests "
        f"{INSIDE} GROUP BY ALL"
        for measure in ("input_tokens", "output_tokens")
    ]
    return f"{' UNION ALL '.join(sides)} ORDER BY ALL"


def length_moments(by: Sequence[str]) -> str:
    """Return the query for sums, squares and products of prompt and output lengths, plain and as logarithms."""
    keys = ", ".join(by)
    return f"""
WITH rows AS (
    SELECT {keys}, input_tokens::HUGEINT AS p, output_tokens::HUGEINT AS o,
           round(1e6 * ln(input_tokens))::HUGEINT AS lp, round(1e6 * ln(output_tokens))::HUGEINT AS lo
    {INSIDE})
SELECT {keys}, count(*)::DOUBLE AS n, sum(p)::DOUBLE AS p, sum(o)::DOUBLE AS o, sum(p * p)::DOUBLE AS pp,
       sum(o * o)::DOUBLE AS oo, sum(p * o)::DOUBLE AS po, sum(lp)::DOUBLE AS lp, sum(lo)::DOUBLE AS lo,
       sum(lp * lp)::DOUBLE AS lplp, sum(lo * lo)::DOUBLE AS lolo, sum(lp * lo)::DOUBLE AS lplo,
       max(p)::BIGINT AS input_tokens_max, max(o)::BIGINT AS output_tokens_max
FROM rows GROUP BY ALL ORDER BY ALL
"""


def output_by_prompt(by: Sequence[str]) -> str:
    """Return the query for the output lengths of requests whose prompts lie in one octave."""
    keys = ", ".join(by)
    return f"""
SELECT {keys}, floor(log2(input_tokens))::INTEGER AS octave, count(*) AS requests,
       sum(output_tokens)::DOUBLE / count(*) AS output_tokens_mean,
       quantile_cont(output_tokens, 0.5) AS output_tokens_p50, quantile_cont(output_tokens, 0.9) AS output_tokens_p90
{INSIDE} GROUP BY ALL ORDER BY ALL
"""


def top_senders(of: str) -> str:
    """Return the query for the ``$limit`` apps or tenants with the most requests, and their requests and tokens."""
    return f"""
SELECT {of} AS sender, count(*) AS requests, sum(input_tokens)::DOUBLE AS input_tokens,
       sum(output_tokens)::DOUBLE AS output_tokens
{INSIDE} AND {of} IS NOT NULL GROUP BY ALL ORDER BY requests DESC, sender LIMIT $limit
"""


def sender_spread(of: str) -> str:
    """Return the query for how the requests spread over all apps or tenants: one row, sums over senders by rank."""
    return f"""
WITH per AS (SELECT {of} AS sender, count(*) AS n {INSIDE} GROUP BY ALL),
ranked AS (SELECT n, row_number() OVER (ORDER BY n, sender) AS place FROM per WHERE sender IS NOT NULL)
SELECT count(*) AS senders, coalesce(sum(n), 0)::DOUBLE AS requests, coalesce(max(n), 0)::DOUBLE AS requests_top,
       coalesce(sum(n::HUGEINT * n), 0)::DOUBLE AS square_sum,
       coalesce(sum(n::HUGEINT * place), 0)::DOUBLE AS ranked_sum,
       coalesce((SELECT sum(n) FROM per WHERE sender IS NULL), 0)::DOUBLE AS unnamed
FROM ranked
"""


def cached(by: Sequence[str]) -> str:
    """Return the query for prompt tokens that a prefix cache held, per window of ``$window_us``."""
    keys = ", ".join(by)
    return f"""
SELECT make_timestamp((epoch_us(arrived_at) // $window_us) * $window_us) AS window_start, {keys},
       count(*) AS requests, count(cached_tokens) AS requests_known,
       coalesce(sum(cached_tokens), 0)::DOUBLE AS cached_tokens,
       coalesce(sum(input_tokens) FILTER (cached_tokens IS NOT NULL), 0)::DOUBLE AS input_tokens_known
{INSIDE} GROUP BY ALL ORDER BY ALL
"""
