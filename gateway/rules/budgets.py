"""Budgets of a SIM card: how much it may carry per minute, hour, day and month, and to how many people (requirements §3.5).

Pure: limits and a tally in, a verdict out. Periods begin at wall-clock borders of the card's zone; a minute and an hour begin at
their full ones.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

PERIODS = ("minute", "hour", "day", "month", "recipients")
FACTORY: Mapping[str, int] = {"minute": 10, "hour": 100, "day": 200, "month": 4_000, "recipients": 250}
"""What a consumer card stands, by operators' fair-use rules and modems.md §5. Recipients are different people in a month."""
WARN_AT = 0.8
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@dataclass(frozen=True, slots=True)
class Tally:
    """What a card has carried in the periods that run now."""

    minute_from: int
    hour_from: int
    day_from: int
    month_from: int
    used: Mapping[str, int]

    def starts(self) -> dict[str, int]:
        """When each period began."""
        return {"minute": self.minute_from, "hour": self.hour_from, "day": self.day_from, "month": self.month_from}


@dataclass(frozen=True, slots=True)
class Full:
    """A budget that is used up, and when the next period begins."""

    period: str
    free_at: int


def limits_of(sender: Mapping[str, Any]) -> dict[str, int]:
    """The limits of a sender's card. Those not written are the factory's; with pacing switched off (gap 0), none."""
    written = {name: int(value) for name, value in json.loads(sender["budgets"]).items() if value is not None}
    return {**(FACTORY if sender["gap_ms"] > 0 else {}), **written}


def periods_at(now: int, zone: str) -> dict[str, int]:
    """When the minute, hour, day and month began that run now."""
    local = datetime.fromtimestamp(now / 1000, ZoneInfo(zone))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return {
        "minute": now - now % MINUTE_MS,
        "hour": now - now % HOUR_MS,
        "day": round(day.timestamp()) * 1000,
        "month": round(day.replace(day=1).timestamp()) * 1000,
    }


def current(row: Mapping[str, Any] | None, now: int, zone: str) -> Tally:
    """The stored row as it counts now: a period that is over, or not yet there, counts nothing."""
    starts = periods_at(now, zone)
    used: dict[str, int] = {}
    for name in ("minute", "hour", "day", "month"):
        is_same = row is not None and row[f"{name}_from"] == starts[name]
        used[name] = row[f"{name}_used"] if row is not None and is_same else 0
    used["recipients"] = row["recipients_used"] if row is not None and row["month_from"] == starts["month"] else 0
    return Tally(starts["minute"], starts["hour"], starts["day"], starts["month"], used)


def full(limits: Mapping[str, int], tally: Tally, parts: int, is_new_recipient: bool, zone: str) -> Full | None:
    """The budget that a message of so many parts would break, the one that lasts longest; None when it fits.

    A message larger than a whole budget may leave when nothing else was sent in the period: it could never go otherwise.
    """
    found: Full | None = None
    for name, limit in limits.items():
        used = tally.used[name]
        more = int(is_new_recipient) if name == "recipients" else parts
        if more and used + more > limit and (used > 0 or limit == 0):
            free_at = _end_of(name, tally, zone)
            if found is None or free_at > found.free_at:
                found = Full(name, free_at)
    return found


def _end_of(period: str, tally: Tally, zone: str) -> int:
    if period == "minute":
        return tally.minute_from + MINUTE_MS
    if period == "hour":
        return tally.hour_from + HOUR_MS
    days = 1 if period == "day" else 32
    start = tally.day_from if period == "day" else tally.month_from
    local = datetime.fromtimestamp(start / 1000, ZoneInfo(zone)).replace(tzinfo=None) + timedelta(days=days)
    if period != "day":
        local = local.replace(day=1)
    return round(local.replace(tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def crossed(limits: Mapping[str, int], before: Tally, after: Mapping[str, int]) -> list[tuple[str, int]]:
    """Thresholds just passed, as (period, percent): 80 and 100, each once per period; a minute tells nothing."""
    found: list[tuple[str, int]] = []
    for name, limit in limits.items():
        if name == "minute" or limit <= 0:
            continue
        for percent, border in ((80, limit * WARN_AT), (100, limit)):
            if before.used[name] < border <= after[name]:
                found.append((name, percent))
    return found
