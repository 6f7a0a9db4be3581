"""A box with people, and its web server on loopback: a real SQLite file, a real port, httpx on the other side."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import config, keys
from gateway.config import Config, Listen
from gateway.flows.candidates import CandidateFields, CaseFields, put_candidate, put_case
from gateway.flows.companions import introduced
from gateway.flows.consents import ConsentPush, push_consent
from gateway.flows.credits import grant
from gateway.store import ids, setup
from gateway.store.database import Database, Transaction
from gateway.store.seal import seal
from tests.support import ManualClock
from web.app import create_app
from web.server import Server

CLI = "cli:root"
MOBILE = "+46701740605"


@dataclass
class Box:
    """An organisation with Eva (may send), a case `job-7` and candidate `anna`, who has consented to SMS."""

    config: Config
    database: Database
    clock: ManualClock
    organisation_id: str
    keys: dict[str, str] = field(default_factory=dict)

    def key(self, *scopes: str, **how: Any) -> str:
        """The secret of a fresh API key."""
        with self.database.write() as tx:
            name = f"key {ids.new('n')}"
            return setup.create_key(tx, self.organisation_id, name, scopes, CLI, self.clock.now_ms(), **how)[1]

    def write(self, step: Callable[[Transaction], Any]) -> Any:
        """Run a step in a transaction."""
        return self.database.transact(step)

    def seal(self) -> None:
        """Give events and audit rows their positions; SQLite does it by itself."""
        seal(self.database)

    def one(self, sql: str, *values: Any) -> Any:
        """One row of the store."""
        with self.database.read() as view:
            return view.one(sql, *values)

    def value(self, sql: str, *values: Any) -> Any:
        """One value of the store."""
        with self.database.read() as view:
            return view.value(sql, *values)

    def candidate(self, ref: str, *, phone: str = MOBILE, consent: bool = True) -> str:
        """A candidate, by default one who may be written to; the id."""
        now, box_keys = self.clock.now_ms(), keys.load(self.config.gateway.state_dir)

        def step(tx: Transaction) -> str:
            fields = CandidateFields(first_name="Anna", last_name="Ek", phone_raw=phone, region="SE")
            row = put_candidate(tx, self.organisation_id, ref, fields, CLI, now, phone_key=box_keys.phone)
            if consent:
                evidence = {"wording_version": "1", "wording_text": "Yes, text me."}
                push = ConsentPush(status="granted", captured_at=now, evidence=evidence)
                push_consent(tx, self.organisation_id, ref, "sms", push, CLI, now)
            if row["phone_hash"] is not None:  # they know who writes: no identification (S45) goes before the first text
                for case in tx.all("SELECT id FROM hiring_case"):
                    introduced(tx, row["id"], "snd_1", f"case:{case['id']}", row["phone_hash"], now)
            return str(row["id"])

        found: str = self.write(step)
        return found


def settings(state_dir: Path, database: str, extra: str = "") -> Config:
    """A configuration for a server on loopback; `extra` goes into [web]."""
    text = f'[gateway]\nname = "test"\nstate_dir = "{state_dir}"\ndatabase = "{database}"\n'
    return config.read(text + f'[web]\nlisten = "127.0.0.1:0"\ntls = "off"\nthreads = 8\n{extra}\n')


@pytest.fixture
def store_url(request: pytest.FixtureRequest) -> str:
    """SQLite; `RINGPOST_TEST_ENGINE=postgresql pytest tests/web` runs the same tests on PostgreSQL."""
    url: str = request.getfixturevalue(os.environ.get("RINGPOST_TEST_ENGINE", "sqlite") + "_url")
    return url


@pytest.fixture
def box(store_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[Box]:
    """A box that may send."""
    database = Database(store_url)
    made = settings(tmp_path, store_url)
    box_keys = keys.ensure(tmp_path)
    now = clock.now_ms()

    def people(tx: Transaction) -> str:
        setup.bind_keys(tx, box_keys)
        organisation_id = setup.create_organisation(
            tx, ref="acme", name="Acme AB", language="sv", zone="Europe/Stockholm", region="SE", actor=CLI, now=now
        )
        for name, roles, seat in (("eva", ["recruiter"], True), ("olle", ["viewer"], False)):
            setup.create_user(
                tx, organisation_id, email=f"{name}@acme.example", name=name, roles=roles, seat=seat, actor=CLI, now=now
            )
        put_case(
            tx,
            organisation_id,
            "job-7",
            CaseFields(title="Welder", team=("eva@acme.example", "olle@acme.example")),
            CLI,
            now,
        )
        grant(tx, organisation_id, 10_000, "first", "", CLI, now)
        tx.execute(
            "INSERT INTO country (iso, channel, state, opt_in, hours, price, updated_at)"
            " VALUES ('SE', 'sms', 'active', 'single', ?, 1, ?)",
            json.dumps("always"),
            now,
        )
        tx.execute(
            "INSERT INTO sender (id, organisation_id, number, iccid, countries, international, gap_ms, active, updated_at)"
            " VALUES ('snd_1', ?, '+46700000000', NULL, '[\"SE\"]', 1, 0, 1, ?)",
            organisation_id,
            now,
        )
        return organisation_id

    made_box = Box(made, database, clock, database.transact(people))
    made_box.candidate("anna")
    yield made_box
    database.close()


@pytest.fixture
def server(box: Box) -> Iterator[Server]:
    """The box's web server, listening."""
    stopping = threading.Event()
    app = create_app(box.config, box.clock, box.database, stopping=stopping)
    running = Server(app, Listen("127.0.0.1", 0), threads=8, at_thread_end=box.database.close)
    running.open()
    yield running
    stopping.set()
    running.close()


@pytest.fixture
def api(box: Box, server: Server) -> Iterator[httpx.Client]:
    """A client whose key may do everything."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}/api/v1",
        headers={"Authorization": f"Bearer {box.key(*setup.SCOPES)}"},
        trust_env=False,
    ) as client:
        yield client


def message(**changes: Any) -> dict[str, Any]:
    """A submission that is accepted; what is given changes it, None takes a field away."""
    body = {
        "user": "eva@acme.example",
        "candidate_ref": "anna",
        "case_ref": "job-7",
        "channel": "sms",
        "kind": "contact",
        "text": "Hej!",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def problem(response: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """Assert that the answer is this problem, complete, and give it back."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code", "errors", "request_id"} <= set(body)
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:ringpost:problem:{code}"
    assert body["request_id"] == response.headers["X-Request-Id"]
    if field is not None:
        assert field in [error["field"] for error in body["errors"]], body
    return body
