"""What the admin pages show, read in one go each: messages, modems.

Lists are paged by key, newest first (`before` is the last key of the page above), never by OFFSET. Knows nothing of
words, colours or time zones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.rules.lifecycle import State
from gateway.store import lists_messages
from gateway.store.database import Row, View

STALE_MS: Final = 45_000
"""A gateway writes its gauges every 10 s."""
CANCELLABLE: Final = frozenset({State.HELD, State.QUEUED})
"""States in which a message can be cancelled; by the time somebody presses the button it may be too late."""


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message in a list."""

    id: str
    candidate: str
    candidate_ref: str
    text: str
    kind: str
    origin: str
    state: str
    hold_reason: str | None
    not_before: int | None
    parts: int
    credits: int
    accepted_at: int


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page of messages; `older` is the key to ask the next page with."""

    lines: list[MessageLine]
    older: str | None


@dataclass(frozen=True, slots=True)
class PartLine:
    """One part of a message."""

    number: int
    total: int
    text: str
    alphabet: str
    state: str
    attempt: int
    modem: str | None
    submitted_at: int | None
    sent_at: int | None
    reported_at: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a message: a code such as `accepted` or `part_sent`, and which part."""

    at: int
    what: str
    part: int | None = None


@dataclass(frozen=True, slots=True)
class MessageDetail:
    """A message with all there is to show of it."""

    id: str
    candidate: str
    candidate_ref: str
    address: str
    case_title: str | None
    case_ref: str | None
    author: str | None
    sender: str | None
    country: str
    channel: str
    kind: str
    origin: str
    state: str
    hold_reason: str | None
    not_before: int | None
    alphabet: str
    credits: int
    attempts: int
    error: str | None
    modem: str | None
    client_ref: str | None
    valid_until: int
    accepted_at: int
    parts: list[PartLine]
    timeline: list[Moment]

    @property
    def text(self) -> str:
        """The whole text, as the candidate reads it."""
        return "".join(part.text for part in self.parts)

    @property
    def may_be_cancelled(self) -> bool:
        """Whether asking to cancel makes sense."""
        return self.state in CANCELLABLE


@dataclass(frozen=True, slots=True)
class ModemLine:
    """A stick with its SIM and sender number; `heartbeat_at` is its gateway's last sign of life."""

    id: str
    gateway: str
    name: str
    port: str
    imei: str
    iccid: str
    manufacturer: str
    model: str
    state: str
    reason: str
    operator: str
    registration: str
    technology: str
    signal_dbm: int | None
    storage_used: int | None
    storage_total: int | None
    parked: bool
    sender: str | None
    seen_at: int | None
    sent_at: int | None
    heartbeat_at: int | None

    def is_stale(self, now: int) -> bool:
        """Whether its gateway has been silent for so long that nothing here can be believed."""
        return self.heartbeat_at is None or now - self.heartbeat_at > STALE_MS


def messages(
    view: View,
    organisation_id: str,
    *,
    member: str | None,
    states: Sequence[State] = (),
    before: str | None = None,
    limit: int = 50,
) -> MessagePage:
    """The newest messages before `before`; with `member`, only that person's own and those of their hiring teams."""
    found = lists_messages.newest(view, organisation_id, states=states, member=member, before=before, limit=limit + 1)
    rows = view.all(
        "SELECT m.id, m.kind, m.origin, m.state, m.hold_reason, m.not_before, m.parts, m.credits, m.accepted_at,"
        " m.address, c.first_name, c.last_name, c.ref, p.text"
        " FROM message m LEFT JOIN candidate c ON c.id = m.candidate_id"
        " LEFT JOIN part p ON p.message_id = m.id AND p.number = 1"
        f" WHERE m.id IN ({', '.join('?' * len(found)) or 'NULL'}) ORDER BY m.id DESC",
        *found,
    )
    lines = [
        MessageLine(
            id=row["id"],
            candidate=_name(row),
            candidate_ref=row["ref"] or "",
            text=row["text"] or "",
            kind=row["kind"],
            origin=row["origin"],
            state=row["state"],
            hold_reason=row["hold_reason"],
            not_before=row["not_before"],
            parts=row["parts"],
            credits=row["credits"],
            accepted_at=row["accepted_at"],
        )
        for row in rows[:limit]
    ]
    return MessagePage(lines, lines[-1].id if len(rows) > limit else None)


def message_is_visible(view: View, organisation_id: str, message_id: str, *, member: str | None) -> bool:
    """Whether this message exists and belongs to what the person may see."""
    where, values = _scope(organisation_id, member)
    return view.one(f"SELECT 1 AS found FROM message m WHERE {where} AND m.id = ?", *values, message_id) is not None


def message(view: View, organisation_id: str, message_id: str, *, member: str | None) -> MessageDetail | None:
    """One message with its parts and what happened to it; None where there is none or the person may not see it."""
    where, values = _scope(organisation_id, member)
    row = view.one(
        "SELECT m.*, c.first_name, c.last_name, c.ref, k.title AS case_title, k.ref AS case_ref, u.name AS author,"
        " s.number AS sender"
        " FROM message m LEFT JOIN candidate c ON c.id = m.candidate_id LEFT JOIN hiring_case k ON k.id = m.case_id"
        " LEFT JOIN app_user u ON u.id = m.user_id LEFT JOIN sender s ON s.id = m.sender_id"
        f" WHERE {where} AND m.id = ?",
        *values,
        message_id,
    )
    if row is None:
        return None
    parts = [
        PartLine(
            number=part["number"],
            total=part["total"],
            text=part["text"],
            alphabet=part["alphabet"],
            state=part["state"],
            attempt=part["attempt"],
            modem=part["modem"],
            submitted_at=part["submitted_at"],
            sent_at=part["sent_at"],
            reported_at=part["reported_at"],
            error=part["error"],
        )
        for part in view.all("SELECT * FROM part WHERE message_id = ? ORDER BY number", message_id)
    ]
    return MessageDetail(
        id=row["id"],
        candidate=_name(row),
        candidate_ref=row["ref"] or "",
        address=row["address"],
        case_title=row["case_title"],
        case_ref=row["case_ref"],
        author=row["author"],
        sender=row["sender"],
        country=row["country"],
        channel=row["channel"],
        kind=row["kind"],
        origin=row["origin"],
        state=row["state"],
        hold_reason=row["hold_reason"],
        not_before=row["not_before"],
        alphabet=row["alphabet"],
        credits=row["credits"],
        attempts=row["attempts"],
        error=row["error"],
        modem=row["modem"],
        client_ref=row["client_ref"],
        valid_until=row["valid_until"],
        accepted_at=row["accepted_at"],
        parts=parts,
        timeline=_timeline(row, parts),
    )


def _timeline(row: Row, parts: Iterable[PartLine]) -> list[Moment]:
    """From the stamps of message and parts, oldest first."""
    moments = [Moment(row["accepted_at"], "accepted")]
    for part in parts:
        number = part.number if part.total > 1 else None
        if part.submitted_at is not None:
            moments.append(Moment(part.submitted_at, "part_submitted", number))
        if part.sent_at is not None:
            moments.append(Moment(part.sent_at, "part_sent", number))
        if part.reported_at is not None:
            what = part.state if part.state in ("delivered", "undelivered") else "reported"
            moments.append(Moment(part.reported_at, f"part_{what}", number))
    if row["done_at"] is not None and row["state"] not in ("sent", "delivered", "undelivered"):
        moments.append(Moment(row["done_at"], row["state"]))
    if row["settled_at"] is not None:
        moments.append(Moment(row["settled_at"], "settled"))
    return sorted(moments, key=lambda moment: moment.at)


def modems(view: View) -> list[ModemLine]:
    """Every configured stick of every gateway on this store."""
    rows = view.all(
        "SELECT m.*, s.number AS sender, g.heartbeat_at FROM modem m"
        " LEFT JOIN sender s ON s.iccid = m.iccid AND m.iccid <> '' LEFT JOIN gateway g ON g.name = m.gateway"
        " WHERE m.state <> 'removed' ORDER BY m.gateway, m.name"
    )
    return [
        ModemLine(
            id=row["id"],
            gateway=row["gateway"],
            name=row["name"],
            port=row["port"],
            imei=row["imei"],
            iccid=row["iccid"],
            manufacturer=row["manufacturer"],
            model=row["model"],
            state=row["state"],
            reason=row["reason"],
            operator=row["operator"],
            registration=row["registration"],
            technology=row["technology"],
            signal_dbm=row["signal_dbm"],
            storage_used=row["storage_used"],
            storage_total=row["storage_total"],
            parked=bool(row["parked"]),
            sender=row["sender"],
            seen_at=row["seen_at"],
            sent_at=row["sent_at"],
            heartbeat_at=row["heartbeat_at"],
        )
        for row in rows
    ]


def _scope(organisation_id: str, member: str | None) -> tuple[str, list[str]]:
    if member is None:
        return "m.organisation_id = ?", [organisation_id]
    return (
        "m.organisation_id = ? AND (m.user_id = ? OR m.case_id IN (SELECT case_id FROM case_member WHERE user_id = ?))",
        [organisation_id, member, member],
    )


def _name(row: Row) -> str:
    full = f"{row['first_name'] or ''} {row['last_name'] or ''}".strip()
    return full or row["ref"] or row["address"]
