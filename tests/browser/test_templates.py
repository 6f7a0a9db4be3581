"""Templates in the browser: the tree, labels, the live linter with its one-click replacements, two editors at once (S12–S14)."""

from collections.abc import Callable

import pytest

from modem.segments import analyse
from tests.browser.conftest import Office
from tests.browser.furnished.templates import INVITE

Furnish = Callable[..., None]


@pytest.mark.page("S12")
def test_a_unit_inherits_a_template_until_it_has_its_own_copy(office: Office, furnish: Furnish) -> None:
    furnish("templates")
    with office.window("admin") as w:
        w.open("/admin/templates?unit=tpl-se&language=en&channel=sms")
        row = w.page.locator(".rows li", has_text="Interview invitation (SMS)")
        assert "inherited from Acme" in row.inner_text()
        row.get_by_role("link").first.click()
        w.page.get_by_label("Copy down to").select_option("tpl-se")
        w.page.get_by_role("button", name="Copy", exact=True).click()
        assert "has its own template now" in w.page.get_by_role("status").first.inner_text()
        w.page.get_by_role("textbox", name="Text").fill("In Malmö: {{candidate.first_name}}, {{company}} {{interview_link}} STOP")
        w.page.get_by_role("button", name="Save", exact=True).click()
        w.page.wait_for_url("**/admin/templates/tpl_*")
        w.open("/admin/templates?unit=tpl-se&language=en&channel=sms")
        row = w.page.locator(".rows li", has_text="Interview invitation (SMS)")
        assert "own" in row.inner_text()
        assert "In Malmö" in row.inner_text()
        w.open("/admin/templates?language=en&channel=sms")
        assert "In Malmö" not in w.page.locator("main").inner_text()
    with office.window("recruiter") as w:
        w.open(f"/admin/templates/{INVITE}/edit")
        assert w.page.get_by_role("heading", level=1).inner_text() != "Edit Interview invitation"
        w.expected("403")


@pytest.mark.page("S13")
def test_templates_of_one_name_are_told_apart_by_label_and_found_by_channel(office: Office, furnish: Furnish) -> None:
    furnish("templates")
    with office.window("admin") as w:
        w.open("/admin/templates")
        names = w.page.locator(".rows a").all_inner_texts()
        assert {"Interview invitation (SMS)", "Interview invitation (WhatsApp)", "Rejection (Email)"} <= set(names)
        w.page.get_by_role("link", name="WhatsApp", exact=True).click()
        assert w.page.locator(".rows a").all_inner_texts() == ["Interview invitation (WhatsApp)"]
        w.page.get_by_role("link", name="All channels").click()
        w.page.get_by_label("Kind").select_option("rejection")
        w.page.get_by_role("button", name="Show").click()
        assert w.page.locator(".rows a").all_inner_texts() == ["Rejection (Email)"]


@pytest.mark.page("S14")
def test_the_linter_speaks_while_one_types_and_mends_the_very_character(office: Office) -> None:
    with office.window("admin") as w:
        w.open("/admin/templates/new")
        w.page.get_by_label("Name", exact=True).first.fill("Call me")
        text = w.page.get_by_role("textbox", name="Text")
        text.fill("👋 ")
        w.page.get_by_role("button", name="Put in candidate.first_name").click()
        text.press_sequentially(", it’s Eva")
        lint = w.page.locator("#lint")
        lint.get_by_text("Who writes?").wait_for()
        lint.get_by_text("How to stop?").wait_for()
        lint.get_by_role("button", name="Replace ’ by '").click()
        assert text.input_value() == "👋 {{candidate.first_name}}, it's Eva"
        lint.get_by_role("button", name="Replace ’ by '").wait_for(state="detached")
        text.fill("It's {{company}}. Reply STOP to opt out. {{nobody}}")
        lint.get_by_text("There is no field {{nobody}}").wait_for()
        text.fill("It's {{company}}.\nReply STOP to opt out.")
        lint.get_by_text("No remarks.").wait_for()
        size = analyse("It's Acme.\nReply STOP to opt out.")
        assert f"{size.units} places used, {size.room} left" in lint.inner_text()
        w.page.get_by_role("button", name="Save", exact=True).click()
        w.page.wait_for_url("**/admin/templates/tpl_*")
        assert "It's {{company}}.\nReply STOP" in w.page.locator(".bubble").first.inner_text()
    with office.store.read() as view:
        assert view.value("SELECT body FROM template WHERE name = 'Call me'") == "It's {{company}}.\nReply STOP to opt out."


@pytest.mark.page("S12")
def test_two_windows_edit_one_template_and_the_second_may_replace_it_with_theirs(office: Office, furnish: Furnish) -> None:
    furnish("templates")
    address = "/admin/templates/tpl_emoji"
    with office.window("admin") as one, office.window("admin") as two:
        for w in (one, two):
            w.open(address + "/edit")
        one.page.get_by_role("textbox", name="Text").fill("First {{company}} STOP")
        one.page.get_by_role("button", name="Save", exact=True).click()
        one.page.wait_for_url("**" + address)
        mine = "السلام {{company}}\n😀 STOP"
        two.page.get_by_role("textbox", name="Text").fill(mine)
        two.page.get_by_role("button", name="Save", exact=True).click()
        two.page.get_by_role("heading", name="Somebody was faster").wait_for()
        two.expected("409")
        shown = two.page.locator("tr.differs").inner_text()
        assert "First {{company}} STOP" in shown
        assert "السلام" in shown
        two.check("stale template")
        two.page.get_by_role("button", name="Replace it with mine").click()
        two.page.wait_for_url("**" + address)
    with office.store.read() as view:
        row = view.one("SELECT body, version FROM template WHERE id = 'tpl_emoji'")
        kept = view.value("SELECT body FROM template_version WHERE template_id = 'tpl_emoji' AND version = 2")
    assert row is not None
    assert (row["body"], row["version"], kept) == (mine, 3, "First {{company}} STOP")
