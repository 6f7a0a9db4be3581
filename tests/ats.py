"""An applicant tracking system for tests, and the box it talks to: everything goes over real HTTP to real processes.

    with Box(tmp_path, credits=10) as box:
        box.serve()                                     # simulator, gateway, web
        kim = box.ats.candidate("+46701740605")
        sent = box.ats.accepted(kim, "Hej!")
        box.ats.until_state(sent["id"], "delivered")
        assert box.on_air(kim.phone)[0].text == "Hej!"

`on_air` reads the air log with smspdudecoder alone: none of our own code says what was sent.
"""

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pytest_httpserver import HTTPServer
from smspdudecoder.fields import SMSSubmit
from werkzeug import Request, Response

from gateway.flows import companions
from modem.clock import FileClock
from tests.processes import Site, Stick, until

SENDER = "+46701740699"
SETUP = """
[organisation]
ref = "acme"
name = "Acme AB"
language = "sv"
zone = "Europe/Stockholm"
region = "SE"
{credits}
[[unit]]
ref = "acme/se"
name = "Sverige"
[[user]]
email = "eva@acme.example"
name = "Eva Lind"
roles = ["recruiter"]
seat = true
unit = "acme/se"
[[user]]
email = "mia@acme.example"
name = "Mia Holm"
roles = ["recruiter"]
seat = false
unit = "acme/se"
[[user]]
email = "otto@acme.example"
name = "Otto Ek"
roles = ["recruiter"]
seat = true
unit = "acme/se"
[[case]]
ref = "job-7"
title = "Svetsare"
language = "sv"
unit = "acme/se"
team = ["eva@acme.example", "mia@acme.example"]
[[country]]
iso = "SE"
state = "active"
opt_in = "single"
acknowledgement = {{ text = "Without START", name = "Ann Ek", reference = "Legal advice 7/25", date = 2025-06-01 }}
hours = "always"
[[country]]
iso = "GB"
state = "active"
opt_in = "double"
hours = "always"
[[sender]]
number = "+46701740699"
countries = ["SE"]
international = true
pacing = {{ gap_seconds = 0 }}
"""


@dataclass(frozen=True)
class Person:
    """A candidate: the ATS's own reference, the id that Ringpost gave, and the number in E.164."""

    ref: str
    id: str
    phone: str


class Ats:
    """The HTTP side. A connection pool of its own, no proxy, and a fresh Idempotency-Key for every POST."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30, trust_env=False)
        self._numbers = itertools.count(1)
        self.introduce: Callable[[str], None] = lambda candidate_id: None
        """Called with each new candidate's id; the box notes there that they know who writes."""

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = self.http.get(path, params=query)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any = None, *, token: str | None = None, **how: Any) -> httpx.Response:
        """POST JSON; `token` is the Idempotency-Key."""
        headers = {"idempotency-key": token or f"test-{id(self)}-{next(self._numbers)}", **how.pop("headers", {})}
        return self.http.post(path, json=body, headers=headers, **how)

    def candidate(
        self,
        phone: str,
        *,
        ref: str = "",
        consent: bool = True,
        region: str = "SE",
        language: str = "sv",
        introduced: bool = True,
    ) -> Person:
        """Push a candidate, and with `consent` the consent that the application collected.

        `introduced`: they know already who writes, so that no identification (S45) goes before their first text.
        """
        ref = ref or f"cand-{next(self._numbers)}"
        body = {"first_name": "Kim", "last_name": "Sjöberg", "phone": phone, "region": region, "language": language}
        answer = self.http.put(f"/api/v1/candidates/{ref}", json=body)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        if consent:
            self.consent(ref)
        if introduced and shown["phone"]["state"] == "ok":
            self.introduce(shown["id"])
        return Person(ref, shown["id"], shown["phone"]["e164"])

    def consent(self, ref: str) -> None:
        """Push a granted consent with its evidence."""
        evidence = {"captured_at": "2026-01-05T09:00:00Z", "wording_version": "7", "wording_text": "Ja, skicka sms till mig."}
        answer = self.http.put(f"/api/v1/candidates/{ref}/consents/sms", json={"status": "granted", "evidence": evidence})
        assert answer.status_code == 200, answer.text

    def consent_status(self, ref: str) -> str:
        """The consent to messages of the recruiting process by SMS."""
        states = self.get(f"/api/v1/candidates/{ref}/consents/sms")["data"]
        return next(str(state["status"]) for state in states if state["purpose"] == "recruiting_process")

    def body(self, ref: str, text: str | None, **more: Any) -> dict[str, Any]:
        """A submission that passes every gate, given a candidate who may be written to."""
        plain = {"user": "eva@acme.example", "candidate_ref": ref, "case_ref": "job-7", "channel": "sms", "kind": "contact"}
        return {**plain, **({} if text is None else {"text": text}), **more}

    def submit(self, to: Person | str, text: str | None, *, token: str | None = None, **more: Any) -> httpx.Response:
        """POST a message."""
        ref = to if isinstance(to, str) else to.ref
        return self.post("/api/v1/messages", self.body(ref, text, **more), token=token)

    def accepted(self, to: Person | str, text: str, **more: Any) -> dict[str, Any]:
        """The 202 of a message that must be accepted."""
        answer = self.submit(to, text, **more)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def message(self, message_id: str) -> dict[str, Any]:
        """A message with its parts."""
        found: dict[str, Any] = self.get(f"/api/v1/messages/{message_id}")
        return found

    def until_state(self, message_id: str, *states: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until a message is in one of these states; the message."""
        seen: list[dict[str, Any]] = []

        def there() -> bool:
            seen[:] = [self.message(message_id)]
            return seen[0]["state"] in states

        until(there, timeout_s=timeout_s, about=f"{message_id} is {' or '.join(states)}")
        return seen[0]

    def explain(self, message_id: str) -> dict[str, Any]:
        """Why a message is where it is."""
        found: dict[str, Any] = self.get(f"/api/v1/messages/{message_id}/explain")
        return found

    def cancel(self, message_id: str) -> dict[str, Any]:
        """Call a message back."""
        answer = self.post(f"/api/v1/messages/{message_id}/cancel")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def credits(self) -> tuple[int, int]:
        """Credits available and reserved."""
        found = self.get("/api/v1/organisations/self/credits")
        return found["available"], found["reserved"]

    def ledger(self) -> list[dict[str, Any]]:
        """Every entry, newest first."""
        return self.pages("/api/v1/organisations/self/ledger")

    def pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """A list read to its end."""
        found: list[dict[str, Any]] = []
        asked = {name: value for name, value in query.items() if value is not None}
        while True:
            page = self.get(path, limit=500, **asked)
            found += page["data"]
            if not page["next"] or not page["data"]:
                return found
            asked["after"] = page["next"]

    def last_event(self) -> str | None:
        """The id of the newest event: what an ATS that is up to date sends as `after`."""
        found = self.pages("/api/v1/events")
        return None if not found else str(found[-1]["id"])


class Hook:
    """A webhook receiver on loopback: answers with `statuses` one after another, then 200; keeps every request."""

    def __init__(self, statuses: Iterable[int] = ()) -> None:
        self._server = HTTPServer(host="127.0.0.1", port=0)
        self._statuses = deque(statuses)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._server.expect_request("/hook").respond_with_handler(self._take)
        self._server.start()
        self.url = self._server.url_for("/hook")

    def _take(self, request: Request) -> Response:
        self.requests.append(({name.lower(): value for name, value in request.headers.items()}, request.get_data()))
        return Response("", status=self._statuses.popleft() if self._statuses else 200)

    def close(self) -> None:
        self._server.clear()
        self._server.stop()


@dataclass(frozen=True)
class Heard:
    """One SMS-SUBMIT as smspdudecoder reads it; `reference` is None where the part stands alone."""

    number: str
    text: str
    encoding: str
    reference: int | None
    total: int
    sequence: int
    wants_report: bool


def heard(tpdu_hex: str) -> Heard:
    """Read a TPDU of the air log."""
    read = SMSSubmit.decode(StringIO("00" + tpdu_hex))  # the empty SMSC address that it expects in front
    assert read["header"]["mti"] == "submit"
    assert read["recipient"]["toa"] == {"ton": "international", "npi": "isdn"}
    elements = (read["user_data"]["header"] or {"elements": []})["elements"]
    concat = [element["data"] for element in elements if element["iei"] in (0x00, 0x08)]
    assert len(concat) <= 1
    assert "warning" not in read["user_data"]
    return Heard(
        number="+" + read["recipient"]["number"],
        text=read["user_data"]["data"],
        encoding=read["dcs"]["encoding"],
        reference=concat[0]["reference"] if concat else None,
        total=concat[0]["parts_count"] if concat else 1,
        sequence=concat[0]["part_number"] if concat else 1,
        wants_report=read["header"]["srr"],
    )


class Box:
    """A `Site` set up by the command line as an administrator would, and the ATS that uses it."""

    def __init__(self, directory: Path, *, credits: int = 1000, processes: int = 1) -> None:
        self.site = Site(directory, test_clock=True)
        config = self.site.config.read_text()
        self.site.config.write_text(config.replace('tls = "off"', f'tls = "off"\nprocesses = {processes}'))
        setup = directory / "setup.toml"
        setup.write_text(SETUP.format(credits=f"credits = {credits}" if credits else ""))
        self.site.ringpost("init", "--test")
        self.site.ringpost("apply", str(setup))
        self.ats = Ats(f"http://127.0.0.1:{self.site.port}", self.key("ats", "*"))
        self.ats.introduce = self._introduce
        assert self.site.clock_file is not None
        self._clock = FileClock(self.site.clock_file)
        self._offset_s = 0.0
        self._numbers = iter(range(605, 699))  # PTS keeps +46 70 174 06 05 … 99 for fiction

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ats.close()
        self.site.close()

    def key(self, name: str, *scopes: str) -> str:
        """A fresh API key."""
        return self.site.ringpost("key", "add", name, *(word for scope in scopes for word in ("--scope", scope))).strip()

    def _introduce(self, candidate_id: str) -> None:
        """As after an import from a system that wrote before this box: in every case, from every sender."""
        with self.site.store.write() as tx:
            phone_hash = tx.value("SELECT phone_hash FROM candidate WHERE id = ?", candidate_id)
            for sender in tx.all("SELECT id FROM sender"):
                for case in tx.all("SELECT id FROM hiring_case"):
                    companions.introduced(tx, candidate_id, sender["id"], f"case:{case['id']}", phone_hash, self.now())

    def serve(self) -> "Box":
        """Start everything; ready when a message accepted now would go out."""
        self.radio()
        self.site.web()
        self.until_ready()
        return self

    def radio(self) -> Stick:
        """Start a quick modem and the gateway."""
        stick = self.site.simulator(latency_s=0.02, options=("--report-delay", "0.1"))
        self.site.gateway()
        return stick

    def until_ready(self) -> None:
        """Wait for /readyz."""
        until(lambda: self.site.get("/readyz")[0] == 200, timeout_s=30, about="/readyz")

    @property
    def stick(self) -> Stick:
        return self.site.sticks[0]

    def a_number(self) -> str:
        """A Swedish mobile number that nobody has yet."""
        return f"+467017406{next(self._numbers) - 600:02d}"

    def someone(self, **how: Any) -> Person:
        """A candidate with a number of their own, who has consented."""
        return self.ats.candidate(self.a_number(), **how)

    def now(self) -> int:
        """The box's time in ms."""
        return self._clock.now_ms()

    def advance(self, seconds: float) -> None:
        """Move the box's clock forward."""
        self._offset_s += seconds
        self.site.set_clock(offset_s=self._offset_s)

    def moment(self, seconds: float) -> str:
        """So many seconds from now, as the API takes it."""
        return datetime.fromtimestamp(self.now() / 1000 + seconds, UTC).isoformat()

    def on_air(self, phone: str) -> list[Heard]:
        """What the network took for a number, in order."""
        return [part for part in (heard(entry["tpdu"]) for entry in self.site.air("submit")) if part.number == phone]

    def modem(self) -> dict[str, Any]:
        """The box's one modem as the API shows it."""
        found: list[dict[str, Any]] = self.ats.get("/api/v1/modems")["data"]
        assert len(found) == 1
        return found[0]

    def park(self, parked: bool) -> None:
        """Park or unpark the modem over the API, and see it done."""
        modem_id = self.modem()["id"]
        answer = self.ats.post(f"/api/v1/modems/{modem_id}/commands", {"verb": "park" if parked else "unpark"})
        assert answer.status_code == 202, answer.text
        path = f"/api/v1/modems/{modem_id}/commands/{answer.json()['id']}"
        until(lambda: self.ats.get(path)["state"] == "done", about=path)
        assert self.modem()["parked"] is parked

    def books(self) -> dict[str, Any]:
        """What a refused request must leave as it was."""
        with self.site.store.read() as view:
            counts = {table: view.value(f"SELECT COUNT(*) AS n FROM {table}") for table in ("message", "part", "ledger", "event")}
            waiting = view.value("SELECT COUNT(*) AS n FROM message WHERE state IN ('held', 'queued', 'sending')")
        return {"credits": self.ats.credits(), "waiting": waiting, **counts}


def decoded(body: bytes) -> dict[str, Any]:
    """The JSON object of a webhook."""
    found: dict[str, Any] = json.loads(body)
    return found
