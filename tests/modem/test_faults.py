"""Error codes. The table is modems.md §3; what is asserted here is what others rely on."""

import gsmmodem.exceptions
import pytest

from modem import faults
from modem.faults import BARE_ERROR, Fault, Remedy, cme, cms, named

# (codes, remedy)
CMS = [
    ((1, 21, 28, 29, 30, 50, 95, 96, 97, 99, 195, 196, 531), Remedy.FAIL),
    ((128, 129, 130, 143, 144, 145, 159, 160, 161, 175, 176, 198, 199), Remedy.FAIL),
    ((517, 519, 520, 538, 549, 550, 551, 552, 553, 554), Remedy.FAIL),
    ((8, 10, 17, 22, 41, 69, 81, 98, 111, 127, 208, 211, 212, 255, 302, 304, 305, 322, 330, 500, 604), Remedy.RETRY_SOON),
    ((512, 514), Remedy.RETRY_SOON),
    ((27, 38, 42, 47, 192, 194), Remedy.RETRY_LATER),
    ((210, 300, 313, 320), Remedy.MODEM),
    ((193, 310, 311, 312, 315, 316, 317, 318), Remedy.PARK_SIM),
    ((209, 301, 303), Remedy.CONFIG),
    ((314, 515), Remedy.WAIT),
    ((331,), Remedy.HOLD),
    ((332, 513, 521), Remedy.UNKNOWN),
    ((197,), Remedy.ACCEPTED),
    ((213, 321, 340), Remedy.IGNORE),
]
CME = [
    ((0, 1, 13, 23, 772), Remedy.MODEM),
    ((5, 6, 7, 10, 11, 12, 15, 16, 17, 18, *range(40, 49), 103, 106, 111, 112, 113, 262), Remedy.PARK_SIM),
    ((14, 256, 257, 258, 515), Remedy.WAIT),
    ((24, 25, 26, 27, 50), Remedy.FAIL),
    ((4, 107), Remedy.CONFIG),
    ((30, 32), Remedy.HOLD),
    ((3, 20, 31, 100), Remedy.RETRY_SOON),
    ((21, 22), Remedy.IGNORE),
]


@pytest.mark.parametrize(("codes", "remedy"), CMS)
def test_each_cms_code_has_its_remedy(codes: tuple[int, ...], remedy: Remedy) -> None:
    assert {code: cms(code).remedy for code in codes} == dict.fromkeys(codes, remedy)


@pytest.mark.parametrize(("codes", "remedy"), CME)
def test_each_cme_code_has_its_remedy(codes: tuple[int, ...], remedy: Remedy) -> None:
    assert {code: cme(code).remedy for code in codes} == dict.fromkeys(codes, remedy)


def test_21_and_28_fail_their_message_at_once_and_hold_up_no_other() -> None:
    for fault in (cms(21), cms(28)):
        assert fault.is_permanent
        assert fault.tries == 0
        assert fault.suspects_sim  # a row of recipients is for the caller to see


def test_38_41_322_and_331_are_tried_again() -> None:
    for fault in map(cms, (38, 41, 322, 331)):
        assert not fault.is_permanent
        assert not fault.may_have_been_sent
        assert fault.tries != 0
    assert cms(38).min_delay_s >= 300
    assert cms(322).empty_storage


def test_what_may_have_gone_out_is_never_tried_again_by_itself() -> None:
    for fault in map(cms, (332, 513, 521, 197)):
        assert fault.may_have_been_sent
        assert fault.tries == 0


def test_a_busy_card_is_asked_again_for_forty_seconds() -> None:
    for fault in (cme(14), cms(314)):
        assert fault.tries is not None
        assert fault.tries * fault.min_delay_s == 40


@pytest.mark.parametrize("code", [*range(-1, 1100), 65535])
def test_every_code_means_something(code: int) -> None:
    for kind, fault in (("cms", cms(code)), ("cme", cme(code))):
        assert isinstance(fault, Fault)
        assert (fault.kind, fault.code) == (kind, code)
        assert len(fault.meaning) > 7
        assert not fault.meaning.endswith(".")
        assert fault.remedy not in (Remedy.RETRY_SOON, Remedy.RETRY_LATER, Remedy.WAIT) or fault.tries != 0
        assert fault.remedy not in (Remedy.RETRY_SOON, Remedy.RETRY_LATER, Remedy.WAIT) or fault.min_delay_s > 0


def test_unlisted_codes_are_read_by_their_range() -> None:
    assert cms(77).remedy is Remedy.RETRY_SOON  # the network's
    assert cms(222).remedy is Remedy.FAIL  # the service centre's
    assert cms(444).remedy is Remedy.RETRY_SOON  # the modem's
    assert cms(9999).remedy is Remedy.RETRY_SOON  # the maker's


@pytest.mark.parametrize(
    ("kind", "words", "code"),
    [
        ("cms", "Unknown error", 500),
        ("cms", "UNKNOWN ERROR", 500),
        ("cms", "network out of order", 38),
        ("cms", " 38 ", 38),
        ("cme", "SIM not inserted", 10),
        ("cme", "SIM busy", 14),
        ("cme", "PH-SIM PIN required", 5),
        ("cme", "13", 13),
        ("cms", "SIM failure", 313),
    ],
)
def test_errors_in_words_are_understood(kind: faults.Kind, words: str, code: int) -> None:
    fault = named(kind, words)
    assert fault is not None
    assert (fault.kind, fault.code) == (kind, code)


@pytest.mark.parametrize("words", ["", "gibberish", "²", "9" * 400])
def test_other_words_are_not(words: str) -> None:
    assert named("cms", words) is None
    assert named("cme", words) is None


def test_all_words_lead_to_listed_codes() -> None:
    assert set(faults._CMS_WORDS.values()) <= set(faults._CMS)
    assert set(faults._CME_WORDS.values()) <= set(faults._CME)


def test_a_bare_error_is_transient() -> None:
    assert BARE_ERROR.remedy is Remedy.RETRY_SOON
    assert not BARE_ERROR.may_have_been_sent
    assert str(BARE_ERROR) == "the modem answered ERROR and did not say why"
    assert str(cms(38)).startswith("+CMS ERROR 38: the network is out of order")


def test_no_code_gsmmodem_raises_an_error_of_its_own_for_is_missing() -> None:
    """gsmmodem.exceptions has classes for these (codec.md §5); the driver raises them next to our faults."""
    assert gsmmodem.exceptions.CmeError("AT", 14).code == cme(14).code
    assert {cme(code).remedy for code in (10, 11, 12, 13, 16)} == {Remedy.PARK_SIM, Remedy.MODEM}
    assert cms(330).remedy is Remedy.RETRY_SOON
