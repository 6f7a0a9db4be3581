"""The store's own promises: whole transactions, fair turns, shared commits, and a plain word when the disk is full."""

# ruff: noqa: PT012  # blocks that raise in their middle are what is tested here

import fcntl
import multiprocessing
import os
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import NameTaken, Refused
from gateway.flows.facts import tree
from gateway.store.database import Database, StoreUnavailable, Transaction, Turn
from gateway.store.lease import Lease
from gateway.store.seal import seal, verify
from tests.support import an_organisation, questions


def put(tx: Transaction, name: str, value: str = "x") -> None:
    tx.insert("setting", name=name, value=value)


def names(database: Database) -> list[str]:
    with database.read() as view:
        return [row["name"] for row in view.all("SELECT name FROM setting WHERE name LIKE 't%' ORDER BY name")]


# Transactions.


def test_a_transaction_that_raises_leaves_nothing(database):
    with pytest.raises(ValueError, match="no"), database.write() as tx:
        put(tx, "t1")
        tx.audit(1, "a", "b", "c")
        tx.event(1, None, "k", "s", {})
        tx.flush()
        raise ValueError("no")
    assert names(database) == []
    with database.read() as view:
        assert view.one("SELECT 1 AS yes FROM audit") is None
        assert view.one("SELECT 1 AS yes FROM event") is None


def test_a_look_asks_once_for_what_it_needs_again_and_the_next_look_asks_anew(database):
    with database.write() as tx:
        organisation_id = an_organisation(tx)
    with questions() as asked, database.read() as view:
        for _ in range(3):
            assert tree(view, organisation_id)[organisation_id]["name"] == "Acme"
    assert len(asked) == 1
    with database.write() as tx:
        tx.execute("UPDATE organisation SET name = 'Other'")
    with database.read() as view:
        assert tree(view, organisation_id)[organisation_id]["name"] == "Other"


def test_rows_that_refer_to_others_are_written_after_them_whatever_came_between(database):
    """Two kinds of the same table around rows that refer to both: the bulk insert must not change their order."""
    with database.write() as tx:
        an_organisation(tx)
        organisation_id = tx.value("SELECT id FROM organisation")
        plain = {"organisation_id": organisation_id, "ref": "", "phone_state": "missing", "created_at": 0, "updated_at": 0}
        consent = {"phone_hash": "h", "channel": "sms", "purpose": "p", "version": 1, "status": "granted", "mode": "single"}
        consent |= {"source": "s", "actor": "a", "evidence": "{}", "recorded_at": 0}
        tx.insert("candidate", **plain | {"id": "c1", "ref": "1"})
        tx.insert("consent", id="k1", candidate_id="c1", **consent)
        tx.insert("candidate", **plain | {"id": "c2", "ref": "2"}, email="x")
        tx.insert("consent", id="k2", candidate_id="c2", **consent)
    with database.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM consent") == 2


def test_audit_and_events_are_sealed_in_the_commit_of_what_they_tell(database):
    with database.write() as tx:
        put(tx, "t1")
        tx.audit(1, "a", "act", "s", {"n": 1}, private="Kim")
        tx.event(1, None, "k", "s", {"n": 1})
    seal(database)
    with database.read() as view:
        assert [view.value("SELECT position FROM audit"), view.value("SELECT position FROM event")] == [1, 1]
        assert verify(view) is None


def test_a_transaction_inside_a_transaction_is_refused_and_harms_nothing(database):
    with database.write() as tx:
        put(tx, "t1")
        tx.flush()
        with pytest.raises((RuntimeError, sqlite3.OperationalError)), database.read():
            pass
    assert names(database) == ["t1"]


# Savepoints.


def test_a_savepoint_undoes_its_own_and_leaves_what_was_gathered_before(database):
    with database.write() as tx:
        put(tx, "t1")
        tx.audit(1, "a", "kept", "s")
        with pytest.raises(Refused), tx.savepoint():
            put(tx, "t2")
            tx.execute("INSERT INTO setting (name, value) VALUES ('t3', 'x')")
            tx.audit(1, "a", "undone", "s")
            tx.event(1, None, "undone", "s", {})
            tx.wake = True
            raise Refused("no", 409, "")
        assert not tx.wake
        put(tx, "t4")
    assert names(database) == ["t1", "t4"]
    with database.read() as view:
        assert [row["action"] for row in view.all("SELECT action FROM audit")] == ["kept"]
        assert view.all("SELECT 1 AS yes FROM event") == []


def test_a_flush_inside_an_undone_savepoint_loses_nothing_from_before_it(database):
    """Found in review: another's accepted message was flushed inside the savepoint, undone with it, and had answered 202."""
    with database.write() as tx:
        put(tx, "t1")
        with pytest.raises(Refused), tx.savepoint():
            put(tx, "t2")
            tx.flush()
            put(tx, "t3")
            tx.flush()
            raise Refused("no", 409, "")
        put(tx, "t4")
    assert names(database) == ["t1", "t4"]


def test_savepoints_inside_savepoints_keep_the_books_too(database):
    with database.write() as tx:
        put(tx, "t1")
        with tx.savepoint():
            put(tx, "t2")
            with pytest.raises(Refused), tx.savepoint():
                put(tx, "t3")
                tx.flush()
                raise Refused("no", 409, "")
            with tx.savepoint():
                put(tx, "t4")
                tx.flush()
            put(tx, "t5")
        with pytest.raises(Refused), tx.savepoint():
            put(tx, "t6")
            with tx.savepoint():
                put(tx, "t7")
                tx.flush()
            raise Refused("no", 409, "")
        put(tx, "t8")
    assert names(database) == ["t1", "t2", "t4", "t5", "t8"]


# Shared commits.


def together(database: Database, *steps):
    """Run the steps in one shared commit; what each caller got."""
    leader = threading.Event()
    inside = threading.Event()

    def hold(tx: Transaction) -> None:
        inside.set()
        assert leader.wait(20)

    def run(step):
        try:
            return database.together(step)
        except BaseException as error:
            return error
        finally:
            database.close()

    with ThreadPoolExecutor(len(steps) + 1) as pool:
        first = pool.submit(run, hold)
        assert inside.wait(20)
        waiting = []
        for number, step in enumerate(steps, 1):
            waiting.append(pool.submit(run, step))
            while len(database._together._waiting) < number:  # all must wait before the first commit ends
                os.sched_yield()
        leader.set()
        first.result()
        return [each.result() for each in waiting]


def test_a_refusal_in_a_shared_commit_leaves_the_others_intact(database):
    def accepted(name):
        def step(tx):
            put(tx, name)
            return name

        return step

    def refused(tx):
        put(tx, "t9")
        tx.flush()
        raise Refused("no", 409, "")

    first, second, third = together(database, accepted("t1"), refused, accepted("t2"))
    assert (first, third) == ("t1", "t2")
    assert isinstance(second, Refused)
    assert names(database) == ["t1", "t2"]


def test_a_row_that_the_store_refuses_at_the_end_hurts_only_its_owner(database):
    def step(name, value="x"):
        def put_it(tx):
            put(tx, name, value)
            return name

        return put_it

    first, second, third = together(database, step("t1"), step("t2", None), step("t3"))
    assert (first, third) == ("t1", "t3")
    assert isinstance(second, Exception)
    assert names(database) == ["t1", "t3"]


def test_a_bug_in_one_step_is_its_owners(database):
    def good(tx):
        put(tx, "t1")
        return "good"

    def bug(tx):
        raise KeyError("bug")

    assert isinstance(together(database, bug, good)[0], KeyError)
    assert names(database) == ["t1"]


def test_more_waiters_than_one_commit_takes_are_all_served(database):
    steps = [lambda tx, name=f"t{number:02}": put(tx, name) for number in range(40)]
    together(database, *steps)
    assert len(names(database)) == 40


def test_a_failing_bell_does_not_make_a_commit_look_failed(database, caplog):
    def broken() -> None:
        raise OSError("nobody there")

    database.ring = broken
    with database.write() as tx:
        put(tx, "t1")
        tx.wake = True
    assert names(database) == ["t1"]
    assert "wake=failed" in caplog.text


# Deadlocks and lost servers (PostgreSQL).


@pytest.mark.postgresql
def test_a_deadlocks_victim_is_tried_again(postgresql_url):
    database = Database(postgresql_url)
    with database.write() as tx:
        put(tx, "t1", "0")
        put(tx, "t2", "0")
    barrier = threading.Barrier(2)
    tries = []

    def cross(one, other):
        def step(tx):
            tries.append(one)
            tx.execute("UPDATE setting SET value = value || 'x' WHERE name = ?", one)
            if len(tries) <= 2:
                barrier.wait(20)
            tx.execute("UPDATE setting SET value = value || 'x' WHERE name = ?", other)

        database.transact(step)
        database.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(cross, "t1", "t2"), pool.submit(cross, "t2", "t1")]:
            done.result()
    assert len(tries) >= 3  # the victim may meet the other once more before that one is through
    with database.read() as view:
        assert [view.value("SELECT value FROM setting WHERE name = ?", name) for name in ("t1", "t2")] == ["0xx", "0xx"]
    database.close()


def cut_off(view, other):
    """End the server's side of a connection."""
    backend = view.value("SELECT pg_backend_pid() AS pid")
    with other.read() as there:
        there.value("SELECT pg_terminate_backend(?) AS done", backend)


@pytest.mark.postgresql
@pytest.mark.parametrize("use", ["write", "read"])
def test_a_connection_that_was_lost_while_it_rested_is_made_anew(postgresql_url, use):
    database, other = Database(postgresql_url), Database(postgresql_url)
    with database.read() as view:
        cut_off(view, other)
    with getattr(database, use)() as tx:
        assert tx.value("SELECT 1 AS yes") == 1
    database.close()
    other.close()


@pytest.mark.postgresql
@pytest.mark.parametrize("use", ["write", "read"])
def test_a_connection_lost_within_a_transaction_is_store_unavailable_and_the_next_one_connects_again(postgresql_url, use):
    database, other = Database(postgresql_url), Database(postgresql_url)
    with pytest.raises(StoreUnavailable), getattr(database, use)() as tx:
        cut_off(tx, other)
        tx.one("SELECT 1 AS yes")
    with database.write() as tx:
        assert tx.value("SELECT 1 AS yes") == 1
    database.close()
    other.close()


@pytest.mark.postgresql
def test_a_server_that_is_not_there_is_store_unavailable(tmp_path):
    database = Database(f"postgresql:///none?host={tmp_path}&user=nobody")
    with pytest.raises(StoreUnavailable), database.write():
        pass
    with pytest.raises(StoreUnavailable), database.read():
        pass


# A full or closed disk (SQLite).


def test_a_full_disk_is_store_unavailable_and_changes_nothing(sqlite_url):
    database = Database(sqlite_url)
    with database.write() as tx:
        put(tx, "t1")
    cursor = database.peewee.connection().cursor()
    pages = cursor.execute("PRAGMA page_count").fetchone()[0]
    cursor.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreUnavailable, match="full"), database.write() as tx:
        for number in range(2000):
            put(tx, f"t-{number}", "y" * 100)
    assert names(database) == ["t1"]
    cursor.execute("PRAGMA max_page_count = 100000")
    with database.write() as tx:
        put(tx, "t2")
    assert names(database) == ["t1", "t2"]
    database.close()


def test_a_full_disk_fails_a_shared_commit_as_a_whole(sqlite_url):
    database = Database(sqlite_url)

    def fill(tx):
        tx.execute(f"PRAGMA max_page_count = {tx.value('PRAGMA page_count')}")
        for number in range(2000):
            put(tx, f"t-{number}", "y" * 100)
        tx.flush()

    def small(tx):
        put(tx, "t1")

    outcomes = together(database, fill, small)
    assert isinstance(outcomes[0], StoreUnavailable)
    assert [isinstance(outcome, StoreUnavailable) for outcome in outcomes[1:]] == ["t1" not in names(database)]
    assert names(database) in ([], ["t1"])
    database.close()


def _write_with_limit(url: str, answer) -> None:
    import resource

    database = Database(url)
    with database.read() as view:
        view.one("SELECT 1 AS yes")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = os.path.getsize(url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        with database.write() as tx:
            for number in range(20_000):
                put(tx, f"t-{number}", "y" * 100)
        answer.put("written")
    except StoreUnavailable:
        answer.put("unavailable")


def test_a_file_that_may_not_grow_is_store_unavailable(sqlite_url):
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    process = context.Process(target=_write_with_limit, args=(sqlite_url, answer))
    process.start()
    process.join(60)
    assert answer.get() == "unavailable"
    database = Database(sqlite_url)
    assert names(database) == []
    database.close()


def test_a_directory_that_is_gone_is_store_unavailable(tmp_path):
    database = Database(str(tmp_path / "nowhere" / "ringpost.db"))
    with pytest.raises(StoreUnavailable), database.write():
        pass
    with pytest.raises(StoreUnavailable), database.read():
        pass


def test_other_operational_errors_are_bugs_and_stay_what_they_are(sqlite_url):
    database = Database(sqlite_url)
    with pytest.raises(sqlite3.OperationalError), database.write() as tx:
        tx.execute("SELECT nonsense")
    database.close()


# Turns.


def test_whoever_holds_the_door_comes_next_and_nobody_else(tmp_path):
    """The room is taken and the door is held by one who waits: a third cannot pass either lock."""
    turn, waiter = Turn(tmp_path / "db"), Turn(tmp_path / "db")
    door = os.open(tmp_path / "db-door", os.O_RDWR | os.O_CREAT)
    came = []

    def wait() -> None:
        with waiter:
            came.append("waiter")

    with turn:
        thread = threading.Thread(target=wait)
        thread.start()
        while True:  # until the waiter holds the door
            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(door, fcntl.LOCK_UN)
            except BlockingIOError:
                break
        assert came == []
    thread.join(20)
    assert came == ["waiter"]
    fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)  # and the door is free again
    os.close(door)


def _die_holding(path: Path, ready) -> None:
    Turn(path).__enter__()
    ready.put(1)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_leaves_its_turn_to_the_others(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.SimpleQueue()
    process = context.Process(target=_die_holding, args=(tmp_path / "db", ready))
    process.start()
    ready.get()
    process.join(20)
    with Turn(tmp_path / "db"):
        pass


def _count_up(url: str, times: int) -> None:
    database = Database(url)
    for _ in range(times):
        with database.write() as tx:
            value = int(tx.value("SELECT value FROM setting WHERE name = 't1'"))
            tx.execute("UPDATE setting SET value = ? WHERE name = 't1'", str(value + 1))
    database.close()


def test_processes_and_threads_read_and_write_without_losing_an_update(sqlite_url):
    database = Database(sqlite_url)
    with database.write() as tx:
        put(tx, "t1", "0")
    database.close()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count_up, args=(sqlite_url, 20)) for _ in range(2)]
    for process in processes:
        process.start()
    threads = [threading.Thread(target=_count_up, args=(sqlite_url, 20)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for worker in [*processes, *threads]:
        worker.join(60)
    with database.read() as view:
        assert view.value("SELECT value FROM setting WHERE name = 't1'") == "80"
    database.close()


# One gateway per name.


def test_a_second_gateway_of_a_name_is_told_the_holder_and_the_name_is_free_again_afterwards(database, tmp_path):
    first = Lease(database, "office", tmp_path, "0", 1)
    assert first.epoch == 1
    for _ in range(2):
        with pytest.raises(NameTaken, match=f'named "office" already runs: .* pid {os.getpid()}'):
            Lease(database, "office", tmp_path, "0", 2)
    other = Lease(database, "annex", tmp_path, "0", 1)
    other.give_up()
    first.give_up()
    again = Lease(database, "office", tmp_path, "0", 3)
    assert again.epoch == 2
    again.give_up()


@pytest.mark.postgresql
def test_a_gateway_on_another_machine_is_named_too(postgresql_url, tmp_path):
    """Another state directory, so the file lock says nothing: the server's lock and the row do."""
    database = Database(postgresql_url)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = Lease(database, "office", tmp_path / "a", "0", 1)
    with pytest.raises(NameTaken, match=f"pid {os.getpid()}"):
        Lease(database, "office", tmp_path / "b", "0", 2)
    first.give_up()
    second = Lease(database, "office", tmp_path / "b", "0", 3)
    assert second.epoch == 2
    second.give_up()
    database.close()


def test_a_killed_gateway_leaves_its_name_free(sqlite_url, tmp_path):
    ready = multiprocessing.get_context("fork").SimpleQueue()

    def die() -> None:
        Lease(Database(sqlite_url), "office", tmp_path, "0", 1)
        ready.put(1)
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    ready.get()
    process.join(20)
    database = Database(sqlite_url)
    lease = Lease(database, "office", tmp_path, "0", 2)
    assert lease.epoch == 2
    lease.give_up()
    database.close()
