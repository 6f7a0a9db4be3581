"""A small organisation with people of every role, messages in every state, modems and a ledger; and a browser's manners."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from gateway.flows import sign_in
from gateway.store.database import Database, Transaction
from tests.support import ManualClock
from tests.web import pages_app

PASSWORD = "four plain words here"
ORG, OTHER = "org_acme", "org_other"
PEOPLE = {
    "recruiter": ["recruiter"],
    "admin": ["admin"],
    "operator": ["operator"],
    "compliance": ["compliance"],
    "viewer": ["viewer"],
    "nobody": [],
}
STATES = ("held", "queued", "sending", "sent", "delivered", "undelivered", "failed", "expired", "cancelled", "unknown")


@lru_cache
def password_hash(password: str = PASSWORD) -> str:
    """Hashed once for all tests: each costs 30 ms."""
    return sign_in.hash_password(password)


def email(role: str) -> str:
    """The address of the person with this role."""
    return f"{role}@acme.example"


def message_id(number: int) -> str:
    """The id of the n-th message."""
    return f"msg_{number:032x}"


def seed(database: Database, now: int) -> None:
    """Two organisations; in the first a person per role, one case, and one message in each state."""
    with database.write() as tx:
        for org, zone in ((ORG, "Europe/Stockholm"), (OTHER, "UTC")):
            tx.insert(
                "organisation", id=org, root_id=org, ref=org, name=org[4:].title(), zone=zone, language="en", created_at=now
            )
        tx.flush()
        for role, roles in PEOPLE.items():
            add_user(tx, role, roles, now)
        tx.insert(
            "candidate",
            id="cand_1",
            organisation_id=ORG,
            ref="c-1",
            first_name="Åsa <script>alert(1)</script>",
            last_name="Öberg",
            phone="+46701740605",
            phone_state="ok",
            created_at=now,
            updated_at=now,
        )
        tx.insert(
            "hiring_case",
            id="case_1",
            organisation_id=ORG,
            unit_id=ORG,
            ref="job-7",
            title="Welder",
            created_at=now,
            updated_at=now,
        )
        tx.insert("case_member", case_id="case_1", user_id="usr_recruiter")
        tx.insert("sender", id="snd_1", organisation_id=ORG, number="+46700000000", iccid="8946071111", updated_at=now)
        tx.flush()
        for number, state in enumerate(STATES, 1):
            add_message(tx, number, state, now - 60_000 * (20 - number), case_id="case_1")
        add_message(tx, 90, "delivered", now - 1000, organisation_id=OTHER, case_id=None, candidate_id=None)
        add_message(tx, 91, "delivered", now - 1000, case_id=None, user_id="usr_admin")


def add_user(tx: Transaction, name: str, roles: list[str], now: int, *, org: str = ORG, active: int = 1) -> None:
    """A person with the usual password."""
    from gateway.store.database import compact

    tx.insert(
        "app_user",
        id=f"usr_{name}",
        organisation_id=org,
        unit_id=org,
        email=email(name),
        name=f"{name.title()} Person",
        password_hash=password_hash(),
        roles=compact(roles),
        active=active,
        created_at=now,
    )


def add_message(tx: Transaction, number: int, state: str, at: int, **columns: Any) -> None:
    """A message of two parts in this state, with stamps to match."""
    left = state in ("sending", "sent", "delivered", "undelivered", "unknown")
    done = state in ("delivered", "undelivered", "failed", "expired", "cancelled")
    values = {
        "id": message_id(number),
        "organisation_id": ORG,
        "candidate_id": "cand_1",
        "user_id": "usr_recruiter",
        "origin": "user",
        "channel": "sms",
        "kind": "interview_invite",
        "lane": 1,
        "state": state,
        "hold_reason": "quiet_hours" if state == "held" else None,
        "not_before": at + 3_600_000 if state == "held" else None,
        "due_at": at,
        "seq": number,
        "address": "+46701740605",
        "country": "SE",
        "sender_id": "snd_1",
        "alphabet": "gsm7",
        "parts": 2,
        "price": 1,
        "credits": 2,
        "month": "2026-03",
        "valid_until": at + 86_400_000,
        "accepted_at": at,
        "sent_at": at + 2000 if left else None,
        "done_at": at + 9000 if done else None,
        "error": "Network out of order" if state == "failed" else None,
        **columns,
    }
    tx.insert("message", **values)
    tx.flush()
    part_state = {"held": "ready", "queued": "ready", "expired": "ready", "cancelled": "ready", "sending": "submitting"}
    for part in (1, 2):
        tx.insert(
            "part",
            message_id=values["id"],
            number=part,
            total=2,
            text=f"Hej <b>Åsa</b>, this is part {part} of message {number}. Välkommen till intervju på torsdag! ",
            alphabet="gsm7",
            state=part_state.get(state, state),
            attempt=1 if left else 0,
            modem="stick-1" if left else None,
            submitted_at=at + 1000 * part if left else None,
            sent_at=at + 1000 * part + 500 if left and state not in ("sending", "unknown") else None,
            reported_at=at + 8000 if state in ("delivered", "undelivered") else None,
        )


def add_modem(tx: Transaction, name: str, state: str, now: int, **columns: Any) -> None:
    """A stick of the gateway `box`."""
    values = {
        "id": f"mdm_{name}",
        "gateway": "box",
        "name": name,
        "port": "/dev/ttyUSB2",
        "imei": "861234567890123",
        "manufacturer": "Quectel",
        "model": "EC25",
        "state": state,
        "seen_at": now,
        **columns,
    }
    tx.insert("modem", **values)


def add_gateway(tx: Transaction, now: int) -> None:
    """The gateway `box`, just heard of."""
    tx.insert("gateway", name="box", epoch=1, holder="pid 1", started_at=now, heartbeat_at=now, version="0.1.0")


def add_ledger(tx: Transaction, kind: str, amount: int, at: int, **columns: Any) -> None:
    """A ledger entry (the balance row is the caller's)."""
    tx.insert(
        "ledger",
        **{"organisation_id": ORG, "kind": kind, "amount": amount, "actor": "cli:root", "month": "2026-03", "at": at, **columns},
    )


@dataclass
class Person:
    """Somebody at a browser: keeps cookies, sends the form's token and the Origin a browser would send."""

    client: FlaskClient
    origin: str = "http://localhost"

    def get(self, path: str, **headers: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path, headers=headers)

    def token(self, path: str) -> str:
        """The CSRF token of the page's forms."""
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.client.get(path).text)
        assert found is not None, f"no form on {path}"
        return found.group(1)

    def post(self, path: str, form: dict[str, str] | None = None, *, page: str, **headers: str) -> TestResponse:
        """Send a form that stands on `page`."""
        data = {"csrf_token": self.token(page), **(form or {})}
        return self.client.post(path, data=data, headers={"Origin": self.origin, **headers})

    def sign_in(self, role: str, password: str = PASSWORD, query: str = "") -> TestResponse:
        """Sign in as the person with this role."""
        return self.post("/admin/login" + query, {"email": email(role), "password": password}, page="/admin/login")


@pytest.fixture
def store(sqlite_url: str, clock: ManualClock) -> Iterator[Database]:
    """A seeded SQLite file."""
    opened = Database(sqlite_url)
    seed(opened, clock.now_ms())
    yield opened
    opened.close()


@pytest.fixture
def app(store: Database, clock: ManualClock, tmp_path: Path) -> Flask:
    """The application on that store."""
    return pages_app.create(store, clock, tmp_path)


@pytest.fixture
def anonymous(app: Flask) -> Person:
    """Somebody who has not signed in."""
    return Person(app.test_client())


@pytest.fixture
def people(app: Flask, store: Database, clock: ManualClock) -> dict[str, Person]:
    """One signed-in person per role (their sessions are made in the store: each login would cost 30 ms)."""
    found = {}
    for role in PEOPLE:
        with store.write() as tx:
            token = sign_in.open_session(tx, f"usr_{role}", "127.0.0.1", clock.now_ms())
        client = app.test_client()
        client.set_cookie("ringpost", token)
        found[role] = Person(client)
    return found
