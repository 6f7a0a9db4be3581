"""Lists over a filled store: right against a plain question, paged by key to the end, and found by index on SQLite."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.commands.crowd import Crowd, Size
from gateway.flows import credits
from gateway.flows.audit import verify
from gateway.rules.lifecycle import State
from gateway.store import lists_audit, lists_messages, lists_pages, lists_people, lists_threads, lists_web
from gateway.store.database import Database, View
from gateway.store.lists_threads import Wanted, Within
from tests.office import NOW, PHONE_KEY

SIZE = Size(messages=600, threads=60, audit=300, seed=7)
SEAL_KEY = b"x" * 43 + b"="


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A small crowd, made once for all tests of this page, on each engine in turn."""
    if request.param == "sqlite":
        url = str(tmp_path_factory.mktemp("crowd") / "ringpost.db")
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), url)
    else:
        server = request.getfixturevalue("_postgresql_template")
        server.execute("CREATE DATABASE crowd TEMPLATE ringpost_template STRATEGY FILE_COPY")
        url = server.url("crowd")
    database = Database(url)
    for _ in Crowd(database, SIZE, PHONE_KEY, SEAL_KEY, NOW).fill():
        pass
    yield database
    database.close()
    if request.param == "postgresql":
        server.execute("DROP DATABASE crowd WITH (FORCE)")


@pytest.fixture
def view(filled: Database) -> Iterator[View]:
    with filled.read() as opened:
        yield opened


def root(view: View) -> str:
    return str(view.value("SELECT id FROM organisation WHERE parent_id IS NULL"))


def user(view: View, number: int) -> str:
    return str(view.value("SELECT id FROM app_user WHERE email = ?", f"crowd-{number}@acme.example"))


def test_the_crowd_is_as_large_as_asked_and_its_books_and_chains_hold(view: View) -> None:
    counted = {table: view.value(f"SELECT COUNT(*) AS n FROM {table}") for table in ("message", "thread", "audit")}
    assert counted == {"message": SIZE.messages, "thread": SIZE.threads, "audit": SIZE.audit}
    assert credits.verify(view) == []
    assert verify(view, b"k" * 32).broken is None
    assert view.value("SELECT COUNT(*) AS n FROM received") > SIZE.threads
    assert view.value("SELECT COUNT(*) AS n FROM sender WHERE iccid IS NOT NULL") == 0  # nothing can ever be sent


def test_a_store_with_messages_is_not_filled(filled: Database) -> None:
    from gateway.errors import Refused

    with pytest.raises(Refused, match="fresh"):
        list(Crowd(filled, SIZE, PHONE_KEY, SEAL_KEY, NOW).fill())


STATES: tuple[tuple[State, ...], ...] = ((), (State.DELIVERED,), (State.HELD, State.QUEUED), (State.SENDING,), (State.FAILED,))


@pytest.mark.parametrize("states", STATES)
def test_messages_are_listed_newest_first_to_the_end(view: View, states: tuple[State, ...]) -> None:
    organisation, member = root(view), user(view, 3)
    rows = view.all("SELECT id, state, user_id, case_id FROM message ORDER BY id DESC")
    cases = {row["case_id"] for row in view.all("SELECT case_id FROM case_member WHERE user_id = ?", member)}
    fit = [row for row in rows if not states or row["state"] in states]
    own = [row["id"] for row in fit if row["user_id"] == member or row["case_id"] in cases]
    assert _pages(view, organisation, states, None) == [row["id"] for row in fit]
    assert _pages(view, organisation, states, member) == own


def test_a_member_of_few_cases_finds_what_lies_far_back(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    organisation, member = root(view), user(view, 3)
    expected = _pages(view, organisation, (State.DELIVERED,), member), _pages(view, organisation, (), member)
    monkeypatch.setattr(lists_messages, "_LOOK", 12)
    assert _pages(view, organisation, (State.DELIVERED,), member) == expected[0]
    assert _pages(view, organisation, (), member) == expected[1]


def _pages(view: View, organisation: str, states: tuple[State, ...], member: str | None) -> list[str]:
    found: list[str] = []
    before = None
    while True:
        page = lists_pages.messages(view, organisation, member=member, states=states, before=before, limit=37)
        found += [line.id for line in page.lines]
        if page.older is None:
            return found
        before = page.older


@pytest.mark.parametrize(
    ("filters", "where"),
    [
        ({"kind": "offer_notice"}, "kind = 'offer_notice'"),
        ({"kind": "offer_notice", "state": "failed"}, "kind = 'offer_notice' AND state = 'failed'"),
        ({"channel": "whatsapp"}, "channel = 'whatsapp'"),
        ({"client_ref": "crowd-40"}, "client_ref = 'crowd-40'"),
        ({"case_ref": "crowd-2"}, "case_id = (SELECT id FROM hiring_case WHERE ref = 'crowd-2')"),
        ({"case_ref": "nobody"}, "1 = 0"),
        (
            {"candidate_ref": "crowd-2", "state": "delivered"},
            "candidate_id = (SELECT id FROM candidate WHERE ref = 'crowd-2') AND state = 'delivered'",
        ),
        ({"state": "sending"}, "state = 'sending'"),
    ],
)
def test_filters_of_the_api_find_what_a_plain_question_finds(view: View, filters: dict[str, str], where: str) -> None:
    plain = [row["id"] for row in view.all(f"SELECT id FROM message WHERE {where} ORDER BY id DESC")]
    assert [row["id"] for row in lists_web.messages(view, root(view), filters, None, 1_000)] == plain
    middle = plain[len(plain) // 2] if plain else "msg_"
    behind = [row["id"] for row in lists_web.messages(view, root(view), filters, middle, 1_000)]
    assert behind == [each for each in plain if each < middle]


def test_messages_of_another_organisation_are_never_listed(view: View) -> None:
    for states in STATES:
        assert lists_messages.newest(view, "org_other", states=states, limit=10) == []
        assert lists_messages.newest(view, "org_other", states=states, member=user(view, 3), limit=10) == []
    assert lists_web.messages(view, "org_other", {"kind": "contact"}, None, 10) == []


def test_counts_end_where_they_are_told_to(view: View) -> None:
    found = lists_messages.counts(view, root(view), most=5)
    assert (found[State.DELIVERED], found[State.SENDING]) == (5, 0)
    assert lists_web.open_messages(view)["queued"] == view.value("SELECT COUNT(*) AS n FROM message WHERE state = 'queued'")


THREADS: list[tuple[dict[str, Any], str]] = [
    ({}, "1 = 1"),
    ({"state": "closed"}, "state = 'closed'"),
    ({"state": "active", "awaiting": True}, "state = 'active' AND awaiting_since IS NOT NULL"),
    ({"awaiting": True}, "awaiting_since IS NOT NULL"),
    ({"awaiting": False}, "awaiting_since IS NULL"),
    ({"assignee": ""}, "assignee_id IS NULL"),
    ({"unassigned": True}, "case_id IS NULL"),
    ({"unassigned": False}, "case_id IS NOT NULL"),
    ({"unread": True}, "heard > COALESCE((SELECT place FROM read_mark r WHERE r.thread_id = thread.id AND r.user_id = :me), 0)"),
]


@pytest.mark.parametrize(("wanted", "where"), THREADS)
def test_threads_are_listed_by_their_newest_message(view: View, wanted: dict[str, Any], where: str) -> None:
    me = user(view, 3)
    plain = view.all(f"SELECT id, case_id FROM thread WHERE {where} ORDER BY last_at DESC, id DESC".replace(":me", f"'{me}'"))
    assert _thread_pages(view, Wanted(reader=me, **wanted), None) == [row["id"] for row in plain]
    units = [row["id"] for row in view.all("SELECT id FROM organisation WHERE parent_id IS NOT NULL ORDER BY ref")]
    readable = _readable(view, me, units[:6], units[6:7])
    within = Within(me, units[:6], units[6:7], False)
    assert _thread_pages(view, Wanted(reader=me, **wanted), within) == [r["id"] for r in plain if r["case_id"] in readable]


def _readable(view: View, me: str, team_units: list[str], role_units: list[str]) -> set[str]:
    member = {row["case_id"] for row in view.all("SELECT case_id FROM case_member WHERE user_id = ?", me)}
    cases = view.all("SELECT id, unit_id FROM hiring_case")
    return {row["id"] for row in cases if row["unit_id"] in role_units or (row["unit_id"] in team_units and row["id"] in member)}


def _thread_pages(view: View, wanted: Wanted, within: Within | None) -> list[str]:
    found: list[str] = []
    while True:
        page = lists_threads.threads(view, root(view), wanted, within, found[-1] if found else None, 11)
        found += [row["id"] for row in page[:11]]
        if len(page) <= 11:
            return found


def test_threads_and_candidates_are_found_by_the_beginning_of_a_name(view: View) -> None:
    person = view.one("SELECT * FROM candidate WHERE ref = 'crowd-4'")
    assert person is not None
    for search in (person["last_name"][:3].lower(), f"{person['first_name']} {person['last_name'][:2]}", "crowd-4"):
        assert person["id"] in {row["id"] for row in lists_people.candidates(view, root(view), search=search, limit=100)}
        found = lists_threads.threads(view, root(view), Wanted(search=search), None, None, 100)
        assert person["id"] in {row["candidate_id"] for row in found}
    assert lists_people.candidates(view, root(view), search="%", limit=10) == []
    assert lists_people.candidates(view, "org_other", search=person["last_name"], limit=10) == []


def test_candidates_and_cases_are_paged_by_key(view: View) -> None:
    for ask, table in ((lists_people.candidates, "candidate"), (lists_people.cases, "hiring_case")):
        found: list[str] = []
        while True:
            page = ask(view, root(view), after=found[-1] if found else None, limit=4)  # type: ignore[operator]
            found += [row["id"] for row in page[:4]]
            if len(page) <= 4:
                break
        assert found == [row["id"] for row in view.all(f"SELECT id FROM {table} ORDER BY id DESC")]
    assert [row["ref"] for row in lists_people.cases(view, root(view), search="DER 3", limit=9)] == ["crowd-3"]
    assert all(row["closed_at"] is None for row in lists_people.cases(view, root(view), is_open=True, limit=9))


def test_events_of_some_kinds_come_in_order_of_their_positions(filled: Database) -> None:
    with filled.write() as tx:
        organisation = root(tx)
        for number in range(9):
            tx.event(NOW, organisation, ("call.missed", "message.received", "message.state")[number % 3], f"s{number}", {})
    from gateway.store.seal import seal

    seal(filled)
    with filled.read() as view:
        for kinds in (["call.missed"], ["message.received", "call.missed", "call.missed"], ["message.state", "call.missed"], []):
            rows = lists_web.events(view, root(view), 10, kinds, 1_000)
            marks = f" AND type IN ({', '.join(repr(kind) for kind in kinds)})" if kinds else ""
            assert [r["id"] for r in rows] == [
                row["id"] for row in view.all(f"SELECT id FROM event WHERE position > 10{marks} ORDER BY position")
            ]


@pytest.mark.parametrize("state", [None, "dead", "delivered", "waiting"])
def test_deliveries_are_listed_the_newest_event_first(view: View, state: str | None) -> None:
    endpoint = view.value("SELECT id FROM endpoint")
    where = "" if state is None else f" WHERE state = '{state}'"
    plain = [row["id"] for row in view.all(f"SELECT id FROM delivery{where} ORDER BY event_id DESC")]
    first = [row["id"] for row in lists_web.deliveries(view, endpoint, state, None, 40)]
    assert first == plain[:41]
    if len(plain) > 41:
        assert [row["id"] for row in lists_web.deliveries(view, endpoint, state, first[39], 1_000)] == plain[40:]


def test_the_audit_is_found_by_subject_and_by_action(view: View) -> None:
    subject = view.value("SELECT subject FROM audit WHERE action = 'user.create'")
    assert {row["subject"] for row in lists_audit.entries(view, subject, None, None, 10)} == {subject}
    for action in ("user.create", "message.accept", "erase.run"):
        plain = view.all("SELECT position FROM audit WHERE action = ? ORDER BY position DESC", action)
        found = lists_audit.entries(view, None, action, None, 1_000)
        assert [row["position"] for row in found] == [row["position"] for row in plain]


def test_no_list_walks_a_whole_table(sqlite_url: str, opened: Any) -> None:
    """What the planner of SQLite makes of the questions, without statistics, as on every box."""
    database = opened(sqlite_url)
    asked: list[str] = []
    with database.read() as view:
        watched = view._cursor.connection
        watched.set_trace_callback(asked.append)
        me, org = "usr_x", "org_x"
        for states in STATES:
            for member in (None, me):
                lists_messages.newest(view, org, states=states, member=member, before="msg_x", limit=50)
        for filters in ({"client_ref": "x"}, {"state": "failed"}):
            lists_web.messages(view, org, filters, "msg_x", 50)
        for wanted, _ in THREADS:
            lists_threads.threads(view, org, Wanted(reader=me, **wanted), Within(me, [org], [org], True), None, 50)
        for action, subject in (("erase.run", None), (None, "x"), ("erase.run", "x")):
            lists_audit.entries(view, subject, action, 9, 50)
        for state in (None, "dead", "waiting", "delivered"):
            lists_web.deliveries(view, "ep_x", state, None, 50)
        lists_web.events(view, org, 5, ["call.missed"], 50)
        lists_web.events(view, org, 5, [], 50)
        lists_web.history(view, "msg_x")
        lists_people.candidates(view, org, search="x y", limit=50)
        lists_people.candidates(view, org, after="cand_x", limit=50)
        watched.set_trace_callback(None)
        for question in asked:
            for row in view.all("EXPLAIN QUERY PLAN " + question):
                detail = str(row["detail"])
                walked = detail.startswith(
                    tuple(f"SCAN {name}" for name in ("m", "t", "message", "audit", "event", "d", "candidate"))
                )
                assert not walked or "USING" in detail, (question, detail)
