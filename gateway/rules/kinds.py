"""Kinds of messages: which may go by which channel, what their templates must hold, and what a rejection sounds like (S9, S11).

Pure; requirements and phrases come from config/kinds.toml, an organisation's own phrases from the store. A rejection is locked
off for SMS and WhatsApp whatever any setting says; every other cell of the matrix is the organisation's to set.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import config
from gateway.errors import Refused
from gateway.rules.consent import LOCKED_OFF, PURPOSE_OF_KIND

CHANNELS: Final = ("sms", "whatsapp", "email")
COMPANIONS: Final = frozenset({"identification", "consent_optin", "consent_reminder"})
"""The box writes them itself, no user sends them."""
KINDS: Final = tuple(kind for kind in PURPOSE_OF_KIND if kind not in COMPANIONS)
"""What a user may send."""
_LETTERS: Final = str.maketrans({"ł": "l", "ø": "o", "æ": "ae", "đ": "d", "ı": "i", "ß": "ss"})
_NO_WORD: Final = re.compile(r"[^\w]+|_+")


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix."""

    kind: str
    channel: str
    allowed: bool
    locked: bool


def is_locked(kind: str, channel: str) -> bool:
    """Whether this kind never goes by this channel."""
    return kind in LOCKED_OFF.get(channel, frozenset())


def matrix(rules: Iterable[Mapping[str, Any]]) -> list[Cell]:
    """The whole matrix, by the organisation's rules and the locks."""
    said = {(rule["kind"], rule["channel"]): bool(rule["allowed"]) for rule in rules}
    return [
        Cell(kind, channel, not is_locked(kind, channel) and said.get((kind, channel), True), is_locked(kind, channel))
        for kind in KINDS
        for channel in CHANNELS
    ]


def check_cell(kind: str, channel: str, allowed: bool) -> None:
    """Raises Refused for an unknown cell, and for opening a locked one."""
    if kind not in KINDS:
        raise Refused("unknown_kind", 422, f"Kind must be one of {', '.join(KINDS)}.", field="kind")
    if channel not in CHANNELS:
        raise Refused("unknown_channel", 422, f"Channel must be one of {', '.join(CHANNELS)}.", field="channel")
    if allowed and is_locked(kind, channel):
        raise not_allowed(kind, channel)


def not_allowed(kind: str, channel: str) -> Refused:
    """The refusal of a kind that a channel does not carry."""
    return Refused(
        "kind_not_allowed_on_channel",
        422,
        f"Messages of kind {kind} do not go by {channel} here.",
        field="kind",
        facts={"kind": kind, "channel": channel},
    )


def required_fields(kind: str) -> tuple[str, ...]:
    """The merge fields without which a template of this kind is useless."""
    return _requires().get(kind, ())


@lru_cache(maxsize=1)
def _requires() -> dict[str, tuple[str, ...]]:
    found: Mapping[str, list[str]] = config.table("kinds.toml")["requires"]
    return {kind: tuple(fields) for kind, fields in found.items()}


@lru_cache(maxsize=1)
def factory_phrases() -> dict[str, tuple[str, ...]]:
    """The shipped phrases of a rejection, by language."""
    found: Mapping[str, Mapping[str, Any]] = config.table("kinds.toml")["rejection"]
    return {language: tuple(row["phrases"]) for language, row in found.items()}


def plain(text: str) -> str:
    """Words alone: no case, no accents, no punctuation, one blank between them."""
    text = unicodedata.normalize("NFKD", text).casefold()
    text = "".join(character for character in text if not unicodedata.combining(character)).translate(_LETTERS)
    return _NO_WORD.sub(" ", text).strip()


def looks_like_rejection(text: str, own: Mapping[str, tuple[str, ...]] | None = None) -> str | None:
    """The phrase of a rejection that the text holds, or None. `own` replaces the shipped phrases of its languages.

    Every language is looked at: what a recruiter writes is not always in the language of the job ad.
    """
    pattern, phrases = _pattern(tuple(sorted((own or {}).items())))
    if pattern is None:
        return None
    found = pattern.search(f" {plain(text)} ")
    return None if found is None else phrases[found.group(1)]


@lru_cache(maxsize=64)
def _pattern(own: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    lists = {**factory_phrases(), **dict(own)}
    phrases = {plain(phrase): phrase for each in lists.values() for phrase in each if plain(phrase)}
    if not phrases:
        return None, {}
    words = sorted(phrases, key=len, reverse=True)
    return re.compile(f" ({'|'.join(map(re.escape, words))}) "), phrases
