"""The words of the pages in the reader's language: gettext over `web/translations/<language>/LC_MESSAGES/ringpost.mo`.

English stands in the source. `make words` collects what is marked into `web/translations/`, and makes the .mo files of the .po
files that people translate; a test says when a string has no translation.

    _("…")               in a view or template: translated now
    N_("…")              in a table: marked for translation, translated where it is shown by `_(word)`
    ngettext(one, many, n)
"""

import gettext as standard
from functools import cache
from pathlib import Path
from typing import Any, Final

from flask import Flask, g, has_request_context, request
from markupsafe import Markup

from gateway.flows.sign_in import Viewer

LANGUAGES: Final = {"en": "English", "sv": "Svenska"}
"""What the pages speak, each by its own name."""
COMPLETE: Final = "sv"
"""The language whose catalogue holds every text; a test sees to that."""
FOLDER: Final = Path(__file__).parent.parent / "translations"


def N_(text: str) -> str:
    """Mark a text for translation where it is shown later."""
    return text


def _(text: str, **values: Any) -> str:
    """`text` in the reader's language, with `%(name)s` filled in."""
    found = _catalogue(chosen()).gettext(text)
    return found % values if values else found


def _shown(text: str, **values: Any) -> str:
    """`_("…")` of the templates: what fills the text in is escaped.

    Only what the catalogue holds is our own. Any other text, such as a name that stands where we have no word for it, stays a
    text, which the template escapes: no sign in it is markup or asks to be filled in.

    A plain function, where Jinja's own has the whole context copied at each call inside a loop: half the time of a list.
    """
    spoken = chosen()
    if values:
        return Markup(_catalogue(spoken).gettext(text)) % values  # noqa: S704  # our own words
    return _plain(spoken, text) if _own().gettext(text) else text


@cache
def _plain(language: str, text: str) -> Markup:
    """A text of our own that nothing fills in; `%%` stands for a percent sign in it as in the others."""
    return Markup(_catalogue(language).gettext(text)) % {}  # noqa: S704  # our own words


@cache
def _own() -> standard.NullTranslations:
    """Every text of ours, as a complete catalogue has them; "" for any other text."""
    catalogue = standard.translation("ringpost", FOLDER, [COMPLETE])
    catalogue.add_fallback(_Nothing())
    return catalogue


class _Nothing(standard.NullTranslations):
    """Translates every text to none."""

    def gettext(self, message: str) -> str:
        return ""


def ngettext(one: str, many: str, count: int, **values: Any) -> str:
    """The form that fits `count`, with `%(count)s` filled in."""
    return _catalogue(chosen()).ngettext(one, many, count) % {"count": count, **values}


def chosen() -> str:
    """The language of this request: the viewer's, else what the browser prefers, else English."""
    if not has_request_context():
        return "en"
    language: str | None = getattr(g, "language", None)  # one look at the context: a list asks some hundred times
    if language is None:
        who: Viewer | None = g.get("viewer")
        language = g.language = who.language if who is not None and who.language in LANGUAGES else _preferred()
    return language


def language_name(code: str) -> str:
    """A language such as `pt-BR` in the reader's words; the code itself where it has none."""
    return _named(code, chosen())


@cache
def _named(code: str, reader: str) -> str:
    from babel import Locale, UnknownLocaleError  # some MB: only pages with languages need its tables

    try:
        return Locale.parse(code, sep="-").get_display_name(reader) or code
    except (UnknownLocaleError, ValueError):
        return code


def _preferred() -> str:
    spoken = (name.partition("-")[0].lower() for name, _quality in request.accept_languages)  # the best first; sv-SE is Swedish
    return next((name for name in spoken if name in LANGUAGES), "en")


@cache
def _catalogue(language: str) -> standard.NullTranslations:
    """The translations of a language; English speaks for itself."""
    return standard.translation("ringpost", FOLDER, [language], fallback=True)


def install(app: Flask) -> None:
    """Let templates say `_("…")` and `{% trans %}` in the reader's language."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _catalogue(chosen()).gettext(text),
        lambda one, many, count: _catalogue(chosen()).ngettext(one, many, count),
        newstyle=True,
    )
    app.jinja_env.globals.update(language=chosen, languages=LANGUAGES, language_name=language_name, _=_shown)
