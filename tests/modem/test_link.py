"""The shell between a dialogue and a tty: opening, losing, stalling, waking."""

import errno
import os
import time
from collections.abc import Iterator

import pytest
import serial
from gsmmodem.exceptions import GsmModemException, TimeoutException
from gsmmodem.serial_comms import SerialComms

from modem import commands, link
from modem.errors import CommandRefused, ModemSilent, PortLost, PortUnavailable
from modem.events import Event, LateResult, MessageStored
from modem.link import Link
from tests.modem.scripted import FastClock, ScriptedModem


@pytest.fixture
def far_end() -> Iterator[ScriptedModem]:
    with ScriptedModem({"AT+CSQ": b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n"}) as modem:
        yield modem


def opened(far_end: ScriptedModem, speed: float = 1.0) -> tuple[Link, list[Event]]:
    events: list[Event] = []
    near = Link(far_end.port, clock=FastClock(speed), on_event=events.append)
    near.open()
    return near, events


def test_it_is_a_gsmmodem_transport() -> None:
    assert issubclass(Link, SerialComms)


def test_opening_writes_nothing_and_keeps_what_already_waits(far_end: ScriptedModem) -> None:
    """The result of a submission in flight at a crash lies in the tty; pyserial would flush it on open."""
    far_end.say(b"\r\n+CMGS: 77\r\n\r\nOK\r\n")
    near, events = opened(far_end)
    assert near.listen(0.05) is False
    near.close()
    assert events == [LateResult(77)]
    assert far_end.raw == b""


def test_a_question_is_one_write_and_its_answer(far_end: ScriptedModem) -> None:
    near, _ = opened(far_end)
    assert near.perform(commands.SIGNAL).lines == ("+CSQ: 20,99",)
    assert far_end.heard == ["AT", "AT+CSQ"]
    near.close()


def test_the_librarys_way_in_gives_clean_lines(far_end: ScriptedModem) -> None:
    far_end.answers["AT+CSQ"] = b'\xff\xfe\r\n+CMTI: "SM",3\r\n\r\n+CSQ: 20,99\r\n^RSSI:9\r\n\r\nOK\r\n'
    near, events = opened(far_end)
    assert near.write("AT+CSQ") == ["+CSQ: 20,99", "OK"]
    assert MessageStored("SM", 3) in events
    near.close()


def test_a_refusal_says_what_it_means(far_end: ScriptedModem) -> None:
    far_end.answers["AT+CMGF=0"] = b"\r\n+CMS ERROR: 302\r\n"
    near, _ = opened(far_end)
    with pytest.raises(CommandRefused) as refused:
        near.perform(commands.PDU_MODE)
    assert (refused.value.type, refused.value.code, refused.value.fault.code) == ("CMS", 302, 302)
    assert isinstance(refused.value, GsmModemException)
    near.close()


def test_a_second_opener_is_refused(far_end: ScriptedModem) -> None:
    near, _ = opened(far_end)
    with pytest.raises(PortUnavailable, match="held by another program"):
        Link(far_end.port).open()
    near.close()
    again, _ = opened(far_end)
    again.close()


def test_a_missing_port_is_said_plainly() -> None:
    with pytest.raises(PortUnavailable, match="no such device"):
        Link("/dev/ttyUSB999").open()


def test_a_file_is_no_port(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "file")
    open(path, "w").close()
    with pytest.raises(PortUnavailable):
        Link(path).open()


def test_unplugging_wakes_a_waiting_command_at_once(far_end: ScriptedModem) -> None:
    """T12: gsmmodem slept until its own timeout."""

    def vanish(modem: ScriptedModem) -> bytes:
        modem.unplug()
        return b""

    far_end.answers["AT+COPS?"] = vanish
    near, _ = opened(far_end)
    began = time.monotonic()
    with pytest.raises(PortLost):
        near.perform(commands.OPERATOR)
    assert time.monotonic() - began < 5
    assert not near.is_open
    with pytest.raises(PortLost):
        near.perform(commands.SIGNAL)
    near.close()


def test_unplugging_wakes_a_listener(far_end: ScriptedModem) -> None:
    near, _ = opened(far_end)
    far_end.unplug()
    with pytest.raises(PortLost):
        near.listen(30)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "gone"), serial.SerialException("gone")])
def test_both_kinds_of_error_from_a_read_are_a_lost_port(
    far_end: ScriptedModem, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, _ = opened(far_end)

    def fail(fd: int, size: int) -> bytes:
        raise error

    far_end.say(b"x")
    monkeypatch.setattr(link.os, "read", fail)
    with pytest.raises(PortLost):
        near.listen(30)
    monkeypatch.undo()


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENODEV, "gone"), serial.SerialException("gone"), serial.SerialTimeoutException("full")],
)
def test_every_error_from_a_write_is_a_lost_port(far_end: ScriptedModem, error: Exception) -> None:
    near, _ = opened(far_end)

    def fail(data: bytes) -> int:
        raise error

    assert near.serial is not None
    near.serial.write = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(PortLost):
        near.perform(commands.SIGNAL)
    assert not near.is_open


def test_a_modem_that_takes_no_bytes_does_not_block_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """T14: gsmmodem had no write timeout."""
    monkeypatch.setattr(link, "WRITE_TIMEOUT_S", 0.05)
    near = Link((far_end := ScriptedModem()).port)  # its thread never runs: nobody reads
    near.open()
    near.dialogue.state = link.Dialogue().state.IDLE
    endless = commands.Command("AT" + "0" * 300_000)
    with pytest.raises(PortLost, match="no more bytes"):
        near.perform(endless)
    assert not near.is_open
    far_end.unplug()
    for fd in (far_end._wake_read, far_end._wake_write):
        os.close(fd)


def test_a_silent_modem_is_told_as_such(far_end: ScriptedModem) -> None:
    far_end.default = None
    near, _ = opened(far_end, speed=100)
    with pytest.raises(ModemSilent) as silent:
        near.perform(commands.SIGNAL)
    assert isinstance(silent.value, TimeoutException)
    assert far_end.heard == ["AT", "\x1b", "AT", "\x1b", "AT"]
    near.close()


def test_listening_ends_by_the_wake_descriptor(far_end: ScriptedModem) -> None:
    near, events = opened(far_end)
    read, write = os.pipe()
    os.write(write, b"!")
    assert near.listen(30, wake_fd=read) is True
    assert os.read(read, 1) == b"!"
    far_end.say(b'\r\n+CMTI: "SM",9\r\n')
    assert near.listen(0.05, wake_fd=read) is False
    assert events == [MessageStored("SM", 9)]
    near.close()
    os.close(read)
    os.close(write)


def test_closing_from_an_event_is_safe(far_end: ScriptedModem) -> None:
    near = Link(far_end.port)
    near.on_event = lambda event: near.close()
    near.open()
    far_end.say(b'\r\n+CMTI: "SM",9\r\n')
    with pytest.raises(PortLost):
        near.listen(5)
    near.close()


def test_a_round_trip_costs_few_system_calls(far_end: ScriptedModem, monkeypatch: pytest.MonkeyPatch) -> None:
    near, _ = opened(far_end)
    near.perform(commands.SIGNAL)
    reads: list[int] = []
    real = os.read

    def counted(fd: int, size: int) -> bytes:
        data = real(fd, size)
        if fd == near._fd:
            reads.append(len(data))
        return data

    monkeypatch.setattr(link.os, "read", counted)
    near.perform(commands.SIGNAL)
    monkeypatch.undo()
    assert len(reads) <= 2
    near.close()
