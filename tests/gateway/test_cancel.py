"""Calling a message back, truthfully."""

import pytest

from gateway.errors import Refused
from gateway.flows.cancel import Cancelled, cancel
from gateway.rules.retry import Again
from gateway.store.database import Database
from tests.air import Air
from tests.office import NOW, Office, open_office


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


def call_back(office: Office, message_id: str, organisation_id: str | None = None) -> Cancelled:
    with office.database.write() as tx:
        return cancel(tx, message_id, organisation_id or office.organisation_id, "key:test", NOW)


@pytest.mark.parametrize("changes", [{}, {"send_at": NOW + 1000}])
def test_what_waits_is_cancelled_and_refunded_and_twice_is_once(office, changes):
    done = office.accept(text="a" * 161, **changes)
    assert call_back(office, done.id) == Cancelled("cancelled", "cancelled", 2)
    assert call_back(office, done.id) == Cancelled("already", "cancelled", 0)
    assert office.available() == 1000
    assert office.audit_actions().count("message.cancel") == 1


def test_what_is_on_the_air_or_gone_is_too_late(office):
    air = Air(office)
    done = office.accept()
    claimed = air.claim()
    assert call_back(office, done.id) == Cancelled("too_late", "sending", 0)
    air.taken(claimed.parts[0])
    assert call_back(office, done.id) == Cancelled("too_late", "sent", 0)
    assert office.available() == 999


def test_a_message_of_which_parts_have_left_is_told_as_partly_sent(office):
    air = Air(office)
    done = office.accept(text="a" * 400)
    claimed = air.claim()
    air.taken(claimed.parts[0])
    office.database.transact(lambda tx: air.intend(tx, claimed.parts[1]))
    air.refuse(claimed.parts[1], Again(60.0))
    assert call_back(office, done.id) == Cancelled("partly_sent", "cancelled", 2)
    assert office.available() == 999
    assert air.claim() is None


def test_another_organisations_message_does_not_exist(office):
    done = office.accept()
    for message_id, organisation_id in ((done.id, "org_other"), ("msg_none", None)):
        with pytest.raises(Refused) as refused:
            call_back(office, message_id, organisation_id)
        assert (refused.value.code, refused.value.status) == ("message_not_found", 404)
    assert office.state(done.id) == "queued"
