"""Cases and candidates: each page and act works, sends strangers to the login, refuses wrong roles, bad input and bare forms."""

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from gateway.store.database import Database
from tests.browser.furnished import cases as furniture
from tests.browser.furnished.cases import CODER, KIM, LIN, NOA, WELDER, nth
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

CASE = f"/admin/cases/{WELDER}"
KIMS = f"/admin/candidates/cs-kim?case={WELDER}"
SEEN = {"recruiter", "admin", "compliance", "viewer"}
OPEN = {
    "/admin/cases": SEEN,
    "/admin/cases?show=all": SEEN,
    CASE: SEEN,
    f"{CASE}/contact?who=cs-kim": SEEN,
    KIMS: SEEN,
    "/admin/candidates/cs-kim": SEEN,
    f"/admin/candidates/cs-kim/consent?case={WELDER}": SEEN,
    f"/admin/candidates/cs-kim/consent/sms?case={WELDER}": SEEN - {"viewer"},
    f"/admin/candidates/cs-kim/interviews?case={WELDER}": SEEN,
    f"/admin/candidates/cs-kim/interviews/{nth('int', KIM)}?case={WELDER}": SEEN,
    f"/admin/candidates/cs-kim/privacy?case={WELDER}": {"admin", "compliance"},
    f"/admin/candidates/-/erasures/{nth('era', 1)}": {"admin", "compliance"},
    f"/admin/candidates/-/erasures/{nth('era', 1)}/live": {"admin", "compliance"},
}
READ, ASK, PAPER, WITHDRAW = (
    f"/admin/candidates/cs-kim/{each}" for each in ("read", "consent-requests", "consent/paper", "consent/withdraw")
)
INVITE = f"/admin/candidates/cs-kim/interviews?case={WELDER}"
ONE = f"/admin/candidates/cs-kim/interviews/{nth('int', KIM)}"
ACTS = {
    f"{ASK}?case={WELDER}": {"channels": "whatsapp"},
    f"{PAPER}?case={WELDER}": {},
    f"{WITHDRAW}?case={WELDER}": {"channel": "sms"},
    INVITE: {},
    f"{ONE}/move": {},
    f"{ONE}/cancel": {},
    f"{ONE}/reminders": {"amount": "3", "unit": "hours", "template_id": "tpl_cs_remind"},
    f"{ONE}/reminders/{nth('rem', 4)}/delete": {},
}
"""What takes the right to write; a viewer of the team may not, an administrator neither."""


@pytest.fixture(autouse=True)
def furnished(store: Database, clock: ManualClock) -> None:
    """Cases with candidates; the viewer is on the welder's team without the right to write."""
    furniture.furnish(store, clock)


@pytest.fixture
def value(store: Database) -> Callable[..., Any]:
    """One value of the store."""

    def ask(sql: str, *values: Any) -> Any:
        with store.read() as view:
            return view.value(sql, *values)

    return ask


def stood(value: Callable[..., Any]) -> tuple[Any, ...]:
    """What a refused act must leave alone."""
    tables = ("consent", "consent_request", "interview", "reminder", "message", "suppression", "erasure")
    states = value("SELECT GROUP_CONCAT(state || updated_at) FROM interview")
    return (states, *(value(f"SELECT COUNT(*) AS n FROM {table}") for table in tables))


@pytest.mark.parametrize("path", OPEN)
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person]) -> None:
    answers = {role: person.get(path).status_code for role, person in people.items()}

    assert {role for role, status in answers.items() if status in (200, 303)} == OPEN[path], answers
    assert {status for role, status in answers.items() if role not in OPEN[path]} <= {403, 404}


@pytest.mark.parametrize("path", [*OPEN, "/admin/candidates"])
def test_strangers_are_sent_to_the_login(path: str, anonymous: Person) -> None:
    answer = anonymous.get(path)

    assert answer.status_code == 401 if path.endswith("/live") else answer.location.startswith("/admin/login")


@pytest.mark.parametrize("path", [*ACTS, READ])
def test_acts_want_a_login_and_the_form_s_token(
    path: str, people: dict[str, Person], anonymous: Person, value: Callable[..., Any]
) -> None:
    before = stood(value)

    assert anonymous.post(path, ACTS.get(path), page="/admin/login").location.startswith("/admin/login")
    bare = people["recruiter"].client.post(path, data=ACTS.get(path), headers={"Origin": "http://localhost"})
    assert bare.status_code == 400
    assert "This form is too old" in bare.text
    assert stood(value) == before


@pytest.mark.parametrize("path", ACTS)
@pytest.mark.parametrize("role", ["viewer", "operator", "nobody"])
def test_acts_are_refused_to_who_may_not_write(
    path: str, role: str, people: dict[str, Person], value: Callable[..., Any]
) -> None:
    before = stood(value)
    form = {
        "signed_on": "2026-02-01",
        "wording_version": "7",
        "wording_text": "Ja.",
        "channel": "sms",
        "purpose": "talent_pool",
        "tz": "Europe/Stockholm",
        "type": "scheduled",
        "date": "2026-03-06",
        "time": "10:00",
        "template_id": "tpl_cs_invite",
    }

    answer = people[role].post(path, {**form, **ACTS[path]}, page="/admin/account")

    assert answer.status_code in (403, 409)  # 409: a form of a move without what it was filled with is stale
    assert stood(value) == before


# --- cases ------------------------------------------------------------------------------------------------------------


def test_mine_are_the_cases_of_one_s_teams_and_all_what_one_may_see(people: dict[str, Person]) -> None:
    assert "Svetsare till verkstaden" in people["recruiter"].get("/admin/cases").text
    assert "Backend developer" not in people["viewer"].get("/admin/cases?show=all").text
    assert "Svetsare till verkstaden" not in people["admin"].get("/admin/cases").text
    assert "Backend developer" in people["admin"].get("/admin/cases?show=all").text
    assert "Lagerarbetare" in people["recruiter"].get("/admin/cases?show=closed").text
    assert "Lagerarbetare" not in people["recruiter"].get("/admin/cases").text


def test_cases_are_found_by_letters_of_title_or_reference(people: dict[str, Person]) -> None:
    page = people["admin"].client.get("/admin/cases", query_string={"show": "all", "search": "PYTHON"}).text

    assert CODER in page
    assert WELDER not in page
    assert "No case has these letters" in people["admin"].get("/admin/cases?show=all&search=100%25").text


@pytest.mark.parametrize("query", ["show=other", "after=x'y", "search=" + "x" * 200])
def test_cases_refuse_what_they_do_not_know(query: str, people: dict[str, Person]) -> None:
    assert people["admin"].get(f"/admin/cases?{query}").status_code == 400


def test_cases_are_paged_by_key(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        for number in range(60):
            tx.insert(
                "hiring_case",
                id=f"case_zz{number:03}",
                organisation_id=ORG,
                unit_id=ORG,
                ref=f"zz-{number}",
                title=f"Case {number}",
                created_at=1,
                updated_at=1,
            )

    first = people["admin"].get("/admin/cases?show=all").text
    second = people["admin"].get("/admin/cases?show=all&after=case_zz010").text

    assert "after=case_zz010" in first
    assert ">Case 10<" in first
    assert ">Case 9<" in second
    assert ">Case 10<" not in second


def test_a_case_shows_its_team_with_what_each_may_do(people: dict[str, Person]) -> None:
    page = people["recruiter"].get(CASE).text

    for words in ("Mia Holm", "no seat", "Otto Ek", "Reads and writes", "Reads only"):
        assert words in page


def test_a_case_lists_candidates_with_consent_last_word_and_interview(people: dict[str, Person]) -> None:
    page = people["recruiter"].get(CASE).text

    for words in (
        "Kim Sjöberg",
        "På fredag får du veta",
        "2 unread",
        "Confirmed",
        "Withdrawn",
        "Waits for START",
        "Contact candidate",
    ):
        assert words in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_a_case_of_others_is_not_there(people: dict[str, Person]) -> None:
    assert people["viewer"].get(f"/admin/cases/{CODER}").status_code == 404
    assert people["viewer"].get(f"/admin/cases/{CODER}/contact?who=cs-kim").status_code == 404
    assert people["recruiter"].get("/admin/cases/none").status_code == 404
    assert people["recruiter"].get(f"{CASE}?after=zzz").status_code == 400


@pytest.mark.parametrize("who", ["cs-kim", "+46701740650", "070-174 06 50"])
def test_a_candidate_is_found_by_reference_or_number(who: str, people: dict[str, Person], store: Database) -> None:
    if who != "cs-kim":
        from flask import current_app

        recruiter = people["recruiter"].client.application
        with recruiter.app_context():
            key = current_app.extensions["ringpost.secrets"].phone
        from gateway.flows.candidates import phone_hash

        with store.write() as tx:
            tx.execute("UPDATE candidate SET phone_hash = ? WHERE ref = 'cs-kim'", phone_hash(key, "+46701740650"))
            tx.execute("UPDATE organisation SET region = 'SE' WHERE id = ?", ORG)

    answer = people["recruiter"].client.get(f"{CASE}/contact", query_string={"who": who})

    assert answer.location == KIMS


def test_who_is_not_found_is_said_at_the_field(people: dict[str, Person]) -> None:
    answer = people["recruiter"].get(f"{CASE}/contact?who=nobody")

    assert answer.status_code == 422
    assert "Nobody has this reference or number" in answer.text
    assert 'value="nobody"' in answer.text


# --- a candidate ------------------------------------------------------------------------------------------------------


def test_the_page_says_who_it_is_and_hides_the_number_from_who_does_not_write(people: dict[str, Person]) -> None:
    written, read = people["recruiter"].get(KIMS).text, people["viewer"].get(KIMS).text

    assert "+46701740650" in written
    assert "speaks Swedish" in written
    assert "+46701740650" not in read
    assert "…650" in read
    assert "You can read here, not write" in read or "but not send" in read


def test_a_candidate_is_met_below_cases_in_the_menu(people: dict[str, Person]) -> None:
    menu = people["recruiter"].get(KIMS).text.partition("</nav>")[0]

    assert menu.count("aria-current") == 1
    assert '<a href="/admin/cases" aria-current="true">' in menu


def test_who_was_asked_for_consent_and_has_not_answered_is_not_asked_again(people: dict[str, Person]) -> None:
    asked = people["recruiter"].get(f"/admin/candidates/cs-lea?case={WELDER}").text

    assert "The candidate was asked for consent and has not answered yet." in asked
    assert "Request consent" not in asked


def test_what_was_written_both_ways_is_there_as_far_as_one_may_read_it(people: dict[str, Person], store: Database) -> None:
    page = people["recruiter"].get(KIMS).text
    for words in ("svetslicens", "Ja, för MIG/MAG", "It leaves at", "Unread", "Introduction"):
        assert words in page
    with store.write() as tx:
        other = tx.value("SELECT id FROM hiring_case WHERE ref = ?", CODER)
        tx.execute(
            "UPDATE thread SET case_id = ?, context = ? WHERE candidate_id = (SELECT id FROM candidate WHERE ref = 'cs-kim')",
            other,
            f"case:{other}",
        )

    hidden = people["viewer"].get(KIMS).text

    assert "svetslicens" not in hidden
    assert "There is more in cases that you do not see" in hidden


def test_a_candidate_nobody_of_mine_writes_with_is_not_there(people: dict[str, Person]) -> None:
    assert people["viewer"].get(f"/admin/candidates/cs-kim?case={CODER}").status_code == 404
    assert people["recruiter"].get("/admin/candidates/none").status_code == 404
    assert people["recruiter"].get("/admin/candidates/cs-erased").status_code == 404
    assert people["recruiter"].get(f"{KIMS}&after=zzz").status_code == 400


def test_a_script_in_a_name_stays_text(people: dict[str, Person]) -> None:
    for tab in ("", "/consent", "/interviews"):
        page = people["recruiter"].get(f"/admin/candidates/cs-xss{tab}?case={WELDER}").text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;" in page


def test_reading_is_noted_for_oneself_only(people: dict[str, Person], value: Callable[..., Any]) -> None:
    answer = people["recruiter"].post(READ + f"?case={WELDER}", page=KIMS)

    assert answer.location == KIMS
    assert "One conversation is marked as read" in people["recruiter"].get(KIMS).text
    assert value("SELECT COUNT(*) AS n FROM read_mark WHERE user_id = 'usr_recruiter'") == 1
    assert "2 unread" not in people["recruiter"].get(CASE).text
    assert "2 unread" in people["viewer"].get(CASE).text


# --- consent ----------------------------------------------------------------------------------------------------------


def test_asking_twice_from_two_pages_is_one_request(people: dict[str, Person], value: Callable[..., Any]) -> None:
    form = {"channels": "whatsapp", "case": WELDER}
    pane = f"/admin/candidates/cs-kim/consent?case={WELDER}"

    first = people["recruiter"].post(ASK, form, page=pane)
    second = people["recruiter"].post(ASK, {**form, "back": CASE}, page=pane)

    assert first.location == pane
    assert second.location == CASE
    assert (
        value("SELECT COUNT(*) AS n FROM consent_request WHERE candidate_id = (SELECT id FROM candidate WHERE ref = 'cs-kim')")
        == 1
    )
    assert "has been asked already" in people["recruiter"].get(CASE).text
    shown = people["recruiter"].get(pane).text
    assert re.search(r'value="http[^"]+/c/[A-Za-z0-9_-]{22}"', shown)
    assert "/c/" not in people["viewer"].get(pane).text  # who may not ask gets no link


@pytest.mark.parametrize(
    ("ref", "form", "words"),
    [
        ("cs-kim", {"channels": "sms"}, "already consented"),
        ("cs-tove", {"channels": "sms"}, "Only START"),
        ("cs-nils", {"channels": "sms"}, "no mobile number"),
        ("cs-new", {"channels": "fax"}, "This choice is not known here"),
        ("cs-new", {"channels": "sms", "purpose": "fun"}, "This choice is not known here"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(
    ref: str, form: dict[str, str], words: str, people: dict[str, Person], value: Callable[..., Any]
) -> None:
    before = stood(value)

    answer = people["recruiter"].post(f"/admin/candidates/{ref}/consent-requests?case={WELDER}", form, page=KIMS)

    assert answer.status_code in (409, 422)
    assert words in answer.text
    assert stood(value) == before


PAPER_FORM = {
    "channel": "sms",
    "purpose": "talent_pool",
    "signed_on": "2026-02-27",
    "wording_version": "F-12",
    "wording_text": "Ja, ni får skriva till mig.",
}


def test_a_consent_on_paper_is_kept_with_its_words(people: dict[str, Person], store: Database) -> None:
    answer = people["recruiter"].post(PAPER + f"?case={WELDER}", PAPER_FORM, page=KIMS)

    assert answer.status_code == 303
    with store.read() as view:
        row = view.one(
            "SELECT * FROM consent WHERE source = 'paper' AND candidate_id = (SELECT id FROM candidate WHERE ref = 'cs-kim')"
        )
    assert row is not None
    assert row["status"] == "granted"
    assert row["wording_text"] == PAPER_FORM["wording_text"]
    assert row["actor"] == "user:usr_recruiter"
    assert "F-12" in people["recruiter"].get(f"/admin/candidates/cs-kim/consent/sms?case={WELDER}").text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"signed_on": ""}, "Enter the day"),
        ({"signed_on": "2031-01-01"}, "needs the date"),
        ({"wording_text": ""}, "Copy the words"),
        ({"channel": "fax"}, "Not a valid choice"),
    ],
)
def test_paper_without_its_evidence_is_no_consent(
    change: dict[str, str], words: str, people: dict[str, Person], value: Callable[..., Any]
) -> None:
    before = stood(value)

    answer = people["recruiter"].post(PAPER + f"?case={WELDER}", {**PAPER_FORM, **change}, page=KIMS)

    assert answer.status_code == 422
    assert words in answer.text
    assert "F-12" in answer.text  # what was typed stays
    assert stood(value) == before


def test_no_paper_undoes_a_stop(people: dict[str, Person], value: Callable[..., Any]) -> None:
    before = stood(value)

    answer = people["recruiter"].post(f"/admin/candidates/cs-tove/consent/paper?case={WELDER}", PAPER_FORM, page=KIMS)

    assert answer.status_code == 409
    assert "Only START" in answer.text
    assert stood(value) == before


def test_a_withdrawal_cancels_what_waits(people: dict[str, Person], value: Callable[..., Any]) -> None:
    answer = people["recruiter"].post(WITHDRAW + f"?case={WELDER}", {"channel": "sms", "how": "by telephone"}, page=KIMS)

    assert answer.status_code == 303
    assert "waiting messages were cancelled" in people["recruiter"].get(answer.location).text
    sql = (
        "SELECT COUNT(*) AS n FROM message WHERE state IN ('held', 'queued') AND origin = 'user'"
        " AND candidate_id = (SELECT id FROM candidate WHERE ref = 'cs-kim')"
    )
    assert value(sql) == 0
    wrong = people["recruiter"].post(WITHDRAW + f"?case={WELDER}", {"channel": "fax"}, page=KIMS)
    assert wrong.status_code == 422


def test_looking_at_evidence_is_audited(people: dict[str, Person], value: Callable[..., Any]) -> None:
    page = people["compliance"].get(f"/admin/candidates/cs-kim/consent/sms?case={WELDER}").text

    assert "Ja, Acme får skicka sms" in page
    assert value("SELECT actor FROM audit WHERE action = 'consent.view' ORDER BY serial DESC LIMIT 1") == "user:usr_compliance"
    assert people["compliance"].get(f"/admin/candidates/cs-kim/consent/fax?case={WELDER}").status_code == 404


# --- interviews -------------------------------------------------------------------------------------------------------

WANTED = {
    "type": "scheduled",
    "once": "form-1",
    "channel": "sms",
    "date": "2026-03-09",
    "time": "09:00",
    "minutes": "45",
    "tz": "Europe/Stockholm",
    "location": "Storgatan 1",
    "template_id": "tpl_cs_invite",
}


def test_an_invitation_is_looked_at_first_and_then_made_once(people: dict[str, Person], value: Callable[..., Any]) -> None:
    before = stood(value)

    looked = people["recruiter"].post(INVITE, {**WANTED, "act": "preview"}, page=INVITE)
    assert looked.status_code == 200
    assert "måndag 9 mars kl 09:00, Storgatan 1" in looked.text
    assert "Nothing has been sent yet" in looked.text
    assert "1 part" in looked.text
    assert stood(value) == before

    made = [people["recruiter"].post(INVITE, {**WANTED, "act": "send"}, page=INVITE) for _ in range(2)]
    assert {answer.status_code for answer in made} == {303}
    assert made[0].location == made[1].location
    assert value("SELECT COUNT(*) AS n FROM interview WHERE location = 'Storgatan 1'") == 1
    assert "Mon 2026-03-09 09:00" in people["recruiter"].get(made[0].location).text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"date": ""}, "Say when the interview begins"),
        ({"date": "2026-02-01"}, "has passed already"),
        ({"tz": "CET+1"}, "This is no time zone"),
        ({"template_id": "", "text": "Kom hit."}, "needs {{interview_link}}"),
        ({"template_id": "", "text": ""}, "Write a text, or choose a template"),
        ({"template_id": "tpl_none"}, "not there any more"),
        ({"minutes": "2"}, "Between 5 and 600"),
    ],
)
def test_a_wrong_invitation_is_told_at_its_field_and_keeps_what_was_typed(
    change: dict[str, str], words: str, people: dict[str, Person], value: Callable[..., Any]
) -> None:
    before = stood(value)

    answer = people["recruiter"].post(INVITE, {**WANTED, **change, "act": "send"}, page=INVITE)

    assert answer.status_code in (404, 422)
    assert words.replace("'", "&#39;") in answer.text
    assert 'value="Storgatan 1"' in answer.text
    assert stood(value) == before


def test_an_invitation_without_credits_leaves_nothing(
    people: dict[str, Person], store: Database, value: Callable[..., Any]
) -> None:
    with store.write() as tx:
        tx.execute("UPDATE balance SET available = 0")
    before = stood(value)

    answer = people["recruiter"].post(INVITE, {**WANTED, "act": "send"}, page=INVITE)

    assert answer.status_code == 402
    assert "not enough credits" in answer.text
    assert stood(value) == before


def test_times_to_choose_from_are_typed_or_taken_from_the_case(people: dict[str, Person], store: Database) -> None:
    form = {
        **WANTED,
        "type": "self_schedule",
        "template_id": "tpl_cs_slots",
        "known-cs-slot-1": "1",
        "slots-0-date": "2026-03-10",
        "slots-0-time": "09:00",
        "slots-0-minutes": "30",
        "slots-0-capacity": "1",
    }
    more = people["recruiter"].post(INVITE, {**form, "act": "more"}, page=INVITE)
    assert more.status_code == 200
    assert 'name="slots-5-date"' in more.text or 'name="slots-3-date"' in more.text

    made = people["recruiter"].post(INVITE, {**form, "act": "send"}, page=INVITE)

    assert made.status_code == 303
    with store.read() as view:
        interview_id = made.location.split("/")[-1].split("?")[0]
        rows = view.all(
            "SELECT s.ref FROM interview_slot o JOIN slot s ON s.id = o.slot_id WHERE o.interview_id = ?", interview_id
        )
    assert len(rows) == 2
    assert "cs-slot-1" in {row["ref"] for row in rows}
    none = people["recruiter"].post(INVITE, {**WANTED, "type": "self_schedule", "act": "send"}, page=INVITE)
    assert none.status_code == 422
    assert "Offer at least one time" in none.text
    assert people["recruiter"].get(f"{INVITE}&type=group").status_code == 400


def _shown(person: Person, path: str) -> str:
    found = re.search(r'name="shown"[^>]*value="([0-9a-f]{32})"', person.get(path).text)
    assert found is not None
    return found.group(1)


MOVED = {
    "date": "2026-03-07",
    "time": "13:00",
    "minutes": "45",
    "tz": "Europe/Stockholm",
    "location": "Verkstadsgatan 4, Västerås",
}


def test_moving_tells_the_candidate_and_plans_reminders_anew(people: dict[str, Person], value: Callable[..., Any]) -> None:
    here = f"{ONE}?case={WELDER}"
    form = {**MOVED, "shown": _shown(people["recruiter"], here), "template_id": "tpl_cs_invite"}

    looked = people["recruiter"].post(f"{ONE}/move?case={WELDER}", {**form, "act": "preview"}, page=here)
    assert "lördag 7 mars kl 13:00" in looked.text
    moved = people["recruiter"].post(f"{ONE}/move?case={WELDER}", {**form, "act": "move"}, page=here)

    assert moved.status_code == 303
    page = people["recruiter"].get(here).text
    assert "and the candidate is told" in page
    assert "Sat 2026-03-07 13:00" in page
    assert "Fri 2026-03-06 13:00" in page  # the reminder a day before
    assert value("SELECT state FROM interview WHERE id = ?", nth("int", KIM)) == "invited"


def test_two_windows_that_reschedule_the_same_interview_meet(people: dict[str, Person], value: Callable[..., Any]) -> None:
    here = f"{ONE}?case={WELDER}"
    shown = _shown(people["recruiter"], here)
    first = {**MOVED, "shown": shown, "act": "move"}
    assert people["recruiter"].post(f"{ONE}/move", first, page=here).status_code == 303

    second = people["recruiter"].post(f"{ONE}/move", {**first, "time": "15:00", "location": "Kajen 9"}, page=here)

    assert second.status_code == 409
    for words in ("Somebody was faster", "13:00", "15:00", "Kajen 9", "Verkstadsgatan 4"):
        assert words in second.text
    assert value("SELECT location FROM interview WHERE id = ?", nth("int", KIM)) == MOVED["location"]
    again = re.search(r'name="shown"[^>]*value="([0-9a-f]{32})"', second.text)
    assert again is not None
    mine = people["recruiter"].post(
        f"{ONE}/move", {**first, "time": "15:00", "location": "Kajen 9", "shown": again.group(1)}, page=here
    )
    assert mine.status_code == 303
    assert value("SELECT location FROM interview WHERE id = ?", nth("int", KIM)) == "Kajen 9"


def test_a_wrong_move_changes_nothing(people: dict[str, Person], value: Callable[..., Any]) -> None:
    here = f"{ONE}?case={WELDER}"
    form = {**MOVED, "shown": _shown(people["recruiter"], here)}
    before = stood(value)

    past = people["recruiter"].post(f"{ONE}/move", {**form, "date": "2026-01-01"}, page=here)
    bare = people["recruiter"].post(f"{ONE}/move", {**form, "template_id": "", "text": "Ny tid."}, page=here)

    assert past.status_code == bare.status_code == 422
    assert "has passed already" in past.text
    assert "interview_link" in bare.text
    assert stood(value) == before


def test_other_times_may_be_offered_instead(people: dict[str, Person], store: Database) -> None:
    lin = f"/admin/candidates/cs-lin/interviews/{nth('int', LIN)}"
    here = f"{lin}?case={WELDER}"
    form = {
        "tz": "Europe/Stockholm",
        "location": "Verkstadsgatan 4, Västerås",
        "shown": _shown(people["recruiter"], here),
        "known-cs-slot-2": "1",
        "template_id": "tpl_cs_slots",
    }

    assert people["recruiter"].post(f"{lin}/move", form, page=here).status_code == 303

    with store.read() as view:
        sql = "SELECT s.ref FROM interview_slot o JOIN slot s ON s.id = o.slot_id WHERE o.interview_id = ?"
        assert [row["ref"] for row in view.all(sql, nth("int", LIN))] == ["cs-slot-2"]


def test_cancelling_takes_the_reminders_along_and_is_told_the_second_time(
    people: dict[str, Person], value: Callable[..., Any]
) -> None:
    here = f"{ONE}?case={WELDER}"

    assert people["recruiter"].post(f"{ONE}/cancel", page=here).status_code == 303
    assert "2 credits were given back" in people["recruiter"].get(here).text
    assert value("SELECT COUNT(*) AS n FROM reminder WHERE interview_id = ? AND state = 'planned'", nth("int", KIM)) == 0

    again = people["recruiter"].post(f"{ONE}/cancel", page="/admin/account")
    assert again.status_code == 409
    assert "cancelled before" in again.text


def test_a_reminder_is_planned_with_number_timing_and_wording(people: dict[str, Person]) -> None:
    here = f"{ONE}?case={WELDER}"
    form = {"amount": "2", "unit": "days", "template_id": "", "text": "{{company}}: bara två dagar kvar!"}

    assert people["recruiter"].post(f"{ONE}/reminders?case={WELDER}", form, page=here).location == f"{here}#reminders"

    page = people["recruiter"].get(here).text
    for words in ("2 days before", "Acme: bara två dagar kvar!", "Wed 2026-03-04 11:00", "3 of 5"):
        assert words in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"amount": "2000", "unit": "hours"}, "at most 60 days"),
        ({"amount": "30", "unit": "days"}, "would have come already"),
        ({"amount": "1", "unit": "days"}, "at least 15 minutes apart"),
        ({"amount": "", "unit": "days"}, "Enter a number"),
        ({"amount": "x", "unit": "days"}, "Not a valid integer value"),
        ({"amount": "3", "unit": "moons"}, "Not a valid choice"),
        ({"amount": "5", "unit": "hours", "template_id": "", "text": ""}, "Write a text, or choose a template"),
    ],
)
def test_a_wrong_reminder_is_told_at_its_field(
    form: dict[str, str], words: str, people: dict[str, Person], value: Callable[..., Any]
) -> None:
    before = stood(value)

    answer = people["recruiter"].post(f"{ONE}/reminders", {"template_id": "tpl_cs_remind", **form}, page=f"{ONE}?case={WELDER}")

    assert answer.status_code == 422
    assert words in answer.text
    assert stood(value) == before


def test_a_sixth_reminder_is_refused(people: dict[str, Person]) -> None:
    here = f"{ONE}?case={WELDER}"
    for amount in (2, 3, 5):
        form = {"amount": str(amount), "unit": "hours", "template_id": "tpl_cs_remind"}
        people["recruiter"].post(f"{ONE}/reminders", {**form, "unit": "hours" if amount < 4 else "days"}, page=here)

    answer = people["recruiter"].post(
        f"{ONE}/reminders", {"amount": "26", "unit": "hours", "template_id": "tpl_cs_remind"}, page=here
    )

    assert answer.status_code in (303, 422)
    assert people["recruiter"].get(here).text.count("Delete this reminder") <= 5


def test_a_reminder_is_deleted_and_made_again(people: dict[str, Person], value: Callable[..., Any]) -> None:
    here = f"{ONE}?case={WELDER}"
    path = f"{ONE}/reminders/{nth('rem', 4)}/delete"

    assert people["recruiter"].post(path, page=here).status_code == 303
    assert "One credit was given back" in people["recruiter"].get(here).text
    twice = people["recruiter"].post(path, page=here)
    assert twice.status_code == 404
    assert "deleted before" in twice.text

    filled = people["recruiter"].get(f"{here}&like={nth('rem', 4)}").text
    assert re.search(r'name="amount"[^>]*value="1"', filled)
    assert "Make it again" in filled
    form = {"amount": "1", "unit": "days", "template_id": "tpl_cs_remind"}
    assert people["recruiter"].post(f"{ONE}/reminders", form, page=here).status_code == 303
    assert value("SELECT COUNT(*) AS n FROM reminder WHERE interview_id = ? AND state = 'planned'", nth("int", KIM)) == 2


def test_a_reminder_that_has_left_cannot_be_taken_back(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        message = tx.value("SELECT message_id FROM reminder WHERE id = ?", nth("rem", 4))
        tx.execute("UPDATE message SET state = 'sent' WHERE id = ?", message)
        tx.execute("UPDATE reminder SET state = 'fired' WHERE id = ?", nth("rem", 4))

    answer = people["recruiter"].post(f"{ONE}/reminders/{nth('rem', 4)}/delete", page=f"{ONE}?case={WELDER}")

    assert answer.status_code == 409
    assert "has been sent" in answer.text


def test_an_interview_of_somebody_else_is_not_there(people: dict[str, Person]) -> None:
    assert people["recruiter"].get(f"/admin/candidates/cs-lin/interviews/{nth('int', KIM)}").status_code == 404
    assert people["recruiter"].get("/admin/candidates/cs-kim/interviews/int_none").status_code == 404


def test_who_declined_needs_no_reminder(people: dict[str, Person]) -> None:
    noa = f"/admin/candidates/cs-noa/interviews/{nth('int', NOA)}"
    assert "no reminder is needed" in people["recruiter"].get(f"{noa}?case={WELDER}").text

    form = {"amount": "1", "unit": "days", "template_id": "tpl_cs_remind"}
    assert people["recruiter"].post(f"{noa}/reminders", form, page=f"{noa}?case={WELDER}").status_code == 409


# --- data protection --------------------------------------------------------------------------------------------------

PRIVACY = f"/admin/candidates/cs-lea/privacy?case={WELDER}"
ERASE = {"requested_on": "2026-03-01", "reason": "asked by letter", "again": "cs-lea"}


def test_erasing_asks_for_the_reference_once_more(people: dict[str, Person], value: Callable[..., Any]) -> None:
    before = stood(value)
    for change, words in (
        ({"again": "cs-kim"}, "This is not the candidate&#39;s reference"),
        ({"reason": ""}, "Say why"),
        ({"requested_on": "2031-01-01"}, "lies in the future"),
    ):
        answer = people["admin"].post("/admin/candidates/cs-lea/privacy/erase", {**ERASE, **change}, page=PRIVACY)
        assert answer.status_code == 422
        assert words in answer.text
    assert stood(value) == before

    done = people["admin"].post("/admin/candidates/cs-lea/privacy/erase", ERASE, page=PRIVACY)

    assert "Nothing of the candidate is left" in people["admin"].get(done.location).text
    assert people["admin"].get(PRIVACY).status_code == 404


def test_an_erasure_that_waits_shows_that_it_does(people: dict[str, Person], store: Database) -> None:
    path = f"/admin/candidates/-/erasures/{nth('era', 1)}"
    live = people["admin"].get(f"{path}/live")

    assert "Under way" in people["admin"].get(path).text
    assert people["admin"].get(f"{path}/live", **{"If-None-Match": live.headers["ETag"]}).status_code == 304
    with store.write() as tx:
        tx.execute("UPDATE erasure SET state = 'done', done_at = asked_at WHERE id = ?", nth("era", 1))
    assert "Done" in people["admin"].get(f"{path}/live", **{"If-None-Match": live.headers["ETag"]}).text
    assert people["admin"].get("/admin/candidates/-/erasures/era_none").status_code == 404


def test_a_hold_keeps_from_erasing(people: dict[str, Person], value: Callable[..., Any]) -> None:
    path = "/admin/candidates/cs-lea/privacy/hold"
    assert people["compliance"].post(path, {"on": "yes", "reason": ""}, page=PRIVACY).status_code == 422
    assert people["compliance"].post(path, {"on": "yes", "reason": "court of appeal"}, page=PRIVACY).status_code == 303
    shown = people["admin"].get(PRIVACY).text
    assert "court of appeal" in shown
    assert "Compliance" in shown.partition("Set by")[2][:80]

    refused = people["admin"].post("/admin/candidates/cs-lea/privacy/erase", ERASE, page=PRIVACY)

    assert refused.status_code == 409
    assert "legal hold keeps" in refused.text
    assert people["compliance"].post(path, {"on": "no", "reason": "over"}, page=PRIVACY).status_code == 303
    assert value("SELECT legal_hold FROM candidate WHERE ref = 'cs-lea'") == 0


def test_the_export_is_one_archive_and_logged(people: dict[str, Person], value: Callable[..., Any]) -> None:
    answer = people["admin"].post("/admin/candidates/cs-kim/privacy/export", page=PRIVACY)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert "export.json" in archive.namelist()
    assert value("SELECT COUNT(*) AS n FROM audit WHERE action = 'export.run'") == 2


@pytest.mark.parametrize("act", ["erase", "hold", "export"])
def test_data_protection_is_for_who_may_erase(act: str, people: dict[str, Person], value: Callable[..., Any]) -> None:
    before = stood(value)
    path = f"/admin/candidates/cs-lea/privacy/{act}"

    for role in ("recruiter", "viewer", "operator", "nobody"):
        assert people[role].post(path, ERASE, page="/admin/account").status_code == 403
    bare = people["admin"].client.post(path, data=ERASE, headers={"Origin": "http://localhost"})
    assert bare.status_code == 400
    assert stood(value) == before
