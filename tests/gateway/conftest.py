"""A PostgreSQL database that tests use one after another, wiped in between: a fresh one costs 0.2 s, and there are hundreds."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.store.database import Database

KEPT = frozenset({"migration", "migrations", "migrationhistory"})


@pytest.fixture(scope="session")
def _shared_postgresql(_postgresql_template: Any) -> str:
    server = _postgresql_template
    server.execute("CREATE DATABASE shared TEMPLATE ringpost_template STRATEGY FILE_COPY")
    return str(server.url("shared"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty, migrated database, on each engine in turn. Threads of a test call `database.close()` before they end."""
    if request.param == "sqlite":
        opened = Database(request.getfixturevalue("sqlite_url"))
    else:
        url = request.getfixturevalue("_shared_postgresql")
        wipe(url)
        opened = Database(url)
    yield opened
    opened.close()


def wipe(url: str) -> None:
    """Empty every table. Sequences go on: no test may rest on a serial number."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        names = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        connection.execute("SET LOCAL session_replication_role = replica")  # in any order
        connection.execute("; ".join(f"DELETE FROM {name}" for name in names if name not in KEPT))
