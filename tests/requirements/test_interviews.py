"""Interviews over real HTTP: invitations, answers by page and text, slots, reminders over changes of clocks (S10 S11 S51–S56)."""

import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.ats import Box, Person
from tests.processes import until

Unchanged = Callable[[], AbstractContextManager[None]]

STOCKHOLM = ZoneInfo("Europe/Stockholm")
MORE = """
[[user]]
email = "ann@acme.example"
name = "Ann Admin"
roles = ["admin"]
[[case]]
ref = "job-fi"
title = "Hitsaaja"
language = "fi"
unit = "acme/se"
team = ["eva@acme.example"]
[[template]]
unit = "acme/se"
name = "Intervju"
kind = "interview_invite"
channel = "sms"
language = "sv"
body = "{{company}}: intervju {{interview.date}} kl {{interview.time}}, {{interview.location}}. Svara: {{interview_link}}"
[[template]]
unit = "acme/se"
name = "Påminnelse"
kind = "interview_reminder"
channel = "sms"
language = "sv"
body = "{{company}}: vi ses {{interview.date}} kl {{interview.time}}."
"""
TEXT = "Hej {{candidate.first_name}}! Intervju {{interview.starts_at}}. Svara 1 = ja, 2 = nej eller {{interview_link}}"
SLOTS_TEXT = "Hej! Boka tid: {{interview_link}}"
_refs = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def people(box: Box) -> None:
    """Templates, another case, an administrator."""
    file = box.site.directory / "interviews.toml"
    file.write_text(MORE)
    box.site.ringpost("apply", str(file))


@pytest.fixture(autouse=True)
def open_hours(box: Box) -> Iterator[None]:
    """Every test leaves Sweden open at all hours."""
    yield
    hours(box, "always")


def hours(box: Box, wanted: Any) -> None:
    assert box.ats.http.patch("/api/v1/countries/SE", json={"hours": wanted}).status_code == 200


def at(box: Box, hours_ahead: float) -> str:
    return box.moment(hours_ahead * 3600)


def later(box: Box, seconds: float) -> None:
    """Move the clock, and see that every process has noticed: they look at its file every 50 ms."""
    box.advance(seconds)
    noticed = time.monotonic() + 0.06
    until(lambda: time.monotonic() > noticed, about="the clock is read again")


def wish(box: Box, to: Person, **more: Any) -> dict[str, Any]:
    """An invitation that passes every gate."""
    plain = {
        "user": "eva@acme.example",
        "candidate_ref": to.ref,
        "case_ref": "job-7",
        "type": "scheduled",
        "tz": "Europe/Stockholm",
        "location": "Storgatan 1",
    }
    if more.get("type", "scheduled") == "scheduled":
        plain |= {"starts_at": at(box, 72), "text": TEXT}
    else:
        plain |= {"text": SLOTS_TEXT}
    made = {**plain, **more}
    if "template_id" in more:
        made.pop("text", None)
    return {name: value for name, value in made.items() if value is not ...}


def ask(box: Box, to: Person, **more: Any) -> httpx.Response:
    return box.ats.post("/api/v1/interviews", wish(box, to, **more))


def invite(box: Box, to: Person, *, wait: bool = True, **more: Any) -> dict[str, Any]:
    """An interview whose invitation has left."""
    answer = ask(box, to, **more)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    if wait:
        box.ats.until_state(made["message"]["id"], "delivered")
    return made


def interview(box: Box, interview_id: str) -> dict[str, Any]:
    found: dict[str, Any] = box.ats.get(f"/api/v1/interviews/{interview_id}")
    return found


def until_answered(box: Box, interview_id: str, answers: int) -> dict[str, Any]:
    until(lambda: len(interview(box, interview_id)["answers"]) >= answers, about="the answer is recorded")
    return interview(box, interview_id)


def texts(box: Box, to: Person) -> list[str]:
    return [part.text for part in box.on_air(to.phone)]


def link(box: Box, to: Person) -> str:
    """The path of the newest link that went to somebody."""
    found = re.findall(r"(/i/[A-Za-z0-9_-]{22})", "".join(texts(box, to)))
    return str(found[-1])


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def events(box: Box, kind: str, interview_id: str) -> list[dict[str, Any]]:
    return [
        event["data"]
        for event in box.ats.pages("/api/v1/events")
        if event["type"] == kind and event["data"].get("interview_id") == interview_id
    ]


def slots(box: Box, *ahead: float, capacity: int = 1, prefix: str = "") -> list[dict[str, Any]]:
    """Slots of half an hour, so many hours from now, with ids that no other test has."""
    name = prefix or f"slot{next(_refs)}"
    return [
        {"id": f"{name}-{number}", "starts_at": at(box, hour), "ends_at": at(box, hour + 0.5), "capacity": capacity}
        for number, hour in enumerate(ahead, 1)
    ]


def interviews_stored(box: Box) -> int:
    with box.site.store.read() as view:
        return int(view.value("SELECT COUNT(*) AS n FROM interview"))


def ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


# --- S10, S11: the invitation ------------------------------------------------------------------------------------------


@pytest.mark.requirement("S10", "S11")
def test_an_invitation_is_an_interview_a_message_and_a_link_in_one(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim)
    assert made["state"] == "invited"
    assert made["message_id"] == made["message"]["id"]
    text = "".join(texts(box, kim))
    assert "Hej Kim! Intervju " in text
    page = box.ats.http.get(link(box, kim))
    assert page.status_code == 200
    assert "Svetsare" in page.text
    with box.site.store.read() as view:
        row = view.one("SELECT * FROM interview WHERE id = ?", made["id"])
        assert row is not None
        assert link(box, kim).removeprefix("/i/") not in "".join(str(value) for value in dict(row).values())
    body = wish(box, kim)
    first, again = (box.ats.post("/api/v1/interviews", body, token="same-invitation").json() for _ in range(2))
    assert first["id"] == again["id"]


@pytest.mark.requirement("S10")
def test_an_invitation_by_template_speaks_of_date_time_and_place(box: Box) -> None:
    kim = box.someone()
    template = box.ats.get("/api/v1/interviews/options", case="job-7")["channels"]["sms"]["kinds"]["interview_invite"][
        "templates"
    ][0]
    start = datetime.fromtimestamp(box.now() / 1000 + 72 * 3600, STOCKHOLM).replace(hour=9, minute=30, second=0, microsecond=0)
    invite(box, kim, template_id=template["id"], starts_at=start.isoformat())
    said = "".join(texts(box, kim))
    assert "kl 09:30, Storgatan 1." in said
    assert f" {start.day} " in said


@pytest.mark.requirement("S10", "S11", "S54")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"starts_at": "2026-01-01T09:00:00Z"}, (422, "starts_at_past")),
        ({"starts_at": ...}, (422, "starts_at_missing")),
        ({"tz": "CET+1"}, (422, "invalid_timezone")),
        ({"type": "group"}, (422, "interview_type_not_supported")),
        ({"type": "mass_self_schedule"}, (422, "interview_type_not_supported")),
        ({"text": "Hej! Svara 1 eller 2."}, (422, "missing_merge_field")),
        ({"text": "Hej {{interview_link"}, (422, "template_invalid")),
        ({"text": ...}, (422, "text_empty")),
        ({"response_url": "http://ats.example/answer"}, (422, "response_url_not_https")),
        ({"case_ref": "job-none"}, (404, "case_not_found")),
        ({"candidate_ref": "nobody"}, (404, "candidate_not_found")),
        ({"user": "mia@acme.example"}, (403, "seat_required")),
        ({"user": "otto@acme.example"}, (403, "not_on_hiring_team")),
        ({"channel": "whatsapp"}, (409, "channel_disabled")),
        ({"channel": "email"}, (409, "channel_disabled")),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_a_bad_invitation_leaves_nothing(
    box: Box, unchanged: Unchanged, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    kim = box.ats.candidate("+46701740605", ref="bad-invitations")
    before = interviews_stored(box)
    with unchanged():
        assert code(ask(box, kim, **change)) == expected
    assert interviews_stored(box) == before


@pytest.mark.requirement("S10")
def test_without_credits_there_is_no_interview_either(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    balance = "UPDATE balance SET available = available + ?"
    left = box.ats.credits()[0]
    with box.site.store.write() as tx:
        tx.execute(balance, -left)
    before = interviews_stored(box)
    try:
        with unchanged():
            assert code(ask(box, kim)) == (402, "insufficient_credits")
        assert interviews_stored(box) == before
    finally:
        with box.site.store.write() as tx:
            tx.execute(balance, left)


@pytest.mark.requirement("S11")
def test_looking_at_the_link_changes_nothing_and_posting_does(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    made = invite(box, kim)
    path = link(box, kim)
    with unchanged():
        for _ in range(3):
            assert box.ats.http.get(path).status_code == 200
            assert box.ats.http.head(path).status_code == 200
    assert interview(box, made["id"])["state"] == "invited"
    assert box.ats.http.post(path, data={"answer": "confirm"}).status_code == 200
    assert interview(box, made["id"])["state"] == "confirmed"


@pytest.mark.requirement("S11")
def test_an_altered_link_is_unknown_and_an_expired_one_gone(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    invite(box, kim, starts_at=at(box, 1))
    path = link(box, kim)
    altered = path[:-1] + ("A" if path[-1] != "A" else "B")
    with unchanged():
        assert box.ats.http.get(altered).status_code == 404
        assert box.ats.http.post(altered, data={"answer": "confirm"}).status_code == 404
        assert box.ats.http.get("/i/short").status_code == 404
    later(box, 26 * 3600)
    with unchanged():
        assert box.ats.http.get(path).status_code == 410
        gone = box.ats.http.post(path, data={"answer": "confirm"})
        assert (gone.status_code, "Länken har gått ut." in gone.text) == (410, True)


@pytest.mark.requirement("S11")
def test_a_page_of_the_ats_takes_the_place_of_ours(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim, response_url="https://ats.example/r/88")
    assert "https://ats.example/r/88" in "".join(texts(box, kim))
    answer = box.ats.post(f"/api/v1/interviews/{made['id']}/answer", {"answer": "decline"})
    assert (answer.status_code, answer.json()["state"]) == (200, "declined")


# --- S51: what a scheduling screen offers ------------------------------------------------------------------------------


@pytest.mark.requirement("S51")
def test_the_options_show_channels_templates_and_how_they_read(box: Box) -> None:
    kim = box.someone()
    found = box.ats.get("/api/v1/interviews/options", case="job-7", type="scheduled", user="eva@acme.example", candidate=kim.ref)
    sms, whatsapp = found["channels"]["sms"], found["channels"]["whatsapp"]
    assert (sms["available"], whatsapp["available"], whatsapp["reason"]) == (True, False, "channel_disabled")
    invitation = sms["kinds"]["interview_invite"]["templates"][0]
    assert (invitation["name"], invitation["language"]) == ("Intervju", "sv")
    assert invitation["preview"]["text"].startswith("Acme AB: intervju ")
    assert invitation["preview"]["parts"] >= 1
    assert [each["name"] for each in sms["kinds"]["interview_reminder"]["templates"]] == ["Påminnelse"]


@pytest.mark.requirement("S51")
def test_no_template_for_a_channel_says_why_and_sending_without_one_is_refused(box: Box, unchanged: Unchanged) -> None:
    found = box.ats.get("/api/v1/interviews/options", case="job-7", type="self_schedule")
    assert found["channels"]["whatsapp"]["kinds"]["interview_invite"] == {"templates": [], "reason": "no_template_for_language"}
    kim = box.someone()
    with unchanged():
        assert code(ask(box, kim, text=...)) == (422, "text_empty")
        answer = box.ats.http.get("/api/v1/interviews/options", params={"case": "job-7", "type": "group"})
        assert code(answer) == (422, "interview_type_not_supported")


# --- S52: yes and no ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("S52")
def test_two_declines_and_is_acknowledged_and_maybe_changes_nothing(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim)
    reserved = box.ats.credits()
    box.stick.control.deliver(kim.phone, "kanske")
    until(lambda: "kanske" in received(box, kim), about="the message is here")
    assert interview(box, made["id"])["answers"] == []
    box.stick.control.deliver(kim.phone, "2")
    shown = until_answered(box, made["id"], 1)
    assert (shown["state"], shown["answers"][0]["answer"], shown["answers"][0]["source"]) == ("declined", "decline", "sms")
    until(lambda: "avböjd" in texts(box, kim)[-1], about="the acknowledgement is on the air")
    assert box.ats.credits() == reserved
    told = events(box, "interview.responded", made["id"])
    assert [(event["answer"], event["state"], event["late"]) for event in told] == [("decline", "declined", False)]


def received(box: Box, person: Person) -> list[str]:
    with box.site.store.read() as view:
        rows = view.all("SELECT text FROM received WHERE candidate_id = ? ORDER BY received_at, id", person.id)
    return [row["text"] for row in rows]


@pytest.mark.requirement("S52")
def test_the_last_answer_before_the_start_wins_and_every_one_is_kept(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim)
    path = link(box, kim)
    box.stick.control.deliver(kim.phone, " Ja! ")
    assert until_answered(box, made["id"], 1)["state"] == "confirmed"
    box.ats.http.post(path, data={"answer": "decline"})
    assert interview(box, made["id"])["state"] == "declined"
    box.stick.control.deliver(kim.phone, "1")
    shown = until_answered(box, made["id"], 3)
    assert shown["state"] == "confirmed"
    assert [(given["answer"], given["source"]) for given in shown["answers"]] == [
        ("confirm", "sms"),
        ("decline", "page"),
        ("confirm", "sms"),
    ]


@pytest.mark.requirement("S52")
def test_with_two_open_invitations_the_box_asks_which_one(box: Box) -> None:
    kim = box.someone()
    first = invite(box, kim, starts_at=at(box, 50))
    second = invite(box, kim, starts_at=at(box, 60), case_ref="job-fi")
    box.stick.control.deliver(kim.phone, "1")
    until(lambda: "A: Svetsare" in "".join(texts(box, kim)), about="the question is on the air")
    asked = "".join(texts(box, kim))
    assert "B: Hitsaaja" in asked
    assert interview(box, first["id"])["answers"] == interview(box, second["id"])["answers"] == []
    box.stick.control.deliver(kim.phone, "2b")
    assert until_answered(box, second["id"], 1)["state"] == "declined"
    assert interview(box, first["id"])["state"] == "invited"
    box.stick.control.deliver(kim.phone, "ja")  # not "1": the same text in the same second is one message that came twice
    assert until_answered(box, first["id"], 1)["state"] == "confirmed"


@pytest.mark.requirement("S52")
def test_an_answer_after_the_start_is_recorded_late_and_changes_nothing(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim, starts_at=at(box, 1))
    path = link(box, kim)
    box.stick.control.deliver(kim.phone, "1")
    until_answered(box, made["id"], 1)
    later(box, 3700)
    box.stick.control.deliver(kim.phone, "2")
    shown = until_answered(box, made["id"], 2)
    assert (shown["state"], shown["answers"][1]["outcome"]) == ("confirmed", "late")
    assert box.ats.http.post(path, data={"answer": "decline"}).status_code == 200
    assert interview(box, made["id"])["state"] == "confirmed"
    assert [event["late"] for event in events(box, "interview.responded", made["id"])] == [False, True, True]


@pytest.mark.requirement("S52")
def test_a_cancelled_interview_takes_no_answer(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim)
    path = link(box, kim)
    assert box.ats.http.delete(f"/api/v1/interviews/{made['id']}").json()["state"] == "cancelled"
    assert box.ats.http.delete(f"/api/v1/interviews/{made['id']}").status_code == 404
    assert code(box.ats.post(f"/api/v1/interviews/{made['id']}/answer", {"answer": "confirm"})) == (409, "interview_cancelled")
    assert box.ats.http.post(path, data={"answer": "confirm"}).status_code == 409
    assert "Intervjun är inställd." in box.ats.http.get(path).text
    assert code(box.ats.post(f"/api/v1/interviews/{made['id']}/answer", {})) == (422, "answer_missing")


# --- S53: self-scheduling ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("S53")
def test_a_candidate_chooses_by_digit_and_choosing_again_frees_the_old_slot(box: Box) -> None:
    kim = box.someone()
    offered = slots(box, 30, 31, 32)
    made = invite(box, kim, type="self_schedule", slots=offered)
    said = "".join(texts(box, kim))
    assert [number for number in "123" if f"\n{number} = " in said] == ["1", "2", "3"]
    box.stick.control.deliver(kim.phone, "2")
    shown = until_answered(box, made["id"], 1)
    assert (shown["state"], shown["slot"], shown["starts_at"]) == ("confirmed", offered[1]["id"], shown["slots"][1]["starts_at"])
    assert [slot["free"] for slot in shown["slots"]] == [1, 0, 1]
    page = box.ats.http.post(link(box, kim), data={"slot": offered[2]["id"]})
    assert page.status_code == 200
    shown = interview(box, made["id"])
    assert (shown["slot"], [slot["free"] for slot in shown["slots"]]) == (offered[2]["id"], [1, 1, 0])
    box.stick.control.deliver(kim.phone, "nej")
    shown = until_answered(box, made["id"], 3)
    assert (shown["state"], shown["slot"], [slot["free"] for slot in shown["slots"]]) == ("declined", None, [1, 1, 1])


@pytest.mark.requirement("S53")
def test_of_twenty_who_want_one_slot_at_once_one_gets_it(box: Box) -> None:
    offered = slots(box, 40, 41)
    many = [box.someone() for _ in range(20)]
    made = [invite(box, each, wait=False, type="self_schedule", slots=offered) for each in many]
    go, answers = threading.Barrier(20), []

    def claim(interview_id: str) -> None:
        with httpx.Client(base_url=box.ats.http.base_url, headers=box.ats.http.headers, timeout=30, trust_env=False) as http:
            go.wait()
            answers.append(http.post(f"/api/v1/interviews/{interview_id}/answer", json={"slot": offered[0]["id"]}))

    threads = [threading.Thread(target=claim, args=(each["id"],)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
    lost = [answer.json() for answer in answers if answer.status_code == 409]
    assert {problem["code"] for problem in lost} == {"slot_taken"}
    assert all([slot["id"] for slot in problem["remaining"]] == [offered[1]["id"]] for problem in lost)
    with box.site.store.read() as view:
        assert view.value("SELECT taken FROM slot WHERE ref = ?", offered[0]["id"]) == 1
        assert (
            view.value("SELECT COUNT(*) AS n FROM interview i JOIN slot s ON s.id = i.slot_id WHERE s.ref = ?", offered[0]["id"])
            == 1
        )


@pytest.mark.requirement("S53")
def test_who_comes_too_late_reads_what_is_left_and_when_all_is_gone_the_ats_is_told(box: Box) -> None:
    offered = slots(box, 33, 34)
    kim, lea, tom = (box.someone() for _ in range(3))
    of_kim, of_lea, of_tom = (invite(box, each, type="self_schedule", slots=offered) for each in (kim, lea, tom))
    box.stick.control.deliver(kim.phone, "1")
    until_answered(box, of_kim["id"], 1)
    box.stick.control.deliver(lea.phone, "1")
    assert until_answered(box, of_lea["id"], 1)["answers"][0]["outcome"] == "taken"
    until(lambda: "Den tiden är upptagen" in texts(box, lea)[-1], about="lea reads what is left")
    assert "\n2 = " in texts(box, lea)[-1]
    assert "\n1 = " not in texts(box, lea)[-1]
    assert events(box, "interview.no_slots", of_tom["id"]) == []
    taken = box.ats.http.post(link(box, tom), data={"slot": offered[0]["id"]})
    assert (taken.status_code, "Den tiden har just blivit upptagen" in taken.text) == (409, True)
    box.stick.control.deliver(lea.phone, "2")
    assert until_answered(box, of_lea["id"], 2)["state"] == "confirmed"
    until(lambda: len(events(box, "interview.no_slots", of_tom["id"])) == 1, about="the ATS is told")
    assert "Alla tider är upptagna" in box.ats.http.get(link(box, tom)).text
    gone = box.ats.post(f"/api/v1/interviews/{of_tom['id']}/answer", {"slot": offered[1]["id"]})
    assert (code(gone), gone.json()["remaining"]) == ((409, "slot_taken"), [])
    assert len(events(box, "interview.no_slots", of_tom["id"])) == 1


@pytest.mark.requirement("S53")
def test_the_page_lists_slots_in_the_candidates_zone(box: Box) -> None:
    kim = box.someone()
    day = datetime.fromtimestamp(box.now() / 1000 + 72 * 3600, UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    offered = [{"id": f"zone{next(_refs)}", "starts_at": day.isoformat(), "ends_at": (day + timedelta(hours=1)).isoformat()}]
    invite(box, kim, type="self_schedule", slots=offered, tz="America/New_York")
    page = box.ats.http.get(link(box, kim)).text
    assert f"{day.astimezone(STOCKHOLM):%H:%M}" in page
    assert "Europe/Stockholm" in page


@pytest.mark.requirement("S53")
def test_bad_slots_and_a_slot_of_another_interview_are_refused(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    good = slots(box, 30, 31)
    made = invite(box, kim, type="self_schedule", slots=good, wait=False)
    bad = [
        ([], "slots_missing"),
        (slots(box, 30, 30.25), "slots_overlap"),
        (slots(box, -2), "slot_past"),
        (slots(box, 30, capacity=0), "slot_invalid"),
        ([{**good[0], "ends_at": good[0]["starts_at"]}], "slot_invalid"),
    ]
    box.ats.until_state(made["message"]["id"], "delivered")
    with unchanged():
        for given, expected in bad:
            assert code(ask(box, kim, type="self_schedule", slots=given)) == (422, expected)
        assert code(ask(box, kim, type="self_schedule", slots=[{**good[0], "capacity": 7}])) == (409, "slot_conflict")
        path = f"/api/v1/interviews/{made['id']}/answer"
        assert code(box.ats.post(path, {"slot": "elsewhere"})) == (404, "slot_not_found")
        assert code(box.ats.post(path, {"answer": "confirm"})) == (422, "slot_required")


# --- S55, S56: reminders -----------------------------------------------------------------------------------------------


def remind(box: Box, made: dict[str, Any], offset: str, **more: Any) -> httpx.Response:
    return box.ats.post(f"/api/v1/interviews/{made['id']}/reminders", {"offset": offset, "text": "Vi ses snart!", **more})


def reminder(box: Box, made: dict[str, Any], offset: str, **more: Any) -> dict[str, Any]:
    answer = remind(box, made, offset, **more)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.requirement("S55")
def test_a_reminder_fires_at_its_time_and_not_before(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim, starts_at=at(box, 30))
    template = box.ats.get("/api/v1/interviews/options", case="job-7")["channels"]["sms"]["kinds"]["interview_reminder"][
        "templates"
    ][0]
    plan = reminder(box, made, "PT2H", template_id=template["id"], text=None)
    assert plan["nominal_at"] == plan["fires_at"]
    assert ms(made["starts_at"]) - ms(plan["fires_at"]) == 2 * 3_600_000
    assert (plan["state"], plan["message_state"], plan["credits"]) == ("planned", "held", 1)
    later(box, (ms(plan["fires_at"]) - box.now()) / 1000 - 30)
    assert box.ats.message(plan["message_id"])["state"] == "held"
    later(box, 31)
    box.ats.until_state(plan["message_id"], "delivered")
    assert "vi ses" in texts(box, kim)[-1]
    until(lambda: interview(box, made["id"])["reminders"][0]["state"] == "fired", about="it is written down")
    assert code(delete(box, made, plan)) == (409, "already_sent")


def delete(box: Box, made: dict[str, Any], plan: dict[str, Any]) -> httpx.Response:
    return box.ats.http.delete(f"/api/v1/interviews/{made['id']}/reminders/{plan['id']}")


CHANGES = {
    "Europe/Stockholm": [(3, -1, 9), (10, -1, 9)],
    "America/New_York": [(3, 2, 10), (11, 1, 10)],
    "Australia/Sydney": [(4, 1, 10), (10, 1, 10)],
}
"""In which month the clocks change, on the how-many-th Sunday, and the hour of an interview on the Monday after."""


def monday_after(year: int, month: int, sunday: int) -> date:
    """The day after the first, second or last (-1) Sunday of a month."""
    days = [date(year, month, 1) + timedelta(days=number) for number in range(31)]
    sundays = [day for day in days if day.month == month and day.weekday() == 6]
    return sundays[sunday - 1 if sunday > 0 else sunday] + timedelta(days=1)


@pytest.mark.requirement("S55")
def test_reminders_around_the_changes_of_clocks_fire_at_the_wall_times_people_expect(box: Box) -> None:
    year = datetime.fromtimestamp(box.now() / 1000, UTC).year + 1
    planned = []
    for zone, days in CHANGES.items():
        there = ZoneInfo(zone)
        kim = box.someone()
        for month, sunday, hour in days:
            monday = monday_after(year, month, sunday)
            start = datetime(monday.year, monday.month, monday.day, hour, tzinfo=there)
            assert start.utcoffset() != (start - timedelta(days=2)).utcoffset()
            made = invite(box, kim, starts_at=start.isoformat(), tz=zone)
            for offset, before in (("P1D", 1), ("P2D", 2)):
                wall = start - timedelta(days=before)  # Python's arithmetic within a zone is that of the wall clock
                planned.append((wall.timestamp(), reminder(box, made, offset), wall, there))
            elapsed = start.timestamp() - 7200
            planned.append((elapsed, reminder(box, made, "PT2H"), datetime.fromtimestamp(elapsed, there), there))
    for moment, plan, wall, there in sorted(planned, key=lambda each: each[0]):
        fires = datetime.fromisoformat(plan["fires_at"])
        assert fires.timestamp() == moment, (plan["offset"], wall)
        assert (fires.astimezone(there).hour, fires.astimezone(there).minute) == (wall.hour, wall.minute)
        later(box, moment - box.now() / 1000 - 20)
        assert box.ats.message(plan["message_id"])["state"] == "held"
        later(box, 21)
        sent = box.ats.until_state(plan["message_id"], "sent", "delivered")
        assert 0 <= ms(sent["sent_at"]) / 1000 - moment < 30, (plan["offset"], wall)


@pytest.mark.requirement("S55")
def test_bad_reminders_are_refused(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    made = invite(box, kim, starts_at=at(box, 100))
    for offset in ("PT1H", "PT2H", "PT3H", "PT4H"):
        reminder(box, made, offset)
    with unchanged():
        assert code(remind(box, made, "PT101H")) == (422, "reminder_in_past")
        assert code(remind(box, made, "PT2H14M")) == (422, "reminder_too_close")
        assert code(remind(box, made, "PT1H")) == (422, "reminder_too_close")
        assert code(remind(box, made, "1 day")) == (422, "invalid_offset")
        assert code(remind(box, made, "PT10H", text="")) == (422, "text_empty")
        assert code(remind(box, made, "PT10H", text="{{nonsense}}")) == (422, "merge_value_missing")
        assert code(remind(box, made, "PT10H", channel="whatsapp")) == (409, "channel_disabled")
        assert code(remind(box, {"id": "int_none"}, "PT10H")) == (404, "interview_not_found")
    reminder(box, made, "PT2H15M")
    with unchanged():
        assert code(remind(box, made, "PT20H")) == (422, "too_many_reminders")


@pytest.mark.requirement("S55")
def test_quiet_hours_move_a_reminder_or_leave_it_out(box: Box) -> None:
    kim = box.someone()
    day = datetime.fromtimestamp(box.now() / 1000, STOCKHOLM) + timedelta(days=9)
    at_nine, at_quarter = (day.replace(hour=hour, minute=minute, second=0, microsecond=0) for hour, minute in ((9, 0), (8, 15)))
    first, second = (invite(box, kim, starts_at=start.isoformat()) for start in (at_nine, at_quarter))
    hours(box, {"weekdays": "08:00-20:00", "saturday": "08:00-20:00", "sunday": "08:00-20:00", "holidays": "08:00-20:00"})
    plan = reminder(box, first, "PT2H")
    assert datetime.fromisoformat(plan["nominal_at"]).astimezone(STOCKHOLM).hour == 7
    assert datetime.fromisoformat(plan["fires_at"]) == at_nine.replace(hour=8)
    evening = reminder(box, second, "PT2H")
    assert datetime.fromisoformat(evening["fires_at"]) == (at_quarter - timedelta(days=1)).replace(hour=19, minute=30)
    hours(box, {"weekdays": "hold", "saturday": "hold", "sunday": "hold"})
    before = box.ats.credits()
    never = reminder(box, second, "PT5H")
    assert (never["state"], never["reason"], never["fires_at"], never["message_id"]) == ("skipped", "quiet_hours", None, None)
    assert box.ats.credits() == before
    assert [event["reason"] for event in events(box, "interview.reminder_skipped", second["id"])] == ["quiet_hours"]


@pytest.mark.requirement("S56")
def test_a_deleted_reminder_is_refunded_and_gone_and_a_new_one_has_a_new_id(box: Box, unchanged: Unchanged) -> None:
    kim = box.someone()
    made = invite(box, kim)
    before = box.ats.credits()
    plan = reminder(box, made, "P1D")
    assert box.ats.credits() == (before[0] - 1, before[1] + 1)
    answer = delete(box, made, plan)
    assert (answer.status_code, answer.json()["credits_refunded"]) == (200, 1)
    assert box.ats.credits() == before
    assert interview(box, made["id"])["reminders"] == []
    with unchanged():
        assert code(delete(box, made, plan)) == (404, "reminder_not_found")
    assert reminder(box, made, "P1D")["id"] != plan["id"]


@pytest.mark.requirement("S56")
def test_moving_the_interview_moves_its_reminders_and_old_times_never_fire(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim, starts_at=at(box, 10))
    plan = reminder(box, made, "PT2H")
    box.stick.control.deliver(kim.phone, "1")
    until_answered(box, made["id"], 1)
    moved = box.ats.http.patch(f"/api/v1/interviews/{made['id']}", json={"starts_at": at(box, 20), "text": "Ny tid! " + TEXT})
    assert moved.status_code == 200, moved.text
    shown = moved.json()
    assert shown["state"] == "invited"  # what was confirmed is another time
    fresh = shown["reminders"][0]
    assert (fresh["id"], fresh["state"]) == (plan["id"], "planned")
    assert ms(fresh["fires_at"]) - ms(plan["fires_at"]) >= 9 * 3_600_000
    box.ats.until_state(shown["message"]["id"], "delivered")
    assert "Ny tid!" in "".join(texts(box, kim))
    assert box.ats.message(plan["message_id"])["state"] == "cancelled"
    sent = len(texts(box, kim))
    later(box, (ms(plan["fires_at"]) - box.now()) / 1000 + 5)
    box.ats.until_state(box.ats.accepted(box.someone(), "Något annat")["id"], "delivered")  # the gateway has looked
    assert len(texts(box, kim)) == sent
    later(box, (ms(fresh["fires_at"]) - box.now()) / 1000 + 5)
    box.ats.until_state(fresh["message_id"], "delivered")
    assert box.ats.http.post(link(box, kim), data={"answer": "confirm"}).status_code == 200


@pytest.mark.requirement("S56")
@pytest.mark.parametrize("how", ["decline", "cancel"])
def test_declining_or_cancelling_takes_every_reminder_back(box: Box, how: str) -> None:
    kim = box.someone()
    made = invite(box, kim)
    before = box.ats.credits()
    plans = [reminder(box, made, offset) for offset in ("P1D", "PT2H")]
    if how == "decline":
        assert box.ats.post(f"/api/v1/interviews/{made['id']}/answer", {"answer": "decline"}).status_code == 200
    else:
        assert box.ats.http.delete(f"/api/v1/interviews/{made['id']}").json()["credits_refunded"] == 2
    assert [box.ats.message(plan["message_id"])["state"] for plan in plans] == ["cancelled", "cancelled"]
    assert box.ats.credits() == before
    assert interview(box, made["id"])["reminders"] == []
    assert remind(box, made, "PT1H").status_code == 409


@pytest.mark.requirement("S55", "S53")
def test_a_reminder_of_an_open_choice_waits_until_a_time_is_chosen(box: Box) -> None:
    kim = box.someone()
    offered = slots(box, 30, 50)
    made = invite(box, kim, type="self_schedule", slots=offered)
    plan = reminder(box, made, "PT2H")
    assert (plan["state"], plan["fires_at"], plan["message_id"]) == ("waiting", None, None)
    chosen = box.ats.post(f"/api/v1/interviews/{made['id']}/answer", {"slot": offered[1]["id"]}).json()
    fresh = chosen["reminders"][0]
    assert (fresh["id"], fresh["state"]) == (plan["id"], "planned")
    assert ms(chosen["starts_at"]) - ms(fresh["fires_at"]) == 2 * 3_600_000
    other = box.ats.post(f"/api/v1/interviews/{made['id']}/answer", {"slot": offered[0]["id"]}).json()
    assert box.ats.message(fresh["message_id"])["state"] == "cancelled"
    assert ms(other["starts_at"]) - ms(other["reminders"][0]["fires_at"]) == 2 * 3_600_000


@pytest.mark.requirement("S56")
def test_after_a_stop_a_reminder_is_cancelled_and_told_as_skipped(box: Box) -> None:
    kim = box.someone()
    made = invite(box, kim, starts_at=at(box, 10))
    plan = reminder(box, made, "PT2H")
    box.stick.control.deliver(kim.phone, "STOPP")
    box.ats.until_state(plan["message_id"], "cancelled")
    later(box, (ms(plan["fires_at"]) - box.now()) / 1000 + 5)
    until(lambda: len(events(box, "interview.reminder_skipped", made["id"])) == 1, about="the ATS is told")
    assert interview(box, made["id"])["reminders"][0]["state"] == "skipped"


@pytest.mark.requirement("S52")
def test_an_ambiguous_word_is_no_stop_while_an_answer_is_awaited(box: Box) -> None:
    kim = box.ats.candidate(box.a_number(), language="en")
    made = invite(box, kim)
    box.stick.control.deliver(kim.phone, "CANCEL")
    until(lambda: "CANCEL" in received(box, kim), about="the message is here")
    assert box.ats.consent_status(kim.ref) == "granted"
    assert interview(box, made["id"])["state"] == "invited"
    box.stick.control.deliver(kim.phone, "STOP")
    until(lambda: box.ats.consent_status(kim.ref) == "revoked", about="STOP always counts")


@pytest.mark.requirement("S10")
def test_interviews_are_listed_by_candidate_case_and_state(box: Box) -> None:
    kim = box.someone()
    first, second = (invite(box, kim, wait=False) for _ in range(2))
    box.ats.http.delete(f"/api/v1/interviews/{first['id']}")
    found = box.ats.pages("/api/v1/interviews", candidate_ref=kim.ref)
    assert [each["id"] for each in found] == [second["id"], first["id"]]
    assert [each["id"] for each in box.ats.pages("/api/v1/interviews", candidate_ref=kim.ref, state="invited")] == [second["id"]]
