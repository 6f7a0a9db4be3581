"""What Ringpost promises an applicant tracking system, proved from HTTP to the air with real processes and a real pty.

What went on the air is read by smspdudecoder, webhooks are verified by standardwebhooks: no code of ours judges itself.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from standardwebhooks.webhooks import Webhook

from gateway import clock as clocks
from gateway import config as configs
from gateway.flows import credits
from gateway.store.seal import verify
from tests.ats import SENDER, Ats, Box, Heard, Hook, Person, decoded
from tests.processes import until


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One running box for all quick checks; every test brings its own candidates, and leaves nothing waiting."""
    with Box(tmp_path_factory.mktemp("box")) as made:
        yield made.serve()


@pytest.fixture(scope="module")
def ats(box: Box) -> Ats:
    """The ATS that uses the shared box."""
    return box.ats


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Box]:
    """A box of one's own, where nothing runs yet."""
    with Box(tmp_path) as made:
        yield made


@pytest.fixture
def hooks() -> Iterator[list[Hook]]:
    """Receivers to be closed in the end."""
    made: list[Hook] = []
    yield made
    for hook in made:
        hook.close()


# --- (4) from text to TPDUs ------------------------------------------------------------------------------------------

SENTENCE = "Hej Åsa! Är du på väg till ön för att träffa oss på måndag klockan åtta? "
SWEDISH = (SENTENCE * 6)[:400]
AT_THE_CUT = "å" * 66 + "😀" + "Välkommen på intervju! " * 4
"""The emoji would begin in unit 67, the last of the first part, and end in the second."""
FAMILY = "Grattis till jobbet! " * 3 + "👩‍👩‍👧‍👦" + " Vi hörs på måndag, hälsar Eva. " * 3
"""One grapheme of seven code points begins in unit 64: it would be cut in the middle."""
SMILES = "😀" * 71

LONG_TEXTS = {
    "400 Swedish characters": (SWEDISH, "gsm", 3),
    "an emoji at the cut": (AT_THE_CUT, "ucs2", 3),
    "a family at the cut": (FAMILY, "ucs2", 3),
    "nothing but emoji": (SMILES, "ucs2", 3),
    "a full single part": ("å" * 160, "gsm", 1),
    "one more than a single part": ("å" * 161, "gsm", 2),
    "a full UCS-2 part": ("ą" * 70, "ucs2", 1),
    "one more than a UCS-2 part": ("ą" * 71, "ucs2", 2),
}


def assert_is_message(parts: list[Heard], text: str, encoding: str, total: int) -> int | None:
    """These parts make this text: in order, of one reference, none with half a character; the reference."""
    assert "".join(part.text for part in parts) == text
    assert [part.sequence for part in parts] == list(range(1, total + 1))
    assert {part.total for part in parts} == {total}
    assert {part.encoding for part in parts} == {encoding}
    assert all(part.wants_report for part in parts)
    references = {part.reference for part in parts}
    assert len(references) == 1
    reference = references.pop()
    assert (reference is None) == (total == 1)
    return reference


@pytest.mark.parametrize("name", LONG_TEXTS)
def test_what_was_submitted_is_what_an_independent_decoder_reads_off_the_air(box: Box, ats: Ats, name: str) -> None:
    text, encoding, total = LONG_TEXTS[name]
    kim = box.someone()
    before = ats.credits()[0]
    told = ats.accepted(kim, text)
    assert (told["parts"], told["credits"], told["sender"], told["country"]) == (total, total, SENDER, "SE")
    shown = ats.until_state(told["id"], "delivered")
    reference = assert_is_message(box.on_air(kim.phone), text, encoding, total)
    assert shown["text"] == text
    assert {part["reference"] for part in shown["parts"]} == {reference}
    assert [part["text"] for part in shown["parts"]] == [part.text for part in box.on_air(kim.phone)]
    assert {part["state"] for part in shown["parts"]} == {"delivered"}
    assert ats.credits()[0] == before - total


def test_a_preview_has_the_parts_and_the_price_that_the_message_will_have(ats: Ats, box: Box) -> None:
    kim = box.someone()
    for text, _, total in LONG_TEXTS.values():
        answer = ats.post("/api/v1/messages/preview", ats.body(kim.ref, text))
        assert answer.status_code == 200
        seen = answer.json()
        assert (len(seen["parts"]), seen["credits"], seen["would_be"]) == (total, total, "queued")
        assert "".join(part["text"] for part in seen["parts"]) == text
    assert box.on_air(kim.phone) == []


def test_no_part_is_cut_inside_an_emoji_or_a_family(box: Box, ats: Ats) -> None:
    kim = box.someone()
    for text in (AT_THE_CUT, FAMILY):
        ats.until_state(ats.accepted(kim, text)["id"], "delivered")
    first, family = box.on_air(kim.phone)[0], [part.text for part in box.on_air(kim.phone)[3:]]
    assert first.text == "å" * 66
    assert any("👩‍👩‍👧‍👦" in part for part in family)


def test_two_long_messages_have_different_references(box: Box, ats: Ats) -> None:
    kim, noor = box.someone(), box.someone()
    sent = [ats.accepted(person, SWEDISH) for person in (kim, noor, kim)]
    for told in sent:
        ats.until_state(told["id"], "delivered")
    of_kim, of_noor = box.on_air(kim.phone), box.on_air(noor.phone)
    assert len(of_kim) == 6
    references = [assert_is_message(parts, SWEDISH, "gsm", 3) for parts in (of_kim[:3], of_noor, of_kim[3:])]
    assert len(set(references)) == 3


def test_a_message_is_told_state_by_state(box: Box, ats: Ats) -> None:
    kim, seen = box.someone(), ats.last_event()
    told = ats.accepted(kim, "Hej!", client_ref="ats-4711")
    ats.until_state(told["id"], "delivered")

    def states() -> list[str]:
        found = ats.pages("/api/v1/events", types="message.state", after=seen)
        assert {event["data"]["client_ref"] for event in found if event["data"]["message_id"] == told["id"]} <= {"ats-4711"}
        return [event["data"]["state"] for event in found if event["data"]["message_id"] == told["id"]]

    until(lambda: states()[-1:] == ["delivered"], about="the event of the delivery")
    assert states() == ["queued", "sent", "delivered"]


# --- (5) from the air to the ATS -------------------------------------------------------------------------------------

REPLY = "Hej Eva! Ja, på måndag går det bra. 😀 Jag tar tåget från Göteborg och är hos er strax före åtta. " * 2


def test_a_reply_in_three_parts_out_of_order_and_doubled_is_one_message_and_one_webhook(
    box: Box, ats: Ats, hooks: list[Hook]
) -> None:
    kim = box.someone()
    ats.until_state(ats.accepted(kim, "Kan du komma på måndag?")["id"], "delivered")
    hook = Hook([500, 500])
    hooks.append(hook)
    made = ats.post("/api/v1/webhooks", {"url": hook.url, "events": ["message.received"]})
    assert made.status_code == 201, made.text
    endpoint, secret, seen = made.json()["id"], made.json()["secret"], ats.last_event()
    assert seen is not None

    given = box.stick.control.deliver(kim.phone, REPLY, parts_order=[3, 1, 2], double=[1])
    assert (given["parts"], given["sent"]) == (3, 4)
    assert [entry["part"] for entry in box.site.air("deliver")[-4:]] == [3, 1, 1, 2]

    for count, pause_s in ((1, 2), (2, 7)):  # the first tries are answered 500; the next come after about 1 s and 5 s
        until(lambda count=count: len(hook.requests) >= count, about=f"try {count}")
        until(lambda count=count: deliveries(ats, endpoint)[0]["attempts"] >= count, about=f"try {count} is written down")
        box.advance(pause_s)
        box.someone()  # any write makes the gateway look at the clock again
    until(lambda: deliveries(ats, endpoint)[0]["state"] == "delivered", about="the webhook has arrived")

    assert len(hook.requests) == 3
    assert len(deliveries(ats, endpoint)) == 1
    bodies = {body for _, body in hook.requests}
    event_ids = {headers["webhook-id"] for headers, _ in hook.requests}
    assert len(bodies) == len(event_ids) == 1
    for headers, body in hook.requests:
        Webhook(secret).verify(body, headers)
        with pytest.raises(Exception, match="No matching signature"):
            Webhook(secret).verify(body.replace(b"Eva", b"Eve"), headers)
    told = decoded(bodies.pop())
    assert told["type"] == "message.received"
    assert told["data"]["text"] == REPLY
    assert (told["data"]["parts"], told["data"]["complete"], told["data"]["keyword"]) == (3, True, None)
    assert (told["data"]["from"], told["data"]["candidate_id"]) == (kim.phone, kim.id)

    events = ats.get("/api/v1/events", after=seen, types="message.received")
    assert [event["id"] for event in events["data"]] == list(event_ids)
    assert events["data"][0] == {"id": event_ids.pop(), **told}
    assert ats.get("/api/v1/events", after=events["next"], types="message.received")["data"] == []

    box.stick.control.deliver(kim.phone, "Vi ses!")  # the next one comes right behind: nothing else was on its way
    until(lambda: len(hook.requests) >= 4, about="the next webhook")
    assert decoded(hook.requests[3][1])["data"]["text"] == "Vi ses!"
    assert [event["data"]["text"] for event in ats.pages("/api/v1/events", after=seen, types="message.received")] == [
        REPLY,
        "Vi ses!",
    ]
    assert ats.http.delete(f"/api/v1/webhooks/{endpoint}").status_code == 204


def deliveries(ats: Ats, endpoint: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ats.get(f"/api/v1/webhooks/{endpoint}/deliveries")["data"]
    return found


def test_a_long_poll_is_answered_when_the_reply_comes(box: Box, ats: Ats) -> None:
    kim, seen = box.someone(), ats.last_event()
    with ThreadPoolExecutor(1) as pool:
        query = {"after": seen, "types": "message.received", "wait": 30}
        waiting = pool.submit(ats.get, "/api/v1/events", **{name: value for name, value in query.items() if value is not None})
        box.stick.control.deliver(kim.phone, "Hallå där")
        answer = waiting.result(20)
    assert [event["data"]["text"] for event in answer["data"]] == ["Hallå där"]


# --- (6) STOP and START ----------------------------------------------------------------------------------------------


def test_stop_revokes_within_two_seconds_and_cancels_what_waits_and_start_undoes_it(box: Box, ats: Ats) -> None:
    kim = box.someone()
    same_phone = ats.candidate(kim.phone)  # the same person under another reference: the number decides
    ats.until_state(ats.accepted(kim, "Hej Kim!")["id"], "delivered")
    before = ats.credits()
    box.park(True)
    waiting = [
        ats.accepted(kim, "Hej igen!"),
        ats.accepted(kim, SWEDISH),
        ats.accepted(kim, "På måndag!", send_at=box.moment(3600)),
        ats.accepted(same_phone, "Hej Kim, en gång till!"),
    ]
    assert [told["state"] for told in waiting] == ["queued", "queued", "held", "queued"]
    assert ats.credits() == (before[0] - 6, before[1] + 6)

    box.stick.control.deliver(kim.phone, " stopp! ")
    until(lambda: ats.consent_status(kim.ref) == "revoked", about="the consent is revoked")
    known_at = box.now()
    given_at = datetime.fromisoformat(box.site.air("deliver")[-1]["at"]).timestamp() * 1000
    assert known_at - given_at < 2000

    for told in waiting:
        shown = ats.message(told["id"])
        assert (shown["state"], shown["error"]["code"]) == ("cancelled", "opted_out")
    assert ats.consent_status(same_phone.ref) == "revoked"
    assert ats.credits() == before
    for person in (kim, same_phone):
        refused = ats.submit(person, "Hej!")
        assert (refused.status_code, refused.json()["code"]) == (409, "opted_out")
    pushed = {"status": "granted", "evidence": {"captured_at": box.moment(0), "wording_version": "8", "wording_text": "Ja."}}
    overruled = ats.http.put(f"/api/v1/candidates/{kim.ref}/consents/sms", json=pushed)
    assert (overruled.status_code, overruled.json()["code"]) == (409, "opted_out")

    box.park(False)
    until(lambda: len(box.on_air(kim.phone)) == 2, about="the confirmation")
    seen = ats.last_event()
    box.stick.control.deliver(kim.phone, "STOP")
    until(lambda: received(ats, seen, kim) == ["stop"], about="the second STOP")
    ats.until_state(ats.accepted(box.someone(), "Ett sms till någon annan")["id"], "delivered")
    confirmation = box.on_air(kim.phone)[1:]
    assert len(confirmation) == 1
    assert "Acme AB" in confirmation[0].text
    assert "START" in confirmation[0].text
    assert ats.credits()[0] == before[0] - 1  # the other's message; confirmations cost nothing

    box.stick.control.deliver(kim.phone, "Start")
    until(lambda: ats.consent_status(kim.ref) == "granted", about="the consent is back")
    again = ats.accepted(kim, "Välkommen tillbaka!")
    ats.until_state(again["id"], "delivered")
    assert [part.text for part in box.on_air(kim.phone)[2:]] == ["Välkommen tillbaka!"]


def received(ats: Ats, after: str | None, person: Person) -> list[str]:
    """The keywords of what this person has written since then."""
    found = ats.pages("/api/v1/events", types="message.received", after=after)
    return [str(event["data"]["keyword"]).lower() for event in found if event["data"]["from"] == person.phone]


def test_in_a_double_opt_in_country_nothing_leaves_before_start(box: Box, ats: Ats) -> None:
    tom = ats.candidate("+447700900123", region="GB", language="en")
    first, second = ats.accepted(tom, "Hello Tom"), ats.accepted(tom, "Are you there?")
    assert {told["hold"]["reason"] for told in (first, second)} == {"pending_opt_in"}
    assert ats.explain(first["id"])["waiting_for"] == "pending_opt_in"
    assert "START" in ats.explain(first["id"])["text"]
    ats.until_state(ats.accepted(box.someone(), "Hej!")["id"], "delivered")
    assert all(part.text not in ("Hello Tom", "Are you there?") for part in box.on_air(tom.phone))
    box.stick.control.deliver(tom.phone, "START")
    ats.until_state(second["id"], "delivered")
    ats.until_state(first["id"], "delivered")
    assert [part.text for part in box.on_air(tom.phone)][-2:] == ["Hello Tom", "Are you there?"]


# --- (7) credits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
def test_of_two_parallel_messages_one_credit_buys_exactly_one(tmp_path: Path, processes: int) -> None:
    with Box(tmp_path, credits=1, processes=processes) as box:
        web = box.site.web()
        until(lambda: web.said.count("listening") == processes, about="every web process serves")
        kim, noor = box.someone(), box.someone()
        for number in range(12):
            if number:
                granted = box.ats.post("/api/v1/organisations/self/grants", {"amount": 1, "reference": f"PO-{number}"})
                assert granted.status_code == 201
            assert box.ats.credits()[0] == 1
            answers = in_parallel(box, [kim, noor])
            assert sorted(answer[0] for answer in answers) == [202, 402]
            refused = next(body for status, body in answers if status == 402)
            assert refused["code"] == "insufficient_credits"
            assert box.ats.credits() == (0, number + 1)
            assert sum(entry["amount"] for entry in box.ats.ledger()) == 0
        assert len(box.ats.pages("/api/v1/messages")) == 12
        assert_books_are_right(box)
        box.site.ringpost("credit", "verify")  # ends with 1 where the books are wrong


def in_parallel(box: Box, people: list[Person]) -> list[tuple[int, dict[str, Any]]]:
    """One message to each, on connections of their own, all let go at the same moment."""
    gate = threading.Barrier(len(people))

    def post(person: Person) -> tuple[int, dict[str, Any]]:
        headers = {"authorization": box.ats.http.headers["authorization"]}
        with httpx.Client(base_url=box.ats.http.base_url, headers=headers, timeout=30, trust_env=False) as client:
            client.get("/healthz")  # the connection stands
            gate.wait()
            answer = client.post("/api/v1/messages", json=box.ats.body(person.ref, "Hej!"))
            return answer.status_code, answer.json()

    with ThreadPoolExecutor(len(people)) as pool:
        return list(pool.map(post, people))


def assert_books_are_right(box: Box) -> None:
    """Balances are the sums of their ledgers, and the audit's chain is whole."""
    with box.site.store.read() as view:
        assert credits.verify(view) == []
        assert verify(view) is None


# --- (9) one act per key, and plain refusals -------------------------------------------------------------------------


def test_the_same_idempotency_key_twice_is_one_message(box: Box, ats: Ats) -> None:
    kim, token = box.someone(), os.urandom(8).hex()
    before = box.books()
    first, second = (ats.submit(kim, "Hej Kim!", token=token) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert second.headers["idempotency-replayed"] == "true"
    ats.until_state(first.json()["id"], "delivered")
    assert [part.text for part in box.on_air(kim.phone)] == ["Hej Kim!"]
    after = box.books()
    assert (after["message"], after["part"]) == (before["message"] + 1, before["part"] + 1)
    assert ats.submit(kim, "Hej Kim!", token=token).content == first.content  # also once it is delivered

    conflict = ats.submit(kim, "Hej någon annan!", token=token)
    assert_problem(conflict, 409, "idempotency_conflict", "Idempotency-Key")
    assert box.books() == after


def assert_problem(answer: httpx.Response, status: int, code: str, field: str | None) -> None:
    """RFC 9457, with our code, the request's id and the field."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    if field is not None:
        assert field in [error["field"] for error in problem["errors"]], problem


def raw(content: bytes, kind: str = "application/json") -> dict[str, Any]:
    """A body as it stands, for httpx."""
    return {"content": content, "headers": {"content-type": kind}}


BAD_BODIES: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "malformed JSON": (raw(b'{"user": "eva@acme.example", '), 400, "malformed_json", "body"),
    "no body": (raw(b""), 400, "malformed_json", "body"),
    "bytes that are no UTF-8": (raw(b'{"text": "\xff\xfe"}'), 400, "malformed_json", "body"),
    "a surrogate in UTF-8": (raw(b'{"text": "\xed\xa0\xbd"}'), 400, "malformed_json", "body"),
    "a raw NUL": (raw(b'{"text": "a\x00b"}'), 400, "malformed_json", "body"),
    "not a number": (raw(b'{"text": NaN}'), 400, "malformed_json", "body"),
    "a list instead of an object": ({"json": []}, 422, "validation_failed", "body"),
    "a text instead of an object": ({"json": "hej"}, 422, "validation_failed", "body"),
    "null": (raw(b"null"), 422, "validation_failed", "body"),
    "an empty object": ({"json": {}}, 422, "validation_failed", "candidate_ref"),
    "two megabytes": (raw(b'{"text": "' + b"x" * 2_000_000 + b'"}'), 413, "body_too_large", "body"),
    "a form": (raw(b"text=hej", "application/x-www-form-urlencoded"), 415, "unsupported_media_type", None),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_cannot_be_a_message_is_refused_and_changes_nothing(box: Box, ats: Ats, name: str) -> None:
    how, status, code, field = BAD_BODIES[name]
    before = box.books()
    assert_problem(ats.http.post("/api/v1/messages", **how), status, code, field)
    assert box.books() == before


BAD_MESSAGES: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "an empty text": ({"text": ""}, 422, "text_empty", "text"),
    "a blank text": ({"text": " \r\n\t "}, 422, "text_empty", "text"),
    "no text at all": ({"text": None}, 422, "text_empty", "text"),
    "a number as text": ({"text": 5}, 422, "validation_failed", "text"),
    "a NUL in the text": ({"text": "a\0b"}, 422, "validation_failed", "text"),
    "five parts": ({"text": "a" * 700}, 422, "too_long", "text"),
    "a hundred thousand characters": ({"text": "a" * 100_000}, 422, "too_long", "text"),
    "an unknown candidate": ({"candidate_ref": "nobody"}, 404, "candidate_not_found", "candidate_ref"),
    "an unknown case": ({"case_ref": "job-0"}, 404, "case_not_found", "case_ref"),
    "an unknown user": ({"user": "nobody@acme.example"}, 404, "user_not_found", "user"),
    "a user without a seat": ({"user": "mia@acme.example"}, 403, "seat_required", "user"),
    "a user of another team": ({"user": "otto@acme.example"}, 403, "not_on_hiring_team", "user"),
    "no case": ({"case_ref": None}, 422, "context_missing", "case_ref"),
    "an unknown kind": ({"kind": "spam"}, 422, "unknown_kind", "kind"),
    "a rejection": ({"kind": "rejection"}, 422, "kind_not_allowed_on_channel", "kind"),
    "an unknown channel": ({"channel": "fax"}, 422, "unknown_channel", "channel"),
    "e-mail": ({"channel": "email"}, 409, "channel_disabled", "channel"),
    "a number to send to": ({"to": "+46701740605"}, 422, "validation_failed", "to"),
    "a time without an offset": ({"send_at": "2026-11-21T09:30:00"}, 422, "validation_failed", "send_at"),
    "a time that is none": ({"send_at": "tomorrow"}, 422, "validation_failed", "send_at"),
    "an end before the beginning": ({"valid_until": "2020-01-01T00:00:00Z"}, 422, "valid_until_past", "valid_until"),
}


@pytest.fixture(scope="module")
def kim(box: Box) -> Person:
    """Somebody who could be written to."""
    return box.someone()


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_message_that_may_not_go_names_its_field_and_changes_nothing(box: Box, ats: Ats, kim: Person, name: str) -> None:
    change, status, code, field = BAD_MESSAGES[name]
    before = box.books()
    assert_problem(ats.post("/api/v1/messages", {**ats.body(kim.ref, "Hej!"), **change}), status, code, field)
    assert box.books() == before


@pytest.mark.parametrize(
    ("phone", "state", "code"),
    [
        ("08-465 004 21", "not_mobile", "not_mobile"),
        ("+4687654321", "not_mobile", "not_mobile"),
        ("abc", "invalid", "invalid_number"),
        ("+46", "invalid", "invalid_number"),
        ("", "missing", "number_missing"),
    ],
)
def test_a_number_that_takes_no_sms_is_stored_but_never_written_to(box: Box, ats: Ats, phone: str, state: str, code: str) -> None:
    someone = ats.candidate(phone, consent=False)
    assert ats.get(f"/api/v1/candidates/{someone.ref}")["phone"]["state"] == state
    before = box.books()
    assert_problem(ats.submit(someone, "Hej!"), 422, code, "candidate_ref")
    assert box.books() == before


def test_without_consent_or_country_nothing_is_sent(box: Box, ats: Ats) -> None:
    stranger, dane = box.someone(consent=False), ats.candidate("+4520123456", consent=False)
    before = box.books()
    assert_problem(ats.submit(stranger, "Hej!"), 409, "consent_required", "candidate_ref")
    assert_problem(ats.submit(dane, "Hej!"), 409, "country_disabled", "candidate_ref")
    assert box.books() == before


def test_without_the_right_key_nothing_is_done(box: Box, ats: Ats, kim: Person) -> None:
    reader, before = box.key("reader", "messages:read"), box.books()

    def send(**headers: str) -> httpx.Response:
        with httpx.Client(base_url=ats.http.base_url, trust_env=False, timeout=30) as client:
            return client.post("/api/v1/messages", json=ats.body(kim.ref, "Hej!"), headers=headers)

    assert_problem(send(), 401, "key_missing", "Authorization")
    assert_problem(send(authorization="Basic ZXZhOmhlag=="), 401, "key_missing", "Authorization")
    assert_problem(send(authorization="Bearer rp_wrong"), 401, "key_invalid", "Authorization")
    refused = send(authorization=f"Bearer {reader}")
    assert_problem(refused, 403, "scope_missing", "Authorization")
    assert refused.json()["scope"] == "messages:write"
    assert box.books() == before
    box.site.ringpost("key", "revoke", "reader")
    until(lambda: send(authorization=f"Bearer {reader}").status_code == 401, timeout_s=3, about="the key is dead")


def test_the_first_gate_that_objects_decides(box: Box, ats: Ats) -> None:
    landline = ats.candidate("08-465 004 22", consent=False)
    refused = ats.submit(landline, "", user="mia@acme.example", kind="rejection")
    assert_problem(refused, 422, "text_empty", "text")  # the schema comes before everything about people
    refused = ats.submit(landline, "Hej", user="otto@acme.example", kind="rejection")
    assert_problem(refused, 403, "not_on_hiring_team", "user")
    refused = ats.submit(landline, "Hej", kind="rejection")
    assert_problem(refused, 422, "not_mobile", "candidate_ref")


# --- texts and numbers as people write them --------------------------------------------------------------------------

ODD_TEXTS = {
    "CR LF": ("rad ett\r\nrad två\rrad tre\n", "rad ett\nrad två\nrad tre\n"),
    "right to left": ("مرحبا كيم، موعد المقابلة الاثنين 08:00", None),
    "Hebrew with marks": ("שלום \u200fקים\u200f, 10:30", None),
    "joined by zero width": ("a\u200bb\u200dc\ufeffd", None),
    "escape and Ctrl-Z": ("a\x1bb\x1ac", None),
    "the euro and its like": ("{[€~^|\\]}" * 2, None),
    "a form feed": ("a\fb", None),
    "at signs to the end": ("hej@@@@@@@", None),
    "combining accents": ("A\u030asa och Bjo\u0308rn", None),
    "AT commands": ('AT+CMGS="+46"\r\nERROR\nOK', 'AT+CMGS="+46"\nERROR\nOK'),
    "markup": ("<script>alert(1)</script> {{candidate.first_name}} {{7*7}}", None),
    "an astral letter": ("𝔎im", None),
    "a private character": ("\ue000\U0010ffff", None),
}


@pytest.mark.parametrize("name", ODD_TEXTS)
def test_an_odd_text_arrives_as_it_was_written(box: Box, ats: Ats, name: str) -> None:
    text, arrives = ODD_TEXTS[name]
    kim = box.someone()
    told = ats.accepted(kim, text)
    ats.until_state(told["id"], "delivered")
    assert "".join(part.text for part in box.on_air(kim.phone)) == (text if arrives is None else arrives)


@pytest.mark.parametrize(
    "octets",
    [rb'"\u0000"', rb'"a\u0000b"', rb'"\ud83d"', rb'"\ude00\ud83d"', rb'"a\udfffb"'],
)
def test_a_nul_or_half_a_character_is_refused_plainly(box: Box, ats: Ats, kim: Person, octets: bytes) -> None:
    body = json.dumps(ats.body(kim.ref, "@@@")).encode().replace(b'"@@@"', octets)
    before = box.books()
    answer = ats.http.post("/api/v1/messages", **raw(body))
    assert_problem(answer, 422, "validation_failed", "text")
    assert box.books() == before


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_json_is_utf_8_so_that_nothing_slips_past_the_checks(box: Box, ats: Ats, kim: Person, encoding: str) -> None:
    before = box.books()
    answer = ats.http.post("/api/v1/messages", **raw(json.dumps(ats.body(kim.ref, "a\0b")).encode(encoding)))
    assert_problem(answer, 400, "malformed_json", "body")
    assert box.books() == before


def test_half_a_character_in_any_field_is_refused_and_never_breaks_anything(box: Box, ats: Ats, kim: Person) -> None:
    evidence = {"captured_at": "2026-01-05T09:00:00Z", "wording_version": "@@@", "wording_text": "@@@", "form@@@": "@@@"}
    requests = [
        ("PUT", f"/api/v1/candidates/{kim.ref}", {"first_name": "@@@"}),
        ("PUT", f"/api/v1/candidates/{kim.ref}/consents/sms", {"status": "granted", "evidence": evidence}),
        ("POST", "/api/v1/messages", ats.body(kim.ref, "Hej", data={"x": "@@@"})),
        ("POST", "/api/v1/messages/batch", {"messages": [{"text": "@@@"}]}),
        ("POST", "/api/v1/webhooks", {"url": "http://127.0.0.1/@@@"}),
        ("POST", f"/api/v1/modems/{box.modem()['id']}/commands", {"verb": "query", "args": {"command": "@@@"}}),
    ]
    before = box.books()
    for method, path, body in requests:
        for octets, status in ((b"\xed\xa0\xbd", 400), (rb"\ud83d", 422), (rb"\u0000", 422)):
            answer = ats.http.request(method, path, **raw(json.dumps(body).encode().replace(b"@@@", octets)))
            assert_problem(answer, status, {400: "malformed_json", 422: "validation_failed"}[status], None)
            assert answer.json()["errors"]
    assert box.books() == before


@pytest.mark.parametrize("name", ["علی\u200cرضا", "Anna\u00a0Maria", "Seán Ó\u2011Briain", "👩🏽‍🔬", "=cmd|'/c'!A1"])
def test_a_name_is_kept_as_its_bearer_writes_it(ats: Ats, name: str) -> None:
    assert ats.http.put("/api/v1/candidates/named", json={"first_name": name}).status_code == 200
    assert ats.get("/api/v1/candidates/named")["first_name"] == name


@pytest.mark.parametrize("path", ["a%00b", "%ED%A0%BD", "%FF", "a%0Ab", "..%2F..%2Fetc", "%F0%9F%98%80", "x" * 300, "%25s"])
def test_an_odd_reference_never_breaks_anything(ats: Ats, path: str) -> None:
    answer = ats.http.get(f"/api/v1/candidates/{path}")
    assert answer.status_code in (400, 404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    pushed = ats.http.put(f"/api/v1/candidates/{path}", json={"phone": "070-174 06 05", "region": "SE"})
    assert pushed.status_code in (200, 400, 404, 422), pushed.text


@pytest.mark.parametrize(
    ("written", "region", "e164"),
    [
        ("070-174 06 05", "SE", "+46701740605"),
        ("0701740605", "SE", "+46701740605"),
        ("070 1740605", None, "+46701740605"),
        ("0046 70 174 06 05", "SE", "+46701740605"),
        ("+46 (0)70 174 06 05", "SE", "+46701740605"),
        ("tel:+46-70-174-06-05", "SE", "+46701740605"),
        ("\u00a0+46\u00a070\u00a0174\u00a006\u00a005\u200e", "SE", "+46701740605"),
        ("\u202d+46 70 174 06 05\u202c", "SE", "+46701740605"),
        ("07700 900124", "GB", "+447700900124"),
        ("+47 406 27 123", "SE", "+4740627123"),
        ("0171 3920012", "DE", "+491713920012"),
    ],
)
def test_a_number_is_read_in_the_form_its_country_writes_it(ats: Ats, written: str, region: str | None, e164: str) -> None:
    body = {"phone": written, **({"region": region} if region else {})}
    answer = ats.http.put(f"/api/v1/candidates/number-{e164[1:]}-{region}", json=body)
    assert answer.status_code == 200, answer.text
    phone = answer.json()["phone"]
    assert (phone["e164"], phone["state"]) == (e164, "ok")


def test_a_national_number_is_written_to_in_international_form(box: Box, ats: Ats) -> None:
    phone = box.a_number()
    national = "0" + phone.removeprefix("+46")
    person = ats.candidate(f"{national[:3]}-{national[3:6]} {national[6:8]} {national[8:]}")
    assert person.phone == phone
    ats.until_state(ats.accepted(person, "Hej!")["id"], "delivered")
    assert [part.text for part in box.on_air(phone)] == ["Hej!"]


# --- waiting, explaining, calling back -------------------------------------------------------------------------------


def test_a_scheduled_message_leaves_at_its_time_and_not_before(box: Box, ats: Ats) -> None:
    kim, at = box.someone(), box.moment(60)
    told = ats.accepted(kim, "Intervju om en timme!", send_at=at)
    assert (told["state"], told["hold"]["reason"]) == ("held", "scheduled")
    why = ats.explain(told["id"])
    assert (why["state"], why["waiting_for"]) == ("held", "scheduled")
    assert datetime.fromisoformat(why["until"]).timestamp() == pytest.approx(datetime.fromisoformat(at).timestamp(), abs=0.01)
    ats.until_state(ats.accepted(kim, "Det här går genast")["id"], "delivered")  # what waits for its time blocks nothing
    box.advance(50)
    ats.until_state(ats.accepted(box.someone(), "Hej!")["id"], "delivered")
    assert ats.message(told["id"])["state"] == "held"
    box.advance(10)
    shown = ats.until_state(told["id"], "delivered")
    assert datetime.fromisoformat(shown["sent_at"]) >= datetime.fromisoformat(at)
    assert [part.text for part in box.on_air(kim.phone)] == ["Det här går genast", "Intervju om en timme!"]


def test_a_cancellation_tells_the_truth(box: Box, ats: Ats) -> None:
    kim, before = box.someone(), ats.credits()
    held = ats.accepted(kim, SWEDISH, send_at=box.moment(3600))
    assert ats.credits() == (before[0] - 3, before[1] + 3)
    done = ats.cancel(held["id"])
    assert (done["outcome"], done["state"], done["credits_refunded"]) == ("cancelled", "cancelled", 3)
    assert ats.credits() == before
    assert ats.cancel(held["id"])["outcome"] == "already"
    gone = ats.accepted(kim, "Hej!")
    ats.until_state(gone["id"], "delivered")
    late = ats.cancel(gone["id"])
    assert (late["outcome"], late["state"], late["credits_refunded"]) == ("too_late", "delivered", 0)
    assert [part.text for part in box.on_air(kim.phone)] == ["Hej!"]
    unknown = ats.post("/api/v1/messages/msg_0/cancel")
    assert_problem(unknown, 404, "message_not_found", "id")


def test_a_message_of_which_a_part_has_left_is_cancelled_as_partly_sent(box: Box, ats: Ats) -> None:
    kim, before = box.someone(), ats.credits()
    box.stick.control.late_answer(0.05)  # for the first part
    box.stick.control.cms(38)  # the network refuses the second for now
    told = ats.accepted(kim, SWEDISH)
    until(lambda: ats.explain(told["id"])["waiting_for"] == "retry", about="the refused part waits")
    assert [part["state"] for part in ats.message(told["id"])["parts"]][1:] == ["ready", "ready"]
    done = ats.cancel(told["id"])
    assert (done["outcome"], done["state"], done["credits_refunded"]) == ("partly_sent", "cancelled", 2)
    assert ats.credits() == (before[0] - 1, before[1])
    assert len(box.on_air(kim.phone)) == 1


def test_explain_says_why_a_message_waits(box: Box, ats: Ats) -> None:
    kim, noor = box.someone(), box.someone()
    box.park(True)
    first, second = ats.accepted(kim, "Ett"), ats.accepted(noor, "Två")
    assert ats.explain(first["id"])["waiting_for"] == "modem_parked"
    assert ats.explain(second["id"])["waiting_for"] == "modem_parked"
    box.park(False)
    for told in (first, second):
        ats.until_state(told["id"], "delivered")
        assert ats.explain(told["id"])["text"] == "The candidate's phone has it."
    assert_problem(ats.http.get("/api/v1/messages/msg_0/explain"), 404, "message_not_found", "id")


def test_an_unplugged_modem_is_explained_and_the_message_leaves_when_it_is_back(box: Box, ats: Ats) -> None:
    kim = box.someone()
    box.stick.control.unplug(None)
    try:
        until(lambda: box.modem()["state"] == "absent", about="the modem is missed")
        told = ats.accepted(kim, "Hej!")
        assert ats.explain(told["id"])["waiting_for"] == "no_modem"
        assert box.site.get("/readyz")[0] == 503
    finally:
        box.stick.control.plug()
    ats.until_state(told["id"], "delivered")
    assert [part.text for part in box.on_air(kim.phone)] == ["Hej!"]
    box.until_ready()


# --- a web that dies -------------------------------------------------------------------------------------------------


def test_a_202_is_on_disk_whatever_becomes_of_the_web(fresh: Box) -> None:
    box, ats, web = fresh, fresh.ats, fresh.site.web()
    people = [box.someone() for _ in range(4)]
    kept: dict[str, dict[str, Any]] = {}
    asked: list[tuple[Person, str, str]] = []
    enough = threading.Event()

    def write(person: Person) -> None:
        for number in range(500):
            text, token = f"Hej {person.ref}, meddelande {number}", f"{person.ref}-{number}"
            asked.append((person, text, token))
            try:
                answer = ats.submit(person, text, token=token)
            except httpx.TransportError:
                return
            assert answer.status_code == 202
            kept[token] = answer.json()
            if len(kept) >= 20:
                enough.set()

    with ThreadPoolExecutor(len(people)) as pool:
        writing = [pool.submit(write, person) for person in people]
        assert enough.wait(30)
        web.kill()
        for each in writing:
            each.result(30)

    box.site.web()
    for told in kept.values():
        assert ats.message(told["id"])["state"] == "queued"
    for person, text, token in asked:  # whoever got no answer asks again under the same key
        answer = ats.submit(person, text, token=token)
        assert answer.status_code == 202
        assert answer.json() == kept.get(token, answer.json())
    box.radio()
    for message in ats.pages("/api/v1/messages"):
        ats.until_state(message["id"], "delivered", timeout_s=60)
    on_air = Counter((part.number, part.text) for person in people for part in box.on_air(person.phone))
    assert on_air == Counter((person.phone, text) for person, text, _ in asked)
    for person in people:
        assert [part.text for part in box.on_air(person.phone)] == [text for one, text, _ in asked if one == person]
    assert_books_are_right(box)


def test_a_web_killed_right_after_the_202_loses_nothing(box: Box, ats: Ats) -> None:
    kim = box.someone()
    for number in range(3):
        told = ats.accepted(kim, f"Hej nummer {number}")
        box.site.programs["web"].kill()
        box.site.web()
        ats.until_state(told["id"], "delivered")
    assert [part.text for part in box.on_air(kim.phone)] == [f"Hej nummer {number}" for number in range(3)]


# --- how the box is --------------------------------------------------------------------------------------------------


def test_health_readiness_and_figures_need_no_key(box: Box, ats: Ats) -> None:
    box.until_ready()
    with httpx.Client(base_url=ats.http.base_url, trust_env=False, timeout=30) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {
            "status": "ready",
            "checks": {"store": "ok", "gateway": "ok", "modem": "ok"},
        }
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        figures = {family.name: family.samples for family in text_string_to_metric_families(answer.text)}
    assert [sample.value for sample in figures["ringpost_modem_ready"]] == [1]
    assert figures["ringpost_gateway_heartbeat_age_seconds"][0].value < 60
    assert "+467" not in answer.text


def test_a_box_without_a_gateway_is_alive_but_not_ready(fresh: Box) -> None:
    fresh.site.web()
    assert fresh.site.get("/healthz")[0] == 200
    status, told = fresh.site.get("/readyz")
    assert (status, told["status"], told["checks"]["gateway"]) == (503, "not_ready", "never seen")


def test_the_openapi_document_lists_every_route(box: Box, ats: Ats) -> None:
    from web.app import create_app

    document = ats.get("/api/openapi.json")
    assert document["openapi"].startswith("3.1")
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    app = create_app(configs.load(box.site.config), clocks.choose(None), box.site.store)
    routes = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes
    links = {(method, "/api/v1/exports/{token}") for method in ("GET", "POST")}
    assert listed == routes - links, "that link is its own key and is given, not built"


def test_every_route_of_the_document_wants_a_key(ats: Ats) -> None:
    document = ats.get("/api/openapi.json")
    with httpx.Client(base_url=ats.http.base_url, trust_env=False, timeout=30) as client:
        for path, methods in document["paths"].items():
            for method in methods:
                concrete = path.replace("{", "").replace("}", "")
                assert_problem(client.request(method.upper(), concrete, json={}), 401, "key_missing", "Authorization")


def test_a_path_or_method_that_does_not_exist_is_a_problem_too(ats: Ats) -> None:
    assert_problem(ats.http.get("/api/v1/nothing"), 404, "not_found", None)
    wrong = ats.http.patch("/api/v1/messages", json={})
    assert_problem(wrong, 405, "method_not_allowed", None)
    assert "POST" in wrong.headers["allow"]


def test_in_the_end_the_books_and_the_audit_are_right(box: Box, ats: Ats) -> None:
    until(lambda: ats.credits()[1] == 0, about="every message has been settled")
    assert_books_are_right(box)
    assert ats.credits()[0] == sum(entry["amount"] for entry in ats.ledger())
    for program in box.site.programs.values():
        assert "Traceback" not in program.said, program.said[-3000:]
