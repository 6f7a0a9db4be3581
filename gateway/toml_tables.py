"""TOML files whose every complaint names file, line, what was found and what is allowed.

`Document` is a file that was read; `Table` is one of its tables or rows, asked key by key for values of a given type. Shared
by the configuration and by `ringpost apply`; knows neither's keys.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gateway import toml_lines
from gateway.errors import ConfigError

T = TypeVar("T")

_TOML_LINE = re.compile(r"^(.*?) ?\(at (?:line (\d+), column \d+|end of document)\)$")


class Document:
    """A TOML file: its values, and the line of each."""

    def __init__(self, file: str, text: str) -> None:
        """`file` is the name to complain with. Raises ConfigError for a text that is not TOML."""
        self.file = file
        try:
            self.values: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = _TOML_LINE.match(str(error))
            message, line = (found[1], found[2]) if found else (str(error), None)
            at = int(line) if line else text.count("\n") + 1
            raise ConfigError(file, at, f"this is not TOML: {message[:1].lower()}{message[1:]}") from None
        self._lines = toml_lines.lines_of(text)

    @classmethod
    def load(cls, path: Path) -> "Document":
        """Raises ConfigError where the file cannot be read."""
        try:
            return cls(str(path), path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(str(path), None, f"cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ConfigError(str(path), line, "is not UTF-8 text") from error

    def line(self, *path: str | int) -> int | None:
        """The line of a table, a row, a key, or the nearest thing around it."""
        return toml_lines.nearest(self._lines, path)

    def wrong(self, path: Sequence[str | int], message: str) -> NoReturn:
        """Raise ConfigError at `path`."""
        raise ConfigError(self.file, self.line(*path), message)

    def allow(self, tables: Sequence[str]) -> None:
        """Refuse every table that is not one of these."""
        for name in self.values:
            if name not in tables:
                self.wrong((name,), f'found "{name}"{_meant(name, tables)}; the tables allowed are {listed(tables)}')

    def table(self, name: str, keys: Sequence[str]) -> "Table":
        """The table `[name]`, empty where it is not written. Refuses keys other than `keys`."""
        values = self.values.get(name, {})
        if not isinstance(values, dict):
            kind = f"[[{name}]], one or more rows" if isinstance(values, list) else shown(values)
            self.wrong((name,), f"found {kind}; allowed is one table [{name}]")
        return Table(self, (name,), f"[{name}]", values, keys)

    def rows(self, name: str, keys: Sequence[str]) -> Iterator["Table"]:
        """The rows `[[name]]`, in order. Refuses keys other than `keys`."""
        rows = self.values.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            found = f"[{name}], a single table" if isinstance(rows, dict) else shown(rows)
            self.wrong((name,), f"found {found}; allowed are rows, each under a [[{name}]] of its own")
        for number, row in enumerate(rows):
            yield Table(self, (name, number), f"[[{name}]]", row, keys)


class Table:
    """One table or row: ask for each key by its type; a wrong value raises ConfigError with its place."""

    def __init__(
        self,
        document: Document,
        path: tuple[str | int, ...],
        title: str,
        values: Mapping[str, Any],
        keys: Sequence[str],
    ) -> None:
        self.document = document
        self.path = path
        self.title = title
        self.values = values
        self._keys = keys
        for key in values:
            if key not in keys:
                document.wrong((*path, key), f'{title}: found the key "{key}"{_meant(key, keys)}; allowed are {listed(keys)}')

    def __contains__(self, key: str) -> bool:
        return key in self.values

    @property
    def line(self) -> int | None:
        """Where this table begins."""
        return self.document.line(*self.path)

    def wrong(self, key: str | None, message: str) -> NoReturn:
        """Raise ConfigError at `key` (None: at the table's own line)."""
        path = self.path if key is None else (*self.path, key)
        name = self.title if key is None else f"{self.title} {key}"
        self.document.wrong(path, f"{name}: {message}")

    def refuse(self, key: str, allowed: str) -> NoReturn:
        """Raise ConfigError naming what was found under `key` and what is allowed."""
        self.wrong(key, f"found {shown(self.values[key])}; allowed is {allowed}")

    def need(self, key: str, allowed: str) -> None:
        """Refuse a row without `key`."""
        if key not in self.values:
            self.document.wrong(self.path, f'{self.title}: the key "{key}" is missing; allowed is {allowed}')

    def value(self, key: str, kind: type[T], allowed: str, good: Callable[[T], bool] = lambda _: True) -> T:
        """The value of a key that must be there, of this type and good."""
        self.need(key, allowed)
        found = self.values[key]
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool) or not good(found):
            self.refuse(key, allowed)
        return found

    def text(self, key: str, default: str | None = None, *, allowed: str = "text in quotes", empty: bool = False) -> str:
        """A text, not empty unless `empty`; without `default` the key must be there."""
        if default is not None and key not in self.values:
            return default
        return self.value(key, str, allowed, lambda text: empty or bool(text.strip()))

    def maybe_text(self, key: str, *, allowed: str = "text in quotes") -> str | None:
        """A text, or None where the key is not written."""
        return self.text(key, allowed=allowed) if key in self.values else None

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of some words."""
        allowed = "one of " + ", ".join(f'"{choice}"' for choice in choices)
        if default is not None and key not in self.values:
            return default
        found = self.value(key, str, allowed)
        if found not in choices:
            self.wrong(key, f"found {shown(found)}{_meant(found, choices)}; allowed is {allowed}")
        return found

    def number(self, key: str, default: int | None = None, *, least: int = 0, most: int = 2**31) -> int:
        """A whole number between two bounds."""
        if default is not None and key not in self.values:
            return default
        allowed = f"a whole number from {least} to {most}"
        return self.value(key, int, allowed, lambda number: least <= number <= most)

    def maybe_number(self, key: str, *, least: int = 0, most: int = 2**31) -> int | None:
        """A whole number, or None where the key is not written."""
        return self.number(key, least=least, most=most) if key in self.values else None

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        return self.value(key, bool, "true or false") if key in self.values else default

    def texts(self, key: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of texts."""
        if key not in self.values:
            return tuple(default)
        found = self.values[key]
        if not isinstance(found, list) or not all(isinstance(item, str) and item.strip() for item in found):
            self.refuse(key, 'a list of texts such as ["one", "two"]')
        return tuple(found)

    def choices(self, key: str, choices: Sequence[str], default: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of words out of some."""
        found = self.texts(key, default)
        for number, item in enumerate(found):
            if item not in choices:
                self.document.wrong(
                    (*self.path, key, number),
                    f'{self.title} {key}: found "{item}"{_meant(item, choices)}; allowed are {listed(choices)}',
                )
        return found

    def path_of(self, key: str, default: Path | None = None) -> Path:
        """A path; a relative one counts from the directory of the file it is written in.

        `credential:NAME` is a file that systemd hands over (LoadCredential=NAME:…).
        """
        if key not in self.values:
            if default is None:
                self.need(key, "a path")
            assert default is not None
            return default
        text = self.text(key, allowed="a path")
        if text.startswith("credential:"):
            directory = os.environ.get("CREDENTIALS_DIRECTORY")
            if directory is None:
                self.wrong(
                    key,
                    f"found {shown(text)}, but systemd has handed over no credentials; see LoadCredential= in the unit",
                )
            return Path(directory, text.removeprefix("credential:"))
        return (Path(self.document.file).resolve().parent / Path(text).expanduser()).absolute()

    def maybe_path(self, key: str) -> Path | None:
        """A path, or None where the key is not written."""
        return self.path_of(key) if key in self.values else None


def shown(value: Any) -> str:
    """A TOML value as a complaint shows it: what was written, shortened, and its type where that is not plain to see."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value if len(value) <= 60 else value[:57] + "..."}"'
    if isinstance(value, list):
        return "a list" if len(str(value)) > 60 else str(value).replace("'", '"')
    if isinstance(value, dict):
        return "a table"
    return str(value)


def listed(names: Sequence[str]) -> str:
    """Names with commas and quotes off, as read aloud."""
    return ", ".join(sorted(names))


def _meant(found: str, known: Sequence[str]) -> str:
    close = get_close_matches(found.lower(), known, n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""
