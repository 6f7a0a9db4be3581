"""The form of a template, and its own merge fields as numbered rows, so that it works without a script."""

import json
from collections.abc import Mapping
from typing import Any

from flask import request
from wtforms import (  # type: ignore[import-untyped]
    BooleanField,
    IntegerField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, ValidationError  # type: ignore[import-untyped]

from gateway.flows.templates import MOST_SEGMENTS, Draft
from gateway.rules.kinds import KINDS
from gateway.rules.templates import MOST_FIELDS, TYPES
from web.pages.forms import PageForm
from web.pages.language import N_, _
from web.pages.templates import words

LABELS = {
    "name": N_("Name"),
    "kind": N_("Kind"),
    "language": N_("Language"),
    "max_segments": N_("Most parts"),
    "body": N_("Text"),
    "fields": N_("Own fields"),
}
SPARE_ROWS = 2


class TemplateForm(PageForm):
    """What a template is made of."""

    name = StringField(
        N_("Name"),
        [InputRequired(N_("Give it a name."))],
        description=N_("The list adds the channel, as in “Invitation (SMS)”; one name may serve several languages."),
        render_kw={"maxlength": 100},
    )
    kind = SelectField(N_("Kind"), description=N_("Says what it may be used for. A rejection never goes by SMS."))
    channel = SelectField(N_("Channel"), description=N_("A saved template keeps its channel."))
    language = StringField(
        N_("Language"),
        [InputRequired(N_("Write a language such as sv, en or pt-BR."))],
        description=N_("The language of the job advertisement picks the template: sv, en, de, pt-BR …"),
        render_kw={"maxlength": 12, "autocapitalize": "none", "spellcheck": "false"},
    )
    max_segments = IntegerField(
        N_("Most parts"),
        [InputRequired(N_("Choose a number from 1 to 10."))],
        description=N_("A message that would need more is refused instead of sent. Each part costs."),
        render_kw={"min": 1, "max": MOST_SEGMENTS},
    )
    body = TextAreaField(
        N_("Text"),
        [InputRequired(N_("Write a text."))],
        description=N_("Fields stand in double braces and are filled in for each candidate."),
        render_kw={"rows": 8, "dir": "auto"},
    )
    confirm_not_rejection = BooleanField(N_("This text is no rejection"))

    asks_to_confirm = False
    """Whether the text was taken for a rejection: then the box to tick is shown."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = [(kind, _(words.KINDS.get(kind, kind))) for kind in KINDS]
        self.channel.choices = [(channel, _(word)) for channel, word in words.CHANNELS.items()]

    def validate_body(self, field: Any) -> None:
        """No NUL: no database keeps one and no phone shows it."""
        if "\x00" in (field.data or ""):
            raise ValidationError(N_("The text holds a character that no text may have."))

    def draft(self) -> Draft:
        """What is to be saved."""
        return Draft(
            name=self.name.data,
            kind=self.kind.data,
            channel=self.channel.data,
            language=(self.language.data or "").strip(),
            body=self.body.data,
            max_segments=self.max_segments.data or 0,
            fields=own_fields(),
            confirm_not_rejection=bool(self.confirm_not_rejection.data),
        )

    def wanted(self) -> dict[str, Any]:
        """The form as plain values: for the page that shows both versions, and sends mine again."""
        values = {name: self[name].data for name in ("name", "kind", "channel", "language", "max_segments", "body")}
        if self.confirm_not_rejection.data:
            values["confirm_not_rejection"] = "y"
        rows = own_fields()
        for number, row in enumerate(rows):
            values |= {f"field{number}_{part}": row[part] for part in ("name", "type", "sample")}
        return {**values, "fields": shown_fields(rows)}


def own_fields() -> list[dict[str, str]]:
    """The rows `field0_name`, `field0_type`, `field0_sample` … of the form, without the empty ones."""
    found = []
    for number in range(MOST_FIELDS + SPARE_ROWS):
        row = {part: request.form.get(f"field{number}_{part}", "").strip() for part in ("name", "type", "sample")}
        if row["name"] or row["sample"]:
            found.append({**row, "type": row["type"] if row["type"] in TYPES else "text"})
    return found


def shown_fields(rows: list[dict[str, str]]) -> str:
    """Own fields in one text, a line each."""
    return "\n".join(f"{row['name']} ({_(words.TYPES.get(row['type'], row['type']))}): {row['sample']}" for row in rows)


def values_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored template as the form shows it: for the fingerprint, and for filling the form."""
    return {
        "name": row["name"],
        "kind": row["kind"],
        "channel": row["channel"],
        "language": row["language"],
        "max_segments": row["max_parts"],
        "body": row["body"],
        "fields": shown_fields(json.loads(row["fields"])),
    }
