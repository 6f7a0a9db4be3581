"""Consent: every evidence field of requirements §3.1, consent requests, companions, mail, texts, keywords, tasks, opt-in history."""

EVIDENCE = (
    "organisation_id TEXT", "phone_e164 TEXT", "wa_user_id TEXT", "controller_name TEXT", "case_ref TEXT", "country TEXT",
    "subdivision TEXT", "lang TEXT", "wording_id TEXT", "wording_version TEXT", "wording_text TEXT",
    "privacy_notice_version TEXT", "source_url TEXT", "ip TEXT", "user_agent TEXT", "form_snapshot_hash TEXT",
    "lawful_basis TEXT", "actor_kind TEXT", "keyword_raw TEXT", "inbound_message_id TEXT", "request_id TEXT",
    "requested_at BIGINT", "doi_invited_at BIGINT", "doi_confirmed_at BIGINT", "granted_at BIGINT", "refused_at BIGINT",
    "revoked_at BIGINT", "revoke_source TEXT", "revoke_raw TEXT", "prev_version INTEGER", "private_salt TEXT",
    "private_mac TEXT", "row_hash TEXT",
)
MESSAGE = ("purpose TEXT", "rule_country TEXT", "text_language TEXT", "text_language_wanted TEXT", "wording_version TEXT")

TABLES = """
CREATE TABLE consent_watch (
    candidate_id TEXT NOT NULL REFERENCES candidate(id), channel TEXT NOT NULL, purpose TEXT NOT NULL, phone_hash TEXT NOT NULL,
    due_at BIGINT NOT NULL, PRIMARY KEY (candidate_id, channel, purpose, phone_hash)) {rowless};
CREATE INDEX consent_watch_due ON consent_watch (due_at);

CREATE TABLE consent_request (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id),
    candidate_id TEXT NOT NULL REFERENCES candidate(id), phone_hash TEXT NOT NULL, case_id TEXT, channels TEXT NOT NULL,
    purpose TEXT NOT NULL, lang TEXT NOT NULL, token_hash TEXT NOT NULL UNIQUE, delivery TEXT NOT NULL, actor TEXT NOT NULL,
    user_id TEXT, state TEXT NOT NULL CHECK (state IN ('live', 'granted', 'refused', 'withdrawn', 'expired')),
    created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, answered_at BIGINT) {rowless};
CREATE INDEX consent_request_candidate ON consent_request (candidate_id, created_at);
CREATE INDEX consent_request_live ON consent_request (expires_at) WHERE state = 'live';

CREATE TABLE module_consent (
    candidate_id TEXT NOT NULL REFERENCES candidate(id), module TEXT NOT NULL, status TEXT NOT NULL, source TEXT NOT NULL,
    actor TEXT NOT NULL, evidence TEXT NOT NULL, since_at BIGINT NOT NULL, expires_at BIGINT,
    PRIMARY KEY (candidate_id, module)) {rowless};

CREATE TABLE companion (
    candidate_id TEXT NOT NULL REFERENCES candidate(id), channel TEXT NOT NULL, kind TEXT NOT NULL, context TEXT NOT NULL,
    sender_id TEXT NOT NULL, phone_hash TEXT NOT NULL, message_id TEXT, created_at BIGINT NOT NULL, remind_at BIGINT,
    PRIMARY KEY (candidate_id, channel, kind, context, sender_id, phone_hash)) {rowless};
CREATE INDEX companion_remind ON companion (remind_at) WHERE remind_at IS NOT NULL;
CREATE INDEX message_after ON message (after_message_id) WHERE after_message_id IS NOT NULL;

CREATE TABLE mail (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), kind TEXT NOT NULL, subject TEXT NOT NULL,
    address TEXT NOT NULL, sealed TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dead', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0, next_at BIGINT NOT NULL, give_up_at BIGINT NOT NULL, created_at BIGINT NOT NULL,
    done_at BIGINT, answer TEXT) {rowless};
CREATE INDEX mail_waiting ON mail (next_at) WHERE state = 'waiting';

CREATE TABLE country_opt_in (
    id TEXT PRIMARY KEY, iso TEXT NOT NULL, channel TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
    acknowledgement TEXT, name TEXT, reference TEXT, advised_on TEXT, reason TEXT, actor TEXT NOT NULL, at BIGINT NOT NULL) {rowless};
CREATE INDEX country_opt_in_iso ON country_opt_in (iso, channel, at);

CREATE TABLE keyword_addition (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), language TEXT NOT NULL, kind TEXT NOT NULL
        CHECK (kind IN ('stop', 'start', 'help', 'stop_phrase')),
    word TEXT NOT NULL, folded TEXT NOT NULL, actor TEXT NOT NULL, at BIGINT NOT NULL,
    UNIQUE (organisation_id, language, kind, folded)) {rowless};

CREATE TABLE thread_pause (
    candidate_id TEXT NOT NULL REFERENCES candidate(id), channel TEXT NOT NULL, received_id TEXT NOT NULL,
    since_at BIGINT NOT NULL, PRIMARY KEY (candidate_id, channel)) {rowless};
CREATE TABLE task (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), kind TEXT NOT NULL, candidate_id TEXT,
    case_id TEXT, user_id TEXT, received_id TEXT, state TEXT NOT NULL CHECK (state IN ('open', 'done')), outcome TEXT,
    due_at BIGINT NOT NULL, created_at BIGINT NOT NULL, done_at BIGINT, done_by TEXT) {rowless};
CREATE INDEX task_open ON task (organisation_id, due_at) WHERE state = 'open';
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for table, columns in (("consent", EVIDENCE), ("message", MESSAGE)):
        for column in columns:
            db.execute_sql(f"ALTER TABLE {table} ADD COLUMN {column}")
    script = TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "")
    for statement in script.split(";"):
        if statement.strip():
            db.execute_sql(statement)
