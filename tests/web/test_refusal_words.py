"""A refusal speaks the reader's language on a page: every code that the gateway refuses with has words there."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from gateway.errors import Refused
from gateway.flows.pins import _WHY
from tests.web.pages_fixtures import app, store
from web.pages import refusals, reports
from web.pages.inbox import acts as conversation
from web.pages.organisation import credits as money
from web.pages.refusal_words import REFUSALS

__all__ = ["app", "store"]  # fixtures

ROOT = Path(__file__).resolve().parent.parent.parent
ELSEWHERE = {
    # said by programs to programs: the API, the command line, `ringpost apply`
    *("case_and_pool", "template_twice", "interview_type_not_supported", "slots_not_allowed", "starts_at_not_allowed"),
    *("response_url_not_https", "prechecked", "invalid_key", "invalid_secret", "has_messages", "not_fresh"),
    *("organisation_ambiguous", "not_an_organisation", "not_a_unit", "duplicate_iccid"),
    # on candidates' own pages, in the words of the job advertisement, and on the page of an export
    *("already_answered", "answer_missing", "link_unknown", "link_used", "nothing_ticked", "slot_required", "slot_taken"),
}


ON_ONE_PAGE = {**conversation.WRONG, **money.WORDS, **reports.WRONG}
"""Raised only behind these pages, which show nothing else."""
BY_NAME = {"not_on_hiring_team", "communications_tab_required"}
"""Codes that stand in an enumeration (gateway/rules/rights.py)."""


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the gateway's source, and where it stands."""
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def raised() -> dict[str, str]:
    """Every code written in the gateway's source → where."""
    found = {}
    for at, call in calls():
        if getattr(call.func, "id", "") == "Refused":
            code = call.args[0]
            for each in (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,):
                if isinstance(each, ast.Constant):
                    found[str(each.value)] = at
    return found


def reasons() -> set[str]:
    """Every `why` written there: as a key of a dictionary, or as an argument."""
    found = set(_WHY) | {"number", "url", "plain"}  # of PINs; and of the types of fields, given by position
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Dict):
                values = [value for key, value in zip(node.keys, node.values, strict=True) if _is(key, "why")]
            elif isinstance(node, ast.Call):
                values = [keyword.value for keyword in node.keywords if keyword.arg == "why"]
            else:
                continue
            for value in values:
                found |= {str(each.value) for each in ast.walk(value) if isinstance(each, ast.Constant)}
    return found


def _is(key: ast.expr | None, name: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == name


def test_every_refusal_has_words_on_every_page() -> None:
    codes = raised()
    assert len(codes) > 200
    silent = {code: at for code, at in codes.items() if refusals.word_of(code) is None}
    known = {key.partition(":")[0] for key in REFUSALS}  # some speak only with their reason
    assert not {code: at for code, at in silent.items() if code not in ELSEWHERE | ON_ONE_PAGE.keys() | known}
    assert not [code for code in ELSEWHERE if code not in codes or code in REFUSALS], "no longer needed"


def test_no_words_are_kept_for_what_nobody_refuses() -> None:
    codes, whys = raised().keys() | BY_NAME, reasons()
    keys = [key.partition(":") for key in REFUSALS]
    assert not [(code, why) for code, _, why in keys if code not in codes or (why and why not in whys)]


@pytest.mark.parametrize(
    ("refused", "words", "told"),
    [
        (Refused("invalid_pin", 422, "API"), {}, "A PIN has 4 to 8 digits."),
        (Refused("invalid_pin", 422, "API"), {"invalid_pin": "Ours."}, "Ours."),
        (Refused("pin_not_wanted", 409, "API", facts={"why": "waiting"}), {}, REFUSALS["pin_not_wanted:waiting"]),
        (Refused("ussd_refused", 422, "API", facts={"why": "not_a_code"}), {}, REFUSALS["ussd_refused"]),
        (Refused("too_long", 422, "API"), {"too_long": "%(segments)s parts."}, REFUSALS["too_long"]),
        (Refused("case_not_found", 404, "PUT /cases/{ref}"), {}, refusals.word_of("any_not_found")),
        (Refused("unknown_colour", 422, "API"), {}, refusals.word_of("unknown_thing")),
        (Refused("new_code", 409, "The flow's own sentence."), {}, "The flow's own sentence."),
    ],
)
def test_a_pages_own_words_come_first_then_those_of_all(refused: Refused, words: dict[str, str], told: str) -> None:
    assert refusals.told(refused, words) == told


def test_a_swedish_reader_is_told_in_swedish(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "sv"}):
        assert refusals.told(Refused("invalid_pin", 422, "A PIN has 4 to 8 digits.")) == "En PIN-kod har 4 till 8 siffror."
        line = Refused("template_invalid", 422, "API", facts={"why": "no_partner", "line": 3, "found": "}}"})
        assert refusals.told(line) == "Rad 3: }} saknar sin motpart."
