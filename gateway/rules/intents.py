"""What a reply seems to say: yes, no, another time, running late, wrong person, leave me alone. From phrase packs, no guessing.

Pure; the packs come from config/intents.toml. An intent is a hint for people and a fact in an event; it moves nothing by itself:
keywords (rules/keywords.py) and answers to an interview are decided elsewhere.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.rules.keywords import fold

INTENTS: Final = ("stop_like", "wrong_person", "reschedule", "running_late", "no", "yes")
"""The gravest first: where several fit, the first counts."""
_PLAIN_ANSWERS: Final = ("no", "yes")
_QUESTIONS: Final = "?؟？"
_BETWEEN = re.compile(r"[\W_]+")
_MOST: Final = 1_000
"""Nobody hides an intent behind so many characters; longer texts are for people."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What was read, and how: `exact` (the whole message) or `phrase` (words inside it)."""

    name: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Pack:
    """One language: whole messages and phrases per intent, made comparable by `plain`; `unless` takes a phrase's yes away."""

    exact: Mapping[str, frozenset[str]]
    phrases: Mapping[str, tuple[str, ...]]
    unless: tuple[str, ...]


def plain(text: str) -> str:
    """The words alone: folded like a keyword, with one blank wherever something else stood."""
    return _BETWEEN.sub(" ", fold(text)).strip()


def read(text: str, packs: Mapping[str, Pack], languages: Iterable[str]) -> Intent | None:
    """The intent of a reply in these languages, or None where it says nothing of the kind."""
    if len(text) > _MOST:
        return None
    words = plain(text)
    if not words:
        return None
    chosen = [packs[name] for name in dict.fromkeys(languages) if name in packs]
    is_question = any(sign in text for sign in _QUESTIONS)
    for intent in INTENTS:
        if is_question and intent in _PLAIN_ANSWERS:
            continue
        if any(words in pack.exact[intent] for pack in chosen):
            return Intent(intent, "exact")
    padded = f" {words} "
    for intent in INTENTS:
        if intent in _PLAIN_ANSWERS and is_question:
            continue
        for pack in chosen:
            if intent == "yes" and any(f" {word} " in padded for word in pack.unless):
                continue
            if any(f" {phrase} " in padded for phrase in pack.phrases[intent]):
                return Intent(intent, "phrase")
    return None


def packs_from(table: Mapping[str, Any]) -> dict[str, Pack]:
    """The languages of config/intents.toml. Raises ValueError naming the language and what is wrong with its row."""
    return {name: _pack(name, row) for name, row in table["language"].items()}


def _pack(language: str, row: Mapping[str, Any]) -> Pack:
    for needed in (*INTENTS, "unless", "source", "checked", "reviewed"):
        if needed not in row:
            raise ValueError(f"intents.toml: [language.{language}] lacks {needed}")
    unknown = set(row) - {*INTENTS, "unless", "source", "checked", "reviewed"}
    if unknown:
        raise ValueError(f"intents.toml: [language.{language}] has {sorted(unknown)[0]}, which is no intent")
    return Pack(
        exact={intent: frozenset(plain(entry) for entry in row[intent]["exact"]) for intent in INTENTS},
        phrases={intent: tuple(plain(entry) for entry in row[intent]["phrase"]) for intent in INTENTS},
        unless=tuple(plain(entry) for entry in row["unless"]),
    )
