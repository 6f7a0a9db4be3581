"""Commissioning of a country for a channel: its states, what stands between them, when paper work should be done (S28–S30, S57).

Pure. Lead times are estimates, never locks; what locks is the test message, the checklist and whose hand it is.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import Refused

STATES = ("off", "requested", "documents", "testing", "active", "suspended")
FOLLOWS: Mapping[str, frozenset[str]] = {
    "off": frozenset({"requested"}),
    "requested": frozenset({"documents", "testing", "off"}),
    "documents": frozenset({"testing", "requested", "off"}),
    "testing": frozenset({"active", "documents", "off"}),
    "active": frozenset({"suspended", "off"}),
    "suspended": frozenset({"active", "testing", "off"}),
}
"""What may come after each state."""
AMBIGUOUS: Mapping[str, tuple[str, ...]] = {"FL": ("FI", "LI", "US-FL"), "UK": ("GB",)}
"""Codes that are none, and what people mean by them."""
POLICIES: Mapping[str, tuple[str, ...]] = {
    "international": ("allow", "deny"),
    "no_sender": ("refuse", "hold"),
    "sticky_down": ("hold", "switch"),
}
"""What an organisation may decide per country about senders, its factory setting first."""

CHECKLIST = {
    "law_read": "The rules shown here were read and, where in doubt, taken to counsel.",
    "sim_terms": "The contract of the SIM card allows this use; a copy is filed with its expiry.",
    "opt_in_texts": "Opt-in and identification texts exist in every language of the country.",
    "budgets": "The budgets of the SIM card fit its contract.",
}
WITH_CONSENT = {"operator_consent": "The operator has agreed in writing, or a registered upstream provider sends."}
"""Also asked where sending from SIM cards is off by default."""
DAY_MS = 86_400_000
REVIEW_AFTER_DAYS = 180
LEAD_TIME_DAYS = 49
"""For a country that the table does not know: the longer of the two."""

_TOP = (
    "com|net|org|io|info|biz|eu|app|me|co|jobs|careers|link|ly|gl|to"
    "|de|se|fi|dk|no|uk|ie|nl|be|fr|at|ch|li|pl|pt|es|it|ee|il|ph|au|us|ca|pr"
)
_LINK = re.compile(rf"(?:https?://|www\.)\S|(?<![\w@.-])(?:[a-z0-9-]+\.)+(?:{_TOP})(?![\w.-]*@)(?:/|\b(?!\.\w))", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Review:
    """When the rule of a country was last looked at."""

    checked_at: int | None
    due: bool


def checklist_of(sims: str | None) -> dict[str, str]:
    """What must be ticked before a country becomes active; `sims` as the table of countries says."""
    return {**CHECKLIST, **(WITH_CONSENT if sims == "off" else {})}


def missing_from(checklist: Collection[str], sims: str | None) -> list[str]:
    """What is not ticked yet."""
    return [item for item in checklist_of(sims) if item not in checklist]


def eta(requested_at: int | None, lead_time_days: int) -> int | None:
    """When the paper work should be done."""
    return None if requested_at is None else requested_at + lead_time_days * DAY_MS


def review(checked_at: int | None, now: int) -> Review:
    """Whether somebody should look at the rule again: older than 180 days, or never looked at."""
    return Review(checked_at, checked_at is None or now - checked_at > REVIEW_AFTER_DAYS * DAY_MS)


def has_link(text: str) -> bool:
    """Whether a text holds a web address: with its scheme, with www, or as a bare name under a common top-level domain."""
    return _LINK.search(text) is not None


def setup_gaps(
    *, organisation: Mapping[str, Any], senders: int, active: Collection[Mapping[str, Any]], texts: Collection[tuple[str, str]]
) -> list[dict[str, str]]:
    """What is missing before the first message may leave (S29): identity, sender, country, opt-in mode and its texts.

    `active` are country rows with `iso`, `opt_in` and `languages`; `texts` are (kind, language) written by the organisation.
    """
    gaps: list[dict[str, str]] = []

    def gap(what: str, detail: str, **facts: str) -> None:
        gaps.append({"what": what, "detail": detail, **facts})

    if not organisation["name"].strip() or not organisation["region"]:
        gap("identity", "The organisation needs a name and a region, since texts must say who writes.")
    if not senders:
        gap("sender", "There is no sender number: name the SIM card's number.")
    if not active:
        gap("country", "No country is active.")
    for row in active:
        kinds = {"double": "consent_optin", "single": "identification"}
        kind = kinds.get(row["opt_in"])
        if kind is None:
            gap("opt_in", f"{row['iso']} has no opt-in mode.", country=row["iso"])
            continue
        for language in row["languages"]:
            if (kind, language) not in texts:
                gap(
                    "text", f"{row['iso']} needs the text {kind} in {language}.", country=row["iso"], kind=kind, language=language
                )
    return gaps


def check_unambiguous(code: str) -> None:
    """Raises Refused `ambiguous_country` for FL and the like."""
    if code in AMBIGUOUS:
        candidates = list(AMBIGUOUS[code])
        text = f"{code} is no ISO 3166 country code; say which is meant: {', '.join(candidates)}."
        raise Refused("ambiguous_country", 422, text, field="iso", facts={"candidates": candidates})
