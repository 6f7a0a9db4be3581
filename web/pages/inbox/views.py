"""The inbox's pages: the list, a conversation beside it, and the fragments that keep both fresh."""

import hashlib
from typing import Any

from flask import Response, current_app, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.errors import Refused
from gateway.flows.sign_in import Viewer
from gateway.rules.permissions import MESSAGES_VIEW
from gateway.store import lists_conversation, lists_inbox
from gateway.store.database import StoreUnavailable, View
from web import sessions
from web.pages import composer, door, stale
from web.pages.inbox import shown
from web.pages.inbox.blueprint import SHOW, blueprint
from web.pages.inbox.shown import Talk, Wish


@blueprint.get("")
@door.needs(MESSAGES_VIEW)
def index() -> ResponseReturnValue:
    """Conversations, the one with the newest traffic first."""
    wanted = shown.wish()
    with sessions.services().database.read() as view:
        frame = _frame(view, door.viewer(), wanted)
        strangers = []
        if wanted.show == "unassigned" and wanted.after is None:
            strangers = lists_conversation.strangers_calls(view, door.viewer().organisation_id)
    parts = _parts(frame, None)
    return render_template(
        "inbox/index.html", **frame, strangers=strangers, talk=None, parts=parts, etag=_etag(frame, None, parts)
    )


@blueprint.get("/<thread_id>")
@door.needs(MESSAGES_VIEW)
def show(thread_id: str) -> ResponseReturnValue:
    """One conversation; on a desk beside the list."""
    return page(thread_id)


def page(thread_id: str, trouble: tuple[str, str] | None = None) -> str:
    """The page of a conversation; `trouble` is a field of its forms and what is wrong with it."""
    wanted, viewer = shown.wish(), door.viewer()
    before = request.args.get("before") or None
    with sessions.services().database.read() as view:
        talk = shown.talk(view, viewer, thread_id, before)
        frame = _frame(view, viewer, wanted)
        around = _around(view, viewer, talk)
        writing = _composer(view, viewer, talk)
    parts = _parts(frame, talk)
    return render_template(
        "inbox/show.html",
        **frame,
        **around,
        talk=talk,
        composer=writing,
        before=before,
        parts=parts,
        etag=_etag(frame, talk, parts),
        trouble=trouble,
        sent=request.form,
        shown=stale.fingerprint({"assignee": talk.row["assignee"] or ""}),
    )


@blueprint.get("/live")
@door.needs(MESSAGES_VIEW, fragment=True)
def live() -> ResponseReturnValue:
    """The list, and the conversation where one is open, or 304 where nothing has changed."""
    wanted, viewer = shown.wish(), door.viewer()
    thread_id = request.args.get("thread")
    with sessions.services().database.read() as view:
        talk = shown.talk(view, viewer, thread_id) if thread_id else None
        frame = _frame(view, viewer, wanted)
    html = _fragment(frame, talk, _parts(frame, talk))
    response = Response(html, content_type="text/html; charset=utf-8")
    response.set_etag(_mark(html))
    return response.make_conditional(request)


@blueprint.get("/count")
@door.needs(MESSAGES_VIEW, fragment=True)
def count() -> ResponseReturnValue:
    """How many conversations hold something unread: the number in the menu."""
    unread = _unread(door.viewer())
    response = jsonify(unread=unread)
    response.set_etag(str(unread))
    return response.make_conditional(request)


def _unread(viewer: Viewer) -> int:
    with sessions.services().database.read() as view:
        try:
            return lists_inbox.unread(view, viewer.organisation_id, viewer.user_id, shown.within(view, viewer))
        except Refused:
            return 0  # a menu says nothing to who may read nothing


@blueprint.before_app_request
def count_for_menu() -> None:
    """Count once before each page, outside its transaction, for the number beside "Inbox" in the menu."""
    rule = getattr(current_app.view_functions.get(request.endpoint or ""), "door", None)
    if rule is None or rule.fragment:
        return
    try:
        viewer = sessions.viewer()
        if viewer is not None and viewer.may(MESSAGES_VIEW):
            g.unread = _unread(viewer)
    except StoreUnavailable:
        return  # the page itself will say so


@blueprint.app_template_global("unread_count")
def unread_count() -> str:
    """The number beside "Inbox" in the menu."""
    return shown.number(g.get("unread", 0))


@blueprint.get("/<thread_id>/composer")
@door.needs(MESSAGES_VIEW, fragment=True)
def write(thread_id: str) -> ResponseReturnValue:
    """The composer alone, for a conversation that has just been unlocked or locked."""
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        talk = shown.talk(view, viewer, thread_id)
        writing = _composer(view, viewer, talk)
    return render_template("inbox/_composer.html", talk=talk, composer=writing)


def _frame(view: View, viewer: Viewer, wanted: Wish) -> dict[str, Any]:
    """The list and all around it. A page has counted for its menu already; a fragment has no menu."""
    reach = shown.within(view, viewer)
    return {
        "listing": shown.listing(view, viewer, wanted, reach),
        "wish": wanted,
        "filters": SHOW,
        "unread": g.unread if "unread" in g else lists_inbox.unread(view, viewer.organisation_id, viewer.user_id, reach),
        "counted": shown.number,
        "query": wanted.query,
    }


def _around(view: View, viewer: Viewer, talk: Talk) -> dict[str, Any]:
    """What can be done with a conversation: colleagues, and for the unassigned inbox cases and candidates."""
    row, found = talk.row, dict[str, Any]()
    found["colleagues"] = lists_conversation.colleagues(view, viewer.organisation_id, row["case_id"])
    found["task"] = lists_conversation.open_task(view, viewer.organisation_id, row["candidate_id"]) if talk.lock.paused else None
    found["cases"], found["owners"] = [], []
    if talk.is_unassigned and row["state"] != "closed":
        found["cases"] = lists_conversation.open_cases(view, viewer.organisation_id, shown.within(view, viewer))
        if row["candidate_id"] is None:
            found["owners"] = lists_conversation.owners(view, viewer.organisation_id, row["id"])
    return found


def _composer(view: View, viewer: Viewer, talk: Talk) -> composer.Form | None:
    """The composer of a conversation; None for a stranger's, and for one that a person must connect first."""
    row = talk.row
    pool_ref = row["pool_ref"] if row["case_ref"] is None else None
    if row["candidate_ref"] is None or talk.is_unassigned:
        return None
    now = sessions.services().clock.now_ms()
    back = url_for("inbox.show", thread_id=row["id"]) if row["state"] != "closed" else ""
    return composer.form_for(view, viewer, row["candidate_ref"], row["case_ref"], now, pool_ref=pool_ref, back=back)


def _parts(frame: dict[str, Any], talk: Talk | None) -> dict[str, str]:
    """The pieces that inbox.js replaces, each drawn once: for the page, and for the fragment whose hash tells of a change."""
    names = ("list",) if talk is None else ("list", "head", "lock", "talk")
    return {name: render_template(f"inbox/_{name}.html", **frame, talk=talk) for name in names}


def _fragment(frame: dict[str, Any], talk: Talk | None, parts: dict[str, str]) -> str:
    return render_template("inbox/_live.html", unread=frame["unread"], talk=talk, parts=parts)


def _etag(frame: dict[str, Any], talk: Talk | None, parts: dict[str, str]) -> str:
    return _mark(_fragment(frame, talk, parts))


def _mark(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()[:32]
