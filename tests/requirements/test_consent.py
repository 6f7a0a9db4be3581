"""S32–S45: consent, asked for and proved; companions before a thread's first text; the words by which candidates steer."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from email import message_from_bytes, policy
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from aiosmtpd.controller import Controller

from gateway.flows import consent_rows
from gateway.rules.speech import day_text
from tests.ats import Box, Person
from tests.processes import free_port, until

Unchanged = Callable[[], AbstractContextManager[None]]
DAY = 86_400
EVIDENCE = {"captured_at": "2026-01-05T09:00:00Z", "wording_version": "7", "wording_text": "Ja, skicka sms till mig."}


class Letters:
    """What a mail server took."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture(scope="module")
def letters() -> Iterator[tuple[Letters, int]]:
    taken, port = Letters(), free_port()
    server = Controller(taken, hostname="127.0.0.1", port=port)
    server.start()
    yield taken, port
    server.stop()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, letters: tuple[Letters, int]) -> Iterator[Box]:
    """A box with a mail server and an address for candidates' pages."""
    with Box(tmp_path_factory.mktemp("box"), credits=100_000) as made:
        config = made.site.config.read_text()
        door = f'tls = "off"\ncandidate_listen = "127.0.0.1:{free_port()}"'
        mail = f'\n[smtp]\nhost = "127.0.0.1"\nport = {letters[1]}\nsecurity = "none"\nfrom = "jobs@acme.example"\n'
        made.site.config.write_text(config.replace('tls = "off"', door, 1) + mail)
        yield made.serve()


_numbers = iter(range(100, 400))


def british(box: Box, **how: Any) -> Person:
    """A candidate in a double opt-in country."""
    return box.ats.candidate(f"+447700900{next(_numbers)}", region="GB", language="en", **how)


def stranger(box: Box, **how: Any) -> Person:
    """A Swedish candidate to whom nobody has written yet."""
    return box.ats.candidate(box.a_number(), introduced=False, **how)


def says(box: Box, phone: str, text: str) -> None:
    """A text comes in, and has been taken in."""
    before = received(box, phone)
    box.stick.control.deliver(phone, text)
    until(lambda: received(box, phone) > before, about=f"{text!r} from {phone}")


def received(box: Box, phone: str) -> int:
    with box.site.store.read() as view:
        return int(view.value("SELECT COUNT(*) AS n FROM received WHERE address = ?", phone))


def later(box: Box, seconds: float) -> None:
    """Move the clock, and see that the gateway knows."""
    box.advance(seconds)

    def beaten() -> bool:
        with box.site.store.read() as view:
            return bool(view.value("SELECT MAX(heartbeat_at) AS t FROM gateway") >= box.now() - 60_000)

    until(beaten, about="the gateway has seen the new time")


def texts(box: Box, phone: str) -> list[str]:
    return [part.text for part in box.on_air(phone)]


def on_air(box: Box, phone: str, count: int) -> list[str]:
    """Wait until so many parts are on the air for a number; their texts."""
    until(lambda: len(box.on_air(phone)) >= count, about=f"{count} parts for {phone}")
    return texts(box, phone)


def asked(box: Box, person: Person, *channels: str, **more: Any) -> httpx.Response:
    return box.ats.post("/api/v1/consent-requests", {"candidate_ref": person.ref, "channels": list(channels or ("sms",)), **more})


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def put(box: Box, person: Person, channel: str = "sms", **body: Any) -> httpx.Response:
    return box.ats.http.put(f"/api/v1/candidates/{person.ref}/consents/{channel}", json=body)


def consent(box: Box, person: Person, channel: str = "sms") -> dict[str, Any]:
    found = box.ats.get(f"/api/v1/candidates/{person.ref}/consents/{channel}")["data"]
    return next(each for each in found if each["purpose"] == "recruiting_process")


# --- evidence --------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S32")
def test_consent_to_sms_is_no_consent_to_whatsapp(box: Box) -> None:
    kim = box.someone()
    assert consent(box, kim)["status"] == "granted"
    assert consent(box, kim, "whatsapp")["status"] == "none"
    answer = box.ats.submit(kim, "Hej", channel="whatsapp")
    assert answer.status_code == 409
    assert answer.json()["code"] in ("consent_required", "channel_disabled")  # disabled until there are credentials (S22)


@pytest.mark.requirement("S33")
@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        ({key: value for key, value in EVIDENCE.items() if key != "wording_version"}, "evidence_incomplete"),
        ({key: value for key, value in EVIDENCE.items() if key != "captured_at"}, "evidence_incomplete"),
        ({**EVIDENCE, "captured_at": "2099-01-01T00:00:00Z"}, "evidence_incomplete"),
        ({**EVIDENCE, "prechecked": True}, "prechecked"),
        ({}, "evidence_incomplete"),
    ],
)
def test_a_grant_without_its_evidence_is_refused(box: Box, unchanged: Unchanged, evidence: Any, code: str) -> None:
    kim = box.someone(consent=False)
    with unchanged():
        assert problem(put(box, kim, status="granted", evidence=evidence)) == (422, code)
    assert consent(box, kim)["status"] == "none"


@pytest.mark.requirement("S33")
def test_every_version_keeps_its_evidence_and_its_hash(box: Box) -> None:
    kim = box.someone(consent=False)
    told = {**EVIDENCE, "ip": "192.0.2.7", "privacy_notice_version": "3", "source_url": "https://jobs.acme.example/7"}
    assert put(box, kim, status="granted", evidence=told).status_code == 200
    assert put(box, kim, status="revoked", source="paper").status_code == 200
    newest, first = box.ats.get(f"/api/v1/candidates/{kim.ref}/consents/sms/history")["data"][:2]
    assert (first["status"], first["wording_text"], first["wording_version"]) == ("granted", EVIDENCE["wording_text"], "7")
    assert (first["ip"], first["privacy_notice_version"]) == ("192.0.2.7", "3")
    assert (first["controller_name"], first["country"], first["phone_e164"]) == ("Acme AB", "SE", kim.phone)
    assert (newest["status"], newest["prev_version"], newest["revoke_source"]) == ("revoked", 1, "ats")
    with box.site.store.read() as view:
        assert consent_rows.verify(view, kim.id) == []


# --- consent requests ------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S34", "S35")
def test_a_request_is_mailed_once_and_answered_with_yes(box: Box, letters: tuple[Letters, int]) -> None:
    kim = box.someone(consent=False)
    box.ats.http.put(f"/api/v1/candidates/{kim.ref}", json={"email": "kim@post.example"})
    first = asked(box, kim, case_ref="job-7")
    assert first.status_code == 202, first.text
    made = first.json()
    assert (made["delivery"], made["channels"], made["lang"]) == ("email", ["sms"], "sv")
    again = asked(box, kim, user="eva@acme.example").json()  # from another pane
    assert (again["id"], again["url"]) == (made["id"], made["url"])
    assert consent(box, kim)["status"] == "requested"
    until(lambda: any(letter["to"] == "kim@post.example" for letter in letters[0].taken), about="the mail")
    mail = [letter for letter in letters[0].taken if letter["to"] == "kim@post.example"]
    assert len(mail) == 1
    assert made["url"] in mail[0].get_content()
    assert "Svetsare" in mail[0].get_content()
    last = datetime.fromisoformat(made["expires_at"]).timestamp() * 1000
    assert day_text(int(last), ZoneInfo("Europe/Stockholm"), "sv") in mail[0].get_content()
    assert texts(box, kim.phone) == []  # never by SMS

    assert httpx.get(made["url"], trust_env=False).status_code == 200
    assert httpx.get(made["url"], trust_env=False).status_code == 200  # link scanners look as often as they like
    assert consent(box, kim)["status"] == "requested"
    page = httpx.post(made["url"], data={"answer": "grant"}, trust_env=False)
    assert page.status_code == 200
    now = consent(box, kim)
    assert (now["status"], now["source"]) == ("granted", "email_link")
    proof = box.ats.get(f"/api/v1/candidates/{kim.ref}/consents/sms/history")["data"][0]
    assert proof["request_id"] == made["id"]
    assert "Acme AB" in proof["wording_text"]
    assert proof["ip"] == "127.0.0.1"
    assert made["url"].rpartition("/")[2] not in str(proof)


@pytest.mark.requirement("S34")
def test_without_an_address_the_ats_brings_the_link(box: Box) -> None:
    kim = box.someone(consent=False)
    answer = asked(box, kim)
    assert answer.status_code == 202
    assert answer.json()["delivery"] == "ats"
    assert {"url", "expires_at"} <= set(answer.json())


@pytest.mark.requirement("S34")
def test_after_a_no_nobody_asks_for_30_days(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone(consent=False)
    url = asked(box, kim).json()["url"]
    assert httpx.post(url, data={"answer": "decline"}, trust_env=False).status_code == 200
    assert consent(box, kim)["status"] == "refused"
    with unchanged():
        assert problem(asked(box, kim)) == (409, "recently_refused")
    assert problem(box.ats.submit(kim, "Hej")) == (409, "consent_required")


@pytest.mark.requirement("S34")
def test_a_bad_request_is_refused_by_its_code(box: Box, unchanged: Unchanged) -> None:
    kim, lea = box.someone(), box.someone(consent=False)
    with unchanged():
        assert problem(asked(box, kim)) == (409, "already_granted")
        assert problem(asked(box, lea, "fax")) == (422, "unknown_channel")
        assert problem(asked(box, lea, case_ref="job-none")) == (404, "case_not_found")
        assert problem(asked(box, Person("nobody", "", ""))) == (404, "candidate_not_found")
        assert problem(asked(box, lea, delivery="sms")) == (422, "unknown_delivery")


@pytest.mark.requirement("S34", "S32")
def test_two_channels_are_ticked_one_by_one(box: Box) -> None:
    kim = box.someone(consent=False)
    url = asked(box, kim, "sms", "whatsapp").json()["url"]
    form = httpx.get(url, trust_env=False).text
    assert "checked" not in form
    unticked = httpx.post(url, data={"answer": "grant"}, trust_env=False)
    assert unticked.status_code == 422
    assert 'role="alert"' in unticked.text
    assert unticked.text.count('name="channels"') == 2, "the question stands there again"
    assert consent(box, kim)["status"] == "requested"
    assert httpx.post(url, data={"answer": "grant", "channels": "sms"}, trust_env=False).status_code == 200
    assert (consent(box, kim)["status"], consent(box, kim, "whatsapp")["status"]) == ("granted", "refused")


@pytest.mark.requirement("S34")
def test_the_candidates_pages_stand_apart(box: Box) -> None:
    kim = box.someone(consent=False)
    url = asked(box, kim).json()["url"]
    page = httpx.get(url, trust_env=False)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "set-cookie" not in page.headers
    assert page.headers["referrer-policy"] == "no-referrer"
    base, _, token = url.rpartition("/")
    assert len(token) >= 22
    altered = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    assert httpx.get(f"{base}/{altered}", trust_env=False).status_code == 404
    assert httpx.get(base.removesuffix("/c") + "/api/v1/messages", trust_env=False).status_code == 404
    assert httpx.get(base.removesuffix("/c") + "/login", trust_env=False).status_code == 404
    assert box.ats.http.get(f"/c/{token}").status_code == 404  # nor the other way round
    with box.site.store.read() as view:
        assert token not in str([dict(row) for row in view.all("SELECT * FROM consent_request")])


# --- the pane and the lock -------------------------------------------------------------------------------------------


@pytest.mark.requirement("S36", "S35")
def test_the_pane_shows_every_module_and_what_can_be_asked_for(box: Box) -> None:
    kim = box.someone()
    assert put(box, kim, "smartrecruit", status="granted", evidence={"form": "7"}).status_code == 200
    found = box.ats.get(f"/api/v1/candidates/{kim.ref}/consents")
    modules = {each["module"]: each for each in found["modules"]}
    assert (modules["smartrecruit"]["status"], modules["smartcrm"]["status"]) == ("granted", "none")
    assert modules["smartrecruit"]["can_request"] is False
    sms = next(each for each in found["data"] if (each["channel"], each["purpose"]) == ("sms", "recruiting_process"))
    assert (sms["status"], sms["tone"], sms["can_request"]) == ("granted", "success", False)
    assert sms["evidence_id"]
    assert sms["since"]
    whatsapp = next(each for each in found["data"] if (each["channel"], each["purpose"]) == ("whatsapp", "recruiting_process"))
    assert (whatsapp["status"], whatsapp["can_request"]) == ("none", True)
    assert box.ats.http.get("/api/v1/candidates/nobody/consents").status_code == 404
    weak = box.key("weak", "messages:read")
    answer = httpx.get(
        f"{box.ats.http.base_url}/api/v1/candidates/{kim.ref}/consents",
        headers={"authorization": f"Bearer {weak}"},
        trust_env=False,
    )
    assert problem(answer) == (403, "scope_missing")


@pytest.mark.requirement("S37", "S38")
def test_no_consent_no_text_even_where_single_opt_in_is_enough(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone(consent=False)
    with unchanged():
        assert problem(box.ats.submit(kim, "Hej")) == (409, "consent_required")
    says(box, kim.phone, "Hej, jag vill gärna höra av er")
    assert consent(box, kim)["status"] == "none"  # stored and shown, and unlocks nothing
    assert problem(box.ats.submit(kim, "Hej")) == (409, "consent_required")


# --- compliance ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S39", "S40", "S42")
def test_going_single_takes_a_typed_acknowledgement_and_touches_new_threads_only(box: Box, unchanged: Unchanged) -> None:
    path = "/api/v1/compliance/countries/GB"
    assert box.ats.get(path)["opt_in"] == "double"
    assert box.ats.get("/api/v1/compliance/countries/NO")["opt_in"] == "double"  # whoever was never touched
    waiting = british(box)
    sent = box.ats.accepted(waiting, "Hello")
    assert sent["hold"]["reason"] == "pending_opt_in"
    given = {"acknowledgement": "I have read the advice.", "name": "Ada", "reference": "LEG-7", "date": "2026-01-10"}
    with unchanged():
        assert problem(box.ats.http.patch(path, json={"opt_in": "single"})) == (422, "acknowledgement_required")
        for field in given:
            less = {**given, field: ""}
            assert problem(box.ats.http.patch(path, json={"opt_in": "single", **less})) == (422, "acknowledgement_required")
        assert problem(box.ats.http.patch(path, json={"opt_in": "off", **given})) == (422, "unknown_mode")
    done = box.ats.http.patch(path, json={"opt_in": "single", "reason": "advice", **given})
    assert done.status_code == 200, done.text
    assert done.json()["history"][0]["name"] == "Ada"
    assert consent(box, waiting)["status"] == "pending_double_opt_in"  # never downgraded
    assert box.ats.message(sent["id"])["state"] == "held"
    fresh = british(box)
    assert consent(box, fresh)["status"] == "granted"
    assert box.ats.http.patch(path, json={"opt_in": "double"}).status_code == 200
    late = box.ats.accepted(fresh, "Hello")  # granted while single, but the thread is new by now
    assert late["hold"]["reason"] == "pending_opt_in"
    assert [each["kind"] for each in late["companions"]] == ["consent_optin"]


@pytest.mark.requirement("S42")
def test_gaps_in_the_texts_stop_the_publishing(box: Box) -> None:
    box.ats.http.put("/api/v1/cases/job-cs", json={"title": "Svářeč", "language": "cs", "organisation": "acme/se"})
    gaps = box.ats.get("/api/v1/compliance/gaps")["data"]
    assert {"country": "SE", "language": "cs", "kind": "identification", "shipped": False} in gaps
    answer = box.ats.post("/api/v1/compliance/publish", {"accept_shipped": True})
    assert problem(answer) == (422, "compliance_gaps")
    for kind, body in (
        ("identification", "{{user.name}}, {{company}}: {{purpose}}. STOP"),
        ("consent_optin", "{{company}}: START?"),
        ("stop_confirmation", "{{company}}: konec."),
        ("help", "{{company}}:{{contact}} STOP."),
    ):
        assert box.ats.http.put(f"/api/v1/compliance/texts/{kind}/cs", json={"body": body}).status_code == 200
    assert box.ats.post("/api/v1/compliance/publish", {}).status_code == 422  # shipped proposals need a yes
    assert box.ats.post("/api/v1/compliance/publish", {"accept_shipped": True}).status_code == 200
    bad = box.ats.http.put("/api/v1/compliance/texts/identification/cs", json={"body": "{{company}}"})
    assert problem(bad) == (422, "missing_merge_field")
    strange = box.ats.http.put("/api/v1/compliance/texts/help/cs", json={"body": "{{secret}}"})
    assert problem(strange) == (422, "unknown_merge_field")


@pytest.mark.requirement("S41")
@pytest.mark.parametrize(
    ("language", "spoken", "wanted", "word"),
    [("sv", "sv", None, "Svara START"), ("de-AT", "de", None, "Antworten Sie START"), ("lv", "sv", "lv", "Svara START")],
)
def test_the_country_comes_from_the_number_and_the_language_from_the_job(
    box: Box, language: str, spoken: str, wanted: str | None, word: str
) -> None:
    case = f"job-{language.lower()}"
    made = box.ats.http.put(
        f"/api/v1/cases/{case}",
        json={"title": "Welder", "language": language, "organisation": "acme/se", "team": ["eva@acme.example"]},
    )
    assert made.status_code == 200, made.text
    kim = british(box)
    sent = box.ats.accepted(kim, "Hej", case_ref=case)
    assert word in sent["companions"][0]["text"]
    with box.site.store.read() as view:
        row = view.one("SELECT * FROM message WHERE id = ?", sent["companions"][0]["id"])
    assert row is not None
    assert (row["rule_country"], row["text_language"], row["text_language_wanted"]) == ("GB", spoken, wanted)


# --- double opt-in ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S44", "S39")
@pytest.mark.parametrize("word", ["start", " START! ", "“Start”"])
def test_start_lets_the_texts_go_in_order(box: Box, word: str) -> None:
    kim = british(box)
    seen = box.ats.post("/api/v1/messages/preview", box.ats.body(kim.ref, "One")).json()
    assert [line["kind"] for line in seen["companions"]] == ["consent_optin"]
    assert seen["total_credits"] == seen["credits"] + seen["companions"][0]["credits"]
    first = box.ats.accepted(kim, "One")
    second = box.ats.accepted(kim, "Two")
    assert [line["kind"] for line in first["companions"]] == ["consent_optin"]
    assert second["companions"] == []  # no second invitation
    assert first["hold"]["reason"] == second["hold"]["reason"] == "pending_opt_in"
    invitation = on_air(box, kim.phone, 1)
    assert len(invitation) == 1
    assert re.search("Acme AB.*START", invitation[0])
    says(box, kim.phone, "ja? vem är det?")
    says(box, kim.phone, "ja?")
    assert consent(box, kim)["status"] == "pending_double_opt_in"
    says(box, kim.phone, word)
    assert on_air(box, kim.phone, 3)[1:] == ["One", "Two"]
    assert consent(box, kim)["status"] == "granted"
    history = box.ats.get(f"/api/v1/candidates/{kim.ref}/consents/sms/history")["data"]
    assert (history[0]["keyword_raw"], history[0]["doi_confirmed_at"] is not None) == (word, True)
    assert history[0]["doi_invited_at"]
    third = box.ats.accepted(kim, "Three")
    assert (third["state"], third["companions"]) == ("queued", [])


@pytest.mark.requirement("S44", "S45")
def test_a_start_that_is_faster_than_its_invitation_lets_an_identification_go_first(box: Box) -> None:
    kim = british(box, introduced=False)
    box.park(True)
    try:
        sent = box.ats.accepted(kim, "One")
        (invitation,) = sent["companions"]
        says(box, kim.phone, "START")
        assert box.ats.until_state(invitation["id"], "cancelled")["kind"] == "consent_optin"
        assert box.ats.message(sent["id"])["hold"]["reason"] == "waits_for"
    finally:
        box.park(False)
    first, text = on_air(box, kim.phone, 2)
    assert all(word in first for word in ("Eva Lind", "Acme AB", "Svetsare", "STOP"))
    assert text == "One"
    assert consent(box, kim)["status"] == "granted"


@pytest.mark.requirement("S44")
def test_stop_while_pending_cancels_and_refunds(box: Box) -> None:
    kim = british(box)
    sent = box.ats.accepted(kim, "One")
    on_air(box, kim.phone, 1)
    says(box, kim.phone, "STOP")
    done = box.ats.until_state(sent["id"], "cancelled")
    assert done["error"]["code"] == "opted_out"
    assert len(on_air(box, kim.phone, 2)) == 2  # the invitation and one confirmation
    assert consent(box, kim)["status"] == "revoked"
    says(box, kim.phone, "stop!")
    says(box, kim.phone, "HELP")
    assert len(on_air(box, kim.phone, 3)) == 3  # no second confirmation; HELP is answered also now
    assert "STOP" in texts(box, kim.phone)[2]
    assert problem(put(box, kim, status="granted", evidence=EVIDENCE)) == (409, "opted_out")
    assert problem(asked(box, kim)) == (409, "opted_out")


@pytest.mark.requirement("S44", "S16")
def test_an_invitation_that_cannot_be_paid_refuses_the_text(tmp_path: Any) -> None:
    with Box(tmp_path, credits=1) as poor:
        poor.site.web()
        kim = british(poor)
        before = poor.books()
        answer = poor.ats.submit(kim, "Hello")
        assert (problem(answer), answer.json()["needed"]) == ((402, "insufficient_credits"), 2)
        assert poor.books() == before
        assert consent(poor, kim)["status"] == "pending_double_opt_in"


# --- single opt-in ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S45")
def test_the_first_text_is_preceded_by_exactly_one_identification(box: Box) -> None:
    kim = stranger(box)
    first = box.ats.accepted(kim, "Ett")
    assert (first["state"], first["hold"]["reason"]) == ("held", "waits_for")
    assert [line["kind"] for line in first["companions"]] == ["identification"]
    second = box.ats.accepted(kim, "Två")
    assert second["companions"] == []
    heard = on_air(box, kim.phone, 3)
    assert heard[1:] == ["Ett", "Två"]
    assert all(word in heard[0] for word in ("Eva Lind", "Acme AB", "Svetsare", "STOP"))
    box.ats.until_state(second["id"], "delivered")
    third = box.ats.accepted(kim, "Tre")
    assert third["state"] == "queued"
    assert on_air(box, kim.phone, 4)[3] == "Tre"
    shown = box.ats.message(first["id"])
    assert len(shown["companions"]) == 1


@pytest.mark.requirement("S45")
def test_an_empty_purpose_is_refused(box: Box, unchanged: Unchanged) -> None:
    made = box.ats.http.put(
        "/api/v1/cases/job-blank",
        json={"title": "x", "language": "sv", "organisation": "acme/se", "team": ["eva@acme.example"]},
    )
    assert made.status_code == 200
    with box.site.store.write() as tx:
        tx.execute("UPDATE hiring_case SET title = ' ' WHERE ref = 'job-blank'")
    kim = stranger(box)
    with unchanged():
        answer = box.ats.submit(kim, "Hej", case_ref="job-blank")
        assert (problem(answer), answer.json()["missing"]) == ((422, "merge_value_missing"), "purpose")


@pytest.mark.requirement("S45")
def test_an_identification_goes_with_its_last_text_and_not_before(box: Box) -> None:
    kim = stranger(box)
    before = box.ats.credits()
    later = box.moment(3600)
    first = box.ats.accepted(kim, "Ett", send_at=later)
    second = box.ats.accepted(kim, "Två", send_at=later)
    announcing = first["companions"][0]["id"]
    refused = box.ats.post(f"/api/v1/messages/{announcing}/cancel")
    assert problem(refused) == (409, "has_followers")
    assert box.ats.cancel(first["id"])["outcome"] == "cancelled"
    assert box.ats.message(announcing)["state"] == "held"
    assert box.ats.cancel(second["id"])["outcome"] == "cancelled"
    assert box.ats.message(announcing)["state"] == "cancelled"
    assert box.ats.credits() == before


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S44", "S37")
def test_a_plea_pauses_the_thread_until_a_colleague_has_looked(box: Box) -> None:
    kim = box.someone()
    says(box, kim.phone, "Can you stop by at 3?")
    assert consent(box, kim)["status"] == "granted"
    says(box, kim.phone, "Snälla, inte fler sms nu")
    assert consent(box, kim)["status"] == "granted"
    task = next(each for each in box.ats.get("/api/v1/tasks", state="open")["data"] if each["candidate_ref"] == kim.ref)
    assert task["kind"] == "possible_opt_out"
    held = box.ats.accepted(kim, "Hej")
    assert held["hold"]["reason"] == "thread_paused"
    assert problem(box.ats.post(f"/api/v1/tasks/{task['id']}/done", {"outcome": "maybe"})) == (422, "unknown_outcome")
    done = box.ats.post(f"/api/v1/tasks/{task['id']}/done", {"outcome": "resume"})
    assert done.status_code == 200, done.text
    box.ats.until_state(held["id"], "delivered")
    assert problem(box.ats.post(f"/api/v1/tasks/{task['id']}/done", {"outcome": "resume"})) == (409, "already_done")


@pytest.mark.requirement("S44", "S37")
def test_from_plus_one_a_stop_inside_a_text_opts_out(box: Box) -> None:
    kim = box.ats.candidate("+12025550143", region="US", language="en")
    says(box, kim.phone, "please STOP texting me")
    assert consent(box, kim)["status"] == "revoked"
    assert len(on_air(box, kim.phone, 1)) == 1


@pytest.mark.requirement("S37", "S44")
def test_start_undoes_a_stop_only_where_consent_was_once_given(box: Box) -> None:
    kim, lea = box.someone(), box.someone(consent=False)
    says(box, kim.phone, "STOPP")
    assert problem(box.ats.submit(kim, "Hej")) == (409, "opted_out")
    says(box, kim.phone, "START")
    assert consent(box, kim)["status"] == "granted"
    assert box.ats.submit(kim, "Hej").status_code == 202
    asked(box, lea)
    says(box, lea.phone, "STOP")
    says(box, lea.phone, "START")
    assert consent(box, lea)["status"] == "requested"
    says(box, lea.phone, "Start!")
    assert len(on_air(box, lea.phone, 2)) == 2  # the confirmation of the STOP, and one text that consent is still needed


@pytest.mark.requirement("S37")
def test_an_unknown_number_may_stop_and_gets_nothing_by_start(box: Box) -> None:
    phone = box.a_number()
    says(box, phone, "START")
    says(box, phone, "Start!")
    assert len(on_air(box, phone, 1)) == 1  # told how to apply, once
    says(box, phone, "STOP")
    kim = box.ats.candidate(phone, consent=False)
    assert problem(put(box, kim, status="granted", evidence=EVIDENCE)) == (409, "opted_out")  # the STOP outlives not being known


@pytest.mark.requirement("S37")
def test_administrators_add_words_and_remove_none_of_ours(box: Box) -> None:
    kim = box.someone()
    answer = box.ats.post("/api/v1/compliance/keywords", {"word": "Tyst nu", "kind": "stop", "language": "sv"})
    assert answer.status_code == 201, answer.text
    says(box, kim.phone, "TYST NU!")
    assert consent(box, kim)["status"] == "revoked"
    assert problem(box.ats.http.delete("/api/v1/compliance/keywords/STOP")) == (409, "keyword_locked")
    clash = box.ats.post("/api/v1/compliance/keywords", {"word": "STOP", "kind": "start"})
    assert problem(clash) == (409, "keyword_taken")
    assert box.ats.http.delete(f"/api/v1/compliance/keywords/{answer.json()['id']}").status_code == 204


@pytest.mark.requirement("S33", "S37")
def test_a_changed_number_starts_without_consent(box: Box) -> None:
    kim = box.someone()
    answer = box.ats.http.put(f"/api/v1/candidates/{kim.ref}", json={"phone": box.a_number()})
    assert answer.status_code == 200
    assert consent(box, kim)["status"] == "none"
    assert problem(box.ats.submit(kim, "Hej")) == (409, "consent_required")
    history = box.ats.get(f"/api/v1/candidates/{kim.ref}/consents/sms/history")["data"]
    assert history[0]["status"] == "expired"


# --- time: these move the clock, so they come last -------------------------------------------------------------------


@pytest.mark.requirement("S44")
def test_one_reminder_after_two_days_and_the_end_after_two_weeks(box: Box) -> None:
    kim, link = british(box), box.someone(consent=False)
    url = asked(box, link).json()["url"]
    sent = box.ats.accepted(kim, "One")
    on_air(box, kim.phone, 1)
    later(box, 2 * DAY + 60)
    reminded = on_air(box, kim.phone, 2)
    assert "START" in reminded[1]
    later(box, 5 * DAY)
    later(box, 7 * DAY)
    done = box.ats.until_state(sent["id"], "expired")
    assert done["credits"] == 1
    until(lambda: consent(box, kim)["status"] == "expired", about="the consent has expired")
    assert len(box.on_air(kim.phone)) == 2  # never a second reminder
    with box.site.store.read() as view:
        ledger = view.all(
            "SELECT kind, amount, charged FROM ledger WHERE message_id IN (SELECT id FROM message WHERE candidate_id = ?)", kim.id
        )
    assert sum(row["charged"] for row in ledger) == 2  # invitation and reminder left
    assert sum(row["amount"] for row in ledger if row["kind"] == "refund") == 1  # the text did not
    assert httpx.get(url, trust_env=False).status_code == 410
    assert httpx.post(url, data={"answer": "grant"}, trust_env=False).status_code == 410
    until(lambda: consent(box, link)["status"] == "expired", about="the request has expired")
    assert asked(box, link).status_code == 202


@pytest.mark.requirement("S37")
def test_a_year_without_a_word_ends_a_consent(box: Box) -> None:
    silent, talking = box.someone(), box.someone()
    later(box, 200 * DAY)
    says(box, talking.phone, "Hej, jag är kvar")
    later(box, 166 * DAY)
    until(lambda: consent(box, silent)["status"] == "expired", about="the silent one has expired")
    assert consent(box, talking)["status"] == "granted"
    assert problem(box.ats.submit(silent, "Hej")) == (409, "consent_required")
