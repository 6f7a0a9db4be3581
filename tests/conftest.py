"""Fixtures for every test: a database on each engine, and a clock moved by hand.

`database` runs a test twice, on a SQLite file and on a private PostgreSQL server, each time on a fresh copy of one
migrated template. The server runs as an unprivileged user (initdb refuses root), listens on a socket only and lives as
long as the test run.
"""

import gc
import importlib.util
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.store.database import Database
from tests.support import ManualClock, missing

ROOT = Path(__file__).resolve().parent.parent
_numbers = itertools.count(1)
gc.set_threshold(100_000, 50, 100)  # looking for cycles less often saves the tests a sixth of their time


SLOW = {
    *("test_end_to_end.py", "test_crash.py", "test_worker.py", "test_demo.py", "test_supervise.py", "test_interleavings.py"),
    *("test_driver.py", "test_simulator.py", "test_webhooks.py", "test_server.py", "test_cli.py"),
}
"""Whole processes, real lines and long walks: left out of `make quick`, as are the requirement tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make quick` leaves out."""
    for item in items:
        if item.path.name in SLOW or item.path.parent.name == "requirements":
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at Monday 2026-03-02 10:00 UTC until the test calls `clock.advance(seconds)`."""
    return ManualClock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated database, on each engine in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database, on each engine in turn. Threads of a test call `database.close()` before they end."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def opened() -> Iterator[Callable[[str], Database]]:
    """Opens databases by URL for tests that want more than one; closes them in the end, also when the test failed."""
    databases: list[Database] = []

    def open_one(url: str) -> Database:
        databases.append(Database(url))
        return databases[-1]

    yield open_one
    for each in databases:
        each.close()


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """The path of a fresh, migrated SQLite database."""
    path = tmp_path / "ringpost.db"
    shutil.copyfile(_sqlite_template, path)
    return str(path)


@pytest.fixture
def postgresql_url(_postgresql_template: "Server") -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database; use with `@pytest.mark.postgresql`."""
    server, name = _postgresql_template, f"test_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgresql_url(postgresql_server: "Server") -> Iterator[str]:
    """The URL of a PostgreSQL database without any table, for tests of the migrations."""
    name = f"empty_{next(_numbers)}"
    postgresql_server.execute(f"CREATE DATABASE {name}")
    yield postgresql_server.url(name)
    postgresql_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


TEMPLATE = "ringpost_template"


def _migrate(url: str) -> None:
    opened = Database(url)
    if importlib.util.find_spec("gateway.store.schema") is not None:
        from gateway.store import schema

        schema.migrate(opened)
    else:
        from playhouse.migrations import Runner

        Runner(opened.peewee, str(ROOT / "gateway/store/migrations")).up()
    opened.close()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "ringpost.db"
    _migrate(str(path))
    return path


@pytest.fixture(scope="session")
def _postgresql_template(postgresql_server: "Server") -> "Server":
    postgresql_server.execute(f"CREATE DATABASE {TEMPLATE}")
    _migrate(postgresql_server.url(TEMPLATE))
    return postgresql_server


@dataclass
class Server:
    """A private PostgreSQL server."""

    directory: Path
    binaries: Path
    as_user: dict[str, Any]
    connection: Any = None

    def url(self, database: str) -> str:
        """Where a program finds this database."""
        return f"postgresql:///{database}?host={self.directory}&user=ringpost"

    def execute(self, sql: str) -> None:
        """Run a statement outside any transaction (CREATE DATABASE wants it so)."""
        if self.connection is None or self.connection.broken:
            import psycopg

            self.connection = psycopg.connect(self.url("postgres"), autocommit=True)
        self.connection.execute(sql)

    def run(self, *command: str) -> None:
        """Run one of the server's programs as the unprivileged user."""
        program = [str(self.binaries / command[0]), *command[1:]]
        # Output to a file: pg_ctl's server would hold a pipe open for as long as it lives.
        with (self.directory / "commands.log").open("ab") as log:
            subprocess.run(program, cwd=self.directory, stdout=log, stderr=log, check=True, **self.as_user)


def _postgresql_binaries() -> Path | None:
    found = [Path(path) for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if found:
        return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    initdb = shutil.which("initdb")
    return None if initdb is None else Path(initdb).resolve().parent


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """A private PostgreSQL server for the whole test run; skips (in CI: fails) where PostgreSQL is missing."""
    with private_postgresql() as server:
        yield server


@contextmanager
def private_postgresql() -> Iterator[Server]:
    """The same outside a test run."""
    binaries = _postgresql_binaries()
    if binaries is None:
        missing("PostgreSQL", "sudo apt install postgresql")
    if importlib.util.find_spec("psycopg") is None:
        missing("psycopg", ".venv/bin/pip install 'psycopg[binary]'")
    # Not tmp_path: its parents are closed to other users, and a socket's path may have no more than 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="rp-pg-", dir="/tmp"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(directory, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    server = Server(directory, binaries, as_user)
    options = (
        f"-c listen_addresses='' -c unix_socket_directories={directory} -c fsync=off -c full_page_writes=off "
        "-c synchronous_commit=off -c shared_buffers=16MB -c max_connections=200 -c autovacuum=off"
    )
    try:
        server.run(
            "initdb",
            "-D",
            f"{directory}/data",
            "-A",
            "trust",
            "-U",
            "ringpost",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        server.run("pg_ctl", "-w", "-D", f"{directory}/data", "-l", f"{directory}/server.log", "-o", options, "start")
        try:
            yield server
        finally:
            if server.connection is not None:
                server.connection.close()
            server.run("pg_ctl", "-D", f"{directory}/data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
