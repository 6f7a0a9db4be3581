"""Whether the box may believe its own clock (design.md §4). Pure: what was seen in, a verdict out.

Untrusted only if shown: earlier than the release or than the newest stored time; a jump of more than 30 s without a source; or a
Raspberry Pi without RTC since its boot. A source (NTP, RTC, an SMS centre's time stamp) or an administrator cures each of them.
"""

from dataclasses import dataclass

RELEASED_AT = 1_793_491_200_000
"""2026-11-01: this program cannot have run before it was written."""
JUMP_MS = 30_000
SOURCE_MS = 5 * 60_000
"""A source counts when it was seen within this time, and agrees within it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the clock."""

    wall_ms: int
    newest_stored_ms: int
    drift_ms: int
    """How much wall time gained on monotonic time since the last look; 0 at the first."""
    source: str
    """What vouches for the time now: `ntp`, `rtc`, `sms`; empty for nothing."""
    is_cold: bool
    """A machine without a clock of its own, since its boot."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The verdict; `reason` says why not."""

    trusted: bool
    reason: str = ""


def judge(before: Trust | None, seen: Seen) -> Trust:
    """The verdict after this look; distrust stays until a source or a person ends it."""
    if seen.source:
        return Trust(True)
    if seen.wall_ms < RELEASED_AT:
        return Trust(False, "before_release")
    if seen.wall_ms + JUMP_MS < seen.newest_stored_ms:
        return Trust(False, "before_newest")
    if abs(seen.drift_ms) > JUMP_MS:
        return Trust(False, "jumped")
    if before is not None:
        return before
    return Trust(False, "no_rtc") if seen.is_cold else Trust(True)
