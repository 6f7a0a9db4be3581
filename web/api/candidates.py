"""Candidates and cases, pushed by the ATS under its own references."""

from typing import Annotated, Any

from flask import Response
from pydantic import Field, StringConstraints

from gateway.flows.candidates import CandidateFields, CaseFields, get_candidate, get_case, put_candidate, put_case
from gateway.flows.channels import Openness, channels_for
from gateway.store import lists_web
from gateway.store.database import Row, Transaction, View
from web.answers import answer
from web.api.messages import moment
from web.api.resource import Resource
from web.api.threads import Correspondence, correspondence
from web.guards import Call
from web.inputs import Input, Line, Query, Ref

candidates = Resource("candidates", "Candidates and cases")

Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=20)]
"""A language tag such as `sv` or `de-AT`."""


class Candidate(Input):
    """What the ATS knows of a candidate. A field left out stays as it is."""

    first_name: Line | None = None
    last_name: Line | None = None
    email: Line | None = None
    phone: Annotated[Line | None, Field(description="In any form; read with `region` unless it is international.")] = None
    region: Annotated[str | None, Field(description="ISO 3166 code that a national number is read in.")] = None
    language: Tag | None = None
    zone: Annotated[Line | None, Field(description="IANA time zone, where the ATS knows better than the number.")] = None
    reassigned: Annotated[
        bool,
        Field(
            description="The number known so far belongs to somebody else now: consents for it expire, what waits is cancelled."
        ),
    ] = False


class Case(Input):
    """What the ATS knows of a case. A field left out stays as it is."""

    title: Annotated[str | None, StringConstraints(min_length=1, max_length=300)] = None
    language: Tag | None = None
    organisation: Annotated[Ref | None, Field(description="Reference of the unit that owns the case.")] = None
    closed: Annotated[bool | None, Field(description="Retention counts from the day a case is closed.")] = None
    team: Annotated[list[Ref] | None, Field(description="E-mail addresses of the hiring team.", max_length=500)] = None


class ByRef(Query):
    """The caller's own reference."""

    ref: Ref


class Asked(Query):
    """For whom, and in which case."""

    user: Ref
    case: Ref | None = None


@candidates.act("PUT", "/candidates/<ref>", scope="candidates:write")
def put(call: Call, path: ByRef, body: Candidate) -> Response:
    """Create or change a candidate.

    A bad number is no error here: `phone.state` says what is wrong with it, and `POST /messages` refuses with that code.
    """
    fields = CandidateFields(
        first_name=body.first_name,
        last_name=body.last_name,
        email=body.email,
        phone_raw=body.phone,
        region=body.region,
        language=body.language,
        zone=body.zone,
        reassigned=body.reassigned,
    )
    key = call.secrets.phone
    row = call.database.transact(
        lambda tx: put_candidate(tx, call.organisation_id, path.ref, fields, call.actor, call.now, phone_key=key)
    )
    return answer(200, shown_candidate(row))


@candidates.ask("/candidates/<ref>", scope="candidates:read")
def show(call: Call, path: ByRef) -> Response:
    """One candidate."""
    with call.database.read() as view:
        return answer(200, shown_candidate(get_candidate(view, call.organisation_id, path.ref)))


@candidates.ask("/candidates/<ref>/messages", scope="messages:read")
def written(call: Call, path: ByRef, query: Correspondence) -> Response:
    """What was written with a candidate both ways, newest first: the very rows of the threads."""
    return correspondence(call, path.ref, query)


@candidates.ask("/candidates/<ref>/channels", scope="candidates:read")
def channels(call: Call, path: ByRef, query: Asked) -> Response:
    """On which channels this user may write to the candidate now, and why not; a channel that is switched off is not listed."""
    with call.database.read() as view:
        found = channels_for(view, call.organisation_id, call.actor, query.user, path.ref, query.case, call.now)
    return answer(200, {each.channel: _shown_channel(each) for each in found})


def _shown_channel(each: Openness) -> dict[str, Any]:
    shown = {
        "available": each.available,
        "reason": each.reason,
        "window_expires_at": moment(each.window_expires_at),
    }
    further = {"hold": each.hold, "use": each.use}
    return {**shown, **{name: value for name, value in further.items() if value is not None}}


@candidates.act("PUT", "/cases/<ref>", scope="candidates:write")
def put_one_case(call: Call, path: ByRef, body: Case) -> Response:
    """Create or change a case and its hiring team."""
    fields = CaseFields(
        title=body.title,
        language=body.language,
        unit_ref=body.organisation,
        closed=body.closed,
        team=None if body.team is None else tuple(body.team),
    )

    def act(tx: Transaction) -> dict[str, Any]:
        put_case(tx, call.organisation_id, path.ref, fields, call.actor, call.now)
        return _shown_case(tx, call, path.ref)

    return answer(200, call.database.transact(act))


@candidates.ask("/cases/<ref>", scope="candidates:read")
def show_case(call: Call, path: ByRef) -> Response:
    """One case."""
    with call.database.read() as view:
        return answer(200, _shown_case(view, call, path.ref))


def shown_candidate(row: Row) -> dict[str, Any]:
    """A candidate as the API shows them."""
    return {
        "id": row["id"],
        "ref": row["ref"],
        "first_name": row["first_name"],
        "last_name": row["last_name"],
        "email": row["email"],
        "language": row["language"],
        "region": row["region"],
        "zone": row["zone"],
        "phone": {
            "raw": row["phone_raw"],
            "e164": row["phone"],
            "state": row["phone_state"],
            "country": row["country"],
            "subdivision": row["subdivision"],
        },
        "created_at": moment(row["created_at"]),
        "updated_at": moment(row["updated_at"]),
    }


def _shown_case(view: View, call: Call, ref: str) -> dict[str, Any]:
    row = get_case(view, call.organisation_id, ref)
    unit, team = lists_web.case_context(view, row)
    return {
        "id": row["id"],
        "ref": row["ref"],
        "title": row["title"],
        "language": row["language"],
        "organisation": unit,
        "team": team,
        "created_at": moment(row["created_at"]),
        "updated_at": moment(row["updated_at"]),
        "closed_at": moment(row["closed_at"]),
    }
