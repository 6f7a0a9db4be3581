"""Flows of interviews on both engines: the race for a slot, reminders that follow, and what an erased candidate leaves behind."""

import threading
from collections import Counter
from dataclasses import replace

import pytest

from gateway.desk import open_interviews
from gateway.errors import Refused
from gateway.flows import interview_answers, interview_rows, interviews, reminders
from gateway.flows.interview_answers import Outcome
from gateway.flows.interviews import NewInterview
from gateway.flows.reminders import NewReminder
from gateway.rules.interviews import Answer, Slot
from gateway.store.database import Database
from tests.office import NOW, Office, open_office

HOUR = 3_600_000
DESK = open_interviews("https://jobs.acme.example", b"t" * 32)
SLOTS = (Slot("a", NOW + 48 * HOUR, NOW + 49 * HOUR), Slot("b", NOW + 50 * HOUR, NOW + 51 * HOUR))


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


def invite(office: Office, ref: str = "cand-1", **changes: object) -> str:
    plain = {
        "organisation_id": office.organisation_id,
        "actor": "key:test",
        "user": "eva@acme.example",
        "candidate_ref": ref,
        "case_ref": "job-7",
        "type": "scheduled",
        "channel": "sms",
        "tz": "Europe/Stockholm",
        "starts_at": NOW + 72 * HOUR,
        "text": "Hej! {{interview_link}}",
    }
    if changes.get("type") == "self_schedule":
        plain |= {"starts_at": None, "slots": SLOTS}
    new = NewInterview(**{**plain, **changes})  # type: ignore[arg-type]
    return office.database.transact(lambda tx: interviews.create(tx, new, DESK, office.now)).interview_id


def claim(office: Office, interview_id: str, slot: str) -> Outcome | Refused:
    return office.database.transact(
        lambda tx: interview_answers.choose(
            tx, interview_rows.locked(tx, None, interview_id), slot, "ats", "key:test", DESK, office.now
        )
    )


def event_types(office: Office) -> Counter[str]:
    with office.database.read() as view:
        return Counter(row["type"] for row in view.all("SELECT type FROM event"))


def test_threads_that_want_one_slot_get_it_once_and_the_last_slot_is_told_to_the_others(office: Office) -> None:
    ids = [invite(office, ref, type="self_schedule") for ref in office.candidates(10)]
    go, outcomes = threading.Barrier(10), []

    def want(interview_id: str) -> None:
        go.wait()
        for slot in ("a", "b"):
            done = claim(office, interview_id, slot)
            outcomes.append((slot, isinstance(done, Refused)))
            if not isinstance(done, Refused):
                break
        office.database.close()

    threads = [threading.Thread(target=want, args=(each,)) for each in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(outcomes) == {("a", False): 1, ("a", True): 9, ("b", False): 1, ("b", True): 8}
    assert event_types(office)["interview.no_slots"] == 8
    assert event_types(office)["interview.responded"] == 2


def test_two_who_swap_their_slots_at_once_do_not_block_each_other(office: Office) -> None:
    first, second, third = (invite(office, ref, type="self_schedule") for ref in office.candidates(3))
    assert isinstance(claim(office, first, "a"), Outcome)
    assert isinstance(claim(office, second, "b"), Outcome)
    go = threading.Barrier(3)

    def want(interview_id: str, slot: str) -> None:
        go.wait()
        for _ in range(5):
            claim(office, interview_id, slot)
        office.database.close()

    threads = [threading.Thread(target=want, args=each) for each in ((first, "b"), (second, "a"), (third, "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with office.database.read() as view:
        held = Counter(row["slot_id"] for row in view.all("SELECT slot_id FROM interview WHERE slot_id IS NOT NULL"))
        taken = {row["id"]: row["taken"] for row in view.all("SELECT id, taken FROM slot WHERE taken > 0")}
    assert held == taken


def remind(office: Office, interview_id: str, offset: str) -> dict[str, object]:
    new = NewReminder(offset=offset, text="Vi ses!")
    row = office.database.transact(
        lambda tx: reminders.add(tx, office.organisation_id, interview_id, new, "key:test", DESK, office.now)
    )
    return dict(row)


def test_a_changed_number_gets_its_reminder_and_a_called_back_one_stays_away(office: Office) -> None:
    interview_id = invite(office)
    plan = remind(office, interview_id, "PT2H")
    other = remind(office, interview_id, "PT4H")
    cancel = "UPDATE message SET state = 'cancelled', error = ? WHERE id = ?"
    with office.database.write() as tx:
        tx.execute(cancel, "number_changed", plan["message_id"])
        tx.execute(cancel, "cancelled", other["message_id"])
    office.now = NOW + 70 * HOUR + 1
    reminders.sweep(office.database, DESK, office.now)
    reminders.sweep(office.database, DESK, office.now)
    with office.database.read() as view:
        rows = {row["id"]: dict(row) for row in view.all("SELECT * FROM reminder")}
    again = rows[str(plan["id"])]
    assert again["message_id"] != plan["message_id"]
    assert (again["state"], rows[str(other["id"])]["state"]) == ("fired", "skipped")
    assert event_types(office)["interview.reminder_skipped"] == 1


def test_an_invitation_that_has_not_left_takes_no_answer_by_text(office: Office) -> None:
    interview_id = invite(office)
    office.hear("1")
    with office.database.read() as view:
        assert view.all("SELECT * FROM interview_answer") == []
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sent' WHERE kind = 'interview_invite'")
    office.now += 5_000
    office.hear("1")
    with office.database.read() as view:
        answers = [(row["answer"], row["outcome"]) for row in view.all("SELECT * FROM interview_answer")]
        assert answers == [("confirm", "changed")]
        assert view.value("SELECT state FROM interview WHERE id = ?", interview_id) == "confirmed"


def test_a_machine_that_answers_our_answers_is_not_answered_for_ever(office: Office) -> None:
    invite(office)
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'sent' WHERE kind = 'interview_invite'")
    for number in range(12):
        office.now += 2_000
        office.hear("1" if number % 2 else "2")
    with office.database.read() as view:
        assert view.value("SELECT COUNT(*) AS n FROM interview_answer") == 12
        assert view.value("SELECT COUNT(*) AS n FROM message WHERE kind = 'interview_reply'") == 6


def test_an_invitation_that_still_waits_never_leaves_with_an_old_time(office: Office) -> None:
    interview_id = invite(office)
    later = interviews.Move(user="eva@acme.example", starts_at=NOW + 96 * HOUR)

    def move(change: interviews.Move) -> interviews.Created:
        return office.database.transact(
            lambda tx: interviews.move(tx, office.organisation_id, interview_id, change, "key:test", DESK, office.now)
        )

    with pytest.raises(Refused) as refused:
        move(later)
    assert refused.value.code == "invitation_waiting"
    old = refused.value.facts["message_id"]
    made = move(replace(later, text="Ny tid! {{interview_link}}"))
    assert office.state(old) == "cancelled"
    assert made.message is not None
    assert office.state(made.message.id) == "queued"


def test_declining_twice_is_told_once(office: Office) -> None:
    interview_id = invite(office)
    for _ in range(2):
        office.database.transact(
            lambda tx: interview_answers.respond(
                tx, interview_rows.locked(tx, None, interview_id), Answer.DECLINE, "ats", "key:test", DESK, office.now
            )
        )
    assert event_types(office)["interview.responded"] == 1


def test_an_erased_candidate_frees_the_slot_and_leaves_no_place_and_no_link(office: Office) -> None:
    interview_id = invite(office, type="self_schedule", location="Storgatan 1")
    assert isinstance(claim(office, interview_id, "a"), Outcome)
    remind(office, interview_id, "PT2H")
    before = office.available()
    with office.database.write() as tx:
        row = tx.one("SELECT * FROM interview")
        assert row is not None
        assert interviews.forget(tx, row["candidate_id"], "gateway", office.now) == 1
    with office.database.read() as view:
        left = view.one("SELECT * FROM interview")
        assert left is not None
        assert (left["state"], left["location"], left["slot_id"], left["token_hash"]) == (
            "cancelled",
            "",
            None,
            f"gone-{interview_id}",
        )
        assert view.value("SELECT SUM(taken) AS n FROM slot") == 0
        assert [row["state"] for row in view.all("SELECT state FROM reminder")] == ["deleted"]
    assert office.available() > before
