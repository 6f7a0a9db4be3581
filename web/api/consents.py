"""Consents of a candidate: pushed with evidence, read per channel and purpose."""

from typing import Annotated, Any, Literal

from flask import Response
from pydantic import ConfigDict, Field

from gateway.flows.consents import CHANNELS, ConsentPush, ConsentState, consents_of, push_consent
from gateway.rules.consent import PURPOSES, SOURCES
from web.answers import answer
from web.api.candidates import ByRef
from web.api.messages import moment
from web.api.resource import Resource
from web.guards import Call
from web.inputs import Input, Moment, Query, Ref

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
    """A candidate and a channel."""

    ref: Ref
    channel: Annotated[Ref, Field(json_schema_extra={"enum": list(CHANNELS)})]


@consents.act("PUT", "/candidates/<ref>/consents/<channel>", scope="candidates:write")
def put(call: Call, path: OneChannel, body: Consent) -> Response:
    """Record a consent, or its withdrawal. After a keyword STOP only START from that number undoes it: 409 `opted_out`."""
    evidence = body.evidence.model_dump(exclude_none=True, exclude={"captured_at"})
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
    """Every consent of a candidate, one per channel and purpose; `none` where nothing was ever recorded."""
    with call.database.read() as view:
        states = consents_of(view, call.organisation_id, path.ref)
    return answer(200, {"data": [shown_consent(state) for state in states]})


@consents.ask("/candidates/<ref>/consents/<channel>", scope="candidates:read")
def show_channel(call: Call, path: OneChannel) -> Response:
    """A candidate's consents on one channel."""
    with call.database.read() as view:
        states = consents_of(view, call.organisation_id, path.ref)
    return answer(200, {"data": [shown_consent(state) for state in states if state.channel == path.channel]})


def shown_consent(state: ConsentState) -> dict[str, Any]:
    """A consent as the API shows it."""
    return {
        "channel": state.channel,
        "purpose": state.purpose,
        "status": state.status,
        "since": moment(state.since),
        "source": state.source,
        "expires_at": moment(state.expires_at),
        "evidence_id": state.evidence_id,
    }
