"""Opening, migrating and marking a database; keys that belong to it."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway import config, keys
from gateway.errors import ConfigError, Refused, SchemaMismatch
from gateway.store import schema, setup
from gateway.store.database import SCHEMA, Database

ROOT = Path(__file__).resolve().parents[2]

NAMES = sorted(path.stem for path in (Path(schema.__file__).parent / "migrations").glob("0*.py"))
"""Every migration, oldest first."""


def settings_in(directory: Path, extra: str = "") -> config.Config:
    return config.read(f'[gateway]\nstate_dir = "state"\n{extra}', str(directory / "ringpost.toml"))


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of migrations that a test may add to: today's, then one more."""
    directory = tmp_path / "migrations"
    directory.mkdir()
    for path in schema.MIGRATIONS.glob("[0-9]*.py"):
        (directory / path.name).write_text(path.read_text())
    monkeypatch.setattr(schema, "MIGRATIONS", directory)
    return directory


def add_migration(directory: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> str:
    name = "9001_more"
    (directory / f"{name}.py").write_text(f"def up(migrator, db):\n    {body}\n")
    monkeypatch.setattr("gateway.store.database.SCHEMA", name)
    return name


def test_a_new_database_is_migrated_once(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "deep" / "ringpost.db"))
    assert schema.migrate(database) == NAMES
    assert schema.migrate(database) == []
    assert schema.applied(database) == NAMES
    assert not (tmp_path / "deep" / "snapshots").exists()
    database.close()


@pytest.mark.postgresql
def test_postgresql_is_migrated_once_however_many_try(empty_postgresql_url: str) -> None:
    script = (
        "import sys; from gateway.store import schema; from gateway.store.database import Database;"
        "d = Database(sys.argv[1]); print(len(schema.migrate(d))); d.close()"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, empty_postgresql_url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [program.communicate(timeout=60)[0].strip() for program in running]
    assert [program.returncode for program in running] == [0] * 4
    assert sorted(said) == ["0", "0", "0", str(len(NAMES))]


def test_five_processes_at_once_make_one_database(tmp_path: Path) -> None:
    file = tmp_path / "ringpost.toml"
    file.write_text('[gateway]\nstate_dir = "state"\n')
    script = (
        "import sys; from gateway import config; from gateway.store import schema, setup; s = config.load(sys.argv[1]);"
        "d = schema.open_database(s, check=False); print(len(setup.prepare(s, d))); d.close()"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(5)
    ]
    said = [program.communicate(timeout=60)[0].strip() for program in running]
    assert [program.returncode for program in running] == [0] * 5
    assert sorted(said) == ["0", "0", "0", "0", str(len(NAMES))]


def test_without_a_database_there_is_one_plain_line_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="run `ringpost init`"):
        schema.open_database(settings_in(tmp_path))
    assert not (tmp_path / "state").exists()


def test_an_older_and_a_newer_schema_are_told_apart(tmp_path: Path, migrations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_in(tmp_path)
    database = schema.open_database(settings, check=False)
    setup.prepare(settings, database)
    name = add_migration(migrations, monkeypatch, "db.execute_sql('CREATE TABLE more (id INTEGER)')")
    with pytest.raises(SchemaMismatch, match=f"this program needs {name}: run `ringpost migrate`"):
        schema.open_database(settings)
    assert schema.migrate(database) == [name]
    database.close()
    monkeypatch.setattr("gateway.store.database.SCHEMA", SCHEMA)
    (migrations / f"{name}.py").unlink()
    with pytest.raises(SchemaMismatch, match="newer than this program's"):
        schema.open_database(settings)


def test_a_snapshot_is_made_first_and_only_the_newest_is_kept(
    tmp_path: Path, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    database = schema.open_database(settings, check=False)
    setup.prepare(settings, database)
    with database.write() as tx:
        tx.execute("INSERT INTO setting (name, value) VALUES ('before', 'yes')")
    snapshots = tmp_path / "state" / "snapshots"
    snapshots.mkdir()
    (snapshots / "ringpost-0000_old-20200101T000000Z.db").touch()
    add_migration(migrations, monkeypatch, "db.execute_sql(\"UPDATE setting SET value = 'no' WHERE name = 'before'\")")
    schema.migrate(database, snapshots)
    database.close()
    (kept,) = snapshots.iterdir()
    assert kept.name.startswith(f"ringpost-{SCHEMA}-")
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as copy:
        assert copy.execute("SELECT value FROM setting WHERE name = 'before'").fetchone() == ("yes",)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("body", ["raise RuntimeError('step n')", "db.execute_sql('CREATE TABLE setting (x INTEGER)')"])
def test_a_migration_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, migrations: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    settings = settings_in(tmp_path)
    database = schema.open_database(settings, check=False)
    setup.prepare(settings, database)
    before = _structure(settings)
    add_migration(migrations, monkeypatch, f"db.execute_sql('CREATE TABLE half (id INTEGER)'); {body}")
    with pytest.raises(Exception, match=r"step n|already exists"):
        schema.migrate(database)
    database.close()
    assert _structure(settings) == before


def _structure(settings: config.Config) -> list[object]:
    with closing(sqlite3.connect(settings.gateway.database)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return [rows, connection.execute("SELECT name FROM schema_migration").fetchall()]


def test_a_migration_waits_for_nobody_who_has_the_database_open(
    tmp_path: Path, migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    database = schema.open_database(settings, check=False)
    setup.prepare(settings, database)
    script = (
        "import sys; from gateway import config; from gateway.store import schema;"
        "d = schema.open_database(config.load(sys.argv[1])); print('open', flush=True); sys.stdin.read(); d.close()"
    )
    (tmp_path / "ringpost.toml").write_text('[gateway]\nstate_dir = "state"\n')
    user = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "ringpost.toml")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with user:
        assert user.stdout is not None
        assert user.stdout.readline() == "open\n"
        name = add_migration(migrations, monkeypatch, "db.execute_sql('CREATE TABLE more (id INTEGER)')")
        with pytest.raises(schema.DatabaseInUse, match="another Ringpost process has the database open"):
            schema.migrate(database)
        assert name not in schema.applied(database)
        user.kill()
    assert schema.migrate(database) == [name]
    database.close()


def test_a_test_clock_is_refused_on_a_database_in_service(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, 'test_clock = "clock.json"')
    database = schema.open_database(settings, check=False)
    setup.prepare(settings, database)
    with pytest.raises(
        ConfigError, match=r"ringpost.toml:3: \[gateway\] test_clock: .* only on one made by `ringpost init --test`"
    ):
        schema.open_database(settings)
    with database.write() as tx:
        setup.create_organisation(tx, ref="a", name="A", actor="cli:t", now=1)
    with pytest.raises(Refused, match="in service"):
        setup.prepare(settings, database, test=True)
    database.close()
    assert not schema.is_test(database)


def test_a_test_clock_is_allowed_on_a_test_database(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, 'test_clock = "clock.json"')
    database = schema.open_database(settings, check=False)
    setup.prepare(settings, database, test=True)
    database.close()
    schema.open_database(settings).close()


def test_keys_are_made_once_and_never_replaced(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    database = schema.open_database(settings, check=False)
    setup.prepare(settings, database)
    first = keys.load(settings.gateway.state_dir)
    setup.prepare(settings, database)
    assert keys.load(settings.gateway.state_dir) == first
    phone = settings.gateway.state_dir / "keys" / "phone.key"
    assert phone.stat().st_mode & 0o777 == 0o600
    kept = phone.read_text()
    phone.unlink()
    with pytest.raises(keys.KeysMissing, match="bring it back from the backup"):
        setup.prepare(settings, database)
    phone.write_text(os.urandom(32).hex())
    with pytest.raises(keys.OtherKeys, match=r"keys/phone.key is not the one this database was made with"):
        setup.prepare(settings, database)
    with pytest.raises(keys.OtherKeys, match=r"bring back the keys directory"):
        schema.open_database(settings)
    phone.write_text("nonsense")
    with pytest.raises(keys.KeysMissing, match="damaged"):
        keys.load(settings.gateway.state_dir)
    phone.write_text(kept)
    schema.open_database(settings).close()
    database.close()


def test_keys_are_not_printed_and_seal_what_only_they_open(tmp_path: Path) -> None:
    box, other = keys.ensure(tmp_path / "a"), keys.ensure(tmp_path / "b")
    assert repr(box) == "Keys()"
    sealed = keys.seal(box.seal, "whsec_å")
    assert keys.unseal(box.seal, sealed) == "whsec_å"
    with pytest.raises(keys.NotSealedHere):
        keys.unseal(other.seal, sealed)


def test_an_unreachable_server_is_one_plain_line(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, f'database = "postgresql:///none?host={tmp_path}"')
    with pytest.raises(schema.DatabaseUnreachable, match="the database cannot be opened"):
        schema.open_database(settings)


def test_the_last_administrator_stays_one(database: Database) -> None:
    with database.write() as tx:
        organisation_id = setup.create_organisation(tx, ref="acme", name="Acme", actor="cli:t", now=1)
        first = setup.create_user(tx, organisation_id, email="A@x.example", name="A", roles=("admin",), actor="cli:t", now=1)
        setup.create_user(tx, organisation_id, email="b@x.example", name="B", roles=("recruiter",), actor="cli:t", now=1)
    assert first.startswith("usr_")
    for change in ({"roles": ("recruiter",)}, {"active": False}):
        with pytest.raises(Refused, match="last administrator"), database.write() as tx:
            setup.change_user(tx, setup.find_user(tx, "a@x.example"), actor="cli:t", now=2, **change)
    with database.write() as tx:
        assert setup.change_user(tx, setup.find_user(tx, "b@x.example"), roles=("admin",), seat=True, actor="cli:t", now=3)
        assert not setup.change_user(tx, setup.find_user(tx, "b@x.example"), roles=("admin",), seat=True, actor="cli:t", now=4)
        assert setup.change_user(tx, setup.find_user(tx, "a@x.example"), active=False, actor="cli:t", now=5)


def test_a_key_is_found_by_its_secret_until_it_is_revoked(database: Database) -> None:
    with database.write() as tx:
        organisation_id = setup.create_organisation(tx, ref="acme", name="Acme", actor="cli:t", now=1)
        row, secret = setup.create_key(tx, organisation_id, "ats", ["messages:*"], "cli:t", 1, allow=["10.0.0.0/8"])
    assert secret.startswith("rp_")
    with database.read() as view:
        found = setup.find_key(view, secret)
        assert found is not None
        assert found["id"] == row["id"]
        assert setup.find_key(view, secret + "x") is None
        assert view.one("SELECT 1 AS yes FROM api_key WHERE secret_hash LIKE ?", f"%{secret[3:]}%") is None
    for name, scopes, allow in (("ats", ["*"], []), ("b", ["nonsense"], []), ("b", [], []), ("b", ["*"], ["10.0.0.1/8"])):
        with pytest.raises(Refused), database.write() as tx:
            setup.create_key(tx, organisation_id, name, scopes, "cli:t", 1, allow=allow)
    with database.write() as tx:
        assert setup.revoke_key(tx, organisation_id, "ats", "cli:t", 2) == row["id"]
    with database.read() as view:
        assert setup.find_key(view, secret) is None
    with database.write() as tx:
        setup.create_key(tx, organisation_id, "ats", ["*"], "cli:t", 3)
