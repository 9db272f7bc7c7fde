"""The SQL of the store: its tables, sums by window, length moments and dispersion, and what quality looks at.

Sums of whole numbers are exact (HUGEINT) before they become floats and sums of floats are taken in order of time, so
the same trace gives the same bytes on any number of threads. ``{t}`` is the table of one trace.
"""

from __future__ import annotations

STORE_VERSION = 1

SCHEMA = f"""
CREATE TABLE store_version (version INTEGER);
INSERT INTO store_version VALUES ({STORE_VERSION});
CREATE SEQUENCE trace_id;
CREATE TABLE catalogue (
    id INTEGER PRIMARY KEY, name VARCHAR UNIQUE, kind VARCHAR, format VARCHAR, source VARCHAR, fingerprint VARCHAR,
    window_s DOUBLE, rows_read BIGINT, rows_kept BIGINT, rows BIGINT, rejected BIGINT,
    first_at TIMESTAMP, last_at TIMESTAMP, version VARCHAR);
CREATE TABLE findings (id INTEGER, position INTEGER, finding VARCHAR, "where" VARCHAR, count BIGINT, detail VARCHAR);
CREATE TABLE rejected (id INTEGER, source VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR);
"""

REQUESTS_TABLE = """
CREATE TABLE {t} (arrived_at TIMESTAMP, region VARCHAR, model VARCHAR, tier VARCHAR, app VARCHAR, tenant VARCHAR,
                  input_tokens BIGINT, output_tokens BIGINT, cached_tokens BIGINT)
"""

SERIES_TABLE = """
CREATE TABLE {t} (window_start TIMESTAMP, region VARCHAR, model VARCHAR, tier VARCHAR, requests DOUBLE,
                  input_tokens DOUBLE, output_tokens DOUBLE)
"""

SUM_REQUESTS = """
SELECT make_timestamp((epoch_us(arrived_at) // $window_us) * $window_us) AS window_start, region, model, tier,
       count(*)::DOUBLE AS requests, sum(input_tokens)::DOUBLE AS input_tokens,
       sum(output_tokens)::DOUBLE AS output_tokens
FROM {t} WHERE arrived_at >= $since AND arrived_at < $until
GROUP BY ALL ORDER BY region, model, tier, window_start
"""

# a window of which a native part is unknown or missing is unknown
SUM_SERIES = """
SELECT make_timestamp((epoch_us(window_start) // $window_us) * $window_us) AS bucket, region, model, tier,
       CASE WHEN count(requests) = $parts THEN sum(requests ORDER BY window_start) END AS requests,
       CASE WHEN count(input_tokens) = $parts THEN sum(input_tokens ORDER BY window_start) END AS input_tokens,
       CASE WHEN count(output_tokens) = $parts THEN sum(output_tokens ORDER BY window_start) END AS output_tokens
FROM {t} WHERE window_start >= $since AND window_start < $until
GROUP BY ALL ORDER BY region, model, tier, bucket
"""

# the index of dispersion of counts is variance / mean over the bins of the hour that lie inside the span
SHAPE = """
WITH rows AS (SELECT * FROM {t} WHERE arrived_at >= $since AND arrived_at < $until),
per_s AS (
    SELECT epoch_us(arrived_at) // 1000000 AS bin, region, model, tier, count(*) AS n FROM rows GROUP BY ALL),
per_10s AS (SELECT bin // 10 AS bin, region, model, tier, sum(n)::BIGINT AS n FROM per_s GROUP BY ALL),
edges AS (SELECT epoch_us(min(arrived_at)) // 1000000 AS low, epoch_us(max(arrived_at)) // 1000000 AS high FROM rows),
spread_1s AS (
    SELECT bin // 3600 AS hour, region, model, tier, sum(n)::DOUBLE AS s, sum(n * n)::DOUBLE AS q
    FROM per_s GROUP BY ALL),
spread_10s AS (
    SELECT bin // 360 AS hour, region, model, tier, sum(n)::DOUBLE AS s, sum(n * n)::DOUBLE AS q
    FROM per_10s GROUP BY ALL),
moments AS (
    SELECT epoch_us(arrived_at) // 3600000000 AS hour, region, model, tier, count(*)::DOUBLE AS requests,
           sum(input_tokens)::DOUBLE / requests AS input_tokens_mean,
           sum(output_tokens)::DOUBLE / requests AS output_tokens_mean,
           sum(input_tokens::HUGEINT * input_tokens)::DOUBLE / requests AS input_tokens_square_mean,
           sum(input_tokens::HUGEINT * input_tokens * input_tokens)::DOUBLE / requests AS input_tokens_cube_mean,
           sum(output_tokens::HUGEINT * output_tokens)::DOUBLE / requests AS output_tokens_square_mean,
           sum(input_tokens::HUGEINT * output_tokens)::DOUBLE / requests AS input_output_mean
    FROM rows GROUP BY ALL)
SELECT make_timestamp(hour * 3600000000) AS window_start, m.*,
       a.q / a.s - a.s / (least(high, hour * 3600 + 3599) - greatest(low, hour * 3600) + 1) AS dispersion_1s,
       b.q / b.s - b.s / (least(high // 10, hour * 360 + 359) - greatest(low // 10, hour * 360) + 1) AS dispersion_10s
FROM moments m JOIN spread_1s a USING (hour, region, model, tier) JOIN spread_10s b USING (hour, region, model, tier)
CROSS JOIN edges
ORDER BY region, model, tier, window_start
"""

SCAN_REQUESTS = """
SELECT * FROM {t} WHERE arrived_at >= $since AND arrived_at < $until ORDER BY arrived_at, rowid
"""

QUANTILES = """
SELECT model, tier, unnest($quantiles::DOUBLE[]) AS quantile,
       unnest(quantile_cont(input_tokens, $quantiles::DOUBLE[])) AS input_tokens,
       unnest(quantile_cont(output_tokens, $quantiles::DOUBLE[])) AS output_tokens
FROM {t} WHERE arrived_at >= $since AND arrived_at < $until GROUP BY model, tier ORDER BY model, tier, quantile
"""

# a gap is looked for between seconds that have arrivals, which is exact for gaps of more than a second
SILENT = """
WITH seconds AS (
    SELECT model, epoch_us(arrived_at) // 1000000 AS second, min(arrived_at) AS low, max(arrived_at) AS high,
           count(*) AS n
    FROM {t} GROUP BY ALL),
gaps AS (
    SELECT model, lag(high) OVER (PARTITION BY model ORDER BY second) AS since,
           epoch(low - lag(high) OVER (PARTITION BY model ORDER BY second)) AS gap_s FROM seconds),
means AS (SELECT model, epoch(max(high) - min(low)) / sum(n) AS mean_s FROM seconds GROUP BY model)
SELECT model, since, gap_s, mean_s FROM gaps JOIN means USING (model)
WHERE gap_s >= greatest($at_least_s, $times_mean * mean_s) ORDER BY gap_s DESC, model
"""

# how thick the very top of the lengths is against the band below it: a cut piles up rows at its value
TOP_LENGTHS = """
WITH lengths AS (
    SELECT model, 'input_tokens' AS measure, input_tokens AS tokens, count(*) AS n FROM {t} GROUP BY ALL
    UNION ALL
    SELECT model, 'output_tokens' AS measure, output_tokens AS tokens, count(*) AS n FROM {t} GROUP BY ALL),
highest AS (SELECT model, measure, max(tokens) AS longest, sum(n)::BIGINT AS rows FROM lengths GROUP BY ALL)
SELECT model, measure, longest, rows,
       coalesce(sum(n) FILTER (tokens >= 0.999 * longest), 0)::BIGINT AS at_top,
       coalesce(
           sum(n) FILTER (tokens < 0.999 * longest AND tokens >= longest - greatest(0.05 * longest, 10)), 0
       )::BIGINT AS below_top
FROM lengths JOIN highest USING (model, measure) GROUP BY ALL ORDER BY model, measure
"""

DUPLICATES = """
SELECT model, sum(n - 1)::BIGINT AS repeated FROM (
    SELECT model, count(*) AS n FROM {t} GROUP BY model, hash(arrived_at, input_tokens, output_tokens, app, tenant)
    HAVING n > 1)
GROUP BY model ORDER BY model
"""
