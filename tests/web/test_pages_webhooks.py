"""The pages of webhooks: works, anonymous, wrong role, bad input, without a token; secrets are shown once."""

import re

import pytest

from gateway.store.database import Database
from tests.browser.furnished import webhooks as furniture
from tests.support import ManualClock
from tests.web.pages_fixtures import Person, anonymous, app, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

HERE = "/admin/webhooks"
MAY = {"admin", "operator"}
FORM = {"url": "https://ats.example/hook", "events": "message.received"}
PAGES = ["", "/new", "/ep_well", "/ep_well/live", "/ep_failing?state=dead", "/ep_off/edit"]
ACTS = ["/new", *(f"/ep_failing/{act}" for act in ("edit", "switch", "rotate", "delete", "test", "replay"))]


@pytest.fixture
def furnished(store: Database, clock: ManualClock) -> None:
    """Endpoints and deliveries."""
    furniture.furnish(store, clock)


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person], anonymous: Person, furnished: None) -> None:
    answers = {role: person.get(HERE + path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in MAY else 403 for role in people}
    assert anonymous.get(HERE + path).status_code == (401 if path.endswith("/live") else 303)


@pytest.mark.parametrize("path", ACTS)
def test_each_act_is_refused_to_strangers_wrong_roles_and_without_a_token(
    path: str, people: dict[str, Person], anonymous: Person, furnished: None, store: Database
) -> None:
    assert anonymous.post(HERE + path, FORM, page="/admin/login").location.startswith("/admin/login")
    for role in set(people) - MAY:
        assert people[role].post(HERE + path, FORM, page="/admin/account").status_code == 403
    assert people["admin"].client.post(HERE + path, data=FORM, headers={"Origin": "http://localhost"}).status_code == 400
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM endpoint") == 3
        assert view.value("SELECT COUNT(*) AS n FROM delivery WHERE state = 'dead'") == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": ""}, "Write the address"),
        ({"url": "ftp://x"}, "without a user name"),
        ({"url": "https://eva:secret@x.example/"}, "without a user name"),
        ({"url": "https://ats.acme.example/ringpost"}, "this address already"),
        ({"events": "nonsense"}, "valid choice"),
    ],
)
def test_a_wrong_endpoint_is_shown_again(wrong: dict[str, str], words: str, people: dict[str, Person], furnished: None) -> None:
    answer = people["admin"].post(f"{HERE}/new", {**FORM, **wrong}, page=f"{HERE}/new")

    assert answer.status_code == 422
    assert words in answer.text


def test_an_endpoint_is_added_and_its_secret_shown_once(people: dict[str, Person], store: Database) -> None:
    admin = people["admin"]
    answer = admin.post(f"{HERE}/new", FORM, page=f"{HERE}/new")
    assert answer.status_code == 303
    first, second = admin.get(answer.location).text, admin.get(answer.location).text

    assert re.search(r"whsec_[A-Za-z0-9+/=]{40,}", first)
    assert "whsec_" not in second
    assert admin.post(f"{answer.location}/rotate", {"overlap": "y"}, page=answer.location).status_code == 303
    assert "whsec_" in admin.get(answer.location).text
    assert admin.post(f"{answer.location}/test", page=answer.location).location.startswith(f"{answer.location}?test=evt_")
    assert admin.post(f"{answer.location}/delete", page=answer.location).location == HERE
    assert admin.get(answer.location).status_code == 404


def test_one_or_all_dead_letters_are_sent_again_with_progress(
    people: dict[str, Person], furnished: None, store: Database
) -> None:
    page = f"{HERE}/ep_failing"
    one = people["operator"].post(f"{page}/replay", {"delivery": "dlv_failing00"}, page=page)
    assert "replayed=1" in one.location
    assert "<progress" in people["operator"].get(one.location).text
    assert "replayed=4" in people["operator"].post(f"{page}/replay", page=page).location
    assert people["operator"].post(f"{page}/replay", page=page).location == page
    with store.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM delivery WHERE state = 'dead'") == 0


def test_two_who_change_an_endpoint_at_once_see_both_versions(
    people: dict[str, Person], furnished: None, store: Database
) -> None:
    page, admin = f"{HERE}/ep_off/edit", people["admin"]
    shown = admin.get(page).text.split('name="shown" value="')[1].split('"')[0]
    assert admin.post(page, {**FORM, "shown": shown}, page=page).status_code == 303
    answer = admin.post(page, {**FORM, "url": "https://mine.example/", "shown": shown}, page=page)
    assert answer.status_code == 409
    fields = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">', answer.text))
    assert admin.post(page, fields, page=page).status_code == 303
    with store.read() as view:
        assert view.value("SELECT url FROM endpoint WHERE id = 'ep_off'") == "https://mine.example/"


@pytest.mark.parametrize("query", ["state=nonsense", "replayed=x&began=1", "began=²"])
def test_an_address_that_makes_no_sense_is_refused(query: str, people: dict[str, Person], furnished: None) -> None:
    assert people["admin"].get(f"{HERE}/ep_well?{query}").status_code == 400
    assert people["admin"].get(f"{HERE}/ep_nothing").status_code == 404


def test_a_test_of_an_endpoint_that_is_off_is_refused_until_it_is_on(people: dict[str, Person], furnished: None) -> None:
    page = f"{HERE}/ep_off"
    assert people["admin"].post(f"{page}/test", page=page).status_code == 409
    assert people["admin"].post(f"{page}/switch", {"on": "y"}, page=page).status_code == 303
    assert people["admin"].post(f"{page}/test", page=page).status_code == 303
    assert people["admin"].post(f"{page}/switch", {"on": "n"}, page=page).status_code == 303


def test_what_changes_by_itself_answers_304_until_it_does(people: dict[str, Person], furnished: None, store: Database) -> None:
    first = people["admin"].get(f"{HERE}/ep_failing/live")
    tag = first.headers["ETag"]
    assert tag.strip('"') in people["admin"].get(f"{HERE}/ep_failing").text
    assert people["admin"].get(f"{HERE}/ep_failing/live", **{"If-None-Match": tag}).status_code == 304
    with store.write() as tx:
        tx.execute("UPDATE delivery SET answer = '418 Teapot' WHERE id = 'dlv_failing03'")
    assert people["admin"].get(f"{HERE}/ep_failing/live", **{"If-None-Match": tag}).status_code == 200
