"""The pure rules of interviews: reminder times over changes of clocks, quiet hours, slots, and what an answer means."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import config
from gateway.errors import Refused
from gateway.rules import quiet_hours
from gateway.rules.interview_texts import Phrases
from gateway.rules.interviews import (
    BEFORE_START_MS,
    Answer,
    AnswerWords,
    Said,
    Slot,
    check_link,
    check_slots,
    firing,
    nominal_at,
    read_offset,
    too_close,
    zone_of,
)
from gateway.rules.links import Links, digest, is_token
from gateway.rules.quiet_hours import ALWAYS, QuietHours, Week, is_open

STOCKHOLM, NEW_YORK, SYDNEY = "Europe/Stockholm", "America/New_York", "Australia/Sydney"
DAYTIME = QuietHours((Week.read({"weekdays": "08:00-20:00", "saturday": "10:00-18:00", "sunday": "hold"}),), (STOCKHOLM,))
HOUR = 3_600_000


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def local(text: str, zone: str, fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


CHANGES = [
    # zone, start (wall time), offset, when it should come (UTC), what the wall clock says then
    (STOCKHOLM, "2026-10-26 09:00", "P1D", "2026-10-25 08:00", "Sunday 09:00, the day of the change"),
    (STOCKHOLM, "2026-10-26 09:00", "P2D", "2026-10-24 07:00", "Saturday 09:00, still summer time: 49 hours"),
    (STOCKHOLM, "2026-10-26 09:00", "PT2H", "2026-10-26 06:00", "Monday 07:00"),
    (STOCKHOLM, "2026-10-25 09:00", "P1D", "2026-10-24 07:00", "Saturday 09:00: 25 hours"),
    (STOCKHOLM, "2026-10-25 09:00", "PT24H", "2026-10-24 08:00", "Saturday 10:00: 24 hours elapsed"),
    (STOCKHOLM, "2026-10-25 04:00", "PT2H", "2026-10-25 01:00", "02:00 for the second time"),
    (STOCKHOLM, "2026-10-25 03:30", "PT2H", "2026-10-25 00:30", "02:30 for the first time"),
    (STOCKHOLM, "2026-10-26 02:30", "P1D", "2026-10-25 00:30", "02:30 comes twice: the first"),
    (STOCKHOLM, "2027-03-29 09:00", "P1D", "2027-03-28 07:00", "Sunday 09:00, the day of the change"),
    (STOCKHOLM, "2027-03-29 09:00", "P2D", "2027-03-27 08:00", "Saturday 09:00, still winter time: 47 hours"),
    (STOCKHOLM, "2027-03-29 09:00", "PT2H", "2027-03-29 05:00", "Monday 07:00"),
    (STOCKHOLM, "2027-03-28 09:00", "P1D", "2027-03-27 08:00", "Saturday 09:00: 23 hours"),
    (STOCKHOLM, "2027-03-28 04:00", "PT2H", "2027-03-28 00:00", "01:00, before the skipped hour"),
    (STOCKHOLM, "2027-03-29 02:30", "P1D", "2027-03-28 01:30", "02:30 is skipped: 03:30"),
    (STOCKHOLM, "2027-03-29 09:00", "P1DT2H", "2027-03-28 05:00", "two hours before Sunday 09:00"),
    (STOCKHOLM, "2027-04-04 09:00", "P1W", "2027-03-28 07:00", "a week before, 09:00"),
    (NEW_YORK, "2026-11-02 10:00", "P1D", "2026-11-01 15:00", "Sunday 10:00, the day of the change"),
    (NEW_YORK, "2026-11-02 10:00", "P2D", "2026-10-31 14:00", "Saturday 10:00, still summer time"),
    (NEW_YORK, "2026-11-02 10:00", "PT2H", "2026-11-02 13:00", "Monday 08:00"),
    (NEW_YORK, "2026-11-01 03:00", "PT2H", "2026-11-01 06:00", "01:00 for the second time"),
    (NEW_YORK, "2026-10-26 10:00", "P2D", "2026-10-24 14:00", "Europe's change is none here"),
    (NEW_YORK, "2027-03-15 10:00", "P1D", "2027-03-14 14:00", "Sunday 10:00, the day of the change"),
    (NEW_YORK, "2027-03-15 10:00", "P2D", "2027-03-13 15:00", "Saturday 10:00, still winter time"),
    (NEW_YORK, "2027-03-15 10:00", "PT2H", "2027-03-15 12:00", "Monday 08:00"),
    (NEW_YORK, "2027-03-14 04:00", "PT2H", "2027-03-14 06:00", "01:00, before the skipped hour"),
    (SYDNEY, "2026-10-05 10:00", "P1D", "2026-10-03 23:00", "Sunday 10:00, the day of the change"),
    (SYDNEY, "2026-10-05 10:00", "P2D", "2026-10-03 00:00", "Saturday 10:00, still winter time"),
    (SYDNEY, "2026-10-05 10:00", "PT2H", "2026-10-04 21:00", "Monday 08:00"),
    (SYDNEY, "2027-03-29 10:00", "P2D", "2027-03-26 23:00", "Europe's change is none here"),
    (SYDNEY, "2027-04-05 10:00", "P1D", "2027-04-04 00:00", "Sunday 10:00, the day of the change"),
    (SYDNEY, "2027-04-05 10:00", "P2D", "2027-04-02 23:00", "Saturday 10:00, still summer time"),
    (SYDNEY, "2027-04-05 10:00", "PT2H", "2027-04-04 22:00", "Monday 08:00"),
]


@pytest.mark.parametrize(
    ("zone", "start", "offset", "expected", "said"), CHANGES, ids=[f"{row[0]}-{row[1]}-{row[2]}" for row in CHANGES]
)
def test_days_keep_the_wall_time_and_hours_are_elapsed(zone, start, offset, expected, said):
    found = nominal_at(local(start, zone), ZoneInfo(zone), read_offset(offset))
    assert datetime.fromtimestamp(found / 1000, UTC) == datetime.fromtimestamp(utc(expected) / 1000, UTC), said


ZONES = st.sampled_from([STOCKHOLM, NEW_YORK, SYDNEY, "Europe/London", "Australia/Lord_Howe", "America/St_Johns", "Asia/Manila"])
STARTS = st.integers(utc("2026-01-01"), utc("2030-01-01")).map(lambda moment: moment // 60_000 * 60_000)


@given(ZONES, STARTS, st.integers(1, 60))
def test_a_reminder_in_days_shows_the_same_wall_clock_unless_that_time_is_skipped(zone, start, days):
    there = ZoneInfo(zone)
    then = datetime.fromtimestamp(start / 1000, there)
    found = datetime.fromtimestamp(nominal_at(start, there, read_offset(f"P{days}D")) / 1000, there)
    wanted = then.replace(tzinfo=None) - timedelta(days=days)
    skipped = datetime.fromtimestamp(wanted.replace(tzinfo=there).timestamp(), there).replace(tzinfo=None) != wanted
    assume(not skipped)
    assert (found.date(), found.hour, found.minute) == (wanted.date(), wanted.hour, wanted.minute)


@given(ZONES, STARTS, st.integers(1, 10_000))
def test_a_reminder_in_minutes_is_exactly_as_long_before(zone, start, minutes):
    assert start - nominal_at(start, ZoneInfo(zone), read_offset(f"PT{minutes}M")) == minutes * 60_000


@given(STARTS, st.sampled_from(["PT15M", "PT1H", "PT2H", "PT12H", "P1D", "P2D", "P3DT4H"]))
def test_a_reminder_never_comes_in_quiet_hours_nor_too_late(start, offset):
    plan = firing(start, ZoneInfo(STOCKHOLM), read_offset(offset), DAYTIME, start - 30 * 24 * HOUR)
    if plan.fires_at is None:
        assert plan.skipped == "quiet_hours"
        return
    assert is_open(DAYTIME, plan.fires_at)
    if plan.fires_at != plan.nominal_at:
        assert plan.fires_at <= start - BEFORE_START_MS
        assert not is_open(DAYTIME, plan.nominal_at)


QUIET = [
    # start, offset, fires at (wall time in Stockholm); December 2026, 9th is a Wednesday
    ("2026-12-09 14:00", "PT2H", "2026-12-09 12:00", "in the window: as asked"),
    ("2026-12-09 09:00", "PT2H", "2026-12-09 08:00", "at the opening, an hour before the start"),
    ("2026-12-09 08:30", "PT2H", "2026-12-09 08:00", "the opening is just half an hour before"),
    ("2026-12-09 08:29", "PT2H", "2026-12-08 19:30", "too late: half an hour before the evening's end"),
    ("2026-12-09 22:00", "P1D", "2026-12-09 08:00", "the next morning is still long before"),
    ("2026-12-07 08:15", "PT2H", "2026-12-05 17:30", "before the Sunday that holds: Saturday"),
    ("2026-12-09 20:00", "PT15M", "2026-12-09 19:45", "the end is exclusive, and this is before it"),
]


@pytest.mark.parametrize(("start", "offset", "expected", "said"), QUIET, ids=[row[3] for row in QUIET])
def test_quiet_hours_move_a_reminder(start, offset, expected, said):
    begin = local(start, STOCKHOLM)
    plan = firing(begin, ZoneInfo(STOCKHOLM), read_offset(offset), DAYTIME, begin - 20 * 24 * HOUR)
    assert (plan.fires_at, plan.skipped) == (local(expected, STOCKHOLM), None), said


def test_a_reminder_that_fits_nowhere_is_skipped():
    start = local("2026-12-09 08:15", STOCKHOLM)
    plan = firing(start, ZoneInfo(STOCKHOLM), read_offset("PT2H"), DAYTIME, local("2026-12-09 01:00", STOCKHOLM))
    assert (plan.fires_at, plan.skipped) == (None, "quiet_hours")
    never = QuietHours((Week.read({"weekdays": "hold", "saturday": "hold", "sunday": "hold"}),), (STOCKHOLM,))
    assert firing(start, ZoneInfo(STOCKHOLM), read_offset("PT2H"), never, start - 24 * HOUR).skipped == "quiet_hours"
    assert quiet_hours.next_opening(never, start) is None


def test_a_reminder_whose_time_is_past_says_so():
    start = local("2026-12-09 14:00", STOCKHOLM)
    plan = firing(start, ZoneInfo(STOCKHOLM), read_offset("PT2H"), ALWAYS, start - 2 * HOUR)
    assert (plan.fires_at, plan.skipped) == (None, "reminder_in_past")


def test_two_reminders_keep_a_quarter_of_an_hour_apart_as_asked_and_as_they_come():
    start, zone = local("2026-12-09 14:00", STOCKHOLM), ZoneInfo(STOCKHOLM)
    plan = firing(start, zone, read_offset("PT2H"), ALWAYS, 0)
    quarter = 15 * 60_000
    assert too_close(plan, [(plan.nominal_at - quarter + 1, None)])
    assert not too_close(plan, [(plan.nominal_at - quarter, None), (plan.nominal_at + quarter, None)])
    assert too_close(plan, [(plan.nominal_at + 5 * HOUR, plan.fires_at)])


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1D", "P1M", "P1Y", "PT2S", "P0D", "PT0H", "P61D", "-P1D", "P1.5D", "pt2h", "P1D "]
)
def test_an_offset_that_is_none_is_refused(text):
    with pytest.raises(Refused) as refused:
        read_offset(text)
    assert refused.value.code == "invalid_offset"


@pytest.mark.parametrize(
    "name",
    ["CET+1", "", "Stockholm", "../etc/passwd", "/etc/localtime", "localtime", "Europe/Nowhere", "UTC+2", "Europe", "Factory"],
)
def test_a_zone_that_is_none_is_refused(name):
    with pytest.raises(Refused) as refused:
        zone_of(name)
    assert refused.value.code == "invalid_timezone"


@pytest.mark.parametrize("name", [STOCKHOLM, "UTC", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"])
def test_a_zone_of_the_list_is_taken(name):
    assert zone_of(name).key == name


def slot(ref: str, start: int, *, hours: int = 1, capacity: int = 1) -> Slot:
    return Slot(ref, start * HOUR, (start + hours) * HOUR, capacity)


@pytest.mark.parametrize(
    ("slots", "code"),
    [
        ([], "slots_missing"),
        ([slot("a", 1)], "slot_past"),
        ([slot("a", 5, hours=2), slot("b", 6)], "slots_overlap"),
        ([slot("a", 5), slot("a", 7)], "slot_invalid"),
        ([slot("a", 5, hours=0)], "slot_invalid"),
        ([slot("a", 5, capacity=0)], "slot_invalid"),
        ([slot(str(number), 5 + number) for number in range(51)], "too_many_slots"),
    ],
)
def test_bad_slots_are_refused(slots, code):
    with pytest.raises(Refused) as refused:
        check_slots(slots, 2 * HOUR)
    assert (refused.value.code, refused.value.status) == (code, 422)


def test_slots_that_touch_do_not_overlap_and_come_by_time():
    assert [each.ref for each in check_slots([slot("b", 6), slot("a", 5)], 0)] == ["a", "b"]


WORDS = AnswerWords(config.table("keywords.toml"))


@pytest.mark.parametrize(
    ("text", "languages", "expected"),
    [
        ("1", [], Said(Answer.CONFIRM, 1, None)),
        (" 2. ", ["sv"], Said(Answer.DECLINE, 2, None)),
        ("Ja!", ["sv"], Said(Answer.CONFIRM, None, None)),
        ("nej", ["sv"], Said(Answer.DECLINE, None, None)),
        ("KYLLÄ", ["fi"], Said(Answer.CONFIRM, None, None)),
        ("não", ["pt"], Said(Answer.DECLINE, None, None)),
        ("yes", ["sv", "en"], Said(Answer.CONFIRM, None, None)),
        ("3", ["sv"], Said(None, 3, None)),
        ("2b", ["sv"], Said(Answer.DECLINE, 2, "B")),
        ("1 A", ["sv"], Said(Answer.CONFIRM, 1, "A")),
        ("yes", ["sv"], None),
        ("maybe", ["en"], None),
        ("now", ["en"], None),
        ("No problem", ["en"], None),
        ("ja det går bra", ["sv"], None),
        ("12", [], None),
        ("1 2", [], None),
        ("", ["sv"], None),
        ("👍", ["sv"], None),
    ],
)
def test_only_a_whole_word_is_an_answer(text, languages, expected):
    assert WORDS.read(text, languages) == expected


def test_an_invitation_needs_the_link():
    check_link("Hej, svara här: {{ interview_link }}", "text")
    with pytest.raises(Refused) as refused:
        check_link("Hej, svara 1 eller 2", "text")
    assert refused.value.code == "missing_merge_field"


def test_a_token_has_128_bits_and_is_another_for_every_link():
    links = Links("https://jobs.acme.example", b"k" * 32)
    tokens = {links.token(f"int_{number}", serial) for number in range(50) for serial in (1, 2)}
    assert len(tokens) == 100
    assert all(is_token(token) for token in tokens)
    assert links.token("int_1", 1) == links.token("int_1", 1)
    assert not any(token in digest(token) for token in tokens)
    assert Links("https://x", b"j" * 32).token("int_1", 1) not in tokens


def test_every_language_has_the_texts_that_are_sent_and_keeps_their_fields():
    table = config.table("interviews.toml")
    phrases = Phrases(table)
    values = {"company": "Acme", "when": "W", "title": "T", "list": "L", "items": "I", "letter": "A", "numbers": "N", "zone": "Z"}
    sent = [
        name for name in table["en"] if isinstance(table["en"][name], str) and not name.startswith("page_") and name != "source"
    ]
    for language, row in table.items():
        for name in sent:
            assert name in row, (language, name)
            assert phrases.text(name, language, **values)
            wanted = {field for field in values if "{" + field + "}" in table["en"][name]}
            assert wanted == {field for field in values if "{" + field + "}" in row[name]}, (language, name)
    assert set(table) == set(config.table("keywords.toml")["language"])
