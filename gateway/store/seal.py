"""Positions and the audit chain: what makes "everything after position n" and "nothing was changed" true.

On SQLite a transaction seals its own rows, for there is one writer at a time. On PostgreSQL transactions commit in any
order, so rows come without a position, and whoever holds the advisory lock gives it afterwards: gapless, in the order
of their serial numbers, which within one stream is the order of its events: its transactions lock the same row.
"""

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gateway.store.database import GENESIS, Database, Row, Transaction, View, chain_hash

log = logging.getLogger(__name__)

LOCK = 0x52_50_5345_414C  # "RPSEAL"
EVERY_S = 0.7
_PAGE = 1000


def seal(database: Database) -> int:
    """Give positions to audit rows and events that have none; how many rows got one.

    Nothing to do on SQLite. Returns 0 as well while another process seals.
    """
    if not database.is_postgresql:
        return 0
    sealed = 0
    while _something_unsealed(database):
        step = database.transact(_seal_page)
        sealed += step
        if step == 0:
            break
    return sealed


def keep_sealing(database: Database, stop: threading.Event, sealed: Callable[[], None]) -> None:
    """A thread of the gateway on PostgreSQL: seal within a second of every commit, then call `sealed`.

    Returns at once on SQLite. A lost server is waited for; the thread's connection is closed at the end.
    """
    try:
        while database.is_postgresql and not stop.is_set():
            try:
                if seal(database):
                    sealed()
            except Exception:  # a restarting server must not end the thread; rows wait unsealed until it is back
                log.exception("sealing failed, trying again")
            stop.wait(EVERY_S)
    finally:
        database.close()


def _something_unsealed(database: Database) -> bool:
    with database.read() as view:
        return bool(
            view.value(
                "SELECT EXISTS (SELECT 1 FROM event WHERE position IS NULL)"
                " OR EXISTS (SELECT 1 FROM audit WHERE position IS NULL)"
            )
        )


def _seal_page(tx: Transaction) -> int:
    # The lock ends with the transaction, after its rows are visible, so the next holder starts where this one stopped.
    if not tx.value("SELECT pg_try_advisory_xact_lock(?)", LOCK):
        return 0
    return _seal_events(tx) + _seal_audit(tx)


def _seal_events(tx: Transaction) -> int:
    start = tx.value("SELECT MAX(position) FROM event") or 0
    return tx.execute(
        "UPDATE event SET position = fresh.position FROM ("
        " SELECT serial, ? + row_number() OVER (ORDER BY serial) AS position FROM ("
        "  SELECT serial FROM event WHERE position IS NULL ORDER BY serial LIMIT ?) AS page) AS fresh"
        " WHERE event.serial = fresh.serial",
        start,
        _PAGE,
    )


def _seal_audit(tx: Transaction) -> int:
    rows = tx.all(
        "SELECT serial, at, actor, action, subject, data, private_mac FROM audit WHERE position IS NULL ORDER BY serial LIMIT ?",
        _PAGE,
    )
    if not rows:
        return 0
    last = tx.one("SELECT position, hash FROM audit WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1")
    position, link = (0, GENESIS) if last is None else (int(last["position"]), str(last["hash"]))
    serials, positions, links = [], [], []
    for row in rows:
        position += 1
        link = _link(link, position, row)
        serials.append(row["serial"])
        positions.append(position)
        links.append(link)
    return tx.execute(
        "UPDATE audit SET position = fresh.position, hash = fresh.hash"
        " FROM unnest(?::bigint[], ?::bigint[], ?::text[]) AS fresh(serial, position, hash)"
        " WHERE audit.serial = fresh.serial",
        serials,
        positions,
        links,
    )


@dataclass(frozen=True)
class BrokenLink:
    """The first place where the audit chain does not hold."""

    position: int
    reason: str


def verify(view: View, *, position: int = 0, link: str = GENESIS) -> BrokenLink | None:
    """Walk the audit chain as `walk` does; the first broken link, or None."""
    return next((step for step in walk(view, position=position, link=link) if isinstance(step, BrokenLink)), None)


def walk(view: View, *, position: int = 0, link: str = GENESIS) -> Iterator[int | BrokenLink]:
    """Walk the audit chain from after `position`, whose hash was `link`: how far it holds, time and again, or where it breaks.

    Also compares each personal value that has not been erased with its HMAC. Rows that have no position yet are not
    part of the chain. A chain cut off at its end still holds: only a hash kept elsewhere shows that.
    """
    while True:
        rows = view.all(
            "SELECT position, at, actor, action, subject, data, private_mac, hash FROM audit"
            " WHERE position > ? ORDER BY position LIMIT ?",
            position,
            _PAGE,
        )
        for row in rows:
            position += 1
            broken = _broken(view, row, position, link)
            if broken is not None:
                yield BrokenLink(position, broken)
                return
            link = row["hash"]
        yield position
        if len(rows) < _PAGE:
            return


def _broken(view: View, row: Row, position: int, before: str) -> str | None:
    if row["position"] != position:
        return f"row {position} is missing"
    if row["hash"] != _link(before, position, row):
        return f"row {position} or its hash was changed"
    if row["private_mac"] is not None and not _private_holds(view, row):
        return f"the personal value of row {position} was changed"
    return None


def _private_holds(view: View, row: Row) -> bool:
    kept = view.all(
        "SELECT p.value, s.salt FROM audit_private p JOIN subject_salt s ON s.subject = p.subject"
        " WHERE p.subject = ? AND p.mac = ?",
        row["subject"],
        row["private_mac"],
    )
    return all(
        hmac.new(bytes.fromhex(entry["salt"]), entry["value"].encode(), hashlib.sha256).hexdigest() == row["private_mac"]
        for entry in kept
    )


def _link(before: str, position: int, row: Row) -> str:
    return chain_hash(before, position, row["at"], row["actor"], row["action"], row["subject"], row["data"], row["private_mac"])
