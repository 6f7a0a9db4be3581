"""What the box itself says about interviews: acknowledgements, lists of slots, what templates may say. Pure.

The words come from config/interviews.toml; a language that lacks one falls back to its base language, then to English.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from gateway.rules.speech import base_of, moment_text


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


def merge_values(starts_at: int, zone: ZoneInfo, location: str, language: str) -> dict[str, Any]:
    """What templates may say of an interview: `interview.starts_at`, `.date`, `.time`, `.location` (rules/templates.py)."""
    return {
        "starts_at": moment_text(starts_at, zone, language),
        "date": moment_text(starts_at, zone, language, "EEEE d MMMM"),
        "time": moment_text(starts_at, zone, language, "HH:mm"),
        "location": location,
    }
