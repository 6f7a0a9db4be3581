"""The simulated modem: its core with a clock turned by hand, its shell on a real pty."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from modem.airlog import AirLog, read_air_log
from modem.clock import FileClock
from modem.pdu import Address, Concat, Deliver, StatusReport, Submit, decode, join_text, split_smsc
from modem.segments import Alphabet
from modem.simulator import Control, ControlRefused, SimulatedModem
from modem.simulator_core import Simulator
from modem.simulator_model import Behaviour, BusyInput, ControlError, Identity
from modem.simulator_profiles import PROFILES

HERE = "+46701740605"
NEXT = "+46701740606"


class HandClock:
    """Time that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def now_ms(self) -> int:
        return int(datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp() * 1000 + (self.now - 100.0) * 1000)

    def real_seconds(self, seconds: float) -> float:
        return seconds

    def wait(self, fds: object, timeout_s: float | None) -> list[int]:
        raise AssertionError("the core never waits")


class Bench:
    """A stick on the bench: what is said to it, what it answers, and how time passes."""

    def __init__(self, *, init: bool = True, identity: Identity | None = None, **more: Any) -> None:
        behaviour = {key: more.pop(key) for key in list(more) if key in Behaviour.__dataclass_fields__}
        self.clock = HandClock()
        self.air = AirLog()
        self.stick = Simulator(
            self.clock, self.air, identity=identity, behaviour=Behaviour(**{"latency_s": 1.0, **behaviour}), **more
        )
        if init:
            self.say("ATE0+CMEE=1;+CMGF=0;+CNMI=2,1,0,1,0")

    def say(self, line: str) -> str:
        return self.type(line.encode() + b"\r")

    def type(self, data: bytes) -> str:
        self.stick.feed(data)
        return self.stick.take().decode("latin-1")

    def after(self, seconds: float) -> str:
        """Let time pass, stopping at everything that is due; what the modem printed meanwhile."""
        until, said = self.clock.now + seconds, self.stick.take()
        while (due := self.stick.deadline) is not None and due <= until:
            self.clock.now = max(due, self.clock.now)
            said += self.stick.take()
        self.clock.now = until
        return (said + self.stick.take()).decode("latin-1")

    def do(self, verb: str, **facts: Any) -> dict[str, Any]:
        return self.stick.perform({"do": verb, **facts})

    def fault(self, kind: str, **facts: Any) -> None:
        self.do("fault", kind=kind, **facts)

    def begin(self, text: str = "Hej", to: str = HERE, *, report: bool = True) -> str:
        """Up to Ctrl-Z."""
        tpdu = Submit(Address.parse(to), text, report=report).encode()
        said = self.say(f"AT+CMGS={len(tpdu)}")
        return said + self.type(b"00" + tpdu.hex().upper().encode() + b"\x1a")

    def send(self, text: str = "Hej", to: str = HERE, *, report: bool = True) -> str:
        return self.begin(text, to, report=report) + self.after(self.stick.behaviour.latency_s)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.air.entries if entry["event"] == event]

    @property
    def texts(self) -> list[str]:
        """What reached the network."""
        return [Submit.decode(bytes.fromhex(entry["tpdu"])).text for entry in self.events("submit")]

    @property
    def smss(self) -> str:
        return self.say("AT+CRSM=176,28483,0,0,2")


def pdus_in(said: str) -> list[Any]:
    """The TPDUs in what a modem printed."""
    lines = [line for line in said.split("\r\n") if len(line) > 20 and all(c in "0123456789ABCDEF" for c in line)]
    return [decode(split_smsc(bytes.fromhex(line))[1], from_network=True) for line in lines]


# --- commands -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("AT", "\r\nOK\r\n"),
        ("at", "\r\nOK\r\n"),
        ("", ""),
        ("nonsense", ""),
        ("AT+FOO", "\r\nERROR\r\n"),
        ("AT+CSQ", "\r\n+CSQ: 17,99\r\n\r\nOK\r\n"),
        ("AT+CPIN?", "\r\n+CPIN: READY\r\n\r\nOK\r\n"),
        ("AT+CREG?", "\r\n+CREG: 0,1\r\n\r\nOK\r\n"),
        ("AT+CREG=2;+CREG?", '\r\n+CREG: 2,1,"00C3","0001A2B4",7\r\n\r\nOK\r\n'),
        ("AT+CGREG=1;+CEREG?", "\r\n+CEREG: 0,1\r\n\r\nOK\r\n"),
        ("AT+COPS=3,2;+COPS?", '\r\n+COPS: 0,2,"00101",7\r\n\r\nOK\r\n'),
        ("AT+CGMI", "\r\nRingpost\r\n\r\nOK\r\n"),
        ("AT+CGSN", "\r\n004999010640000\r\n\r\nOK\r\n"),
        ("AT+CIMI", "\r\n001010000000017\r\n\r\nOK\r\n"),
        ("AT+CCID", "\r\n+CCID: 8946000000000000017\r\n\r\nOK\r\n"),
        ("AT+CSCA?", '\r\n+CSCA: "+46701740600",145\r\n\r\nOK\r\n'),
        ('AT+CSCA="+46701740601",145;+CSCA?', '\r\n+CSCA: "+46701740601",145\r\n\r\nOK\r\n'),
        ("AT+CCLK?", '\r\n+CCLK: "26/03/01,10:00:00+00"\r\n\r\nOK\r\n'),
        ("AT+CRSM=176,28483,0,0,2", '\r\n+CRSM: 144,0,"00FF"\r\n\r\nOK\r\n'),
        ("AT+CRSM=176,12258,0,0,10", '\r\n+CRSM: 144,0,"986400000000000010F7"\r\n\r\nOK\r\n'),
        ("AT+CRSM=176,28476,0,0,2", "\r\n+CRSM: 106,130\r\n\r\nOK\r\n"),
        ("AT+CMGR=1", "\r\n+CMS ERROR: 321\r\n"),
        ("AT+CMGL=4", "\r\nOK\r\n"),
        ("AT+CNMA", "\r\n+CMS ERROR: 340\r\n"),
        ("AT+CNMI=9,9", "\r\n+CMS ERROR: 303\r\n"),
        ("AT+CMEE=2;+CMGR=1", "\r\n+CMS ERROR: Invalid memory index\r\n"),
        ("AT+CMEE=0;+CMGR=1", "\r\nERROR\r\n"),
        ("ATV0", "0\r"),
        ("ATZ", "\r\nOK\r\n"),
        ('AT+CSCS="UCS2";+COPS?', '\r\n+COPS: 0,0,"00530069006D00740065006C",7\r\n\r\nOK\r\n'),
        ("ATD+46701740605;", "\r\nNO CARRIER\r\n"),
        ("AT+CPMS?", '\r\n+CPMS: "SM",0,20,"SM",0,20,"SM",0,20\r\n\r\nOK\r\n'),
        ('AT+CPMS="ME","ME","ME"', "\r\n+CPMS: 0,100,0,100,0,100\r\n\r\nOK\r\n"),
        ('AT+CPMS="XX"', "\r\n+CMS ERROR: 302\r\n"),
        ("AT+CMMS=2;+CMMS?", "\r\n+CMMS: 2\r\n\r\nOK\r\n"),
        ("AT+CFUN?", "\r\n+CFUN: 1\r\n\r\nOK\r\n"),
        ("\x00\x1bAT+CSX\x08Q", "\r\n+CSQ: 17,99\r\n\r\nOK\r\n"),
    ],
)
def test_it_answers(line: str, answer: str) -> None:
    assert Bench().say(line) == answer


def test_it_echoes_until_told_not_to_and_cuts_nowhere() -> None:
    bench = Bench(init=False)
    assert "".join(bench.type(bytes([byte])) for byte in b"AT+CSQ\r") == "AT+CSQ\r\r\n+CSQ: 17,99\r\n\r\nOK\r\n"
    assert bench.say("ATE0") == "ATE0\r\r\nOK\r\n"
    assert bench.say("AT") == "\r\nOK\r\n"


def test_an_endless_line_is_forgotten() -> None:
    bench = Bench()
    assert bench.type(b"AT+" + b"x" * 100_000) == ""
    assert bench.say("") == "\r\nERROR\r\n"
    assert bench.say("AT") == "\r\nOK\r\n"


def test_no_bytes_upset_it() -> None:
    random_ = random.Random(7)
    bench = Bench(latency_s=0.01, report_delay_s=0.01)
    names = [*bench.stick._handlers, "+CLIP", "A", "~", ";"]
    for _ in range(3000):
        name = random_.choice(names)
        form = random_.choice(["", "?", "=?", "=", "=1,2", '="SM",0,,', "=4,", "=²", '="x"x', "=99999999999"])
        junk = random_.randbytes(random_.randrange(4))
        bench.type(b"AT" + (name + form).encode() + junk + random_.choice([b"\r", b"\x1a", b"\x1b", b"\r\n"]))
        bench.after(random_.choice([0, 0.02, 4]))
    bench.do("reboot")
    bench.after(5)
    assert bench.say("ATE0").endswith("OK\r\n")


def test_commands_queue_while_it_thinks() -> None:
    bench = Bench(init=False, answer_delay_s=0.1)
    bench.after(1)
    assert bench.say("ATE0") + bench.say("AT+CSQ") == "ATE0\r"
    assert bench.after(0.1) == "\r\nOK\r\n"
    assert bench.after(0.1) == "\r\n+CSQ: 17,99\r\n\r\nOK\r\n"


def test_searching_for_networks_takes_its_time() -> None:
    bench = Bench()
    assert bench.say("AT+COPS=?") == ""
    assert '"Simtel"' in bench.after(3)


def test_ussd_answers_later() -> None:
    bench = Bench()
    assert bench.say('AT+CUSD=1,"*100#",15') == "\r\nOK\r\n"
    assert bench.after(1) == '\r\n+CUSD: 0,"Saldo: 100,00 kr",15\r\n'
    bench.say('AT+CUSD=1,"*999#",15')
    assert bench.after(1) == "\r\n+CUSD: 4\r\n"


def test_it_rings() -> None:
    bench = Bench()
    bench.say("AT+CLIP=1")
    bench.do("ring", **{"from": HERE, "count": 2})
    said = bench.after(10)
    assert said.count("RING") == 2
    assert f'+CLIP: "{HERE}",145' in said
    assert said.endswith("\r\nNO CARRIER\r\n")


def test_answers_can_be_replaced() -> None:
    bench = Bench()
    bench.do("set", answers={"+CNMI=2,1,0,1": ["+CMS ERROR: 303"], "+CSQ": ["+CSQ: 3,99", "OK"]})
    assert bench.say("AT+CNMI=2,1,0,1,0") == "\r\n+CMS ERROR: 303\r\n"
    assert bench.say("AT+CSQ") == "\r\n+CSQ: 3,99\r\n\r\nOK\r\n"


# --- the card -------------------------------------------------------------------------------------------------


def test_three_wrong_pins_ask_for_the_puk() -> None:
    bench = Bench(identity=Identity(pin="1234"))
    assert "SIM PIN" in bench.say("AT+CPIN?")
    assert bench.say("AT+CSCA?") == "\r\n+CME ERROR: 11\r\n"
    assert bench.say("AT+CMGS=20") == "\r\n+CMS ERROR: 311\r\n"
    assert bench.say('AT+CPIN="0000"') == "\r\n+CME ERROR: 16\r\n"
    assert "+CPINR: SIM PIN,2,3" in bench.say("AT+CPINR")
    bench.stick.reboot()
    bench.after(2)
    bench.say("ATE0+CMEE=1")
    bench.say('AT+CPIN="0000"')
    assert bench.say('AT+CPIN="0000"') == "\r\n+CME ERROR: 12\r\n"
    assert "SIM PUK" in bench.say("AT+CPIN?")
    assert bench.say('AT+CPIN="99999999","1111"') == "\r\n+CME ERROR: 16\r\n"
    assert bench.say('AT+CPIN="12345678","1111"') == "\r\nOK\r\n"
    assert "READY" in bench.say("AT+CPIN?")
    assert all("0000" not in heard["line"] for heard in bench.stick.heard)


def test_a_pin_opens_the_card_and_is_asked_again_after_a_reboot() -> None:
    bench = Bench(identity=Identity(pin="1234"), pin_settle_s=3.0)
    assert bench.say('AT+CPIN="1234"') == "\r\nOK\r\n"
    assert bench.say("AT+CIMI") == "\r\n+CME ERROR: 14\r\n"
    bench.after(3)
    assert "OK" in bench.say("AT+CIMI")
    bench.stick.reboot()
    assert "+CPIN: SIM PIN" in bench.after(2)


def test_a_busy_card_becomes_ready() -> None:
    bench = Bench(sim_busy_s=5.0)
    assert bench.say("AT+CPIN?") == "\r\n+CME ERROR: 14\r\n"
    assert bench.say("AT+CMGS=20") == "\r\n+CMS ERROR: 314\r\n"
    assert "+CREG: 0,0" in bench.say("AT+CREG?")
    bench.after(5)
    assert "READY" in bench.say("AT+CPIN?")
    assert "+CREG: 0,1" in bench.say("AT+CREG?")


def test_without_a_card() -> None:
    bench = Bench(identity=Identity(sim=False))
    assert bench.say("AT+CPIN?") == bench.say("AT+CCID") == "\r\n+CME ERROR: 10\r\n"
    assert bench.say("AT+CMGS=20") == "\r\n+CMS ERROR: 310\r\n"


def test_ef_smss_may_be_refused() -> None:
    bench = Bench(identity=Identity(smss=False))
    assert bench.smss == "\r\n+CME ERROR: 4\r\n"
    assert "+CMGS: 1" in bench.send()


# --- sending --------------------------------------------------------------------------------------------------


def test_a_part_reaches_the_network_after_the_latency_and_not_before() -> None:
    bench = Bench()
    assert bench.begin() == "\r\n> "
    assert bench.after(0.999) == ""
    assert bench.air.entries == []
    assert bench.after(0.001) == "\r\n+CMGS: 1\r\n\r\nOK\r\n"
    entry = bench.events("submit")[0]
    assert (entry["t"], entry["to"], entry["tp_mr"]) == (101.0, HERE, 1)
    assert entry["at"] == "2026-03-01T10:00:01.000Z"
    assert Submit.decode(bytes.fromhex(entry["tpdu"])).tp_mr == 1


def test_the_modem_counts_tp_mr_and_wraps() -> None:
    bench = Bench(latency_s=0.01)
    bench.stick._tp_mr = 254
    assert [bench.send() for _ in range(3)] == [f"\r\n> \r\n+CMGS: {n}\r\n\r\nOK\r\n" for n in (255, 0, 1)]
    assert '"01FF"' in bench.smss


def test_ef_smss_moves_when_the_message_leaves() -> None:
    bench = Bench(busy_input=BusyInput.LOSE)
    bench.begin()
    bench.after(0.5)
    bench.type(b"\x1b")
    assert '"00FF"' in bench.smss
    bench.after(0.5)
    assert '"01FF"' in bench.smss


@pytest.mark.parametrize(("habit", "during", "behind"), [("early", "01", "01"), ("never", "00", "00")])
def test_ef_smss_of_a_stick_with_bad_habits(habit: str, during: str, behind: str) -> None:
    bench = Bench(busy_input=BusyInput.LOSE)
    bench.do("set", smss_habit=habit)
    bench.begin()
    bench.type(b"\x1b")
    assert f'"{during}FF"' in bench.smss
    bench.after(1)
    assert f'"{behind}FF"' in bench.smss
    assert "+CMGS: 2" in bench.send()


@pytest.mark.parametrize("body", [b"00", b"zz", b"", b"0011000B916407710406F5", b"FF00"])
def test_a_bad_pdu_is_refused(body: bytes) -> None:
    bench = Bench()
    bench.say("AT+CMGS=20")
    assert bench.type(body + b"\x1a") == "\r\n+CMS ERROR: 304\r\n"
    assert bench.say("AT") == "\r\nOK\r\n"


def test_a_half_written_pdu_stays_in_the_prompt_until_esc() -> None:
    bench = Bench()
    bench.say("AT+CMGS=20")
    bench.type(b"0011000B91")
    assert bench.say("AT") == bench.say("ATE0") == ""
    assert bench.type(b"\x1b\r") == "\r\nOK\r\n"
    assert bench.say("AT") == "\r\nOK\r\n"
    assert "+CMGS: 1" in bench.send()


def test_a_half_written_pdu_and_commands_behind_it_are_no_pdu() -> None:
    bench = Bench()
    bench.say("AT+CMGS=20")
    bench.type(b"0011000B91AT\r")
    assert bench.type(b"\x1a") == "\r\n+CMS ERROR: 304\r\n"


def test_text_mode_submission_is_refused() -> None:
    bench = Bench()
    assert bench.say(f'AT+CMGF=1;+CMGS="{HERE}"') == "\r\n+CMS ERROR: 303\r\n"


def test_a_stored_submission_is_sent_from_storage() -> None:
    bench = Bench()
    tpdu = Submit(Address.parse(HERE), "Hej").encode()
    bench.say(f"AT+CMGW={len(tpdu)}")
    assert bench.type(b"00" + tpdu.hex().encode() + b"\x1a") == "\r\n+CMGW: 1\r\n\r\nOK\r\n"
    assert "+CMGL: 1,2,," in bench.say("AT+CMGL=4")
    bench.say("AT+CMSS=1")
    assert bench.after(1) == "\r\n+CMSS: 1\r\n\r\nOK\r\n"
    assert bench.texts == ["Hej"]


@pytest.mark.parametrize(
    ("policy", "said", "texts"),
    [
        (BusyInput.LOSE, "\r\nOK\r\n", ["Hej"]),
        (BusyInput.ABORT, "\r\nOK\r\n", []),
        (BusyInput.IGNORE, "\r\n+CMGS: 1\r\n\r\nOK\r\n", ["Hej"]),
        (BusyInput.QUEUE, "\r\n+CMGS: 1\r\n\r\nOK\r\n\r\nOK\r\n", ["Hej"]),
    ],
)
def test_a_byte_during_the_submission(policy: BusyInput, said: str, texts: list[str]) -> None:
    bench = Bench(busy_input=policy, report_delay_s=60.0)
    bench.begin()
    bench.after(0.5)
    answer = bench.type(b"\rAT\r")
    assert answer + bench.after(5) == said
    assert bench.texts == texts


def test_a_carriage_return_behind_ctrl_z_is_part_of_it() -> None:
    bench = Bench()
    tpdu = Submit(Address.parse(HERE), "Hej").encode()
    bench.say(f"AT+CMGS={len(tpdu)}")
    bench.type(b"00" + tpdu.hex().encode() + b"\x1a\r\n")
    assert "+CMGS: 1" in bench.after(1)


def test_the_air_carries_one_message_at_a_time() -> None:
    bench = Bench()
    bench.begin("one")
    bench.type(b"\r")
    bench.begin("two")
    bench.after(5)
    assert [entry["t"] for entry in bench.events("submit")] == [101.0, 102.0]


def test_an_open_link_is_faster() -> None:
    bench = Bench(more_latency_s=0.25)
    bench.say("AT+CMMS=1")
    bench.send()
    bench.begin()
    assert "+CMGS: 2" in bench.after(0.25)
    bench.after(6)
    bench.begin()
    assert "+CMGS" not in bench.after(0.9)


# --- reports --------------------------------------------------------------------------------------------------


def test_a_report_follows() -> None:
    bench = Bench(report_delay_s=2.0)
    bench.send()
    assert bench.after(1.9) == ""
    said = bench.after(0.1)
    assert said.startswith("\r\n+CDS: 25\r\n07916407710406F0")
    report = pdus_in(said)[0]
    assert isinstance(report, StatusReport)
    assert (report.tp_mr, report.recipient.number, report.status) == (1, HERE, 0)
    assert bench.events("report")[0]["status"] == 0


def test_no_report_unless_asked_for() -> None:
    bench = Bench()
    bench.send(report=False)
    assert bench.after(60) == ""


def test_reports_say_what_was_ordered() -> None:
    bench = Bench(latency_s=0.1, report_delay_s=0.1)
    bench.do("set", report_status={HERE: "0x46", "*": -1})
    bench.send(to=NEXT)
    assert bench.after(60) == ""
    bench.send(to=HERE)
    assert pdus_in(bench.after(1))[0].status == 0x46


def test_reports_can_be_held_turned_round_and_doubled() -> None:
    bench = Bench(latency_s=0.1, report_delay_s=0.1)
    bench.do("hold_reports")
    said = "".join(bench.send() for _ in range(3)) + bench.after(60)
    assert pdus_in(said) == []
    assert bench.do("release_reports", order="reverse") == {"released": 3}
    assert [report.tp_mr for report in pdus_in(bench.after(1))] == [3, 2, 1]
    bench.do("report", tp_mr=2, status="0x41", count=2)
    assert [(report.tp_mr, report.status) for report in pdus_in(bench.after(1))] == [(2, 0x41)] * 2


def test_a_report_may_overtake_the_answer() -> None:
    bench = Bench(report_delay_s=0.0, report_before_answer=True)
    said = bench.send()
    assert said.index("+CDS") < said.index("+CMGS: 1")


def test_stored_reports() -> None:
    bench = Bench()
    bench.say("AT+CNMI=2,1,0,2,0")
    bench.send()
    assert bench.after(1) == '\r\n+CDSI: "SR",1\r\n'
    bench.say('AT+CPMS="SR"')
    assert pdus_in(bench.say("AT+CMGR=1"))[0].tp_mr == 1


def test_the_quectel_lie_and_the_zte_comma() -> None:
    bench = Bench(profile="quectel")
    bench.say("AT+CNMI=2,1,0,2,0")
    bench.send()
    assert bench.after(1) == '\r\n+CDSI: "SM",0\r\n'
    assert bench.say("AT+CMGR=0") == "\r\nOK\r\n"
    bench = Bench(profile="zte")
    bench.send()
    assert bench.after(1).startswith("\r\n+CDS: ,25\r\n")


def test_routed_messages_want_an_acknowledgement() -> None:
    bench = Bench(ack_s=15.0, resend_s=5.0)
    bench.say("AT+CSMS=1;+CNMI=2,2,0,1,0")
    bench.do("deliver", **{"from": HERE, "text": "one"})
    bench.do("deliver", **{"from": HERE, "text": "two"})
    assert [message.text for message in pdus_in(bench.after(1))] == ["one"]
    assert bench.say("AT+CNMA").startswith("\r\nOK\r\n\r\n+CMT: ,")
    assert bench.say("AT+CNMA") == "\r\nOK\r\n"
    assert bench.say("AT+CNMA") == "\r\n+CMS ERROR: 340\r\n"
    assert len(bench.events("deliver")) == 2


def test_what_is_not_acknowledged_comes_again() -> None:
    bench = Bench(ack_s=15.0, resend_s=5.0)
    bench.say("AT+CSMS=1;+CNMI=2,2,0,1,0")
    bench.do("deliver", **{"from": HERE, "text": "one"})
    bench.after(15)
    assert "+CNMI: 2,0,0,0,0" in bench.say("AT+CNMI?")  # 27.005 §3.4.4: routing is off
    bench.say("AT+CNMI=2,2,0,1,0")
    assert [message.text for message in pdus_in(bench.after(5))] == ["one"]
    bench.say("AT+CNMA")
    assert len(bench.events("deliver")) == 1


# --- receiving ------------------------------------------------------------------------------------------------


def test_a_message_is_stored_and_announced() -> None:
    bench = Bench()
    bench.do("deliver", **{"from": HERE, "text": "Hej på dig", "at": "2026-03-01T09:00:00+01:00"})
    assert bench.after(0) == '\r\n+CMTI: "SM",1\r\n'
    said = bench.say("AT+CMGL=4")
    assert said.startswith("\r\n+CMGL: 1,0,,")
    message = pdus_in(said)[0]
    assert isinstance(message, Deliver)
    assert (message.text, message.originator.number) == ("Hej på dig", HERE)
    assert message.sent_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert bench.say("AT+CMGR=1").startswith("\r\n+CMGR: 1,,")
    assert bench.say("AT+CMGD=?") == "\r\n+CMGD: (1),(0-4)\r\n\r\nOK\r\n"
    assert bench.say("AT+CMGD=1") == "\r\nOK\r\n"
    assert bench.say("AT+CMGL=4") == "\r\nOK\r\n"


def test_parts_come_in_any_order_and_doubled() -> None:
    bench = Bench()
    text = "å" * 310 + "😀"
    told = bench.do("deliver", **{"from": HERE, "text": text, "reference": 300, "bits": 16, "parts_order": [3, 1, 2, 5, 4]})
    assert (told["parts"], told["sent"]) == (5, 5)
    parts = pdus_in(bench.say("AT+CMGL=4"))
    assert [part.concat for part in parts] == [Concat(300, 5, number, 16) for number in (3, 1, 2, 5, 4)]
    assert join_text(parts) == text
    told = bench.do("deliver", **{"from": "Ringpost", "text": "x" * 200, "double": [2]})
    assert told["sent"] == 3
    later = pdus_in(bench.say("AT+CMGL=0"))
    assert [part.concat.number for part in later] == [1, 2, 2]
    assert later[1] == later[2]
    assert later[0].originator.number == "Ringpost"


def test_a_gap_between_parts() -> None:
    bench = Bench()
    bench.do("deliver", **{"from": HERE, "text": "x" * 200, "gap_s": 2.0})
    assert bench.after(1.9).count("+CMTI") == 1
    assert bench.after(0.1).count("+CMTI") == 1


def test_a_full_storage_leaves_the_message_with_the_network() -> None:
    bench = Bench(profile="a7670")
    bench.say("AT+CMGF=0;+CNMI=2,1,0,0,0")
    bench.fault("storage_full")
    bench.do("deliver", **{"from": HERE, "text": "late"})
    assert bench.after(1) == "\r\n+SMS FULL\r\n"
    assert '"SM",20,20' in bench.say("AT+CPMS?")
    assert bench.say("AT+CMGD=5") == '\r\nOK\r\n\r\n+CMTI: "SM",5\r\n'


def test_hostile_octets_are_passed_on_untouched() -> None:
    bench = Bench()
    bench.do("deliver_pdu", hex="04ff")
    assert "07916407710406F004FF" in bench.say("AT+CMGL=4")


def test_text_mode_reads() -> None:
    bench = Bench()
    bench.do("deliver", **{"from": HERE, "text": "Hej"})
    bench.after(0)
    assert (
        bench.say('AT+CMGF=1;+CMGL="ALL"') == f'\r\n+CMGL: 1,"REC UNREAD","{HERE}",,"26/03/01,10:00:00+00"\r\nHej\r\n\r\nOK\r\n'
    )


def test_unsolicited_lines_wait_while_a_pdu_is_typed() -> None:
    bench = Bench()
    bench.say("AT+CMGS=20")
    bench.do("deliver", **{"from": HERE, "text": "Hej"})
    assert bench.after(1) == ""
    assert bench.type(b"\x1b") == '\r\nOK\r\n\r\n+CMTI: "SM",1\r\n'
    bench.begin()
    bench.do("deliver", **{"from": HERE, "text": "Hej"})
    assert bench.after(1) == '\r\n+CMTI: "SM",2\r\n\r\n+CMGS: 1\r\n\r\nOK\r\n'


# --- faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "facts", "answer", "texts"),
    [
        ("cms", {"code": 38}, "\r\n+CMS ERROR: 38\r\n", []),
        ("cms_after", {"code": 332}, "\r\n+CMS ERROR: 332\r\n", ["Hej"]),
        ("lose_answer", {}, "", ["Hej"]),
        ("drop", {}, "", []),
        ("bare_ok", {}, "\r\nOK\r\n", ["Hej"]),
        ("no_ok", {}, "\r\n+CMGS: 1\r\n", ["Hej"]),
        ("late_answer", {"seconds": 0.0}, "\r\n+CMGS: 1\r\n\r\nOK\r\n", ["Hej"]),
    ],
)
def test_the_answer_lies(kind: str, facts: dict[str, Any], answer: str, texts: list[str]) -> None:
    bench = Bench(report_delay_s=60.0)
    bench.fault(kind, **facts)
    assert bench.send() == "\r\n> " + answer
    assert bench.texts == texts
    assert bench.say("AT") == "\r\nOK\r\n"
    assert "OK" in bench.send()


def test_a_late_answer_falls_between_others() -> None:
    bench = Bench(report_delay_s=60.0)
    bench.fault("late_answer", seconds=20)
    bench.send()
    assert bench.say("AT+CSQ") == "\r\n+CSQ: 17,99\r\n\r\nOK\r\n"
    assert bench.after(20) == "\r\n+CMGS: 1\r\n\r\nOK\r\n"


def test_a_refusal_by_the_network_uses_up_a_reference_and_one_by_the_stick_does_not() -> None:
    bench = Bench()
    bench.fault("cms", code=38)
    bench.fault("cms", code=500)
    bench.send()
    assert '"01FF"' in bench.smss
    bench.send()
    assert '"01FF"' in bench.smss


def test_faults_wait_for_their_recipient_and_their_turn() -> None:
    bench = Bench(latency_s=0.1, report_delay_s=60.0)
    bench.fault("cms", code=21, to=NEXT)
    bench.fault("bare_ok", count=2)
    assert "+CMS" not in bench.send(to=HERE)
    assert "+CMS ERROR: 21" in bench.send(to=NEXT)
    assert "+CMGS" not in bench.send(to=HERE)
    assert "+CMGS: 4" in bench.send(to=HERE)


def test_a_rate_strikes_its_share() -> None:
    bench = Bench(latency_s=0.01, report_delay_s=600.0)
    bench.fault("cms", code=41, rate=0.5)
    refused = sum("+CMS ERROR: 41" in bench.send() for _ in range(100))
    assert 30 < refused < 70
    bench.do("clear", kind="cms")
    assert "+CMGS" in bench.send()


def test_no_prompt_but_it_waits_for_the_pdu() -> None:
    bench = Bench()
    bench.fault("no_prompt")
    assert bench.say("AT+CMGS=20") == ""
    assert bench.say("AT") == ""
    assert bench.type(b"\x1b") == "\r\nOK\r\n"
    assert "> " in bench.say("AT+CMGS=20")


def test_an_error_in_place_of_the_prompt() -> None:
    bench = Bench()
    bench.fault("cms", code=302, at="prompt")
    assert bench.say("AT+CMGS=20") == "\r\n+CMS ERROR: 302\r\n"
    bench.fault("cme", code=14)
    assert bench.say("AT+CMGS=20") == "\r\n+CME ERROR: 14\r\n"
    assert "> " in bench.say("AT+CMGS=20")


def test_faults_of_other_commands() -> None:
    bench = Bench()
    bench.fault("cme", code=14, on="+CPMS", count=2)
    bench.fault("lose_answer", on="+CSQ")
    bench.fault("late_answer", on="+COPS?", seconds=3)
    assert bench.say("AT+CPMS?") == bench.say("AT+CPMS?") == "\r\n+CME ERROR: 14\r\n"
    assert "OK" in bench.say("AT+CPMS?")
    assert bench.say("AT+CSQ") == ""
    assert bench.say("AT+COPS?") == ""
    assert "+CSQ" in bench.say("AT+CSQ")
    assert "+COPS" in bench.after(3)


def test_stray_lines_are_everywhere() -> None:
    bench = Bench(report_delay_s=60.0)
    bench.do("deliver", **{"from": HERE, "text": "Hej"})
    bench.after(1)
    bench.fault("stray", lines=["^RSSI:14"])
    stray = "\r\n^RSSI:14\r\n"
    head, pdu = bench.say("AT+CMGL=4").split("\r\n" + stray.strip() + "\r\n")[1:3]
    assert head.strip().startswith("+CMGL: 1,0,,")
    assert pdu.strip().startswith("07916407710406F0")
    assert bench.say("AT") == stray + stray + "\r\nOK\r\n" + stray
    assert bench.begin() == stray + "\r\n> "
    assert bench.after(1) == f"{stray}\r\n+CMGS: 1\r\n{stray}\r\nOK\r\n{stray}"
    bench.fault("stray", lines=["^RSSI:14"], glue=True, count=1)
    assert bench.say("AT+CMGS=20") == "\r\n^RSSI:14> "
    bench.type(b"\x1b")
    assert bench.say("AT") == "\r\nOK\r\n"


def test_noise_comes_now_and_before_answers() -> None:
    bench = Bench()
    bench.fault("noise", count=1)
    assert bench.type(b"") == "\xff\xfe\x00"
    assert bench.say("AT") == "\xff\xfe\x00\r\nOK\r\n"
    assert bench.say("AT") == "\r\nOK\r\n"


def test_no_network() -> None:
    bench = Bench()
    bench.say("AT+CREG=1")
    bench.fault("no_network", seconds=60)
    assert bench.after(0) == "\r\n+CREG: 2\r\n"
    assert "+CSQ: 99,99" in bench.say("AT+CSQ")
    assert "+COPS: 0\r" in bench.say("AT+COPS?")
    assert "+CMS ERROR: 331" in bench.send()
    bench.do("deliver", **{"from": HERE, "text": "Hej"})
    said = bench.after(60)
    assert "+CREG: 1" in said
    assert "+CMTI" in said
    assert bench.texts == []


def test_silence() -> None:
    bench = Bench()
    bench.fault("silence", seconds=30)
    assert bench.say("AT") == ""
    bench.do("print", lines=["^BOOT:1,0"])
    assert bench.after(30) == "\r\n^BOOT:1,0\r\n"
    assert bench.say("AT") == "\r\nOK\r\n"


def test_a_reboot_forgets_the_settings_and_keeps_card_and_storage() -> None:
    bench = Bench(report_delay_s=60.0)
    bench.say("AT+CREG=2;+CSMS=1;+CMMS=1")
    bench.send()
    bench.do("deliver", **{"from": HERE, "text": "Hej"})
    bench.after(1)
    bench.do("reboot", boot_s=3)
    assert bench.say("AT") == ""
    assert bench.after(2.9) == ""
    assert bench.after(0.2) == "\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+CPIN: READY\r\n"
    assert bench.say("AT+CMGR=9") == "AT+CMGR=9\r\r\nERROR\r\n"  # echo on, CMEE 0
    settings = bench.do("stats")["settings"]
    assert (settings["echo"], settings["cmee"], settings["creg"], settings["csms"]) == (True, 0, 0, 0)
    assert settings["cnmi"] == [0, 0, 0, 0, 0]
    assert '"01FF"' in bench.smss
    assert "+CMGL: 1,0,," in bench.say("AT+CMGL=4")


def test_cfun_1_1_answers_and_then_restarts() -> None:
    bench = Bench(profile="quectel")
    assert bench.say("AT+CFUN=1,1") == "\r\nOK\r\n"
    said = bench.after(5)
    assert said.index("RDY") < said.index("+CPIN: READY") < said.index("+QIND: SMS DONE")


def test_the_radio_can_be_switched_off() -> None:
    bench = Bench()
    assert bench.say("AT+CREG=1;+CFUN=4") == "\r\nOK\r\n\r\n+CREG: 0\r\n"
    assert bench.say("AT+CMGS=20") == "\r\n+CMS ERROR: 302\r\n"
    assert bench.say("AT+CFUN=1") == "\r\nOK\r\n\r\n+CREG: 1\r\n"


@pytest.mark.parametrize("at", ["prompt", "pdu", "after_ctrl_z"])
@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("kind", ["reboot_mid_send", "unplug"])
def test_it_goes_away_in_the_middle_of_a_submission(kind: str, at: str, taken: bool) -> None:
    bench = Bench(report_delay_s=60.0)
    bench.fault(kind, at=at, taken=taken, seconds=5, boot_s=5)
    said = bench.begin() + bench.after(2)
    assert "+CMGS" not in said
    assert ("> " in said) is (at != "prompt")
    assert bench.texts == (["Hej"] if taken and at == "after_ctrl_z" else [])
    assert bench.stick.plugged is (kind != "unplug")
    assert "RDY" in bench.after(6)
    assert bench.stick.plugged
    assert f'"{len(bench.texts):02X}FF"' in bench.smss


def test_an_unplugged_modem_comes_back_when_plugged() -> None:
    bench = Bench()
    bench.do("unplug")
    bench.do("reboot")  # of no use without power
    assert bench.after(600) == ""
    bench.do("plug")
    assert "RDY" in bench.after(1)


def test_a_report_survives_the_reboot_of_the_modem() -> None:
    bench = Bench(report_delay_s=2.0)
    bench.send()
    bench.do("reboot", boot_s=10)
    bench.after(11)
    bench.say("AT+CNMI=2,1,0,1,0")
    bench.do("report")
    assert len(pdus_in(bench.after(1))) == 1


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_counts_the_attempts_left(name: str) -> None:
    bench = Bench(profile=name, identity=Identity(pin="1234"))
    bench.say('AT+CPIN="0000"')
    command = PROFILES[name].pin_counter[0]
    assert "2" in bench.say(f"AT{command}?")


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_boots_and_sends(name: str) -> None:
    bench = Bench(profile=name, boot=True)
    assert bench.after(5).count("\r\n") >= 2 * len(PROFILES[name].banner)
    for line in ("ATE0", "AT+CMEE=1", "AT+CMGF=0", 'AT+CPMS="SM","SM","SM"', "AT+CNMI=?"):
        assert "OK" in bench.say(line)
    assert "+CMGS: 1" in bench.send()


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "dance"},
        {"do": "fault", "kind": "flood"},
        {"do": "fault"},
        {"do": "set", "colour": 1},
        {"do": "deliver", "from": HERE},
        {"do": "deliver", "from": HERE, "text": "x", "parts_order": [2]},
        {"do": "deliver_pdu", "hex": "zz"},
        {"do": "report"},
        {},
    ],
)
def test_a_bad_control_request_is_refused_with_a_reason(request_: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        Bench().stick.perform(request_)


def test_state_outlives_the_simulator(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    bench = Bench(state_file=state, identity=Identity(pin="1234"))
    bench.say('AT+CPIN="0000"')
    bench.say('AT+CPIN="1234"')
    bench.send()
    bench.do("deliver", **{"from": HERE, "text": "Hej"})
    bench.after(1)
    again = Bench(state_file=state, identity=Identity(pin="1234"))
    again.say('AT+CPIN="1234"')
    assert '"01FF"' in again.smss
    assert pdus_in(again.say("AT+CMGL=4"))[0].text == "Hej"


# --- the shell ------------------------------------------------------------------------------------------------


class Line:
    """A client on the tty."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)

    def say(self, data: bytes, until: bytes = b"OK\r\n", timeout_s: float = 5.0) -> bytes:
        os.write(self.fd, data)
        return self.read(until, timeout_s)

    def read(self, until: bytes, timeout_s: float = 5.0) -> bytes:
        got, end = b"", time.monotonic() + timeout_s
        while until not in got:
            ready, _, _ = select.select([self.fd], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise AssertionError(f"{until!r} is not in {got!r}")
            got += os.read(self.fd, 4096)
        return got

    def send(self, text: str = "Hej") -> bytes:
        tpdu = Submit(Address.parse(HERE), text, report=True).encode()
        self.say(b"AT+CMGS=%d\r" % len(tpdu), b"> ")
        return self.say(b"00" + tpdu.hex().upper().encode() + b"\x1a")

    def is_hung_up(self) -> bool:
        """Is the other end gone? What was still in the line is read; the end is EIO or no bytes at all."""
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError as error:
            return error.errno == errno.EIO
        return True

    def close(self) -> None:
        os.close(self.fd)


@pytest.fixture
def sim() -> Iterator[SimulatedModem]:
    with SimulatedModem(latency_s=0.005, report_delay_s=0.005) as modem:
        yield modem


@pytest.fixture
def line(sim: SimulatedModem) -> Iterator[Line]:
    client = Line(sim.link)
    yield client
    client.close()


def test_it_is_a_modem_on_a_pty(sim: SimulatedModem, line: Line) -> None:
    assert line.say(b"ATE0+CMEE=1;+CNMI=2,1,0,1,0\r").endswith(b"\r\nOK\r\n")
    assert b"+CMGS: 1\r\n" in line.send()
    assert line.read(b"0000\r\n").startswith(b"\r\n+CDS: 25\r\n")
    sim.control.deliver("+46701740606", "Hej")
    line.read(b'+CMTI: "SM",1\r\n')
    assert [entry["to"] for entry in sim.submits()] == [HERE]
    assert [entry["event"] for entry in read_air_log(sim.air_log)] == ["submit", "report", "deliver"]
    assert sim.control.counter("taken") == 1
    assert sim.control.heard()[-1] == "<pdu 34>"
    assert sim.control.stored()[0]["storage"] == "SM"


def test_latency_is_kept_to_the_millisecond(sim: SimulatedModem, line: Line) -> None:
    line.say(b"ATE0\r")
    late = []
    for _ in range(40):
        line.send()
        late.append(sim.submits()[-1]["t"])
    # Two submissions are a latency apart plus what this client needs; the fastest pair shows the modem's share.
    assert 0.005 <= min(b - a for a, b in pairwise(late)) < 0.012


def test_an_idle_modem_sleeps(sim: SimulatedModem, line: Line) -> None:
    line.say(b"ATE0\r")
    assert sim._shell._pause_s() is None


def test_the_port_outlives_its_client_and_keeps_what_was_said(sim: SimulatedModem) -> None:
    sim.control.set(latency=0.05)
    first = Line(sim.link)
    first.say(b"ATE0\r")
    tpdu = Submit(Address.parse(HERE), "Hej").encode()
    first.say(b"AT+CMGS=%d\r" % len(tpdu), b"> ")
    os.write(first.fd, b"00" + tpdu.hex().encode() + b"\x1a")
    first.close()
    sim.wait_for("submit")
    second = Line(sim.link)
    assert second.read(b"OK\r\n") == b"\r\n+CMGS: 1\r\n\r\nOK\r\n"
    second.close()


def test_an_unplugged_port_hangs_up_and_comes_back_as_another(sim: SimulatedModem, line: Line, tmp_path: Path) -> None:
    before = sim.port
    sim.control.unplug(None)
    assert sim.port is None
    assert not os.path.lexists(sim.link)
    assert line.is_hung_up()
    sim.control.plug()
    assert sim.port not in (None, before)
    back = Line(sim.link)
    back.read(b"RDY")
    assert b"OK" in back.say(b"ATE0\r")
    back.close()
    sim.control.unplug(0.05, new_link=tmp_path / "elsewhere")
    sim.wait_for("plug", 2)
    assert sim.control.ask("ping") == {}
    assert os.readlink(tmp_path / "elsewhere") == sim.port


def test_a_killed_client_does_not_keep_the_port_to_itself(sim: SimulatedModem) -> None:
    client = Line(sim.link)
    fcntl.ioctl(client.fd, termios.TIOCEXCL)
    assert is_exclusive(sim)
    client.close()
    sim.control.ask("ping")
    sim.control.ask("ping")
    if sim._shell._pty is not None and sim._shell._pty.closings is not None:
        assert not is_exclusive(sim)


def is_exclusive(sim: SimulatedModem) -> bool:
    tiocgexcl = 0x80045440  # asm-generic/ioctls.h; Python has no name for it
    assert sim._shell._pty is not None
    answer = fcntl.ioctl(sim._shell._pty.slave, tiocgexcl, b"\0\0\0\0")
    return any(answer)


def test_nobody_reading_does_not_stop_it(sim: SimulatedModem) -> None:
    for _ in range(40):
        sim.control.print("x" * 4000)
    assert sim.control.ask("ping") == {}


def test_the_control_socket_answers_errors_and_survives_nonsense(sim: SimulatedModem) -> None:
    with pytest.raises(ControlRefused, match="unknown verb"):
        sim.control.ask("dance")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        raw.connect(sim.control.path)
        raw.sendall(b'{"do": "pi')
        raw.sendall(b'ng"}\nnonsense\n[1]\n\xff\xfe\n')
        answers = raw.makefile().readline, 4
        found = [json.loads(answers[0]()) for _ in range(answers[1])]
    assert [answer["ok"] for answer in found] == [True, False, False, False]
    assert sim.control.ask("ping") == {}


def test_every_method_of_the_control_has_its_verb(sim: SimulatedModem) -> None:
    control = sim.control
    control.deliver(HERE, "å" * 200, parts_order=[2, 1], reference=9, bits=16, double=True, at=datetime.now(UTC), gap_s=0)
    control.deliver_pdu(b"\x04\xff")
    control.report(tp_mr=1, to=HERE, status=0x46, count=2, at=datetime.now(UTC))
    assert control.hold_reports() == 0
    assert control.release_reports(reverse=True, drop=True) == 0
    control.ring(HERE, count=1)
    control.cms(38, count=2, to=HERE, at="prompt")
    control.cms_after()
    control.cme(14, on="+CPMS")
    control.lose_answer(on="+CSQ")
    control.late_answer(1.0)
    for queued in (control.drop, control.bare_ok, control.no_ok, control.no_prompt, control.storage_full):
        queued()
    control.reboot_mid_send("pdu", taken=True, boot_s=0.1)
    control.unplug(1.0, at="after_ctrl_z", taken=True)
    assert len(control.stats()["faults"]) == 11
    control.stray(["^RSSI:1"], glue=True, count=3)
    control.noise(b"\xff")
    control.sim_busy(1.0)
    control.no_network(1.0)
    control.silence(1.0)
    control.clear("stray")
    control.clear()
    assert control.stats()["faults"] == []
    control.reboot(boot_s=0.01)
    assert control.set(latency=0.25, more_latency=None, ussd={"*1#": "x"}, busy_input="queue")["latency_s"] == 0.25
    control.print("^BOOT:1,0")
    assert len(control.stored()) == 20
    assert control.heard(since=1e12) == []
    monotonic_s, wall_ms = control.clock()
    assert monotonic_s > 0
    assert wall_ms > 1_700_000_000_000


def test_wait_is_answered_when_the_number_is_reached(sim: SimulatedModem, line: Line) -> None:
    with pytest.raises(ControlRefused, match="taken is 0"):
        sim.control.wait("taken", timeout_s=0.01)
    line.say(b"ATE0\r")
    line.send()
    assert sim.control.wait("taken") == 1


def test_the_command_line_runs_until_it_is_told_to_stop(tmp_path: Path) -> None:
    FileClock.write(tmp_path / "clock", speed=200.0)
    link, air, control = tmp_path / "modem", tmp_path / "air.jsonl", tmp_path / "control"
    command = [sys.executable, "-m", "modem.simulator", "--link", str(link), "--air-log", str(air)]
    command += ["--control", str(control), "--latency", "10", "--clock", str(tmp_path / "clock"), "--no-smss"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"ready {os.readlink(link)} {link}\n"
        client = Line(str(link))
        client.say(b"ATE0\r")
        started = time.monotonic()
        assert b"+CMGS: 1" in client.send()
        assert time.monotonic() - started < 5  # ten seconds of a clock that runs 200 times faster
        assert b"ERROR" in client.say(b"AT+CRSM=176,28483,0,0,2\r", b"ERROR")
        client.close()
        with Control(control) as hand:
            assert hand.counter("taken") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert len(read_air_log(air, "submit")) == 1
    assert not os.path.lexists(link)
    assert not control.exists()


def test_two_simulators_do_not_share_a_control_socket(sim: SimulatedModem, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="another simulator"):
        SimulatedModem(control=sim.control.path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="is no link"):
        SimulatedModem(link=tmp_path / "file")


def test_gsm_alphabet_is_what_short_texts_travel_in(sim: SimulatedModem, line: Line) -> None:
    line.say(b"ATE0\r")
    line.send("Hej")
    assert Submit.decode(bytes.fromhex(sim.submits()[0]["tpdu"])).alphabet is Alphabet.GSM7
