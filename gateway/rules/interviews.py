"""Interviews: when reminders fire, what makes a good list of slots, and what a candidate's answer means. Pure.

Offsets are ISO 8601 durations. Days are calendar days, which keep the wall time of the interview's zone over a change of clocks;
hours and minutes are elapsed time: `P1D` before Monday 09:00 is Sunday 09:00, `PT24H` may be Sunday 08:00 or 10:00.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import Refused
from gateway.rules.keywords import fold
from gateway.rules.merge_fields import compile_template
from gateway.rules.quiet_hours import QuietHours, is_open, next_opening, previous_window

TYPES = ("scheduled", "self_schedule")
"""What goes by SMS and WhatsApp (S54)."""
MOST_REMINDERS = 5
APART_MS = 15 * 60_000
"""Two reminders nearer than this would look like a mistake."""
BEFORE_START_MS = 30 * 60_000
"""A reminder moved by quiet hours comes at least so long before the start, or before the window shuts."""
MOST_SLOTS = 50
MOST_LISTED = 5
"""So many slots stand in a text, each with its digit."""
LONGEST_OFFSET_DAYS = 60
TOKEN_GRACE_MS = 24 * 3_600_000
"""A link lives on after the start for a day, so that a late answer is recorded and not lost."""

_OFFSET = re.compile(r"P(?:(\d{1,2})W|(?:(\d{1,3})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?)?)")


class InterviewState(StrEnum):
    """Where an invitation stands."""

    INVITED = "invited"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    CANCELLED = "cancelled"


class Answer(StrEnum):
    """What a candidate says to an invitation."""

    CONFIRM = "confirm"
    DECLINE = "decline"


AFTER: Mapping[Answer, InterviewState] = {
    Answer.CONFIRM: InterviewState.CONFIRMED,
    Answer.DECLINE: InterviewState.DECLINED,
}
"""The state an answer leads to."""


# --- times -------------------------------------------------------------------------------------------------------------


def zone_of(name: str) -> ZoneInfo:
    """An IANA zone such as `Europe/Stockholm`. Raises Refused `invalid_timezone`."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", name) and name not in (
        "localtime",
        "Factory",
        "posixrules",
    ):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise Refused("invalid_timezone", 422, "tz must be a name of the IANA list, such as Europe/Stockholm.", field="tz")


@dataclass(frozen=True, slots=True)
class Offset:
    """How long before the start: calendar days, and elapsed minutes on top."""

    days: int
    minutes: int


def read_offset(text: str) -> Offset:
    """`P1D`, `P1W`, `PT2H`, `PT90M`, `P1DT2H`. Raises Refused `invalid_offset`."""
    found = _OFFSET.fullmatch(text)
    if found and not text.endswith(("P", "T")):
        weeks, days, hours, minutes = (int(group or 0) for group in found.groups())
        offset = Offset(weeks * 7 + days, hours * 60 + minutes)
        if 0 < offset.days * 1440 + offset.minutes <= LONGEST_OFFSET_DAYS * 1440:
            return offset
    raise Refused(
        "invalid_offset",
        422,
        f"offset is an ISO 8601 duration before the start, such as P1D or PT2H, at most {LONGEST_OFFSET_DAYS} days.",
        field="offset",
    )


def nominal_at(starts_at: int, zone: ZoneInfo, offset: Offset) -> int:
    """When a reminder should come, quiet hours aside; ms UTC.

    A wall time that the clock skips moves on by what was skipped (02:30 becomes 03:30); of one that comes twice the first counts.
    """
    local = datetime.fromtimestamp(starts_at / 1000, zone)
    if offset.days:  # zero days must not touch the second of two equal wall times
        local = (local.replace(tzinfo=None) - timedelta(days=offset.days)).replace(tzinfo=zone, fold=0)
    return round(local.timestamp() * 1000) - offset.minutes * 60_000


@dataclass(frozen=True, slots=True)
class Firing:
    """When a reminder should come and when it will; `fires_at` is None where `skipped` says why it will not."""

    nominal_at: int
    fires_at: int | None
    skipped: str | None = None


def firing(starts_at: int, zone: ZoneInfo, offset: Offset, hours: QuietHours, now: int) -> Firing:
    """Plan one reminder (S55).

    In quiet hours it comes at the next opening, if that is half an hour before the start; else half an hour before the window
    before shut; else not at all.
    """
    nominal = nominal_at(starts_at, zone, offset)
    if nominal <= now:
        return Firing(nominal, None, "reminder_in_past")
    if is_open(hours, nominal):
        return Firing(nominal, nominal)
    opening = next_opening(hours, nominal)
    if opening is not None and opening <= starts_at - BEFORE_START_MS:
        return Firing(nominal, opening)
    window = previous_window(hours, nominal)
    if window is not None:
        earlier = window.closes - BEFORE_START_MS
        if window.opens <= earlier and now < earlier:
            return Firing(nominal, earlier)
    return Firing(nominal, None, "quiet_hours")


def too_close(planned: Firing, others: Iterable[tuple[int | None, int | None]]) -> bool:
    """Whether another reminder (nominal_at, fires_at) lies within a quarter of an hour, as asked for or as it will come."""
    return any(
        (nominal is not None and abs(nominal - planned.nominal_at) < APART_MS)
        or (fires is not None and planned.fires_at is not None and abs(fires - planned.fires_at) < APART_MS)
        for nominal, fires in others
    )


# --- slots -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """One time on offer. `ref` is the caller's own name for it; the same ref in the same case is the same slot."""

    ref: str
    starts_at: int
    ends_at: int
    capacity: int = 1


def check_slots(slots: Sequence[Slot], now: int) -> tuple[Slot, ...]:
    """The slots by time. Raises Refused `slots_missing`, `too_many_slots`, `slot_invalid`, `slot_past`, `slots_overlap`."""
    if not slots:
        raise Refused("slots_missing", 422, "self_schedule needs slots to choose from.", field="slots")
    if len(slots) > MOST_SLOTS:
        raise Refused("too_many_slots", 422, f"At most {MOST_SLOTS} slots.", field="slots")
    if len({slot.ref for slot in slots}) < len(slots):
        raise Refused("slot_invalid", 422, "Two slots have the same id.", field="slots")
    for number, slot in enumerate(slots):
        if slot.ends_at <= slot.starts_at:
            raise Refused("slot_invalid", 422, "A slot ends after it starts.", field=f"slots[{number}].ends_at")
        if slot.capacity < 1 or slot.capacity > 1000:
            raise Refused("slot_invalid", 422, "A slot takes 1 to 1,000 candidates.", field=f"slots[{number}].capacity")
        if slot.starts_at <= now:
            raise Refused("slot_past", 422, "A slot starts in the future.", field=f"slots[{number}].starts_at")
    ordered = tuple(sorted(slots, key=lambda slot: (slot.starts_at, slot.ref)))
    for before, after in pairwise(ordered):
        if after.starts_at < before.ends_at:
            raise Refused("slots_overlap", 422, f"The slots {before.ref} and {after.ref} overlap.", field="slots")
    return ordered


# --- what a candidate writes -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What a short text says: an answer, the number of a slot, and the letter of one invitation among several."""

    answer: Answer | None
    number: int | None
    letter: str | None


class AnswerWords:
    """The words of config/keywords.toml: `confirm` and `decline`, everywhere and per language."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        def folded(row: Mapping[str, Any], name: str) -> frozenset[str]:
            return frozenset(fold(word) for word in row.get(name, ()))

        self._everywhere = {answer: folded(table["everywhere"], answer) for answer in Answer}
        self._languages = {
            name: {answer: folded(row, answer) for answer in Answer} for name, row in table.get("language", {}).items()
        }

    def read(self, text: str, languages: Iterable[str]) -> Said | None:
        """What the whole text says, in one of these languages; None for anything else (never a word inside a sentence)."""
        word = fold(text)
        letter = None
        lettered = re.fullmatch(r"(\d)[ .)-]?([a-z])", word)
        if lettered:
            word, letter = lettered[1], lettered[2].upper()
        sets = [self._everywhere, *(self._languages[name] for name in languages if name in self._languages)]
        found = {answer for answer in Answer for words in sets if word in words[answer]}
        number = int(word) if re.fullmatch("[1-9]", word) else None
        if len(found) == 1 or number is not None:
            return Said(next(iter(found)) if len(found) == 1 else None, number, letter)
        return None


def check_link(body: str, field: str) -> None:
    """An invitation must hold `{{interview_link}}` (S11). Raises Refused `missing_merge_field`, or that of a broken template."""
    if "interview_link" not in compile_template(body).fields:
        raise Refused(
            "missing_merge_field",
            422,
            "An invitation needs {{interview_link}}, by which the candidate answers.",
            field=field,
            facts={"merge_field": "interview_link"},
        )
