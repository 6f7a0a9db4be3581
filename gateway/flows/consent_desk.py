"""The consent pane of a candidate's page: how things stand, what is asked for, what would be said, and what a person writes down.

Asking itself is consent_requests.ask, from wherever somebody presses the button (S35).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import Refused
from gateway.flows import consents, modules, stops
from gateway.flows.case_desk import Seen, require_consenter
from gateway.flows.consent_requests import PAGE
from gateway.flows.consent_rows import needs_start
from gateway.flows.consents import ConsentPush, ConsentState
from gateway.flows.facts import organisation
from gateway.flows.locks import lock_number_of
from gateway.flows.own_texts import job_languages, wording
from gateway.rules.links import Links
from gateway.rules.wordings import fill, shipped_text
from gateway.store import lists_candidates
from gateway.store.database import Row, Transaction, View


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """A request that waits for its answer; `url` only for who may hand it over."""

    id: str
    channels: tuple[str, ...]
    purpose: str
    delivery: str
    asked_by: str | None
    created_at: int
    expires_at: int
    url: str | None


@dataclass(frozen=True, slots=True)
class FirstText:
    """What the candidate reads before anything else (S40–S42, S45), and in which language; `wanted` lacked a text."""

    kind: str
    mode: str
    text: str
    language: str
    wanted: str | None


@dataclass(frozen=True, slots=True)
class Pane:
    """All that the pane shows."""

    states: Sequence[ConsentState]
    modules: dict[str, Row]
    requests: Sequence[LiveRequest]
    stops: Sequence[Row]
    pauses: Sequence[Row]
    first_text: FirstText


def pane(view: View, seen: Seen, links: Links, now: int) -> Pane:
    """The consent pane."""
    candidate = seen.candidate
    org_id, ref = candidate["organisation_id"], candidate["ref"]
    return Pane(
        states=consents.consents_of(view, org_id, ref, now),
        modules=modules.of(view, org_id, ref),
        requests=live(view, seen, links, now),
        stops=lists_candidates.suppressions(view, candidate["phone_hash"]),
        pauses=lists_candidates.pauses(view, candidate["id"]),
        first_text=first_text(view, seen),
    )


def live(view: View, seen: Seen, links: Links, now: int) -> list[LiveRequest]:
    """The requests that wait for an answer; with their links for who may ask."""
    return [
        LiveRequest(
            id=row["id"],
            channels=tuple(json.loads(row["channels"])),
            purpose=row["purpose"],
            delivery=row["delivery"],
            asked_by=row["asked_by"],
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            url=links.url(PAGE, links.token(row["id"], 0)) if seen.may_consent else None,
        )
        for row in lists_candidates.live_requests(view, seen.candidate, now)
    ]


def badge(view: View, candidate: Row, now: int) -> ConsentState:
    """How it stands with SMS about the application: what the head of the page shows."""
    return consents.state_of(view, candidate, "sms", "recruiting_process", now)


def first_text(view: View, seen: Seen) -> FirstText:
    """The START invitation or the introduction that this candidate would get, in the job ad's language."""
    org = organisation(view, seen.candidate["organisation_id"])
    double = needs_start(view, seen.candidate, "sms")
    kind = "consent_optin" if double else "identification"
    found = wording(view, org["id"], kind, *job_languages(org, seen.case))
    purpose = shipped_text("pool", found.language) or "" if seen.case is None else seen.case["title"]
    values = {"company": org["name"], "user.name": seen.user["name"], "purpose": purpose}
    return FirstText(kind, "double" if double else "single", fill(found.body, values), found.language, found.wanted)


def record_paper(
    tx: Transaction,
    seen: Seen,
    channel: str,
    purpose: str,
    captured_at: int,
    version: str,
    wording_text: str,
    actor: str,
    now: int,
) -> ConsentState:
    """A consent signed on paper, as a colleague has it before them. Raises what `push_consent` raises: a STOP stays a STOP."""
    require_consenter(seen)
    evidence = {"wording_version": version.strip(), "wording_text": wording_text.strip()}
    push = ConsentPush(status="granted", purpose=purpose, source="paper", captured_at=captured_at, evidence=evidence)
    return consents.push_consent(tx, seen.candidate["organisation_id"], seen.candidate["ref"], channel, push, actor, now)


def withdraw(tx: Transaction, seen: Seen, channel: str, how: str, actor: str, now: int) -> int:
    """The candidate told a colleague that they want no more; how many waiting messages were cancelled."""
    require_consenter(seen)
    if channel not in consents.CHANNELS:
        raise Refused("unknown_channel", 422, f"Channel must be one of {', '.join(consents.CHANNELS)}.", field="channel")
    if seen.candidate["phone_hash"] is None:
        text = "The candidate has no usable number; there is no consent to it."
        raise Refused("nothing_to_withdraw", 409, text, field="channel")
    lock_number_of(tx, seen.candidate["id"])
    return stops.withdraw(tx, seen.candidate, channel, "told_to_colleague", actor, {"told": how.strip()[:500]}, now)
