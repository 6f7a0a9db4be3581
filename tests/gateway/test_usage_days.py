"""Usage that was added up ahead: a report says what the rows say, whatever happens to a day after it was counted."""

import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway import keys
from gateway.appliance.upkeep import Upkeep
from gateway.flows import endings, erase, release, reports, retention, usage, usage_days
from gateway.flows.consents import ConsentPush, push_consent
from gateway.flows.endings import locked_message
from gateway.rules.lifecycle import State
from gateway.rules.periods import Period
from gateway.rules.retry import GiveUp
from gateway.store import lists_credits, lists_reports
from gateway.store.database import Database
from gateway.store.parts import Part
from tests.air import Air
from tests.gateway.conftest import wipe
from tests.office import EVIDENCE, ICCID, NOW, Office, open_office
from tests.processes import until

DAY = 86_400_000
ALWAYS = Period(NOW - 30 * DAY, NOW + 90 * DAY)
KEYS = ((), ("user_id",), ("country",), ("user_id", "country"), ("case_id",))
DELIVERED, LOST = 0x00, 0x46


@pytest.fixture
def office(database: Database) -> Office:
    return open_office(database)


@pytest.fixture
def air(office: Office) -> Air:
    return Air(office)


def sent(air: Air, text: str = "Hej!") -> tuple[str, int]:
    """A message that the network took: its id and its TP-MR."""
    air.office.accept(text=text)
    message_id, (tp_mr, *_) = air.send() or ("", [0])
    return message_id, tp_mr


def told(office: Office) -> dict[str, int]:
    """The sums of a report over all days; by every key they are those of the rows."""
    with office.database.read() as view:
        for keys in KEYS:
            found = lists_reports.usage(view, office.organisation_id, ALWAYS, keys)
            assert found == lists_reports.usage_of_rows(view, office.organisation_id, ALWAYS, keys), keys
        charged = lists_credits.charged(view, office.organisation_id, ALWAYS.start, ALWAYS.end)
        assert charged == lists_credits.charged_rows(view, office.organisation_id, ALWAYS)
        return lists_reports.usage(view, office.organisation_id, ALWAYS, ()).get((), {})


def counted(office: Office) -> list[int]:
    """The days that are counted, from the office's first on."""
    with office.database.read() as view:
        days = lists_reports.counted(view, office.organisation_id, 0, 99_999)
    return [day - NOW // DAY for day in days]


def night(office: Office) -> int:
    """The gateway counts what is to be counted; how many days are counted more than before."""
    before = len(counted(office))
    assert usage_days.count(office.database, office.now) == 0
    return len(counted(office)) - before


def test_a_day_is_counted_once_when_it_is_over_and_yesterday_too(office: Office, air: Air) -> None:
    sent(air)
    assert night(office) == 0, "today"
    office.now += DAY
    assert night(office) == 0, "yesterday"
    office.now += DAY
    assert (night(office), counted(office)) == (1, [0])
    assert night(office) == 0, "once"
    office.now += 3 * DAY
    assert (night(office), counted(office)) == (3, [0, 1, 2, 3]), "days without anything are counted too"
    assert told(office)["sent"] == 1


def test_a_report_reads_a_counted_day_from_its_sums(office: Office, air: Air) -> None:
    """Otherwise the other tests here would compare the rows with themselves."""
    sent(air)
    office.now += 2 * DAY
    night(office)
    with office.database.write() as tx:
        tx.execute("UPDATE usage_day SET sent = 7")
        tx.execute("UPDATE usage_counted SET charged = 8")
    with office.database.read() as view:
        assert lists_credits.charged(view, office.organisation_id, ALWAYS.start, ALWAYS.end) == 8
        assert lists_reports.usage(view, office.organisation_id, ALWAYS, ("user_id",))[(office.user_id,)]["sent"] == 7
        assert lists_reports.usage(view, office.organisation_id, ALWAYS, ("case_id",))[(office.case_id,)]["sent"] == 1


def test_a_report_on_delivery_that_comes_days_late_is_told_at_once(office: Office, air: Air) -> None:
    (_, delivered), (_, lost) = sent(air), sent(air)
    office.now += 2 * DAY
    night(office)
    assert (told(office)["delivered"], told(office)["failed"]) == (0, 0)
    air.report(delivered, DELIVERED)
    air.report(lost, LOST)
    assert (told(office)["delivered"], told(office)["failed"]) == (1, 1)
    assert counted(office) == []
    assert night(office) == 1
    assert (told(office)["delivered"], told(office)["failed"]) == (1, 1)
    assert counted(office) == [0]


def test_what_the_network_says_after_our_own_last_word_is_told(office: Office, air: Air) -> None:
    message_id, tp_mr = sent(air)
    air.report(tp_mr, LOST)
    office.now += 2 * DAY
    night(office)
    assert told(office)["failed"] == 1
    with office.database.write() as tx:
        endings.move(tx, locked_message(tx, message_id), State.DELIVERED, office.now, "network")
    assert (told(office)["failed"], told(office)["delivered"]) == (0, 1)


def _is_sent(office: Office, air: Air) -> None:
    sent(air)


def _is_answered(office: Office, air: Air) -> None:
    office.hear("Tack!", scts=office.now)


def _withdraws(office: Office, air: Air) -> None:
    push = ConsentPush(status="revoked", captured_at=office.now, evidence=EVIDENCE)
    with office.database.write() as tx:
        push_consent(tx, office.organisation_id, "cand-1", "sms", push, "key:test", office.now)


def _a_stranger_says_stop(office: Office, air: Air) -> None:
    with office.database.write() as tx:
        usage.stranger_opted_out(tx, "+46701740609", ICCID, office.now)


def _on_the_air(office: Office, air: Air) -> Part:
    office.accept()
    claimed = air.claim()
    assert claimed is not None
    return claimed.parts[0]


def _runs_out(office: Office, air: Air) -> None:
    part = _on_the_air(office, air)
    air.unknown(part)
    with office.database.write() as tx:
        release.expire(tx, part.message_id, office.now)


def _is_erased(office: Office, air: Air) -> None:
    air.unknown(_on_the_air(office, air))
    with office.database.write() as tx:
        erase.erase(tx, office.organisation_id, "cand-1", "asked", office.now, "key:test", office.now)


def _is_refused(office: Office, air: Air) -> None:
    air.refuse(_on_the_air(office, air), GiveUp("bad number"))


@pytest.mark.parametrize(
    ("happens", "counts"),
    [
        (_is_sent, "credits"),
        (_is_answered, "inbound"),
        (_withdraws, "opt_outs"),
        (_a_stranger_says_stop, "opt_outs"),
        (_runs_out, "failed"),
        (_is_erased, "failed"),
        (_is_refused, "failed"),
    ],
)
def test_what_happens_on_a_counted_day_because_the_clock_was_set_back_is_told(
    office: Office, air: Air, happens: Callable[[Office, Air], None], counts: str
) -> None:
    sent(air)
    office.now += 5 * DAY
    night(office)
    before = told(office).get(counts, 0)
    office.now -= 4 * DAY  # to a day that was counted as one without anything
    happens(office, air)
    assert told(office)[counts] == before + 1
    assert 1 not in counted(office)
    office.now += 6 * DAY
    night(office)
    assert told(office)[counts] == before + 1
    assert 1 in counted(office)


def test_what_retention_lets_go_is_counted_no_longer(office: Office, air: Air, tmp_path: Path) -> None:
    _, tp_mr = sent(air)
    air.report(tp_mr, DELIVERED)
    office.hear("Tack!")
    for _ in range(34):
        office.now += 2 * DAY
        office.hear("Tack igen!", scts=office.now)
    with office.database.write() as tx:
        tx.execute("UPDATE hiring_case SET closed_at = ?", office.now)
    upkeep = Upkeep(office.database, tmp_path, keys.ensure(tmp_path))
    upkeep.look(office.now)
    assert _retention_ran(office)
    assert (len(counted(office)), told(office)["inbound"]) == (59, 35), "thirty days with something, and those between"
    upkeep.look(office.now + 60_000)
    assert (counted(office), told(office)["inbound"]) == (list(range(67)), 35)
    office.now += 1500 * DAY
    upkeep.look(office.now)
    for minute in range(1, 4):
        assert told(office) == {**dict.fromkeys(lists_reports.COUNTS, 0), "segments": 1, "credits": 1}
        upkeep.look(office.now + minute * 60_000)
    assert counted(office) == list(range(68 + 1500 - 1))


def _retention_ran(office: Office) -> bool:
    with office.database.read() as view:
        return retention.last_run(view) is not None


def test_months_of_any_zone_are_the_days_and_their_edges(office: Office, air: Air) -> None:
    for hours in (0, 5, 13, 23, 30, 47, 71):
        office.now = NOW + hours * 3_600_000
        sent(air)
    zones = ("UTC", "Pacific/Auckland", "America/New_York")
    before = [_by_month(office, zone) for zone in zones]
    office.now += 40 * DAY
    assert night(office) > 30
    assert [_by_month(office, zone) for zone in zones] == before
    for every in (2, 3, 7):
        with office.database.write() as tx:
            tx.execute("UPDATE usage_counted SET counted = 0 WHERE day % ? = 0", every)
        assert [_by_month(office, zone) for zone in zones] == before
        night(office)
        assert counted(office) == list(range(42))
        assert [_by_month(office, zone) for zone in zones] == before


def _by_month(office: Office, zone: str) -> list[Any]:
    with office.database.read() as view:
        found = reports.usage(view, office.organisation_id, "month", date(2026, 2, 1), date(2026, 3, 3), zone)
        daily = reports.usage(view, office.organisation_id, "user,country", date(2026, 3, 3), date(2026, 3, 4), zone)
    return [found["rows"], daily["rows"]]


# Two at one time: only PostgreSQL lets them.


@pytest.fixture
def shared(_shared_postgresql: str) -> Iterator[Office]:
    wipe(_shared_postgresql)
    database = Database(_shared_postgresql)
    yield open_office(database)
    database.close()


@pytest.mark.postgresql
def test_a_count_waits_for_a_change_that_is_not_committed(shared: Office) -> None:
    message_id, _ = sent(Air(shared))
    shared.now += 2 * DAY
    counting = threading.Thread(target=_night_aside, args=(shared,))
    with shared.database.write() as tx:
        endings.move(tx, locked_message(tx, message_id), State.DELIVERED, shared.now, "network")
        counting.start()
        until(lambda: tx.value("SELECT COUNT(*) AS n FROM pg_locks WHERE NOT granted"), about="the count waits")
    counting.join(20)
    assert counted(shared) == [0]
    assert told(shared)["delivered"] == 1


@pytest.mark.postgresql
def test_a_change_that_began_before_a_count_and_ends_after_it_undoes_it(shared: Office) -> None:
    message_id, _ = sent(Air(shared))
    shared.now += 2 * DAY
    counting = threading.Thread(target=_night_aside, args=(shared,))
    with shared.database.write() as tx:
        tx.execute("UPDATE message SET state = 'delivered' WHERE id = ?", message_id)
        counting.start()
        counting.join(20)
        assert not counting.is_alive()
        usage_days.changed(tx, shared.organisation_id, NOW, shared.now)
    assert counted(shared) == []
    assert told(shared)["delivered"] == 1


def _night_aside(office: Office) -> None:
    try:
        night(office)
    finally:
        office.database.close()
