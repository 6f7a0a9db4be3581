"""Compliance: opt-in per country, the box's own texts and their gaps, keywords, settings, and tasks for people."""

from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import Field

from gateway.flows import compliance as flows
from gateway.flows import pleas
from gateway.flows.compliance import KEYWORD_KINDS, Acknowledgement
from gateway.rules.permissions import COMMUNICATIONS, COMPLIANCE_EDIT
from gateway.store.database import Row, Transaction
from web.answers import answer, nothing
from web.api.acting import As, By, allowed, who
from web.api.messages import moment
from web.api.resource import Resource, listed
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Line, Page, Query, Ref, Words

compliance = Resource("compliance", "Compliance")

Channel = Literal["sms", "whatsapp"]


class Country(Query):
    """A country by its ISO code."""

    iso: Ref


class OnChannel(Query):
    """On which channel."""

    channel: Channel = "sms"


class OptIn(By):
    """How a country opts in. "single" needs a typed acknowledgement, a name, the reference of the advice and its date."""

    opt_in: Ref
    channel: Channel = "sms"
    reason: Line = ""
    acknowledgement: str | None = None
    name: Line | None = None
    reference: Line | None = None
    date: Line | None = None


class OneText(Query):
    """A text by kind and language."""

    kind: Ref
    language: Ref


class Text(By):
    """The text, with fields such as {{company}}."""

    body: Words


class Publish(By):
    """`accept_shipped`: the shipped texts are confirmed wherever no text of one's own stands."""

    accept_shipped: bool = False


class Keyword(By):
    """A word to add; `language` "*" is every language."""

    word: Ref
    kind: Annotated[Ref, Field(json_schema_extra={"enum": list(KEYWORD_KINDS)})]
    language: Ref = "*"


class OneKeyword(Query):
    """An added word, by id or by itself."""

    keyword: Ref


class Settings(By):
    """Times of the double opt-in, the life of a silent consent in days, and the contact that HELP tells."""

    reminder_hours: int | None = None
    expiry_days: int | None = None
    grant_days: int | None = None
    contact: Line | None = None


class Tasks(Page):
    """Which tasks."""

    state: Literal["open", "done"] | None = None


class ById(Query):
    """The id of a task."""

    id: Ref


class Outcome(By):
    """What a colleague found: the candidate did opt out, or the thread goes on."""

    outcome: Ref
    note: Line = ""


@compliance.ask("/compliance/countries", scope="compliance:read")
def countries(call: Call, query: OnChannel) -> Response:
    """Every country that was touched, with its opt-in mode; all others are "double"."""
    with call.database.read() as view:
        rows = flows.opt_ins(view, query.channel)
    shown = [{"iso": row["iso"], "channel": row["channel"], "state": row["state"], "opt_in": row["opt_in"]} for row in rows]
    return answer(200, {"data": shown, "default": "double"})


@compliance.ask("/compliance/countries/<iso>", scope="compliance:read")
def country(call: Call, path: Country, query: OnChannel) -> Response:
    """One country's opt-in mode and its history."""
    with call.database.read() as view:
        return answer(200, flows.opt_in(view, path.iso, query.channel))


@compliance.act("PATCH", "/compliance/countries/<iso>", scope="operator:write")
def set_country(call: Call, path: Country, body: OptIn) -> Response:
    """Change the opt-in mode, for new threads only. Going "single" without the acknowledgement is refused (422)."""
    given = None
    if any(value is not None for value in (body.acknowledgement, body.name, body.reference, body.date)):
        given = Acknowledgement(
            text=(body.acknowledgement or "")[:2_000],
            name=body.name or "",
            reference=body.reference or "",
            advised_on=body.date or "",
        )

    def act(tx: Transaction) -> dict[str, Any]:
        actor = allowed(tx, call, body.user, COMPLIANCE_EDIT)
        return flows.set_opt_in(tx, path.iso, body.channel, body.opt_in, given, body.reason, actor, call.now)

    return answer(200, call.database.transact(act))


@compliance.ask("/compliance/texts", scope="compliance:read")
def texts(call: Call) -> Response:
    """The texts that the box sends by itself, per kind and language."""
    with call.database.read() as view:
        return answer(200, {"data": flows.texts(view, call.organisation_id)})


@compliance.act("PUT", "/compliance/texts/<kind>/<language>", scope="compliance:write")
def put_text(call: Call, path: OneText, body: Text) -> Response:
    """Write a text of one's own."""

    def act(tx: Transaction) -> None:
        actor = allowed(tx, call, body.user, COMPLIANCE_EDIT)
        flows.put_text(tx, call.organisation_id, path.kind, path.language, body.body, actor, call.now)

    call.database.transact(act)
    with call.database.read() as view:
        found = flows.texts(view, call.organisation_id)
    return answer(200, next(row for row in found if (row["kind"], row["language"]) == (path.kind, path.language)))


@compliance.act("DELETE", "/compliance/texts/<kind>/<language>", scope="compliance:write")
def drop_text(call: Call, path: OneText, query: As) -> Response:
    """Back to the shipped text."""

    def act(tx: Transaction) -> None:
        flows.drop_text(
            tx, call.organisation_id, path.kind, path.language, allowed(tx, call, query.user, COMPLIANCE_EDIT), call.now
        )

    call.database.transact(act)
    return nothing()


@compliance.ask("/compliance/gaps", scope="compliance:read")
def gaps(call: Call) -> Response:
    """What is missing: texts × active countries × languages of open job advertisements."""
    with call.database.read() as view:
        return answer(200, {"data": flows.gaps(view, call.organisation_id)})


@compliance.act("POST", "/compliance/publish", scope="compliance:write")
def publish(call: Call, body: Publish) -> Response:
    """Declare the texts complete; with gaps 422 `compliance_gaps` and their matrix."""

    def act(tx: Transaction) -> Done:
        actor = allowed(tx, call, body.user, COMPLIANCE_EDIT)
        return Done(200, flows.publish(tx, call.organisation_id, body.accept_shipped, actor, call.now))

    return once(call, g.body, act)


@compliance.ask("/compliance/settings", scope="compliance:read")
def settings(call: Call) -> Response:
    """Times and contact."""
    with call.database.read() as view:
        return answer(200, flows.settings(view, call.organisation_id))


@compliance.act("PATCH", "/compliance/settings", scope="compliance:write")
def put_settings(call: Call, body: Settings) -> Response:
    """Change times or contact."""
    changes: dict[str, Any] = body.model_dump(exclude_none=True, exclude={"user"})

    def act(tx: Transaction) -> dict[str, Any]:
        return flows.put_settings(tx, call.organisation_id, changes, allowed(tx, call, body.user, COMPLIANCE_EDIT), call.now)

    return answer(200, call.database.transact(act))


@compliance.ask("/compliance/keywords", scope="compliance:read")
def keywords(call: Call) -> Response:
    """STOP, START and HELP words: shipped and added."""
    with call.database.read() as view:
        return answer(200, flows.keywords(view, call.organisation_id))


@compliance.act("POST", "/compliance/keywords", scope="compliance:write")
def add_keyword(call: Call, body: Keyword) -> Response:
    """Add a word."""

    def act(tx: Transaction) -> Done:
        actor = allowed(tx, call, body.user, COMPLIANCE_EDIT)
        keyword_id = flows.add_keyword(tx, call.organisation_id, body.language, body.kind, body.word, actor, call.now)
        return Done(201, {"id": keyword_id, "language": body.language, "kind": body.kind, "word": body.word})

    return once(call, g.body, act)


@compliance.act("DELETE", "/compliance/keywords/<keyword>", scope="compliance:write")
def remove_keyword(call: Call, path: OneKeyword, query: As) -> Response:
    """Remove an added word; a shipped one stays (409 `keyword_locked`)."""

    def act(tx: Transaction) -> None:
        flows.remove_keyword(tx, call.organisation_id, path.keyword, allowed(tx, call, query.user, COMPLIANCE_EDIT), call.now)

    call.database.transact(act)
    return nothing()


@compliance.ask("/tasks", scope="messages:read")
def tasks(call: Call, query: Tasks) -> Response:
    """What waits for a person, such as a message that may have been a STOP; newest first."""
    with call.database.read() as view:
        rows = pleas.tasks(view, call.organisation_id, query.state, query.after, query.limit)
    return listed([shown_task(row) for row in rows], query.limit)


@compliance.act("POST", "/tasks/<id>/done", scope="messages:write")
def done(call: Call, path: ById, body: Outcome) -> Response:
    """Settle a task: `opt_out` or `resume`. A `user` must be one who may read what was written in its case."""

    def act(tx: Transaction) -> Done:
        by = who(tx, call, body.user)
        by.require_for(tx, COMMUNICATIONS, "task", path.id)
        row = pleas.settle_task(tx, call.organisation_id, path.id, body.outcome, body.note, by.actor, call.now)
        return Done(200, {"id": row["id"], "state": row["state"], "outcome": row["outcome"]})

    return once(call, g.body, act)


def shown_task(row: Row) -> dict[str, Any]:
    """A task as the API shows it."""
    return {
        "id": row["id"],
        "kind": row["kind"],
        "state": row["state"],
        "outcome": row["outcome"],
        "candidate_ref": row["candidate_ref"],
        "case_ref": row["case_ref"],
        "user": row["user_email"],
        "received_id": row["received_id"],
        "text": row["said"],
        "due_at": moment(row["due_at"]),
        "created_at": moment(row["created_at"]),
        "done_at": moment(row["done_at"]),
    }
