"""The schema's version: opening a database that fits, and `ringpost migrate`, the only thing that changes one.

A program that meets another version than its own stops (SchemaMismatch, exit code 3). On SQLite a migration has the file to
itself: every process that opened it by `open_database` holds a shared lock, and a copy of the file is made first. On
PostgreSQL migrations take turns by an advisory lock, and the snapshot is the server administrator's (`pg_dump`).

`gateway.store.database` is imported late here: what it loads depends on the configuration.
"""

import fcntl
import os
import sqlite3
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import keys, wake
from gateway.config import Config
from gateway.errors import RingpostError, SchemaMismatch

if TYPE_CHECKING:
    from gateway.store.database import Database, View

MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_KEY = 0x52494E47  # "RING"
_TEST = "test"


class DatabaseInUse(RingpostError):
    """A migration is due, but another process has the database open: stop it, then try again."""


class DatabaseUnreachable(RingpostError):
    """The database cannot be opened: server gone, wrong address, or a file this user may not use."""


def open_database(config: Config, *, check: bool = True) -> "Database":
    """Open the configured database; its bell is the wake socket in `state_dir`.

    Raises SchemaMismatch for another schema version (or none), ConfigError for a test clock on a database in service,
    keys.OtherKeys, DatabaseUnreachable. With `check=False` it may be new, and none of that is looked at.
    """
    database = _connect(config)
    if not check:
        return database
    let_go = _share(database)
    try:
        check_version(database)
        check_clock(config, database)
        check_keys(config, database)
    except BaseException:
        let_go()
        database.close()
        raise
    return database


def choose_engine(config: Config) -> None:
    """Before the first import of `gateway.store.database`: on SQLite, peewee then leaves psycopg (12 MB, 110 ms) alone."""
    if not config.gateway.is_postgresql and "gateway.store.database" not in sys.modules:
        os.environ["RINGPOST_ENGINES"] = "sqlite"


def _connect(config: Config) -> "Database":
    choose_engine(config)
    from gateway.store.database import Database

    return Database(config.gateway.database, ring=partial(wake.ring, config.gateway.state_dir))


def applied(database: "Database") -> list[str]:
    """The names of the migrations that made this database, oldest first; empty for a new one. Never creates a file."""
    from peewee import OperationalError

    if not database.is_postgresql and not _file(database).exists():
        return []
    try:
        if not database.peewee.table_exists("schema_migration"):
            return []
        with database.read() as view:
            return [row["name"] for row in view.all("SELECT name FROM schema_migration ORDER BY name")]
    except (OperationalError, sqlite3.OperationalError) as error:
        raise DatabaseUnreachable(f"the database cannot be opened: {str(error).strip().splitlines()[0]}") from error


def check_version(database: "Database") -> None:
    """Raises SchemaMismatch unless this is the schema that this program was written for."""
    from gateway.store.database import SCHEMA

    found = applied(database)
    if not found:
        raise SchemaMismatch("there is no Ringpost database yet: run `ringpost init` (or `ringpost migrate`) first")
    if found[-1] == SCHEMA:
        return
    if found[-1] in {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}:
        raise SchemaMismatch(f"the database has schema {found[-1]}, this program needs {SCHEMA}: run `ringpost migrate`")
    raise SchemaMismatch(
        f"the database has schema {found[-1]}, newer than this program's {SCHEMA}: install the newer Ringpost again, or go back "
        "to the snapshot that its migration made"
    )


def check_clock(config: Config, database: "Database") -> None:
    """Raises ConfigError where a test clock is asked for on a database that is not marked as a test one."""
    if config.gateway.test_clock is not None and not is_test(database):
        raise config.wrong(
            ("gateway", "test_clock"),
            "[gateway] test_clock: found a test clock, but this database is in service; allowed only on one made by "
            "`ringpost init --test`",
        )


def check_keys(config: Config, database: "Database") -> None:
    """Raises keys.OtherKeys where the key files are not those this database was made with.

    Missing or unreadable ones are the matter of whoever needs them.
    """
    try:
        box = keys.load(config.gateway.state_dir)
    except keys.KeysMissing:
        return
    with database.read() as view:
        box.must_match(known_keys(view))


def known_keys(view: "View") -> dict[str, str]:
    """The fingerprints of the keys this database was made with, by name."""
    rows = view.all("SELECT name, value FROM setting WHERE name LIKE 'key.%'")
    return {row["name"].removeprefix("key."): row["value"] for row in rows}


def is_test(database: "Database") -> bool:
    """Whether `ringpost init --test` made this database."""
    with database.read() as view:
        return bool(view.value("SELECT value FROM setting WHERE name = ?", _TEST) == "1")


def migrate(database: "Database", snapshots: Path | None = None) -> list[str]:
    """Bring the schema up to date; the names of the migrations that ran (none: nothing to do).

    On SQLite a file with data is copied to `snapshots` (default: beside the database) first, and only the newest copy is kept,
    because a copy outlives what is erased. All migrations run in one transaction: a failure leaves everything as it was.
    Raises DatabaseInUse, SchemaMismatch for a newer database, DatabaseUnreachable.
    """
    if database.is_postgresql:
        applied(database)  # an unreachable server says so in one plain line
        return _run(database)
    path = _file(database)
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    with _locked(path, "-migrating", fcntl.LOCK_EX):
        found = applied(database)
        if found and not _pending(found):
            check_version(database)
            return []
        try:
            with _locked(path, "-open", fcntl.LOCK_EX | fcntl.LOCK_NB):
                if found:
                    _snapshot(path, (snapshots or path.parent / "snapshots"), found[-1])
                return _run(database)
        except BlockingIOError:
            raise DatabaseInUse(
                "another Ringpost process has the database open: stop it (`ringpost run`, or the services ringpost-gateway and "
                "ringpost-web), then migrate"
            ) from None


def _pending(found: list[str]) -> set[str]:
    return {path.stem for path in MIGRATIONS.glob("[0-9]*.py")} - set(found)


def _run(database: "Database") -> list[str]:
    from peewee import IntegrityError
    from playhouse.migrations import Runner

    peewee = database.peewee
    on_sqlite = not database.is_postgresql
    peewee.connect(reuse_if_open=True)
    if on_sqlite:
        # Before the transaction, since inside it the pragma does nothing: a rebuilt table would then cascade to every child.
        peewee.pragma("foreign_keys", 0)
    try:
        with peewee.atomic():
            if not on_sqlite:
                peewee.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_KEY,))
            ran: list[str] = Runner(peewee, str(MIGRATIONS)).up()
            if on_sqlite and peewee.execute_sql("PRAGMA foreign_key_check").fetchall():
                raise IntegrityError("a migration left broken references; nothing was changed")
        check_version(database)
        return ran
    finally:
        if on_sqlite:
            peewee.pragma("foreign_keys", 1)


def _snapshot(path: Path, directory: Path, version: str) -> Path:
    """Copy the database as it stands into one file that is whole and on disk when this returns."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = directory / f"{path.stem}-{version}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.db"
    fresh = target.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # VACUUM INTO takes an empty file, keeps its mode
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        connection.execute("VACUUM INTO ?", (str(fresh),))
    _sync(fresh)
    fresh.rename(target)
    _sync(directory)
    for older in directory.glob(f"{path.stem}-*.db"):
        if older != target:
            older.unlink()
    return target


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file(database: "Database") -> Path:
    return Path(database.url.removeprefix("sqlite:///"))


def _share(database: "Database") -> Callable[[], object]:
    """Keep migrations away for as long as `database` lives, or until what is returned is called."""
    if database.is_postgresql or not _file(database).exists():
        return lambda: None
    descriptor = _open_lock(_file(database), "-open")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return weakref.finalize(database, os.close, descriptor)


@contextmanager
def _locked(path: Path, suffix: str, how: int) -> Iterator[None]:
    descriptor = _open_lock(path, suffix)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path, suffix: str) -> int:
    try:
        return os.open(f"{path}{suffix}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    except OSError as error:
        raise DatabaseUnreachable(
            f"{path}{suffix} cannot be opened: {error.strerror}; run this as the user who owns it"
        ) from error
