"""Every page: no axe-core violation, not wider than the screen, nothing in the console; light and dark, phone to desk.

Those that an address opens (`PAGES` of tests/browser/furnished/), those that only an act leads to (tests/browser/scenes.py), the
steps of the set-up, and errors; the last test here keeps it so that no template is left out.

`make test` checks the two ends, a light desk and a dark phone, and the width between; `make screenshots` checks all six and keeps
a picture of each page at 360 and 1280 px.
"""

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, template_rendered
from flask.testing import FlaskClient
from jinja2 import Template
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.store.database import Database, StoreUnavailable
from tests.browser import scenes
from tests.browser.conftest import FAMILIES, Office, Window, served
from tests.support import ManualClock
from tests.web import pages_app, pages_fixtures

PICTURES = os.environ.get("RINGPOST_SCREENSHOTS")
EVERY = {
    f"{family}:{name}": where
    for family in FAMILIES
    for name, where in importlib.import_module(f"tests.browser.furnished.{family}").PAGES.items()
}
ERRORS = {"broken": ZeroDivisionError(), "disk-full": StoreUnavailable(), "too-much": RequestEntityTooLarge()}
"""What goes wrong at addresses that only this office has."""
EVERY |= {f"error:{name}": ("admin", f"/admin/{name}") for name in ERRORS}
TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
NO_PAGES = {
    "layout/base.html": "every page stands in it",
    "compliance/frame.html": "the compliance pages stand in it",
    "docs/swagger.html": "the API's documentation, drawn by Swagger UI: axe finds faults in that which are not ours",
}
SIZES = (1280, 768, 360)
SHORT = {(1280, "light"), (360, "dark")}


def _whole(name: str) -> bool:
    """Whether a template is a page, not a part of one."""
    return not name.rpartition("/")[2].startswith("_") and name not in NO_PAGES


@pytest.fixture(scope="module")
def shown() -> Iterator[list[str]]:
    """The templates of whole pages rendered so far, the newest last."""
    names: list[str] = []

    def keep(_: Flask, template: Template, **_more: object) -> None:
        if template.name is not None and _whole(template.name):
            names.append(template.name)

    with template_rendered.connected_to(keep):
        yield names


@pytest.fixture(scope="module")
def everything(
    _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, chromium: Any, shown: list[str]
) -> Iterator[Office]:
    """An office with the furniture of all families; only looked at."""
    directory, clock = tmp_path_factory.mktemp("everything"), ManualClock()
    (directory / "ringpost.db").write_bytes(_sqlite_template.read_bytes())
    store = Database(str(directory / "ringpost.db"))
    pages_fixtures.seed(store, clock.now_ms())
    for family in FAMILIES:
        importlib.import_module(f"tests.browser.furnished.{family}").furnish(store, clock)
    app = pages_app.create(store, clock, directory)
    for name, error in ERRORS.items():
        app.add_url_rule(f"/admin/{name}", name, partial(_fail, error))
    with served(app, store) as url:
        yield Office(store, clock, app, url, chromium)
    store.close()


def _fail(error: Exception) -> None:
    raise error


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
    _look_at(w, name)


@pytest.mark.parametrize("name", scenes.SCENES)
def test_so_is_every_answer_to_a_form(
    everything: Office, window: Callable[[str | None], Window], shown: list[str], name: str
) -> None:
    scene = scenes.SCENES[name]
    w = window(scene.role)
    w.complaints.clear()
    scene.act(w, everything)
    if scene.status >= 400:
        w.expected(str(scene.status))
    assert shown[-1] == scene.template
    _look_at(w, f"answer:{name}")


def test_so_is_every_step_of_the_set_up(sqlite_url: str, tmp_path: Path, chromium: Any, shown: list[str]) -> None:
    store, clock = Database(sqlite_url), ManualClock()
    app = pages_app.create(store, clock, tmp_path)
    with served(app, store) as url, Office(store, clock, app, url, chromium).window(None) as w:
        w.open("/")
        _look_at(w, "setup:code")
        w.page.get_by_label("Code").fill(scenes.first_code(store, clock))
        scenes.press(w, "Next")
        _look_at(w, "setup:account")
        scenes.make_first_account(w)
        scenes.plug_in(store, clock)
        for step in scenes.SETUP_STEPS:
            w.open(f"/setup/{step}")
            assert shown[-1] == f"setup/{step}.html"
            _look_at(w, f"setup:{step}")
    store.close()


def test_no_page_is_left_out(everything: Office, shown: list[str]) -> None:
    """Where the tests above did not run before this one, their addresses are opened here, without a browser."""
    acted = {each.template for each in scenes.SCENES.values()}
    acted |= {f"setup/{step}.html" for step in ("code", "account", *scenes.SETUP_STEPS)}
    pages = {name for name in (path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")) if _whole(name)}
    if not pages <= acted.union(shown):
        clients = cache(partial(_client, everything))
        for role, path in EVERY.values():
            clients(role).get(path)
    assert pages - acted.union(shown) == set()
    assert all((TEMPLATES / name).is_file() for name in NO_PAGES)


def _client(office: Office, role: str | None) -> FlaskClient:
    client = office.app.test_client()
    if role is not None:
        client.set_cookie("ringpost", office.token(role))
    return client


def _look_at(w: Window, name: str) -> None:
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
