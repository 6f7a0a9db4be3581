"""The first pages in headless Chromium: usable by keyboard, on a phone, without scripts; quiet in the console."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import Office, sign_in_by_hand
from tests.web.pages_fixtures import ORG, email, message_id

Furnish = Callable[..., None]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_empty_and_forbidden_pages_are_accessible(office: Office, scheme: str) -> None:
    with office.window("viewer", width=360, scheme=scheme) as w:
        w.open("/admin/messages")
        w.check(f"empty-messages-360-{scheme}")
        w.page.goto(w.url + "/admin/credits")
        w.expected("403")
        w.check(f"forbidden-360-{scheme}")
    with office.window("operator", scheme=scheme) as w:
        for name in ("modems", "credits"):
            w.open(f"/admin/{name}")
            w.check(f"empty-{name}-1280-{scheme}")
    with office.window("nobody", scheme=scheme) as w:
        w.open("/")
        w.check(f"nothing-1280-{scheme}")


def test_errors_in_a_form_are_accessible(office: Office) -> None:
    with office.window(None, width=360) as w:
        w.open("/admin/login")
        w.page.get_by_role("button", name="Sign in").click()
        assert w.page.get_by_text("Enter your e-mail address.").is_visible()
        w.expected("422")
        w.check("login-incomplete-360-light")
        w.page.get_by_label("E-mail").fill(email("admin"))
        w.page.get_by_label("Password").fill("not the password")
        w.page.get_by_role("button", name="Sign in").click()
        assert "do not match" in w.page.get_by_role("alert").inner_text()
        w.expected("403")
        w.check("login-wrong-360-light")


@pytest.mark.parametrize("scripts", [True, False])
def test_from_login_to_a_cancelled_message_and_out(office: Office, scripts: bool) -> None:
    with office.store.write() as tx:
        tx.insert("balance", organisation_id=ORG, available=0, reserved=2)
    with office.window(None, width=390, scripts=scripts) as w:
        sign_in_by_hand(w, email("recruiter"))
        w.page.get_by_role("link", name="Messages", exact=True).click()
        w.page.get_by_role("link", name="Waiting", exact=True).click()
        w.page.locator(f"a[href$='{message_id(2)}']").click()
        assert w.page.locator("main .title .state").inner_text() == "In the queue"
        w.page.get_by_text("Cancel this message").click()
        w.page.get_by_role("button", name="Yes, cancel it").click()
        assert "The message was cancelled" in w.page.get_by_role("status").inner_text()
        assert w.page.locator("main .title .state").inner_text() == "Cancelled"
        w.page.get_by_role("button", name="Sign out").click()
        assert "You have signed out" in w.page.get_by_role("status").inner_text()
        w.page.go_back()
        assert w.page.get_by_role("button", name="Sign in").is_visible()


def test_a_page_can_be_worked_by_keyboard_alone(office: Office) -> None:
    with office.window() as w:
        w.open("/admin/messages")
        press = w.page.keyboard.press
        press("Tab")
        assert w.page.evaluate("document.activeElement.className") == "skip"
        press("Enter")
        press("Tab")
        assert w.page.evaluate("document.activeElement.textContent") == "All"
        for _ in range(6):
            press("Tab")
        assert w.page.evaluate("document.activeElement.pathname").startswith("/admin/messages/msg_")
        press("Enter")
        w.page.wait_for_url("**/admin/messages/msg_*")


def test_modems_refresh_themselves(office: Office, furnish: Furnish) -> None:
    furnish("basics")
    with office.window("operator") as w:
        w.page.clock.install()
        w.open("/admin/modems")
        assert w.page.get_by_text("keeps itself up to date").is_visible()
        assert w.page.get_by_text("Very good").is_visible()
        with office.store.write() as tx:
            tx.execute("UPDATE modem SET signal_dbm = -104 WHERE name = 'stick-1'")
        with w.page.expect_response("**/admin/modems/live") as answer:
            w.page.clock.run_for(3000)
        assert answer.value.status == 200
        w.page.get_by_text("Very good").wait_for(state="detached")
        with w.page.expect_response("**/admin/modems/live") as answer:
            w.page.clock.run_for(3000)
        assert answer.value.status == 304


def test_a_script_in_a_name_is_only_shown(office: Office) -> None:
    with office.window() as w:
        w.open(f"/admin/messages/{message_id(5)}")
        assert "<script>alert(1)</script>" in w.page.locator("h1").inner_text()


def test_a_page_sends_little_and_nothing_to_others(office: Office) -> None:
    asked: list[str] = []
    with office.window() as w:
        w.page.on("request", lambda request: asked.append(request.url))
        w.open("/admin/messages")
        assert all(address.startswith(w.url) for address in asked)
        assert len(asked) <= 6
