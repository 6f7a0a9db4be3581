"""What the gateway writes down about its modems and SIM cards, and what it finds left over at a start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.flows import budgets
from gateway.flows.claim import FIRST_OF_THEIRS, check_epoch
from gateway.flows.endings import locked_message
from gateway.flows.settle import requeue
from gateway.rules.lifecycle import State
from gateway.store import ids
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True)
class SimMemory:
    """What is remembered of a card between starts."""

    smss_imei: str
    smss_streak: int
    slowest_ms: int
    pin_refused: bool


def modem_id(tx: Transaction, gateway: str, name: str, now: int) -> str:
    """The row of a configured modem, made when it is first seen."""
    found = tx.value("SELECT id FROM modem WHERE gateway = ? AND name = ?", gateway, name)
    if found is not None:
        return str(found)
    new = ids.new("mdm")
    tx.insert("modem", id=new, gateway=gateway, name=name, state="starting", seen_at=now)
    tx.flush()
    return new


def set_modem(tx: Transaction, gateway: str, name: str, now: int, **columns: Any) -> None:
    """Update a modem's row; a changed state is audited and told as `modem.state`."""
    row_id = modem_id(tx, gateway, name, now)
    before = tx.one("SELECT state, reason FROM modem WHERE id = ?", row_id)
    assert before is not None
    sets = ", ".join(f"{column} = ?" for column in columns)
    tx.execute(f"UPDATE modem SET {sets} WHERE id = ?", *columns.values(), row_id)
    if "state" in columns and columns["state"] != before["state"]:
        data = {"modem": name, "gateway": gateway, "state": columns["state"], "reason": columns.get("reason", "")}
        tx.audit(now, f"gateway:{gateway}", "modem.state", row_id, data)
        for organisation in tx.all("SELECT id FROM organisation WHERE parent_id IS NULL"):
            tx.event(now, organisation["id"], "modem.state", row_id, {"modem_id": row_id, **data})


def publish_key(tx: Transaction, gateway: str, public: str) -> None:
    """Let pages seal PINs for this gateway. With another key than before, PINs given on pages are worth nothing any more."""
    if tx.value("SELECT pin_key FROM gateway WHERE name = ?", gateway) != public:
        tx.execute("UPDATE gateway SET pin_key = ? WHERE name = ?", public, gateway)
        tx.execute("DELETE FROM sim_pin WHERE gateway = ?", gateway)


def forget_absent(tx: Transaction, gateway: str, names: list[str], now: int) -> None:
    """Modems that left the configuration hold no SIM any more."""
    for row in tx.all("SELECT name FROM modem WHERE gateway = ? AND state <> 'removed'", gateway):
        if row["name"] not in names:
            set_modem(tx, gateway, row["name"], now, state="removed", reason="not configured", iccid="")


def sim_memory(view: View, iccid: str) -> SimMemory:
    """What is known of a card; nothing at first."""
    row = view.one("SELECT * FROM sim WHERE iccid = ?", iccid)
    if row is None:
        return SimMemory("", 0, 0, False)
    return SimMemory(row["smss_imei"], row["smss_streak"], row["slowest_ms"], bool(row["pin_refused"]))


def sim_seen(tx: Transaction, iccid: str, imsi: str, now: int) -> None:
    """A card is in a modem."""
    tx.execute(
        "INSERT INTO sim (iccid, imsi, seen_at) VALUES (?, ?, ?) ON CONFLICT (iccid) DO UPDATE SET imsi = excluded.imsi,"
        " seen_at = excluded.seen_at",
        iccid,
        imsi,
        now,
    )


def remember_sim(tx: Transaction, iccid: str, **columns: Any) -> None:
    """Update what is kept of a card."""
    sets = ", ".join(f"{column} = ?" for column in columns)
    tx.execute(f"UPDATE sim SET {sets} WHERE iccid = ?", *columns.values(), iccid)


def bind_sender(tx: Transaction, iccid: str, modems: int, now: int) -> list[Row]:
    """The sender numbers on this card; while one modem is present, a sender without a card is bound to it."""
    senders = tx.all("SELECT * FROM sender WHERE iccid = ? AND active = 1", iccid)
    if not senders and modems == 1:
        loose = tx.all("SELECT * FROM sender WHERE iccid IS NULL AND active = 1")
        if len(loose) == 1:
            bound = "UPDATE sender SET iccid = ?, updated_at = ? WHERE id = ? AND iccid IS NULL"
            if not tx.execute(bound, iccid, now, loose[0]["id"]):
                return []  # another gateway's card was faster
            tx.audit(now, "gateway", "sender.bind", loose[0]["id"], {"iccid_tail": iccid[-4:]})
            senders = tx.all("SELECT * FROM sender WHERE iccid = ?", iccid)
    return senders


def requeue_strays(tx: Transaction, gateway: str, epoch: int, modem: str, now: int) -> int:
    """Messages left in `sending` with no part on the air: a start puts them back. How many."""
    check_epoch(tx, gateway, epoch)
    strays = tx.all(
        "SELECT m.id FROM message m WHERE m.state = 'sending' AND m.gateway = ? AND m.modem = ? AND NOT EXISTS"
        " (SELECT 1 FROM part p WHERE p.message_id = m.id AND p.state = 'submitting')",
        gateway,
        modem,
    )
    for stray in strays:
        message = locked_message(tx, stray["id"])
        if message["state"] == State.SENDING:
            requeue(tx, message, now)
    return len(strays)


_SOONEST = (
    "SELECT m.due_at FROM message m WHERE m.state = 'queued' AND m.sender_id = ? AND m.lane = ?"
    f"{FIRST_OF_THEIRS} ORDER BY m.due_at, m.id LIMIT 1"
)


def next_due(view: View, sender_ids: tuple[str, ...]) -> int | None:
    """When the next message of these senders that stands behind no other is due, in ms; None when none waits."""
    soonest: int | None = None
    for sender_id in sender_ids:
        for lane in (0, 1, 2):
            due = view.value(_SOONEST, sender_id, lane)
            if due is not None and (soonest is None or due < soonest):
                soonest = due
    return None if soonest is None else max(soonest, budgets.free_at(view, sender_ids))


def pacing(senders: Sequence[Row]) -> tuple[int, int]:
    """The least time between two messages of a card, and how much chance adds to it at most, in ms."""
    pairs = ((row["gap_ms"], row["gap_ms"] // 4 if row["jitter_ms"] is None else row["jitter_ms"]) for row in senders)
    return max(pairs, default=(0, 0))


def is_parked(view: View, gateway: str, name: str) -> bool:
    """Whether a person has told this modem to send nothing."""
    return bool(view.value("SELECT parked FROM modem WHERE gateway = ? AND name = ?", gateway, name))


def beat(tx: Transaction, gateway: str, epoch: int, now: int) -> None:
    """The gateway is alive; raises LeaseLost when another took over."""
    check_epoch(tx, gateway, epoch)
    tx.execute("UPDATE gateway SET heartbeat_at = ? WHERE name = ?", now, gateway)


def park(tx: Transaction, gateway: str, name: str, reason: str, now: int) -> None:
    """The card refuses to send: nothing more through this modem until a person has looked; its messages keep waiting."""
    set_modem(tx, gateway, name, now, parked=1, reason=reason)
    row_id = modem_id(tx, gateway, name, now)
    tx.audit(now, f"gateway:{gateway}", "modem.park", row_id, {"reason": reason})
