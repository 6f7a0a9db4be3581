"""Usage added up by day: what a report of a month or of years reads instead of every message and every line of the ledger.

A day is one of UTC. It counts only while `usage_counted.counted` is 1: whatever changes a fact of the day sets it to 0, in the
same transaction, and the gateway adds the day up again within a minute or so. `user_id` is '' for what nobody wrote. `charged` is
the ledger's own sum of the day, which those of `usage_day` must come to.
"""

TABLES = """
CREATE TABLE usage_counted (
    organisation_id TEXT NOT NULL, day INTEGER NOT NULL, counted INTEGER NOT NULL, charged BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (organisation_id, day)) {rowless};
CREATE TABLE usage_day (
    organisation_id TEXT NOT NULL, day INTEGER NOT NULL, user_id TEXT NOT NULL, country TEXT NOT NULL,
    sent INTEGER NOT NULL, delivered INTEGER NOT NULL, failed INTEGER NOT NULL, inbound INTEGER NOT NULL,
    segments INTEGER NOT NULL, credits INTEGER NOT NULL, opt_outs INTEGER NOT NULL,
    PRIMARY KEY (organisation_id, day, user_id, country)) {rowless}
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "").split(";"):
        db.execute_sql(statement)
