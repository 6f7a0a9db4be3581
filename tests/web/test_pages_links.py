"""No link of any page leads nowhere: every page of the furnished office is read, and every address it names is opened."""

import importlib
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from gateway.flows import sign_in
from gateway.store.database import Database
from tests.support import ManualClock
from tests.web import pages_app, pages_fixtures

FURNITURE = Path(__file__).parent.parent / "browser/furnished"
FAMILIES = sorted(path.stem for path in FURNITURE.glob("[a-z]*.py"))
ADDRESS = re.compile(r'(href|src|data-live|action)="(/[^"#]*)')


class Visitors:
    """A browser for each person whom the furniture's pages are looked at by, and one for nobody."""

    def __init__(self, store: Database, clock: ManualClock, directory: Path) -> None:
        self._store, self._clock = store, clock
        self._app = pages_app.create(store, clock, directory)
        self._clients: dict[str | None, FlaskClient] = {}
        self._known: dict[tuple[str | None, str], int] = {}

    def get(self, role: str | None, path: str) -> tuple[int, str]:
        """What this person is shown there: status and text."""
        if role not in self._clients:
            self._clients[role] = self._app.test_client()
            if role is not None:
                with self._store.write() as tx:
                    token = sign_in.open_session(tx, f"usr_{role}", "127.0.0.1", self._clock.now_ms())
                self._clients[role].set_cookie("ringpost", token)
        with self._clients[role].get(path) as answer:
            return answer.status_code, answer.get_data(as_text=True)

    def status(self, role: str | None, path: str) -> int:
        """How the address answers this person; each is opened once, for most pages share their menu."""
        if (role, path) not in self._known:
            self._known[role, path], _ = self.get(role, path)
        return self._known[role, path]

    def takes_forms(self, path: str) -> bool:
        """Whether a form may be sent there."""
        return self._app.url_map.bind("localhost").test(path.partition("?")[0], method="POST")


@pytest.fixture(scope="module")
def visitors(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitors]:
    directory, clock = tmp_path_factory.mktemp("links"), ManualClock()
    shutil.copyfile(_sqlite_template, directory / "ringpost.db")
    store = Database(str(directory / "ringpost.db"))
    pages_fixtures.seed(store, clock.now_ms())
    for family in FAMILIES:
        importlib.import_module(f"tests.browser.furnished.{family}").furnish(store, clock)
    yield Visitors(store, clock, directory)
    store.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_address_on_every_page_is_there(visitors: Visitors, family: str) -> None:
    named: dict[tuple[str | None, str, str], str] = {}
    for name, (role, path) in importlib.import_module(f"tests.browser.furnished.{family}").PAGES.items():
        for kind, address in ADDRESS.findall(visitors.get(role, path)[1]):
            named.setdefault((role, kind, unescape(address)), name)
    assert named
    nowhere = []
    for (role, kind, address), name in named.items():
        if kind != "action" or not visitors.takes_forms(address):
            status = visitors.status(None if address.startswith("/static/") else role, address)
            if status not in THERE and address not in SELF:
                nowhere.append(f"{name}: {address} ({status})")
    assert not nowhere, "\n".join(nowhere)


SELF = ("/admin/reports",)
"""Of whom may see only a part of the organisation: the menu leads to a page that says where its figures are (403)."""
THERE = (200, 302, 303, 304, 422)
"""422: the period of a report that makes no sense is kept while another grouping is chosen."""
