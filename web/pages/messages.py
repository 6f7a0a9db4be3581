"""Messages: the list, one message with its parts and history, and cancelling it."""

import re
from http import HTTPStatus

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.flows import cancel as cancelling
from gateway.flows import case_desk
from gateway.flows import explain as explaining
from gateway.flows import resolve as resolving
from gateway.flows.cancel import Cancelled
from gateway.flows.sign_in import Viewer
from gateway.rules.lifecycle import State
from gateway.rules.permissions import MESSAGES_CANCEL, MESSAGES_RESOLVE, MESSAGES_VIEW, MESSAGES_VIEW_ALL
from gateway.store import lists_pages
from gateway.store.database import Transaction, View
from web import sessions
from web.pages import door, words

blueprint = door.pages("messages", __name__, "/admin/messages")

GROUPS: dict[str, tuple[State, ...]] = {
    "waiting": (State.HELD, State.QUEUED),
    "on_the_way": (State.SENDING, State.SENT),
    "delivered": (State.DELIVERED,),
    "problems": (State.UNDELIVERED, State.FAILED, State.EXPIRED, State.UNKNOWN),
    "cancelled": (State.CANCELLED,),
}
"""The filters offered; each state's own name works as one too (`?state=unknown`)."""
FILTERS = {**{state.value: (state,) for state in State}, **GROUPS}
_ID = re.compile(r"msg_[0-9a-f]{32}")


@blueprint.get("")
@door.needs(MESSAGES_VIEW)
def index() -> ResponseReturnValue:
    """Newest first, filtered by state."""
    chosen, before = request.args.get("state") or None, request.args.get("before") or None
    if (chosen is not None and chosen not in FILTERS) or (before is not None and not _ID.fullmatch(before)):
        abort(HTTPStatus.BAD_REQUEST)
    viewer = door.viewer()
    states = FILTERS[chosen] if chosen is not None else ()
    with sessions.services().database.read() as view:
        page = lists_pages.messages(view, viewer.organisation_id, member=_member(viewer), states=states, before=before)
    return render_template(
        "messages/index.html", page=page, chosen=chosen, before=before, groups=GROUPS, sees_all=_member(viewer) is None
    )


@blueprint.get("/<message_id>")
@door.needs(MESSAGES_VIEW)
def show(message_id: str) -> ResponseReturnValue:
    """One message: what it waits for or what became of it, its parts, its history."""
    viewer, services = door.viewer(), sessions.services()
    with services.database.read() as view:
        message = lists_pages.message(view, viewer.organisation_id, message_id, member=_member(viewer))
        if message is None:
            abort(HTTPStatus.NOT_FOUND)
        explanation = explaining.explain(view, message_id, viewer.organisation_id, services.clock.now_ms())
        address = case_desk.number_for(view, viewer.organisation_id, viewer.user_id, message.case_ref, message.address)
    return render_template(
        "messages/show.html",
        message=message,
        address=address,
        explanation=explanation,
        may_cancel=message.may_be_cancelled and viewer.may(MESSAGES_CANCEL),
        may_resolve=message.state == State.UNKNOWN and viewer.may(MESSAGES_RESOLVE),
    )


@blueprint.post("/<message_id>/cancel")
@door.needs(MESSAGES_CANCEL)
def cancel(message_id: str) -> ResponseReturnValue:
    """Ask for the message not to be sent, and say truthfully whether that came in time."""
    viewer, services = door.viewer(), sessions.services()
    now = services.clock.now_ms()

    def step(tx: Transaction) -> Cancelled:
        _must_be_visible(tx, viewer, message_id)
        return cancelling.cancel(tx, message_id, viewer.organisation_id, viewer.actor, now)

    cancelled = services.database.transact(step)
    door.notice(*words.cancelled(cancelled.outcome, cancelled.credits_refunded))
    return redirect(url_for("messages.show", message_id=message_id), HTTPStatus.SEE_OTHER)


@blueprint.post("/<message_id>/resolve")
@door.needs(MESSAGES_RESOLVE)
def resolve(message_id: str) -> ResponseReturnValue:
    """Decide what an unclear message counts as: to be sent again, or sent."""
    viewer, services = door.viewer(), sessions.services()
    choice, now = request.form.get("choice", ""), services.clock.now_ms()

    def step(tx: Transaction) -> str:
        _must_be_visible(tx, viewer, message_id)
        return resolving.resolve(tx, message_id, viewer.organisation_id, choice, viewer.actor, now)

    services.database.transact(step)
    door.notice(words.RESOLVED[choice])
    back = door.path_within(request.form.get("back"))
    return redirect(back or url_for("messages.show", message_id=message_id), HTTPStatus.SEE_OTHER)


def _must_be_visible(view: View, viewer: Viewer, message_id: str) -> None:
    if not lists_pages.message_is_visible(view, viewer.organisation_id, message_id, member=_member(viewer)):
        abort(HTTPStatus.NOT_FOUND)


def _member(viewer: Viewer) -> str | None:
    return None if viewer.may(MESSAGES_VIEW_ALL) else viewer.user_id
