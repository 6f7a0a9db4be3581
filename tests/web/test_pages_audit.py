"""The audit page: works, anonymous, wrong role, bad filters; it verifies in words, pages by position and bounds its search."""

import ast
import re
from pathlib import Path

import pytest

from gateway.flows import consent_rows, endings
from gateway.store import lists_audit_pages
from gateway.store.database import Database
from tests.browser.furnished import audit as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import Person, anonymous, app, message_id, people, store
from web.pages import audit_words

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

ROOT = Path(__file__).resolve().parent.parent.parent
ACTION = re.compile(r"[a-z]+\.[a-z_]+")
HERE = "/admin/audit"
MAY = {"admin", "compliance"}


@pytest.fixture
def furnished(store: Database, clock: ManualClock) -> None:
    """Entries."""
    furniture.furnish(store, clock)


@pytest.mark.parametrize("path", ["", "/audit.csv"])
def test_it_opens_for_its_roles_only(path: str, people: dict[str, Person], anonymous: Person, furnished: None) -> None:
    answers = {role: person.get(HERE + path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in MAY else 403 for role in people}
    assert anonymous.get(HERE + path).location.startswith("/admin/login")


def test_verifying_is_refused_to_strangers_wrong_roles_and_without_a_token(people: dict[str, Person], anonymous: Person) -> None:
    path = f"{HERE}/verify"
    assert anonymous.post(path, page="/admin/login").location.startswith("/admin/login")
    assert people["operator"].post(path, page="/admin/account").status_code == 403
    assert people["admin"].client.post(path, headers={"Origin": "http://localhost"}).status_code == 400


@pytest.mark.parametrize(
    "query", ["day=yesterday", "before=x", "before=-1", "subject=" + "x" * 200, "actor=%00", "day=9999-12-31"]
)
def test_a_filter_that_makes_no_sense_is_refused(query: str, people: dict[str, Person]) -> None:
    assert people["admin"].get(f"{HERE}?{query}").status_code == 400


def test_it_is_filtered_by_what_whom_about_and_day(people: dict[str, Person], furnished: None) -> None:
    admin = people["admin"]
    page = admin.get(HERE).text
    assert page.count('id="entry-') == 50
    assert "A new action" not in page
    assert "a.new_action" in page
    assert "Failed to sign in" in page
    assert "a message (c-1)" in page
    assert message_id(5) in page  # its id is among the details
    assert admin.get(f"{HERE}?action=permission.").text.count('id="entry-') == 6
    assert admin.get(f"{HERE}?actor=gateway").text.count('id="entry-') == 12
    assert admin.get(f"{HERE}?subject={message_id(5)}").text.count('id="entry-') == 12
    assert admin.get(f"{HERE}?day=2026-03-01").text.count('id="entry-') == 24
    assert "No entry fits" in admin.get(f"{HERE}?day=2020-01-01").text


def test_it_is_paged_by_position(people: dict[str, Person], furnished: None) -> None:
    assert "before=11" in people["admin"].get(HERE).text
    older = people["admin"].get(f"{HERE}?before=11").text
    assert older.count('id="entry-') == 10
    assert "Nothing has happened" not in older


def test_a_search_looks_at_a_bounded_stretch_and_goes_on_from_there(store: Database, furnished: None) -> None:
    with store.read() as view:
        found = lists_audit_pages.entries(view, {"subject": "nothing"}, None, None, 50, window=20)
        assert (found.rows, found.older) == ([], 41)
        found = lists_audit_pages.entries(view, {"subject": "nothing"}, None, 21, 50, window=20)
        assert found.older is None


def test_the_chain_is_verified_in_words(people: dict[str, Person], furnished: None, store: Database) -> None:
    admin = people["admin"]
    whole = admin.post(f"{HERE}/verify", page=HERE)
    assert whole.is_streamed
    assert "The chain is whole: 60 entries" in whole.text
    assert whole.text.count("<span></span>") == 50  # the whole bar
    with store.write() as tx:
        tx.execute("DELETE FROM audit WHERE position = 30")
    broken = admin.post(f"{HERE}/verify", page=HERE).text
    assert "the first broken link is entry 30" in broken
    assert "</html>" in broken


def test_the_table_holds_what_the_filter_says_and_is_noted(people: dict[str, Person], furnished: None, store: Database) -> None:
    answer = people["compliance"].get(f"{HERE}/audit.csv?actor=gateway")

    assert answer.text.count("\r\n") == 13
    with store.read() as view:
        assert (
            view.value("SELECT data FROM audit WHERE action = 'export.run'") == '{"what":"audit","rows":12,"filters":["actor"]}'
        )


def test_every_action_that_the_code_writes_has_its_words() -> None:
    written = {*endings._ACTIONS.values(), *consent_rows._ACTIONS.values(), "mail.sent", "mail.dead", "modem.unpark"}
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "audit":
                told = [
                    each.value for argument in node.args[2:3] for each in ast.walk(argument) if isinstance(each, ast.Constant)
                ]
                written |= {word for word in told if isinstance(word, str) and ACTION.fullmatch(word)}
    assert len(written) > 100
    assert written - set(audit_words.ACTIONS) == set()
