"""What comes in: stored raw first, then made into messages and reports.

`store_raw` commits a PDU before it is deleted from the modem; `process` turns stored PDUs into received messages (parts joined,
doubles dropped, keywords obeyed) and status reports. Nothing inbound is lost, doubled or silently cut; what cannot be decoded
stays as a row that says so.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.clock import rfc3339
from gateway.flows import answers, erase, inbox, pleas, stops, threads, usage, usage_days
from gateway.flows.interview_desk import InterviewDesk
from gateway.flows.locks import lock_candidate
from gateway.flows.replies import reply
from gateway.flows.report import apply_report, milliseconds
from gateway.rules.consent import Status
from gateway.rules.intents import Pack
from gateway.rules.keywords import Keyword, Keywords
from gateway.rules.numbers import normalise, tail
from gateway.rules.texts import as_text
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction
from modem.pdu import Deliver, PduError, StatusReport, decode, split_smsc

GROUP_MS = 3_600_000
"""Parts belong together when their service-centre time stamps lie within one hour (design.md §3)."""
PARTIAL_AFTER_MS = 10 * 60_000
"""After this a message with missing parts is shown as it is, marked, and completed in place later."""
_DOUBLE_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Desk:
    """What turning PDUs into messages needs besides the store: the keyword tables and the key that hashes numbers."""

    keywords: Keywords
    hash_number: Callable[[str], str]
    languages_of: Callable[[str | None], tuple[str, ...]]
    """The official languages of a country, by ISO code."""
    intents: Mapping[str, Pack]
    """What replies seem to say, per language."""
    interviews: InterviewDesk


def store_raw(tx: Transaction, *, gateway: str, imei: str, iccid: str, pdu_hex: str, now: int) -> str:
    """Keep a PDU exactly as the modem gave it; its row id. A second copy of one already here is kept as `double`."""
    pdu_hex = pdu_hex.encode("ascii", "backslashreplace").decode().replace("\0", "\\x00")  # garbage must be storable too
    fingerprint = hashlib.sha256(_tpdu_part(pdu_hex).encode()).hexdigest()
    double = tx.one(
        "SELECT 1 AS yes FROM inbound_pdu WHERE fingerprint = ? AND iccid = ? AND received_at > ? LIMIT 1",
        fingerprint,
        iccid,
        now - _DOUBLE_MS,
    )
    row_id = ids.new("pdu")
    tx.insert(
        "inbound_pdu",
        id=row_id,
        gateway=gateway,
        imei=imei,
        iccid=iccid,
        hex=pdu_hex,
        fingerprint=fingerprint,
        state="new" if double is None else "double",
        received_at=now,
    )
    tx.flush()
    return row_id


def _tpdu_part(pdu_hex: str) -> str:
    """The hex without the SMSC address, which may differ between two copies of one message."""
    try:
        return split_smsc(bytes.fromhex(pdu_hex))[1].hex()
    except (PduError, ValueError):
        return pdu_hex.strip().lower()


def pending(database: Database) -> list[str]:
    """Stored PDUs that nobody has looked at yet, oldest first."""
    with database.read() as view:
        return [
            row["id"] for row in view.all("SELECT id FROM inbound_pdu WHERE state = 'new' ORDER BY received_at, id LIMIT 200")
        ]


def process(tx: Transaction, row_id: str, desk: Desk, now: int) -> None:
    """Make of one stored PDU what it is; safe to call again."""
    row = tx.one("SELECT * FROM inbound_pdu WHERE id = ? AND state = 'new'" + tx.for_update, row_id)
    if row is None:
        return
    try:
        _, tpdu = split_smsc(bytes.fromhex(row["hex"]))
        found = decode(tpdu, from_network=True)
    except (PduError, ValueError) as error:
        _mark(tx, row_id, "undecodable", note=str(error)[:200])
        tx.audit(now, "gateway", "inbound.undecodable", row_id)
        return
    if isinstance(found, StatusReport):
        _report(tx, row, found, desk, now)
    elif isinstance(found, Deliver):
        _deliver(tx, row, found, desk, now)
    else:
        _mark(tx, row_id, "undecodable", note="not a message from the network")


def _report(tx: Transaction, row: Row, report: StatusReport, desk: Desk, now: int) -> None:
    if apply_report(tx, row["iccid"], report, now):
        _mark(tx, row["id"], "done")
        return
    own_number = tx.value("SELECT number FROM sender WHERE iccid = ?", row["iccid"])
    if erase.is_erased(tx, desk.hash_number(as_dialled(as_text(report.recipient.number), own_number)), now):
        erase.wipe_pdu(tx, row["id"])
        return
    tx.execute(
        "UPDATE inbound_pdu SET state = 'orphan', tp_mr = ?, address_tail = ? WHERE id = ?",
        report.tp_mr,
        tail(report.recipient.number),
        row["id"],
    )


def _deliver(tx: Transaction, row: Row, deliver: Deliver, desk: Desk, now: int) -> None:
    scts = milliseconds(deliver.sent_at)
    if deliver.concat is None or deliver.concat.total < 2:
        _mark(tx, row["id"], "done")
        _arrived(tx, row, deliver.originator.number, _text_of(deliver), 1, 0, None, scts, desk, now)
        return
    concat = deliver.concat
    base = f"{row['iccid']}|{as_text(deliver.originator.number)}|{concat.reference}|{concat.bits}|{concat.total}"
    group = _group(tx, base, concat.number, scts if scts is not None else now)
    tx.execute(
        "UPDATE inbound_pdu SET state = 'part', group_key = ?, number = ?, total = ?, scts = ? WHERE id = ?",
        group,
        concat.number,
        concat.total,
        scts if scts is not None else now,
        row["id"],
    )
    _join(tx, row, group, concat.total, desk, now)


def _group(tx: Transaction, base: str, number: int, scts: int) -> str:
    """The open group this part belongs to: of those of the same base that lack this number, the nearest in time; else a new one.

    The same number with other content opens a new group: senders reuse references.
    """
    rows = tx.all(
        "SELECT group_key, number, scts FROM inbound_pdu WHERE state = 'part' AND group_key >= ? AND group_key < ?",
        base + "|",
        base + "}",
    )
    groups: dict[str, dict[int, int]] = {}
    for row in rows:
        groups.setdefault(row["group_key"], {})[row["number"]] = row["scts"]
    near = [
        (max(abs(scts - other) for other in times.values()), group)
        for group, times in sorted(groups.items(), reverse=True)
        if number not in times
    ]
    distance, group = min(near, default=(GROUP_MS + 1, ""), key=lambda found: found[0])
    return group if distance <= GROUP_MS else f"{base}|{ids.new('grp')}"


def _join(tx: Transaction, row: Row, group: str, total: int, desk: Desk, now: int) -> None:
    rows = tx.all("SELECT * FROM inbound_pdu WHERE group_key = ? AND state = 'part' ORDER BY number", group)
    shown = tx.one("SELECT * FROM received WHERE group_key = ?", group)
    if len(rows) < total and shown is None:
        return
    text, address, scts = _joined(rows, total)
    missing = total - len(rows)
    if shown is None:
        _arrived(tx, rows[0], address, text, total, missing, group, scts, desk, now)
    else:
        _completed(tx, {**dict(shown), "text": text, "missing": missing}, desk, now)
    if not missing:
        tx.execute("UPDATE inbound_pdu SET state = 'done' WHERE group_key = ? AND state = 'part'", group)


def _joined(rows: list[Row], total: int) -> tuple[str, str, int | None]:
    """Text of the parts in order ("[…]" where one is missing), sender, and the earliest time stamp."""
    pieces: dict[int, str] = {}
    address = ""
    for row in rows:
        deliver = decode(split_smsc(bytes.fromhex(row["hex"]))[1], from_network=True)
        assert isinstance(deliver, Deliver)
        pieces[row["number"]] = _text_of(deliver)
        address = as_text(deliver.originator.number)
    text = "".join(pieces.get(number, "[…]") for number in range(1, total + 1))
    return text, address, min((row["scts"] for row in rows), default=None)


def show_partials(tx: Transaction, desk: Desk, now: int) -> int:
    """Show messages whose missing parts have been waited for long enough, marked as partial. How many."""
    groups = tx.all(
        "SELECT group_key, MAX(total) AS total, MIN(id) AS first FROM inbound_pdu WHERE state = 'part' AND received_at <= ?"
        " AND group_key NOT IN (SELECT group_key FROM received WHERE missing > 0) GROUP BY group_key LIMIT 50",
        now - PARTIAL_AFTER_MS,
    )
    for found in groups:
        rows = tx.all("SELECT * FROM inbound_pdu WHERE group_key = ? AND state = 'part' ORDER BY number", found["group_key"])
        text, address, scts = _joined(rows, found["total"])
        missing = found["total"] - len(rows)
        _arrived(tx, rows[0], address, text, found["total"], missing, found["group_key"], scts, desk, now)
    return len(groups)


def _completed(tx: Transaction, received: dict[str, Any], desk: Desk, now: int) -> None:
    """A message shown in part has got another part: its row is brought up to date, and a keyword in it obeyed at last."""
    address, phone_hash = received["address"], received["phone_hash"]
    candidate = None
    _lock_all(tx, phone_hash)
    if received["candidate_id"] is not None:
        lock_candidate(tx, received["candidate_id"])
        candidate = tx.one("SELECT * FROM candidate WHERE id = ?", received["candidate_id"])
    if not received["missing"] and phone_hash is not None:
        received["keyword"] = _keyword(tx, received["text"], candidate, address, desk, now)
    inbox.reread(tx, desk.intents, desk.languages_of, received, candidate)
    tx.execute(
        "UPDATE received SET text = ?, missing = ?, keyword = ? WHERE id = ?",
        received["text"],
        received["missing"],
        received["keyword"],
        received["id"],
    )
    _tell(tx, received, now)
    if received["keyword"] is not None:
        keyword = Keyword(received["keyword"])
        _obey(tx, keyword, phone_hash, address, received["text"], received["id"], received["iccid"], candidate, now)
    elif phone_hash is not None and not received["missing"] and answers.take(tx, received, desk.interviews, now) is not None:
        threads.answered(tx, received["thread_id"])


def _lock_all(tx: Transaction, phone_hash: str | None) -> None:
    """All who have this number, in id order, before any other lock: a STOP binds every one of them."""
    if phone_hash is not None and tx.for_update:
        tx.all("SELECT id FROM candidate WHERE phone_hash = ? ORDER BY id" + tx.for_update, phone_hash)


def _text_of(deliver: Deliver) -> str:
    """The text, or the octets of a message that has none."""
    return as_text(deliver.text) if deliver.text or not deliver.data else f"[{len(deliver.data)} bytes of data]"


def _arrived(
    tx: Transaction,
    row: Row,
    address: str,
    text: str,
    parts: int,
    missing: int,
    group: str | None,
    scts: int | None,
    desk: Desk,
    now: int,
) -> None:
    """A message is here: whose it is, what its words ask for, and the event that tells it."""
    sender = tx.one("SELECT id, organisation_id, number FROM sender WHERE iccid = ?", row["iccid"])
    address = as_dialled(as_text(address), None if sender is None else sender["number"])
    phone_hash = desk.hash_number(address) if address.startswith("+") else None
    _lock_all(tx, phone_hash)
    candidate = whose(tx, phone_hash, None if sender is None else sender["organisation_id"])
    organisation_id = None
    if candidate is not None:
        organisation_id = candidate["organisation_id"]
    elif sender is not None:
        organisation_id = sender["organisation_id"]
    keyword = None if missing or phone_hash is None else _keyword(tx, text, candidate, address, desk, now)
    received = {
        "id": ids.new("inb"),
        "candidate_id": None if candidate is None else candidate["id"],
        "organisation_id": organisation_id,
        "address": address,
        "phone_hash": phone_hash,
        "iccid": row["iccid"],
        "sender_id": None if sender is None else sender["id"],
        "text": text,
        "parts": parts,
        "missing": missing,
        **usage.answered(tx, candidate, address),
        "group_key": group,
        "keyword": keyword,
        "sent_at": scts,
        "received_at": now,
        **inbox.file(
            tx,
            desk.intents,
            desk.languages_of,
            organisation_id=organisation_id,
            candidate=candidate,
            address=address,
            sender_id=None if sender is None else sender["id"],
            text=text,
            keyword=keyword,
            now=now,
        ),
    }
    tx.insert("received", **received)
    if organisation_id is not None:
        usage_days.changed(tx, organisation_id, now, now)
    tx.flush()
    tx.audit(
        now,
        "network",
        "inbound.keyword" if keyword else "inbound.received",
        str(received["id"]),
        {"keyword": keyword, "parts": parts},
    )
    _tell(tx, received, now)
    if keyword is not None and phone_hash is not None:
        _obey(tx, keyword, phone_hash, address, text, str(received["id"]), row["iccid"], candidate, now)
    elif phone_hash is not None and (missing or answers.take(tx, received, desk.interviews, now) is None):
        pleas.look(tx, received, candidate, desk.keywords, now)
    elif phone_hash is not None:  # an interview answer: the box has answered
        threads.answered(tx, received["thread_id"])


def as_dialled(address: str, own_number: str | None) -> str:
    """The sender in international form; some networks leave the country out, or the plus.

    A short code or a name stays as it is.
    """
    if own_number is None or not address.isascii() or not address.isdigit() or len(address) < 7:
        return address
    for written in (address, "+" + address):
        number = normalise(written, normalise(own_number, None).country)
        if number.state == "ok" and number.e164 is not None:
            return number.e164
    return address


def whose(tx: Transaction, phone_hash: str | None, organisation_id: str | None) -> Row | None:
    """The candidate with this number who was written to last; of the SIM's own organisation before any other's."""
    if phone_hash is None:
        return None
    return tx.one(
        "SELECT c.* FROM candidate c WHERE c.phone_hash = ? AND c.erased_at IS NULL"
        " ORDER BY CASE WHEN c.organisation_id = ? THEN 0 ELSE 1 END,"
        " COALESCE((SELECT MAX(m.accepted_at) FROM message m WHERE m.candidate_id = c.id), 0) DESC, c.id DESC LIMIT 1",
        phone_hash,
        organisation_id,
    )


def _keyword(tx: Transaction, text: str, candidate: Row | None, address: str, desk: Desk, now: int) -> Keyword | None:
    pending_opt_in = False
    languages: list[str] = []
    country = normalise(address, None).country
    if candidate is not None:
        pending_opt_in = (
            tx.one(
                "SELECT 1 AS yes FROM consent a WHERE a.candidate_id = ? AND a.phone_hash = ? AND a.status = ?"
                " AND NOT EXISTS (SELECT 1 FROM consent b"
                " WHERE b.candidate_id = a.candidate_id AND b.channel = a.channel AND b.purpose = a.purpose"
                " AND b.phone_hash = a.phone_hash AND b.version > a.version) LIMIT 1",
                candidate["id"],
                candidate["phone_hash"],
                Status.PENDING,
            )
            is not None
        )
        languages = [(candidate["language"] or "").lower().replace("_", "-").split("-")[0]]
        country = candidate["country"] or country
    languages += desk.languages_of(country)
    return pleas.words(tx, desk.keywords, candidate).match(
        text,
        languages,
        pending=pending_opt_in,
        answer_awaited=candidate is not None and answers.is_awaited(tx, candidate["phone_hash"], now),
        plus_one=address.startswith("+1"),
    )


def _obey(
    tx: Transaction,
    keyword: Keyword,
    phone_hash: str,
    phone: str,
    raw: str,
    received_id: str,
    iccid: str,
    candidate: Row | None,
    now: int,
) -> None:
    if keyword is Keyword.HELP:
        reply(tx, "help", phone=phone, candidate=candidate, iccid=iccid, now=now)
        return
    act = stops.stop if keyword is Keyword.STOP else stops.start
    act(tx, phone_hash=phone_hash, phone=phone, channel="sms", raw=raw, received_id=received_id, iccid=iccid, now=now)


def _tell(tx: Transaction, received: dict[str, object], now: int) -> None:
    data = {
        "received_id": received["id"],
        "candidate_id": received["candidate_id"],
        "from": received["address"],
        "text": received["text"],
        "parts": received["parts"],
        "complete": not received["missing"],
        "keyword": received["keyword"],
        "received_at": rfc3339(now),
        **inbox.told(tx, received),
    }
    organisation_id = received["organisation_id"]
    tx.event(
        now,
        None if organisation_id is None else str(organisation_id),
        "message.received",
        str(received["candidate_id"] or received["id"]),
        data,
    )


def _mark(tx: Transaction, row_id: str, state: str, *, note: str | None = None) -> None:
    tx.execute("UPDATE inbound_pdu SET state = ?, note = ? WHERE id = ?", state, note, row_id)
