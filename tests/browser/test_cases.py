"""From the case to the candidate: contacting, consent by link, inviting, reminding, and the candidate's own pages on a phone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.ats import Person
from tests.browser.conftest import Desk, Office, Window, sign_in_by_hand
from tests.browser.furnished.cases import KIM, LIN, WELDER, nth, token
from tests.processes import until
from tests.web.pages_fixtures import email

Furnish = Callable[..., None]
STOCKHOLM = ZoneInfo("Europe/Stockholm")
TEMPLATES = """
[[template]]
unit = "acme/se"
name = "Intervju"
kind = "interview_invite"
channel = "sms"
language = "sv"
body = "Hej {{candidate.first_name}}! Möte {{interview.date}} kl {{interview.time}}, {{interview.location}} {{interview_link}}"
[[template]]
unit = "acme/se"
name = "Påminnelse"
kind = "interview_reminder"
channel = "sms"
language = "sv"
body = "{{company}}: vi ses {{interview.date}} kl {{interview.time}}."
"""


# --- on a real box ----------------------------------------------------------------------------------------------------


@pytest.fixture
def recruiter(desk: Desk) -> str:
    """A recruiter on the team of `job-7`, and templates."""
    address = desk.person("rita", "recruiter", seat=True)
    file = desk.box.site.directory / "templates.toml"
    if not file.exists():
        file.write_text(TEMPLATES)
        desk.box.site.ringpost("apply", str(file))
    answer = desk.box.ats.http.put("/api/v1/cases/job-7", json={"team": [address]})
    assert answer.status_code == 200, answer.text
    return address


def texts(desk: Desk, to: Person) -> list[str]:
    return [part.text for part in desk.box.on_air(to.phone)]


def candidate_page(to: Person) -> str:
    return f"/admin/candidates/{to.ref}?case=job-7"


@pytest.mark.page("S5", "S51", "S55")
def test_from_the_template_to_the_reminder(desk: Desk, recruiter: str) -> None:
    kim = desk.box.someone()
    start = datetime.fromtimestamp(desk.box.now() / 1000, STOCKHOLM) + timedelta(days=3)
    with desk.window(recruiter) as w:
        w.open(candidate_page(kim))  # as the ATS leads here
        assert w.page.locator("h1").inner_text() == "Kim Sjöberg"
        w.page.get_by_role("link", name="Interviews", exact=True).click()
        w.page.get_by_label("Day").fill(f"{start:%Y-%m-%d}")
        w.page.get_by_label("Time", exact=True).fill("10:00")
        w.page.get_by_label("Place").fill("Storgatan 1")
        w.page.get_by_label("Template", exact=True).select_option(label="Intervju")
        w.page.get_by_role("button", name="Look at it first").click()
        seen = w.page.get_by_role("status").inner_text()
        assert "Hej Kim! Möte" in seen
        assert "kl 10:00, Storgatan 1" in seen
        assert "1 part" in seen
        w.check("interview-rehearsed")
        assert texts(desk, kim) == []
        w.page.get_by_role("button", name="Send the invitation").click()
        assert w.page.locator(".title .state", has_text="Invited").is_visible()
        interview = w.page.url
    until(lambda: texts(desk, kim), about="the invitation is on the air")
    link = re.findall(r"/i/[A-Za-z0-9_-]{22}", "".join(texts(desk, kim)))[-1]
    with desk.window(None, width=360) as phone:
        phone.open(link)
        assert phone.page.locator("html").get_attribute("lang") == "sv"
        phone.check("their-invitation")
        phone.page.get_by_role("button", name="Jag kommer").click()
        assert "Du har tackat ja" in phone.page.get_by_role("status").inner_text()
        phone.check("their-yes")
    with desk.window(recruiter) as w:
        w.page.goto(interview)
        assert w.page.locator(".title .state", has_text="Confirmed").is_visible()
        assert w.page.get_by_text("Yes, on the page").is_visible()
        w.page.get_by_label("How long before").fill("1")
        w.page.get_by_label("Unit").select_option(label="days before")
        w.page.get_by_label("Template").first.select_option(label="Påminnelse")
        w.page.get_by_role("button", name="Plan the reminder").click()
        assert w.page.get_by_text("The reminder is planned.").is_visible()
        assert w.page.locator("#reminders + ol .state", has_text="Planned").is_visible()
    desk.box.advance(2 * 86_400 + 18 * 3600)
    until(lambda: any("vi ses" in text for text in texts(desk, kim)), about="the reminder is on the air")
    until(lambda: _reminder(desk, kim) == "fired", about="the reminder is written down")
    with desk.window(recruiter) as w:
        w.page.goto(interview)
        assert w.page.locator(".parts .state", has_text="Sent").is_visible()


def _reminder(desk: Desk, to: Person) -> Any:
    with desk.box.site.store.read() as view:
        sql = "SELECT r.state FROM reminder r JOIN interview i ON i.id = r.interview_id WHERE i.candidate_id = ?"
        return view.value(sql, to.id)


@pytest.mark.page("S1", "S34", "S36", "S38", "S42", "S44")
def test_from_the_request_to_an_open_conversation(desk: Desk, recruiter: str) -> None:
    ada = desk.box.ats.candidate("+447700900321", region="GB", language="en", consent=False, introduced=False)
    with desk.window(recruiter) as w:
        w.open(candidate_page(ada))
        assert w.page.locator("#composer textarea").count() == 0  # locked until there is consent
        w.page.get_by_role("link", name="Consent status").click()
        first = w.page.get_by_role("region", name="What the candidate reads first").inner_text()
        assert "START" in first
        assert "Swedish" in first
        w.page.get_by_role("button", name="Request consent: SMS, Their application").click()
        assert "The request is made" in w.page.locator(".alert-success").inner_text()
        link = w.page.get_by_label("Link for the candidate").input_value()
        w.check("consent-asked")
    with desk.window(None, width=360) as phone:
        phone.page.goto(link)
        phone.check("their-consent")
        phone.page.get_by_role("button", name="Ja, skriv till mig").click()
        assert "START" in phone.page.get_by_role("status").inner_text()
        phone.check("their-consent-given")
    with desk.window(recruiter) as w:
        w.open(candidate_page(ada))
        assert w.page.locator(".title .state", has_text="Waits for START").is_visible()
        w.page.get_by_label("Message", exact=True).fill("Hello Ada, when may I call you?")
        w.page.get_by_role("button", name="Send", exact=True).click()
        w.page.get_by_text("It waits until the candidate replies START").first.wait_for()
        until(lambda: texts(desk, ada), about="the START invitation is on the air")
        desk.box.stick.control.deliver(ada.phone, "START")
        until(lambda: any("when may I call" in text for text in texts(desk, ada)), about="the text follows")
        w.page.reload()
        assert w.page.locator(".title .state", has_text="Granted").is_visible()
        assert w.page.get_by_text("Read as START").is_visible()


# --- in a furnished office --------------------------------------------------------------------------------------------


@pytest.mark.page("S5")
def test_contact_candidate_leads_from_the_case_to_the_composer(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.window(None, width=390) as w:
        sign_in_by_hand(w, email("recruiter"))
        w.page.get_by_role("link", name="Cases", exact=True).click()
        w.page.get_by_role("link", name="Svetsare till verkstaden").click()
        w.page.get_by_role("link", name="Contact Kim Sjöberg").click()
        assert w.page.get_by_role("heading", name="Write to Kim Sjöberg").is_visible()
        w.check("contact-390")
        w.page.get_by_role("link", name="← Svetsare").click()
        w.page.get_by_label("Reference in the tracking system").fill("cs-lin")
        w.page.get_by_role("button", name="Open").click()
        assert w.page.locator("h1").inner_text() == "Lin Åkesson"


@pytest.mark.page("S5", "S50")
def test_the_ats_leads_here_through_the_login(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.window(None) as w:
        w.open(f"/admin/candidates/cs-kim?case={WELDER}")
        w.page.get_by_label("E-mail").fill(email("recruiter"))
        w.page.get_by_label("Password").fill("four plain words here")
        w.page.get_by_role("button", name="Sign in").click()
        assert w.page.locator("h1").inner_text() == "Kim Sjöberg"
        assert w.page.get_by_role("heading", name="Write to Kim Sjöberg").is_visible()


@pytest.mark.page("S35")
def test_pressing_request_in_three_places_is_one_request(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.store.write() as tx:
        tx.execute("DELETE FROM consent_watch WHERE candidate_id = (SELECT id FROM candidate WHERE ref = 'cs-xss')")
        tx.execute("DELETE FROM consent WHERE candidate_id = (SELECT id FROM candidate WHERE ref = 'cs-xss')")
    with office.window("recruiter") as w, office.window("recruiter") as other, office.window("recruiter") as third:
        other.open(f"/admin/candidates/cs-xss/consent?case={WELDER}")
        third.open(f"/admin/candidates/cs-xss?case={WELDER}")
        w.open(f"/admin/cases/{WELDER}")
        w.page.get_by_role("button", name="Request consent from").first.click()
        assert "The request is made" in w.page.get_by_role("status").inner_text()
        other.page.get_by_role("button", name="Request consent: SMS, Their application").click()
        assert "has been asked already" in other.page.get_by_role("status").inner_text()
        third.page.locator("#composer").get_by_role("button", name="Request consent").click()
        assert "has been asked already" in third.page.locator(".alert").inner_text()
        assert third.page.locator("#composer").is_visible()  # back where it was pressed
    with office.store.read() as view:
        sql = "SELECT COUNT(*) AS n FROM consent_request WHERE candidate_id = (SELECT id FROM candidate WHERE ref = 'cs-xss')"
        assert view.value(sql) == 1


@pytest.mark.page("S36")
def test_status_words_and_colours_agree_and_lead_to_their_evidence(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.window("compliance") as w:
        w.open(f"/admin/candidates/cs-tove/consent?case={WELDER}")
        word = w.page.locator("section[aria-labelledby=on-sms] li .state").first
        assert word.inner_text() == "Withdrawn"
        assert "is-bad" in (word.get_attribute("class") or "")
        w.page.get_by_role("link", name="Evidence and history").first.click()
        assert w.page.get_by_text("“STOPP”").first.is_visible()
        assert w.page.get_by_text("Ja, Acme får skicka sms").first.is_visible()


@pytest.mark.page("S53")
def test_a_candidate_chooses_a_time_on_a_phone(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.window(None, width=360, scheme="dark") as phone:
        phone.open(f"/i/{token('L')}")
        phone.check("their-slots-360-dark")
        phone.page.get_by_role("button", name="tors 5 mars 10:00").click()
        assert "Du har bokat tors 5 mars 10:00" in phone.page.get_by_role("status").inner_text()
        phone.page.get_by_role("button", name="fre 6 mars 13:00").click()
        assert "Du har bokat fre 6 mars 13:00" in phone.page.get_by_role("status").inner_text()
        phone.check("their-booking-360-dark")
    with office.window("recruiter") as w:
        w.open(f"/admin/candidates/cs-lin/interviews/{nth('int', LIN)}?case={WELDER}")
        assert w.page.locator("h2", has_text="Fri 2026-03-06 13:00").is_visible()
        assert w.page.locator("li", has_text="Fri 2026-03-06 13:00").get_by_text("Chosen").is_visible()
        assert w.page.locator("li", has_text="Thu 2026-03-05 10:00").get_by_text("Free").is_visible()


@pytest.mark.page("S53")
def test_a_time_that_is_gone_is_told_with_those_that_remain(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.window(None, width=360) as phone:
        phone.open(f"/i/{token('L')}")
        with office.store.write() as tx:
            tx.execute("UPDATE slot SET taken = capacity WHERE ref = 'cs-slot-1'")
        phone.page.get_by_role("button", name="tors 5 mars 09:00").click()
        phone.expected("409")
        assert phone.page.get_by_role("status").is_visible()
        assert phone.page.get_by_role("button", name="tors 5 mars 09:00").count() == 0
        assert phone.page.get_by_role("button", name="tors 5 mars 10:00").is_visible()
        phone.check("their-slot-gone")


@pytest.mark.page("S55", "S56")
def test_reminders_are_added_deleted_and_made_again(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.window("recruiter", width=390) as w:
        w.open(f"/admin/candidates/cs-kim/interviews/{nth('int', KIM)}?case={WELDER}")
        w.page.get_by_label("How long before").fill("2")
        w.page.get_by_label("Template").first.select_option(label="A text of my own")
        w.page.locator("form[action*=reminders] textarea").fill("{{company}}: två dagar kvar!")
        w.page.get_by_role("button", name="Plan the reminder").click()
        assert w.page.get_by_text("Acme: två dagar kvar!").is_visible()
        assert w.page.get_by_role("heading", name="Reminders 3 of 5").is_visible()
        w.page.get_by_text("Delete this reminder").first.click()
        w.page.get_by_role("button", name="Yes, delete it").first.click()
        assert "One credit was given back" in w.page.get_by_role("status").inner_text()
        w.page.get_by_text("Deleted reminders").click()
        w.page.get_by_role("link", name="Make it again").first.click()
        w.page.get_by_role("button", name="Plan the reminder").click()
        assert w.page.get_by_role("heading", name="Reminders 3 of 5").is_visible()
        w.check("reminders-390")


@pytest.mark.page("S56")
def test_two_windows_that_reschedule_see_both_versions(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    path = f"/admin/candidates/cs-kim/interviews/{nth('int', KIM)}?case={WELDER}"

    def move(w: Window, clock: str) -> None:
        w.page.get_by_text("Reschedule", exact=True).click()
        w.page.get_by_label("Time", exact=True).fill(clock)
        w.page.get_by_role("button", name="Change it").click()

    with office.window("recruiter") as first, office.window("recruiter") as second:
        first.open(path)
        second.open(path)
        move(first, "13:00")
        assert first.page.locator("h2", has_text="Fri 2026-03-06 13:00").is_visible()
        move(second, "15:00")
        second.expected("409")
        row = second.page.locator("tr.differs")
        assert row.locator("td").all_inner_texts() == ["13:00", "15:00"]
        second.check("stale-interview")
        second.page.get_by_role("button", name="Replace it with mine").click()
        assert second.page.locator("h2", has_text="Fri 2026-03-06 15:00").is_visible()


def test_a_script_in_a_candidate_s_name_is_only_shown(office: Office, furnish: Furnish) -> None:
    furnish("cases")
    with office.window("recruiter") as w:
        for path in (f"/admin/cases/{WELDER}", *(f"/admin/candidates/cs-xss{tab}?case={WELDER}" for tab in ("", "/consent"))):
            w.open(path)
            assert "<script>alert('name')</script>" in w.page.locator("main").inner_text()
            w.quiet(path)


@pytest.mark.parametrize("scripts", [True, False])
def test_erasing_says_what_it_means_and_is_done(office: Office, furnish: Furnish, scripts: bool) -> None:
    furnish("cases")
    with office.window("admin", width=390, scripts=scripts) as w:
        w.open(f"/admin/candidates/cs-lea/privacy?case={WELDER}")
        w.page.get_by_text("Erase this candidate").click()
        w.page.get_by_label("The candidate asked on").fill(f"{datetime(2026, 3, 1, tzinfo=UTC):%Y-%m-%d}")
        w.page.locator("details[open]").get_by_label("Reason").fill("asked by letter")
        w.page.get_by_label("The candidate's reference").fill("cs-lin")
        w.page.get_by_role("button", name="Yes, erase everything").click()
        assert w.page.get_by_text("This is not the candidate's reference").is_visible()
        w.expected("422")
        w.page.get_by_label("The candidate's reference").fill("cs-lea")
        w.page.get_by_role("button", name="Yes, erase everything").click()
        assert w.page.get_by_text("Nothing of the candidate is left").is_visible()
