"""The composer: what it shows, what it refuses at which field, and that a form sends once."""

import re
from typing import Any

import pytest

from gateway.store.database import Database
from tests.browser.furnished import inbox as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

WHERE = {"candidate_ref": "inbox-1", "case_ref": "inbox-a", "channel": "sms", "kind": "contact"}
PAGE = "/admin/compose?candidate=inbox-1&case=inbox-a"


@pytest.fixture(autouse=True)
def furnished(store: Database, clock: ManualClock) -> None:
    furniture.furnish(store, clock)


@pytest.fixture
def eva(people: dict[str, Person]) -> Person:
    """A recruiter with right, team and seat."""
    return people["recruiter"]


def sent(store: Database) -> int:
    with store.read() as view:
        return int(
            view.value("SELECT COUNT(*) AS n FROM message WHERE candidate_id LIKE 'cand_inbox%' AND id NOT LIKE 'msg_1b0c%'")
        )


def last(store: Database) -> dict[str, Any]:
    with store.read() as view:
        row = view.one("SELECT * FROM message WHERE candidate_id = 'cand_inbox_1' AND kind <> 'identification' ORDER BY seq DESC")
    assert row is not None
    return dict(row)


def change(store: Database, sql: str, *values: Any) -> None:
    with store.write() as tx:
        assert tx.execute(sql, *values)


def once(eva: Person) -> str:
    found = re.search(r'name="once" value="([^"]+)"', eva.get(PAGE).text)
    assert found is not None
    return found.group(1)


def send(eva: Person, **form: str) -> Any:
    return eva.post("/admin/compose/send", {**WHERE, "once": once(eva), **form}, page=PAGE)


def look(eva: Person, **form: str) -> str:
    answer = eva.post("/admin/compose/live", {**WHERE, **form}, page=PAGE)
    assert answer.status_code == 200
    return " ".join(answer.text.split())


# --- who may -----------------------------------------------------------------------------------------------------------


def test_the_composer_opens_for_readers_of_the_case_only(people: dict[str, Person]) -> None:
    answers = {role: person.get(PAGE).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in ("recruiter", "viewer") else 403 for role in people}


@pytest.mark.parametrize("end", ["preview", "live", "send"])
def test_no_endpoint_tells_or_sends_anything_to_who_is_not_on_the_team(
    end: str, people: dict[str, Person], anonymous: Person, store: Database
) -> None:
    form = {**WHERE, "text": "Hej", "once": "a" * 24, "template_id": "tpl_inbox_1"}
    for role in ("admin", "compliance", "operator"):
        answer = people[role].post(f"/admin/compose/{end}", form, page="/admin/account")
        assert answer.status_code == 403
        assert "Kim" not in answer.text
    assert anonymous.client.post(f"/admin/compose/{end}", data=form).status_code == (401 if end == "live" else 303)
    assert sent(store) == 0


@pytest.mark.parametrize("end", ["preview", "live", "send"])
def test_every_endpoint_needs_the_forms_token(end: str, eva: Person, store: Database) -> None:
    form = {**WHERE, "text": "Hej", "once": "a" * 24}
    assert eva.client.post(f"/admin/compose/{end}", data=form, headers={"Origin": eva.origin}).status_code == 400
    assert sent(store) == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?candidate=ghost&case=inbox-a", 404), ("?candidate=inbox-1&case=ghost", 404), ("?candidate=%00", 400)],
)
def test_an_address_that_leads_nowhere_is_told(eva: Person, query: str, status: int) -> None:
    assert eva.get("/admin/compose" + query).status_code == status


# --- sending -----------------------------------------------------------------------------------------------------------


def test_a_message_is_sent_from_the_case_by_the_person_who_wrote_it(eva: Person, store: Database) -> None:
    answer = send(eva, text="Hej Kim!", back="/admin/inbox")

    assert answer.status_code == 303
    assert answer.location == "/admin/inbox"
    row = last(store)
    assert (row["case_id"], row["user_id"], row["origin"], row["kind"]) == ("case_inbox_a", "usr_recruiter", "user", "contact")
    with store.read() as view:
        actor = view.value("SELECT actor FROM audit WHERE action = 'message.accept' AND subject = ?", row["id"])
    assert actor == "user:usr_recruiter"
    assert "The message is" in eva.get("/admin/inbox").text


def test_without_a_way_back_it_leads_to_the_conversation(eva: Person) -> None:
    assert (
        send(eva, text="Hej", back="https://elsewhere.example/").location == f"/admin/inbox/{furniture.thread_id(furniture.KIM)}"
    )


def test_the_same_form_twice_is_one_message_and_a_changed_one_another(eva: Person, store: Database) -> None:
    token = once(eva)
    for _ in range(3):
        assert send(eva, text="Hej Kim!", once=token).status_code == 303
    assert sent(store) == 2, "the introduction and the text"
    send(eva, text="Hej igen!", once=token)
    assert sent(store) == 3
    assert send(eva, text="Hej", once="short").status_code == 400
    assert send(eva, text="Hej", once="<script>alert(1)</script>").status_code == 400


@pytest.mark.parametrize(
    ("form", "words", "field"),
    [
        ({"text": ""}, "Write a message, or choose a template.", "text"),
        ({"text": "Hej å " * 300}, "at most 4 can be sent", "text"),
        ({"text": "x" * 50_000}, "Far too long for a text message", "text"),
        ({"text": "We regret to inform you", "kind": "contact"}, "reads like a rejection", "text"),
        ({"text": "Hej", "send_at": "yesterday"}, "no date and time", "send_at"),
        ({"text": "Hej", "send_at": "2020-01-01T10:00"}, "has passed already", "send_at"),
        ({"text": "Hej", "send_at": "2300-01-01T10:00"}, "before the year 2100", "send_at"),
        ({"text": "Hej", "template_id": "tpl_ghost"}, "This template is gone", "template_id"),
        ({"template_id": "tpl_inbox_2"}, "Fill in all fields", "data.documents"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_the_input_kept(
    eva: Person, store: Database, form: dict[str, str], words: str, field: str
) -> None:
    answer = send(eva, **form)

    assert answer.status_code == 422
    assert words in answer.text
    assert f'data-trouble="{field}"' in answer.text
    if form.get("text") and "template_id" not in form:
        assert form["text"].strip() in answer.text
    if field in ("text", "send_at"):
        assert 'aria-invalid="true"' in answer.text
    assert sent(store) == 0


def test_a_rejection_that_is_none_goes_after_saying_so(eva: Person, store: Database) -> None:
    text = "We regret to inform you that the lift is broken; take the stairs."
    assert "This is no rejection" in send(eva, text=text).text
    assert send(eva, text=text, confirm_not_rejection="1").status_code == 303


def test_a_time_is_of_the_viewers_zone(eva: Person, store: Database, clock: ManualClock) -> None:
    assert send(eva, text="Hej", send_at="2026-03-03T09:30").status_code == 303
    row = last(store)
    assert row["not_before"] == 1_772_526_600_000, "08:30 in UTC"
    assert row["state"] == "held"


def test_a_template_is_sent_with_what_was_filled_in(eva: Person, store: Database) -> None:
    assert send(eva, template_id="tpl_inbox_2", text="left over", **{"value:documents": "your licence"}).status_code == 303
    row = last(store)
    assert row["template_id"] == "tpl_inbox_2"
    with store.read() as view:
        text = view.value("SELECT text FROM part WHERE message_id = ?", row["id"])
    assert text == "Hi Kim! Please bring your licence to our office. Recruiter Person"


def test_any_hour_is_a_right_and_needs_a_reason(eva: Person, store: Database, clock: ManualClock) -> None:
    form = {"text": "The interview is moved", "kind": "interview_invite", "urgent": "1"}
    assert "Why it cannot wait" not in eva.get(PAGE).text
    assert send(eva, **form).status_code == 422
    grant = (
        "INSERT INTO right_grant (id, organisation_id, unit_id, holder, user_id, permission, created_at)"
        " VALUES ('grt_1', ?, ?, 'user', 'usr_recruiter', 'quiet_hours.override', ?)"
    )
    change(store, grant, ORG, ORG, clock.now_ms())
    assert "Why it cannot wait" in eva.get(PAGE).text
    assert "Say why it cannot wait" in send(eva, **form).text
    assert "Only messages about an interview" in send(eva, **{**form, "kind": "contact", "reason": "now"}).text
    assert send(eva, **form, reason="The candidate is on the train").status_code == 303
    assert last(store)["urgent"] == 1


# --- looking -----------------------------------------------------------------------------------------------------------


def test_a_preview_tells_parts_cost_and_the_dear_character(eva: Person, store: Database) -> None:
    seen = look(eva, text="Välkommen på fredag – hälsningar Eva")
    assert "1 part" in seen
    assert "1 credit" in seen
    assert "U+2013, character 21" in seen
    assert 'data-swap="–" data-with="-"' in seen
    plain = look(eva, text="Välkommen på fredag - hälsningar Eva")
    assert "Standard alphabet" in plain
    assert "U+" not in plain
    assert "Goes before it:" in plain, "they have never been written to from here"
    assert sent(store) == 0


def test_without_a_script_one_click_replaces_too(eva: Person) -> None:
    form = {**WHERE, "text": "Hej – “du”", "swap": "–"}
    page = eva.post("/admin/compose/preview", form, page=PAGE).text
    assert "Hej - “du”</textarea>" in page
    page = eva.post("/admin/compose/preview", {**form, "swap": "*"}, page=PAGE).text
    assert "Hej - &#34;du&#34;</textarea>" in page
    page = eva.post("/admin/compose/preview", {**form, "swap": "<b>"}, page=PAGE).text
    assert "Hej – “du”</textarea>" in page


def test_a_template_is_shown_with_the_candidates_own_name(eva: Person) -> None:
    seen = look(eva, template_id="tpl_inbox_2", **{"value:documents": "<b>your licence</b>"})
    assert "Hi Kim! Please bring &lt;b&gt;your licence&lt;/b&gt; to our office. Recruiter Person" in seen
    assert 'name="value:documents"' in seen
    assert "Hi Kim, thank you for applying as Forklift driver, Gothenburg!" in look(eva, template_id="tpl_inbox_1")


def test_templates_are_those_of_the_cases_unit_and_language(eva: Person, store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        tx.insert("organisation", id="unit_1", root_id=ORG, parent_id=ORG, ref="north", name="North", zone="UTC", created_at=0)
        tx.flush()
        for number, (unit, language) in enumerate((("unit_1", "en"), (ORG, "de"))):
            columns = {"name": f"Odd {number}", "kind": "contact", "channel": "sms", "language": language, "body": "x"}
            tx.insert("template", id=f"tpl_odd_{number}", unit_id=unit, updated_at=0, **columns)
    page = eva.get(PAGE).text
    assert "Documents to bring · English" in page
    assert "Odd" not in page


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE app_user SET seat = 0 WHERE id = 'usr_recruiter'", "You have no messaging seat"),
        ("UPDATE app_user SET roles = '[\"viewer\"]' WHERE id = 'usr_recruiter'", "You may read here, but not send."),
        ("UPDATE candidate SET phone_state = 'missing' WHERE ref = 'inbox-1'", "The candidate has no phone number."),
        ("UPDATE candidate SET phone_state = 'not_mobile' WHERE ref = 'inbox-1'", "not a mobile number"),
        ("UPDATE country SET state = 'off' WHERE iso = 'SE'", "country are not switched on"),
        ("UPDATE sender SET active = 0", "No SIM card of this box may write"),
        ("UPDATE consent SET status = 'revoked' WHERE candidate_id = 'cand_inbox_1'", "The candidate has opted out."),
        ("UPDATE consent SET status = 'none' WHERE candidate_id = 'cand_inbox_1'", "has not agreed to get messages"),
        ("UPDATE organisation SET sms_enabled = 0", "This channel is switched off here."),
    ],
)
def test_a_closed_channel_says_why_instead_of_failing_after_send(eva: Person, store: Database, sql: str, words: str) -> None:
    change(store, sql)
    page = eva.get(PAGE).text

    assert words in page
    assert "<textarea" not in page
    assert "WhatsApp" not in page, "switched off: not offered and not greyed out"
    assert "E-mail goes out from your applicant tracking system." in page
    assert (
        eva.post("/admin/compose/send", {**WHERE, "text": "Hej", "once": "a" * 24}, page="/admin/inbox/settings").status_code
        == 422
    )
    assert sent(store) == 0


def test_a_name_of_whom_to_ask_is_text_whatever_signs_it_holds(eva: Person, store: Database) -> None:
    change(store, "UPDATE app_user SET name = '<b>Ann</b> 100% d' WHERE id = 'usr_admin'")
    change(store, "UPDATE balance SET available = 0")
    for page in (eva.get(PAGE).text, send_closed(eva, text="Hej").text):
        assert "&lt;b&gt;Ann&lt;/b&gt; 100% d" in page
        assert "<b>Ann" not in page


def test_who_may_not_see_the_credits_is_told_whom_to_ask_and_never_the_balance(
    eva: Person, store: Database, clock: ManualClock
) -> None:
    change(store, "UPDATE balance SET available = 2")
    two_parts = "Hej Kim, " * 20
    assert "There are not enough credits for this message. Ask Admin Person, Operator Person." in look(eva, text=two_parts)
    answer = send(eva, text=two_parts)
    assert answer.status_code == 422
    assert "Ask Admin Person" in answer.text
    assert f"{two_parts}</textarea>" in answer.text
    change(store, "UPDATE balance SET available = 0")
    answer = send_closed(eva, text="Hej, kept")
    assert "Ask Admin Person" in answer.text
    assert "Hej, kept" in answer.text
    change(store, "UPDATE app_user SET roles = '[\"recruiter\", \"organisation.credits.view\"]' WHERE id = 'usr_recruiter'")
    assert "Top them up under Organisation" in eva.get(PAGE).text
    assert sent(store) == 0


def send_closed(eva: Person, **form: str) -> Any:
    """Send from a page that was opened before the channel closed."""
    answer = eva.post("/admin/compose/send", {**WHERE, "once": "c" * 24, **form}, page="/admin/inbox/settings")
    assert answer.status_code == 422
    return answer


def test_a_prospect_pool_offers_its_own_kinds(eva: Person, store: Database) -> None:
    page = eva.get("/admin/compose?candidate=inbox-8&pool=drivers").text
    assert '<option value="talent_pool" selected>' in page
    form = {"candidate_ref": "inbox-8", "case_ref": "", "pool_ref": "drivers", "kind": "talent_pool", "text": "Hej"}
    assert eva.post("/admin/compose/send", {**form, "once": "b" * 24}, page=PAGE).status_code == 303
    with store.read() as view:
        assert view.value("SELECT pool_ref FROM message WHERE kind = 'talent_pool' ORDER BY accepted_at DESC") == "drivers"


def test_without_a_case_the_composer_asks_for_one(eva: Person) -> None:
    page = eva.get("/admin/compose?candidate=inbox-1").text
    assert "A message belongs to a case." in page
    assert "<textarea" not in page
