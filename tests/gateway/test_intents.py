"""What a reply seems to say: only from the packs, the gravest first, and never a guess."""

import copy

import pytest

import config
from gateway.rules.intents import INTENTS, Intent, packs_from, read

TABLE = config.table("intents.toml")
PACKS = packs_from(TABLE)


@pytest.mark.parametrize(
    ("text", "language", "name", "confidence"),
    [
        ("Yes", "en", "yes", "exact"),
        ("  “JA!” ", "sv", "yes", "exact"),
        ("d’accord", "fr", "yes", "exact"),
        ("That works for me, thanks", "en", "yes", "phrase"),
        ("no thanks", "en", "no", "exact"),
        ("Leider kann ich nicht, ich muss absagen", "de", "no", "phrase"),
        ("Przepraszam, spóźnię się 10 min", "pl", "running_late", "phrase"),
        ("אני מאחר בכמה דקות", "he", "running_late", "phrase"),
        ("Voisiko toinen aika sopia?", "fi", "reschedule", "phrase"),
        ("No, wrong number", "en", "wrong_person", "phrase"),
        ("please stop texting me", "en", "stop_like", "phrase"),
        ("Yes I can't come, another day please", "en", "reschedule", "phrase"),
        ("ja, men lämna mig ifred", "sv", "stop_like", "phrase"),
    ],
)
def test_an_intent_is_read_with_how_it_was_read(text, language, name, confidence):
    assert read(text, PACKS, (language,)) == Intent(name, confidence)


@pytest.mark.parametrize(
    "text", ["Yes?", "ok?", "not sure that works for me", "Can you stop by at 3?", "yesterday", "nobody", "", "🙂", "x" * 5000]
)
def test_what_is_in_no_pack_is_nothing(text):
    assert read(text, PACKS, ("en",)) is None


def test_a_language_that_is_not_spoken_in_the_thread_is_not_read():
    assert read("japp", PACKS, ("en",)) is None
    assert read("japp", PACKS, ("en", "sv")) == Intent("yes", "exact")
    assert read("japp", PACKS, ("xx",)) is None


def test_every_language_has_every_intent_with_source_and_date():
    assert set(PACKS) == set(config.table("keywords.toml")["language"])
    for name, row in TABLE["language"].items():
        assert row["source"], name
        assert row["checked"], name
        assert isinstance(row["reviewed"], bool), name
        for intent in INTENTS:
            assert all(PACKS[name].exact[intent]), (name, intent)
            assert all(PACKS[name].phrases[intent]), (name, intent)
            for phrase in PACKS[name].phrases[intent]:
                found = read(phrase, PACKS, (name,))
                assert found is not None, (name, phrase)


@pytest.mark.parametrize(("broken", "told"), [("yes", "lacks yes"), ("source", "lacks source")])
def test_a_pack_with_a_gap_is_refused_by_name(broken, told):
    table = copy.deepcopy(TABLE)
    del table["language"]["fi"][broken]
    with pytest.raises(ValueError, match=rf"language\.fi\] {told}"):
        packs_from(table)
