"""Why a message waits, in words."""

import pytest

from gateway.errors import Refused
from gateway.flows import stations
from gateway.flows.explain import Explanation, explain
from gateway.rules.retry import Again
from gateway.store.database import Database
from tests.air import Air
from tests.office import ICCID, NOW, Office, open_office


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


def why(office: Office, message_id: str, organisation_id: str | None = None) -> Explanation:
    with office.database.read() as view:
        return explain(view, message_id, organisation_id, office.now)


def a_modem(office: Office, **columns) -> None:
    with office.database.write() as tx:
        stations.set_modem(tx, "g", "m1", NOW, **{"state": "ready", "iccid": ICCID, "seen_at": NOW} | columns)


def test_a_held_message_tells_what_it_waits_for_and_until_when(office):
    told = why(office, office.accept(send_at=NOW + 1000).id)
    assert (told.state, told.waiting_for, told.until_ms, told.eta_ms) == ("held", "scheduled", NOW + 1000, NOW + 1000)


def test_without_a_modem_a_queued_message_waits_for_one(office):
    done = office.accept()
    assert why(office, done.id).waiting_for == "no_modem"
    a_modem(office, state="sim")
    assert why(office, done.id).waiting_for == "no_modem"
    a_modem(office, parked=1)
    assert why(office, done.id).waiting_for == "modem_parked"


def test_in_the_queue_it_counts_what_is_before_it(database):
    office = open_office(database, gap_ms=6000)
    a_modem(office)
    made = [office.accept(text=f"{number}") for number in range(3)]
    assert [why(office, done.id).ahead for done in made] == [0, 1, 2]
    assert why(office, office.accept(priority="critical").id).ahead == 0
    assert why(office, made[2].id).eta_ms == NOW + 4 * 6000


def test_a_retry_tells_what_was_wrong_and_when_it_is_tried_again(office):
    done = office.accept()
    air = Air(office)
    air.refuse(air.claim().parts[0], Again(60.0), "+CMS ERROR: 331")
    told = why(office, done.id)
    assert (told.waiting_for, told.until_ms) == ("retry", NOW + 60_000)
    assert "+CMS ERROR: 331" in told.text


def test_every_other_state_has_its_sentence(office):
    from gateway.rules.lifecycle import State

    done = office.accept()
    for state in set(State) - {State.HELD, State.QUEUED}:
        with office.database.write() as tx:
            tx.execute("UPDATE message SET state = ? WHERE id = ?", state, done.id)
        told = why(office, done.id)
        assert told.state == state
        assert told.text
        assert told.waiting_for is None


def test_every_reason_to_hold_has_its_sentence(office):
    from gateway.rules.lifecycle import Hold

    done = office.accept()
    for reason in Hold:
        with office.database.write() as tx:
            tx.execute("UPDATE message SET state = 'held', hold_reason = ? WHERE id = ?", reason, done.id)
        assert why(office, done.id).waiting_for == reason


def test_a_strangers_question_is_not_answered(office):
    done = office.accept()
    for message_id, organisation_id in ((done.id, "org_other"), ("msg_none", None)):
        with pytest.raises(Refused) as refused:
            why(office, message_id, organisation_id)
        assert refused.value.code == "message_not_found"
