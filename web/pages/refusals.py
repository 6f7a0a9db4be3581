"""What a flow refused, told at the field it is about: the form is shown again as it was typed."""

from collections.abc import Mapping
from typing import Any

from gateway.errors import Refused
from web.pages.language import _


def told(refused: Refused, words: Mapping[str, str]) -> str:
    """Plain words for a refusal: `words` by code, filled with its facts, else the flow's own sentence."""
    known = words.get(refused.code)
    if known is None:
        return refused.detail
    facts = {name: ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in refused.facts.items()}
    try:
        return _(known, **facts)
    except (KeyError, TypeError):
        return refused.detail


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
