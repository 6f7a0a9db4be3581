"""Indexes for lists over a store of years: by state, case and author; reports and days of the ledger read from the index alone.

Each costs a page or so per message written, so those go that a new one replaces: `message_author_open` (now `message_user`),
`thread_inbox` (`thread_list`), `audit_age` (the audit is pruned from its front, in the order of its positions).
SQLite uses a partial index only where the question repeats its WHERE; the questions are in gateway/store/lists_*.py.
"""

INDEXES = """
DROP INDEX message_author_open;
CREATE INDEX message_list ON message (state, organisation_id, id, user_id, case_id) WHERE state <> 'sending';
CREATE INDEX message_case ON message (case_id, id) WHERE case_id IS NOT NULL;
CREATE INDEX message_user ON message (user_id, id) WHERE user_id IS NOT NULL;
DROP INDEX message_settled;
CREATE INDEX message_settled ON message (organisation_id, settled_at, user_id, case_id, country, sent_at, state)
    WHERE settled_at IS NOT NULL;

DROP INDEX thread_inbox;
CREATE INDEX thread_list ON thread (organisation_id, state, last_at, id, case_id);
DROP INDEX thread_awaiting;
CREATE INDEX thread_awaiting ON thread (organisation_id, last_at, id, case_id) WHERE awaiting_since IS NOT NULL;

CREATE INDEX candidate_last_name ON candidate (organisation_id, lower(last_name), id);
CREATE INDEX candidate_first_name ON candidate (organisation_id, lower(first_name), id);
CREATE INDEX candidate_list ON candidate (organisation_id, id) WHERE erased_at IS NULL;
CREATE INDEX case_member_user ON case_member (user_id, case_id);
CREATE INDEX case_list ON hiring_case (organisation_id, id);

CREATE INDEX ledger_days ON ledger (organisation_id, at, kind, amount);
DROP INDEX ledger_settled;
CREATE INDEX ledger_settled ON ledger (organisation_id, at, month, unit_id, user_id, case_id, country, parts, charged, kind)
    WHERE kind = 'settle';

DROP INDEX audit_age;
CREATE INDEX audit_subject ON audit (subject);
CREATE INDEX audit_rare ON audit (action, position) WHERE action NOT IN ('message.accept', 'message.send', 'message.status');

CREATE INDEX event_rare ON event (organisation_id, type, position) WHERE type <> 'message.state';
CREATE INDEX delivery_dead ON delivery (endpoint_id, event_id) WHERE state = 'dead'
"""


def up(migrator, db):
    for statement in INDEXES.split(";"):
        db.execute_sql(statement)
