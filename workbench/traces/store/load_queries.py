"""The SQL that characterises a request trace where it lies: gaps, cells of arrivals, lengths, senders, cache hits.

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
WITH ids AS ({_numbered(keys)}), ordered AS (
    SELECT id, epoch_us(arrived_at) AS at_us, at_us - lag(at_us) OVER (PARTITION BY id ORDER BY at_us) AS gap_us
    FROM {{rows}} JOIN ids USING (series) WHERE arrived_at >= $since AND arrived_at < $until),
hours AS (
    SELECT id, (at_us // {HOUR_US}) * {HOUR_US} AS hour_us, count(*) AS gaps, sum(gap_us)::DOUBLE / 1e6 AS gap_sum_s,
           sum(gap_us::HUGEINT * gap_us)::DOUBLE / 1e12 AS gap_square_sum_s2
    FROM ordered WHERE gap_us IS NOT NULL GROUP BY ALL)
SELECT make_timestamp(hour_us) AS window_start, {keys}, gaps, gap_sum_s, gap_square_sum_s2
FROM hours JOIN (SELECT DISTINCT id, {keys} FROM ids) USING (id) ORDER BY ALL
"""


def cells(by: Sequence[str]) -> str:
    """Return the query for the arrivals as numbers of cells, one row each in no order.

    A cell is a bin of ``$bin_us`` after ``$origin_us`` of one group; a group, numbered in the order of its keys, has
    ``$bins`` of them.
    """
    return f"""
WITH ids AS ({_numbered(", ".join(by))})
SELECT (id * $bins + (epoch_us(arrived_at) - $origin_us) // $bin_us)::BIGINT AS cell
FROM {{rows}} JOIN ids USING (series) WHERE arrived_at >= $since AND arrived_at < $until
"""


def _numbered(keys: str) -> str:
    """Return the query that numbers the groups, as whole numbers are grouped and sorted faster than names."""
    return f"SELECT series, {keys}, dense_rank() OVER (ORDER BY {keys}) - 1 AS id FROM {{labels}}"


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
