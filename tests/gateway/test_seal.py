import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.store import seal as sealing
from gateway.store.database import Database
from gateway.store.seal import BrokenLink, keep_sealing, seal, verify


def write_some(database: Database, count: int, *, private: str | None = None) -> None:
    with database.write() as tx:
        for number in range(count):
            tx.audit(1000 + number, "gateway:test", "message.accept", f"msg_{number}", {"n": number}, private=private)
            tx.event(1000 + number, None, "message.state", f"msg_{number}", {"n": number})


def positions(database: Database, table: str) -> list[int | None]:
    with database.read() as view:
        return [row["position"] for row in view.all(f"SELECT position FROM {table} ORDER BY serial")]


def broken(database: Database) -> BrokenLink | None:
    with database.read() as view:
        return verify(view)


def change(database: Database, sql: str) -> None:
    with database.write() as tx:
        assert tx.execute(sql) >= 1


def test_positions_are_gapless_and_the_chain_holds(database):
    write_some(database, 3)
    seal(database)
    write_some(database, 2)
    seal(database)
    assert positions(database, "audit") == [1, 2, 3, 4, 5]
    assert positions(database, "event") == [1, 2, 3, 4, 5]
    assert broken(database) is None


def test_an_empty_chain_holds(database):
    assert seal(database) == 0
    assert broken(database) is None


def test_more_rows_than_one_page(database, monkeypatch):
    monkeypatch.setattr(sealing, "_PAGE", 4)
    write_some(database, 11)
    seal(database)
    assert positions(database, "audit") == positions(database, "event") == list(range(1, 12))
    assert broken(database) is None


@pytest.mark.parametrize(
    ("sql", "position"),
    [
        ("UPDATE audit SET data = '{}' WHERE position = 2", 2),
        ("UPDATE audit SET actor = 'user:usr_else' WHERE position = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE position = 1", 1),
        ("UPDATE audit SET private_mac = NULL WHERE position = 4", 4),
        ("UPDATE audit SET hash = 'ab' WHERE position = 2", 2),
        ("DELETE FROM audit WHERE position = 3", 3),
        ("DELETE FROM audit WHERE position = 1", 1),
        ("UPDATE audit_private SET value = 'else' WHERE subject = 'msg_1'", 2),
    ],
)
def test_a_changed_or_missing_row_is_found(database, sql, position):
    write_some(database, 5, private="+46701740605")
    seal(database)
    assert broken(database) is None
    change(database, sql)
    found = broken(database)
    assert found is not None
    assert found.position == position


def test_erasing_value_and_salt_leaves_the_chain_whole(database):
    write_some(database, 3, private="Eva Ek")
    seal(database)
    change(database, "DELETE FROM audit_private WHERE subject = 'msg_1'")
    change(database, "DELETE FROM subject_salt WHERE subject = 'msg_1'")
    assert broken(database) is None


def test_the_walk_can_start_at_an_anchor(database):
    write_some(database, 5)
    seal(database)
    with database.read() as view:
        anchor = view.one("SELECT position, hash FROM audit WHERE position = 2")
    change(database, "DELETE FROM audit WHERE position <= 2")
    with database.read() as view:
        assert verify(view, position=anchor["position"], link=anchor["hash"]) is None
        assert verify(view, position=anchor["position"], link="0" * 64) is not None


def test_sqlite_needs_no_second_look(sqlite_url, opened):
    database = opened(sqlite_url)
    write_some(database, 2)
    assert positions(database, "audit") == [1, 2]
    assert seal(database) == 0
    keep_sealing(database, threading.Event(), lambda: None)


@pytest.mark.postgresql
def test_rows_wait_for_the_seal_and_are_not_walked_before(postgresql_url, opened):
    database = opened(postgresql_url)
    write_some(database, 2)
    assert positions(database, "audit") == [None, None]
    assert broken(database) is None
    assert seal(database) == 4
    assert seal(database) == 0


@pytest.mark.postgresql
def test_one_holder_seals_at_a_time(postgresql_url, opened):
    database, other = opened(postgresql_url), opened(postgresql_url)
    write_some(database, 2)
    with other.write() as tx:
        assert tx.value("SELECT pg_try_advisory_xact_lock(?)", sealing.LOCK)
        assert seal(database) == 0
    assert seal(database) == 4


@pytest.mark.postgresql
def test_many_writers_and_sealers_leave_no_gap(postgresql_url, opened):
    def work(writes: bool) -> None:
        database = Database(postgresql_url)
        try:
            for _ in range(20):
                if writes:
                    write_some(database, 3)
                else:
                    seal(database)
        finally:
            database.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, [True, True, True, True, False, False]))
    database = opened(postgresql_url)
    seal(database)
    assert positions(database, "audit").count(None) == 0
    with database.read() as view:
        for table in ("audit", "event"):
            rows = view.all(f"SELECT position FROM {table} ORDER BY position")
            assert [row["position"] for row in rows] == list(range(1, 241))
    assert broken(database) is None


@pytest.mark.postgresql
def test_the_sealing_thread_tells_when_there_was_something(postgresql_url, opened):
    database, stop, told = opened(postgresql_url), threading.Event(), threading.Event()
    write_some(database, 1)
    thread = threading.Thread(target=keep_sealing, args=(database, stop, told.set))
    thread.start()
    assert told.wait(30)
    stop.set()
    thread.join(30)
    assert positions(database, "event") == [1]
