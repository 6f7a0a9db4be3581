"""Looking at a template with data before anything is sent: the text, its parts, its price, and the same in plainer letters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.flows.facts import country_of, find_candidate, find_case, organisation
from gateway.flows.rights import Acting
from gateway.flows.templates import check_values, declared_fields, filled
from gateway.rules.merge_fields import compile_template
from gateway.store.database import Row, View
from modem.segments import Analysis, analyse, transliterate


@dataclass(frozen=True, slots=True)
class Looked:
    """What a template gives."""

    text: str
    size: Analysis
    credits: int
    plainer: str | None
    plainer_size: Analysis | None
    plainer_credits: int | None

    @property
    def plainer_saves(self) -> bool:
        """Whether plainer letters cost less."""
        return self.plainer_credits is not None and self.plainer_credits < self.credits


def look(
    view: View,
    by: Acting,
    template: Row,
    data: Mapping[str, Any] | None,
    candidate_ref: str | None,
    case_ref: str | None,
    *,
    transliterated: bool,
) -> Looked:
    """Fill a template with data, with a candidate's and a case's own values where they are named, else with samples.

    Raises Refused: unknown references, `merge_value_missing`, `merge_value_invalid`.
    """
    organisation_id = by.organisation_id
    org = organisation(view, organisation_id)
    known: dict[str, Any] = {"company": org["name"]}
    price = 1
    if by.user is not None:
        known["user"] = {"name": by.user["name"]}
    if candidate_ref is not None:
        candidate = find_candidate(view, organisation_id, candidate_ref)
        known["candidate"] = {"first_name": candidate["first_name"], "last_name": candidate["last_name"]}
        country = country_of(view, candidate["country"], template["channel"])
        price = 1 if country is None else int(country["price"])
    if case_ref is not None:
        case = find_case(view, organisation_id, case_ref)
        known["case"] = {"title": case["title"], "ref": case["ref"]}
        known["purpose"] = case["title"]
    check_values(template, data)
    values = {**(data or {}), **known}
    if data is None:
        values = _beneath(filled(declared_fields(template)), values)
    text = compile_template(template["body"]).render(values)
    plain = transliterate(text)
    if transliterated:
        text = plain
    size, plainer = analyse(text), plain if plain != text else None
    other = None if plainer is None else analyse(plainer)
    return Looked(text, size, price * size.parts, plainer, other, None if other is None else price * other.parts)


def _beneath(samples: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Samples where nothing better is known."""
    merged = dict(samples)
    for name, value in values.items():
        before = merged.get(name)
        merged[name] = _beneath(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged
