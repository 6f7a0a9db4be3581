"""Quiet hours: whether a candidate may be written to at a moment, and when the next window opens (requirements §3.4).

Pure: a moment in ms UTC and `QuietHours` in, moments out. Windows stand in the recipient's own wall time, their end exclusive.
Where a number may be in several zones, or a country and one of its states both have hours, all of them must be open.

    hours = QuietHours((Week.read(row),), ("Europe/Stockholm",), holidays)
    is_open(hours, now)              True inside every window
    next_opening(hours, now)         now, or when the next window opens; None where none does within two months
    window_around(hours, now)        the window that is open now; None in quiet hours
    previous_window(hours, now)      the last window that was over at now
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HORIZON_DAYS = 62
"""So far ahead or back a window is looked for: no calendar has two closed months."""
BEGINNING, END = 0, 4_102_444_800_000
"""The window of a country that is always open."""

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)|([01]\d|2[0-3]):([0-5]\d)-24:00")
_DAY_MS = 86_400_000

Minutes = tuple[int, int]
"""From the first minute of a day to the one that is no longer inside; (0, 0) is a day that holds."""


def read_window(text: str) -> Minutes:
    """`"08:00-20:00"` or `"hold"`. Raises ValueError for anything else."""
    if text == "hold":
        return (0, 0)
    if _WINDOW.fullmatch(text):
        start, _, end = text.partition("-")
        first, last = (int(part[:2]) * 60 + int(part[3:]) for part in (start, end))
        if first < last:
            return first, last
    raise ValueError('a window is written "08:00-20:00", its end exclusive, or "hold"')


@dataclass(frozen=True, slots=True)
class Week:
    """The windows of one rule: seven weekdays from Monday, and the one of a holiday."""

    days: tuple[Minutes, ...]
    holiday: Minutes

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Week":
        """A row of countries.toml or own hours: weekdays, saturday, sunday; single days and holidays where they differ."""
        usual = {"saturday": row["saturday"], "sunday": row["sunday"]}
        days = tuple(read_window(row.get(day) or usual.get(day, row["weekdays"])) for day in DAYS)
        return cls(days, read_window(row.get("holidays") or row["sunday"]))

    def minutes(self, day: date, holidays: frozenset[date]) -> Minutes:
        """The window of a day. A holiday never opens what its weekday keeps shut."""
        own = self.days[day.weekday()]
        if day not in holidays:
            return own
        first, last = max(own[0], self.holiday[0]), min(own[1], self.holiday[1])
        return (first, last) if first < last else (0, 0)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """All that decides for one candidate: every week must be open in every zone. No week at all: always open."""

    weeks: tuple[Week, ...] = ()
    zones: tuple[str, ...] = ("UTC",)
    holidays: frozenset[date] = field(default_factory=frozenset)

    @property
    def always(self) -> bool:
        """Whether nothing is ever held."""
        return not self.weeks


@dataclass(frozen=True, slots=True)
class Opening:
    """A stretch of time in which one may write: `opens` is inside, `closes` no longer; ms UTC."""

    opens: int
    closes: int


ALWAYS = QuietHours()


def is_open(hours: QuietHours, moment: int) -> bool:
    """Whether one may write at this moment."""
    if hours.always:
        return True
    whole = moment // 1000
    for zone in hours.zones:
        local = datetime.fromtimestamp(whole, _zone(zone))
        minute = local.hour * 60 + local.minute
        for week in hours.weeks:
            first, last = week.minutes(local.date(), hours.holidays)
            if not first <= minute < last:
                return False
    return True


def next_opening(hours: QuietHours, moment: int) -> int | None:
    """The first moment from this one on at which one may write; None where there is none within two months."""
    if is_open(hours, moment):
        return moment
    return next((border for border in _borders_after(hours, moment) if is_open(hours, border)), None)


def window_around(hours: QuietHours, moment: int) -> Opening | None:
    """The window that is open at this moment; None in quiet hours."""
    if hours.always:
        return Opening(BEGINNING, END)
    if not is_open(hours, moment):
        return None
    closes = next((border for border in _borders_after(hours, moment) if not is_open(hours, border)), END)
    opens = BEGINNING
    for border in _borders_before(hours, moment + 1):
        if not is_open(hours, border - 1):
            opens = border
            break
    return Opening(opens, closes)


def next_window(hours: QuietHours, moment: int) -> Opening | None:
    """The window around this moment or, in quiet hours, the one that opens next."""
    opens = next_opening(hours, moment)
    return None if opens is None else window_around(hours, opens)


def previous_window(hours: QuietHours, moment: int) -> Opening | None:
    """The last window that was over at this moment, whether or not another one is open now; None within two months."""
    if hours.always:
        return None
    now_open = window_around(hours, moment)
    start = moment if now_open is None else now_open.opens
    if start == BEGINNING:
        return None
    for border in _borders_before(hours, start + 1):
        if border <= start and is_open(hours, border - 1):
            return window_around(hours, border - 1)
    return None


# --- the moments at which anything may change -------------------------------------------------------------------------


def _borders_after(hours: QuietHours, moment: int) -> Iterator[int]:
    """Moments after this one at which a window may open or shut, in order."""
    for day in range(-1, HORIZON_DAYS):
        start = moment + day * _DAY_MS
        yield from (border for border in _borders(hours, start // _DAY_MS) if border > moment)


def _borders_before(hours: QuietHours, moment: int) -> Iterator[int]:
    """Moments before this one at which a window may have opened or shut, the last first."""
    for day in range(1, -HORIZON_DAYS, -1):
        start = moment + day * _DAY_MS
        yield from (border for border in reversed(_borders(hours, start // _DAY_MS)) if border < moment)


def _borders(hours: QuietHours, utc_day: int) -> list[int]:
    """Those of one day of UTC, sorted."""
    first, past = utc_day * _DAY_MS, (utc_day + 1) * _DAY_MS
    middle = datetime.fromtimestamp(utc_day * 86_400, UTC).date()
    found: set[int] = set()
    for zone in hours.zones:
        found.update(_changes(zone, utc_day))
        for shift in (-1, 0, 1):
            day = middle + timedelta(days=shift)
            minutes = {0, *(minute for week in hours.weeks for minute in week.minutes(day, hours.holidays))}
            found.update(moment for minute in minutes for moment in _moments(zone, day, minute))
    return sorted(border for border in found if first <= border < past)


@lru_cache(maxsize=8192)
def _moments(zone: str, day: date, minute: int) -> tuple[int, ...]:
    """A wall time as moments: two where the clock is set back over it, one that does not matter where it is skipped."""
    at = datetime.combine(day, time()) + timedelta(minutes=minute)
    return tuple(round(at.replace(tzinfo=_zone(zone), fold=fold).timestamp()) * 1000 for fold in (0, 1))


@lru_cache(maxsize=4096)
def _changes(zone: str, utc_day: int) -> tuple[int, ...]:
    """When the zone's offset changes within a day of UTC (at most once)."""
    low, high = utc_day * 86_400, (utc_day + 1) * 86_400
    before, after = _offset(zone, low - 1), _offset(zone, high - 1)
    if before == after:
        return ()
    low -= 1
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return (high * 1000,)


def _offset(zone: str, second: int) -> timedelta | None:
    return datetime.fromtimestamp(second, _zone(zone)).utcoffset()


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
