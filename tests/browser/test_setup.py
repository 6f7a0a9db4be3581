"""From an empty store to the first delivered message, in a browser, on a real box: web, gateway, a modem with a PIN."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Window, window_of
from tests.processes import Site, until

PICTURES = os.environ.get("RINGPOST_SCREENSHOTS")
PASSWORD, PIN = "four plain words here", "4711"


@dataclass
class Fresh:
    """A box that nobody has set up, and a browser in front of it."""

    site: Site
    chromium: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.port}"

    def window(self, **how: Any) -> Any:
        return window_of(self.chromium, self.url, **how)

    def printed_code(self) -> str:
        """The code that a process has printed on the console."""

        def said() -> str | None:
            for name in ("gateway", "web"):
                found = re.findall(r"^    (\w{4}-\w{4}-\w{4})$", self.site.programs[name].said, re.MULTILINE)
                if found:
                    return str(found[-1])
            return None

        return str(until(said, about="a code on the console"))


@pytest.fixture
def fresh(tmp_path: Path, chromium: Any) -> Iterator[Fresh]:
    """Web, gateway and a stick whose card is locked; a migrated store with nothing in it."""
    with Site(tmp_path, test_clock=True) as site:
        site.ringpost("init", "--test", "--json")
        with site.store.write() as tx:  # what `init` printed is not what this test reads
            tx.execute("DELETE FROM setting WHERE name = 'setup.code'")
        site.simulator(latency_s=0.02, options=("--report-delay", "0.1", "--pin", PIN))
        site.gateway()
        site.web()
        yield Fresh(site, chromium)


def press(w: Window, name: str) -> None:
    w.page.get_by_role("button", name=name, exact=True).click()


def look(w: Window, name: str) -> None:
    """Accessible and quiet; kept as a picture where RINGPOST_SCREENSHOTS names a folder."""
    w.check(name)
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        width = w.page.viewport_size["width"]
        w.page.screenshot(path=f"{PICTURES}/setup-{name}-{width}.png", full_page=True)


def heading(w: Window, text: str) -> None:
    w.page.get_by_role("heading", level=1, name=text).wait_for()


@pytest.mark.parametrize("width", [1280, 360])
def test_from_the_code_on_the_console_to_the_first_delivered_message(fresh: Fresh, width: int) -> None:
    with fresh.window(width=width) as w:
        w.open("/")
        heading(w, "Welcome to Ringpost")
        look(w, "code")
        w.page.get_by_label("Code").fill("AAAA-BBBB-CCCC")
        press(w, "Next")
        assert w.page.get_by_text("This is not the code").is_visible()
        w.expected("403")
        look(w, "code-wrong")
        w.page.get_by_label("Code").fill(fresh.printed_code())
        press(w, "Next")

        heading(w, "Your account")
        w.page.get_by_label("Your name").fill("Eva Lind")
        w.page.get_by_label("E-mail").fill("eva@acme.example")
        w.page.get_by_label("Password", exact=True).fill("short")
        w.page.get_by_label("Password again").fill("short")
        press(w, "Make the account")
        assert w.page.get_by_text("Use at least 12 characters").count() >= 1
        w.expected("422")
        look(w, "account-wrong")
        w.page.get_by_label("Password", exact=True).fill(PASSWORD)
        w.page.get_by_label("Password again").fill(PASSWORD)
        press(w, "Make the account")

        heading(w, "Who writes to candidates?")
        look(w, "organisation")
        w.page.get_by_label("Name of the organisation").fill("Nordrek AB")
        w.page.get_by_label("Country").select_option(label="Sweden")
        press(w, "Next")
        heading(w, "Which clock do you live by?")
        look(w, "zone")
        assert w.page.get_by_label("Time zone").input_value() == "Europe/Stockholm"
        w.page.get_by_role("link", name="Back").click()  # going back keeps what was said
        assert w.page.get_by_label("Name of the organisation").input_value() == "Nordrek AB"
        press(w, "Next")
        press(w, "Next")

        heading(w, "Plug in the modem")
        w.page.get_by_text("SIM is locked").wait_for()
        look(w, "modem")
        w.page.get_by_role("link", name="Next").click()

        heading(w, "Open the SIM card")
        w.page.get_by_text("3 tries are left").first.wait_for()
        look(w, "pin")
        w.page.get_by_label("PIN of the SIM card").fill("0000")
        press(w, "Try this PIN")
        w.page.get_by_text("2 tries are left").first.wait_for(timeout=40_000)
        heard = fresh.site.sticks[0].control.ask("stats")["pin"]
        assert heard["tries"] == 2, "a wrong PIN is tried once"
        w.page.get_by_label("PIN of the SIM card").fill(PIN)
        press(w, "Try this PIN")
        w.page.get_by_text("The SIM card is open").wait_for(timeout=40_000)
        w.page.get_by_role("link", name="Next").click()

        heading(w, "From which number?")
        look(w, "sender")
        w.page.get_by_label("Telephone number of the SIM card").fill("070 123")
        press(w, "Next")
        assert w.page.get_by_text("in international form").count() >= 1
        w.expected("422")
        w.page.get_by_label("Telephone number of the SIM card").fill("+46 70 174 06 99")
        press(w, "Next")

        heading(w, "To which country first?")
        look(w, "country")
        assert "START" in w.page.get_by_label("In Swedish").input_value()
        press(w, "Next")
        assert w.page.get_by_role("alert").get_by_text("Tick each point").is_visible()
        w.expected("422")
        for box in w.page.get_by_role("checkbox").all():
            box.check()
        press(w, "Next")

        heading(w, "Send the first message")
        look(w, "test")
        w.page.get_by_label("Your own mobile number").fill("+46 70 174 06 98")
        press(w, "Send it")
        w.page.get_by_text("Confirmed by the phone").wait_for()
        w.page.locator(".state", has_text="Delivered").wait_for(timeout=30_000)
        w.page.get_by_role("button", name="Open the country and go on").wait_for()
        look(w, "test-delivered")
        assert len(fresh.site.air("submit")) == 1
        press(w, "Open the country and go on")

        heading(w, "Credits to begin with")
        look(w, "credits")
        press(w, "Grant them")
        heading(w, "Connect your system")
        look(w, "key")
        press(w, "Make a key")
        key = w.page.locator("pre.token").inner_text()
        line = w.page.locator("pre.answer").nth(1).inner_text()
        look(w, "key-shown")
        assert fresh.url in line
        assert key in line
        sending = {"user": "eva@acme.example", "candidate_ref": "c-1", "case_ref": "job-1", "channel": "sms", "kind": "contact"}
        early = fresh.site.post("/api/v1/messages", {**sending, "text": "Hej"}, key=key)
        assert early[0] in (404, 409)  # nothing leaves yet
        w.page.get_by_role("link", name="Next").click()

        heading(w, "Keep a copy elsewhere")
        look(w, "backup")
        press(w, "Next")
        assert w.page.get_by_text("Tick this once you know").is_visible()
        w.expected("422")
        w.page.get_by_role("checkbox").check()
        press(w, "Next")

        heading(w, "The checklist")
        look(w, "finish")
        assert w.page.get_by_text("to do", exact=True).count() == 0
        press(w, "Finish, and switch sending on")
        heading(w, "This box is ready")
        look(w, "done")
        assert fresh.site.get("/api/v1/organisations/self/credits", key=key)[1]["available"] == 1000
        assert fresh.site.get("/api/v1/compliance/setup", key=key)[0] in (200, 403, 404)
        w.open("/setup")
        w.page.wait_for_url(lambda url: "/setup" not in url)
    with fresh.window(width=width) as w:
        w.open("/setup/code")
        w.page.wait_for_url("**/admin/login")
