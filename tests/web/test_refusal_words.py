"""A refusal speaks the reader's language on a page: every code that the gateway refuses with has words there."""

import ast
import re
from pathlib import Path

import pytest
from flask import Flask

from gateway.errors import Refused
from tests.web.pages_fixtures import app, store
from web.pages import refusals
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


def raised() -> dict[str, str]:
    """Every code written in the gateway's source → where."""
    found = {}
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused":
                code = node.args[0]
                for each in (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,):
                    if isinstance(each, ast.Constant):
                        found[str(each.value)] = f"{file.relative_to(ROOT)}:{node.lineno}"
    return found


def test_every_refusal_has_words_on_a_page() -> None:
    pages = "\n".join(file.read_text() for file in sorted((ROOT / "web/pages").rglob("*.py")))
    own = set(re.findall(r'"([a-z_]+)": (?:N_)?\(', pages))
    codes = raised()
    assert len(codes) > 200
    silent = {code: at for code, at in codes.items() if refusals.word_of(code) is None and code not in own | ELSEWHERE}
    assert not silent
    assert not [code for code in ELSEWHERE if code not in codes or code in REFUSALS], "no longer needed"


def test_no_words_are_kept_for_what_nobody_refuses() -> None:
    gateway = "\n".join(file.read_text() for file in sorted((ROOT / "gateway").rglob("*.py")))
    assert not [key for key in REFUSALS if any(f'"{name}"' not in gateway for name in key.split(":"))]


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
