"""Stores of older versions, kept as their rows (`kept/<migration>.json`), are migrated with everything in them.

Each file is what its version had written: rows by table, in the order in which they may be inserted. Add one per release.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.flows import consent_rows, credits
from gateway.flows.audit import verify
from gateway.rules.lifecycle import State
from gateway.store import lists_messages, schema
from gateway.store.database import Database

KEPT = sorted((Path(__file__).parent / "kept").glob("*.json"))
_STRUCTURE = {
    False: "SELECT type, tbl_name, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2, 3",
    True: "SELECT tablename AS tbl_name, indexname AS name FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def both(request: pytest.FixtureRequest, tmp_path: Path, opened: Any) -> tuple[Database, Database]:
    """A place where nothing is yet, and a fresh store, on each engine in turn."""
    fresh = opened(request.getfixturevalue(f"{request.param}_url"))
    empty = str(tmp_path / "old.db") if request.param == "sqlite" else request.getfixturevalue("empty_postgresql_url")
    return opened(empty), fresh


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
def test_a_store_of_an_older_version_is_migrated_with_its_rows(
    kept: Path, both: tuple[Database, Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, fresh = both
    rows = json.loads(kept.read_text())
    _make(old, kept.stem, rows, tmp_path, monkeypatch)
    later = [path.stem for path in sorted(schema.MIGRATIONS.glob("[0-9]*.py")) if path.stem > kept.stem]
    assert schema.migrate(old, tmp_path / "snapshots") == later
    with old.read() as view:
        for table, was in rows.items():
            assert view.value(f"SELECT COUNT(*) AS n FROM {table}") == len(was["rows"]), table
        assert verify(view, b"k" * 32).broken is None
        assert credits.verify(view) == []
        for row in view.all("SELECT id FROM candidate"):
            assert consent_rows.verify(view, row["id"]) == []
        organisation = view.value("SELECT id FROM organisation WHERE parent_id IS NULL")
        newest = lists_messages.newest(view, organisation, states=tuple(State), limit=1_000)
        assert newest == [row["id"] for row in view.all("SELECT id FROM message ORDER BY id DESC")]
        structure = [dict(row) for row in view.all(_STRUCTURE[old.is_postgresql])]
    with fresh.read() as view:
        assert structure == [dict(row) for row in view.all(_STRUCTURE[old.is_postgresql])]


def _make(database: Database, version: str, rows: dict[str, Any], directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store as `version` left it."""
    until = directory / "migrations"
    until.mkdir()
    for path in schema.MIGRATIONS.glob("[0-9]*.py"):
        if path.stem <= version:
            (until / path.name).write_text(path.read_text())
    with monkeypatch.context() as then:
        then.setattr(schema, "MIGRATIONS", until)
        then.setattr("gateway.store.database.SCHEMA", version)
        schema.migrate(database)
    with database.write() as tx:
        for table, was in rows.items():
            columns = ", ".join(was["columns"])
            for row in was["rows"]:
                tx.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(row))})", *row)
