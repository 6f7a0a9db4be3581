"""Threads: who talks with whom about what, what each user has read, missed calls, and notices of replies by e-mail.

`context` is `case:<id>`, `pool:<ref>` or empty (the unassigned inbox); at most one thread of a key is open. `heard` counts what
came in, and `received.place` is a message's number among these, so that a read mark is one number and no clock decides it.
"""

TABLES = """
CREATE TABLE thread (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), candidate_id TEXT REFERENCES candidate(id),
    channel TEXT NOT NULL, context TEXT NOT NULL, case_id TEXT REFERENCES hiring_case(id), pool_ref TEXT,
    address TEXT NOT NULL DEFAULT '', state TEXT NOT NULL CHECK (state IN ('active', 'inactive', 'closed')),
    assignee_id TEXT REFERENCES app_user(id), author_id TEXT, sender_id TEXT, heard INTEGER NOT NULL DEFAULT 0,
    awaiting_since BIGINT, last_at BIGINT NOT NULL, last_in_at BIGINT, last_out_at BIGINT, created_at BIGINT NOT NULL,
    closed_at BIGINT, moved_to TEXT) {rowless};
CREATE UNIQUE INDEX thread_open ON thread (candidate_id, channel, context) WHERE state <> 'closed' AND candidate_id IS NOT NULL;
CREATE UNIQUE INDEX thread_stranger ON thread (organisation_id, channel, address)
    WHERE state <> 'closed' AND candidate_id IS NULL;
CREATE INDEX thread_candidate ON thread (candidate_id);
CREATE INDEX thread_inbox ON thread (organisation_id, last_at, id);
CREATE INDEX thread_assignee ON thread (assignee_id, last_at) WHERE assignee_id IS NOT NULL;
CREATE INDEX thread_case ON thread (case_id, last_at) WHERE case_id IS NOT NULL;
CREATE INDEX thread_nobodys ON thread (organisation_id, last_at, id) WHERE case_id IS NULL;
CREATE INDEX thread_awaiting ON thread (organisation_id, last_at, id) WHERE awaiting_since IS NOT NULL;
CREATE INDEX thread_timer ON thread (state, last_at) WHERE state <> 'closed';

CREATE TABLE read_mark (
    thread_id TEXT NOT NULL REFERENCES thread(id), user_id TEXT NOT NULL REFERENCES app_user(id), place INTEGER NOT NULL,
    read_at BIGINT NOT NULL, PRIMARY KEY (thread_id, user_id)) {rowless};

ALTER TABLE message ADD COLUMN thread_id TEXT;
ALTER TABLE message ADD COLUMN pool_ref TEXT;
CREATE INDEX message_stranger ON message (thread_id) WHERE candidate_id IS NULL AND thread_id IS NOT NULL;
ALTER TABLE received ADD COLUMN thread_id TEXT;
ALTER TABLE received ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received ADD COLUMN ambiguous INTEGER NOT NULL DEFAULT 0;
ALTER TABLE received ADD COLUMN intent TEXT;
ALTER TABLE received ADD COLUMN confidence TEXT;
CREATE INDEX received_thread ON received (thread_id, received_at) WHERE thread_id IS NOT NULL;

CREATE TABLE missed_call (
    id TEXT PRIMARY KEY, iccid TEXT NOT NULL, organisation_id TEXT, candidate_id TEXT REFERENCES candidate(id), thread_id TEXT,
    address TEXT NOT NULL DEFAULT '', at BIGINT NOT NULL, rang_at BIGINT NOT NULL, told_at BIGINT) {rowless};
CREATE INDEX missed_call_sim ON missed_call (iccid, rang_at);
CREATE INDEX missed_call_untold ON missed_call (rang_at) WHERE told_at IS NULL;
CREATE INDEX missed_call_candidate ON missed_call (candidate_id) WHERE candidate_id IS NOT NULL;

CREATE TABLE notice_wish (
    user_id TEXT PRIMARY KEY REFERENCES app_user(id), replies TEXT NOT NULL CHECK (replies IN ('off', 'at_once', 'daily')),
    updated_at BIGINT NOT NULL) {rowless};
CREATE TABLE notice (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES app_user(id), thread_id TEXT NOT NULL REFERENCES thread(id),
    replies INTEGER NOT NULL, place INTEGER NOT NULL, due_at BIGINT NOT NULL, created_at BIGINT NOT NULL,
    UNIQUE (user_id, thread_id)) {rowless};
CREATE INDEX notice_due ON notice (due_at)
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "").split(";"):
        if statement.strip():
            db.execute_sql(statement)
