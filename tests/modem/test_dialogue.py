"""Recorded conversations, each fed whole, octet by octet and cut at every place; then time, and hostile bytes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modem import commands, dialogue, faults
from modem.commands import ESCAPE, Command
from modem.dialogue import Answer, Dialogue, Ending, State
from modem.events import (
    Event,
    LateResult,
    MessageArrived,
    MessageStored,
    Noise,
    Rebooted,
    RegistrationChanged,
    ReportArrived,
    ReportStored,
    Ring,
    SignalChanged,
    Slow,
    StrayPrompt,
    UssdAnswer,
)

TPDU = bytes.fromhex("21000B916407710406F5000004C8721A0D")
CMGS = commands.submit(TPDU)
HEADER = CMGS.line
PAYLOAD = CMGS.payload or b""
REPORT_TPDU = "06" * 25
REPORT_LINE = "00" + REPORT_TPDU
MESSAGE_A = "00" + "04" * 19
MESSAGE_B = "07" + "91" * 7 + "24" * 23

Told = Event | Answer


def in_step() -> Dialogue:
    """A dialogue after its first probe."""
    line = Dialogue()
    line.begin(commands.ECHO_OFF, 0.0)
    assert line.expire(0.0) == []
    assert line.next_write() == b"AT\r"
    assert line.feed(b"\r\nOK\r\n", 0.0) == []
    assert line.expire(0.0) == []
    assert line.next_write() == b"ATE0\r"
    (answer,) = line.feed(b"\r\nOK\r\n", 0.0)
    assert isinstance(answer, Answer)
    assert line.state is State.IDLE
    return line


@dataclass
class Talk:
    """One conversation: what we write, what the modem then says, and what it means."""

    name: str
    command: Command
    said: list[tuple[bytes, bytes]]
    told: list[Event]
    lines: tuple[str, ...] = ()
    pdus: tuple[tuple[str, str], ...] = ()
    final: str | None = "OK"
    ending: Ending = Ending.FINAL
    released: bool = False
    echoed: bool = False
    after: list[Event] = field(default_factory=list)


STRAY = b'\r\n+CMTI: "SM",3\r\n'
STORED = MessageStored("SM", 3)
CDS = b"\r\n+CDS: 25\r\n" + REPORT_LINE.encode() + b"\r\n"
ROUTED = ReportArrived(REPORT_LINE, 25)

TALKS = [
    Talk("a plain result", commands.PDU_MODE, [(b"AT+CMGF=0\r", b"\r\nOK\r\n")], []),
    Talk("a question", commands.SIGNAL, [(b"AT+CSQ\r", b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n")], [], ("+CSQ: 20,99",)),
    Talk(
        "an announcement before, between and inside (T2)",
        commands.SIGNAL,
        [(b"AT+CSQ\r", STRAY + b"\r\n+CSQ: 20,0\r\n" + STRAY + b"\r\n^RSSI:9\r\n\r\nOK\r\n")],
        [STORED, STORED, SignalChanged(9)],
        ("+CSQ: 20,0",),
    ),
    Talk(
        "a report inside an answer, its PDU on the next line",
        commands.SIGNAL,
        [(b"AT+CSQ\r", CDS + b"\r\n+CSQ: 20,0\r\n" + CDS + b"\r\nOK\r\n")],
        [ROUTED, ROUTED],
        ("+CSQ: 20,0",),
    ),
    Talk(
        "three announcements and a report in one burst (T4)",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", STRAY * 3 + b'\r\n+CDSI: "SR",1\r\n\r\nOK\r\n')],
        [STORED] * 3 + [ReportStored("SR", 1)],
    ),
    Talk(
        "echo is back on",
        commands.SIGNAL,
        [(b"AT+CSQ\r", b"AT+CSQ\r\r\n+CSQ: 20,99\r\n\r\nOK\r\n")],
        [],
        ("+CSQ: 20,99",),
        echoed=True,
    ),
    Talk("an error in figures", commands.PDU_MODE, [(b"AT+CMGF=0\r", b"\r\n+CMS ERROR: 302\r\n")], [], final="+CMS ERROR: 302"),
    Talk(
        "an error in words (CMEE=2)",
        commands.PIN_STATE,
        [(b"AT+CPIN?\r", b"\r\n+CME ERROR: SIM busy\r\n")],
        [],
        final="+CME ERROR: SIM busy",
    ),
    Talk(
        "COMMAND NOT SUPPORT",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b"\r\nCOMMAND NOT SUPPORT\r\n")],
        [],
        final="COMMAND NOT SUPPORT",
    ),
    Talk("NO CARRIER ends a command (T10)", commands.PDU_MODE, [(b"AT+CMGF=0\r", b"\r\nNO CARRIER\r\n")], [], final="NO CARRIER"),
    Talk(
        "a caller who gives up does not",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b"\r\nRING\r\n\r\nNO CARRIER\r\n\r\nOK\r\n")],
        [Ring(), Noise("NO CARRIER")],
    ),
    Talk(
        "free text among announcements",
        commands.MANUFACTURER,
        [(b"AT+CGMI\r", b"\r\n^RSSI:9\r\n\r\n+ZUSIMR:2\r\n\r\nQUALCOMM INCORPORATED\r\n" + STRAY + b"\r\nOK\r\n")],
        [SignalChanged(9), Noise("+ZUSIMR:2"), STORED],
        ("QUALCOMM INCORPORATED",),
    ),
    Talk(
        "free text with its name before it",
        commands.MANUFACTURER,
        [(b"AT+CGMI\r", b'\r\n+CGMI: "huawei"\r\n\r\nOK\r\n')],
        [],
        ('+CGMI: "huawei"',),
    ),
    Talk(
        "the registration is asked and announced at once",
        commands.REGISTRATION,
        [(b"AT+CREG?\r", b'\r\n+CREG: 1\r\n\r\n+CREG: 1,"00C3","0010",7\r\n\r\n+CREG: 2,5\r\n\r\n+CREG: 2\r\n\r\nOK\r\n')],
        [RegistrationChanged(1), RegistrationChanged(1), RegistrationChanged(2)],
        ("+CREG: 2,5",),
    ),
    Talk(
        "a listing",
        commands.list_all(),
        [(b"AT+CMGL=4\r", f"\r\n+CMGL: 1,0,,19\r\n{MESSAGE_A}\r\n+CMGL: 2,1,,23\r\n{MESSAGE_B}\r\n\r\nOK\r\n".encode())],
        [],
        ("+CMGL: 1,0,,19", "+CMGL: 2,1,,23"),
        (("+CMGL: 1,0,,19", MESSAGE_A), ("+CMGL: 2,1,,23", MESSAGE_B)),
    ),
    Talk(
        "announcements inside a listing, also between header and PDU",
        commands.list_all(),
        [
            (
                b"AT+CMGL=4\r",
                b"\r\n+CMGL: 1,0,,19\r\n"
                + STRAY
                + CDS
                + b"^BOOT:1,0\r\n"
                + MESSAGE_A.encode()
                + b"\r\n"
                + CDS
                + b"+CMGL: 2,1,,23\r\n\r\nRING\r\n"
                + MESSAGE_B.encode()
                + b"\r\n\r\nOK\r\n",
            )
        ],
        [STORED, ROUTED, Noise("^BOOT:1,0"), ROUTED, Ring()],
        ("+CMGL: 1,0,,19", "+CMGL: 2,1,,23"),
        (("+CMGL: 1,0,,19", MESSAGE_A), ("+CMGL: 2,1,,23", MESSAGE_B)),
    ),
    Talk(
        "a listing lands between +CDS and its PDU",
        commands.list_all(),
        [(b"AT+CMGL=4\r", f"\r\n+CDS: 25\r\n+CMGL: 1,0,,19\r\n{MESSAGE_A}\r\n{REPORT_LINE}\r\n\r\nOK\r\n".encode())],
        [ROUTED],
        ("+CMGL: 1,0,,19",),
        (("+CMGL: 1,0,,19", MESSAGE_A),),
    ),
    Talk(
        "a listing with a damaged, a missing and an empty record keeps what there is",
        commands.list_all(),
        [(b"AT+CMGL=4\r", b"\r\n+CMGL: 1,0,,19\r\n0004zz9\r\n+CMGL: 2,1,,23\r\n+CMGL: 3,1,,0\r\n\r\nOK\r\n")],
        [],
        ("+CMGL: 1,0,,19", "+CMGL: 2,1,,23", "+CMGL: 3,1,,0"),
        (("+CMGL: 1,0,,19", "0004zz9"), ("+CMGL: 2,1,,23", ""), ("+CMGL: 3,1,,0", "")),
    ),
    Talk("an empty slot, Quectel and Huawei", commands.read(7), [(b"AT+CMGR=7\r", b"\r\nOK\r\n")], []),
    Talk(
        "an empty slot, length 0",
        commands.read(7),
        [(b"AT+CMGR=7\r", b"\r\n+CMGR: 0,,0\r\n\r\n\r\nOK\r\n")],
        [],
        ("+CMGR: 0,,0",),
        (("+CMGR: 0,,0", ""),),
    ),
    Talk(
        "a report with junk behind it [S hist], and ZTE's comma [OF sms]",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b"\r\n+CDS: ,25\r\n" + REPORT_LINE.encode() + b"F" * 300 + b"\r\n\r\nOK\r\n")],
        [ROUTED],
    ),
    Talk(
        "a routed message",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b"\r\n+CMT: ,19\r\n" + MESSAGE_A.encode() + b"\r\n\r\nOK\r\n")],
        [MessageArrived(MESSAGE_A, 19)],
    ),
    Talk(
        "a text of somebody's who writes like a modem is judged as nothing",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b'\r\n+CMT: "+46701740605",,"26/11/21,10:00:00+04"\r\nERROR\r\n\r\nOK\r\n')],
        [Noise('+CMT: "+46701740605",,"26/11/21,10:00:00+04"'), Rebooted("text mode", certain=False)],
    ),
    Talk(
        "a USSD menu over three lines, one like a prompt, one like a result",
        commands.setting('AT+CUSD=1,"*100#",15'),
        [(b'AT+CUSD=1,"*100#",15\r', b'\r\nOK\r\n\r\n+CUSD: 1,"Menu\r\n> 1 Saldo\r\nERROR",15\r\n')],
        [],
        after=[UssdAnswer(1, "Menu\n> 1 Saldo\nERROR", 15)],
    ),
    Talk(
        "a USSD text that lost its end does not swallow the result",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b'\r\n+CUSD: 1,"Menu\r\n1 Saldo\r\nOK\r\n')],
        [UssdAnswer(1, "Menu\n1 Saldo")],
    ),
    Talk(
        "a submission",
        CMGS,
        [(HEADER, b"\r\n> "), (PAYLOAD, b"\r\n+CMGS: 64\r\n\r\nOK\r\n")],
        [],
        ("+CMGS: 64",),
        released=True,
    ),
    Talk(
        "a submission on a stick that echoes",
        CMGS,
        [(HEADER, HEADER + b"\r\n> "), (PAYLOAD, PAYLOAD + b"\r\n+CMGS: 64\r\n\r\nOK\r\n")],
        [],
        ("+CMGS: 64",),
        released=True,
        echoed=True,
    ),
    Talk(
        "announcements everywhere in a submission, a report before its own +CMGS",
        CMGS,
        [
            (HEADER, STRAY + b"\r\n^RSSI:9\r\n\r\n> "),
            (PAYLOAD, CDS + STRAY + b"\r\n+CMGS: 64\r\n" + STRAY + CDS + b"\r\nOK\r\n"),
        ],
        [STORED, SignalChanged(9), ROUTED, STORED, STORED, ROUTED],
        ("+CMGS: 64",),
        released=True,
    ),
    Talk(
        "an announcement glued to the prompt",
        CMGS,
        [(HEADER, b'\r\n+CMTI: "SM",3> '), (PAYLOAD, b"\r\n+CMGS: 64\r\n\r\nOK\r\n")],
        [STORED],
        ("+CMGS: 64",),
        released=True,
    ),
    Talk("refused instead of a prompt", CMGS, [(HEADER, b"\r\n+CMS ERROR: 304\r\n")], [], final="+CMS ERROR: 304"),
    Talk(
        "refused by the network",
        CMGS,
        [(HEADER, b"\r\n> "), (PAYLOAD, STRAY + b"\r\n+CMS ERROR: 21\r\n")],
        [STORED],
        final="+CMS ERROR: 21",
        released=True,
    ),
    Talk(
        "a late OK before the prompt is not this submission's",
        CMGS,
        [(HEADER, b"\r\nOK\r\n\r\n> "), (PAYLOAD, b"\r\n+CMGS: 64\r\n\r\nOK\r\n")],
        [],
        ("+CMGS: 64",),
        released=True,
    ),
    Talk(
        "the +CMGS of an earlier submission comes before the prompt",
        CMGS,
        [(HEADER, b"\r\n+CMGS: 63\r\n\r\nOK\r\n\r\n> "), (PAYLOAD, b"\r\n+CMGS: 64\r\n\r\nOK\r\n")],
        [LateResult(63)],
        ("+CMGS: 64",),
        released=True,
    ),
    Talk(
        "OK first, +CMGS behind it",
        CMGS,
        [(HEADER, b"\r\n> "), (PAYLOAD, b"\r\nOK\r\n\r\n+CMGS: 64\r\n")],
        [],
        ("+CMGS: 64",),
        released=True,
    ),
    Talk(
        "the modem restarts before the prompt",
        CMGS,
        [(HEADER, b"\r\nRDY\r\n")],
        [Rebooted("RDY")],
        final=None,
        ending=Ending.RESTARTED,
    ),
    Talk(
        "the modem restarts after Ctrl-Z",
        CMGS,
        [(HEADER, b"\r\n> "), (PAYLOAD, b"\x00\xff\r\n\r\n^SYSSTART\r\n")],
        [Noise("unprintable"), Rebooted("^SYSSTART")],
        final=None,
        ending=Ending.RESTARTED,
        released=True,
    ),
    Talk(
        "an ordinary command gets the result of a submission given up long ago",
        commands.SIGNAL,
        [(b"AT+CSQ\r", b"\r\n+CMS ERROR: 38\r\n\r\n+CSQ: 20,99\r\n\r\nOK\r\n")],
        [LateResult(fault=faults.cms(38))],
        ("+CSQ: 20,99",),
    ),
    Talk(
        "and its +CMGS with OK",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b"\r\n+CMGS: 63\r\n\r\nOK\r\n\r\nOK\r\n")],
        [LateResult(63)],
    ),
    Talk(
        "hints of a restart are told once and end nothing",
        commands.PDU_MODE,
        [(b"AT+CMGF=0\r", b"\r\n+CFUN: 1\r\n\r\nSMS Ready\r\n\r\nCall Ready\r\n\r\nOK\r\n")],
        [Rebooted("+CFUN: 1", certain=False)],
    ),
]


def play(talk: Talk, chop: Callable[[bytes], Iterable[bytes]]) -> list[Told]:
    line = in_step()
    line.begin(talk.command, 1.0)
    told: list[Told] = []
    for written, reply in talk.said:
        assert line.next_write() == written
        for piece in chop(reply):
            told += line.feed(piece, 1.0)
    assert line.next_write() == b""
    return told


def expected(talk: Talk) -> list[Told]:
    answers = [event for event in play(talk, lambda reply: [reply]) if isinstance(event, Answer)]
    assert len(answers) == 1
    (answer,) = answers
    assert answer.ending is talk.ending
    assert (answer.final.line if answer.final else None) == talk.final
    assert (answer.lines, answer.pdus) == (talk.lines, talk.pdus)
    assert (answer.released, answer.echoed) == (talk.released, talk.echoed)
    return [*talk.told, answer, *talk.after]


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.name)
def test_a_conversation_means_the_same_however_it_is_chopped(talk: Talk) -> None:
    wanted = expected(talk)
    assert play(talk, lambda reply: [reply]) == wanted
    assert play(talk, lambda reply: [reply[i : i + 1] for i in range(len(reply))]) == wanted
    for cut in range(1, max(len(reply) for _, reply in talk.said)):
        assert play(talk, lambda reply, cut=cut: [reply[:cut], reply[cut:]]) == wanted  # type: ignore[misc]


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.name)
@pytest.mark.parametrize("junk", [b"\xff\xfe\x00\r\n", b"\r\n^BOOT:1,0\r\n", b"\x00\x00"], ids=["fffe", "boot", "nul"])
def test_junk_before_and_behind_changes_no_answer(talk: Talk, junk: bytes) -> None:
    clean = [event for event in play(talk, lambda reply: [reply]) if isinstance(event, Answer)]
    noisy = [event for event in play(talk, lambda reply: [junk, reply, junk]) if isinstance(event, Answer)]
    if b'+CMT: "' not in talk.said[0][1] and "+CUSD" not in talk.name:
        assert noisy == clean


# Time.


def run(line: Dialogue, now: float) -> tuple[list[Told], bytes]:
    """Let the time pass to `now`: what it means, and what is to be written."""
    told: list[Told] = []
    while line.deadline is not None and line.deadline <= now:
        told += line.expire(line.deadline)
        if data := line.next_write():
            return told, data
    return told, b""


def ended(told: list[Told]) -> Answer:
    (answer,) = [event for event in told if isinstance(event, Answer)]
    return answer


def test_a_fresh_line_is_probed_before_the_first_command() -> None:
    line = Dialogue()
    line.begin(commands.SIGNAL, 0.0)
    assert line.next_write() == b""
    assert run(line, 0.0) == ([], b"AT\r")
    assert line.feed(b"\r\nOK\r\n", 0.1) == []
    assert run(line, 0.1) == ([], b"AT+CSQ\r")


def test_a_late_answer_is_never_handed_to_the_next_command() -> None:
    """T3: AT+COPS? answered after its timeout; gsmmodem gave it to AT+CSQ, and each answer after it to the next."""
    line = in_step()
    line.begin(commands.OPERATOR, 0.0)
    line.next_write()
    told, written = run(line, 30.0)
    assert ended(told).ending is Ending.SILENT
    assert written == b""
    assert line.feed(b'\r\n+COPS: 0,0,"Telia"\r\n', 30.4) == [Noise('+COPS: 0,0,"Telia"')]
    line.begin(commands.SIGNAL, 30.4)
    assert run(line, 30.8) == ([], b"")
    line.feed(b"\r\nOK\r\n", 30.8)
    assert run(line, 31.2) == ([], b"")
    assert run(line, 31.3) == ([], b"AT\r")
    line.feed(b"\r\nOK\r\n", 31.4)
    assert run(line, 31.8) == ([], b"AT+CSQ\r")
    assert ended(line.feed(b"\r\n+CSQ: 20,0\r\n\r\nOK\r\n", 31.9)).lines == ("+CSQ: 20,0",)


def test_a_late_answer_during_the_probe_does_not_pass_for_the_probes() -> None:
    line = in_step()
    line.begin(commands.OPERATOR, 0.0)
    line.next_write()
    run(line, 30.0)
    line.begin(commands.SIGNAL, 30.0)
    assert run(line, 31.0) == ([], b"AT\r")
    line.feed(b'\r\n+COPS: 0,0,"Telia"\r\n\r\nOK\r\n', 31.1)
    assert run(line, 31.9) == ([], b"")
    line.feed(b"\r\nOK\r\n", 32.0)
    assert run(line, 32.4) == ([], b"AT+CSQ\r")


def test_a_bare_late_ok_during_the_probe_is_swallowed() -> None:
    line = in_step()
    line.begin(commands.delete(3), 0.0)
    line.next_write()
    run(line, 25.0)
    line.begin(commands.PDU_MODE, 25.0)
    assert run(line, 26.0) == ([], b"AT\r")
    line.feed(b"\r\nOK\r\n", 26.1)
    line.feed(b"\r\nOK\r\n", 26.2)
    assert run(line, 26.6) == ([], b"AT+CMGF=0\r")


def test_an_ok_without_the_information_asked_for_brings_the_line_back_in_step() -> None:
    line = in_step()
    line.begin(commands.SIGNAL, 0.0)
    line.next_write()
    assert line.feed(b"\r\nOK\r\n", 0.1) == []
    assert run(line, 0.5) == ([], b"")
    line.feed(b"\r\n+CSQ: 9,9\r\n\r\nOK\r\n", 0.3)
    assert run(line, 1.0) == ([], b"AT\r")
    line.feed(b"\r\nOK\r\n", 1.0)
    assert run(line, 1.4) == ([], b"AT+CSQ\r")
    assert ended(line.feed(b"\r\n+CSQ: 20,0\r\n\r\nOK\r\n", 1.5)).lines == ("+CSQ: 20,0",)


def test_a_stick_that_answers_ok_alone_twice_means_it() -> None:
    line = in_step()
    line.begin(commands.SIGNAL, 0.0)
    line.next_write()
    line.feed(b"\r\nOK\r\n", 0.1)
    run(line, 1.0)
    line.feed(b"\r\nOK\r\n", 1.0)
    assert run(line, 1.4) == ([], b"AT+CSQ\r")
    answer = ended(line.feed(b"\r\nOK\r\n", 1.5))
    assert answer.ok
    assert answer.lines == ()


def test_a_dead_modem_is_told_after_three_probes() -> None:
    line = Dialogue()
    line.begin(commands.SIGNAL, 0.0)
    written: list[bytes] = []
    told: list[Told] = []
    for _ in range(6):
        more, data = run(line, 60.0)
        told += more
        written.append(data)
    assert written == [b"AT\r", ESCAPE, b"AT\r", ESCAPE, b"AT\r", b""]
    assert ended(told).ending is Ending.SILENT
    assert not line.is_waiting


def test_a_missing_prompt_is_answered_by_escape() -> None:
    line = in_step()
    line.begin(CMGS, 0.0)
    assert line.next_write() == HEADER
    assert run(line, 9.9) == ([], b"")
    told, written = run(line, 10.0)
    answer = ended(told)
    assert (answer.ending, answer.released, written) == (Ending.NO_PROMPT, False, ESCAPE)


def test_a_prompt_that_comes_after_escape_is_escaped_again_before_anything_is_written() -> None:
    """The ESC may have come before the modem entered the prompt; AT would then become part of a PDU (T8)."""
    line = in_step()
    line.begin(CMGS, 0.0)
    line.next_write()
    run(line, 10.0)
    assert line.feed(b"\r\n> ", 10.2) == [StrayPrompt()]
    line.begin(commands.SIGNAL, 10.3)
    assert line.next_write() == ESCAPE
    assert line.feed(b"\r\nOK\r\n", 10.4) == [Noise("OK")]
    assert run(line, 10.8) == ([], b"")
    assert run(line, 10.9) == ([], b"AT\r")


def test_a_submission_is_waited_for_60_s_softly_and_180_s_hard() -> None:
    line = in_step()
    line.begin(CMGS, 0.0)
    line.next_write()
    line.feed(b"\r\n> ", 1.0)
    assert not line.released
    assert line.next_write() == PAYLOAD
    assert line.released
    assert run(line, 60.9) == ([], b"")
    assert run(line, 61.0) == ([Slow(CMGS.text, 60.0)], b"")
    assert run(line, 180.9) == ([], b"")
    told, written = run(line, 181.0)
    assert (ended(told).ending, ended(told).released, written) == (Ending.SILENT, True, b"")


def test_an_answer_20_s_late_is_still_the_submissions() -> None:
    line = in_step()
    line.begin(CMGS, 0.0)
    line.next_write()
    line.feed(b"\r\n> ", 1.0)
    line.next_write()
    assert run(line, 21.0) == ([], b"")
    assert ended(line.feed(b"\r\n+CMGS: 9\r\n\r\nOK\r\n", 21.0)).lines == ("+CMGS: 9",)


def test_a_bare_ok_waits_a_moment_for_its_reference() -> None:
    line = in_step()
    line.begin(CMGS, 0.0)
    line.next_write()
    line.feed(b"\r\n> ", 1.0)
    line.next_write()
    assert line.feed(b"\r\nOK\r\n", 2.0) == []
    assert run(line, 2.9) == ([], b"")
    answer = ended(run(line, 3.0)[0])
    assert answer.ok
    assert (answer.lines, answer.released) == ((), True)


def test_a_reference_without_its_ok_counts_after_a_moment() -> None:
    line = in_step()
    line.begin(CMGS, 0.0)
    line.next_write()
    line.feed(b"\r\n> ", 1.0)
    line.next_write()
    assert line.feed(b"\r\n+CMGS: 7\r\n", 2.0) == []
    answer = ended(run(line, 4.0)[0])
    assert answer.ok
    assert answer.lines == ("+CMGS: 7",)


def test_results_nobody_waits_for_are_told_while_out_of_step() -> None:
    line = Dialogue()
    assert line.feed(b"\r\n+CMGS: 77\r\n\r\nOK\r\n", 0.0) == [LateResult(77)]
    assert line.feed(b"\r\n+CMS ERROR: 38\r\n", 1.0) == [LateResult(fault=faults.cms(38))]
    assert line.feed(b"\r\nOK\r\n", 2.0) == [LateResult()]
    assert line.feed(b"\r\n> ", 3.0) == [StrayPrompt()]
    assert line.deadline is None
    assert line.next_write() == b""


def test_a_restart_without_a_banner_is_seen_by_its_echo_before_the_pdu_is_released() -> None:
    """After a silent restart the stick may be in text mode, where our PDU would go out as somebody's text."""
    line = in_step()
    line.echo_off = True
    line.begin(CMGS, 0.0)
    line.next_write()
    told = line.feed(HEADER + b"\r\n> ", 1.0)
    assert told[0] == Rebooted("echo")
    answer = ended(told)
    assert (answer.ending, answer.released) == (Ending.RESTARTED, False)
    assert line.next_write() == ESCAPE


def test_a_flood_does_not_keep_the_probe_waiting_for_ever() -> None:
    """ZTE: +ZUSIMR:2 floods until the stick crashes [MM zte]."""
    line = Dialogue()
    line.escape(0.0)
    line.begin(commands.SIGNAL, 0.0)
    assert line.next_write() == ESCAPE
    now = 0.0
    while now < 4.0:
        now += 0.02
        line.feed(b"\r\n+ZUSIMR:2\r\n", now)
        if run(line, now)[1] == b"AT\r":
            break
    assert 2.9 < now < 3.1


def test_the_pdu_of_an_old_header_is_not_waited_for_forever() -> None:
    line = in_step()
    assert line.feed(b"\r\n+CDS: 25\r\n", 0.0) == []
    assert line.feed(b"\r\nRING\r\n", 6.0) == [Noise("+CDS: 25"), Ring()]
    assert line.feed(REPORT_LINE.encode() + b"\r\n", 7.0) == [Noise(REPORT_LINE)]


def test_a_report_and_its_pdu_in_two_usb_packets() -> None:
    """T6: 30 ms between the two lost the report."""
    line = in_step()
    assert line.feed(b"\r\n+CDS: 25\r\n", 0.0) == []
    assert line.feed(REPORT_LINE.encode() + b"\r\n", 0.03) == [ROUTED]


def test_two_commands_at_once_are_a_bug() -> None:
    line = in_step()
    line.begin(commands.SIGNAL, 0.0)
    with pytest.raises(RuntimeError):
        line.begin(commands.SIGNAL, 0.0)


def test_every_wait_has_a_deadline_and_every_deadline_an_act() -> None:
    """The machine's table and the timer's table know the same states; nothing can hang."""
    assert set(dialogue._EXPIRE) == set(State)
    assert {state for state, _ in dialogue._NEXT} == set(State)
    assert set(dialogue._NEXT.values()) == set(State)


PIECES = [
    b"\r\nOK\r\n", b"\r\nERROR\r\n", b"\r\n> ", b">", b"\r\n+CMGS: 5\r\n", b"\r\n+CMGS: x\r\n", b"\r\n+CMS ERROR: 38\r\n",
    b"\r\n+CME ERROR: 14\r\n", b"\r\n+CDS: 25\r\n", b"\r\n+CMT: ,19\r\n", b"\r\n+CMGL: 1,0,,19\r\n", b"\r\nRDY\r\n",
    REPORT_LINE.encode() + b"\r\n", b'\r\n+CUSD: 1,"a\r\n', b'"\r\n', b"\xff\xfe\x00", b"AT+CSQ\r", b"AT\r\r\n",
    b"\r\n+CSQ: 1,2\r\n", b'\r\n+CMT: "+46701740605",,"26/11/21,10:00:00+04"\r\n', b"\r\nRING\r\n\r\nNO CARRIER\r\n",
    b"\r\nNO CARRIER\r\n", b"\r\nSMS Ready\r\n", b"0004", b"\r\n+CMGR: 1,,0\r\n",
]  # fmt: skip
COMMANDS = [commands.SIGNAL, commands.PDU_MODE, CMGS, commands.list_all(), commands.MANUFACTURER, commands.REGISTRATION]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), st.floats(0, 100)), max_size=40),
    st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=3),
)
def test_whatever_comes_whenever_it_never_raises_and_never_hangs(said: list[tuple[bytes, float]], asked: list[Command]) -> None:
    line, now = Dialogue(), 0.0
    released = 0
    for command in asked:
        line.begin(command, now)
        answers = 0
        for piece, pause in said:
            released += line.next_write() == PAYLOAD
            answers += sum(isinstance(event, Answer) for event in line.feed(piece, now))
            now += pause
            answers += sum(isinstance(event, Answer) for event in run(line, now)[0])
        turns = 0
        while line.is_waiting:
            assert line.deadline is not None
            now = max(now, line.deadline)
            answers += sum(isinstance(event, Answer) for event in line.expire(now))
            line.next_write()
            turns += 1
            assert turns < 50
        assert answers == 1
        assert released <= asked.count(CMGS)
