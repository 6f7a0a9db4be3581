"""The queue: why each message waits and until when, lanes and modems, batches with their progress, cancelling, unclear ones."""

import hashlib
import re
from http import HTTPStatus
from typing import Any, Final

from flask import Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from gateway.flows import queue_pages
from gateway.flows.queue_pages import Batch, Line, Swept
from gateway.flows.sign_in import Viewer
from gateway.rules.lifecycle import Hold
from gateway.rules.permissions import MESSAGES_CANCEL, MESSAGES_RESOLVE, MESSAGES_VIEW, MESSAGES_VIEW_ALL
from gateway.store.database import Transaction
from web import sessions
from web.pages import door
from web.pages.language import N_, _, ngettext

blueprint = door.pages("queue", __name__, "/admin/queue")

_MESSAGE = re.compile(r"msg_[0-9a-f]{32}")
_SENDER = re.compile(r"snd_[0-9a-z]{1,40}")
_BATCH = re.compile(r"(\d{1,15})-(usr_[0-9A-Za-z_]{1,60})")
_CHUNK = 100
"""So many are cancelled in one transaction: others get their turn in between."""

KINDS: Final = {"queued": N_("In the queue"), "held": N_("Held back"), "sending": N_("Being sent"), "unknown": N_("Unclear")}
LANES: Final = {"critical": N_("First lane"), "normal": N_("Normal lane"), "bulk": N_("Bulk lane")}
REASONS: Final = {
    "pending_opt_in": N_("Waits for START"),
    "waits_for": N_("Waits for the message before it"),
    "thread_paused": N_("A colleague must look first"),
    "quiet_hours": N_("Quiet hours"),
    "scheduled": N_("Scheduled"),
    "sim_budget": N_("SIM card's allowance"),
    "no_modem": N_("No modem"),
    "clock_untrusted": N_("The clock is not trusted"),
}
SENTENCES: Final = {
    "pending_opt_in": N_("The candidate must reply START first."),
    "waits_for": N_("The message before it must leave first."),
    "thread_paused": N_("The candidate may have asked for no more messages; a colleague must look at their message first."),
    "quiet_hours": N_("It is outside the hours in which the candidate may be written to."),
    "scheduled": N_("It was scheduled for later."),
    "sim_budget": N_("The SIM card has used up its allowance for now."),
    "no_modem": N_("No modem with the right SIM card is ready."),
    "clock_untrusted": N_("The box does not know the right time; an administrator can confirm it."),
    "modem_parked": N_("The modem is parked; an administrator can start it again."),
    "retry": N_("The network refused the last attempt; it is tried again."),
    "sending": N_("A modem is sending it right now."),
    "unknown": N_("The modem fell silent in the middle; nobody can say whether it left."),
}
_NOT_CANCELLED: Final = {
    "too_late": lambda count: ngettext("One had already left.", "%(count)s had already left.", count),
    "partly_sent": lambda count: ngettext(
        "Of one, a part had already left; the rest will not be sent.",
        "Of %(count)s, a part had already left; the rest will not be sent.",
        count,
    ),
    "already": lambda count: ngettext("One was cancelled before.", "%(count)s were cancelled before.", count),
    "has_followers": lambda count: ngettext(
        "One announces other messages and goes with the last of them.",
        "%(count)s announce other messages and go with the last of them.",
        count,
    ),
}


def why(line: Line) -> str:
    """Why a message waits, in a sentence."""
    reason = line.why.waiting_for or str(line.why.state)
    if reason == "queue":
        if line.why.ahead is None:
            return _("Thousands of messages are before it.")
        if line.why.ahead == 0:
            return _("It is next.")
        return ngettext("One message is before it.", "%(count)s messages are before it.", line.why.ahead)
    return _(SENTENCES.get(reason, reason))


def _member(viewer: Viewer) -> str | None:
    return None if viewer.may(MESSAGES_VIEW_ALL) else viewer.user_id


@blueprint.get("")
@door.needs(MESSAGES_VIEW)
def index() -> ResponseReturnValue:
    """The queue, refreshed while it is open."""
    asked = _asked()
    shown = _board(asked)
    return render_template("queue/index.html", shown=shown, etag=_etag(shown), asked=asked)


@blueprint.get("/live")
@door.needs(MESSAGES_VIEW, fragment=True)
def live() -> ResponseReturnValue:
    """The same alone, or 304 where nothing has changed."""
    shown = _board(_asked())
    response = Response(shown, content_type="text/html; charset=utf-8")
    response.set_etag(_etag(shown))
    return response.make_conditional(request)


def _asked() -> dict[str, str | None]:
    asked = {name: request.args.get(name) or None for name in ("show", "reason", "sender", "after")}
    asked["show"] = asked["show"] or "queued"
    wrong = (
        asked["show"] not in KINDS
        or (asked["reason"] is not None and asked["reason"] not in list(Hold))
        or (asked["sender"] is not None and not _SENDER.fullmatch(asked["sender"]))
        or (asked["after"] is not None and not _MESSAGE.fullmatch(asked["after"]))
    )
    if wrong:
        abort(HTTPStatus.BAD_REQUEST)
    return asked


def _board(asked: dict[str, str | None]) -> str:
    viewer, services = door.viewer(), sessions.services()
    with services.database.read() as view:
        board = queue_pages.board(
            view,
            viewer.organisation_id,
            _member(viewer),
            str(asked["show"]),
            asked["reason"],
            asked["sender"],
            asked["after"],
            services.clock.now_ms(),
        )
    return render_template(
        "queue/_board.html",
        board=board,
        asked=asked,
        kinds=KINDS,
        reasons=REASONS,
        lanes=LANES,
        why=why,
        may_cancel=viewer.may(MESSAGES_CANCEL),
        may_resolve=viewer.may(MESSAGES_RESOLVE),
        sees_all=_member(viewer) is None,
    )


def _etag(shown: str) -> str:
    return hashlib.sha256(shown.encode()).hexdigest()[:32]


@blueprint.get("/cancel")
@door.needs(MESSAGES_CANCEL)
def ask() -> ResponseReturnValue:
    """What was ticked, and what cancelling means: nothing is changed yet."""
    wanted = request.args.getlist("id")
    _check(wanted)
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        rows = queue_pages.chosen(view, viewer.organisation_id, _member(viewer), wanted)
    if wanted and not rows:
        abort(HTTPStatus.NOT_FOUND)
    page = render_template("queue/cancel.html", rows=rows)
    return page if rows else (page, HTTPStatus.UNPROCESSABLE_ENTITY)


def _check(wanted: list[str]) -> None:
    if len(wanted) > queue_pages.MOST_AT_ONCE or not all(_MESSAGE.fullmatch(each) for each in wanted):
        abort(HTTPStatus.BAD_REQUEST)


@blueprint.post("/cancel")
@door.needs(MESSAGES_CANCEL)
def cancel() -> ResponseReturnValue:
    """Cancel what was ticked, and say truthfully of how many that came in time."""
    wanted = request.form.getlist("id")
    _check(wanted)
    viewer = door.viewer()
    with sessions.services().database.read() as view:
        seen = [row["id"] for row in queue_pages.chosen(view, viewer.organisation_id, _member(viewer), wanted)]
    if not seen:
        abort(HTTPStatus.NOT_FOUND)
    _tell(_cancel(seen))
    return redirect(url_for("queue.index", show=request.form.get("show") or None), HTTPStatus.SEE_OTHER)


def _cancel(message_ids: list[str]) -> list[Swept]:
    services, viewer = sessions.services(), door.viewer()
    done = []
    for start in range(0, len(message_ids), _CHUNK):
        some, now = message_ids[start : start + _CHUNK], services.clock.now_ms()

        def step(tx: Transaction, some: list[str] = some, now: int = now) -> Swept:
            return queue_pages.cancel_some(tx, viewer.organisation_id, some, viewer.actor, now)

        done.append(services.database.transact(step))
    return done


def _tell(done: list[Swept]) -> None:
    outcomes: dict[str, int] = {}
    for each in done:
        for outcome, count in each.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
    cancelled, back = outcomes.pop("cancelled", 0), sum(each.refunded for each in done)
    if cancelled:
        said = ngettext("One message was cancelled.", "%(count)s messages were cancelled.", cancelled)
        given = ngettext("One credit was given back.", "%(count)s credits were given back.", back) if back else ""
        door.notice(f"{said} {given}".strip())
    for outcome, count in outcomes.items():
        words = _NOT_CANCELLED.get(outcome)
        door.notice(outcome if words is None else words(count), "warning")


@blueprint.get("/batches/<key>")
@door.needs(MESSAGES_VIEW)
def batch(key: str) -> ResponseReturnValue:
    """How far a batch is."""
    found = _find(key)
    shown = _progress(found)
    may_cancel = door.viewer().may(MESSAGES_CANCEL)
    return render_template("queue/batch.html", batch=found, shown=shown, etag=_etag(shown), may_cancel=may_cancel)


@blueprint.get("/batches/<key>/live")
@door.needs(MESSAGES_VIEW, fragment=True)
def batch_live(key: str) -> ResponseReturnValue:
    """Its progress alone."""
    shown = _progress(_find(key))
    response = Response(shown, content_type="text/html; charset=utf-8")
    response.set_etag(_etag(shown))
    return response.make_conditional(request)


@blueprint.post("/batches/<key>/cancel")
@door.needs(MESSAGES_CANCEL)
def cancel_batch(key: str) -> ResponseReturnValue:
    """Cancel what of a batch has not left yet."""
    found = _find(key)
    viewer = door.viewer()
    at, user = _parts(key)
    with sessions.services().database.read() as view:
        waiting = queue_pages.of_batch(view, viewer.organisation_id, at, user)
    if waiting:
        _tell(_cancel(waiting))
    else:
        door.notice(N_("There was nothing left to cancel."), "warning")
    return redirect(url_for("queue.batch", key=found.key), HTTPStatus.SEE_OTHER)


def _parts(key: str) -> tuple[int, str]:
    found = _BATCH.fullmatch(key)
    if found is None:
        abort(HTTPStatus.NOT_FOUND)
    return int(found[1]), found[2]


def _find(key: str) -> Batch:
    at, user = _parts(key)
    viewer, services = door.viewer(), sessions.services()
    with services.database.read() as view:
        found = queue_pages.batch(view, viewer.organisation_id, _member(viewer), at, user, services.clock.now_ms())
    if found is None:
        abort(HTTPStatus.NOT_FOUND)
    return found


def _progress(found: Batch) -> str:
    values: dict[str, Any] = {"batch": found}
    return render_template("queue/_batch.html", **values)
