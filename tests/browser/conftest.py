"""Pages in headless Chromium: one browser for the run, windows that fail on what they complain about, and two kinds of house.

`window` opens the pages of the quick in-process application on a furnished store (`office`), as any role.
`desk` is a real box: web, gateway and simulated modem as processes; `desk.window("recruiter")` signs in by hand.
"""

import importlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from cheroot import wsgi
from flask import Flask

from gateway.flows import sign_in
from gateway.store.database import Database
from tests.ats import Box
from tests.support import ManualClock, missing
from tests.web import pages_app, pages_fixtures
from tests.web.pages_fixtures import PASSWORD

HERE = Path(__file__).parent
FAMILIES = sorted(path.stem for path in (HERE / "furnished").glob("[a-z]*.py"))
AXE = """
() => axe.run(document, {resultTypes: ["violations"]}).then((found) =>
    found.violations.flatMap((each) => each.nodes.map((node) =>
        `${each.id} (${each.impact}): ${each.help}: ${node.target.join(" ")}: ${node.failureSummary}`)))
"""
"""Only violations travel back, in words: whole reports of axe take longer than its checks."""
WATCH = """
window.ringpostViolations = [];
document.addEventListener("securitypolicyviolation", (e) =>
    window.ringpostViolations.push(e.violatedDirective + " " + e.blockedURI));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the whole run."""
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")  # the first is the same without its windows
    if path is None:
        missing("chromium", "sudo apt install --no-install-recommends chromium-headless-shell fonts-dejavu-core")
    from playwright.sync_api import Locator, sync_playwright

    for act in ("click", "dblclick", "press"):
        setattr(Locator, act, _then_settled(getattr(Locator, act)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


def _then_settled(act: Callable[..., None]) -> Callable[..., None]:
    """An act that may lead to another page returns when that page is there: playwright's own returns when it has begun."""

    @wraps(act)
    def done(locator: Any, *how: Any, **more: Any) -> None:
        act(locator, *how, **more)
        locator.page.wait_for_load_state("domcontentloaded")

    return done


@dataclass
class Window:
    """A page of a browser context, and all it complained about: console errors, CSP violations, dialogs."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)
    tolerated: list[str] = field(default_factory=list)

    def open(self, path: str) -> Any:
        """Go to a path of the pages; the answer."""
        return self.page.goto(self.url + path)

    def expected(self, *texts: str) -> None:
        """Forget complaints that a test provoked: Chromium notes every status of 400 and up ("422", "403").

        The note may come after the page: it is waited for, and a test that expects what never comes fails.
        """
        for text in texts:
            for _ in range(250):
                if any(text in said for said in self.complaints):
                    break
                self.page.wait_for_timeout(20)
            else:
                pytest.fail(f"no complaint about {text} came: {self.complaints}")
        self.complaints[:] = [said for said in self.complaints if not any(text in said for text in texts)]

    def may_say(self, *texts: str) -> None:
        """Complaints that may come or not, at any time: they count for nothing in this window."""
        self.tolerated += texts

    def hear(self, complaint: str) -> None:
        """Take down what the browser complains about."""
        if not any(text in complaint for text in self.tolerated):
            self.complaints.append(complaint)

    def quiet(self, name: str) -> None:
        """Not wider than the screen, and nothing in the console."""
        width = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], f"{name} is wider than the screen: {width}"
        self.complaints += self.page.evaluate("window.ringpostViolations || []")
        assert self.complaints == [], name

    def check(self, name: str) -> None:
        """No axe-core violation, not wider than the screen, nothing in the console."""
        from axe_playwright_python.base import AXE_SCRIPT

        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate(AXE)
        assert found == [], f"{name}: " + "\n".join(found)
        self.quiet(name)


@contextmanager
def window_of(
    chromium: Any,
    url: str,
    *,
    width: int = 1280,
    scheme: str = "light",
    scripts: bool = True,
    token: str | None = None,
    **more: Any,
) -> Iterator[Window]:
    """A browser window of its own, signed in by the session `token` where one is given.

    Its person prefers reduced motion: playwright clicks only what stands still.
    """
    looks = {"color_scheme": scheme, "reduced_motion": "reduce", "viewport": {"width": width, "height": 800}}
    context = chromium.new_context(**{**looks, **more}, java_script_enabled=scripts, base_url=url)
    if token is not None:
        context.add_cookies([{"name": "ringpost", "value": token, "url": url}])
    if scripts:
        context.add_init_script(WATCH)
    page = context.new_page()
    page.set_default_timeout(15_000)
    shown = Window(page, url)
    page.on("console", lambda m: shown.hear(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: shown.hear(str(error)))
    page.on("dialog", lambda dialog: (shown.hear("dialog: " + dialog.message), dialog.dismiss()))
    try:
        yield shown
    finally:
        context.close()
    assert shown.complaints == []


@contextmanager
def served(app: Flask, store: Database) -> Iterator[str]:
    """The application behind a real server: its URL."""

    @app.teardown_appcontext
    def close(_: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            store.close()

    server = wsgi.Server(("127.0.0.1", 0), app, numthreads=10)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
    finally:
        server.stop()
        thread.join()


@dataclass
class Office:
    """The in-process application on a store of its own."""

    store: Database
    clock: ManualClock
    app: Flask
    url: str
    chromium: Any

    def token(self, role: str) -> str:
        """A session of the person with this role."""
        with self.store.write() as tx:
            return sign_in.open_session(tx, f"usr_{role}", "127.0.0.1", self.clock.now_ms())

    def window(self, role: str | None = "admin", **how: Any) -> AbstractContextManager[Window]:
        """`with office.window(role) as w:` a browser window, signed in unless `role` is None."""
        return window_of(self.chromium, self.url, token=None if role is None else self.token(role), **how)


@pytest.fixture
def office(sqlite_url: str, clock: ManualClock, tmp_path: Path, chromium: Any) -> Iterator[Office]:
    """A small seeded office (tests/web/pages_fixtures.py) that a test may change."""
    store = Database(sqlite_url)
    pages_fixtures.seed(store, clock.now_ms())
    app = pages_app.create(store, clock, tmp_path)
    with served(app, store) as url:
        yield Office(store, clock, app, url, chromium)
    store.close()


@pytest.fixture
def furnish(office: Office) -> Callable[..., None]:
    """`furnish("inbox", "modems")`: add the furniture of these families to the office."""

    def add(*families: str) -> None:
        for family in families:
            importlib.import_module(f"tests.browser.furnished.{family}").furnish(office.store, office.clock)

    return add


@dataclass
class Desk:
    """A real box with people, and a browser in front of it."""

    box: Box
    chromium: Any
    people: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.box.site.port}"

    def person(self, name: str, *roles: str, seat: bool = False) -> str:
        """Make somebody with these roles who signs in with the usual password; their e-mail address."""
        address = f"{name}@desk.example"
        if address not in self.people:
            secret = self.box.site.directory / "password"
            secret.write_text(PASSWORD + "\n")
            words = [word for role in roles for word in ("--role", role)]
            seats = ["--seat"] if seat else []
            self.box.site.ringpost("user", "add", address, *words, *seats, "--password-file", str(secret))
            with self.box.site.store.write() as tx:  # the office is Swedish; these people read English pages
                tx.execute("UPDATE app_user SET language = 'en' WHERE email = ?", address)
            self.people[address] = name
        return address

    @contextmanager
    def window(self, address: str | None, **how: Any) -> Iterator[Window]:
        """A browser window in which this person has signed in by hand (`None`: nobody)."""
        with window_of(self.chromium, self.url, **how) as w:
            if address is not None:
                sign_in_by_hand(w, address)
            yield w


def sign_in_by_hand(w: Window, address: str, password: str = PASSWORD) -> None:
    """Fill the login form."""
    w.open("/admin/login")
    w.page.get_by_label("E-mail").fill(address)
    w.page.get_by_label("Password").fill(password)
    w.page.get_by_role("button", name="Sign in").click()
    w.page.wait_for_url(lambda url: "/admin/login" not in url)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Desk]:
    """A real box, ready to send, on a test clock; shared by the tests of a module."""
    with Box(tmp_path_factory.mktemp("desk"), credits=1_000) as box:
        yield Desk(box.serve(), chromium)
