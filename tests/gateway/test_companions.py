"""The identification before a thread's first text: when there is one, when not, and what holds behind it."""

import pytest

from gateway.flows import awaited, consent_sweep, pleas, release
from gateway.flows.cancel import cancel
from gateway.flows.endings import message_row, move
from gateway.rules.lifecycle import State
from tests.office import NOW, Office, open_office


@pytest.fixture
def office(database):
    made = open_office(database)
    with database.write() as tx:
        tx.execute("DELETE FROM companion")  # nobody knows anybody yet
    return made


def go(office: Office, message_id: str, *states: State) -> None:
    for state in states:
        office.database.transact(lambda tx, state=state: move(tx, message_row(tx, message_id), state, office.now, "test"))


def test_it_is_charged_and_comes_first_and_lets_its_text_go_once_it_has_left(office):
    done = office.accept()
    (first,) = done.companions
    assert (first.kind, done.state, done.hold_reason) == ("identification", "held", "waits_for")
    assert office.available() == 1000 - done.credits - first.credits
    assert office.message(first.id)["seq"] < office.message(done.id)["seq"]
    go(office, first.id, State.SENDING)
    assert office.state(done.id) == "held"
    with office.database.write() as tx:
        tx.execute("UPDATE part SET state = 'sent' WHERE message_id = ?", first.id)
    go(office, first.id, State.SENT)
    assert office.state(done.id) == "queued"
    assert office.accept().companions == ()


def test_texts_behind_one_that_failed_hold_and_join_the_next(office):
    done = office.accept()
    go(office, done.companions[0].id, State.SENDING, State.FAILED)
    assert office.state(done.id) == "held"
    again = office.accept()
    (second,) = again.companions
    assert office.message(done.id)["after_message_id"] == second.id
    go(office, second.id, State.SENDING)
    with office.database.write() as tx:
        tx.execute("UPDATE part SET state = 'sent' WHERE message_id = ?", second.id)
    go(office, second.id, State.SENT)
    assert [office.state(each.id) for each in (done, again)] == ["queued", "queued"]


def test_it_stays_while_a_text_waits_and_goes_with_the_last(office):
    one, two = office.accept(), office.accept()
    (first,) = one.companions
    for message, left in ((one, "queued"), (two, "cancelled")):
        office.database.transact(lambda tx, message=message: cancel(tx, message.id, None, "test", NOW))
        assert office.state(first.id) == left
    assert office.available() == 1000


def test_another_number_of_ours_says_again_who_writes(office):
    done = office.accept()
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET active = 0")
        tx.execute(
            "INSERT INTO sender (id, organisation_id, number, iccid, countries, international, gap_ms, active, updated_at)"
            " VALUES ('snd_2', ?, '+46700000002', NULL, '[\"SE\"]', 1, 0, 1, ?)",
            office.organisation_id,
            NOW,
        )
    other = office.accept()
    assert [each.kind for each in other.companions] == ["identification"]
    assert office.message(other.companions[0].id)["sender_id"] == "snd_2" != office.message(done.id)["sender_id"]


def test_an_earlier_text_pulls_a_waiting_one_forward(office):
    later = office.accept(send_at=NOW + 3_600_000)
    (first,) = later.companions
    assert office.message(first.id)["not_before"] == NOW + 3_600_000
    office.accept()
    assert office.message(first.id)["not_before"] == NOW


def test_a_text_that_finds_its_sender_late_lets_who_writes_go_first(office):
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET active = 0")
        tx.execute("UPDATE country SET no_sender = 'hold'")
    done = office.accept()
    assert (done.hold_reason, done.companions) == ("no_modem", ())
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET active = 1")
    awaited.sweep(office.database, NOW)
    row = office.message(done.id)
    first = office.message(row["after_message_id"])
    assert (row["state"], row["hold_reason"]) == ("held", "waits_for")
    assert (first["kind"], first["state"], first["sender_id"]) == ("identification", "queued", row["sender_id"])
    assert first["seq"] < row["seq"]
    assert office.available() == 1000 - row["credits"] - first["credits"]
    awaited.sweep(office.database, NOW)
    office.database.transact(lambda tx: cancel(tx, done.id, None, "test", NOW))
    assert (office.state(first["id"]), office.available()) == ("cancelled", 1000)


def test_a_text_that_finds_its_sender_late_waits_for_start_where_the_country_asks_for_it(office):
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET active = 0")
        tx.execute("UPDATE country SET no_sender = 'hold', opt_in = 'double'")
    done = office.accept()
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET active = 1")
    awaited.sweep(office.database, NOW)
    row = office.message(done.id)
    assert (row["state"], row["hold_reason"]) == ("held", "pending_opt_in")
    assert office.message(row["after_message_id"])["kind"] == "consent_optin"
    office.hear("START")
    assert office.state(done.id) == "queued"


def test_an_invitation_that_never_left_told_nobody_who_writes(office):
    with office.database.write() as tx:
        tx.execute("UPDATE country SET opt_in = 'double'")
    done = office.accept()
    (invitation,) = done.companions
    assert invitation.kind == "consent_optin"
    office.database.transact(lambda tx: cancel(tx, done.id, None, "test", NOW))
    office.hear("START")
    assert [each.kind for each in office.accept().companions] == ["identification"]


def test_start_is_asked_for_again_only_after_the_invitation_has_been_out_for_its_time(office):
    with office.database.write() as tx:
        tx.execute("UPDATE country SET opt_in = 'double'")
    (invitation,) = office.accept().companions
    later = NOW + 60 * 3_600_000  # a modem away over the weekend

    def reminders(now: int) -> int:
        consent_sweep.sweep(office.database, now)
        with office.database.read() as view:
            return int(view.value("SELECT COUNT(*) AS n FROM message WHERE kind = 'consent_reminder'"))

    assert reminders(later) == 0
    with office.database.write() as tx:
        tx.execute("UPDATE part SET state = 'sent' WHERE message_id = ?", invitation.id)
    office.now = later
    go(office, invitation.id, State.SENDING, State.SENT)
    assert reminders(later + 47 * 3_600_000) == 0
    assert reminders(later + 49 * 3_600_000) == 1


def test_a_thread_that_goes_on_keeps_its_schedule(office):
    candidate_id = office.message(office.accept().id)["candidate_id"]
    with office.database.write() as tx:
        tx.insert("thread_pause", candidate_id=candidate_id, channel="sms", received_id="inb_1", since_at=NOW)
    later, at_once = (
        office.accept(send_at=NOW + 3_600_000, case_ref=None, pool_ref="p"),
        office.accept(case_ref=None, pool_ref="p"),
    )
    with office.database.write() as tx:  # as a reminder of an interview waits, with nothing to wait for but its hour
        tx.execute("UPDATE message SET hold_reason = 'thread_paused' WHERE id IN (?, ?)", later.id, at_once.id)
    office.database.transact(lambda tx: pleas.resume(tx, candidate_id, "sms", "test", NOW))
    row = office.message(later.id)
    assert (row["state"], row["hold_reason"], row["not_before"]) == ("held", "scheduled", NOW + 3_600_000)
    assert office.state(at_once.id) == "queued"


def test_a_scheduled_text_that_finds_its_sender_late_keeps_its_hour(office):
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET active = 0")
        tx.execute("UPDATE country SET no_sender = 'hold'")
    hour = NOW + 3_600_000
    soon, late = office.accept(send_at=hour), office.accept(send_at=hour)
    release.sweep(office.database, hour)
    assert (office.state(soon.id), office.message(soon.id)["hold_reason"]) == ("held", "no_modem"), "it has no sender to go by"
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET active = 1")
        tx.execute("UPDATE message SET not_before = ? WHERE id = ?", hour, late.id)
        tx.execute("UPDATE message SET state = 'cancelled', settled_at = ? WHERE id = ?", NOW, soon.id)
    awaited.sweep(office.database, NOW)
    row = office.message(late.id)
    first = office.message(row["after_message_id"])
    assert (row["state"], row["not_before"]) == ("held", hour)
    assert (first["state"], first["not_before"]) == ("held", hour)
