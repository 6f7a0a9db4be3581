"""The driver against the simulated stick and its faults, and against a scripted far end where the line itself matters."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run
from sys import executable

import pytest
from gsmmodem.exceptions import CommandError, GsmModemException, TimeoutException
from gsmmodem.modem import GsmModem

from modem import commands, faults
from modem.driver import Modem, Registration, Stored, Submitted
from modem.errors import (
    ModemError,
    ModemRestarted,
    ModemSilent,
    NotSent,
    OutcomeUnknown,
    PortLost,
    PortUnavailable,
    PromptMissing,
    QueryRefused,
    Rejected,
    SimProblem,
    SimTrouble,
)
from modem.events import (
    Event,
    LateResult,
    MessageStored,
    Rebooted,
    ReportArrived,
    ReportStored,
    Ring,
    Slow,
    StrayPrompt,
    UssdAnswer,
)
from modem.link import Link
from modem.pdu import Address, Submit
from modem.segments import Alphabet
from modem.simulator import SimulatedModem
from modem.simulator_profiles import PROFILES as STICKS
from tests.modem.scripted import OK, FastClock, Reply, ScriptedModem
from tests.processes import until as until_true

TPDU = Submit(Address.parse("+46701740605"), "Hej", Alphabet.GSM7).encode()
SPEED = 10.0
"""How much faster than the wall these tests live: enough to be quick, slow enough for a busy machine."""
HURRY = 40.0
"""For what takes minutes."""

Sim = SimulatedModem


@pytest.fixture
def sim() -> Iterator[Sim]:
    with SimulatedModem(clock=FastClock(SPEED), latency_s=0.05, report_delay_s=0.1) as stick:
        yield stick


@pytest.fixture
def hurried() -> Iterator[Sim]:
    with SimulatedModem(clock=FastClock(HURRY), latency_s=0.05, report_delay_s=0.1) as stick:
        yield stick


def open_after_another(modem: Modem) -> None:
    """Open a port that another had: a tty is free at its last close; the stick, which holds ours too, notices a moment later."""

    def opens() -> bool:
        try:
            modem.open()
        except PortUnavailable:
            return False
        return True

    until_true(opens, about="the port is free")


def started(stick: Sim, events: list[Event] | None = None, speed: float = SPEED) -> Modem:
    modem = Modem(stick.link, clock=FastClock(speed), on_event=(events if events is not None else []).append)
    modem.open()
    modem.start()
    return modem


def until(modem: Modem, found: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Listen until something was found; virtual seconds."""
    end = modem.clock.monotonic() + timeout_s
    while not found():
        assert modem.clock.monotonic() < end, "did not come"
        modem.listen(0.2)


def has(events: list[Event], kind: type[Event]) -> bool:
    return any(isinstance(event, kind) for event in events)


def test_it_is_a_gsmmodem_with_its_names_and_exceptions() -> None:
    assert issubclass(Modem, GsmModem)
    assert issubclass(Modem, Link)
    assert Modem.__mro__.index(GsmModem) < Modem.__mro__.index(Link)
    assert issubclass(ModemError, GsmModemException)
    assert issubclass(Rejected, CommandError)
    assert issubclass(PromptMissing, TimeoutException)
    with pytest.raises(NotImplementedError, match="submit"):
        Modem("/dev/null").sendSms("+46701740605", "Hej")


def test_importing_the_pure_half_loads_no_pyserial_and_nothing_warns() -> None:
    code = "import sys, modem, modem.pdu, modem.dialogue, modem.profiles; sys.exit('serial' in sys.modules)"
    assert run([executable, "-W", "error", "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
    code = "import sys; sys.dont_write_bytecode = True; import modem.driver, modem.discovery"
    command = [executable, "-W", "error", "-X", "pycache_prefix=/nonexistent", "-c", code]
    assert run(command, cwd=Path(__file__).parents[2]).returncode == 0


# Starting.


def test_starting_says_who_is_there_and_what_was_agreed(sim: Sim) -> None:
    modem = started(sim)
    identity = modem.identity
    assert identity is not None
    assert len(identity.imei) == 15
    assert identity.iccid.startswith("89")
    assert identity.imsi
    assert identity.smsc.startswith("+")
    assert identity.storages[0] == "SM"
    assert identity.indication is not None
    assert (identity.reports, identity.indication.messages_routed, identity.acknowledges) == (1, False, False)
    modem.close()


def test_the_librarys_questions_work(sim: Sim) -> None:
    modem = started(sim)
    sim.control.stray(["^RSSI:14", "+ZUSIMR:2"])
    assert modem.manufacturer == "Ringpost"
    assert modem.identity is not None
    assert modem.imei == modem.identity.imei
    assert modem.imsi == modem.identity.imsi
    assert modem.signalStrength == modem.signal().rssi
    assert modem.networkName == modem.network()
    assert modem.smsc == modem.identity.smsc
    modem.close()


def test_opening_writes_nothing(sim: Sim) -> None:
    modem = Modem(sim.link, clock=FastClock(SPEED))
    modem.open()
    modem.listen(1.0)
    assert sim.control.heard() == []
    modem.close()


def test_starting_twice_is_safe_and_leaves_no_prompt_behind(sim: Sim) -> None:
    modem = started(sim)
    modem._write(b"AT+CMGS=20\r")
    modem.listen(0.5)
    modem.start()
    assert modem.submit(TPDU)
    assert len(sim.submits()) == 1
    modem.close()


def test_a_busy_card_at_start_is_waited_for() -> None:
    with SimulatedModem(clock=FastClock(SPEED), boot=True, boot_s=0.1, sim_busy_s=5.0) as stick:
        modem = started(stick)
        assert modem.identity is not None
        assert modem.identity.imsi
        assert modem.submit(TPDU)
        modem.close()


def test_a_card_that_stays_busy_is_told(hurried: Sim) -> None:
    hurried.control.sim_busy(500)
    with pytest.raises(SimProblem) as problem:
        started(hurried, speed=HURRY)
    assert problem.value.kind is SimTrouble.BUSY


def test_a_silent_modem_is_told(sim: Sim) -> None:
    sim.control.silence()
    with pytest.raises(ModemSilent):
        started(sim)


def test_an_absent_card_is_told() -> None:
    with SimulatedModem(clock=FastClock(SPEED), sim=False) as stick, pytest.raises(SimProblem) as problem:
        started(stick)
    assert problem.value.kind is SimTrouble.ABSENT


def test_whether_it_restarted_is_known_without_initialising(sim: Sim) -> None:
    modem = Modem(sim.link, clock=FastClock(SPEED))
    modem.open()
    assert modem.restarted_since_init() is True
    modem.start()
    assert modem.restarted_since_init() is False
    modem.close()
    again = Modem(sim.link, clock=FastClock(SPEED))
    open_after_another(again)
    assert again.restarted_since_init() is False
    sim.control.reboot(boot_s=1)
    until(again, lambda: sim.control.counter("boots") > 0 if "boots" in sim.control.stats() else True)
    again.listen(3.0)
    assert again.restarted_since_init() is True
    again.close()


@pytest.mark.parametrize("name", sorted(STICKS))
def test_every_simulated_family_starts_sends_and_reports(name: str) -> None:
    with SimulatedModem(clock=FastClock(SPEED), profile=name, report_delay_s=0.1) as stick:
        events: list[Event] = []
        modem = started(stick, events)
        assert modem.identity is not None
        for _ in range(3):
            assert isinstance(modem.submit(TPDU), Submitted)
        if modem.identity.reports == 1:
            until(modem, lambda: sum(isinstance(event, ReportArrived) for event in events) == 3)
        elif modem.identity.reports == 2:
            until(modem, lambda: sum(isinstance(event, ReportStored) for event in events) == 3)
        stick.control.deliver("+46701740606", "Hej")
        until(modem, lambda: has(events, MessageStored))
        (told,) = [event for event in events if isinstance(event, MessageStored)]
        stored = modem.fetch_one(told.index, told.storage)
        assert stored is not None
        assert stored.pdu_hex in [entry.pdu_hex for entry in modem.fetch()]
        modem.close()


# The PIN.


class Guard:
    """Remembers what it was asked, and what the stick had heard by then."""

    def __init__(self, stick: Sim, *, allows: bool = True) -> None:
        self.stick, self.allows = stick, allows
        self.asked: list[tuple[str | None, int | None]] = []
        self.heard_before: list[str] = []
        self.taken: list[str | None] = []

    def may_try(self, iccid: str | None, tries_left: int | None) -> bool:
        self.asked.append((iccid, tries_left))
        self.heard_before = list(self.stick.control.heard())
        return self.allows

    def accepted(self, iccid: str | None) -> None:
        self.taken.append(iccid)


def pins_heard(stick: Sim) -> list[str]:
    return [line for line in stick.control.heard() if line.startswith("AT+CPIN=")]


def test_the_pin_is_entered_once_after_the_guard_was_asked() -> None:
    with SimulatedModem(clock=FastClock(SPEED), pin="4711") as stick:
        guard = Guard(stick)
        modem = Modem(stick.link, clock=FastClock(SPEED), pin="4711", pin_guard=guard)
        modem.open()
        identity = modem.start()
        assert guard.asked == [(identity.iccid, 3)]
        assert not [line for line in guard.heard_before if line.startswith("AT+CPIN=")]
        assert guard.taken == [identity.iccid]
        assert len(pins_heard(stick)) == 1
        modem.start()
        assert len(pins_heard(stick)) == 1
        modem.close()


def test_a_wrong_pin_is_tried_once_and_never_again() -> None:
    with SimulatedModem(clock=FastClock(SPEED), pin="4711") as stick:
        modem = Modem(stick.link, clock=FastClock(SPEED), pin="0000")
        modem.open()
        for kind in (SimTrouble.PIN_REFUSED, SimTrouble.PIN_WITHHELD, SimTrouble.PIN_WITHHELD):
            with pytest.raises(SimProblem) as problem:
                modem.start()
            assert problem.value.kind is kind
        assert len(pins_heard(stick)) == 1
        modem.close()
        other = Modem(stick.link, clock=FastClock(SPEED), pin="4711")
        open_after_another(other)
        with pytest.raises(SimProblem) as problem:
            other.start()
        assert (problem.value.kind, problem.value.tries_left) == (SimTrouble.PIN_WITHHELD, 2)
        other.close()


@pytest.mark.parametrize(("wasted", "tried"), [(1, True), (2, False)])
def test_below_three_tries_the_guard_decides_and_the_last_one_is_never_written(wasted: int, tried: bool) -> None:
    with SimulatedModem(clock=FastClock(SPEED), pin="4711") as stick:
        for _ in range(wasted):
            careless = Modem(stick.link, clock=FastClock(SPEED), pin="0000", pin_guard=Guard(stick))
            careless.open()
            with pytest.raises(SimProblem):
                careless.start()
            careless.close()
        guard = Guard(stick)
        modem = Modem(stick.link, clock=FastClock(SPEED), pin="4711", pin_guard=guard)
        modem.open()
        if tried:
            modem.start()
        else:
            with pytest.raises(SimProblem) as problem:
                modem.start()
            assert (problem.value.kind, problem.value.tries_left) == (SimTrouble.PIN_WITHHELD, 1)
            assert problem.value.iccid
        assert bool(guard.asked) is tried
        modem.close()


def test_a_guard_that_says_no_is_obeyed() -> None:
    with SimulatedModem(clock=FastClock(SPEED), pin="4711") as stick:
        modem = Modem(stick.link, clock=FastClock(SPEED), pin="4711", pin_guard=Guard(stick, allows=False))
        modem.open()
        with pytest.raises(SimProblem):
            modem.start()
        assert pins_heard(stick) == []
        modem.close()


@pytest.mark.parametrize("state", ["SIM PUK", "PH-SIM PIN", "SIM PIN2", "PH-NET PIN", "SOMETHING", "NOT READY"])
def test_the_pin_is_never_sent_for_any_other_state(state: str) -> None:
    """T18: gsmmodem sent the PIN for everything but READY, also for SIM PUK."""
    with ScriptedModem({"AT+CPIN?": f"\r\n+CPIN: {state}\r\n\r\nOK\r\n".encode(), **WHO}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(40), pin="4711")
        modem.open()
        with pytest.raises(SimProblem):
            modem.start()
        assert not [line for line in far_end.heard if line.startswith("AT+CPIN=")]
        modem.close()


def test_a_pin_state_that_contradicts_itself_is_asked_again() -> None:
    """A stray `+CPIN: SIM PIN` beside the answer READY must not make us type a PIN."""
    asked: list[str] = []

    def state(far_end: ScriptedModem) -> bytes:
        asked.append("AT+CPIN?")
        stray = b"\r\n+CPIN: SIM PIN\r\n" if len(asked) == 1 else b""
        return stray + b"\r\n+CPIN: READY\r\n\r\nOK\r\n"

    with scripted({"AT+CPIN?": state}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5), pin="4711")
        modem.open()
        modem.start()
        assert len(asked) == 2
        assert not [line for line in far_end.heard if line.startswith("AT+CPIN=")]
        modem.close()


def test_a_stick_whose_radio_is_off_is_switched_on() -> None:
    with scripted({"AT+CFUN?": b"\r\n+CFUN: 4\r\n\r\nOK\r\n"}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()
        assert "AT+CFUN=1" in far_end.heard
        modem.close()


def test_a_stick_that_is_still_booting_is_given_time() -> None:
    """A7670: AT+CMGF answered ERROR until `SMS DONE` [LG#247]; SIM800: busy for 7 s after the PIN [PG#11]."""
    tries: dict[str, int] = {}

    def after(times: int, refusal: bytes) -> Callable[[ScriptedModem], bytes]:
        def answer(far_end: ScriptedModem) -> bytes:
            line = far_end.heard[-1]
            tries[line] = tries.get(line, 0) + 1
            return refusal if tries[line] <= times else OK

        return answer

    waits = {"AT+CMGF=0": after(2, b"\r\nERROR\r\n"), 'AT+CPMS="SM","SM","SM"': after(3, b"\r\n+CMS ERROR: 314\r\n")}
    with scripted({**waits, "AT+CNMI=2,1,0,1,0": after(2, b"\r\n+CME ERROR: 14\r\n")}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        identity = modem.start()
        assert identity.storages == ("SM",)
        assert identity.reports == 1
        modem.close()


# Sending, and its faults (issue "The spine", 14).


def test_references_follow_the_cards_own_record(sim: Sim) -> None:
    modem = started(sim)
    for _ in range(3):
        sent = modem.submit(TPDU, more=True)
        assert modem.last_reference() == sent.tp_mr
    assert [entry["tp_mr"] for entry in sim.submits()] == [1, 2, 3]
    modem.close()


def test_the_link_is_kept_once_per_burst(sim: Sim) -> None:
    modem = started(sim)
    modem.submit(TPDU)
    for more in (True, True, False):
        modem.submit(TPDU, more=more)
    heard = sim.control.heard()
    assert heard.count("AT+CMMS=1") == 1
    modem.close()


def test_a_card_without_the_record_is_told_as_unknown() -> None:
    with SimulatedModem(clock=FastClock(SPEED), smss=False) as stick:
        modem = started(stick)
        assert modem.last_reference() is None
        modem.close()


def test_an_answer_lost_after_the_network_took_the_part_is_unknown_and_never_twice(hurried: Sim) -> None:
    events: list[Event] = []
    modem = started(hurried, events, HURRY)
    before = modem.last_reference()
    hurried.control.lose_answer()
    with pytest.raises(OutcomeUnknown):
        modem.submit(TPDU)
    assert has(events, Slow)
    assert len(hurried.submits()) == 1
    assert modem.last_reference() != before
    assert modem.submit(TPDU)
    assert len(hurried.submits()) == 2
    modem.close()


def test_an_answer_20_s_late_is_taken(sim: Sim) -> None:
    modem = started(sim)
    sim.control.late_answer(20)
    assert modem.submit(TPDU) == Submitted(1)
    assert modem.submit(TPDU) == Submitted(2)
    modem.close()


def test_an_answer_200_s_late_is_told_as_late(hurried: Sim) -> None:
    events: list[Event] = []
    modem = started(hurried, events, HURRY)
    hurried.control.late_answer(200)
    with pytest.raises(OutcomeUnknown):
        modem.submit(TPDU)
    until(modem, lambda: LateResult(1) in events, 60)
    assert modem.submit(TPDU) == Submitted(2)
    modem.close()


def test_an_ok_without_a_reference_is_unknown(sim: Sim) -> None:
    modem = started(sim)
    sim.control.bare_ok()
    with pytest.raises(OutcomeUnknown, match="without"):
        modem.submit(TPDU)
    assert modem.submit(TPDU)
    modem.close()


def test_a_reference_without_an_ok_is_sent(sim: Sim) -> None:
    modem = started(sim)
    sim.control.no_ok()
    assert modem.submit(TPDU) == Submitted(1)
    assert modem.submit(TPDU) == Submitted(2)
    modem.close()


@pytest.mark.parametrize("entered", [True, False])
def test_a_missing_prompt_is_escaped_and_the_part_can_go_again(sim: Sim, entered: bool) -> None:
    modem = started(sim)
    sim.control.no_prompt(entered=entered)
    with pytest.raises(PromptMissing):
        modem.submit(TPDU)
    assert sim.submits() == []
    assert modem.submit(TPDU)
    assert len(sim.submits()) == 1
    modem.close()


@pytest.mark.parametrize("code", [21, 28, 38, 41, 322, 331, 500])
def test_a_refusal_carries_its_fault_and_the_next_part_goes(sim: Sim, code: int) -> None:
    modem = started(sim)
    sim.control.cms(code)
    with pytest.raises(Rejected) as rejected:
        modem.submit(TPDU)
    assert rejected.value.fault == faults.cms(code)
    assert rejected.value.code == code
    assert sim.submits() == []
    assert modem.submit(TPDU)
    assert len(sim.submits()) == 1
    modem.close()


def test_a_refusal_in_place_of_the_prompt(sim: Sim) -> None:
    modem = started(sim)
    sim.control.cms(304, at="prompt")
    with pytest.raises(Rejected):
        modem.submit(TPDU)
    assert modem.submit(TPDU)
    modem.close()


def test_a_network_timeout_after_the_network_took_it_is_unknown(sim: Sim) -> None:
    modem = started(sim)
    sim.control.cms_after(332)
    with pytest.raises(OutcomeUnknown) as unknown:
        modem.submit(TPDU)
    assert unknown.value.fault == faults.cms(332)
    modem.close()


@pytest.mark.parametrize("glue", [False, True])
def test_stray_lines_everywhere_change_nothing(sim: Sim, glue: bool) -> None:
    events: list[Event] = []
    modem = started(sim, events)
    stray = ["^RSSI:14", '+CMTI: "SM",9', "+CREG: 1", "+ZUSIMR:2", "RING", "NO CARRIER", '+CUSD: 0,"> OK",15']
    for line in [stray, *([one] for one in stray if glue and one[:2] not in ("+C", "NO"))]:
        sim.control.stray(line, glue=glue and len(line) == 1)
        modem.start()
        assert isinstance(modem.submit(TPDU), Submitted)
        sim.control.clear("stray")
    sim.control.stray(stray)
    for text in ("Ett", "Två", "Tre"):
        sim.control.deliver("+46701740606", text)
    sim.control.wait("stored", 3) if "stored" in sim.control.stats() else modem.listen(2)
    stored = modem.fetch()
    assert len(stored) == 3
    assert all(len(entry.pdu_hex) == 2 * (1 + int(entry.pdu_hex[:2], 16) + (entry.length or 0)) for entry in stored)
    for entry in stored:
        modem.delete(entry.index, entry.storage)
    assert modem.fetch() == []
    assert modem.signal().rssi is not None
    assert modem.registration().is_registered
    assert MessageStored("SM", 9) in events
    assert has(events, Ring)
    assert has(events, UssdAnswer)
    modem.close()


def test_noise_on_the_line_changes_nothing(sim: Sim) -> None:
    modem = started(sim)
    sim.control.noise(b"\xff\xfe\x00", count=30)
    modem.start()
    for _ in range(3):
        assert isinstance(modem.submit(TPDU), Submitted)
    assert len(sim.submits()) == 3
    modem.close()


@pytest.mark.parametrize(("at", "error"), [("prompt", NotSent), ("pdu", OutcomeUnknown), ("after_ctrl_z", OutcomeUnknown)])
def test_a_restart_in_the_middle_of_a_submission(sim: Sim, at: str, error: type[ModemError]) -> None:
    events: list[Event] = []
    modem = started(sim, events)
    sim.control.reboot_mid_send(at=at)
    with pytest.raises(error):
        modem.submit(TPDU)
    until(modem, lambda: has(events, Rebooted))
    assert modem.needs_start
    with pytest.raises(NotSent):
        modem.submit(TPDU)
    modem.start()
    assert modem.submit(TPDU)
    assert len(sim.submits()) == 1
    modem.close()


def test_an_idle_restart_is_told_and_sending_waits_for_a_new_start(sim: Sim) -> None:
    events: list[Event] = []
    modem = started(sim, events)
    sim.control.reboot(boot_s=0.5)
    until(modem, lambda: Rebooted("RDY") in events)
    with pytest.raises(NotSent):
        modem.submit(TPDU)
    modem.start()
    assert modem.submit(TPDU)
    modem.close()


def test_a_restart_without_a_banner_is_noticed_before_the_part_is_released(sim: Sim) -> None:
    events: list[Event] = []
    modem = started(sim, events)
    sim.control.fault("echo")
    with pytest.raises(NotSent):
        modem.submit(TPDU)
    assert Rebooted("echo") in events
    assert sim.submits() == []
    modem.start()
    assert modem.submit(TPDU)
    modem.close()


def test_an_unplug_while_idle_and_back_under_another_pty(sim: Sim) -> None:
    modem = started(sim)
    sim.control.unplug(5)
    with pytest.raises(PortLost):
        modem.listen(60)
    assert not modem.is_open
    while not modem.is_open:
        try:
            modem.open()
        except PortLost:
            modem.clock.wait((), 0.5)
    modem.start()
    assert modem.submit(TPDU)
    modem.close()


@pytest.mark.parametrize(("at", "error"), [("prompt", NotSent), ("after_ctrl_z", OutcomeUnknown)])
def test_an_unplug_in_the_middle_of_a_submission(sim: Sim, at: str, error: type[ModemError]) -> None:
    modem = started(sim)
    sim.control.unplug(5, at=at)
    with pytest.raises(error):
        modem.submit(TPDU)
    assert not modem.is_open


def test_the_result_of_a_submission_whose_process_died_is_seen_by_the_next_one(sim: Sim) -> None:
    """Silence first (design.md §4): the successor only listens, and the modem is not disturbed in what it does."""
    sim.control.set(latency=5.0)
    dying = started(sim)
    dying._write(f"AT+CMGS={len(TPDU)}\r".encode())
    dying.listen(0.5)
    dying._write(b"00" + TPDU.hex().upper().encode() + b"\x1a")
    dying.close()
    events: list[Event] = []
    successor = Modem(sim.link, clock=FastClock(SPEED), on_event=events.append)
    open_after_another(successor)
    until(successor, lambda: LateResult(1) in events)
    assert sim.control.heard()[-1].startswith("<pdu ")
    successor.reset_prompt()
    assert successor.restarted_since_init() is False
    assert successor.last_reference() == 1
    successor.close()


def test_a_port_that_is_not_open_sends_nothing() -> None:
    with pytest.raises(NotSent):
        Modem("/dev/null").submit(TPDU)


def test_a_banner_that_waits_unread_stops_the_next_submission() -> None:
    with scripted({}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()
        far_end.say(b"\r\nRDY\r\n")
        with pytest.raises(NotSent):
            modem.submit(TPDU)
        assert not [line for line in far_end.heard if line.startswith("AT+CMGS")]
        modem.close()


def test_a_restart_between_two_commands_of_the_start_is_not_overlooked() -> None:
    def restart(far_end: ScriptedModem) -> bytes:
        return OK + b"\r\nRDY\r\n"

    with scripted({"AT+CREG=2": restart}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        with pytest.raises(ModemRestarted):
            modem.start()
        assert modem.needs_start
        far_end.answers["AT+CREG=2"] = OK
        assert modem.start()
        modem.close()


def test_an_owner_whose_event_fails_can_go_on() -> None:
    with scripted({"AT+CSQ": b'\r\n+CMTI: "SM",1\r\n\r\n+CSQ: 20,99\r\n\r\nOK\r\n'}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()

        def fail(event: Event) -> None:
            raise ZeroDivisionError

        modem.on_event = fail
        with pytest.raises(ZeroDivisionError):
            modem.signal()
        modem.on_event = lambda event: None
        assert modem.signal().rssi == 20
        modem.close()


# Stored messages and reports.


def test_messages_are_told_fetched_and_deleted(sim: Sim) -> None:
    events: list[Event] = []
    modem = started(sim, events)
    sim.control.deliver("+46701740606", "Hej")
    until(modem, lambda: has(events, MessageStored))
    (told,) = [event for event in events if isinstance(event, MessageStored)]
    one = modem.fetch_one(told.index, told.storage)
    assert isinstance(one, Stored)
    assert modem.fetch()[0].pdu_hex == one.pdu_hex
    modem.delete(told.index, told.storage)
    modem.delete(told.index, told.storage)
    assert modem.fetch_one(told.index) is None
    assert modem.fetch() == []
    modem.close()


def test_a_report_arrives_with_its_reference(sim: Sim) -> None:
    from modem.pdu import StatusReport, split_smsc

    events: list[Event] = []
    modem = started(sim, events)
    sent = modem.submit(TPDU)
    until(modem, lambda: has(events, ReportArrived))
    (event,) = [event for event in events if isinstance(event, ReportArrived)]
    _, tpdu = split_smsc(bytes.fromhex(event.pdu_hex))
    assert StatusReport.decode(tpdu).tp_mr == sent.tp_mr
    modem.acknowledge()
    modem.close()


# Questions.


def test_the_console_asks_and_nothing_else(sim: Sim) -> None:
    modem = started(sim)
    assert modem.query("AT+CNMI?")[-1] == "OK"
    assert modem.query("at+csq")[-1] == "OK"
    refused = ["AT+CMGS=5", "AT+CMGD=1,4", 'AT+CPIN="1234"', "AT+CNMI?;+CMGD=1", "ATD123;", "AT&F", "AT+CFUN=1,1"]
    for text in [*refused, "AT+CRSM=214,28483,0,0,2", 'AT+CLCK="SC",0', "AT+CMGS?", "", "AT+CSQ\rAT&F", "ATZ", "AT+CSQ=1"]:
        with pytest.raises(QueryRefused):
            modem.query(text)
    assert not [line for line in sim.control.heard() if line in refused]
    modem.close()


WHO: dict[str, Reply] = {
    "AT+CGMI": b"\r\nMaker\r\n\r\nOK\r\n",
    "AT+CGMM": b"\r\nModel\r\n\r\nOK\r\n",
    "AT+CGMR": b"\r\n1.0\r\n\r\nOK\r\n",
    "AT+CGSN": b"\r\n004999010640000\r\n\r\nOK\r\n",
    "AT+CIMI": b"\r\n001010123456789\r\n\r\nOK\r\n",
    "AT+CCID": b"\r\n+CCID: 8946071512360089522F\r\n\r\nOK\r\n",
    "AT+CSCA?": b'\r\n+CSCA: "+46701740600",145\r\n\r\nOK\r\n',
}
READY: dict[str, Reply] = {"AT+CPIN?": b"\r\n+CPIN: READY\r\n\r\nOK\r\n", **WHO}
PROMPT = b"\r\n> "


def scripted(answers: dict[str, Reply], **options: object) -> ScriptedModem:
    return ScriptedModem({**READY, **answers}, **options)  # type: ignore[arg-type]


def test_a_stick_that_refuses_everything_optional_still_starts() -> None:
    optional = ["AT+CPMS=?", "AT+CNMI=?", "AT+CSMS=?", "AT+CSMS=0", "AT+CSMS=1", "AT+CREG=2", 'AT+CSCS="GSM"', "ATE0"]
    with scripted(dict.fromkeys(optional, b"\r\nERROR\r\n")) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        identity = modem.start()
        assert identity.iccid == "8946071512360089522"
        assert identity.reports == 1
        modem.close()


def test_the_indication_ladder_is_climbed_down_to_what_is_taken() -> None:
    """Qualcomm parts advertise ds=1, refuse it, then accept 2 [MM bbm]."""

    answers: dict[str, Reply] = {"AT+CNMI=?": b"\r\n+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)\r\n\r\nOK\r\n"}
    for mode in (1, 2):
        for mt in (1, 2):
            answers[f"AT+CNMI={mode},{mt},0,1,0"] = b"\r\n+CMS ERROR: 303\r\n"
    with scripted(answers) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        identity = modem.start()
        assert identity.indication is not None
        assert identity.indication.numbers == (2, 1, 0, 2, 0)
        assert identity.reports == 2
        modem.close()


def test_reports_that_need_acknowledging_are_agreed_with_csms_1() -> None:
    """Cinterion: ds=1 needs CSMS=1 [WM#8]; then each routed report is acknowledged."""
    routed = False

    def service(far_end: ScriptedModem) -> bytes:
        nonlocal routed
        routed = far_end.heard[-1] == "AT+CSMS=1"
        return b"\r\n+CSMS: 1,1,1\r\n\r\nOK\r\n"

    def indicate(far_end: ScriptedModem) -> bytes:
        return OK if routed else b"\r\n+CMS ERROR: 302\r\n"

    answers: dict[str, Reply] = {
        "AT+CNMI=?": b"\r\n+CNMI: (0,1,2),(0,1),(0,2),(0,1),(1)\r\n\r\nOK\r\n",
        "AT+CSMS=?": b"\r\n+CSMS: (0,1)\r\n\r\nOK\r\n",
        "AT+CSMS=0": service,
        "AT+CSMS=1": service,
        "AT+CNMI=2,1,0,1,1": indicate,
        "AT+CNMI=1,1,0,1,1": indicate,
    }
    with scripted(answers) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        identity = modem.start()
        assert (identity.reports, identity.acknowledges) == (1, True)
        modem.acknowledge()
        assert far_end.heard[-1] == "AT+CNMA"
        modem.close()


def test_the_pdu_goes_out_in_one_write_and_only_after_the_prompt() -> None:
    with scripted({f"AT+CMGS={len(TPDU)}": PROMPT, "\x1a": b"\r\n+CMGS: 64\r\n\r\nOK\r\n"}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()
        assert modem.submit(TPDU) == Submitted(64)
        assert far_end.heard[-2:] == [f"AT+CMGS={len(TPDU)}", "00" + TPDU.hex().upper() + "\x1a"]
        modem.close()


def test_an_aborted_submission_is_unknown_since_it_may_have_left() -> None:
    """Fibocom: a stray character aborts the command while the SMS may still have gone [FIB]."""
    with scripted({f"AT+CMGS={len(TPDU)}": PROMPT, "\x1a": b"\r\nABORTED\r\n"}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()
        with pytest.raises(OutcomeUnknown):
            modem.submit(TPDU)
        modem.close()


def test_a_bare_error_is_a_transient_refusal() -> None:
    with scripted({f"AT+CMGS={len(TPDU)}": PROMPT, "\x1a": b"\r\nERROR\r\n"}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()
        with pytest.raises(Rejected) as rejected:
            modem.submit(TPDU)
        assert not rejected.value.fault.is_permanent
        modem.close()


def test_a_prompt_left_over_from_a_killed_process_is_told_and_left_before_anything_else() -> None:
    with scripted({}) as far_end:
        far_end.say(PROMPT)
        events: list[Event] = []
        modem = Modem(far_end.port, clock=FastClock(5), on_event=events.append)
        modem.open()
        modem.listen(1.0)
        assert events == [StrayPrompt()]
        assert far_end.raw == b""
        modem.reset_prompt()
        assert far_end.heard == ["\x1b", "AT"]
        modem.close()


def test_a_ussd_answer_is_waited_for_and_its_session_closed() -> None:
    with scripted({'AT+CUSD=1,"*100#",15': OK + b'\r\n+CUSD: 1,"00530061006C0064006F",72\r\n'}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()
        answer = modem.ussd("*100#")
        assert (answer.status, answer.text) == (1, "Saldo")
        assert far_end.heard[-1] == "AT+CUSD=2"
        with pytest.raises(ValueError, match="USSD"):
            modem.ussd('*100#",15;+CMGD=1')
        modem.close()


@pytest.mark.parametrize(
    "code",
    [
        "**04*1234*5678*5678#",
        "**05*12345678*1234*1234#",
        "**21*+46701740698#",
        "*21#",
        "##002#",
        "#61#",
        "*33*0000#",
        "*03*330*1*2*2#",
    ],
)
def test_ussd_codes_that_change_card_or_subscription_never_reach_the_wire(code: str) -> None:
    with scripted({}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        modem.start()
        with pytest.raises(ValueError, match="changes the SIM card or the subscription"):
            modem.ussd(code)
        assert not [line for line in far_end.heard if line.startswith("AT+CUSD=1")]
        modem.close()


@pytest.mark.parametrize("code", ["*100#", "*#06#", "*#21#", "#123#", "*333#", "*111*2#", "*130*1*2#", "*35#"])
def test_ussd_codes_that_ask_are_taken(code: str) -> None:
    assert code in commands.ussd(code).text


@pytest.mark.parametrize(
    ("raw", "dcs", "text"),
    [
        ("Saldo 10 kr", 15, "Saldo 10 kr"),
        ("00530061006C0064006F", 15, "Saldo"),
        ("041F04400438043204350442", 72, "Привет"),
        ("041F04400438043204350442", 15, "Привет"),
        ("4F60597D", 72, "你好"),
        ("AA180C3602", 15, "*100#"),
        ("1234", 15, "1234"),
        ("12345678", 15, "12345678"),
        ("0053006100000041", 15, "Sa"),
        ("Saldo\x00garbage", 15, "Saldo"),
        ("D83D", 72, "D83D"),
        ("", 15, ""),
    ],
)
def test_ussd_text_is_read_by_its_content(raw: str, dcs: int, text: str) -> None:
    assert UssdAnswer(0, raw, dcs).text == text


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"AT+CREG?": b"\r\n+CREG: 2,1\r\n\r\nOK\r\n"}, Registration(1)),
        (
            {"AT+CREG?": b"\r\n+CREG: 2,0\r\n\r\nOK\r\n", "AT+CEREG?": b'\r\n+CEREG: 2,6,"1","2",7\r\n\r\nOK\r\n'},
            Registration(6, "4G"),
        ),
        ({"AT+CREG?": b"\r\nERROR\r\n", "AT+CEREG?": b"\r\nERROR\r\n", "AT+CGREG?": b"\r\nERROR\r\n"}, Registration(0)),
        ({"AT+CREG?": b'\r\n+CREG: 2,5,"00C3","0010",2\r\n\r\nOK\r\n'}, Registration(5, "3G")),
    ],
)
def test_the_registration_is_the_best_of_three(answers: dict[str, Reply], expected: Registration) -> None:
    with scripted({"AT+CGREG?": b"\r\nERROR\r\n", "AT+CEREG?": b"\r\nERROR\r\n", **answers}) as far_end:
        modem = Modem(far_end.port, clock=FastClock(5))
        modem.open()
        assert modem.registration() == expected
        modem.close()


def test_the_pin_never_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with SimulatedModem(clock=FastClock(SPEED), pin="4711") as stick:
        modem = Modem(stick.link, clock=FastClock(SPEED), pin="4711")
        modem.open()
        modem.start()
        modem.close()
    assert "4711" not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("modem.link"))
    assert "AT+CPIN=…" in caplog.text


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import modem.driver  # noqa: F401
