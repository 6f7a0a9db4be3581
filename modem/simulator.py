"""A whole pretend stick at the far end of a pty, with its network, its card, and faults on demand.

    python -m modem.simulator --link /tmp/modem --air-log air.jsonl --control /tmp/modem.sock --latency 1.0

Any program that talks AT to a serial port may be pointed at the link. `SimulatedModem` is the same inside a process,
`serve` is what `ringpost simulate-modem` calls. The air log (`modem.airlog`) is the truth about what the network got.
The stick itself is `modem.simulator_core`, free of I/O; here are the pty, the control socket and one select loop;
`modem.simulator_control` is the client of that socket.

Time. Latencies run on the clock handed in, by default the machine's, precise to well under 1 ms; idle it sleeps.
With `--clock FILE` it follows a test clock (`modem.clock.FileClock`), and every delay shrinks with its speed.

What survives: EF_SMSS (last used TP-MR), the PIN counters and stored messages outlive a reboot, an unplug and, with
`--state FILE`, the simulator. Echo, CMGF, CNMI, CMEE, CSMS, CREG and CPMS are forgotten at a reboot, as sticks do.

Bytes while a submission is on the air (`busy_input`): by default the first one aborts the command: its answer is lost,
the modem listens again at once, and the SMS goes all the same. `abort`, `ignore` and `queue` are the other habits.

The control socket: a Unix stream, one JSON object per line, each answered by one line with `ok` (and `error`).
`Control` speaks it. Where nothing else is said times are seconds of the simulator's clock.

Inbound
    {"do": "deliver", "from": "+46701740605", "text": "Hej", "parts_order": [3, 1, 2], "double": [2], "reference": 7,
     "bits": 16, "at": "2026-03-01T10:00:00+01:00", "gap_s": 0.5}           all but `from` and `text` optional
    {"do": "deliver_pdu", "hex": "040B91…", "as": "report"}                 any octets; `as` only for reports
    {"do": "report", "tp_mr": 7, "to": "+46701740605", "status": "0x46", "count": 2}      default: the newest, delivered
    {"do": "hold_reports"}   {"do": "release_reports", "order": "reverse"}  or "drop": true
    {"do": "ring", "from": "+46701740605", "count": 3}
    {"do": "print", "lines": ["^BOOT:1,0"]}                                 or "hex": octets as they are
Faults (`count`: how many times, default 1; `rate`: the share of sends hit, until `clear`; `to`: only this recipient)
    {"do": "fault", "kind": "cms", "code": 38, "count": 2}                  not taken; "at": "prompt": in its place
    {"do": "fault", "kind": "cms_after", "code": 332}                       taken, and +CMS ERROR all the same
    {"do": "fault", "kind": "cme", "code": 14, "on": "+CPMS"}               answer to commands beginning so (+CMGS)
    {"do": "fault", "kind": "lose_answer"}                                  taken, no answer ever; `on`: of a command
    {"do": "fault", "kind": "late_answer", "seconds": 20}                   taken, answered late; `on`: of a command
    {"do": "fault", "kind": "drop"}                                         lost on the air, no answer
    {"do": "fault", "kind": "bare_ok"}  {"do": "fault", "kind": "no_ok"}    OK without +CMGS; +CMGS without OK
    {"do": "fault", "kind": "no_prompt", "entered": true}                   waits for the PDU without saying so
    {"do": "fault", "kind": "stray", "lines": ["^RSSI:14"], "glue": true}   around and inside every answer until `clear`
                                                                            `glue`: right before the prompt, same line
    {"do": "fault", "kind": "noise", "hex": "FFFE00", "count": 3}           now, and before the next answers
    {"do": "fault", "kind": "sim_busy", "seconds": 5}                       +CME ERROR: 14
    {"do": "fault", "kind": "no_network", "seconds": 60}                    +CMS ERROR: 331; else until `clear`
    {"do": "fault", "kind": "silence", "seconds": 30}                       hears nothing, answers nothing
    {"do": "fault", "kind": "storage_full"}                                 filled with old received messages
    {"do": "fault", "kind": "echo"}                                         echo on again, as a half-reset stick
    {"do": "fault", "kind": "reboot_mid_send", "at": "prompt"}              or "pdu", "after_ctrl_z" (+ "taken": true)
    {"do": "reboot", "boot_s": 2}
    {"do": "unplug", "seconds": 5, "new_link": "/tmp/other", "at": "now"}   the pty closes, another comes; `at` as above
    {"do": "plug"}                                                          ends an unplug without seconds
    {"do": "clear", "kind": "stray"}                                        without kind: all
Looking and setting
    {"do": "set", "latency": 0.2, "report_status": {"+46701740606": "0x46", "*": 0}, "answers": {"+CNMI=2": ["ERROR"]}}
        any field of `simulator_model.Behaviour` (the suffix _s may be left out); a TP-ST of -1 means no report ever;
        `answers` replaces the answer to commands beginning so
    {"do": "stats"}   {"do": "stored"}   {"do": "heard", "since": 4711.0}   {"do": "clock"}   {"do": "ping"}
    {"do": "wait", "counter": "taken", "at_least": 3, "timeout_s": 10}      answered when reached; real seconds

A status report that finds AT+CNMI with ds=0 (after a reboot, before the next init) is taken and dropped, as sticks do.

What it does not model: text mode submission (CMGF=1 only reads), voice and data calls beyond RING, the phone book, SIM
toolkit and +CSIM, +CMT in text mode, CNMA with a PDU, MT as a union of SM and ME, duplicate rejection (TP-RD) and
validity at the service centre, more than one SIM, baud rates, modem control lines (DTR, CTS), USB mode switching, the
kernel's buffers of real USB drivers. +CCLK says UTC.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import socket
import sys
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from modem.airlog import AirLog, Entry, read_air_log
from modem.clock import Clock, FileClock, RealClock
from modem.simulator_control import Control, ControlRefused
from modem.simulator_core import Simulator
from modem.simulator_model import ICCID, IMEI, IMSI, Behaviour, BusyInput, ControlError, Identity, SmssHabit
from modem.simulator_profiles import PROFILES, StickProfile

__all__ = [
    "PROFILES",
    "Behaviour",
    "BusyInput",
    "Control",
    "ControlRefused",
    "Identity",
    "Options",
    "SimulatedModem",
    "Simulator",
    "SmssHabit",
    "main",
    "read_air_log",
    "serve",
]

_MOST_UNREAD = 65536  # what a client that does not read may leave behind; then new output is dropped, as a UART would
_SELECT_MOST = 1024  # FD_SETSIZE
_CLOCK_LOOK_S = 0.05  # a test clock may jump while we sleep


@dataclass(frozen=True, slots=True)
class Options:
    """Everything `serve` and `SimulatedModem` can be told at the start; the rest is `Control.set`."""

    link: str | os.PathLike[str] | None = None
    air_log: str | os.PathLike[str] | None = None
    control: str | os.PathLike[str] | None = None
    latency_s: float = 1.0
    report_delay_s: float = 0.5
    answer_delay_s: float = 0.0
    boot_s: float = 1.0
    sim_busy_s: float = 0.0
    boot: bool = False  # start with a boot and its banner instead of being ready
    imei: str = IMEI
    iccid: str = ICCID
    imsi: str = IMSI
    smss: bool = True
    pin: str | None = None
    puk: str = "12345678"
    sim: bool = True
    profile: str | StickProfile = "generic"
    busy_input: BusyInput = BusyInput.LOSE
    state: str | os.PathLike[str] | None = None
    clock_file: str | os.PathLike[str] | None = None
    seed: int = 1

    def simulator(self, clock: Clock, air: AirLog) -> Simulator:
        return Simulator(
            clock,
            air,
            identity=Identity(self.imei, self.iccid, self.imsi, self.smss, self.pin, self.puk, self.sim),
            behaviour=Behaviour(
                latency_s=self.latency_s,
                report_delay_s=self.report_delay_s,
                answer_delay_s=self.answer_delay_s,
                boot_s=self.boot_s,
                sim_busy_s=self.sim_busy_s,
                busy_input=self.busy_input,
            ),
            profile=self.profile,
            state_file=self.state,
            seed=self.seed,
            boot=self.boot,
        )


class _Pty:
    """One pty and the link to it.

    We keep the slave open, so that the port outlives a killed client and what the modem said meanwhile waits in it.
    """

    def __init__(self, link: Path | None, avoid: str | None) -> None:
        if link is not None and link.exists() and not link.is_symlink():
            raise FileExistsError(errno.EEXIST, "is no link; remove it or choose another --link", str(link))
        master, slave = os.openpty()
        if os.ttyname(slave) == avoid:  # a modem that comes back has another tty, also where the kernel would reuse it
            spare = (master, slave)
            master, slave = os.openpty()
            for fd in spare:
                os.close(fd)
        self.master, self.slave, self.name = master, slave, os.ttyname(slave)
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.backlog = bytearray()
        self._link = link
        self._watch = _Closings(self.name)
        self.closings = self._watch.fd
        if link is not None:
            _point(link, self.name)

    def client_left(self) -> None:
        """A real tty forgets TIOCEXCL at its last close; ours has us as a holder, so we forget it."""
        self._watch.drain()
        try:
            fcntl.flock(self.slave, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # another client holds its lock: it is not the owner who left
            return
        fcntl.ioctl(self.slave, termios.TIOCNXCL)
        fcntl.flock(self.slave, fcntl.LOCK_UN)

    def read(self) -> bytes:
        try:
            return os.read(self.master, 65536)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EIO):
                return b""
            raise

    def write(self, data: bytes) -> None:
        if len(self.backlog) + len(data) <= _MOST_UNREAD:
            self.backlog += data
        while self.backlog:
            try:
                done = os.write(self.master, self.backlog)
            except BlockingIOError:
                return
            del self.backlog[:done]

    def close(self) -> None:
        if self._link is not None and os.path.islink(self._link) and os.readlink(self._link) == self.name:
            self._link.unlink()
        self._watch.close()
        os.close(self.slave)
        os.close(self.master)


class _Closings:
    """Says when somebody closes a file: inotify through libc; where that is missing, nothing is ever said."""

    _CLOSE = 0x08 | 0x10  # IN_CLOSE_WRITE, IN_CLOSE_NOWRITE

    def __init__(self, path: str) -> None:
        self.fd: int | None = None
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if fd >= 0 and libc.inotify_add_watch(fd, os.fsencode(path), self._CLOSE) >= 0:
                self.fd = fd
            elif fd >= 0:
                os.close(fd)
        except (OSError, AttributeError):
            return

    def drain(self) -> None:
        if self.fd is not None:
            try:
                os.read(self.fd, 4096)
            except BlockingIOError:
                return

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)


def _point(link: Path, target: str) -> None:
    """Make or move a symbolic link in one step."""
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


@dataclass(slots=True)
class _Caller:
    """One connection to the control socket; `waits` holds what its verb `wait` waits for."""

    connection: socket.socket
    heard: bytes = b""
    waits: tuple[str, int, float] | None = None


class _Shell:
    """The pty, the control socket, and the loop between them and the stick."""

    def __init__(self, options: Options, clock: Clock, watch: Callable[[Entry], None] | None = None) -> None:
        self._clock = clock
        self._cap_s = _CLOCK_LOOK_S if isinstance(clock, FileClock) else None
        self._link = None if options.link is None else Path(options.link)
        self._callers: dict[int, _Caller] = {}
        self._control_path = None if options.control is None else os.fspath(options.control)
        self._listener: socket.socket | None = None
        self._pty: _Pty | None = None
        self._last_name: str | None = None
        self._stopping = False
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.air = AirLog(None, watch)
        try:
            self.air = AirLog(options.air_log, watch)
            self.stick = options.simulator(clock, self.air)
            if self._control_path is not None:
                self._listener = _listen(self._control_path)
            self._follow_plug()
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> str | None:
        """The tty's own name now, e.g. /dev/pts/5; None while unplugged."""
        return None if self._pty is None else self._pty.name

    def stop(self) -> None:
        """End `run`; may be called from any thread or a signal handler."""
        self._stopping = True
        try:
            os.write(self._wake_in, b"x")
        except OSError:  # full: it will wake anyway; closed: it has ended
            pass

    def run(self) -> None:
        while not self._stopping:
            self._turn()

    def close(self) -> None:
        if self._pty is not None:
            self._pty.close()
            self._pty = None
        for caller in self._callers.values():
            caller.connection.close()
        if self._listener is not None and self._control_path is not None:
            self._listener.close()
            Path(self._control_path).unlink(missing_ok=True)
        os.close(self._wake_out)
        os.close(self._wake_in)
        self.air.close()

    def _turn(self) -> None:
        said = self.stick.take()
        self._follow_plug()
        pty = self._pty
        if pty is not None and (said or pty.backlog):
            pty.write(said)
        self._answer_waiting()
        reads: list[int] = [self._wake_out, *self._callers]
        if self._listener is not None:
            reads.append(self._listener.fileno())
        if pty is not None:
            reads += [pty.master] if pty.closings is None else [pty.master, pty.closings]
        writes = [pty.master] if pty is not None and pty.backlog else []
        for fd in _readable(reads, writes, self._pause_s()):
            self._serve(fd)

    def _serve(self, fd: int) -> None:
        pty = self._pty
        if pty is not None and fd == pty.master:
            self.stick.run()
            self.stick.feed(pty.read())
        elif pty is not None and fd == pty.closings:
            pty.client_left()
        elif self._listener is not None and fd == self._listener.fileno():
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._callers[connection.fileno()] = _Caller(connection)
        elif fd in self._callers:
            self._hear(self._callers[fd])

    def _pause_s(self) -> float | None:
        """How long to sleep, in real seconds; select() keeps microseconds where poll() rounds to milliseconds."""
        pauses = [] if self._cap_s is None else [self._cap_s]
        deadline = self.stick.deadline
        if deadline is not None:
            pauses.append(max(0.0, self._clock.real_seconds(deadline - self._clock.monotonic())))
        now = time.monotonic()
        pauses += [max(0.0, caller.waits[2] - now) for caller in self._callers.values() if caller.waits is not None]
        return min(pauses, default=None)

    def _follow_plug(self) -> None:
        if self.stick.plugged and self._pty is None:
            link = self._link if self.stick.link_name is None else Path(self.stick.link_name)
            self._pty = _Pty(link, self._last_name)
        elif not self.stick.plugged and self._pty is not None:
            self._last_name = self._pty.name
            self._pty.close()
            self._pty = None

    def _hear(self, caller: _Caller) -> None:
        try:
            data = caller.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._callers.pop(caller.connection.fileno())
            caller.connection.close()
            return
        *lines, caller.heard = (caller.heard + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._obey(caller, line)

    def _obey(self, caller: _Caller, line: bytes) -> None:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ControlError("a request is a JSON object")
            if request.get("do") == "wait":
                patience_s = float(request.get("timeout_s", 10.0))
                counter, at_least = str(request["counter"]), int(request.get("at_least", 1))
                caller.waits = (counter, at_least, time.monotonic() + patience_s)
                return
            answer = {"ok": True, **self.stick.perform(request)}
        except (ValueError, KeyError, TypeError) as error:
            answer = {"ok": False, "error": str(error)}
        # The pty must have followed before the caller hears that it was pulled.
        self._follow_plug()
        self._tell(caller, answer)

    def _answer_waiting(self) -> None:
        for caller in list(self._callers.values()):
            if caller.waits is None:
                continue
            counter, at_least, until = caller.waits
            value = self.stick.counters[counter]
            if value >= at_least:
                caller.waits = None
                self._tell(caller, {"ok": True, "value": value})
            elif time.monotonic() >= until:
                caller.waits = None
                self._tell(caller, {"ok": False, "error": f"{counter} is {value}, not {at_least}"})

    def _tell(self, caller: _Caller, answer: dict[str, Any]) -> None:
        try:
            caller.connection.setblocking(True)
            caller.connection.settimeout(1.0)
            caller.connection.sendall(json.dumps(answer).encode() + b"\n")
            caller.connection.setblocking(False)
        except OSError:
            self._callers.pop(caller.connection.fileno(), None)
            caller.connection.close()


def _readable(reads: list[int], writes: list[int], pause_s: float | None) -> list[int]:
    """select(), which keeps microseconds; poll() where a process has more descriptors open than select() can take."""
    if max([*reads, *writes]) < _SELECT_MOST:
        return select.select(reads, writes, (), pause_s)[0]
    poller = select.poll()
    for fd in {*reads, *writes}:
        poller.register(fd, (select.POLLIN if fd in reads else 0) | (select.POLLOUT if fd in writes else 0))
    found = poller.poll(None if pause_s is None else pause_s * 1000)
    return [fd for fd, events in found if fd in reads and events & ~select.POLLOUT]


def _listen(path: str) -> socket.socket:
    """A listening Unix socket; what a dead simulator left behind is removed, a living one is respected."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        Path(path).unlink(missing_ok=True)
    else:
        raise FileExistsError(errno.EADDRINUSE, "another simulator listens here", path)
    finally:
        probe.close()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
    except OSError as error:  # the kernel takes 107 bytes; its message names no path
        listener.close()
        raise OSError(error.errno, f"control socket: {error.strerror or error}", path) from error
    os.chmod(path, 0o600)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def serve(options: Options, ready: Callable[[str], None] | None = None) -> None:
    """Be a modem until SIGTERM or SIGINT; `ready` is told the tty's name once everything can be opened.

    Main thread only. Raises OSError when link, air log or control socket cannot be made.
    """
    clock: Clock = RealClock() if options.clock_file is None else FileClock(options.clock_file)
    shell = _Shell(options, clock)

    def stop(number: int, frame: FrameType | None) -> None:
        shell.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if ready is not None:
            ready(shell.port or "")
        shell.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        shell.close()


class SimulatedModem:
    """A modem in a thread of this process, for tests and the demo.

        with SimulatedModem(latency_s=0.05) as sim:
            Modem(sim.link) … ; sim.control.deliver("+46701740605", "Hej") ; sim.submits()

    Takes the fields of `Options` as keywords; link, air log and control socket are put into a temporary directory where
    they are not named, and a fast latency is the default. `clock` may be any `modem.clock.Clock`.
    """

    def __init__(
        self,
        link: str | os.PathLike[str] | None = None,
        air_log: str | os.PathLike[str] | None = None,
        control: str | os.PathLike[str] | None = None,
        *,
        clock: Clock | None = None,
        latency_s: float = 0.02,
        report_delay_s: float = 0.02,
        **options: Any,
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="ringpost-modem-")
        home = Path(self._directory.name)
        self.link = os.fspath(link if link is not None else home / "modem")
        self.air_log = Path(air_log if air_log is not None else home / "air.jsonl")
        self._changed = threading.Condition()
        settings = Options(
            link=self.link,
            air_log=self.air_log,
            control=control if control is not None else home / "control",
            latency_s=latency_s,
            report_delay_s=report_delay_s,
            **options,
        )
        if clock is None:
            clock = RealClock() if settings.clock_file is None else FileClock(settings.clock_file)
        try:
            self._shell = _Shell(settings, clock, self._notice)
        except BaseException:
            self._directory.cleanup()
            raise
        self.control = Control(os.fspath(settings.control or ""))
        self._thread = threading.Thread(target=self._shell.run, name="simulated-modem", daemon=True)

    def __enter__(self) -> SimulatedModem:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._shell.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self.control.close()
        self._shell.close()
        self._directory.cleanup()

    @property
    def port(self) -> str | None:
        """The tty behind the link; None while unplugged."""
        return self._shell.port

    @property
    def entries(self) -> list[Entry]:
        """The air log so far."""
        return list(self._shell.air.entries)

    def submits(self) -> list[Entry]:
        """What reached the network, in order."""
        return [entry for entry in self.entries if entry["event"] == "submit"]

    def wait_for(self, event: str, count: int = 1, *, timeout_s: float = 10.0) -> list[Entry]:
        """Block until the air log has `count` entries of this event; those entries. Raises TimeoutError."""

        def found() -> list[Entry]:
            return [entry for entry in self._shell.air.entries if entry["event"] == event]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, timeout_s):
                raise TimeoutError(f"{len(found())} of {count} {event} entries after {timeout_s} s")
        return found()

    def _notice(self, entry: Entry) -> None:
        with self._changed:
            self._changed.notify_all()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of `python -m modem.simulator`."""
    parser = argparse.ArgumentParser(
        prog="python -m modem.simulator", description="A simulated GSM modem on a pty, with faults on demand."
    )
    add = parser.add_argument
    add("--link", required=True, metavar="PATH", help="where the link to the tty is put")
    add("--air-log", metavar="FILE", help="every TPDU that reached the network, one JSON object per line")
    add("--control", metavar="SOCKET", help="Unix socket for messages, reports and faults")
    add("--latency", type=float, default=1.0, metavar="S", dest="latency_s", help="of a submission (default 1.0)")
    add("--report-delay", type=float, default=0.5, metavar="S", dest="report_delay_s", help="of a status report")
    add("--answer-delay", type=float, default=0.0, metavar="S", dest="answer_delay_s", help="of any other answer")
    add("--boot-time", type=float, default=1.0, metavar="S", dest="boot_s", help="from a restart to its banner")
    add("--boot", action="store_true", help="start with a boot and its banner")
    add("--sim-busy", type=float, default=0.0, metavar="S", dest="sim_busy_s", help="+CME ERROR: 14 after a boot")
    add("--imei", default=IMEI)
    add("--iccid", default=ICCID)
    add("--imsi", default=IMSI)
    add("--no-smss", action="store_false", dest="smss", help="refuse EF_SMSS by AT+CRSM")
    add("--no-sim", action="store_false", dest="sim", help="no SIM card")
    add("--pin", help="the SIM asks for this PIN")
    add("--profile", default="generic", choices=sorted(PROFILES))
    add("--busy-input", default=BusyInput.LOSE, type=BusyInput, choices=list(BusyInput), help="see the module's text")
    add("--state", metavar="FILE", help="keep EF_SMSS, PIN counters and stored messages here")
    add("--clock", metavar="FILE", dest="clock_file", help="follow a test clock")
    add("--seed", type=int, default=1, help="for faults with a rate")
    options = Options(**vars(parser.parse_args(arguments)))
    try:
        serve(options, lambda name: print(f"ready {name} {options.link}", flush=True))
    except OSError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
