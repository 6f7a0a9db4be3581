"""What receive adds to a message that has come in: its thread, what it seems to say, and what the event tells of both."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.flows import notices, threads
from gateway.rules import intents
from gateway.rules.numbers import normalise
from gateway.store.database import Row, Transaction

LanguagesOf = Callable[[str | None], tuple[str, ...]]
_ALWAYS = "en"
"""Candidates answer in English everywhere."""


def file(
    tx: Transaction,
    packs: Mapping[str, intents.Pack],
    languages_of: LanguagesOf,
    *,
    organisation_id: str | None,
    candidate: Row | None,
    address: str,
    sender_id: str | None,
    text: str,
    keyword: str | None,
    now: int,
) -> dict[str, Any]:
    """The columns of `received` that say where the message belongs and what it seems to say."""
    routed = threads.route(
        tx,
        organisation_id=organisation_id,
        candidate=candidate,
        address=address,
        sender_id=sender_id,
        awaits=keyword is None,
        now=now,
    )
    found = None if keyword is not None else read(packs, languages_of, routed, candidate, address, text)
    if routed is not None:
        notices.note(tx, routed.thread_id, now)
    return {
        "thread_id": None if routed is None else routed.thread_id,
        "place": 0 if routed is None else routed.place,
        "ambiguous": int(routed is not None and routed.ambiguous),
        "intent": None if found is None else found.name,
        "confidence": None if found is None else found.confidence,
    }


def reread(
    tx: Transaction, packs: Mapping[str, intents.Pack], languages_of: LanguagesOf, received: dict[str, Any], candidate: Row | None
) -> None:
    """A message shown in part has got the rest: what does it say now?"""
    routed = threads.told(tx, received)
    found = None
    if received["keyword"] is None:
        found = read(packs, languages_of, routed, candidate, received["address"], received["text"])
    received["intent"] = None if found is None else found.name
    received["confidence"] = None if found is None else found.confidence
    tx.execute(
        "UPDATE received SET intent = ?, confidence = ? WHERE id = ?", received["intent"], received["confidence"], received["id"]
    )


def read(
    packs: Mapping[str, intents.Pack],
    languages_of: LanguagesOf,
    routed: threads.Routed | None,
    candidate: Row | None,
    address: str,
    text: str,
) -> intents.Intent | None:
    """The intent, in the languages of the thread and of the number's country, and in English."""
    spoken = () if routed is None else routed.languages
    country = normalise(address, None).country if candidate is None else candidate["country"]
    return intents.read(text, packs, (*spoken, *languages_of(country), _ALWAYS))


def told(tx: Transaction, received: Mapping[str, Any]) -> dict[str, Any]:
    """What `message.received` says of the thread."""
    routed = threads.told(tx, received)
    ref = None
    if received["candidate_id"] is not None:
        ref = tx.value("SELECT ref FROM candidate WHERE id = ?", received["candidate_id"])
    intent = None
    if received["intent"] is not None:
        intent = {"name": received["intent"], "confidence": received["confidence"]}
    return {
        "thread_id": received["thread_id"],
        "candidate_ref": ref,
        "case_ref": None if routed is None else routed.case_ref,
        "pool_ref": None if routed is None else routed.pool_ref,
        "user": None if routed is None else routed.user,
        "ambiguous": bool(received["ambiguous"]),
        "intent": intent,
    }
