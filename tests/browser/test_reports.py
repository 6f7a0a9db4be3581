"""Reports in a real browser: what a box really sent, counted by user and by country, equal to the ledger's charge."""

import csv
import io
from collections.abc import Callable

import pytest

from tests.browser.conftest import Desk, Office, Window
from tests.processes import until

Furnish = Callable[..., None]


def main_of(w: Window) -> str:
    return str(w.page.locator("main").inner_text())


def cells(w: Window, label: str) -> list[str]:
    """The numbers of the row that begins with this."""
    row = w.page.locator(".usage tbody tr", has_text=label)
    return [str(text) for text in row.locator("td").all_inner_texts()]


@pytest.mark.page("S26", "S27")
def test_what_was_sent_is_counted_by_user_and_country_and_the_sum_is_the_ledgers(desk: Desk) -> None:
    box = desk.box
    ada = desk.person("ada", "admin")
    for text, user in (("Hej", "eva@acme.example"), ("a" * 170, "eva@acme.example")):
        sent = box.ats.accepted(box.someone(), text, user=user)
        box.ats.until_state(sent["id"], "delivered")
    until(lambda: box.ats.credits()[1] == 0, about="nothing is reserved")
    charged = sum(entry["charged"] for entry in box.ats.ledger())
    with desk.window(ada) as w:
        w.page.get_by_role("link", name="Reports", exact=True).click()
        assert cells(w, "Eva Lind") == ["2", "2", "0", "0", "0", "3", "3"]
        assert "The books agree" in main_of(w)
        assert w.page.locator("tfoot td").last.inner_text() == str(charged)
        with w.page.expect_download() as got:
            w.page.get_by_role("link", name="Download CSV").click()
        rows = list(csv.DictReader(io.StringIO(got.value.path().read_text("utf-8-sig"))))
        assert sum(int(row["credits"]) for row in rows) == charged
        w.page.get_by_role("link", name="By country", exact=True).click()
        w.page.locator(".usage small", has_text="SE").wait_for()
        assert cells(w, "SE")[-1] == str(charged)
        w.page.get_by_role("link", name="By user and country").click()
        w.page.locator(".usage small", has_text="eva@acme.example").wait_for()
        assert cells(w, "Eva Lind")[-1] == str(charged)


@pytest.mark.page("S26", "S27")
def test_periods_groups_and_charts_work_and_a_reversed_period_says_so(office: Office, furnish: Furnish) -> None:
    furnish("reports")
    with office.window("compliance") as w:
        w.open("/admin/reports")
        w.page.get_by_role("link", name="Last three months").click()
        assert w.page.locator(".bar-list li").count() >= 3
        for group in ("By country", "By case", "By month"):
            w.page.get_by_role("link", name=group, exact=True).click()
            assert "The books agree" in main_of(w)
        assert w.page.locator(".chart polyline").count() == 1
        w.page.get_by_role("link", name="By country", exact=True).click()
        assert "Puerto Rico" in main_of(w)
        assert "Unknown country" in main_of(w)
        w.page.get_by_label("From").fill("2026-03-02")
        w.page.get_by_label("To", exact=True).fill("2026-03-01")
        w.page.get_by_role("button", name="Show", exact=True).click()
        assert "The first day lies after the last" in w.page.get_by_role("alert").inner_text()
        w.expected("422")
        w.check("reversed period")
