"""STOP, START and HELP as people really write them (requirements §3.3)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk import open_desk
from gateway.rules.keywords import Keyword, Keywords, fold

WORDS: Keywords = open_desk(b"k" * 32).keywords


def said(text: str, *languages: str, **facts: bool) -> Keyword | None:
    return WORDS.match(text, languages, **{"pending": False} | facts)


@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop",
        " Stopp ",
        "STOP!",
        "“stop”",
        "«Stop»",
        "stop.",
        "*STOP*",
        "_stop_",
        "🛑stop🛑",
        "ＳＴＯＰ",
        "S\u200dTOP",
        "\ufeffstop",
        "STOP  ALL",
        "stop\nall",
        "opt-out",
        "OPT OUT",
        "Arrêt",
        "ARRET",
        "unsubscribe",
        "Remove",
        "quit",
        "revoke",
        "stop?",
    ],
)
def test_the_global_stop_words_count_in_every_dress_and_language(text):
    assert said(text) is Keyword.STOP
    assert said(text, "de", "fi") is Keyword.STOP


@pytest.mark.parametrize(
    "text", ["", " ", "...", "🛑", "stop it", "Can you stop by at 3?", "nonstop", "stopping", "st op", "s.t.o.p"]
)
def test_what_only_looks_like_a_word_is_none(text):
    assert said(text, "sv", "en") is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("avsluta", "sv"),
        ("ABMELDEN", "de"),
        ("désabonner", "fr"),
        ("DESABONNER", "fr"),
        ("Baja", "es"),
        ("uit", "nl"),
        ("afmeld", "da"),
        ("avslutt", "nb"),
        ("lopeta", "fi"),
        ("LÕPETA", "et"),
        ("lopeta", "et"),
        ("Zakończ", "pl"),
        ("zakoncz", "pl"),
        ("sair", "pt"),
        ("הסר", "he"),
        ("tigil", "fil"),
        ("basta", "it"),
    ],
)
def test_each_language_has_its_stop_words_with_or_without_accents_and_only_there(text, language):
    assert said(text, language) is Keyword.STOP
    assert said(text, "en") is None


def test_words_that_also_cancel_an_interview_do_not_stop_while_an_answer_is_awaited():
    assert said("cancel", "en") is Keyword.STOP
    assert said("cancel", "en", answer_awaited=True) is None
    assert said("cancel", "en", answer_awaited=True, plus_one=True) is Keyword.STOP
    assert said("END", plus_one=True) is Keyword.STOP
    assert said("END") is None
    assert said("STOP", answer_awaited=True) is Keyword.STOP


def test_start_words_start_and_yes_only_while_pending():
    for text in ("start", " START! ", "“Start”", "unstop"):
        assert said(text) is Keyword.START
    assert said("ja", "sv") is None
    assert said("Ja!", "sv", pending=True) is Keyword.START
    assert said("ja", "en", pending=True) is None


@pytest.mark.parametrize("text", ["ja?", "START?", "¿start", "Start？", "ja ?"])
def test_a_question_grants_nothing(text):
    assert said(text, "sv", pending=True) is None


def test_stop_wins_over_start_and_start_over_help():
    assert said("HELP") is Keyword.HELP
    assert said("help?") is Keyword.HELP
    assert said("info", "sv") is Keyword.HELP
    assert said("HJÄLP", "sv") is said("hjalp", "sv") is Keyword.HELP


def test_danish_ae_may_be_written_in_three_ways():
    assert {said(text, "da") for text in ("HJÆLP", "hjaelp", "hjalp")} == {Keyword.HELP}


def test_no_language_takes_stop_away():
    for name in WORDS.languages:
        assert said("STOP", name, answer_awaited=True) is Keyword.STOP
        assert "ei" not in WORDS.languages[name].stop


@given(st.text(max_size=60))
def test_folding_is_stable_and_never_fails(text):
    once = fold(text)
    assert fold(once) == once or len(once) > 0
    assert said(text, "sv") in (None, *Keyword)


def test_a_hostile_length_costs_no_time():
    began = time.perf_counter()
    for text in ("a" + "!" * 40_000 + "a", "!" * 40_000, "a " * 20_000, "\ufdfa" * 4_000):
        assert said(text, "sv") is None
    assert time.perf_counter() - began < 2
