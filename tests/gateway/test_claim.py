"""Claiming: which message leaves next, and the last look at every rule before it does."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import LeaseLost
from gateway.flows import release, stations
from gateway.flows.cancel import cancel
from gateway.flows.candidates import CandidateFields, put_candidate
from gateway.flows.claim import claim
from gateway.flows.consents import push_consent
from gateway.rules.retry import Again
from gateway.store import ids
from gateway.store.database import Database
from tests.air import Air
from tests.office import EVIDENCE, NOW, PHONE_KEY, ConsentPush, Office, open_office

MINUTE = 60_000


@pytest.fixture
def office(database: Database) -> Office:
    office = open_office(database)
    office.candidate("cand-2", "+46701740606")
    return office


@pytest.fixture
def air(office: Office) -> Air:
    return Air(office)


def claimed_id(air: Air) -> str | None:
    claimed = air.claim()
    return None if claimed is None else claimed.message["id"]


def next_due(air: Air) -> int | None:
    with air.office.database.read() as view:
        return stations.next_due(view, air.station.sender_ids)


def test_nothing_queued_is_nothing_claimed(air):
    assert air.claim() is None
    assert next_due(air) is None


def test_a_claim_moves_to_sending_and_hands_out_the_parts_in_order(office, air):
    done = office.accept(text="a" * 400)
    claimed = air.claim()
    assert claimed is not None
    assert [part.number for part in claimed.parts] == [1, 2, 3]
    row = office.message(done.id)
    assert (row["state"], row["gateway"], row["modem"], row["attempts"]) == ("sending", "g", "m1", 1)
    assert air.part_states(done.id) == ["submitting", "ready", "ready"]


def test_first_come_first_served_over_candidates(office, air):
    made = []
    for ref in ("cand-2", "cand-1", "cand-2"):
        office.now += 1
        made.append(office.accept(ref).id)
    assert [air.send()[0] for _ in made] == made


def test_each_candidates_messages_keep_their_order_within_a_lane(office, air):
    made = [office.accept("cand-1", f"{number}").id for number in range(4)]
    assert [air.send()[0] for _ in made] == made


def test_the_first_lane_asked_for_that_has_something_due_is_served(office, air):
    bulk = office.accept("cand-1", priority="bulk").id
    normal = office.accept("cand-2", priority="normal").id
    air.lanes = (0, 2, 1)
    assert air.send()[0] == bulk
    assert air.send()[0] == normal


def test_no_second_message_of_a_candidate_leaves_while_one_is_sending(office, air):
    first = office.accept("cand-1")
    office.accept("cand-1", priority="critical")
    other = office.accept("cand-2")
    claimed = air.claim()
    assert claimed is not None
    assert claimed.message["candidate_id"] == office.message(first.id)["candidate_id"]
    assert claimed_id(air) == other.id
    assert air.claim() is None
    assert next_due(air) is None, "a worker must not be told to look again at once"


def test_a_retry_holds_up_later_ones_of_its_candidate_and_lane_and_no_others(office, air):
    first = office.accept("cand-1")
    second = office.accept("cand-1")
    claimed = air.claim()
    air.refuse(claimed.parts[0], Again(60.0))
    third = office.accept("cand-1")
    urgent = office.accept("cand-1", priority="critical")
    other = office.accept("cand-2")
    assert {air.send()[0], air.send()[0]} == {urgent.id, other.id}
    assert air.claim() is None
    assert next_due(air) == NOW + 60_000
    office.now += 60_000
    assert [air.send()[0] for _ in range(3)] == [first.id, second.id, third.id]


def test_those_who_stood_behind_a_retry_that_ends_go_at_once(office, air):
    first, second = office.accept("cand-1"), office.accept("cand-1")
    air.refuse(air.claim().parts[0], Again(3600.0))
    assert office.message(second.id)["due_at"] == NOW + 3_600_000
    with office.database.write() as tx:
        cancel(tx, first.id, None, "key:test", NOW)
    assert claimed_id(air) == second.id


def test_unknown_and_held_messages_hold_up_nobody(office, air):
    first = office.accept("cand-1")
    held = office.accept("cand-1", send_at=NOW + MINUTE)
    last = office.accept("cand-1")
    air.unknown(air.claim().parts[0])
    assert office.state(first.id) == "unknown"
    assert air.send()[0] == last.id
    assert office.state(held.id) == "held"


def test_only_messages_of_this_stations_senders_are_claimed(office, air):
    office.accept("cand-1")
    elsewhere = Air(office, modem="m2", iccid="8946071512345678902", sender_ids=("snd_other",))
    assert elsewhere.claim() is None
    assert claimed_id(air) is not None


# The last look at the rules.


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("UPDATE organisation SET sms_enabled = 0", "channel_disabled"),
        ("UPDATE country SET state = 'suspended'", "country_disabled"),
        ("INSERT INTO suppression SELECT phone_hash, 'sms', 'keyword', '{}', 0 FROM candidate WHERE ref = 'cand-1'", "opted_out"),
        ("DELETE FROM consent", "consent_required"),
        ("UPDATE candidate SET phone_state = 'invalid'", "invalid_number"),
    ],
)
def test_what_may_not_go_any_more_fails_at_the_claim_and_is_refunded(office, air, sql, error):
    done = office.accept("cand-1")
    with office.database.write() as tx:
        tx.execute(sql)
    assert air.claim() is None
    assert (office.state(done.id), office.message(done.id)["error"]) == ("failed", error)
    assert office.available() == 1000


def test_rights_taken_away_after_accept_do_not_stop_a_message(office, air):
    done = office.accept("cand-1")
    with office.database.write() as tx:
        tx.execute("UPDATE app_user SET roles = '[]', seat = 0")
        tx.execute("DELETE FROM case_member")
    assert claimed_id(air) == done.id


def test_a_message_whose_time_ran_out_expires_and_the_next_is_claimed(office, air):
    late = office.accept("cand-1", valid_until=NOW + MINUTE)
    good = office.accept("cand-1")
    office.now += MINUTE
    assert claimed_id(air) == good.id
    assert (office.state(late.id), office.available()) == ("expired", 999)


def test_consent_that_became_pending_holds_the_message(office, air):
    done = office.accept("cand-1")
    with office.database.write() as tx:
        tx.execute("UPDATE consent SET status = 'pending_double_opt_in'")
    assert air.claim() is None
    row = office.message(done.id)
    assert (row["state"], row["hold_reason"], office.available()) == ("held", "pending_opt_in", 999)


def test_a_retry_never_goes_to_a_number_the_candidate_has_left(office, air):
    """Found in review: the new number's consent let the retry out to the old number."""
    done = office.accept("cand-1")
    claimed = air.claim()
    with office.database.write() as tx:
        fields = CandidateFields(phone_raw="+46701740699")
        put_candidate(tx, office.organisation_id, "cand-1", fields, "key:test", NOW, phone_key=PHONE_KEY)
        push = ConsentPush(status="granted", captured_at=NOW, evidence=EVIDENCE)
        push_consent(tx, office.organisation_id, "cand-1", "sms", push, "key:test", NOW)
    air.refuse(claimed.parts[0], Again(0.0))
    assert air.claim() is None
    assert (office.state(done.id), office.message(done.id)["error"]) == ("failed", "number_changed")
    assert office.available() == 1000


def test_a_long_row_of_dead_messages_is_ended_in_bounded_steps(office, air):
    for _ in range(110):
        office.accept("cand-1", valid_until=NOW + 1)
    good = office.accept("cand-2", priority="bulk")
    office.now += 1
    assert claimed_id(air) == good.id
    assert office.available() == 999 - 10
    assert air.claim() is None
    assert office.available() == 999


def test_keyword_replies_go_whatever_consent_says(office, air):
    office.hear("STOPP")
    claimed = air.claim()
    assert claimed is not None
    assert (claimed.message["origin"], claimed.message["kind"]) == ("keyword_reply", "stop_confirmation")


# Epochs.


def test_a_gateway_that_was_replaced_claims_nothing(office, air):
    office.accept("cand-1")
    with office.database.write() as tx:
        tx.execute("UPDATE gateway SET epoch = 2")
    with pytest.raises(LeaseLost):
        air.claim()


# The clock.


def test_a_clock_set_back_strands_no_queued_message(office, air):
    """due_at is wall time: what was accepted while the clock was ahead must not wait until it is that late again."""
    first, second = office.accept("cand-1"), office.accept("cand-1")
    office.now -= 3_600_000 * 24
    fresh = office.accept("cand-1")
    assert air.claim() is None
    assert release.sweep(office.database, office.now) == 2
    assert [air.send()[0] for _ in range(3)] == [first.id, second.id, fresh.id]


def test_a_clock_set_back_far_strands_no_retry_and_a_small_step_leaves_it_alone(office, air):
    done = office.accept("cand-1")
    office.now += MINUTE
    air.refuse(air.claim().parts[0], Again(600.0))
    office.now -= MINUTE // 2
    assert release.sweep(office.database, office.now) == 0
    office.now = NOW - 10 * 3_600_000
    assert release.sweep(office.database, office.now) == 1
    assert claimed_id(air) == done.id


# Several at once.


def test_two_modems_never_take_the_same_candidate(database):
    office = open_office(database)
    refs = [f"c{number}" for number in range(6)]
    for number, ref in enumerate(refs):
        office.candidate(ref, f"+4670175000{number}")
    made = [office.accept(ref, f"{turn}").id for turn in range(4) for ref in refs]
    stations_ = [Air(office, modem=f"m{number}") for number in range(4)]
    sent: list[str] = []
    lock = threading.Lock()

    def work(air: Air) -> None:
        while True:
            claimed = air.claim()
            if claimed is None:
                with database.read() as view:
                    if not view.value("SELECT COUNT(*) AS n FROM message WHERE state IN ('queued', 'sending')"):
                        break
                continue
            with database.read() as view:
                busy = view.value(
                    "SELECT COUNT(*) AS n FROM message WHERE candidate_id = ? AND state = 'sending'",
                    claimed.message["candidate_id"],
                )
            assert busy == 1
            with lock:
                sent.append(claimed.message["id"])
            air.taken(claimed.parts[0])
        database.close()

    with ThreadPoolExecutor(len(stations_)) as pool:
        for done in [pool.submit(work, air) for air in stations_]:
            done.result()
    assert sorted(sent) == sorted(made)
    seqs: dict[str, list[int]] = {}
    for message_id in sent:
        row = office.message(message_id)
        seqs.setdefault(row["candidate_id"], []).append(row["seq"])
    assert all(order == sorted(order) for order in seqs.values())
    assert office.available() == 1000 - len(made)


@pytest.mark.postgresql
def test_a_claim_passes_over_a_candidate_somebody_decides_for(postgresql_url):
    database = Database(postgresql_url)
    office = open_office(database)
    office.candidate("cand-2", "+46701740606")
    first, second = office.accept("cand-1"), office.accept("cand-2")
    air = Air(office)
    candidate_id = office.message(first.id)["candidate_id"]
    with database.write() as tx:
        tx.one("SELECT id FROM candidate WHERE id = ?" + tx.for_update, candidate_id)

        def elsewhere() -> str | None:
            try:
                return claimed_id(air)
            finally:
                database.close()

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(elsewhere).result() == second.id
    database.close()


@pytest.mark.postgresql
def test_an_answer_to_a_stranger_is_claimed_once(postgresql_url):
    """It has no candidate to lock, so the message itself is."""
    database = Database(postgresql_url)
    office = open_office(database)
    office.hear("HELP", "+46701999999")
    one, other = Air(office, modem="m1"), Air(office, modem="m2")
    with database.write() as tx:
        assert claim(tx, one.station, (0, 1, 2), NOW) is not None

        def elsewhere() -> str | None:
            try:
                return claimed_id(other)
            finally:
                database.close()

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(elsewhere).result() is None
    database.close()


# Stations.


def test_a_start_puts_back_what_was_left_in_sending_without_a_part_on_the_air(office, air):
    stray, on_air = office.accept("cand-1"), office.accept("cand-2")
    with office.database.write() as tx:
        claim(tx, air.station, (0, 1, 2), NOW)
    air.claim()
    with office.database.write() as tx:
        assert stations.requeue_strays(tx, "g", 1, "m1", NOW) == 1
    assert (office.state(stray.id), office.state(on_air.id)) == ("queued", "sending")


def test_a_sender_without_a_card_is_bound_to_the_only_one_there_is(office):
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET iccid = NULL")
        assert stations.bind_sender(tx, "iccid-1", 2, NOW) == []
        assert [row["iccid"] for row in stations.bind_sender(tx, "iccid-1", 1, NOW)] == ["iccid-1"]
        assert len(stations.bind_sender(tx, "iccid-1", 1, NOW)) == 1
        assert stations.bind_sender(tx, "iccid-2", 1, NOW) == []


def test_two_loose_senders_are_bound_by_nobodys_guess(office):
    with office.database.write() as tx:
        tx.execute("UPDATE sender SET iccid = NULL")
        tx.insert("sender", id=ids.new("snd"), organisation_id=office.organisation_id, number="+46700000001", updated_at=NOW)
        tx.flush()
        assert stations.bind_sender(tx, "iccid-1", 1, NOW) == []
