"""The pages speak English and Swedish, whole: every string is marked, every marked string is translated."""

import importlib.util
import re
from pathlib import Path

import pytest
from flask import Flask
from jinja2 import Environment

from tests.web.pages_fixtures import Person, anonymous, app, people, store
from web.pages import language

__all__ = ["anonymous", "app", "people", "store"]  # fixtures

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = sorted((ROOT / "web/templates").rglob("*.html"))
OTHERS = {"docs", "candidate"}
"""The API's page is English; candidates' pages are in the words of the job ad (gateway/rules/wordings.py)."""
SAID_AS_IT_IS = {
    "Ringpost",
    "SMS",
    "WhatsApp",
    "CSV",
    "API",
    "PIN",
    "PUK",
    "IMEI",
    "ICCID",
    "JSON",
    "TOTP",
    "dBm",
    "USSD",
    "AT",
    "START",
    "STOP",
}
TEXT_ATTRIBUTE = re.compile(r'\b(?:aria-label|title|placeholder|alt)="([^"§]*[A-Za-z]{2}[^"]*)"')


AN_EXAMPLE = re.compile(r"^\S{1,3}$|[._:/]")
"""What somebody may type, not what they read: `pl`, `office.floor`."""


def test_every_string_has_a_swedish_translation() -> None:
    spec = importlib.util.spec_from_file_location("words", ROOT / "tools/words.py")
    assert spec is not None
    assert spec.loader is not None
    words = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(words)
    lacking = [line for language in words.LANGUAGES for line in words.wanting(language)]
    assert not lacking, f"{len(lacking)} wanting; run make words and translate:\n" + "\n".join(lacking[:30])


def bare_words(source: str) -> list[str]:
    """Words of a template that a reader sees and gettext does not: § stands for what is put in."""
    seen, silent = "", False
    tokens = list(Environment(extensions=["jinja2.ext.i18n"]).lex(source))
    for position, (_line, kind, value) in enumerate(tokens):
        if kind == "block_begin":
            name = next(text for _, what, text in tokens[position:] if what == "name")
            silent = name == "trans" or (silent and name != "endtrans")
        if kind == "data" and not silent:
            seen += value
        elif kind == "variable_begin":
            seen += "§"
    attributes = [each for each in TEXT_ATTRIBUTE.findall(seen) if not AN_EXAMPLE.search(each)]
    text = re.sub(r"<(code|kbd|pre|samp)\b.*?</\1>", " ", seen, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>|&\w+;", " ", text)
    return [word for word in [*re.findall(r"[^\W\d_]{2,}", text), *attributes] if word not in SAID_AS_IT_IS]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "web/templates")))
def test_no_word_of_a_page_passes_gettext_by(path: Path) -> None:
    if path.parent.name in OTHERS:
        assert path.parent.name in ("docs", "candidate")
        return
    assert bare_words(path.read_text()) == []


def test_bare_words_are_found() -> None:
    assert bare_words('<p title="A hint">Hello {{ _("there") }} {% trans %}you{% endtrans %}</p>') == ["Hello", "A hint"]


def test_the_browser_s_language_decides_before_anybody_has_signed_in(anonymous: Person) -> None:
    english = anonymous.get("/admin/login", **{"Accept-Language": "fr, en;q=0.5"}).text
    assert '<html lang="en">' in english
    assert "Sign in" in english
    swedish = anonymous.get("/admin/login", **{"Accept-Language": "sv-SE, en;q=0.5"}).text
    assert '<html lang="sv">' in swedish
    assert "Logga in" in swedish
    assert "E-post" in swedish


def test_after_signing_in_the_viewer_s_own_language_counts(people: dict[str, Person]) -> None:
    assert '<html lang="en">' in people["admin"].get("/admin/account", **{"Accept-Language": "sv"}).text


def test_what_fills_a_text_in_is_escaped_and_a_percent_sign_stays_one(app: Flask) -> None:
    source = '{% for name in names %}{{ _("Looked after by %(name)s", name=name) }} {% endfor %}'
    source += '{{ _("at %(percent)s %%", percent=9) }}'
    with app.test_request_context(headers={"Accept-Language": "sv"}):
        shown = app.jinja_env.from_string(source).render(names=["<b>Kim</b>"])
        said = language._("Looked after by %(name)s", name="&lt;b&gt;Kim&lt;/b&gt;")
    assert shown == f"{said} vid 9 %"
    assert not said.startswith("Looked")


def test_a_text_of_somebody_else_s_stays_a_text_whatever_signs_it_holds(app: Flask) -> None:
    source = "{{ _(word) }}"
    with app.test_request_context(headers={"Accept-Language": "sv"}):
        shown = [app.jinja_env.from_string(source).render(word=word) for word in ("<b>50 % of %(name)s</b>", "Queue")]
    assert shown == ["&lt;b&gt;50 % of %(name)s&lt;/b&gt;", language._catalogue("sv").gettext("Queue")]
    assert shown[1] != "Queue"
