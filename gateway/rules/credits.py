"""Thresholds of a balance, and months of an allowance. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

THRESHOLDS: Final = (20, 5, 0)
"""Percent of the balance after the last grant at which `credits.low` is told (S16), unless an organisation has others."""
ARMED: Final = 100
"""Nothing told since the last grant."""


def crossed(available: int, full: int, told: int, thresholds: Sequence[int] = THRESHOLDS) -> int | None:
    """The lowest threshold (percent of `full`) that a balance has come down to, if it is lower than the last one told."""
    reached = [percent for percent in thresholds if available * 100 <= full * percent]
    return min(reached) if reached and min(reached) < told else None


def month_of(now: int, zone: str = "UTC") -> str:
    """The accounting month of a moment, `2026-11`, where the organisation is."""
    return datetime.fromtimestamp(now / 1000, UTC if zone == "UTC" else ZoneInfo(zone)).strftime("%Y-%m")


def next_month(month: str) -> str:
    """`2026-12` → `2027-01`."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def carried(before: Mapping[str, int], carry_over: int, months: int, monthly: int) -> int:
    """What comes along from an earlier month (`monthly`, `carried`, `used`) that lies `months` back, at most `carry_over`.

    The months in between were not touched: nothing was used, and each got `monthly`.
    """
    left = min(carry_over, max(0, before["monthly"] + before["carried"] - before["used"]))
    for _ in range(months - 1):
        left = min(carry_over, left + monthly)
        if left == carry_over:
            break
    return left


def months_between(earlier: str, later: str) -> int:
    """How many months after `earlier` `later` comes."""
    return (int(later[:4]) - int(earlier[:4])) * 12 + int(later[5:]) - int(earlier[5:])
