"""Templates: every version kept, declared merge fields, which kind may go by which channel, phrases of a rejection."""

TABLES = """
ALTER TABLE template ADD COLUMN fields TEXT NOT NULL DEFAULT '[]';
ALTER TABLE message ADD COLUMN template_id TEXT;
ALTER TABLE message ADD COLUMN template_version INTEGER;

CREATE TABLE template_version (
    template_id TEXT NOT NULL REFERENCES template(id), version INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    fields TEXT NOT NULL, max_parts INTEGER NOT NULL, actor TEXT NOT NULL, created_at BIGINT NOT NULL, used_at BIGINT,
    PRIMARY KEY (template_id, version)) {rowless};
INSERT INTO template_version (template_id, version, kind, body, fields, max_parts, actor, created_at)
    SELECT id, version, kind, body, '[]', max_parts, 'system', updated_at FROM template;

CREATE TABLE kind_rule (
    organisation_id TEXT NOT NULL REFERENCES organisation(id), kind TEXT NOT NULL, channel TEXT NOT NULL,
    allowed INTEGER NOT NULL, updated_at BIGINT NOT NULL, PRIMARY KEY (organisation_id, kind, channel)) {rowless};
CREATE TABLE rejection_phrases (
    organisation_id TEXT NOT NULL REFERENCES organisation(id), language TEXT NOT NULL, phrases TEXT NOT NULL,
    updated_at BIGINT NOT NULL, PRIMARY KEY (organisation_id, language)) {rowless}
"""


def up(migrator, db):
    sqlite = type(db).__name__.startswith("Sqlite")
    for statement in TABLES.replace("{rowless}", "WITHOUT ROWID" if sqlite else "").split(";"):
        if statement.strip():
            db.execute_sql(statement)
