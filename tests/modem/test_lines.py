"""Bytes as lines, prompts and garbage, however the stream is chopped; and what a single line is."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modem import lines
from modem.events import (
    MessageStored,
    Noise,
    RegistrationChanged,
    ReportStored,
    Ring,
    SignalChanged,
    StorageFull,
    UssdAnswer,
)
from modem.lines import LONGEST_LINE, PROMPT, FinalKind, Garbage, Splitter, Text, Token

STREAMS: list[tuple[str, bytes, list[Token]]] = [
    ("both ends framed", b"\r\nOK\r\n", [Text("OK")]),
    ("line feed alone, which gsmmodem waits on for ever (T16)", b"\nOK\n", [Text("OK")]),
    ("carriage return alone", b"\rOK\r", [Text("OK")]),
    ("Huawei E1752 ends CLAC lines with CR CR LF", b"+CMGS\r\r\n+CNMI\r\r\n", [Text("+CMGS"), Text("+CNMI")]),
    ("prompt without a line end", b"\r\n> ", [PROMPT]),
    ("prompt without the blank", b"\r\n>", [PROMPT]),
    ("announcement before the prompt", b'\r\n+CMTI: "SM",7\r\n\r\n> ', [Text('+CMTI: "SM",7'), PROMPT]),
    ("text that ends like a prompt is none (T8)", b'\r\n+CUSD: 1,"1 > "\r\n', [Text('+CUSD: 1,"1 > "')]),
    ("FF FE end the reader of gsmmodem (T1)", b"\xff\xfe\r\nOK\r\n", [Garbage("unprintable"), Text("OK")]),
    ("FF FE stuck to a line", b"\xff\xfeOK\xff\r\n", [Text("OK")]),
    ("NULs are padding", b"\x00\r\n\x00O\x00K\r\n\x00", [Text("OK")]),
    ("echo of Ctrl-Z and ESC", b"\x1b\r\n0021AB\x1a\r\n", [Text("0021AB")]),
    (
        "endless line",
        b"x" * (LONGEST_LINE + 9) + b"\r\nOK\r\n",
        [Garbage("x" * 80), Text("OK")],
    ),
    ("longest honest line", b"y" * LONGEST_LINE + b"\r\n", [Text("y" * LONGEST_LINE)]),
]


def drained(splitter: Splitter, *, awaited: bool = False) -> list[Token]:
    tokens: list[Token] = []
    while (token := splitter.next(awaited=awaited)) is not None:
        tokens.append(token)
    return tokens


def split(pieces: list[bytes], *, awaited: bool = False) -> list[Token]:
    splitter = Splitter()
    tokens: list[Token] = []
    for piece in pieces:
        splitter.push(piece)
        tokens += drained(splitter, awaited=awaited)
    return tokens


@pytest.mark.parametrize(("stream", "tokens"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_a_stream_gives_the_same_tokens_however_it_is_chopped(stream: bytes, tokens: list[Token]) -> None:
    assert split([stream]) == tokens
    assert split([stream[i : i + 1] for i in range(len(stream))]) == tokens
    if len(stream) < 60:
        for i, j in combinations(range(len(stream) + 1), 2):
            assert split([stream[:i], stream[i:j], stream[j:]]) == tokens


def test_an_announcement_glued_to_the_awaited_prompt_is_cut_from_it() -> None:
    stream = b"\r\n^RSSI:14> "
    assert split([stream], awaited=True) == [Text("^RSSI:14"), PROMPT]
    assert split([stream[i : i + 1] for i in range(len(stream))], awaited=True) == [Text("^RSSI:14"), PROMPT]
    assert split([stream + b"\r\n"]) == [Text("^RSSI:14>")]


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_hostile_bytes_never_raise_and_chopping_never_matters(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    expected = split([whole])
    assert split(pieces) == expected
    assert split([whole[i : i + 1] for i in range(len(whole))]) == expected


def test_an_endless_line_never_grows_the_buffer() -> None:
    splitter = Splitter()
    told: list[Token] = []
    for _ in range(1000):
        splitter.push(b"z" * 5000)
        told += drained(splitter)
    assert told == [Garbage("z" * 80)]
    assert len(splitter._buffer) <= LONGEST_LINE


FINALS = [
    ("OK", FinalKind.OK, None),
    ("ERROR", FinalKind.ERROR, None),
    ("+CMS ERROR: 38", FinalKind.CMS, 38),
    ("+CMS ERROR:38", FinalKind.CMS, 38),
    ("+CME ERROR: 14", FinalKind.CME, 14),
    ("+CME ERROR: SIM not inserted", FinalKind.CME, 10),
    ("+CME ERROR: sim busy", FinalKind.CME, 14),
    ("+CMS ERROR: Unknown error", FinalKind.CMS, 500),
    ("+CMS ERROR: no network service", FinalKind.CMS, 331),
    ("+CMS ERROR: something new", FinalKind.CMS, None),
    ("+CMS ERROR: 9999999999999999999999", FinalKind.CMS, 999999),
    ("NO CARRIER", FinalKind.ABORTED, None),
    ("ABORTED", FinalKind.ABORTED, None),
    ("COMMAND NOT SUPPORT", FinalKind.ERROR, None),
]


@pytest.mark.parametrize(("line", "kind", "code"), FINALS)
def test_a_result_line_is_known(line: str, kind: FinalKind, code: int | None) -> None:
    found = lines.final(line)
    assert found is not None
    assert (found.kind, found.code, found.line) == (kind, code, line)
    assert found.fault.meaning


@pytest.mark.parametrize("line", ["OK see you at 8", "OKAY", "+CMTI: 1", "ERROR 3", "", "+CMGS: 4", "ok"])
def test_a_line_that_merely_begins_like_a_result_is_none(line: str) -> None:
    assert lines.final(line) is None


ANNOUNCEMENTS = [
    ('+CMTI: "SM",7', MessageStored("SM", 7)),
    ("+CMTI: SM,7", MessageStored("SM", 7)),
    ('+CDSI: "SR",0', ReportStored("SR", 0)),
    ('+CUSD: 0,"Saldo 10 kr",15', UssdAnswer(0, "Saldo 10 kr", 15)),
    ("+CUSD: 2", UssdAnswer(2, "", None)),
    ('+CUSD: 1,"1 Menu\n2 Back",15', UssdAnswer(1, "1 Menu\n2 Back", 15)),
    ("+CREG: 1", RegistrationChanged(1, "CREG")),
    ('+CEREG: 5,"00C3","0010",7', RegistrationChanged(5, "CEREG")),
    ("^RSSI:14", SignalChanged(14)),
    ("^RSSI:99", SignalChanged(None)),
    ('+CLIP: "+46701740605",145', Ring("+46701740605")),
    ("RING", Ring()),
    ("+SMS FULL", StorageFull("+SMS FULL")),
    ("^BOOT:35323129,0,0,0,26", Noise("^BOOT:35323129,0,0,0,26")),
    ("+CMTI: what", Noise("+CMTI: what")),
    ("+CREG: x", Noise("+CREG: x")),
    ("anything", Noise("anything")),
]


@pytest.mark.parametrize(("line", "event"), ANNOUNCEMENTS)
def test_an_unasked_line_is_an_event(line: str, event: object) -> None:
    assert lines.announcement(line) == event


@given(st.text(max_size=60))
def test_no_line_makes_a_reader_raise(text: str) -> None:
    for prefix in ("", "+CMTI:", "+CUSD: 1,", "+CREG:", "+CDS:", "+CMT:", "+CMS ERROR: ", "^RSSI:"):
        line = prefix + text
        lines.announcement(line)
        lines.final(line)
        lines.paired(line)
        lines.pdu(line, 25)
        lines.looks_unasked(line)


@pytest.mark.parametrize(
    ("line", "kind", "length"),
    [
        ("+CDS: 25", "CDS", 25),
        ("+CDS: ,25", "CDS", 25),
        ("+CMT: ,28", "CMT", 28),
        ('+CMT: "Eva, at home",28', "CMT", 28),
        ("+CBM: 88", "CBM", 88),
        ('+CMT: "+46701740605",,"26/11/21,10:00:00+04"', "CMT", None),
        ('+CMT: "+46701740605",,"26/11/21,10:00:00+04",145,4,0,0,"+46701740600",145,12', "CMT", None),
    ],
)
def test_a_header_announces_its_pdu_or_a_text(line: str, kind: str, length: int | None) -> None:
    assert lines.paired(line) == lines.Paired(kind, length)


def test_a_pdu_is_cut_to_the_announced_length() -> None:
    """Some sticks pad a report with 300 characters of junk [S hist]."""
    record = "0006400C9119790991376451109071838422511090718325" + "2200"
    assert lines.pdu("00" + "06" * 25 + "F" * 300, 25) == "00" + "06" * 25
    assert lines.pdu("00" + "06" * 25 + " junk", 25) == "00" + "06" * 25
    assert lines.pdu(record, 99) == record
    assert lines.pdu("not hex", 25) is None
    assert lines.pdu("0", 0) is None


@pytest.mark.parametrize(("line", "certain"), [("RDY", True), ("^SYSSTART", True), ("*ATREADY: 1", True)])
def test_a_boot_banner_is_known(line: str, certain: bool) -> None:
    assert lines.boot(line) is certain


def test_a_banner_that_may_also_follow_a_sim_is_only_a_hint() -> None:
    assert lines.boot("SMS Ready") is False
    assert lines.boot("+CFUN: 1") is False
    assert lines.boot("+CMTI: 1") is None
