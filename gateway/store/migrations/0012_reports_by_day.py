"""Indexes for reports: each day's rows by author and country, so that a period is added up in the order of an index, unsorted.

The day is that of UTC, in which the moments are kept: a period of any zone is some of these days, its edges looked at row by row.
Each takes an older one's place. `ledger_days` leaves out what was settled, which moves no balance: a page less per message.
Those of conversations also hold what they are limited by: only then does SQLite read nothing but the index.
"""

INDEXES = """
DROP INDEX message_settled;
CREATE INDEX message_settled ON message
    (organisation_id, (settled_at / 86400000), user_id, country, settled_at, sent_at, state, case_id)
    WHERE settled_at IS NOT NULL;
DROP INDEX ledger_settled;
CREATE INDEX ledger_settled ON ledger
    (organisation_id, (at / 86400000), user_id, country, at, parts, charged, month, unit_id, case_id, kind) WHERE kind = 'settle';
DROP INDEX received_at;
CREATE INDEX received_at ON received
    (organisation_id, (received_at / 86400000), answers_user_id, from_country, received_at, answers_case_id);
DROP INDEX opt_out_at;
CREATE INDEX opt_out_at ON opt_out (organisation_id, (at / 86400000), user_id, country, at, case_id);
DROP INDEX thread_awaiting;
CREATE INDEX thread_awaiting ON thread (organisation_id, last_at, id, case_id, awaiting_since) WHERE awaiting_since IS NOT NULL;
DROP INDEX thread_nobodys;
CREATE INDEX thread_nobodys ON thread (organisation_id, last_at, id, case_id) WHERE case_id IS NULL;
DROP INDEX ledger_days;
CREATE INDEX ledger_days ON ledger (organisation_id, at, kind, amount) WHERE kind <> 'settle'
"""


def up(migrator, db):
    for statement in INDEXES.split(";"):
        db.execute_sql(statement)
