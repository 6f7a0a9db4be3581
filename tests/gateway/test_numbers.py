"""Numbers from applications: what can be sent to, and why the rest cannot (S2, S20)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.numbers import Number, mask, normalise, tail


@pytest.mark.parametrize(
    ("raw", "region", "e164", "country"),
    [
        ("070-174 06 05", "SE", "+46701740605", "SE"),
        ("+46 70 174 06 05", None, "+46701740605", "SE"),
        ("0046701740605", None, "+46701740605", "SE"),
        ("0046701740605", "SE", "+46701740605", "SE"),
        ("(415) 555-2671", "US", "+14155552671", "US"),
        ("+1 787 555 0100", None, "+17875550100", "PR"),
        ("+1 416 555 0100", None, "+14165550100", "CA"),
        ("07400 123456", "GB", "+447400123456", "GB"),
        ("+423 660 12 34", None, "+4236601234", "LI"),
        ("20 12 34 56", "DK", "+4520123456", "DK"),
        ("+46 (0)70 174 06 05", None, "+46701740605", "SE"),
        ("٠٧٠١٧٤٠٦٠٥", "SE", "+46701740605", "SE"),
    ],
)
def test_numbers_that_can_be_sent_to(raw, region, e164, country):
    assert normalise(raw, region) == Number(raw, "ok", e164, country)


@pytest.mark.parametrize(
    ("raw", "region", "state"),
    [
        ("", "SE", "missing"),
        (" \t", "SE", "missing"),
        ("abc", "SE", "invalid"),
        ("0701740605", None, "invalid"),
        ("12", "SE", "invalid"),
        ("112", "SE", "invalid"),
        ("+4687654321", None, "not_mobile"),
        ("08-765 43 21", "SE", "not_mobile"),
        ("+46701740605 ext. 5", None, "invalid"),
        ("+999701740605", None, "invalid"),
        ("+870773111632", None, "invalid"),
        ("+1 800 555 0100", None, "not_mobile"),
        ("9" * 64, "SE", "invalid"),
        ("\x00", "SE", "invalid"),
        ("0701740605", "ÅÄ", "invalid"),
    ],
)
def test_numbers_that_cannot(raw, region, state):
    assert normalise(raw, region).state == state


def test_numbers_kept_for_fiction_are_sendable():
    assert normalise("+447700900123", None).state == "ok"


@given(st.text(max_size=64), st.sampled_from([None, "SE", "US", "XX", ""]))
def test_no_text_makes_it_fail_and_ok_means_e164(raw, region):
    found = normalise(raw, region)
    assert found.state in ("ok", "missing", "invalid", "not_mobile")
    if found.state == "ok":
        assert found.e164 is not None
        assert found.e164.startswith("+")
        assert found.e164[1:].isascii()
        assert found.country


def test_the_tail_is_the_same_in_every_form():
    assert {tail(number) for number in ("+46701740605", "0701740605", "46701740605", "070-174 06 05")} == {"01740605"}
    assert (tail("72456"), tail("Acme"), tail("")) == ("72456", "", "")


def test_a_masked_number_shows_three_digits():
    assert (mask("+46701740605"), mask("123")) == ("…605", "…")
