"""Rules that compile what builds their address only when somebody asks for it."""

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule

from web.routes import LateRule

PATHS = {
    "list": "/things",
    "one": "/things/<ref>",
    "page": "/things/<ref>/pages/<int:number>",
    "file": "/files/<path:name>",
}


def addresses(kind: type[Rule]) -> list[str]:
    """What a map of these rules builds and matches."""
    rules = [kind(path, endpoint=endpoint) for endpoint, path in PATHS.items()]
    at = Map([*rules, kind("/first", endpoint="page", defaults={"ref": "a", "number": 1})]).bind("box.example")
    values = {
        "list": {"q": "å ä", "rule": "x"},
        "one": {"ref": "a/b c"},
        "page": {"ref": "a", "number": 2},
        "file": {"name": "x/y"},
    }
    built = [at.build(endpoint, values[endpoint]) for endpoint in PATHS]
    return [
        *built,
        at.build("page", {"ref": "a", "number": 1}),
        *(str(at.match(path.partition("?")[0])) for path in built[:1] + built[2:]),
    ]


def test_addresses_are_those_of_ordinary_rules():
    assert addresses(LateRule) == addresses(Rule)


def test_nothing_is_compiled_until_an_address_is_asked_for_and_then_once(monkeypatch):
    compiled = []
    plain = Rule._compile_builder
    monkeypatch.setattr(Rule, "_compile_builder", lambda rule, *how: compiled.append(rule.endpoint) or plain(rule, *how))
    at = Map([LateRule(path, endpoint=endpoint) for endpoint, path in PATHS.items()]).bind("box.example")
    with pytest.raises(NotFound):
        at.match("/nowhere")
    assert compiled == []
    assert [at.build("one", {"ref": "7"}), at.build("one", {"ref": "8"})] == ["/things/7", "/things/8"]
    assert compiled == ["one"]
