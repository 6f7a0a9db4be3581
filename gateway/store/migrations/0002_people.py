"""People: rights granted singly at a node of the tree, seats of a licence, links to set a new password."""

TABLES = """
ALTER TABLE organisation ADD COLUMN seats_total INTEGER;

CREATE TABLE right_grant (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id),
    unit_id TEXT NOT NULL REFERENCES organisation(id), holder TEXT NOT NULL CHECK (holder IN ('role', 'user')),
    role TEXT NOT NULL DEFAULT '', user_id TEXT NOT NULL DEFAULT '', permission TEXT NOT NULL, created_at BIGINT NOT NULL,
    UNIQUE (organisation_id, unit_id, holder, role, user_id, permission)) {rowless};

CREATE TABLE password_link (
    token_hash TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES app_user(id), created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, used_at BIGINT) {rowless};
CREATE INDEX password_link_user ON password_link (user_id);
CREATE INDEX message_author_open ON message (user_id) WHERE state IN ('held', 'queued')
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "").split(";"):
        if statement.strip():
            db.execute_sql(statement)
