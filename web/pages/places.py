"""Fields for where somebody is and what is spoken there: time zone, country, language. What is accepted decides the flow."""

import zoneinfo
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any, Final

from markupsafe import Markup
from wtforms import SelectField, StringField  # type: ignore[import-untyped]
from wtforms.widgets import TextInput, html_params  # type: ignore[import-untyped]

from web.pages.language import LANGUAGES, N_, _, chosen
from web.pages.territories import name_in

_CONTINENTS: Final = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/", "Pacific/")
MORE_LANGUAGES: Final = {
    "da": "Dansk",
    "de": "Deutsch",
    "es": "Español",
    "fi": "Suomi",
    "fr": "Français",
    "it": "Italiano",
    "nb": "Norsk bokmål",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
}
"""What texts to candidates may be in, beside the languages of the pages; each by its own name."""


class _Suggesting(TextInput):  # type: ignore[misc]
    """A line to type in, with the zones that begin like it."""

    def __call__(self, field: Any, **attributes: Any) -> Markup:
        listed = f"{field.id}-choices"
        line = super().__call__(field, list=listed, autocomplete="off", spellcheck="false", **attributes)
        return Markup('{}<datalist id="{}">{}</datalist>').format(line, listed, _suggestions())


class ZoneField(StringField):  # type: ignore[misc]
    """A time zone by its IANA name, typed with suggestions."""

    widget = _Suggesting()


class _Long:
    """A select of hundreds of choices: put together once for each that is chosen, where WTForms does so at every look."""

    def __call__(self, field: Any, **attributes: Any) -> Markup:
        opening = Markup(html_params(name=field.name, id=field.id, **attributes))  # noqa: S704  # escapes what it is given
        return Markup("<select {}>{}</select>").format(opening, _options(tuple(field.choices), field.data or ""))


class _Select(SelectField):  # type: ignore[misc]
    """A select whose choices are known before the form is filled in."""

    choices: list[tuple[str, str]]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.type = "SelectField"  # Bootstrap-Flask draws by this name

    def process_data(self, value: Any) -> None:
        """What the form starts with; what stands there already may stay, known or not."""
        super().process_data(value)
        if value and value not in dict(self.choices):
            self.choices = [*self.choices, (value, value)]


class CountryField(_Select):
    """A country by its ISO code, or "" for none, with its name in the reader's language."""

    widget = _Long()

    def __init__(self, *args: Any, none: str = N_("Not chosen"), **more: Any) -> None:
        super().__init__(*args, **more)
        self.choices = [("", _(none)), *_countries(chosen())]


class LanguageField(_Select):
    """A language of candidates by its BCP 47 code."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.choices = list({**LANGUAGES, **MORE_LANGUAGES}.items())


@cache
def _suggestions() -> Markup:
    names = ("UTC", *sorted(name for name in zoneinfo.available_timezones() if name.startswith(_CONTINENTS)))
    return Markup("").join(Markup('<option value="{}"></option>').format(name) for name in names)


@cache
def _countries(language: str) -> list[tuple[str, str]]:
    """Every country with telephone numbers, by its name in the reader's language."""
    from phonenumbers import SUPPORTED_REGIONS  # its tables are large: only where a country is chosen

    return sorted(((iso, name_in(language, iso) or iso) for iso in SUPPORTED_REGIONS), key=lambda each: each[1])


@lru_cache(maxsize=64)
def _options(choices: Iterable[tuple[str, str]], kept: str) -> Markup:
    return Markup("").join(
        Markup("<option {}>{}</option>").format(Markup(html_params(selected=value == kept, value=value)), word)  # noqa: S704
        for value, word in choices
    )
