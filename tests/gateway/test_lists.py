"""Lists over a filled store: right against a plain question, paged by key to the end, and found by index on SQLite."""

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.commands.crowd import Crowd, Size
from gateway.flows import credits, queue_pages, reports, usage_days
from gateway.flows.audit import verify
from gateway.flows.explain import Explanation
from gateway.rules.lifecycle import State
from gateway.rules.periods import Period
from gateway.store import (
    lists_audit,
    lists_audit_pages,
    lists_credits,
    lists_inbox,
    lists_messages,
    lists_pages,
    lists_people,
    lists_queue,
    lists_reports,
    lists_threads,
    lists_web,
)
from gateway.store.database import Database, Row, View
from gateway.store.lists_inbox import Asked
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
    for glance, look in ((5, 12), (1_000, 12), (40, 5_000)):
        monkeypatch.setattr(lists_messages, "_GLANCE", glance)
        monkeypatch.setattr(lists_messages, "_LOOK", look)
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


@pytest.mark.parametrize("typed", ["åsa öberg", "ÅSA ÖBERG", "Åsa Öberg", "öberg åsa", "ÖB", "ås"])
def test_letters_beyond_ascii_are_found_however_they_are_typed(database: Database, typed: str) -> None:
    org = {"id": "org_s", "root_id": "org_s", "ref": "s", "name": "S", "zone": "UTC", "language": "sv", "created_at": NOW}
    common = {"organisation_id": "org_s", "created_at": NOW, "updated_at": NOW}
    with database.write() as tx:
        tx.insert("organisation", **org)
        tx.flush()
        tx.insert("candidate", id="cand_s", ref="c-s", first_name="Åsa", last_name="Öberg", phone_state="ok", **common)
        tx.insert("hiring_case", id="case_s", ref="j-s", unit_id="org_s", title="Åsa Öbergs tjänst", **common)
    with database.read() as view:
        people = [row["id"] for row in lists_people.candidates(view, "org_s", search=typed, limit=5)]
        assert people == ["cand_s"]
        for word in typed.split():
            assert [row["id"] for row in lists_people.cases(view, "org_s", search=word, limit=5)] == ["case_s"]


def test_the_audit_calls_things_by_the_names_of_their_owner_only(view: View) -> None:
    known = {
        row["id"]: row["ref"]
        for table in ("message", "thread")
        for row in view.all(f"SELECT t.id, c.ref FROM {table} t JOIN candidate c ON c.id = t.candidate_id ORDER BY t.id LIMIT 3")
    }
    assert len(known) == 6
    things = [*known, "int_x", "rem_x", "creq_x", "task_x", "snd_x", "kw_x", "mdm_x", "usr_x", "key_x", "org_x", "tpl_x", "ep_x"]
    assert lists_audit_pages.names(view, root(view), things) == known
    assert lists_audit_pages.names(view, "org_other", things) == {}


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


# The inbox.


def _readers(view: View) -> dict[str, Within]:
    """A reach by a word: all of it, a role in some units, hiring teams alone, one unit's team, nothing but strangers."""
    me = user(view, 3)
    units = [row["id"] for row in view.all("SELECT id FROM organisation WHERE parent_id IS NOT NULL ORDER BY ref")]
    return {
        "everything": Within(me, units, units, True, everything=True),
        "every unit": Within(me, units, units, False),
        "some units": Within(me, units[:6], units[5:7], True),
        "teams": Within(me, units, (), True),
        "one team": Within(me, units[3:4], (), False),
        "strangers": Within(me, (), (), True),
    }


READERS = ("everything", "every unit", "some units", "teams", "one team", "strangers")
FITS: dict[str, Any] = {
    "all": lambda row, me: True,
    "mine": lambda row, me: (row["assignee_id"] or row["author_id"]) == me,
    "unread": lambda row, me: row["heard"] > row["seen"],
    "awaiting": lambda row, me: row["awaiting_since"] is not None,
    "unassigned": lambda row, me: row["case_id"] is None and row["context"] == "" and row["state"] != "closed",
}


def _readable_threads(view: View, within: Within) -> list[Row]:
    rows = view.all(
        "SELECT t.*, COALESCE(r.place, 0) AS seen, c.first_name, c.last_name FROM thread t"
        " LEFT JOIN read_mark r ON r.thread_id = t.id AND r.user_id = ? LEFT JOIN candidate c ON c.id = t.candidate_id"
        " ORDER BY t.last_at DESC, t.id DESC",
        within.user_id,
    )
    cases = _readable(view, within.user_id, list(within.team_units), list(within.role_units))
    return [row for row in rows if (within.without_case if row["case_id"] is None else row["case_id"] in cases)]


@pytest.fixture
def talked(filled: Database) -> Iterator[None]:
    """Some has been read, some is given to somebody, some belongs to no case; all as before when the test has ended."""
    changed = "case_id, context, assignee_id"
    with filled.write() as tx:
        me, other = user(tx, 3), user(tx, 4)
        before = tx.all(f"SELECT id, {changed} FROM thread")
        for number, row in enumerate(tx.all("SELECT id, heard, state, address FROM thread ORDER BY id")):
            if number % 3 == 0:
                sql = "INSERT INTO read_mark (thread_id, user_id, place, read_at) VALUES (?, ?, ?, ?)"
                sql += " ON CONFLICT (thread_id, user_id) DO UPDATE SET place = excluded.place"
                tx.execute(sql, row["id"], me, row["heard"] - number % 2, NOW)
            if number % 5 == 0:
                tx.execute("UPDATE thread SET assignee_id = ? WHERE id = ?", me if number % 2 else other, row["id"])
            if number % 7 == 0:
                context = "" if number % 2 else f"pool:{number}"
                tx.execute("UPDATE thread SET case_id = NULL, context = ? WHERE id = ?", context, row["id"])
    yield
    with filled.write() as tx:
        tx.execute("DELETE FROM read_mark WHERE user_id = ?", me)
        for row in before:
            values = (row["case_id"], row["context"], row["assignee_id"], row["id"])
            tx.execute("UPDATE thread SET case_id = ?, context = ?, assignee_id = ? WHERE id = ?", *values)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("show", FITS)
def test_the_inbox_lists_what_a_reader_may_see_to_the_end(talked: None, view: View, reader: str, show: str) -> None:
    within = _readers(view)[reader]
    plain = [row["id"] for row in _readable_threads(view, within) if FITS[show](row, within.user_id)]
    if reader == "everything":
        assert plain
    found, after = list[str](), None
    while True:
        asked = Asked(reader=within.user_id, show=show)
        page = lists_inbox.conversations(view, root(view), asked, within, after, limit=7)
        found += [line.id for line in page.lines]
        if page.older is None:
            break
        after = page.older
    assert found == plain


@pytest.mark.parametrize("reader", READERS)
def test_the_inbox_finds_names_and_goes_on_where_it_stopped_looking(
    talked: None, view: View, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = _readers(view)[reader]
    rows = _readable_threads(view, within)
    plain = [row["id"] for row in rows if str(row["last_name"]).startswith("Holm")]
    monkeypatch.setattr(lists_inbox, "LOOK", 9)
    monkeypatch.setattr(lists_inbox, "_PIECE", 4)
    found, after, pages = list[str](), None, 0
    while True:
        page = lists_inbox.conversations(view, root(view), Asked(reader=within.user_id, words=("holm",)), within, after, limit=2)
        found, after, pages = found + [line.id for line in page.lines], page.older, pages + 1
        if after is None:
            break
    assert found == plain
    assert pages >= len(rows) // 9


@pytest.mark.parametrize("reader", READERS)
def test_unread_conversations_are_counted_among_the_newest(
    talked: None, view: View, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = _readers(view)[reader]
    rows = _readable_threads(view, within)
    for counted, most in ((200, 99), (20, 99), (200, 3)):
        monkeypatch.setattr(lists_inbox, "COUNTED", counted)
        monkeypatch.setattr(lists_inbox, "MOST_UNREAD", most)
        plain = len([row for row in rows[:counted] if row["heard"] > row["seen"]])
        assert lists_inbox.unread(view, root(view), within.user_id, within) == min(plain, most + 1)


def test_conversations_of_another_organisation_are_not_in_the_inbox(view: View) -> None:
    for within in _readers(view).values():
        for show in FITS:
            assert lists_inbox.conversations(view, "org_other", Asked(reader=within.user_id, show=show), within, None).lines == []
        assert lists_inbox.unread(view, "org_other", within.user_id, within) == 0


# The queue.


@pytest.fixture
def waiting(filled: Database) -> Iterator[None]:
    """Two hundred more that wait, in every lane, accepted by twos and threes; all as before when the test has ended."""
    chance = random.Random(7)
    change = "UPDATE message SET state = ?, lane = ?, accepted_at = ? WHERE id = ?"
    with filled.write() as tx:
        some = tx.all("SELECT id, state, lane, accepted_at FROM message WHERE state = 'delivered' ORDER BY id DESC LIMIT 200")
        for row in some:
            tx.execute(change, chance.choice(lists_queue.OPEN), chance.randrange(3), NOW - chance.randrange(2), row["id"])
    yield
    with filled.write() as tx:
        for row in some:
            tx.execute(change, row["state"], row["lane"], row["accepted_at"], row["id"])


def test_a_persons_open_messages_are_their_own_and_their_teams(waiting: None, view: View) -> None:
    member, open_states = user(view, 3), ", ".join(f"'{state}'" for state in lists_queue.OPEN)
    plain = view.all(
        f"SELECT id, state FROM message WHERE state IN ({open_states})"
        " AND (user_id = ? OR case_id IN (SELECT case_id FROM case_member WHERE user_id = ?))",
        member,
        member,
    )
    assert {row["state"] for row in plain} == set(lists_queue.OPEN)
    own = lists_queue.mine(view, root(view), member)
    assert sorted(row["id"] for row in own) == sorted(row["id"] for row in plain)
    assert lists_queue.mine(view, "org_other", member) == []


def test_the_queue_counts_what_is_in_each_state(waiting: None, view: View) -> None:
    for state, count in lists_queue.counts(view, root(view), None).items():
        assert count.number == view.value("SELECT COUNT(*) AS n FROM message WHERE state = ?", state) > 0
    assert {count.number for count in lists_queue.counts(view, "org_other", None).values()} == {0}


def test_batches_of_whoever_sees_all_are_those_queued_or_held_together(waiting: None, view: View) -> None:
    rows = view.all(
        "SELECT accepted_at, user_id FROM message WHERE lane = 2 AND origin = 'user' AND state IN ('queued', 'held')"
        " GROUP BY accepted_at, user_id HAVING COUNT(*) > 1 ORDER BY accepted_at, user_id"
    )
    assert rows
    assert lists_queue.open_batches(view, root(view), None, 1_000) == [(row["accepted_at"], row["user_id"]) for row in rows]


def test_the_place_of_each_is_how_many_of_its_number_leave_before_it(
    waiting: None, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_pages, "_why_queued", lambda row, sender, place, now: Explanation("queued", None, "", ahead=place))
    sql = "SELECT id FROM message WHERE state = 'queued' AND sender_id = ? ORDER BY lane, due_at, id"
    order = [row["id"] for row in view.all(sql, view.value("SELECT id FROM sender"))]
    for who in (None, user(view, 3)):
        lines = queue_pages.board(view, root(view), who, "queued", None, None, None, NOW).lines
        places = [order.index(line.row["id"]) for line in lines]
        assert [line.why.ahead for line in lines] == places
    assert places != list(range(len(places)))  # others have messages between a member's own


# Reports and credits.

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
MIDNIGHT = NOW // DAY_MS * DAY_MS
PERIODS = (
    Period(MIDNIGHT - 90 * DAY_MS, MIDNIGHT),  # whole days
    Period(MIDNIGHT - 90 * DAY_MS - HOUR_MS, MIDNIGHT - HOUR_MS),  # of a zone east of Greenwich
    Period(MIDNIGHT - 400 * DAY_MS + 5 * HOUR_MS, MIDNIGHT + 5 * HOUR_MS),  # and west of it
    Period(MIDNIGHT - 9 * DAY_MS - HOUR_MS, MIDNIGHT - 8 * DAY_MS + HOUR_MS),  # a day and a little at either end
    Period(MIDNIGHT - DAY_MS - HOUR_MS, MIDNIGHT - DAY_MS + HOUR_MS),  # across a midnight
    Period(MIDNIGHT - DAY_MS + HOUR_MS, MIDNIGHT - HOUR_MS),  # within a day
    Period(MIDNIGHT - DAY_MS, MIDNIGHT - DAY_MS),  # nothing
)


@pytest.mark.parametrize("period", PERIODS)
def test_a_periods_stretches_hold_each_of_its_moments_once(view: View, period: Period) -> None:
    edges = {edge + off for edge in (period.start, period.end) for off in (-1, 0, 1)}
    days = {day + off for day in range(MIDNIGHT - 3 * DAY_MS, MIDNIGHT + DAY_MS, DAY_MS) for off in (-1, 0, 1)}
    for at in edges | days:
        held = 0
        for when, values in lists_reports.stretches("x.at", period):
            held += view.value(f"SELECT COUNT(*) AS n FROM (SELECT CAST(? AS BIGINT) AS at) AS x WHERE {when}", at, *values)
        assert held == int(period.start <= at < period.end), at


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("keys", [(), ("user_id",), ("country",), ("user_id", "country"), ("case_id",)])
def test_usage_is_what_a_plain_count_finds(view: View, keys: tuple[str, ...], period: Period) -> None:
    plain: dict[Any, dict[str, int]] = {}

    def count(table: str, at: str, names: dict[str, str], given: Any) -> None:
        for row in view.all(f"SELECT * FROM {table} WHERE {at} >= ? AND {at} < ?", period.start, period.end):
            key = tuple(row[names.get(each, each)] for each in keys)
            counts = plain.setdefault(key, dict.fromkeys(lists_reports.COUNTS, 0))
            for name, number in given(row).items():
                counts[name] += number

    failed = ("failed", "undelivered", "expired", "unknown")
    count(
        "message",
        "settled_at",
        {},
        lambda row: {
            "sent": int(row["sent_at"] is not None),
            "delivered": int(row["state"] == "delivered"),
            "failed": int(row["state"] in failed),
        },
    )
    settled = "(SELECT * FROM ledger WHERE kind = 'settle') AS settled"
    count(settled, "at", {}, lambda row: {"segments": row["parts"], "credits": row["charged"]})
    answers = {"user_id": "answers_user_id", "case_id": "answers_case_id", "country": "from_country"}
    count("received", "received_at", answers, lambda row: {"inbound": 1})
    count("opt_out", "at", {}, lambda row: {"opt_outs": 1})

    found = {key: counts for key, counts in lists_reports.usage(view, root(view), period, keys).items() if any(counts.values())}
    assert found == {key: counts for key, counts in plain.items() if any(counts.values())}
    charged = lists_credits.charged(view, root(view), period.start, period.end)
    assert charged == sum(counts["credits"] for counts in plain.values())


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_a_report_over_days_that_were_counted_is_the_same(filled: Database, zone: str) -> None:
    def told() -> list[Any]:
        with filled.read() as view:
            over = (date(2025, 1, 17), date(2026, 3, 2), zone)
            return [reports.checked_usage(view, root(view), group_by, *over) for group_by in reports.GROUPS]

    with filled.write() as tx:
        tx.execute("DELETE FROM usage_counted")
    before = told()
    assert all(each["agree"] for each in before)
    assert usage_days.count(filled, NOW, 300) > 0
    assert told() == before
    assert usage_days.count(filled, NOW) == 0
    assert told() == before


def test_each_day_of_the_chart_is_the_balance_at_its_end(view: View) -> None:
    zone = ZoneInfo("America/New_York")
    found = lists_credits.credits(view, root(view), now=NOW, zone=zone, days=45)
    for day, after in zip(found.days, found.days[1:], strict=False):
        midnight = int(datetime(after.date.year, after.date.month, after.date.day, tzinfo=zone).timestamp() * 1000)
        assert day.balance == view.value("SELECT SUM(amount) AS n FROM ledger WHERE at < ?", midnight)
        assert after.balance - day.balance == after.granted - after.spent
    assert found.days[-1].balance == found.available
    assert any(day.spent for day in found.days)


def test_the_books_are_checked_without_an_index_made_for_it(filled: Database) -> None:
    with filled.write() as tx:
        tx.execute("UPDATE balance SET available = available + 1, reserved = reserved + 2")
    with filled.read() as view:
        (wrong,) = credits.verify(view)
        assert (wrong["available"] - wrong["ledger_sum"], wrong["reserved"] - wrong["ledger_reserved"]) == (1, 2)
    with filled.write() as tx:
        tx.execute("UPDATE balance SET available = available - 1, reserved = reserved - 2")
        assert credits.verify(tx) == []


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
        plain = len(asked)
        for within in (
            Within(me, [org], [org], True, everything=True),
            Within(me, [org], [], True),
            Within(me, [], [org], False),
        ):
            for show in FITS:
                lists_inbox.conversations(view, org, Asked(reader=me, show=show), within, None)
            lists_inbox.unread(view, org, me, within)
        for member in (None, me):
            own = None if member is None else lists_queue.mine(view, org, member)
            lists_queue.counts(view, org, own)
            lists_queue.open_batches(view, org, own, 3)
            for state in ("sending", "unknown"):
                lists_queue.open_ends(view, org, own, state, None, 30)
            lists_queue.held(view, org, own, None, None, 30)
        for keys in ((), ("user_id",), ("country",), ("user_id", "country"), ("case_id",)):
            lists_reports.usage(view, org, PERIODS[1], keys)
            if "case_id" not in keys:
                view.all(lists_reports._counted_sql(keys), org, 1, 9)  # asked only where days are counted
        lists_reports.next_day(view, org, 1)
        lists_credits.credits(view, org, now=NOW, zone=UTC)
        lists_credits.charged(view, org, PERIODS[1].start, PERIODS[1].end)
        lists_reports.chargeback(view, org, "2026-01", "2026-02")
        credits.verify(view)
        watched.set_trace_callback(None)
        big = ("m", "t", "n", "message", "thread", "ledger", "received", "audit", "event", "d", "candidate")
        for number, question in enumerate(asked):
            details = [f"{row['detail']} " for row in view.all("EXPLAIN QUERY PLAN " + question)]
            for detail in details:
                walked = detail.startswith(tuple(f"SCAN {name} " for name in big))
                assert not walked or "USING" in detail, (question, detail)
                assert "AUTOMATIC" not in detail, (question, detail)
            for sign, index in ADDED_UP.items():
                if number >= plain and sign in question:
                    assert any(f"USING COVERING INDEX {index} " in detail for detail in details), (question, details)


ADDED_UP = {
    "COUNT(sent_at)": "message_settled",
    "SUM(parts)": "ledger_settled",
    "SUM(charged)": "ledger_settled",
    "SUM(amount)": "ledger_days",
    "SUM(l.amount)": "ledger_days",
    "SUM(l.charged)": "ledger_settled",
    "COUNT(*) AS inbound": "received_at",
    "COUNT(*) AS opt_outs": "opt_out_at",
}
"""What is added up by which index, without a look at the rows."""


def test_what_a_reader_may_see_is_chosen_from_indexes_alone(sqlite_url: str, opened: Any) -> None:
    """Rows of conversations and messages are wide, and there may be any number of them."""
    database = opened(sqlite_url)
    asked: list[str] = []
    with database.read() as view:
        watched = view._cursor.connection
        watched.set_trace_callback(asked.append)
        me, org = "usr_x", "org_x"
        for within in (
            Within(me, [org], [org], True, everything=True),
            Within(me, [org], [], True),
            Within(me, [], [org], False),
        ):
            for show in ("all", "awaiting"):
                lists_inbox._newest(view, org, show, within, None, 200)
        lists_queue.counts(view, org, None)
        watched.set_trace_callback(None)
        read = [
            (question, str(row["detail"]))
            for question in asked
            for row in view.all("EXPLAIN QUERY PLAN " + question)
            if str(row["detail"]).startswith(("SEARCH t ", "SCAN t ", "SEARCH m ", "SCAN m "))
        ]
    read = [
        (question, detail) for question, detail in read if "case_member m" not in question and "'sending' AND" not in question
    ]
    assert read
    assert [each for each in read if "COVERING INDEX" not in each[1]] == []
