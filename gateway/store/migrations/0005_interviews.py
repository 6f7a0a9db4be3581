"""Interviews: invitations with their token, slots to choose from, reminders, and every answer that was given."""

TABLES = """
CREATE TABLE slot (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), case_id TEXT NOT NULL REFERENCES hiring_case(id),
    ref TEXT NOT NULL, starts_at BIGINT NOT NULL, ends_at BIGINT NOT NULL, capacity INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0, created_at BIGINT NOT NULL, UNIQUE (case_id, ref),
    CHECK (taken >= 0 AND taken <= capacity)) {rowless};

CREATE TABLE interview (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id),
    candidate_id TEXT NOT NULL REFERENCES candidate(id), case_id TEXT NOT NULL REFERENCES hiring_case(id),
    user_id TEXT NOT NULL REFERENCES app_user(id), type TEXT NOT NULL, state TEXT NOT NULL
        CHECK (state IN ('invited', 'confirmed', 'declined', 'cancelled')),
    channel TEXT NOT NULL, starts_at BIGINT, ends_at BIGINT, last_start_at BIGINT NOT NULL, zone TEXT NOT NULL,
    location TEXT NOT NULL DEFAULT '', response_url TEXT, link_serial INTEGER NOT NULL DEFAULT 1, token_hash TEXT NOT NULL UNIQUE,
    token_expires_at BIGINT NOT NULL, message_id TEXT NOT NULL, slot_id TEXT REFERENCES slot(id), letter TEXT,
    no_slots_at BIGINT, client_ref TEXT, answered_at BIGINT, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL) {rowless};
CREATE INDEX interview_candidate ON interview (candidate_id, last_start_at);
CREATE INDEX interview_list ON interview (organisation_id, id);
CREATE INDEX interview_case ON interview (case_id, state);

CREATE TABLE interview_slot (
    interview_id TEXT NOT NULL REFERENCES interview(id), slot_id TEXT NOT NULL REFERENCES slot(id), number INTEGER NOT NULL,
    PRIMARY KEY (interview_id, slot_id)) {rowless};
CREATE INDEX interview_slot_slot ON interview_slot (slot_id);

CREATE TABLE interview_answer (
    id {serial}, interview_id TEXT NOT NULL REFERENCES interview(id), answer TEXT NOT NULL, slot_id TEXT, source TEXT NOT NULL,
    received_id TEXT, outcome TEXT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX interview_answer_interview ON interview_answer (interview_id, id);

CREATE TABLE reminder (
    id TEXT PRIMARY KEY, interview_id TEXT NOT NULL REFERENCES interview(id), user_id TEXT NOT NULL REFERENCES app_user(id),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'planned', 'fired', 'skipped', 'deleted')), lead TEXT NOT NULL,
    channel TEXT NOT NULL, template_id TEXT, body TEXT, nominal_at BIGINT, fires_at BIGINT, message_id TEXT, reason TEXT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL) {rowless};
CREATE INDEX reminder_interview ON reminder (interview_id);
CREATE INDEX reminder_planned ON reminder (fires_at) WHERE state = 'planned'
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    script = TABLES.replace("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT" if sqlite else "BIGSERIAL PRIMARY KEY")
    script = script.replace("{rowless}", "WITHOUT ROWID" if sqlite else "")
    for statement in script.split(";"):
        if statement.strip():
            db.execute_sql(statement)
