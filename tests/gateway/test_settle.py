"""What became of a part, and what follows for its message and its money."""

import pytest

from gateway.errors import Refused
from gateway.flows import credits, release, settle
from gateway.flows.resolve import resolve
from gateway.flows.settle import IntentLost
from gateway.rules.retry import Again, GiveUp
from gateway.store.database import Database
from gateway.store.parts import parts_on_air
from tests.air import Air
from tests.office import ICCID, NOW, Office, open_office

DAY = 86_400_000


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


@pytest.fixture
def air(office: Office) -> Air:
    return Air(office)


def books(office: Office) -> tuple[int, int]:
    """Available and reserved, after the ledger has been verified."""
    available = office.available()
    with office.database.read() as view:
        return available, credits.balance(view, office.organisation_id).reserved


def entries(office: Office, message_id: str) -> list[tuple[str, int, int]]:
    with office.database.read() as view:
        rows = view.all("SELECT kind, amount, charged FROM ledger WHERE message_id = ? ORDER BY id", message_id)
        return [(row["kind"], row["amount"], row["charged"]) for row in rows]


def decide(office: Office, message_id: str, choice: str) -> str:
    with office.database.write() as tx:
        return resolve(tx, message_id, office.organisation_id, choice, "user:eva", office.now)


def test_a_message_is_sent_and_charged_when_the_network_took_its_last_part(office, air):
    done = office.accept(text="a" * 161)
    claimed = air.claim()
    air.taken(claimed.parts[0])
    assert (office.state(done.id), books(office)) == ("sending", (998, 2))
    office.database.transact(lambda tx: air.intend(tx, claimed.parts[1]))
    air.taken(claimed.parts[1])
    assert (office.state(done.id), books(office)) == ("sent", (998, 0))
    assert entries(office, done.id) == [("reserve", -2, 0), ("settle", 0, 2)]
    assert office.message(done.id)["settled_at"] == NOW


def test_the_intent_is_refused_for_a_part_that_is_not_ready(office, air):
    office.accept()
    claimed = air.claim()
    with pytest.raises(IntentLost):
        office.database.transact(lambda tx: air.intend(tx, claimed.parts[0]))


@pytest.mark.parametrize("act", ["taken", "give_up", "again", "returned"])
def test_a_part_that_is_settled_already_cannot_be_settled_again(office, air, act):
    done = office.accept()
    part = air.claim().parts[0]
    air.taken(part)
    before = books(office)
    acts = {
        "taken": lambda: air.taken(part),
        "give_up": lambda: air.refuse(part, GiveUp("x")),
        "again": lambda: air.refuse(part, Again(1.0)),
        "returned": lambda: office.database.transact(lambda tx: settle.returned(tx, part, NOW)),
    }
    with pytest.raises(IntentLost):
        acts[act]()
    assert (office.state(done.id), books(office)) == ("sent", before)


def test_a_permanent_refusal_fails_the_message_and_gives_everything_back(office, air):
    done = office.accept(text="a" * 161)
    air.refuse(air.claim().parts[0], GiveUp("unassigned number"), "unassigned number")
    assert (office.state(done.id), office.message(done.id)["error"]) == ("failed", "unassigned number")
    assert air.part_states(done.id) == ["failed", "ready"]
    assert books(office) == (1000, 0)
    assert entries(office, done.id) == [("reserve", -2, 0), ("refund", 2, 0)]


def test_parts_that_left_before_the_refusal_are_charged(office, air):
    done = office.accept(text="a" * 400)
    claimed = air.claim()
    air.taken(claimed.parts[0])
    office.database.transact(lambda tx: air.intend(tx, claimed.parts[1]))
    air.refuse(claimed.parts[1], GiveUp("x"))
    assert entries(office, done.id) == [("reserve", -3, 0), ("settle", 0, 1), ("refund", 2, 0)]
    assert books(office) == (999, 0)


def test_a_retry_sends_only_what_is_left_and_forgets_the_old_error_once_sent(office, air):
    done = office.accept(text="a" * 400)
    claimed = air.claim()
    air.taken(claimed.parts[0])
    office.database.transact(lambda tx: air.intend(tx, claimed.parts[1]))
    air.refuse(claimed.parts[1], Again(5.0), "+CMS ERROR: 331")
    row = office.message(done.id)
    assert (row["state"], row["due_at"], row["error"]) == ("queued", NOW + 5000, "+CMS ERROR: 331")
    office.now += 5000
    again = air.claim()
    assert [(part.number, part.attempt) for part in again.parts] == [(2, 1), (3, 0)]
    air.taken(again.parts[0])
    office.database.transact(lambda tx: air.intend(tx, again.parts[1]))
    air.taken(again.parts[1])
    assert (office.state(done.id), office.message(done.id)["error"]) == ("sent", None)


def test_attempts_that_were_not_the_messages_fault_do_not_count(office, air):
    done = office.accept()
    air.refuse(air.claim().parts[0], Again(0.0, counted=False))
    part = air.claim().parts[0]
    office.database.transact(lambda tx: settle.returned(tx, part, NOW))
    assert (office.state(done.id), air.parts(done.id)[0].attempt) == ("queued", 0)
    air.refuse(air.claim().parts[0], Again(0.0))
    assert air.parts(done.id)[0].attempt == 1


def test_a_retry_that_would_come_too_late_expires_the_message(office, air):
    done = office.accept(valid_until=NOW + 4000)
    air.refuse(air.claim().parts[0], Again(5.0), "busy")
    assert (office.state(done.id), office.message(done.id)["error"], books(office)) == ("expired", "busy", (1000, 0))


def test_a_part_that_never_left_is_ready_again(office, air):
    done = office.accept()
    part = air.claim().parts[0]
    office.database.transact(lambda tx: settle.returned(tx, part, NOW, delay_ms=1000))
    assert (office.state(done.id), air.part_states(done.id), books(office)) == ("queued", ["ready"], (999, 1))
    office.now += 1000
    assert air.send()[0] == done.id


def test_references_of_a_sim_go_round(office, air):
    with office.database.write() as tx:
        seen = [settle.next_reference(tx, ICCID) for _ in range(257)]
        assert settle.next_reference(tx, "nobody") == 0
    assert seen[:3] == [1, 2, 3]
    assert seen[254:] == [255, 0, 1]


def test_parts_on_the_air_are_found_by_modem_and_by_card(office, air):
    office.accept()
    air.claim()
    with office.database.read() as view:
        assert len(parts_on_air(view, "g", "m1")) == 1
        assert len(parts_on_air(view, "elsewhere", "m9", ICCID)) == 1
        assert parts_on_air(view, "elsewhere", "m9") == []


# Unknown.


def test_an_unknown_part_stops_the_rest_and_stays_reserved(office, air):
    done = office.accept(text="a" * 400)
    claimed = air.claim()
    air.taken(claimed.parts[0])
    office.database.transact(lambda tx: air.intend(tx, claimed.parts[1]))
    air.unknown(claimed.parts[1])
    assert (office.state(done.id), air.part_states(done.id)) == ("unknown", ["sent", "unknown", "ready"])
    assert books(office) == (997, 3)
    assert air.claim() is None


def test_treat_as_sent_sends_the_rest_and_never_the_unknown_part_again(office, air):
    done = office.accept(text="a" * 400)
    claimed = air.claim()
    air.unknown(claimed.parts[0])
    assert decide(office, done.id, "treat_as_sent") == "queued"
    again = air.claim()
    assert [part.number for part in again.parts] == [2, 3]
    air.taken(again.parts[0])
    office.database.transact(lambda tx: air.intend(tx, again.parts[1]))
    air.taken(again.parts[1])
    assert (office.state(done.id), books(office)) == ("sent", (997, 0))


def test_send_again_makes_only_the_unknown_part_ready(office, air):
    done = office.accept()
    air.unknown(air.claim().parts[0])
    assert decide(office, done.id, "send_again") == "queued"
    assert air.send()[0] == done.id
    assert (office.state(done.id), books(office)) == ("sent", (999, 0))


def test_only_an_unknown_message_can_be_resolved(office, air):
    done = office.accept()
    for choice, code in (("send_again", "not_unknown"), ("maybe", "unknown_choice")):
        with pytest.raises(Refused) as refused:
            decide(office, done.id, choice)
        assert refused.value.code == code
    with pytest.raises(Refused) as refused, office.database.write() as tx:
        resolve(tx, done.id, "org_other", "send_again", "user:eva", NOW)
    assert refused.value.code == "message_not_found"


def test_a_late_answer_for_an_unknown_part_lets_the_rest_follow(office, air):
    """Found in review: the part became sent, but its message stayed unknown for ever."""
    done = office.accept(text="a" * 161)
    part = air.claim().parts[0]
    air.unknown(part)
    air.taken(part)
    assert (office.state(done.id), air.part_states(done.id)) == ("queued", ["sent", "ready"])


def test_an_unknown_message_is_charged_48_hours_after_its_validity_and_only_once(office, air):
    done = office.accept(text="a" * 161)
    air.unknown(air.claim().parts[0])
    office.now = office.message(done.id)["valid_until"] + 2 * DAY
    assert release.sweep(office.database, office.now - 1) == 0
    assert release.sweep(office.database, office.now) == 1
    assert release.sweep(office.database, office.now) == 0
    assert (office.state(done.id), books(office)) == ("unknown", (999, 0))
    with pytest.raises(Refused) as refused:
        decide(office, done.id, "send_again")
    assert refused.value.code == "too_old"
    decide(office, done.id, "treat_as_sent")
    assert air.claim() is None, "its ready part was refunded: it must not leave any more"
    assert books(office) == (999, 0)
    assert entries(office, done.id) == [("reserve", -2, 0), ("settle", 0, 1), ("refund", 1, 0)]


@pytest.mark.postgresql
def test_resolving_and_expiring_at_once_settles_once(postgresql_url):
    """Found in review: the row was read before the candidate's lock was held."""
    import threading

    database = Database(postgresql_url)
    office = open_office(database)
    air = Air(office)
    done = office.accept()
    air.unknown(air.claim().parts[0])
    late = office.message(done.id)["valid_until"] + 2 * DAY
    waiting = threading.Event()

    def expire() -> None:
        def step(tx):
            original = tx.one

            def one(sql, *values):
                if "FOR UPDATE" in sql and "candidate" in sql:
                    waiting.set()
                return original(sql, *values)

            tx.one = one
            release.expire(tx, done.id, late)

        database.transact(step)
        database.close()

    with database.write() as tx:
        resolve(tx, done.id, None, "treat_as_sent", "user:eva", late)
        thread = threading.Thread(target=expire)
        thread.start()
        assert waiting.wait(20)
    thread.join(20)
    assert entries(office, done.id) == [("reserve", -1, 0), ("settle", 0, 1)]
    assert books(office) == (999, 0)
    database.close()
