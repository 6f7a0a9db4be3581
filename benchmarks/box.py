"""A box to measure: a `Site` of the whole-process tests, filled with candidates, and what /proc tells of its processes."""

import json
import os
import socket
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway import config as configs
from gateway.flows.accept import Accepted, submit
from gateway.flows.candidates import CandidateFields, put_candidate
from gateway.flows.companions import introduced
from gateway.flows.consents import ConsentPush, push_consent
from gateway.store import schema, setup
from tests.office import EVIDENCE, PHONE_KEY, Office, open_office
from tests.processes import Program, Site, until

TEXT = "Hej Kim! Har du tid för ett samtal om jobbet på torsdag? Hälsningar Eva, Acme"
CANDIDATES = 1_000
PAGE_SIZE: int | None = None
"""Another page size of SQLite, for experiments (`--page-size`)."""


def now_ms() -> int:
    """Wall time."""
    return time.time_ns() // 1_000_000


class Box(Site):
    """A site with `CANDIDATES` people who have opted in, credits without end, and a key that may do everything."""

    def __init__(self, directory: Path, *, sticks: int = 1, processes: int = 1, candidates: int = CANDIDATES) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory, sticks=sticks)
        if processes > 1:
            self.config.write_text(self.config.read_text().replace('tls = "off"', f'tls = "off"\nprocesses = {processes}'))
        settings = configs.load(self.config)
        schema.choose_engine(settings)
        setup.prepare(settings, self.store, test=True)
        if PAGE_SIZE is not None:
            self._repage(PAGE_SIZE)
        self.office: Office = open_office(self.store, balance=1_000_000_000)
        self.office.now = now_ms()
        self.refs = self._fill(candidates)
        with self.store.write() as tx:
            _, self.key = setup.create_key(tx, self.office.organisation_id, "bench", ("*",), "cli:bench", self.office.now)
        self._drip = 0

    def _repage(self, size: int) -> None:
        self.store.close()
        with closing(sqlite3.connect(self.database_url, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = delete")
            connection.execute(f"PRAGMA page_size = {size}")
            connection.execute("VACUUM")
            connection.execute("PRAGMA journal_mode = wal")

    def _fill(self, count: int) -> list[str]:
        office, refs = self.office, [f"many-{number}" for number in range(count)]
        push = ConsentPush(status="granted", captured_at=office.now, evidence=EVIDENCE)
        with self.store.write() as tx:
            for number, ref in enumerate(refs):
                fields = CandidateFields(first_name="Kim", last_name="Berg", phone_raw=f"+4670174{number:04d}", language="sv")
                row = put_candidate(tx, office.organisation_id, ref, fields, "key:bench", office.now, phone_key=PHONE_KEY)
                tx.flush()
                push_consent(tx, office.organisation_id, ref, "sms", push, "key:bench", office.now)
                introduced(tx, row["id"], office.sender_id, f"case:{office.case_id}", row["phone_hash"], office.now)
        return refs

    # Setting up.

    def bind_senders(self) -> None:
        """One sender number per stick; waiting messages are spread over them evenly."""
        cards = [stick.iccid for stick in self.sticks]
        with self.store.write() as tx:
            senders = self.office.senders_on(tx, cards)
            for number, row in enumerate(tx.all("SELECT id FROM message WHERE state = 'queued' ORDER BY id")):
                tx.execute("UPDATE message SET sender_id = ? WHERE id = ?", senders[number % len(senders)], row["id"])

    def queue(self, count: int) -> None:
        """Accept messages past the web, each to another candidate."""
        with self.store.write() as tx:
            for _ in range(count):
                made = submit(tx, self.office.submission(self._next_ref(), TEXT), now_ms())
                assert isinstance(made, Accepted), made

    def _next_ref(self) -> str:
        self._drip += 1
        return self.refs[self._drip % len(self.refs)]

    def body(self) -> dict[str, str]:
        """A message that is accepted."""
        return {
            "user": "eva@acme.example",
            "candidate_ref": self._next_ref(),
            "case_ref": "job-7",
            "kind": "contact",
            "text": TEXT,
        }

    # Looking.

    def count(self, *states: str) -> int:
        """How many messages there are in these states (none given: in all)."""
        where = f" WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        with self.store.read() as view:
            return int(view.value(f"SELECT COUNT(*) AS n FROM message{where}", *states))

    def wait_delivered(self, count: int, *, timeout_s: float = 60.0) -> None:
        """Until so many messages are delivered."""
        until(lambda: self.count("delivered") >= count, timeout_s=timeout_s, about=f"{count} delivered", every_s=0.05)

    def wait_ready(self) -> None:
        """Until the web says that a message sent now would go out."""
        until(lambda: self.get("/readyz")[0] == 200, about="/readyz")

    def checkpoint(self) -> int:
        """Bring the log into the database file now; the bytes that wrote."""
        before = written(os.getpid())
        with closing(sqlite3.connect(self.database_url, timeout=10)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return written(os.getpid()) - before


class Client:
    """One keep-alive connection that knows when an answer came, by CLOCK_MONOTONIC."""

    def __init__(self, box: Box) -> None:
        self._socket = socket.create_connection(("127.0.0.1", box.port), 20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._key = box.key

    def post(self, path: str, body: Any) -> tuple[int, float, float]:
        """POST; the status, when it was sent and when the whole answer was here."""
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._key}\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: {os.urandom(12).hex()}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        sent = time.monotonic()
        self._socket.sendall(head.encode() + content)
        answer = b""
        while True:
            chunk = self._socket.recv(65536)
            came = time.monotonic()
            if not chunk:
                raise ConnectionError(f"closed after {answer[:200]!r}")
            answer += chunk
            head_bytes, gap, rest = answer.partition(b"\r\n\r\n")
            if gap and len(rest) >= _length(head_bytes):
                return int(answer[9:12]), sent, came

    def close(self) -> None:
        self._socket.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


# What /proc tells.


def family(program: Program) -> list[int]:
    """A program and the processes it started."""
    found = [program.pid]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """CPU time used so far, all threads, ended ones too (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def written(*pids: int) -> int:
    """Bytes that these processes caused to be written to the disk (proc(5), io: write_bytes)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                total += int(line.split()[1])
    return total


def pss_mib(pids: Sequence[int]) -> float:
    """Proportional set size: shared pages count by their share (proc(5), smaps_rollup)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024
