"""Money: thresholds, grants that wait for a second person, allowances per unit and month, and what reports count.

`told` is the lowest threshold told since the last grant (100: none), `full` the balance after it. A ledger row carries whom and
what it was spent on, so that reports hold when the message's own row is long gone.
"""

TABLES = """
ALTER TABLE balance ADD COLUMN full_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE balance ADD COLUMN told INTEGER NOT NULL DEFAULT 100;
ALTER TABLE balance ADD COLUMN two_approvers INTEGER NOT NULL DEFAULT 0;
UPDATE balance SET full_at = available;

ALTER TABLE ledger ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN user_id TEXT;
ALTER TABLE ledger ADD COLUMN case_id TEXT;
ALTER TABLE ledger ADD COLUMN unit_id TEXT;
ALTER TABLE ledger ADD COLUMN country TEXT;
CREATE INDEX ledger_settled ON ledger (organisation_id, at) WHERE kind = 'settle';

ALTER TABLE message ADD COLUMN unit_id TEXT;
CREATE INDEX message_settled ON message (organisation_id, settled_at) WHERE settled_at IS NOT NULL;
UPDATE message SET unit_id = (SELECT k.unit_id FROM hiring_case k WHERE k.id = message.case_id) WHERE case_id IS NOT NULL;
UPDATE ledger SET (user_id, case_id, unit_id, country) = (
    SELECT m.user_id, m.case_id, m.unit_id, m.country FROM message m WHERE m.id = ledger.message_id) WHERE message_id IS NOT NULL;
UPDATE ledger SET parts = COALESCE((
    SELECT ledger.charged / m.price FROM message m WHERE m.id = ledger.message_id AND m.price > 0), 0) WHERE kind = 'settle';

CREATE TABLE grant_request (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), amount BIGINT NOT NULL CHECK (amount > 0),
    reference TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', state TEXT NOT NULL
        CHECK (state IN ('waiting', 'granted', 'refused')),
    asked_by TEXT NOT NULL, asked_at BIGINT NOT NULL, decided_by TEXT, decided_at BIGINT) {rowless};
CREATE UNIQUE INDEX grant_request_reference ON grant_request (organisation_id, reference) WHERE state = 'waiting';

CREATE TABLE allowance (
    unit_id TEXT PRIMARY KEY REFERENCES organisation(id), organisation_id TEXT NOT NULL REFERENCES organisation(id),
    monthly BIGINT NOT NULL CHECK (monthly >= 0), carry_over BIGINT NOT NULL DEFAULT 0 CHECK (carry_over >= 0),
    updated_at BIGINT NOT NULL) {rowless};
CREATE TABLE allowance_month (
    unit_id TEXT NOT NULL REFERENCES organisation(id), month TEXT NOT NULL, monthly BIGINT NOT NULL, carried BIGINT NOT NULL,
    used BIGINT NOT NULL, PRIMARY KEY (unit_id, month)) {rowless};

ALTER TABLE received ADD COLUMN answers_user_id TEXT;
ALTER TABLE received ADD COLUMN answers_case_id TEXT;
ALTER TABLE received ADD COLUMN from_country TEXT;
CREATE INDEX received_at ON received (organisation_id, received_at);
CREATE TABLE opt_out (
    id {serial}, organisation_id TEXT NOT NULL, candidate_id TEXT, user_id TEXT, case_id TEXT, country TEXT, at BIGINT NOT NULL);
CREATE UNIQUE INDEX opt_out_once ON opt_out (candidate_id, at) WHERE candidate_id IS NOT NULL;
CREATE INDEX opt_out_at ON opt_out (organisation_id, at)
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    script = TABLES.replace("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT" if sqlite else "BIGSERIAL PRIMARY KEY")
    script = script.replace("{rowless}", "WITHOUT ROWID" if sqlite else "")
    for statement in script.split(";"):
        if statement.strip():
            db.execute_sql(statement)
