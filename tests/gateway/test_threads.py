"""Threads on both engines: which one a message goes to, the timer, read marks, rows and their pages."""

import pytest

from gateway.errors import Refused
from gateway.flows import notices, thread_readers, threads
from gateway.flows.candidates import CaseFields, put_case
from gateway.flows.facts import find_user
from gateway.rules.threads import CLOSED_AFTER_MS, DAY_MS, INACTIVE_AFTER_MS, choose
from gateway.store import lists_threads
from gateway.store.lists_threads import Wanted, Within
from gateway.store.setup import create_user
from tests.office import NOW, open_office

KIM = "+46701740605"
EVA = "eva@acme.example"


@pytest.fixture
def office(database):
    office = open_office(database)
    with database.write() as tx:
        put_case(tx, office.organisation_id, "job-8", CaseFields(title="Cook", team=(EVA,)), "cli:test", NOW)
    return office


def rows(office):
    with office.database.read() as view:
        return view.all("SELECT * FROM thread ORDER BY created_at, id")


def heard(office):
    with office.database.read() as view:
        return view.all("SELECT * FROM received ORDER BY received_at, id")


def sweep(office, now):
    return threads.sweep(office.database, now)


def row(name, **facts):
    plain = {"id": name, "context": f"case:{name}", "sender_id": "a", "state": "active", "case_closed_at": None}
    return {**plain, "last_out_at": 1, "last_at": 1, **facts}


@pytest.mark.parametrize(
    ("open_threads", "sender", "expected"),
    [
        ([], "a", None),
        ([row("1", context="")], "a", None),
        ([row("1", last_out_at=5), row("2", last_out_at=9)], "a", ("2", True)),
        ([row("1", sender_id="a"), row("2", sender_id="b", last_out_at=9)], "a", ("1", False)),
        ([row("1", sender_id="a"), row("2", sender_id="b", last_out_at=9)], "c", ("2", True)),
        ([row("1"), row("2", case_closed_at=3, last_out_at=9)], "a", ("1", False)),
        ([row("1"), row("2", state="inactive", last_out_at=9)], "a", ("1", False)),
        ([row("1", last_out_at=None, last_at=7), row("2", last_out_at=2, last_at=2)], "a", ("2", True)),
    ],
)
def test_the_newest_outbound_of_this_sim_decides(open_threads, sender, expected):
    found = choose(open_threads, sender)
    assert (None if found is None else (found.thread["id"], found.ambiguous)) == expected


def test_the_first_message_makes_the_thread_and_the_next_ones_stay_in_it(office):
    office.accept()
    office.accept()
    office.accept(case_ref="job-8")
    assert [each["context"].partition(":")[0] for each in rows(office)] == ["case", "case"]
    with office.database.read() as view:
        kept = view.all("SELECT thread_id, COUNT(*) AS n FROM message WHERE kind = 'contact' GROUP BY thread_id ORDER BY n")
        orphans = view.all("SELECT id FROM message WHERE thread_id IS NULL")
    assert [each["n"] for each in kept] == [1, 2]
    assert orphans == [], "companions go with their text"


def test_a_thread_falls_asleep_wakes_and_is_closed_by_the_timer(office):
    office.accept()
    assert sweep(office, NOW + INACTIVE_AFTER_MS - 1) == 0
    assert sweep(office, NOW + INACTIVE_AFTER_MS) == 1
    assert [each["state"] for each in rows(office)] == ["inactive"]
    office.now = NOW + INACTIVE_AFTER_MS + DAY_MS
    office.hear("Hej igen")
    assert [each["state"] for each in rows(office)] == ["active"], "new traffic wakes it"
    later = office.now + CLOSED_AFTER_MS
    assert sweep(office, later) == 2
    assert [each["state"] for each in rows(office)] == ["closed"]
    assert office.audit_actions()[-1] == "thread.close"
    before = dict(rows(office)[0])
    office.now = later + DAY_MS
    office.hear("Hallå")
    old, new = rows(office)
    assert dict(old) == before, "a closed thread stays as it is"
    assert (new["state"], new["context"]) == ("active", old["context"])


def test_whose_turn_it_is(office):
    office.accept()
    office.hear("Jag undrar en sak")
    (thread,) = rows(office)
    assert thread["awaiting_since"] == NOW
    office.now += 1000
    office.hear("Är ni kvar")
    assert rows(office)[0]["awaiting_since"] == NOW, "since the first that nobody has answered"
    office.accept()
    assert rows(office)[0]["awaiting_since"] is None
    office.hear("HELP")
    assert rows(office)[0]["awaiting_since"] is None, "the box has answered"


def test_read_marks_are_everybodys_own_and_never_go_back(office):
    office.accept()
    office.hear("ett")
    office.hear("två")
    first, second = heard(office)
    thread_id = first["thread_id"]

    def mark(until):
        with office.database.write() as tx:
            return thread_readers.mark_read(tx, office.organisation_id, thread_id, EVA, until, NOW)

    assert mark(first["id"]) == 1
    assert mark(second["id"]) == 0
    assert mark(first["id"]) == 0
    with pytest.raises(Refused, match="No inbound message"):
        mark("inb_0")


def test_pages_of_messages_have_no_gap_and_nothing_twice(office):
    for number in range(5):
        office.accept(text=f"ut {number}")
        office.hear(f"in {number}")
        office.now += 1000 * (number % 2)  # several in one millisecond
    (found,) = rows(office)
    with office.database.read() as view:
        thread = lists_threads.thread(view, office.organisation_id, found["id"], None)
        whole = [entry.row["id"] for entry in lists_threads.of_thread(view, thread, None, None, 100)]
        seen, after = [], None
        while True:
            page = [entry.row["id"] for entry in lists_threads.of_thread(view, thread, None, after, 3)]
            seen += page[:3]
            if len(page) <= 3:
                break
            after = page[2]
        other = [entry.row["id"] for entry in lists_threads.of_candidate(view, thread["candidate_id"], None, None, None, 100)]
    assert len(whole) >= 10
    assert seen == whole == other


def test_the_list_goes_by_the_newest_traffic(office):
    office.candidate("cand-2", "+46701740606")
    office.accept()
    office.now += 1
    office.accept("cand-2")
    office.now += 1
    office.hear("Hej", KIM)
    office.now += 1
    office.hear("Okänd", "+46701740699")
    with office.database.read() as view:
        found = lists_threads.threads(view, office.organisation_id, Wanted(), None, None, 10)
        assert [each["candidate_ref"] for each in found] == [None, "cand-1", "cand-2"]
        rest = lists_threads.threads(view, office.organisation_id, Wanted(), None, found[0]["id"], 10)
        assert [each["candidate_ref"] for each in rest] == ["cand-1", "cand-2"]
        awaiting = lists_threads.threads(view, office.organisation_id, Wanted(awaiting=False), None, None, 10)
        assert [each["candidate_ref"] for each in awaiting] == ["cand-2"]


def test_a_reader_sees_what_their_team_and_their_role_reach_and_nothing_twice(office):
    office.candidate("cand-2", "+46701740606")
    office.accept()
    office.now += 1
    office.accept("cand-2", case_ref="job-8")
    office.now += 1
    office.hear("Okänd", "+46701740699")
    with office.database.write() as tx:
        for name, role in (
            ("team", "recruiter"),
            ("boss", "recruiting_manager"),
            ("outside", "recruiter"),
            ("nobody", "operator"),
        ):
            who = f"{name}@acme.example"
            create_user(tx, office.organisation_id, email=who, name=name, roles=[role], seat=False, actor="cli:test", now=NOW)
        put_case(tx, office.organisation_id, "job-8", CaseFields(team=(EVA, "team@acme.example", "boss@acme.example")), "t", NOW)
    seen = {}
    with office.database.read() as view:
        for name in ("eva", "team", "boss", "outside"):
            user = find_user(view, office.organisation_id, f"{name}@acme.example")
            reach = thread_readers.reach(view, user)
            within = Within(reach.user_id, reach.team_units, reach.role_units, reach.without_case, reach.everything)
            found = lists_threads.threads(view, office.organisation_id, Wanted(reader=user["id"]), within, None, 10)
            seen[name] = [each["case_ref"] for each in found]
        with pytest.raises(Refused) as refused:
            thread_readers.reach(view, find_user(view, office.organisation_id, "nobody@acme.example"))
    everything = [None, "job-8", "job-7"]
    assert seen == {"eva": everything, "team": [None, "job-8"], "boss": everything, "outside": [None]}
    assert refused.value.status == 403


def test_two_candidates_with_one_number_make_a_reply_ambiguous(office):
    office.candidate("twin", KIM)
    office.accept()
    office.now += 1
    office.accept("twin")
    office.hear("Vem menar ni")
    (received,) = heard(office)
    assert received["ambiguous"] == 1
    with office.database.read() as view:
        assert view.value("SELECT ref FROM candidate WHERE id = ?", received["candidate_id"]) == "twin"


def test_a_digest_leaves_at_the_next_eight_o_clock_of_the_organisation():
    assert notices.next_digest(NOW, "Europe/Stockholm") == NOW + 21 * 3_600_000  # NOW is 10:00 UTC, 11:00 there
    assert notices.next_digest(NOW - 4 * 3_600_000, "Europe/Stockholm") == NOW - 3 * 3_600_000
