"""The texts that the box sends by itself: what is shipped, in which language, and how the fields are filled in.

Pure but for the shipped table, which is read once. The language is the job advertisement's, never the number's (S41).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import config

KINDS = (
    "identification",
    "consent_optin",
    "consent_reminder",
    "stop_confirmation",
    "help",
    "start_confirm",
    "how_to_apply",
)
"""Texts that an organisation may write for itself."""
FIELDS: dict[str, frozenset[str]] = {
    kind: frozenset({"company", "user.name", "purpose"})
    if kind in ("identification", "consent_optin", "consent_reminder")
    else frozenset({"company", "contact"})
    for kind in KINDS
}
"""What may stand in each; the first three need all but what the reminder leaves out."""
NEEDED: dict[str, frozenset[str]] = {"identification": frozenset({"company", "user.name", "purpose"})}
_FIELD = re.compile(r"\{\{\s*([a-z_.]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Wording:
    """A text as chosen: `language` is the one found, `wanted` the one asked for where that had none (S41)."""

    kind: str
    body: str
    language: str
    version: str
    wanted: str | None = None


@cache
def shipped() -> Mapping[str, Any]:
    """config/texts.toml, without its version."""
    table = config.table("texts.toml")
    return {name: row for name, row in table.items() if isinstance(row, dict)}


@cache
def shipped_version() -> str:
    """The version of the shipped texts, kept as evidence."""
    return str(config.table("texts.toml")["version"])


def languages_tried(*wanted: str | None) -> tuple[str, ...]:
    """Each language, then its base (`de-AT` → `de`), and English last; once each."""
    tried: list[str] = []
    for language in (*wanted, "en"):
        for name in (language or "", (language or "").split("-")[0].lower()):
            if name and name not in tried:
                tried.append(name)
    return tuple(tried)


def shipped_text(kind: str, language: str) -> str | None:
    """The shipped text in exactly this language."""
    row = shipped().get(language)
    found = None if row is None else row.get(kind)
    return found if isinstance(found, str) else None


def page_texts(section: str, languages: Iterable[str]) -> tuple[str, Mapping[str, str]]:
    """The texts of a consent page ("page") or mail ("mail") and their language: the first that has them."""
    for language in languages:
        found = shipped().get(language, {}).get(section)
        if found is not None:
            return language, found
    return "en", shipped()["en"][section]


def choose(kind: str, own: Mapping[str, tuple[str, str]], languages: tuple[str, ...]) -> Wording:
    """The text of a kind in the first language that has one, an organisation's own before the shipped.

    `own` maps language to body and version. A language counts as missing only where its base has no text either.
    """
    for language in languages:
        found = own.get(language)
        body = found[0] if found is not None else shipped_text(kind, language)
        if body is not None:
            version = found[1] if found is not None else shipped_version()
            asked = languages[0]
            is_same = language.split("-")[0].lower() == asked.split("-")[0].lower()
            return Wording(kind, body, language, version, None if is_same else asked)
    raise KeyError(kind)


def default_wording(kind: str, language: str) -> str:
    """The shipped text of a kind, in the language, its base language or English. Raises KeyError for an unknown kind."""
    return choose(kind, {}, languages_tried(language)).body


def fill(body: str, values: Mapping[str, str]) -> str:
    """The text with its fields filled in; a value is text and nothing else, whatever stands in it."""
    return _FIELD.sub(lambda found: values.get(found[1], ""), body)


def fields_of(body: str) -> frozenset[str]:
    """The fields that a text names."""
    return frozenset(_FIELD.findall(body))
