"""The identification before a thread's first text: when there is one, when not, and what holds behind it."""

import pytest

from gateway.flows import awaited, consent_sweep, pleas, release
from gateway.flows.cancel import cancel
from gateway.flows.endings import message_row, move
from gateway.rules.lifecycle import State
from gateway.rules.retry import Again, GiveUp
from tests.air import Air
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
    air = Air(office)
    assert air.send() == (row["after_message_id"], [0])
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


# START before the invitation has left: nobody has said yet who writes.


@pytest.fixture
def double(office):
    """An office where Sweden asks for START; cand-2 has said yes once."""
    with office.database.write() as tx:
        tx.execute("UPDATE country SET opt_in = 'double'")
    office.candidate("cand-2", "+46701740606")
    with office.database.write() as tx:
        tx.execute("DELETE FROM companion")
    return office


def say_start(office: Office) -> None:
    office.now += 1000
    office.hear("START", "+46701740606")


def companions_of(office: Office, kind: str) -> list[dict[str, object]]:
    with office.database.read() as view:
        return [dict(row) for row in view.all("SELECT * FROM message WHERE kind = ? ORDER BY id", kind)]


def test_a_start_that_comes_before_its_invitation_has_left_lets_an_identification_go_first(double):
    texts = [double.accept("cand-2", text) for text in ("One", "Two")]
    bulk = double.accept("cand-2", "Three", priority="critical")
    (invitation,) = texts[0].companions
    say_start(double)
    assert (double.state(invitation.id), double.message(invitation.id)["error"]) == ("cancelled", "already_granted")
    (first,) = companions_of(double, "identification")
    assert {double.message(each.id)["after_message_id"] for each in (*texts, bulk)} == {first["id"]}
    assert double.available() == 1000 - 3 - first["credits"]
    air = Air(double)
    assert air.send()[0] == first["id"], "nobody reads a text before they know who writes"
    assert {air.send()[0] for _ in range(3)} == {bulk.id, *(each.id for each in texts)}
    assert double.message(texts[0].id)["seq"] < double.message(texts[1].id)["seq"], "and in the order they were written"


def test_a_start_that_comes_before_the_invitation_keeps_a_text_for_its_hour_and_who_writes_with_it(double):
    hour = NOW + 3_600_000
    later = double.accept("cand-2", send_at=hour)
    say_start(double)
    (first,) = companions_of(double, "identification")
    assert (first["state"], first["not_before"]) == ("held", hour)
    release.sweep(double.database, hour)
    double.now = hour
    air = Air(double)
    assert [air.send()[0], air.send()[0]] == [first["id"], later.id]


def test_a_start_that_comes_while_the_invitation_is_on_the_air_waits_for_its_end(double):
    text = double.accept("cand-2")
    air = Air(double)
    claimed = air.claim()
    say_start(double)
    assert (double.state(text.id), double.message(text.id)["hold_reason"]) == ("held", "waits_for")
    air.taken(claimed.parts[0])
    assert (double.state(text.id), companions_of(double, "identification")) == ("queued", [])


@pytest.mark.parametrize("verdict", [GiveUp("refused"), Again(60)])
def test_an_invitation_that_fails_after_start_lets_an_identification_go_first(double, verdict):
    text = double.accept("cand-2")
    air = Air(double)
    claimed = air.claim()
    say_start(double)
    air.refuse(claimed.parts[0], verdict)
    double.now += 120_000
    first = air.send()
    assert double.message(first[0])["kind"] == "identification"
    assert air.send()[0] == text.id


def test_a_text_whose_identification_cannot_be_written_at_start_waits_and_tries_again(double):
    """Here the job has no title any more, so that the identification could not tell the purpose (S45)."""
    text = double.accept("cand-2")
    with double.database.write() as tx:
        tx.execute("UPDATE hiring_case SET title = ''")
    say_start(double)
    assert (double.state(text.id), double.message(text.id)["hold_reason"]) == ("held", "waits_for")
    assert Air(double).claim() is None
    with double.database.write() as tx:
        tx.execute("UPDATE hiring_case SET title = 'Welder'")
    release.sweep(double.database, NOW + 2 * 3_600_000)
    double.now = NOW + 2 * 3_600_000
    air = Air(double, gateway="h")
    assert double.message(air.send()[0])["kind"] == "identification"
    assert air.send()[0] == text.id


# What a companion and the texts behind it owe each other.


def test_a_companion_put_off_by_the_box_is_not_outlived_by_the_time_its_text_may_wait(office):
    plain = office.accept(text="Plain")
    told = office.accept(text="Until then", valid_until=NOW + 100 * 3_600_000)
    (first,) = plain.companions
    with office.database.write() as tx:
        hours = '{"weekdays":"hold","saturday":"08:00-09:00","sunday":"hold"}'
        tx.execute("UPDATE country SET hours = ?", hours)
    assert Air(office).claim() is None
    moved = office.message(first.id)
    assert moved["valid_until"] > NOW + 72 * 3_600_000
    assert office.message(plain.id)["valid_until"] == moved["valid_until"]
    assert office.message(told.id)["valid_until"] == NOW + 100 * 3_600_000, "its sender has named the end"


def test_a_companion_lives_as_long_as_the_last_text_that_came_to_wait_behind_it(office):
    brief = office.accept(valid_until=NOW + 3_600_000)
    lasting = office.accept()
    (first,) = brief.companions
    release.sweep(office.database, NOW + 3_600_000)
    assert [office.state(each) for each in (brief.id, first.id, lasting.id)] == ["expired", "queued", "held"]


def test_a_companion_that_comes_back_from_the_air_lives_as_long_as_the_text_that_joined_it_meanwhile(office):
    """Found by the interleavings: a text for tomorrow joined it while it was on the air, and the retry would have run out."""
    office.accept()
    air = Air(office)
    claimed = air.claim()
    later = office.accept(send_at=NOW + 12 * 3_600_000)
    air.refuse(claimed.parts[0], Again(60))
    assert office.message(claimed.message["id"])["valid_until"] == office.message(later.id)["valid_until"]


def test_an_invitation_stays_while_any_text_waits_for_start_and_goes_with_the_last(double):
    one, two = double.accept("cand-2"), double.accept("cand-2")
    (invitation,) = one.companions
    for message, left in ((one, "queued"), (two, "cancelled")):
        double.database.transact(lambda tx, message=message: cancel(tx, message.id, None, "test", NOW))
        assert double.state(invitation.id) == left
    assert double.available() == 1000


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_nobody_is_reminded_of_start_once_the_last_text_that_waits_for_it_is_gone(double, how):
    one, two = double.accept("cand-2"), double.accept("cand-2", valid_until=NOW + 60 * 3_600_000)
    air = Air(double)
    assert air.send()[0] == one.companions[0].id
    double.now = NOW + 50 * 3_600_000
    consent_sweep.sweep(double.database, double.now)
    (reminder,) = companions_of(double, "consent_reminder")
    double.database.transact(lambda tx: cancel(tx, one.id, None, "test", double.now))
    assert double.state(str(reminder["id"])) == "queued", "one text still waits"
    if how == "cancelled":
        double.database.transact(lambda tx: cancel(tx, two.id, None, "test", double.now))
    else:
        double.now = NOW + 60 * 3_600_000
        release.sweep(double.database, double.now)
    assert double.state(two.id) == how
    assert double.state(str(reminder["id"])) == "cancelled"
    assert double.available() == 1000 - one.companions[0].credits
    assert air.claim() is None
