"""The pages in headless Chromium: accessible, quiet in the console, usable by keyboard, on a phone, without scripts.

With RINGPOST_SCREENSHOTS=DIR every page that is checked is also kept there as a picture.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cheroot import wsgi
from flask import Flask

from gateway.flows import sign_in
from gateway.store.database import Database
from tests.support import ManualClock, missing
from tests.web.pages_fixtures import (
    ORG,
    PASSWORD,
    add_gateway,
    add_ledger,
    add_modem,
    app,
    email,
    message_id,
    store,
)

__all__ = ["app", "store"]  # fixtures

pytestmark = pytest.mark.browser

PICTURES = os.environ.get("RINGPOST_SCREENSHOTS")
WATCH = """
window.ringpostViolations = [];
document.addEventListener("securitypolicyviolation", (e) =>
    window.ringpostViolations.push(e.violatedDirective + " " + e.blockedURI));
"""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the whole run."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium", "sudo apt install --no-install-recommends chromium fonts-dejavu-core")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def url(app: Flask, store: Database) -> Iterator[str]:
    """The pages behind a real server."""

    @app.teardown_appcontext
    def close(_: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            store.close()

    server = wsgi.Server(("127.0.0.1", 0), app, numthreads=10)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield f"http://127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join()


@pytest.fixture
def furnished(store: Database, clock: ManualClock) -> None:
    """Modems, a balance and a ledger to look at."""
    now = clock.now_ms()
    day = 86_400_000
    with store.write() as tx:
        add_gateway(tx, now)
        add_modem(
            tx,
            "stick-1",
            "ready",
            now,
            operator="Telia",
            technology="LTE",
            signal_dbm=-67,
            iccid="8946071111",
            registration="home",
            storage_used=2,
            storage_total=30,
            sent_at=now - 60_000,
        )
        add_modem(tx, "stick-2", "sim", now, reason="pin_refused: incorrect password")
        add_modem(tx, "stick-3", "resolving", now, registration="searching", signal_dbm=-104, iccid="8946072222")
        add_modem(tx, "stick-4", "ready", now, parked=1, signal_dbm=-88, operator="Tre", technology="UMTS")
        balance = 1500
        add_ledger(tx, "grant", 1500, now - 28 * day, reference="PO-2026-17")
        for back in range(27, 0, -1):
            used = 20 + back * 7 % 31
            balance -= used
            add_ledger(
                tx,
                "reserve",
                -used,
                now - back * day,
                message_id=message_id(back % 10 + 1),
                actor="user:usr_recruiter",
            )
        add_ledger(tx, "settle", 0, now - 3000, message_id=message_id(5), charged=2, actor="gateway")
        add_ledger(tx, "grant", 500, now - 2000, reference="PO-2026-31", actor="user:usr_operator")
        tx.insert("balance", organisation_id=ORG, available=balance + 500, reserved=6)


@dataclass
class Window:
    """A page of a browser context, and all it complained about."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a path of the pages."""
        self.page.goto(self.url + path)

    def check(self, name: str) -> None:
        """Accessible, not wider than the screen, nothing in the console; and a picture where one is wanted."""
        from axe_playwright_python.sync_playwright import Axe

        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)
        found = Axe().run(self.page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        width = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], f"{name} is wider than the screen: {width}"
        self.complaints += self.page.evaluate("window.ringpostViolations || []")
        assert self.complaints == [], name


Open = Callable[..., Any]


@pytest.fixture
def window(chromium: Any, url: str, store: Database, clock: ManualClock) -> Open:
    """`with window(role, …) as w:` opens a browser window, signed in unless `role` is None."""

    @contextmanager
    def opened(role: str | None = "admin", *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=scripts, base_url=url
        )
        if role is not None:
            with store.write() as tx:
                token = sign_in.open_session(tx, f"usr_{role}", "127.0.0.1", clock.now_ms())
            context.add_cookies([{"name": "ringpost", "value": token, "url": url}])
        if scripts:
            context.add_init_script(WATCH)
        page = context.new_page()
        shown = Window(page, url)
        page.on("console", lambda m: shown.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: shown.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (shown.complaints.append("dialog: " + dialog.message), dialog.dismiss()))
        yield shown
        context.close()
        assert shown.complaints == []

    return opened


def sign_in_by_hand(w: Window, role: str) -> None:
    w.open("/admin/login")
    w.page.get_by_label("E-mail").fill(email(role))
    w.page.get_by_label("Password").fill(PASSWORD)
    w.page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.usefixtures("furnished")
def test_every_page_is_accessible_and_quiet(window: Open, width: int, scheme: str) -> None:
    shots = f"{width}-{scheme}"
    with window(None, width=width, scheme=scheme) as w:
        w.open("/admin/login")
        w.check(f"login-{shots}")
    with window(width=width, scheme=scheme) as w:
        for name, path in {
            "messages": "/admin/messages",
            "filtered": "/admin/messages?state=problems",
            "message-waiting": f"/admin/messages/{message_id(1)}",
            "message-delivered": f"/admin/messages/{message_id(5)}",
            "message-failed": f"/admin/messages/{message_id(7)}",
            "message-unclear": f"/admin/messages/{message_id(10)}",
            "modems": "/admin/modems",
            "credits": "/admin/credits",
            "account": "/admin/account",
        }.items():
            w.open(path)
            w.check(f"{name}-{shots}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_empty_and_forbidden_pages_are_accessible(window: Open, scheme: str) -> None:
    with window("viewer", width=360, scheme=scheme) as w:
        w.open("/admin/messages")
        w.check(f"empty-messages-360-{scheme}")
        w.page.goto(w.url + "/admin/credits")
        w.complaints = [text for text in w.complaints if "403" not in text]  # Chromium's own note on the status
        w.check(f"forbidden-360-{scheme}")
    with window("operator", scheme=scheme) as w:
        for name in ("modems", "credits"):
            w.open(f"/admin/{name}")
            w.check(f"empty-{name}-1280-{scheme}")
    with window("nobody", scheme=scheme) as w:
        w.open("/")
        w.check(f"nothing-1280-{scheme}")


def test_errors_in_a_form_are_accessible(window: Open) -> None:
    with window(None, width=360) as w:
        w.open("/admin/login")
        w.page.get_by_role("button", name="Sign in").click()
        assert w.page.get_by_text("Enter your e-mail address.").is_visible()
        w.complaints = [text for text in w.complaints if "422" not in text]
        w.check("login-incomplete-360-light")
        w.page.get_by_label("E-mail").fill(email("admin"))
        w.page.get_by_label("Password").fill("not the password")
        w.page.get_by_role("button", name="Sign in").click()
        assert "do not match" in w.page.get_by_role("alert").inner_text()
        w.complaints = [text for text in w.complaints if "403" not in text]
        w.check("login-wrong-360-light")


@pytest.mark.parametrize("scripts", [True, False])
def test_from_login_to_a_cancelled_message_and_out(window: Open, store: Database, scripts: bool) -> None:
    with store.write() as tx:
        tx.insert("balance", organisation_id=ORG, available=0, reserved=2)
    with window(None, width=390, scripts=scripts) as w:
        sign_in_by_hand(w, "recruiter")
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


def test_a_page_can_be_worked_by_keyboard_alone(window: Open) -> None:
    with window() as w:
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


@pytest.mark.usefixtures("furnished")
def test_modems_refresh_themselves(window: Open, store: Database) -> None:
    with window("operator") as w:
        w.page.clock.install()
        w.open("/admin/modems")
        assert w.page.get_by_text("keeps itself up to date").is_visible()
        assert w.page.get_by_text("Very good").is_visible()
        with store.write() as tx:
            tx.execute("UPDATE modem SET signal_dbm = -104 WHERE name = 'stick-1'")
        with w.page.expect_response("**/admin/modems/live") as answer:
            w.page.clock.run_for(3000)
        assert answer.value.status == 200
        w.page.get_by_text("Very good").wait_for(state="detached")
        with w.page.expect_response("**/admin/modems/live") as answer:
            w.page.clock.run_for(3000)
        assert answer.value.status == 304


def test_a_script_in_a_name_is_only_shown(window: Open) -> None:
    with window() as w:
        w.open(f"/admin/messages/{message_id(5)}")
        assert "<script>alert(1)</script>" in w.page.locator("h1").inner_text()


def test_a_page_sends_little_and_nothing_to_others(window: Open) -> None:
    asked: list[str] = []
    with window() as w:
        w.page.on("request", lambda request: asked.append(request.url))
        w.open("/admin/messages")
        assert all(address.startswith(w.url) for address in asked)
        assert len(asked) <= 6
