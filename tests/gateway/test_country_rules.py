"""Zones and states of numbers, budgets, trust in the clock, commissioning: the pure rules, and holds over a real store."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flows.hours import area_codes, country_table, hours_of_country, shipped_holidays, where
from gateway.rules import budgets, countries
from gateway.rules.clock_trust import RELEASED_AT, Seen, Trust, judge
from gateway.rules.quiet_hours import is_open
from gateway.rules.zones import zones_of

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("e164", "iso", "state", "zones"),
    [
        ("+12125550123", "US", "US-NY", ("America/New_York",)),
        ("+18505550123", "US", "US-FL", ("America/New_York", "America/Chicago")),  # Pensacola is an hour behind Tallahassee
        ("+13055550123", "US", "US-FL", ("America/New_York",)),
        ("+19155550123", "US", "US-TX", ("America/Denver",)),
        ("+14165550123", "CA", "CA-ON", ("America/Toronto",)),
        ("+17875550123", "PR", None, ("America/Puerto_Rico",)),
        ("+46701740605", "SE", None, ("Europe/Stockholm",)),
        ("+37251234567", "EE", None, ("Europe/Tallinn",)),
        ("+33690123456", "FR", None, ("America/Guadeloupe",)),
        ("+33612345678", "FR", None, ("Europe/Paris",)),
        ("+262692123456", "RE", None, ("Indian/Reunion",)),
        ("+351291234567", "PT", None, ("Atlantic/Madeira",)),
    ],
)
def test_a_number_tells_state_and_zones_by_our_own_tables(e164: str, iso: str, state: str | None, zones: tuple[str, ...]) -> None:
    assert where(e164, iso) == state
    listed = country_table().get(iso, {"zones": ()})["zones"]
    assert zones_of(e164, iso, state, listed) == zones


def test_an_area_code_that_nobody_knows_may_be_anywhere_in_the_country() -> None:
    assert where("+19995550123", "US") is None
    assert "Pacific/Honolulu" in zones_of("+19995550123", "US", None, ())


def test_every_state_of_the_table_of_area_codes_has_zones() -> None:
    assert all(zones_of(None, state[:2], state, ()) != zones_of(None, state[:2], None, ()) for state in area_codes().values())


def test_the_shipped_calendar_reaches_from_2026_to_2028_for_every_country() -> None:
    for iso in country_table():
        assert {day.year for day in shipped_holidays(iso)} == {2026, 2027, 2028}, iso
    assert date(2026, 12, 25) in shipped_holidays("DE")
    assert not is_open(hours_of_country('"default"', "DE", "UTC"), ms(2026, 12, 25, 11))


def test_an_unknown_country_has_nine_to_six_in_the_zone_of_the_sim() -> None:
    hours = hours_of_country('"default"', "KE", "Europe/Stockholm")
    assert hours.zones == ("Europe/Stockholm",)
    assert [is_open(hours, ms(2026, 6, 1, hour)) for hour in (6, 7, 15, 16)] == [False, True, True, False]


def ms(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Se https://a.example/x", True),
        ("www.acme.example", True),
        ("acme.se/jobb", True),
        ("Acme-Jobs.com", True),
        ("Mejla hr@acme.se", False),
        ("Kl. 14.30 på Storgatan 2.B", False),
        ("Hej! Vi ses.Eva", False),
        ("2 nd.", False),
    ],
)
def test_a_link_is_found_and_an_address_or_a_time_is_none(text: str, found: bool) -> None:
    assert countries.has_link(text) is found


def test_every_state_can_be_left_and_only_testing_and_suspension_lead_to_active() -> None:
    assert set(countries.FOLLOWS) == set(countries.STATES)
    assert {state for state, after in countries.FOLLOWS.items() if "active" in after} == {"testing", "suspended"}


def test_a_review_is_due_after_180_days_and_not_before() -> None:
    day = countries.DAY_MS
    assert not countries.review(0, 180 * day).due
    assert countries.review(0, 180 * day + 1).due
    assert countries.review(None, 0).due


def row(**used: int) -> dict[str, int]:
    starts = budgets.periods_at(NOON, "Europe/Stockholm")
    columns = {f"{name}_from": start for name, start in starts.items()}
    return {**columns, **{f"{name}_used": used.get(name, 0) for name in starts}, "recipients_used": used.get("recipients", 0)}


NOON = ms(2026, 10, 24, 10)


def test_the_longest_full_budget_says_when_there_is_room_again() -> None:
    tally = budgets.current(row(hour=9, day=10, month=10), NOON, "Europe/Stockholm")
    full = budgets.full({"hour": 10, "day": 10}, tally, 2, False, "Europe/Stockholm")
    assert full is not None
    assert (full.period, full.free_at) == ("day", ms(2026, 10, 24, 22))  # midnight of the night in which summer time ends
    month = budgets.full({"recipients": 5, "month": 10}, tally, 1, True, "Europe/Stockholm")
    assert month is not None
    assert (month.period, month.free_at) == ("month", ms(2026, 10, 31, 23))


def test_a_new_recipient_counts_and_a_known_one_does_not() -> None:
    tally = budgets.current(row(recipients=5), NOON, "UTC")
    assert budgets.full({"recipients": 5}, budgets.current(None, NOON, "UTC"), 1, True, "UTC") is None
    assert budgets.full({"recipients": 5}, tally, 1, False, "UTC") is None


def test_a_message_larger_than_its_budget_may_leave_alone() -> None:
    assert budgets.full({"minute": 2}, budgets.current(None, NOON, "UTC"), 4, False, "UTC") is None
    assert budgets.full({"day": 0}, budgets.current(None, NOON, "UTC"), 1, False, "UTC") is not None


@given(st.integers(1, 300), st.lists(st.integers(1, 4), max_size=200))
@settings(max_examples=50, deadline=None)
def test_each_threshold_is_told_once(limit: int, parts: list[int]) -> None:
    used, told = 0, []
    for each in parts:
        before = budgets.current(row(day=used), NOON, "Europe/Stockholm")
        used += each
        told += budgets.crossed({"day": limit}, before, {"day": used})
    assert len(told) == len(set(told))
    assert (("day", 100) in told) is (used >= limit)


def test_a_sender_without_pacing_has_only_the_budgets_that_are_written() -> None:
    assert budgets.limits_of({"budgets": "{}", "gap_ms": 0}) == {}
    assert budgets.limits_of({"budgets": '{"day": 5}', "gap_ms": 0}) == {"day": 5}
    assert budgets.limits_of({"budgets": '{"day": 5}', "gap_ms": 6000}) == {**budgets.FACTORY, "day": 5}


GOOD = RELEASED_AT + HOUR


@pytest.mark.parametrize(
    ("before", "seen", "verdict"),
    [
        (None, Seen(GOOD, 0, 0, "", False), Trust(True)),
        (None, Seen(GOOD, 0, 0, "", True), Trust(False, "no_rtc")),
        (None, Seen(GOOD, 0, 0, "ntp", True), Trust(True)),
        (None, Seen(RELEASED_AT - 1, 0, 0, "", False), Trust(False, "before_release")),
        (None, Seen(GOOD, GOOD + HOUR, 0, "", False), Trust(False, "before_newest")),
        (Trust(True), Seen(GOOD, GOOD, 31_000, "", False), Trust(False, "jumped")),
        (Trust(True), Seen(GOOD, GOOD, 29_000, "", False), Trust(True)),
        (Trust(True), Seen(GOOD, GOOD, HOUR, "rtc", False), Trust(True)),
        (Trust(False, "jumped"), Seen(GOOD, GOOD, 0, "", False), Trust(False, "jumped")),
        (Trust(False, "jumped"), Seen(GOOD, GOOD, 0, "sms", False), Trust(True)),
    ],
)
def test_the_clock_is_distrusted_only_where_it_is_shown_to_be_wrong(before: Trust | None, seen: Seen, verdict: Trust) -> None:
    assert judge(before, seen) == verdict
