"""The tty: bytes between a dialogue and the kernel. The only file that opens a serial port.

A gsmmodem `SerialComms` whose transport is replaced (codec.md): no reader thread, no byte-by-byte reading, one owner
thread that waits in poll() and feeds a sans-IO dialogue. Refuses to know what the commands are for.
"""

import errno
import fcntl
import logging
import os
import termios
from collections.abc import Callable
from typing import Any

import serial

from modem.clock import Clock, RealClock
from modem.commands import Command, anything
from modem.dialogue import Answer, Dialogue, Ending
from modem.errors import (
    CommandRefused,
    ModemRestarted,
    ModemSilent,
    NotSent,
    OutcomeUnknown,
    PortLost,
    PortUnavailable,
    gsmmodem,
)
from modem.events import Event, Rebooted

log = logging.getLogger(__name__)

WRITE_TIMEOUT_S = 5.0
"""Real time. A stick that takes no byte for so long is hung; 360 octets need 32 ms at 115,200 baud."""
_CHUNK = 65536
_TTY_MAJOR_PTY = range(136, 144)


class _Tty(serial.Serial):
    """pyserial's port, which keeps what already waits in it when it is opened.

    pyserial flushes the input on open; after a crash that would throw away the result of the submission in flight,
    the best evidence there is (design.md §4).
    """

    def _reset_input_buffer(self) -> None:
        if self.is_open:
            super()._reset_input_buffer()  # type: ignore[misc]


class Link(gsmmodem.serial_comms.SerialComms):  # type: ignore[misc]
    """One port and its dialogue. Every method belongs to the one thread that owns the port."""

    def __init__(
        self,
        port: str,
        baudrate: int = 115200,
        *,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        **_ignored: Any,
    ) -> None:
        super().__init__(port, baudrate)
        self.port: str = port
        self.clock: Clock = clock or RealClock()
        self.on_event: Callable[[Event], None] = on_event or _drop
        self.dialogue = Dialogue()
        self.bytes_read = 0
        self._fd = -1
        self._released = False  # Ctrl-Z was on its way when the port was lost
        self.serial: _Tty | None = None

    # Opening and closing.

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def open(self) -> None:
        """Open the tty and write nothing; bytes that wait in it stay. Raises PortUnavailable."""
        if self.is_open:
            return
        try:
            tty = _Tty(
                port=None,
                baudrate=self.baudrate,
                timeout=0,
                write_timeout=WRITE_TIMEOUT_S,
                exclusive=True,
                rtscts=False,
                dsrdtr=False,
                xonxoff=False,
            )
            tty.port = self.port
            tty.open()
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortUnavailable(self.port, _reason(error)) from error
        fd = tty.fileno()
        try:
            _claim(fd)
        except (termios.error, OSError) as error:
            tty.close()
            raise PortUnavailable(self.port, _reason(error)) from error
        self.serial, self._fd, self.alive = tty, fd, True
        self.dialogue = Dialogue()
        log.debug("port=%s opened", self.port)

    def close(self) -> None:
        """Close the port; safe to call twice, also from an event."""
        tty, self.serial, self._fd, self.alive = self.serial, None, -1, False
        if tty is not None:
            try:
                tty.close()
            except (serial.SerialException, OSError) as error:
                log.debug("port=%s close=%s", self.port, error)
        self.dialogue.adrift()

    # The loop.

    def converse(self, command: Command) -> Answer:
        """Write `command` and read until it ends. Raises PortLost, with the port closed."""
        self.catch_up()
        if log.isEnabledFor(logging.DEBUG):
            log.debug("port=%s write=%s", self.port, command.shown)
        dialogue, clock = self.dialogue, self.clock
        dialogue.begin(command, clock.monotonic())
        try:
            return self._pump(dialogue, clock)
        finally:
            if dialogue.is_waiting:  # an event's owner raised: what is still to come belongs to nobody
                dialogue.adrift()

    def _pump(self, dialogue: Dialogue, clock: Clock) -> Answer:
        while True:
            if data := dialogue.next_write():
                self._write(data)
            if self._fd < 0:
                raise PortLost(self.port, "closed")  # by an event's owner
            deadline = dialogue.deadline
            left = None if deadline is None else deadline - clock.monotonic()
            if left is not None and left <= 0:
                answer = self._tell(dialogue.expire(clock.monotonic()))
            elif clock.wait((self._fd,), left):
                answer = self._read()
            else:
                continue
            if answer is not None:
                if data := dialogue.next_write():
                    self._write(data)
                return answer

    def catch_up(self) -> None:
        """Take what already waits, so that it cannot be mistaken for the answer to come. Raises PortLost."""
        if self._fd < 0:
            raise PortLost(self.port, "not open")
        if self.clock.wait((self._fd,), 0.0):
            self._read()

    def listen(self, timeout_s: float, wake_fd: int | None = None) -> bool:
        """Only read, for `timeout_s` at most; True as soon as `wake_fd` can be read. Raises PortLost."""
        if self._fd < 0:
            raise PortLost(self.port, "not open")
        clock = self.clock
        until = clock.monotonic() + timeout_s
        fds = (self._fd,) if wake_fd is None else (self._fd, wake_fd)
        while True:
            ready = clock.wait(fds, max(0.0, until - clock.monotonic()))
            if self._fd in ready:
                self._read()
            if wake_fd is not None and wake_fd in ready:
                return True
            if self._fd < 0:
                raise PortLost(self.port, "closed")
            if clock.monotonic() >= until:
                return False

    def _read(self) -> Answer | None:
        """Everything that waits, in one read."""
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return None
        except (serial.SerialException, OSError) as error:
            raise self._lost(_reason(error)) from error
        if not data:
            raise self._lost("the device hung up")
        self.bytes_read += len(data)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("port=%s read=%d", self.port, len(data))
        return self._tell(self.dialogue.feed(data, self.clock.monotonic()))

    def _write(self, data: bytes) -> None:
        tty = self.serial
        if tty is None:
            raise self._lost("closed")
        try:
            tty.write(data)
        except serial.SerialTimeoutException as error:
            raise self._lost("the modem takes no more bytes") from error
        except (serial.SerialException, OSError) as error:
            raise self._lost(_reason(error)) from error

    def _tell(self, happened: list[Event | Answer]) -> Answer | None:
        """Hand events on at once; the answer, if it is among them."""
        answer: Answer | None = None
        for event in happened:
            if isinstance(event, Answer):
                answer = event
            else:
                self._notice(event)
        return answer

    def _notice(self, event: Event) -> None:
        """Called for every event before the owner sees it; `driver.py` adds to it."""
        if isinstance(event, Rebooted):
            log.warning("port=%s restarted banner=%r certain=%s", self.port, event.banner, event.certain)
        self.on_event(event)

    def _lost(self, reason: str) -> PortLost:
        log.warning("port=%s lost=%r", self.port, reason)
        self._released = self.dialogue.released
        self.close()
        return PortLost(self.port, reason)

    # What python-gsmmodem's own methods call.

    def connect(self) -> None:
        """gsmmodem's name for `open`."""
        self.open()

    def perform(self, command: Command) -> Answer:
        """`converse`, with everything but success raised: CommandRefused, ModemSilent, ModemRestarted, PortLost."""
        answer = self.converse(command)
        if answer.ending is Ending.RESTARTED:
            raise ModemRestarted(command.shown, answer.banner)
        if answer.ending is not Ending.FINAL:
            raise ModemSilent(command.shown)
        if answer.final is not None and not answer.final.ok:
            raise CommandRefused(command.shown, answer.final.line, answer.final.fault)
        return answer

    def write(
        self,
        data: str,
        waitForResponse: bool = True,
        timeout: float = 5,
        parseError: bool = True,
        writeTerm: str = "\r",
        expectedResponseTermSeq: str | None = None,
    ) -> list[str]:
        """gsmmodem's way in: the lines of the answer, the result last. Only for questions; sending is `submit`."""
        command = anything(data.rstrip("\r"), timeout)
        if parseError:
            answer = self.perform(command)
        else:
            answer = self.converse(command)
            if answer.ending is not Ending.FINAL:
                raise ModemSilent(command.shown)
        return [*answer.lines, answer.final.line if answer.final else "OK"]

    # A submission, as far as the port decides it.

    def submit_payload(self, command: Command) -> Answer:
        """`converse` for a submission: a port lost before Ctrl-Z raises NotSent, after it OutcomeUnknown."""
        self._released = False
        try:
            return self.converse(command)
        except PortLost as lost:
            if self._released:
                raise OutcomeUnknown(f"port lost after Ctrl-Z: {lost.reason}") from lost
            raise NotSent(f"port lost before Ctrl-Z: {lost.reason}") from lost


def _drop(event: Event) -> None:
    """For an owner who does not care."""


def _claim(fd: int) -> None:
    """Keep others off the port, and keep DTR up should we be killed (some sticks drop a call or restart on it).

    TIOCEXCL besides the flock pyserial takes: ModemManager and minicom know only the first, gammu both. Not on a pty:
    there the flag outlives a killed holder while the far end keeps the pty open, and would lock out its successor.
    """
    if os.major(os.fstat(fd).st_rdev) not in _TTY_MAJOR_PTY:
        fcntl.ioctl(fd, termios.TIOCEXCL)
    attributes = termios.tcgetattr(fd)
    attributes[2] &= ~termios.HUPCL
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def _reason(error: BaseException) -> str:
    """One plain sentence for what the kernel said."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return "no such device"
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
        return "held by another program"
    if number in (errno.EACCES, errno.EPERM):
        return "no permission (is the user in the group dialout?)"
    if number == errno.EIO:
        return "the device hung up"
    return str(error) or type(error).__name__
