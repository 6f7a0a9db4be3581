"""What the inbox shows, made of the store's rows: the list of conversations, and one conversation day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from flask import abort, request

from gateway.flows import thread_readers
from gateway.flows.facts import find_user
from gateway.flows.sign_in import Viewer
from gateway.flows.thread_readers import Lock
from gateway.rules.threads import UNASSIGNED
from gateway.store import lists_conversation, lists_inbox, lists_threads
from gateway.store.database import Row, View
from gateway.store.lists_conversation import Call
from gateway.store.lists_inbox import Listing
from gateway.store.lists_threads import Entry, Within
from web import sessions
from web.pages import words
from web.pages.composer.form import candidate_path
from web.pages.inbox.blueprint import SHOW
from web.pages.language import _, chosen

PAGE = 50


@dataclass(frozen=True, slots=True)
class Wish:
    """What the list is asked for: a filter, words to search for, and where to go on."""

    show: str
    words: str
    after: str | None

    @property
    def query(self) -> dict[str, str]:
        """As a link keeps it."""
        return {name: value for name, value in (("show", self.show if self.show != "all" else ""), ("q", self.words)) if value}


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message of a conversation, or a missed call (`is_call`)."""

    id: str
    at: int
    is_inbound: bool
    text: str = ""
    author: str | None = None
    state: str = ""
    hold: str | None = None
    not_before: int | None = None
    kind: str = ""
    parts: int = 1
    intent: str | None = None
    keyword: str | None = None
    incomplete: bool = False
    ambiguous: bool = False
    is_new: bool = False
    is_call: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """The messages of one day, oldest first."""

    label: str
    bubbles: list[Bubble]


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation."""

    row: Row
    title: str
    lock: Lock
    days: list[Day]
    older: str | None
    unread: int
    last_in: str | None
    candidate_path: str | None

    @property
    def is_unassigned(self) -> bool:
        """Whether it lies in the unassigned inbox."""
        return bool(self.row["context"] == UNASSIGNED)


def number(unread: int) -> str:
    """How many are unread, as a badge says it."""
    return "" if unread == 0 else str(unread) if unread <= lists_inbox.MOST_UNREAD else f"{lists_inbox.MOST_UNREAD}+"


def wish() -> Wish:
    """The list's filter out of the address; 400 for one that does not exist."""
    show = request.args.get("show") or "all"
    if show not in SHOW:
        abort(400)
    return Wish(show, request.args.get("q", "").strip()[:100], request.args.get("after") or None)


def within(view: View, viewer: Viewer) -> Within:
    """What the viewer may read. Raises Refused (403) where that is nothing."""
    reach = thread_readers.reach(view, find_user(view, viewer.organisation_id, viewer.user_id))
    return Within(reach.user_id, reach.team_units, reach.role_units, reach.without_case, reach.everything)


def listing(view: View, viewer: Viewer, wanted: Wish, reach: Within) -> Listing:
    """The page of conversations that was asked for."""
    asked = lists_inbox.Asked(reader=viewer.user_id, show=wanted.show, words=lists_inbox.searched(wanted.words))
    return lists_inbox.conversations(view, viewer.organisation_id, asked, reach, wanted.after, PAGE)


def talk(view: View, viewer: Viewer, thread_id: str, before: str | None = None) -> Talk:
    """One conversation as the viewer may read it. Raises Refused (404, 403)."""
    found = thread_readers.find_thread(view, viewer.organisation_id, thread_id)
    thread_readers.reader(view, viewer.organisation_id, found, viewer.user_id)
    row = lists_threads.thread(view, viewer.organisation_id, thread_id, viewer.user_id)
    candidate = lists_threads.candidates_of(view, [row]).get(row["candidate_id"] or "")
    entries = lists_threads.of_thread(view, row, viewer.user_id, before, PAGE)
    shown, more = entries[:PAGE], len(entries) > PAGE
    oldest = int(shown[-1].row["at"]) if shown and more else None
    calls = [] if before is not None else lists_conversation.calls(view, row, oldest)
    name = "" if candidate is None else f"{candidate['first_name']} {candidate['last_name']}".strip()
    return Talk(
        row=row,
        title=name or row["candidate_ref"] or row["address"] or _("Unknown"),
        lock=thread_readers.lock_of(view, row, candidate),
        days=_days([*map(_bubble, shown), *map(_ring, calls)]),
        older=shown[-1].row["id"] if more else None,
        unread=max(0, row["heard"] - row["seen"]),
        last_in=next((entry.row["id"] for entry in shown if entry.is_inbound), None),
        candidate_path=None if row["candidate_ref"] is None else candidate_path(row["candidate_ref"], row["case_ref"]),
    )


def _bubble(entry: Entry) -> Bubble:
    row = entry.row
    if entry.is_inbound:
        return Bubble(
            row["id"],
            row["at"],
            True,
            entry.text,
            intent=row["intent"],
            keyword=row["keyword"],
            incomplete=bool(row["missing"]),
            ambiguous=bool(row["ambiguous"]),
            is_new=row["place"] > row["seen"],
        )
    return Bubble(
        row["id"],
        row["at"],
        False,
        entry.text,
        author=row["user_name"],
        state=row["state"],
        hold=row["hold_reason"],
        not_before=row["not_before"],
        kind=row["kind"],
        parts=row["parts"],
    )


def _ring(call: Call) -> Bubble:
    return Bubble(call.id, call.at, True, is_call=True)


def _days(bubbles: Sequence[Bubble]) -> list[Day]:
    days: dict[date, Day] = {}
    for bubble in sorted(bubbles, key=lambda each: (each.at, each.id)):
        day = words.local(bubble.at).date()
        days.setdefault(day, Day(_label(day), [])).bubbles.append(bubble)
    return list(days.values())


def _label(day: date) -> str:
    """`Today`, `Yesterday`, `Monday 2 March`, and with the year where it is another."""
    from babel.dates import format_date

    today = words.local(sessions.services().clock.now_ms()).date()
    if day == today:
        return _("Today")
    if (today - day).days == 1:
        return _("Yesterday")
    pattern = "EEEE d MMMM" if day.year == today.year else "d MMMM y"
    return str(format_date(day, pattern, locale=chosen()))
