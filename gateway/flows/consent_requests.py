"""Consent requests: a link for a candidate, mailed or handed to the ATS, never sent by SMS; and what they answer on its page.

A second request while one lives is the same request. GET never changes anything: link scanners follow every link.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from gateway import keys
from gateway.errors import Refused
from gateway.flows import consents, stops
from gateway.flows.consent_rows import REQUEST_FOR_MS, newest
from gateway.flows.facts import find_case, find_user, organisation, rights_in
from gateway.flows.locks import is_erasing, lock_candidate, lock_number_of, open_candidate
from gateway.flows.own_texts import job_languages
from gateway.rules.consent import PURPOSES, Status
from gateway.rules.links import Links, digest, is_token
from gateway.rules.permissions import SEND_SMS
from gateway.rules.speech import day_text, list_text
from gateway.rules.wordings import fill, languages_tried, page_texts, shipped_text, shipped_version
from gateway.store import ids
from gateway.store.database import Row, Transaction, View, compact

PAGE = "c"
CHANNEL_NAMES = {"sms": "SMS", "whatsapp": "WhatsApp"}
ANSWERS = ("grant", "decline", "withdraw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the ATS asks for; `user` is the acting recruiter, `delivery` "ats" where the ATS brings the link itself."""

    candidate_ref: str
    channels: Sequence[str]
    case_ref: str | None = None
    lang: str | None = None
    purpose: str = "recruiting_process"
    user: str | None = None
    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A live request, as the 202 tells it."""

    id: str
    url: str
    expires_at: int
    delivery: str
    channels: tuple[str, ...]
    lang: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What the page behind a link shows: texts, channels to tick, and where the request stands."""

    lang: str
    texts: dict[str, str]
    channels: tuple[str, ...]
    state: str
    request_id: str


def ask(
    tx: Transaction,
    organisation_id: str,
    asked: Asked,
    actor: str,
    now: int,
    *,
    links: Links,
    mails: bool,
    seal_key: bytes,
) -> Request:
    """Make a request, or find the one that lives. `mails`: this box has a mail server.

    Raises Refused `unknown_channel`, `unknown_purpose`, `candidate_not_found`, `candidate_erasing`, `case_not_found`,
    `permission_denied`, `number_missing`, `opted_out`, `already_granted`, `recently_refused`.
    """
    _check(asked)
    org = organisation(tx, organisation_id)
    user = None if asked.user is None else find_user(tx, organisation_id, asked.user)
    case = None if asked.case_ref is None else find_case(tx, organisation_id, asked.case_ref)
    candidate = open_candidate(tx, organisation_id, asked.candidate_ref)
    if user is not None and (not user["active"] or SEND_SMS not in rights_in(tx, user, case)):
        raise Refused("permission_denied", 403, "This user may not write to candidates, and so not ask for it.", field="user")
    channels = tuple(sorted(set(asked.channels)))
    for channel in channels:
        reason = consents.why_not_request(
            tx, candidate, channel, asked.purpose, newest(tx, candidate, channel, asked.purpose), now
        )
        if reason is not None:
            raise _refusal(reason, channel)
    live = _live(tx, candidate, asked.purpose, now)
    for each in live:
        if set(channels) <= set(json.loads(each["channels"])):
            return _told(each, links, is_new=False)
    covered = {channel for each in live for channel in json.loads(each["channels"])}
    channels = tuple(channel for channel in channels if channel not in covered)
    lang, _ = page_texts("page", languages_tried(asked.lang, *job_languages(org, case)))
    request_id = ids.new("creq")
    token = links.token(request_id, 0)
    by_mail = asked.delivery != "ats" and mails and "@" in candidate["email"]
    row: dict[str, Any] = {
        "id": request_id,
        "organisation_id": organisation_id,
        "candidate_id": candidate["id"],
        "phone_hash": candidate["phone_hash"],
        "case_id": None if case is None else case["id"],
        "channels": compact(list(channels)),
        "purpose": asked.purpose,
        "lang": lang,
        "token_hash": digest(token),
        "delivery": "email" if by_mail else "ats",
        "actor": actor,
        "user_id": None if user is None else user["id"],
        "state": "live",
        "created_at": now,
        "expires_at": now + REQUEST_FOR_MS,
    }
    tx.insert("consent_request", **row)
    tx.flush()
    for channel in channels:
        consents.request(
            tx,
            candidate,
            channel,
            asked.purpose,
            actor=actor,
            now=now,
            expires_at=row["expires_at"],
            request_id=request_id,
            requested_at=now,
            lang=lang,
            case_ref=asked.case_ref,
        )
    if by_mail:
        _mail(tx, row, org, case, candidate, links.url(PAGE, token), seal_key, now)
    told = {"channels": list(channels), "delivery": row["delivery"], "request": request_id}
    tx.audit(now, actor, "consent.request", candidate["id"], told)
    return _told(row, links, is_new=True)


def _check(asked: Asked) -> None:
    if not asked.channels:
        raise Refused("unknown_channel", 422, "Name at least one channel.", field="channels")
    for channel in asked.channels:
        if channel not in consents.CHANNELS:
            text = f"Channels are {', '.join(consents.CHANNELS)}."
            raise Refused("unknown_channel", 422, text, field="channels")
    if asked.purpose not in PURPOSES:
        raise Refused("unknown_purpose", 422, f"Purpose must be one of {', '.join(PURPOSES)}.", field="purpose")
    if asked.delivery not in (None, "ats", "email"):
        raise Refused("unknown_delivery", 422, "Delivery must be email or ats; never SMS.", field="delivery")


def _refusal(code: str, channel: str) -> Refused:
    facts = {"channel": channel}
    if code == "number_missing":
        return Refused(code, 422, "The candidate has no usable number yet; consent belongs to a number.", field="candidate_ref")
    text = {
        "opted_out": "The candidate has withdrawn; only START, sent from their number, undoes that.",
        "already_granted": f"The candidate has already consented to {channel}.",
        "recently_refused": "The candidate said no less than 30 days ago.",
    }[code]
    return Refused(code, 409, text, field="candidate_ref", facts=facts)


def _live(view: View, candidate: Row, purpose: str, now: int) -> list[Row]:
    return view.all(
        "SELECT * FROM consent_request WHERE candidate_id = ? AND purpose = ? AND phone_hash = ? AND state = 'live'"
        " AND expires_at > ? ORDER BY created_at",
        candidate["id"],
        purpose,
        candidate["phone_hash"],
        now,
    )


def _told(row: Any, links: Links, *, is_new: bool) -> Request:
    url = links.url(PAGE, links.token(row["id"], 0))
    return Request(row["id"], url, row["expires_at"], row["delivery"], tuple(json.loads(row["channels"])), row["lang"], is_new)


def _mail(
    tx: Transaction, row: dict[str, Any], org: Row, case: Row | None, candidate: Row, url: str, seal_key: bytes, now: int
) -> None:
    lang, texts = page_texts("mail", (row["lang"],))
    values = {
        **_values(org, case, lang, json.loads(row["channels"])),
        "candidate.first_name": candidate["first_name"],
        "link": url,
        "until": day_text(row["expires_at"], ZoneInfo(org["zone"]), lang),
    }
    tx.insert(
        "mail",
        id=ids.new("mail"),
        organisation_id=org["id"],
        kind="consent_request",
        subject=row["id"],
        address=candidate["email"],
        sealed=keys.seal(seal_key, compact([fill(texts["subject"], values), fill(texts["body"], values)])),
        state="waiting",
        next_at=now,
        give_up_at=row["expires_at"],
        created_at=now,
    )
    tx.wake = True


def _values(org: Row, case: Row | None, lang: str, channels: Sequence[str]) -> dict[str, str]:
    purpose = shipped_text("pool", lang) or "" if case is None else case["title"]
    return {
        "company": org["name"],
        "purpose": purpose,
        "channels": list_text((CHANNEL_NAMES[channel] for channel in channels), lang),
    }


# --- the page --------------------------------------------------------------------------------------------------------


def look(view: View, token: str, now: int) -> Page:
    """What the page behind this token shows. Raises Refused `link_unknown` (404) or `link_expired` (410)."""
    row = _by_token(view, token)
    page = _page(view, row)
    if row["state"] == "expired" or row["expires_at"] <= now:
        raise Refused("link_expired", 410, page.texts["expired"], facts={"lang": page.lang})
    return page


def _by_token(view: View, token: str) -> Row:
    row = None
    if is_token(token):
        row = view.one("SELECT * FROM consent_request WHERE token_hash = ?", digest(token))
    if row is None:
        raise Refused("link_unknown", 404, "There is no such page. Please check that the link is complete.")
    return row


def _page(view: View, row: Row) -> Page:
    org = organisation(view, row["organisation_id"])
    case = None if row["case_id"] is None else view.one("SELECT * FROM hiring_case WHERE id = ?", row["case_id"])
    channels = tuple(json.loads(row["channels"]))
    lang, texts = page_texts("page", (row["lang"],))
    values = _values(org, case, lang, channels)
    state = row["state"]
    if state == "granted":
        candidate = view.one("SELECT * FROM candidate WHERE id = ?", row["candidate_id"])
        assert candidate is not None
        found = [newest(view, candidate, channel, row["purpose"]) for channel in channels]
        statuses = {each["status"] for each in found if each is not None}
        state = "pending" if Status.PENDING in statuses else "granted" if Status.GRANTED in statuses else "withdrawn"
    return Page(lang, {name: fill(text, values) for name, text in texts.items()}, channels, state, row["id"])


def answer(
    tx: Transaction,
    token: str,
    given: str,
    ticked: Sequence[str],
    *,
    ip: str,
    user_agent: str,
    url: str,
    form_hash: str,
    now: int,
) -> Page:
    """What the candidate pressed; the page as it stands then.

    Raises Refused `link_unknown`, `link_expired`, `nothing_ticked`, `unknown_answer`, `opted_out`, `already_answered`.
    """
    row = _by_token(tx, token)
    lock = lock_number_of if given == "withdraw" else lock_candidate
    lock(tx, row["candidate_id"])
    row = _by_token(tx, token)
    page = look(tx, token, now)
    if given not in ANSWERS:
        raise Refused("unknown_answer", 422, page.texts["choose"], field="answer")
    candidate = tx.one("SELECT * FROM candidate WHERE id = ? AND erased_at IS NULL", row["candidate_id"])
    if candidate is None or candidate["phone_hash"] != row["phone_hash"]:
        raise Refused("link_expired", 410, page.texts["expired"], facts={"lang": page.lang})
    evidence = {
        "wording_id": "page.question",
        "wording_version": shipped_version(),
        "wording_text": page.texts["question"],
        "source_url": url.rpartition("/")[0],  # never the token
        "ip": ip[:64],
        "user_agent": user_agent[:300],
        "form_snapshot_hash": form_hash,
        "lang": page.lang,
        "prechecked": False,
    }
    if given != "withdraw" and is_erasing(tx, candidate["id"]):
        raise Refused("link_expired", 410, page.texts["expired"], facts={"lang": page.lang})
    if given == "withdraw":
        if row["state"] == "granted":
            for channel in page.channels:
                stops.withdraw(tx, candidate, channel, "email_link", "candidate", evidence, now)
            _close(tx, row, "withdrawn", now)
        return look(tx, token, now)
    if row["state"] != "live":
        same = {"grant": "granted", "decline": "refused"}[given] == row["state"]
        if same:
            return page  # pressed twice
        raise Refused("already_answered", 409, page.texts.get(page.state, ""), facts={"lang": page.lang})
    if given == "decline":
        for channel in page.channels:
            consents.refuse(tx, candidate, channel, row["purpose"], actor="candidate", now=now, request_id=row["id"])
        _close(tx, row, "refused", now)
        return look(tx, token, now)
    chosen = page.channels if len(page.channels) == 1 else tuple(each for each in page.channels if each in ticked)
    if not chosen:
        raise Refused("nothing_ticked", 422, page.texts["choose"], field="channels")
    for channel in page.channels:
        if channel in chosen:
            consents.grant(
                tx,
                candidate,
                channel,
                row["purpose"],
                source="email_link",
                actor="candidate",
                evidence=evidence,
                captured_at=now,
                now=now,
                request_id=row["id"],
                requested_at=row["created_at"],
            )
        else:  # asked and not ticked
            consents.refuse(tx, candidate, channel, row["purpose"], actor="candidate", now=now, request_id=row["id"])
    _close(tx, row, "granted", now)
    return look(tx, token, now)


def _close(tx: Transaction, row: Row, state: str, now: int) -> None:
    tx.execute("UPDATE consent_request SET state = ?, answered_at = ? WHERE id = ?", state, now, row["id"])
