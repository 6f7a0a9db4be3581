"""What the box itself says about interviews: acknowledgements, lists of slots, times in a language. Pure.

The words come from config/interviews.toml; a language that lacks one falls back to its base language, then to English.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

PATTERN = "EEE d MMM HH:mm"
"""Weekday, day, month, time: `Tue 3 Dec 10:00`."""


class Phrases:
    """Texts by name and language."""

    def __init__(self, table: Mapping[str, Mapping[str, str]]) -> None:
        self._table = table

    def text(self, name: str, language: str, **values: str) -> str:
        """One text with its `{fields}` filled in. Raises KeyError for a name that English lacks."""
        for tried in (language, base_of(language), "en"):
            words = self._table.get(tried, {}).get(name)
            if words is not None:
                return words.format(**values)
        raise KeyError(name)

    def numbered(self, times: Iterable[tuple[int, int]], zone: ZoneInfo, language: str) -> str:
        """`1 = Tue 3 Dec 10:00`, one line for each (number, starts_at)."""
        return "\n".join(f"{number} = {moment_text(at, zone, language)}" for number, at in times)


def base_of(language: str) -> str:
    """`de-AT` → `de`."""
    return language.lower().replace("_", "-").split("-")[0]


def moment_text(at: int, zone: ZoneInfo, language: str, pattern: str = PATTERN) -> str:
    """A moment as people of this language write it, in this zone."""
    from babel.dates import format_datetime

    return str(format_datetime(datetime.fromtimestamp(at / 1000, zone), pattern, locale=_locale(language)))


def merge_values(starts_at: int, zone: ZoneInfo, location: str, language: str) -> dict[str, Any]:
    """What templates may say of an interview: `interview.starts_at`, `.date`, `.time`, `.location` (rules/templates.py)."""
    return {
        "starts_at": moment_text(starts_at, zone, language),
        "date": moment_text(starts_at, zone, language, "EEEE d MMMM"),
        "time": moment_text(starts_at, zone, language, "HH:mm"),
        "location": location,
    }


@lru_cache(maxsize=64)
def _locale(language: str) -> Any:
    from babel.core import Locale, UnknownLocaleError

    for tried in (language.replace("_", "-"), base_of(language)):
        try:
            return Locale.parse(tried, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale.parse("en")
