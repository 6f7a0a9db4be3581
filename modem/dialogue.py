"""The conversation with one stick: a state machine with one command in flight, and no I/O.

Bytes and the time go in; bytes to write, events and a deadline come out. The shell (`link.py`) is a loop of four lines:
write `next_write()`, wait until something can be read or `deadline` has passed, then `feed()` or `expire()`.

    ADRIFT ──begin──▶ DRAIN ──quiet──▶ PROBE ──final──▶ SETTLE ──quiet──▶ ANSWER or PROMPT
    IDLE ───begin───────────────────────────────────────────────────────▶ ANSWER or PROMPT
    PROMPT ──prompt──▶ RESULT        ANSWER, RESULT ──final──▶ IDLE        any wait ──timeout, boot──▶ ADRIFT

ADRIFT means: not in step with the modem (just opened, an answer overdue, it restarted). What comes then belongs to
nobody and is never handed to the next command: before that is written, the line must be quiet and AT be answered.
An unasked line may land anywhere, also between the header of a listed message and its PDU. No bytes make it raise.
"""

from dataclasses import dataclass
from enum import StrEnum

from modem.commands import ATTENTION, ESCAPE, HARD_TIMEOUT_S, PROMPT_TIMEOUT_S, SOFT_TIMEOUT_S, Command
from modem.events import (
    Event,
    LateResult,
    MessageArrived,
    Noise,
    Rebooted,
    ReportArrived,
    Ring,
    Slow,
    StrayPrompt,
)
from modem.lines import (
    Final,
    FinalKind,
    Garbage,
    Prompt,
    Splitter,
    Text,
    Token,
    announcement,
    boot,
    final,
    fits,
    is_call_result,
    looks_unasked,
    paired,
    pdu,
)

DRAIN_QUIET_S = 0.1
"""Silence before the probe. The modem's own gap between two lines of one answer is some milliseconds."""
OVERDUE_QUIET_S = 0.5
"""The same after an overdue answer: the rest of it may still be on its way."""
SETTLE_QUIET_S = 0.3
"""Silence after the probe's OK, so that an OK of the overdue answer cannot pass for it."""
LONGEST_DRAIN_S = 3.0
"""Some sticks never fall silent (ZTE's +ZUSIMR flood): then the probe is written all the same."""
PROBE_TIMEOUT_S = 2.0
PROBES = 3
BARE_OK_GRACE_S = 1.0
"""How long a +CMGS may trail behind an OK that came without it."""
FINAL_GRACE_S = 2.0
"""How long the OK may trail behind a +CMGS; some sticks never print it."""
PAIR_GRACE_S = 5.0
"""How long the PDU of an unasked header may take; then the header is given up."""
HINT_PAUSE_S = 60.0
"""One restart prints several banners; those that only hint at it are told once in this time."""
_LONGEST_USSD = 20


class State(StrEnum):
    ADRIFT = "adrift"
    DRAIN = "drain"
    PROBE = "probe"
    SETTLE = "settle"
    IDLE = "idle"
    ANSWER = "answer"
    PROMPT = "prompt"
    RESULT = "result"


class Signal(StrEnum):
    """What moves the machine."""

    BEGIN = "begin"
    SUBMIT = "submit"
    QUIET = "quiet"
    PROMPT = "prompt"
    FINAL = "final"
    OVERDUE = "overdue"
    DISTURBED = "disturbed"  # a prompt or the probe's silence: ask for quiet again
    MISFIT = "misfit"  # an OK without the information it must carry: it was not ours
    BOOT = "boot"


_NEXT: dict[tuple[State, Signal], State] = {
    (State.ADRIFT, Signal.BEGIN): State.DRAIN,
    (State.DRAIN, Signal.QUIET): State.PROBE,
    (State.PROBE, Signal.FINAL): State.SETTLE,
    (State.PROBE, Signal.DISTURBED): State.DRAIN,
    (State.PROBE, Signal.OVERDUE): State.ADRIFT,
    (State.SETTLE, Signal.DISTURBED): State.DRAIN,
    (State.SETTLE, Signal.QUIET): State.IDLE,
    (State.SETTLE, Signal.FINAL): State.IDLE,
    (State.IDLE, Signal.BEGIN): State.ANSWER,
    (State.IDLE, Signal.SUBMIT): State.PROMPT,
    (State.IDLE, Signal.PROMPT): State.ADRIFT,
    (State.ANSWER, Signal.FINAL): State.IDLE,
    (State.ANSWER, Signal.MISFIT): State.DRAIN,
    (State.ANSWER, Signal.OVERDUE): State.ADRIFT,
    (State.ANSWER, Signal.BOOT): State.ADRIFT,
    (State.PROMPT, Signal.PROMPT): State.RESULT,
    (State.PROMPT, Signal.FINAL): State.IDLE,
    (State.PROMPT, Signal.OVERDUE): State.ADRIFT,
    (State.PROMPT, Signal.BOOT): State.ADRIFT,
    (State.RESULT, Signal.FINAL): State.IDLE,
    (State.RESULT, Signal.OVERDUE): State.ADRIFT,
    (State.RESULT, Signal.BOOT): State.ADRIFT,
}
"""A pair that is not here cannot happen; asking for it is a bug and raises KeyError."""

_IN_FLIGHT = frozenset({State.ANSWER, State.PROMPT, State.RESULT})
_SYNCING = frozenset({State.DRAIN, State.PROBE, State.SETTLE})


class Ending(StrEnum):
    """How a command ended."""

    FINAL = "final"
    SILENT = "silent"  # no result in time, or not even AT was answered
    NO_PROMPT = "no_prompt"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of the command in flight.

    `final` is None unless `ending` is FINAL, and there too when a +CMGS came and its OK never did.
    `pdus` pairs each header of a listing with its PDU, "" where the modem left it out.
    """

    command: Command
    ending: Ending
    final: Final | None = None
    lines: tuple[str, ...] = ()
    pdus: tuple[tuple[str, str], ...] = ()
    released: bool = False  # the payload was handed out to be written
    echoed: bool = False  # the modem echoed the command: ATE0 is gone
    banner: str = ""

    @property
    def ok(self) -> bool:
        return self.ending is Ending.FINAL and (self.final is None or self.final.ok)


@dataclass(slots=True)
class _Header:
    """A header waiting for its PDU on the next line. `kind` is "" for one of the answer in flight."""

    kind: str
    line: str
    length: int | None
    since: float
    text_mode: bool = False


class Dialogue:
    """One stick's line. Not thread-safe: one owner feeds it."""

    __slots__ = (
        "_bare_ok",
        "_command",
        "_deadline",
        "_drain_until",
        "_echoed",
        "_headers",
        "_hinted_at",
        "_last_byte",
        "_late_ok",
        "_lines",
        "_outgoing",
        "_owed",
        "_payload_handed",
        "_pdus",
        "_probes",
        "_quiet_s",
        "_retried",
        "_ringing",
        "_slow_at",
        "_splitter",
        "_started",
        "_stray",
        "_stuck",
        "_ussd",
        "echo_off",
        "state",
    )

    def __init__(self) -> None:
        self.state = State.ADRIFT
        self.echo_off = False
        """True once the modem is known not to echo: an echo from then on means that it restarted without a word."""
        self._splitter = Splitter()
        self._outgoing = b""
        self._deadline: float | None = None
        self._last_byte = float("-inf")
        self._headers: list[_Header] = []
        self._hinted_at = float("-inf")
        self._ussd: list[str] = []
        self._ringing = False
        self._stuck = False  # the modem sits at a prompt
        self._owed: Command | None = None  # its answer is overdue and may still come
        self._late_ok = False  # the next OK belongs to a +CMGS nobody waited for
        self._quiet_s = DRAIN_QUIET_S
        self._drain_until = float("-inf")
        self._probes = 0
        self._stray = False
        self._clear(None)

    def _clear(self, command: Command | None) -> None:
        self._command = command
        self._lines: list[str] = []
        self._pdus: list[tuple[str, str]] = []
        self._headers = [header for header in self._headers if header.kind]
        self._echoed = False
        self._bare_ok: Final | None = None
        self._payload_handed = False
        self._retried = False
        self._slow_at: float | None = None
        self._started = 0.0

    # What the shell asks.

    @property
    def deadline(self) -> float | None:
        """Until when to wait for bytes; None when nothing is awaited."""
        return self._deadline

    @property
    def released(self) -> bool:
        """True once the PDU and Ctrl-Z of the submission in flight were handed out: from then on it may have left."""
        return self._payload_handed

    @property
    def is_waiting(self) -> bool:
        """True while a command is in flight or being prepared."""
        return self._command is not None

    def next_write(self) -> bytes:
        """What to write now, once; empty when nothing."""
        data, self._outgoing = self._outgoing, b""
        if self.state is State.RESULT and data:
            self._payload_handed = True
        return data

    # What the driver asks.

    def begin(self, command: Command, now: float) -> None:
        """Put `command` in flight. Raises RuntimeError while another one is (a bug of ours)."""
        if self._command is not None:
            raise RuntimeError("one command at a time")
        self._clear(command)
        if self.state is State.IDLE:
            self._launch(now)
        else:
            self._probes = 0
            self._drain(Signal.BEGIN, now)

    def escape(self, now: float) -> None:
        """Leave a stuck prompt: ESC goes out with the next command, which waits for quiet and a probe first."""
        if self._command is None:
            self.state, self._stuck = State.ADRIFT, True

    def adrift(self) -> None:
        """Forget that we were in step, as after reopening the port."""
        self.state, self._deadline, self._outgoing = State.ADRIFT, None, b""
        self._clear(None)

    def feed(self, data: bytes, now: float) -> list[Event | Answer]:
        """Take what was read at `now`; what it meant, in order."""
        self._splitter.push(data)
        self._last_byte = now
        out: list[Event | Answer] = []
        while (token := self._next_token()) is not None:
            if isinstance(token, Text):
                self._take(token.line, now, out)
            elif isinstance(token, Prompt):
                self._take_prompt(now, out)
            else:
                self._take_garbage(token, out)
        if self.state is State.DRAIN or self.state is State.SETTLE:
            self._deadline = min(now + self._quiet_s, max(now, self._drain_until))
        return out

    def _next_token(self) -> Token | None:
        return self._splitter.next(prompts=not self._ussd, awaited=self.state is State.PROMPT)

    def expire(self, now: float) -> list[Event | Answer]:
        """What the passing of time means; nothing before `deadline`."""
        if self._deadline is None or now < self._deadline:
            return []
        self._deadline = None
        return _EXPIRE[self.state](self, now)

    # Getting in step.

    def _drain(self, signal: Signal, now: float) -> None:
        self.state = _NEXT[self.state, signal]
        self._quiet_s = OVERDUE_QUIET_S if self._owed else DRAIN_QUIET_S
        self._drain_until = now + LONGEST_DRAIN_S
        if self._stuck:
            self._outgoing, self._stuck = ESCAPE, False
            self._deadline = now + self._quiet_s
        else:
            self._deadline = max(now, self._last_byte + self._quiet_s)

    def _drained(self, now: float) -> list[Event | Answer]:
        self.state = _NEXT[self.state, Signal.QUIET]
        self._probes += 1
        self._stray = False
        self._outgoing = ATTENTION.line
        self._deadline = now + PROBE_TIMEOUT_S
        return []

    def _probe_overdue(self, now: float) -> list[Event | Answer]:
        if self._probes < PROBES:
            self._stuck = True
            self._drain(Signal.DISTURBED, now)
            return []
        return [self._end(Ending.SILENT, Signal.OVERDUE)]

    def _settled(self, now: float) -> list[Event | Answer]:
        self._owed = None
        if self._command == ATTENTION:  # the probe was the command
            return [self._end(Ending.FINAL, Signal.FINAL)]
        self.state = _NEXT[self.state, Signal.QUIET]
        self._launch(now)
        return []

    def _launch(self, now: float) -> None:
        command = self._command
        assert command is not None
        self.state = _NEXT[self.state, Signal.BEGIN if command.payload is None else Signal.SUBMIT]
        self._outgoing = command.line
        self._started = now
        self._deadline = now + (command.timeout_s if command.payload is None else PROMPT_TIMEOUT_S)

    # Running out of time.

    def _answer_overdue(self, now: float) -> list[Event | Answer]:
        self._owed = self._command
        return [self._end(Ending.SILENT, Signal.OVERDUE)]

    def _prompt_overdue(self, now: float) -> list[Event | Answer]:
        self._owed = self._command
        ended = self._end(Ending.NO_PROMPT, Signal.OVERDUE)
        self._outgoing = ESCAPE
        return [ended]

    def _result_overdue(self, now: float) -> list[Event | Answer]:
        command = self._command
        assert command is not None
        if self._bare_ok is not None:
            return [self._end(Ending.FINAL, Signal.FINAL, self._bare_ok)]
        if self._lines:
            return [self._end(Ending.FINAL, Signal.FINAL)]
        if self._slow_at is None:
            self._slow_at = now
            self._deadline = self._started + HARD_TIMEOUT_S
            return [Slow(command.text, now - self._started)]
        self._owed = command
        return [self._end(Ending.SILENT, Signal.OVERDUE)]

    def _end(self, ending: Ending, signal: Signal, result: Final | None = None, banner: str = "") -> Answer:
        command = self._command
        assert command is not None
        self._pdus += [(header.line, "") for header in self._headers if not header.kind]
        answer = Answer(
            command,
            ending,
            result,
            tuple(self._lines),
            tuple(self._pdus),
            self._payload_handed,
            self._echoed,
            banner,
        )
        self.state = _NEXT[self.state, signal]
        self._deadline = None
        self._outgoing = b""
        self._clear(None)
        return answer

    # One token at a time.

    def _take_garbage(self, token: Garbage, out: list[Event | Answer]) -> None:
        out.append(Noise(token.head))

    def _take_prompt(self, now: float, out: list[Event | Answer]) -> None:
        if self.state is State.PROMPT and self._echoed and self.echo_off:
            # It restarted without a banner: perhaps in text mode, where our PDU would be sent as a text.
            ended = self._end(Ending.RESTARTED, Signal.BOOT, banner="echo")
            self._outgoing, self.echo_off = ESCAPE, False
            out += [Rebooted("echo"), ended]
        elif self.state is State.PROMPT:
            assert self._command is not None
            assert self._command.payload is not None
            self.state = _NEXT[self.state, Signal.PROMPT]
            self._outgoing = self._command.payload
            self._started = now
            self._deadline = now + SOFT_TIMEOUT_S
        elif self.state is State.PROBE or self.state is State.SETTLE:
            self._stuck = True
            self._drain(Signal.DISTURBED, now)
        elif self.state is State.DRAIN:
            self._outgoing = ESCAPE
        elif self.state is not State.RESULT:  # a modem that echoes prints another one for each line end
            self._stuck = True
            if self.state is State.IDLE:
                self.state = _NEXT[self.state, Signal.PROMPT]
            out.append(StrayPrompt())

    def _take(self, line: str, now: float, out: list[Event | Answer]) -> None:
        if self._ussd and self._take_ussd(line, out):
            return
        if self._headers and self._take_pdu(line, now, out):
            return
        restarted = boot(line)
        if restarted:
            self._take_boot(line, now, out)
            return
        if self.state in _IN_FLIGHT:
            if self._take_answer(line, now, out):
                return
        elif self._take_orphan(line, now, out):
            return
        if restarted is False:
            if now - self._hinted_at >= HINT_PAUSE_S:
                out.append(Rebooted(line, certain=False))
            self._hinted_at = now
        elif header := paired(line):
            self._await_pdu(_Header(header.kind, line, header.length, now, header.length is None), out)
        elif line.startswith("+CUSD:") and line.count('"') == 1:
            self._ussd = [line]
        else:
            self._announce(line, out)

    def _announce(self, line: str, out: list[Event | Answer]) -> None:
        event = announcement(line)
        self._ringing = isinstance(event, Ring) or (self._ringing and not is_call_result(line))
        out.append(event)

    def _take_boot(self, line: str, now: float, out: list[Event | Answer]) -> None:
        self._hinted_at = now
        self._headers = []
        out.append(Rebooted(line))
        if self.state in _IN_FLIGHT:
            out.append(self._end(Ending.RESTARTED, Signal.BOOT, banner=line))

    def _take_orphan(self, line: str, now: float, out: list[Event | Answer]) -> bool:
        """A line while no command waits for one: results of what nobody waits for are told or dropped."""
        if line.startswith("+CMGS:"):
            self._stray = True
            self._late(line, out)
            return True
        result = final(line)
        if result is None:
            if line.startswith("AT") and line == ATTENTION.text:
                return True
            self._stray = self._stray or (self._owed is not None and self._owed.claims(line))
            return False
        if self._ringing and is_call_result(line):
            return False
        if self.state is State.PROBE and not self._is_late(result):
            self._quiet_s = SETTLE_QUIET_S if self._owed else 0.0
            self._drain_until = now + LONGEST_DRAIN_S
            self.state = _NEXT[self.state, Signal.FINAL]
            return True
        if result.ok and self._late_ok:
            self._late_ok = False
        elif self.state is State.ADRIFT or (self.state is State.IDLE and result.kind is FinalKind.CMS):
            out.append(LateResult(fault=None if result.ok else result.fault))
        else:
            out.append(Noise(line))
        return True

    def _is_late(self, result: Final) -> bool:
        """True when a result during the probe is not the probe's: it follows somebody's information, or is no AT's."""
        if self._stray or self._late_ok or result.kind is FinalKind.CMS:
            self._stray = False
            return True
        return False

    def _late(self, line: str, out: list[Event | Answer]) -> None:
        digits = line.partition(":")[2].strip().partition(",")[0].strip()
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 3 else None
        self._late_ok = True
        out.append(LateResult(tp_mr=number) if number is not None else Noise(line))

    def _take_answer(self, line: str, now: float, out: list[Event | Answer]) -> bool:
        """A line while a command waits: True when it was the command's, or a result."""
        command = self._command
        assert command is not None
        if line == command.text or (command.payload is not None and self._is_payload_echo(line, command.payload)):
            self._echoed = True
            if self.echo_off and command.payload is None:
                self.echo_off = False
                out.append(Rebooted("echo"))
            return True
        result = final(line)
        if result is not None:
            if self._ringing and is_call_result(line):
                return False
            self._take_final(result, command, now, out)
            return True
        if command.payload is not None:
            if not line.startswith("+CMGS:"):
                return False
            self._lines.append(line)
            if self.state is State.RESULT:
                self._deadline = now + FINAL_GRACE_S
                if self._bare_ok is not None:
                    out.append(self._end(Ending.FINAL, Signal.FINAL, self._bare_ok))
            else:  # before our prompt: the result of an earlier submission
                self._lines.pop()
                self._late(line, out)
            return True
        if line.startswith("+CMGS:"):
            self._late(line, out)
            return True
        if not command.claims(line):
            return False
        self._lines.append(line)
        if command.paired:
            self._await_pdu(_Header("", line, _last_number(line), now), out)
        return True

    def _take_final(self, result: Final, command: Command, now: float, out: list[Event | Answer]) -> None:
        if result.ok and self._late_ok and not self._lines:
            self._late_ok = False
            return
        self._late_ok = False
        if command.payload is not None:
            if self.state is State.PROMPT and result.ok:
                return  # no submission is OK before its prompt: a late one of something else
            if result.ok and not self._lines:
                self._bare_ok = result
                self._deadline = now + BARE_OK_GRACE_S
                return
        elif result.kind is FinalKind.CMS and not command.message_service:
            out.append(LateResult(fault=result.fault))  # no answer to this command: a submission given up long ago
            return
        elif result.ok and command.informative and not self._lines and not self._retried:
            self._owed = command
            self._probes = 0
            self._drain(Signal.MISFIT, now)
            self._retried = True
            return
        out.append(self._end(Ending.FINAL, Signal.FINAL, result))

    def _is_payload_echo(self, line: str, payload: bytes) -> bool:
        return self.state is State.RESULT and line == payload[:-1].decode("ascii")

    # Headers and their PDUs.

    def _await_pdu(self, header: _Header, out: list[Event | Answer]) -> None:
        for other in [h for h in self._headers if h.kind and h.kind == header.kind]:
            self._headers.remove(other)
            out.append(Noise(other.line))
        if not header.kind:
            for other in [h for h in self._headers if not h.kind]:
                self._headers.remove(other)
                self._pdus.append((other.line, ""))
            if header.length == 0:
                self._pdus.append((header.line, ""))
                return
        self._headers.append(header)

    def _take_pdu(self, line: str, now: float, out: list[Event | Answer]) -> bool:
        """Give `line` to the header it belongs to; the newest where several wait. False when it is no PDU."""
        for header in [h for h in self._headers if h.kind and now - h.since > PAIR_GRACE_S]:
            self._headers.remove(header)
            out.append(Noise(header.line))
        newest = next(reversed(self._headers), None)
        if newest is None:
            return False
        if newest.text_mode:
            # Somebody's text, whatever it looks like: never a result, a prompt or a banner. CMGF=0 is lost.
            self._headers.remove(newest)
            out += [Noise(newest.line), Rebooted("text mode", certain=False)]
            return True
        waiting = [h for h in reversed(self._headers) if not h.text_mode]
        header = next((h for h in waiting if fits(line, h.length)), waiting[0])
        found = pdu(line, header.length)
        if found is None and not header.kind and final(line) is None and not looks_unasked(line):
            found = line  # a damaged record is kept as it is: nothing received is ever dropped
        if found is None:
            return False
        self._headers.remove(header)
        if header.kind == "CMT":
            out.append(MessageArrived(found, header.length))
        elif header.kind == "CDS":
            out.append(ReportArrived(found, header.length))
        elif header.kind:
            out.append(Noise(header.line))
        else:
            self._pdus.append((header.line, found))
        return True

    def _take_ussd(self, line: str, out: list[Event | Answer]) -> bool:
        """A USSD text may run over several lines until its quotation mark closes; True when `line` belongs to it.

        One whose mark got lost must not swallow the result a command waits for.
        """
        cut_short = self._command is not None and final(line) is not None
        if not cut_short:
            self._ussd.append(line)
        if cut_short or '"' in line or len(self._ussd) >= _LONGEST_USSD:
            whole, self._ussd = "\n".join(self._ussd), []
            self._announce(whole, out)
        return not cut_short


def _last_number(line: str) -> int | None:
    tail = line.rpartition(",")[2].strip()
    return int(tail) if tail.isascii() and tail.isdigit() and len(tail) <= 4 else None


def _nothing(dialogue: Dialogue, now: float) -> list[Event | Answer]:
    return []


_EXPIRE = {
    State.ADRIFT: _nothing,
    State.IDLE: _nothing,
    State.DRAIN: Dialogue._drained,
    State.PROBE: Dialogue._probe_overdue,
    State.SETTLE: Dialogue._settled,
    State.ANSWER: Dialogue._answer_overdue,
    State.PROMPT: Dialogue._prompt_overdue,
    State.RESULT: Dialogue._result_overdue,
}
