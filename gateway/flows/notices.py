"""Notices of replies by e-mail, for whoever has asked for them: at once or as a daily digest, never with what was written (S24).

A notice is a row per user and thread, so that ten replies make one line; what has been read meanwhile is not told any more.
`gather` turns due rows into mails, one per user, through whatever queue of mails it is given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway import keys
from gateway.errors import Refused
from gateway.flows.facts import find_user
from gateway.store import ids
from gateway.store.database import Database, Row, Transaction, View, compact

WISHES = ("off", "at_once", "daily")
DIGEST_HOUR = 8
"""When the daily digest leaves, in the organisation's zone."""
GIVE_UP_MS = 24 * 3_600_000
"""A notice a day late is no notice."""
_MOST = 100


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to a user of the box: about replies, without a word of them."""

    organisation_id: str
    user_id: str
    address: str
    title: str
    text: str


Send = Callable[[Transaction, Letter, int], None]
"""Queues a mail in the transaction it is given."""


def wish_of(view: View, user_id: str) -> str:
    """What a user wants to be told of replies; nothing until they ask."""
    return str(view.value("SELECT replies FROM notice_wish WHERE user_id = ?", user_id) or "off")


def wish(tx: Transaction, organisation_id: str, user: str, replies: str, actor: str, now: int) -> Row:
    """Set a user's preference; the user. Raises Refused `user_not_found`, `unknown_choice`."""
    if replies not in WISHES:
        raise Refused("unknown_choice", 422, f"replies must be one of {', '.join(WISHES)}.", field="replies")
    found = find_user(tx, organisation_id, user)
    before = wish_of(tx, found["id"])
    if before != replies:
        tx.execute(
            "INSERT INTO notice_wish (user_id, replies, updated_at) VALUES (?, ?, ?) ON CONFLICT (user_id)"
            " DO UPDATE SET replies = excluded.replies, updated_at = excluded.updated_at",
            found["id"],
            replies,
            now,
        )
        tx.execute("DELETE FROM notice WHERE user_id = ?", found["id"])
        tx.audit(now, actor, "user.update", found["id"], {"notices": {"from": before, "to": replies}})
    return found


def note(tx: Transaction, thread_id: str, now: int) -> None:
    """A reply has come in: remember to tell whose thread it is, if they have asked for that."""
    row = tx.one(
        "SELECT t.heard, w.user_id, w.replies, o.zone FROM thread t"
        " JOIN notice_wish w ON w.user_id = COALESCE(t.assignee_id, t.author_id) AND w.replies <> 'off'"
        " JOIN app_user u ON u.id = w.user_id AND u.active = 1 JOIN organisation o ON o.id = t.organisation_id WHERE t.id = ?",
        thread_id,
    )
    if row is None:
        return
    tx.execute(
        "INSERT INTO notice (id, user_id, thread_id, replies, place, due_at, created_at) VALUES (?, ?, ?, 1, ?, ?, ?)"
        " ON CONFLICT (user_id, thread_id) DO UPDATE SET replies = notice.replies + 1, place = excluded.place",
        ids.new("ntc"),
        row["user_id"],
        thread_id,
        row["heard"],
        now if row["replies"] == "at_once" else next_digest(now, row["zone"]),
        now,
    )


def next_digest(now: int, zone: str) -> int:
    """When the next daily digest leaves, in ms."""
    here = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(zone))
    at = here.replace(hour=DIGEST_HOUR, minute=0, second=0, microsecond=0)
    if at <= here:
        at = (here + timedelta(days=1)).replace(hour=DIGEST_HOUR, minute=0, second=0, microsecond=0)
    return int(at.timestamp() * 1000)


def is_due(view: View, now: int) -> bool:
    """Whether `gather` would find anything."""
    return view.one("SELECT 1 AS yes FROM notice WHERE due_at <= ? LIMIT 1", now) is not None


def gather(tx: Transaction, send: Send, link: str | None, now: int) -> int:
    """Turn the notices that are due into mails, one per user; how many. `link` is the address of the pages, where known."""
    rows = tx.all(
        "SELECT n.*, u.email, u.organisation_id, u.active, k.title, t.pool_ref, COALESCE(r.place, 0) AS seen FROM notice n"
        " JOIN app_user u ON u.id = n.user_id JOIN thread t ON t.id = n.thread_id LEFT JOIN hiring_case k ON k.id = t.case_id"
        " LEFT JOIN read_mark r ON r.thread_id = n.thread_id AND r.user_id = n.user_id"
        " WHERE n.due_at <= ? ORDER BY n.user_id, n.created_at LIMIT ?",
        now,
        _MOST,
    )
    unread: dict[str, list[Row]] = {}
    for row in rows:
        tx.execute("DELETE FROM notice WHERE id = ?", row["id"])
        if row["active"] and row["place"] > row["seen"]:
            unread.setdefault(row["user_id"], []).append(row)
    for found in unread.values():
        send(tx, _letter(found, link), now)
    return len(unread)


def _letter(rows: list[Row], link: str | None) -> Letter:
    """One mail about some threads: how many replies, in which case; who wrote and what is for the box to show."""
    count = sum(row["replies"] for row in rows)
    lines = [f"- {row['title'] or row['pool_ref'] or 'unassigned inbox'}: {_replies(row['replies'])}" for row in rows]
    where = f"\nRead and answer them here: {link.rstrip('/')}/admin/inbox\n" if link else ""
    text = (
        f"Candidates have answered.\n\n{chr(10).join(lines)}\n{where}\nThe messages themselves never leave the box by e-mail.\n"
    )
    return Letter(rows[0]["organisation_id"], rows[0]["user_id"], rows[0]["email"], f"{_replies(count)} waiting", text)


def _replies(count: int) -> str:
    return "1 new reply" if count == 1 else f"{count} new replies"


def sweep(database: Database, seal_key: bytes, link: str | None, now: int) -> int:
    """Queue the mails that are due, for the gateway's mailer; how many."""
    with database.read() as view:
        if not is_due(view, now):
            return 0

    def send(tx: Transaction, letter: Letter, now: int) -> None:
        tx.insert(
            "mail",
            id=ids.new("mail"),
            organisation_id=letter.organisation_id,
            kind="reply_notice",
            subject=letter.user_id,
            address=letter.address,
            sealed=keys.seal(seal_key, compact([letter.title, letter.text])),
            state="waiting",
            next_at=now,
            give_up_at=now + GIVE_UP_MS,
            created_at=now,
        )
        tx.wake = True

    return database.transact(lambda tx: gather(tx, send, link, now))
