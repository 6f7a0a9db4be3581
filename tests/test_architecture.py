"""The arrows of the house: `web → gateway → modem`, the inner ones of the gateway, and who alone may touch what.

Reads imports, runs nothing. A new file fails here until it has a room; a new arrow until this page allows it.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("modem", "gateway", "web")

PURE = {"gsm7", "pdu", "segments", "lines", "commands", "dialogue", "faults", "profiles", "events", "errors"}
"""modem's pure half: bytes and values only."""
SHELL = {"link", "driver", "discovery", "simulator", "airlog", "clock"}
SIMULATOR = "simulator_"
"""`simulator_*` are the simulator's own rooms."""
OUTSIDE = {
    *("os", "io", "sys", "socket", "select", "selectors", "subprocess", "threading", "time", "asyncio", "signal", "tty"),
    *("pathlib", "shutil", "tempfile", "fcntl", "termios", "sqlite3", "http", "urllib", "logging", "random", "serial"),
}
"""What the pure half may not import: anything that reads or changes something outside its arguments."""

GATEWAY_TOP = {
    *("__main__", "cli", "config", "clock", "errors", "keys", "wake", "supervise", "apply", "demo", "desk"),
    *("toml_lines", "toml_tables"),
}
ROOMS = {"rules", "store", "flows", "radio", "outward", "appliance", "commands"}
BASE = {"errors", "clock", "keys", "wake", "config", "toml_lines", "toml_tables"}
"""Plain foundations of the gateway that every room may stand on."""

MAY_USE = {
    "rules": {"rules", "errors"},
    "store": {"store", "rules", *BASE},
    "flows": {"flows", "rules", "store", "errors", "clock", "keys"},
    "radio": {"radio", "flows", "rules", "store", *BASE},
    "outward": {"outward", "flows", "rules", "store", *BASE},
    "appliance": {"appliance", "flows", "rules", "store", *BASE},
    "commands": {"commands", "flows", "rules", "store", "appliance", "outward", "apply", "demo", "supervise", *BASE},
}
"""room of the gateway → rooms and top modules of the gateway that it may import."""
ALONE = {
    "serial": {"modem.link"},
    "gsmmodem": {"modem.link", "modem.driver", "modem.errors"},
    "gpiozero": {"gateway.appliance.panel"},
    "peewee": {"gateway.store.database", "gateway.store.schema"},
    "playhouse": {"gateway.store.schema"},
    "psycopg": {"gateway.store.database", "gateway.store.lease"},
    "httpx": {"gateway.outward.http"},
    "httpcore": {"gateway.outward.http"},
}
"""library → the only modules that may import it."""
ONLY_WEB = {"flask", "flask_wtf", "flask_bootstrap", "flask_openapi3", "werkzeug", "cheroot", "wtforms", "pydantic"}


@dataclass(frozen=True)
class Arrow:
    """One import: from a module to a module, or to what a library's module is called."""

    origin: str
    target: str
    line: int
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.origin}:{self.line} imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by dotted name; migrations are data to a runner, not modules."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "migrations" not in parts:
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def arrows() -> tuple[Arrow, ...]:
    """Every import anywhere in a file, also inside functions."""
    return tuple(arrow for name, path in modules().items() for arrow in arrows_of(name, path.read_text()))


def arrows_of(name: str, source: str) -> Iterator[Arrow]:
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative imports hide an arrow"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [each if each in modules() else str(node.module) for each in inner]
        else:
            continue
        for target in dict.fromkeys(targets):
            yield Arrow(name, target, node.lineno, id(node) in typing_only)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def room(name: str) -> str:
    """`gateway.store.seal` → `store`; `gateway.config` → `config`; `gateway` → nothing."""
    return name.split(".")[1] if "." in name else ""


def none(wrong: list[Arrow]) -> None:
    assert not wrong, "\n".join(map(str, wrong))


def is_pure(name: str) -> bool:
    return name == "modem" or (within(name, "modem") and room(name) in PURE)


@pytest.mark.parametrize(("package", "above"), [("modem", {"gateway", "web", "config"}), ("gateway", {"web"})])
def test_no_arrow_points_back_up(package, above):
    none([arrow for arrow in arrows() if within(arrow.origin, package) and arrow.target.split(".")[0] in above])


def test_web_speaks_to_the_gateway_only_and_never_to_what_acts_outside():
    rooms = {"radio", "outward", "appliance", "commands", "cli", "__main__", "supervise", "demo"}
    none(
        [
            arrow
            for arrow in arrows()
            if within(arrow.origin, "web")
            and (
                (within(arrow.target, "modem") and not is_pure(arrow.target))
                or (within(arrow.target, "gateway") and room(arrow.target) in rooms)
            )
        ]
    )


def test_nobody_imports_tests_or_benchmarks():
    none([arrow for arrow in arrows() if arrow.target.split(".")[0] in ("tests", "benchmarks")])


def test_the_rooms_of_the_gateway_use_what_lies_below_them():
    none(
        [
            arrow
            for arrow in arrows()
            if within(arrow.origin, "gateway")
            and within(arrow.target, "gateway")
            and room(arrow.origin) in MAY_USE
            and room(arrow.target) not in {"", *MAY_USE[room(arrow.origin)]}
            and (arrow.origin, arrow.target) != ("gateway.radio.recovery", "gateway.appliance.power")
        ]
    )


def test_the_foundations_stand_on_nothing_but_each_other():
    none(
        [
            arrow
            for arrow in arrows()
            if within(arrow.origin, "gateway")
            and room(arrow.origin) in BASE
            and within(arrow.target, "gateway")
            and room(arrow.target) not in {"", *BASE}
        ]
    )


def test_only_the_radio_touches_the_stick_and_others_its_pure_half():
    allowed = {
        "modem.clock": {"gateway.clock"},
        "modem.discovery": {"gateway.radio", "gateway.appliance", "gateway.commands"},
        "modem.simulator": {"gateway.commands", "gateway.demo"},
        "modem.driver": {"gateway.radio"},
        "modem.link": {"gateway.radio"},
    }
    none(
        [
            arrow
            for arrow in arrows()
            if within(arrow.origin, "gateway")
            and within(arrow.target, "modem")
            and not is_pure(arrow.target)
            and not any(within(arrow.origin, user) for user in allowed.get(arrow.target, ()))
        ]
    )


def test_the_pure_half_of_modem_touches_nothing_outside():
    none(
        [
            arrow
            for arrow in arrows()
            if is_pure(arrow.origin)
            and (arrow.target.split(".")[0] in OUTSIDE or (within(arrow.target, "modem") and not is_pure(arrow.target)))
        ]
    )


def test_the_codec_loads_without_pyserial_and_without_any_library():
    for arrow in arrows():
        if arrow.origin in ("modem", *(f"modem.{name}" for name in ("gsm7", "pdu", "segments", "faults"))):
            top = arrow.target.split(".")[0]
            assert top == "modem" or top in sys.stdlib_module_names, str(arrow)


@pytest.mark.parametrize("library", ALONE)
def test_one_place_alone_knows_the_library(library):
    none([arrow for arrow in arrows() if within(arrow.target, library) and arrow.origin not in ALONE[library]])


def test_only_the_web_knows_http_pages():
    none([arrow for arrow in arrows() if arrow.target.split(".")[0] in ONLY_WEB and not within(arrow.origin, "web")])


def test_every_file_has_a_room():
    strangers = []
    for name in modules():
        package, _, rest = name.partition(".")
        top = rest.split(".")[0]
        known = (
            not rest
            or package == "web"
            or (package == "modem" and (rest in PURE | SHELL or rest.startswith(SIMULATOR)))
            or (package == "gateway" and (rest in GATEWAY_TOP or (top in ROOMS and rest.count(".") <= 1)))
        )
        if not known:
            strangers.append(name)
    assert not strangers, f"not on the map (style.md §1, tests/test_architecture.py): {strangers}"


def test_the_map_has_no_empty_place():
    missing = [name for name in sorted(PURE | SHELL) if f"modem.{name}" not in modules()]
    assert not missing, f"on the map, but not in modem/: {missing}"


def test_imports_go_in_no_circle():
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for arrow in arrows():
        if arrow.target in graph and arrow.target != arrow.origin and not arrow.typing_only:
            graph[arrow.origin].add(arrow.target)
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, "circle: " + " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name]):
                walk(target, (*path, name))
            done.add(name)

    for name in sorted(graph):
        walk(name, ())


def test_this_test_sees_every_kind_of_import():
    source = """
import serial.tools
from modem import pdu, Submit
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from gateway.store import database
def late():
    import os
"""
    found = [(arrow.target, arrow.typing_only) for arrow in arrows_of("modem.example", source)]
    assert sorted(found) == [
        ("gateway.store.database", True),
        ("modem", False),
        ("modem.pdu", False),
        ("os", False),
        ("serial.tools", False),
        ("typing", False),
    ]
