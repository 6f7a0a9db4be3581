"""The inbox: each page and act works for its readers, and for nobody else; what is wrong is said and changes nothing."""

import re
from typing import Any

import pytest
from flask import Flask

from gateway.store.database import Database
from tests.browser.furnished import inbox as furniture
from tests.browser.furnished.inbox import CALLED, CLOSED, KIM, LOCKED, LONG, PAUSED, POOL, STRANGER, thread_id
from tests.support import ManualClock, questions
from tests.web.pages_fixtures import Person, anonymous, app, people, store
from web.pages.words import when

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

TALK = f"/admin/inbox/{thread_id(KIM)}"
READERS = {"recruiter", "admin", "compliance", "viewer"}


@pytest.fixture(autouse=True)
def furnished(store: Database, clock: ManualClock) -> None:
    furniture.furnish(store, clock)


@pytest.fixture
def eva(people: dict[str, Person]) -> Person:
    """The recruiter whose inbox it is."""
    return people["recruiter"]


def value(store: Database, sql: str, *values: Any) -> Any:
    with store.read() as view:
        return view.value(sql, *values)


def change(store: Database, sql: str, *values: Any) -> None:
    with store.write() as tx:
        assert tx.execute(sql, *values)


def listed(page: str) -> list[str]:
    """The conversations of a list, by their names."""
    return re.findall(r'data-thread="[^"]+" href="[^"]+"[^>]*>([^<]+)</a>', page)


# --- who may open what -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin/inbox", "/admin/inbox/live", "/admin/inbox/count", "/admin/inbox/settings"])
def test_each_page_opens_for_readers_only(path: str, people: dict[str, Person]) -> None:
    answers = {role: person.get(path).status_code for role, person in people.items()}

    assert answers == {role: 200 if role in READERS else 403 for role in people}


def test_a_conversation_opens_for_the_hiring_team_only(people: dict[str, Person]) -> None:
    for path in (TALK, f"/admin/inbox/live?thread={thread_id(KIM)}", f"{TALK}/composer"):
        answers = {role: person.get(path).status_code for role, person in people.items()}

        assert answers == {role: 200 if role in ("recruiter", "viewer") else 403 for role in people}, path


def test_another_organisations_conversations_do_not_exist(eva: Person, store: Database) -> None:
    change(store, "UPDATE thread SET organisation_id = 'org_other' WHERE id = ?", thread_id(KIM))

    assert eva.get(TALK).status_code == 404
    assert "Kim" not in eva.get("/admin/inbox").text


@pytest.mark.parametrize("path", ["", "/settings", f"/{thread_id(KIM)}", "/live", "/count", f"/{thread_id(KIM)}/composer"])
def test_strangers_are_sent_to_the_login_and_scripts_told_so(path: str, anonymous: Person) -> None:
    answer = anonymous.get("/admin/inbox" + path)

    assert answer.status_code == (401 if path.endswith(("live", "count", "composer")) else 303)


ACTS = {
    "read": {},
    "unread": {},
    "assign": {"assignee": "viewer@acme.example"},
    "connect": {"case": "inbox-a"},
    "close": {},
    "plea": {"outcome": "resume", "task": "task_inbox_1"},
    "seen": {},
}


@pytest.mark.parametrize("act", ACTS)
def test_nobody_outside_acts_on_a_conversation(act: str, people: dict[str, Person], anonymous: Person, store: Database) -> None:
    before = value(store, "SELECT COUNT(*) AS n FROM audit")
    assert people["admin"].post(f"{TALK}/{act}", ACTS[act], page="/admin/account").status_code == 403
    assert people["operator"].post(f"{TALK}/{act}", ACTS[act], page="/admin/account").status_code == 403
    assert anonymous.client.post(f"{TALK}/{act}", data=ACTS[act]).status_code == (401 if act == "seen" else 303)
    assert value(store, "SELECT COUNT(*) AS n FROM audit") == before


@pytest.mark.parametrize("act", [*ACTS, "../settings"])
def test_every_act_needs_the_forms_token(act: str, eva: Person, store: Database) -> None:
    before = value(store, "SELECT COUNT(*) AS n FROM audit")
    path = "/admin/inbox/settings" if "settings" in act else f"{TALK}/{act}"

    answer = eva.client.post(path, data=ACTS.get(act, {}), headers={"Origin": eva.origin})

    assert answer.status_code == 400
    assert "too old" in answer.text
    assert value(store, "SELECT COUNT(*) AS n FROM audit") == before


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin/inbox", "/admin/inbox?show=unread", "/admin/inbox/count", "/admin/account"])
def test_a_page_asks_the_store_no_more_of_who_has_more_cases(path: str, eva: Person, store: Database, clock: ManualClock) -> None:
    with questions() as few:
        assert eva.get(path).status_code == 200
    now = clock.now_ms()
    with store.write() as tx:
        for number in range(30):
            case = {"id": f"case_more_{number}", "organisation_id": "org_acme", "unit_id": "org_acme", "ref": f"more-{number}"}
            tx.insert("hiring_case", **case, title=f"Cook {number}", created_at=now, updated_at=now)
            tx.insert("case_member", case_id=case["id"], user_id="usr_recruiter")
            talk = {"id": f"thr_more_{number}", "organisation_id": "org_acme", "candidate_id": "cand_1", "case_id": case["id"]}
            context = {"channel": "sms", "context": f"case:{case['id']}", "state": "active", "heard": 1}
            tx.insert("thread", **talk, **context, last_at=now, created_at=now)

    with questions() as many:
        page = eva.get(path).text

    assert path == "/admin/account" or "Cook 29" in page or '"unread":' in page
    assert len(many) == len(few), sorted({each for each in many if many.count(each) > few.count(each)})


def test_a_time_of_today_is_shown_with_its_day_tomorrow(app: Flask, clock: ManualClock) -> None:
    at = clock.now_ms()
    with app.test_request_context():
        assert when(at).striptags() == "10:00"
        clock.advance(24 * 3600)
        assert when(at).striptags() == "2026-03-02 10:00"
        assert when(at, seconds=True).striptags() == "2026-03-02 10:00:00"


def test_a_page_draws_its_list_as_its_live_fragment_does(eva: Person) -> None:
    for path, parts in (("/admin/inbox", ["list"]), (TALK, ["list", "head", "lock", "talk"])):
        page = eva.get(path).text
        live = eva.get("/admin/inbox/live" + (f"?thread={thread_id(KIM)}" if path == TALK else "")).text
        drawn = re.findall(r'<div data-part="(\w+)">(.*?)</div>\n(?=<div data-part|\n?</div>$)', live.rstrip(), re.DOTALL)
        assert [name for name, _ in drawn] == parts
        for name, html in drawn:
            assert html.strip() in page, name


def test_the_newest_conversation_comes_first_with_its_last_word(eva: Person) -> None:
    page = eva.get("/admin/inbox").text

    names = listed(page)
    assert names[:3] == ["Kim Sjöberg", "+46701740655", "Maja Nyberg"]
    assert "From us: Yes, behind the building." in " ".join(page.split())
    assert "Please stop writing so late" in page
    assert "May want no more messages" in page


def test_each_filter_shows_its_own(eva: Person) -> None:
    assert "Lena Wikström" in listed(eva.get("/admin/inbox?show=mine").text)
    assert "Nils-Fredrik Oxenstierna-Wachtmeister" not in listed(eva.get("/admin/inbox?show=mine").text), "a colleague's"
    assert listed(eva.get("/admin/inbox?show=unassigned").text) == ["+46701740655"]
    assert "Missed calls from unknown numbers" in eva.get("/admin/inbox?show=unassigned").text
    waiting = listed(eva.get("/admin/inbox?show=awaiting").text)
    assert set(waiting) == {"Kim Sjöberg", "+46701740655", "Maja Nyberg", "Omar Haddad"}
    unread = listed(eva.get("/admin/inbox?show=unread").text)
    assert "Kim Sjöberg" in unread
    assert "Ida Falk" not in unread, "nothing has come in"
    assert "Sara Holm" not in unread, "read"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("sjöberg", ["Kim Sjöberg"]),
        ("SJÖBERG kim", ["Kim Sjöberg"]),
        ("0701-74 06 55", ["+46701740655"]),
        ("+46701740655", ["+46701740655"]),
        ("inbox-7", ["Ida Falk"]),
        ("drivers", ["Bo Ek"]),
        ("nothing like it", []),
        ("%", []),
    ],
)
def test_search_finds_names_numbers_references_and_pools(eva: Person, words: str, found: list[str]) -> None:
    page = eva.client.get("/admin/inbox", query_string={"q": words}).text

    assert listed(page) == found
    assert ("Nothing found" in page) == (found == [])


def test_a_filter_that_is_none_is_told(eva: Person) -> None:
    assert eva.get("/admin/inbox?show=wild").status_code == 400
    assert eva.get("/admin/inbox?after=thr_0").status_code == 404


def test_a_long_inbox_is_read_page_by_page(eva: Person, store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        desk = furniture._Desk(tx, clock.now_ms())
        for number in range(100, 170):
            who = desk.candidate(number, "Person", f"Number{number}", phone=f"+4670174{number:04d}")
            desk.thread(number, who, number * furniture.DAY)
    first = eva.get("/admin/inbox").text
    assert len(listed(first)) == 50
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = listed(eva.get(older.group(1).replace("&amp;", "&")).text)
    assert len(second) > 20
    assert not set(second) & set(listed(first))


def test_a_filter_looks_through_a_bounded_number_and_goes_on_from_there(
    eva: Person, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.lists_inbox.LOOK", 5)
    found: list[str] = []
    path = "/admin/inbox?q=bo+ek"
    for _ in range(10):
        page = eva.get(path).text
        found += listed(page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        if older is None:
            break
        path = older.group(1).replace("&amp;", "&")
    assert found == ["Bo Ek"]


def test_the_title_counts_what_is_unread(eva: Person, people: dict[str, Person]) -> None:
    count = eva.get("/admin/inbox/count").json["unread"]  # type: ignore[index]

    assert count > 3
    assert f"<title>({count}) Inbox · Ringpost</title>" in eva.get("/admin/inbox").text
    assert f"<title>({count}) Kim Sjöberg · Inbox · Ringpost</title>" in eva.get(TALK).text
    assert people["admin"].get("/admin/inbox/count").json == {"unread": 2}, "the stranger and the pool"


def test_news_come_only_where_something_has_changed(eva: Person, store: Database) -> None:
    page = eva.get(TALK).text
    etag = re.search(r'data-etag="([0-9a-f]+)"', page)
    assert etag is not None
    path = f"/admin/inbox/live?thread={thread_id(KIM)}"
    assert eva.get(path, **{"If-None-Match": f'"{etag.group(1)}"'}).status_code == 304

    change(store, "UPDATE message SET state = 'delivered' WHERE thread_id = ? AND state = 'sent'", thread_id(KIM))

    fresh = eva.get(path, **{"If-None-Match": f'"{etag.group(1)}"'})
    assert fresh.status_code == 200
    assert fresh.headers["ETag"] != etag.group(1)


# --- one conversation ------------------------------------------------------------------------------------------------


def test_a_conversation_shows_both_directions_with_states_in_words(eva: Person) -> None:
    page = eva.get(TALK).text

    for word in ("Delivered", "Sent", "Waiting", "for its time", "Says yes", "Wants another time", "Introduction", "Yesterday"):
        assert word in page, word
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "Recruiter Person" in page, "colleagues see who wrote"


def test_a_long_conversation_goes_back_in_time(eva: Person) -> None:
    page = eva.get(f"/admin/inbox/{thread_id(LONG)}").text
    assert "Question 40" in page
    assert "Question 3:" not in page
    older = re.search(r'href="([^"]+before=[^"]+)"', page)
    assert older is not None
    before = eva.get(older.group(1).replace("&amp;", "&")).text
    assert "Question 3:" in before
    assert "To the newest messages" in before
    assert eva.get(f"{TALK}?before=msg_0").status_code == 404


def test_a_missed_call_stands_among_the_messages(eva: Person) -> None:
    assert "Missed call" in eva.get(f"/admin/inbox/{thread_id(CALLED)}").text


def test_a_locked_conversation_says_why_and_what_to_do(eva: Person, store: Database) -> None:
    page = eva.get(f"/admin/inbox/{thread_id(LOCKED)}").text

    assert "Locked." in page
    assert "The candidate has not agreed to get messages." in page
    assert "/admin/candidates/inbox-2?case=inbox-a" in page
    assert "<textarea" not in page
    assert "When will I hear from you?" in page, "reading goes on"
    answer = eva.post(
        "/admin/compose/send",
        {"candidate_ref": "inbox-2", "case_ref": "inbox-a", "channel": "sms", "text": "Hej", "once": "a" * 24},
        page=TALK,
    )
    assert answer.status_code == 422
    assert "has not agreed" in answer.text
    assert value(store, "SELECT COUNT(*) AS n FROM message WHERE candidate_id = 'cand_inbox_2'") == 0


def test_who_has_no_seat_reads_and_is_told_why_they_cannot_write(people: dict[str, Person], store: Database) -> None:
    store_seat = "UPDATE app_user SET roles = '[\"recruiter\"]', seat = 0 WHERE id = 'usr_viewer'"
    change(store, store_seat)
    page = people["viewer"].get(TALK).text

    assert "You have no messaging seat" in page
    assert "<textarea" not in page
    assert "Of course, 15:00 it is." in page


# --- acts ------------------------------------------------------------------------------------------------------------


def unread(store: Database, number: int, user: str = "usr_recruiter") -> int:
    heard = value(store, "SELECT heard FROM thread WHERE id = ?", thread_id(number))
    seen = value(store, "SELECT place FROM read_mark WHERE thread_id = ? AND user_id = ?", thread_id(number), user)
    return int(heard) - int(seen or 0)


def test_reading_and_keeping_unread_change_ones_own_marks_only(eva: Person, store: Database) -> None:
    assert unread(store, KIM) == 3
    assert eva.post(f"{TALK}/read", page=TALK).location == TALK
    assert unread(store, KIM) == 0
    assert unread(store, KIM, "usr_viewer") == 3
    assert eva.post(f"{TALK}/unread", page=TALK).location == "/admin/inbox"
    assert unread(store, KIM) == 1
    assert "Kim Sjöberg" in listed(eva.get("/admin/inbox?show=unread").text)


def test_what_holds_nothing_from_outside_cannot_be_unread(eva: Person, store: Database) -> None:
    talk = f"/admin/inbox/{thread_id(CLOSED)}"
    eva.post(f"{talk}/unread", page=talk)
    assert "nothing unread" in eva.get(talk).text


def test_a_script_says_up_to_where_it_was_read(eva: Person, store: Database) -> None:
    second = value(store, "SELECT id FROM received WHERE thread_id = ? AND place = 2", thread_id(KIM))
    assert eva.post(f"{TALK}/seen", {"until": second}, page=TALK).status_code == 204
    assert unread(store, KIM) == 1
    assert eva.post(f"{TALK}/seen", {"until": "inb_0"}, page=TALK).status_code == 404


def _shown(eva: Person, path: str) -> str:
    found = re.search(r'name="shown" value="([^"]+)"', eva.get(path).text)
    assert found is not None
    return found.group(1)


def test_a_conversation_is_given_to_a_colleague_and_taken_back(eva: Person, store: Database) -> None:
    form = {"assignee": "viewer@acme.example", "shown": _shown(eva, TALK)}
    assert eva.post(f"{TALK}/assign", form, page=TALK).location == TALK
    assert "Looked after by Viewer Person" in eva.get(TALK).text
    assert eva.post(f"{TALK}/assign", {"assignee": "", "shown": _shown(eva, TALK)}, page=TALK).status_code == 303
    assert value(store, "SELECT assignee_id FROM thread WHERE id = ?", thread_id(KIM)) is None


def test_two_who_assign_at_once_see_both_versions(eva: Person, store: Database) -> None:
    shown = _shown(eva, TALK)
    change(store, "UPDATE thread SET assignee_id = 'usr_viewer' WHERE id = ?", thread_id(KIM))
    answer = eva.post(f"{TALK}/assign", {"assignee": "recruiter@acme.example", "shown": shown}, page=TALK)
    assert answer.status_code == 409
    assert "viewer@acme.example" in answer.text
    assert value(store, "SELECT assignee_id FROM thread WHERE id = ?", thread_id(KIM)) == "usr_viewer"


@pytest.mark.parametrize("who", ["admin@acme.example", "ghost@acme.example"])
def test_only_who_may_read_it_can_get_a_conversation(eva: Person, store: Database, who: str) -> None:
    answer = eva.post(f"{TALK}/assign", {"assignee": who, "shown": _shown(eva, TALK)}, page=TALK)
    assert answer.status_code == 422
    assert "colleague" in answer.text
    assert value(store, "SELECT assignee_id FROM thread WHERE id = ?", thread_id(KIM)) is None


def test_a_strangers_conversation_is_connected_to_a_candidates_case(eva: Person, store: Database, clock: ManualClock) -> None:
    with store.write() as tx:
        furniture._Desk(tx, clock.now_ms()).candidate(5, "Stina", "Frid", phone="+46701740655")
    talk = f"/admin/inbox/{thread_id(STRANGER)}"
    page = eva.get(talk).text
    assert "Stina Frid" in page, "the number is hers by now"
    assert "Nobody is known to have this number." in page
    for form, words in (
        ({"candidate": "inbox-5", "case": ""}, "Choose the case"),
        ({"candidate": "inbox-5", "other": "ghost", "case": "inbox-a"}, "no candidate with this reference"),
        ({"candidate": "inbox-5", "other": "inbox-1", "case": "inbox-a"}, "another number"),
    ):
        answer = eva.post(f"{talk}/connect", form, page=talk)
        assert answer.status_code == 422
        assert words in answer.text
        assert value(store, "SELECT state FROM thread WHERE id = ?", thread_id(STRANGER)) == "active"
    answer = eva.post(f"{talk}/connect", {"candidate": "inbox-5", "case": "inbox-a"}, page=talk)
    assert answer.status_code == 303
    joined = eva.get(answer.location).text
    assert "Stina Frid" in joined
    assert "Är jobbet kvar?" in joined
    assert "<textarea" in joined
    assert "connected to a case" in eva.get(talk).text


def test_what_belongs_to_a_case_stays_there(eva: Person) -> None:
    answer = eva.post(f"{TALK}/connect", {"case": "inbox-b"}, page=TALK)
    assert answer.status_code == 422
    assert "belongs to a case already" in answer.text


def test_a_conversation_is_closed_once(eva: Person, store: Database) -> None:
    assert eva.post(f"{TALK}/close", page=TALK).location == TALK
    assert "closed and stays as it is" in eva.get(TALK).text
    assert eva.post(f"{TALK}/close", page="/admin/inbox/settings").status_code == 422
    assert value(store, "SELECT state FROM thread WHERE id = ?", thread_id(KIM)) == "closed"


@pytest.mark.parametrize(("outcome", "consent"), [("resume", "granted"), ("opt_out", "revoked")])
def test_a_colleague_decides_what_the_candidates_own_words_meant(
    eva: Person, store: Database, outcome: str, consent: str
) -> None:
    talk = f"/admin/inbox/{thread_id(PAUSED)}"
    assert "Paused." in eva.get(talk).text
    assert eva.post(f"{talk}/plea", {"task": "task_inbox_1", "outcome": outcome}, page=talk).location == talk
    sql = (
        "SELECT status FROM consent WHERE candidate_id = 'cand_inbox_3' AND purpose = 'recruiting_process' ORDER BY version DESC"
    )
    assert value(store, sql) == consent
    assert "Paused." not in eva.get(talk).text
    again = eva.post(f"{talk}/plea", {"task": "task_inbox_1", "outcome": outcome}, page=talk)
    assert again.status_code == 422
    assert "decided this already" in again.text


def test_a_plea_is_decided_in_its_own_conversation(eva: Person, store: Database) -> None:
    assert eva.post(f"{TALK}/plea", {"task": "task_inbox_1", "outcome": "resume"}, page=TALK).status_code == 422
    assert eva.post(f"{TALK}/plea", {"task": "task_inbox_1", "outcome": "forget"}, page=TALK).status_code == 400
    assert value(store, "SELECT state FROM task WHERE id = 'task_inbox_1'") == "open"


def test_a_pools_conversation_offers_the_pools_kinds(eva: Person) -> None:
    page = eva.get(f"/admin/inbox/{thread_id(POOL)}").text
    assert "Talent pool drivers" in page
    assert '<option value="talent_pool" selected>' in page


# --- settings --------------------------------------------------------------------------------------------------------


def test_notices_by_e_mail_are_opt_in(store: Database, eva: Person) -> None:
    path = "/admin/inbox/settings"
    assert "no mail server yet" in eva.get(path).text
    assert eva.post(path, {"replies": "at_once"}, page=path).status_code == 422
    assert eva.post(path, {"replies": "hourly"}, page=path).status_code == 422
    assert value(store, "SELECT COUNT(*) AS n FROM notice_wish") == 0
    assert eva.post(path, {"replies": "off"}, page=path).status_code == 303
