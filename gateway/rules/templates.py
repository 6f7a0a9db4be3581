"""What a template may hold, and what the linter says about it (S7, S11–S14).

Pure. Fields are declared: the ones that the box fills itself (`OURS`), and those that a template declares with type and sample,
whose values come with each message. An unknown field is refused at save; a missing or wrong value at send.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from gateway.errors import Refused
from gateway.rules.kinds import plain, required_fields
from gateway.rules.merge_fields import Compiled, compile_template
from modem import gsm7
from modem.segments import Alphabet, Analysis, analyse

TYPES: Final = ("text", "number", "date", "time", "url")
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39}){0,2}")
LABELS: Final = {"sms": "SMS", "whatsapp": "WhatsApp", "email": "Email"}
MOST_FIELDS: Final = 40
MOST_BODY: Final = 4_000
_OPT_OUT: Final = re.compile(r"\b(stopp?|arret|alto|baja|parar|unsubscribe|opt ?out)\b")


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field: what it holds, an ordinary value, and the longest value to reckon with."""

    name: str
    type: str
    sample: str
    longest: str = ""

    @property
    def worst(self) -> str:
        """The value for the longest case."""
        return self.longest or self.sample


OURS: Final = (
    Field("candidate.first_name", "text", "Kim", "Maximiliane-Sophie"),
    Field("candidate.last_name", "text", "Berg", "Oxenstierna-Wachtmeister"),
    Field("user.name", "text", "Eva Lind", "Alexandra Johansson-Lindqvist"),
    Field("company", "text", "Acme AB"),
    Field("case.title", "text", "Welder", "Senior maintenance technician, night shift"),
    Field("case.ref", "text", "job-7"),
    Field("purpose", "text", "your application for Welder", "your application for Senior maintenance technician, night shift"),
    Field("interview_link", "url", "https://jobs.acme.example/i/3q2-7wX0v1c5T8mZkQ4u9A"),
    Field("interview.date", "date", "12 June", "Wednesday 23 September 2026"),
    Field("interview.time", "time", "14:30"),
    Field("interview.starts_at", "text", "12 June 14:30", "Wednesday 23 September 2026, 14:30"),
    Field("interview.location", "text", "Storgatan 1", "Drottning Kristinas Esplanad 33, building B, 4th floor"),
    Field("interview.slots", "text", "1: 12 June 14:30", "1: 12 June 14:30, 2: 13 June 09:00, 3: 14 June 10:00"),
)
"""Fields that the box fills by itself, from its records or from the interview."""


def fields_from(declared: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    """A template's own fields, `{name, type, sample}`. Raises Refused `invalid_field`."""
    found: dict[str, Field] = {}
    for row in declared:
        name, kind, sample = str(row["name"]), str(row.get("type", "text")), str(row.get("sample", ""))
        if not NAME.fullmatch(name):
            raise _invalid_field("A field is named like note or office.floor, in small letters.", why="name")
        if name in found or any(name == ours.name for ours in OURS):
            raise _invalid_field(f"The field {name} is declared already.", why="twice", name=name)
        if kind not in TYPES:
            raise _invalid_field(f"The type of {name} must be one of {', '.join(TYPES)}.")
        if not sample.strip() or len(sample) > 200:
            raise _invalid_field(f"The field {name} needs a sample of at most 200 characters.", why="sample", name=name)
        found[name] = Field(name, kind, sample)
        check_value(found[name], sample, "fields")
    if len(found) > MOST_FIELDS:
        raise _invalid_field(f"A template declares at most {MOST_FIELDS} fields.", why="many", most=MOST_FIELDS)
    return tuple(found.values())


def _invalid_field(text: str, **facts: Any) -> Refused:
    return Refused("invalid_field", 422, text, field="fields", facts=facts)


def check_value(field: Field, value: Any, where: str = "") -> None:
    """Raises Refused `merge_value_invalid` for a value that does not suit the field's type."""
    place = where or f"data.{field.name}"
    if isinstance(value, (Mapping, list, tuple, bool)):
        raise _invalid_value(field, "plain", "must be text or a number", place)
    text = str(value)
    if field.type == "url" and not re.fullmatch(r"https://[^\s/]+\S*", text):
        raise _invalid_value(field, "url", "must be an https address", place)
    if field.type == "number" and not re.fullmatch(r"[+-]?\d[\d  .,]*", text):
        raise _invalid_value(field, "number", "must be a number", place)


def _invalid_value(field: Field, why: str, what: str, place: str) -> Refused:
    text = f"The value for {{{{{field.name}}}}} {what}."
    return Refused("merge_value_invalid", 422, text, field=place, facts={"why": why, "name": field.name})


def check_data(used: Iterable[str], declared: Sequence[Field], data: Mapping[str, Any]) -> None:
    """Raises Refused for a value in `data` that does not suit its field; values that are missing are the renderer's matter."""
    known = {field.name: field for field in (*OURS, *declared)}
    for name in used:
        value: Any = data
        for step in name.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None:
            check_value(known.get(name) or Field(name, "text", ""), value)


def check_body(body: str, kind: str, declared: Sequence[Field]) -> Compiled:
    """The checked template. Raises Refused `template_invalid`, `unknown_merge_field` or `missing_merge_field`."""
    if not body.strip() or len(body) > MOST_BODY:
        facts = {"why": "length", "most": MOST_BODY}
        raise Refused("template_invalid", 422, f"A template has 1 to {MOST_BODY} characters.", field="body", facts=facts)
    compiled = compile_template(body)
    known = [field.name for field in (*OURS, *declared)]
    for name in compiled.fields:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {{{{{near[0]}}}}}?" if near else " Declare it in fields, with type and sample."
            raise Refused(
                "unknown_merge_field",
                422,
                f"The field {{{{{name}}}}} is not known.{hint}",
                field="body",
                facts={
                    "merge_field": name,
                    "position": _place(body, name),
                    **({"why": "misspelt", "near": near[0]} if near else {"why": "undeclared"}),
                },
            )
    for name in required_fields(kind):
        if name not in compiled.fields:
            raise Refused(
                "missing_merge_field",
                422,
                f"A template of kind {kind} needs {{{{{name}}}}}.",
                field="body",
                facts={"merge_field": name},
            )
    return compiled


def _place(body: str, name: str) -> int:
    found = re.search(r"\{\{\s*" + re.escape(name) + r"\b", body)
    return 0 if found is None else found.start()


def label(name: str, channel: str) -> str:
    """The canonical label that tells templates of one name apart (S13): `Interview Invitation (SMS)`."""
    suffix = f"({LABELS.get(channel, channel)})"
    return name if name.casefold().endswith(suffix.casefold()) else f"{name} {suffix}"


def languages_for(case_language: str | None, organisation_language: str) -> tuple[tuple[str, str], ...]:
    """Which languages to look for, best first, and why (S41): the job ad's, its base, the organisation's, English."""
    wanted: dict[str, str] = {}
    if case_language:
        wanted[case_language] = "job_ad"
        wanted.setdefault(case_language.split("-")[0], "base")
    wanted.setdefault(organisation_language, "organisation")
    wanted.setdefault(organisation_language.split("-")[0], "organisation")
    wanted.setdefault("en", "english")
    return tuple(wanted.items())


# --- the linter ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark: a code, plain words, and where in the body it is."""

    code: str
    detail: str
    position: int | None = None
    character: str | None = None
    replacement: str | None = None


@dataclass(frozen=True, slots=True)
class Lint:
    """What the linter says: the text with samples, with the longest values, with none, and what to look at."""

    sample: str
    ordinary: Analysis
    longest: Analysis
    shortest_parts: int
    findings: tuple[Finding, ...]


def lint(compiled: Compiled, body: str, channel: str, most: int, fields: Sequence[Field], company: str) -> Lint:
    """Estimate and remarks. Raises Refused `too_long` where even empty values need more than `most` parts."""
    sample = compiled.render(tree_of({field.name: field.sample for field in fields}))
    longest = analyse(compiled.render(tree_of({field.name: field.worst for field in fields})))
    shortest = analyse(compiled.render(tree_of({field.name: "" for field in fields})) or " ")
    findings: list[Finding] = []
    if channel != "email":
        if shortest.parts > most:
            raise Refused(
                "too_long",
                422,
                f"The text needs {shortest.parts} parts before any field is filled; this template may have {most}.",
                field="body",
                facts={"segments": shortest.parts, "max": most},
            )
        if longest.parts > most:
            text = f"With the longest values it needs {longest.parts} parts and would be refused; {most} are allowed."
            findings.append(Finding("may_be_too_long", text))
        if channel == "sms":
            findings += _alphabet(body, compiled, fields)
    findings += _manners(body, compiled, channel, company)
    return Lint(sample, analyse(sample), longest, shortest.parts, tuple(findings))


def tree_of(values: Mapping[str, str]) -> dict[str, Any]:
    """`{"candidate.first_name": "Kim"}` → `{"candidate": {"first_name": "Kim"}}`, as a template is rendered with."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *steps, last = name.split(".")
        place = found
        for step in steps:
            inner = place.setdefault(step, {})
            place = inner if isinstance(inner, dict) else place
        place[last] = value
    return found


def _alphabet(body: str, compiled: Compiled, fields: Sequence[Field]) -> list[Finding]:
    """The very characters that double the cost: those outside GSM-7, and those that take two of its places."""
    text = re.sub(r"\{\{.*?\}\}", lambda found: "\0" * len(found.group()), body)
    findings = []
    forcing = list(analyse(text.replace("\0", "-")).forcing)
    for each in forcing[:20]:
        text_of = (
            f"{each.character} (U+{ord(each.character):04X}) makes the whole text UCS-2: 70 characters in a part instead of 160."
        )
        if each.replacement is not None:
            text_of += f' "{each.replacement}" would not.'
        findings.append(Finding("forces_ucs2", text_of, each.position, each.character, each.replacement))
    if not forcing:
        doubles = gsm7.doubles()
        for position, character in [(at, one) for at, one in enumerate(text) if one in doubles][:20]:
            findings.append(Finding("counts_twice", f"{character} takes the place of two characters.", position, character))
        for field in fields:
            if field.name in compiled.fields and analyse(field.worst).alphabet is Alphabet.UCS2:
                first = analyse(field.worst).forcing[0]  # the character alone: a value may be somebody's name
                told = f"A value of {{{{{field.name}}}}} holds {first.character}: that message becomes UCS-2 and may cost twice."
                findings.append(Finding("value_forces_ucs2", told, None, first.character, first.replacement))
    return findings


def _manners(body: str, compiled: Compiled, channel: str, company: str) -> list[Finding]:
    findings: list[Finding] = []
    if channel == "email":
        return findings
    if "company" not in compiled.fields and plain(company) not in plain(body):
        findings.append(Finding("identity_missing", "Nothing says who writes: a SIM shows a number only. Add {{company}}."))
    if not _OPT_OUT.search(plain(body)):
        findings.append(Finding("opt_out_missing", "Nothing says how to stop these messages, such as: Reply STOP to opt out."))
    return findings
