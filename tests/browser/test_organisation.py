"""Organisation and credits in a real browser: who sees them, topping up, running dry on a real box, two windows on one form."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.ats import Box
from tests.browser.conftest import Desk, Office, Window
from tests.processes import until
from tests.web.pages_fixtures import ORG

Furnish = Callable[..., None]
CREDITS = "/admin/organisation/credits"


def main_of(w: Window) -> str:
    return str(w.page.locator("main").inner_text())


def figure(w: Window, name: str) -> str:
    """A figure of the page by its caption."""
    return str(w.page.locator(".figures .panel", has_text=name).locator("dd").inner_text())


@pytest.mark.page("S15")
def test_holders_of_the_right_find_credits_in_the_organisation_and_others_are_told_whom_to_ask(
    office: Office, furnish: Furnish
) -> None:
    furnish("basics", "organisation")
    with office.window("admin") as w:
        w.open("/admin")
        w.page.get_by_role("link", name="Organisation", exact=True).click()
        w.page.locator(".tabs").get_by_role("link", name="Credits").click()
        assert figure(w, "Available") != "0"
        assert "PO-2026-17" in main_of(w) or w.page.get_by_role("link", name="Older").is_visible()
        w.page.get_by_role("link", name="90 days").click()
        assert "Balance over 90 days" in main_of(w)
        w.check("credits for the holder")
    with office.window("recruiter") as w:
        w.open("/admin/messages")
        assert w.page.get_by_role("link", name="Organisation", exact=True).count() == 0
        w.open("/admin/credits")
        w.expected("403")
        assert "Admin Person" in main_of(w)
        assert "Available" not in main_of(w)
        w.check("credits for others")


@pytest.mark.page("S17")
def test_an_administrator_asks_and_only_the_operator_adds_credits(office: Office, furnish: Furnish) -> None:
    furnish("basics", "organisation")
    with office.window("admin") as w:
        w.open(CREDITS)
        assert w.page.get_by_role("button", name="Add credits").count() == 0
        w.page.get_by_label("Credits", exact=True).fill("750")
        w.page.get_by_label("Reference").fill("PO-900")
        w.page.get_by_label("Reason").fill("Ninety interviews in April")
        w.page.get_by_role("button", name="Ask for credits").click()
        assert "arrive when they approve" in w.page.get_by_role("status").inner_text()
    with office.window("operator") as w:
        w.open(CREDITS)
        before = int(figure(w, "Available").replace("\u202f", ""))
        wish = w.page.locator(".requests li", has_text="PO-900")
        assert "Ninety interviews in April" in wish.inner_text()
        wish.get_by_role("button", name="Approve").click()
        assert int(figure(w, "Available").replace("\u202f", "")) == before + 750
        for amount, status, words in (("-5", "422", "whole number"), ("1.5", "422", "whole number"), ("5", "409", "counts once")):
            w.page.get_by_label("Credits", exact=True).fill(amount)
            w.page.get_by_label("Reference").fill("PO-900")
            w.page.get_by_role("button", name="Add credits").click()
            assert words in w.page.locator(".invalid-feedback").first.inner_text()
            w.expected(status)
        assert int(figure(w, "Available").replace("\u202f", "")) == before + 750
        w.page.get_by_role("link", name="Top-ups").click()
        assert "PO-900" in w.page.locator(".ledger").inner_text()


@pytest.fixture(scope="module")
def small_desk(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Desk]:
    """A real box with two credits left."""
    with Box(tmp_path_factory.mktemp("small"), credits=2) as box:
        yield Desk(box.serve(), chromium)


def on_team(desk: Desk, *team: str) -> None:
    body = {"title": "Svetsare", "language": "sv", "organisation": "acme/se", "team": ["eva@acme.example", *team]}
    assert desk.box.ats.http.put("/api/v1/cases/job-7", json=body).status_code == 200


def write(w: Window, ref: str, text: str) -> None:
    """Send a message from the candidate's page."""
    w.open(f"/admin/candidates/{ref}?case=job-7")
    assert w.page.locator("#composer-text").count(), main_of(w)
    w.page.locator("#composer-text").fill(text)
    w.page.locator("#composer").get_by_role("button", name="Send", exact=True).click()
    w.page.wait_for_load_state()


@pytest.mark.page("S15", "S16", "S17")
def test_from_the_last_credit_to_a_top_up_and_on(small_desk: Desk) -> None:
    box, kim = small_desk.box, small_desk.box.someone()
    rita = small_desk.person("rita", "recruiter", seat=True)
    ada, olle = small_desk.person("ada", "admin"), small_desk.person("olle", "operator")
    on_team(small_desk, rita)
    with small_desk.window(rita) as w:
        for text in ("Hej ett", "Hej två"):
            write(w, kim.ref, text)
        until(lambda: [part.text for part in box.on_air(kim.phone)] == ["Hej ett", "Hej två"], about="both are on the air")
        w.open(f"/admin/candidates/{kim.ref}?case=job-7")
        told = main_of(w)
        assert "There are not enough credits" in told
        assert "Ask ada" in told  # a colleague who may see them; never the balance
        assert w.page.locator("#composer-text").count() == 0
    refused = box.ats.submit(kim, "Hej tre", user=rita)
    assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_credits")
    with small_desk.window(ada) as w:
        w.open(CREDITS)
        assert "There are no credits left" in main_of(w)
        assert figure(w, "Available") == "0"
        assert w.page.locator(".warned li", has_text="nothing is left").get_by_text("told", exact=True).is_visible()
    with small_desk.window(olle) as w:
        w.open(CREDITS)
        w.page.get_by_label("Credits", exact=True).fill("10")
        w.page.get_by_label("Reference").fill("PO-77")
        w.page.get_by_role("button", name="Add credits").click()
        assert "10 credits were added" in w.page.get_by_role("status").inner_text()
        assert figure(w, "Available") == "10"
        assert "PO-77" in w.page.locator(".ledger").inner_text()
    with small_desk.window(rita) as w:
        write(w, kim.ref, "Hej tre")
    until(lambda: [part.text for part in box.on_air(kim.phone)][-1] == "Hej tre", about="the third is on the air")
    assert box.ats.credits()[0] == 9


def test_two_windows_on_the_settings_of_a_unit_end_in_a_choice(office: Office, furnish: Furnish) -> None:
    furnish("organisation")
    path = "/admin/organisation/org_u_care/settings"
    with office.window("admin") as first, office.window("admin") as second:
        first.open(path)
        second.open(path)
        first.page.get_by_label("Name").fill("Vård i norr")
        first.page.get_by_role("button", name="Save").click()
        assert "Saved" in first.page.get_by_role("status").inner_text()
        second.page.get_by_label("Name").fill("Vård i söder")
        with second.page.expect_response("**/settings") as answer:
            second.page.get_by_role("button", name="Save").click()
        assert answer.value.status == 409
        row = second.page.locator("tr.differs")
        assert "Vård i norr" in row.inner_text()
        assert "Vård i söder" in row.inner_text()
        second.expected("409")
        second.check("both versions")
        second.page.get_by_role("button", name="Replace it with mine").click()
        assert second.page.locator("h1").inner_text() == "Vård i söder"


def test_a_unit_is_added_moved_and_given_an_allowance(office: Office, furnish: Furnish) -> None:
    furnish("basics", "organisation")
    with office.window("admin", scripts=False) as w:
        w.open("/admin/organisation")
        w.page.get_by_role("link", name="Sverige").click()
        w.page.get_by_text("Add a unit below Sverige").click()
        w.page.get_by_label("Name").fill("Norr")
        w.page.get_by_label("Reference").fill("acme/se/norr")
        w.page.get_by_role("button", name="Add the unit").click()
        assert w.page.locator("h1").inner_text() == "Norr"
        w.page.get_by_role("link", name="Allowances").click()
        w.page.get_by_label("Credits a month").fill("120")
        w.page.get_by_label("Carried over at most").fill("30")
        w.page.get_by_role("button", name="Save").click()
        assert "0 used, 120 left" in main_of(w)
        w.page.locator(".tabs").get_by_role("link", name="Settings").click()
        w.page.get_by_label("Stands below").select_option("acme/de")
        w.page.get_by_role("button", name="Save").click()
        assert w.page.get_by_role("navigation", name="Above it").inner_text().split() == ["Acme", "›", "Deutschland"]


def test_chargeback_of_a_month_is_a_page_and_a_file(office: Office, furnish: Furnish) -> None:
    furnish("reports")
    with office.window("admin") as w:
        w.open(f"/admin/organisation/{ORG}/chargeback?from=2026-01&to=2026-02")
        credits = figure(w, "Credits")
        assert w.page.locator("tfoot .num").last.inner_text() == credits
        with w.page.expect_download() as got:
            w.page.get_by_role("link", name="Download CSV").click()
        lines = got.value.path().read_text().splitlines()
        assert sum(int(line.rsplit(",", 1)[1]) for line in lines[1:]) == int(credits)
