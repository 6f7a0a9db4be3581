"""Threads: the inbox, one conversation, and what people do with it; a candidate's messages both ways; notices of replies."""

from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import Field

from gateway.errors import Refused
from gateway.flows import notices, thread_readers
from gateway.flows.candidates import get_candidate
from gateway.flows.facts import find_case, find_user
from gateway.flows.rights import require_reader
from gateway.store import lists_threads
from gateway.store.database import Row, Transaction, View
from gateway.store.lists_threads import Entry, Wanted, Within
from web.answers import answer
from web.api.messages import moment, shown_row
from web.api.resource import Resource, listed
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Input, Page, Query, Ref

inbox = Resource("threads", "Threads")

Reader = Annotated[
    Ref | None,
    Field(description="E-mail address or id of who reads: their rights count, and `unread` is theirs. Without, the key's."),
]


class Filter(Page):
    """Which threads."""

    user: Reader = None
    assignee: Annotated[Ref | None, Field(description="E-mail address or id; `none` for what nobody has.")] = None
    unread: Annotated[bool | None, Field(description="Unread by `user`.")] = None
    state: Literal["active", "inactive", "closed"] | None = None
    awaiting_reply: bool | None = None
    unassigned: Annotated[bool | None, Field(description="Only what belongs to no case and no pool.")] = None
    candidate_ref: Ref | None = None
    case_ref: Ref | None = None


class ById(Query):
    """The id of a thread."""

    id: Ref


class Reading(Page):
    """Who reads, and from where on."""

    user: Reader = None


class Correspondence(Reading):
    """Who reads what was written with a candidate; in one case only, where it is named."""

    case: Ref | None = None


class Read(Input):
    """A user has read a thread."""

    user: Ref
    until: Annotated[Ref | None, Field(description="The id of the last inbound message read; without it, all of them.")] = None


class Assignment(Input):
    """Who shall look after a thread. What lies in the unassigned inbox can be given to a candidate and a case as well."""

    user: Annotated[Ref, Field(description="Who decides this.")]
    assignee: Annotated[Ref | None, Field(description="E-mail address or id; null for nobody.")]
    candidate_ref: Ref | None = None
    case_ref: Ref | None = None


class By(Input):
    """Who does it."""

    user: Ref


class User(Query):
    """A user, by e-mail address or id."""

    id: Ref


class Notices(Input):
    """Whether to be told of replies by e-mail; never with what was written."""

    replies: Literal["off", "at_once", "daily"]


@inbox.ask("/threads", scope="messages:read")
def find(call: Call, query: Filter) -> Response:
    """Threads, the one with the newest traffic first. With `user`, only what that user may read."""
    if query.unread is not None and query.user is None:
        raise Refused("user_missing", 422, "Whose unread threads? Name the user.", field="user")
    with call.database.read() as view:
        who = None if query.user is None else find_user(view, call.organisation_id, query.user)
        wanted = Wanted(
            reader=None if who is None else who["id"],
            assignee=_assignee(view, call, query.assignee),
            unread=query.unread,
            state=query.state,
            awaiting=query.awaiting_reply,
            unassigned=query.unassigned,
            candidate_id=_id(
                None if query.candidate_ref is None else get_candidate(view, call.organisation_id, query.candidate_ref)
            ),
            case_id=_id(None if query.case_ref is None else find_case(view, call.organisation_id, query.case_ref)),
        )
        rows = lists_threads.threads(view, call.organisation_id, wanted, _within(view, who), query.after, query.limit)
        known = lists_threads.candidates_of(view, rows)
        shown = [shown_thread(view, row, known, who) for row in rows]
    return listed(shown, query.limit)


@inbox.ask("/threads/<id>", scope="messages:read")
def show(call: Call, path: ById, query: Reading) -> Response:
    """One thread with its messages both ways, newest first; `after` is the last id of the page before."""
    with call.database.read() as view:
        row = thread_readers.find_thread(view, call.organisation_id, path.id)
        who = None if query.user is None else thread_readers.reader(view, call.organisation_id, row, query.user)
        shown = _shown_one(view, call, path.id, who)
        entries = lists_threads.of_thread(view, row, _id(who), query.after, query.limit)
    page = [shown_entry(entry, who) for entry in entries[: query.limit]]
    more = len(entries) > query.limit
    return answer(200, {**shown, "messages": page, "next": page[-1]["id"] if more else None})


@inbox.act("POST", "/threads/<id>/read", scope="messages:write")
def read(call: Call, path: ById, body: Read) -> Response:
    """A user has read the thread; nobody else's read state changes."""

    def act(tx: Transaction) -> Done:
        unread = thread_readers.mark_read(tx, call.organisation_id, path.id, body.user, body.until, call.now)
        return Done(200, {"id": path.id, "unread": unread})

    return once(call, g.body, act)


@inbox.act("POST", "/threads/<id>/assign", scope="messages:write")
def assign(call: Call, path: ById, body: Assignment) -> Response:
    """Give the thread to a colleague, or to nobody; out of the unassigned inbox also to a candidate's case."""

    def act(tx: Transaction) -> Done:
        thread_id = thread_readers.assign(
            tx,
            call.organisation_id,
            path.id,
            body.user,
            body.assignee,
            call.actor,
            call.now,
            candidate_ref=body.candidate_ref,
            case_ref=body.case_ref,
        )
        return Done(200, _shown_one(tx, call, thread_id, find_user(tx, call.organisation_id, body.user)))

    return once(call, g.body, act)


@inbox.act("POST", "/threads/<id>/close", scope="messages:write")
def close(call: Call, path: ById, body: By) -> Response:
    """Close the thread for good: it stays as it is, and what comes next opens another."""

    def act(tx: Transaction) -> Done:
        thread_readers.close(tx, call.organisation_id, path.id, body.user, call.actor, call.now)
        return Done(200, _shown_one(tx, call, path.id, find_user(tx, call.organisation_id, body.user)))

    return once(call, g.body, act)


@inbox.ask("/users/<id>/notices", scope="messages:read")
def show_notices(call: Call, path: User) -> Response:
    """Whether a user is told of replies by e-mail."""
    with call.database.read() as view:
        who = find_user(view, call.organisation_id, path.id)
        return answer(200, {"user": who["email"], "replies": notices.wish_of(view, who["id"])})


@inbox.act("PUT", "/users/<id>/notices", scope="messages:write")
def put_notices(call: Call, path: User, body: Notices) -> Response:
    """Be told of replies by e-mail: at once, in a daily digest, or not at all."""
    if body.replies != "off" and call.services.config.smtp is None:
        raise Refused("mail_not_configured", 409, "This box has no mail server ([smtp] in its configuration).", field="replies")
    row = call.database.transact(lambda tx: notices.wish(tx, call.organisation_id, path.id, body.replies, call.actor, call.now))
    return answer(200, {"user": row["email"], "replies": body.replies})


def correspondence(call: Call, ref: str, query: Correspondence) -> Response:
    """What was written with a candidate both ways, in the very rows of the threads."""
    with call.database.read() as view:
        candidate = get_candidate(view, call.organisation_id, ref)
        case = None if query.case is None else find_case(view, call.organisation_id, query.case)
        who = None if query.user is None else find_user(view, call.organisation_id, query.user)
        if who is not None and case is not None:
            require_reader(view, who, case)
        elif who is not None:
            thread_readers.require_candidate_reader(view, who, candidate["id"])
        only = None
        if who is not None or case is not None:
            wanted = Wanted(candidate_id=candidate["id"], case_id=_id(case))
            rows = lists_threads.threads(view, call.organisation_id, wanted, _within(view, who), None, _MOST_THREADS)
            only = [row["id"] for row in rows]
        entries = lists_threads.of_candidate(view, candidate["id"], only, _id(who), query.after, query.limit)
    return listed([shown_entry(entry, who) for entry in entries], query.limit)


_MOST_THREADS = 500
"""So many conversations with one candidate are looked through, the newest first."""


def _id(row: Row | None) -> str | None:
    return None if row is None else str(row["id"])


def _assignee(view: View, call: Call, asked: str | None) -> str | None:
    if asked is None or asked == "none":
        return None if asked is None else ""
    return str(find_user(view, call.organisation_id, asked)["id"])


def _within(view: View, who: Row | None) -> Within | None:
    if who is None:
        return None
    reach = thread_readers.reach(view, who)
    return Within(reach.user_id, reach.team_units, reach.role_units, reach.without_case, reach.everything)


def _shown_one(view: View, call: Call, thread_id: str, who: Row | None) -> dict[str, Any]:
    row = lists_threads.thread(view, call.organisation_id, thread_id, _id(who))
    return shown_thread(view, row, lists_threads.candidates_of(view, [row]), who)


# --- how a thread looks ----------------------------------------------------------------------------------------------


def shown_thread(view: View, row: Row, candidates: dict[str, Row], who: Row | None) -> dict[str, Any]:
    """A thread as the API shows it; `unread` and `unread_count` are the reader's, null without one."""
    candidate = candidates.get(row["candidate_id"] or "")
    lock = thread_readers.lock_of(view, row, candidate)
    name = "" if candidate is None else f"{candidate['first_name']} {candidate['last_name']}".strip()
    count = None if who is None else max(0, row["heard"] - row["seen"])
    return {
        "id": row["id"],
        "channel": row["channel"],
        "state": row["state"],
        "context": "case" if row["case_id"] is not None else "pool" if row["pool_ref"] is not None else "unassigned",
        "candidate_ref": row["candidate_ref"],
        "candidate": name or None,
        "from": row["address"] or None,
        "case_ref": row["case_ref"],
        "case_title": row["case_title"],
        "pool_ref": row["pool_ref"],
        "assignee": row["assignee"],
        "author": row["author"],
        "sender": row["sender"],
        "shown_as": row["company"],
        "unread": None if count is None else count > 0,
        "unread_count": count,
        "awaiting_reply": row["awaiting_since"] is not None,
        "awaiting_since": moment(row["awaiting_since"]),
        "locked": lock.reason is not None,
        "lock_reason": lock.reason,
        "paused": lock.paused,
        "last_at": moment(row["last_at"]),
        "last_in_at": moment(row["last_in_at"]),
        "last_out_at": moment(row["last_out_at"]),
        "created_at": moment(row["created_at"]),
        "closed_at": moment(row["closed_at"]),
        "moved_to": row["moved_to"],
    }


def shown_entry(entry: Entry, who: Row | None) -> dict[str, Any]:
    """A message of either way: the same row wherever it is listed. Who wrote is for colleagues; candidates see the company."""
    row = entry.row
    if not entry.is_inbound:
        author = None if row["user_email"] is None else {"user": row["user_email"], "name": row["user_name"]}
        return {
            **shown_row(row),
            "direction": "out",
            "text": entry.text,
            "thread_id": row["thread_id"],
            "pool_ref": row["pool_ref"],
            "author": author,
            "shown_as": row["company"],
            "at": moment(row["at"]),
        }
    intent = None if row["intent"] is None else {"name": row["intent"], "confidence": row["confidence"]}
    return {
        "id": row["id"],
        "direction": "in",
        "text": entry.text,
        "thread_id": row["thread_id"],
        "channel": row["channel"] or "sms",
        "candidate_ref": row["candidate_ref"],
        "case_ref": row["case_ref"],
        "pool_ref": row["pool_ref"],
        "from": row["address"],
        "sender": row["sender"],
        "parts": row["parts"],
        "complete": not row["missing"],
        "keyword": row["keyword"],
        "intent": intent,
        "ambiguous": bool(row["ambiguous"]),
        "unread": None if who is None else row["place"] > row["seen"],
        "at": moment(row["at"]),
    }
