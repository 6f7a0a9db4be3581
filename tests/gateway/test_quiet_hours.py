"""Quiet hours: windows in the recipient's wall time, over weekends, holidays, zones and the changes of the clock."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.rules.quiet_hours import (
    ALWAYS,
    Opening,
    QuietHours,
    Week,
    is_open,
    next_opening,
    next_window,
    previous_window,
    read_window,
    window_around,
)

SWEDEN = Week.read({"weekdays": "08:00-20:00", "saturday": "10:00-18:00", "sunday": "hold"})
AUSTRALIA = Week.read({"weekdays": "09:00-20:00", "saturday": "09:00-17:00", "sunday": "hold"})
NIGHT = Week.read({"weekdays": "02:30-24:00", "saturday": "02:30-24:00", "sunday": "02:30-24:00"})
WHOLE = Week.read({"weekdays": "00:00-24:00", "saturday": "00:00-24:00", "sunday": "00:00-24:00"})
STOCKHOLM = QuietHours((SWEDEN,), ("Europe/Stockholm",))
ZONES = (
    "Europe/Stockholm",
    "America/New_York",
    "Australia/Sydney",
    "Australia/Perth",
    "Australia/Lord_Howe",
    "UTC",
    "Asia/Manila",
)


def at(text: str, zone: str = "Europe/Stockholm") -> int:
    """A wall time as ms UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "answer"),
    [
        ("2026-03-02T07:59:59.999", False),
        ("2026-03-02T08:00", True),
        ("2026-03-02T19:59:59.999", True),
        ("2026-03-02T20:00", False),  # the end is exclusive
        ("2026-03-07T09:59", False),  # Saturday
        ("2026-03-07T10:00", True),
        ("2026-03-08T12:00", False),  # Sunday
    ],
)
def test_a_window_holds_its_start_and_not_its_end(moment: str, answer: bool) -> None:
    assert is_open(STOCKHOLM, at(moment)) is answer


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-03-02T07:00", "2026-03-02T08:00"),
        ("2026-03-02T12:00", "2026-03-02T12:00"),
        ("2026-03-02T20:00", "2026-03-03T08:00"),
        ("2026-03-06T21:00", "2026-03-07T10:00"),
        ("2026-03-07T18:00", "2026-03-09T08:00"),  # over the Sunday
        ("2026-03-28T18:00", "2026-03-30T08:00"),  # over the change to summer time
        ("2026-10-24T18:00", "2026-10-26T08:00"),  # and back
    ],
)
def test_the_next_opening_keeps_wall_time(moment: str, opens: str) -> None:
    assert next_opening(STOCKHOLM, at(moment)) == at(opens)


def test_a_holiday_is_a_sunday_and_never_opens_a_day_that_holds() -> None:
    easter = QuietHours((SWEDEN,), ("Europe/Stockholm",), frozenset({date(2026, 4, 3), date(2026, 4, 6)}))
    assert not is_open(easter, at("2026-04-03T12:00"))
    assert next_opening(easter, at("2026-04-02T21:00")) == at("2026-04-04T10:00")
    usa = Week.read({"weekdays": "09:00-20:00", "saturday": "09:00-20:00", "sunday": "12:00-20:00"})
    july = QuietHours((usa,), ("America/New_York",), frozenset({date(2026, 7, 3)}))
    assert not is_open(july, at("2026-07-03T11:59", "America/New_York"))
    assert is_open(july, at("2026-07-03T12:00", "America/New_York"))
    open_on_holidays = Week.read({"weekdays": "hold", "saturday": "hold", "sunday": "hold", "holidays": "08:00-20:00"})
    assert next_opening(QuietHours((open_on_holidays,), ("UTC",), frozenset({date(2026, 7, 3)})), at("2026-07-01T00:00")) is None


def test_of_several_zones_all_must_be_open() -> None:
    australia = QuietHours((AUSTRALIA,), ("Australia/Sydney", "Australia/Perth"))
    assert not is_open(australia, at("2026-06-01T09:30", "Australia/Sydney"))  # 07:30 in Perth
    assert next_opening(australia, at("2026-06-01T09:30", "Australia/Sydney")) == at("2026-06-01T11:00", "Australia/Sydney")
    assert window_around(australia, at("2026-06-01T12:00", "Australia/Sydney")) == Opening(
        at("2026-06-01T09:00", "Australia/Perth"), at("2026-06-01T20:00", "Australia/Sydney")
    )


def test_a_state_can_only_narrow_what_its_country_allows() -> None:
    usa = Week.read({"weekdays": "09:00-20:00", "saturday": "09:00-20:00", "sunday": "12:00-20:00"})
    texas = Week.read({"weekdays": "09:00-21:00", "saturday": "09:00-21:00", "sunday": "12:00-21:00"})
    both = QuietHours((usa, texas), ("America/Chicago",))
    assert not is_open(both, at("2026-06-01T20:30", "America/Chicago"))


def test_the_week_of_israel_begins_on_sunday() -> None:
    israel = Week.read(
        {"weekdays": "08:00-20:00", "saturday": "hold", "sunday": "08:00-20:00", "friday": "08:00-13:00", "holidays": "hold"}
    )
    hours = QuietHours((israel,), ("Asia/Jerusalem",))
    assert next_opening(hours, at("2026-06-05T13:00", "Asia/Jerusalem")) == at("2026-06-07T08:00", "Asia/Jerusalem")


def test_a_skipped_hour_opens_at_the_first_moment_after_it() -> None:
    night = QuietHours((NIGHT,), ("Europe/Stockholm",))
    skipped = next_opening(night, at("2026-03-29T01:30"))
    assert skipped == round(datetime(2026, 3, 29, 1, 0, tzinfo=UTC).timestamp() * 1000)  # 02:00 became 03:00


def test_an_hour_that_comes_twice_is_judged_by_its_wall_time_both_times() -> None:
    night = QuietHours((NIGHT,), ("Europe/Stockholm",))
    first = round(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp() * 1000)  # 02:30 in summer time
    back = first + 30 * 60_000  # 02:00 again
    assert is_open(night, first)
    assert not is_open(night, back)
    assert next_opening(night, back) == back + 30 * 60_000


def test_windows_that_touch_are_one() -> None:
    assert window_around(QuietHours((WHOLE,), ("UTC",)), 0) is not None
    night = window_around(QuietHours((NIGHT,), ("UTC",)), at("2026-06-01T23:59", "UTC"))
    assert night == Opening(at("2026-06-01T02:30", "UTC"), at("2026-06-02T00:00", "UTC"))


def test_a_week_that_never_opens_has_no_opening() -> None:
    never = QuietHours((Week.read({"weekdays": "hold", "saturday": "hold", "sunday": "hold"}),))
    assert (next_opening(never, 0), next_window(never, 0), previous_window(never, 10**12)) == (None, None, None)


def test_a_country_that_is_always_open_holds_nothing() -> None:
    assert is_open(ALWAYS, 0)
    assert next_opening(ALWAYS, 5) == 5
    assert window_around(ALWAYS, 5) is not None
    assert previous_window(ALWAYS, 5) is None


@pytest.mark.parametrize("text", ["", "8-20", "20:00-08:00", "08:00-08:00", "08:00-24:01", "24:00-24:00", "08:60-09:00", "HOLD"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a window is written"):
        read_window(text)


MOMENTS = st.integers(at("2026-01-01T00:00") // 60_000, at("2028-12-31T00:00") // 60_000).map(lambda minute: minute * 60_000)
CHANGES = [
    at("2026-03-29T01:00"),
    at("2026-10-25T00:30"),
    at("2026-04-05T01:00", "Australia/Sydney"),
    at("2026-11-01T00:30", "America/New_York"),
]
NEAR_CHANGES = st.builds(lambda change, minutes: change + minutes * 60_000, st.sampled_from(CHANGES), st.integers(-2880, 2880))
HOURS = st.builds(
    QuietHours,
    st.lists(st.sampled_from([SWEDEN, AUSTRALIA, NIGHT, WHOLE]), min_size=1, max_size=2).map(tuple),
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True).map(tuple),
    st.frozensets(st.dates(date(2026, 3, 1), date(2026, 4, 10)), max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(HOURS, MOMENTS | NEAR_CHANGES)
@example(QuietHours((NIGHT,), ("Europe/Stockholm",)), CHANGES[0])
@example(QuietHours((NIGHT,), ("Europe/Stockholm",)), CHANGES[1])
def test_nothing_is_open_between_now_and_the_next_opening_and_windows_are_whole(hours: QuietHours, moment: int) -> None:
    opens = next_opening(hours, moment)
    if opens is None:
        return
    assert opens >= moment
    assert is_open(hours, opens)
    step = 15 * 60_000
    looked = [moment + n * step for n in range(min(120, (opens - moment) // step + 1))]
    assert not any(is_open(hours, each) for each in looked if each < opens)
    assert opens == moment or not is_open(hours, opens - 1)
    around = window_around(hours, opens)
    assert around is not None
    assert around.opens <= opens < around.closes
    assert is_open(hours, around.closes - 1)
    if around.closes < moment + 70 * 86_400_000:
        assert not is_open(hours, around.closes)


@settings(max_examples=40, deadline=None)
@given(HOURS, MOMENTS | NEAR_CHANGES)
def test_the_previous_window_was_over_and_nothing_was_open_since(hours: QuietHours, moment: int) -> None:
    before = previous_window(hours, moment)
    if before is None:
        return
    assert before.opens < before.closes <= moment
    now_open = window_around(hours, moment)
    end = moment if now_open is None else now_open.opens
    step = 15 * 60_000
    assert not any(is_open(hours, before.closes + n * step) for n in range(min(120, max(0, end - before.closes) // step)))


@settings(max_examples=60, deadline=None)
@given(MOMENTS | NEAR_CHANGES, st.sampled_from(ZONES))
def test_a_moment_is_open_exactly_when_its_wall_time_is_inside(moment: int, zone: str) -> None:
    local = datetime.fromtimestamp(moment / 1000, ZoneInfo(zone))
    inside = {5: 10 <= local.hour < 18, 6: False}.get(local.weekday(), 8 <= local.hour < 20)
    assert is_open(QuietHours((SWEDEN,), (zone,)), moment) is inside
