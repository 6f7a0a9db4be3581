"""Status reports: before, after, doubled, orphaned, of another number, after the wrap of TP-MR, pending and final."""

import json

import pytest

from gateway.flows import credits, settle
from gateway.rules.retry import GiveUp
from gateway.store.database import Database
from tests.air import Air
from tests.office import ICCID, NOW, Office, open_office, report

MINUTE = 60_000
DAY = 86_400_000


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


@pytest.fixture
def air(office: Office) -> Air:
    return Air(office)


def pdu_states(office: Office) -> list[str]:
    with office.database.read() as view:
        return [row["state"] for row in view.all("SELECT state FROM inbound_pdu ORDER BY received_at, id")]


def told(office: Office, message_id: str) -> list[str]:
    """States the event stream told of a message."""
    with office.database.read() as view:
        rows = view.all("SELECT body FROM event WHERE stream = ? AND type = 'message.state' ORDER BY serial", message_id)
        return [json.loads(row["body"])["state"] for row in rows]


def test_a_report_makes_a_sent_message_delivered(office, air):
    message_id, (tp_mr,) = air.send() if office.accept() else None
    air.report(tp_mr)
    assert (office.state(message_id), pdu_states(office)) == ("delivered", ["done"])
    assert told(office, message_id) == ["queued", "sent", "delivered"]
    assert office.available() == 999


def test_every_part_must_be_delivered(office, air):
    office.accept(text="a" * 400)
    message_id, references = air.send()
    for tp_mr, state in zip(reversed(references), ("sent", "sent", "delivered"), strict=True):
        air.report(tp_mr)
        assert office.state(message_id) == state


def test_one_undelivered_part_makes_the_message_undelivered_and_it_stays_charged(office, air):
    office.accept(text="a" * 161)
    message_id, references = air.send()
    air.report(references[0])
    air.report(references[1], 0x41)
    row = office.message(message_id)
    assert (row["state"], row["error"]) == ("undelivered", "network status 0x41")
    assert office.available() == 998


@pytest.mark.parametrize(
    ("status", "state"),
    [(0x00, "delivered"), (0x01, "sent"), (0x41, "undelivered"), (0x46, "expired"), (0x61, "undelivered"), (0x20, "sent")],
)
def test_what_each_status_makes_of_a_message(office, air, status, state):
    office.accept()
    message_id, (tp_mr,) = air.send()
    air.report(tp_mr, status)
    assert office.state(message_id) == state


def test_a_report_may_come_before_the_modems_answer(office, air):
    done = office.accept()
    part = air.claim().parts[0]
    air.report(0)
    assert (office.state(done.id), pdu_states(office)) == ("sending", ["orphan"])
    air.taken(part)
    assert (office.state(done.id), pdu_states(office)) == ("delivered", ["done"])


def test_a_bad_report_before_the_last_part_counts_as_soon_as_all_have_left(office, air):
    """Found in review: the message stayed `sent` until the other part's report came, if it ever did."""
    done = office.accept(text="a" * 161)
    claimed = air.claim()
    air.report(air.taken(claimed.parts[0]), 0x41)
    assert office.state(done.id) == "sending"
    office.database.transact(lambda tx: air.intend(tx, claimed.parts[1]))
    air.taken(claimed.parts[1])
    assert office.state(done.id) == "undelivered"


def test_a_doubled_report_changes_nothing(office, air):
    office.accept()
    message_id, (tp_mr,) = air.send()
    air.report(tp_mr)
    events = told(office, message_id)
    air.report(tp_mr)
    assert pdu_states(office) == ["done", "double"]
    air.report(tp_mr, at=NOW + 1000)
    assert pdu_states(office) == ["done", "double", "orphan"]
    assert told(office, message_id) == events


def test_a_report_for_nobody_is_kept(office, air):
    air.report(77)
    assert pdu_states(office) == ["orphan"]


@pytest.mark.parametrize("how", ["other number", "other reference", "other card"])
def test_a_report_must_fit_number_reference_and_card(office, air, how):
    office.accept()
    message_id, (tp_mr,) = air.send()
    if how == "other number":
        air.report(tp_mr, recipient="+46701740606")
    elif how == "other reference":
        air.report(tp_mr + 1)
    else:
        office.take_in(report("+46701740605", tp_mr, at=NOW), iccid="8946071512345678999")
    assert (office.state(message_id), pdu_states(office)) == ("sent", ["orphan"])


def test_the_recipient_may_come_back_in_national_form(office, air):
    office.accept()
    message_id, (tp_mr,) = air.send()
    air.report(tp_mr, recipient="0701740605")
    assert office.state(message_id) == "delivered"


def test_after_the_wrap_of_tp_mr_the_newest_part_is_meant(office, air):
    office.accept()
    old, (tp_mr,) = air.send()
    office.now += 10 * MINUTE
    air.tp_mr = tp_mr
    office.accept()
    new, (again,) = air.send()
    assert again == tp_mr
    air.report(tp_mr)
    assert (office.state(old), office.state(new)) == ("sent", "delivered")


def test_after_the_wrap_a_report_that_is_older_than_the_new_part_is_the_old_ones(office, air):
    office.accept()
    old, (tp_mr,) = air.send()
    office.now += 10 * MINUTE
    air.tp_mr = tp_mr
    office.accept()
    new, _ = air.send()
    air.report(tp_mr, at=NOW + 1000)
    assert (office.state(old), office.state(new)) == ("delivered", "sent")
    air.report(tp_mr)
    assert office.state(new) == "delivered"


def test_pending_then_final(office, air):
    office.accept()
    message_id, (tp_mr,) = air.send()
    air.report(tp_mr, 0x21)
    assert office.state(message_id) == "sent"
    air.report(tp_mr, 0x00)
    assert office.state(message_id) == "delivered"


def test_a_report_that_comes_too_late_is_an_orphan(office, air):
    done = office.accept()
    message_id, (tp_mr,) = air.send()
    office.now = office.message(done.id)["valid_until"] + 2 * DAY + 1
    air.report(tp_mr)
    assert (office.state(message_id), pdu_states(office)) == ("sent", ["orphan"])


def test_reports_come_through_while_our_clock_is_ahead_of_the_networks(office, air):
    """A Pi without a clock of its own may be minutes ahead: the reference and the number still say whose it is."""
    office.accept()
    message_id, (tp_mr,) = air.send()
    air.report(tp_mr, at=NOW - 30 * MINUTE)
    assert office.state(message_id) == "delivered"


def test_a_second_copy_of_an_old_report_is_not_the_new_parts(office, air):
    office.accept()
    old, (tp_mr,) = air.send()
    air.report(tp_mr)
    office.now += 10 * MINUTE
    air.tp_mr = tp_mr
    office.accept()
    new, _ = air.send()
    air.report(tp_mr, at=NOW + 1000)
    assert (office.state(old), office.state(new)) == ("delivered", "sent")


# Proof of a part whose answer was lost (design.md §4, evidence b).


def lose_the_answer(air: Air, moved_to: int | None) -> str:
    """A part goes out, its answer is lost, and a report is waited for."""
    claimed = air.claim()
    air.office.database.transact(lambda tx: settle.await_report(tx, claimed.parts[0], moved_to, air.office.now))
    return str(claimed.message["id"])


@pytest.mark.parametrize("moved_to", [None, 9])
def test_a_report_proves_that_a_part_was_sent(office, air, moved_to):
    office.accept()
    message_id = lose_the_answer(air, moved_to)
    air.report(9)
    assert (office.state(message_id), air.parts(message_id)[0].tp_mr) == ("delivered", 9)
    assert office.available() == 999
    with office.database.read() as view:
        assert credits.balance(view, office.organisation_id).reserved == 0


def test_a_report_that_came_before_anybody_waited_proves_it_too(office, air):
    office.accept()
    claimed = air.claim()
    air.report(9)
    office.database.transact(lambda tx: settle.await_report(tx, claimed.parts[0], 9, office.now))
    assert office.state(claimed.message["id"]) == "delivered"


def test_a_report_with_another_reference_than_the_card_moved_to_proves_nothing(office, air):
    office.accept()
    message_id = lose_the_answer(air, 9)
    air.report(10)
    assert office.state(message_id) == "sending"


def test_a_report_from_before_the_attempt_proves_nothing(office, air):
    office.accept()
    message_id = lose_the_answer(air, None)
    air.report(9, at=NOW - 3 * MINUTE)
    assert office.state(message_id) == "sending"


def test_a_second_copy_of_another_parts_report_proves_nothing(office, air):
    office.accept()
    _, (tp_mr,) = air.send()
    air.report(tp_mr)
    office.accept()
    message_id = lose_the_answer(air, None)
    air.report(tp_mr, at=NOW + 1000)
    assert office.state(message_id) == "sending"


def test_a_report_for_an_unknown_part_lets_the_rest_of_the_message_follow(office, air):
    office.accept(text="a" * 161)
    claimed = air.claim()
    air.unknown(claimed.parts[0])
    air.report(9)
    message_id = claimed.message["id"]
    assert (office.state(message_id), air.part_states(message_id)) == ("queued", ["delivered", "ready"])
    air.report(air.send()[1][0])
    assert office.state(message_id) == "delivered"


def test_waiting_for_a_report_that_came_meanwhile_makes_nothing_unknown(office, air):
    office.accept()
    claimed = air.claim()
    message_id = claimed.message["id"]
    office.database.transact(lambda tx: settle.await_report(tx, claimed.parts[0], None, office.now))
    air.report(9)
    air.unknown(claimed.parts[0])
    assert office.state(message_id) == "delivered"


def test_a_pending_report_proves_that_it_was_sent(office, air):
    office.accept()
    message_id = lose_the_answer(air, 9)
    air.report(9, 0x21)
    assert office.state(message_id) == "sent"


def test_a_report_after_a_failure_changes_only_its_part(office, air):
    done = office.accept(text="a" * 161)
    claimed = air.claim()
    tp_mr = air.taken(claimed.parts[0])
    office.database.transact(lambda tx: air.intend(tx, claimed.parts[1]))
    air.refuse(claimed.parts[1], GiveUp("x"))
    air.report(tp_mr)
    assert (office.state(done.id), air.part_states(done.id)) == ("failed", ["delivered", "failed"])
    assert office.available() == 999


def test_a_damaged_report_is_kept_and_changes_nothing(office, air):
    office.accept()
    message_id, (tp_mr,) = air.send()
    office.take_in(report("+46701740605", tp_mr, at=NOW)[:-8])
    office.take_in("zz\x00 no hex \udcff")
    assert (office.state(message_id), pdu_states(office)) == ("sent", ["undecodable", "undecodable"])
    assert air.iccid == ICCID
