"""The SQL of the store: its tables, sums by window, length moments and counts in small bins, quantiles, rows.

Sums of whole numbers are exact (HUGEINT) before they become floats, sums of floats are taken in order of time and rows
come out ordered by all they hold, so the same trace gives the same bytes on any number of threads. ``{t}`` is the
relation of one trace with its labels; ``{rows}`` the same with the number of the series in place of region, model and
tier, and ``{labels}`` the names behind those numbers: to group by numbers takes a third of the time.
"""

from __future__ import annotations

STORE_VERSION = 3

SCHEMA = f"""
CREATE TABLE store_version (version INTEGER);
INSERT INTO store_version VALUES ({STORE_VERSION});
CREATE SEQUENCE trace_id;
CREATE TABLE catalogue (
    id INTEGER PRIMARY KEY, name VARCHAR UNIQUE, kind VARCHAR, format VARCHAR, source VARCHAR, fingerprint VARCHAR,
    window_s DOUBLE, rows_read BIGINT, rows_kept BIGINT, rows BIGINT, rejected BIGINT,
    first_at TIMESTAMP, last_at TIMESTAMP, version VARCHAR);
CREATE TABLE findings (
    id INTEGER, position INTEGER, finding VARCHAR, level VARCHAR, "where" VARCHAR, count BIGINT, detail VARCHAR,
    advice VARCHAR);
CREATE TABLE rejected (id INTEGER, source VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR);
CREATE TABLE gaps (id INTEGER, region VARCHAR, model VARCHAR, since TIMESTAMP, until TIMESTAMP, reason VARCHAR);
"""

# the view is what queries about labels read: the same columns as REQUESTS
REQUESTS_LAYOUT = """
CREATE TABLE rows_{id} (arrived_at TIMESTAMP, series INTEGER, app VARCHAR, tenant VARCHAR, input_tokens BIGINT,
                        output_tokens BIGINT, cached_tokens BIGINT);
CREATE TABLE labels_{id} (series INTEGER, region VARCHAR, model VARCHAR, tier VARCHAR);
CREATE VIEW requests_{id} AS
SELECT arrived_at, region, model, tier, app, tenant, input_tokens, output_tokens, cached_tokens
FROM rows_{id} JOIN labels_{id} USING (series);
"""

SERIES_LAYOUT = """
CREATE TABLE series_{id} (window_start TIMESTAMP, region VARCHAR, model VARCHAR, tier VARCHAR, requests DOUBLE,
                          input_tokens DOUBLE, output_tokens DOUBLE);
"""

DROP_REQUESTS = "DROP VIEW requests_{id}; DROP TABLE rows_{id}; DROP TABLE labels_{id};"
DROP_SERIES = "DROP TABLE series_{id};"

_SUMS = """
WITH names AS (SELECT *, row_number() OVER (ORDER BY region, model, tier) AS place FROM {labels}),
sums AS (
    SELECT epoch_us(arrived_at) // $window_us AS bin, series, count(*)::DOUBLE AS requests,
           sum(input_tokens)::DOUBLE AS input_tokens, sum(output_tokens)::DOUBLE AS output_tokens
    FROM {rows} WHERE arrived_at >= $since AND arrived_at < $until GROUP BY ALL)
SELECT make_timestamp(bin * $window_us) AS window_start, region, model, tier,
"""

SUM_REQUESTS = f"{_SUMS} requests, input_tokens, output_tokens FROM sums JOIN names USING (series) ORDER BY place, bin"

# every series has every window from the first to the last; one without requests is a zero
SUM_REQUESTS_ON_GRID = f"""{_SUMS}
       coalesce(requests, 0) AS requests, coalesce(input_tokens, 0) AS input_tokens,
       coalesce(output_tokens, 0) AS output_tokens
FROM names CROSS JOIN (SELECT unnest(range($first_bin, $last_bin + 1)) AS bin) LEFT JOIN sums USING (series, bin)
ORDER BY place, bin
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

EDGES = """
SELECT min(arrived_at) AS low, max(arrived_at) AS high FROM {rows} WHERE arrived_at >= $since AND arrived_at < $until
"""

# sums of squared counts per hour at each scale; every longer bin is added up from a shorter one
SHAPE = """
WITH inside AS (
    SELECT epoch_us(arrived_at) AS at_us, series, input_tokens AS p, output_tokens AS o
    FROM {rows} WHERE arrived_at >= $since AND arrived_at < $until),
moments AS (
    SELECT at_us // 3600000000 AS hour, series, count(*)::DOUBLE AS requests,
           sum(p)::DOUBLE / requests AS input_tokens_mean, sum(o)::DOUBLE / requests AS output_tokens_mean,
           sum(p::HUGEINT * p)::DOUBLE / requests AS input_tokens_square_mean,
           sum(p::HUGEINT * p * p)::DOUBLE / requests AS input_tokens_cube_mean,
           sum(o::HUGEINT * o)::DOUBLE / requests AS output_tokens_square_mean,
           sum(p::HUGEINT * o)::DOUBLE / requests AS input_output_mean,
           quantile_cont(p, $quantiles::DOUBLE[]) AS input_tokens_quantiles
    FROM inside GROUP BY ALL),
bins_250ms AS MATERIALIZED (SELECT at_us // 250000 AS bin, series, count(*) AS n FROM inside GROUP BY ALL),
bins_1s AS MATERIALIZED (SELECT bin // 4 AS bin, series, sum(n)::BIGINT AS n FROM bins_250ms GROUP BY ALL),
bins_3s AS (SELECT bin // 3 AS bin, series, sum(n)::BIGINT AS n FROM bins_1s GROUP BY ALL),
bins_10s AS (SELECT bin // 10 AS bin, series, sum(n)::BIGINT AS n FROM bins_1s GROUP BY ALL),
squares_250ms AS (
    SELECT bin // 14400 AS hour, series, sum(n * n)::DOUBLE AS square_sum_250ms FROM bins_250ms GROUP BY ALL),
squares_1s AS (SELECT bin // 3600 AS hour, series, sum(n * n)::DOUBLE AS square_sum_1s FROM bins_1s GROUP BY ALL),
squares_3s AS (SELECT bin // 1200 AS hour, series, sum(n * n)::DOUBLE AS square_sum_3s FROM bins_3s GROUP BY ALL),
squares_10s AS (SELECT bin // 360 AS hour, series, sum(n * n)::DOUBLE AS square_sum_10s FROM bins_10s GROUP BY ALL)
SELECT make_timestamp(hour * 3600000000) AS window_start, n.region, n.model, n.tier,
       moments.* EXCLUDE (hour, series), square_sum_250ms, square_sum_1s, square_sum_3s, square_sum_10s
FROM moments JOIN squares_250ms USING (hour, series) JOIN squares_1s USING (hour, series)
JOIN squares_3s USING (hour, series) JOIN squares_10s USING (hour, series) JOIN {labels} n USING (series)
ORDER BY region, model, tier, window_start
"""

SCAN_REQUESTS = """
SELECT * FROM {t} WHERE arrived_at >= $since AND arrived_at < $until ORDER BY ALL
"""

QUANTILES = """
SELECT model, tier, unnest($quantiles::DOUBLE[]) AS quantile,
       unnest(quantile_cont(input_tokens, $quantiles::DOUBLE[])) AS input_tokens,
       unnest(quantile_cont(output_tokens, $quantiles::DOUBLE[])) AS output_tokens
FROM {t} WHERE arrived_at >= $since AND arrived_at < $until GROUP BY model, tier ORDER BY model, tier, quantile
"""

LAST_KNOWN = """
SELECT model, max(window_start) AS last_at FROM {t} WHERE requests IS NOT NULL GROUP BY model ORDER BY model
"""
