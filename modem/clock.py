"""The time, replaceable: the real clock, and a test clock that several processes read from one file.

Everything that waits or stamps takes a clock as an argument. `now_ms` is wall time (milliseconds since the epoch, UTC);
`monotonic` is for timeouts, gaps and backoff and never steps back. Refuses to know: time zones, databases.
"""

import json
import os
import select
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What every part of Ringpost asks of time."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point; never steps back."""
        ...

    def real_seconds(self, seconds: float) -> float:
        """How long `seconds` of this clock take for real: what to hand to select() or Event.wait()."""
        ...

    def wait(self, fds: Sequence[int], timeout_s: float | None) -> list[int]:
        """Wait until one of `fds` is readable, at most `timeout_s` of this clock; the readable ones."""
        ...


class RealClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def real_seconds(self, seconds: float) -> float:
        return seconds

    def wait(self, fds: Sequence[int], timeout_s: float | None) -> list[int]:
        return _readable(fds, timeout_s)


class FileClock:
    """A test clock for whole processes: offset and speed read from a file that a test rewrites.

    The file holds `{"offset_s": 0.0, "speed": 1.0, "since_s": 1760000000.0, "source": "file"}`; `source` is what vouches for the
    time, "" for nothing. Wall time is
    `since_s + offset_s + (real - since_s) * speed`, the same in every process that reads the file.
    A rewritten file takes effect within 50 ms (waits are cut that short). Raises ValueError for an unreadable file.
    """

    _LOOK_EVERY_S = 0.05

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._stamp: tuple[int, int] = (-1, -1)
        self._looked = float("-inf")
        self._offset_s = 0.0
        self._speed = 1.0
        self._source = "file"
        self._since_s = time.time()
        self._mono_base = self._mono_real = time.monotonic()
        self._look(force=True)

    @staticmethod
    def write(path: str | os.PathLike[str], *, offset_s: float = 0.0, speed: float = 1.0, source: str = "file") -> None:
        """Write a clock file atomically, starting now."""
        target = Path(path)
        fresh = target.with_suffix(".new")
        fresh.write_text(json.dumps({"offset_s": offset_s, "speed": speed, "since_s": time.time(), "source": source}))
        fresh.replace(target)

    def _look(self, *, force: bool = False) -> None:
        real = time.monotonic()
        if not force and real - self._looked < self._LOOK_EVERY_S:
            return
        self._looked = real
        try:
            info = self._path.stat()
            stamp = (info.st_mtime_ns, info.st_ino)
            if stamp == self._stamp:
                return
            values = json.loads(self._path.read_text())
            offset_s, speed = float(values["offset_s"]), float(values["speed"])
            since_s = float(values.get("since_s", time.time()))
            self._source = str(values.get("source", "file"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"test clock file {self._path}: {error}") from error
        self._mono_base += (real - self._mono_real) * self._speed
        self._mono_real = real
        self._stamp, self._offset_s, self._speed, self._since_s = stamp, offset_s, speed, since_s

    @property
    def source(self) -> str:
        """What vouches for this time."""
        self._look()
        return self._source

    def now_ms(self) -> int:
        self._look()
        return int((self._since_s + self._offset_s + (time.time() - self._since_s) * self._speed) * 1000)

    def monotonic(self) -> float:
        self._look()
        return self._mono_base + (time.monotonic() - self._mono_real) * self._speed

    def real_seconds(self, seconds: float) -> float:
        self._look()
        return seconds / self._speed

    def wait(self, fds: Sequence[int], timeout_s: float | None) -> list[int]:
        until = None if timeout_s is None else self.monotonic() + timeout_s
        while True:
            left = self._LOOK_EVERY_S
            if until is not None:
                left = min(left, max(0.0, self.real_seconds(until - self.monotonic())))
            ready = _readable(fds, left)
            if ready or (until is not None and self.monotonic() >= until):
                return ready


def _readable(fds: Sequence[int], timeout_s: float | None) -> list[int]:
    """poll(), because select() refuses descriptors above 1023; hang-ups count as readable, the read then says why."""
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN | select.POLLHUP | select.POLLERR)
    milliseconds = None if timeout_s is None else max(0.0, timeout_s * 1000)
    if milliseconds is not None and 0 < milliseconds < 1:
        milliseconds = 1
    return [fd for fd, _ in poller.poll(milliseconds)]
