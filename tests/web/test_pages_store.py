"""The pages' questions and the sign-in flows, on each engine."""

from zoneinfo import ZoneInfo

from gateway.flows import sign_in
from gateway.rules.lifecycle import State
from gateway.store import lists_credits, lists_pages
from gateway.store.database import Database
from tests.support import ManualClock
from tests.web.pages_fixtures import ORG, add_gateway, add_ledger, add_modem, email, message_id, seed

STOCKHOLM = ZoneInfo("Europe/Stockholm")
DAY = 86_400_000


def test_messages_come_newest_first_and_page_by_key(database: Database, clock: ManualClock) -> None:
    seed(database, clock.now_ms())
    with database.read() as view:
        first = lists_pages.messages(view, ORG, member=None, limit=4)
        second = lists_pages.messages(view, ORG, member=None, limit=40, before=first.older)
        waiting = lists_pages.messages(view, ORG, member=None, states=(State.HELD, State.QUEUED))
        mine = lists_pages.messages(view, ORG, member="usr_recruiter")

    assert [line.id for line in first.lines] == [message_id(number) for number in (91, 10, 9, 8)]
    assert first.older == message_id(8)
    assert [line.id for line in second.lines] == [message_id(number) for number in range(7, 0, -1)]
    assert second.older is None
    assert [line.state for line in waiting.lines] == ["queued", "held"]
    assert message_id(91) not in [line.id for line in mine.lines]
    assert first.lines[0].text.startswith("Hej")


def test_a_message_tells_what_happened_in_order(database: Database, clock: ManualClock) -> None:
    seed(database, clock.now_ms())
    with database.read() as view:
        found = lists_pages.message(view, ORG, message_id(5), member=None)
        assert lists_pages.message(view, ORG, message_id(91), member="usr_recruiter") is None
        assert not lists_pages.message_is_visible(view, ORG, message_id(90), member=None)

    assert found is not None
    assert [moment.what for moment in found.timeline] == [
        "accepted",
        "part_submitted",
        "part_sent",
        "part_submitted",
        "part_sent",
        "part_delivered",
        "part_delivered",
    ]
    assert (found.sender, found.case_title, found.author) == ("+46700000000", "Welder", "Recruiter Person")
    assert "part 1" in found.text
    assert "part 2" in found.text


def test_modems_carry_their_number_and_their_gateways_heartbeat(database: Database, clock: ManualClock) -> None:
    now = clock.now_ms()
    seed(database, now)
    with database.write() as tx:
        add_gateway(tx, now)
        add_modem(tx, "b", "ready", now)
        add_modem(tx, "a", "ready", now, iccid="8946071111")
        add_modem(tx, "c", "removed", now)
    with database.read() as view:
        first, second = lists_pages.modems(view)

    assert (first.name, first.sender, first.heartbeat_at) == ("a", "+46700000000", now)
    assert second.sender is None
    assert not first.is_stale(now + 45_000)
    assert first.is_stale(now + 45_001)


def test_the_chart_ends_at_the_balance_and_cuts_days_in_the_zone(database: Database, clock: ManualClock) -> None:
    now = clock.now_ms()  # Monday 11:00 in Stockholm
    seed(database, now)
    with database.write() as tx:
        tx.insert("balance", organisation_id=ORG, available=93, reserved=2)
        add_ledger(tx, "grant", 100, now - 40 * DAY, reference="old")
        add_ledger(tx, "reserve", -3, now - 12 * 3_600_000)  # Sunday 22:00 UTC, 23:00 in Stockholm
        add_ledger(tx, "reserve", -4, now - 10 * 3_600_000 - 1800_000)  # Sunday 23:30 UTC, Monday there
    with database.read() as view:
        found = lists_credits.credits(view, ORG, now=now, zone=STOCKHOLM, limit=2)
        older = lists_credits.credits(view, ORG, now=now, zone=STOCKHOLM, limit=2, before=found.older)

    assert [(day.balance, day.spent) for day in found.days[-3:]] == [(100, 0), (97, 3), (93, 4)]
    assert len(found.days) == 30
    assert [line.amount for line in found.lines + older.lines] == [-4, -3, 100]
    assert older.older is None


def test_a_session_lives_as_long_as_it_is_used(database: Database, clock: ManualClock) -> None:
    now = clock.now_ms()
    seed(database, now)
    with database.read() as view:
        account = sign_in.look_up(view, email("admin"), "192.0.2.1", now)
    with database.write() as tx:
        entered = sign_in.settle(tx, account, True, "192.0.2.1", now)
    assert isinstance(entered, sign_in.SignedIn)
    with database.read() as view:
        viewer = sign_in.resume(view, entered.token, now + sign_in.IDLE_MS - 1)
        assert sign_in.resume(view, entered.token, now + sign_in.IDLE_MS) is None
        assert sign_in.resume(view, entered.token + "x", now) is None
    assert viewer is not None
    assert viewer.may("settings.edit")
    with database.write() as tx:
        sign_in.touch(tx, viewer, now + 1000)
        other = sign_in.open_session(tx, viewer.user_id, "192.0.2.2", now)
    with database.read() as view:
        assert len(sign_in.sessions_of(view, viewer.user_id, now + 2000)) == 2
    with database.write() as tx:
        assert sign_in.sign_out_others(tx, viewer, now) == 1
    with database.read() as view:
        assert sign_in.resume(view, other, now) is None
        assert sign_in.resume(view, entered.token, now + sign_in.IDLE_MS) is not None


def test_the_sixth_guess_is_not_looked_at(database: Database, clock: ManualClock) -> None:
    now = clock.now_ms()
    seed(database, now)
    for number in range(5):
        with database.read() as view:
            account = sign_in.look_up(view, email("admin"), "2001:db8::1", now + number)
            assert account.retry_at is None
        with database.write() as tx:
            sign_in.settle(tx, account, False, "2001:db8::1", now + number)
    with database.read() as view:
        locked = sign_in.look_up(view, email("ADMIN"), "192.0.2.9", now + 5)
        free = sign_in.look_up(view, email("admin"), "192.0.2.9", now + sign_in.WINDOW_MS)

    assert locked.retry_at == now + sign_in.WINDOW_MS
    assert free.retry_at is None
