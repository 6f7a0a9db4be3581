"""Users & seats in a real browser: access one by one and in bulk, moving seats, rights explained, formulas made harmless."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import PASSWORD, Desk, Office, Window
from tests.processes import until
from tests.web.pages_fixtures import ORG

Furnish = Callable[..., None]
FORMULA = '=HYPERLINK("http://evil.example","Click")'


def main_of(w: Window) -> str:
    return str(w.page.locator("main").inner_text())


@pytest.mark.page("S46", "S3")
def test_access_is_granted_one_by_one_with_save_cancel_and_a_password_link(office: Office) -> None:
    with office.window("admin") as w:
        w.open("/admin/users")
        w.page.get_by_role("link", name="Add a person").click()
        w.page.get_by_label("Name").fill("Nora Ny")
        w.page.get_by_label("E-mail").fill("nora@acme.example")
        w.page.get_by_role("button", name="Add", exact=True).click()
        assert "has no password yet" in main_of(w)
        person = w.page.url
        w.page.get_by_label("Messaging seat").check()
        w.page.get_by_role("link", name="Cancel").click()
        w.page.goto(person)
        assert not w.page.get_by_label("Messaging seat").is_checked()
        w.page.get_by_label("Messaging seat").check()
        w.page.get_by_label("Reader").check()
        w.page.get_by_text("Single rights besides the roles").click()
        under = w.page.get_by_role("group", name="Candidate Management")
        under.get_by_label("Recruitment - SMS").check()
        w.page.get_by_role("button", name="Save").click()
        assert "Saved" in w.page.get_by_role("status").inner_text()
        assert w.page.get_by_label("Messaging seat").is_checked()
        w.page.get_by_role("button", name="Make a password link").click()
        link = w.page.get_by_label("Link").input_value()
        w.check("link")
    with office.window(None) as w:
        w.open(link[link.index("/admin/password/") :])
        w.page.get_by_label("New password", exact=True).fill(PASSWORD)
        w.page.get_by_label("New password again").fill(PASSWORD)
        w.page.locator("main button[type=submit]").click()
        w.page.get_by_label("E-mail").fill("nora@acme.example")
        w.page.get_by_label("Password").fill(PASSWORD)
        w.page.get_by_role("button", name="Sign in").click()
        w.page.wait_for_url(lambda url: "/admin/login" not in url)


@pytest.mark.page("S46")
def test_two_windows_on_one_person_and_the_last_administrator(office: Office) -> None:
    path = "/admin/users/usr_recruiter"
    with office.window("admin") as first, office.window("admin") as second:
        first.open(path)
        second.open(path)
        first.page.get_by_label("Messaging seat").check()
        first.page.get_by_role("button", name="Save").click()
        second.page.get_by_label("Name").fill("Rita")
        second.page.get_by_role("button", name="Save").click()
        assert "Somebody was faster" in main_of(second)
        second.expected("409")
        second.page.get_by_role("link", name="Keep what stands now").click()
        assert second.page.get_by_label("Messaging seat").is_checked()
        second.open("/admin/users/usr_admin")
        second.page.get_by_label("Administrator").uncheck()
        second.page.get_by_role("button", name="Save").click()
        assert "last administrator" in main_of(second)
        second.expected("409")


@pytest.mark.page("S48")
def test_seats_are_limited_by_the_operators_licence_and_moved_at_any_time(office: Office) -> None:
    with office.store.write() as tx:
        tx.execute("UPDATE app_user SET seat = 1 WHERE id = 'usr_recruiter'")
    with office.window("operator") as w:
        w.open("/admin")
        w.page.get_by_role("link", name="Users & seats").click()
        w.page.get_by_label("Seats of the licence").fill("1")
        w.page.get_by_role("button", name="Save the licence").click()
        assert "1 of 1 seats used" in main_of(w)
        assert "Recruiter Person" not in main_of(w)
    with office.window("admin") as w:
        w.open("/admin/users/usr_viewer")
        w.page.get_by_label("Messaging seat").check()
        w.page.get_by_role("button", name="Save").click()
        assert "All 1 seats are taken" in main_of(w)
        w.expected("409")
        w.check("seat limit")
        w.open("/admin/users/usr_recruiter")
        w.page.get_by_role("link", name="Move the seat to somebody else").click()
        w.page.get_by_label("To", exact=True).fill("viewer@acme.example")
        w.page.get_by_role("button", name="Move the seat").click()
        assert "Viewer Person has the seat of Recruiter Person now" in w.page.get_by_role("status").inner_text()
        assert "Viewer Person" in w.page.locator(".rows").inner_text()
        w.page.get_by_role("link", name="Unused for 90 days").click()
        assert "never used" in w.page.locator(".rows").inner_text()


@pytest.mark.page("S49", "S3")
def test_why_somebody_may_or_may_not_send_is_told_term_by_term(office: Office) -> None:
    with office.window("admin") as w:
        w.open("/admin/users/usr_viewer")
        w.page.get_by_label("In the case").fill("job-7")
        w.page.get_by_role("button", name="Explain").click()
        lacking = w.page.locator(".terms .lacks")
        assert lacking.count() == 3
        assert "Recruitment - SMS" in lacking.nth(0).inner_text()
        assert "hiring team" in lacking.nth(1).inner_text()
        assert "no seat" in lacking.nth(2).inner_text()
        w.page.get_by_label("Recruiter", exact=True).check()
        w.page.get_by_label("Recruiting manager").check()
        w.page.get_by_label("Messaging seat").check()
        w.page.get_by_role("button", name="Save").click()
        w.page.get_by_label("In the case").fill("job-7")
        w.page.get_by_role("button", name="Explain").click()
        assert w.page.locator(".terms .holds").count() == 5
        assert "Nothing stands in the way" in main_of(w)
        w.check("explained")


@pytest.mark.page("S47", "S48")
def test_a_file_moves_a_seat_and_the_one_can_send_and_the_other_not(desk: Desk, tmp_path: Path) -> None:
    box, kim = desk.box, desk.box.someone()
    ada = desk.person("ada", "admin")
    anna, bert = desk.person("anna", "recruiter", seat=True), desk.person("bert", "recruiter")
    body = {"title": "Svetsare", "language": "sv", "organisation": "acme/se", "team": ["eva@acme.example", anna, bert]}
    assert box.ats.http.put("/api/v1/cases/job-7", json=body).status_code == 200
    with desk.window(ada) as w:
        w.open("/admin/users")
        with w.page.expect_download() as got:
            w.page.get_by_role("link", name="Download CSV").click()
        rows = list(csv.DictReader(io.StringIO(got.value.path().read_text("utf-8-sig"))))
        for row in rows:
            row["seat"] = {anna: "no", bert: "yes"}.get(row["email"], row["seat"])
        file = tmp_path / "people.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        w.page.get_by_role("link", name="Upload CSV").click()
        w.page.get_by_label("CSV file").set_input_files(file)
        w.page.get_by_role("button", name="Show what would change").click()
        shown = w.page.locator(".compared li")
        assert shown.count() == 2
        assert "yes → no" in shown.filter(has_text=anna).inner_text()
        assert "no → yes" in shown.filter(has_text=bert).inner_text()
        w.check("dry run")
        assert box.ats.submit(kim, "Hej", user=bert).status_code == 403  # nothing has changed yet
        w.page.get_by_role("button", name="Make these changes").click()
        assert "2 were changed" in w.page.get_by_role("status").inner_text()
    refused = box.ats.submit(kim, "Hej från Anna", user=anna)
    assert (refused.status_code, refused.json()["code"]) == (403, "seat_required")
    with desk.window(bert) as w:
        w.open(f"/admin/candidates/{kim.ref}?case=job-7")
        w.page.locator("#composer-text").fill("Hej från Bert")
        w.page.locator("#composer").get_by_role("button", name="Send", exact=True).click()
        w.page.wait_for_load_state()
    until(lambda: [part.text for part in box.on_air(kim.phone)] == ["Hej från Bert"], about="Bert's message is on the air")
    with desk.window(anna) as w:
        w.open(f"/admin/candidates/{kim.ref}?case=job-7")
        assert "no messaging seat" in main_of(w)


@pytest.mark.page("S47")
def test_a_bad_file_is_told_line_by_line_and_changes_nothing(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("email;name;seat\nrecruiter@acme.example;Rita;yes\nviewer@acme.example;Vera;perhaps\nnobody;Nils;no\n")
    with office.window("admin") as w:
        w.open("/admin/users/upload")
        w.page.get_by_label("CSV file").set_input_files(file)
        w.page.get_by_role("button", name="Show what would change").click()
        told = w.page.get_by_role("region", name="Lines with a mistake").inner_text()
        assert "Write yes or no" in told
        assert "no e-mail address" in told
        assert "Nothing was changed" in main_of(w)
        w.expected("422")
        w.check("bad file")
        w.open("/admin/users")
        assert "Rita" not in main_of(w)


@pytest.mark.page("S47")
def test_a_formula_as_a_name_is_text_on_the_page_and_escaped_in_the_file(office: Office) -> None:
    with office.window("admin") as w:
        w.open("/admin/users/new")
        w.page.get_by_label("Name").fill(FORMULA)
        w.page.get_by_label("E-mail").fill("mallory@acme.example")
        w.page.get_by_role("button", name="Add", exact=True).click()
        assert w.page.locator("h1").inner_text() == FORMULA
        w.open("/admin/users")
        assert FORMULA in main_of(w)
        assert w.page.locator("a[href*='evil.example']").count() == 0
        with w.page.expect_download() as got:
            w.page.get_by_role("link", name="Download CSV").click()
        rows = {row["email"]: row for row in csv.DictReader(io.StringIO(got.value.path().read_text("utf-8-sig")))}
        assert rows["mallory@acme.example"]["name"] == "'" + FORMULA


def test_people_are_found_without_scripts_on_a_phone(office: Office, furnish: Furnish) -> None:
    furnish("users")
    with office.window("admin", scripts=False, width=360) as w:
        w.open("/admin/users")
        assert "of 15 seats used" in main_of(w)
        w.page.get_by_label("Name or e-mail").fill("linnéa")
        w.page.get_by_role("button", name="Show", exact=True).click()
        assert w.page.locator(".people li").count() == 4
        w.page.get_by_label("Unit and below").select_option("acme/de")
        w.page.get_by_role("button", name="Show", exact=True).click()
        assert w.page.locator(".people li").count() < 4
        assert ORG not in main_of(w)
