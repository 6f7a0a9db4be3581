"""The smallest far end a link can have: a pty, a thread, and a table of answers. For the real thing: modem.simulator."""

import contextlib
import os
import pty
import select
import threading
import time
import tty
from collections.abc import Callable, Sequence
from types import TracebackType

from modem.clock import RealClock

Reply = bytes | Callable[["ScriptedModem"], bytes] | None
OK = b"\r\nOK\r\n"


class FastClock(RealClock):
    """A clock that runs `speed` times faster than the wall, so that three minutes pass in a second."""

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def monotonic(self) -> float:
        return time.monotonic() * self._speed

    def real_seconds(self, seconds: float) -> float:
        return seconds / self._speed

    def wait(self, fds: Sequence[int], timeout_s: float | None) -> list[int]:
        return super().wait(fds, None if timeout_s is None else timeout_s / self._speed)


class ScriptedModem:
    """Answers whole command lines from `answers`, a PDU (up to Ctrl-Z) from `answers["\\x1a"]`, all else with OK.

    An answer may be a function of this object, or None for silence. `heard` lists everything that came, in order.
    """

    def __init__(self, answers: dict[str, Reply] | None = None, *, default: Reply = OK) -> None:
        self.answers: dict[str, Reply] = answers or {}
        self.default = default
        self.heard: list[str] = []
        self.raw = b""
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._wake_read, self._wake_write = os.pipe()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ScriptedModem":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.unplug()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)

    def say(self, data: bytes) -> None:
        """Print at once, unasked."""
        os.write(self._master, data)

    def unplug(self) -> None:
        """The device goes away: whoever holds the port is hung up on."""
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            os.write(self._wake_write, b"x")
            self._thread.join()
        for fd in (self._slave, self._master):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._master = self._slave = -1

    def wait_for(self, line: str, timeout_s: float = 5.0) -> None:
        """Block until `line` was heard. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: line in self.heard, timeout_s):
                raise TimeoutError(f"{line!r} not in {self.heard}")

    def _run(self) -> None:
        pending = b""
        while True:
            ready, _, _ = select.select([self._master, self._wake_read], [], [], 10)
            if self._wake_read in ready or not ready:
                return
            try:
                data = os.read(self._master, 4096)
            except OSError:
                return
            self.raw += data
            pending += data
            while (ends := [i for i in (pending.find(b"\r"), pending.find(b"\x1a")) if i >= 0]) != []:
                end = min(ends)
                line, mark, pending = pending[:end], pending[end : end + 1], pending[end + 1 :]
                self._hear(line.decode("latin-1").lstrip("\n"), mark)
                if self._master < 0:
                    return

    def _hear(self, line: str, mark: bytes) -> None:
        with self._changed:
            self.heard.append(line if mark == b"\r" else line + "\x1a")
            self._changed.notify_all()
        if line == "\x1b":
            return
        reply = self.answers.get("\x1a" if mark == b"\x1a" else line, self.default)
        data = reply(self) if callable(reply) else reply
        if data and self._master >= 0:
            os.write(self._master, data)
