"""The inbox and the composer in a real browser: a conversation on a real box, and what fingers and scripts can do."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.ats import Person
from tests.browser.conftest import Desk, Office, Window
from tests.browser.furnished.inbox import KIM, LOCKED, PAUSED, STRANGER, thread_id
from tests.processes import until

Furnish = Callable[..., None]
TALK = f"/admin/inbox/{thread_id(KIM)}"


@pytest.fixture
def recruiter(desk: Desk) -> str:
    """Nora, who recruits for a case of her own."""
    address = desk.person("nora", "recruiter", seat=True)
    case = {"title": "Crane driver", "language": "en", "team": [address]}
    assert desk.box.ats.http.put("/api/v1/cases/crane", json=case).status_code == 200
    return address


def someone(desk: Desk, **how: Any) -> Person:
    kim = desk.box.someone(**how)
    desk.box.ats.introduce(kim.id)
    return kim


def write(w: Window, text: str) -> None:
    w.page.get_by_label("Message", exact=True).fill(text)
    w.page.get_by_role("button", name="Send", exact=True).click()
    w.page.locator(".bubble.is-out", has_text=text).wait_for()


def said(w: Window, text: str) -> Any:
    """The line of a message in the conversation."""
    return w.page.locator(".talk-line", has_text=text)


# --- a real box ------------------------------------------------------------------------------------------------------


@pytest.mark.page("S1", "S23", "S24", "S25", "S38")
def test_a_conversation_from_the_first_word_to_stop_and_start_without_a_reload(desk: Desk, recruiter: str) -> None:
    kim, box = someone(desk), desk.box
    with desk.window(recruiter) as w:
        w.open(f"/admin/compose?candidate={kim.ref}&case=crane")
        write(w, "Hi Kim, can you come on Friday?")
        w.page.evaluate("window.sameDocument = true")
        said(w, "can you come on Friday").get_by_text("Delivered").wait_for(timeout=10_000)
        assert [each.text for each in box.on_air(kim.phone)] == ["Hi Kim, can you come on Friday?"]

        box.stick.control.deliver(kim.phone, "Yes, gladly <img src=x onerror=alert(1)>")
        said(w, "Yes, gladly <img src=x").wait_for(timeout=5_000)
        assert w.page.title().startswith("(1) Kim Sjöberg")
        assert w.page.locator(".badge-count").inner_text().startswith("1")
        assert said(w, "Yes, gladly").get_by_text("New").is_visible()
        w.page.keyboard.press("Shift")
        until(lambda: not w.page.title().startswith("("), about="read, so the count is gone", timeout_s=5)

        box.stick.control.deliver(kim.phone, "STOP")
        w.page.get_by_text("The candidate has opted out.").first.wait_for(timeout=6_000)
        assert "START" in w.page.locator("[data-part=lock]").inner_text()
        w.page.locator("#composer-text").wait_for(state="detached", timeout=5_000)
        box.stick.control.deliver(kim.phone, "START")
        w.page.locator("#composer-text").wait_for(timeout=8_000)
        assert w.page.evaluate("window.sameDocument"), "no reload"
        write(w, "Welcome back, Kim!")
    until(lambda: "Welcome back, Kim!" in [each.text for each in box.on_air(kim.phone)], about="the answer is on the air")


@pytest.mark.page("S38", "S5")
def test_a_candidate_who_must_say_start_first_unlocks_what_waits(desk: Desk, recruiter: str) -> None:
    box = desk.box
    kim = box.ats.candidate("+447400123456", region="GB", language="en")
    with desk.window(recruiter, width=390) as w:
        w.open(f"/admin/compose?candidate={kim.ref}&case=crane")
        w.page.get_by_label("Message", exact=True).fill("Hi, this is about your application")
        w.page.get_by_text("Goes before it:").wait_for()
        w.page.get_by_text("It will wait until the candidate replies START").wait_for()
        w.page.get_by_role("button", name="Send", exact=True).click()
        line = said(w, "about your application")
        line.get_by_text("until the candidate replies START").wait_for()
        until(lambda: len(box.on_air(kim.phone)) > 0, about="the invitation")
        box.stick.control.deliver(kim.phone, "START")
        line.get_by_text("Delivered").wait_for(timeout=15_000)
        box.stick.control.deliver(kim.phone, "Thanks, tell me more")
        said(w, "tell me more").wait_for(timeout=5_000)
        assert w.page.title().startswith("(1)")
        w.quiet("conversation on a phone")


@pytest.mark.page("S23")
def test_a_reply_appears_in_the_list_while_another_page_of_it_is_open(desk: Desk, recruiter: str) -> None:
    kim, box = someone(desk), desk.box
    sent = box.ats.accepted(kim, "Hej", user=recruiter, case_ref="crane")
    box.ats.until_state(sent["id"], "delivered")
    with desk.window(recruiter) as w:
        w.open("/admin/inbox?show=unread")
        before = w.page.title()
        box.stick.control.deliver(kim.phone, "Is the job still open?")
        w.page.locator("#inbox-list").get_by_text("Is the job still open?").wait_for(timeout=5_000)
        assert w.page.title() != before
        assert w.page.title().startswith("(")


# --- fingers and scripts ---------------------------------------------------------------------------------------------


@pytest.mark.page("S5", "S50")
def test_the_dear_character_is_shown_while_typing_and_one_click_replaces_it(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.window("recruiter") as w:
        w.open(TALK)
        text = w.page.get_by_label("Message", exact=True)
        text.fill("See you on Friday – Eva")
        w.page.get_by_text("U+2013").wait_for()
        assert "Unicode" in w.page.locator(".composer-count").inner_text()
        w.page.get_by_role("button", name="Write - instead").click()
        w.page.get_by_text("U+2013").wait_for(state="detached")
        assert text.input_value() == "See you on Friday - Eva"
        assert "Standard alphabet" in w.page.locator(".composer-count").inner_text()
        assert "1 part" in w.page.locator(".composer-count").inner_text()
        assert "1 credit" in w.page.locator(".composer-count").inner_text()
        text.fill("“Now” or ‘never’, " * 6)
        w.page.get_by_role("button", name=re.compile("Replace all")).click()
        w.page.get_by_text("Standard alphabet").wait_for()
        assert text.input_value().startswith("\"Now\" or 'never', ")
        assert w.page.get_by_text("WhatsApp").count() == 0
        w.check("composer with a preview")


def test_too_long_a_text_is_told_while_typing_and_refused_with_the_input_kept(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    long = "This is far too long. " * 40
    with office.window("recruiter", width=390) as w:
        w.open(TALK)
        text = w.page.get_by_label("Message", exact=True)
        text.fill(long)
        w.page.get_by_text("at most 4 can be sent").wait_for()
        assert text.get_attribute("aria-invalid") == "true"
        assert "composer-trouble" in (text.get_attribute("aria-describedby") or "")
        w.page.get_by_role("button", name="Send", exact=True).click()
        w.page.wait_for_url("**/admin/compose/send")
        w.expected("422")
        assert w.page.get_by_label("Message", exact=True).input_value() == long
        assert w.page.get_by_label("Message", exact=True).get_attribute("aria-invalid") == "true"
        w.check("refused-too-long-390")
        w.page.get_by_role("link", name="Back without sending").click()
        w.page.wait_for_url(f"**{TALK}")


@pytest.mark.page("S51")
def test_a_template_is_picked_filled_in_and_seen_as_the_candidate_gets_it(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.window("recruiter") as w:
        w.open(TALK)
        w.page.get_by_label("Template").select_option(label="Documents to bring · English")
        w.page.get_by_label("Documents").fill("your licence")
        w.page.get_by_text("Hi Kim! Please bring your licence to our office.").wait_for()
        w.page.get_by_label("Place").fill("Storgatan 1")
        w.page.get_by_text("your licence to Storgatan 1").wait_for()
        assert w.page.get_by_label("Documents").input_value() == "your licence", "typing is never lost to the preview"
        assert not w.page.get_by_label("Message", exact=True).is_visible()
        w.check("composer with a template")
        w.page.get_by_role("button", name="Send", exact=True).click()
        w.page.locator(".talk-line", has_text="Please bring your licence to Storgatan 1").wait_for()


def test_a_double_click_sends_once(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    for scripts in (True, False):
        with office.window("recruiter", scripts=scripts) as w:
            w.may_say("ERR_ABORTED")  # the first of two clicks, cut short by the second
            w.open(TALK)
            w.page.get_by_label("Message", exact=True).fill(f"Only once ({scripts})")
            w.page.get_by_role("button", name="Send", exact=True).dblclick()
            said(w, f"Only once ({scripts})").wait_for()
            assert said(w, f"Only once ({scripts})").count() == 1


def test_without_scripts_a_button_shows_the_preview_and_the_replacement(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.window("recruiter", scripts=False, width=390) as w:
        w.open(TALK)
        w.page.get_by_label("Message", exact=True).fill("Friday – ok?")
        w.page.get_by_role("button", name="Preview").click()
        assert w.page.get_by_text("U+2013").is_visible()
        w.page.get_by_role("button", name="Write - instead").click()
        assert w.page.get_by_label("Message", exact=True).input_value() == "Friday - ok?"
        w.page.get_by_role("button", name="Send", exact=True).click()
        w.page.wait_for_url(f"**{TALK}")
        assert said(w, "Friday - ok?").count() == 1


def test_it_is_scheduled_in_the_viewers_own_time(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.window("recruiter") as w:
        w.open(TALK)
        w.page.get_by_label("Message", exact=True).fill("See you tomorrow morning")
        w.page.get_by_text("What it is about, and when to send it").click()
        w.page.get_by_label("Day and time").fill("2026-03-03T08:15")
        w.page.get_by_text("It leaves at").wait_for()
        w.page.get_by_role("button", name="Send", exact=True).click()
        assert "It leaves at 2026-03-03 08:15" in w.page.locator(".alert-success").inner_text()


def test_the_keyboard_goes_through_the_inbox_and_can_be_silenced(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.window("recruiter") as w:
        w.open("/admin/inbox")
        press, active = w.page.keyboard.press, "document.activeElement.textContent"
        press("j")
        assert w.page.evaluate(active) == "Kim Sjöberg"
        press("j")
        assert w.page.evaluate(active) == "+46701740655"
        press("k")
        press("Enter")
        w.page.wait_for_url("**" + TALK)
        press("j")
        assert w.page.evaluate(active) == "+46701740655", "from the one that is open"
        press("r")
        assert w.page.evaluate("document.activeElement.id") == "composer-text"
        w.page.keyboard.type("jr/k")
        assert w.page.get_by_label("Message", exact=True).input_value() == "jr/k", "letters are letters while one types"
        w.page.locator("h1").click()
        press("/")
        assert w.page.evaluate("document.activeElement.id") == "search"
        w.page.keyboard.type("maja")
        press("Enter")
        w.page.wait_for_url("**q=maja")
        assert w.page.locator("[data-thread]").all_inner_texts() == ["Maja Nyberg"]
        w.open("/admin/inbox/settings")
        w.page.get_by_label("Single letters work as shortcuts").uncheck()
        w.open("/admin/inbox")
        press("j")
        assert w.page.evaluate("document.activeElement.tagName") == "BODY"


@pytest.mark.page("S38")
def test_a_script_from_outside_is_shown_harmless_and_a_lock_says_why(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.window("recruiter") as w:
        w.open(TALK)
        assert w.page.locator(".bubble", has_text="<script>alert('no')</script>").count() == 1
        w.quiet("a script in a message")
        w.open(f"/admin/inbox/{thread_id(LOCKED)}")
        assert "The candidate has not agreed to get messages." in w.page.locator("[data-part=lock]").inner_text()
        assert w.page.locator("textarea").count() == 0
        assert w.page.get_by_role("link", name="To the candidate's consent").is_visible()


@pytest.mark.page("S25", "S23")
def test_a_team_shares_a_conversation(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.window("recruiter") as w, office.window("viewer") as colleague:
        w.open(TALK)
        kim = w.page.locator("li", has=w.page.locator("[data-thread]", has_text="Kim Sjöberg"))
        kim.get_by_text("3 new").wait_for(state="detached")
        w.page.get_by_text("More about this conversation").click()
        w.page.get_by_label("Looked after by").select_option(label="Viewer Person")
        w.page.get_by_role("button", name="Save").click()
        w.page.get_by_text("Looked after by Viewer Person").wait_for()
        colleague.open("/admin/inbox?show=mine")
        mine = colleague.page.locator("[data-thread]", has_text="Kim Sjöberg")
        assert mine.count() == 1
        assert "3 new" in colleague.page.locator("li", has=mine).inner_text(), "read marks are one's own"
        mine.click()
        assert colleague.page.get_by_text("You may read here, but not send.").is_visible()
        assert colleague.page.locator("textarea").count() == 0
        w.page.get_by_text("More about this conversation").click()
        w.page.get_by_role("button", name="Mark as unread").click()
        w.page.wait_for_url("**/admin/inbox")
        row = w.page.locator("li", has=w.page.locator("[data-thread]", has_text="Kim Sjöberg"))
        assert "1 new" in row.inner_text()


def test_a_strangers_message_is_connected_and_a_plea_decided(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.store.write() as tx:
        tx.execute("UPDATE candidate SET phone = '+46701740655', phone_hash = 'inbox-hash-5' WHERE ref = 'inbox-4'")
    with office.window("recruiter", width=390) as w:
        w.open("/admin/inbox?show=unassigned")
        w.page.locator(f"[data-thread='{thread_id(STRANGER)}']").click()
        assert w.page.get_by_text("Nobody is known to have this number.").is_visible()
        assert w.page.get_by_label("Lena Wikström").is_checked()
        w.page.get_by_label("Case", exact=True).select_option(label="Nurse, night shift (inbox-b)")
        w.page.get_by_role("button", name="Connect").click()
        w.page.locator("h1", has_text="Lena Wikström").wait_for()
        assert said(w, "Är jobbet kvar?").count() == 1
        w.open(f"/admin/inbox/{thread_id(PAUSED)}")
        w.check("paused-390")
        w.page.get_by_role("button", name="They did not mean stop").click()
        assert w.page.get_by_text("The conversation goes on.").is_visible()
        assert w.page.get_by_text("Paused.").count() == 0


@pytest.mark.page("S15")
def test_who_may_not_see_credits_is_told_whom_to_ask(office: Office, furnish: Furnish) -> None:
    furnish("inbox")
    with office.store.write() as tx:
        tx.execute("UPDATE balance SET available = 2")
    with office.window("recruiter") as w:
        w.open(TALK)
        w.page.get_by_label("Message", exact=True).fill("Hej Kim, " * 60)
        w.page.get_by_text("Ask Admin Person, Operator Person.").wait_for()
        assert "credits" in w.page.locator(".composer-count").inner_text()
