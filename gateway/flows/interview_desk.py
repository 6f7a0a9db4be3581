"""What flows about interviews need besides the store: links, the words of an answer, the box's own texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from gateway.flows.hours import country_table, links_are_forbidden
from gateway.rules.interview_texts import Phrases, merge_values
from gateway.rules.interviews import AnswerWords, zone_of
from gateway.rules.links import Links
from gateway.rules.zones import zones_of
from gateway.store.database import View


@dataclass(frozen=True, slots=True)
class InterviewDesk:
    """Made once per process (gateway/desk.py)."""

    links: Links
    words: AnswerWords
    phrases: Phrases


def link_of(desk: InterviewDesk, interview: Mapping[str, Any], language: str, *, digits_only: bool) -> str:
    """What `{{interview_link}}` stands for; without links, the digits to reply. Raises Refused `candidate_pages_off`."""
    if digits_only:
        return desk.phrases.text("digits", language)
    if interview["response_url"] is not None:
        return str(interview["response_url"])
    return desk.links.url("i", desk.links.token(interview["id"], interview["link_serial"]))


def zone_for(candidate: Mapping[str, Any], interview_zone: str) -> ZoneInfo:
    """The zone a candidate lives in, where it is known; else the interview's own."""
    if candidate["zone"]:
        return zone_of(candidate["zone"])
    iso = candidate["country"] or ""
    found = zones_of(candidate["phone"], iso, candidate["subdivision"], country_table().get(iso, {}).get("zones", ()))
    return zone_of(found[0] if len(found) == 1 else interview_zone)


def merge_for(
    view: View,
    desk: InterviewDesk,
    interview: Mapping[str, Any],
    language: str,
    listed: Sequence[tuple[int, int]],
    candidate: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], str]:
    """The values of an interview's merge fields, and the list of slots to add where the text does not hold it itself.

    The interview's own time is told in its zone, slots in the candidate's. No candidate: accept is about to refuse.
    """
    zone = zone_of(interview["zone"])
    digits_only = candidate is not None and links_are_forbidden(view, candidate["country"], interview["channel"])
    values: dict[str, Any] = {"location": interview["location"]}
    if interview["starts_at"] is not None:
        values = merge_values(interview["starts_at"], zone, interview["location"], language)
    below = ""
    if listed:
        zone = zone if candidate is None else zone_for(candidate, interview["zone"])
        values["slots"] = desk.phrases.numbered(listed, zone, language)
        below = "\n" + desk.phrases.text("list_head", language) + "\n" + values["slots"]
    return {"interview_link": link_of(desk, interview, language, digits_only=digits_only), "interview": values}, below
