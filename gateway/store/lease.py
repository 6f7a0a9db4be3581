"""One gateway per name: a file lock, an advisory lock on PostgreSQL, and a row with an epoch (design.md §1).

The epoch grows with every start; each update past `queued` checks it, so that a gateway that was thought dead writes nothing
more.
"""

import fcntl
import hashlib
import os
import socket
from pathlib import Path
from typing import Any

from gateway.errors import NameTaken
from gateway.store.database import Database


class Lease:
    """The right to be the gateway of this name; held until `give_up` or the end of the process.

    Raises NameTaken naming the holder.
    """

    def __init__(self, database: Database, name: str, state_dir: Path, version: str, now: int) -> None:
        self._database = database
        self.name = name
        self._file = os.open(state_dir / f"gateway-{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        holder = f"{socket.gethostname()} pid {os.getpid()}"
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            complaint = self._complaint(f"{socket.gethostname()} pid {_written(self._file)}")
            os.close(self._file)
            raise NameTaken(complaint) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)
        self._connection: Any = None
        try:
            if database.is_postgresql:
                self._lock_on_server()
            self.epoch = database.transact(lambda tx: _renew(tx, name, holder, version, now))
        except BaseException:
            self.give_up()
            raise

    def _lock_on_server(self) -> None:
        """A session lock on a connection of its own: it ends with the process, wherever that runs."""
        import psycopg

        key = int.from_bytes(hashlib.sha256(f"ringpost gateway {self.name}".encode()).digest()[:8], signed=True)
        self._connection = psycopg.connect(self._database.url, autocommit=True)
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
        if not row[0]:
            with self._database.read() as view:
                holder = view.value("SELECT holder FROM gateway WHERE name = ?", self.name)
            raise NameTaken(self._complaint(holder))

    def _complaint(self, holder: str | None) -> str:
        who = holder or "nobody knows who"
        return f'a gateway named "{self.name}" already runs: {who}. Stop it, or give this one another [gateway] name.'

    def give_up(self) -> None:
        """Let another take the name at once."""
        if self._connection is not None:
            self._connection.close()
        os.close(self._file)


def _written(file: int) -> str:
    return os.pread(file, 32, 0).decode(errors="replace") or "?"


def _renew(tx: Any, name: str, holder: str, version: str, now: int) -> int:
    tx.execute(
        "INSERT INTO gateway (name, epoch, holder, started_at, heartbeat_at, version) VALUES (?, 1, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET epoch = gateway.epoch + 1, holder = excluded.holder,"
        " started_at = excluded.started_at, heartbeat_at = excluded.heartbeat_at, version = excluded.version",
        name,
        holder,
        now,
        now,
        version,
    )
    epoch = int(tx.value("SELECT epoch FROM gateway WHERE name = ?", name))
    tx.audit(now, f"gateway:{name}", "gateway.start", name, {"epoch": epoch})
    return epoch
