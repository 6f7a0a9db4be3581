"""The clock of the gateway and the web: modem's, chosen by the configuration.

A test clock (`[gateway] test_clock = FILE`) is refused unless the database is marked as a test one: a box in service
must never be able to believe a file.
"""

from datetime import UTC, datetime
from pathlib import Path

from modem.clock import Clock, FileClock, RealClock

__all__ = ["Clock", "FileClock", "RealClock", "choose", "rfc3339"]


def choose(test_clock: Path | None) -> Clock:
    """The clock the configuration asks for."""
    return RealClock() if test_clock is None else FileClock(test_clock)


def rfc3339(milliseconds: int) -> str:
    """Wall time as RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T09:30:00.000Z`."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"
