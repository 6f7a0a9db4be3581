"""The whole product on a temporary directory: simulated modem, sample people, a login, a key, a line to try.

`prepare` makes the directory ready, `Demo.children` are the processes to run, `Demo.is_ready` asks whether a message sent now
would be delivered. Plain HTTP on this machine only; nothing leaves it.
"""

import json
import secrets
import shlex
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import config as shipped
from gateway import apply, clock, config, keys
from gateway.config import Config
from gateway.errors import RingpostError
from gateway.flows.candidates import CandidateFields, put_candidate
from gateway.flows.consents import ConsentPush, push_consent
from gateway.flows.sign_in import hash_password
from gateway.store import schema, setup
from gateway.store.database import Transaction
from gateway.supervise import Child, environment, python
from gateway.toml_tables import Document, Table

HOST = "127.0.0.1"
PORT = 8080
USER, CANDIDATE, CASE = "eva@acme.example", "cand-1", "job-7"
LATENCY_S, REPORT_DELAY_S = 0.3, 1.0
"""A quick network: the first text is delivered in a second or two."""
_ACTOR = "cli:demo"
_SHORT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the surroundings knows nothing of us


class PortTaken(RingpostError):
    """Another program listens on the port that was asked for."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A prepared demo."""

    directory: Path
    file: Path
    url: str
    password: str
    key: str
    clock_file: Path | None

    @property
    def log(self) -> Path:
        """What the processes print."""
        return self.directory / "log"

    def children(self) -> list[Child]:
        """The simulated modem, the gateway and the web."""
        modem = python(
            "modem.simulator",
            *("--link", str(self.directory / "modem"), "--state", str(self.directory / "sim.json")),
            *("--air-log", str(self.directory / "air.jsonl"), "--control", str(self.directory / "modem.sock")),
            *("--latency", str(LATENCY_S), "--report-delay", str(REPORT_DELAY_S)),
            *(() if self.clock_file is None else ("--clock", str(self.clock_file))),
        )
        commands = {"modem": modem, **{name: python(name, "-c", str(self.file)) for name in ("gateway", "web")}}
        return [Child(name, command, environment(), self.log) for name, command in commands.items()]

    def is_ready(self) -> bool:
        """Whether a message accepted now would go out."""
        try:
            with _SHORT.open(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    @property
    def body(self) -> dict[str, str]:
        """A message that is always accepted."""
        return {
            "user": USER,
            "candidate_ref": CANDIDATE,
            "case_ref": CASE,
            "channel": "sms",
            "kind": "contact",
            "text": "Hej Kim! Har du tid för ett samtal om jobbet? Hälsningar Eva, Acme",
        }

    @property
    def curl(self) -> str:
        """One line for a shell; each run sends a message of its own."""
        return (
            f"curl -sS {self.url}/api/v1/messages -H 'Authorization: Bearer {self.key}' -H 'Content-Type: application/json'"
            f' -H "Idempotency-Key: demo-$(date +%s)" -d {shlex.quote(json.dumps(self.body, ensure_ascii=False))}'
        )

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "url": self.url,
            "login": USER,
            "password": self.password,
            "key": self.key,
            "curl": self.curl,
            "body": self.body,
            "directory": str(self.directory),
            "config": str(self.file),
        }


def prepare(directory: Path, port: int | None = None, clock_file: Path | None = None) -> Demo:
    """Make configuration, database, keys and sample people in an empty directory. Raises PortTaken."""
    file = directory / "ringpost.toml"
    chosen = _free_port(port)
    file.write_text(_configuration(directory, chosen, clock_file), encoding="utf-8")
    settings = config.load(file)
    password, key = _fill(settings)
    return Demo(directory, file, f"http://{HOST}:{chosen}", password, key, clock_file)


def _configuration(directory: Path, port: int, clock_file: Path | None) -> str:
    pretended = "" if clock_file is None else f"test_clock = {json.dumps(str(clock_file))}\n"
    return (
        f'[gateway]\nname = "demo"\nstate_dir = "state"\n{pretended}'
        f'\n[web]\nlisten = "{HOST}:{port}"\ntls = "off"\n'
        f'\n[[modem]]\nname = "demo"\nport = {json.dumps(str(directory / "modem"))}\n'
    )


def _free_port(wanted: int | None) -> int:
    for port in (PORT, 0) if wanted is None else (wanted,):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PortTaken(f"port {wanted} is taken by another program: give another with --port, or none")


def _fill(settings: Config) -> tuple[str, str]:
    """The database with everybody in it; the login's password and the API key."""
    document = Document("config/demo.toml", shipped.text("demo.toml"))
    plan = apply.Plan.of(document, besides=("person",))
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    database = schema.open_database(settings, check=False)
    try:
        setup.prepare(settings, database, test=True)
        schema.check_clock(settings, database)
        box = keys.load(settings.gateway.state_dir)
        now = clock.choose(settings.gateway.test_clock).now_ms()
        apply.apply(database, plan, box, actor=_ACTOR, now=now)
        password_hash = hash_password(password)
        with database.write() as tx:
            owner = setup.the_organisation(tx, None)
            setup.set_password(tx, setup.find_user(tx, USER), password_hash, _ACTOR, now)
            for person in document.rows("person", _PERSON):
                _put_person(tx, owner["id"], person, box, now)
            _, key = setup.create_key(tx, owner["id"], "demo", ("*",), _ACTOR, now)
    finally:
        database.close()
    return password, key


_PERSON = ("ref", "first_name", "last_name", "phone", "language", "consent")


def _put_person(tx: Transaction, organisation_id: str, person: Table, box: keys.Keys, now: int) -> None:
    ref = person.text("ref")
    fields = CandidateFields(
        first_name=person.text("first_name"),
        last_name=person.text("last_name"),
        phone_raw=person.text("phone"),
        language=person.text("language"),
    )
    put_candidate(tx, organisation_id, ref, fields, _ACTOR, now, phone_key=box.phone)
    if "consent" in person:
        push = ConsentPush(status=person.text("consent"), captured_at=now, evidence=_evidence(person, now))
        push_consent(tx, organisation_id, ref, "sms", push, _ACTOR, now)


def _evidence(person: Table, now: int) -> Mapping[str, Any]:
    return {
        "captured_at": clock.rfc3339(now),
        "wording_version": "demo-1",
        "wording_text": "Acme AB may write to me by SMS about my application. I can stop that at any time.",
        "source_url": "https://jobs.acme.example/apply",
        "form": {"language": person.text("language"), "prechecked": False},
    }
