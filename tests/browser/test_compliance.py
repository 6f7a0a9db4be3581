"""Compliance in the browser: a country from off to active on a real box, opt-in modes, texts and their gaps, reviews."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import Desk, Office, Window
from tests.processes import until
from tests.web.pages_fixtures import ORG

Furnish = Callable[..., None]
PHONE = "+4791234567"


def press(w: Window, name: str) -> None:
    """Press a button and wait for what follows."""
    with w.page.expect_navigation():
        w.page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.page("S28", "S30", "S40")
def test_a_country_is_commissioned_on_the_page_and_a_message_to_it_is_accepted(desk: Desk) -> None:
    admin, operator = desk.person("anna", "admin"), desk.person("olle", "operator")
    ola = desk.box.ats.candidate("+4791234568", region="NO", language="en")
    assert desk.box.ats.submit(ola, "Hei").json()["code"] == "country_disabled"
    with desk.window(admin) as w:
        w.open("/admin/compliance")
        w.page.get_by_label("Country code").fill("FL")
        press(w, "Open")
        w.expected("422")
        assert w.page.get_by_role("link", name="FI", exact=True).is_visible()
        w.page.get_by_label("Country code").fill("no")
        press(w, "Open")
        press(w, "Request this country")
        assert "Expected" in w.page.locator("main").inner_text()
        press(w, "Begin testing")
        for box in w.page.locator("input[name=item]").all():
            box.check()
        press(w, "Save the checklist")
        assert not w.page.get_by_role("button", name="Make it active").is_visible()
        assert "Only the operator" in w.page.locator("main").inner_text()
        w.page.get_by_label("Single: introduce, then write").check()
        press(w, "Save the opt-in mode")
        w.expected("422")
        assert "legal advice" in w.page.locator("main").inner_text()
        w.page.get_by_label("Your acknowledgement").fill("Counsel says that consent is enough in Norway.")
        w.page.get_by_label("Your full name").fill("Anna Berg")
        w.page.get_by_label("Reference of the legal advice").fill("Memo 7")
        w.page.get_by_label("Day of the advice").fill("2020-01-07")
        press(w, "Save the opt-in mode")
        assert "acknowledged by Anna Berg" in w.page.locator("main").inner_text()
        w.page.get_by_text("Change the windows").click()
        w.page.get_by_label("at any hour").check()
        press(w, "Save the windows")
    with desk.window(operator) as w:
        w.open("/admin/compliance/countries/NO")
        press(w, "Make it active")
        w.expected("409")
        assert "No test message" in w.page.get_by_role("alert").inner_text()
        w.page.get_by_label("Staff phone in the country").fill(PHONE)
        press(w, "Send the test message")
        until(lambda: desk.box.ats.get("/api/v1/countries/NO")["test"]["passed"], timeout_s=60, about="the test message arrives")
        w.open("/admin/compliance/countries/NO")
        press(w, "Make it active")
        assert "Messages to this country are sent." in w.page.locator("main").inner_text()
    assert desk.box.ats.accepted(ola, "Hei, kan du komme?")["country"] == "NO"
    kari = desk.box.ats.candidate("+4791234569", region="NO", language="en")  # consents after the mode was changed
    accepted = desk.box.ats.accepted(kari, "Hei, kan du komme?")
    desk.box.ats.until_state(accepted["id"], "delivered", timeout_s=60)
    assert desk.box.on_air(PHONE)


@pytest.mark.page("S28", "S30")
def test_france_is_expected_after_its_lead_time_and_only_the_operator_activates(office: Office) -> None:
    with office.window("admin") as w:
        w.open("/admin/compliance/countries/FR")
        press(w, "Request this country")
        facts = w.page.locator(".facts").first.inner_text()
        assert "about 49 days" in facts
        assert "2026-04-20" in facts  # 2 March + 49 days
        assert "agreed in writing" in w.page.locator(".checks").first.inner_text()


@pytest.mark.page("S29")
def test_the_set_up_lists_every_gap_before_it_can_be_finished(office: Office, furnish: Furnish) -> None:
    furnish("compliance")
    with office.store.write() as tx:
        tx.execute("UPDATE country SET state = 'active' WHERE iso = 'DE'")
    with office.window("admin") as w:
        w.open("/admin/compliance")
        assert "Germany needs the text “START invitation” in German." in w.page.locator(".gaps").inner_text()
        press(w, "Finish the set-up")
        w.expected("422")
        assert "cannot be finished" in w.page.get_by_role("alert").first.inner_text()
        w.page.get_by_role("link", name="Germany needs the text “START invitation” in German.").click()
        w.page.get_by_role("textbox", name="Text").fill(
            "{{company}}: {{user.name}} schreibt wegen {{purpose}}. START oder STOPP."
        )
        press(w, "Save")
        w.open("/admin/compliance")
        assert "“START invitation” in de" not in w.page.locator(".gaps").inner_text()
    with office.store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM setting WHERE name = 'setup.finished_at'") == 0


@pytest.mark.page("S39", "S40")
def test_double_opt_in_is_the_setting_until_somebody_puts_their_name_to_another(office: Office) -> None:
    with office.window("compliance") as w:
        w.open("/admin/compliance/countries/SE")
        assert w.page.get_by_label("Double: reply START first").is_checked()
        w.page.get_by_label("Single: introduce, then write").check()
        w.page.get_by_label("Your full name").fill("Åsa Öberg")
        press(w, "Save the opt-in mode")
        w.expected("422")
        assert w.page.get_by_label("Your full name").input_value() == "Åsa Öberg"
        assert w.page.get_by_text("In force: “Double: reply START first”.").is_visible()
        w.page.get_by_label("Your acknowledgement").fill("Advice was taken.")
        w.page.get_by_label("Reference of the legal advice").fill("Memo 1")
        w.page.get_by_label("Day of the advice").fill("2026-02-01")
        press(w, "Save the opt-in mode")
        assert w.page.get_by_text("In force: “Single: introduce, then write”.").is_visible()
        w.page.get_by_label("Double: reply START first").check()
        press(w, "Save the opt-in mode")
        history = w.page.locator("#opt-in ~ .timeline, section[aria-labelledby=opt-in] .timeline").inner_text()
        assert history.index("Single: introduce, then write → Double") < history.index("acknowledged by Åsa Öberg, Memo 1")


@pytest.mark.page("S42")
def test_missing_texts_are_listed_and_refused_until_they_are_written_or_confirmed(office: Office, furnish: Furnish) -> None:
    furnish("compliance")
    with office.store.write() as tx:
        tx.execute("UPDATE hiring_case SET language = 'tr' WHERE id = 'case_1'")
    with office.window("admin") as w:
        w.open("/admin/compliance/texts")
        w.page.get_by_label("We have read the shipped proposals").check()
        press(w, "Declare the texts complete")
        w.expected("422")
        table = w.page.get_by_role("table").inner_text()
        assert "Turkish" in table
        assert "none: write one" in table
        w.check("gaps in the texts")
    with office.store.write() as tx:
        tx.execute("UPDATE hiring_case SET language = 'sv' WHERE id = 'case_1'")
    with office.window("admin") as w:
        w.open("/admin/compliance/texts")
        w.page.get_by_label("We have read the shipped proposals").check()
        press(w, "Declare the texts complete")
        assert "The texts are complete" in w.page.get_by_role("status").first.inner_text()


@pytest.mark.page("S57")
def test_an_overdue_rule_shows_until_somebody_has_looked_and_counsel_gets_a_file(office: Office, furnish: Furnish) -> None:
    furnish("compliance")
    with office.window("compliance") as w:
        w.open("/admin/compliance/responsibility")
        assert "What the employer decides" in w.page.locator("main").inner_text()
        w.page.get_by_role("link", name="Norway").click()
        assert "Nobody has looked at this rule for 180 days" in w.page.locator("main").inner_text()
        rule = w.page.locator("section[aria-labelledby=rule]")
        assert "Legal department" in rule.inner_text()
        w.page.get_by_text("Change the rule").click()
        w.page.get_by_label("Last checked on").fill("2026-03-02")
        press(w, "Save the rule")
        assert "Nobody has looked" not in w.page.locator("main").inner_text()
        w.open("/admin/compliance/responsibility")
        with w.page.expect_download() as file:
            w.page.get_by_role("link", name="All rules and changes, for counsel").click()
        assert '"iso": "NO"' in file.value.path().read_text()
    with office.store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM audit WHERE action = 'export.run' AND subject = ?", ORG) == 1
