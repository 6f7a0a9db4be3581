"""Unread conversations by case are counted from the index alone: the rows of conversations are wide, and a case has hundreds."""

INDEXES = """
DROP INDEX thread_case;
CREATE INDEX thread_case ON thread (case_id, last_at, heard, id) WHERE case_id IS NOT NULL
"""


def up(migrator, db):
    for statement in INDEXES.split(";"):
        db.execute_sql(statement)
