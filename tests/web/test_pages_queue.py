"""The queue: why each message waits, who sees what, cancelling several truthfully, batches, unclear ones, and the 304."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from gateway.store.database import Database
from tests.browser.furnished import queue as furniture
from tests.browser.furnished.queue import BATCH, queue_id
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, Person, add_message, anonymous, app, message_id, people, store

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

SEEN = {"recruiter", "admin", "compliance", "viewer"}
CANCELS = {"recruiter", "admin"}
PAGES = {
    "/admin/queue": SEEN,
    "/admin/queue?show=held": SEEN,
    "/admin/queue/live": SEEN,
    f"/admin/queue/cancel?id={queue_id(1)}": CANCELS,
    f"/admin/queue/batches/{BATCH}": SEEN - {"viewer"},
    f"/admin/queue/batches/{BATCH}/live": SEEN - {"viewer"},
}


@pytest.fixture(autouse=True)
def furnished(store: Database, clock: ManualClock) -> None:
    """A busy queue in the recruiter's case."""
    furniture.furnish(store, clock)


@pytest.fixture
def states(store: Database) -> Callable[..., list[str]]:
    """The states of messages of this family, by number."""

    def ask(*numbers: int) -> list[str]:
        with store.read() as view:
            return [view.value("SELECT state FROM message WHERE id = ?", queue_id(number)) for number in numbers]

    return ask


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person]) -> None:
    answers = {role: person.get(path).status_code for role, person in people.items()}

    assert {role for role, status in answers.items() if status == 200} == PAGES[path], answers
    assert {status for role, status in answers.items() if role not in PAGES[path]} <= {403, 404}


@pytest.mark.parametrize("path", PAGES)
def test_strangers_are_sent_to_the_login(path: str, anonymous: Person) -> None:
    answer = anonymous.get(path)

    assert answer.status_code == 401 if path.endswith("/live") else answer.location.startswith("/admin/login")


def test_what_is_queued_says_its_place_and_when_it_should_leave(people: dict[str, Person]) -> None:
    page = people["admin"].get("/admin/queue").text

    for words in ("It is next", "One message is before it", "about 10 a minute", "First lane", "Does not answer"):
        assert words in page
    assert "The network refused the last attempt" in page
    assert "No modem with the right SIM card is ready" in page
    assert page.index(queue_id(1)) < page.index(queue_id(3)) < page.index(queue_id(60))


def test_what_is_held_says_why_and_until_when(people: dict[str, Person]) -> None:
    page = people["admin"].get("/admin/queue?show=held").text

    for words in (
        "must reply START",
        "asked for no more messages",
        "outside the hours",
        "scheduled for later",
        "allowance",
        "right time",
    ):
        assert words in page
    assert "Nobody knows until when" in page
    only = people["admin"].get("/admin/queue?show=held&reason=sim_budget").text
    assert queue_id(25) in only
    assert queue_id(23) not in only


@pytest.mark.parametrize("query", ["show=all", "reason=fun", "sender=x'", "after=1", "after=msg_'--"])
def test_the_queue_refuses_what_it_does_not_know(query: str, people: dict[str, Person]) -> None:
    assert people["admin"].get(f"/admin/queue?{query}").status_code == 400
    assert people["admin"].get(f"/admin/queue/live?{query}").status_code == 400


def test_one_sees_one_s_own_and_one_s_teams_messages_only(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        add_message(tx, 500, "queued", clock.now_ms(), case_id=None, user_id="usr_admin")

    assert message_id(500) in people["admin"].get("/admin/queue").text
    assert message_id(500) not in people["recruiter"].get("/admin/queue").text
    assert queue_id(1) in people["recruiter"].get("/admin/queue").text
    assert "Nothing waits" in people["viewer"].get("/admin/queue").text
    assert people["recruiter"].get(f"/admin/queue/cancel?id={message_id(500)}").status_code == 404


def test_the_queue_goes_on_by_key(people: dict[str, Person]) -> None:
    for role in ("admin", "recruiter"):
        first = people[role].get("/admin/queue").text
        key = re.search(r"after=(msg_[0-9a-f]{32})", first)
        assert key is not None
        second = people[role].get(f"/admin/queue?after={key.group(1)}").text
        shown = [set(re.findall(r"/admin/messages/(msg_[0-9a-f]{32})", page)) for page in (first, second)]
        assert shown[0]
        assert shown[1]
        assert not shown[0] & shown[1]
    held = people["admin"].get(f"/admin/queue?show=held&after={queue_id(25)}").text
    assert queue_id(23) not in held
    assert queue_id(20) in held


def test_the_live_queue_answers_304_until_something_changes(people: dict[str, Person], store: Database) -> None:
    first = people["admin"].get("/admin/queue/live")
    tag = first.headers["ETag"]

    assert tag.strip('"') in people["admin"].get("/admin/queue").text
    assert people["admin"].get("/admin/queue/live", **{"If-None-Match": tag}).status_code == 304
    with store.write() as tx:
        tx.execute("UPDATE message SET state = 'sending' WHERE id = ?", queue_id(1))
    assert people["admin"].get("/admin/queue/live", **{"If-None-Match": tag}).status_code == 200


# --- cancelling -------------------------------------------------------------------------------------------------------


def _post(person: Person, path: str, *numbers: int, page: str = "/admin/account") -> Any:
    form = [("id", queue_id(number)) for number in numbers]
    data = {"csrf_token": person.token(page), "id": [value for _, value in form]}
    return person.client.post(path, data=data, headers={"Origin": "http://localhost"})


def test_what_is_ticked_is_shown_with_the_consequences_first(people: dict[str, Person], states: Callable[..., list[str]]) -> None:
    page = people["recruiter"].get(f"/admin/queue/cancel?id={queue_id(1)}&id={queue_id(2)}").text

    assert "cannot be undone" in page
    assert "Yes, cancel all 2" in page
    assert states(1, 2) == ["queued", "queued"]
    nothing = people["recruiter"].get("/admin/queue/cancel")
    assert nothing.status_code == 422
    assert "Nothing was ticked" in nothing.text
    assert people["recruiter"].get("/admin/queue/cancel?id=x").status_code == 400


def test_several_are_cancelled_and_each_is_told_truthfully(
    people: dict[str, Person], store: Database, states: Callable[..., list[str]]
) -> None:
    with store.write() as tx:
        tx.execute("UPDATE message SET state = 'sent' WHERE id = ?", queue_id(3))
        tx.execute("UPDATE part SET state = 'sent' WHERE message_id = ? AND number = 1", queue_id(4))

    answer = _post(people["recruiter"], "/admin/queue/cancel", 1, 2, 3, 4, 23)

    assert answer.location == "/admin/queue"
    page = people["recruiter"].get("/admin/queue").text
    for words in (
        "3 messages were cancelled",
        "7 credits were given back",
        "One had already left",
        "Of one, a part had already left",
    ):
        assert words in page
    assert states(1, 2, 3, 4, 23) == ["cancelled", "cancelled", "sent", "cancelled", "cancelled"]


def test_cancelling_is_for_its_roles_and_real_forms_only(
    people: dict[str, Person], anonymous: Person, states: Callable[..., list[str]]
) -> None:
    for path in ("/admin/queue/cancel", f"/admin/queue/batches/{BATCH}/cancel"):
        assert _post(anonymous, path, 1, page="/admin/login").location.startswith("/admin/login")
        for role in ("viewer", "compliance", "operator", "nobody"):
            assert _post(people[role], path, 1).status_code == 403
        bare = people["recruiter"].client.post(path, data={"id": queue_id(1)}, headers={"Origin": "http://localhost"})
        assert bare.status_code == 400
    assert _post(people["recruiter"], "/admin/queue/cancel").status_code == 404
    assert people["recruiter"].post("/admin/queue/cancel", {"id": "x"}, page="/admin/account").status_code == 400
    assert states(1, 60) == ["queued", "queued"]


# --- batches and unclear ones -----------------------------------------------------------------------------------------


def test_a_batch_says_how_far_it_is_and_when_the_last_should_leave(people: dict[str, Person]) -> None:
    page = people["recruiter"].get(f"/admin/queue/batches/{BATCH}").text

    assert "70 messages by Recruiter Person" in page
    assert "19 / 70" in page
    assert "The last should leave at about" in page
    assert "Batches on their way" in people["recruiter"].get("/admin/queue").text
    for key in ("1-usr_recruiter", "x", f"{BATCH}x"):
        assert people["recruiter"].get(f"/admin/queue/batches/{key}").status_code == 404


def test_the_rest_of_a_batch_is_cancelled_and_the_second_time_nothing_is_left(
    people: dict[str, Person], store: Database, states: Callable[..., list[str]]
) -> None:
    path = f"/admin/queue/batches/{BATCH}"

    assert people["recruiter"].post(f"{path}/cancel", page=path).location == path
    assert "50 messages were cancelled" in people["recruiter"].get(path).text
    assert states(40, 58, 60) == ["delivered", "sending", "cancelled"]
    people["recruiter"].post(f"{path}/cancel", page="/admin/account")
    assert "nothing left to cancel" in people["recruiter"].get(path).text
    with store.read() as view:
        assert view.value("SELECT available FROM balance WHERE organisation_id = ?", ORG) == 600


def test_an_unclear_message_is_decided_from_the_queue(people: dict[str, Person], states: Callable[..., list[str]]) -> None:
    page = people["recruiter"].get("/admin/queue?show=unknown").text
    assert "nobody can say whether it left" in page

    for number, choice in ((30, "treat_as_sent"), (31, "send_again")):
        form = {"choice": choice, "back": "/admin/queue?show=unknown"}
        path = f"/admin/messages/{queue_id(number)}/resolve"
        assert people["recruiter"].post(path, form, page="/admin/account").location == "/admin/queue?show=unknown"

    assert states(30, 31) == ["sent", "queued"]
