"""Accounts in the browser: the second step from enrolment to a recovery code, and two people's sessions."""

import re

import pytest

from gateway.rules import totp
from tests.browser.conftest import Office, Window, sign_in_by_hand
from tests.web.pages_fixtures import PASSWORD, email


def press(w: Window, name: str) -> None:
    w.page.get_by_role("button", name=name, exact=True).click()


def typed_secret(w: Window) -> bytes:
    """The secret behind "Type it instead"."""
    w.page.get_by_text("Type it instead").click()
    return totp.from_base32(re.sub(r"\s", "", w.page.locator(".secret").inner_text()))


def read_picture(w: Window) -> str:
    """What a telephone's camera would read in the QR code."""
    box = w.page.locator("svg.qr")
    assert box.is_visible()
    return str(box.get_attribute("viewBox"))


def code(office: Office, secret: bytes) -> str:
    return totp.code_at(secret, office.clock.now_ms() // totp.STEP_MS)


def by_password(w: Window, role: str) -> None:
    w.open("/admin/login")
    w.page.get_by_label("E-mail").fill(email(role))
    w.page.get_by_label("Password").fill(PASSWORD)
    press(w, "Sign in")
    w.page.get_by_role("heading", name="Second step").wait_for()


@pytest.mark.parametrize(("width", "scripts"), [(1280, True), (360, False)])
def test_enrol_sign_out_sign_in_with_a_code_and_with_a_recovery_code(office: Office, width: int, scripts: bool) -> None:
    with office.window(None, width=width, scripts=scripts) as w:
        sign_in_by_hand(w, email("admin"))
        w.open("/admin/account")
        w.page.get_by_role("link", name="Set it up").click()
        read_picture(w)
        secret = typed_secret(w) if scripts else _without_scripts(w)
        w.page.get_by_label("Code from the app").fill("000000")
        press(w, "Switch it on")
        assert w.page.get_by_text("not the code that the app shows").is_visible()
        w.expected("422")
        w.page.get_by_label("Code from the app").fill(code(office, secret))
        press(w, "Switch it on")
        codes = [each.inner_text() for each in w.page.locator(".codes code").all()]
        assert len(codes) == 10
        if scripts:
            w.check("codes")
        w.page.get_by_role("link", name="I have kept them").click()
        press(w, "Sign out")

        office.clock.advance(30)
        by_password(w, "admin")
        if scripts:
            w.check("second step")
        w.page.get_by_label("Code from your phone").fill("123456")
        press(w, "Sign in")
        assert w.page.get_by_text("wrong, too old or used already").is_visible()
        w.expected("403")
        w.page.get_by_label("Code from your phone").fill(code(office, secret))
        press(w, "Sign in")
        w.open("/admin/account")
        press(w, "Sign out")

        by_password(w, "admin")
        w.page.get_by_label("Code from your phone").fill(codes[3])
        press(w, "Sign in")
        w.open("/admin/account")
        assert w.page.get_by_text("9 recovery codes left").is_visible()


def _without_scripts(w: Window) -> bytes:
    w.page.get_by_text("Type it instead").click()  # <details> needs none
    return totp.from_base32("".join(w.page.locator(".secret span").all_inner_texts()))


def test_a_new_password_logs_the_other_session_out(office: Office) -> None:
    with office.window(None) as here, office.window(None, width=390) as there:
        for w in (here, there):
            sign_in_by_hand(w, email("recruiter"))
        there.open("/admin/account")
        assert there.page.get_by_text("This one").count() == 1
        here.open("/admin/account")
        here.page.get_by_label("Current password").fill(PASSWORD)
        here.page.get_by_label("New password", exact=True).fill("five other plain words here")
        here.page.get_by_label("New password again").fill("five other plain words here")
        press(here, "Change password")
        assert "One other session was ended" in here.page.get_by_role("status").inner_text()
        there.page.reload()
        assert there.page.get_by_role("button", name="Sign in").is_visible()
        here.page.reload()
        assert here.page.get_by_role("heading", name="Your account").is_visible()


def test_a_single_session_is_ended_and_the_language_follows_the_person(office: Office) -> None:
    with office.window("admin") as here, office.window("admin") as there:
        here.open("/admin/account")
        here.page.get_by_role("button", name="End it").first.click()
        assert "That session was ended" in here.page.get_by_role("status").inner_text()
        there.open("/admin/account")
        there.page.wait_for_url("**/admin/login**")
        here.page.get_by_label("Language of the pages").select_option("sv")
        here.page.locator("form[action$='/looks'] button").click()
        assert here.page.locator("html").get_attribute("lang") == "sv"


def test_errors_on_the_account_page_stand_at_their_fields(office: Office) -> None:
    with office.window("viewer", width=360) as w:
        w.open("/admin/account")
        w.page.locator("form[action$='/password'] button").click()
        w.expected("422")
        assert w.page.get_by_text("Enter your current password.").is_visible()
        w.check("account-wrong")
