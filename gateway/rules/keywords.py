"""Keywords: STOP, START and HELP in the languages of the box, as whole messages (requirements §3.3).

Pure; the words come from config/keywords.toml. The comparison folds case, accents, width and what people put around a word.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

_QUESTION = re.compile("[?\uff1f\u00bf\u061f]")
_BLANKS = re.compile(r"\s+")
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad\u202a-\u202e\u2066-\u2069\ufe00-\ufe0f]")
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "đ": "d", "ı": "i"})


class Keyword(StrEnum):
    """What a candidate's word asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


class Fuzzy(StrEnum):
    """What a message that is no keyword seems to ask for (requirements §3.3)."""

    OPT_OUT = "opt_out"
    PAUSE = "pause"


_WORD = re.compile(r"\w+(?:['’]\w+)*")
_LONGEST_LOOK = 4_000
"""Hostile texts are long; a plea stands near the beginning."""


def fold(text: str) -> str:
    """The form in which words are compared: NFKC, no zero-width signs, nothing but the words at the ends, no case, no accents."""
    text = _core(_ZERO_WIDTH.sub("", unicodedata.normalize("NFKC", text)))
    text = _BLANKS.sub(" ", text).casefold()
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain.translate(_LETTERS)


def _core(text: str) -> str:
    """From the first letter or digit to the last with its accents. No regular expression: hostile texts are long."""
    start, end = 0, len(text)
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not (text[end - 1].isalnum() or unicodedata.combining(text[end - 1])):
        end -= 1
    return text[start:end]


def _spellings(word: str) -> set[str]:
    """How a word may arrive: Æ is written AE, or A on a keyboard without it."""
    return {fold(word), fold(word.replace("Æ", "A").replace("æ", "a"))}


@dataclass(frozen=True, slots=True)
class Words:
    """One language's words, folded."""

    stop: frozenset[str]
    start: frozenset[str]
    help: frozenset[str]
    pending: frozenset[str]
    """Words such as JA that grant only while a double opt-in is pending."""
    ambiguous: frozenset[str]
    """STOP words that also mean cancelling an interview: no STOP while an answer is awaited, except for +1."""


@dataclass(frozen=True, slots=True)
class Keywords:
    """All words: the global ones, which nobody removes, and those of each language."""

    everywhere: Words
    plus_one: Words
    """Looked at as well for numbers of +1, whatever is awaited."""
    languages: Mapping[str, Words]
    inside: frozenset[str] = frozenset()
    """For +1: words and phrases that opt out from anywhere in a longer message."""
    phrases: frozenset[str] = frozenset()
    """Elsewhere: phrases that pause the thread until a colleague has looked."""

    def with_additions(self, additions: Iterable[tuple[str, str, str]]) -> "Keywords":
        """These words and an administrator's own: (language or "*", kind, word). Nothing is ever taken away."""
        found = list(additions)
        if not found:
            return self
        everywhere, languages, phrases = self.everywhere, dict(self.languages), set(self.phrases)
        for language, kind, word in found:
            if kind == "stop_phrase":
                phrases.add(fold(word))
            elif language == "*":
                everywhere = _with_word(everywhere, kind, word)
            else:
                languages[language] = _with_word(languages.get(language, _NO_WORDS), kind, word)
        return Keywords(everywhere, self.plus_one, languages, self.inside, frozenset(phrases))

    def fuzzy(self, text: str, *, plus_one: bool) -> Fuzzy | None:
        """What a longer message seems to ask for: an opt-out at once (+1), a pause elsewhere, or nothing."""
        words = f" {' '.join(_WORD.findall(fold(text[:_LONGEST_LOOK])))} "
        if plus_one and any(f" {phrase} " in words for phrase in (*self.inside, *self.phrases)):
            return Fuzzy.OPT_OUT
        return Fuzzy.PAUSE if any(f" {phrase} " in words for phrase in self.phrases) else None

    def match(
        self,
        text: str,
        languages: Iterable[str],
        *,
        pending: bool,
        answer_awaited: bool = False,
        plus_one: bool = False,
    ) -> Keyword | None:
        """What the whole message says, or None; STOP before START before HELP. "Ja?" asks and grants nothing (S44).

        `languages` are the thread's and the official ones of the number's country; the global set is always looked at.
        """
        word = fold(text)
        if not word:
            return None
        sets = [
            self.everywhere,
            *([self.plus_one] if plus_one else []),
            *(self.languages[name] for name in languages if name in self.languages),
        ]
        for words in sets:
            if word in words.stop and (plus_one or not answer_awaited or word not in words.ambiguous):
                return Keyword.STOP
        if _QUESTION.search(text):
            return Keyword.HELP if any(word in words.help for words in sets) else None
        for words in sets:
            if word in words.start or (pending and word in words.pending):
                return Keyword.START
        return Keyword.HELP if any(word in words.help for words in sets) else None


_NO_WORDS = Words(frozenset(), frozenset(), frozenset(), frozenset(), frozenset())


def _with_word(words: Words, kind: str, word: str) -> Words:
    more = _spellings(word)
    return replace(words, **{kind: getattr(words, kind) | more})


def words_from(table: Mapping[str, Any]) -> Words:
    """One language's table of config/keywords.toml: lists `stop`, `start`, `help`, `pending_start`, `ambiguous_stop`."""

    def folded(name: str) -> frozenset[str]:
        return frozenset(spelling for word in table.get(name, ()) for spelling in _spellings(word))

    ambiguous = folded("ambiguous_stop")
    return Words(folded("stop") | ambiguous, folded("start"), folded("help"), folded("pending_start"), ambiguous)
