"""The serial side of the simulated stick: bytes, lines, prompt, answers, unsolicited lines, and time.

Here is also everything a stick remembers, in one place, for the layers above (`simulator_commands`: what it says about
itself; `simulator_messages`: what it sends and receives; `simulator_core`: power and control) share it on every line.
Source: V.250 §5 (command lines and results), 3GPP TS 27.005 §4.3 (the prompt).
"""

from __future__ import annotations

import heapq
import os
import random
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from modem.airlog import AirLog
from modem.clock import Clock
from modem.simulator_model import (
    CME_TEXTS,
    CMS_TEXTS,
    Behaviour,
    BusyInput,
    Fault,
    Identity,
    Incoming,
    Outcome,
    Refused,
    Sending,
    State,
    Storage,
)
from modem.simulator_profiles import PROFILES, StickProfile

CTRL_Z, ESC, CR, LF, BACKSPACE = 0x1A, 0x1B, 0x0D, 0x0A, 0x08
LONGEST_LINE = 4096

Answer = Sequence[str] | Outcome
Handler = Callable[[str, str], Answer]

# Plain settings that this modem accepts and remembers until it restarts: name → (default, what `=?` says).
PARAMETERS = {
    "+CRC": ("0", "(0,1)"),
    "+CLIP": ("0", "(0,1)"),
    "+COLP": ("0", "(0,1)"),
    "+CCWA": ("0", "(0,1)"),
    "+CSDH": ("0", "(0,1)"),
    "+CSMP": ("17,167,0,0", "(0-255),(0-255),(0-255),(0-255)"),
    "+CGSMS": ("1", "(0-3)"),
    "+CTZU": ("0", "(0,1)"),
    "+CTZR": ("0", "(0,1)"),
    "+CGATT": ("1", "(0,1)"),
    "+CNMP": ("2", "(2,13,14,38)"),
    "+CUSDMODE": ("0", "(0,1)"),
    "+QURCCFG": ('"urcport","usbat"', '("urcport")'),
    "^CURC": ("1", "(0,1)"),
    "^PORTSEL": ("0", "(0,1)"),
    "^USSDMODE": ("0", "(0,1)"),
    "^SM20": ("1,0", "(0,1),(0,1)"),
    "+CVHU": ("0", "(0,1)"),
    "+IPR": ("115200", "(),(9600,115200)"),
    "+IFC": ("0,0", "(0-2),(0-2)"),
    "+CSSN": ("0,0", "(0,1),(0,1)"),
}


class Line(ABC):
    """Bytes in, bytes out with due times."""

    _state: State
    _input: bytearray
    _line: bytearray
    _pdu: bytearray
    _pending_lines: list[str]
    _afterwards: Callable[[], None] | None
    _sending: Sending | None
    _prompt_fault: Fault | None
    _held_urcs: deque[tuple[str, ...]]
    _unacknowledged: Incoming | None

    def __init__(
        self,
        clock: Clock,
        air: AirLog,
        *,
        identity: Identity | None = None,
        behaviour: Behaviour | None = None,
        profile: str | StickProfile = "generic",
        state_file: str | os.PathLike[str] | None = None,
        seed: int = 1,
        boot: bool = False,
    ) -> None:
        self.clock = clock
        self.air = air
        self.identity = identity or Identity()
        self.behaviour = behaviour or Behaviour()
        self.profile = PROFILES[profile] if isinstance(profile, str) else profile
        self.counters: Counter[str] = Counter()
        self.heard: deque[dict[str, Any]] = deque(maxlen=1000)
        self.plugged = True
        self.link_name: str | None = None  # where the shell should put the link after `unplug … new_link`
        self._random = random.Random(seed)  # noqa: S311 - seeded loss, not secrecy
        self._agenda: list[tuple[float, int, int | None, Callable[[], None]]] = []
        self._sequence = 0
        self._epoch = 0
        self._out: deque[tuple[float, bytes]] = deque()
        self._handlers = self._table()
        # the network and the card: they survive a reboot
        self._state_path = Path(state_file) if state_file is not None else None
        self.smss = 0  # the card's record of the last TP-MR
        self._tp_mr = 0  # the stick's own; the same but for bad habits
        self.pin_tries = 3
        self.puk_tries = 10
        self.storages = {name: Storage(name, total, self.profile.first_index) for name, total in self.profile.storages}
        self._queue: deque[Incoming] = deque()
        self._held_reports: list[Incoming] | None = None
        self._reports: list[Incoming] = []  # every report that was made, newest last, for the verb `report`
        self._radio_free_at = 0.0
        self._link_open_until = 0.0
        self._no_network_until = 0.0
        self._reference = self._random.randrange(256)
        self._faults: list[Fault] = []
        self._stray: list[str] = []
        self._stray_glue = False
        self._stray_left: int | None = None
        self._noise: bytes = b""
        self._noise_left = 0
        self._silent_until = 0.0
        self._sim_busy_until = 0.0
        self._reset()
        self._start(boot=boot)

    # --- what the layers above give ---------------------------------------------------------------------------

    @abstractmethod
    def _table(self) -> dict[str, Handler]:
        """The commands by name."""

    @abstractmethod
    def _pdu_entered(self, data: bytes) -> None:
        """Ctrl-Z at the prompt."""

    @abstractmethod
    def _break(self, fault: Fault) -> None:
        """Reboot or unplug in the middle of a submission."""

    @abstractmethod
    def _pump(self) -> None:
        """Let the network hand over what it holds for this SIM."""

    @abstractmethod
    def _save(self) -> None:
        """Keep what outlives the simulator."""

    @abstractmethod
    def _start(self, *, boot: bool) -> None:
        """Recall what was kept, and be ready or boot."""

    @abstractmethod
    def unplug(self, seconds: float | None, new_link: str | None = None) -> None:
        """Lose power and port."""

    @abstractmethod
    def reboot(self, boot_s: float | None = None) -> None:
        """Restart by itself."""

    def _log(self, event: str, **facts: Any) -> None:
        self.air.write(
            event,
            t=self.now,
            wall=self.clock.now_ms() / 1000,
            facts={**facts, "iccid": self.identity.iccid, "imei": self.identity.imei},
        )

    # --- memory -----------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        """The volatile settings, as after power-on (or ATZ)."""
        self._state = State.COMMAND
        self._input = bytearray()
        self._line = bytearray()
        self._pdu = bytearray()
        self._pending_lines = []
        self._afterwards = None
        self._sending = None
        self._prompt_fault = None
        self._prompt_for: tuple[str, int] = ("+CMGS", 0)
        self._prompt_status = 2
        self._held_urcs = deque()
        self._unacknowledged = None
        self._cfun = 1
        self._pin_entered = self.identity.pin is None
        self._mem = [self.profile.storages[0][0]] * 3
        self._calling = 0
        self._defaults()

    def _defaults(self) -> None:
        self._echo = True
        self._verbose = True
        self._quiet = False
        self._cmee = 0
        self._cmgf = self.profile.cmgf
        self._csms = 0
        self._cmms = 0
        self._cnmi = (0, 0, 0, 0, 0)
        self._creg = {"+CREG": 0, "+CGREG": 0, "+CEREG": 0}
        self._cscs = "GSM"
        self._cops_format = 0
        self._csca: str | None = None
        self._parameters = {name: default for name, (default, _) in PARAMETERS.items()}

    # --- time -------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    @property
    def deadline(self) -> float | None:
        """When `run` has something to do, in monotonic seconds; None: not before `feed` or `perform`."""
        dues = [entry[0] for entry in self._agenda[:1]]
        dues += [self._out[0][0]] if self._out and self._out[0][0] > 0 else []
        return min(dues, default=None)

    def run(self) -> None:
        """Do everything that is due by now."""
        while self._agenda and self._agenda[0][0] <= self.now:
            _, _, epoch, act = heapq.heappop(self._agenda)
            if epoch is None or epoch == self._epoch:
                act()

    def _after(self, delay_s: float, act: Callable[[], None], *, survives_reboot: bool = False) -> None:
        self._at(self.now + delay_s, act, survives_reboot=survives_reboot)

    def _at(self, due: float, act: Callable[[], None], *, survives_reboot: bool = False) -> None:
        self._sequence += 1
        heapq.heappush(self._agenda, (due, self._sequence, None if survives_reboot else self._epoch, act))

    # --- bytes ------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes from the program at the other end."""
        self.counters["bytes"] += len(data)
        if self._state is State.OFF or self._is_silent:
            return
        self._input += data
        self._work()

    def take(self) -> bytes:
        """What the modem has printed by now and nobody took yet."""
        self.run()
        now = self.now
        ready = []
        while self._out and self._out[0][0] <= now:
            ready.append(self._out.popleft()[1])
        return b"".join(ready)

    def _print(self, data: bytes, delay_s: float = 0.0) -> None:
        if not self.plugged:
            return
        due = self.now + delay_s if delay_s else 0.0
        if self._out:
            due = max(due, self._out[-1][0])
        self._out.append((due, data))

    @property
    def _is_silent(self) -> bool:
        return self._silent_until > self.now

    def _work(self) -> None:
        while self._input and self._state not in (State.OFF, State.WAITING):
            if self._state is State.COMMAND:
                self._read_line()
            elif self._state is State.PROMPT:
                self._read_pdu()
            elif not self._read_while_sending():
                return

    def _read_line(self) -> None:
        end = self._input.find(b"\r")
        chunk = bytes(self._input if end < 0 else self._input[: end + 1])
        del self._input[: len(chunk)]
        if self._echo:
            self._print(chunk)
        self._line += chunk
        if end < 0:
            del self._line[LONGEST_LINE:]
            return
        line = edited(self._line)
        self._line.clear()
        start = line.upper().find("AT")
        if start >= 0:
            self._obey(line[start + 2 :].strip())

    def _read_pdu(self) -> None:
        """In the prompt nothing but ESC and Ctrl-Z leads out; a half-written PDU stays (27.005 §4.3)."""
        fault = self._prompt_fault
        if fault is not None and fault.facts.get("at") == "pdu" and self._input[0] != ESC:
            self._break(fault)
            return
        for position, byte in enumerate(self._input):
            if byte not in (CTRL_Z, ESC):
                continue
            chunk = bytes(self._input[: position + 1])
            del self._input[: position + 1]
            if self._echo:
                self._print(chunk)
            pdu = bytes(self._pdu) + chunk[:-1]
            self._pdu.clear()
            if byte == ESC:
                self._state = State.COMMAND
                self._finish((), "OK")
            else:
                while self._input[:1] and self._input[0] in (CR, LF):  # some programs end the PDU with Ctrl-Z and CR
                    del self._input[:1]
                self._pdu_entered(pdu)
            return
        chunk = bytes(self._input)
        self._input.clear()
        if self._echo:
            self._print(chunk)
        self._pdu += chunk
        del self._pdu[LONGEST_LINE:]

    def _read_while_sending(self) -> bool:
        """A byte between Ctrl-Z and the answer; True when the rest may be read on."""
        policy = self.behaviour.busy_input
        if policy is BusyInput.QUEUE:
            return False
        if policy is BusyInput.IGNORE:
            self._input.clear()
            return False
        sending = self._sending
        assert sending is not None
        self.counters["stray_bytes"] += 1
        if policy is BusyInput.ABORT and not sending.over:
            sending.over = True
            self._log("fault", kind="abort", tpdu=sending.tpdu.hex().upper())
        sending.heard = False
        self._sending = None
        self._state = State.COMMAND
        del self._input[:1]  # the byte that aborts is not data
        return True

    # --- commands ---------------------------------------------------------------------------------------------

    def _obey(self, body: str) -> None:
        self.counters["commands"] += 1
        self.heard.append({"t": self.now, "line": "AT" + masked(body)})
        lines: list[str] = []
        self._afterwards = None
        try:
            for command in commands_in(body):
                answer = self._do(command)
                if isinstance(answer, Outcome):
                    self._pending_lines = lines
                    return
                lines += answer
        except Refused as refused:
            self._reply(lines, self._words(refused))
            return
        self._reply(lines, "OK")

    def _do(self, command: str) -> Answer:
        name, operator, arguments = parts_of(command)
        canned = self._canned(command)
        if canned is not None:
            if canned[-1] != "OK":
                raise Refused("raw:" + canned[-1])
            return canned[:-1]
        fault = self._take_fault(lambda f: "on" in f.facts and is_for(f.facts["on"], command))
        if fault is not None:
            self._command_fault(fault)
            if fault.kind in ("lose_answer", "silence"):
                self._state = State.COMMAND
                return Outcome.LATER
        handler = self._handlers.get(name)
        if handler is not None:
            answer = handler(operator, arguments)
        elif name in PARAMETERS:
            answer = self._parameter(name, operator, arguments)
        else:
            raise Refused("plain")
        if fault is not None and fault.kind in ("late_answer", "bare_ok") and not isinstance(answer, Outcome):
            if fault.kind == "bare_ok":
                return ()
            self._after(float(fault.facts.get("seconds", 20.0)), lambda: self._finish(answer, "OK"))
            return Outcome.LATER
        return answer

    def _parameter(self, name: str, operator: str, arguments: str) -> Answer:
        if operator == "=?":
            return (f"{name}: {PARAMETERS[name][1]}",)
        if operator == "?":
            return (f"{name}: {self._parameters[name]}",)
        if operator == "=":
            self._parameters[name] = arguments
        return ()

    def _command_fault(self, fault: Fault) -> None:
        self._note(fault)
        if fault.kind in ("cme", "cms"):
            raise Refused(fault.kind, int(fault.facts.get("code", 100)))

    def _canned(self, command: str) -> list[str] | None:
        best = max((key for key in self.behaviour.answers if is_for(key, command)), key=len, default=None)
        return None if best is None else list(self.behaviour.answers[best]) or ["OK"]

    def _reply(self, lines: Sequence[str], final: str) -> None:
        """Answer after the modem's thinking time; until then bytes queue up."""
        delay_s = self.behaviour.answer_delay_s
        if delay_s <= 0:
            self._finish(lines, final)
            return
        self._state = State.WAITING
        self._after(delay_s, lambda: self._finish_waiting(lines, final))

    def _later(self, delay_s: float, lines: Sequence[str], final: str = "OK") -> Outcome:
        self._state = State.WAITING
        self._after(delay_s, lambda: self._finish_waiting([*self._pending_lines, *lines], final))
        return Outcome.LATER

    def _finish_waiting(self, lines: Sequence[str], final: str) -> None:
        self._state = State.COMMAND
        self._finish(lines, final)
        self._work()

    def _finish(self, lines: Sequence[str], final: str) -> None:
        """Print an answer in the framing of V.250 §5.7, with the strays and the noise that were ordered."""
        if self._is_silent:
            return
        if self._noise_left > 0:
            self._noise_left -= 1
            self._print(self._noise)
        stray = self._stray_lines()
        pieces: list[str] = []
        for number, line in enumerate(lines):
            pieces += [*stray] if number else []
            pieces.append(("\r\n" if number == 0 or stray else "") + line + "\r\n")
        if final and not self._quiet:
            verbose = "\r\n" + final + "\r\n"
            numeric = {"OK": "0\r", "ERROR": "4\r", "NO CARRIER": "3\r"}.get(final, verbose)
            pieces += [*stray, verbose if self._verbose else numeric]
        self._print("".join([*stray, *pieces, *stray]).encode("latin-1", "replace"))
        after, self._afterwards = self._afterwards, None
        if after is not None:
            after()
        self._flush_held_urcs()

    def _stray_lines(self) -> list[str]:
        if not self._stray:
            return []
        lines = ["\r\n" + line + "\r\n" for line in self._stray]
        if self._stray_left is not None:
            self._stray_left -= 1
            if self._stray_left <= 0:
                self._stray = []
        return lines

    def _words(self, refused: Refused) -> str:
        if refused.kind.startswith("raw:"):
            return refused.kind[4:]
        if refused.kind == "plain" or self._cmee == 0:
            return "ERROR"
        texts = CME_TEXTS if refused.kind == "cme" else CMS_TEXTS
        word = str(refused.code) if self._cmee == 1 else texts.get(refused.code, "Unknown error")
        return f"+{refused.kind.upper()} ERROR: {word}"

    def _urc(self, *lines: str) -> None:
        """Print lines nobody asked for; in the prompt they wait where +CNMI mode is 0 or 2 (27.005 §3.4.1)."""
        if self._state is State.OFF or not self.plugged:
            return
        if self._state is State.PROMPT and self._cnmi[0] in (0, 2):
            self._held_urcs.append(lines)
            return
        text = [line.encode("latin-1", "replace") for line in lines]
        if len(lines) > 1 and self.behaviour.pair_gap_s > 0:
            self._print(b"\r\n" + text[0] + b"\r\n")
            for line in text[1:]:
                self._print(line + b"\r\n", self.behaviour.pair_gap_s)
            return
        self._print(b"\r\n" + b"\r\n".join(text) + b"\r\n")

    def _flush_held_urcs(self) -> None:
        while self._held_urcs and self._state is not State.PROMPT:
            self._urc(*self._held_urcs.popleft())

    # --- faults -----------------------------------------------------------------------------------------------

    def _take_fault(self, fits: Callable[[Fault], bool]) -> Fault | None:
        """The first queued fault that fits, used up by one; a fault with `rate` strikes only that share of the time."""
        for fault in self._faults:
            if not fits(fault):
                continue
            rate = fault.facts.get("rate")
            if rate is not None and self._random.random() >= float(rate):
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left <= 0:
                    self._faults.remove(fault)
            self.counters["faults"] += 1
            return fault
        return None

    def _note(self, fault: Fault, **more: Any) -> None:
        self._log("fault", **{**fault.facts, **more, "kind": fault.kind})


def edited(line: Iterable[int]) -> str:
    """A command line without what a terminal adds: backspaces obeyed, control characters left out (V.250 §5.2)."""
    kept = bytearray()
    for byte in line:
        if byte == BACKSPACE:
            del kept[-1:]
        elif byte >= 0x20:
            kept.append(byte)
    return kept.decode("latin-1")


def commands_in(body: str) -> Iterable[str]:
    """Split what follows AT: basic commands stick together, extended ones end at a `;` (V.250 §5.4.1)."""
    position = 0
    while position < len(body):
        start = position
        letter = body[position]
        if letter in " ;":
            position += 1
            continue
        if letter in "+^*#%$_":
            quoted = False
            while position < len(body) and (quoted or body[position] != ";"):
                quoted ^= body[position] == '"'
                position += 1
        elif letter in "Dd":
            position = len(body)
        else:
            position += 2 if letter == "&" else 1
            while position < len(body) and body[position] in "0123456789=?":
                position += 1
        yield body[start:position].strip()


def parts_of(command: str) -> tuple[str, str, str]:
    """Name, form ("", "=", "?", "=?") and arguments of one command."""
    if command[:1] in "+^*#%$_":
        for position, letter in enumerate(command):
            if letter in "=?":
                form = "=?" if command[position:].rstrip() == "=?" else letter
                return command[:position].strip().upper(), form, command[position + len(form) :].strip()
        return command.strip().upper(), "", ""
    length = 2 if command.startswith("&") else 1
    return command[:length].upper(), "", command[length:]


def is_for(prefix: object, command: str) -> bool:
    return command.upper().startswith(str(prefix).upper().removeprefix("AT"))


def masked(body: str) -> str:
    upper = body.upper()
    return body[: upper.find("+CPIN=") + 6] + "****" if "+CPIN=" in upper else body


def number_in(text: str) -> int | None:
    text = unquoted(text)
    return int(text) if text.isascii() and text.isdigit() else None


def digit_in(text: str) -> int:
    return number_in(text) or 0


def unquoted(text: str) -> str:
    return text.strip().strip('"')


def is_within(value: int, allowed: str) -> bool:
    """Is a number in a list like "0,2-3"?"""
    for part in allowed.split(","):
        low, _, high = part.partition("-")
        if int(low) <= value <= int(high or low):
            return True
    return False


def refusal(words: str) -> tuple[str, int]:
    kind, _, code = words.partition(" ")
    return kind, int(code or 0)
