"""The database: the one place that knows SQLite from PostgreSQL.

`with database.write() as tx:` is a write transaction in which a read may decide a write (BEGIN IMMEDIATE and a fair turn on
SQLite, READ COMMITTED with row locks on PostgreSQL); `with database.read() as view:` is a consistent look that writes nothing.
A transaction gathers inserts, audit rows and outbox events and writes them in bulk at the end, so that all of them commit
together or not at all. No serial line, network or rendering inside.

SQL is written once, with `?` for values, and must run on both engines.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.errors import RingpostError
from gateway.store import ids

if "psycopg" not in sys.modules and "postgresql" not in os.environ.get("RINGPOST_ENGINES", "sqlite,postgresql"):
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # peewee would import it unasked: 12 MB and 110 ms

from peewee import DatabaseError as PeeweeError
from peewee import PostgresqlDatabase, SqliteDatabase

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
T = TypeVar("T")

SCHEMA = max(path.stem for path in (Path(__file__).parent / "migrations").glob("[0-9]*.py"))
"""The newest migration: any other in the database stops the program with exit code 3."""


class StoreUnavailable(RingpostError):
    """The store cannot be used now (disk full, read-only, gone): nothing was changed; trying again may help."""


class Turn:
    """Fair turns between processes: who holds the door is next in the room.

    SQLite's own busy waiting is unfair: beside a process that writes in a loop another may wait for seconds. Two file locks
    cure it. The kernel drops both with the process, so a kill leaves nothing behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._pid = 0
        self._door = self._room = -1

    def __enter__(self) -> None:
        self._mutex.acquire()
        try:
            if self._pid != os.getpid():  # a lock file opened before a fork would be shared with the parent
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._door = os.open(f"{self._path}-door", flags, 0o660)
                self._room = os.open(f"{self._path}-room", flags, 0o660)
                self._pid = os.getpid()
            fcntl.flock(self._door, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._room, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._door, fcntl.LOCK_UN)
        except BaseException:
            self._mutex.release()
            raise

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._room, fcntl.LOCK_UN)
        self._mutex.release()

    def __del__(self) -> None:
        """The lock files are shared by all threads, so they close with the last of them, not with one thread's connection."""
        if self._pid == os.getpid():
            os.close(self._door)
            os.close(self._room)


class View:
    """Questions to the store inside one transaction; rows are read by column name."""

    def __init__(self, engine: "Engine", cursor: Any) -> None:
        self._engine = engine
        self._cursor = cursor
        self.memo: dict[Any, Any] = {}
        """Facts already looked up in this transaction: a look sees one moment, and a write clears what it changes."""

    @property
    def skip_locked(self) -> str:
        """Ends a SELECT that locks the rows it chooses and passes over those that others hold."""
        return self._engine.skip_locked

    @property
    def for_update(self) -> str:
        """Ends a SELECT that locks its rows until the transaction ends."""
        return self._engine.for_update

    @property
    def for_share(self) -> str:
        """Ends a SELECT whose rows nobody may change until the transaction ends."""
        return self._engine.for_share

    def all(self, sql: str, *values: Any) -> list[Row]:
        """Every row."""
        self._cursor.execute(self._engine.dialect(sql), values)
        rows: list[Row] = self._cursor.fetchall()
        return rows

    def one(self, sql: str, *values: Any) -> Row | None:
        """The first row, or None."""
        self._cursor.execute(self._engine.dialect(sql), values)
        row: Row | None = self._cursor.fetchone()
        return row

    def value(self, sql: str, *values: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(sql, *values)
        return None if row is None else next(iter(dict(row).values()))


class Transaction(View):
    """A write transaction: statements at once, inserts gathered, audit rows and events sealed at the end."""

    def __init__(self, engine: "Engine", cursor: Any) -> None:
        super().__init__(engine, cursor)
        self._inserts: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        self._flushed: dict[tuple[str, ...], list[tuple[Any, ...]]] | None = None  # what a flush inside a savepoint wrote first
        self._audits: list[tuple[Any, ...]] = []
        self._events: list[tuple[Any, ...]] = []
        self._salts: dict[str, bytes] = {}
        self.wake = False
        """Set by a flow that made work for the gateway: the hint is sent after the commit."""

    def execute(self, sql: str, *values: Any) -> int:
        """Run a statement at once; the number of rows it touched."""
        self._cursor.execute(self._engine.dialect(sql), values)
        return int(self._cursor.rowcount)

    def insert(self, table: str, **columns: Any) -> None:
        """Insert a row at the end of the transaction (or at the next flush), in bulk with others of its kind."""
        kind = (table, *columns)
        rows = self._inserts.get(kind)
        if rows is None:
            if any(other[0] == table for other in self._inserts):
                self.flush()  # rows that refer to these may be gathered already, and would come before them
            rows = self._inserts[kind] = []
        rows.append(tuple(columns.values()))

    def audit(
        self,
        at: int,
        actor: str,
        action: str,
        subject: str,
        data: Mapping[str, Any] | None = None,
        *,
        private: str | None = None,
    ) -> None:
        """Add a row to the audit chain. `data` must hold nothing personal; `private` may, and can be erased later.

        The chain covers only HMAC(subject's salt, private), so erasing value and salt leaves it verifiable.
        """
        mac = None
        if private is not None:
            mac = hmac.new(self._salt(subject), private.encode(), hashlib.sha256).hexdigest()
            self.insert("audit_private", subject=subject, mac=mac, value=private)
        self._audits.append((at, actor, action, subject, compact(data or {}), mac))

    def event(self, at: int, organisation_id: str | None, kind: str, stream: str, data: Mapping[str, Any]) -> str:
        """Add an event to the outbox; its id. Events of one stream (a message, a candidate) are told in order."""
        event_id = ids.new("evt")
        self._events.append((event_id, organisation_id, kind, stream, compact(data), at))
        return event_id

    def flush(self) -> None:
        """Write the gathered inserts now, so that later questions in this transaction see them."""
        gathered, self._inserts = self._inserts, {}
        if self._flushed is None:
            self._flushed = gathered
        for (table, *columns), rows in gathered.items():
            if rows:
                self._cursor.executemany(self._engine.insert_sql(table, columns), rows)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo everything since here if the block raises, gathered rows included; the transaction goes on.

        What was gathered before stays gathered, also when a flush inside the block had written it.
        """
        marks = {kind: len(rows) for kind, rows in self._inserts.items()}
        audits, events, wake = len(self._audits), len(self._events), self.wake
        outer, self._flushed = self._flushed, None
        self._cursor.execute("SAVEPOINT step")
        try:
            yield
        except BaseException as error:
            try:
                self._cursor.execute("ROLLBACK TO SAVEPOINT step")
                self._cursor.execute("RELEASE SAVEPOINT step")
            except Exception:  # the engine has rolled all of it back (disk full, connection lost): nothing may go on
                raise StoreUnavailable(f"the transaction was lost: {error}") from error
            gathered = self._inserts if self._flushed is None else self._flushed
            self._inserts = {kind: gathered[kind][:length] for kind, length in marks.items()}
            self._flushed = outer
            del self._audits[audits:], self._events[events:]
            self.wake = wake
            self.memo.clear()
            self._salts.clear()
            raise
        self._cursor.execute("RELEASE SAVEPOINT step")
        if outer is not None:
            self._flushed = outer

    def finish(self) -> None:
        """Write what was gathered; audit rows and events get their positions here on SQLite, from `seal` on PostgreSQL."""
        self.flush()
        if self._engine.seals_inside:
            self._write_sealed()
            return
        if self._audits:
            self._cursor.executemany(self._engine.insert_sql("audit", _AUDIT_COLUMNS), self._audits)
        if self._events:
            self._cursor.executemany(self._engine.insert_sql("event", _EVENT_COLUMNS), self._events)

    def _write_sealed(self) -> None:
        if self._audits:
            last = self.one("SELECT position, hash FROM audit ORDER BY position DESC LIMIT 1")
            position, link = (0, GENESIS) if last is None else (last["position"], last["hash"])
            sealed = []
            for row in self._audits:
                position += 1
                link = chain_hash(link, position, *row)
                sealed.append((*row, position, link))
            self._cursor.executemany(self._engine.insert_sql("audit", (*_AUDIT_COLUMNS, "position", "hash")), sealed)
        if self._events:
            start = self.value("SELECT MAX(position) FROM event") or 0
            rows = [(*row, start + offset) for offset, row in enumerate(self._events, 1)]
            self._cursor.executemany(self._engine.insert_sql("event", (*_EVENT_COLUMNS, "position")), rows)

    def _salt(self, subject: str) -> bytes:
        salt = self._salts.get(subject)
        if salt is None:
            kept = self.value("SELECT salt FROM subject_salt WHERE subject = ?", subject)
            if kept is None:
                kept = secrets.token_hex(16)
                self.execute(
                    "INSERT INTO subject_salt (subject, salt) VALUES (?, ?) ON CONFLICT (subject) DO NOTHING",
                    subject,
                    kept,
                )
                kept = self.value("SELECT salt FROM subject_salt WHERE subject = ?", subject)
            salt = self._salts[subject] = bytes.fromhex(kept)
        return salt


_AUDIT_COLUMNS = ("at", "actor", "action", "subject", "data", "private_mac")
_EVENT_COLUMNS = ("id", "organisation_id", "type", "stream", "body", "at")
GENESIS = "0" * 64
"""The hash before the first audit row."""


def chain_hash(
    before: str, position: int, at: int, actor: str, action: str, subject: str, data: str, private_mac: str | None
) -> str:
    """The hash of one audit row: SHA-256 over the hash before it and every field, as a JSON list."""
    row = _WIDE.encode([before, position, at, actor, action, subject, data, private_mac])
    return hashlib.sha256(row.encode()).hexdigest()


_WIDE = json.JSONEncoder(ensure_ascii=False)
_NARROW = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
"""Made once: `json.dumps` makes one for each call that is not plain, which costs more than the encoding."""


def compact(value: Any) -> str:
    """JSON without blanks, as stored in text columns."""
    return _NARROW.encode(value)


class Engine:
    """What differs between the two engines."""

    skip_locked = ""
    for_update = ""
    for_share = ""
    seals_inside = True

    def dialect(self, sql: str) -> str:
        """The statement in this engine's spelling."""
        return sql

    def insert_sql(self, table: str, columns: Sequence[str]) -> str:
        """INSERT for these columns, made once."""
        key = (table, *columns)
        sql = self._insert_cache.get(key)
        if sql is None:
            marks = ", ".join("?" * len(columns))
            sql = self._insert_cache[key] = self.dialect(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})")
        return sql

    def __init__(self) -> None:
        self._insert_cache: dict[tuple[str, ...], str] = {}


_SQLITE_UNAVAILABLE = ("full", "readonly", "disk I/O", "locked", "unable to open")


class _Sqlite(Engine):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.turn = Turn(path)
        self.peewee: Any = SqliteDatabase(
            str(path),
            pragmas=[
                ("page_size", 2048),  # a third fewer bytes per message on the card than 4096, and no slower; for new files
                ("busy_timeout", 10_000),
                ("wal_autocheckpoint", 4_000),  # pages, 8 MB of log: a page changed again and again goes to the file less often
                ("journal_mode", "wal"),
                ("synchronous", "full"),  # a 202 means on disk: with NORMAL the last commits vanish with the power
                ("foreign_keys", 1),
                ("secure_delete", 1),  # erased means erased, also inside the file
                ("temp_store", "memory"),
                ("cache_size", -8_000),
            ],
            timeout=10,
            lock_type="IMMEDIATE",
            returning_clause=True,
        )

    def cursor(self) -> Any:
        cursor = self.peewee.connection().cursor()
        cursor.row_factory = sqlite3.Row
        return cursor

    @contextmanager
    def writing(self) -> Iterator[Any]:
        with self._translated("written"), self._in_turn():
            cursor = self.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with self._translated("read"):
            cursor = self.cursor()
            cursor.execute("BEGIN")
            try:
                yield cursor
            finally:
                cursor.execute("ROLLBACK")

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        try:
            self.turn.__enter__()
        except OSError as error:
            raise StoreUnavailable(f"the database cannot be written: {error}") from error
        try:
            yield
        finally:
            self.turn.__exit__()

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, PeeweeError) as error:
            if any(sign in str(error) for sign in _SQLITE_UNAVAILABLE):
                raise StoreUnavailable(f"the database cannot be {verb}: {error}") from error
            raise

    def truncate_log(self) -> bool:
        """Move the write-ahead log into the file and cut it to nothing."""
        with self._translated("written"), self._in_turn():
            return not self.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def hurry(self, wanted: bool) -> None:
        run = self.cursor().execute
        run(f"PRAGMA synchronous = {'off' if wanted else 'full'}")
        run(f"PRAGMA cache_size = {-200_000 if wanted else -8_000}")

    def changes(self) -> Any:
        """Differs from the last answer when another connection has committed."""
        return self.cursor().execute("PRAGMA data_version").fetchone()[0]


class _Postgresql(Engine):
    skip_locked = " FOR UPDATE SKIP LOCKED"
    for_update = " FOR UPDATE"
    for_share = " FOR SHARE"
    seals_inside = False

    def __init__(self, url: str) -> None:
        super().__init__()
        self.peewee: Any = PostgresqlDatabase(url, prefer_psycopg3=True)
        self._spelling: dict[str, str] = {}

    def dialect(self, sql: str) -> str:
        spelled = self._spelling.get(sql)
        if spelled is None:
            spelled = self._spelling[sql] = sql.replace("%", "%%").replace("?", "%s")
        return spelled

    def cursor(self) -> Any:
        from psycopg.rows import dict_row

        if not self.peewee.is_closed() and not self.peewee.is_connection_usable():
            self.peewee.close()
        return self.peewee.connection().cursor(row_factory=dict_row)

    @contextmanager
    def writing(self) -> Iterator[Any]:
        with self._translated("written"):
            cursor = self._begun("BEGIN")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                self._roll_back(cursor)
                raise

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with self._translated("read"):
            cursor = self._begun("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield cursor
            finally:
                self._roll_back(cursor)

    def _begun(self, sql: str) -> Any:
        """A cursor inside a fresh transaction; over a new connection where the server has closed the old one while it rested."""
        from psycopg import OperationalError

        cursor = self._idle_cursor()
        try:
            cursor.execute(sql)
        except OperationalError:  # nothing was asked yet, so nothing can be done twice
            self.peewee.close()
            cursor = self._idle_cursor()
            cursor.execute(sql)
        return cursor

    def _idle_cursor(self) -> Any:
        """A cursor outside any transaction. A BEGIN inside one only warns, and its end ends both."""
        cursor = self.cursor()
        if cursor.connection.info.transaction_status == 2:  # INTRANS
            raise RuntimeError("a transaction inside a transaction of the same thread")
        return cursor

    def _roll_back(self, cursor: Any) -> None:
        try:
            cursor.execute("ROLLBACK")
        except Exception:
            self.peewee.close()  # the connection is gone; the server has rolled back by itself

    @contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        from psycopg import InterfaceError, OperationalError

        try:
            yield
        except (OperationalError, InterfaceError, PeeweeError) as error:
            raise StoreUnavailable(f"the database cannot be {verb}: {error}") from error

    def truncate_log(self) -> bool:
        return True

    def hurry(self, wanted: bool) -> None:
        self._idle_cursor().execute(f"SET synchronous_commit = {'off' if wanted else 'on'}")

    def changes(self) -> Any:
        return None


class Database:
    """One store, opened by URL: a path, `sqlite:///path` or `postgresql://…`.

    Every thread has its own connection; call `close()` in a thread that ends. `ring` is called after a commit that made work
    for the gateway.
    """

    def __init__(self, url: str, *, ring: Callable[[], None] | None = None) -> None:
        self.url = url
        self.ring = ring or (lambda: None)
        self.is_postgresql = url.startswith(("postgresql:", "postgres:"))
        self._engine: Any
        if self.is_postgresql:
            self._engine = _Postgresql(url)
        else:
            self._engine = _Sqlite(Path(url.removeprefix("sqlite:///")))
        self.peewee = self._engine.peewee
        self._together = _Together(self)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A write transaction; commits when the block ends, rolls back when it raises.

        Raises StoreUnavailable when the disk is full or the server gone: then nothing was changed (only a server lost in
        the middle of COMMIT leaves that open).
        """
        with self._engine.writing() as cursor:
            tx = Transaction(self._engine, cursor)
            yield tx
            tx.finish()
        if tx.wake:
            try:
                self.ring()
            except Exception:  # a hint only: what is committed must not look as if it had failed
                log.exception("wake=failed")

    @contextmanager
    def read(self) -> Iterator[View]:
        """A consistent look at the store. Raises StoreUnavailable when it is gone."""
        with self._engine.reading() as cursor:
            yield View(self._engine, cursor)

    def transact(self, step: Callable[[Transaction], T], *, tries: int = 5) -> T:
        """Run `step` in a write transaction, again if PostgreSQL picked it as a deadlock's victim."""
        for attempt in range(1, tries + 1):
            try:
                with self.write() as tx:
                    return step(tx)
            except StoreUnavailable as error:
                if attempt == tries or not _was_victim(error):
                    raise
        raise AssertionError("unreachable")

    def together(self, step: Callable[[Transaction], T], ahead: "Ahead | None" = None) -> T:
        """Run `step` in a commit shared with whoever else waits now, in a savepoint of its own.

        `ahead` tells which rows it will lock: those of all steps are locked before the first step, in one order, so that two
        shared commits never wait for each other.
        """
        return self._together.run(step, ahead)

    def truncate_log(self) -> bool:
        """After something was erased: let no copy of it live on in SQLite's write-ahead log. False while a reader still needs it.

        PostgreSQL recycles its log and dead rows by itself (checkpoint, autovacuum).
        """
        return bool(self._engine.truncate_log())

    @contextmanager
    def in_bulk(self) -> Iterator[None]:
        """Within, this thread's commits may be lost with the power, and the cache is large: for a store nobody relies on yet."""
        self._engine.hurry(True)
        try:
            yield
        finally:
            self._engine.hurry(False)
            self.truncate_log()

    def changes(self) -> Any:
        """A value that differs after another process has committed; None where the engine has no such sign."""
        return self._engine.changes()

    def close(self) -> None:
        """Close this thread's connection."""
        if not self.peewee.is_closed():
            self.peewee.close()


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a step of a shared commit will lock: `lock` is called once, with the `name` of every step that gave this `lock`."""

    lock: Callable[[Transaction, list[Any]], None]
    name: Any


class _Slot:
    def __init__(self, step: Callable[[Transaction], Any], ahead: Ahead | None = None) -> None:
        self.step = step
        self.ahead = ahead
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None


class _Together:
    """Group commit without a writer thread: whoever gets the mutex commits all who wait.

    One fsync then serves several submissions. A step that raises is undone alone; if the commit itself fails, all fail.
    """

    _MOST = 32

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mutex = threading.Lock()
        self._waiting: list[_Slot] = []

    def run(self, step: Callable[[Transaction], T], ahead: Ahead | None) -> T:
        slot = _Slot(step, ahead)
        self._waiting.append(slot)
        with self._mutex:
            while not slot.done:
                group = self._waiting[: self._MOST]
                del self._waiting[: len(group)]  # never by _MOST: another thread may append in between
                self._commit(group)
        if slot.error is not None:
            raise slot.error
        value: T = slot.value
        return value

    def _commit(self, group: list[_Slot]) -> None:
        if len(group) == 1:  # alone: no savepoint, and a deadlock's victim may try again
            slot = group[0]
            try:
                slot.value = self._database.transact(slot.step)
            except BaseException as error:
                slot.error = error
            slot.done = True
            return
        alone: list[_Slot] = []
        try:
            with self._database.write() as tx:
                _lock(tx, [slot.ahead for slot in group if slot.ahead is not None])
                for slot in group:
                    try:
                        with tx.savepoint():
                            slot.value, slot.error = slot.step(tx), None
                    except StoreUnavailable:
                        raise
                    except Exception as error:  # undone alone; whoever asked gets it
                        slot.error = error
                        if not isinstance(error, RingpostError):  # a deadlock's victim may try again, and a bug is its own
                            alone.append(slot)
        except StoreUnavailable as error:
            if _was_victim(error):
                alone = group
            for slot in group:
                slot.error = error
        except Exception:
            alone = group  # what one of them gathered was refused at the end: the others must not suffer for it
        except BaseException as error:
            for slot in group:
                slot.error = error
        for slot in alone:
            self._commit([slot])
        for slot in group:
            slot.done = True


def _lock(tx: Transaction, ahead: list[Ahead]) -> None:
    names: dict[Callable[[Transaction, list[Any]], None], list[Any]] = {}
    for each in ahead:
        names.setdefault(each.lock, []).append(each.name)
    for lock, wanted in names.items():
        lock(tx, wanted)


def _was_victim(error: BaseException) -> bool:
    """Whether PostgreSQL ended this transaction to solve a deadlock: nothing was changed, and again will do."""
    return any(getattr(each, "sqlstate", None) in ("40P01", "40001") for each in (error, error.__cause__))
