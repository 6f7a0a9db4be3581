"""TPDUs. Clauses are of 3GPP TS 23.040 unless they say 23.038; C1 to C30 are the bugs listed in codec.md."""

import json
import pickle
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone

import gsmmodem.pdu
import pytest
import smspdudecoder.easy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modem import gsm7, pdu
from modem.gsm7 import NationalTable, NotEncodable
from modem.pdu import (
    Address,
    BadNumber,
    Concat,
    Deliver,
    Element,
    Outcome,
    PduError,
    Ports,
    StatusReport,
    Submit,
    TextTooLong,
    coding_of,
    outcome_of,
)
from modem.segments import Alphabet, split
from tests.modem.hostile import hostile, inputs, seeds

ANNA = Address.parse("+46701740601")
ANNA_HEX = "0B916407710406F1"
NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone(timedelta(hours=1)))
NOON_HEX = "62111221000040"


def unhex(digits: str) -> bytes:
    return bytes.fromhex(digits)


def deliver(dcs: str, udl: str, ud: str = "", *, first: str = "04", sender: str = ANNA_HEX) -> Deliver:
    return Deliver.decode(unhex(first + sender + "00" + dcs + NOON_HEX + udl + ud))


# --- addresses ---------------------------------------------------------------------------------------------------

# (address, octets, source)
ADDRESSES = [
    (Address("46701740601", 1), ANNA_HEX, "§9.1.2.5: odd, filled with F"),
    (Address("4917139200", 1), "0A919471312900", "§9.1.2.5: even"),
    (Address("72456", 0), "05812754F6", "§9.1.2.5: a short code is not national, C10"),
    (Address("112", 0), "038111F2", "C10"),
    (Address("0701234567", 0), "0A817010325476", "C10"),
    (Address("0701234567", 2), "0AA17010325476", "§9.1.2.5: national when told so"),
    (Address("*100#", 0), "05811A00FB", "§9.1.2.3, C11, C24"),
    (Address("*#abc", 0), "0581BADCFE", "§9.1.2.3: 1010 to 1110, C24"),
    (Address("12345678901234567890", 1), "149121436587092143658709", "§9.1.2.5: the longest"),
    (Address("Seven77", 5, 0), "0DD0D3B2BDECBEDD00", "§9.1.2.5: 13 useful semi-octets, C13"),
    (Address("ABCDEFG@", 5, 0), "0ED041E19058341E01", "the last @ is text, C17"),
    (Address("MMoney", 5, 0), "0BD0CDE6DB5DCE03", "§9.1.2.5"),
    (Address("Design@Home", 5, 0), "14D0C4F23C7D760390EF7619", "§9.1.2.5: the longest name"),
    (Address("", 0, 0), "0080", "§9.1.2.5: no address still has its type, C23"),
]


@pytest.mark.parametrize(("address", "octets", "source"), ADDRESSES)
def test_it_writes_and_reads_addresses(address: Address, octets: str, source: str) -> None:
    assert address.encode().hex().upper() == octets
    decoded = deliver("00", "05", "E8329BFD06", sender=octets)
    assert decoded.originator == address
    assert decoded.text == "hello"


@pytest.mark.parametrize(
    ("written", "number", "ton"),
    [
        ("+46701740601", "+46701740601", 1),
        ("+46 70 174 06 01", "+46701740601", 1),
        ("+46-70.174/06 01", "+46701740601", 1),
        ("+46 (70) 174\u00a006\u201101", "+46701740601", 1),
        ("0701740601", "0701740601", 0),
        ("72456", "72456", 0),
        ("*100#", "*100#", 0),
    ],
)
def test_it_parses_numbers_as_people_write_them(written: str, number: str, ton: int) -> None:
    """C10, C11: never as the text of a name."""
    address = Address.parse(written)
    assert (address.number, address.ton, address.npi) == (number, ton, 1)


@pytest.mark.parametrize(
    "written", ["", "+", " ", "²³", "+²³", "1" * 21, "+" + "1" * 21, "Ringpost", "+46abc", "+*100#", "٠١٢", "0x12", "++46"]
)
def test_it_refuses_what_is_no_number(written: str) -> None:
    """C12."""
    with pytest.raises(BadNumber) as caught:
        Address.parse(written)
    assert pickle.loads(pickle.dumps(caught.value)).number == written


@pytest.mark.parametrize("name", ["", "twelve chars", "€€€€€€", "Łódź"])
def test_it_refuses_a_name_that_cannot_be_a_sender(name: str) -> None:
    with pytest.raises(BadNumber):
        Address.alphanumeric(name)
    if name:
        with pytest.raises(BadNumber):
            Address(name, 5, 0).encode()


def test_it_refuses_to_encode_digits_that_are_none() -> None:
    for digits in ("+46", "12 3", "1" * 21, "d"):
        with pytest.raises(BadNumber):
            Address(digits, 0).encode()


def test_a_filled_up_number_announced_one_digit_too_long_is_read() -> None:
    assert deliver("00", "00", sender="0C916407710406F1").originator.number == "+46701740601"


@pytest.mark.parametrize("length", ["15", "FF"])
def test_an_address_longer_than_possible_is_refused(length: str) -> None:
    """C28: 21 and 255 semi-octets."""
    with pytest.raises(PduError):
        Deliver.decode(unhex("04" + length + "91" + "11" * 128 + "0000" + NOON_HEX + "00"))


# --- time --------------------------------------------------------------------------------------------------------

# (moment, octets, source)
TIMES = [
    (NOON, NOON_HEX, "§9.2.3.11"),
    (datetime(2026, 11, 21, 12, tzinfo=UTC), "62111221000000", "§9.2.3.11"),
    (datetime(2013, 3, 25, 23, 1, 56, tzinfo=timezone(-timedelta(hours=7))), "3130523210658A", "§9.2.3.11: west"),
    (datetime(2007, 4, 12, 23, 25, 42, tzinfo=timezone(timedelta(hours=8))), "70402132522423", "§9.2.3.11: east"),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=45))), "62102030405032", "a quarter"),
    (datetime(2099, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=12))), "9921133295958C", "the last"),
]  # fmt: skip


@pytest.mark.parametrize(("moment", "octets", "source"), TIMES)
def test_it_writes_and_reads_timestamps(moment: datetime, octets: str, source: str) -> None:
    assert Deliver(ANNA, sent_at=moment).encode().hex().upper()[22:36] == octets
    decoded = Deliver.decode(unhex("04" + ANNA_HEX + "0000" + octets + "00")).sent_at
    assert decoded == moment
    assert decoded is not None
    assert decoded.utcoffset() == moment.utcoffset()


def test_a_timestamp_is_an_ordinary_aware_datetime() -> None:
    """C30."""
    moment = deliver("00", "00").sent_at
    assert moment is not None
    assert moment.strftime("%Z %z") == "UTC+01:00 +0100"
    assert deepcopy(pickle.loads(pickle.dumps(moment))) == moment


@pytest.mark.parametrize(
    "octets",
    ["00000000000000", "FFFFFFFFFFFFFF", "62311221000040", "62119921000040", "62112342000040",
     "62111242000040", "6211122106A040", "621112210000FF", "621112210000BB"],
)  # fmt: skip
def test_a_nonsense_time_costs_the_time_and_not_the_text(octets: str) -> None:
    """C26."""
    decoded = Deliver.decode(unhex("04" + ANNA_HEX + "0000" + octets + "05E8329BFD06"))
    assert decoded.text == "hello"
    assert decoded.sent_at is None
    report = StatusReport.decode(unhex("0640" + ANNA_HEX + octets + octets + "00"))
    assert (report.status, report.sent_at, report.discharged_at) == (0, None, None)


def test_it_refuses_to_write_a_time_that_has_no_octets() -> None:
    for moment in (datetime(2026, 1, 1), datetime(1999, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)):
        with pytest.raises(ValueError):
            Deliver(ANNA, sent_at=moment).encode()
    odd = datetime(2026, 1, 1, tzinfo=timezone(timedelta(minutes=7)))
    assert Deliver.decode(Deliver(ANNA, sent_at=odd).encode()).sent_at == odd


# (minutes asked for, octet, minutes got)
VALIDITY = [
    (0, 0, 5), (1, 0, 5), (4, 0, 5), (5, 0, 5), (6, 1, 10), (7, 1, 10), (60, 11, 60), (720, 143, 720),
    (721, 144, 750), (1440, 167, 1440), (1441, 168, 2880), (43200, 196, 43200), (43201, 197, 50400),
    (50400, 197, 50400), (50401, 198, 60480), (63 * 10080, 255, 63 * 10080),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "octet", "got"), VALIDITY)
def test_a_validity_is_never_shorter_than_asked_for(asked: int, octet: int, got: int) -> None:
    """§9.2.3.12.1, C14."""
    tpdu = Submit(ANNA, validity_min=asked).encode()
    assert tpdu[0] & 0x18 == 0x10
    assert tpdu[12] == octet
    assert Submit.decode(tpdu).validity_min == got


@pytest.mark.parametrize("minutes", [-1, 63 * 10080 + 1])
def test_a_validity_outside_of_the_scale_is_refused(minutes: int) -> None:
    """C14."""
    with pytest.raises(ValueError):
        Submit(ANNA, validity_min=minutes).encode()


@pytest.mark.parametrize("octet", range(256))
def test_every_validity_octet_survives(octet: int) -> None:
    assert pdu.validity_octet(pdu.validity_minutes(octet)) == octet


def test_it_reads_the_other_validity_formats() -> None:
    """§9.2.3.12.2 and .3."""
    absolute = Submit(ANNA, "x", valid_until=NOON).encode()
    assert absolute[0] & 0x18 == 0x18
    assert Submit.decode(absolute).valid_until == NOON
    for octets, minutes in (("010B", 60), ("0278", 2), ("03103000", 63), ("00", None), ("81", None), ("0200", None)):
        tpdu = unhex("0900" + ANNA_HEX + "0000" + octets.ljust(14, "0") + "05E8329BFD06")
        decoded = Submit.decode(tpdu)
        assert (decoded.text, decoded.validity_min) == ("hello", minutes)


# --- data coding -------------------------------------------------------------------------------------------------

# (octet, alphabet, class, extra, source)
CODINGS = [
    (0x00, "gsm7", None, "", "23.038 §4, general"),
    (0x04, None, None, "", "8 bit data"),
    (0x08, "ucs2", None, "", "UCS2"),
    (0x0C, "gsm7", None, "reserved", "reserved alphabet is the default, C18"),
    (0x10, "gsm7", 0, "", "flash"),
    (0x15, None, 1, "", "8 bit, class 1"),
    (0x1A, "ucs2", 2, "", "UCS2, class 2"),
    (0x03, "gsm7", None, "", "class bits without meaning"),
    (0x20, "gsm7", None, "compressed", "C19"),
    (0x48, "ucs2", None, "deleted", "automatic deletion, C18"),
    (0x51, "gsm7", 1, "deleted", "automatic deletion with class"),
    (0x80, "gsm7", None, "reserved", "reserved group"),
    (0xBF, "gsm7", None, "reserved", "reserved group"),
    (0xC8, "gsm7", None, "discard", "voicemail, discard"),
    (0xD9, "gsm7", None, "store", "fax, store"),
    (0xE0, "ucs2", None, "store", "C18"),
    (0xEF, "ucs2", None, "store", "C18"),
    (0xF0, "gsm7", 0, "", "data coding and class"),
    (0xF4, None, 0, "", "C18"),
    (0xF5, None, 1, "", "C18"),
    (0xF6, None, 2, "", "C18"),
    (0xF7, None, 3, "", "C18"),
]


@pytest.mark.parametrize(("dcs", "alphabet", "message_class", "extra", "source"), CODINGS)
def test_it_reads_data_codings(dcs: int, alphabet: str | None, message_class: int | None, extra: str, source: str) -> None:
    coding = coding_of(dcs)
    assert (coding.alphabet, coding.message_class) == (alphabet, message_class)
    assert coding.compressed is (extra == "compressed")
    assert coding.automatic_deletion is (extra == "deleted")
    assert coding.reserved is (extra == "reserved")
    assert (coding.indication or "") == (extra if extra in ("discard", "store") else "")
    assert coding.dcs == dcs


def test_it_tells_what_is_waiting() -> None:
    assert coding_of(0xC8).waiting == ("voicemail", True)
    assert coding_of(0xD2).waiting == ("email", False)
    assert coding_of(0x00).waiting is None


@pytest.mark.parametrize("dcs", ["04", "14", "F4", "F5", "F6", "F7"])
def test_8_bit_data_is_data_and_its_length_counts(dcs: str) -> None:
    """C18; C28: UDL 4, and what stands behind is not data."""
    decoded = deliver(dcs, "04", "0001FEFF" + "80FFFF")
    assert (decoded.data, decoded.text, decoded.alphabet, decoded.surplus) == (unhex("0001FEFF"), "", None, 3)
    assert (decoded.coding.dcs, decoded.udl) == (int(dcs, 16), 4)


def test_compressed_text_is_flagged_and_kept_as_octets() -> None:
    """C19; §9.2.3.16: UDL counts octets."""
    decoded = deliver("20", "03", "AABBCC")
    assert decoded.coding.compressed
    assert (decoded.data, decoded.text, decoded.alphabet) == (b"\xaa\xbb\xcc", "", None)


@pytest.mark.parametrize("dcs", ["08", "18", "48", "E0", "E8", "EF"])
def test_ucs2_is_read_as_utf16(dcs: str) -> None:
    """C18, C20."""
    assert deliver(dcs, "06", "0105D83DDE00").text == "ą😀"


@pytest.mark.parametrize(
    ("octets", "text"),
    [("D83D", "\ufffd"), ("DE000041", "\ufffdA"), ("D83D0041", "\ufffdA"), ("004100", "A\ufffd"), ("FEFF0041", "\ufeffA")],
)
def test_a_stray_surrogate_becomes_a_replacement_character(octets: str, text: str) -> None:
    """C20: a str with one in it can be neither stored nor sent as JSON."""
    decoded = deliver("08", f"{len(octets) // 2:02X}", octets)
    assert decoded.text == text
    decoded.text.encode()


# --- user data ---------------------------------------------------------------------------------------------------

# (submit, TPDU, source)
SUBMITS = [
    (Submit(ANNA, "hellohello"), "2100" + ANNA_HEX + "0000" + "0AE8329BFD4697D9EC37", "§9.2.2.2"),
    (Submit(ANNA, "hello", report=False), "0100" + ANNA_HEX + "0000" + "05E8329BFD06", "TP-SRR off"),
    (Submit(ANNA, "1234567@"), "2100" + ANNA_HEX + "0000" + "0831D98C56B3DD00", "23.038 §6.1.2.1.1, C17"),
    (Submit(ANNA, "§"), "2100" + ANNA_HEX + "0000" + "015F", "C2"),
    (Submit(ANNA, "\f"), "2100" + ANNA_HEX + "0000" + "021B05", "C4: 1B 0A"),
    (Submit(ANNA, "`", Alphabet.UCS2), "2100" + ANNA_HEX + "0008" + "020060", "C1"),
    (Submit(ANNA, "ÿ", Alphabet.UCS2), "2100" + ANNA_HEX + "0008" + "0200FF", "C3"),
    (Submit(ANNA, "Hi 😀", Alphabet.UCS2), "2100" + ANNA_HEX + "0008" + "0A004800690020D83DDE00", "C6"),
    (
        Submit(ANNA, "a", concat=Concat(0x04D2, 2, 1, 16), tp_mr=7),
        "6107" + ANNA_HEX + "0000" + "09" + "06080404D20201" + "61",
        "§9.2.3.24.8: seven octets of header need no fill bits, C7, C9, C16",
    ),
    (
        Submit(ANNA, "a", concat=Concat(0xCC, 3, 2)),
        "6100" + ANNA_HEX + "0000" + "08" + "050003CC0302" + "C2",
        "§9.2.3.24.1: one fill bit",
    ),
    (
        Submit(ANNA, "ą", Alphabet.UCS2, Concat(0xCC, 3, 2)),
        "6100" + ANNA_HEX + "0008" + "08" + "050003CC0302" + "0105",
        "§9.2.3.16: UDL counts octets",
    ),
    (Submit(ANNA, reply_path=True, reject_duplicates=True), "A500" + ANNA_HEX + "000000", "TP-RP, TP-RD, C15"),
    (Submit(ANNA, "hello", message_class=0), "2100" + ANNA_HEX + "001005E8329BFD06", "flash"),
    (Submit(ANNA, "hello", message_class=2, pid=0x41), "2100" + ANNA_HEX + "411205E8329BFD06", "class 2, PID, C15"),
    (
        Submit(ANNA, data=b"\x02\x70", alphabet=None, ports=Ports(2948, 9200)),
        "6100" + ANNA_HEX + "0004" + "09" + "0605040B8423F0" + "0270",
        "§9.2.3.24.4, C15",
    ),
    (
        Submit(ANNA, data=b"\x01", alphabet=None, ports=Ports(1, 2, 8)),
        "6100" + ANNA_HEX + "0004" + "06" + "0404020102" + "01",
        "§9.2.3.24.3",
    ),
    (
        Submit(ANNA, "ş", table=NationalTable(single=1)),
        "6100" + ANNA_HEX + "0000" + "07" + "03240101" + "D8CC01",
        "§9.2.3.24.15: single shift, C15",
    ),
    (
        Submit(ANNA, "ş", table=NationalTable(locking=1)),
        "6100" + ANNA_HEX + "0000" + "06" + "03250101" + "E800",
        "§9.2.3.24.16: locking shift, C15",
    ),
    (Submit(Address.parse("72456"), "ja"), "21000581" + "2754F6" + "0000" + "02EA30", "C10"),
    (Submit(ANNA, "a", validity_min=1440), "3100" + ANNA_HEX + "0000A7" + "0161", "§9.2.3.12.1"),
]


@pytest.mark.parametrize(("submit", "octets", "source"), SUBMITS)
def test_it_writes_and_reads_submits(submit: Submit, octets: str, source: str) -> None:
    assert submit.encode().hex().upper() == octets
    decoded = Submit.decode(unhex(octets))
    assert decoded.encode() == unhex(octets)
    for name in ("destination", "text", "alphabet", "concat", "tp_mr", "report", "reject_duplicates", "validity_min",
                 "message_class", "pid", "reply_path", "data", "ports", "table"):  # fmt: skip
        assert getattr(decoded, name) == getattr(submit, name), name
    assert pdu.decode(unhex(octets), from_network=False) == decoded


@pytest.mark.parametrize(
    ("header", "concat", "ports"),
    [
        ("06080404D20201", Concat(0x04D2, 2, 1, 16), None),
        ("0605040B8423F0", None, Ports(2948, 9200)),
        ("0B000301020105040B8423F0", Concat(1, 2, 1), Ports(2948, 9200)),
        ("06240101250101", None, None),
    ],
)
def test_the_first_character_behind_any_header_is_kept(header: str, concat: Concat | None, ports: Ports | None) -> None:
    """C16: of 7, 12 and 14 octets."""
    octets = unhex(header)
    text = "First char must stay"
    for padding in range(8):
        elements = octets[1:] + bytes((0x70, padding)) + bytes(padding)
        whole = bytes((len(elements),)) + elements
        septets = -(-8 * len(whole) // 7)
        body = gsm7.pack(gsm7.septets(text), 7 * septets - 8 * len(whole))
        decoded = deliver("00", f"{septets + len(text):02X}", (whole + body).hex(), first="44")
        assert decoded.text == text
        assert (decoded.concat, decoded.ports) == (concat, ports)


def test_national_tables_are_read() -> None:
    """C22."""
    text = "şçğıİ €"
    for table in (NationalTable(1, 1), NationalTable(0, 1), NationalTable(1, 0)):
        decoded = Deliver.decode(Deliver(ANNA, text, table=table).encode())
        assert (decoded.text, decoded.table) == (text, table)


@pytest.mark.parametrize(
    ("header", "source"),
    [
        ("050003010001", "total 0"),
        ("050003010200", "part 0"),
        ("050003010203", "part 3 of 2"),
        ("06080400010003", "16 bits, total 0"),
        ("0400020102", "a concatenation of two octets"),
    ],
)
def test_a_nonsense_concatenation_is_ignored(header: str, source: str) -> None:
    """C25, §9.2.3.24.1."""
    decoded = deliver("04", f"{len(header) // 2 + 2:02X}", header + "4142", first="44")
    assert decoded.concat is None
    assert decoded.data == b"AB"
    assert len(decoded.elements) == 1


@pytest.mark.parametrize("header", ["050004010201", "0300FF01", "0100", "0400030102"])
def test_a_header_that_does_not_add_up_is_ignored(header: str) -> None:
    """C25, §9.2.3.24: the whole of it, but what stands behind is still text."""
    decoded = deliver("08", f"{len(header) // 2 + 2:02X}", header + "0041", first="44")
    assert decoded.text == "A"
    assert (decoded.concat, decoded.elements) == (None, ())


def test_a_header_longer_than_the_user_data_is_text() -> None:
    decoded = deliver("08", "04", "20410042", first="44")
    assert (decoded.elements, decoded.text) == ((), "\u2041B")


def test_of_elements_that_say_the_same_the_last_counts() -> None:
    """§9.2.3.24."""
    decoded = deliver("04", "0F", "0B" + "0003010201" + "080400020302" + "41" + "00" * 2, first="44")
    assert decoded.concat == Concat(2, 3, 2, 16)


def test_unknown_elements_are_kept() -> None:
    submit = Submit(ANNA, "x", elements=(Element(0x70, b"\x01\x02"),), concat=Concat(1, 2, 1))
    decoded = Submit.decode(submit.encode())
    assert Element(0x70, b"\x01\x02") in decoded.elements
    assert decoded.encode() == submit.encode()


def test_parts_cut_inside_a_pair_are_read_together() -> None:
    """Senders exist that cut anywhere; octets and septets are joined before they are read."""
    halves = [
        deliver("08", "08", "050003010201" + "D83D", first="44"),
        deliver("08", "08", "050003010202" + "DE00", first="44"),
    ]
    assert [half.text for half in halves] == ["\ufffd", "\ufffd"]
    assert pdu.join_text(reversed(halves)) == "😀"  # type: ignore[arg-type]
    escape, euro = (
        Deliver.decode(unhex("44" + ANNA_HEX + "0000" + NOON_HEX + "08050003010201" + "36")),
        Deliver.decode(unhex("44" + ANNA_HEX + "0000" + NOON_HEX + "08050003010202" + "CA")),
    )
    assert (escape.text, euro.text) == (" ", "e")
    assert pdu.join_text([euro, escape]) == "€"
    mixed = [Deliver(ANNA, "a", concat=Concat(1, 2, 1)), Deliver(ANNA, "😀", Alphabet.UCS2, concat=Concat(1, 2, 2))]
    assert pdu.join_text([Deliver.decode(part.encode()) for part in mixed]) == "a😀"
    assert pdu.join_text(mixed) == "a😀"
    assert pdu.join_text([]) == ""


@pytest.mark.parametrize(
    ("dcs", "udl", "octets"), [("00", "08", "31D98C56B3DD"), ("08", "04", "0041"), ("04", "01", ""), ("00", "A1", "00" * 141)]
)
def test_missing_user_data_is_noticed(dcs: str, udl: str, octets: str) -> None:
    """C27, C28."""
    with pytest.raises(PduError):
        deliver(dcs, udl, octets)


def test_a_text_that_does_not_fit_is_refused() -> None:
    for submit in (
        Submit(ANNA, "a" * 161),
        Submit(ANNA, "a" * 154, concat=Concat(1, 2, 1)),
        Submit(ANNA, "a" * 153, concat=Concat(1, 2, 1, 16)),
        Submit(ANNA, "ą" * 71, Alphabet.UCS2),
        Submit(ANNA, data=bytes(141), alphabet=None),
        Submit(ANNA, elements=(Element(0x70, bytes(200)),)),
    ):
        with pytest.raises(TextTooLong) as caught:
            submit.encode()
        assert pickle.loads(pickle.dumps(caught.value)).octets == caught.value.octets
    assert len(Submit(ANNA, "a" * 152, concat=Concat(1, 2, 1, 16)).encode()) == 13 + 140  # C7


def test_fields_out_of_range_are_refused() -> None:
    for broken in ({"tp_mr": 256}, {"tp_mr": -1}, {"pid": 256}, {"message_class": 4}, {"ports": Ports(70000, 1)}):
        with pytest.raises(ValueError):
            Submit(ANNA, **broken).encode()  # type: ignore[arg-type]
    for reference, total, number, bits in ((256, 2, 1, 8), (1, 256, 1, 8), (1, 2, 3, 8), (1, 2, 0, 8), (1, 1, 1, 9)):
        with pytest.raises(ValueError):
            Concat(reference, total, number, bits)  # type: ignore[arg-type]
    with pytest.raises(NotEncodable):
        Submit(ANNA, "`").encode()
    with pytest.raises(NotEncodable):
        Submit(ANNA, "a\x1bb").encode()  # C5


def test_every_part_has_its_own_tp_mr_whatever_the_reference() -> None:
    """C7, C9."""
    pieces = split("a" * 400, reference_bits=16)
    parts = [
        Submit(ANNA, piece.text, concat=Concat(1234, piece.total, piece.number, 16), tp_mr=40 + piece.number).encode()
        for piece in pieces
    ]
    assert [part[1] for part in parts] == [41, 42, 43]
    assert {Submit.decode(part).concat.reference for part in parts} == {1234}  # type: ignore[union-attr]
    assert max(len(part) for part in parts) <= 13 + 140


# --- deliver -----------------------------------------------------------------------------------------------------

# (deliver, TPDU, source)
DELIVERS = [
    (Deliver(ANNA, "hello", sent_at=NOON), "04" + ANNA_HEX + "0000" + NOON_HEX + "05E8329BFD06", "§9.2.2.1"),
    (Deliver(ANNA, more=True), "00" + ANNA_HEX + "0000" + "0" * 14 + "00", "§9.2.3.2: 0 means more, C29"),
    (
        Deliver(ANNA, report_indication=True, reply_path=True, loop_prevention=True, sent_at=NOON),
        "AC" + ANNA_HEX + "0000" + NOON_HEX + "00",
        "TP-SRI, TP-RP, TP-LP, C29",
    ),
    (
        Deliver(Address.alphanumeric("Seven77"), "😀", Alphabet.UCS2, Concat(300, 2, 2, 16), NOON),
        "44" + "0DD0D3B2BDECBEDD00" + "0008" + NOON_HEX + "0B" + "060804012C0202" + "D83DDE00",
        "C13, C16, C20",
    ),
    (Deliver(Address("", 0, 0), "hello", sent_at=NOON), "040080" + "0000" + NOON_HEX + "05E8329BFD06", "C23"),
    (Deliver(ANNA, "1234567@", sent_at=NOON), "04" + ANNA_HEX + "0000" + NOON_HEX + "0831D98C56B3DD00", "C17"),
]


@pytest.mark.parametrize(("message", "octets", "source"), DELIVERS)
def test_it_writes_and_reads_delivers(message: Deliver, octets: str, source: str) -> None:
    assert message.encode().hex().upper() == octets
    decoded = Deliver.decode(unhex(octets))
    assert decoded.encode() == unhex(octets)
    for name in ("originator", "text", "alphabet", "concat", "sent_at", "pid", "data", "more", "report_indication",
                 "reply_path", "loop_prevention"):  # fmt: skip
        assert getattr(decoded, name) == getattr(message, name), name
    assert pdu.decode(unhex(octets), from_network=True) == decoded


def test_an_escape_with_no_character_shows_the_basic_one() -> None:
    """C21: 1B 61, and an escape at the end."""
    assert deliver("00", "02", "9B30").text == "a"
    assert deliver("00", "01", "1B").text == " "


def test_a_reserved_message_type_from_the_network_is_read_as_a_deliver() -> None:
    """§9.2.3.1."""
    assert pdu.decode(unhex("07" + ANNA_HEX + "0000" + NOON_HEX + "05E8329BFD06"), from_network=True).text == "hello"  # type: ignore[union-attr]


# --- status reports ----------------------------------------------------------------------------------------------

REPORT_HEX = "0640" + ANNA_HEX + NOON_HEX + NOON_HEX + "00"

# (report, TPDU, source)
REPORTS = [
    (StatusReport(0x40, ANNA, NOON, NOON, 0), REPORT_HEX, "§9.2.2.3"),
    (StatusReport(0x40, ANNA, NOON, NOON, 0x46), REPORT_HEX[:-2] + "46", "TP-ST"),
    (StatusReport(0x40, ANNA, NOON, NOON, 0, more=True), "02" + REPORT_HEX[2:], "TP-MMS, C29"),
    (StatusReport(0x40, ANNA, NOON, NOON, 0, is_command_result=True), "26" + REPORT_HEX[2:], "TP-SRQ, C29"),
    (StatusReport(0x40, ANNA, NOON, NOON, 0, parameters=0), REPORT_HEX + "00", "TP-PI, C29"),
    (
        StatusReport(0x40, ANNA, NOON, NOON, 0, parameters=7, pid=0x41, dcs=0, text="hello"),
        REPORT_HEX + "07" + "41" + "00" + "05E8329BFD06",
        "TP-PID, TP-DCS, TP-UD, C29",
    ),
    (
        StatusReport(0x40, ANNA, NOON, NOON, 0, parameters=6, dcs=8, text="ą"),
        REPORT_HEX + "06" + "08" + "020105",
        "TP-DCS decides how TP-UD reads, C29",
    ),
]


@pytest.mark.parametrize(("report", "octets", "source"), REPORTS)
def test_it_writes_and_reads_status_reports(report: StatusReport, octets: str, source: str) -> None:
    assert report.encode().hex().upper() == octets
    assert StatusReport.decode(unhex(octets)) == report
    assert pdu.decode(unhex(octets), from_network=True) == report


def test_junk_behind_a_report_does_not_cost_the_report() -> None:
    """Some sticks pad the line with hundreds of characters."""
    for junk in ("FFFFFFFF", "07", "0441", "80", "87" * 3, "04A0" + "00" * 20, "22" * 150):
        report = StatusReport.decode(unhex(REPORT_HEX + junk))
        assert (report.status, report.tp_mr, report.recipient) == (0, 0x40, ANNA)


def test_the_encoder_announces_what_it_sends() -> None:
    report = StatusReport(1, ANNA, NOON, NOON, 0x46, text="gone")
    decoded = StatusReport.decode(report.encode())
    assert (decoded.parameters, decoded.text) == (4, "gone")


def test_it_reads_a_real_report() -> None:
    """Recorded (python-gsmmodem issue 44), its numbers replaced: SMSC, then a report with two trailing octets."""
    line = "07916407710406F1" + "0640" + ANNA_HEX + "51109071838422" + "51109071832522" + "00"
    smsc, tpdu = pdu.unwrap(line + "FFFF", 25)
    assert smsc == "+46701740601"
    report = StatusReport.decode(tpdu)
    assert report.sent_at == datetime(2015, 1, 9, 17, 38, 48, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert (report.outcome, report.surplus) == (Outcome.DELIVERED, 0)


# (first octet of a range, last, outcome); §9.2.3.15 and the table of modems.md
OUTCOMES = [
    (0x00, 0x00, "delivered"), (0x01, 0x1F, "unconfirmed"), (0x20, 0x3F, "pending"), (0x40, 0x45, "permanent"),
    (0x46, 0x46, "expired"), (0x47, 0x5F, "permanent"), (0x60, 0xFF, "temporary"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "last", "outcome"), OUTCOMES)
def test_every_status_has_an_outcome_and_words(first: int, last: int, outcome: str) -> None:
    for status in range(first, last + 1):
        assert outcome_of(status) == outcome
        assert len(pdu.meaning_of(status)) > 8


# --- as modems print them ----------------------------------------------------------------------------------------


def test_it_takes_the_smsc_off() -> None:
    """TS 24.011 §8.2.5.1: this length counts octets."""
    assert pdu.split_smsc(unhex("00" + "2100")) == ("", b"\x21\x00")
    assert pdu.split_smsc(unhex("07916407710406F1" + "04")) == ("+46701740601", b"\x04")
    assert pdu.split_smsc(unhex("04812754F6" + "04")) == ("72456", b"\x04")
    assert pdu.split_smsc(unhex("0181" + "04")) == ("", b"\x04")


def test_it_checks_the_length_a_modem_announced() -> None:
    """C28."""
    tpdu = seeds()[0]
    assert pdu.unwrap("00" + tpdu.hex(), len(tpdu)) == ("", tpdu)
    assert pdu.unwrap(b"00" + tpdu.hex().encode() + b"FFFF", len(tpdu)) == ("", tpdu)
    assert pdu.unwrap(" 00" + tpdu.hex() + "\r\n") == ("", tpdu)
    for line, length in (
        ("00" + tpdu.hex(), len(tpdu) + 1),
        ("zz", None),
        ("0", None),
        ("", None),
        ("09", None),
        ("0C" + "11" * 12, None),
    ):
        with pytest.raises(PduError):
            pdu.unwrap(line, length)


# --- hostile input -----------------------------------------------------------------------------------------------


def test_hostile_input_raises_nothing_but_its_own_error() -> None:
    """C27. A long proof runs the same function with a million."""
    fared = hostile(seed=20261121, count=20_000)
    assert min(fared.values()) > 1000


@pytest.mark.parametrize("tpdu", seeds(), ids=range(len(seeds())))
def test_every_truncation_is_refused_with_its_place(tpdu: bytes) -> None:
    kind = tpdu[0] & 3
    for length in range(len(tpdu)):
        try:
            decoded = pdu.decode(tpdu[:length], from_network=kind != 1)
        except PduError as error:
            place = error
        else:
            assert isinstance(decoded, StatusReport)  # all behind its status is optional
            continue
        assert place.offset <= length
        assert pickle.loads(pickle.dumps(place)).reason == place.reason


def test_a_broken_one_does_not_take_its_neighbours_along() -> None:
    """C27: StopIteration ended the caller's loop."""
    good = seeds()[4]

    def text(tpdu: bytes) -> str | None:
        try:
            return Deliver.decode(tpdu).text
        except PduError:
            return None

    assert list(map(text, [good, good[:-3], good])) == ["şçğıİ €", None, "şçğıİ €"]


def test_a_wrong_type_is_refused() -> None:
    report, message, submit = unhex(REPORT_HEX), seeds()[4], seeds()[0]
    for decode, tpdu in ((Submit.decode, message), (Deliver.decode, report), (StatusReport.decode, submit)):
        with pytest.raises(PduError):
            decode(tpdu)
    with pytest.raises(PduError):
        pdu.decode(submit, from_network=True)
    with pytest.raises(PduError):
        pdu.decode(message, from_network=False)
    with pytest.raises(PduError):
        pdu.decode(b"", from_network=True)


def test_whatever_was_decoded_can_be_described_as_json() -> None:
    for tpdu in [*seeds(), *inputs(7, 3000)]:
        for from_network in (True, False):
            try:
                described = pdu.describe(tpdu, from_network=from_network)
            except PduError:
                continue
            json.dumps(described).encode()


def test_it_describes_every_field_by_its_name() -> None:
    submit = Submit(ANNA, "Hej", concat=Concat(7, 2, 1), tp_mr=3, validity_min=60)
    described = pdu.describe(submit)
    assert described == pdu.describe(submit.encode(), from_network=False)
    assert list(described)[:11] == [
        "TP-MTI", "TP-RD", "TP-VPF", "TP-SRR", "TP-UDHI", "TP-RP", "TP-MR", "TP-DA", "TP-PID", "TP-DCS", "TP-VP",
    ]  # fmt: skip
    assert described["TP-DA"] == {"number": "+46701740601", "TON": "international", "NPI": 1}
    assert described["TP-VP"] == "60 min"
    assert described["TP-UDL"] == 10
    assert described["TP-UDH"] == [{"IEI": "00", "data": "070201"}]
    assert described["TP-UD"] == "Hej"
    assert pdu.describe(unhex(REPORT_HEX))["TP-ST"] == {"value": "00", "meaning": "delivered", "outcome": "delivered"}


# --- against other implementations -------------------------------------------------------------------------------

SAFE = st.text(
    st.characters(codec="utf-16", max_codepoint=0xFFFF, exclude_characters="`§ÿ\f\x1b", exclude_categories=("Cs",)),
    min_size=1,
    max_size=300,
)
GSM7 = st.text(st.sampled_from("abcABC 0123@£$¥èéùìòÇØøÅåΔ_ÆæßÉÄÖÑÜ¿äöñüà^{}[]~|€\\\r\n"), min_size=1, max_size=500)


@settings(max_examples=300)
@given(
    st.one_of(SAFE, GSM7),
    st.text(st.sampled_from("0123456789"), min_size=3, max_size=15),
    st.integers(0, 255),
    st.one_of(st.none(), st.sampled_from([5, 10, 60, 720, 750, 1440, 2880, 43200, 50400, 635040])),
    st.booleans(),
    st.booleans(),
)
def test_it_agrees_with_gsmmodem_where_that_is_right(
    text: str, digits: str, reference: int, validity_min: int | None, report: bool, flash: bool
) -> None:
    """The safe subset of codec.md §5. A lone CR LF pair may be cut elsewhere: gsmmodem knows no graphemes."""
    theirs = gsmmodem.pdu.encodeSmsSubmitPdu(
        "+" + digits,
        text,
        reference=reference,
        validity=None if validity_min is None else timedelta(minutes=validity_min),
        requestStatusReport=report,
        rejectDuplicates=False,
        sendFlash=flash,
    )
    pieces = split(text)
    ours = [
        Submit(
            Address.parse("+" + digits),
            piece.text,
            piece.alphabet,
            Concat(reference, piece.total, piece.number) if piece.total > 1 else None,
            tp_mr=reference,
            report=report,
            validity_min=validity_min,
            message_class=0 if flash else None,
        ).encode()
        for piece in pieces
    ]
    decoded = [Submit.decode(pdu.split_smsc(bytes(their.data))[1]) for their in theirs]
    assert "".join(part.text for part in decoded) == text
    if [part.text for part in decoded] == [piece.text for piece in pieces]:
        assert [bytes(their.data)[1:] for their in theirs] == ours
    else:
        assert len(pieces) > 1


@settings(max_examples=300)
@given(GSM7, st.text(st.sampled_from("0123456789"), min_size=3, max_size=15), st.booleans())
def test_smspdudecoder_reads_what_we_write(text: str, digits: str, wide: bool) -> None:
    alphabet = Alphabet.UCS2 if wide else Alphabet.GSM7
    text = text[:60]
    # It takes the spare bits behind seven septets for an @, and knows no other way to end.
    assume(wide or (len(gsm7.septets(text)) % 8 not in (0, 7) and not text.endswith("@")))
    address = Address.parse("+" + digits)
    sent = "00" + Submit(address, text, alphabet, validity_min=60).encode().hex()
    assert smspdudecoder.easy.read_outgoing_sms(sent) == {"recipient": "+" + digits, "content": text}
    came = "00" + Deliver(address, text, alphabet, Concat(9, 3, 2), NOON).encode().hex()
    read = smspdudecoder.easy.read_incoming_sms(came)
    assert (read["sender"], read["content"], read["date"]) == ("+" + digits, text, NOON)
    assert read["partial"] == {"reference": "9-3", "parts_count": 3, "part_number": 2}


@given(
    st.builds(
        Deliver,
        st.sampled_from([a for a, _, _ in ADDRESSES]),
        st.text(max_size=20),
        st.just(Alphabet.UCS2),
        st.one_of(st.none(), st.builds(Concat, st.integers(0, 255), st.just(9), st.integers(1, 9))),
        st.one_of(st.none(), st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30), timezones=st.just(UTC))),
        st.integers(0, 255),
    )
)
def test_delivers_survive(message: Deliver) -> None:
    decoded = Deliver.decode(message.encode())
    moment = message.sent_at and message.sent_at.replace(microsecond=0)
    assert (decoded.originator, decoded.text, decoded.concat, decoded.sent_at, decoded.pid) == (
        message.originator,
        message.text,
        message.concat,
        moment,
        message.pid,
    )
    assert decoded.encode() == message.encode()
