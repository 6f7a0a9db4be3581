"""Where something stands in a TOML text: the line of a table, a row of an array of tables, a key, an element.

tomllib tells values but not places, and a complaint without a line makes people search. This reads the same text once more,
only for its shape (TOML 1.0, https://toml.io/en/v1.0.0); it expects a text that tomllib has accepted.
"""

import tomllib
from collections.abc import Mapping

Path = tuple[str | int, ...]
"""The way to a value: names of tables and keys, and numbers of rows from 0, such as ("modem", 0, "port")."""

_BLANK = " \t\r\n"
_BARE_END = " \t\r\n.=]}#,"


def lines_of(text: str) -> Mapping[Path, int]:
    """The line (from 1) of everything in `text`, by its path."""
    return _Scanner(text).run()


def nearest(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of `path`, or of the nearest thing around it; None where not even its table is written."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = 1
        self._table: Path = ()
        self._rows: dict[Path, int] = {}
        self._lines: dict[Path, int] = {}

    def run(self) -> dict[Path, int]:
        while self._skip_blank():
            if self._peek("["):
                self._header()
            else:
                self._pair(self._table)
        return self._lines

    def _header(self) -> None:
        line = self._line
        is_row = self._peek("[[")
        self._take(2 if is_row else 1)
        names = self._key()
        self._take(2 if is_row else 1)
        path = (*self._current(names[:-1]), names[-1])
        self._lines.setdefault(path, line)
        if is_row:
            number = self._rows.get(path, -1) + 1
            self._rows[path] = number
            path = (*path, number)
            self._lines[path] = line
        else:
            path = self._last_row(path)
        self._table = path

    def _current(self, names: tuple[str, ...]) -> Path:
        """`[a.b]` after `[[a]]` means the newest row of a."""
        path: Path = ()
        for name in names:
            path = self._last_row((*path, name))
        return path

    def _last_row(self, path: Path) -> Path:
        return (*path, self._rows[path]) if path in self._rows else path

    def _pair(self, table: Path) -> None:
        line = self._line
        path = table
        for name in self._key():
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._take(1)  # the equals sign
        self._skip_blank()
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        names = []
        while True:
            self._skip_spaces()
            if self._text[self._at] in "\"'":
                names.append(self._quoted())
            else:
                start = self._at
                while self._text[self._at] not in _BARE_END:
                    self._at += 1
                names.append(self._text[start : self._at])
            self._skip_spaces()
            if not self._peek("."):
                return tuple(names)
            self._take(1)

    def _value(self, path: Path) -> None:
        if self._peek("["):
            self._elements(path)
        elif self._peek("{"):
            self._inline_table(path)
        elif self._text[self._at] in "\"'":
            self._quoted()
        else:
            while self._at < len(self._text) and self._text[self._at] not in "\n,]}#":
                self._at += 1

    def _elements(self, path: Path) -> None:
        self._take(1)
        number = 0
        while self._skip_blank() and not self._peek("]"):
            element = (*path, number)
            self._lines[element] = self._line
            self._value(element)
            number += 1
            self._skip_blank()
            if self._peek(","):
                self._take(1)
        self._take(1)

    def _inline_table(self, path: Path) -> None:
        self._take(1)
        while self._skip_blank() and not self._peek("}"):
            self._pair(path)
            self._skip_blank()
            if self._peek(","):
                self._take(1)
        self._take(1)

    def _quoted(self) -> str:
        quote = self._text[self._at]
        mark = quote * 3 if self._peek(quote * 3) else quote
        start = self._at
        self._take(len(mark))
        while not self._peek(mark):
            self._take(2 if quote == '"' and self._peek("\\") else 1)
        self._take(len(mark))
        while len(mark) == 3 and self._peek(quote):  # up to two quotes may stand before the closing three
            self._take(1)
        if len(mark) == 3:
            return ""  # a key is never quoted three times
        return str(tomllib.loads(f"name = {self._text[start : self._at]}")["name"])

    def _peek(self, wanted: str) -> bool:
        return self._text.startswith(wanted, self._at)

    def _take(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1

    def _skip_blank(self) -> bool:
        """Pass over blanks and comments; False at the end of the text."""
        while self._at < len(self._text):
            if self._peek("#"):
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in _BLANK:
                self._take(1)
            else:
                return True
        return False
