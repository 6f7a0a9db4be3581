"""The first schema: people, candidates, messages, inbound, credits, modems, outbox, audit, settings.

Times are integers, milliseconds since the epoch in UTC; flags are 0 or 1; JSON is text; ids are prefixed UUIDv7.
"""

TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) {rowless};

CREATE TABLE organisation (
    id TEXT PRIMARY KEY, parent_id TEXT REFERENCES organisation(id), root_id TEXT NOT NULL, ref TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL, language TEXT NOT NULL DEFAULT 'en', zone TEXT NOT NULL DEFAULT 'UTC', region TEXT,
    sms_enabled INTEGER NOT NULL DEFAULT 1, created_at BIGINT NOT NULL) {rowless};

CREATE TABLE app_user (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id),
    unit_id TEXT NOT NULL REFERENCES organisation(id), email TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    password_hash TEXT, roles TEXT NOT NULL DEFAULT '[]', seat INTEGER NOT NULL DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 1, version INTEGER NOT NULL DEFAULT 1, created_at BIGINT NOT NULL,
    last_used_at BIGINT) {rowless};

CREATE TABLE web_session (
    token_hash TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES app_user(id), created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL, address TEXT NOT NULL DEFAULT '') {rowless};
CREATE INDEX web_session_user ON web_session (user_id);

CREATE TABLE login_failure (id {serial}, email_hash TEXT NOT NULL, address TEXT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX login_failure_email ON login_failure (email_hash, at);
CREATE INDEX login_failure_address ON login_failure (address, at);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL, allow TEXT NOT NULL DEFAULT '[]',
    per_minute INTEGER NOT NULL DEFAULT 0, created_at BIGINT NOT NULL, revoked_at BIGINT, last_used_at BIGINT) {rowless};

CREATE TABLE idempotency (
    key_id TEXT NOT NULL REFERENCES api_key(id), token TEXT NOT NULL, request_hash TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (key_id, token)) {rowless};

CREATE TABLE candidate (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), ref TEXT NOT NULL,
    first_name TEXT NOT NULL DEFAULT '', last_name TEXT NOT NULL DEFAULT '', email TEXT NOT NULL DEFAULT '',
    language TEXT, region TEXT, phone_raw TEXT NOT NULL DEFAULT '', phone TEXT, phone_state TEXT NOT NULL,
    phone_hash TEXT, country TEXT, subdivision TEXT, last_seq BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, erased_at BIGINT, UNIQUE (organisation_id, ref)) {rowless};
CREATE INDEX candidate_phone ON candidate (phone_hash) WHERE phone_hash IS NOT NULL;

CREATE TABLE hiring_case (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), unit_id TEXT NOT NULL REFERENCES organisation(id),
    ref TEXT NOT NULL, title TEXT NOT NULL, language TEXT NOT NULL DEFAULT 'en', closed_at BIGINT,
    created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, UNIQUE (organisation_id, ref)) {rowless};
CREATE TABLE case_member (
    case_id TEXT NOT NULL REFERENCES hiring_case(id), user_id TEXT NOT NULL REFERENCES app_user(id),
    PRIMARY KEY (case_id, user_id)) {rowless};

CREATE TABLE consent (
    id TEXT PRIMARY KEY, candidate_id TEXT NOT NULL REFERENCES candidate(id), phone_hash TEXT NOT NULL,
    channel TEXT NOT NULL, purpose TEXT NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL, mode TEXT NOT NULL,
    source TEXT NOT NULL, actor TEXT NOT NULL, evidence TEXT NOT NULL, captured_at BIGINT, recorded_at BIGINT NOT NULL,
    expires_at BIGINT, UNIQUE (candidate_id, channel, purpose, phone_hash, version)) {rowless};
CREATE TABLE suppression (
    phone_hash TEXT NOT NULL, channel TEXT NOT NULL, source TEXT NOT NULL, evidence TEXT NOT NULL, since_at BIGINT NOT NULL,
    PRIMARY KEY (phone_hash, channel)) {rowless};

CREATE TABLE country (
    iso TEXT NOT NULL, channel TEXT NOT NULL, state TEXT NOT NULL, opt_in TEXT NOT NULL DEFAULT 'double',
    hours TEXT NOT NULL DEFAULT '"default"', price INTEGER NOT NULL DEFAULT 1 CHECK (price >= 0),
    updated_at BIGINT NOT NULL, PRIMARY KEY (iso, channel)) {rowless};
CREATE TABLE wording (
    organisation_id TEXT NOT NULL REFERENCES organisation(id), kind TEXT NOT NULL, language TEXT NOT NULL,
    body TEXT NOT NULL, version INTEGER NOT NULL, updated_at BIGINT NOT NULL, PRIMARY KEY (organisation_id, kind, language)) {rowless};
CREATE TABLE template (
    id TEXT PRIMARY KEY, unit_id TEXT NOT NULL REFERENCES organisation(id), name TEXT NOT NULL, kind TEXT NOT NULL,
    channel TEXT NOT NULL, language TEXT NOT NULL, body TEXT NOT NULL, max_parts INTEGER NOT NULL DEFAULT 4,
    version INTEGER NOT NULL DEFAULT 1, updated_at BIGINT NOT NULL, archived_at BIGINT,
    UNIQUE (unit_id, name, channel, language)) {rowless};

CREATE TABLE balance (
    organisation_id TEXT PRIMARY KEY REFERENCES organisation(id), available BIGINT NOT NULL CHECK (available >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0)) {rowless};
CREATE TABLE ledger (
    id {serial}, organisation_id TEXT NOT NULL REFERENCES organisation(id), kind TEXT NOT NULL
        CHECK (kind IN ('grant', 'reserve', 'refund', 'settle')),
    amount BIGINT NOT NULL, charged BIGINT NOT NULL DEFAULT 0, message_id TEXT, reference TEXT, actor TEXT NOT NULL,
    month TEXT NOT NULL, at BIGINT NOT NULL,
    CHECK ((kind = 'grant' AND amount > 0) OR (kind = 'reserve' AND amount <= 0) OR (kind = 'refund' AND amount >= 0)
        OR (kind = 'settle' AND amount = 0)));
CREATE UNIQUE INDEX ledger_reference ON ledger (organisation_id, reference) WHERE reference IS NOT NULL;

CREATE TABLE sender (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), number TEXT NOT NULL UNIQUE,
    iccid TEXT, countries TEXT NOT NULL DEFAULT '[]', international INTEGER NOT NULL DEFAULT 0,
    gap_ms INTEGER NOT NULL DEFAULT 6000, active INTEGER NOT NULL DEFAULT 1, updated_at BIGINT NOT NULL) {rowless};
CREATE UNIQUE INDEX sender_iccid ON sender (iccid) WHERE iccid IS NOT NULL;

CREATE TABLE message (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL, candidate_id TEXT REFERENCES candidate(id), case_id TEXT, user_id TEXT,
    origin TEXT NOT NULL, channel TEXT NOT NULL, kind TEXT NOT NULL, lane INTEGER NOT NULL CHECK (lane IN (0, 1, 2)),
    state TEXT NOT NULL CHECK (state IN ('held', 'queued', 'sending', 'sent', 'delivered', 'undelivered', 'failed',
        'expired', 'cancelled', 'unknown')),
    hold_reason TEXT, not_before BIGINT, due_at BIGINT NOT NULL, seq BIGINT NOT NULL, address TEXT NOT NULL,
    country TEXT NOT NULL, subdivision TEXT, sender_id TEXT, alphabet TEXT NOT NULL, parts INTEGER NOT NULL,
    price INTEGER NOT NULL, credits INTEGER NOT NULL, month TEXT NOT NULL, client_ref TEXT, after_message_id TEXT,
    valid_until BIGINT NOT NULL, accepted_at BIGINT NOT NULL, sent_at BIGINT, done_at BIGINT, settled_at BIGINT,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT, gateway TEXT, modem TEXT) {rowless};
CREATE INDEX message_queue ON message (sender_id, lane, due_at, id) WHERE state = 'queued';
CREATE INDEX message_held ON message (not_before) WHERE state = 'held';
CREATE INDEX message_candidate ON message (candidate_id, seq);
CREATE INDEX message_sending ON message (candidate_id) WHERE state = 'sending';
CREATE INDEX message_waiting ON message (candidate_id, lane, seq) WHERE state = 'queued';
CREATE INDEX message_unsettled ON message (valid_until) WHERE state IN ('queued', 'held', 'unknown');
CREATE INDEX message_client_ref ON message (organisation_id, client_ref) WHERE client_ref IS NOT NULL;

CREATE TABLE part (
    message_id TEXT NOT NULL REFERENCES message(id), number INTEGER NOT NULL, total INTEGER NOT NULL, text TEXT NOT NULL,
    alphabet TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'submitting', 'sent', 'delivered',
        'undelivered', 'failed', 'unknown')),
    attempt INTEGER NOT NULL DEFAULT 0, gateway TEXT, modem TEXT, imei TEXT, iccid TEXT, submitted_at BIGINT,
    smss_baseline INTEGER, smss_trusted INTEGER NOT NULL DEFAULT 0, tp_mr INTEGER, reference INTEGER, sent_at BIGINT,
    report_status INTEGER, reported_at BIGINT, error TEXT, address_tail TEXT, PRIMARY KEY (message_id, number)) {rowless};
CREATE INDEX part_on_air ON part (gateway, modem) WHERE state = 'submitting';
CREATE INDEX part_report ON part (iccid, tp_mr, address_tail) WHERE reported_at IS NULL AND state IN ('sent', 'submitting', 'unknown');

CREATE TABLE inbound_pdu (
    id TEXT PRIMARY KEY, gateway TEXT NOT NULL, imei TEXT NOT NULL, iccid TEXT NOT NULL, hex TEXT NOT NULL,
    fingerprint TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('new', 'part', 'done', 'double', 'orphan', 'undecodable')),
    note TEXT, received_at BIGINT NOT NULL, received_id TEXT, group_key TEXT, number INTEGER, total INTEGER, scts BIGINT,
    tp_mr INTEGER, address_tail TEXT) {rowless};
CREATE INDEX inbound_pdu_new ON inbound_pdu (received_at) WHERE state = 'new';
CREATE INDEX inbound_pdu_group ON inbound_pdu (group_key, scts) WHERE state = 'part';
CREATE INDEX inbound_pdu_orphan ON inbound_pdu (iccid, address_tail) WHERE state = 'orphan';
CREATE INDEX inbound_pdu_fingerprint ON inbound_pdu (fingerprint);

CREATE TABLE received (
    id TEXT PRIMARY KEY, candidate_id TEXT REFERENCES candidate(id), organisation_id TEXT, address TEXT NOT NULL,
    phone_hash TEXT, iccid TEXT NOT NULL, sender_id TEXT, text TEXT NOT NULL, parts INTEGER NOT NULL,
    missing INTEGER NOT NULL DEFAULT 0, group_key TEXT, keyword TEXT, sent_at BIGINT, received_at BIGINT NOT NULL) {rowless};
CREATE INDEX received_candidate ON received (candidate_id, received_at);
CREATE INDEX received_partial ON received (group_key) WHERE missing > 0;

CREATE TABLE gateway (
    name TEXT PRIMARY KEY, epoch BIGINT NOT NULL, holder TEXT NOT NULL, started_at BIGINT NOT NULL, heartbeat_at BIGINT NOT NULL,
    version TEXT NOT NULL) {rowless};
CREATE TABLE modem (
    id TEXT PRIMARY KEY, gateway TEXT NOT NULL, name TEXT NOT NULL, port TEXT NOT NULL DEFAULT '', imei TEXT NOT NULL DEFAULT '',
    iccid TEXT NOT NULL DEFAULT '', imsi TEXT NOT NULL DEFAULT '', manufacturer TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '',
    revision TEXT NOT NULL DEFAULT '', state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', operator TEXT NOT NULL DEFAULT '',
    registration TEXT NOT NULL DEFAULT '', technology TEXT NOT NULL DEFAULT '', signal_dbm INTEGER, smsc TEXT NOT NULL DEFAULT '',
    storage_used INTEGER, storage_total INTEGER, parked INTEGER NOT NULL DEFAULT 0, seen_at BIGINT, sent_at BIGINT,
    UNIQUE (gateway, name)) {rowless};
CREATE TABLE sim (
    iccid TEXT PRIMARY KEY, imsi TEXT NOT NULL DEFAULT '', pin_refused INTEGER NOT NULL DEFAULT 0, smss_imei TEXT NOT NULL DEFAULT '',
    smss_streak INTEGER NOT NULL DEFAULT 0, smss_last INTEGER, slowest_ms INTEGER NOT NULL DEFAULT 0, next_reference INTEGER NOT NULL DEFAULT 0,
    last_submit_at BIGINT, seen_at BIGINT NOT NULL) {rowless};
CREATE TABLE signal_sample (id {serial}, modem_id TEXT NOT NULL REFERENCES modem(id), at BIGINT NOT NULL, dbm INTEGER);
CREATE INDEX signal_sample_modem ON signal_sample (modem_id, at);
CREATE TABLE command (
    id TEXT PRIMARY KEY, gateway TEXT NOT NULL, modem TEXT NOT NULL, verb TEXT NOT NULL, args TEXT NOT NULL, state TEXT NOT NULL
        CHECK (state IN ('waiting', 'running', 'done', 'failed', 'expired')), actor TEXT NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, result TEXT) {rowless};
CREATE INDEX command_waiting ON command (gateway, modem) WHERE state IN ('waiting', 'running');

CREATE TABLE event (
    serial {serial}, id TEXT NOT NULL UNIQUE, position BIGINT UNIQUE, organisation_id TEXT, type TEXT NOT NULL,
    stream TEXT NOT NULL, body TEXT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX event_unsealed ON event (serial) WHERE position IS NULL;
CREATE TABLE endpoint (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), url TEXT NOT NULL, events TEXT NOT NULL,
    secret_sealed TEXT NOT NULL, old_secret_sealed TEXT, old_secret_until BIGINT, cursor BIGINT NOT NULL, active INTEGER NOT NULL DEFAULT 1,
    failing_since BIGINT, paused_until BIGINT, created_at BIGINT NOT NULL, UNIQUE (organisation_id, url)) {rowless};
CREATE TABLE delivery (
    id TEXT PRIMARY KEY, endpoint_id TEXT NOT NULL REFERENCES endpoint(id), event_id TEXT NOT NULL REFERENCES event(id),
    position BIGINT NOT NULL, stream TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0, next_at BIGINT NOT NULL, first_at BIGINT NOT NULL, done_at BIGINT, answer TEXT,
    UNIQUE (endpoint_id, event_id)) {rowless};
CREATE INDEX delivery_waiting ON delivery (endpoint_id, stream, position) WHERE state = 'waiting';
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'waiting';

CREATE TABLE audit (
    serial {serial}, position BIGINT UNIQUE, at BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL,
    data TEXT NOT NULL, private_mac TEXT, hash TEXT);
CREATE INDEX audit_unsealed ON audit (serial) WHERE position IS NULL;
CREATE TABLE audit_private (
    id {serial}, subject TEXT NOT NULL, mac TEXT NOT NULL, value TEXT NOT NULL);
CREATE INDEX audit_private_subject ON audit_private (subject);
CREATE TABLE subject_salt (subject TEXT PRIMARY KEY, salt TEXT NOT NULL) {rowless};
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    script = TABLES.replace("{serial}", "INTEGER PRIMARY KEY" if sqlite else "BIGSERIAL PRIMARY KEY")
    script = script.replace("{rowless}", "WITHOUT ROWID" if sqlite else "")
    for statement in script.split(";"):
        if statement.strip():
            db.execute_sql(statement)
