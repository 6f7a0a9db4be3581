"""Forgetting and proving: erasure, legal hold, export, how long what is kept, the audit's chain, and a restore's confirmation."""

from typing import Annotated, Any

from flask import Blueprint, Response, g, make_response
from pydantic import Field

from gateway.clock import rfc3339
from gateway.flows import audit, erase, export, restore, retention
from gateway.rules.permissions import AUDIT_VIEW, ERASE, SETTINGS_EDIT
from gateway.rules.retention import LIMITS
from gateway.store import lists_audit
from gateway.store.database import Transaction
from web import guards
from web.answers import answer
from web.api.acting import As, By, allowed
from web.api.resource import PREFIX, Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Limit, Line, Moment, Query, Ref

forgetting = Resource("retention", "Erasure, export, retention, audit")
downloads = Blueprint("downloads", __name__, url_prefix=PREFIX)
"""A download needs no key: its link is the key, once."""


class ByRef(Query):
    """A candidate by the caller's own reference."""

    ref: Ref


class Entries(As):
    """A page of the audit, newest first."""

    after: Annotated[int | None, Field(ge=1, le=2**62)] = None
    limit: Limit = 50
    subject: Ref | None = None
    action: Ref | None = None


class Erase(By):
    """Why, and when the person asked."""

    reason: Annotated[Line, Field(min_length=1)]
    requested_at: Moment


class Hold(By):
    """Keep a candidate's data, whatever their periods say, or no longer."""

    on: bool
    reason: Annotated[Line, Field(min_length=1)]


class Periods(By):
    """How long what is kept; what is left out stays."""

    bodies_days: int | None = None
    metadata_months: int | None = None
    consent_months: int | None = None
    raw_days: int | None = None
    api_days: int | None = None
    tokens_days: int | None = None
    audit_months: int | None = None
    backups_days: int | None = None


class Confirmation(By):
    """What becomes of the messages that the backup had waiting: some may have left since."""

    queue: str


@forgetting.act("POST", "/candidates/<ref>/erase", scope="candidates:erase")
def erase_candidate(call: Call, path: ByRef, body: Erase) -> Response:
    """Erase a candidate: texts, names, numbers. 202 while something of theirs is on the air: the gateway finishes it then."""

    def act(tx: Transaction) -> Done:
        actor = allowed(tx, call, body.user, ERASE)
        done = erase.erase(tx, call.organisation_id, path.ref, body.reason, body.requested_at, actor, call.now)
        told = {"id": done.id, "state": done.state, "candidate_id": done.candidate_id, "cancelled": done.cancelled}
        return Done(200 if done.state == "done" else 202, told)

    response = once(call, g.body, act)
    if response.status_code == 200:
        call.database.truncate_log()
    return response


@forgetting.act("PUT", "/candidates/<ref>/legal-hold", scope="candidates:erase")
def hold(call: Call, path: ByRef, body: Hold) -> Response:
    """Set or lift a legal hold."""

    def act(tx: Transaction) -> None:
        actor = allowed(tx, call, body.user, ERASE)
        erase.set_hold(tx, call.organisation_id, path.ref, body.on, body.reason, actor, call.now)

    call.database.transact(act)
    return answer(200, {"ref": path.ref, "legal_hold": body.on})


@forgetting.act("POST", "/candidates/<ref>/export", scope="candidates:export")
def export_candidate(call: Call, path: ByRef, body: By) -> Response:
    """A link to everything that is the candidate's, as JSON and CSV in one archive. It works once, and both steps are logged.

    `GET` on the link says whether it still works, in a page with a button, and uses nothing up; `POST` gives the archive.
    """
    return once(call, g.body, lambda tx: Done(201, _link(tx, call, path.ref, body.user), secret=True))


@forgetting.act("GET", "/candidates/<ref>/export", scope="candidates:export")
def export_by_get(call: Call, path: ByRef, query: As) -> Response:
    """The same by GET, as the contract has it. It adds a link and its audit row, and changes nothing else."""
    return answer(200, call.database.transact(lambda tx: _link(tx, call, path.ref, query.user)))


def _link(tx: Transaction, call: Call, ref: str, user: str | None) -> dict[str, Any]:
    token, expires_at = export.make_link(tx, call.organisation_id, ref, allowed(tx, call, user, ERASE), call.now)
    base = call.services.config.web.public_url or ""
    return {"url": f"{base.rstrip('/')}{PREFIX}/exports/{token}", "expires_at": rfc3339(expires_at)}


@downloads.get("/exports/<token>")
def look(token: str) -> Response:
    """Whether a link still works: a page with a button. Scanners of links may look, and use nothing up."""
    services = guards.services()
    with services.database.read() as view:
        export.find_link(view, token, services.clock.now_ms())
    return _private(make_response(_PAGE), "text/html; charset=utf-8")


@downloads.post("/exports/<token>")
def download(token: str) -> Response:
    """The archive behind a link, once."""
    services = guards.services()
    now = services.clock.now_ms()
    candidate_id = services.database.transact(lambda tx: export.take(tx, token, now))
    with services.database.read() as view:
        octets = export.archive(view, candidate_id, now)
    response = _private(make_response(octets), "application/zip")
    response.headers["Content-Disposition"] = 'attachment; filename="export.zip"'
    return response


def _private(response: Response, mimetype: str) -> Response:
    response.headers["Content-Type"] = mimetype
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Export</title></head>
<body><p>This link gives one archive, once.</p>
<form method="post"><button type="submit">Download</button></form></body></html>
"""


@forgetting.ask("/retention", scope="retention:read")
def periods(call: Call, query: As) -> Response:
    """How long what is kept on this box."""
    with call.database.read() as view:
        allowed(view, call, query.user, AUDIT_VIEW)
        last, rules = retention.last_run(view), retention.policy(view)
    limits = {name: list(both) for name, both in LIMITS.items()}
    return answer(200, {**rules, "limits": limits, "last_run": None if last is None else rfc3339(last)})


@forgetting.act("PUT", "/retention", scope="operator:write")
def set_periods(call: Call, body: Periods) -> Response:
    """Change how long what is kept; the next daily run obeys."""
    wanted = {name: value for name, value in body.model_dump(exclude={"user"}).items() if value is not None}

    def act(tx: Transaction) -> dict[str, int]:
        return retention.change(tx, wanted, allowed(tx, call, body.user, SETTINGS_EDIT), call.now)

    return answer(200, call.database.transact(act))


@forgetting.ask("/audit", scope="operator:read")
def entries(call: Call, query: Entries) -> Response:
    """What was done, newest first; nothing personal stands in it."""
    with call.database.read() as view:
        allowed(view, call, query.user, AUDIT_VIEW)
        rows = lists_audit.entries(view, query.subject, query.action, query.after, query.limit)
    page = [{**row, "at": rfc3339(row["at"])} for row in rows[: query.limit]]
    return answer(200, {"data": page, "next": page[-1]["position"] if len(rows) > query.limit else None})


@forgetting.ask("/audit/verify", scope="operator:read")
def verify(call: Call, query: As) -> Response:
    """Walk the chains; the first broken link, if there is one."""
    with call.database.read() as view:
        allowed(view, call, query.user, AUDIT_VIEW)
        return answer(200, shown_finding(audit.verify(view, audit.anchor_key(call.secrets.token))))


def shown_finding(found: audit.Finding) -> dict[str, Any]:
    """A finding as the API shows it."""
    broken = None
    if found.broken is not None:
        broken = {"chain": found.chain, "position": found.broken.position, "reason": found.broken.reason}
    return {
        "whole": found.broken is None,
        "audit_rows": found.audit_rows,
        "events": found.event_rows,
        "anchored_at": found.anchored_at,
        "broken": broken,
    }


@forgetting.ask("/restore", scope="operator:read")
def restored(call: Call) -> Response:
    """Whether a restore waits for its confirmation, and the queue it is about."""
    with call.database.read() as view:
        return answer(200, restore.shown(view))


@forgetting.act("POST", "/restore/confirm", scope="operator:write")
def confirm(call: Call, body: Confirmation) -> Response:
    """Let the box send again: `queue` is `send` or `cancel`."""

    def act(tx: Transaction) -> Done:
        actor = allowed(tx, call, body.user, SETTINGS_EDIT)
        return Done(200, {"queue": body.queue, "messages": restore.confirm(tx, body.queue, actor, call.now)})

    return once(call, g.body, act)
