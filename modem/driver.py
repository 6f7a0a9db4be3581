"""One stick as blocking verbs: open, listen, start, submit, fetch, delete, signal …

A gsmmodem `GsmModem` over our link: its questions (`manufacturer`, `model`, `revision`, `imei`, `imsi`, `networkName`,
`signalStrength`, `smsc`) and its exceptions are the library's; opening, the PIN, sending, reading and everything
unasked are ours (codec.md). Single-threaded: the thread that owns the port calls the verbs, each verb pumps the
dialogue, and events reach `on_event` at once, in that thread. Refuses to know candidates, queues and the database.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from modem import commands
from modem.clock import Clock
from modem.commands import Command
from modem.dialogue import Answer, Ending
from modem.errors import (
    CommandRefused,
    ModemRestarted,
    ModemSilent,
    NotSent,
    OutcomeUnknown,
    PortLost,
    PromptMissing,
    QueryRefused,
    Rejected,
    SimProblem,
    SimTrouble,
    gsmmodem,
)
from modem.events import Event, Rebooted, UssdAnswer
from modem.faults import Fault, Remedy
from modem.lines import FinalKind
from modem.link import Link
from modem.profiles import (
    GENERIC,
    Indication,
    Profile,
    choose,
    indication_ladder,
    ranges,
    readable_storages,
    storage_ladder,
)

log = logging.getLogger(__name__)

ALL_TRIES = 3
"""Of a PIN, before the card asks for its PUK (TS 102 221 §9.5)."""
BUSY_PAUSE_S = 0.5
"""Between two questions to a card that answers "busy"; it costs nothing and the first message leaves sooner."""
LINK_KEPT_S = 1.0
"""AT+CMMS=1 keeps the relay link at least so long after a result (27.005 §3.5.6: 1 to 5 s)."""
USSD_TIMEOUT_S = 60.0
SLOW_SEND_S = 180.0

_SIM_FAULTS = {
    5: SimTrouble.LOCKED,
    10: SimTrouble.ABSENT,
    11: SimTrouble.PIN_REQUIRED,
    12: SimTrouble.PUK,
    13: SimTrouble.FAILED,
    15: SimTrouble.WRONG,
    16: SimTrouble.PIN_REFUSED,
    17: SimTrouble.PIN_REQUIRED,
    18: SimTrouble.PUK,
    40: SimTrouble.LOCKED,
    310: SimTrouble.ABSENT,
    311: SimTrouble.PIN_REQUIRED,
    313: SimTrouble.FAILED,
    315: SimTrouble.WRONG,
    316: SimTrouble.PUK,
}
_BUSY = frozenset({14, 314, 515})


class PinGuard(Protocol):
    """Remembers PIN attempts where a crash cannot erase them. One attempt per card; a person lifts the mark.

    With fewer than three tries left only a PIN that a person has just given, knowing that, may be allowed; the last one never is:
    the driver does not ask then.
    """

    def may_try(self, iccid: str | None, tries_left: int | None) -> bool:
        """Asked right before AT+CPIN is written. True only after the attempt is marked durably for this card."""
        ...

    def accepted(self, iccid: str | None) -> None:
        """The card took the PIN: the mark may go."""
        ...


class OneAttempt:
    """The guard of a `Modem` nobody gave one: one attempt per card and object, in memory."""

    def __init__(self) -> None:
        self._tried: set[str | None] = set()

    def may_try(self, iccid: str | None, tries_left: int | None) -> bool:
        if tries_left is not None and tries_left < ALL_TRIES:
            return False
        fresh = iccid not in self._tried
        self._tried.add(iccid)
        return fresh

    def accepted(self, iccid: str | None) -> None:
        self._tried.discard(iccid)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the stick and the card are, and what was agreed with them."""

    manufacturer: str
    model: str
    revision: str
    imei: str
    iccid: str
    imsi: str
    smsc: str  # "" when the card has none: sending will end in +CMS 330
    storages: tuple[str, ...]  # to sweep; the first is where received messages go
    indication: Indication | None  # the +CNMI agreed on; None when every rung was refused
    profile: Profile
    acknowledges: bool  # CSMS=1: what is routed must be acknowledged

    @property
    def reports(self) -> int:
        """0: no status reports will come, 1: as +CDS, 2: stored, with +CDSI."""
        return self.indication.reports if self.indication else 0


@dataclass(frozen=True, slots=True)
class Submitted:
    """The network took it; `tp_mr` is the reference its report will carry."""

    tp_mr: int


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as it lies in the modem. `pdu_hex` is raw: SMSC and TPDU, possibly nonsense, "" when left out."""

    storage: str
    index: int
    status: int | None  # 0 unread, 1 read, 2 unsent, 3 sent (27.005 §3.1)
    length: int | None
    pdu_hex: str


@dataclass(frozen=True, slots=True)
class Signal:
    """+CSQ: `rssi` 0..31, None when unknown; `ber` as printed (99 unknown)."""

    rssi: int | None
    ber: int

    @property
    def dbm(self) -> int | None:
        return None if self.rssi is None else -113 + 2 * self.rssi


_REGISTERED = frozenset({1, 5, 6, 7})
_TECHNOLOGIES = {0: "2G", 1: "2G", 2: "3G", 3: "2G", 4: "3G", 5: "3G", 6: "3G", 7: "4G", 8: "2G", 9: "4G", 11: "5G"}


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the modem is registered; `stat` as in 27.007 §7.2."""

    stat: int
    technology: str | None = None

    @property
    def is_registered(self) -> bool:
        """Home (1), roaming (5), or registered for SMS only (6, 7)."""
        return self.stat in _REGISTERED

    @property
    def is_roaming(self) -> bool:
        return self.stat in (5, 7)


class Modem(gsmmodem.modem.GsmModem, Link):  # type: ignore[misc]
    """One stick on one port.

    Every verb raises PortLost when the port goes away, ModemSilent when not even AT is answered, ModemRestarted when a
    boot banner came instead of the answer, CommandRefused for an error result, unless its own text says otherwise.
    """

    def __init__(
        self,
        port: str,
        *,
        clock: Clock | None = None,
        on_event: Callable[[Event], None] | None = None,
        profile: Profile | None = None,
        pin: str | Callable[[str | None], str | None] | None = None,
        pin_guard: PinGuard | None = None,
        baudrate: int = 115200,
    ) -> None:
        super().__init__(port, baudrate, clock=clock, on_event=on_event)
        self.profile = profile or GENERIC
        self._fixed_profile = profile
        self._pin = pin
        self._pin_guard: PinGuard = pin_guard or OneAttempt()
        self.identity: Identity | None = None
        self._storage = ""  # what AT+CPMS points to for reading
        self._needs_start = True
        self._boots = 0  # banners seen
        self._link_until = float("-inf")  # AT+CMMS holds the relay link until then
        self._link_mode: int | None = None
        self._acknowledging = False
        self.slowest_submission_s = 0.0
        self._ussd: UssdAnswer | None = None

    # Events.

    def _notice(self, event: Event) -> None:
        if isinstance(event, Rebooted):
            self._needs_start = self._needs_start or event.certain
            self._boots += event.certain
            self._link_until = float("-inf")
        elif isinstance(event, UssdAnswer):
            self._ussd = event
        super()._notice(event)

    @property
    def needs_start(self) -> bool:
        """True until `start` succeeded, and again after the modem restarted: `submit` then raises NotSent."""
        return self._needs_start

    def open(self) -> None:
        """Open the tty and write nothing; bytes that wait in it stay. Raises PortUnavailable."""
        if not self.is_open:
            self._needs_start = True
            self._storage = ""
            self._link_until = float("-inf")
        super().open()

    def connect(self, pin: str | None = None, waitingForModemToStartInSeconds: float = 0) -> None:
        """gsmmodem's name for `open` and `start`."""
        self._pin = pin or self._pin
        self.open()
        self.start()

    def write(self, data: str, *arguments: Any, **options: Any) -> list[str]:
        """gsmmodem's way in, without its endless repetition of busy answers (codec.md T11)."""
        return Link.write(self, data, *arguments, **options)

    # In step.

    def reset_prompt(self) -> None:
        """Leave a stuck prompt: ESC, quiet, AT. Writes to the port: only after the silence design.md §4 asks for."""
        self.dialogue.escape(self.clock.monotonic())
        self.perform(commands.ATTENTION)

    def probe(self) -> None:
        """AT. Raises ModemSilent when there is no answer."""
        self.perform(commands.ATTENTION)

    def restarted_since_init(self) -> bool | None:
        """Whether the modem restarted since `start` last ran, by whatever process; None when it does not tell.

        Asks for what `start` set and a restart resets: no echo, +CMEE 1, +CREG 2. Any of them gone means a restart.
        Writes two questions, initialises nothing; leave a stuck prompt with `reset_prompt` first.
        """
        told = False
        for question, wanted in ((commands.REGISTRATION, 2), (commands.ERROR_FORM, 1)):
            answer = self.converse(question)
            if answer.ending is Ending.RESTARTED or answer.echoed:
                return True
            if answer.ending is not Ending.FINAL:
                raise ModemSilent(question.shown)
            fields = _fields(answer.lines[0]) if answer.ok and answer.lines else []
            if fields and fields[0].isdecimal():
                told = True
                if int(fields[0]) != wanted:
                    return True
        return False if told else None

    # Initialising.

    def start(self) -> Identity:
        """Bring the stick into the one state everything else relies on; safe to repeat at any time.

        Escapes a stuck prompt first, so only after the silence design.md §4 asks for. Raises SimProblem, ModemSilent.
        """
        self.dialogue.escape(self.clock.monotonic())
        self.dialogue.echo_off = False
        self.perform(commands.ATTENTION)
        boots = self._boots
        self._try(commands.ECHO_OFF)
        still_echoing = self.converse(commands.NUMERIC_ERRORS).echoed
        manufacturer = self._first(commands.MANUFACTURER)
        model = self._first(commands.MODEL)
        revision = self._first(commands.REVISION)
        imei = _digits(self._first(commands.IMEI))
        self.profile = self._fixed_profile or choose(manufacturer, model, revision)
        self._radio_on()
        iccid = self._unlock()
        for text in self.profile.settings:
            self._try(commands.setting(text))
        imsi = _digits("".join(self._of_card(commands.IMSI)[:1]))
        self._try(commands.GSM_CHARACTERS)
        self._patiently(commands.PDU_MODE, only_busy=False)
        storages = self._choose_storage()
        indication = self._choose_indication()
        smsc = self._smsc()
        self._try(commands.setting("AT+CREG=2"))
        self._try(commands.setting("AT+CLIP=1"))  # who rings (27.007 §7.6)
        self._link_mode = self.profile.link_mode
        self._link_until = float("-inf")
        self.catch_up()
        if self._boots != boots:
            raise ModemRestarted("its initialisation", "banner between two commands")
        self.dialogue.echo_off = not still_echoing
        self._needs_start = False
        self.identity = Identity(
            manufacturer,
            model,
            revision,
            imei,
            iccid or "",
            imsi,
            smsc,
            storages,
            indication,
            self.profile,
            self._acknowledging,
        )
        log.info(
            "port=%s profile=%s imei=%s iccid=%s storages=%s cnmi=%s csms=%d",
            self.port,
            self.profile.name,
            imei,
            iccid,
            ",".join(storages),
            indication.text if indication else "none",
            self._acknowledging,
        )
        return self.identity

    def _radio_on(self) -> None:
        """AT+CFUN=1 where the radio is off (27.007 §8.2), as left behind by a recovery cut short."""
        answer = self._try(commands.FUNCTION)
        if answer and answer.lines and _number(_fields(answer.lines[-1])[:1]) in (0, 4):
            self._try(commands.RADIO_ON)

    def _try(self, command: Command) -> Answer | None:
        """`perform` where a refusal changes nothing."""
        try:
            return self.perform(command)
        except CommandRefused as refused:
            log.debug("port=%s refused=%s", self.port, refused)
            return None

    def _first(self, command: Command) -> str:
        """The first line of the answer without its prefix and quotation marks, "" when refused."""
        answer = self._try(command)
        return _value(answer.lines[0]) if answer and answer.lines else ""

    def _patiently(self, command: Command, *, only_busy: bool = True) -> Answer:
        """`perform`, asking again while the card is busy (+CME ERROR: 14, seconds after a boot or the PIN).

        `only_busy` False: while it is refused at all, as by sticks that want their boot finished first [LG#247].
        """
        until = self.clock.monotonic() + self.profile.ready_timeout_s
        while True:
            try:
                return self.perform(command)
            except CommandRefused as refused:
                if (only_busy and refused.fault.code not in _BUSY) or self.clock.monotonic() >= until:
                    raise
            self.listen(BUSY_PAUSE_S)

    def _agree(self, command: Command) -> bool:
        """`_patiently` for a rung of a ladder: whether it was taken."""
        try:
            self._patiently(command)
        except CommandRefused as refused:
            log.debug("port=%s refused=%s", self.port, refused)
            return False
        return True

    def _of_card(self, command: Command) -> tuple[str, ...]:
        """The lines of an answer that comes from the card. Raises SimProblem where the card is the reason for none."""
        try:
            return self._patiently(command).lines
        except CommandRefused as refused:
            trouble = SimTrouble.BUSY if refused.fault.code in _BUSY else _SIM_FAULTS.get(refused.fault.code)
            if trouble:
                raise SimProblem(trouble, refused.fault.meaning) from refused
            return ()

    # The card.

    def _unlock(self) -> str | None:
        """Wait for the card, enter the PIN where the rule allows it; the card's number."""
        state = self._pin_state()
        if state == "READY":
            return self._iccid()
        if state != "SIM PIN":
            raise SimProblem(_trouble(state), state)
        iccid = self._iccid()
        tries = self._tries_left()
        pin = self._pin(iccid) if callable(self._pin) else self._pin
        if not pin:
            raise SimProblem(SimTrouble.PIN_REQUIRED, "no PIN is configured", tries, iccid=iccid)
        command = commands.enter_pin(pin)
        if (tries is not None and tries < 2) or not self._pin_guard.may_try(iccid, tries):
            few = tries is not None and tries < ALL_TRIES
            why = f"only {tries} attempts are left" if few else "this PIN was tried before on this card"
            raise SimProblem(SimTrouble.PIN_WITHHELD, why, tries, iccid=iccid)
        try:
            self.perform(command)
        except CommandRefused as refused:
            left = tries and tries - 1
            raise SimProblem(SimTrouble.PIN_REFUSED, refused.fault.meaning, left, iccid=iccid) from refused
        state = self._pin_state(entered=True)
        if state != "READY":
            raise SimProblem(_trouble(state), state)
        self._pin_guard.accepted(iccid)
        return iccid or self._iccid()

    def _pin_state(self, *, entered: bool = False) -> str:
        """What +CPIN? says, asked again while the card is busy or, after the PIN, while it still says SIM PIN."""
        until = self.clock.monotonic() + self.profile.ready_timeout_s
        while True:
            # An unasked +CPIN may stand beside the answer; where they differ, nothing is certain yet.
            states = {_value(line).upper() for line in self._of_card(commands.PIN_STATE)}
            state = states.pop() if len(states) == 1 else ""
            waiting = state in ("", "NOT READY") or (entered and state == "SIM PIN")
            if not waiting or self.clock.monotonic() >= until:
                return state or "no answer"
            self.listen(BUSY_PAUSE_S)

    def _tries_left(self) -> int | None:
        for question in self.profile.tries:
            answer = self._try(commands.anything(question.command))
            for line in answer.lines if answer else ():
                if match := re.search(question.pattern, line, re.IGNORECASE):
                    return int(match[1])
        return None

    def _iccid(self) -> str | None:
        """The card's number: by the vendor's command, else from the card itself (EF_ICCID, swapped nibbles)."""
        for text in self.profile.iccid:
            answer = self._try(commands.anything(text, 5.0))
            for line in answer.lines if answer else ():
                if match := re.search(r"\b(89\d{16,18})F?\b", line, re.IGNORECASE):
                    return match[1]
        record = self._record(commands.ICCID_RECORD)
        if record is None or len(record) < 10:
            return None
        swapped = "".join(f"{octet & 15:x}{octet >> 4:x}" for octet in record[:10])
        return swapped.rstrip("f") if swapped.rstrip("f").isdecimal() else None

    def _record(self, command: Command) -> bytes | None:
        """The octets of an elementary file by +CRSM (27.007 §8.18), None when refused or not read."""
        answer = self._try(command)
        if answer is None or not answer.lines:
            return None
        match = re.match(r'\+CRSM ?: ?(\d+) ?, ?\d+ ?(?:, ?"?([0-9A-Fa-f]*)"?)?', answer.lines[0])
        if match is None or match[1] not in ("144", "145") or len(match[2] or "") % 2 or not match[2]:
            return None
        return bytes.fromhex(match[2])

    def _smsc(self) -> str:
        try:
            lines = self._patiently(commands.SMS_CENTRE).lines
        except CommandRefused:
            return ""
        match = re.search(r'"([^"]*)"', lines[0]) if lines else None
        return match[1] if match else ""

    # The ladders.

    def _choose_storage(self) -> tuple[str, ...]:
        answer = self._try(commands.STORAGE_RANGE)
        offered = " ".join(answer.lines) if answer else ""
        for rung in storage_ladder(offered, self.profile):
            if self._agree(commands.storages(rung.text)):
                self._storage = rung.names[0]
                return readable_storages(offered, rung.names[0])
        self._storage = ""
        return ("",)

    def _choose_indication(self) -> Indication | None:
        """CSMS=0 first: nothing then waits for an acknowledgement. CSMS=1 only where reports are refused without."""
        asked = self._try(commands.INDICATION_RANGE)
        ladder = indication_ladder(" ".join(asked.lines) if asked else "", self.profile)
        self._acknowledging = False
        self._try(commands.service(0))
        best = self._climb(ladder)
        if best is not None and best.reports:
            return best
        if self.profile.acknowledges and any(rung.reports == 1 for rung in ladder) and self._may_acknowledge():
            self._acknowledging = True
            better = self._climb(tuple(rung for rung in ladder if rung.reports == 1))
            if better is not None:
                return better
            self._acknowledging = False
            self._try(commands.service(0))
            return self._climb((best,)) if best else None
        return best

    def _may_acknowledge(self) -> bool:
        asked = self._try(commands.SERVICE_RANGE)
        offered = ranges(asked.lines[0]) if asked and asked.lines else ()
        if offered and 1 not in offered[0]:
            return False
        return self._agree(commands.service(1))

    def _climb(self, ladder: tuple[Indication, ...]) -> Indication | None:
        for rung in ladder:
            if self._agree(commands.indications(rung.text)):
                return rung
        return None

    # Sending.

    def submit(self, tpdu: bytes, *, more: bool = False) -> Submitted:
        """Send one TPDU (without SMSC) and wait for the network's word; `more` when another follows at once.

        Raises NotSent or PromptMissing (certainly did not leave), Rejected (the network or modem said no),
        OutcomeUnknown (may have left). The caller has committed its intent before it calls.
        """
        try:
            self.catch_up()  # a banner may wait unread
        except PortLost as lost:
            raise NotSent(f"port lost before Ctrl-Z: {lost.reason}") from lost
        if self._needs_start:
            raise NotSent("the modem is not initialised")
        self._keep_link(more)
        began = self.clock.monotonic()
        answer = self.submit_payload(commands.submit(tpdu))
        now = self.clock.monotonic()
        if answer.released:
            self.slowest_submission_s = max(self.slowest_submission_s, min(now - began, SLOW_SEND_S))
            if more:
                self._link_until = now + LINK_KEPT_S
        return _outcome(answer)

    def _keep_link(self, more: bool) -> None:
        """AT+CMMS once at the head of a burst; the modem drops back by itself. A refusal is final for this start."""
        if not more or self._link_mode is None or self.clock.monotonic() < self._link_until:
            return
        try:
            self.perform(commands.keep_link(self._link_mode))
        except CommandRefused:
            self._link_mode = None
        except (ModemSilent, ModemRestarted, PortLost) as error:
            raise NotSent(str(error)) from error

    def last_reference(self) -> int | None:
        """The TP-MR last used, from the card's own record EF_SMSS (31.102 §4.2.28); None when it is not told."""
        record = self._record(commands.LAST_REFERENCE)
        return record[0] if record else None

    # Stored messages.

    def fetch(self, storage: str | None = None) -> list[Stored]:
        """Everything stored, in `storage` or in every storage worth sweeping. Undecodable records are in it, raw."""
        if storage is None:
            names = self.identity.storages if self.identity else ("",)
            found = [stored for name in names for stored in self.fetch(name)]
            if self._moves_all:
                self._select(names[0])
            return found
        self._select(storage)
        answer = self.perform(commands.list_all())
        return [stored for header, pdu in answer.pdus if (stored := _listed(header, pdu, self._storage)) is not None]

    def fetch_one(self, index: int, storage: str | None = None) -> Stored | None:
        """The message in one slot; None when the slot is empty."""
        self._select(storage)
        try:
            answer = self.perform(commands.read(index))
        except CommandRefused as refused:
            if refused.fault.code in (321, 21, 22):
                return None
            raise
        for header, pdu in answer.pdus:
            fields = _fields(header)
            if pdu:
                return Stored(self._storage, index, _status(fields[0] if fields else ""), _number(fields[-1:]), pdu)
        return None

    def delete(self, index: int, storage: str | None = None) -> None:
        """Empty one slot; an empty one is no error. Call only after what was in it is stored durably."""
        self._select(storage)
        try:
            self.perform(commands.delete(index))
        except CommandRefused as refused:
            if refused.fault.code not in (321, 21, 22):
                raise

    def _select(self, storage: str | None) -> None:
        """Point AT+CPMS at `storage` for reading, unless it does already. None: where it is."""
        home = self.identity.storages[0] if self.identity else self._storage
        wanted = home if storage is None else storage
        if not wanted or wanted == self._storage:
            return
        if not re.fullmatch(r"[A-Z]{2}", wanted):
            raise ValueError("a storage is named by two capitals")
        names = (wanted,) * (3 if self._moves_all else 1)
        self.perform(commands.storages(",".join(f'"{name}"' for name in names)))
        self._storage = wanted

    @property
    def _moves_all(self) -> bool:
        """True for sticks that take three storages or none: reading elsewhere moves where messages arrive, too."""
        return self.profile.storage_forms == (3,)

    def acknowledge(self) -> None:
        """AT+CNMA after a routed PDU was stored durably; nothing unless CSMS=1 was agreed. A refusal is ignored."""
        if self._acknowledging:
            self._try(commands.ACKNOWLEDGE)

    def hang_up(self) -> None:
        """AT+CHUP: reject whoever rings (27.007 §6.5). A refusal is ignored: the network gives up by itself."""
        self._try(commands.setting("AT+CHUP"))

    # Questions.

    def signal(self) -> Signal:
        """+CSQ (27.007 §8.5)."""
        fields = _fields(self.perform(commands.SIGNAL).lines[0])
        rssi = _number(fields[:1])
        return Signal(rssi if rssi is not None and rssi <= 31 else None, _number(fields[1:2]) or 0)

    def registration(self) -> Registration:
        """The best of +CEREG, +CREG and +CGREG (27.007 §7.2, §10.1.22, §10.1.20)."""
        best = Registration(0)
        for question in (commands.REGISTRATION, commands.EPS_REGISTRATION, commands.PACKET_REGISTRATION):
            answer = self._try(question)
            if answer is None or not answer.lines:
                continue
            fields = _fields(answer.lines[0])
            stat, access = _number(fields[1:2]) or 0, _number(fields[4:5])
            found = Registration(stat, None if access is None else _TECHNOLOGIES.get(access))
            if (found.is_registered and not best.is_registered) or best.stat == 0:
                best = found
            if best.is_registered and best.technology:
                break
        return best

    def network(self) -> str | None:
        """The operator's name or number (+COPS?, 27.007 §7.3), None when there is none."""
        lines = self.perform(commands.OPERATOR).lines
        match = re.search(r'"([^"]*)"', lines[0]) if lines else None
        return match[1] or None if match else None

    def ussd(self, code: str, timeout_s: float = USSD_TIMEOUT_S) -> UssdAnswer:
        """Ask the network by USSD and wait for its answer; the session is ended. Raises ModemSilent without one.

        Codes that would change the card's PIN or the subscription (forwarding, barring) are refused with ValueError.
        """
        command = commands.ussd(code)
        if self.profile.ussd_packed:
            from modem import gsm7

            packed = gsm7.pack(gsm7.septets(code)).hex().upper()
            command = commands.setting(f"AT+CUSD=1,{packed},15", 20.0)
        self._ussd = None
        self.perform(command)
        until = self.clock.monotonic() + timeout_s
        while (answer := self._heard()) is None and self.clock.monotonic() < until:
            self.listen(min(1.0, until - self.clock.monotonic()))
        if answer is None or answer.status == 1:
            self._try(commands.USSD_CANCEL)
        if answer is None:
            raise ModemSilent(command.shown)
        return answer

    def _heard(self) -> UssdAnswer | None:
        return self._ussd

    def query(self, command: str) -> tuple[str, ...]:
        """Ask what a person typed at the console; the lines of the answer. Raises QueryRefused for anything else."""
        question = commands.query(command, self.profile.queries)
        if question is None:
            raise QueryRefused(command)
        answer = self.converse(question)
        if answer.ending is not Ending.FINAL:
            raise ModemSilent(question.shown)
        return (*answer.lines, answer.final.line if answer.final else "OK")


def _withhold(name: str, instead: str) -> None:
    """Take one of the library's methods out of service: it would lose or double messages here (codec.md §4)."""

    def refuse(self: Modem, *arguments: object, **options: object) -> None:
        raise NotImplementedError(f"{name} is not used here: {instead}")  # not a stub: whoever calls it must hear what to call

    setattr(Modem, name, refuse)


for _name, _instead in {
    "sendSms": "submit() sends one TPDU",
    "sendUssd": "ussd() asks the network",
    "listStoredSms": "fetch() lists what is stored",
    "readStoredSms": "fetch_one() reads one slot",
    "processStoredSms": "fetch() lists what is stored",
    "deleteStoredSms": "delete() empties one slot",
    "deleteMultipleStoredSms": "delete() empties one slot",
    "waitForNetworkCoverage": "registration() tells",
    "dial": "Ringpost makes no calls",
    "setForwarding": "Ringpost makes no calls",
    "checkForwarding": "Ringpost makes no calls",
}.items():
    _withhold(_name, _instead)


def _outcome(answer: Answer) -> Submitted:
    """What the end of an AT+CMGS means (design.md §4, modems.md §3)."""
    if answer.ending is Ending.NO_PROMPT:
        raise PromptMissing("no prompt after AT+CMGS")
    if answer.ending is Ending.RESTARTED:
        if answer.released:
            raise OutcomeUnknown(f"the modem restarted after Ctrl-Z ({answer.banner})")
        raise NotSent(f"the modem restarted before Ctrl-Z ({answer.banner})")
    if answer.ending is Ending.SILENT:
        if answer.released:
            raise OutcomeUnknown("no result after Ctrl-Z")
        raise NotSent("the modem does not answer AT")
    for line in answer.lines:
        if (reference := _number(_fields(line)[:1])) is not None and reference <= 255:
            return Submitted(reference)
    result = answer.final
    if result is None or result.ok:
        raise OutcomeUnknown("OK without +CMGS")
    fault: Fault = result.fault
    if answer.released and (result.kind is FinalKind.ABORTED or fault.remedy is Remedy.UNKNOWN):
        raise OutcomeUnknown(f"{result.line} after Ctrl-Z", fault)
    raise Rejected(result.line, fault)


def _trouble(state: str) -> SimTrouble:
    """What a +CPIN? state other than READY and SIM PIN means (27.007 §8.3)."""
    if state in ("SIM PUK", "SIM PUK2"):
        return SimTrouble.PUK
    if state.startswith("PH-"):
        return SimTrouble.LOCKED
    if state in ("NOT INSERTED", "SIM NOT INSERTED"):
        return SimTrouble.ABSENT
    if state == "SIM PIN":
        return SimTrouble.PIN_REFUSED
    return SimTrouble.UNKNOWN


def _fields(line: str) -> list[str]:
    """The fields behind `+NAME:`; commas inside quotation marks do not divide."""
    rest = line.partition(":")[2]
    return [part.strip().strip('"') for part in re.findall(r'(?:"[^"]*"|[^,])+|(?<=,)(?=,)', rest)]


def _value(line: str) -> str:
    """An answer without the `+NAME:` some sticks put before it, and without quotation marks."""
    return re.sub(r"^[+^*#$%&][A-Za-z0-9]+ ?: ?", "", line).strip().strip('"')


def _digits(text: str) -> str:
    match = re.search(r"\d{6,}", text)
    return match[0] if match else ""


def _number(fields: list[str]) -> int | None:
    return int(fields[0]) if fields and fields[0].isascii() and fields[0].isdigit() and len(fields[0]) < 10 else None


_TEXT_STATUS = {"REC UNREAD": 0, "REC READ": 1, "STO UNSENT": 2, "STO SENT": 3}


def _status(text: str) -> int | None:
    return _number([text]) if text.isdigit() else _TEXT_STATUS.get(text)


def _listed(header: str, pdu: str, storage: str) -> Stored | None:
    """One entry of AT+CMGL; None for a header without an index, which cannot be fetched or deleted anyway."""
    fields = _fields(header)
    index = _number(fields[:1])
    if index is None:
        return None
    return Stored(storage, index, _status(fields[1] if len(fields) > 1 else ""), _number(fields[-1:]), pdu)
