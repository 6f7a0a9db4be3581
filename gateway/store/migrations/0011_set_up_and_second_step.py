"""The set-up wizard and signing in by two steps: own language and zone, TOTP, PINs given on a page, confirmed staff numbers.

`totp_step` is the last step whose code was taken: a code counts once. `sim_pin.sealed` opens with the gateway's own key only.
"""

TABLES = """
ALTER TABLE app_user ADD COLUMN language TEXT;
ALTER TABLE app_user ADD COLUMN zone TEXT;
ALTER TABLE app_user ADD COLUMN totp_sealed TEXT;
ALTER TABLE app_user ADD COLUMN totp_since BIGINT;
ALTER TABLE app_user ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;
CREATE TABLE recovery_code (
    user_id TEXT NOT NULL REFERENCES app_user(id), code_hash TEXT NOT NULL, used_at BIGINT,
    PRIMARY KEY (user_id, code_hash)) {rowless};
CREATE TABLE second_step (
    token_hash TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES app_user(id), created_at BIGINT NOT NULL) {rowless};
CREATE INDEX second_step_user ON second_step (user_id);

ALTER TABLE gateway ADD COLUMN pin_key TEXT;
ALTER TABLE modem ADD COLUMN pin_tries INTEGER;
ALTER TABLE modem ADD COLUMN locked_iccid TEXT;
CREATE TABLE sim_pin (
    iccid TEXT PRIMARY KEY, gateway TEXT NOT NULL, sealed TEXT NOT NULL, tries_seen INTEGER, actor TEXT NOT NULL,
    given_at BIGINT NOT NULL, tried_at BIGINT) {rowless};

CREATE TABLE staff_number (
    id TEXT PRIMARY KEY, organisation_id TEXT NOT NULL REFERENCES organisation(id), number TEXT NOT NULL, code_hash TEXT,
    code_at BIGINT, tries INTEGER NOT NULL DEFAULT 0, confirmed_at BIGINT, actor TEXT NOT NULL,
    UNIQUE (organisation_id, number)) {rowless};
CREATE TABLE modem_test (
    message_id TEXT PRIMARY KEY, modem_id TEXT NOT NULL, staff_number_id TEXT NOT NULL,
    created_at BIGINT NOT NULL) {rowless};
CREATE INDEX modem_test_modem ON modem_test (modem_id, created_at);

CREATE INDEX command_modem ON command (gateway, modem, id);
CREATE INDEX audit_modem ON audit (subject, serial) WHERE action IN ('modem.state', 'modem.park', 'modem.command')
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "").split(";"):
        if statement.strip():
            db.execute_sql(statement)
