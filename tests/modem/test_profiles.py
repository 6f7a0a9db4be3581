"""The `=?` answers as they come from the field, and the ladders built from them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modem import profiles
from modem.profiles import GENERIC, PROFILES, Indication

RANGES = [
    ("+CNMI: (0-3),(0,1),(0,2,3),(0,2),(1)", [{0, 1, 2, 3}, {0, 1}, {0, 2, 3}, {0, 2}, {1}]),
    ("+CNMI:(0,1,2),(0,1),(0,2),(0),(1)", [{0, 1, 2}, {0, 1}, {0, 2}, {0}, {1}]),
    ("+CNMI: ( 0 - 2 ), (0-1,3), (0)", [{0, 1, 2}, {0, 1, 3}, {0}]),
    ("+CNMI: 2,1,0,1,0", [{2}, {1}, {0}, {1}, {0}]),
    ("+CSMS: (0,1)", [{0, 1}]),
    ("+CSMS: 0,1", [{0}, {1}]),
    ("+CNMI: (),(),()", [set(), set(), set()]),
    ("+CNMI: (0-99999999999)", [set(range(256))]),
    ("OK", []),
    ("", []),
]


@pytest.mark.parametrize(("answer", "expected"), RANGES)
def test_ranges_are_read_as_they_come(answer: str, expected: list[set[int]]) -> None:
    assert list(profiles.ranges(answer)) == expected


STORAGES = [
    ('+CPMS: ("SM","ME","SR"),("SM","ME"),("SM")', (("SM", "ME", "SR"), ("SM", "ME"), ("SM",))),
    ('+CPMS: "SM","SM","SM"', (("SM",), ("SM",), ("SM",))),
    ('+CPMS: ("ME","MT"),"ME",("SM")', (("ME", "MT"), ("ME",), ("SM",))),
    ("+CPMS: (),(),()", ((), (), ())),
    ("+CPMS: SM,ME", (("SM",), ("ME",))),
    ('+CPMS:("SM",  "ME"),("SM"), ("SM")', (("SM", "ME"), ("SM",), ("SM",))),
    ('+CPMS: (SM","ME"),("SM"),("SM")', (("SM", "ME"), ("SM",), ("SM",))),
    ("", ()),
    ("+CPMS: ((((", ()),
]


@pytest.mark.parametrize(("answer", "expected"), STORAGES)
def test_storages_are_read_as_they_come(answer: str, expected: tuple[tuple[str, ...], ...]) -> None:
    assert profiles.storages(answer) == expected


LADDERS = [
    ("everything", "+CNMI: (0-3),(0-3),(0,2),(0-2),(0,1)", [(2, 1, 0, 1, 0), (1, 1, 0, 1, 0), (3, 1, 0, 1, 0)]),
    ("SIM800 [PG#60]", "+CNMI: (0-3),(0-3),(0,2),(0,1),(0,1)", [(2, 1, 0, 1, 0), (1, 1, 0, 1, 0), (3, 1, 0, 1, 0)]),
    ("Cinterion", "+CNMI: (0,1,2),(0,1),(0,2),(0),(1)", [(2, 1, 0, 0, 1), (1, 1, 0, 0, 1), (2, 1)]),
    ("stored reports only", "+CNMI: (0-3),(0,1),(0,2,3),(0,2),(1)", [(2, 1, 0, 2, 1), (1, 1, 0, 2, 1)]),
    ("three fields", "+CNMI: (0-2),(0,1),(0)", [(2, 1, 0), (1, 1, 0), (2, 1)]),
    ("routed messages only", "+CNMI: (2),(0,2),(0),(1),(0)", [(2, 2, 0, 1, 0), (2, 1), (1, 1)]),
    ("unreadable", "what", [(2, 1, 0, 1, 0), (2, 1, 0, 1), (1, 1, 0, 1, 0), (2, 1, 0, 2, 0), (2, 1, 0, 0, 0)]),
]


@pytest.mark.parametrize(("answer", "first"), [row[1:] for row in LADDERS], ids=[row[0] for row in LADDERS])
def test_the_indication_ladder_begins_with_the_best_offer(answer: str, first: list[tuple[int, ...]]) -> None:
    ladder = [rung.numbers for rung in profiles.indication_ladder(answer)]
    assert ladder[: len(first)] == first
    assert ladder[-1] == (1, 1)
    assert len(set(ladder)) == len(ladder) <= 20


def test_an_indication_says_what_it_brings() -> None:
    assert Indication((2, 1, 0, 1, 0)).text == "2,1,0,1,0"
    assert Indication((2, 1, 0, 1, 0)).reports == 1
    assert Indication((2, 1)).reports == 0
    assert not Indication((2, 1)).messages_routed
    assert Indication((2, 2, 0, 1)).messages_routed


def test_quectel_never_gets_stored_reports() -> None:
    """It announces reports in SM while they lie in SR, where somebody else's message may be read [CQ#75]."""
    ladder = profiles.indication_ladder("+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)", profiles.named("quectel"))
    assert 2 not in {rung.reports for rung in ladder}


def test_three_equal_storages_are_tried_first() -> None:
    ladder = profiles.storage_ladder('+CPMS: ("SM","ME"),("SM","ME"),("SM")')
    assert [rung.text for rung in ladder[:3]] == ['"SM","SM","SM"', '"SM","SM"', '"SM"']
    assert [rung.names[0] for rung in ladder] == ["SM"] * 3 + ["ME"] * 3


def test_brovi_takes_three_arguments_only() -> None:
    ladder = profiles.storage_ladder('+CPMS: ("SM","ME"),("SM","ME"),("SM","ME")', profiles.named("brovi"))
    assert {len(rung.names) for rung in ladder} == {3}


def test_an_unreadable_storage_answer_is_climbed_blindly() -> None:
    assert [rung.text for rung in profiles.storage_ladder("")[:2]] == ['"SM","SM","SM"', '"SM","SM"']


def test_card_and_stick_memory_are_swept_once() -> None:
    assert profiles.readable_storages('+CPMS: ("SM","ME","SR","BM"),("SM"),("SM")', "SM") == ("SM", "ME")
    assert profiles.readable_storages('+CPMS: ("MT","SM","ME"),("SM"),("SM")', "MT") == ("MT",)
    assert profiles.readable_storages("", "SM") == ("SM",)


IDENTITIES = [
    ("Quectel", "EC25", "quectel"),
    ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H", "sim7600"),
    ("SIMCOM_Ltd", "SIM7600", "sim7600"),
    ("SIMCOM INCORPORATED", "A7670E-FASE", "a7670"),
    ("SIMCOM_Ltd", "SIMCOM_SIM800L", "sim800"),
    ("SIMCOM_Ltd", "SIM7080", "simcom"),
    ("huawei", "E3531", "huawei"),
    ("ZOWEE", "E3372-325", "brovi"),
    ("ZTE INCORPORATED", "MF190", "zte"),
    ("Telit", "LE910C1-EU", "telit"),
    ("u-blox", "TOBY-R200", "ublox"),
    ("Cinterion", "PLS8-E", "cinterion"),
    ("Sierra Wireless, Incorporated", "MC7455", "sierra"),
    ("Maker", "Nobody knows", "generic"),
    ("", "", "generic"),
]


@pytest.mark.parametrize(("manufacturer", "model", "name"), IDENTITIES)
def test_a_stick_is_known_by_what_it_says(manufacturer: str, model: str, name: str) -> None:
    assert profiles.choose(manufacturer, model).name == name


def test_every_profile_is_named_once_and_well_formed() -> None:
    names = [profile.name for profile in PROFILES]
    assert len(set(names)) == len(names)
    assert PROFILES[-1] is GENERIC
    for profile in PROFILES:
        re.compile(profile.maker)
        for question in profile.tries:
            assert re.compile(question.pattern).groups == 1
            assert "CPIN=" not in question.command.upper()
        assert not [text for text in profile.settings if not text.startswith("AT")]


@given(st.text(alphabet='+CNMIPS: (),-"0123456789MESR', max_size=60))
def test_no_answer_makes_a_ladder_raise(answer: str) -> None:
    for profile in PROFILES:
        assert profiles.indication_ladder(answer, profile)
        assert profiles.storage_ladder(answer, profile)
        profiles.readable_storages(answer, "SM")
