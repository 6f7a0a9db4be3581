"""What a flow refused, told at the field it is about: the form is shown again as it was typed."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import Refused
from web.pages.language import _
from web.pages.refusal_words import FAMILIES, REFUSALS

NO_WORDS: Final[Mapping[str, str]] = {}


def told(refused: Refused, words: Mapping[str, str] = NO_WORDS) -> str:
    """Plain words for a refusal: a page's own by code, else those of all pages, filled with its facts.

    The flow's own sentence is for programs; it is shown only where nobody thought of the code on a page (a test looks).
    """
    facts = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in refused.facts.items()}
    why = refused.facts.get("why")
    for known in (words.get(refused.code), REFUSALS.get(f"{refused.code}:{why}"), word_of(refused.code)):
        if known is not None and (facts or "%(" not in known):
            try:
                return _(known, **facts)
            except (KeyError, TypeError):
                continue
    return refused.detail


def word_of(code: str) -> str | None:
    """What every page says of a code, whatever its reason."""
    return REFUSALS.get(code) or next((word for sign, word in FAMILIES if code.startswith(sign) or code.endswith(sign)), None)


def put(form: Any, refused: Refused, words: Mapping[str, str], fields: Mapping[str, str]) -> str | None:
    """Tell it at its field (`fields` maps the flow's names to the form's); the words, where it is about no field here."""
    text = told(refused, words)
    name = fields.get(refused.field or "", refused.field or "")
    field = dict(form._fields).get(name)
    if field is None or field.type == "HiddenField":
        return text
    field.errors = [*field.errors, text]
    field.render_kw = {**(field.render_kw or {}), "aria-invalid": "true"}
    return None
