"""Bring an older store to the layout of today, in one transaction: nothing is lost and nothing half done.

Version 1 kept region, model and tier as text in every row and knew no gaps, levels or advice. The gaps of version 2 had
no region: each held for all of them.
"""

from __future__ import annotations

from workbench.traces.store import queries
from workbench.traces.store.database import Database

OLDEST_VERSION = 1

TABLES = """
CREATE TABLE newer AS
SELECT id, position, finding, 'note' AS level, "where", count, detail, '' AS advice FROM findings;
DROP TABLE findings;
ALTER TABLE newer RENAME TO findings;
CREATE TABLE gaps (id INTEGER, region VARCHAR, model VARCHAR, since TIMESTAMP, until TIMESTAMP, reason VARCHAR);
"""

GAPS = """
CREATE TABLE newer AS SELECT id, NULL::VARCHAR AS region, model, since, until, reason FROM gaps;
DROP TABLE gaps;
ALTER TABLE newer RENAME TO gaps;
"""

ROWS = """
INSERT INTO labels_{id}
SELECT row_number() OVER (ORDER BY region, model, tier) - 1 AS series, region, model, tier
FROM (SELECT DISTINCT region, model, tier FROM older_{id});
INSERT INTO rows_{id}
SELECT arrived_at, series, app, tenant, input_tokens, output_tokens, cached_tokens
FROM older_{id} JOIN labels_{id} USING (region, model, tier) ORDER BY arrived_at;
DROP TABLE older_{id};
"""


def upgrade(database: Database) -> None:
    """Bring an open store to the layout of this workbench, or leave it as it was."""
    (version,) = database.row("SELECT version FROM store_version")
    with database.transaction():
        if version == OLDEST_VERSION:
            _from_oldest(database)
        else:
            database.run(GAPS)
        database.run(f"UPDATE store_version SET version = {queries.STORE_VERSION}")


def _from_oldest(database: Database) -> None:
    ids = database.frame("SELECT id FROM catalogue WHERE kind = 'requests' ORDER BY id").get_column("id").to_list()
    database.run(TABLES)
    for trace_id in ids:
        database.run(f"ALTER TABLE requests_{trace_id} RENAME TO older_{trace_id}")
        database.run(queries.REQUESTS_LAYOUT.format(id=trace_id))
        database.run(ROWS.format(id=trace_id))
