"""Every value of a TOML text has its line, whatever the text is written like."""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.toml_lines import Path, lines_of, nearest

TEXT = '''\
# a comment with [brackets] = "and quotes
top = 1

[web]   # a table
listen = "0.0.0.0:8443"  # not = this
"quoted key" = true
'it''s' = 2
dotted.inner."x y" = 3
many = [
  "one",   # [[not a row]]
  "two",

  { deep = 4 }, [5, [
    6]],
]
tls = { certificate = "a=]}", key = """
[fake]
fake = 1
""" }

[[modem]]
name = \'\'\'
[[modem]]
\'\'\'
port = "auto"
[modem.power]
gpio = 17
[[modem]]
port = """a \\""" b"""""
[[modem.extra]]
value = 1979-05-27T07:32:00Z
[[modem.extra]]
[ spaced . "out" ]
last = 0x1F'''.replace("'it''s'", "'its'")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("web",), 4),
        (("web", "listen"), 5),
        (("web", "quoted key"), 6),
        (("web", "its"), 7),
        (("web", "dotted"), 8),
        (("web", "dotted", "inner", "x y"), 8),
        (("web", "many"), 9),
        (("web", "many", 0), 10),
        (("web", "many", 1), 11),
        (("web", "many", 2, "deep"), 13),
        (("web", "many", 3, 0), 13),
        (("web", "many", 3, 1, 0), 14),
        (("web", "tls", "certificate"), 16),
        (("web", "tls", "key"), 16),
        (("modem", 0), 21),
        (("modem", 0, "name"), 22),
        (("modem", 0, "port"), 25),
        (("modem", 0, "power", "gpio"), 27),
        (("modem", 1), 28),
        (("modem", 1, "port"), 29),
        (("modem", 1, "extra", 0, "value"), 31),
        (("modem", 1, "extra", 1), 32),
        (("spaced", "out", "last"), 34),
    ],
)
def test_it_finds_the_line(path: Path, line: int) -> None:
    assert lines_of(TEXT)[path] == line


def test_every_path_that_tomllib_knows_has_a_line() -> None:
    known = lines_of(TEXT)
    assert [path for path, _ in leaves(tomllib.loads(TEXT)) if path not in known] == []


def test_what_is_missing_gets_the_line_of_what_is_around_it() -> None:
    known = lines_of(TEXT)
    assert nearest(known, ("modem", 1, "imei")) == 28
    assert nearest(known, ("web", "tls", "other")) == 16
    assert nearest(known, ("nowhere", "at all")) is None


def test_windows_line_ends_count_once() -> None:
    assert lines_of('a = 1\r\n\r\n[b]\r\nc = """\r\n"""\r\nd = 2\r\n')[("b", "d")] == 6


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value


class Writer:
    """Writes nested values as TOML in one of many ways; every leaf is a number that occurs once in the text."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._leaf = 100_000

    def document(self) -> str:
        lines = [f"k{number} = {self.value(2)}" for number in range(self._draw(st.integers(0, 3)))]
        for number in range(self._draw(st.integers(0, 4))):
            lines += ["", self.pick(["", "# ] } \" '''", "  "])]
            name = self.pick([f"t{number}", f'"t {number}"', f"t{number} . 'x#y'"])
            for _ in range(self._draw(st.integers(1, 3))):
                is_row = self._draw(st.booleans())
                lines.append(f"[[{name}]]" if is_row else f"[ {name} ]")
                lines += [
                    self.pick(["{} = {}", "\t{}={}  # 1", "{}.b = {}"]).format(f"k{key}", self.value(2))
                    for key in range(self._draw(st.integers(0, 3)))
                ]
                if not is_row:
                    break
        return self.pick(["\n", "\r\n"]).join(lines)

    def value(self, depth: int) -> str:
        self._leaf += 1
        kinds = ["leaf", "leaf", "basic", "literal", "long"] + (["list", "table"] if depth else [])
        match self.pick(kinds):
            case "basic":
                return f'"{self._leaf} \\" ]}}# \\\\"'
            case "literal":
                return f"'{self._leaf} \" ]}}# \\'"
            case "long":
                return f'"""{self._leaf}\n[x]\nk = 1 \\""" ""\\\\"""'
            case "list":
                gap = self.pick(["", " ", "\n  ", " # ]\n"])
                return (
                    "[" + gap + ("," + gap).join(self.value(depth - 1) for _ in range(self._draw(st.integers(0, 3)))) + gap + "]"
                )
            case "table":
                count = self._draw(st.integers(0, 3))
                return "{ " + ", ".join(f"i{number} = {self.value(depth - 1)}" for number in range(count)) + " }"
        return str(self._leaf)

    def pick(self, options: list[str]) -> str:
        return self._draw(st.sampled_from(options))


@st.composite
def documents(draw: st.DrawFn) -> str:
    return Writer(draw).document()


@settings(max_examples=80, deadline=None)
@given(documents())
def test_the_line_of_any_leaf_holds_it(text: str) -> None:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a table and rows under one name: not TOML, and never handed to lines_of
    known = lines_of(text)
    lines = text.replace("\r\n", "\n").split("\n")
    for path, value in leaves(values):
        token = str(value)[:6]
        # A leaf after a multi-line neighbour may begin in the line where that one ends; its own line says so.
        assert token in lines[known[path] - 1], (path, known[path])
