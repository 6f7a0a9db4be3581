"""`make words`: collect the pages' strings into web/translations, keep what is translated, and make the .mo files.

python tools/words.py          collect and make
python tools/words.py --check  say what is missing, change nothing; 1 where something is
"""

import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "web/translations"
LANGUAGES = ("sv",)
"""English is what stands in the source."""
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
METHODS = [("pages/**.py", "python"), ("candidate/**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"templates/**.html": {"trimmed": "false", "silent": "false", "newstyle_gettext": "true"}}


def collected() -> Catalog:
    """Every string of the pages, with the file it stands in (no line numbers: they change with every edit)."""
    catalogue = Catalog(project="Ringpost", charset="utf-8")
    for file, _line, text, comments, context in extract_from_dir(
        str(ROOT / "web"), METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=("L10N:",), strip_comment_tags=True
    ):
        catalogue.add(text, None, [(f"web/{file}", 0)], auto_comments=comments, context=context)
    return catalogue


def path_of(language: str) -> Path:
    """Where a language's translations stand."""
    return FOLDER / language / "LC_MESSAGES" / "ringpost.po"


def translated(language: str) -> Catalog:
    """A language's catalogue as people wrote it."""
    path = path_of(language)
    if not path.exists():
        return Catalog(locale=language, domain="ringpost")
    with path.open("rb") as file:
        return read_po(file, locale=language, domain="ringpost")


def _headed(catalogue: Catalog) -> Catalog:
    """With a header that says nothing that changes from run to run."""
    catalogue.header_comment = "# Ringpost's pages. Translate msgstr; `make words` collects the strings and makes the .mo file."
    catalogue.project, catalogue.version, catalogue.fuzzy = "Ringpost", "1", False
    catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = ""
    catalogue.creation_date = catalogue.revision_date = datetime(2026, 11, 22, tzinfo=UTC)
    return catalogue


def compiled(catalogue: Catalog) -> bytes:
    """The .mo file of a catalogue."""
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def wanting(language: str) -> list[str]:
    """What a language lacks, in words."""
    strings, known = collected(), translated(language)
    found = [f"not translated: {message.id!r}" for message in strings if message.id and not _has(known, message.id)]
    found += [f"no longer used: {message.id!r}" for message in known if message.id and strings.get(message.id) is None]
    found += [f"{message.id!r}: {error}" for message, errors in known.check() for error in errors]
    found += [f"doubtful: {message.id!r}" for message in known if message.id and message.fuzzy]
    mo = path_of(language).with_suffix(".mo")
    if not mo.exists() or mo.read_bytes() != compiled(known):
        found.append(f"{mo.relative_to(ROOT)} is older than its .po file: run make words")
    return found


def _has(catalogue: Catalog, key: str | tuple[str, ...] | list[str]) -> bool:
    message = catalogue.get(key if isinstance(key, str) else key[0])
    if message is None:
        return False
    return all(message.string) if isinstance(message.string, list | tuple) else bool(message.string)


def update(language: str) -> None:
    """Take the strings of now into a language's file; nothing is guessed from similar ones."""
    known = translated(language)
    known.update(collected(), no_fuzzy_matching=True)
    known.obsolete.clear()
    path = path_of(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, _headed(known), width=120, omit_header=False, sort_output=True, include_lineno=False)
    path.with_suffix(".mo").write_bytes(compiled(translated(language)))


def main() -> int:
    """Collect, or check."""
    if "--check" not in sys.argv:
        for language in LANGUAGES:
            update(language)
    lacking = {language: wanting(language) for language in LANGUAGES}
    for language, lines in lacking.items():
        print(f"{language}: {len(lines)} wanting" if lines else f"{language}: complete")
        print("\n".join(f"  {line}" for line in lines[:20]))
    return 1 if "--check" in sys.argv and any(lacking.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
