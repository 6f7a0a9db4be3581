"""Retention: erasures and their marks, legal holds, one-time links, the anchor of a pruned audit, STOPs kept outside."""

TABLES = """
ALTER TABLE candidate ADD COLUMN legal_hold INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN wiped_at BIGINT;
ALTER TABLE received ADD COLUMN wiped_at BIGINT;
ALTER TABLE event ADD COLUMN wiped_at BIGINT;
CREATE INDEX message_wipe ON message (accepted_at) WHERE wiped_at IS NULL;
CREATE INDEX received_wipe ON received (received_at) WHERE wiped_at IS NULL;
CREATE INDEX event_wipe ON event (at) WHERE wiped_at IS NULL;
CREATE INDEX inbound_pdu_age ON inbound_pdu (received_at);
CREATE INDEX idempotency_age ON idempotency (created_at);
CREATE INDEX audit_age ON audit (at);
CREATE INDEX case_closed ON hiring_case (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE erasure (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL, candidate_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL
        CHECK (state IN ('waiting', 'done')),
    actor TEXT NOT NULL, requested_at BIGINT NOT NULL, asked_at BIGINT NOT NULL, done_at BIGINT, written_at BIGINT) {rowless};
CREATE INDEX erasure_waiting ON erasure (asked_at) WHERE state = 'waiting';
CREATE TABLE erased_number (phone_hash TEXT PRIMARY KEY, until_at BIGINT NOT NULL) {rowless};

CREATE TABLE export_link (
    token_hash TEXT PRIMARY KEY, organisation_id TEXT NOT NULL, candidate_id TEXT NOT NULL, actor TEXT NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, used_at BIGINT) {rowless};

CREATE TABLE audit_anchor (
    position BIGINT PRIMARY KEY, hash TEXT NOT NULL, pruned_at BIGINT NOT NULL, signature TEXT NOT NULL) {rowless};

CREATE TABLE suppression_copy (
    phone_hash TEXT NOT NULL, channel TEXT NOT NULL, since_at BIGINT NOT NULL, PRIMARY KEY (phone_hash, channel)) {rowless}
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "").split(";"):
        if statement.strip():
            db.execute_sql(statement)
