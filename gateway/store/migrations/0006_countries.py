"""Countries as they are commissioned, days an administrator adds, zones of candidates, budgets of SIM cards, trust in the clock."""

TABLES = """
ALTER TABLE country ADD COLUMN requested_at BIGINT;
ALTER TABLE country ADD COLUMN lead_time_days INTEGER;
ALTER TABLE country ADD COLUMN checklist TEXT NOT NULL DEFAULT '[]';
ALTER TABLE country ADD COLUMN test_message_id TEXT;
ALTER TABLE country ADD COLUMN activated_at BIGINT;
ALTER TABLE country ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE country ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE country ADD COLUMN checked_at BIGINT;
ALTER TABLE country ADD COLUMN review_told_at BIGINT;
ALTER TABLE country ADD COLUMN links TEXT;
ALTER TABLE country ADD COLUMN international TEXT NOT NULL DEFAULT 'allow';
ALTER TABLE country ADD COLUMN no_sender TEXT NOT NULL DEFAULT 'refuse';
ALTER TABLE country ADD COLUMN sticky_down TEXT NOT NULL DEFAULT 'hold';

CREATE TABLE holiday (
    iso TEXT NOT NULL, day TEXT NOT NULL, name TEXT NOT NULL DEFAULT '', created_at BIGINT NOT NULL, PRIMARY KEY (iso, day)) {rowless};

ALTER TABLE candidate ADD COLUMN zone TEXT;
ALTER TABLE message ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN valid_told INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_no_modem ON message (sender_id) WHERE state = 'held' AND hold_reason = 'no_modem';
CREATE INDEX message_clock_held ON message (id) WHERE state = 'held' AND hold_reason = 'clock_untrusted';

ALTER TABLE sender ADD COLUMN jitter_ms INTEGER;
ALTER TABLE sender ADD COLUMN budgets TEXT NOT NULL DEFAULT '{}';
CREATE TABLE sim_budget (
    iccid TEXT PRIMARY KEY, minute_from BIGINT NOT NULL DEFAULT 0, minute_used INTEGER NOT NULL DEFAULT 0,
    hour_from BIGINT NOT NULL DEFAULT 0, hour_used INTEGER NOT NULL DEFAULT 0, day_from BIGINT NOT NULL DEFAULT 0,
    day_used INTEGER NOT NULL DEFAULT 0, month_from BIGINT NOT NULL DEFAULT 0, month_used INTEGER NOT NULL DEFAULT 0,
    recipients_used INTEGER NOT NULL DEFAULT 0, free_at BIGINT NOT NULL DEFAULT 0) {rowless};
CREATE TABLE sim_recipient (
    iccid TEXT NOT NULL, month_from BIGINT NOT NULL, recipient TEXT NOT NULL, PRIMARY KEY (iccid, month_from, recipient)) {rowless};

CREATE TABLE clock_trust (
    gateway TEXT PRIMARY KEY, trusted INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT '',
    since_at BIGINT NOT NULL, confirmed_at BIGINT, looked_at BIGINT NOT NULL) {rowless}
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "").split(";"):
        if statement.strip():
            db.execute_sql(statement)
