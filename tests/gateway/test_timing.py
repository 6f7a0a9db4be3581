"""When a message may leave, on each engine: hours and budgets inside the claim, trust in the clock, messages without a modem."""

import pytest

from gateway.flows import awaited, budgets, clock_trust, release, senders
from gateway.flows.claim import claim
from gateway.rules.clock_trust import RELEASED_AT
from gateway.store.database import Database
from tests.air import Air
from tests.office import NOW, Office, open_office

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.fixture
def office(database: Database) -> Office:
    office = open_office(database)
    with database.write() as tx:  # who writes and why was told before: texts leave by themselves here
        tx.execute("UPDATE consent SET mode = 'single'")
    return office


@pytest.fixture
def air(office: Office) -> Air:
    return Air(office)


def set_country(office: Office, **columns: object) -> None:
    with office.database.write() as tx:
        for name, value in columns.items():
            tx.execute(f"UPDATE country SET {name} = ? WHERE iso = 'SE'", value)


def set_sender(office: Office, **columns: object) -> None:
    with office.database.write() as tx:
        for name, value in columns.items():
            tx.execute(f"UPDATE sender SET {name} = ?", value)


def queued(office: Office, count: int) -> list[str]:
    """Texts put straight into the queue, one candidate each."""
    made = [office.accept(ref).id for ref in office.candidates(count)]
    with office.database.write() as tx:
        tx.execute("DELETE FROM part WHERE message_id IN (SELECT id FROM message WHERE kind = 'identification')")
        tx.execute("DELETE FROM message WHERE kind = 'identification'")
        tx.execute("UPDATE message SET state = 'queued', hold_reason = NULL, not_before = NULL, after_message_id = NULL")
    return made


def take(air: Air, now: int) -> str | None:
    claimed = air.office.database.transact(lambda tx: claim(tx, air.station, (0, 1, 2), now))
    return None if claimed is None else str(claimed.message["id"])


def test_a_window_that_shut_holds_in_the_claim_and_its_validity_is_not_outlived(office: Office, air: Air) -> None:
    (one,) = queued(office, 1)
    set_country(office, hours='{"weekdays":"08:00-09:00","saturday":"hold","sunday":"hold"}')
    assert take(air, NOW) is None
    row = office.message(one)
    assert (row["state"], row["hold_reason"]) == ("held", "quiet_hours")
    assert row["not_before"] > NOW
    assert row["valid_until"] >= row["not_before"] + 72 * HOUR
    release.sweep(office.database, row["not_before"])
    assert take(air, row["not_before"]) == one


def test_a_full_minute_pauses_the_card_and_a_full_day_holds(office: Office, air: Air) -> None:
    set_sender(office, budgets='{"minute":2,"day":3}')
    ids = queued(office, 5)
    assert [take(air, NOW), take(air, NOW)] == ids[:2]
    assert take(air, NOW) is None
    assert [office.state(each) for each in ids[2:]] == ["queued"] * 3
    later = NOW - NOW % MINUTE + MINUTE
    with office.database.read() as view:
        assert budgets.free_at(view, air.station.sender_ids) == later
    assert take(air, later) == ids[2]
    assert take(air, later) is None
    held = office.message(ids[3])
    assert (held["state"], held["hold_reason"]) == ("held", "sim_budget")
    assert 0 < held["not_before"] - later <= DAY
    with office.database.read() as view:
        told = view.all("SELECT data FROM audit WHERE action = 'sender.budget'")
    assert len(told) == 2  # 80 % and all of the day, passed at once


def test_a_clock_set_back_strands_no_minute(office: Office, air: Air) -> None:
    set_sender(office, budgets='{"minute":1}')
    first, second = queued(office, 2)
    assert take(air, NOW) == first
    early = NOW - HOUR
    awaited.sweep(office.database, early)
    with office.database.write() as tx:
        tx.execute("UPDATE message SET due_at = ? WHERE state = 'queued'", early)
    assert take(air, early) == second


def test_a_jump_without_a_source_holds_and_expires_nothing_until_a_source_is_back(office: Office, air: Air) -> None:
    database, wall = office.database, RELEASED_AT + DAY
    assert clock_trust.look(database, "g", wall, 0, "", False).trusted
    set_country(office, hours='{"weekdays":"00:00-24:00","saturday":"00:00-24:00","sunday":"00:00-24:00"}')
    (one,) = queued(office, 1)
    assert not clock_trust.look(database, "g", wall + 400 * DAY, 400 * DAY, "", False).trusted
    release.sweep(database, wall + 400 * DAY)
    assert office.state(one) == "queued"
    assert take(air, wall + 400 * DAY) is None
    assert office.message(one)["hold_reason"] == "clock_untrusted"
    assert clock_trust.look(database, "g", wall + 1000, -400 * DAY, "ntp", False).trusted
    with database.write() as tx:
        tx.execute("UPDATE message SET valid_until = ?", wall + DAY)
    awaited.sweep(database, wall + 1000)
    assert take(air, wall + 1000) == one


def test_a_message_moves_to_another_card_only_while_nothing_of_it_is_out(office: Office) -> None:
    database = office.database
    one, two = queued(office, 2)
    set_country(office, sticky_down="switch")
    with database.write() as tx:
        org = office.organisation_id
        tx.insert("sender", id="snd_b", organisation_id=org, number="+46700000009", iccid="B", countries='["SE"]', updated_at=NOW)
        tx.insert("modem", id="mdm_b", gateway="g", name="b", iccid="B", state="ready", seen_at=NOW)
        tx.execute("UPDATE part SET state = 'unknown' WHERE message_id = ?", two)
    with database.read() as view:
        assert senders.waiting(view, NOW) == sorted([one, two])
    awaited.sweep(database, NOW)
    assert (office.message(one)["sender_id"], office.message(two)["sender_id"]) == ("snd_b", office.sender_id)
    assert "message.override" in office.audit_actions()
