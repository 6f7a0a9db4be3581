"""Moments, days and lists as people of a language write them. Pure.

babel's tables are some MB: they are read when something is first said.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

PATTERN = "EEE d MMM HH:mm"
"""Weekday, day, month, time: `Tue 3 Dec 10:00`."""


def base_of(language: str) -> str:
    """`de-AT` → `de`."""
    return language.lower().replace("_", "-").split("-")[0]


def moment_text(at: int, zone: ZoneInfo, language: str, pattern: str = PATTERN) -> str:
    """A moment as people of this language write it, in this zone."""
    from babel.dates import format_datetime

    return str(format_datetime(datetime.fromtimestamp(at / 1000, zone), pattern, locale=_locale(language)))


def day_text(at: int, zone: ZoneInfo, language: str) -> str:
    """The day of a moment: `December 5, 2026`, `5 de dezembro de 2026`."""
    from babel.dates import format_date

    return str(format_date(datetime.fromtimestamp(at / 1000, zone), "long", locale=_locale(language)))


def list_text(words: Iterable[str], language: str) -> str:
    """`SMS and WhatsApp`, `SMS och WhatsApp`."""
    from babel.lists import format_list

    return str(format_list(list(words), locale=_locale(language)))


@lru_cache(maxsize=64)
def _locale(language: str) -> Any:
    from babel.core import Locale, UnknownLocaleError

    for tried in (language.replace("_", "-"), base_of(language)):
        try:
            return Locale.parse(tried, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en")
