"""Each page: works, anonymous, wrong role, bad input."""

import pytest

from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import (
    ORG,
    Person,
    add_gateway,
    add_message,
    add_modem,
    anonymous,
    app,
    message_id,
    people,
    store,
)

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

PAGES = {
    "/admin/messages": {"recruiter", "admin", "compliance", "viewer"},
    "/admin/modems": {"admin", "operator"},
    "/admin/modems/live": {"admin", "operator"},
    "/admin/account": {"recruiter", "admin", "operator", "compliance", "viewer", "nobody"},
}


@pytest.mark.parametrize("path", PAGES)
def test_each_page_opens_for_its_roles_only(path: str, people: dict[str, Person]) -> None:
    answers = {role: person.get(path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in PAGES[path] else 403 for role in people}


@pytest.mark.parametrize("path", ["/", "/admin", "/admin/", *PAGES, f"/admin/messages/{message_id(1)}", "/admin/zzz"])
def test_each_page_sends_strangers_to_the_login(path: str, anonymous: Person) -> None:
    answer = anonymous.get(path)

    if path.endswith("/live"):  # asked for by a script
        assert answer.status_code == 401
        assert answer.text == ""
    else:
        assert answer.status_code == 303
        assert answer.location.startswith("/admin/login")


def test_the_menu_shows_only_what_the_viewer_may_open(people: dict[str, Person]) -> None:
    shown = {
        role: {path for path in ("/admin/messages", "/admin/modems", "/admin/organisation") if f'href="{path}"' in page}
        for role, page in ((role, person.get("/admin/account").text) for role, person in people.items())
    }

    assert shown["recruiter"] == shown["viewer"] == {"/admin/messages"}
    assert shown["compliance"] == {"/admin/messages", "/admin/organisation"}  # for its chargeback
    assert shown["admin"] == {"/admin/messages", "/admin/modems", "/admin/organisation"}
    assert shown["operator"] == {"/admin/modems", "/admin/organisation"}
    assert shown["nobody"] == set()


def test_home_leads_to_the_first_page_one_may_open(people: dict[str, Person]) -> None:
    assert people["recruiter"].get("/").location == "/admin/inbox"
    assert people["operator"].get("/admin/").location == "/admin/organisation"
    assert "no rights yet" in people["nobody"].get("/").text


def test_an_unknown_address_is_a_page_of_its_own(people: dict[str, Person]) -> None:
    answer = people["admin"].get("/admin/no/such/page")

    assert answer.status_code == 404
    assert "Nothing here" in answer.text


# Messages


def test_messages_are_listed_newest_first_with_state_and_parts(people: dict[str, Person]) -> None:
    page = people["admin"].get("/admin/messages").text

    assert page.index(message_id(10)) < page.index(message_id(1))
    for words in ("Waiting", "until quiet hours end", "Delivered", "Not delivered", "Unclear", "2 parts"):
        assert words in page
    assert message_id(90) not in page  # another organisation's


def test_a_name_with_markup_is_shown_and_not_run(people: dict[str, Person]) -> None:
    for path in ("/admin/messages", f"/admin/messages/{message_id(5)}"):
        page = people["admin"].get(path).text
        assert "<script>alert" not in page
        assert "<b>" not in page
        assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [("waiting", {1, 2}), ("problems", {6, 7, 8, 10}), ("delivered", {5, 91}), ("unknown", {10}), ("on_the_way", {3, 4})],
)
def test_messages_are_filtered_by_state(chosen: str, numbers: set[int], people: dict[str, Person]) -> None:
    page = people["admin"].get(f"/admin/messages?state={chosen}").text

    assert {number for number in (*range(1, 11), 91) if message_id(number) in page} == numbers


@pytest.mark.parametrize("query", ["state=nonsense", "before=1", "before=msg_'--", "before=" + "9" * 400])
def test_messages_refuse_a_filter_or_key_they_do_not_know(query: str, people: dict[str, Person]) -> None:
    assert people["admin"].get(f"/admin/messages?{query}").status_code == 400


def test_messages_are_paged_by_key(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        for number in range(100, 190):
            add_message(tx, number, "delivered", clock.now_ms())

    first = people["admin"].get("/admin/messages").text
    second = people["admin"].get(f"/admin/messages?before={message_id(140)}").text
    last = people["admin"].get(f"/admin/messages?before={message_id(1)}").text

    assert f"before={message_id(140)}" in first
    assert message_id(139) not in first
    assert message_id(139) in second
    assert message_id(140) not in second
    assert "No older messages" in last


def test_a_recruiter_sees_their_own_messages_and_those_of_their_teams(people: dict[str, Person]) -> None:
    own, foreign = message_id(1), message_id(91)  # 91: the administrator's, in no case

    assert foreign not in people["recruiter"].get("/admin/messages").text
    assert people["recruiter"].get(f"/admin/messages/{foreign}").status_code == 404
    assert people["recruiter"].get(f"/admin/messages/{own}").status_code == 200
    assert people["compliance"].get(f"/admin/messages/{foreign}").status_code == 200


def test_someone_on_no_team_is_told_what_would_appear_here(people: dict[str, Person]) -> None:
    assert "hiring team" in people["viewer"].get("/admin/messages").text
    assert people["viewer"].get(f"/admin/messages/{message_id(1)}").status_code == 404


def test_an_empty_box_says_how_the_first_message_comes(people: dict[str, Person], store: Database) -> None:
    with store.write() as tx:
        tx.execute("DELETE FROM part")
        tx.execute("DELETE FROM message")

    assert "POST /api/v1/messages" in people["admin"].get("/admin/messages").text
    assert "Show all messages" in people["admin"].get("/admin/messages?state=waiting").text


@pytest.mark.parametrize("number", range(1, 11))
def test_a_message_of_every_state_has_a_page(number: int, people: dict[str, Person]) -> None:
    page = people["recruiter"].get(f"/admin/messages/{message_id(number)}")

    assert page.status_code == 200
    assert "What happened" in page.text
    assert "part 1 of message" in page.text
    assert ("Cancel this message" in page.text) == (number in (1, 2))


def test_a_page_shows_times_of_the_organisations_zone(people: dict[str, Person]) -> None:
    page = people["admin"].get(f"/admin/messages/{message_id(5)}").text

    assert ">10:45:00</time>" in page  # 09:45 UTC
    assert "2026-03-02 10:45:00 +0100" in page
    assert 'datetime="2026-03-02T09:45:00.000Z"' in page
    assert "Europe/<wbr>Stockholm" in page


@pytest.mark.parametrize("name", [message_id(77), message_id(90), "msg_nonsense", "%00", "a" * 3000])
def test_a_message_that_is_not_there_is_a_404(name: str, people: dict[str, Person]) -> None:
    assert people["admin"].get(f"/admin/messages/{name}").status_code == 404


def test_cancelling_stops_a_waiting_message_and_gives_credits_back(people: dict[str, Person], store: Database) -> None:
    page = f"/admin/messages/{message_id(2)}"
    with store.write() as tx:
        tx.insert("balance", organisation_id=ORG, available=0, reserved=2)

    answer = people["recruiter"].post(f"{page}/cancel", page=page)

    assert answer.status_code == 303
    assert answer.location == page
    shown = people["recruiter"].get(page).text
    assert "The message was cancelled" in shown
    assert "2 credits were given back" in shown
    with store.read() as view:
        assert view.value("SELECT state FROM message WHERE id = ?", message_id(2)) == "cancelled"
        assert view.value("SELECT available FROM balance WHERE organisation_id = ?", ORG) == 2


def test_cancelling_too_late_is_told_truthfully(people: dict[str, Person]) -> None:
    page = f"/admin/messages/{message_id(5)}"

    people["recruiter"].post(f"{page}/cancel", page=page)

    assert "Too late" in people["recruiter"].get(page).text


def test_cancelling_is_refused_to_strangers_wrong_roles_and_wrong_organisations(
    people: dict[str, Person], anonymous: Person, store: Database
) -> None:
    path = f"/admin/messages/{message_id(2)}/cancel"

    assert anonymous.post(path, page="/admin/login").location.startswith("/admin/login")
    for role in ("operator", "viewer", "compliance", "nobody"):
        assert people[role].post(path, page="/admin/account").status_code == 403
    elsewhere = f"/admin/messages/{message_id(90)}/cancel"
    assert people["admin"].post(elsewhere, page="/admin/account").status_code == 404
    with store.read() as view:
        assert view.value("SELECT state FROM message WHERE id = ?", message_id(2)) == "queued"


# Modems


def test_modems_show_signal_sim_operator_and_state(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    now = clock.now_ms()
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
        )
        add_modem(tx, "stick-2", "sim", now, reason="pin_refused: incorrect password")
        add_modem(tx, "stick-3", "a_new_state", now, parked=0, storage_used=2, storage_total=30)
        add_modem(tx, "stick-4", "ready", now, parked=1)
        add_modem(tx, "stick-5", "removed", now)

    page = people["operator"].get("/admin/modems").text

    for words in ("stick-1", "Ready", "Telia", "LTE", "\u221267 dBm", "Very good", "8946071111", "+46700000000"):
        assert words in page
    assert "Wrong PIN" in page
    assert "(incorrect password)" in page
    assert "pin_refused" not in page
    assert "stick-5" not in page
    assert "A new state" in page
    assert "2 of 30 used" in page
    assert "Parked" in page


def test_modems_of_a_silent_gateway_are_marked(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        add_gateway(tx, clock.now_ms())
        add_modem(tx, "stick-1", "ready", clock.now_ms())
    assert "No word from it" not in people["operator"].get("/admin/modems").text

    clock.advance(60)

    assert "No word from it" in people["operator"].get("/admin/modems").text


def test_no_modem_says_what_to_do(people: dict[str, Person]) -> None:
    assert "Plug a USB modem" in people["operator"].get("/admin/modems").text


def test_live_modems_answer_304_until_something_changes(people: dict[str, Person], store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        add_gateway(tx, clock.now_ms())
        add_modem(tx, "stick-1", "ready", clock.now_ms(), signal_dbm=-90)
    operator = people["operator"]
    first = operator.get("/admin/modems/live")
    tag = first.headers["ETag"]

    assert tag.strip('"') in operator.get("/admin/modems").text
    assert operator.get("/admin/modems/live", **{"If-None-Match": tag}).status_code == 304
    with store.write() as tx:
        tx.execute("UPDATE modem SET signal_dbm = -60")
    assert operator.get("/admin/modems/live", **{"If-None-Match": tag}).status_code == 200
