"""Days and months of a time zone as moments in ms UTC. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """From a moment (inclusive) until another (exclusive)."""

    start: int
    end: int


def day_start(day: date, zone: str) -> int:
    """When a day begins in a zone; where the clocks skip midnight, the first moment after it."""
    return round(datetime.combine(day, time(), ZoneInfo(zone)).timestamp() * 1000)


def days(first: date, last: date, zone: str) -> Period:
    """Both days and all between them."""
    return Period(day_start(first, zone), day_start(last + timedelta(days=1), zone))


def months(first: date, last: date, zone: str) -> list[tuple[str, Period]]:
    """The same, cut at the turn of each month: `2026-03` and its period, oldest first."""
    found = []
    day = first
    while day <= last:
        after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
        found.append((f"{day:%Y-%m}", days(day, min(last, after - timedelta(days=1)), zone)))
        day = after
    return found


def today(now: int, zone: str) -> date:
    """The day it is in a zone."""
    return datetime.fromtimestamp(now / 1000, ZoneInfo(zone)).date()
