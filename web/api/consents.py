"""Consents of a candidate: pushed with evidence, asked for by a link, read per channel and purpose with what proves them."""

from functools import partial
from typing import Annotated, Any, Literal

from flask import Response, g
from pydantic import ConfigDict, Field, StringConstraints

from gateway.flows import consent_requests, modules
from gateway.flows.consent_requests import Asked
from gateway.flows.consents import CHANNELS, MODULES, ConsentPush, ConsentState, consents_of, push_consent
from gateway.rules.consent import PURPOSES, SOURCES
from gateway.rules.links import Links
from web.answers import answer
from web.api.candidates import ByRef
from web.api.messages import moment
from web.api.resource import Resource
from web.guards import Call
from web.idempotency import Done, once
from web.inputs import Input, Line, Moment, Query, Ref

consents = Resource("consents", "Consents")


class Evidence(Input):
    """What proves a consent. Whatever else the ATS knows (ip, form_snapshot_hash …) is kept with it."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    captured_at: Moment | None = None
    wording_version: str | int | None = None
    wording_text: str | None = None
    prechecked: bool | None = None


class Consent(Input):
    """A consent that the ATS collected, or its withdrawal."""

    status: Literal["granted", "refused", "revoked"]
    purpose: Annotated[Ref, Field(json_schema_extra={"enum": list(PURPOSES)})] = "recruiting_process"
    source: Annotated[Ref, Field(json_schema_extra={"enum": [source for source in SOURCES if source != "inbound_keyword"]})] = (
        "application"
    )
    evidence: Evidence = Evidence()


class OneChannel(Query):
    """A candidate and a channel, or an e-mail module of the ATS."""

    ref: Ref
    channel: Annotated[Ref, Field(json_schema_extra={"enum": [*CHANNELS, *MODULES]})]


class ById(Query):
    """The id of a piece of evidence, or of a request."""

    id: Ref


class NewRequest(Input):
    """A consent request. It goes by e-mail or through the ATS; never by SMS, which would itself be unasked for."""

    candidate_ref: Ref
    channels: Annotated[list[Ref], Field(min_length=1, max_length=2, json_schema_extra={"items": {"enum": list(CHANNELS)}})]
    case_ref: Ref | None = None
    lang: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=20)] | None = None
    purpose: Annotated[Ref, Field(json_schema_extra={"enum": list(PURPOSES)})] = "recruiting_process"
    user: Ref | None = None
    delivery: Annotated[Line | None, Field(json_schema_extra={"enum": ["email", "ats"]})] = None


@consents.act("POST", "/consent-requests", scope="candidates:write")
def ask(call: Call, body: NewRequest) -> Response:
    """Ask a candidate for consent: a link, good for 14 days, mailed or (`delivery: "ats"`) brought by the ATS.

    While one lives, the same request is answered again. Within 30 days of a no: 409 `recently_refused`.
    """
    config = call.services.config
    links = Links(config.web.candidate_base or config.web.url, call.secrets.token)
    asked = Asked(
        candidate_ref=body.candidate_ref,
        channels=body.channels,
        case_ref=body.case_ref,
        lang=body.lang,
        purpose=body.purpose,
        user=body.user,
        delivery=body.delivery,
    )
    make = partial(consent_requests.ask, links=links, mails=config.smtp is not None, seal_key=call.secrets.seal)
    return once(
        call,
        g.body,
        lambda tx: Done(202, shown_request(make(tx, call.organisation_id, asked, call.actor, call.now)), secret=True),
    )


@consents.act("PUT", "/candidates/<ref>/consents/<channel>", scope="candidates:write")
def put(call: Call, path: OneChannel, body: Consent) -> Response:
    """Record a consent, or its withdrawal. After a keyword STOP only START from that number undoes it: 409 `opted_out`."""
    evidence = body.evidence.model_dump(exclude_none=True, exclude={"captured_at"})
    if path.channel in MODULES:
        row = call.database.transact(
            lambda tx: modules.push(
                tx, call.organisation_id, path.ref, path.channel, body.status, body.source, evidence, call.actor, call.now
            )
        )
        return answer(200, shown_module(row, path.channel))
    push = ConsentPush(
        status=body.status,
        purpose=body.purpose,
        source=body.source,
        captured_at=body.evidence.captured_at,
        evidence=evidence,
    )
    state = call.database.transact(
        lambda tx: push_consent(tx, call.organisation_id, path.ref, path.channel, push, call.actor, call.now)
    )
    return answer(200, shown_consent(state))


@consents.ask("/candidates/<ref>/consents", scope="candidates:read")
def show(call: Call, path: ByRef) -> Response:
    """Every consent of a candidate, one per channel and purpose; `modules` holds the e-mail side that the ATS keeps."""
    with call.database.read() as view:
        states = consents_of(view, call.organisation_id, path.ref, call.now)
        kept = modules.of(view, call.organisation_id, path.ref)
    shown = [shown_module(kept.get(module), module) for module in MODULES]
    return answer(200, {"data": [shown_consent(state) for state in states], "modules": shown})


@consents.ask("/candidates/<ref>/consents/<channel>", scope="candidates:read")
def show_channel(call: Call, path: OneChannel) -> Response:
    """A candidate's consents on one channel."""
    with call.database.read() as view:
        states = consents_of(view, call.organisation_id, path.ref, call.now)
    return answer(200, {"data": [shown_consent(state) for state in states if state.channel == path.channel]})


@consents.ask("/candidates/<ref>/consents/<channel>/history", scope="candidates:read")
def history(call: Call, path: OneChannel) -> Response:
    """Every version of a candidate's consents on one channel with its evidence, newest first; looking is audited."""
    rows = call.database.transact(
        lambda tx: modules.history(tx, call.organisation_id, path.ref, path.channel, call.actor, call.now)
    )
    return answer(200, {"data": [shown_version(row) for row in rows]})


WORDS = {
    "none": ("Not asked", "secondary"),
    "requested": ("Asked, no answer yet", "info"),
    "pending_double_opt_in": ("Waits for START", "warning"),
    "granted": ("Granted", "success"),
    "refused": ("Refused", "danger"),
    "revoked": ("Withdrawn", "danger"),
    "expired": ("Expired", "secondary"),
}
"""Status → words and tone, together in one table so that text and colour never disagree (S36)."""


def shown_consent(state: ConsentState) -> dict[str, Any]:
    """A consent as the API shows it."""
    label, tone = WORDS[str(state.status)]
    return {
        "channel": state.channel,
        "purpose": state.purpose,
        "status": state.status,
        "label": label,
        "tone": tone,
        "since": moment(state.since),
        "source": state.source,
        "expires_at": moment(state.expires_at),
        "evidence_id": state.evidence_id,
        "opt_in": state.opt_in,
        "can_request": state.can_request,
        "cannot_request": state.reason,
    }


def shown_module(row: Any, module: str) -> dict[str, Any]:
    """An e-mail module's consent, as the ATS keeps it."""
    status = "none" if row is None else row["status"]
    label, tone = WORDS[status]
    return {
        "module": module,
        "status": status,
        "label": label,
        "tone": tone,
        "since": None if row is None else moment(row["since_at"]),
        "source": None if row is None else row["source"],
        "expires_at": None,
        "evidence_id": None,
        "can_request": False,
        "cannot_request": "kept_by_ats",
    }


def shown_request(made: consent_requests.Request) -> dict[str, Any]:
    """A consent request as the API shows it."""
    return {
        "id": made.id,
        "url": made.url,
        "expires_at": moment(made.expires_at),
        "delivery": made.delivery,
        "channels": list(made.channels),
        "lang": made.lang,
        "is_new": made.is_new,
    }


_TIMES = (
    *("captured_at", "recorded_at", "requested_at", "doi_invited_at", "doi_confirmed_at", "granted_at", "refused_at"),
    *("revoked_at", "expires_at"),
)
_TELL = (
    *("id", "version", "prev_version", "status", "channel", "purpose", "source", "actor", "controller_name", "phone_e164"),
    *("case_ref", "country", "subdivision", "lang", "wording_id", "wording_version", "wording_text", "lawful_basis"),
    *("privacy_notice_version", "source_url", "ip", "user_agent", "form_snapshot_hash", "keyword_raw", "inbound_message_id"),
    *("request_id", "revoke_source", "revoke_raw", "row_hash"),
)


def shown_version(row: Any) -> dict[str, Any]:
    """One version with everything that proves it (requirements §3.1)."""
    return {
        **{name: row[name] for name in _TELL},
        "opt_in_mode": row["mode"],
        "actor_kind": row["actor_kind"],
        **{name: moment(row[name]) for name in _TIMES},
    }
