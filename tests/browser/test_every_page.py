"""Every page: no axe-core violation, not wider than the screen, nothing in the console; light and dark, phone to desk.

`make test` checks the two ends, a light desk and a dark phone, and the width between; `make screenshots` checks all six and keeps
a picture of each page at 360 and 1280 px.
"""

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.store.database import Database
from tests.browser.conftest import FAMILIES, Office, Window, served
from tests.support import ManualClock
from tests.web import pages_app, pages_fixtures

PICTURES = os.environ.get("RINGPOST_SCREENSHOTS")
EVERY = {
    f"{family}:{name}": where
    for family in FAMILIES
    for name, where in importlib.import_module(f"tests.browser.furnished.{family}").PAGES.items()
}
SIZES = (1280, 768, 360)
SHORT = {(1280, "light"), (360, "dark")}


@pytest.fixture(scope="module")
def everything(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Office]:
    """An office with the furniture of all families; only looked at."""
    directory, clock = tmp_path_factory.mktemp("everything"), ManualClock()
    (directory / "ringpost.db").write_bytes(_sqlite_template.read_bytes())
    store = Database(str(directory / "ringpost.db"))
    pages_fixtures.seed(store, clock.now_ms())
    for family in FAMILIES:
        importlib.import_module(f"tests.browser.furnished.{family}").furnish(store, clock)
    app = pages_app.create(store, clock, directory)
    with served(app, store) as url:
        yield Office(store, clock, app, url, chromium)
    store.close()


@pytest.fixture(scope="module")
def window(everything: Office) -> Iterator[Callable[[str | None], Window]]:
    """One window for each role, used again for every page: opening one takes as long as checking a page."""
    with ExitStack() as stack:
        yield cache(lambda role: stack.enter_context(everything.window(role)))


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_page_is_accessible_and_quiet_at_every_size_light_and_dark(
    window: Callable[[str | None], Window], name: str
) -> None:
    role, path = EVERY[name]
    w = window(role)
    w.complaints.clear()
    status = w.open(path).status
    if status >= 400:
        w.expected(str(status))
    for width in SIZES:
        w.page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            if PICTURES or (width, scheme) in SHORT:
                w.page.emulate_media(color_scheme=scheme)
                w.check(f"{name} {width} {scheme}")
                _keep_picture(w, name, width, scheme)
        w.quiet(f"{name} {width}")


def _keep_picture(w: Window, name: str, width: int, scheme: str) -> None:
    if PICTURES and width != 768:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        w.page.screenshot(path=f"{PICTURES}/{name.replace(':', '-')}-{width}-{scheme}.png", full_page=True)
