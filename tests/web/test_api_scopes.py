"""Deny by default: every route below /api/v1 asks for a key, and for the scope it names. A new one is asked here by itself."""

from collections.abc import Iterator

import httpx
import pytest
from flask import Flask

from gateway.store import setup
from tests.web.conftest import Box
from web.app import create_app
from web.server import Server

PREFIX = "/api/v1/"
OPEN = {"/api/v1/exports/<token>"}
"""A download's link is its key, once."""

Call = tuple[str, str, str]
"""Method, path pattern, and the scope that its document names."""


@pytest.fixture
def calls(box: Box) -> list[Call]:
    """Every call that the application takes."""
    return sorted(_calls(create_app(box.config, box.clock, box.database)))


def _calls(app: Flask) -> Iterator[Call]:
    paths = app.api_doc["paths"]  # type: ignore[attr-defined]
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(PREFIX) or rule.rule in OPEN:
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            told = paths.get(rule.rule.replace("<", "{").replace(">", "}"), {}).get(method.lower(), {})
            yield method, rule.rule, told.get("x-scope", "")


def ask(client: httpx.Client, method: str, rule: str) -> tuple[int, str]:
    """Status and code of a call with nothing in it; every id is `x`."""
    path = "/".join("x" if part.startswith("<") else part for part in rule.removeprefix(PREFIX).split("/"))
    answer = client.request(method, path, json=None if method == "GET" else {})
    return answer.status_code, answer.json().get("code", "")


def as_key(server: Server, secret: str | None) -> httpx.Client:
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=f"http://127.0.0.1:{server.port}{PREFIX}", headers=headers, trust_env=False)


def test_every_route_names_a_scope_that_there_is(calls: list[Call]) -> None:
    assert len(calls) > 100
    assert [call for call in calls if call[2] not in setup.SCOPES] == []


def test_every_route_asks_for_a_key(server: Server, calls: list[Call]) -> None:
    with as_key(server, None) as client:
        given = {call: ask(client, *call[:2]) for call in calls}
    assert {call: got for call, got in given.items() if got != (401, "key_missing")} == {}


def test_every_route_asks_for_its_scope(server: Server, box: Box, calls: list[Call]) -> None:
    wrong: dict[Call, tuple[int, str]] = {}
    for scope in sorted({call[2] for call in calls}):
        others = [each for each in setup.SCOPES if each != scope]
        with as_key(server, box.key(*others, per_minute=0)) as client:
            given = {call: ask(client, *call[:2]) for call in calls if call[2] == scope}
        wrong |= {call: got for call, got in given.items() if got != (403, "scope_missing")}
    assert wrong == {}


def test_every_scope_opens_something(calls: list[Call]) -> None:
    assert set(setup.SCOPES) - {call[2] for call in calls} == set()


BOX_WIDE = ("/audit", "/restore", "/clock", "/retention")
"""What belongs to the box and not to an organisation, beside the rules of countries."""


def test_what_is_the_whole_boxs_takes_the_operators_key(calls: list[Call]) -> None:
    changes = [call for call in calls if call[0] != "GET"]
    box_wide = [call for call in calls if call[1].startswith(tuple(f"/api/v1{place}" for place in BOX_WIDE))]
    box_wide += [call for call in changes if "/countries" in call[1] or "/rates/" in call[1] or call[1].endswith("/setup/finish")]
    box_wide = [call for call in box_wide if call[:2] != ("GET", "/api/v1/retention")]  # for how long: everybody may know
    assert len(box_wide) > 10
    assert {call for call in box_wide if not call[2].startswith("operator:")} == set()


def test_a_key_of_an_organisation_neither_reads_the_boxs_audit_nor_changes_a_country(server: Server, box: Box) -> None:
    """However many scopes it has: two organisations on one box must not see each other's acts, nor set each other's hours."""
    scopes = [scope for scope in setup.SCOPES if not scope.startswith("operator:")]
    with as_key(server, box.key(*scopes)) as client:
        assert client.get("countries/SE").status_code == 200, "the rules are for everybody to read"
        for path in ("audit", "audit/verify", "restore", "clock", "countries/export"):
            assert ask(client, "GET", f"/api/v1/{path}") == (403, "scope_missing"), path
        assert client.patch("countries/SE", json={"hours": "always"}).json()["code"] == "scope_missing"
        assert client.patch("compliance/countries/SE", json={"opt_in": "double"}).json()["code"] == "scope_missing"


def test_what_needs_no_key_gives_nothing_away(server: Server) -> None:
    with as_key(server, None) as client:
        assert ask(client, "GET", "/api/v1/exports/<token>") == (404, "link_not_found")
