"""Looks at the box's clock and at what vouches for it: NTP in the kernel, a clock chip, an SMS's time stamp (design.md §4).

The verdict is rules.clock_trust's, kept by flows.clock_trust. NITZ is not read yet.
"""

import ctypes
import os
from pathlib import Path

from gateway.clock import Clock, FileClock
from gateway.flows import clock_trust
from gateway.rules.clock_trust import SOURCE_MS
from gateway.store.database import Database

_RTC = Path("/sys/class/rtc/rtc0/since_epoch")
_MODEL = Path("/proc/device-tree/model")
_ERROR = 5
"""TIME_ERROR of adjtimex(2): nobody disciplines the kernel's clock."""


class ClockWatch:
    """One gateway's watch; `look` compares wall time with monotonic time since the last look."""

    def __init__(self, database: Database, clock: Clock, gateway: str) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway
        self._last: tuple[int, float] | None = None

    def look(self) -> None:
        """Judge the clock once."""
        wall, mono = self._clock.now_ms(), self._clock.monotonic()
        drift = 0
        if self._last is not None:
            drift = wall - self._last[0] - round((mono - self._last[1]) * 1000)
        self._last = (wall, mono)
        clock_trust.look(self._database, self._gateway, wall, drift, self._source(wall), is_cold())

    def _source(self, wall: int) -> str:
        if isinstance(self._clock, FileClock):
            return self._clock.source
        if ntp_is_kept():
            return "ntp"
        if rtc_agrees(wall):
            return "rtc"
        with self._database.read() as view:
            return "sms" if clock_trust.vouched_by_sms(view, wall) else ""


def ntp_is_kept() -> bool:
    """Whether the kernel says that its clock is disciplined."""
    try:
        state = int(ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(ctypes.create_string_buffer(256))))
    except (OSError, AttributeError):
        return False
    return 0 <= state < _ERROR


def rtc_agrees(wall_ms: int) -> bool:
    """Whether a clock chip shows the same time; many machines have none."""
    try:
        return abs(int(_RTC.read_text()) * 1000 - wall_ms) <= SOURCE_MS
    except (OSError, ValueError):
        return False


def is_cold() -> bool:
    """A Raspberry Pi without a clock chip: since its boot nobody has told it the time."""
    try:
        return _MODEL.read_bytes().startswith(b"Raspberry Pi") and not os.path.exists(_RTC)
    except OSError:
        return False
