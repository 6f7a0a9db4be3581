"""Held messages go when their time has come; what outlived its validity ends."""

import pytest

from gateway.flows import release
from gateway.store.database import Database
from tests.air import Air
from tests.office import NOW, Office, open_office

HOUR = 3_600_000


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


def test_a_scheduled_message_goes_at_its_hour_and_not_before(office):
    done = office.accept(send_at=NOW + HOUR)
    with office.database.read() as view:
        assert release.next_change(view) == NOW + HOUR
    assert release.sweep(office.database, NOW + HOUR - 1) == 0
    assert release.sweep(office.database, NOW + HOUR) == 1
    row = office.message(done.id)
    assert (row["state"], row["hold_reason"], row["not_before"], row["due_at"]) == ("queued", None, None, NOW + HOUR)


def test_released_messages_leave_in_the_order_they_were_written(office):
    late, soon = office.accept(send_at=NOW + HOUR), office.accept(send_at=NOW + HOUR // 2)
    office.now = NOW + 2 * HOUR
    release.sweep(office.database, office.now)
    air = Air(office)
    assert [air.send()[0], air.send()[0]] == [late.id, soon.id]


def test_waiting_messages_expire_at_their_hour_with_a_refund(office):
    queued, held = office.accept(valid_until=NOW + HOUR), office.accept(send_at=NOW + HOUR // 2, valid_until=NOW + HOUR)
    with office.database.write() as tx:
        tx.execute("UPDATE message SET not_before = NULL WHERE id = ?", held.id)
    assert release.sweep(office.database, NOW + HOUR - 1) == 0
    assert release.sweep(office.database, NOW + HOUR) == 2
    assert {office.state(queued.id), office.state(held.id)} == {"expired"}
    assert office.available() == 1000


def test_a_held_message_that_is_due_and_dead_at_once_never_leaves(office):
    done = office.accept(send_at=NOW + HOUR, valid_until=NOW + HOUR + 1)
    office.now = NOW + 2 * HOUR
    release.sweep(office.database, office.now)
    assert Air(office).claim() is None
    assert (office.state(done.id), office.available()) == ("expired", 1000)


def test_what_was_cancelled_between_look_and_act_stays_cancelled(office):
    done = office.accept(send_at=NOW + HOUR)
    with office.database.write() as tx:
        tx.execute("UPDATE message SET state = 'cancelled' WHERE id = ?", done.id)
    with office.database.write() as tx:
        release.release(tx, done.id, NOW + HOUR)
        release.expire(tx, done.id, NOW + 1000 * HOUR)
    assert office.state(done.id) == "cancelled"
