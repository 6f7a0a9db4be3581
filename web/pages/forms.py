"""What every form of the pages shares."""

from collections.abc import Mapping
from typing import Any, Final

from flask_wtf import FlaskForm
from wtforms import IntegerField  # type: ignore[import-untyped]
from wtforms.validators import StopValidation  # type: ignore[import-untyped]

from gateway.errors import Refused
from web.pages import refusals
from web.pages.language import N_, _


class PageForm(FlaskForm):  # type: ignore[misc]
    """A form with a CSRF token, in the reader's language, whose wrong fields say so to screen readers too.

    Labels, descriptions and messages stand in the class as `N_("…")`; here they are translated for whoever is asking.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:
            field.label.text = _(field.label.text) if field.label.text else ""
            field.description = _(field.description) if field.description else ""

    def wrong(self, refused: Refused, fallback: str | None = None, words: Mapping[str, str] = refusals.NO_WORDS) -> None:
        """Say a flow's refusal at the field it is about; one about no field of this form stands at `fallback`, or the first.

        `words` are the page's own, by code, before those of all pages.
        """
        shown = [field for field in self if field.type not in ("CSRFTokenField", "HiddenField")]
        named = refused.field if refused.field in self._fields else fallback
        self.say(named if named is not None else shown[0].short_name, refusals.told(refused, words))

    def say(self, name: str, text: str) -> None:
        """Say at a field what is wrong with it, in words that are translated already."""
        field = self._fields[name]
        field.errors = [*field.errors, text]
        field.render_kw = {**(field.render_kw or {}), "aria-invalid": "true"}

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether every field is right; marks those that are not."""
        right = bool(super().validate(extra_validators))
        for field in self:
            if field.errors:
                field.errors = [_(str(error)) for error in field.errors]
                field.render_kw = {**(field.render_kw or {}), "aria-invalid": "true"}
        return right


class WholeField(IntegerField):  # type: ignore[misc]
    """A whole number; what is none says so once, in our words."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read what was typed."""
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(NOT_WHOLE) from None

    def pre_validate(self, form: Any) -> None:
        """Nothing more is said of what is no number; whether it may be empty is for the validators to say."""
        if self.process_errors and any(str(typed).strip() for typed in self.raw_data or ()):
            raise StopValidation


NOT_WHOLE: Final = N_("Enter a whole number, without a point or a comma.")
